//! The ways to a Service: node ports, load balancers, other names, one endpoint for one client.

use serde_json::{Value, json};

use crate::cluster::{Cluster, container, with};

fn service(c: &Cluster, name: &str, more: Value) {
    let spec = json!({"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]});
    let metadata = json!({"name": name, "namespace": "default"});
    c.create("services", json!({"metadata": metadata, "spec": with(spec, more)}));
}

fn once(script: &str) -> Value {
    json!({"restartPolicy": "Never", "containers": [container("main", script)]})
}

fn node_ip(c: &Cluster, node: &str) -> String {
    let node = c.store.get("nodes", "", node).unwrap();
    node["status"]["addresses"][0]["address"].as_str().unwrap().to_owned()
}

fn web_on(c: &Cluster, name: &str, node: &str) {
    let mut spec = json!({"containers": [container(name, "serve 8080 stay")]});
    spec["nodeName"] = node.into();
    spec["containers"][0]["image"] = "script:v1".into();
    let metadata = json!({"name": name, "namespace": "default", "labels": {"app": "web"}});
    c.create("pods", json!({"metadata": metadata, "spec": spec}));
}

#[test]
fn a_node_port_is_open_on_every_node_or_only_where_an_endpoint_is() {
    let mut c = Cluster::new();
    web_on(&c, "web-1", "node-1");
    let more = |policy: &str, port: u16| {
        let ports = json!([{"port": 80, "targetPort": 8080, "nodePort": port}]);
        json!({"type": "NodePort", "externalTrafficPolicy": policy, "ports": ports})
    };
    service(&c, "everywhere", more("Cluster", 30_080));
    service(&c, "local", more("Local", 30_081));
    c.until(5.0);
    let (one, two) = (node_ip(&c, "node-1"), node_ip(&c, "node-2"));
    for (name, ip, port) in
        [("a", &one, 30_080), ("b", &two, 30_080), ("c", &one, 30_081), ("d", &two, 30_081)]
    {
        c.pod(name, once(&format!("get {ip} {port}")));
    }
    c.until(300.0);
    let said = ["a", "b", "c", "d"].map(|name| c.log(name, "main").join(" "));
    assert_eq!(said[..3], ["200", "200", "200"]);
    assert_eq!(said[3], "ConnRefused");
    // A Service that is no node port any more closes it.
    let mut changed = Value::clone(&c.store.get("services", "default", "everywhere").unwrap());
    changed["spec"]["type"] = "ClusterIP".into();
    changed["spec"].as_object_mut().unwrap().remove("externalTrafficPolicy");
    c.store.update("services", changed).unwrap();
    c.until(310.0);
    c.pod("e", once(&format!("get {one} 30080")));
    c.until(600.0);
    assert_ne!(c.log("e", "main"), ["200"]);
}

#[test]
fn a_load_balancer_gets_an_address_that_works_and_gives_it_back() {
    let mut c = Cluster::new();
    web_on(&c, "web-1", "node-1");
    service(&c, "lb", json!({"type": "LoadBalancer"}));
    service(&c, "other", json!({"type": "LoadBalancer"}));
    c.until(5.0);
    let ip = |name: &str| {
        let service = c.store.get("services", "default", name).unwrap();
        service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str().unwrap_or("").to_owned()
    };
    let mut both = [ip("lb"), ip("other")];
    both.sort();
    assert_eq!(both, ["203.0.113.1", "203.0.113.2"]);
    let first = ip("lb");
    c.pod("client", once(&format!("get {first} 80")));
    c.until(10.0);
    assert_eq!(c.log("client", "main"), ["200"]);
    let events: Vec<String> =
        c.events("lb").iter().map(|e| e.split(':').next().unwrap().into()).collect();
    assert_eq!(events, ["Normal EnsuringLoadBalancer", "Normal EnsuredLoadBalancer"]);
}

#[test]
fn an_external_name_stands_for_another_service() {
    let mut c = Cluster::new();
    service(
        &c,
        "alias",
        json!({"type": "ExternalName", "externalName": "web.default.svc.cluster.local"}),
    );
    c.until(1.0);
    service(&c, "web", json!({}));
    web_on(&c, "web-1", "node-1");
    c.until(5.0);
    c.pod("client", once("get alias 80"));
    c.until(10.0);
    assert_eq!(c.log("client", "main"), ["200"]);
}

#[test]
fn with_affinity_a_client_keeps_its_endpoint_for_a_time() {
    let mut c = Cluster::new();
    for n in 1..=3 {
        web_on(&c, &format!("web-{n}"), &format!("node-{n}"));
        // Each answers with a status of its own.
        c.programs.answer(&format!("web-{n}"), 200 + n);
    }
    let config = json!({"clientIP": {"timeoutSeconds": 60}});
    service(&c, "sticky", json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": config}));
    service(&c, "plain", json!({}));
    c.until(5.0);
    let often = |name: &str| format!("get {name} 80 sleep 1 ").repeat(20);
    c.pod("loyal", once(often("sticky").trim()));
    c.pod("fickle", once(often("plain").trim()));
    // So long between requests that the Service forgets.
    c.pod("rare", once("get sticky 80 sleep 61 ".repeat(20).trim()));
    c.until(2000.0);
    let distinct = |pod: &str| {
        let mut all = c.log(pod, "main");
        assert_eq!(all.len(), 20, "{pod}");
        all.sort();
        all.dedup();
        all.len()
    };
    assert_eq!((distinct("loyal"), distinct("fickle"), distinct("rare")), (1, 3, 3));
}
