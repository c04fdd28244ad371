//! What the targets share: an API server with objects in it, and how bytes become words.

use podlab_kube::api::{Api, access};
use podlab_kube::store::Store;
use podlab_sim::Sim;
use podlab_trace::Trace;
use serde_json::json;

/// The path of the Deployment that is there.
pub const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/web";

/// An API server with a namespace, a Deployment, a pod and the usual roles; the world is kept as
/// long as it is used.
///
/// # Panics
/// If these objects are refused.
pub fn furnished() -> (Sim, Api) {
    let sim = Sim::new(7, 1_795_237_178_000_000_000);
    let store = Store::new(&sim.handle(), &Trace::default());
    store.create("namespaces", json!({"metadata": {"name": "default"}})).expect("a namespace");
    access::furnish(&store);
    let pod = json!({"containers": [{"name": "c", "image": "web:v1",
        "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1"}]}]});
    let metadata = json!({"name": "web", "namespace": "default", "labels": {"app": "web"}});
    store.create("pods", json!({"metadata": metadata, "spec": pod})).expect("a pod");
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": pod});
    let spec = json!({"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
        "template": template});
    let deployment = json!({"metadata": metadata, "spec": spec});
    store.create("deployments.apps", deployment).expect("a Deployment");
    (sim, Api::new(&store))
}

/// One of the content types that are known, or none.
pub fn media(choice: u8) -> &'static str {
    [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
        "application/json",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "",
    ][usize::from(choice) % 8]
}

/// Three parts, separated by bytes 0; the last is the rest.
pub fn words(data: &[u8]) -> [&[u8]; 3] {
    let mut parts = data.splitn(3, |b| *b == 0);
    [(); 3].map(|()| parts.next().unwrap_or_default())
}
