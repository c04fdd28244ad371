//! DaemonSets: one pod a node.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::world::{DAEMON_SETS, REVISIONS, status, workload};

const FIELDS: [&str; 7] = [
    "desiredNumberScheduled",
    "currentNumberScheduled",
    "numberReady",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "numberMisscheduled",
];

fn set(script: &str) -> Value {
    let mut s = workload("agent", 1, script);
    s["spec"].as_object_mut().unwrap().remove("replicas");
    s
}

fn nodes(c: &Cluster) -> Vec<String> {
    let mut all: Vec<String> = c
        .living("agent")
        .iter()
        .map(|p| p["spec"]["nodeName"].as_str().unwrap_or("").to_owned())
        .collect();
    all.sort();
    all
}

fn edit_node(c: &Cluster, name: &str, change: impl FnOnce(&mut Value)) {
    let mut node = Value::clone(&c.store.get("nodes", "", name).unwrap());
    change(&mut node);
    c.store.update("nodes", node).unwrap();
}

#[test]
fn every_node_that_takes_it_has_one() {
    let mut c = Cluster::new();
    edit_node(&c, "node-3", |n| {
        n["spec"]["taints"] = json!([{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]);
    });
    // Cordoned: daemons run there all the same.
    edit_node(&c, "node-2", |n| n["spec"]["unschedulable"] = true.into());
    c.create(DAEMON_SETS, set("stay"));
    c.until(5.0);
    assert_eq!(nodes(&c), ["node-1", "node-2"]);
    let s = c.object(DAEMON_SETS, "agent");
    assert_eq!(
        status(&s, &FIELDS),
        "desiredNumberScheduled=2 currentNumberScheduled=2 numberReady=2 updatedNumberScheduled=2 numberAvailable=2 numberUnavailable=null numberMisscheduled=0"
    );
    assert_eq!(
        s["metadata"]["annotations"],
        json!({"deprecated.daemonset.template.generation": "1"})
    );
    let pod = &c.living("agent")[0];
    assert_eq!(pod["metadata"]["labels"]["pod-template-generation"], "1");
    let hash = pod["metadata"]["labels"]["controller-revision-hash"].as_str().unwrap();
    assert_eq!(c.names(REVISIONS), [format!("agent-{hash}")]);
    let keys: Vec<&str> = pod["spec"]["tolerations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["key"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(
        keys,
        [
            "not-ready",
            "unreachable",
            "disk-pressure",
            "memory-pressure",
            "pid-pressure",
            "unschedulable"
        ]
    );
    assert!(
        pod["spec"]["tolerations"][0]["tolerationSeconds"].is_null(),
        "daemons stay on a lost node"
    );
    // The taint goes, and the next node has its own.
    edit_node(&c, "node-3", |n| n["spec"]["taints"] = json!([]));
    c.until(10.0);
    assert_eq!(nodes(&c), ["node-1", "node-2", "node-3"]);
    // A new taint without execution lets what runs stay, as misplaced.
    edit_node(&c, "node-1", |n| {
        n["spec"]["taints"] = json!([{"key": "gpu", "effect": "NoSchedule"}]);
    });
    c.until(15.0);
    assert_eq!(nodes(&c).len(), 3);
    assert_eq!(c.object(DAEMON_SETS, "agent")["status"]["numberMisscheduled"], 1);
    edit_node(&c, "node-1", |n| {
        n["spec"]["taints"] = json!([{"key": "gpu", "effect": "NoExecute"}]);
    });
    c.until(20.0);
    assert_eq!(nodes(&c), ["node-2", "node-3"]);
}

#[test]
fn selectors_choose_the_nodes_and_labels_bring_them_in() {
    let mut c = Cluster::new();
    let mut s = set("stay");
    s["spec"]["template"]["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    c.create(DAEMON_SETS, s);
    c.until(3.0);
    assert_eq!(nodes(&c), [""; 0]);
    edit_node(&c, "node-2", |n| n["metadata"]["labels"]["disk"] = "ssd".into());
    c.until(6.0);
    assert_eq!(nodes(&c), ["node-2"]);
    edit_node(&c, "node-2", |n| n["metadata"]["labels"]["disk"] = "hdd".into());
    c.until(15.0);
    assert_eq!(nodes(&c), [""; 0]);
}

#[test]
fn a_rolling_update_renews_so_many_at_once() {
    for (unavailable, most_down) in [(json!(1), 1), (json!("50%"), 2), (json!(3), 3)] {
        let mut c = Cluster::new();
        let mut s = set("stay");
        s["spec"]["updateStrategy"] =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable}});
        s["spec"]["minReadySeconds"] = 2.into();
        c.create(DAEMON_SETS, s);
        c.until(10.0);
        c.edit(DAEMON_SETS, "agent", |s| {
            s["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["say", "two", "stay"]);
        });
        let mut most = 0;
        for step in 0..400u32 {
            c.until(10.0 + f64::from(step) * 0.1);
            let s = c.object(DAEMON_SETS, "agent");
            most = most.max(3 - s["status"]["numberAvailable"].as_i64().unwrap_or(0));
        }
        let s = c.object(DAEMON_SETS, "agent");
        assert_eq!(
            status(&s, &FIELDS[3..5]),
            "updatedNumberScheduled=3 numberAvailable=3",
            "{unavailable}"
        );
        assert_eq!(most, most_down, "{unavailable}");
        assert_eq!(c.names(REVISIONS).len(), 2);
        assert!(
            c.living("agent")
                .iter()
                .all(|p| p["metadata"]["labels"]["pod-template-generation"] == "2")
        );
    }
}

#[test]
fn with_surge_the_new_pod_is_there_before_the_old_one_goes() {
    let mut c = Cluster::new();
    let mut s = set("stay");
    s["spec"]["updateStrategy"] =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    c.create(DAEMON_SETS, s);
    c.until(5.0);
    c.edit(DAEMON_SETS, "agent", |s| {
        s["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["say", "two", "stay"]);
    });
    let mut most = 0;
    for step in 0..400u32 {
        c.until(5.0 + f64::from(step) * 0.1);
        let mut ready: BTreeMap<String, u32> = BTreeMap::new();
        for p in c.living("agent") {
            let conditions = p["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let is = conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
            let node = p["spec"]["nodeName"].as_str().unwrap_or("").to_owned();
            *ready.entry(node).or_default() += u32::from(is);
        }
        ready.remove("");
        assert!(ready.len() == 3 && ready.values().all(|n| *n > 0), "{ready:?}");
        most = most.max(c.living("agent").len());
    }
    assert_eq!(most, 4);
    let s = c.object(DAEMON_SETS, "agent");
    assert_eq!(status(&s, &FIELDS[3..5]), "updatedNumberScheduled=3 numberAvailable=3");
}

#[test]
fn on_delete_only_what_is_deleted_is_renewed() {
    let mut c = Cluster::new();
    let mut s = set("stay");
    s["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    c.create(DAEMON_SETS, s);
    c.until(5.0);
    c.edit(DAEMON_SETS, "agent", |s| {
        s["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["say", "two", "stay"]);
    });
    c.until(20.0);
    assert_eq!(c.object(DAEMON_SETS, "agent")["status"]["updatedNumberScheduled"], Value::Null);
    let victim = crate::world::name(&c.living("agent")[0]);
    c.delete(&victim, None);
    c.until(40.0);
    assert_eq!(c.object(DAEMON_SETS, "agent")["status"]["updatedNumberScheduled"], 1);
}
