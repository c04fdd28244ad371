//! Reading objects: canonical JSON, shared and never changed in place.

use std::sync::Arc;

use serde_json::{Map, Value, json};

/// Namespace ("" for what has none) and name of an object.
pub type Key = (String, String);

/// A stored object: a JSON object with `apiVersion`, `kind` and `metadata`.
pub type Object = Arc<Value>;

/// The string at `metadata.<field>`, or "".
pub fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or("")
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    meta(object, "name")
}

/// `metadata.namespace`, "" for what has none.
pub fn namespace(object: &Value) -> &str {
    meta(object, "namespace")
}

/// Namespace and name.
pub fn key(object: &Value) -> Key {
    (namespace(object).to_owned(), name(object).to_owned())
}

/// `metadata.uid`.
pub fn uid(object: &Value) -> &str {
    meta(object, "uid")
}

/// `metadata.resourceVersion`, 0 if there is none.
pub fn version(object: &Value) -> u64 {
    meta(object, "resourceVersion").parse().unwrap_or(0)
}

/// Whether deletion has begun.
pub fn deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// `metadata.finalizers`.
pub fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|f| !f.is_empty())
}

/// The elements of a list, none where there is none.
pub fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// The condition of this type in `status.conditions`.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(&object["status"], "conditions").iter().find(|c| c["type"] == kind)
}

/// Whether a condition is there and "True".
pub fn holds(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| c["status"] == "True")
}

/// The reference to the object's controller (`metav1.GetControllerOf`).
pub fn controller(object: &Value) -> Option<&Value> {
    list(&object["metadata"], "ownerReferences").iter().find(|o| o["controller"] == true)
}

/// The reference by which `owner` controls what it creates (`metav1.NewControllerRef`).
pub fn controller_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name(owner),
        "uid": uid(owner), "controller": true, "blockOwnerDeletion": true,
    })
}

/// The object at `value`, made if it is missing or null. What is there and is no object (a
/// client's mistake that decoding reports) is replaced.
pub fn map_mut(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("made an object above")
}

/// `metadata` for writing.
pub fn meta_mut(object: &mut Value) -> &mut Map<String, Value> {
    map_mut(map_mut(object).entry("metadata").or_insert(Value::Null))
}

/// The value at a path of field names, `Null` where there is nothing.
pub fn at<'a>(object: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(object, |value, field| &value[field])
}

/// A Kubernetes `Time`: RFC 3339 in UTC, whole seconds, from ns since 1970.
pub fn time(unix_nanos: u64) -> String {
    instant(unix_nanos).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A Kubernetes `MicroTime`: RFC 3339 in UTC with six digits, from ns since 1970.
pub fn micro_time(unix_nanos: u64) -> String {
    instant(unix_nanos).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// A Kubernetes `Time` or `MicroTime` as ns since 1970.
pub fn parse_time(text: &str) -> Option<u64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(at.as_nanosecond()).ok()
}

fn instant(unix_nanos: u64) -> jiff::Timestamp {
    // u64 ns end in 2554, within jiff's range.
    jiff::Timestamp::from_nanosecond(i128::from(unix_nanos)).expect("in jiff's range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_kubernetes_does_and_read_back() {
        let ns = 1_795_237_178_123_456_789;
        assert_eq!(time(ns), "2026-11-21T04:59:38Z");
        assert_eq!(micro_time(ns), "2026-11-21T04:59:38.123456Z");
        assert_eq!(parse_time(&time(ns)), Some(1_795_237_178_000_000_000));
        assert_eq!(parse_time("soon"), None);
    }
}
