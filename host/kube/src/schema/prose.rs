//! What Kubernetes says about its kinds and fields: the prose of `kubectl explain`.
//!
//! The text is that of Kubernetes 1.33's OpenAPI (Apache-2.0, The Kubernetes Authors), as the
//! crate `k8s-openapi` carries it, for the definitions and fields that 1.32 has. It is packed
//! when this crate is built, and unpacked when somebody first asks.

use std::sync::OnceLock;

use serde_json::Value;

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/prose.lz4"));

fn table() -> &'static Value {
    static TABLE: OnceLock<Value> = OnceLock::new();
    TABLE.get_or_init(|| {
        let text = lz4_flex::decompress_size_prepended(PACKED).expect("this crate packed it");
        serde_json::from_slice(&text).expect("the embedded prose is JSON")
    })
}

/// What is said of a definition ("io.k8s.api.apps.v1.DeploymentStrategy").
pub fn of(definition: &str) -> Option<&'static str> {
    field(definition, "")
}

/// What is said of a definition's field.
pub fn field(definition: &str, field: &str) -> Option<&'static str> {
    table().get(definition)?.get(field)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    #[test]
    fn nearly_everything_is_explained() {
        let (mut said, mut all) = (0, 0);
        for (name, definition) in schema::table().as_object().unwrap() {
            if name.ends_with("List") || name.contains(".JSONSchemaProps") {
                continue;
            }
            for key in definition["fields"].as_object().into_iter().flatten().map(|(k, _)| k) {
                all += 1;
                said += usize::from(field(name, key).is_some());
            }
        }
        assert!(all > 1800 && all - said < 20, "{said} of {all}");
    }

    #[test]
    fn only_what_there_is_is_explained() {
        for (name, fields) in table().as_object().unwrap() {
            let definition = &schema::table()[name];
            assert!(definition.is_object(), "{name}");
            for key in fields.as_object().unwrap().keys().filter(|k| !k.is_empty()) {
                assert!(definition["fields"][key].is_object(), "{name}.{key}");
            }
        }
    }
}
