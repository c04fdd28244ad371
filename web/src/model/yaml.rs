//! An object as YAML, to be read and edited. Reading it back is the API server's task.

use serde_json::Value;

/// A value as YAML, in the block style that kubectl writes.
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, &mut out);
    out
}

/// What a person edits of an object: without what only the API server writes.
pub fn editable(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["managedFields", "creationTimestamp", "uid", "generation", "selfLink"] {
            metadata.remove(field);
        }
    }
    object
}

fn write(value: &Value, depth: usize, out: &mut String) {
    let pad = " ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            // What an object is comes first, as everywhere.
            let first = ["apiVersion", "kind", "metadata", "name"];
            let rank = |k: &str| first.iter().position(|f| *f == k).unwrap_or(first.len());
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort_by_key(|k| (rank(k), *k));
            for key in keys {
                let value = &fields[key];
                out.push_str(&format!("{pad}{}:", scalar(key)));
                below(value, depth, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut inner = String::new();
                write(item, depth + 2, &mut inner);
                // The dash stands where the first line's own indent begins.
                out.push_str(&format!("{pad}- {}", inner.trim_start_matches(' ')));
            }
        }
        other => out.push_str(&format!("{pad}{}\n", leaf(other))),
    }
}

fn below(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            write(value, depth + 2, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            write(value, depth, out);
        }
        other => out.push_str(&format!(" {}\n", leaf(other))),
    }
}

fn leaf(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Object(_) => "{}".into(),
        Value::Array(_) => "[]".into(),
        other => other.to_string(),
    }
}

/// A string, quoted where YAML would take it for something else.
fn scalar(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let plain = !text.is_empty()
        && text.chars().all(|c| word(c) || c == ' ' || c == ':')
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !text.ends_with([' ', ':'])
        && !text.contains(": ");
    let taken = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if plain && !taken.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    // A JSON string is a YAML string.
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_written_as_kubectl_does() {
        let pod = json!({
            "spec": {"containers": [{"name": "web", "args": ["--a=1", "x"], "ports": [{"containerPort": 80}]}], "volumes": [], "x": {}},
            "metadata": {"name": "web", "labels": {"app": "web", "on": "true", "n": "12"}},
            "kind": "Pod", "apiVersion": "v1",
        });
        assert_eq!(
            yaml(&pod),
            "\
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels:
    app: web
    \"n\": \"12\"
    \"on\": \"true\"
spec:
  containers:
  - name: web
    args:
    - \"--a=1\"
    - x
    ports:
    - containerPort: 80
  volumes: []
  x: {}
"
        );
        assert_eq!(scalar("a: b"), "\"a: b\"");
        assert_eq!(scalar("line\nline"), "\"line\\nline\"");
    }

    #[test]
    fn what_the_server_writes_is_left_out() {
        let object = json!({"kind": "Pod", "metadata": {"name": "a", "uid": "1", "resourceVersion": "7"}, "status": {}});
        assert_eq!(
            editable(&object),
            json!({"kind": "Pod", "metadata": {"name": "a", "resourceVersion": "7"}})
        );
    }
}
