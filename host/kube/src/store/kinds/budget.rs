//! PodDisruptionBudgets: what may be wrong (`pkg/apis/policy/validation`), and amounts that are
//! numbers or percentages.

use serde_json::Value;

use crate::store::error::FieldError;
use crate::store::resource::Hooks;

/// The rules of PodDisruptionBudgets.
pub const HOOKS: Hooks = Hooks {
    validate: |o, errors| spec(&o["spec"], errors),
    validate_update: |new, _, errors| spec(&new["spec"], errors),
    ..super::PLAIN
};

/// A number or a percentage of `total`, which is rounded up or down.
pub fn scaled(value: &Value, total: i64, up: bool) -> Option<i64> {
    match value {
        Value::Number(n) => n.as_i64(),
        Value::String(s) => {
            let percent: i64 = s.strip_suffix('%')?.parse().ok()?;
            Some((percent * total + if up { 99 } else { 0 }) / 100)
        }
        _ => None,
    }
}

/// What is wrong with a number or percentage that may not be negative.
pub fn amount(value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Number(n) if n.as_i64().is_some_and(|n| n < 0) => {
            let why = "must be greater than or equal to 0";
            errors.push(FieldError::invalid_raw(path, n, why));
        }
        Value::String(s) => {
            let digits = s.strip_suffix('%').filter(|d| !d.is_empty());
            let percent = digits.filter(|d| d.bytes().all(|c| c.is_ascii_digit()));
            match percent.and_then(|d| d.parse::<i64>().ok()) {
                None => {
                    let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
                    errors.push(FieldError::invalid(path, s, why));
                }
                Some(p) if p > 100 => {
                    errors.push(FieldError::invalid(path, s, "must not be greater than 100%"));
                }
                Some(_) => {}
            }
        }
        _ => {}
    }
}

fn spec(spec: &Value, errors: &mut Vec<FieldError>) {
    let (min, max) = (&spec["minAvailable"], &spec["maxUnavailable"]);
    if !min.is_null() && !max.is_null() {
        let why = "minAvailable and maxUnavailable cannot be both set";
        errors.push(FieldError::invalid_raw("spec", spec, why));
    }
    amount(min, "spec.minAvailable", errors);
    amount(max, "spec.maxUnavailable", errors);
    let policy = &spec["unhealthyPodEvictionPolicy"];
    let known = ["AlwaysAllow", "IfHealthyBudget"];
    if let Some(given) = policy.as_str().filter(|p| !known.contains(p)) {
        errors.push(FieldError::not_supported("spec.unhealthyPodEvictionPolicy", given, &known));
    }
}
