//! ConfigMaps and Secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::store::error::FieldError;
use crate::store::names;
use crate::store::object::map_mut;
use crate::store::resource::Hooks;

/// All values together, in bytes.
const LIMIT: usize = 1 << 20;

/// The rules of ConfigMaps.
pub const CONFIG_MAP: Hooks = Hooks {
    validate: validate_config_map,
    validate_update: |new, old, errors| {
        validate_config_map(new, errors);
        immutable(new, old, &["data", "binaryData"], errors);
    },
    ..super::PLAIN
};

/// The rules of Secrets.
pub const SECRET: Hooks = Hooks {
    default: default_secret,
    validate: validate_secret,
    validate_update: |new, old, errors| {
        validate_secret(new, errors);
        if new["type"] != old["type"] {
            errors.push(FieldError::invalid(
                "type",
                new["type"].as_str().unwrap_or(""),
                "field is immutable",
            ));
        }
        immutable(new, old, &["data"], errors);
    },
    ..super::PLAIN
};

fn default_secret(object: &mut Value) {
    let map = map_mut(object);
    map.entry("type").or_insert("Opaque".into());
    if let Some(Value::Object(plain)) = map.remove("stringData") {
        let data = map_mut(map.entry("data").or_insert(Value::Null));
        for (key, value) in plain {
            data.insert(key, STANDARD.encode(value.as_str().unwrap_or("")).into());
        }
    }
}

fn immutable(new: &Value, old: &Value, fields: &[&str], errors: &mut Vec<FieldError>) {
    if old["immutable"] != true {
        return;
    }
    let why = "field is immutable when `immutable` is set";
    for field in ["immutable"].iter().chain(fields) {
        if new[*field] != old[*field] {
            errors.push(FieldError::forbidden(*field, why));
        }
    }
}

fn keys(object: &Value, field: &str, encoded: bool, errors: &mut Vec<FieldError>) -> usize {
    let mut total = 0;
    for (key, value) in object[field].as_object().into_iter().flatten() {
        if let Some(why) = names::config_key_error(key) {
            errors.push(FieldError::invalid(format!("{field}[{key}]"), key, why));
        }
        let len = value.as_str().map_or(0, str::len);
        total += if encoded { len / 4 * 3 } else { len };
    }
    total
}

fn validate_config_map(object: &Value, errors: &mut Vec<FieldError>) {
    for key in object["data"].as_object().into_iter().flatten().map(|(k, _)| k) {
        if object["binaryData"].get(key).is_some() {
            let why = "duplicate of key present in binaryData";
            errors.push(FieldError::invalid(format!("data[{key}]"), key, why));
        }
    }
    let total = keys(object, "data", false, errors) + keys(object, "binaryData", true, errors);
    if total > LIMIT {
        errors.push(FieldError::too_long("", LIMIT));
    }
}

fn validate_secret(object: &Value, errors: &mut Vec<FieldError>) {
    if keys(object, "data", true, errors) > LIMIT {
        errors.push(FieldError::too_long("data", LIMIT));
    }
}
