//! Short words for what tests of workloads do.

use std::sync::Arc;

use podlab_kube::store::{DeleteOptions, Propagation};
use serde_json::{Value, json};

use crate::cluster::{Cluster, container};

pub const DEPLOYMENTS: &str = "deployments.apps";
pub const REPLICA_SETS: &str = "replicasets.apps";
pub const STATEFUL_SETS: &str = "statefulsets.apps";
pub const DAEMON_SETS: &str = "daemonsets.apps";
pub const REVISIONS: &str = "controllerrevisions.apps";

/// A pod template labelled `app` whose only container runs `script`.
pub fn template(app: &str, script: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": app}},
        "spec": {"terminationGracePeriodSeconds": 5, "containers": [container("c", script)]},
    })
}

/// A workload `name` in `default` whose pods are labelled `app: name`.
pub fn workload(name: &str, replicas: i64, script: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, script),
        },
    })
}

impl Cluster {
    pub fn object(&self, resource: &str, name: &str) -> Arc<Value> {
        let found = self.store.get(resource, "default", name);
        found.unwrap_or_else(|| panic!("no {resource} {name}"))
    }

    /// Changes an object's spec or metadata; conflicts that tests ask for do not reach this.
    pub fn edit(&self, resource: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut new = Value::clone(&self.object(resource, name));
        change(&mut new);
        self.store.update(resource, new).unwrap_or_else(|e| panic!("{name}: {}", e.message));
    }

    pub fn remove(&self, resource: &str, name: &str, propagation: Propagation) {
        let options = DeleteOptions { propagation, ..DeleteOptions::default() };
        self.store.delete(resource, "default", name, &options).unwrap();
    }

    /// Names of the objects of a kind in `default`.
    pub fn names(&self, resource: &str) -> Vec<String> {
        let all = self.store.list(resource, Some("default"));
        all.iter().map(|o| o["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The pods with this `app` label.
    pub fn pods_of(&self, app: &str) -> Vec<Arc<Value>> {
        let mut all = self.store.list("pods", Some("default"));
        all.retain(|p| p["metadata"]["labels"]["app"] == app);
        all
    }

    /// Those of them that are not on their way out.
    pub fn living(&self, app: &str) -> Vec<Arc<Value>> {
        let mut all = self.pods_of(app);
        all.retain(|p| p["metadata"]["deletionTimestamp"].is_null());
        all
    }
}

pub fn name(o: &Value) -> String {
    o["metadata"]["name"].as_str().unwrap_or("").to_owned()
}

/// The numbers and words of these fields of an object's status.
pub fn status(o: &Value, fields: &[&str]) -> String {
    let words: Vec<String> = fields.iter().map(|f| format!("{f}={}", o["status"][*f])).collect();
    words.join(" ")
}

/// Status and reason of a condition.
pub fn condition(o: &Value, kind: &str) -> String {
    let all = o["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let Some(found) = all.iter().find(|c| c["type"] == kind) else { return "(none)".into() };
    let word = |f: &str| found[f].as_str().unwrap_or("").to_owned();
    format!("{} {}: {}", word("status"), word("reason"), word("message"))
}
