//! ReplicaSets and ReplicationControllers.

use serde_json::{Value, json};

use crate::cluster::{Cluster, container};
use crate::world::{REPLICA_SETS, name, status, template, workload};

const FIELDS: [&str; 5] = [
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
];

#[test]
fn there_are_as_many_pods_as_wanted() {
    let mut c = Cluster::new();
    c.create(REPLICA_SETS, workload("web", 3, "stay"));
    c.until(0.0);
    let set = c.object(REPLICA_SETS, "web");
    assert_eq!(
        status(&set, &FIELDS),
        "replicas=3 fullyLabeledReplicas=3 readyReplicas=null availableReplicas=null observedGeneration=1"
    );
    c.until(3.0);
    let set = c.object(REPLICA_SETS, "web");
    assert_eq!(
        status(&set, &FIELDS),
        "replicas=3 fullyLabeledReplicas=3 readyReplicas=3 availableReplicas=3 observedGeneration=1"
    );
    let pods = c.pods_of("web");
    for pod in &pods {
        assert!(name(pod).starts_with("web-") && name(pod).len() == 9, "{}", name(pod));
        assert_eq!(
            pod["metadata"]["ownerReferences"],
            json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web",
                "uid": set["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true}])
        );
    }
    let mut said: Vec<String> =
        pods.iter().map(|p| format!("Normal SuccessfulCreate: Created pod: {}", name(p))).collect();
    said.sort();
    let mut events = c.events("web");
    events.sort();
    assert_eq!(events, said);

    c.edit(REPLICA_SETS, "web", |s| s["spec"]["replicas"] = 1.into());
    c.until(4.0);
    assert_eq!(c.living("web").len(), 1);
    c.until(20.0);
    let set = c.object(REPLICA_SETS, "web");
    assert_eq!(
        status(&set, &FIELDS),
        "replicas=1 fullyLabeledReplicas=1 readyReplicas=1 availableReplicas=1 observedGeneration=2"
    );
    assert_eq!(c.events("web").iter().filter(|e| e.contains("SuccessfulDelete")).count(), 2);
}

#[test]
fn what_is_deleted_fails_or_is_lost_is_replaced() {
    let mut c = Cluster::new();
    c.create(REPLICA_SETS, workload("web", 2, "stay"));
    c.until(3.0);
    let first = name(&c.pods_of("web")[0]);
    c.delete(&first, None);
    c.until(3.0);
    assert_eq!(c.living("web").len(), 2, "the new one does not wait for the end of the old one");
    // A pod that failed counts no more, and stays to be looked at.
    let second = name(&c.living("web")[0]);
    let mut failed = Value::clone(&c.get(&second).unwrap());
    failed["status"]["phase"] = "Failed".into();
    c.store.update_status("pods", failed).unwrap();
    c.until(20.0);
    assert_eq!(c.pods_of("web").len(), 3);
    assert_eq!(c.object(REPLICA_SETS, "web")["status"]["readyReplicas"], 2);
}

#[test]
fn pods_are_adopted_and_released_by_their_labels() {
    let mut c = Cluster::new();
    for name in ["a", "b"] {
        let labels = json!({"app": "web", "was": name});
        c.create(
            "pods",
            json!({"metadata": {"name": name, "namespace": "default", "labels": labels},
                "spec": {"containers": [container("c", "stay")]}}),
        );
    }
    c.until(2.0);
    c.create(REPLICA_SETS, workload("web", 2, "stay"));
    c.until(3.0);
    assert_eq!(c.names("pods"), ["a", "b"]);
    let controller = |c: &Cluster, pod: &str| {
        c.get(pod).unwrap()["metadata"]["ownerReferences"][0]["name"].clone()
    };
    assert_eq!(controller(&c, "a"), "web");
    // Taken out of rotation to be debugged: a new one comes, this one stays.
    c.edit("pods", "a", |p| p["metadata"]["labels"]["app"] = "debug".into());
    c.until(4.0);
    assert_eq!(controller(&c, "a"), Value::Null);
    assert_eq!(c.living("web").len(), 2);
    assert!(c.get("a").unwrap()["metadata"]["deletionTimestamp"].is_null());
    // And back: there is one too many now.
    c.edit("pods", "a", |p| p["metadata"]["labels"]["app"] = "web".into());
    c.until(20.0);
    assert_eq!(c.pods_of("web").len(), 2);
    // Another's pods are left alone.
    let mut other = workload("other", 1, "stay");
    other["spec"]["selector"] = json!({"matchLabels": {"app": "web"}});
    other["spec"]["template"] = template("web", "stay");
    c.create(REPLICA_SETS, other);
    c.until(30.0);
    assert_eq!(c.pods_of("web").len(), 3);
}

#[test]
fn pods_are_available_only_after_min_ready_seconds() {
    let mut c = Cluster::new();
    let mut set = workload("web", 1, "stay");
    set["spec"]["minReadySeconds"] = 10.into();
    c.create(REPLICA_SETS, set);
    c.until(10.0);
    assert_eq!(
        status(&c.object(REPLICA_SETS, "web"), &FIELDS[2..4]),
        "readyReplicas=1 availableReplicas=null"
    );
    c.until(12.0);
    assert_eq!(
        status(&c.object(REPLICA_SETS, "web"), &FIELDS[2..4]),
        "readyReplicas=1 availableReplicas=1"
    );
}

#[test]
fn what_cannot_be_created_is_said_once_a_try_and_tried_again() {
    let mut c = Cluster::new();
    let mut set = workload("web", 100, "stay");
    set["spec"]["template"]["spec"]["serviceAccountName"] = "robot".into();
    c.create(REPLICA_SETS, set);
    c.until(0.0);
    let events = c.events("web");
    // Once at first, and once more since the status changed; each try has a name of its own.
    assert_eq!(events.len(), 2, "the first failure ends the try: {events:?}");
    assert!(
        events.iter().all(|event| {
            event.starts_with("Warning FailedCreate: Error creating: pods \"web-")
                && event.ends_with(
                    "error looking up service account default/robot: serviceaccount \"robot\" not found",
                )
        }),
        "{events:?}"
    );
    let set = c.object(REPLICA_SETS, "web");
    assert_eq!(set["status"]["conditions"][0]["type"], "ReplicaFailure");
    assert_eq!(set["status"]["conditions"][0]["reason"], "FailedCreate");
    c.until(30.0);
    c.create("serviceaccounts", json!({"metadata": {"name": "robot", "namespace": "default"}}));
    c.until(90.0);
    let set = c.object(REPLICA_SETS, "web");
    assert_eq!(status(&set, &["replicas", "conditions"]), "replicas=100 conditions=null");
}

#[test]
fn replication_controllers_do_the_same_with_plain_selectors() {
    let mut c = Cluster::new();
    let metadata = json!({"name": "old", "namespace": "default"});
    let spec = json!({"replicas": 2, "template": template("old", "stay")});
    c.create("replicationcontrollers", json!({"metadata": metadata, "spec": spec}));
    c.until(3.0);
    let set = c.object("replicationcontrollers", "old");
    assert_eq!(set["spec"]["selector"], json!({"app": "old"}));
    assert_eq!(set["metadata"]["labels"], json!({"app": "old"}));
    assert_eq!(set["status"]["readyReplicas"], 2);
    let source = c.store.list("events", Some("default"));
    let source = source.iter().find(|e| e["involvedObject"]["name"] == "old").unwrap();
    assert_eq!(source["source"]["component"], "replication-controller");
}
