//! Restart policies and their waits.

use expect_test::expect;
use serde_json::json;

use crate::cluster::{Cluster, container};

/// The seconds at which container `name` was started.
fn starts(cluster: &Cluster, name: &str) -> Vec<u64> {
    let of = format!("start {name}");
    let history = cluster.programs.history();
    let seconds = history.iter().filter(|line| line.ends_with(&of));
    seconds.map(|line| line.split_once(' ').unwrap().0.parse().unwrap()).collect()
}

#[test]
fn a_container_that_fails_at_once_waits_0_10_20_to_300_seconds() {
    let mut c = Cluster::new();
    c.pod("p", json!({"containers": [container("c", "exit 1")]}));
    c.until(1300.0);
    let starts = starts(&c, "c");
    let waits: Vec<u64> = starts.windows(2).map(|w| w[1] - w[0]).collect();
    assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300, 300]);
    let status = c.status("p");
    let c0 = &status["containerStatuses"][0];
    let uid = c.get("p").unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(status["phase"], "Running");
    assert_eq!(c0["restartCount"], 9);
    assert_eq!(c0["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(
        c0["state"]["waiting"]["message"],
        format!("back-off 5m0s restarting failed container=c pod=p_default({uid})")
    );
    assert_eq!(c0["lastState"]["terminated"]["exitCode"], 1);
    assert_eq!(c0["lastState"]["terminated"]["reason"], "Error");
    let events = c.events("p").join("\n");
    // The filter against floods lets 25 events of a pod through, and then one in 5 minutes.
    let said =
        format!("BackOff (x5): Back-off restarting failed container c in pod p_default({uid})");
    assert!(events.contains(&said), "{events}");
}

#[test]
fn success_is_restarted_with_the_same_waits_and_ten_good_minutes_end_them() {
    let mut c = Cluster::new();
    c.pod("p", json!({"containers": [container("c", "sleep 5 exit 0")]}));
    c.pod("q", json!({"containers": [container("d", "sleep 601 exit 1")]}));
    c.until(2500.0);
    let waits: Vec<u64> = starts(&c, "c").windows(2).map(|w| w[1] - w[0] - 5).take(4).collect();
    assert_eq!(waits, [0, 10, 20, 40]);
    let waits: Vec<u64> = starts(&c, "d").windows(2).map(|w| w[1] - w[0] - 601).collect();
    assert_eq!(waits, [0, 0, 0, 0]);
}

#[test]
fn policies_decide_what_becomes_of_the_pod() {
    let mut c = Cluster::new();
    for (name, policy, script) in [
        ("never-0", "Never", "exit 0"),
        ("never-3", "Never", "say bye exit 3"),
        ("failure-0", "OnFailure", "exit 0"),
        ("failure-1", "OnFailure", "sleep 1 exit 1"),
    ] {
        c.pod(name, json!({"restartPolicy": policy, "containers": [container("c", script)]}));
    }
    c.until(3.0);
    expect!["Succeeded | c Completed(0) unready 0"].assert_eq(&c.summary("never-0"));
    expect!["Failed | c Error(3) unready 0"].assert_eq(&c.summary("never-3"));
    expect!["Succeeded | c Completed(0) unready 0"].assert_eq(&c.summary("failure-0"));
    expect!["Running | c CrashLoopBackOff unready 1"].assert_eq(&c.summary("failure-1"));
    assert_eq!(c.condition("never-0", "Ready"), "False PodCompleted");
    assert_eq!(c.condition("never-0", "Initialized"), "True PodCompleted");
    assert_eq!(c.condition("never-3", "Ready"), "False PodFailed");
    assert_eq!(c.log("never-3", "c"), ["bye"]);
}

#[test]
fn one_of_two_containers_may_end() {
    let mut c = Cluster::new();
    let containers = json!([container("a", "sleep 2 exit 0"), container("b", "stay")]);
    c.pod("p", json!({"restartPolicy": "Never", "containers": containers}));
    c.until(1.0);
    expect!["Running | a running ready 0 | b running ready 0"].assert_eq(&c.summary("p"));
    c.until(4.0);
    expect!["Running | a Completed(0) unready 0 | b running ready 0"].assert_eq(&c.summary("p"));
    assert_eq!(
        c.condition("p", "ContainersReady"),
        "False ContainersNotReady containers with unready status: [a]"
    );
}

#[test]
fn an_image_that_there_is_not_is_asked_for_again_and_again() {
    let mut c = Cluster::new();
    c.pod("p", json!({"containers": [{"name": "c", "image": "nothing:v1"}]}));
    c.until(0.5);
    expect!["Pending | c ErrImagePull unready 0"].assert_eq(&c.summary("p"));
    c.until(5.0);
    expect!["Pending | c ImagePullBackOff unready 0"].assert_eq(&c.summary("p"));
    let status = c.status("p");
    let waiting = &status["containerStatuses"][0]["state"]["waiting"];
    assert!(
        waiting["message"].as_str().unwrap().starts_with("Back-off pulling image \"nothing:v1\"")
    );
    c.until(100.0);
    let pulls = c.events("p").into_iter().find(|e| e.contains("Pulling")).unwrap();
    // At 0, 10, 30 and 70 s.
    expect![[r#"Normal Pulling (x4): Pulling image "nothing:v1""#]].assert_eq(&pulls);
}

#[test]
fn a_killed_container_comes_back() {
    let mut c = Cluster::new();
    c.pod("p", json!({"containers": [container("c", "stay"), container("d", "stay")]}));
    c.until(5.0);
    c.control.kill("default", "p", "c").unwrap();
    c.until(6.0);
    expect!["Running | c running ready 1 | d running ready 0"].assert_eq(&c.summary("p"));
    let status = c.status("p");
    assert_eq!(status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 137);
    let why = c.control.kill("default", "p", "x").unwrap_err();
    assert_eq!(why, "pod default/p has no container \"x\": it has c, d");
}

#[test]
fn what_is_said_again_is_counted_and_forgotten_after_an_hour() {
    let mut c = Cluster::new();
    let probe = json!({"readinessProbe": {"tcpSocket": {"port": 9}, "periodSeconds": 60}});
    c.pod("p", json!({"containers": [crate::cluster::with(container("c", "stay"), probe)]}));
    c.until(130.0);
    let ip = c.status("p")["podIP"].as_str().unwrap().to_owned();
    let said = format!(
        "Warning Unhealthy (x3): Readiness probe failed: dial tcp {ip}:9: connect: connection refused"
    );
    assert_eq!(c.events("p").last(), Some(&said));
    assert_eq!(c.events("p").iter().filter(|e| e.contains("Unhealthy")).count(), 1);
    c.until(3700.0);
    let events = c.events("p");
    assert!(events.len() == 1 && events[0].contains("Unhealthy"), "{events:?}");
}
