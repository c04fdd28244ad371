//! What every object's `metadata` must look like (`apimachinery/pkg/api/validation/objectmeta.go`).

use serde_json::Value;

use crate::store::error::FieldError;
use crate::store::names;
use crate::store::object;
use crate::store::resource::Resource;

/// All annotations together, in bytes.
const ANNOTATIONS_LIMIT: usize = 256 << 10;

pub(in crate::store) fn validate(
    row: &Resource,
    new: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    let name = object::name(new);
    if old.is_none() {
        if name.is_empty() {
            errors.push(FieldError::required("metadata.name", "name or generateName is required"));
        } else if let Some(why) = (row.hooks.name_error)(name) {
            errors.push(FieldError::invalid("metadata.name", name, why));
        }
    }
    let meta = &new["metadata"];
    labels(&meta["labels"], "metadata.labels", errors);
    let mut total = 0;
    for (key, value) in meta["annotations"].as_object().into_iter().flatten() {
        // Annotations' keys may be upper case in their prefix.
        for why in names::qualified_errors(&key.to_lowercase()) {
            errors.push(FieldError::invalid("metadata.annotations", key, why));
        }
        total += key.len() + value.as_str().map_or(0, str::len);
    }
    if total > ANNOTATIONS_LIMIT {
        errors.push(FieldError::too_long("metadata.annotations", ANNOTATIONS_LIMIT));
    }
    for (i, owner) in meta["ownerReferences"].as_array().into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().unwrap_or("").is_empty() {
                let path = format!("metadata.ownerReferences[{i}].{field}");
                errors.push(FieldError::invalid(path, "", "must not be empty"));
            }
        }
    }
    for (i, finalizer) in meta["finalizers"].as_array().into_iter().flatten().enumerate() {
        let text = finalizer.as_str().unwrap_or("");
        for why in names::qualified_errors(text) {
            errors.push(FieldError::invalid(format!("metadata.finalizers[{i}]"), text, why));
        }
    }
}

/// Labels at `path`.
pub(in crate::store) fn labels(map: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (key, value) in map.as_object().into_iter().flatten() {
        for why in names::qualified_errors(key) {
            errors.push(FieldError::invalid(path, key, why));
        }
        let value = value.as_str().unwrap_or("");
        if let Some(why) = names::label_value_error(value) {
            errors.push(FieldError::invalid(path, value, why));
        }
    }
}
