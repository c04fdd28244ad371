//! Amounts as Kubernetes writes them.

use serde_json::Value;

/// An amount, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantity(pub i128, bool);

impl Quantity {
    /// Reads one; 0 if it is none.
    pub fn of(value: &Value) -> Quantity {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(n) => n.to_string(),
            _ => return Quantity::default(),
        };
        let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+'));
        let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
        let unit: f64 = match suffix {
            "n" => 1e-6,
            "u" => 1e-3,
            "m" => 1.0,
            "" => 1e3,
            "k" => 1e6,
            "M" => 1e9,
            "G" => 1e12,
            "T" => 1e15,
            "P" => 1e18,
            "Ki" => 1024e3,
            "Mi" => 1_048_576e3,
            "Gi" => 1_073_741_824e3,
            "Ti" => 1_099_511_627_776e3,
            "Pi" => 1_125_899_906_842_624e3,
            exponent => exponent[1..].parse::<i32>().map_or(0.0, |e| 10_f64.powi(e) * 1e3),
        };
        let number: f64 = number.parse().unwrap_or(0.0);
        Quantity((number * unit).ceil() as i128, suffix.ends_with('i'))
    }

    /// Added to another.
    pub fn plus(self, other: Quantity) -> Quantity {
        Quantity(self.0 + other.0, if self.0 == 0 { other.1 } else { self.1 })
    }

    /// In thousandths.
    pub fn millis(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// In whole units, rounded up.
    pub fn value(self) -> i64 {
        i64::try_from((self.0 + 999).div_euclid(1000)).unwrap_or(i64::MAX)
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        if self.0 % 1000 != 0 {
            return write!(f, "{}m", self.0);
        }
        let (mut value, mut unit) = (self.0 / 1000, 0);
        let base = if self.1 { 1024 } else { 1000 };
        while value % base == 0 && unit < 5 {
            value /= base;
            unit += 1;
        }
        let units =
            if self.1 { ["", "Ki", "Mi", "Gi", "Ti", "Pi"] } else { ["", "k", "M", "G", "T", "P"] };
        write!(f, "{value}{}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts() {
        let q = |t: &str| Quantity::of(&json!(t));
        assert_eq!(q("250m").plus(q("1")).to_string(), "1250m");
        assert_eq!(q("16Mi").plus(q("16Mi")).to_string(), "32Mi");
        assert_eq!(q("100Gi").value(), 107_374_182_400);
        assert_eq!(q("0").to_string(), "0");
        assert_eq!(q("1500000n").millis(), 2);
    }
}
