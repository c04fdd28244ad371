//! What becomes of what is owned.

use podlab_kube::store::Propagation;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::world::{REPLICA_SETS, workload};

fn map(c: &Cluster, name: &str, owners: &[&str]) {
    let references: Vec<Value> = owners
        .iter()
        .map(|o| {
            let uid = match c.store.get("configmaps", "default", o) {
                Some(owner) => owner["metadata"]["uid"].clone(),
                None => "nobody".into(),
            };
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": o, "uid": uid, "blockOwnerDeletion": true})
        })
        .collect();
    let metadata = json!({"name": name, "namespace": "default", "ownerReferences": references});
    c.create("configmaps", json!({"metadata": metadata}));
}

fn maps(c: &Cluster) -> Vec<String> {
    c.names("configmaps").into_iter().filter(|n| n != "kube-root-ca.crt").collect()
}

#[test]
fn dependents_go_after_their_last_owner() {
    let mut c = Cluster::new();
    map(&c, "a", &[]);
    map(&c, "b", &[]);
    map(&c, "of-a", &["a"]);
    map(&c, "of-both", &["a", "b"]);
    map(&c, "of-that", &["of-a"]);
    c.until(1.0);
    c.remove("configmaps", "a", Propagation::Background);
    assert_eq!(maps(&c), ["b", "of-a", "of-both", "of-that"], "it goes first");
    c.until(2.0);
    assert_eq!(maps(&c), ["b", "of-both"]);
    let left = c.object("configmaps", "of-both")["metadata"]["ownerReferences"].clone();
    assert_eq!(left.as_array().unwrap().len(), 1, "only who is there is an owner: {left}");
    c.remove("configmaps", "b", Propagation::Background);
    c.until(3.0);
    assert_eq!(maps(&c), [""; 0]);
}

#[test]
fn who_names_an_owner_that_never_was_goes() {
    let mut c = Cluster::new();
    map(&c, "stray", &["ghost"]);
    let unknown = json!({"apiVersion": "x.io/v1", "kind": "Ghost", "name": "g", "uid": "g"});
    let metadata = json!({"name": "kept", "namespace": "default", "ownerReferences": [unknown]});
    c.create("configmaps", json!({"metadata": metadata}));
    c.until(1.0);
    assert_eq!(maps(&c), ["kept"]);
}

#[test]
fn in_the_foreground_the_owner_waits_for_its_pods() {
    let mut c = Cluster::new();
    c.create(REPLICA_SETS, workload("web", 2, "drain 3 stay"));
    c.until(3.0);
    c.remove(REPLICA_SETS, "web", Propagation::Foreground);
    c.until(4.0);
    let set = c.object(REPLICA_SETS, "web");
    assert_eq!(set["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert!(set["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(c.living("web").len(), 0, "and makes no new ones");
    assert_eq!(c.pods_of("web").len(), 2);
    c.until(10.0);
    assert_eq!(c.names("pods"), [""; 0]);
    assert_eq!(c.names(REPLICA_SETS), [""; 0]);
}

#[test]
fn only_dependents_that_block_are_waited_for() {
    let mut c = Cluster::new();
    map(&c, "owner", &[]);
    map(&c, "child", &["owner"]);
    c.edit("configmaps", "child", |o| {
        o["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = false.into();
        o["metadata"]["finalizers"] = json!(["example.com/mine"]);
    });
    c.until(1.0);
    c.remove("configmaps", "owner", Propagation::Foreground);
    c.until(2.0);
    assert_eq!(maps(&c), ["child"], "its own finalizer holds it");
    assert!(c.object("configmaps", "child")["metadata"]["deletionTimestamp"].is_string());
    c.edit("configmaps", "child", |o| o["metadata"]["finalizers"] = json!([]));
    assert_eq!(maps(&c), [""; 0]);
}

#[test]
fn orphans_stay_and_may_be_adopted() {
    let mut c = Cluster::new();
    c.create(REPLICA_SETS, workload("web", 2, "stay"));
    c.until(3.0);
    let before = c.names("pods");
    c.remove(REPLICA_SETS, "web", Propagation::Orphan);
    c.until(4.0);
    assert_eq!(c.names(REPLICA_SETS), [""; 0]);
    assert_eq!(c.names("pods"), before);
    assert!(c.living("web").iter().all(|p| p["metadata"]["ownerReferences"].is_null()));
    c.create(REPLICA_SETS, workload("web2", 2, "stay"));
    c.edit(REPLICA_SETS, "web2", |_| {});
    c.until(5.0);
    assert_eq!(c.names("pods").len(), 4, "other labels, other pods");
    c.create(REPLICA_SETS, workload("web", 2, "stay"));
    c.until(6.0);
    assert_eq!(c.names("pods").len(), 4);
    assert!(c.living("web").iter().all(|p| p["metadata"]["ownerReferences"].is_array()));
}

#[test]
fn a_circle_of_owners_can_be_deleted() {
    let mut c = Cluster::new();
    map(&c, "a", &[]);
    map(&c, "b", &["a"]);
    let uid = c.object("configmaps", "b")["metadata"]["uid"].clone();
    c.edit("configmaps", "a", |o| {
        o["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap",
            "name": "b", "uid": uid, "blockOwnerDeletion": true}]);
    });
    c.until(1.0);
    c.remove("configmaps", "a", Propagation::Foreground);
    c.until(2.0);
    assert_eq!(maps(&c), [""; 0]);
}

#[test]
fn all_of_it_comes_about_in_spite_of_conflicts() {
    for (propagation, left) in
        [(Propagation::Background, 0), (Propagation::Foreground, 0), (Propagation::Orphan, 4)]
    {
        let mut c = Cluster::new();
        c.store.set_conflicts(2);
        c.create(REPLICA_SETS, workload("web", 4, "stay"));
        c.until(20.0);
        assert_eq!(c.living("web").len(), 4);
        c.remove(REPLICA_SETS, "web", propagation);
        c.until(60.0);
        assert_eq!(c.names(REPLICA_SETS), [""; 0], "{propagation:?}");
        assert_eq!(c.living("web").len(), left, "{propagation:?}");
    }
}
