//! Numbers in reports: always the same text for the same number.

use serde::{Serialize, Serializer};

/// The greatest whole number up to which every one is exact in an `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A number that is written without a point where it is whole; a number that JSON does not know is null.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plain(pub f64);

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if !number.is_finite() => serializer.serialize_none(),
            number if number.fract() == 0.0 && number.abs() < EXACT => serializer.serialize_i64(number as i64),
            number => serializer.serialize_f64(number),
        }
    }
}

/// A number for people: at most three digits after the point, no trailing zeros.
pub fn short(number: f64) -> String {
    let rounded = (number * 1000.0).round() / 1000.0 + 0.0;
    if rounded.is_finite() && !(rounded == 0.0 && number != 0.0) && rounded.abs() < 1e9 {
        format!("{rounded}")
    } else {
        format!("{number:.2e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_no_point() {
        let table = [(320.0, "320"), (0.25, "0.25"), (-0.0, "0"), (f64::NAN, "null"), (-3.0, "-3")];
        for (number, text) in table {
            assert_eq!(serde_json::to_string(&Plain(number)).unwrap(), text);
        }
    }

    #[test]
    fn people_see_three_digits() {
        for (number, text) in [(320.0, "320"), (0.123456, "0.123"), (1e-7, "1.00e-7"), (1e300, "1.00e300"), (-0.0, "0")]
        {
            assert_eq!(short(number), text);
        }
    }
}
