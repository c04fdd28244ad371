//! All kinds that have no description of their own: every field by its name.

use serde_json::{Map, Value};

use super::labels::{annotations, labels};
use super::writer::Writer;
use crate::print::jsonpath::shown;

const SKIPPED: &[&str] = &[
    ".metadata.managedFields",
    ".metadata.name",
    ".metadata.namespace",
    ".metadata.labels",
    ".metadata.annotations",
];

/// Describes any object.
pub fn describe(w: &mut Writer, o: &Value) {
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    w.write(0, format!("Name:\t{}", text(&o["metadata"]["name"])));
    w.write(0, format!("Namespace:\t{}", text(&o["metadata"]["namespace"])));
    labels(w, "Labels", &o["metadata"]["labels"]);
    annotations(w, "Annotations", &o["metadata"]["annotations"]);
    if let Some(fields) = o.as_object() {
        content(w, 0, fields, "");
    }
}

fn content(w: &mut Writer, level: usize, fields: &Map<String, Value>, path: &str) {
    for (field, value) in fields {
        let path = format!("{path}.{field}");
        if SKIPPED.contains(&path.as_str()) {
            continue;
        }
        match value {
            Value::Object(inner) => {
                w.write(level, format!("{}:", label(field)));
                content(w, level + 1, inner, &path);
            }
            Value::Array(items) => {
                w.write(level, format!("{}:", label(field)));
                for item in items {
                    match item {
                        Value::Object(inner) => content(w, level + 1, inner, &path),
                        other => w.write(level + 1, shown(other)),
                    }
                }
            }
            Value::Null => w.write(level, format!("{}:\t<nil>", label(field))),
            other => w.write(level, format!("{}:\t{}", label(field), shown(other))),
        }
    }
}

/// "creationTimestamp" as "Creation Timestamp".
fn label(field: &str) -> String {
    if field.chars().any(|c| !c.is_alphabetic() && c != '-') {
        return field.to_owned();
    }
    let chars: Vec<char> = field.chars().collect();
    let mut parts: Vec<String> = Vec::new();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| chars[i]);
        let after = chars.get(i + 1);
        let starts = match before {
            None => true,
            Some(b) if c.is_uppercase() => {
                b.is_lowercase() || after.is_some_and(|a| a.is_lowercase()) || b == '-'
            }
            Some(b) => *c == '-' || b == '-',
        };
        if starts {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(*c);
        }
    }
    let title = |part: &String| {
        let upper = part.to_uppercase();
        if ["API", "URL", "UID", "OSB", "GUID"].contains(&upper.as_str()) {
            return upper;
        }
        let mut chars = part.chars();
        chars
            .next()
            .map_or_else(String::new, |c| c.to_uppercase().collect::<String>() + chars.as_str())
    };
    parts.iter().map(title).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn labels_are_words() {
        for (field, wanted) in [
            ("creationTimestamp", "Creation Timestamp"),
            ("uid", "UID"),
            ("apiVersion", "API Version"),
            ("holderIdentity", "Holder Identity"),
            ("a.b", "a.b"),
        ] {
            assert_eq!(label(field), wanted);
        }
    }
}
