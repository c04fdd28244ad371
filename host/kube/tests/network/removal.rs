//! The race of a pod that goes: it ends before every proxy knows, unless it waits.

use std::time::Duration;

use podlab_kube::control_plane::Delays;
use serde_json::{Value, json};

use crate::cluster::{Cluster, container};

/// What a client is told while one of two pods is deleted, when news take three seconds.
fn failures(lifecycle: Value) -> usize {
    let delays =
        Delays { pull: Duration::ZERO, proxy: Duration::from_secs(3), ..Delays::default() };
    let mut c = Cluster::with(7, 3, delays);
    let spec = json!({"selector": {"role": "web"}, "ports": [{"port": 80, "targetPort": 8080}]});
    c.create(
        "services",
        json!({"metadata": {"name": "web", "namespace": "default"}, "spec": spec}),
    );
    for name in ["one", "two"] {
        let mut web = container(name, "serve 8080 stay");
        web["lifecycle"] = lifecycle.clone();
        let metadata = json!({"name": name, "namespace": "default", "labels": {"role": "web"}});
        c.create("pods", json!({"metadata": metadata, "spec": {"containers": [web]}}));
    }
    c.until(10.0);
    let script = "get web 80 sleep 0.1 ".repeat(100);
    let client =
        json!({"restartPolicy": "Never", "containers": [container("main", script.trim())]});
    c.pod("client", client);
    c.until(13.0);
    c.delete("one", None);
    c.until(4000.0);
    let said = c.log("client", "main");
    assert_eq!(said.len(), 100);
    said.iter().filter(|s| *s != "200").count()
}

#[test]
fn a_pod_that_ends_at_once_is_still_sent_requests() {
    assert!(failures(json!({})) > 0);
}

#[test]
fn a_pre_stop_sleep_longer_than_the_news_cures_it() {
    assert_eq!(failures(json!({"preStop": {"sleep": {"seconds": 5}}})), 0);
}
