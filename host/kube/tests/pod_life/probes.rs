//! Probes and their thresholds.

use expect_test::expect;
use serde_json::json;

use crate::cluster::{Cluster, container, with};

fn http() -> serde_json::Value {
    json!({"path": "/", "port": 8080})
}

#[test]
fn readiness_follows_the_answers_after_its_thresholds() {
    let mut c = Cluster::new();
    c.programs.answer("c", 503);
    let probe = json!({"readinessProbe": {"httpGet": http(), "periodSeconds": 5,
        "failureThreshold": 3, "successThreshold": 2}});
    c.pod("p", json!({"containers": [with(container("c", "serve 8080 stay"), probe)]}));
    c.until(30.0);
    expect!["Running | c running unready 0"].assert_eq(&c.summary("p"));
    assert_eq!(
        c.condition("p", "Ready"),
        "False ContainersNotReady containers with unready status: [c]"
    );
    let events = c.events("p").join("\n");
    assert!(
        events.contains("Readiness probe failed: HTTP probe failed with statuscode: 503"),
        "{events}"
    );
    c.programs.answer("c", 200);
    c.until(35.0);
    assert_eq!(
        c.condition("p", "Ready"),
        "False ContainersNotReady containers with unready status: [c]"
    );
    c.until(41.0);
    assert_eq!(c.condition("p", "Ready"), "True");
    // Two failures are not three.
    c.programs.answer("c", 500);
    c.until(50.0);
    assert_eq!(c.condition("p", "Ready"), "True");
    c.until(56.0);
    assert_eq!(
        c.condition("p", "Ready"),
        "False ContainersNotReady containers with unready status: [c]"
    );
    assert_eq!(c.status("p")["containerStatuses"][0]["restartCount"], 0);
}

#[test]
fn liveness_restarts_after_its_threshold_with_its_own_grace() {
    let mut c = Cluster::new();
    let probe = json!({"livenessProbe": {"httpGet": http(), "periodSeconds": 10,
        "initialDelaySeconds": 20, "failureThreshold": 2, "terminationGracePeriodSeconds": 3}});
    c.pod("p", json!({"containers": [with(container("c", "serve 8080 trap stay"), probe)]}));
    c.until(60.0);
    assert_eq!(c.status("p")["containerStatuses"][0]["restartCount"], 0);
    c.programs.answer("c", 500);
    c.until(90.0);
    c.programs.answer("c", 200);
    let history = c.programs.history();
    let at = |what: &str| {
        let line =
            history.iter().find(|h| h.ends_with(what)).unwrap_or_else(|| panic!("{history:?}"));
        line.split_once(' ').unwrap().0.parse::<u64>().unwrap()
    };
    assert!((69..=80).contains(&at("TERM c")), "{history:?}");
    assert_eq!(at("KILL c") - at("TERM c"), 3);
    let events = c.events("p").join("\n");
    assert!(
        events.contains("Normal Killing: Container c failed liveness probe, will be restarted"),
        "{events}"
    );
    assert!(
        events.contains(
            "Warning Unhealthy (x2): Liveness probe failed: HTTP probe failed with statuscode: 500"
        ),
        "{events}"
    );
    c.until(100.0);
    assert_eq!(c.status("p")["containerStatuses"][0]["restartCount"], 1);
}

#[test]
fn until_it_has_started_only_the_startup_probe_runs() {
    let mut c = Cluster::new();
    c.programs.answer("c", 500);
    let probes = json!({
        "startupProbe": {"exec": {"command": ["script", "healthy"]}, "periodSeconds": 5, "failureThreshold": 30},
        "livenessProbe": {"httpGet": http(), "periodSeconds": 5, "failureThreshold": 1},
    });
    c.pod("p", json!({"containers": [with(container("c", "serve 8080 stay"), probes)]}));
    c.until(60.0);
    let status = c.status("p");
    assert_eq!(status["containerStatuses"][0]["started"], false);
    assert_eq!(status["containerStatuses"][0]["restartCount"], 0);
    c.programs.answer("c", 200);
    c.until(70.0);
    assert_eq!(c.status("p")["containerStatuses"][0]["started"], true);
    assert_eq!(c.condition("p", "Ready"), "True");
    // Now liveness counts.
    c.programs.answer("c", 500);
    c.until(80.0);
    assert!(c.events("p").iter().any(|e| e.contains("failed liveness probe, will be restarted")));
}

#[test]
fn a_startup_probe_that_gives_up_restarts() {
    let mut c = Cluster::new();
    c.programs.answer("c", 500);
    let probe = json!({"startupProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 5, "failureThreshold": 2}});
    c.pod("p", json!({"terminationGracePeriodSeconds": 1, "containers": [with(container("c", "stay"), probe)]}));
    c.until(14.0);
    let events = c.events("p").join("\n");
    assert!(events.contains("Container c failed startup probe, will be restarted"), "{events}");
    assert!(events.contains("connect: connection refused"), "{events}");
    assert_eq!(c.status("p")["containerStatuses"][0]["restartCount"], 1);
}

#[test]
fn an_answer_that_does_not_come_is_a_failure_after_the_timeout() {
    let mut c = Cluster::new();
    c.programs.answer("c", 0);
    let probe = json!({"readinessProbe": {"httpGet": http(), "timeoutSeconds": 2}});
    c.pod("p", json!({"containers": [with(container("c", "serve 8080 stay"), probe)]}));
    c.until(30.0);
    let events = c.events("p").join("\n");
    assert!(
        events
            .contains("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"),
        "{events}"
    );
    assert_eq!(
        c.condition("p", "Ready"),
        "False ContainersNotReady containers with unready status: [c]"
    );
}

#[test]
fn probes_are_in_the_trace() {
    let mut c = Cluster::new();
    let probe = json!({"readinessProbe": {"httpGet": http(), "periodSeconds": 10}});
    c.pod("p", json!({"containers": [with(container("c", "serve 8080 stay"), probe)]}));
    c.until(61.0);
    let mut seen = 0;
    for event in c.trace.read(1, usize::MAX) {
        if let podlab_trace::Kind::Probe { probe, .. } = event.kind {
            assert_eq!(probe, "readiness");
            seen += 1;
        }
    }
    assert!((6..=7).contains(&seen), "{seen}");
}

#[test]
fn ten_probed_pods_stay_as_they_are_for_hours() {
    let mut c = Cluster::new();
    let probe =
        json!({"readinessProbe": {"httpGet": http()}, "livenessProbe": {"httpGet": http()}});
    for i in 0..10 {
        c.pod(
            &format!("p{i}"),
            json!({"containers": [with(container("c", "serve 8080 stay"), probe.clone())]}),
        );
    }
    c.until(10.0);
    let before = c.store.version();
    c.until(7210.0);
    assert_eq!(c.summary("p9"), "Running | c running ready 0");
    // Only the three nodes' leases were written, and events that ended their time removed.
    assert!(c.store.version() - before <= 3 * 720 + 100, "{}", c.store.version() - before);
}
