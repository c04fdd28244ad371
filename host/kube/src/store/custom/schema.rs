//! Structural schemas: what is pruned, filled in and refused
//! (`apiextensions-apiserver/pkg/apiserver/{schema,validation}`).

use regex::Regex;
use serde_json::{Map, Value};

use crate::store::error::FieldError;

/// Removes what the schema does not know; adds the paths of it to `gone`.
pub fn prune(value: &mut Value, schema: &Value, path: &str, root: bool, gone: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let keep = schema["x-kubernetes-preserve-unknown-fields"] == true;
            let embedded = root || schema["x-kubernetes-embedded-resource"] == true;
            let properties = &schema["properties"];
            let further = &schema["additionalProperties"];
            map.retain(|key, child| {
                let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if embedded && matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
                    return true;
                }
                if let Some(inner) = properties.get(key) {
                    prune(child, inner, &at, false, gone);
                    true
                } else if further.is_object() {
                    prune(child, further, &at, false, gone);
                    true
                } else if keep || *further == true {
                    true
                } else {
                    if gone.len() < 100 {
                        gone.push(at);
                    }
                    false
                }
            });
        }
        Value::Array(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                prune(item, &schema["items"], &format!("{path}[{i}]"), false, gone);
            }
        }
        _ => {}
    }
}

/// Fills in defaults where the object around them is there; drops nulls that may not be.
pub fn fill(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
                let null = map.get(key).is_some_and(Value::is_null) && inner["nullable"] != true;
                if null {
                    map.remove(key);
                }
                if !map.contains_key(key) && inner.get("default").is_some() {
                    map.insert(key.clone(), inner["default"].clone());
                }
                if let Some(child) = map.get_mut(key) {
                    fill(child, inner);
                }
            }
            if schema["additionalProperties"].is_object() {
                for (key, child) in map.iter_mut() {
                    if schema["properties"].get(key).is_none() {
                        fill(child, &schema["additionalProperties"]);
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                fill(item, &schema["items"]);
            }
        }
        _ => {}
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A value as field errors show it.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "\"object\"".into(),
        Value::Array(_) => "\"array\"".into(),
        other => other.to_string(),
    }
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_string() } else { format!("{path}.{field}") }
}

/// What is wrong with a value.
pub fn check(value: &Value, schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let body = if path.is_empty() { "<nil>".to_string() } else { path.to_string() };
    let invalid = |errors: &mut Vec<FieldError>, why: String| {
        errors.push(FieldError::invalid_raw(&body, shown(value), format!("{body} in body {why}")));
    };
    if schema["x-kubernetes-int-or-string"] == true {
        if !matches!(kind(value), "integer" | "string") {
            let why = format!("must be of type integer,string: {:?}", kind(value));
            invalid(errors, why);
        }
    } else if let Some(wanted) = schema["type"].as_str() {
        let is = kind(value);
        let whole = value.as_f64().is_some_and(|f| f.fract() == 0.0);
        let fits = is == wanted
            || (wanted == "number" && is == "integer")
            || (wanted == "integer" && is == "number" && whole);
        if !fits {
            errors.push(FieldError::invalid(
                &body,
                is,
                format!("{body} in body must be of type {wanted}: {is:?}"),
            ));
            return;
        }
    }
    if let Some(all) = schema["enum"].as_array()
        && !all.contains(value)
    {
        let list: Vec<String> = all.iter().map(Value::to_string).collect();
        let mut e = FieldError::not_supported(&body, "", &[]);
        e.value = shown(value);
        e.detail = format!("supported values: {}", list.join(", "));
        errors.push(e);
    }
    match value {
        Value::String(text) => strings(text, schema, &body, errors),
        Value::Number(n) => {
            let v = n.as_f64().unwrap_or(0.0);
            let bound = |field: &str| schema[field].as_f64();
            if let Some(least) = bound("minimum") {
                let exclusive = schema["exclusiveMinimum"] == true;
                if v < least || (exclusive && v <= least) {
                    let than = if exclusive { "" } else { "or equal to " };
                    invalid(errors, format!("should be greater than {than}{}", schema["minimum"]));
                }
            }
            if let Some(most) = bound("maximum") {
                let exclusive = schema["exclusiveMaximum"] == true;
                if v > most || (exclusive && v >= most) {
                    let than = if exclusive { "" } else { "or equal to " };
                    invalid(errors, format!("should be less than {than}{}", schema["maximum"]));
                }
            }
            if let Some(of) = bound("multipleOf").filter(|of| *of != 0.0)
                && (v / of).fract() != 0.0
            {
                invalid(errors, format!("should be a multiple of {}", schema["multipleOf"]));
            }
        }
        Value::Array(items) => {
            if let Some(most) = schema["maxItems"].as_u64()
                && items.len() as u64 > most
            {
                let mut e = FieldError::too_long(&body, 0);
                e.kind = crate::store::error::FieldErrorKind::TooMany;
                e.value = items.len().to_string();
                e.detail = format!("must have at most {most} items");
                errors.push(e);
            }
            if let Some(least) = schema["minItems"].as_u64()
                && (items.len() as u64) < least
            {
                let why = format!("{body} in body should have at least {least} items");
                errors.push(FieldError::invalid_raw(&body, items.len(), why));
            }
            let keys = schema["x-kubernetes-list-map-keys"].as_array();
            let set = schema["x-kubernetes-list-type"] == "set" || schema["uniqueItems"] == true;
            let mut seen: Vec<Value> = Vec::new();
            for (i, item) in items.iter().enumerate() {
                let at = format!("{path}[{i}]");
                check(item, &schema["items"], &at, errors);
                let id = match keys {
                    Some(keys) if schema["x-kubernetes-list-type"] == "map" => {
                        let names = keys.iter().filter_map(Value::as_str);
                        Value::Object(names.map(|k| (k.to_string(), item[k].clone())).collect())
                    }
                    _ if set => item.clone(),
                    _ => continue,
                };
                if seen.contains(&id) {
                    let mut e = FieldError::duplicate(&at, "");
                    e.value = id.to_string();
                    errors.push(e);
                }
                seen.push(id);
            }
        }
        Value::Object(map) => objects(map, schema, path, errors),
        _ => {}
    }
    combined(value, schema, path, &body, errors);
}

