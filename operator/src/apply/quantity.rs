//! Kubernetes quantities as whole numbers, to tell two spellings of one from two quantities.

use serde_json::Value;

/// A quantity in billionths; None if it is none. Kubernetes' own rounding is to the nano.
pub(crate) fn nanos(value: &Value) -> Option<i128> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')));
    let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
    let exponent = |power: u32| 10i128.checked_pow(power);
    let (scale, divide) = match suffix {
        "" => (exponent(9)?, 1),
        "n" => (1, 1),
        "u" => (exponent(3)?, 1),
        "m" => (exponent(6)?, 1),
        "k" => (exponent(12)?, 1),
        "M" => (exponent(15)?, 1),
        "G" => (exponent(18)?, 1),
        "T" => (exponent(21)?, 1),
        "P" => (exponent(24)?, 1),
        "E" => (exponent(27)?, 1),
        "Ki" => (exponent(9)? << 10, 1),
        "Mi" => (exponent(9)? << 20, 1),
        "Gi" => (exponent(9)? << 30, 1),
        "Ti" => (exponent(9)? << 40, 1),
        "Pi" => (exponent(9)? << 50, 1),
        "Ei" => (exponent(9)? << 60, 1),
        _ => {
            let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = power.checked_add(9)?;
            let factor = exponent(power.unsigned_abs())?;
            if power < 0 { (1, factor) } else { (factor, 1) }
        }
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = exponent(u32::try_from(fraction.len()).ok()?)?;
    Some(digits.checked_mul(scale)? / places / divide)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_spelling_of_a_quantity() {
        let of = |text: &str| nanos(&json!(text));
        for (a, b) in [
            ("1", "1000m"),
            ("2048Mi", "2Gi"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("100e-2", "1"),
            ("1u", "1000n"),
            ("0.1", "100m"),
            ("-1", "-1000m"),
            ("1Ei", "1024Pi"),
        ] {
            assert_eq!(of(a), of(b), "{a} {b}");
            assert!(of(a).is_some(), "{a}");
        }
        for bad in ["", "x", "1x", "1 Gi", "1.2.3", "e3", "1e2147483647", "1e-2147483648"] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_ne!(of("1"), of("1001m"));
    }
}
