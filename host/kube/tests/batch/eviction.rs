//! Evictions and the budgets they respect.

use podlab_kube::api::{Api, Body, Request};
use podlab_sim::Rng;
use serde_json::{Value, json};

use crate::cluster::{Cluster, container, delays};

const BUDGETS: &str = "poddisruptionbudgets.policy";

/// Asks for the eviction of a pod: the status code and the body.
pub fn evict(c: &Cluster, pod: &str) -> (u16, Value) {
    let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}});
    post(c, &format!("/api/v1/namespaces/default/pods/{pod}/eviction"), &body)
}

pub fn post(c: &Cluster, path: &str, body: &Value) -> (u16, Value) {
    let request = Request {
        method: "POST".into(),
        path: path.into(),
        content_type: "application/json".into(),
        body: body.to_string().into(),
        ..Request::default()
    };
    let response = Api::new(&c.store).handle(&request);
    let Body::Full(bytes) = response.body else { panic!("a stream") };
    (response.status, serde_json::from_slice(&bytes).unwrap())
}

fn budget(c: &Cluster, spec: Value) {
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    c.create(BUDGETS, json!({"metadata": {"name": "b", "namespace": "default"}, "spec": spec}));
}

fn web(c: &Cluster, name: &str) {
    let meta = json!({"name": name, "namespace": "default", "labels": {"app": "web"}});
    c.create("pods", json!({"metadata": meta, "spec": {"containers": [container("c", "stay")]}}));
}

fn status(c: &Cluster) -> Value {
    c.store.get(BUDGETS, "default", "b").unwrap()["status"].clone()
}

#[test]
fn an_eviction_that_would_break_a_budget_is_refused_and_says_why() {
    let mut c = Cluster::new();
    for i in 0..3 {
        web(&c, &format!("w{i}"));
    }
    c.until(3.0);
    budget(&c, json!({"minAvailable": 2}));
    let (code, early) = evict(&c, "w0");
    assert_eq!(code, 429);
    assert_eq!(
        early["details"]["causes"][0]["message"],
        "The disruption budget b is still being processed by the server."
    );
    assert_eq!(early["details"]["retryAfterSeconds"], 10);
    c.until(4.0);
    let s = status(&c);
    assert_eq!(
        [&s["expectedPods"], &s["currentHealthy"], &s["desiredHealthy"], &s["disruptionsAllowed"]],
        [3, 3, 2, 1]
    );
    assert_eq!(s["conditions"][0]["reason"], "SufficientPods");
    let (code, done) = evict(&c, "w0");
    assert_eq!((code, &done["status"]), (201, &json!("Success")));
    assert_eq!(
        c.condition("w0", "DisruptionTarget"),
        "True EvictionByEvictionAPI Eviction API: evicting"
    );
    // At once, the controller has not looked again yet.
    for healthy in [3, 2] {
        let (code, refused) = evict(&c, "w1");
        assert_eq!(code, 429);
        assert_eq!(refused["reason"], "TooManyRequests");
        assert_eq!(
            refused["message"],
            "Cannot evict pod as it would violate the pod's disruption budget."
        );
        let cause = &refused["details"]["causes"][0];
        assert_eq!(cause["reason"], "DisruptionBudget");
        assert_eq!(
            cause["message"],
            format!("The disruption budget b needs 2 healthy pods and has {healthy} currently")
        );
        c.until(5.0);
    }
    assert_eq!(status(&c)["conditions"][0]["reason"], "InsufficientPods");
}

#[test]
fn unready_pods_may_go_if_the_budget_is_healthy_or_says_so() {
    for (policy, want) in [("IfHealthyBudget", 429), ("AlwaysAllow", 201)] {
        let mut c = Cluster::new();
        web(&c, "good");
        let probe = json!({"httpGet": {"port": 80}});
        let mut sick = container("sick", "stay");
        sick["readinessProbe"] = probe;
        let meta = json!({"name": "sick", "namespace": "default", "labels": {"app": "web"}});
        c.create("pods", json!({"metadata": meta, "spec": {"containers": [sick]}}));
        budget(&c, json!({"minAvailable": 2, "unhealthyPodEvictionPolicy": policy}));
        c.until(5.0);
        assert_eq!(evict(&c, "sick").0, want, "{policy}");
    }
}

