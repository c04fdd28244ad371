//! Labels, annotations, selectors.

use serde_json::Value;

use super::values::text;
use super::writer::Writer;
use crate::kubectl::texts;

/// What most descriptions begin with: name, namespace, labels, annotations.
pub fn head(w: &mut Writer, o: &Value) {
    let meta = &o["metadata"];
    w.write(0, format!("Name:\t{}", text(&meta["name"])));
    w.write(0, format!("Namespace:\t{}", text(&meta["namespace"])));
    labels(w, "Labels", &meta["labels"]);
    annotations(w, "Annotations", &meta["annotations"]);
}

/// Labels, one on each line.
pub fn labels(w: &mut Writer, title: &str, value: &Value) {
    multiline(w, 0, title, "\t", value);
}

/// The same at any level, with what stands between the title and the first.
pub fn multiline(w: &mut Writer, level: usize, title: &str, gap: &str, value: &Value) {
    let map = texts(value);
    if map.is_empty() {
        return w.write(level, format!("{title}:{gap}<none>"));
    }
    for (i, (key, value)) in map.iter().enumerate() {
        if i == 0 {
            w.write(level, format!("{title}:{gap}{key}={value}"));
        } else {
            w.write(level, format!("{gap}{key}={value}"));
        }
    }
}

/// Annotations, long ones on lines of their own.
pub fn annotations(w: &mut Writer, title: &str, value: &Value) {
    annotations_at(w, 0, title, value);
}

/// The same at any level.
pub fn annotations_at(w: &mut Writer, level: usize, title: &str, value: &Value) {
    let mut map = texts(value);
    map.remove(crate::verbs::apply::LAST);
    if map.is_empty() {
        return w.write(level, format!("{title}:\t<none>"));
    }
    for (i, (key, value)) in map.iter().enumerate() {
        let begin = if i == 0 { format!("{title}:\t") } else { "\t".into() };
        let value = value.strip_suffix('\n').unwrap_or(value);
        if value.chars().count() + key.chars().count() + 2 > 140 || value.contains('\n') {
            w.write(level, format!("{begin}{key}:"));
            for line in value.split('\n') {
                let short: String = line.chars().take(138).collect();
                let dots = if short.len() < line.len() { "..." } else { "" };
                w.write(level, format!("\t  {short}{dots}"));
            }
        } else {
            w.write(level, format!("{begin}{key}: {value}"));
        }
    }
}

/// A plain map as "a=b,c=d".
pub fn joined(value: &Value) -> String {
    let pairs: Vec<String> = texts(value).iter().map(|(k, v)| format!("{k}={v}")).collect();
    if pairs.is_empty() { "<none>".into() } else { pairs.join(",") }
}

/// A `LabelSelector` as text: what `-l` takes, too.
pub fn selector(value: &Value) -> String {
    let mut parts: Vec<(String, String)> = texts(&value["matchLabels"])
        .iter()
        .map(|(k, v)| ((*k).to_owned(), format!("{k}={v}")))
        .collect();
    for e in value["matchExpressions"].as_array().into_iter().flatten() {
        let key = e["key"].as_str().unwrap_or("");
        let mut values: Vec<&str> =
            e["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        let text = match e["operator"].as_str().unwrap_or("") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        parts.push((key.to_owned(), text));
    }
    parts.sort();
    parts.into_iter().map(|(_, t)| t).collect::<Vec<_>>().join(",")
}

/// The same, described: `<none>` if it selects nothing, `<unset>` if it is not there.
pub fn selector_or(value: &Value, none: &str) -> String {
    let text = selector(value);
    if text.is_empty() { none.to_owned() } else { text }
}
