//! The patch that brings an object to what a manifest says, and takes away what an earlier
//! manifest said (`apimachinery/pkg/util/strategicpatch`).

use serde_json::{Map, Value, json};

/// Keys by which the elements of lists are told apart.
const KEYS: &[(&str, &[&str])] = &[
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("env", &["name"]),
    ("volumes", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("ports", &["containerPort", "port"]),
    ("imagePullSecrets", &["name"]),
    ("hostAliases", &["ip"]),
    ("topologySpreadConstraints", &["topologyKey"]),
    ("resourceClaims", &["name"]),
    ("conditions", &["type"]),
    ("ownerReferences", &["uid"]),
    ("secrets", &["name"]),
];

fn key_of(field: &str, lists: &[&Value]) -> Option<&'static str> {
    let (_, keys) = KEYS.iter().find(|(name, _)| *name == field)?;
    let all = || lists.iter().flat_map(|l| l.as_array().into_iter().flatten());
    keys.iter().find(|key| all().all(|item| !item[**key].is_null())).copied()
}

/// What must be sent so that `current` becomes `modified`, where `original` is what was applied
/// before. With `strategic`, lists whose elements have keys are merged.
pub fn three_way(original: &Value, modified: &Value, current: &Value, strategic: bool) -> Value {
    let patch = between("", original, modified, current, strategic);
    Value::Object(patch.as_object().cloned().unwrap_or_default())
}

fn between(
    field: &str,
    original: &Value,
    modified: &Value,
    current: &Value,
    strategic: bool,
) -> Value {
    match (modified, current) {
        (Value::Object(new), Value::Object(now)) => {
            let mut patch = Map::new();
            for (key, value) in new {
                match now.get(key) {
                    None if value.is_null() => {}
                    None => {
                        patch.insert(key.clone(), value.clone());
                    }
                    Some(_) if value.is_null() => {
                        patch.insert(key.clone(), Value::Null);
                    }
                    Some(there) => {
                        let part = between(key, &original[key], value, there, strategic);
                        if !part.is_null() {
                            if strategic && let Some(by) = key_of(key, &[value, there]) {
                                let order = value.as_array().into_iter().flatten();
                                let order: Vec<Value> =
                                    order.map(|item| json!({ by: item[by] })).collect();
                                patch.insert(format!("$setElementOrder/{key}"), order.into());
                            }
                            patch.insert(key.clone(), part);
                        }
                    }
                }
            }
            for key in original.as_object().into_iter().flat_map(Map::keys) {
                if !new.contains_key(key) && now.contains_key(key) {
                    patch.insert(key.clone(), Value::Null);
                }
            }
            if patch.is_empty() { Value::Null } else { Value::Object(patch) }
        }
        (Value::Array(new), Value::Array(now)) => {
            let by = if strategic { key_of(field, &[modified, current, original]) } else { None };
            let Some(by) = by else {
                return if new == now { Value::Null } else { modified.clone() };
            };
            let find = |list: &Value, key: &Value| {
                list.as_array().into_iter().flatten().find(|i| i[by] == *key).cloned()
            };
            let mut parts = Vec::new();
            for item in new {
                let Some(there) = find(current, &item[by]) else {
                    parts.push(item.clone());
                    continue;
                };
                let before = find(original, &item[by]).unwrap_or_default();
                let mut part = between("", &before, item, &there, strategic);
                if !part.is_null() {
                    part[by] = item[by].clone();
                    parts.push(part);
                }
            }
            for item in original.as_array().into_iter().flatten() {
                if find(modified, &item[by]).is_none() && find(current, &item[by]).is_some() {
                    parts.push(json!({"$patch": "delete", by: item[by]}));
                }
            }
            let ours: Vec<&Value> =
                now.iter().map(|i| &i[by]).filter(|k| find(modified, k).is_some()).collect();
            let moved = parts.is_empty() && !new.iter().map(|i| &i[by]).eq(ours);
            if parts.is_empty() && !moved { Value::Null } else { parts.into() }
        }
        _ if same(modified, current) => Value::Null,
        _ => modified.clone(),
    }
}

/// Whether two scalars are the same: 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().is_some_and(|a| b.as_f64() == Some(a))
}

/// `object` with a merge patch applied, as far as a client can tell.
pub fn merged(object: &Value, patch: &Value) -> Value {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return patch.clone();
    };
    let mut out = object.clone();
    for (key, value) in patch {
        if key.starts_with('$') {
            continue;
        }
        let there = out.get(key).cloned().unwrap_or_default();
        match key_of(key, &[value, &there]) {
            _ if value.is_null() => {
                out.remove(key);
            }
            Some(by) if value.is_array() && there.is_array() => {
                let mut items = there.as_array().cloned().unwrap_or_default();
                for part in value.as_array().into_iter().flatten() {
                    let at = items.iter().position(|i| i[by] == part[by]);
                    match at {
                        Some(at) if part["$patch"] == "delete" => {
                            items.remove(at);
                        }
                        Some(at) => items[at] = merged(&items[at], part),
                        None => items.push(part.clone()),
                    }
                }
                out.insert(key.clone(), items.into());
            }
            _ => {
                out.insert(key.clone(), merged(&there, value));
            }
        }
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_sent() {
        let original = json!({"spec": {"replicas": 2, "old": 1, "containers": [{"name": "a"}, {"name": "gone"}]}});
        let modified =
            json!({"spec": {"replicas": 2, "containers": [{"name": "a", "image": "x"}]}});
        let current = json!({"spec": {"replicas": 2, "old": 1, "set": true,
            "containers": [{"name": "a", "pull": "Always"}, {"name": "gone"}, {"name": "injected"}]}});
        assert_eq!(
            three_way(&original, &modified, &current, true),
            json!({"spec": {"old": null, "$setElementOrder/containers": [{"name": "a"}],
                "containers": [{"name": "a", "image": "x"}, {"$patch": "delete", "name": "gone"}]}})
        );
        let patch = three_way(
            &modified,
            &modified,
            &json!({"spec": {"replicas": 2, "x": 1,
            "containers": [{"name": "a", "image": "x", "pull": "Always"}]}}),
            true,
        );
        assert_eq!(patch, json!({}));
    }

    #[test]
    fn other_lists_are_replaced() {
        let (a, b) = (json!({"args": ["x"]}), json!({"args": ["y"]}));
        assert_eq!(three_way(&a, &a, &b, true), a);
        assert_eq!(merged(&b, &a), a);
    }
}
