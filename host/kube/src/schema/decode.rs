//! From any JSON to canonical objects: unknown fields are found and dropped, wrong types refused.

use serde_json::Value;

use super::{resolve, struct_name};
use crate::store::{object, quantity};

/// How many unknown fields are named (as Kubernetes' decoder does).
const NAMED: usize = 100;

/// Brings `value` into the shape of `definition`: removes unknown fields, nulls, and empty lists
/// and maps, and returns the paths of the unknown fields.
///
/// # Errors
/// What Go's decoder says of a value of a wrong type.
pub fn decode(
    value: &mut Value,
    definition: &'static Value,
    name: &str,
) -> Result<Vec<String>, String> {
    let mut walk = Walk { unknown: Vec::new() };
    if !value.is_object() {
        return Err(format!(
            "json: cannot unmarshal {} into Go value of type v1.{name}",
            json_type(value)
        ));
    }
    walk.definition(value, definition, name, "", "")?;
    Ok(walk.unknown)
}

struct Walk {
    unknown: Vec<String>,
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_string() } else { format!("{path}.{field}") }
}

impl Walk {
    /// `path` has indexes and is for people; `plain` has none, as in Go's errors.
    fn definition(
        &mut self,
        value: &mut Value,
        definition: &'static Value,
        name: &str,
        path: &str,
        plain: &str,
    ) -> Result<(), String> {
        let Some(fields) = definition["fields"].as_object() else { return Ok(()) };
        let Some(map) = value.as_object_mut() else { return Ok(()) };
        let keys: Vec<String> = map.keys().cloned().collect();
        for key in keys {
            let Some(field) = fields.get(&key) else {
                if self.unknown.len() < NAMED {
                    self.unknown.push(join(path, &key));
                }
                map.remove(&key);
                continue;
            };
            let child = map.get_mut(&key).expect("listed above");
            if child.is_null() {
                map.remove(&key);
                continue;
            }
            self.field(child, field, name, &join(path, &key), &join(plain, &key))?;
            let empty = match child {
                Value::Array(items) => items.is_empty(),
                Value::Object(m) => m.is_empty() && field.get("map").is_some(),
                _ => false,
            };
            if empty {
                map.remove(&key);
            }
        }
        // Times of conditions and states are no pointers in Go: there is always one, or null.
        if name.ends_with("Condition") || name.starts_with("ContainerState") {
            for (key, _) in fields.iter().filter(|(_, f)| struct_name(f) == "Time") {
                map.entry(key.clone()).or_insert(Value::Null);
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        value: &mut Value,
        field: &'static Value,
        owner: &str,
        path: &str,
        plain: &str,
    ) -> Result<(), String> {
        let wrong = |value: &Value, go: &str| {
            Err(format!(
                "json: cannot unmarshal {} into Go struct field {owner}.{plain} of type {go}",
                json_type(value)
            ))
        };
        if let Some(target) = resolve(field) {
            let name = struct_name(field);
            if target.get("fields").is_some() {
                return match value {
                    Value::Object(_) => self.definition(value, target, name, path, plain),
                    Value::Null => Ok(()),
                    other => wrong(other, &format!("v1.{name}")),
                };
            }
            return match (name, &*value) {
                (_, Value::Null) => Ok(()),
                ("Quantity", v) => match quantity::of(v) {
                    Some(_) => Ok(()),
                    None => Err("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".into()),
                },
                ("IntOrString", Value::String(_) | Value::Number(_)) => Ok(()),
                ("IntOrString", v) => wrong(v, "intstr.IntOrString"),
                ("Time" | "MicroTime", Value::String(s)) => match object::parse_time(s) {
                    Some(_) => Ok(()),
                    None => Err(format!(
                        "parsing time {s:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {s:?} as \"2006\""
                    )),
                },
                ("Time" | "MicroTime", v) => wrong(v, "string"),
                _ => Ok(()),
            };
        }
        match (field["type"].as_str().unwrap_or(""), &mut *value) {
            (_, Value::Null) => Ok(()),
            ("string", Value::String(_))
            | ("boolean", Value::Bool(_))
            | ("number", Value::Number(_)) => Ok(()),
            ("integer", Value::Number(n)) => {
                let int32 = field["format"] == "int32";
                let fits = n.as_i64().is_some_and(|i| !int32 || i32::try_from(i).is_ok());
                let go = if int32 { "int32" } else { "int64" };
                if fits {
                    Ok(())
                } else {
                    Err(format!(
                        "json: cannot unmarshal number {n} into Go struct field {owner}.{plain} of type {go}"
                    ))
                }
            }
            ("array", Value::Array(list)) => {
                for (i, item) in list.iter_mut().enumerate() {
                    let at = format!("{path}[{i}]");
                    self.field(item, &field["items"], owner, &at, plain)?;
                }
                Ok(())
            }
            ("object", Value::Object(map)) => {
                if let Some(of) = field.get("map") {
                    for (key, item) in map.iter_mut() {
                        if item.is_null() && of["type"] == "string" {
                            *item = "".into();
                        }
                        self.field(item, of, owner, &join(path, key), plain)?;
                    }
                }
                Ok(())
            }
            ("string", v) => wrong(v, "string"),
            ("boolean", v) => wrong(v, "bool"),
            ("number", v) => wrong(v, "float64"),
            ("integer", v) => wrong(v, if field["format"] == "int32" { "int32" } else { "int64" }),
            ("array", v) => {
                let items = &field["items"];
                let of = match struct_name(items) {
                    "" => "string".to_string(),
                    name => format!("v1.{name}"),
                };
                wrong(v, &format!("[]{of}"))
            }
            ("object", v) => wrong(v, "map[string]string"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: Value) -> Result<Vec<String>, String> {
        let mut value = value;
        decode(&mut value, super::super::kind("apps", "v1", "Deployment").unwrap(), "Deployment")
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_worded_as_on_a_real_server() {
        assert_eq!(
            check(
                json!({"spec": {"replica": 1, "template": {"spec": {"containers": [{"imagePullPolcy": "x"}]}}}})
            ),
            Ok(vec![
                "spec.replica".into(),
                "spec.template.spec.containers[0].imagePullPolcy".into()
            ])
        );
        assert_eq!(
            check(json!({"spec": {"replicas": "two"}})).unwrap_err(),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        );
    }
}
