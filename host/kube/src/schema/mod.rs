//! What fields every kind has: Kubernetes 1.32's OpenAPI without its prose, as one table.
//!
//! It drives strict decoding ([`decode`]), strategic merge ([`merge`]), the ownership of fields
//! ([`fields`]) and, with a table of field numbers, protobuf; [`prose`] has what the fields mean.

pub mod decode;
pub mod fields;
pub mod merge;
pub mod parse;
pub mod prose;

use std::sync::OnceLock;

use serde_json::Value;

static TEXT: &str = include_str!("schema-1.32.json");

/// The whole table: definition by name.
pub fn table() -> &'static Value {
    static TABLE: OnceLock<Value> = OnceLock::new();
    TABLE.get_or_init(|| serde_json::from_str(TEXT).expect("the embedded schema is JSON"))
}

/// The numbers of the fields in protobuf, by definition and field (`generated.proto` of
/// `k8s.io/api` and `k8s.io/apimachinery`); "+2" is the message of an embedded struct.
pub(crate) fn numbers() -> &'static Value {
    static TABLE: OnceLock<Value> = OnceLock::new();
    TABLE.get_or_init(|| {
        serde_json::from_str(include_str!("protobuf-1.32.json")).expect("embedded JSON")
    })
}

/// The definition of a kind, by group, version and kind.
pub fn kind(group: &str, version: &str, kind: &str) -> Option<&'static Value> {
    let gvk = format!("{group}/{version}/{kind}");
    table()
        .as_object()?
        .values()
        .find(|d| d["gvk"].as_array().is_some_and(|all| all.iter().any(|g| *g == gvk.as_str())))
}

/// The definition that a field (or an item, or a map's value) refers to.
pub fn resolve(field: &'static Value) -> Option<&'static Value> {
    table().get(field["ref"].as_str()?)
}

/// The last part of a reference: the Go struct's name.
pub(crate) fn struct_name(field: &Value) -> &str {
    field["ref"].as_str().and_then(|r| r.rsplit('.').next()).unwrap_or("")
}
