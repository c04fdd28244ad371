//! `external.metrics.k8s.io/v1beta1` and `custom.metrics.k8s.io/v1beta2`, as an adapter of
//! Prometheus answers: what programs tell of themselves (see the kubelet's `scrape`). Not in
//! discovery, as on a cluster to which nobody has added such an adapter.

use serde_json::{Value, json};

use super::request::Request;
use super::response::Response;
use crate::store::selector::LabelSelector;
use crate::store::{Error, Store, object, quantity};

/// What [`external`] serves.
pub(super) const EXTERNAL: &str = "external.metrics.k8s.io";
/// What [`custom`] serves.
pub(super) const CUSTOM: &str = "custom.metrics.k8s.io";

/// `namespaces/NAMESPACE/METRIC`.
pub(super) fn external(
    store: &Store,
    request: &Request,
    parts: &[&str],
) -> Result<Response, Error> {
    let ["namespaces", namespace, metric] = parts else { return Err(Error::no_such_path()) };
    let selector = LabelSelector::parse(request.param("labelSelector"))?;
    let items: Vec<Value> = store
        .measured()
        .series(namespace, metric, Some(&selector))
        .into_iter()
        .map(|told| {
            json!({"metricName": metric, "metricLabels": told.labels,
                "timestamp": object::time(told.at), "value": quantity::format(told.value, false)})
        })
        .collect();
    Ok(Response::json(
        200,
        &json!({"kind": "ExternalMetricValueList", "apiVersion": format!("{EXTERNAL}/v1beta1"),
            "metadata": {}, "items": items}),
    ))
}

/// `namespaces/NAMESPACE/pods/POD-OR-*/METRIC`, and `RESOURCE/NAME/METRIC` of any other object.
pub(super) fn custom(store: &Store, request: &Request, parts: &[&str]) -> Result<Response, Error> {
    let ["namespaces", namespace, resource, name, metric] = parts else {
        return Err(Error::no_such_path());
    };
    if *resource != "pods" {
        return of_object(store, request, namespace, (resource, name), metric);
    }
    let pods = LabelSelector::parse(request.param("labelSelector"))?;
    let selector = LabelSelector::parse(request.param("metricLabelSelector"))?;
    let items: Vec<Value> = store
        .measured()
        .series(namespace, metric, Some(&selector))
        .into_iter()
        .filter(|told| *name == "*" || told.labels["pod"] == *name)
        .filter(|told| {
            store.get("pods", namespace, &told.labels["pod"]).is_some_and(|pod| pods.matches(&pod))
        })
        .map(|told| {
            json!({
                "describedObject": {"kind": "Pod", "namespace": namespace, "name": told.labels["pod"],
                    "apiVersion": "/v1"},
                "metric": {"name": metric, "selector": null},
                "timestamp": object::time(told.at),
                "value": quantity::format(told.value, false),
            })
        })
        .collect();
    if items.is_empty() {
        let text = format!("the server could not find the metric {metric} for pods");
        return Err(Error::new(404, "NotFound", text));
    }
    Ok(Response::json(
        200,
        &json!({"kind": "MetricValueList", "apiVersion": format!("{CUSTOM}/v1beta2"),
            "metadata": {}, "items": items}),
    ))
}

/// The sum of what was said of one object.
fn of_object(
    store: &Store,
    request: &Request,
    namespace: &str,
    (resource, name): (&str, &str),
    metric: &str,
) -> Result<Response, Error> {
    let row = store.row(resource).ok_or_else(Error::no_such_path)?;
    let selector = LabelSelector::parse(request.param("metricLabelSelector"))?;
    let told = store.told_of((namespace, &row.kind, name), metric, Some(&selector));
    let Some(newest) = told.iter().map(|t| t.at).max() else {
        let text = format!("the server could not find the metric {metric} for {resource} {name}");
        return Err(Error::new(404, "NotFound", text));
    };
    let sum: i128 = told.iter().map(|t| t.value).sum();
    Ok(Response::json(
        200,
        &json!({"kind": "MetricValueList", "apiVersion": format!("{CUSTOM}/v1beta2"),
        "metadata": {}, "items": [{
            "describedObject": {"kind": &*row.kind, "namespace": namespace, "name": name,
                "apiVersion": row.api_version()},
            "metric": {"name": metric, "selector": null},
            "timestamp": object::time(newest),
            "value": quantity::format(sum, false),
        }]}),
    ))
}
