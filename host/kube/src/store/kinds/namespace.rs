//! Namespaces.

use serde_json::{Value, json};

use crate::store::names;
use crate::store::object::{self, map_mut, meta_mut};
use crate::store::resource::Hooks;

/// The rules of namespaces.
pub const HOOKS: Hooks = Hooks {
    default,
    prepare_create: |_, object| {
        let map = map_mut(object);
        map.insert("spec".into(), json!({"finalizers": ["kubernetes"]}));
        map.insert("status".into(), json!({"phase": "Active"}));
        label(object);
        Ok(())
    },
    prepare_update: |_, new, old| {
        // The finalizers are written through /finalize only.
        map_mut(new).insert("spec".into(), old["spec"].clone());
        Ok(())
    },
    name_error: names::label_error,
    ..super::PLAIN
};

fn default(object: &mut Value) {
    if !object::name(object).is_empty() {
        label(object);
    }
}

fn label(object: &mut Value) {
    let name = object::name(object).to_string();
    map_mut(meta_mut(object).entry("labels").or_insert(Value::Null))
        .insert("kubernetes.io/metadata.name".into(), name.into());
}
