//! Cordons, taints and nodes that go.

use serde_json::{Value, json};

use crate::cluster::{Cluster, container, with};

fn edit(c: &Cluster, name: &str, change: impl Fn(&mut Value)) {
    let mut node = Value::clone(&c.store.get("nodes", "", name).unwrap());
    change(&mut node);
    c.store.update("nodes", node).unwrap();
}

fn taints(c: &Cluster, name: &str) -> Vec<String> {
    let node = c.store.get("nodes", "", name).unwrap();
    let all = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    all.iter()
        .map(|t| format!("{}:{}", t["key"].as_str().unwrap(), t["effect"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_cordon_is_a_taint() {
    let mut c = Cluster::new();
    c.until(1.0);
    let events = c.store.list("events", Some("default"));
    let said: Vec<&str> = events
        .iter()
        .filter(|e| e["reason"] == "RegisteredNode")
        .filter_map(|e| e["message"].as_str())
        .collect();
    assert_eq!(said.len(), 3);
    assert_eq!(said[0], "Node node-1 event: Registered Node node-1 in Controller");
    edit(&c, "node-1", |n| n["spec"]["unschedulable"] = true.into());
    c.until(2.0);
    assert_eq!(taints(&c, "node-1"), ["node.kubernetes.io/unschedulable:NoSchedule"]);
    edit(&c, "node-1", |n| {
        n["spec"].as_object_mut().unwrap().remove("unschedulable");
    });
    c.until(3.0);
    assert!(taints(&c, "node-1").is_empty());
}

#[test]
fn a_no_execute_taint_drives_pods_away_when_their_patience_ends() {
    let mut c = Cluster::with(7, 1, Default::default());
    let pod = |name: &str, tolerations: Value| {
        c.pod(
            name,
            json!({"tolerations": tolerations, "containers": [container("c", "drain 5 stay")]}),
        )
    };
    pod("none", json!([]));
    pod(
        "some",
        json!([{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20}]),
    );
    pod(
        "back",
        json!([{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}]),
    );
    pod("ever", json!([{"operator": "Exists"}]));
    c.until(5.0);
    edit(&c, "node-1", |n| {
        n["spec"]["taints"] = json!([{"key": "k", "value": "v", "effect": "NoExecute"}])
    });
    c.until(5.0);
    assert_eq!(
        c.condition("none", "DisruptionTarget"),
        "True DeletionByTaintManager Taint manager: deleting due to NoExecute taint"
    );
    assert!(
        c.events("none")
            .contains(&"Normal TaintManagerEviction: Marking for deletion Pod default/none".into())
    );
    c.until(24.0);
    assert!(c.get("none").is_none() && c.get("some").is_some());
    c.until(31.0);
    assert!(c.get("some").is_none());
    edit(&c, "node-1", |n| n["spec"]["taints"] = json!([]));
    c.until(100.0);
    assert!(c.get("back").is_some() && c.get("ever").is_some());
    assert!(
        c.events("back").contains(
            &"Normal TaintManagerEviction: Cancelling deletion of Pod default/back".into()
        ),
        "{:?}",
        c.events("back")
    );
}

#[test]
fn a_lost_node_gives_its_pods_up_after_five_minutes_and_a_deleted_one_after_forty_seconds() {
    let mut c = Cluster::with(7, 2, Default::default());
    let stay = container("c", "stay");
    c.pod("a", json!({"nodeName": "node-1", "containers": [stay]}));
    c.pod(
        "b",
        json!({"nodeName": "node-2", "containers": [with(container("c", "stay"), json!({}))]}),
    );
    c.until(15.0);
    c.control.node_down("node-1").unwrap();
    c.until(61.0);
    assert_eq!(
        taints(&c, "node-1"),
        ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"]
    );
    assert!(c.condition("a", "Ready").starts_with("False"));
    c.until(350.0);
    assert!(c.get("a").unwrap()["metadata"]["deletionTimestamp"].is_null());
    c.until(366.0);
    assert!(
        c.get("a").unwrap()["metadata"]["deletionTimestamp"].is_string(),
        "it goes, but who should say that it is gone?"
    );
    edit(&c, "node-1", |n| {
        n["spec"]["taints"].as_array_mut().unwrap().push(json!({"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}))
    });
    c.until(370.0);
    assert!(c.get("a").is_none());
    c.control.node_down("node-2").unwrap();
    c.store.delete("nodes", "", "node-2", &Default::default()).unwrap();
    c.until(400.0);
    assert!(c.get("b").is_some());
    c.until(415.0);
    assert!(c.get("b").is_none());
}
