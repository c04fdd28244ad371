//! Who answers for a Service, who knows of it, and when.

use std::time::Duration;

use podlab_kube::control_plane::Delays;
use serde_json::{Value, json};

use crate::cluster::{Cluster, container, with};

fn service(c: &Cluster, name: &str, app: &str, more: Value) {
    let spec = json!({"selector": {"app": app}, "ports": [{"name": "http", "port": 80, "targetPort": "web"}]});
    let metadata = json!({"name": name, "namespace": "default"});
    c.create("services", json!({"metadata": metadata, "spec": with(spec, more)}));
}

fn web(name: &str, script: &str, more: Value) -> Value {
    let ports = json!({"ports": [{"name": "web", "containerPort": 8080}]});
    json!({"containers": [with(with(container(name, script), ports), more)]})
}

fn slice(c: &Cluster) -> Vec<String> {
    let all = c.store.list("endpointslices.discovery.k8s.io", Some("default"));
    // The API server's own slice has no pods.
    let of_pods = all.iter().filter(|s| s["metadata"]["name"] != "kubernetes");
    let endpoints = of_pods.flat_map(|s| s["endpoints"].as_array().unwrap());
    endpoints
        .map(|e| {
            let on = |f: &'static str| if e["conditions"][f] == true { f } else { "-" };
            format!(
                "{} {} {} {}",
                e["targetRef"]["name"].as_str().unwrap(),
                on("ready"),
                on("serving"),
                on("terminating")
            )
        })
        .collect()
}

fn delays(proxy: u64) -> Delays {
    let zero = Duration::ZERO;
    let proxy = Duration::from_secs(proxy);
    Delays { pull: zero, sandbox: zero, start: zero, proxy, ..Delays::default() }
}

#[test]
fn a_ready_pod_becomes_an_endpoint_and_proxies_learn_of_it_later() {
    let mut c = Cluster::with(7, 2, delays(5));
    c.programs.answer("web", 503);
    service(&c, "web", "web", json!({}));
    let probe = json!({"readinessProbe": {"httpGet": {"port": "web"}, "periodSeconds": 1}});
    c.pod("web", web("web", "serve 8080 stay", probe));
    c.until(4.5);
    assert_eq!(slice(&c), ["web - - -"]);
    let endpoints = || c.store.get("endpoints", "default", "web").unwrap()["subsets"].clone();
    assert!(endpoints()[0]["notReadyAddresses"][0]["ip"].is_string());
    c.programs.answer("web", 200);
    c.until(6.0);
    assert_eq!(slice(&c), ["web ready serving -"]);
    let endpoints = || c.store.get("endpoints", "default", "web").unwrap()["subsets"].clone();
    assert_eq!(endpoints()[0]["ports"], json!([{"name": "http", "port": 8080, "protocol": "TCP"}]));
    // The object says so at 5 s; a node's proxy routes by it from 10 s on.
    let script = "get web 80 sleep 5 get web 80 get web.default.svc.cluster.local 80 stay";
    c.pod("client", json!({"containers": [container("c", script)]}));
    c.until(12.0);
    assert_eq!(c.log("client", "c"), ["ConnRefused", "200", "200"]);
}

#[test]
fn a_pod_that_ends_is_out_of_the_service_at_once_but_proxies_learn_later() {
    let mut c = Cluster::with(7, 2, delays(3));
    service(&c, "web", "web", json!({}));
    c.pod("web", web("web", "serve 8080 drain 10 stay", json!({})));
    c.pod("client", json!({"containers": [container("c", "sleep 10 stay")]}));
    c.until(10.0);
    assert_eq!(slice(&c), ["web ready serving -"]);
    c.delete("web", None);
    c.until(11.0);
    assert_eq!(slice(&c), ["web - serving terminating"]);
    assert_eq!(c.store.get("endpoints", "default", "web").unwrap()["subsets"], Value::Null);
    c.until(21.0);
    assert!(slice(&c).is_empty());
}

#[test]
fn a_headless_service_is_the_names_of_its_pods() {
    let mut c = Cluster::with(7, 2, delays(0));
    service(&c, "db", "db-0", json!({"clusterIP": "None"}));
    let mut spec = web("web", "serve 8080 stay", json!({}));
    spec["hostname"] = "db-0".into();
    spec["subdomain"] = "db".into();
    c.pod("db-0", spec);
    c.until(5.0);
    c.pod(
        "client",
        json!({"containers": [container("c", "get db 8080 get db-0.db 8080 get db-1.db 8080 stay")]}),
    );
    c.until(8.0);
    assert_eq!(c.log("client", "c"), ["200", "200", "NXDOMAIN"]);
}

#[test]
fn what_was_removed_is_made_again_and_ends_with_the_service() {
    let mut c = Cluster::with(7, 1, delays(0));
    service(&c, "web", "web", json!({}));
    c.pod("web", web("web", "serve 8080 stay", json!({})));
    c.until(3.0);
    let options = podlab_kube::store::DeleteOptions::default();
    c.store.delete("endpoints", "default", "web", &options).unwrap();
    c.until(4.0);
    assert!(c.store.get("endpoints", "default", "web").is_some());
    c.store.delete("services", "default", "web", &options).unwrap();
    c.until(5.0);
    assert!(c.store.get("endpoints", "default", "web").is_none());
    assert!(slice(&c).is_empty());
    c.pod("client", json!({"containers": [container("c", "get web 80 stay")]}));
    c.until(8.0);
    assert_eq!(c.log("client", "c"), ["NXDOMAIN"]);
}

#[test]
fn a_lost_node_is_noticed_and_its_pods_are_given_up() {
    let mut c = Cluster::with(7, 2, delays(0));
    service(&c, "web", "web", json!({}));
    c.pod("web", web("web", "serve 8080 stay", json!({})));
    c.until(15.0);
    let node = c.get("web").unwrap()["spec"]["nodeName"].as_str().unwrap().to_owned();
    c.control.node_down(&node).unwrap();
    let ready = |c: &Cluster| {
        let node = c.store.get("nodes", "", &node).unwrap();
        let all = node["status"]["conditions"].as_array().unwrap().clone();
        all.iter().find(|c| c["type"] == "Ready").unwrap()["status"].clone()
    };
    c.until(59.0);
    assert_eq!(ready(&c), "True");
    c.until(65.0);
    assert_eq!(ready(&c), "Unknown");
    assert_eq!(slice(&c), ["web - - -"]);
    c.until(359.0);
    assert!(!podlab_kube::store::object::deleting(&c.get("web").unwrap()));
    c.until(366.0);
    assert!(podlab_kube::store::object::deleting(&c.get("web").unwrap()));
    c.control.node_up(&node).unwrap();
    c.until(400.0);
    assert_eq!(ready(&c), "True");
    assert!(c.get("web").is_none());
}

#[test]
fn whatever_the_order_a_world_begins_in_pods_find_nodes_and_services_are_routed() {
    for seed in 1..30 {
        let mut c = Cluster::with(seed, 2, delays(1));
        service(&c, "web", "web", json!({}));
        c.pod("web", web("web", "serve 8080 stay", json!({})));
        c.pod("client", json!({"containers": [container("c", "sleep 5 get web 80 stay")]}));
        c.until(8.0);
        assert_eq!(c.log("client", "c"), ["200"], "seed {seed}");
        let events = c.events("web").join("\n");
        assert!(!events.contains("FailedScheduling"), "seed {seed}: {events}");
    }
}
