//! Kubernetes quantities as numbers.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The number that a quantity stands for: `500m` is 0.5, `1Gi` is 1073741824, `2e3` is 2000. `None` for what is not
/// a quantity. Precision is that of `f64`, which is far beyond what a rate or a target needs.
pub fn number(quantity: &Quantity) -> Option<f64> {
    parse(&quantity.0)
}

fn parse(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    if !digits.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: f64 = digits.parse().ok()?;
    if let Some(exponent) = suffix.strip_prefix(['e', 'E']).filter(|rest| !rest.is_empty() && *rest != "i") {
        let exponent: i32 = exponent.parse().ok()?;
        return Some(scaled(value, 10.0, exponent)).filter(|v| v.is_finite());
    }
    Some(match suffix {
        "" => value,
        "n" => scaled(value, 10.0, -9),
        "u" => scaled(value, 10.0, -6),
        "m" => scaled(value, 10.0, -3),
        "k" => scaled(value, 10.0, 3),
        "M" => scaled(value, 10.0, 6),
        "G" => scaled(value, 10.0, 9),
        "T" => scaled(value, 10.0, 12),
        "P" => scaled(value, 10.0, 15),
        "E" => scaled(value, 10.0, 18),
        "Ki" => scaled(value, 1024.0, 1),
        "Mi" => scaled(value, 1024.0, 2),
        "Gi" => scaled(value, 1024.0, 3),
        "Ti" => scaled(value, 1024.0, 4),
        "Pi" => scaled(value, 1024.0, 5),
        "Ei" => scaled(value, 1024.0, 6),
        _ => return None,
    })
    .filter(|v| v.is_finite())
}

/// Divides for negative exponents: powers of ten below one have no exact `f64`, so a product would be off by a bit.
fn scaled(value: f64, base: f64, exponent: i32) -> f64 {
    if exponent < 0 { value / base.powi(exponent.saturating_neg()) } else { value * base.powi(exponent) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suffix_and_exponent() {
        let table = [
            ("0", 0.0),
            ("100", 100.0),
            ("1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("+3", 3.0),
            ("-3", -3.0),
            ("7n", 7e-9),
            ("7u", 7e-6),
            ("500m", 0.5),
            ("100m", 0.1),
            ("2k", 2e3),
            ("2M", 2e6),
            ("2G", 2e9),
            ("2T", 2e12),
            ("2P", 2e15),
            ("2E", 2e18),
            ("2Ki", 2048.0),
            ("1Mi", 1_048_576.0),
            ("1Gi", 1_073_741_824.0),
            ("1Ti", 1_099_511_627_776.0),
            ("1Pi", 1_125_899_906_842_624.0),
            ("1Ei", 1_152_921_504_606_846_976.0),
            ("1.5Gi", 1_610_612_736.0),
            ("1e3", 1000.0),
            ("1E3", 1000.0),
            ("12e-3", 0.012),
            ("1e+2", 100.0),
            ("1e-2147483648", 0.0),
        ];
        for (text, number) in table {
            assert_eq!(parse(text), Some(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity() {
        for text in [
            "",
            "m",
            ".",
            "-",
            "1x",
            "1 m",
            "1mm",
            "1Kii",
            "1e",
            "1ex",
            "1e1.5",
            "1-1",
            "nan",
            "inf",
            "1e400",
            "1e2147483647",
        ] {
            if text == "1e" {
                continue;
            }
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("1e"), None, "an exponent without a number");
    }
}
