//! Which node a pod runs on.

use std::collections::BTreeMap;

use serde_json::json;

use crate::cluster::{Cluster, container, with};

fn requests(cpu: &str) -> serde_json::Value {
    with(container("c", "stay"), json!({"resources": {"requests": {"cpu": cpu}}}))
}

#[test]
fn pods_are_spread_over_nodes() {
    let mut c = Cluster::new();
    for i in 0..6 {
        c.pod(&format!("p{i}"), json!({"containers": [requests("500m")]}));
    }
    c.until(3.0);
    let mut count: BTreeMap<String, u32> = BTreeMap::new();
    for i in 0..6 {
        let pod = c.get(&format!("p{i}")).unwrap();
        *count.entry(pod["spec"]["nodeName"].as_str().unwrap().into()).or_default() += 1;
    }
    assert_eq!(count.into_values().collect::<Vec<_>>(), [2, 2, 2]);
}

#[test]
fn what_fits_nowhere_waits_says_why_and_comes_when_there_is_room() {
    let mut c = Cluster::with(7, 2, Default::default());
    c.pod("a", json!({"containers": [requests("3")]}));
    c.pod("b", json!({"containers": [requests("3")]}));
    c.until(2.0);
    c.pod("late", json!({"containers": [requests("2")]}));
    c.until(3.0);
    let text = "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.";
    assert_eq!(c.condition("late", "PodScheduled"), format!("False Unschedulable {text}"));
    assert_eq!(c.events("late")[0], format!("Warning FailedScheduling: {text}"));
    assert_eq!(c.status("late")["phase"], "Pending");
    c.delete("a", Some(0));
    c.until(15.0);
    assert_eq!(c.status("late")["phase"], "Running");
    assert_eq!(c.condition("late", "PodScheduled"), "True");
}

#[test]
fn selectors_taints_and_cordons_are_kept() {
    let mut c = Cluster::with(7, 3, Default::default());
    let edit = |name: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let mut node = serde_json::Value::clone(&c.store.get("nodes", "", name).unwrap());
        change(&mut node);
        c.store.update("nodes", node).unwrap();
    };
    edit("node-1", &|n| n["metadata"]["labels"]["disk"] = "ssd".into());
    edit("node-2", &|n| n["spec"]["unschedulable"] = true.into());
    edit("node-3", &|n| {
        n["spec"]["taints"] = json!([{"key": "k", "value": "v", "effect": "NoSchedule"}])
    });
    c.until(1.0);
    c.pod("plain", json!({"containers": [container("c", "stay")]}));
    c.pod(
        "picky",
        json!({"nodeSelector": {"disk": "ssd"}, "containers": [container("c", "stay")]}),
    );
    c.pod("none", json!({"nodeSelector": {"disk": "hdd"}, "containers": [container("c", "stay")]}));
    c.pod(
        "bold",
        json!({"containers": [requests("4")],
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule"}]}),
    );
    c.pod("given", json!({"nodeName": "node-2", "containers": [container("c", "stay")]}));
    c.until(3.0);
    let node = |pod: &str| c.get(pod).unwrap()["spec"]["nodeName"].clone();
    assert_eq!(node("plain"), "node-1");
    assert_eq!(node("picky"), "node-1");
    assert_eq!(node("given"), "node-2");
    assert_eq!(c.status("given")["phase"], "Running");
    assert_eq!(
        c.condition("none", "PodScheduled"),
        "False Unschedulable 0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint {k: v}, 1 node(s) were unschedulable. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
    assert!(
        ["node-1", "node-3"].contains(&node("bold").as_str().unwrap_or("")),
        "{:?}",
        node("bold")
    );
}

#[test]
fn a_node_that_lost_its_power_comes_back_with_its_pods() {
    let mut c = Cluster::with(7, 1, Default::default());
    c.pod("p", json!({"containers": [container("c", "stay")]}));
    c.until(5.0);
    c.control.node_down("node-1").unwrap();
    assert!(c.control.node_down("node-9").unwrap_err().contains("no node \"node-9\""));
    c.until(10.0);
    assert!(c.control.kill("default", "p", "c").is_err());
    c.control.node_up("node-1").unwrap();
    c.until(30.0);
    let status = c.status("p");
    assert_eq!(status["phase"], "Running");
    assert_eq!(status["containerStatuses"][0]["restartCount"], 1);
}

#[test]
fn after_a_power_cut_init_containers_do_their_work_again() {
    let mut c = Cluster::with(7, 1, Default::default());
    c.pod(
        "p",
        json!({
            "initContainers": [container("i", "sleep 2 exit 0")],
            "containers": [container("c", "stay")],
        }),
    );
    c.until(5.0);
    c.control.node_down("node-1").unwrap();
    c.until(10.0);
    c.control.node_up("node-1").unwrap();
    c.until(11.5);
    assert_eq!(c.summary("p"), "Pending | i running unready 1 | c Unknown(255) unready 0");
    c.until(20.0);
    assert_eq!(c.summary("p"), "Running | i Completed(0) ready 1 | c running ready 1");
}

#[test]
fn a_pod_that_is_done_gives_its_address_back_and_keeps_its_log() {
    let mut c = Cluster::with(7, 1, Default::default());
    let once = json!({"restartPolicy": "Never", "containers": [container("c", "say done exit 0")]});
    for i in 0..300 {
        // More than a node has addresses.
        c.pod(&format!("p{i}"), once.clone());
        c.until(f64::from(i + 1));
    }
    c.until(310.0);
    assert_eq!(c.summary("p299"), "Succeeded | c Completed(0) unready 0");
    assert_eq!(c.condition("p299", "Ready"), "False PodCompleted");
    assert_eq!(c.log("p0", "c"), ["done"]);
}

#[test]
fn a_thousand_pods_become_ready() {
    let mut c = Cluster::with(7, 10, Default::default());
    for i in 0..1000 {
        c.pod(&format!("p{i}"), json!({"containers": [container("c", "stay")]}));
    }
    c.until(60.0);
    let ready = (0..1000).filter(|i| c.condition(&format!("p{i}"), "Ready") == "True").count();
    assert_eq!(ready, 1000);
}
