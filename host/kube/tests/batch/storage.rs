//! Volumes that outlive pods.

use serde_json::{Value, json};

use crate::cluster::{Cluster, container, with};

const CLAIMS: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";

fn claim(c: &Cluster, name: &str, more: Value) {
    let spec = with(
        json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}),
        more,
    );
    c.create(CLAIMS, json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec}));
}

fn volume(c: &Cluster, name: &str, size: &str, more: Value) {
    let spec = with(
        json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "storageClassName": "manual", "hostPath": {"path": "/x"}}),
        more,
    );
    c.create(VOLUMES, json!({"metadata": {"name": name}, "spec": spec}));
}

fn user(c: &Cluster, name: &str, claim: &str, script: &str) {
    let mounts = json!([{"name": "v", "mountPath": "/data"}]);
    c.pod(name, json!({"restartPolicy": "Never", "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}],
        "containers": [with(container("c", script), json!({"volumeMounts": mounts}))]}));
}

fn get(c: &Cluster, kind: &str, name: &str) -> Option<std::sync::Arc<Value>> {
    c.store.get(kind, if kind == CLAIMS { "default" } else { "" }, name)
}

fn phase(c: &Cluster, kind: &str, name: &str) -> String {
    get(c, kind, name)
        .map_or("gone".into(), |o| o["status"]["phase"].as_str().unwrap_or("").to_owned())
}

