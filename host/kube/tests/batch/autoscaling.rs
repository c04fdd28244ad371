//! The autoscaler and what it measures.

use podlab_kube::api::{Api, Body, Request};
use serde_json::{Value, json};

use crate::cluster::{Cluster, container, with};

const AUTOSCALERS: &str = "horizontalpodautoscalers.autoscaling";
const TARGET: &str = "replicationcontrollers";

fn target(c: &Cluster, replicas: i64, script: &str) {
    let c1 = with(
        container("c", script),
        json!({"resources": {"requests": {"cpu": "100m", "memory": "2Mi"}}}),
    );
    let pod = json!({"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [c1]}});
    c.create(
        TARGET,
        json!({"metadata": {"name": "w", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"app": "w"}, "template": pod}}),
    );
}

fn autoscaler(c: &Cluster, spec: Value) {
    let spec = with(
        json!({"scaleTargetRef": {"apiVersion": "v1", "kind": "ReplicationController", "name": "w"}, "maxReplicas": 10}),
        spec,
    );
    c.create(AUTOSCALERS, json!({"metadata": {"name": "h", "namespace": "default"}, "spec": spec}));
}

fn cpu(percent: i64) -> Value {
    json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}}])
}

fn replicas(c: &Cluster) -> Value {
    c.store.get(TARGET, "default", "w").unwrap()["spec"]["replicas"].clone()
}

fn hpa(c: &Cluster) -> Value {
    c.store.get(AUTOSCALERS, "default", "h").unwrap()["status"].clone()
}

