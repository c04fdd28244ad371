//! Strategic merge patches (`apimachinery/pkg/util/strategicpatch`): lists merge by key, and
//! directives (`$patch`, `$retainKeys`, `$setElementOrder/x`, `$deleteFromPrimitiveList/x`).

use serde_json::{Map, Value};

use super::resolve;

/// Applies `patch` to `target`, an object of `definition` (`None` where the schema ends: maps
/// merge, lists are replaced).
///
/// # Errors
/// What is wrong with the patch.
pub fn strategic(
    target: &mut Value,
    patch: &Value,
    definition: Option<&'static Value>,
) -> Result<(), String> {
    let Some(patch) = patch.as_object() else {
        return Err("unable to unmarshal patch: not an object".into());
    };
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            *target = Value::Object(without_directives(patch));
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(format!("Unknown patch type found: {other}")),
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let map = target.as_object_mut().expect("made an object above");
    if let Some(keep) = patch.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|key, _| keep.iter().any(|k| k == key.as_str()));
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().map_or(&[][..], Vec::as_slice);
            if let Some(items) = map.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !gone.contains(item));
            }
        }
    }
    for (key, value) in patch {
        if key.starts_with('$') {
            continue;
        }
        let field = definition.and_then(|d| d["fields"].get(key));
        match value {
            Value::Null => {
                map.remove(key);
            }
            Value::Object(inner) => {
                if inner.get("$patch").is_some_and(|p| p == "delete") {
                    map.remove(key);
                    continue;
                }
                let child = map.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
                strategic(child, value, field.and_then(resolve))?;
            }
            Value::Array(items) => {
                let merges = field.is_some_and(|f| {
                    f["patch-strategy"].as_str().is_some_and(|s| s.split(',').any(|s| s == "merge"))
                });
                if merges {
                    let order = patch.get(&format!("$setElementOrder/{key}"));
                    let old = map.remove(key);
                    let field = field.expect("merges only with a field");
                    map.insert(key.clone(), merge_list(old, items, order, field)?);
                } else {
                    map.insert(key.clone(), value.clone());
                }
            }
            scalar => {
                map.insert(key.clone(), scalar.clone());
            }
        }
    }
    // An order alone, without items, orders what is there.
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$setElementOrder/")
            && !patch.contains_key(list)
            && let Some(field) = definition.and_then(|d| d["fields"].get(list))
            && let Some(old) = map.remove(list)
        {
            map.insert(list.into(), merge_list(Some(old), &[], Some(value), field)?);
        }
    }
    Ok(())
}

fn without_directives(map: &Map<String, Value>) -> Map<String, Value> {
    map.iter().filter(|(k, _)| !k.starts_with('$')).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn merge_list(
    old: Option<Value>,
    patch: &[Value],
    order: Option<&Value>,
    field: &'static Value,
) -> Result<Value, String> {
    let server = match old {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    let key = field["patch-merge-key"].as_str();
    let id = |item: &Value| -> Value {
        match key {
            Some(key) => item[key].clone(),
            None => item.clone(),
        }
    };
    let mut merged = server.clone();
    let replace = patch.iter().any(|p| p["$patch"] == "replace");
    if replace {
        merged.clear();
    }
    for item in patch {
        match item["$patch"].as_str() {
            Some("replace") => continue,
            Some("delete") => {
                let gone = id(item);
                if gone.is_null() {
                    return Err(format!(
                        "map: {item} does not contain declared merge key: {}",
                        key.unwrap_or("")
                    ));
                }
                merged.retain(|m| id(m) != gone);
                continue;
            }
            _ => {}
        }
        let wanted = id(item);
        if let Some(key) = key
            && wanted.is_null()
        {
            return Err(format!("map: {item} does not contain declared merge key: {key}"));
        }
        match merged.iter_mut().find(|m| id(m) == wanted) {
            Some(found) if key.is_some() => strategic(found, item, resolve(&field["items"]))?,
            Some(_) => {}
            None if key.is_some() => {
                let mut fresh = Value::Object(Map::new());
                strategic(&mut fresh, item, resolve(&field["items"]))?;
                merged.push(fresh);
            }
            None => merged.push(item.clone()),
        }
    }
    // What the patch names comes in the patch's order, the rest in the server's; where the two
    // cannot be compared, the patch's goes first (mergeSortedSlice in patch.go).
    let patch_order: Vec<Value> = match order.and_then(Value::as_array) {
        Some(order) => order.iter().map(id).collect(),
        None => patch.iter().filter(|p| p["$patch"].is_null()).map(id).collect(),
    };
    let server_order: Vec<Value> = server.iter().map(id).collect();
    let position = |order: &[Value], item: &Value| order.iter().position(|o| *o == id(item));
    let (mut named, rest): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|m| patch_order.contains(&id(m)));
    named.sort_by_key(|m| position(&patch_order, m));
    let (mut named, mut rest) = (named.into_iter().peekable(), rest.into_iter().peekable());
    let mut out = Vec::new();
    loop {
        match (rest.peek(), named.peek()) {
            (None, None) => break,
            (None, Some(_)) => out.extend(named.next()),
            (Some(_), None) => out.extend(rest.next()),
            (Some(l), Some(r)) => match (position(&server_order, l), position(&server_order, r)) {
                (Some(l), Some(r)) if l < r => out.extend(rest.next()),
                _ => out.extend(named.next()),
            },
        }
    }
    Ok(Value::Array(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(target: Value, patch: Value, want: Value) {
        let mut target = target;
        strategic(&mut target, &patch, super::super::kind("", "v1", "Pod")).unwrap();
        assert_eq!(target, want);
    }

    #[test]
    fn lists_merge_by_key_and_new_items_come_first() {
        check(
            json!({"spec": {"containers": [{"name": "a", "image": "x"}], "nodeName": "n"}}),
            json!({"spec": {"containers": [{"name": "b"}, {"name": "a", "image": "y"}], "nodeName": null}}),
            json!({"spec": {"containers": [{"name": "b"}, {"name": "a", "image": "y"}]}}),
        );
        check(
            json!({"spec": {"containers": [{"name": "a"}]}}),
            json!({"spec": {"containers": [{"name": "b"}]}}),
            json!({"spec": {"containers": [{"name": "b"}, {"name": "a"}]}}),
        );
        check(
            json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
            json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a", "$patch": "delete"}]}}),
            json!({"spec": {"containers": [{"name": "b"}]}}),
        );
    }

    #[test]
    fn directives() {
        check(
            json!({"metadata": {"finalizers": ["a", "b"], "labels": {"x": "1", "y": "2"}}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"], "labels": {"$patch": "replace", "z": "3"}}}),
            json!({"metadata": {"finalizers": ["c", "b"], "labels": {"z": "3"}}}),
        );
        check(
            json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}),
            json!({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}]}}),
            json!({"spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}}),
        );
    }
}
