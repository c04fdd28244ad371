//! `autoscaling/v1` and `v2` (`pkg/apis/autoscaling/v1/conversion.go`): v1 has one number for
//! the CPU; all else of v2 goes into annotations as JSON in v1's shape.

use serde_json::{Map, Value, json};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";

/// As `autoscaling/v1`.
pub fn out(stored: &Value) -> Value {
    let mut out = stored.clone();
    out["apiVersion"] = "autoscaling/v1".into();
    let mut notes = Map::new();
    let (spec, status) = (&stored["spec"], &stored["status"]);
    let (cpu, rest) = split(&spec["metrics"], "target");
    if let Some(map) = out["spec"].as_object_mut() {
        map.remove("metrics");
        map.remove("behavior");
        if let Some(percent) = cpu {
            map.insert("targetCPUUtilizationPercentage".into(), percent);
        }
    }
    if !rest.is_empty() {
        notes.insert(METRICS.into(), Value::Array(rest).to_string().into());
    }
    if spec["behavior"].is_object() {
        notes.insert(BEHAVIOR.into(), spec["behavior"].to_string().into());
    }
    let (cpu, rest) = split(&status["currentMetrics"], "current");
    if let Some(map) = out["status"].as_object_mut() {
        map.remove("currentMetrics");
        map.remove("conditions");
        if let Some(percent) = cpu {
            map.insert("currentCPUUtilizationPercentage".into(), percent);
        }
    }
    if !rest.is_empty() {
        notes.insert(CURRENT.into(), Value::Array(rest).to_string().into());
    }
    if status["conditions"].as_array().is_some_and(|c| !c.is_empty()) {
        notes.insert(CONDITIONS.into(), status["conditions"].to_string().into());
    }
    if !notes.is_empty() {
        let meta = crate::store::object::meta_mut(&mut out);
        let map = meta.entry("annotations").or_insert_with(|| json!({}));
        crate::store::object::map_mut(map).extend(notes);
    }
    out
}

/// As `autoscaling/v2`.
pub fn inward(object: &Value) -> Value {
    let mut out = object.clone();
    out["apiVersion"] = "autoscaling/v2".into();
    let mut taken = Map::new();
    if let Some(map) = out["metadata"]["annotations"].as_object_mut() {
        for key in [METRICS, BEHAVIOR, CONDITIONS, CURRENT] {
            let value = map.remove(key);
            if let Some(value) = value.as_ref().and_then(Value::as_str)
                && let Ok(value) = serde_json::from_str::<Value>(value)
            {
                taken.insert(key.into(), value);
            }
        }
        if map.is_empty() {
            crate::store::object::meta_mut(&mut out).remove("annotations");
        }
    }
    if let Some(spec) = out["spec"].as_object_mut() {
        let mut metrics = joined(taken.get(METRICS), "target");
        if let Some(percent) = spec.remove("targetCPUUtilizationPercentage") {
            metrics.push(resource("target", json!("cpu"), &percent));
        }
        if !metrics.is_empty() {
            spec.insert("metrics".into(), metrics.into());
        }
        if let Some(behavior) = taken.get(BEHAVIOR) {
            spec.insert("behavior".into(), behavior.clone());
        }
    }
    if let Some(status) = out["status"].as_object_mut() {
        let mut current = joined(taken.get(CURRENT), "current");
        if let Some(percent) = status.remove("currentCPUUtilizationPercentage") {
            current.push(resource("current", json!("cpu"), &percent));
        }
        if !current.is_empty() {
            status.insert("currentMetrics".into(), current.into());
        }
        if let Some(conditions) = taken.get(CONDITIONS) {
            status.insert("conditions".into(), conditions.clone());
        }
    }
    out
}

fn resource(side: &str, name: Value, percent: &Value) -> Value {
    let mut value = json!({"averageUtilization": percent});
    if side == "target" {
        value["type"] = "Utilization".into();
    }
    json!({"type": "Resource", "resource": {"name": name, side: value}})
}

/// The CPU's percentage, and all other metrics in v1's shape.
fn split(metrics: &Value, side: &str) -> (Option<Value>, Vec<Value>) {
    let (mut cpu, mut rest) = (None, Vec::new());
    for metric in metrics.as_array().into_iter().flatten() {
        let percent = &metric["resource"][side]["averageUtilization"];
        if cpu.is_none() && metric["resource"]["name"] == "cpu" && percent.is_number() {
            cpu = Some(percent.clone());
        } else {
            rest.push(older(metric, side));
        }
    }
    (cpu, rest)
}

