//! `events.k8s.io/v1` and `v1` events are the same objects under other names of fields
//! (`pkg/apis/core/v1/conversion.go`, `pkg/apis/events/v1/conversion.go`).

use serde_json::{Map, Value};

/// Name in `v1`, name in `events.k8s.io/v1`.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

fn renamed(object: &Value, version: &str, name: impl Fn(&str) -> String) -> Value {
    let mut out = Map::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        out.insert(name(key), value.clone());
    }
    out.insert("apiVersion".into(), version.into());
    out.insert("kind".into(), "Event".into());
    Value::Object(out)
}

/// As `events.k8s.io/v1`.
pub fn out(stored: &Value) -> Value {
    renamed(stored, "events.k8s.io/v1", |key| {
        RENAMED.iter().find(|(old, _)| *old == key).map_or(key, |(_, new)| new).to_string()
    })
}

/// As `v1`.
pub fn inward(object: &Value) -> Value {
    renamed(object, "v1", |key| {
        RENAMED.iter().find(|(_, new)| *new == key).map_or(key, |(old, _)| old).to_string()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn there_and_back() {
        let stored = json!({"apiVersion": "v1", "kind": "Event", "message": "m", "count": 2,
            "involvedObject": {"name": "p"}, "source": {"component": "c"}, "reason": "r"});
        let shown = super::out(&stored);
        assert_eq!((&shown["note"], &shown["deprecatedCount"]), (&json!("m"), &json!(2)));
        assert!(shown.get("message").is_none());
        assert_eq!(super::inward(&shown), stored);
    }
}