fn condition(c: &Cluster, kind: &str) -> String {
    let status = hpa(c);
    let all = status["conditions"].as_array().unwrap();
    let found = all.iter().find(|x| x["type"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    format!("{} {}", found["status"].as_str().unwrap(), found["reason"].as_str().unwrap())
}

fn get(c: &Cluster, path: &str) -> Value {
    let Body::Full(bytes) = Api::new(&c.store).handle(&Request::new("GET", path)).body else {
        panic!("a stream")
    };
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn what_pods_and_nodes_use_is_measured_and_changes_nothing() {
    let mut c = Cluster::with(7, 1, Default::default());
    c.pod(
        "p",
        json!({"containers": [container("a", "burn 250 stay"), container("b", "burn 50 stay")]}),
    );
    c.until(14.0);
    let before = c.store.version();
    assert_eq!(get(&c, "/apis/metrics.k8s.io/v1beta1/pods")["items"], json!([]));
    c.until(31.0);
    let pod = get(&c, "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/p");
    assert_eq!(pod["kind"], "PodMetrics");
    assert_eq!(pod["window"], "15s");
    assert_eq!(
        pod["containers"],
        json!([
        {"name": "a", "usage": {"cpu": "250000000n", "memory": "1024Ki"}},
        {"name": "b", "usage": {"cpu": "50000000n", "memory": "1024Ki"}}])
    );
    let nodes = get(&c, "/apis/metrics.k8s.io/v1beta1/nodes");
    assert_eq!(nodes["items"][0]["usage"], json!({"cpu": "300000000n", "memory": "2048Ki"}));
    // Only the lease of the node was renewed meanwhile.
    let leases = c.store.list("leases.coordination.k8s.io", None);
    let newest = leases
        .iter()
        .map(|l| l["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap())
        .max();
    assert!(c.store.version() - before <= 2 && newest == Some(c.store.version()));
    let none = get(&c, "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/x");
    assert_eq!(none["message"], "podmetrics.metrics.k8s.io \"default/x\" not found");
}

#[test]
fn it_grows_with_the_load_and_says_why() {
    let mut c = Cluster::new();
    target(&c, 4, "burn 90 stay");
    autoscaler(&c, json!({"metrics": cpu(50)}));
    c.until(10.0);
    assert_eq!(condition(&c, "ScalingActive"), "False FailedGetResourceMetric");
    assert!(c.events("h").iter().any(|e| e == "Warning FailedGetResourceMetric: failed to get cpu resource metric value: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API"), "{:?}", c.events("h"));
    let mut second = 10;
    while replicas(&c) == 4 && second < 60 {
        second += 1;
        c.until(f64::from(second));
    }
    // ceil(4 * 90/50)
    assert_eq!(replicas(&c), 8);
    let status = hpa(&c);
    assert_eq!(
        status["currentMetrics"][0]["resource"]["current"],
        json!({"averageUtilization": 90, "averageValue": "90m"})
    );
    assert_eq!(status["desiredReplicas"], 8);
    assert_eq!(condition(&c, "ScalingActive"), "True ValidMetricFound");
    assert_eq!(condition(&c, "ScalingLimited"), "False DesiredWithinRange");
    assert!(c.events("h").contains(&"Normal SuccessfulRescale: New size: 8; reason: cpu resource utilization (percentage of request) above target".into()), "{:?}", c.events("h"));
}

#[test]
fn within_the_tolerance_nothing_changes_and_down_it_goes_after_five_minutes() {
    let mut c = Cluster::new();
    target(&c, 3, "burn 55 sleep 400 burn 5 stay");
    autoscaler(&c, json!({"metrics": cpu(50)}));
    c.until(390.0);
    assert_eq!(replicas(&c), 3);
    assert!(!c.events("h").iter().any(|e| e.contains("SuccessfulRescale")));
    c.until(600.0);
    assert_eq!(replicas(&c), 3);
    assert_eq!(condition(&c, "AbleToScale"), "True ScaleDownStabilized");
    c.until(760.0);
    assert_eq!(replicas(&c), 1);
    assert!(c.events("h").contains(
        &"Normal SuccessfulRescale: New size: 1; reason: All metrics below target".into()
    ));
}

#[test]
fn limits_and_other_metrics() {
    let mut c = Cluster::new();
    target(&c, 2, "burn 400 stay");
    autoscaler(
        &c,
        json!({"minReplicas": 1, "maxReplicas": 3, "metrics": [
        {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Mi"}}},
        {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "target": {"type": "Utilization", "averageUtilization": 50}}},
        {"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "Value", "value": "3"}}}]}),
    );
    c.until(70.0);
    assert_eq!(replicas(&c), 3, "one metric that fails does not keep it from growing");
    assert_eq!(condition(&c, "ScalingLimited"), "True TooManyReplicas");
    assert!(c.events("h").iter().any(|e| e.starts_with("Warning FailedGetExternalMetric")));
    let bad = json!({"metadata": {"name": "x", "namespace": "default"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "w"}, "minReplicas": 5, "maxReplicas": 2}});
    assert_eq!(
        c.store.create(AUTOSCALERS, bad).unwrap_err().message,
        "HorizontalPodAutoscaler.autoscaling \"x\" is invalid: spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`"
    );
}

/// A pod that tells `script`'s metrics to whoever asks at port 9100.
fn teller(c: &Cluster, name: &str, app: &str, script: &str) {
    let notes = json!({"prometheus.io/scrape": "true", "prometheus.io/port": "9100"});
    let pod = json!({"metadata": {"labels": {"app": app}, "annotations": notes},
        "spec": {"containers": [container("c", script)]}});
    c.create(
        TARGET,
        json!({"metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": 1, "selector": {"app": app}, "template": pod}}),
    );
}

const LONG: &str =
    "tell 9100 queue_waiting{queue=\"a\"}~12 sleep 60 tell 9100 queue_waiting{queue=\"a\"}~3 stay";

fn by_queue(queue: &str, target: Value) -> Value {
    json!([{"type": "External", "external": {
        "metric": {"name": "queue_waiting", "selector": {"matchLabels": {"queue": queue}}},
        "target": target}}])
}

#[test]
fn a_queue_that_tells_its_length_scales_its_workers() {
    let mut c = Cluster::new();
    target(&c, 1, "stay");
    teller(&c, "queue", "queue", LONG);
    let none = json!({"stabilizationWindowSeconds": 0});
    let target = json!({"type": "AverageValue", "averageValue": "2"});
    autoscaler(&c, json!({"metrics": by_queue("a", target), "behavior": {"scaleDown": none}}));
    c.until(50.0);
    // 12 tasks, 2 for each; from one at most to four more in 15 s.
    assert_eq!(replicas(&c), 6);
    let path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue_waiting";
    let told = get(&c, &format!("{path}?labelSelector=queue%3Da"));
    assert_eq!(told["items"][0]["value"], "12");
    assert_eq!(told["items"][0]["metricLabels"]["queue"], "a");
    assert_eq!(get(&c, &format!("{path}?labelSelector=queue%3Db"))["items"], json!([]));
    let status = hpa(&c);
    assert_eq!(
        status["currentMetrics"][0]["external"]["current"],
        json!({"averageValue": "2400m"}),
        "12 tasks for the five that there were"
    );
    let grown = "New size: 5; reason: external metric queue_waiting(&LabelSelector{MatchLabels:map[string]string{queue: a,},MatchExpressions:[]LabelSelectorRequirement{},}) above target";
    assert!(
        c.events("h").contains(&format!("Normal SuccessfulRescale: {grown}")),
        "{:?}",
        c.events("h")
    );
    c.until(120.0);
    assert_eq!(replicas(&c), 2, "3 tasks are work for two");
}

#[test]
fn what_nobody_tells_is_no_metric() {
    let mut c = Cluster::new();
    target(&c, 1, "stay");
    teller(&c, "queue", "queue", LONG);
    autoscaler(&c, json!({"metrics": by_queue("b", json!({"type": "Value", "value": "2"}))}));
    c.until(50.0);
    assert_eq!(replicas(&c), 1);
    assert_eq!(condition(&c, "ScalingActive"), "False FailedGetExternalMetric");
    let said = c.events("h");
    assert!(said.iter().any(|e| e.contains("unable to get external metric default/queue_waiting/&LabelSelector{MatchLabels:map[string]string{queue: b,},MatchExpressions:[]LabelSelectorRequirement{},}: no metrics returned from external metrics API")), "{said:?}");
}

#[test]
fn a_value_as_a_whole_and_what_each_pod_tells() {
    let mut c = Cluster::new();
    teller(&c, "w", "w", "tell 9100 open~30 stay");
    let whole = json!([{"type": "External", "external": {"metric": {"name": "open"},
        "target": {"type": "Value", "value": "10"}}}]);
    autoscaler(&c, json!({"metrics": whole, "maxReplicas": 3}));
    c.until(35.0);
    assert_eq!(replicas(&c), 3);

    let mut c = Cluster::new();
    teller(&c, "w", "w", "tell 9100 open~30 stay");
    let each = json!([{"type": "Pods", "pods": {"metric": {"name": "open"},
        "target": {"type": "AverageValue", "averageValue": "15"}}}]);
    autoscaler(&c, json!({"metrics": each}));
    c.until(35.0);
    assert_eq!(replicas(&c), 2);
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/*/open";
    let told = get(&c, path);
    assert_eq!(told["items"][0]["value"], "30");
    assert_eq!(hpa(&c)["currentMetrics"][0]["pods"]["current"], json!({"averageValue": "30"}));
}

#[test]
fn what_is_said_of_an_object_scales_what_stands_behind_it() {
    let of = |kind: &str, name: &str, target: Value| {
        json!([{"type": "Object", "object": {"metric": {"name": "requests"},
            "describedObject": {"apiVersion": "v1", "kind": kind, "name": name},
            "target": target}}])
    };
    // Two pods tell of two Ingresses.
    let mut c = Cluster::new();
    target(&c, 1, "stay");
    teller(&c, "edge", "edge", "tell 9100 requests{ingress=\"front\"}~30 stay");
    teller(&c, "rest", "rest", "tell 9100 requests{ingress=\"other\"}~900 stay");
    let whole = json!({"type": "Value", "value": "10"});
    autoscaler(&c, json!({"metrics": of("Ingress", "front", whole.clone())}));
    c.until(35.0);
    assert_eq!(replicas(&c), 3, "{:?}", c.events("h"));
    let grown =
        "Normal SuccessfulRescale: New size: 3; reason: Ingress metric requests above target";
    assert!(c.events("h").contains(&grown.to_owned()), "{:?}", c.events("h"));
    let current = &hpa(&c)["currentMetrics"][0];
    assert_eq!(current["object"]["current"], json!({"value": "30"}));
    assert_eq!(current["object"]["describedObject"]["name"], "front");
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default";
    let told = get(&c, &format!("{path}/ingresses.networking.k8s.io/other/requests"));
    assert_eq!(told["items"][0]["value"], "900");

    // A Service is told of by its pods; of what nobody tells, that is said.
    let mut c = Cluster::new();
    target(&c, 1, "stay");
    teller(&c, "edge", "edge", "tell 9100 requests~30 stay");
    let service = json!({"selector": {"app": "edge"}, "ports": [{"port": 80}]});
    c.create(
        "services",
        json!({"metadata": {"name": "edge", "namespace": "default"}, "spec": service}),
    );
    let each = json!({"type": "AverageValue", "averageValue": "15"});
    autoscaler(&c, json!({"metrics": of("Service", "edge", each)}));
    c.until(35.0);
    assert_eq!(replicas(&c), 2);
    let mut c = Cluster::new();
    target(&c, 1, "stay");
    teller(&c, "edge", "edge", "tell 9100 requests~30 stay");
    autoscaler(&c, json!({"metrics": of("Service", "none", whole)}));
    c.until(35.0);
    assert_eq!(replicas(&c), 1);
    assert_eq!(condition(&c, "ScalingActive"), "False FailedGetObjectMetric");
    let why = "failed to get object metric value: unable to get metric requests: Service on default none/unable to fetch metrics from custom metrics API: the server could not find the metric requests for service none";
    let said = c.events("h");
    let is_it = |e: &String| e.starts_with("Warning FailedGetObjectMetric") && e.ends_with(why);
    assert!(said.iter().any(is_it), "{said:?}");
}