fn strings(text: &str, schema: &Value, body: &str, errors: &mut Vec<FieldError>) {
    let length = text.chars().count() as u64;
    if let Some(most) = schema["maxLength"].as_u64()
        && length > most
    {
        let mut e = FieldError::too_long(body, 0);
        e.detail = format!("may not be more than {most} bytes");
        errors.push(e);
    }
    if let Some(least) = schema["minLength"].as_u64()
        && length < least
    {
        let why = format!("{body} in body should be at least {least} chars long");
        errors.push(FieldError::invalid(body, text, why));
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        // A pattern that is none was refused with its definition.
        let matches = Regex::new(pattern).is_ok_and(|p| p.is_match(text));
        if !matches {
            let why = format!("{body} in body should match '{pattern}'");
            errors.push(FieldError::invalid(body, text, why));
        }
    }
    let right = match schema["format"].as_str() {
        Some("date-time") => crate::store::object::parse_time(text).is_some(),
        Some("ipv4") => text.parse::<std::net::Ipv4Addr>().is_ok(),
        Some("ipv6") => text.parse::<std::net::Ipv6Addr>().is_ok(),
        Some("byte") => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(text).is_ok()
        }
        _ => true,
    };
    if !right {
        let format = schema["format"].as_str().unwrap_or("");
        let why = format!("{body} in body must be of type {format}: {text:?}");
        errors.push(FieldError::invalid(body, text, why));
    }
}

fn objects(map: &Map<String, Value>, schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !map.contains_key(name) {
            errors.push(FieldError::required(join(path, name), ""));
        }
    }
    let body = if path.is_empty() { "<nil>" } else { path };
    let size = map.len() as u64;
    if schema["maxProperties"].as_u64().is_some_and(|most| size > most) {
        let why =
            format!("{body} in body should have at most {} properties", schema["maxProperties"]);
        errors.push(FieldError::invalid_raw(body, size, why));
    }
    if schema["minProperties"].as_u64().is_some_and(|least| size < least) {
        let why =
            format!("{body} in body should have at least {} properties", schema["minProperties"]);
        errors.push(FieldError::invalid_raw(body, size, why));
    }
    for (key, child) in map {
        if let Some(inner) = schema["properties"].get(key) {
            check(child, inner, &join(path, key), errors);
        } else if schema["additionalProperties"].is_object() {
            check(child, &schema["additionalProperties"], &join(path, key), errors);
        }
    }
}

fn combined(value: &Value, schema: &Value, path: &str, body: &str, errors: &mut Vec<FieldError>) {
    let fits = |inner: &Value| {
        let mut found = Vec::new();
        check(value, inner, path, &mut found);
        found.is_empty()
    };
    for inner in schema["allOf"].as_array().into_iter().flatten() {
        check(value, inner, path, errors);
    }
    let mut refuse = |why: &str| {
        errors.push(FieldError::invalid_raw(body, shown(value), format!("{body} in body {why}")));
    };
    if let Some(any) = schema["anyOf"].as_array()
        && !any.iter().any(fits)
    {
        refuse("must validate at least one schema (anyOf)");
    }
    if let Some(one) = schema["oneOf"].as_array() {
        let n = one.iter().filter(|s| fits(s)).count();
        if n != 1 {
            refuse(&format!(
                "must validate one and only one schema (oneOf). Found {}",
                match n {
                    0 => "none valid".to_string(),
                    n => format!("{n} valid alternatives"),
                }
            ));
        }
    }
    if schema["not"].is_object() && fits(&schema["not"]) {
        refuse("must not validate the schema (not)");
    }
}
