//! NetworkPolicies on the virtual network.

use serde_json::{Value, json};

use crate::cluster::{Cluster, container};

fn service(c: &Cluster) {
    let spec = json!({"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]});
    c.create(
        "services",
        json!({"metadata": {"name": "web", "namespace": "default"}, "spec": spec}),
    );
}

fn policy(c: &Cluster, name: &str, spec: Value) {
    let metadata = json!({"name": name, "namespace": "default"});
    c.create("networkpolicies.networking.k8s.io", json!({"metadata": metadata, "spec": spec}));
}

fn once(script: &str) -> Value {
    json!({"restartPolicy": "Never", "containers": [container("main", script)]})
}

#[test]
fn a_policy_lets_in_whom_it_names_and_probes() {
    let mut c = Cluster::new();
    service(&c);
    let mut web = container("web", "serve 8080 stay");
    web["readinessProbe"] = json!({"httpGet": {"port": 8080}, "periodSeconds": 1});
    c.pod("web", json!({"containers": [web]}));
    policy(
        &c,
        "only-friends",
        json!({"podSelector": {"matchLabels": {"app": "web"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}],
                "ports": [{"port": 8080}]}]}),
    );
    c.until(5.0);
    assert!(c.condition("web", "Ready").starts_with("True"), "the node's probes pass");
    c.pod("friend", once("get web 80"));
    c.pod("stranger", once("get web 80"));
    c.until(400.0);
    assert_eq!(c.log("friend", "main"), ["200"]);
    assert_eq!(c.log("stranger", "main"), ["TimedOut"]);
    // Without the policy everybody may again.
    let options = podlab_kube::store::DeleteOptions::default();
    c.store
        .delete("networkpolicies.networking.k8s.io", "default", "only-friends", &options)
        .unwrap();
    c.pod("later", once("get web 80"));
    c.until(410.0);
    assert_eq!(c.log("later", "main"), ["200"]);
}

#[test]
fn egress_is_the_senders_affair() {
    let mut c = Cluster::new();
    service(&c);
    c.pod("web", json!({"containers": [container("web", "serve 8080 stay")]}));
    policy(
        &c,
        "nobody-out",
        json!({"podSelector": {"matchLabels": {"app": "jailed"}}, "policyTypes": ["Egress"]}),
    );
    c.until(3.0);
    c.pod("jailed", once("get web 80"));
    c.pod("free", once("get web 80"));
    c.until(400.0);
    assert_eq!(c.log("free", "main"), ["200"]);
    assert_ne!(c.log("jailed", "main"), ["200"]);
    assert_eq!(c.log("jailed", "main").len(), 1);
}
