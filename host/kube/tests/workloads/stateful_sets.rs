//! StatefulSets: names, order, volumes, revisions.

use podlab_kube::store::Propagation;
use serde_json::{Value, json};

use crate::cluster::{Cluster, container, with};
use crate::world::{REVISIONS, STATEFUL_SETS, name, status, workload};

const FIELDS: [&str; 5] =
    ["replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas"];

fn set(replicas: i64, script: &str) -> Value {
    let mut s = workload("db", replicas, script);
    s["spec"]["serviceName"] = "db".into();
    s
}

fn image(d: &mut Value, text: &str) {
    d["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["say", text, "stay"]);
}

/// What each pod is of: `NAME=WORDS`, `-` before those on their way out.
fn pods(c: &Cluster) -> String {
    let words: Vec<String> = c
        .pods_of("db")
        .iter()
        .map(|p| {
            let going = if p["metadata"]["deletionTimestamp"].is_string() { "-" } else { "" };
            let args = p["spec"]["containers"][0]["args"].as_array().unwrap();
            let text = if args[0] == "say" { args[1].as_str().unwrap() } else { "one" };
            format!("{going}{}={text}", name(p))
        })
        .collect();
    words.join(" ")
}

#[test]
fn pods_come_in_order_and_go_in_reverse() {
    let mut c = Cluster::new();
    let mut s = set(3, "stay");
    let probe = json!({"tcpSocket": {"port": 1}, "periodSeconds": 1});
    s["spec"]["template"]["spec"]["containers"] = json!([with(
        container("c", "drain 2 sleep 3 serve 1 stay"),
        json!({"readinessProbe": probe})
    )]);
    c.create(STATEFUL_SETS, s);
    c.until(1.0);
    assert_eq!(c.names("pods"), ["db-0"]);
    c.until(6.0);
    assert_eq!(c.names("pods"), ["db-0", "db-1"]);
    c.until(20.0);
    assert_eq!(c.names("pods"), ["db-0", "db-1", "db-2"]);
    let s = c.object(STATEFUL_SETS, "db");
    assert_eq!(
        status(&s, &FIELDS),
        "replicas=3 readyReplicas=3 availableReplicas=3 currentReplicas=3 updatedReplicas=3"
    );
    assert_eq!(
        c.events("db"),
        [
            "Normal SuccessfulCreate: create Pod db-0 in StatefulSet db successful",
            "Normal SuccessfulCreate: create Pod db-1 in StatefulSet db successful",
            "Normal SuccessfulCreate: create Pod db-2 in StatefulSet db successful",
        ]
    );
    let pod = c.get("db-1").unwrap();
    assert_eq!(pod["spec"]["hostname"], "db-1");
    assert_eq!(pod["spec"]["subdomain"], "db");
    let revision = s["status"]["currentRevision"].clone();
    assert_eq!(
        pod["metadata"]["labels"],
        json!({"app": "db", "apps.kubernetes.io/pod-index": "1", "controller-revision-hash": revision,
            "statefulset.kubernetes.io/pod-name": "db-1"})
    );
    assert_eq!(c.object(REVISIONS, revision.as_str().unwrap())["revision"], 1);
    c.edit(STATEFUL_SETS, "db", |s| s["spec"]["replicas"] = 1.into());
    c.until(20.0);
    assert_eq!(
        pods(&c).matches("=-").count() + pods(&c).matches("-db").count(),
        1,
        "one at a time"
    );
    c.until(60.0);
    assert_eq!(c.names("pods"), ["db-0"]);
    assert!(c.events("db")[3].ends_with("delete Pod db-2 in StatefulSet db successful"));
    assert!(c.events("db")[4].ends_with("delete Pod db-1 in StatefulSet db successful"));
}

#[test]
fn in_parallel_nobody_waits() {
    let mut c = Cluster::new();
    let mut s = set(3, "stay");
    s["spec"]["podManagementPolicy"] = "Parallel".into();
    s["spec"]["ordinals"] = json!({"start": 5});
    c.create(STATEFUL_SETS, s);
    c.until(0.0);
    assert_eq!(c.names("pods"), ["db-5", "db-6", "db-7"]);
    c.until(5.0);
    c.edit(STATEFUL_SETS, "db", |s| s["spec"]["replicas"] = 0.into());
    c.until(5.0);
    assert_eq!(c.living("db").len(), 0);
}

#[test]
fn a_deleted_pod_comes_back_with_its_name_and_its_data() {
    let mut c = Cluster::new();
    let mut s = set(2, "read /d/x write /d/x kept stay");
    s["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "data", "mountPath": "/d"}]);
    s["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]);
    c.create(STATEFUL_SETS, s);
    c.until(30.0);
    assert_eq!(c.names("persistentvolumeclaims"), ["data-db-0", "data-db-1"]);
    assert_eq!(
        c.object("persistentvolumeclaims", "data-db-0")["metadata"]["labels"],
        json!({"app": "db"})
    );
    assert_eq!(c.log("db-0", "c"), ["/d/x: ENOENT"]);
    assert_eq!(
        c.events("db")[..2],
        [
            "Normal SuccessfulCreate: create Claim data-db-0 Pod db-0 in StatefulSet db success",
            "Normal SuccessfulCreate: create Pod db-0 in StatefulSet db successful",
        ]
    );
    let before = c.get("db-0").unwrap()["metadata"]["uid"].clone();
    c.delete("db-0", None);
    c.until(60.0);
    assert_ne!(c.get("db-0").unwrap()["metadata"]["uid"], before);
    assert_eq!(c.log("db-0", "c"), ["kept"]);
    // Scaled down and deleted, claims stay: that is the default.
    c.edit(STATEFUL_SETS, "db", |s| s["spec"]["replicas"] = 1.into());
    c.until(90.0);
    c.remove(STATEFUL_SETS, "db", Propagation::Background);
    c.until(120.0);
    assert_eq!(c.names("pods"), [""; 0]);
    assert_eq!(c.names(REVISIONS), [""; 0]);
    assert_eq!(c.names("persistentvolumeclaims"), ["data-db-0", "data-db-1"]);
}

#[test]
fn claims_go_as_the_policy_says() {
    for (when_scaled, when_deleted) in
        [("Delete", "Retain"), ("Retain", "Delete"), ("Delete", "Delete")]
    {
        let mut c = Cluster::new();
        let mut s = set(2, "stay");
        s["spec"]["persistentVolumeClaimRetentionPolicy"] =
            json!({"whenScaled": when_scaled, "whenDeleted": when_deleted});
        s["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]);
        c.create(STATEFUL_SETS, s);
        c.until(30.0);
        c.edit(STATEFUL_SETS, "db", |s| s["spec"]["replicas"] = 1.into());
        c.until(90.0);
        let left = if when_scaled == "Delete" { 1 } else { 2 };
        assert_eq!(c.names("persistentvolumeclaims").len(), left, "{when_scaled} {when_deleted}");
        c.remove(STATEFUL_SETS, "db", Propagation::Background);
        c.until(150.0);
        let left = if when_deleted == "Delete" { 0 } else { left };
        assert_eq!(c.names("persistentvolumeclaims").len(), left, "{when_scaled} {when_deleted}");
    }
}

#[test]
fn an_update_goes_from_the_last_pod_down_to_the_partition() {
    let mut c = Cluster::new();
    let mut s = set(3, "drain 2 stay");
    s["spec"]["updateStrategy"] =
        json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}});
    c.create(STATEFUL_SETS, s);
    c.until(30.0);
    let first = c.object(STATEFUL_SETS, "db")["status"]["currentRevision"].clone();
    c.edit(STATEFUL_SETS, "db", |s| image(s, "two"));
    c.until(31.0);
    assert_eq!(pods(&c), "db-0=one db-1=one -db-2=one");
    c.until(90.0);
    assert_eq!(pods(&c), "db-0=one db-1=two db-2=two");
    let s = c.object(STATEFUL_SETS, "db");
    assert_eq!(status(&s, &FIELDS[3..]), "currentReplicas=1 updatedReplicas=2");
    assert_eq!(s["status"]["currentRevision"], first);
    // Who is below the partition comes back as it was.
    c.delete("db-0", None);
    c.until(120.0);
    assert_eq!(pods(&c), "db-0=one db-1=two db-2=two");
    c.edit(STATEFUL_SETS, "db", |s| {
        s["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = 0.into();
    });
    c.until(150.0);
    assert_eq!(pods(&c), "db-0=two db-1=two db-2=two");
    let s = c.object(STATEFUL_SETS, "db");
    assert_eq!(s["status"]["currentRevision"], s["status"]["updateRevision"]);
    assert_eq!(status(&s, &FIELDS[3..]), "currentReplicas=3 updatedReplicas=3");
    // Back again: the old revision gets a new number.
    c.edit(STATEFUL_SETS, "db", |s| {
        s["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["drain", "2", "stay"]);
    });
    c.until(250.0);
    assert_eq!(pods(&c), "db-0=one db-1=one db-2=one");
    assert_eq!(c.names(REVISIONS).len(), 2);
    assert_eq!(c.object(REVISIONS, first.as_str().unwrap())["revision"], 3);
}

#[test]
fn on_delete_only_what_is_deleted_is_renewed() {
    let mut c = Cluster::new();
    let mut s = set(2, "stay");
    s["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    c.create(STATEFUL_SETS, s);
    c.until(20.0);
    c.edit(STATEFUL_SETS, "db", |s| image(s, "two"));
    c.until(40.0);
    assert_eq!(pods(&c), "db-0=one db-1=one");
    c.delete("db-0", None);
    c.until(60.0);
    assert_eq!(pods(&c), "db-0=two db-1=one");
}

#[test]
fn a_pod_on_a_lost_node_is_not_replaced_until_it_is_surely_gone() {
    let mut c = Cluster::new();
    c.create(STATEFUL_SETS, set(1, "stay"));
    c.until(10.0);
    let node = c.get("db-0").unwrap()["spec"]["nodeName"].as_str().unwrap().to_owned();
    c.control.node_down(&node).unwrap();
    c.delete("db-0", None);
    c.until(400.0);
    assert!(c.get("db-0").unwrap()["metadata"]["deletionTimestamp"].is_string());
    c.delete("db-0", Some(0));
    c.until(420.0);
    assert_eq!(c.status("db-0")["phase"], "Running");
}
