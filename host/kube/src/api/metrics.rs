//! `metrics.k8s.io/v1beta1`: what pods and nodes use, as metrics-server answers.

use serde_json::{Value, json};

use super::request::Request;
use super::response::Response;
use crate::store::selector::LabelSelector;
use crate::store::usage::{Sample, Usage};
use crate::store::{Error, Object, Store, object};

const VERSION: &str = "metrics.k8s.io/v1beta1";

/// Answers a path below the group's version.
pub(super) fn get(store: &Store, request: &Request, parts: &[&str]) -> Result<Response, Error> {
    match parts {
        ["nodes"] => list(store, request, "nodes", None),
        ["nodes", name] => one(store, "nodes", "", name),
        ["pods"] => list(store, request, "pods", None),
        ["namespaces", namespace, "pods"] => list(store, request, "pods", Some(namespace)),
        ["namespaces", namespace, "pods", name] => one(store, "pods", namespace, name),
        _ => Err(Error::no_such_path()),
    }
}

fn sample(store: &Store, kind: &str, object: &Value) -> Option<Sample> {
    let (namespace, name) = (object::namespace(object), object::name(object));
    if kind == "pods" {
        // What has ended uses nothing any more.
        let runs = object["status"]["phase"] == "Running";
        store.measured().pod(namespace, name).filter(|_| runs)
    } else {
        store.measured().node(name)
    }
}

fn amounts(usage: &Usage) -> Value {
    json!({"cpu": format!("{}n", usage.nanocores), "memory": format!("{}Ki", usage.memory.div_ceil(1024))})
}

fn view(kind: &str, o: &Value, sample: &Sample) -> Value {
    let mut meta = json!({
        "name": object::name(o),
        "creationTimestamp": object::time(sample.at),
        "labels": o["metadata"]["labels"],
    });
    let seconds = sample.window / 1_000_000_000;
    let mut out = json!({
        "kind": if kind == "pods" { "PodMetrics" } else { "NodeMetrics" },
        "apiVersion": VERSION,
        "timestamp": object::time(sample.at),
        "window": format!("{seconds}s"),
    });
    if kind == "pods" {
        meta["namespace"] = object::namespace(o).into();
        out["containers"] = sample
            .usage
            .iter()
            .map(|(name, usage)| json!({"name": name, "usage": amounts(usage)}))
            .collect();
    } else {
        out["usage"] = amounts(&sample.usage.get("").copied().unwrap_or_default());
    }
    out["metadata"] = meta;
    out
}

fn list(
    store: &Store,
    request: &Request,
    kind: &str,
    namespace: Option<&str>,
) -> Result<Response, Error> {
    let labels = LabelSelector::parse(request.param("labelSelector"))?;
    let objects: Vec<Object> = store.list(kind, namespace);
    let items: Vec<Value> = objects
        .iter()
        .filter(|o| labels.matches(o))
        .filter_map(|o| Some(view(kind, o, &sample(store, kind, o)?)))
        .collect();
    Ok(Response::json(
        200,
        &json!({
            "kind": if kind == "pods" { "PodMetricsList" } else { "NodeMetricsList" },
            "apiVersion": VERSION, "metadata": {}, "items": items,
        }),
    ))
}

fn one(store: &Store, kind: &str, namespace: &str, name: &str) -> Result<Response, Error> {
    let missing = || {
        let group = if kind == "pods" { "podmetrics" } else { "nodemetrics" };
        let full =
            if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
        Error::new(404, "NotFound", format!("{group}.metrics.k8s.io {full:?} not found"))
    };
    let object = store.get(kind, namespace, name).ok_or_else(missing)?;
    let sample = sample(store, kind, &object).ok_or_else(missing)?;
    Ok(Response::json(200, &view(kind, &object, &sample)))
}
