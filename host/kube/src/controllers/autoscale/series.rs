//! Metrics that programs tell of themselves: `External`, `Object` and `Pods`
//! (`pkg/controller/podautoscaler/horizontal.go`, `computeStatusForExternalMetric`,
//! `computeStatusForObjectMetric` and `computeStatusForPodsMetric`; what the metrics APIs answer is `api::custom_metrics`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Wish;
use super::replicas::{self, TOLERANCE};
use crate::store::selector::LabelSelector;
use crate::store::{Object, Store, object, quantity};

/// Where a scale stands.
pub(super) struct Standing {
    /// `spec.replicas`.
    pub(super) wanted: i64,
    /// `status.replicas`.
    pub(super) there: i64,
}

/// What a metric of the kind `External` asks for.
///
/// # Errors
/// The reason of the condition, and what went wrong.
pub(super) fn external(
    store: &Store,
    namespace: &str,
    metric: &Value,
    pods: &[Object],
    standing: &Standing,
) -> Result<Wish, (String, String)> {
    let source = &metric["external"];
    let name = source["metric"]["name"].as_str().unwrap_or("");
    let chosen = &source["metric"]["selector"];
    let selector = LabelSelector::from_selector(chosen);
    let all = store.measured().series(namespace, name, (!chosen.is_null()).then_some(&selector));
    let fail = |why: &str| {
        let reason = "FailedGetExternalMetric".to_owned();
        (reason, format!("failed to get {name} external metric: {why}"))
    };
    let shown = shown(chosen);
    if all.is_empty() {
        return Err(fail(&format!(
            "unable to get external metric {namespace}/{name}/{shown}: no metrics returned from external metrics API"
        )));
    }
    let sum: i128 = all.iter().map(|t| t.value).sum();
    let Some((replicas, current)) = proposal(&source["target"], sum, pods, standing) else {
        let why = "invalid external metric source: neither a value target nor an average value target was set";
        return Err(("FailedGetExternalMetric".into(), why.into()));
    };
    Ok(Wish {
        replicas: i64::try_from(replicas).unwrap_or(i64::MAX),
        name: format!("external metric {name}({shown})"),
        status: json!({"type": "External",
            "external": {"metric": source["metric"], "current": current}}),
    })
}

/// What a metric of the kind `Object` asks for.
///
/// # Errors
/// The reason of the condition, and what went wrong.
pub(super) fn object(
    store: &Store,
    namespace: &str,
    metric: &Value,
    pods: &[Object],
    standing: &Standing,
) -> Result<Wish, (String, String)> {
    let source = &metric["object"];
    let word = |v: &Value| v.as_str().unwrap_or("").to_owned();
    let name = word(&source["metric"]["name"]);
    let (kind, of) =
        (word(&source["describedObject"]["kind"]), word(&source["describedObject"]["name"]));
    let chosen = &source["metric"]["selector"];
    let selector = LabelSelector::from_selector(chosen);
    let selector = (!chosen.is_null()).then_some(&selector);
    let all = store.told_of((namespace, &kind, &of), &name, selector);
    let fail = |why: &str| {
        let reason = "FailedGetObjectMetric".to_owned();
        (reason, format!("failed to get object metric value: {why}"))
    };
    if all.is_empty() {
        return Err(fail(&format!(
            "unable to get metric {name}: {kind} on {namespace} {of}/unable to fetch metrics from custom metrics API: the server could not find the metric {name} for {} {of}",
            kind.to_lowercase()
        )));
    }
    let sum: i128 = all.iter().map(|t| t.value).sum();
    let Some((replicas, current)) = proposal(&source["target"], sum, pods, standing) else {
        return Err(fail(
            "invalid object metric source: neither a value target nor an average value target was set",
        ));
    };
    Ok(Wish {
        replicas: i64::try_from(replicas).unwrap_or(i64::MAX),
        name: match current["value"] {
            Value::Null => format!("external metric {name}({})", shown(chosen)),
            _ => format!("{kind} metric {name}"),
        },
        status: json!({"type": "Object", "object": {"metric": source["metric"],
            "describedObject": source["describedObject"], "current": current}}),
    })
}

