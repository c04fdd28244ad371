//! The lines of workloads that go on (`printDeployment` and its like in printers.go).

use serde_json::Value;

use super::batch::{containers, selector};
use super::{Column, age};
use crate::store::object;

pub(super) const DEPLOYMENT: &[Column] = &[
    ("Name", 0),
    ("Ready", 0),
    ("Up-to-date", 0),
    ("Available", 0),
    ("Age", 0),
    ("Containers", 1),
    ("Images", 1),
    ("Selector", 1),
];
pub(super) const REPLICA_SET: &[Column] = &[
    ("Name", 0),
    ("Desired", 0),
    ("Current", 0),
    ("Ready", 0),
    ("Age", 0),
    ("Containers", 1),
    ("Images", 1),
    ("Selector", 1),
];
pub(super) const DAEMON_SET: &[Column] = &[
    ("Name", 0),
    ("Desired", 0),
    ("Current", 0),
    ("Ready", 0),
    ("Up-to-date", 0),
    ("Available", 0),
    ("Node Selector", 0),
    ("Age", 0),
    ("Containers", 1),
    ("Images", 1),
    ("Selector", 1),
];
pub(super) const STATEFUL_SET: &[Column] =
    &[("Name", 0), ("Ready", 0), ("Age", 0), ("Containers", 1), ("Images", 1)];
pub(super) const REVISION: &[Column] =
    &[("Name", 0), ("Controller", 0), ("Revision", 0), ("Age", 0)];
pub(super) const POD_TEMPLATE: &[Column] =
    &[("Name", 0), ("Containers", 0), ("Images", 0), ("Pod Labels", 0)];

fn name(o: &Value) -> Value {
    object::name(o).into()
}

fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Labels as `labels.FormatLabels` prints them.
fn labels(map: &Value) -> String {
    let mut pairs: Vec<String> = map
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")))
        .collect();
    pairs.sort();
    if pairs.is_empty() { "<none>".into() } else { pairs.join(",") }
}

pub(super) fn deployment(o: &Value, now: u64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let [names, images] = containers(&spec["template"]);
    vec![
        name(o),
        format!("{}/{}", int(&status["readyReplicas"]), int(&spec["replicas"])).into(),
        int(&status["updatedReplicas"]).into(),
        int(&status["availableReplicas"]).into(),
        age(o, now),
        names,
        images,
        selector(&spec["selector"]).into(),
    ]
}

fn replicas(o: &Value, now: u64, selector: String) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let [names, images] = containers(&spec["template"]);
    vec![
        name(o),
        int(&spec["replicas"]).into(),
        int(&status["replicas"]).into(),
        int(&status["readyReplicas"]).into(),
        age(o, now),
        names,
        images,
        selector.into(),
    ]
}

pub(super) fn replica_set(o: &Value, now: u64) -> Vec<Value> {
    replicas(o, now, selector(&o["spec"]["selector"]))
}

pub(super) fn replication_controller(o: &Value, now: u64) -> Vec<Value> {
    replicas(o, now, labels(&o["spec"]["selector"]))
}

pub(super) fn daemon_set(o: &Value, now: u64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let [names, images] = containers(&spec["template"]);
    vec![
        name(o),
        int(&status["desiredNumberScheduled"]).into(),
        int(&status["currentNumberScheduled"]).into(),
        int(&status["numberReady"]).into(),
        int(&status["updatedNumberScheduled"]).into(),
        int(&status["numberAvailable"]).into(),
        labels(&spec["template"]["spec"]["nodeSelector"]).into(),
        age(o, now),
        names,
        images,
        selector(&spec["selector"]).into(),
    ]
}

pub(super) fn stateful_set(o: &Value, now: u64) -> Vec<Value> {
    let [names, images] = containers(&o["spec"]["template"]);
    vec![
        name(o),
        format!("{}/{}", int(&o["status"]["readyReplicas"]), int(&o["spec"]["replicas"])).into(),
        age(o, now),
        names,
        images,
    ]
}

pub(super) fn revision(o: &Value, now: u64) -> Vec<Value> {
    let owner = object::controller(o).map_or("<none>".into(), |r| {
        let text = |f: &str| r[f].as_str().unwrap_or("");
        let kind = text("kind").to_lowercase();
        match text("apiVersion").split_once('/') {
            Some((group, _)) => format!("{kind}.{group}/{}", text("name")),
            None => format!("{kind}/{}", text("name")),
        }
    });
    vec![name(o), owner.into(), int(&o["revision"]).into(), age(o, now)]
}

pub(super) fn pod_template(o: &Value, _: u64) -> Vec<Value> {
    let [names, images] = containers(&o["template"]);
    vec![name(o), names, images, labels(&o["template"]["metadata"]["labels"]).into()]
}
