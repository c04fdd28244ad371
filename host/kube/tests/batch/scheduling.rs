//! Where pods go, and who makes room.

use serde_json::{Value, json};

use crate::cluster::{Cluster, container, with};

fn cluster(nodes: usize) -> Cluster {
    let mut c = Cluster::with(7, nodes, Default::default());
    c.until(0.1);
    c
}

fn label(c: &Cluster, node: &str, key: &str, value: &str) {
    let mut object = Value::clone(&c.store.get("nodes", "", node).unwrap());
    object["metadata"]["labels"][key] = value.into();
    c.store.update("nodes", object).unwrap();
}

fn pod(c: &Cluster, name: &str, app: &str, spec: Value) {
    let spec = with(
        json!({"terminationGracePeriodSeconds": 1, "containers": [container("c", "stay")]}),
        spec,
    );
    let meta = json!({"name": name, "namespace": "default", "labels": {"app": app}});
    c.create("pods", json!({"metadata": meta, "spec": spec}));
}

fn node(c: &Cluster, pod: &str) -> String {
    c.get(pod).unwrap()["spec"]["nodeName"].as_str().unwrap_or("").to_owned()
}

fn cpu(amount: &str) -> Value {
    json!([with(container("c", "stay"), json!({"resources": {"requests": {"cpu": amount}}}))])
}

fn why(c: &Cluster, pod: &str) -> String {
    c.condition(pod, "PodScheduled")
}

fn near(kind: &str, app: &str, key: &str) -> Value {
    json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}]}}})
}

const HOST: &str = "kubernetes.io/hostname";

#[test]
fn pods_are_kept_near_and_apart() {
    let mut c = cluster(3);
    pod(&c, "db", "db", json!({}));
    c.until(1.0);
    pod(&c, "web", "web", near("podAffinity", "db", HOST));
    for i in 0..4 {
        pod(&c, &format!("a{i}"), "a", near("podAntiAffinity", "a", HOST));
    }
    pod(&c, "lonely", "x", near("podAffinity", "nobody", HOST));
    pod(&c, "first", "self", near("podAffinity", "self", HOST));
    c.until(3.0);
    assert_eq!(node(&c, "web"), node(&c, "db"));
    let mut nodes: Vec<String> = (0..3).map(|i| node(&c, &format!("a{i}"))).collect();
    nodes.sort();
    assert_eq!(nodes, ["node-1", "node-2", "node-3"]);
    assert_eq!(
        why(&c, "a3"),
        "False Unschedulable 0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."
    );
    assert_eq!(
        why(&c, "lonely"),
        "False Unschedulable 0/3 nodes are available: 3 node(s) didn't match pod affinity rules. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
    assert_ne!(node(&c, "first"), "", "the first of those that want each other may go anywhere");
    // Those that are there do not want the new one either.
    pod(&c, "b", "a", json!({}));
    c.until(4.0);
    assert!(
        why(&c, "b").contains("3 node(s) didn't satisfy existing pods anti-affinity rules"),
        "{}",
        why(&c, "b")
    );
}

#[test]
fn spread_constraints_keep_the_skew() {
    let mut c = cluster(3);
    for (node, zone) in [("node-1", "a"), ("node-2", "a"), ("node-3", "b")] {
        label(&c, node, "zone", zone);
    }
    let spread = json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "s"}}}]});
    for i in 0..6 {
        pod(&c, &format!("s{i}"), "s", spread.clone());
        c.until(1.0 + f64::from(i));
    }
    let on_b = (0..6).filter(|i| node(&c, &format!("s{i}")) == "node-3").count();
    assert_eq!(on_b, 3);
    let mut cordon = Value::clone(&c.store.get("nodes", "", "node-3").unwrap());
    cordon["spec"]["unschedulable"] = true.into();
    c.store.update("nodes", cordon).unwrap();
    c.until(6.1);
    pod(&c, "s6", "s", spread.clone());
    pod(&c, "s7", "s", spread);
    c.until(9.0);
    // One more in zone a is within the skew, a second one is not.
    let placed: Vec<bool> = ["s6", "s7"].iter().map(|p| node(&c, p).is_empty()).collect();
    assert_eq!(placed, [false, true]);
    assert!(
        why(&c, "s7").contains(
            "1 node(s) were unschedulable, 2 node(s) didn't match pod topology spread constraints."
        ),
        "{}",
        why(&c, "s7")
    );
}

