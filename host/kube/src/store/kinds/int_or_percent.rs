//! A number or a percentage (`k8s.io/apimachinery/pkg/util/intstr`).

use serde_json::Value;

use crate::store::error::FieldError;

/// The percentage, if it is one.
pub fn percent(value: &Value) -> Option<i64> {
    let digits = value.as_str()?.strip_suffix('%')?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The number, or the percentage of `total`, rounded up or down; 0 for anything else.
pub fn resolve(value: &Value, total: i64, up: bool) -> i64 {
    match percent(value) {
        Some(p) => {
            let hundredths = i128::from(p) * i128::from(total);
            let rounded = if up { (hundredths + 99).div_euclid(100) } else { hundredths / 100 };
            i64::try_from(rounded).unwrap_or(i64::MAX)
        }
        None => value.as_i64().unwrap_or(0),
    }
}

/// As Go prints the struct in an error.
pub(super) fn go(value: &Value) -> String {
    let (kind, number, text) = match value {
        Value::String(s) => (1, 0, s.as_str()),
        other => (0, other.as_i64().unwrap_or(0), ""),
    };
    format!("intstr.IntOrString{{Type:{kind}, IntVal:{number}, StrVal:{text:?}}}")
}

/// What is wrong with a value that must not be negative.
pub(super) fn validate(value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if value.is_string() && percent(value).is_none() {
        errors.push(FieldError::invalid_raw(
            path,
            go(value),
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ));
    } else if value.as_i64().is_some_and(|n| n < 0) {
        errors.push(FieldError::invalid_raw(path, value, "must be greater than or equal to 0"));
    }
}

/// What is wrong with a part of a whole.
pub(super) fn at_most_all(value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if percent(value).is_some_and(|p| p > 100) {
        errors.push(FieldError::invalid_raw(path, go(value), "must not be greater than 100%"));
    }
}

/// Whether it is nothing: 0, or 0 %.
pub(super) fn is_zero(value: &Value) -> bool {
    percent(value).or(value.as_i64()).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn percentages_are_rounded_as_asked() {
        for (value, total, up, down) in [
            (json!("25%"), 1, 1, 0),
            (json!("25%"), 4, 1, 1),
            (json!("25%"), 10, 3, 2),
            (json!("0%"), 10, 0, 0),
            (json!("100%"), 7, 7, 7),
            (json!(3), 10, 3, 3),
            (json!("x%"), 10, 0, 0),
        ] {
            assert_eq!(
                (resolve(&value, total, true), resolve(&value, total, false)),
                (up, down),
                "{value} of {total}"
            );
        }
    }
}
