//! How pods end.

use expect_test::expect;
use serde_json::json;

use crate::cluster::{Cluster, container, with};

fn since(cluster: &Cluster, from: u64) -> Vec<String> {
    let all = cluster.programs.history();
    let at = |line: &String| line.split_once(' ').unwrap().0.parse::<u64>().unwrap();
    let late = all.iter().filter(|line| at(line) >= from);
    late.map(|line| format!("{} {}", at(line) - from, line.split_once(' ').unwrap().1)).collect()
}

#[test]
fn the_hook_is_paid_from_the_grace() {
    let mut c = Cluster::new();
    let hook = json!({"lifecycle": {"preStop": {"sleep": {"seconds": 15}}}});
    c.pod("p", json!({"containers": [with(container("c", "trap stay"), hook)]}));
    c.until(100.0);
    c.delete("p", None);
    c.until(129.0);
    assert!(c.get("p").is_some());
    assert_eq!(c.status("p")["phase"], "Running");
    c.until(131.0);
    assert_eq!(since(&c, 100), ["15 TERM c", "30 KILL c", "30 exit 137 c"]);
    assert!(c.get("p").is_none());
    let events = c.events("p");
    assert_eq!(events.last().unwrap(), "Normal Killing: Stopping container c");
}

#[test]
fn a_program_that_drains_ends_the_pod_sooner() {
    let mut c = Cluster::new();
    c.pod("p", json!({"containers": [container("c", "drain 4 stay"), container("d", "stay")]}));
    c.until(10.0);
    c.delete("p", None);
    c.until(10.5);
    c.delete("p", None);
    c.until(15.0);
    let mut seen = since(&c, 10);
    seen[..3].sort();
    assert_eq!(
        seen,
        ["0 TERM c", "0 TERM d", "0 exit 143 d", "4 exit 0 c"].map(String::from),
        "{seen:?}"
    );
    assert!(c.get("p").is_none());
}

#[test]
fn two_seconds_are_the_least_after_a_hook() {
    let mut c = Cluster::new();
    let hook = json!({"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}});
    c.pod(
        "p",
        json!({"terminationGracePeriodSeconds": 5,
        "containers": [with(container("c", "trap stay"), hook)]}),
    );
    c.until(10.0);
    c.delete("p", None);
    c.until(20.0);
    assert_eq!(since(&c, 10), ["5 TERM c", "7 KILL c", "7 exit 137 c"]);
}

#[test]
fn sidecars_end_after_the_mains_in_reverse_order() {
    let mut c = Cluster::new();
    let sidecar =
        |name: &str| with(container(name, "drain 1 stay"), json!({"restartPolicy": "Always"}));
    c.pod(
        "p",
        json!({
            "initContainers": [sidecar("first"), sidecar("second")],
            "containers": [container("main", "drain 3 stay")],
        }),
    );
    c.until(10.0);
    expect!["Running | first running ready 0 | second running ready 0 | main running ready 0"]
        .assert_eq(&c.summary("p"));
    c.delete("p", None);
    c.until(20.0);
    assert_eq!(
        since(&c, 10),
        [
            "0 TERM main",
            "3 exit 0 main",
            "3 TERM second",
            "4 exit 0 second",
            "4 TERM first",
            "5 exit 0 first"
        ]
    );
    assert!(c.get("p").is_none());
}

#[test]
fn sidecars_end_when_the_mains_have_done_their_work() {
    let mut c = Cluster::new();
    let sidecar = with(container("side", "stay"), json!({"restartPolicy": "Always"}));
    c.pod(
        "p",
        json!({"restartPolicy": "Never", "initContainers": [sidecar],
        "containers": [container("main", "sleep 3 exit 0")]}),
    );
    c.until(10.0);
    assert_eq!(c.status("p")["phase"], "Succeeded", "{}", c.summary("p"));
    assert_eq!(c.condition("p", "Ready"), "False PodCompleted");
}

#[test]
fn grace_zero_is_now_and_no_grace_at_all_removes_the_object() {
    let mut c = Cluster::new();
    c.pod("p", json!({"containers": [container("c", "trap stay")]}));
    c.until(10.0);
    c.delete("p", Some(0));
    assert!(c.get("p").is_none());
    c.until(13.0);
    let seen = since(&c, 10);
    assert_eq!(seen.last().unwrap().split_once(' ').unwrap().1, "exit 137 c");
    // Its name and its place are free again.
    c.pod("p", json!({"containers": [container("c", "stay")]}));
    c.until(14.0);
    expect!["Running | c running ready 0"].assert_eq(&c.summary("p"));
}

#[test]
fn a_hook_that_fails_is_told_and_does_not_hold_up_the_end() {
    let mut c = Cluster::new();
    let hook = json!({"lifecycle": {"preStop": {"exec": {"command": ["script", "exit", "3"]}}}});
    c.pod("p", json!({"containers": [with(container("c", "stay"), hook)]}));
    c.until(10.0);
    c.delete("p", None);
    c.until(11.0);
    assert!(c.get("p").is_none());
    let events = c.events("p");
    assert!(
        events.iter().any(|e| e.starts_with("Warning FailedPreStopHook: PreStopHook failed")),
        "{events:?}"
    );
}

#[test]
fn a_deadline_fails_the_pod() {
    let mut c = Cluster::new();
    c.pod("p", json!({"activeDeadlineSeconds": 20, "containers": [container("c", "stay")]}));
    c.until(25.0);
    let status = c.status("p");
    assert_eq!(
        (&status["phase"], &status["reason"]),
        (&json!("Failed"), &json!("DeadlineExceeded"))
    );
    let text = "Pod was active on the node longer than the specified deadline";
    assert_eq!(status["message"], text);
    assert_eq!(since(&c, 20), ["0 TERM c", "0 exit 143 c"]);
}

#[test]
fn a_namespace_takes_its_pods_with_it() {
    let mut c = Cluster::new();
    c.create("namespaces", json!({"metadata": {"name": "demo"}}));
    c.create(
        "pods",
        json!({"metadata": {"name": "p", "namespace": "demo"},
        "spec": {"containers": [container("c", "drain 2 stay")]}}),
    );
    c.until(10.0);
    c.store.delete("namespaces", "", "demo", &Default::default()).unwrap();
    c.until(11.0);
    assert_eq!(c.store.get("namespaces", "", "demo").unwrap()["status"]["phase"], "Terminating");
    c.until(30.0);
    assert!(c.store.get("namespaces", "", "demo").is_none());
    assert!(c.store.list("configmaps", Some("demo")).is_empty());
}
