//! Tables: the server says what is in them.

use serde_json::Value;

/// What of tables is shown, and how.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// Columns of low priority too.
    pub wide: bool,
    /// No headers.
    pub no_headers: bool,
    /// The namespace first.
    pub with_namespace: bool,
    /// The kind before the name.
    pub kind: String,
    /// All labels at the end.
    pub show_labels: bool,
    /// These labels at the end.
    pub labels: Vec<String>,
    /// A column before all others.
    pub event: Option<String>,
}

/// The rows of `table` as lines with tabs; with the headers unless the style has none.
pub fn lines(table: &Value, style: &Style, headers: bool) -> String {
    let definitions = table["columnDefinitions"].as_array().map_or(&[][..], Vec::as_slice);
    let shown: Vec<usize> = (0..definitions.len())
        .filter(|i| style.wide || definitions[*i]["priority"].as_i64().unwrap_or(0) == 0)
        .collect();
    let mut out = String::new();
    let rows = table["rows"].as_array().map_or(&[][..], Vec::as_slice);
    if headers && !style.no_headers && !rows.is_empty() {
        let mut names = Vec::new();
        if style.event.is_some() {
            names.push("EVENT".to_owned());
        }
        if style.with_namespace {
            names.push("NAMESPACE".to_owned());
        }
        let name = |i: &usize| definitions[*i]["name"].as_str().unwrap_or("").to_uppercase();
        names.extend(shown.iter().map(name));
        let label = |l: &String| l.rsplit('/').next().unwrap_or("").to_uppercase();
        names.extend(style.labels.iter().map(label));
        if style.show_labels {
            names.push("LABELS".to_owned());
        }
        out += &(names.join("\t") + "\n");
    }
    for row in rows {
        let meta = &row["object"]["metadata"];
        let mut cells = Vec::new();
        cells.extend(style.event.clone());
        if style.with_namespace {
            cells.push(meta["namespace"].as_str().unwrap_or("").to_owned());
        }
        for i in &shown {
            let text = cell(&row["cells"][*i]);
            cells.push(if *i == 0 && !style.kind.is_empty() {
                format!("{}/{text}", style.kind)
            } else {
                text
            });
        }
        for label in &style.labels {
            let value = meta["labels"][label.as_str()].as_str();
            cells.push(value.unwrap_or("").to_owned());
        }
        if style.show_labels {
            let labels = meta["labels"].as_object().filter(|l| !l.is_empty());
            cells.push(labels.map_or_else(
                || "<none>".into(),
                |labels| {
                    let pairs: Vec<String> = labels
                        .iter()
                        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")))
                        .collect();
                    pairs.join(",")
                },
            ));
        }
        out += &(cells.join("\t") + "\n");
    }
    out
}

/// A cell, its first line only.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.find(['\n', '\r', '\u{c}']) {
        Some(at) => format!("{}...", &text[..at]),
        None => text,
    }
}
