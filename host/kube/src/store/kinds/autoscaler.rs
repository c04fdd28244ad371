//! HorizontalPodAutoscalers: what is filled in, and what may be wrong
//! (`pkg/apis/autoscaling/{v2/defaults,validation}`).

use serde_json::{Map, Value, json};

use crate::store::error::FieldError;
use crate::store::object::map_mut;
use crate::store::resource::Hooks;

/// The rules of HorizontalPodAutoscalers.
pub const HOOKS: Hooks = Hooks {
    default,
    validate,
    validate_update: |new, _, errors| validate(new, errors),
    ..super::PLAIN
};

fn default(o: &mut Value) {
    let spec = map_mut(map_mut(o).entry("spec").or_insert(Value::Null));
    spec.entry("minReplicas").or_insert(1.into());
    if spec.get("metrics").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        spec.insert(
            "metrics".into(),
            json!([{"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 80}}}]),
        );
    }
    let Some(behavior) = spec.get_mut("behavior").and_then(Value::as_object_mut) else { return };
    let put = |map: &mut Map<String, Value>, field: &str, value: Value| {
        let slot = map.entry(field).or_insert(Value::Null);
        if slot.is_null() {
            *slot = value;
        }
    };
    let up = map_mut(behavior.entry("scaleUp").or_insert(Value::Null));
    put(up, "stabilizationWindowSeconds", 0.into());
    put(up, "selectPolicy", "Max".into());
    put(
        up,
        "policies",
        json!([
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15}]),
    );
    let down = map_mut(behavior.entry("scaleDown").or_insert(Value::Null));
    put(down, "selectPolicy", "Max".into());
    put(down, "policies", json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]));
}

fn validate(o: &Value, errors: &mut Vec<FieldError>) {
    let spec = &o["spec"];
    let (min, max) = (spec["minReplicas"].as_i64().unwrap_or(1), spec["maxReplicas"].as_i64());
    if min < 1 {
        let why = "must be greater than or equal to 1";
        errors.push(FieldError::invalid_raw("spec.minReplicas", min, why));
    }
    let most = max.unwrap_or(0);
    if most < 1 {
        errors.push(FieldError::invalid_raw("spec.maxReplicas", most, "must be greater than 0"));
    } else if most < min {
        let why = "must be greater than or equal to `minReplicas`";
        errors.push(FieldError::invalid_raw("spec.maxReplicas", most, why));
    }
    for field in ["kind", "name"] {
        if spec["scaleTargetRef"][field].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(format!("spec.scaleTargetRef.{field}"), ""));
        }
    }
    for (i, metric) in spec["metrics"].as_array().into_iter().flatten().enumerate() {
        let at = format!("spec.metrics[{i}]");
        let kind = metric["type"].as_str().unwrap_or("");
        let known = ["ContainerResource", "External", "Object", "Pods", "Resource"];
        let source = match kind {
            "" => {
                errors.push(FieldError::required(
                    format!("{at}.type"),
                    "must specify a metric source type",
                ));
                continue;
            }
            "Resource" => "resource",
            "ContainerResource" => "containerResource",
            "Pods" => "pods",
            "Object" => "object",
            "External" => "external",
            other => {
                errors.push(FieldError::not_supported(format!("{at}.type"), other, &known));
                continue;
            }
        };
        if !metric[source].is_object() {
            let why = "must populate the given metric source";
            errors.push(FieldError::required(format!("{at}.{source}"), why));
            continue;
        }
        let target = &metric[source]["target"];
        let path = format!("{at}.{source}.target");
        if target["averageUtilization"].as_i64().is_some_and(|n| n < 1) {
            let why = "must be greater than 0";
            let given = &target["averageUtilization"];
            errors.push(FieldError::invalid_raw(format!("{path}.averageUtilization"), given, why));
        }
        if source == "resource"
            && target["averageUtilization"].is_null()
            && target["averageValue"].is_null()
        {
            let why = "must set either a target raw value or a target utilization";
            errors.push(FieldError::required(format!("{path}.averageUtilization"), why));
        }
    }
}
