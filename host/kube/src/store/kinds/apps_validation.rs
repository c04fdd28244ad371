//! What may be wrong with workloads
//! (`pkg/apis/apps/validation/validation.go`, `pkg/apis/core/validation/validation.go` of 1.32).

use serde_json::Value;

use super::{int_or_percent, metadata, pod};
use crate::store::error::FieldError;
use crate::store::names;
use crate::store::selector::LabelSelector;

const NEGATIVE: &str = "must be greater than or equal to 0";
const MISMATCH: &str = "`selector` does not match template `labels`";

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or("")
}

fn items<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn not_negative(spec: &Value, field: &str, errors: &mut Vec<FieldError>) {
    if spec[field].as_i64().is_some_and(|n| n < 0) {
        errors.push(FieldError::invalid_raw(format!("spec.{field}"), &spec[field], NEGATIVE));
    }
}

/// A map of strings as Go prints it.
fn go_map(map: &Value) -> String {
    let Some(map) = map.as_object() else { return "map[string]string(nil)".into() };
    let mut pairs: Vec<_> = map.iter().collect();
    pairs.sort_by_key(|(k, _)| *k);
    let pairs: Vec<String> =
        pairs.iter().map(|(k, v)| format!("{k:?}:{:?}", v.as_str().unwrap_or(""))).collect();
    format!("map[string]string{{{}}}", pairs.join(", "))
}

/// A label selector as Go prints it.
fn go_selector(selector: &Value) -> String {
    let expressions = match selector["matchExpressions"].as_array() {
        None => "[]v1.LabelSelectorRequirement(nil)".to_owned(),
        Some(list) => {
            let list: Vec<String> = list
                .iter()
                .map(|e| {
                    let values = match e["values"].as_array() {
                        None => "[]string(nil)".to_owned(),
                        Some(v) => {
                            let v: Vec<String> = v
                                .iter()
                                .map(|v| format!("{:?}", v.as_str().unwrap_or("")))
                                .collect();
                            format!("[]string{{{}}}", v.join(", "))
                        }
                    };
                    let (key, operator) = (text(e, "key"), text(e, "operator"));
                    format!("v1.LabelSelectorRequirement{{Key:{key:?}, Operator:{operator:?}, Values:{values}}}")
                })
                .collect();
            format!("[]v1.LabelSelectorRequirement{{{}}}", list.join(", "))
        }
    };
    format!(
        "v1.LabelSelector{{MatchLabels:{}, MatchExpressions:{expressions}}}",
        go_map(&selector["matchLabels"])
    )
}