/// Where a metric's value, average and percentage are in v1's shape, by the metric's type:
/// (value, average value, utilisation).
fn fields(kind: &str, side: &str) -> [(&'static str, &'static str); 3] {
    let target = side == "target";
    match (kind, target) {
        ("Object", true) => [("value", "targetValue"), ("averageValue", "averageValue"), ("", "")],
        ("Object", false) => {
            [("value", "currentValue"), ("averageValue", "averageValue"), ("", "")]
        }
        (_, true) => [
            ("value", "targetValue"),
            ("averageValue", "targetAverageValue"),
            ("averageUtilization", "targetAverageUtilization"),
        ],
        (_, false) => [
            ("value", "currentValue"),
            ("averageValue", "currentAverageValue"),
            ("averageUtilization", "currentAverageUtilization"),
        ],
    }
}

const SOURCES: [(&str, &str); 5] = [
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
    ("Pods", "pods"),
    ("Object", "object"),
    ("External", "external"),
];

fn source(metric: &Value) -> Option<(&'static str, &'static str)> {
    SOURCES.into_iter().find(|(kind, _)| metric["type"] == *kind)
}

fn older(metric: &Value, side: &str) -> Value {
    let Some((kind, field)) = source(metric) else { return metric.clone() };
    let mut inner = metric[field].clone();
    let Some(map) = inner.as_object_mut() else { return metric.clone() };
    let value = map.remove(side).unwrap_or_default();
    for (new, old) in fields(kind, side) {
        if let Some(v) = value.get(new) {
            map.insert(old.into(), v.clone());
        }
    }
    if let Some(name) = map.remove("metric") {
        map.insert("metricName".into(), name["name"].clone());
        if name["selector"].is_object() {
            let selector = if kind == "External" { "metricSelector" } else { "selector" };
            map.insert(selector.into(), name["selector"].clone());
        }
    }
    if let Some(described) = map.remove("describedObject") {
        map.insert("target".into(), described);
    }
    json!({"type": kind, field: inner})
}

fn joined(list: Option<&Value>, side: &str) -> Vec<Value> {
    list.and_then(Value::as_array).into_iter().flatten().map(|m| newer(m, side)).collect()
}

fn newer(metric: &Value, side: &str) -> Value {
    let Some((kind, field)) = source(metric) else { return metric.clone() };
    let mut inner = metric[field].clone();
    let Some(map) = inner.as_object_mut() else { return metric.clone() };
    let described = (kind == "Object").then(|| map.remove("target")).flatten();
    let mut value = Map::new();
    for (new, old) in fields(kind, side) {
        if let Some(v) = map.remove(old) {
            value.insert(new.into(), v);
        }
    }
    if side == "target" {
        let kind = if value.contains_key("averageUtilization") {
            "Utilization"
        } else if value.contains_key("averageValue") {
            "AverageValue"
        } else {
            "Value"
        };
        value.insert("type".into(), kind.into());
    }
    map.insert(side.into(), value.into());
    if let Some(name) = map.remove("metricName") {
        let mut metric = json!({"name": name});
        if let Some(selector) = map.remove("selector").or_else(|| map.remove("metricSelector")) {
            metric["selector"] = selector;
        }
        map.insert("metric".into(), metric);
    }
    if let Some(described) = described {
        map.insert("describedObject".into(), described);
    }
    json!({"type": kind, field: inner})
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn there_and_back() {
        let stored = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "h"},
            "spec": {"maxReplicas": 3, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}, "metrics": [
                {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "5"}}},
                {"type": "Object", "object": {"metric": {"name": "q"}, "describedObject": {"kind": "S", "name": "x"}, "target": {"type": "Value", "value": "5"}}},
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]},
            "status": {"currentReplicas": 1, "conditions": [{"type": "AbleToScale", "status": "True"}],
                "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 7}}}]}});
        let shown = super::out(&stored);
        assert_eq!(shown["spec"]["targetCPUUtilizationPercentage"], 50);
        assert_eq!(shown["status"]["currentCPUUtilizationPercentage"], 7);
        assert!(shown["spec"].get("metrics").is_none());
        assert_eq!(super::inward(&shown), stored);
    }
}