#[test]
fn two_budgets_for_a_pod_are_one_too_many_and_a_share_needs_controllers() {
    let mut c = Cluster::new();
    web(&c, "w");
    budget(&c, json!({"maxUnavailable": "50%"}));
    c.until(3.0);
    assert_eq!(status(&c)["disruptionsAllowed"], 0);
    assert!(
        c.events("b").iter().any(|e| e.starts_with("Warning UnmanagedPods")),
        "{:?}",
        c.events("b")
    );
    let selector = json!({"matchLabels": {"app": "web"}});
    c.create(BUDGETS, json!({"metadata": {"name": "b2", "namespace": "default"}, "spec": {"minAvailable": 0, "selector": selector}}));
    let (code, body) = evict(&c, "w");
    assert_eq!(code, 500);
    assert_eq!(
        body["message"],
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    );
    let both = json!({"metadata": {"name": "x", "namespace": "default"}, "spec": {"minAvailable": 1, "maxUnavailable": 1}});
    assert!(
        c.store
            .create(BUDGETS, both)
            .unwrap_err()
            .message
            .contains("minAvailable and maxUnavailable cannot be both set")
    );
}

#[test]
fn evictions_never_break_a_budget() {
    for seed in 0..200 {
        let mut rng = Rng::named(seed, "test/evictions");
        let mut c = Cluster::with(seed, 2, delays(&mut rng));
        let (count, min) = (2 + rng.below(6), 1 + rng.below(4) as i64);
        for i in 0..count {
            web(&c, &format!("w{i}"));
        }
        budget(&c, json!({"minAvailable": min}));
        c.store.set_conflicts(4);
        let mut made = count;
        let mut evicted = 0;
        // Half of the worlds are spared. In the others a budget learns of a program that ended a
        // little later, as on a real cluster: an eviction may come in between.
        let spared = !seed.is_multiple_of(2);
        let mut killed = None;
        for step in 0..60u32 {
            c.until(f64::from(step) * 0.3);
            let pods = c.store.list("pods", Some("default"));
            let healthy = |c: &Cluster| {
                c.store
                    .list("pods", Some("default"))
                    .iter()
                    .filter(|p| {
                        p["metadata"]["deletionTimestamp"].is_null()
                            && p["status"]["conditions"]
                                .as_array()
                                .into_iter()
                                .flatten()
                                .any(|x| x["type"] == "Ready" && x["status"] == "True")
                    })
                    .count() as i64
            };
            let before = healthy(&c);
            if let Some(pod) =
                (!pods.is_empty()).then(|| &pods[rng.below(pods.len() as u64) as usize])
            {
                let name = pod["metadata"]["name"].as_str().unwrap();
                match rng.below(4) {
                    0 if !spared => {
                        let _ = c.control.kill("default", name, "c");
                        killed = Some(step);
                    }
                    1 if pods.len() < 8 => {
                        web(&c, &format!("w{made}"));
                        made += 1;
                    }
                    _ => {
                        let (code, body) = evict(&c, name);
                        let after = healthy(&c);
                        evicted += u32::from(code == 201);
                        assert!([201, 429, 409].contains(&code), "seed {seed}: {body}");
                        // Nothing runs between the question and the answer.
                        assert!(
                            after == before
                                || after >= min
                                || killed.is_some_and(|at| step - at <= 3),
                            "seed {seed}: {after} of {min}, {body}"
                        );
                    }
                }
            }
        }
        assert!(evicted > 0 || min >= count as i64, "seed {seed}: nothing was evicted");
    }
}