/// What is wrong with a label selector at `path`.
pub(super) fn label_selector(selector: &Value, path: &str, errors: &mut Vec<FieldError>) {
    metadata::labels(&selector["matchLabels"], &format!("{path}.matchLabels"), errors);
    for (i, e) in items(selector, "matchExpressions").iter().enumerate() {
        let at = format!("{path}.matchExpressions[{i}]");
        let values = items(e, "values");
        match text(e, "operator") {
            "In" | "NotIn" if values.is_empty() => errors.push(FieldError::required(
                format!("{at}.values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            )),
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(FieldError::forbidden(
                format!("{at}.values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let why = "not a valid selector operator";
                errors.push(FieldError::invalid(format!("{at}.operator"), other, why));
            }
        }
        for why in names::qualified_errors(text(e, "key")) {
            errors.push(FieldError::invalid(format!("{at}.key"), text(e, "key"), why));
        }
        for (j, value) in values.iter().filter_map(Value::as_str).enumerate() {
            if let Some(why) = names::label_value_error(value) {
                errors.push(FieldError::invalid(format!("{at}.values[{j}]"), value, why));
            }
        }
    }
}

/// What is wrong with `spec.selector`. `of` is how the message about an empty one names the kind.
fn selector(spec: &Value, of: &str, errors: &mut Vec<FieldError>) {
    let selector = &spec["selector"];
    if !selector.is_object() {
        errors.push(FieldError::required("spec.selector", ""));
        return;
    }
    label_selector(selector, "spec.selector", errors);
    let size = selector["matchLabels"].as_object().map_or(0, serde_json::Map::len);
    if size + items(selector, "matchExpressions").len() == 0 {
        let why = format!("empty selector is invalid for {of}");
        errors.push(FieldError::invalid_raw("spec.selector", go_selector(selector), why));
    }
}

/// What is wrong with `spec.template` of a `kind` that selects its pods by `selector`.
fn template(spec: &Value, selector: &LabelSelector, kind: &str, errors: &mut Vec<FieldError>) {
    let template = &spec["template"];
    let labels = &template["metadata"]["labels"];
    if !selector.is_empty() && !selector.matches(template) {
        let path = "spec.template.metadata.labels";
        errors.push(FieldError::invalid_raw(path, go_map(labels), MISMATCH));
    }
    metadata::labels(labels, "spec.template.metadata.labels", errors);
    // Claims of a StatefulSet are volumes only in its pods, which are checked when created.
    if kind != "StatefulSet" {
        pod::pod_spec(&template["spec"], "spec.template.spec", errors);
    }
    let policy = text(&template["spec"], "restartPolicy");
    if matches!(policy, "OnFailure" | "Never") || (kind == "StatefulSet" && policy != "Always") {
        let path = "spec.template.spec.restartPolicy";
        errors.push(FieldError::not_supported(path, policy, &["Always"]));
    }
    if !template["spec"]["activeDeadlineSeconds"].is_null() {
        errors.push(FieldError::forbidden(
            "spec.template.spec.activeDeadlineSeconds",
            format!("activeDeadlineSeconds in {kind} is not Supported"),
        ));
    }
}

fn by_labels(spec: &Value) -> LabelSelector {
    LabelSelector::from_selector(&spec["selector"])
}

fn immutable_selector(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (new, old) = (&new["spec"]["selector"], &old["spec"]["selector"]);
    if new != old {
        let why = "field is immutable";
        errors.push(FieldError::invalid_raw("spec.selector", go_selector(new), why));
    }
}

pub(super) fn deployment(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    not_negative(spec, "replicas", errors);
    selector(spec, "deployment", errors);
    template(spec, &by_labels(spec), "ReplicaSet", errors);
    let strategy = &spec["strategy"];
    let rolling = &strategy["rollingUpdate"];
    match text(strategy, "type") {
        "Recreate" if !rolling.is_null() => errors.push(FieldError::forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        )),
        "Recreate" => {}
        "RollingUpdate" => {
            let path = "spec.strategy.rollingUpdate.maxUnavailable";
            let (unavailable, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
            int_or_percent::validate(unavailable, path, errors);
            int_or_percent::validate(surge, "spec.strategy.rollingUpdate.maxSurge", errors);
            if int_or_percent::is_zero(unavailable) && int_or_percent::is_zero(surge) {
                let why = "may not be 0 when `maxSurge` is 0";
                errors.push(FieldError::invalid_raw(path, int_or_percent::go(unavailable), why));
            }
            int_or_percent::at_most_all(unavailable, path, errors);
        }
        _ => errors.push(FieldError::not_supported(
            "spec.strategy",
            text(strategy, "type"),
            &["Recreate", "RollingUpdate"],
        )),
    }
    not_negative(spec, "minReadySeconds", errors);
    not_negative(spec, "revisionHistoryLimit", errors);
    not_negative(spec, "progressDeadlineSeconds", errors);
    let deadline = &spec["progressDeadlineSeconds"];
    let ready = spec["minReadySeconds"].as_i64().unwrap_or(0);
    if deadline.as_i64().is_some_and(|d| d <= ready) {
        let why = "must be greater than minReadySeconds";
        errors.push(FieldError::invalid_raw("spec.progressDeadlineSeconds", deadline, why));
    }
}

pub(super) fn deployment_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    deployment(new, errors);
    immutable_selector(new, old, errors);
}

pub(super) fn replica_set(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    not_negative(spec, "replicas", errors);
    not_negative(spec, "minReadySeconds", errors);
    // Kubernetes says "deployment" here, too.
    selector(spec, "deployment", errors);
    template(spec, &by_labels(spec), "ReplicaSet", errors);
}

pub(super) fn replica_set_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    replica_set(new, errors);
    immutable_selector(new, old, errors);
}

pub(super) fn replication_controller(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    not_negative(spec, "minReadySeconds", errors);
    let selector = LabelSelector::from_map(&spec["selector"]);
    if selector.is_empty() {
        errors.push(FieldError::required("spec.selector", ""));
    }
    not_negative(spec, "replicas", errors);
    template(spec, &selector, "ReplicationController", errors);
}

pub(super) fn daemon_set(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    selector(spec, "daemonset", errors);
    template(spec, &by_labels(spec), "DaemonSet", errors);
    not_negative(spec, "minReadySeconds", errors);
    let strategy = &spec["updateStrategy"];
    match text(strategy, "type") {
        "OnDelete" => {}
        "RollingUpdate" => {
            let rolling = &strategy["rollingUpdate"];
            let (unavailable, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
            let at = |field: &str| format!("spec.updateStrategy.rollingUpdate.{field}");
            int_or_percent::validate(unavailable, &at("maxUnavailable"), errors);
            int_or_percent::validate(surge, &at("maxSurge"), errors);
            match (int_or_percent::is_zero(unavailable), int_or_percent::is_zero(surge)) {
                (false, false) => errors.push(FieldError::invalid_raw(
                    at("maxSurge"),
                    int_or_percent::go(surge),
                    "may not be set when maxUnavailable is non-zero",
                )),
                (true, true) => errors.push(FieldError::required(
                    at("maxUnavailable"),
                    "cannot be 0 when maxSurge is 0",
                )),
                _ => {}
            }
            int_or_percent::at_most_all(unavailable, &at("maxUnavailable"), errors);
            int_or_percent::at_most_all(surge, &at("maxSurge"), errors);
        }
        other => errors.push(FieldError::not_supported(
            "spec.updateStrategy",
            other,
            &["RollingUpdate", "OnDelete"],
        )),
    }
    not_negative(spec, "revisionHistoryLimit", errors);
}

pub(super) fn daemon_set_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    daemon_set(new, errors);
    immutable_selector(new, old, errors);
}

pub(super) fn stateful_set(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let policy = text(spec, "podManagementPolicy");
    if !matches!(policy, "OrderedReady" | "Parallel") {
        let why = "must be 'OrderedReady' or 'Parallel'";
        errors.push(FieldError::invalid("spec.podManagementPolicy", policy, why));
    }
    let strategy = &spec["updateStrategy"];
    let rolling = &strategy["rollingUpdate"];
    match text(strategy, "type") {
        "OnDelete" if !rolling.is_null() => {
            let partition = rolling["partition"].as_i64().unwrap_or(0);
            errors.push(FieldError::invalid_raw(
                "spec.updateStrategy.rollingUpdate",
                format!("apps.RollingUpdateStatefulSetStrategy{{Partition:{partition}}}"),
                "only allowed for updateStrategy 'RollingUpdate'",
            ));
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            if rolling["partition"].as_i64().is_some_and(|p| p < 0) {
                errors.push(FieldError::invalid_raw(
                    "spec.updateStrategy.rollingUpdate.partition",
                    &rolling["partition"],
                    NEGATIVE,
                ));
            }
        }
        other => errors.push(FieldError::invalid(
            "spec.updateStrategy",
            other,
            "must be 'RollingUpdate' or 'OnDelete'",
        )),
    }
    for field in ["whenDeleted", "whenScaled"] {
        let given = text(&spec["persistentVolumeClaimRetentionPolicy"], field);
        if !matches!(given, "Retain" | "Delete") {
            let path = format!("spec.persistentVolumeClaimRetentionPolicy.{field}");
            errors.push(FieldError::not_supported(path, given, &["Retain", "Delete"]));
        }
    }
    not_negative(spec, "replicas", errors);
    not_negative(spec, "minReadySeconds", errors);
    let start = &spec["ordinals"]["start"];
    if start.as_i64().is_some_and(|n| n < 0) {
        errors.push(FieldError::invalid_raw("spec.ordinals.start", start, NEGATIVE));
    }
    selector(spec, "statefulset", errors);
    template(spec, &by_labels(spec), "StatefulSet", errors);
}

pub(super) fn stateful_set_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    stateful_set(new, errors);
    let mut fixed = new["spec"].clone();
    for field in [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ] {
        match old["spec"].get(field) {
            Some(value) => fixed[field] = value.clone(),
            None => {
                fixed.as_object_mut().and_then(|f| f.remove(field));
            }
        }
    }
    if fixed != old["spec"] {
        errors.push(FieldError::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}