#[test]
fn a_claim_waits_for_its_first_pod_and_data_outlives_pods() {
    let mut c = Cluster::new();
    claim(&c, "data", json!({}));
    c.until(1.0);
    let made = get(&c, CLAIMS, "data").unwrap();
    assert_eq!(made["spec"]["storageClassName"], "standard");
    assert_eq!(made["spec"]["volumeMode"], "Filesystem");
    assert_eq!(made["metadata"]["finalizers"], json!(["kubernetes.io/pvc-protection"]));
    assert_eq!(phase(&c, CLAIMS, "data"), "Pending");
    // Said once a look; whether the class or the claim is noticed first, the seed decides.
    let events = c.events("data");
    assert!(
        events.len() == 1
            && events[0].starts_with("Normal WaitForFirstConsumer")
            && events[0].ends_with(": waiting for first consumer to be created before binding"),
        "{events:?}"
    );
    user(&c, "w", "data", "write /data/f kept exit 0");
    c.until(5.0);
    assert_eq!(c.status("w")["phase"], "Succeeded");
    let bound = get(&c, CLAIMS, "data").unwrap();
    let name = format!("pvc-{}", bound["metadata"]["uid"].as_str().unwrap());
    assert_eq!(bound["spec"]["volumeName"], name);
    assert_eq!(
        bound["status"],
        json!({"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}})
    );
    assert_eq!(bound["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"], "yes");
    assert_eq!(phase(&c, VOLUMES, &name), "Bound");
    let node = c.get("w").unwrap()["spec"]["nodeName"].clone();
    assert_eq!(bound["metadata"]["annotations"]["volume.kubernetes.io/selected-node"], node);
    let events = c.events("data");
    assert!(
        events.iter().any(|e| e
            == &format!("Normal ProvisioningSucceeded: Successfully provisioned volume {name}")),
        "{events:?}"
    );
    c.delete("w", Some(0));
    user(&c, "r", "data", "read /data/f stay");
    c.until(10.0);
    assert_eq!(c.log("r", "c"), ["kept"]);
    // While a pod uses it, it does not go.
    c.store.delete(CLAIMS, "default", "data", &Default::default()).unwrap();
    c.until(12.0);
    assert!(get(&c, CLAIMS, "data").unwrap()["metadata"]["deletionTimestamp"].is_string());
    c.delete("r", Some(0));
    c.until(15.0);
    assert_eq!([phase(&c, CLAIMS, "data"), phase(&c, VOLUMES, &name)], ["gone", "gone"]);
}

#[test]
fn the_smallest_volume_that_is_enough_is_bound_and_kept() {
    let mut c = Cluster::new();
    volume(&c, "small", "512Mi", json!({}));
    volume(&c, "large", "10Gi", json!({}));
    volume(&c, "right", "2Gi", json!({}));
    volume(&c, "many", "1Gi", json!({"accessModes": ["ReadOnlyMany"]}));
    c.until(1.0);
    assert_eq!(phase(&c, VOLUMES, "right"), "Available");
    claim(&c, "data", json!({"storageClassName": "manual"}));
    claim(&c, "none", json!({"storageClassName": ""}));
    claim(&c, "odd", json!({"storageClassName": "nope"}));
    c.until(2.0);
    assert_eq!(get(&c, CLAIMS, "data").unwrap()["spec"]["volumeName"], "right");
    assert_eq!(get(&c, CLAIMS, "data").unwrap()["status"]["capacity"], json!({"storage": "2Gi"}));
    assert_eq!(get(&c, VOLUMES, "right").unwrap()["spec"]["claimRef"]["name"], "data");
    assert_eq!(
        c.events("none")[0],
        "Normal FailedBinding: no persistent volumes available for this claim and no storage class is set"
    );
    assert_eq!(
        c.events("odd")[0],
        "Warning ProvisioningFailed: storageclass.storage.k8s.io \"nope\" not found"
    );
    user(&c, "w", "data", "write /data/f x exit 0");
    user(&c, "stuck", "none", "stay");
    user(&c, "lost", "missing", "stay");
    c.until(5.0);
    assert_eq!(c.status("w")["phase"], "Succeeded");
    assert_eq!(
        c.condition("stuck", "PodScheduled"),
        "False Unschedulable 0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
    assert_eq!(
        c.condition("lost", "PodScheduled"),
        "False Unschedulable 0/3 nodes are available: persistentvolumeclaim \"missing\" not found. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
    c.delete("w", Some(0));
    c.store.delete(CLAIMS, "default", "data", &Default::default()).unwrap();
    c.until(7.0);
    assert_eq!(phase(&c, VOLUMES, "right"), "Released", "Retain keeps it, for nobody else");
    claim(&c, "again", json!({"storageClassName": "manual"}));
    c.until(8.0);
    assert_eq!(get(&c, CLAIMS, "again").unwrap()["spec"]["volumeName"], "large");
    // Taken over by hand, its data are still there.
    let mut freed = Value::clone(&get(&c, VOLUMES, "right").unwrap());
    freed["spec"].as_object_mut().unwrap().remove("claimRef");
    c.store.update(VOLUMES, freed).unwrap();
    claim(&c, "heir", json!({"storageClassName": "manual", "volumeName": "right"}));
    user(&c, "r", "heir", "read /data/f stay");
    c.until(12.0);
    assert_eq!(c.log("r", "c"), ["x"]);
    c.store.delete(VOLUMES, "", "right", &Default::default()).unwrap();
    c.until(13.0);
    assert!(get(&c, VOLUMES, "right").unwrap()["metadata"]["deletionTimestamp"].is_string());
}

#[test]
fn an_immediate_class_makes_volumes_at_once() {
    let mut c = Cluster::new();
    c.create("storageclasses.storage.k8s.io", json!({"metadata": {"name": "fast"}, "provisioner": "podlab.io/dynamic", "reclaimPolicy": "Retain"}));
    claim(&c, "data", json!({"storageClassName": "fast"}));
    c.until(1.0);
    assert_eq!(phase(&c, CLAIMS, "data"), "Bound");
    let name = get(&c, CLAIMS, "data").unwrap()["spec"]["volumeName"].as_str().unwrap().to_owned();
    let mut grown = Value::clone(&get(&c, CLAIMS, "data").unwrap());
    grown["spec"]["resources"]["requests"]["storage"] = "5Gi".into();
    assert_eq!(
        c.store.update(CLAIMS, grown).unwrap_err().message,
        "persistentvolumeclaims \"data\" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
    );
    c.store.delete(CLAIMS, "default", "data", &Default::default()).unwrap();
    c.until(2.0);
    assert_eq!(phase(&c, VOLUMES, &name), "Released");
    let bad = json!({"metadata": {"name": "x", "namespace": "default"}, "spec": {"resources": {}}});
    let message = c.store.create(CLAIMS, bad).unwrap_err().message;
    assert_eq!(
        message,
        "PersistentVolumeClaim \"x\" is invalid: [spec.accessModes: Required value: at least 1 access mode is required, spec.resources[storage]: Required value]"
    );
}
