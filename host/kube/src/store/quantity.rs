//! Quantities: "500m", "1Gi", "2e3" (`k8s.io/apimachinery/pkg/api/resource`).

use serde_json::Value;

/// The amount in thousandths (millicores, or a thousandth of a byte), rounded up. `None` for
/// what is no quantity, or one beyond all use.
pub fn millis(text: &str) -> Option<i128> {
    let digits =
        text.find(|c: char| !(c.is_ascii_digit() || ".+-".contains(c))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (negative, number) = match number.as_bytes().first()? {
        b'-' => (true, &number[1..]),
        b'+' => (false, &number[1..]),
        _ => (false, number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits_only = |s: &str| s.bytes().all(|c| c.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty()
        || !digits_only(whole)
        || !digits_only(fraction)
        || whole.len() + fraction.len() > 24
    {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    // The amount is mantissa * 10^exponent * 2^shift.
    let (mut exponent, mut shift) = (-i32::try_from(fraction.len()).ok()?, 0);
    match suffix {
        "" => {}
        "n" => exponent -= 9,
        "u" => exponent -= 6,
        "m" => exponent -= 3,
        "k" => exponent += 3,
        "M" => exponent += 6,
        "G" => exponent += 9,
        "T" => exponent += 12,
        "P" => exponent += 15,
        "E" => exponent += 18,
        "Ki" => shift = 10,
        "Mi" => shift = 20,
        "Gi" => shift = 30,
        "Ti" => shift = 40,
        "Pi" => shift = 50,
        "Ei" => shift = 60,
        other => {
            let e: i32 = other.strip_prefix(['e', 'E'])?.parse().ok()?;
            exponent += e;
        }
    }
    exponent += 3;
    if !(-40..=30).contains(&exponent) {
        return None;
    }
    let mut value = mantissa.checked_mul(1i128 << shift)?;
    let power = 10i128.checked_pow(exponent.unsigned_abs());
    value = match power {
        Some(p) if exponent >= 0 => value.checked_mul(p)?,
        Some(p) => value.checked_add(p - 1)? / p,
        None => i128::from(value > 0),
    };
    Some(if negative { -value } else { value })
}

/// As [`millis`], of a JSON value: numbers are quantities too.
pub fn of(value: &Value) -> Option<i128> {
    match value {
        Value::String(s) => millis(s),
        Value::Number(n) => millis(&n.to_string()),
        _ => None,
    }
}

/// An amount in thousandths as Kubernetes writes it (`Quantity.String`): with the largest suffix
/// that leaves a whole number; `binary` for Ki, Mi, ...
pub fn format(millis: i128, binary: bool) -> String {
    if millis % 1000 != 0 {
        return format!("{millis}m");
    }
    let (step, suffixes) = if binary {
        (1024, ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])
    } else {
        (1000, ["", "k", "M", "G", "T", "P", "E"])
    };
    let (mut value, mut suffix) = (millis / 1000, 0);
    while value != 0 && value % step == 0 && suffix + 1 < suffixes.len() {
        value /= step;
        suffix += 1;
    }
    format!("{value}{}", suffixes[suffix])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_the_largest_suffix() {
        for (amount, binary, want) in [
            (500, false, "500m"),
            (1000, false, "1"),
            (1_000_000, false, "1k"),
            (1000 << 30, true, "1Gi"),
            (1000 * 1536, true, "1536"),
            (1000 << 30, false, "1073741824"),
            (0, true, "0"),
        ] {
            assert_eq!(format(amount, binary), want);
        }
    }

    #[test]
    fn quantities() {
        for (text, want) in [
            ("500m", Some(500)),
            ("1", Some(1000)),
            ("0.5", Some(500)),
            ("1Gi", Some(1000 << 30)),
            ("0.5Ki", Some(512_000)),
            ("2e3", Some(2_000_000)),
            ("1E", Some(10i128.pow(21))),
            ("100n", Some(1)),
            ("-1", Some(-1000)),
            ("", None),
            ("1x", None),
            (".", None),
            ("1e999", None),
            ("99999999999999999999999999", None),
        ] {
            assert_eq!(millis(text), want, "{text}");
        }
    }
}