#[test]
fn what_is_preferred_is_done_if_it_can_be() {
    let mut c = cluster(3);
    label(&c, "node-2", "disk", "ssd");
    c.until(0.2);
    let prefer = json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 50, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}}]}}});
    for i in 0..3 {
        pod(&c, &format!("p{i}"), "p", with(prefer.clone(), json!({"containers": cpu("100m")})));
    }
    pod(&c, "full", "p", with(prefer, json!({"containers": cpu("3800m")})));
    c.until(2.0);
    assert!((0..3).all(|i| node(&c, &format!("p{i}")) == "node-2"));
    assert_ne!(node(&c, "full"), "node-2", "it does not fit there");
    let mut taint = Value::clone(&c.store.get("nodes", "", "node-1").unwrap());
    taint["spec"]["taints"] = json!([{"key": "k", "effect": "PreferNoSchedule"}]);
    c.store.update("nodes", taint).unwrap();
    c.until(2.1);
    pod(&c, "clean", "q", json!({}));
    c.until(3.0);
    assert_ne!(node(&c, "clean"), "node-1");
}

fn class(c: &Cluster, name: &str, value: i64, more: Value) {
    c.create(
        "priorityclasses.scheduling.k8s.io",
        with(json!({"metadata": {"name": name}, "value": value}), more),
    );
}

#[test]
fn a_more_important_pod_makes_room() {
    let mut c = cluster(2);
    class(&c, "high", 1000, json!({}));
    class(&c, "polite", 1000, json!({"preemptionPolicy": "Never"}));
    class(&c, "low", -10, json!({"globalDefault": true}));
    let slow = with(cpu("3")[0].clone(), json!({"args": ["trap", "stay"]}));
    pod(&c, "a", "a", json!({"terminationGracePeriodSeconds": 3, "containers": [slow]}));
    pod(&c, "b", "b", json!({"containers": cpu("3"), "priorityClassName": "high"}));
    c.until(2.0);
    assert_eq!(c.get("a").unwrap()["spec"]["priority"], -10);
    pod(&c, "polite", "p", json!({"containers": cpu("2"), "priorityClassName": "polite"}));
    c.until(3.0);
    assert_eq!(
        why(&c, "polite"),
        "False Unschedulable 0/2 nodes are available: 2 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
    );
    c.delete("polite", None);
    pod(&c, "vip", "v", json!({"containers": cpu("2"), "priorityClassName": "high"}));
    c.until(3.5);
    let target = node(&c, "a");
    assert_eq!(c.status("vip")["nominatedNodeName"], target);
    let uid = c.get("vip").unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    assert!(
        c.events("a")
            .contains(&format!("Normal Preempted: Preempted by pod {uid} on node {target}")),
        "{:?}",
        c.events("a")
    );
    assert_eq!(
        c.condition("a", "DisruptionTarget"),
        "True PreemptionByScheduler default-scheduler: preempting to accommodate a higher priority pod"
    );
    // What is less important does not slip in meanwhile.
    pod(&c, "late", "l", json!({"containers": cpu("3")}));
    c.until(10.0);
    assert_eq!(node(&c, "vip"), target);
    assert!(c.get("a").is_none());
    assert_eq!(node(&c, "late"), "");
    assert_eq!(c.status("vip")["phase"], "Running");
    assert_eq!(
        c.events("vip")[0],
        "Warning FailedScheduling: 0/2 nodes are available: 2 Insufficient cpu."
    );
}

#[test]
fn priorities_come_from_classes_only() {
    let c = cluster(1);
    let refuse = |spec: Value, want: &str| {
        let spec = with(json!({"containers": [container("c", "stay")]}), spec);
        let object = json!({"metadata": {"name": "p", "namespace": "default"}, "spec": spec});
        assert_eq!(
            c.store.create("pods", object).unwrap_err().message,
            format!("pods \"p\" is forbidden: {want}")
        );
    };
    refuse(json!({"priorityClassName": "nope"}), "no PriorityClass with name nope was found");
    refuse(
        json!({"priority": 7}),
        "the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name",
    );
    pod(&c, "system", "s", json!({"priorityClassName": "system-node-critical"}));
    assert_eq!(c.get("system").unwrap()["spec"]["priority"], 2_000_001_000);
    class(&c, "a", 1, json!({"globalDefault": true}));
    let second = json!({"metadata": {"name": "b"}, "value": 2, "globalDefault": true});
    let error = c.store.create("priorityclasses.scheduling.k8s.io", second).unwrap_err();
    assert_eq!(
        error.message,
        "priorityclasses.scheduling.k8s.io \"b\" is forbidden: PriorityClass a is already marked as default. Only one default can exist"
    );
}
