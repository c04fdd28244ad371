//! What Kubernetes fills in in workloads (`pkg/apis/apps/v1/defaults.go`).

use serde_json::{Map, Value, json};

use crate::store::object::map_mut;

fn put(map: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    let slot = map.entry(field).or_insert(Value::Null);
    if slot.is_null() || slot == "" {
        *slot = value.into();
    }
}

fn object<'a>(map: &'a mut Map<String, Value>, field: &str) -> &'a mut Map<String, Value> {
    map_mut(map.entry(field).or_insert(Value::Null))
}

fn spec(workload: &mut Value) -> &mut Map<String, Value> {
    let spec = object(map_mut(workload), "spec");
    super::job::template(spec);
    spec
}

pub(super) fn deployment(workload: &mut Value) {
    let spec = spec(workload);
    put(spec, "replicas", 1);
    let strategy = object(spec, "strategy");
    put(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = object(strategy, "rollingUpdate");
        put(rolling, "maxUnavailable", "25%");
        put(rolling, "maxSurge", "25%");
    }
    put(spec, "revisionHistoryLimit", 10);
    put(spec, "progressDeadlineSeconds", 600);
}

pub(super) fn replica_set(workload: &mut Value) {
    put(spec(workload), "replicas", 1);
}

/// A ReplicationController also takes labels and selector from its template.
pub(super) fn replication_controller(workload: &mut Value) {
    let spec = spec(workload);
    put(spec, "replicas", 1);
    let labels = spec["template"]["metadata"]["labels"].clone();
    if labels.as_object().is_none_or(Map::is_empty) {
        return;
    }
    if spec.get("selector").and_then(Value::as_object).is_none_or(Map::is_empty) {
        spec.insert("selector".into(), labels.clone());
    }
    let meta = object(map_mut(workload), "metadata");
    if meta.get("labels").and_then(Value::as_object).is_none_or(Map::is_empty) {
        meta.insert("labels".into(), labels);
    }
}

pub(super) fn daemon_set(workload: &mut Value) {
    let spec = spec(workload);
    let strategy = object(spec, "updateStrategy");
    put(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = object(strategy, "rollingUpdate");
        put(rolling, "maxUnavailable", 1);
        put(rolling, "maxSurge", 0);
    }
    put(spec, "revisionHistoryLimit", 10);
}

pub(super) fn stateful_set(workload: &mut Value) {
    let spec = spec(workload);
    put(spec, "replicas", 1);
    put(spec, "podManagementPolicy", "OrderedReady");
    let strategy = object(spec, "updateStrategy");
    put(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        put(object(strategy, "rollingUpdate"), "partition", 0);
    }
    let retention = object(spec, "persistentVolumeClaimRetentionPolicy");
    put(retention, "whenDeleted", "Retain");
    put(retention, "whenScaled", "Retain");
    put(spec, "revisionHistoryLimit", 10);
    let claims = spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut);
    for claim in claims.into_iter().flatten() {
        let claim = map_mut(claim);
        claim.insert("apiVersion".into(), "v1".into());
        claim.insert("kind".into(), "PersistentVolumeClaim".into());
        object(claim, "metadata").entry("creationTimestamp").or_insert(Value::Null);
        put(object(claim, "spec"), "volumeMode", "Filesystem");
        claim.insert("status".into(), json!({"phase": "Pending"}));
    }
}
