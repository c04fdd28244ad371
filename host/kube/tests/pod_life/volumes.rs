//! Volumes as containers see them.

use serde_json::json;

use crate::cluster::{Cluster, container, with};

fn mounted(name: &str, script: &str, mounts: serde_json::Value) -> serde_json::Value {
    with(container(name, script), json!({"volumeMounts": mounts}))
}

#[test]
fn an_empty_dir_is_shared_and_outlives_a_container() {
    let mut c = Cluster::new();
    let mounts = json!([{"name": "v", "mountPath": "/data"}]);
    c.pod(
        "p",
        json!({"volumes": [{"name": "v", "emptyDir": {}}], "containers": [
            mounted("w", "write /data/f x sleep 5 exit 1", mounts.clone()),
            mounted("r", "sleep 8 read /data/f stay", mounts),
        ]}),
    );
    c.until(12.0);
    assert_eq!(c.log("p", "r"), ["xx"]);
    assert!(c.control.volume("default", "p", "v").is_some());
}

#[test]
fn a_size_limit_is_the_end_of_the_space() {
    let mut c = Cluster::new();
    let mounts = json!([{"name": "v", "mountPath": "/data"}]);
    c.pod(
        "p",
        json!({"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "4"}}],
        "containers": [mounted("c", "write /data/f 12345678 stay", mounts)]}),
    );
    c.until(3.0);
    assert_eq!(c.log("p", "c"), ["/data/f: ENOSPC"]);
}

#[test]
fn config_maps_secrets_and_the_downward_api_are_files_and_follow_changes() {
    let mut c = Cluster::new();
    c.create(
        "configmaps",
        json!({"metadata": {"name": "m", "namespace": "default"}, "data": {"k": "one"}}),
    );
    c.create(
        "secrets",
        json!({"metadata": {"name": "s", "namespace": "default"}, "data": {"key": "c2VjcmV0"}}),
    );
    let volumes = json!([
        {"name": "m", "configMap": {"name": "m", "items": [{"key": "k", "path": "sub/name"}]}},
        {"name": "all", "projected": {"sources": [
            {"secret": {"name": "s"}},
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        ]}},
    ]);
    let mounts = json!([{"name": "m", "mountPath": "/m"}, {"name": "all", "mountPath": "/all", "readOnly": true}]);
    let script = "read /m/sub/name read /all/key read /all/labels write /m/new x sleep 30 read /m/sub/name sleep 65 read /m/sub/name stay";
    c.pod("p", json!({"volumes": volumes, "containers": [mounted("c", script, mounts)]}));
    c.until(10.0);
    c.store
        .update(
            "configmaps",
            json!({"metadata": {"name": "m", "namespace": "default"}, "data": {"k": "two"}}),
        )
        .unwrap();
    c.until(120.0);
    let log = c.log("p", "c");
    assert_eq!(log[..3], ["one", "secret", "app=\"p\""]);
    assert!(log[3].starts_with("/m/new: "), "{log:?}");
    assert_eq!(log[4..], ["one", "two"]);
}

#[test]
fn a_volume_that_cannot_be_had_is_waited_for() {
    let mut c = Cluster::new();
    c.pod(
        "p",
        json!({"volumes": [{"name": "v", "configMap": {"name": "m"}}],
        "containers": [mounted("c", "read /v/k stay", json!([{"name": "v", "mountPath": "/v"}]))]}),
    );
    c.pod(
        "h",
        json!({"volumes": [{"name": "v", "hostPath": {"path": "/etc"}}],
        "containers": [mounted("c", "stay", json!([{"name": "v", "mountPath": "/v"}]))]}),
    );
    c.until(5.0);
    assert_eq!(c.summary("p"), "Pending | c ContainerCreating unready 0");
    let events = c.events("p").join("\n");
    assert!(events.contains("FailedMount"), "{events}");
    assert!(
        events.contains("MountVolume.SetUp failed for volume \"v\" : configmap \"m\" not found"),
        "{events}"
    );
    assert_eq!(c.condition("p", "PodReadyToStartContainers"), "False");
    let events = c.events("h").join("\n");
    assert!(events.contains("this type of volume does not exist in a world"), "{events}");
    c.create(
        "configmaps",
        json!({"metadata": {"name": "m", "namespace": "default"}, "data": {"k": "v"}}),
    );
    c.until(30.0);
    assert_eq!(c.log("p", "c"), ["v"]);
}

#[test]
fn the_files_of_every_container_are_there() {
    let mut c = Cluster::new();
    c.pod("p", json!({"hostAliases": [{"ip": "10.0.0.9", "hostnames": ["far"]}],
        "containers": [container("c", "read /etc/hostname read /etc/resolv.conf read /etc/hosts read /proc/1/comm stay")]}));
    c.until(3.0);
    let log = c.log("p", "c").join("\n");
    assert!(log.starts_with("p\nsearch default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n"), "{log}");
    assert!(log.contains("10.0.0.9\tfar") && log.ends_with("script"), "{log}");
    assert!(log.contains(c.status("p")["podIP"].as_str().unwrap()), "{log}");
}