/// How many replicas a sum asks for, and the status that says what it is now; `None` if the
/// target says neither how much there should be in all nor for each.
fn proposal(
    target: &Value,
    sum: i128,
    pods: &[Object],
    standing: &Standing,
) -> Option<(i128, Value)> {
    if let Some(each) = quantity::of(&target["averageValue"]) {
        let (each, there) = (each.max(1), i128::from(standing.there));
        let replicas = if within(sum, each * there) { there } else { up(sum, each) };
        let current = quantity::format(up(sum, there.max(1)), false);
        return Some((replicas, json!({"averageValue": current})));
    }
    let whole = quantity::of(&target["value"])?.max(1);
    let wanted = i128::from(standing.wanted);
    let ready = pods.iter().filter(|p| ready(p)).count() as i128;
    let replicas = match wanted {
        0 => up(sum, whole),
        _ if within(sum, whole) => wanted,
        _ => up(sum * ready, whole),
    };
    Some((replicas, json!({"value": quantity::format(sum, false)})))
}

/// What a metric of the kind `Pods` asks for: an average over the pods of the target.
///
/// # Errors
/// The reason of the condition, and what went wrong.
pub(super) fn pods(
    store: &Store,
    namespace: &str,
    metric: &Value,
    pods: &[Object],
    standing: &Standing,
    now: u64,
) -> Result<Wish, (String, String)> {
    let source = &metric["pods"];
    let name = source["metric"]["name"].as_str().unwrap_or("");
    let chosen = &source["metric"]["selector"];
    let selector = LabelSelector::from_selector(chosen);
    let all = store.measured().series(namespace, name, (!chosen.is_null()).then_some(&selector));
    let (mut values, mut stamps) = (BTreeMap::<String, i128>::new(), BTreeMap::new());
    for told in all {
        let pod = &told.labels["pod"];
        if pods.iter().any(|p| object::name(p) == pod) {
            *values.entry(pod.clone()).or_default() += told.value;
            stamps.insert(pod.clone(), (told.at, 0));
        }
    }
    let fail = |why: String| {
        let why = format!("failed to get {name} pods metric value: {why}");
        ("FailedGetPodsMetric".to_owned(), why)
    };
    if values.is_empty() {
        return Err(fail(format!(
            "unable to get metric {name}: no metrics returned from custom metrics API"
        )));
    }
    let each = quantity::of(&source["target"]["averageValue"]).unwrap_or(0);
    let answer =
        replicas::of_values(pods, standing.wanted, values, &stamps, each, now).map_err(fail)?;
    let current = json!({"averageValue": quantity::format(answer.average, false)});
    Ok(Wish {
        replicas: answer.replicas,
        name: format!("pods metric {name}"),
        status: json!({"type": "Pods", "pods": {"metric": source["metric"], "current": current}}),
    })
}

/// Whether what is lies within the tolerance of what should be.
fn within(is: i128, should: i128) -> bool {
    let should = should.max(1);
    (is * 1000 / should - 1000).abs() <= TOLERANCE
}

fn up(a: i128, b: i128) -> i128 {
    (a + b - 1) / b
}

fn ready(pod: &Value) -> bool {
    object::condition(pod, "Ready").is_some_and(|c| c["status"] == "True")
}

/// A selector as Go prints it.
fn shown(selector: &Value) -> String {
    if selector.is_null() {
        return "nil".into();
    }
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut labels: Vec<String> =
        labels.map(|(k, v)| format!("{k}: {},", v.as_str().unwrap_or(""))).collect();
    labels.sort();
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten().map(|e| {
        let values = e["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let values = values.collect::<Vec<_>>().join(" ");
        let word = |f: &str| e[f].as_str().unwrap_or("").to_owned();
        let (key, operator) = (word("key"), word("operator"));
        format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{values}],}},")
    });
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{}}},}}",
        labels.concat(),
        expressions.collect::<String>()
    )
}
