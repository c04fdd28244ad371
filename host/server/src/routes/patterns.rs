//! `/api/patterns`: the catalogue.

use std::sync::Arc;

use axum::extract::{Path, State};
use podlab_lab::Pattern;
use serde_json::{Value, json};

use super::{Answer, exercises, ok};
use crate::app::App;

fn summary(pattern: &Pattern) -> Value {
    let mut value = serde_json::to_value(&pattern.file).unwrap_or_default();
    let scenarios: Vec<&str> = pattern
        .files
        .keys()
        .filter_map(|p| p.strip_prefix("scenarios/")?.strip_suffix(".yaml"))
        .collect();
    value["scenarios"] = json!(scenarios);
    value["exercises"] = exercises::summaries(pattern);
    value
}

/// `GET /api/patterns`
pub async fn list(State(app): State<Arc<App>>) -> Answer {
    let patterns: Vec<Value> = app.catalogue().iter().map(summary).collect();
    ok(json!({ "patterns": patterns }))
}

/// `GET /api/patterns/{name}`
pub async fn one(State(app): State<Arc<App>>, Path(name): Path<String>) -> Answer {
    ok(told(app.pattern(&name)?))
}

/// All there is to tell of a pattern.
pub fn told(pattern: &Pattern) -> Value {
    let mut value = summary(pattern);
    value["lesson"] = json!({ "en": pattern.lesson.en, "ja": pattern.lesson.ja });
    let sources: serde_json::Map<String, Value> = pattern
        .files
        .keys()
        .filter(|p| p.ends_with(".yaml"))
        .filter_map(|p| Some((p.clone(), json!(pattern.text(p)?))))
        .collect();
    value["files"] = Value::Object(sources);
    value
}
