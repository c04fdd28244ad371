//! `-o custom-columns=HEADER:path,...`.

use serde_json::Value;

use super::jsonpath::{Template, shown};
use super::tabs;
use crate::failure::{Failure, Result};

/// A path as it may be written without braces and dot.
///
/// # Errors
/// If it is none.
pub fn relaxed(path: &str) -> Result<Template> {
    let inner = match path.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}').unwrap_or(inner),
        None => path,
    };
    let inner = if inner.starts_with('.') { inner.to_owned() } else { format!(".{inner}") };
    let wrong = "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'";
    if path.is_empty() || inner.contains(['{', '}']) {
        return Err(Failure::new(wrong));
    }
    Template::parse(&format!("{{{inner}}}")).map_err(Failure::new)
}

/// The table of `objects` that `spec` asks for.
///
/// # Errors
/// If `spec` cannot be read.
pub fn columns(spec: &str, objects: &[Value], headers: bool) -> Result<String> {
    if spec.is_empty() {
        return Err(Failure::new("custom-columns format specified but no custom columns given"));
    }
    let mut columns = Vec::new();
    for part in spec.split(',') {
        let Some((header, path)) = part.split_once(':') else {
            return Err(Failure::new(format!(
                "unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>"
            )));
        };
        columns.push((header, relaxed(path)?));
    }
    let mut text = String::new();
    if headers {
        let names: Vec<&str> = columns.iter().map(|(h, _)| *h).collect();
        text += &(names.join("\t") + "\n");
    }
    for object in objects {
        let mut cells = Vec::new();
        for (_, template) in &columns {
            let found = template.find(object).map_err(Failure::new)?;
            let texts: Vec<String> = found.into_iter().map(plain).collect();
            cells.push(if texts.is_empty() { "<none>".into() } else { texts.join(",") });
        }
        text += &(cells.join("\t") + "\n");
    }
    Ok(tabs::align(&text, 6, 3))
}

/// A value as Go's `%v` prints it.
fn plain(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let fields: Vec<String> =
                map.iter().map(|(k, v)| format!("{k}:{}", plain(v))).collect();
            format!("map[{}]", fields.join(" "))
        }
        Value::Null => "<nil>".into(),
        other => shown(other),
    }
}
