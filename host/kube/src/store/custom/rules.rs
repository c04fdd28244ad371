//! `x-kubernetes-validations`: rules in CEL
//! (`apiextensions-apiserver/pkg/apiserver/schema/cel`).

use std::sync::Arc;

use cel::objects::Key;
use cel::{Context, Program};
use serde_json::Value;

use crate::store::error::{FieldError, FieldErrorKind};

/// So many rules are looked at in one object: lists with rules for their items end somewhere.
const RULES: usize = 10_000;

/// Numbers as Kubernetes types them: whole ones are `int`.
fn native(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(b) => cel::Value::Bool(*b),
        Value::Number(n) => match n.as_i64() {
            Some(i) => cel::Value::Int(i),
            None => cel::Value::Float(n.as_f64().unwrap_or(0.0)),
        },
        Value::String(s) => cel::Value::String(Arc::new(s.clone())),
        Value::Array(items) => cel::Value::List(Arc::new(items.iter().map(native).collect())),
        Value::Object(map) => {
            let entries =
                map.iter().map(|(k, v)| (Key::String(Arc::new(k.clone())), native(v))).collect();
            cel::Value::Map(cel::objects::Map { map: Arc::new(entries) })
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "\"object\"".into(),
        Value::Array(_) => "\"array\"".into(),
        other => other.to_string(),
    }
}

/// Whether a rule can be read.
///
/// # Errors
/// Why not.
pub fn compiles(rule: &str) -> Result<(), String> {
    Program::compile(rule).map(|_| ()).map_err(|e| e.to_string())
}

/// What the rules of a schema say of a value, and of its change from `old`.
pub fn check(
    value: &Value,
    old: Option<&Value>,
    schema: &Value,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let mut left = RULES;
    walk(value, old, schema, path, &mut left, errors);
}

fn walk(
    value: &Value,
    old: Option<&Value>,
    schema: &Value,
    path: &str,
    left: &mut usize,
    errors: &mut Vec<FieldError>,
) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        if *left == 0 {
            errors.push(FieldError::forbidden(path, "validation failed due to running out of cost budget, no further validation rules will be run"));
            return;
        }
        *left -= 1;
        one(value, old, rule, path, errors);
    }
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                let inner = match schema["properties"].get(key) {
                    Some(inner) => inner,
                    None if schema["additionalProperties"].is_object() => {
                        &schema["additionalProperties"]
                    }
                    None => continue,
                };
                let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(child, old.and_then(|o| o.get(key)), inner, &at, left, errors);
            }
        }
        Value::Array(items) => {
            let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            for (i, item) in items.iter().enumerate() {
                // Items have an old self only where they can be found again.
                let before = old
                    .and_then(Value::as_array)
                    .filter(|_| !keys.is_empty())
                    .and_then(|old| old.iter().find(|o| keys.iter().all(|k| o[*k] == item[*k])));
                walk(item, before, &schema["items"], &format!("{path}[{i}]"), left, errors);
            }
        }
        _ => {}
    }
}

fn one(value: &Value, old: Option<&Value>, rule: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let text = rule["rule"].as_str().unwrap_or("");
    let transition = text.contains("oldSelf");
    if transition && old.is_none() && rule["optionalOldSelf"] != true {
        return;
    }
    let evaluate = |text: &str| -> Result<cel::Value, String> {
        let program = Program::compile(text).map_err(|e| e.to_string())?;
        let mut context = Context::default();
        context.add_variable_from_value("self", native(value));
        if let Some(old) = old {
            context.add_variable_from_value("oldSelf", native(old));
        }
        program.execute(&context).map_err(|e| e.to_string())
    };
    let message = || {
        let computed = rule["messageExpression"].as_str().and_then(|m| match evaluate(m) {
            Ok(cel::Value::String(s)) if !s.trim().is_empty() => Some(s.to_string()),
            _ => None,
        });
        computed
            .or_else(|| rule["message"].as_str().map(str::to_string))
            .unwrap_or_else(|| format!("failed rule: {}", text.trim()))
    };
    let why = match evaluate(text) {
        Ok(cel::Value::Bool(true)) => return,
        Ok(cel::Value::Bool(false)) => message(),
        Ok(_) => format!("rule evaluation error: {text:?} is no condition"),
        Err(e) => format!("rule evaluation error: {e}"),
    };
    let at = match rule["fieldPath"].as_str() {
        Some(field) => format!("{path}{field}"),
        None if path.is_empty() => "<nil>".into(),
        None => path.to_string(),
    };
    let mut e = FieldError::invalid_raw(at, shown(value), why.clone());
    match rule["reason"].as_str() {
        Some("FieldValueForbidden") => {
            e.kind = FieldErrorKind::Forbidden;
            e.value = String::new();
        }
        Some("FieldValueRequired") => {
            e.kind = FieldErrorKind::Required;
            e.value = String::new();
        }
        Some("FieldValueDuplicate") => {
            e.kind = FieldErrorKind::Duplicate;
            e.detail = String::new();
        }
        _ => {}
    }
    errors.push(e);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(value: Value, old: Option<Value>, rules: Value) -> Vec<String> {
        let schema = json!({"type": "object", "x-kubernetes-validations": rules});
        let mut errors = Vec::new();
        check(&value, old.as_ref(), &schema, "spec", &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rules_and_transition_rules() {
        let rules = json!([
            {"rule": "self.min <= self.max", "message": "min must not exceed max"},
            {"rule": "!has(self.names) || self.names.all(n, n.startsWith('a'))"},
            {"rule": "self.max >= oldSelf.max", "messageExpression": "'was ' + string(oldSelf.max)"},
        ]);
        assert!(said(json!({"min": 1, "max": 2}), None, rules.clone()).is_empty());
        assert_eq!(
            said(json!({"min": 3, "max": 2, "names": ["ab", "b"]}), Some(json!({"max": 9})), rules),
            [
                "spec: Invalid value: \"object\": min must not exceed max",
                "spec: Invalid value: \"object\": failed rule: !has(self.names) || self.names.all(n, n.startsWith('a'))",
                "spec: Invalid value: \"object\": was 9",
            ]
        );
    }
}
