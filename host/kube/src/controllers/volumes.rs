//! Volumes and claims find each other, volumes are made when there is none, and nothing goes
//! while it is used (`pkg/controller/volume/{persistentvolume,pvcprotection,pvprotection}`, and
//! the provisioner, which in a cluster is a program of its own).

use std::sync::Arc;

use podlab_trace::Verb;
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, start};
use crate::admission::storage::{CLAIM_FINALIZER, CLASSES, PROVISIONER, VOLUME_FINALIZER};
use crate::control_plane::Shared;
use crate::events::About;
use crate::scheduler::SELECTED_NODE;
use crate::store::object::list;
use crate::store::object::{map_mut, meta_mut};
use crate::store::selector::LabelSelector;
use crate::store::watch::Change;
use crate::store::{DeleteOptions, Error, Object, object, quantity};

const CLAIMS: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";
const BOUND_BY: &str = "pv.kubernetes.io/bound-by-controller";
const COMPLETED: &str = "pv.kubernetes.io/bind-completed";

/// Starts the three of them.
pub(super) fn start_all(shared: &Arc<Shared>) {
    start(shared, Binder);
    start(shared, Protection);
}

/// Binds, makes and reclaims. Volumes have keys without a namespace.
struct Binder;

fn size(amounts: &Value) -> i128 {
    quantity::of(&amounts["storage"]).unwrap_or(0)
}

impl Controller for Binder {
    const NAME: &'static str = "persistentvolume-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec![CLAIMS, VOLUMES, CLASSES]
    }

    fn concerns(&mut self, context: &Context, kind: &str, change: &Change) -> Vec<Key> {
        let object = &change.object;
        let mut keys = Vec::new();
        if kind != CLASSES {
            keys.push(object::key(object));
        }
        let class = object["spec"]["storageClassName"].clone();
        let waiting = |c: &Object| {
            c["status"]["phase"] != "Bound"
                && (kind == CLASSES || c["spec"]["storageClassName"] == class)
        };
        if kind == CLAIMS {
            keys.extend(
                context
                    .store
                    .list(VOLUMES, None)
                    .iter()
                    .filter(|v| {
                        v["spec"]["claimRef"]["name"] == object::name(object)
                            && v["spec"]["claimRef"]["namespace"] == object::namespace(object)
                    })
                    .map(|v| object::key(v)),
            );
        } else {
            // A volume that is free now is for somebody who waits.
            keys.extend(
                context
                    .store
                    .list(CLAIMS, None)
                    .iter()
                    .filter(|c| waiting(c) || c["spec"]["volumeName"] == object::name(object))
                    .map(|c| object::key(c)),
            );
        }
        keys
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        if key.0.is_empty() {
            if let Some(volume) = context.store.get(VOLUMES, "", &key.1) {
                sync_volume(context, &volume)?;
            }
        } else if let Some(claim) = context.store.get(CLAIMS, &key.0, &key.1) {
            sync_claim(context, &claim)?;
        }
        Ok(Next::Change)
    }
}

fn sync_claim(context: &Context, claim: &Object) -> Result<(), Error> {
    let about = About::object(claim);
    let named = claim["spec"]["volumeName"].as_str().unwrap_or("");
    if claim["metadata"]["annotations"][COMPLETED].is_string() {
        let volume = context.store.get(VOLUMES, "", named);
        let ours = volume.filter(|v| v["spec"]["claimRef"]["uid"] == object::uid(claim));
        return match ours {
            Some(volume) => bind(context, claim, &volume),
            None => lose(context, claim),
        };
    }
    if object::deleting(claim) {
        return Ok(());
    }
    if !named.is_empty() {
        // It asks for one volume and waits until that is free.
        let volume = context.store.get(VOLUMES, "", named);
        return match volume {
            Some(v) if free_for(&v, claim) => bind(context, claim, &v),
            _ => Ok(()),
        };
    }
    let class_name = claim["spec"]["storageClassName"].as_str().unwrap_or("");
    let class = context.store.get(CLASSES, "", class_name);
    let waits = class.as_ref().is_some_and(|c| c["volumeBindingMode"] == "WaitForFirstConsumer");
    let node = claim["metadata"]["annotations"][SELECTED_NODE].as_str();
    let promised = |v: &Object| v["spec"]["claimRef"]["name"].is_string();
    let best = best(context, claim, node);
    if waits && node.is_none() && !best.as_ref().is_some_and(promised) {
        let text = "waiting for first consumer to be created before binding";
        context.events.normal(&about, "WaitForFirstConsumer", text);
        return Ok(());
    }
    if let Some(volume) = best {
        return bind(context, claim, &volume);
    }
    if class_name.is_empty() {
        let text = "no persistent volumes available for this claim and no storage class is set";
        context.events.normal(&about, "FailedBinding", text);
        return Ok(());
    }
    let Some(class) = class else {
        let text = format!("storageclass.storage.k8s.io {class_name:?} not found");
        context.events.warning(&about, "ProvisioningFailed", &text);
        return Ok(());
    };
    provision(context, claim, &class)
}

/// Whether a volume belongs to nobody, or is kept for this claim.
fn free_for(volume: &Value, claim: &Value) -> bool {
    let reference = &volume["spec"]["claimRef"];
    if reference.is_null() {
        return volume["status"]["phase"] != "Released";
    }
    let uid = reference["uid"].as_str().unwrap_or("");
    reference["name"] == object::name(claim)
        && reference["namespace"] == object::namespace(claim)
        && (uid.is_empty() || uid == object::uid(claim))
}

/// The smallest free volume that is enough; one kept for the claim before all others.
fn best(context: &Context, claim: &Value, node: Option<&str>) -> Option<Object> {
    let spec = &claim["spec"];
    let wanted = size(&spec["resources"]["requests"]);
    let node = node.and_then(|n| context.store.get("nodes", "", n));
    let word = |v: &Value| v.as_str().unwrap_or("").to_owned();
    let mut all = context.store.list(VOLUMES, None);
    all.retain(|v| {
        let modes = list(&v["spec"], "accessModes");
        free_for(v, claim)
            && !object::deleting(v)
            && word(&v["spec"]["storageClassName"]) == word(&spec["storageClassName"])
            && v["spec"]["volumeMode"] == spec["volumeMode"]
            && list(spec, "accessModes").iter().all(|m| modes.contains(m))
            && size(&v["spec"]["capacity"]) >= wanted
            && (spec["selector"].is_null()
                || LabelSelector::from_selector(&spec["selector"]).matches(v))
            && node.as_ref().is_none_or(|n| crate::scheduler::reaches(v, n))
    });
    all.into_iter().min_by_key(|v| {
        let kept = !v["spec"]["claimRef"].is_null();
        (!kept, size(&v["spec"]["capacity"]), object::name(v).to_owned())
    })
}

/// Ties claim and volume together: four writes, each of which may have been done before.
fn bind(context: &Context, claim: &Object, volume: &Object) -> Result<(), Error> {
    let store = &context.store;
    let mut new = Value::clone(volume);
    if volume["spec"]["claimRef"]["uid"] != object::uid(claim) {
        if volume["spec"]["claimRef"].is_null() {
            let notes = meta_mut(&mut new).entry("annotations").or_insert_with(|| json!({}));
            notes[BOUND_BY] = "yes".into();
        }
        new["spec"]["claimRef"] = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "namespace": object::namespace(claim), "name": object::name(claim),
            "uid": object::uid(claim),
            "resourceVersion": object::meta(claim, "resourceVersion"),
        });
        new = Value::clone(&*store.update(VOLUMES, new)?);
    }
    phase(context, &Arc::new(new), "Bound")?;
    let mut new = Value::clone(claim);
    let name = object::name(volume);
    let by_us = claim["spec"]["volumeName"].as_str().unwrap_or("").is_empty();
    new["spec"]["volumeName"] = name.into();
    let notes = meta_mut(&mut new).entry("annotations").or_insert_with(|| json!({}));
    notes[COMPLETED] = "yes".into();
    if by_us {
        notes[BOUND_BY] = "yes".into();
    }
    let mut new = Value::clone(&*store.update(CLAIMS, new)?);
    let status = map_mut(map_mut(&mut new).entry("status").or_insert(Value::Null));
    status.insert("phase".into(), "Bound".into());
    status.insert("accessModes".into(), volume["spec"]["accessModes"].clone());
    status.insert("capacity".into(), volume["spec"]["capacity"].clone());
    store.update_status(CLAIMS, new).map(|_| ())
}

fn lose(context: &Context, claim: &Object) -> Result<(), Error> {
    if claim["status"]["phase"] == "Lost" {
        return Ok(());
    }
    let mut new = Value::clone(claim);
    new["status"] = json!({"phase": "Lost"});
    context.store.update_status(CLAIMS, new)?;
    let text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
    context.events.warning(&About::object(claim), "ClaimLost", text);
    Ok(())
}

/// Makes a volume for a claim.
fn provision(context: &Context, claim: &Object, class: &Value) -> Result<(), Error> {
    let about = About::object(claim);
    let provisioner = class["provisioner"].as_str().unwrap_or("");
    if provisioner == "kubernetes.io/no-provisioner" {
        let text = "no volume plugin matched name: kubernetes.io/no-provisioner";
        context.events.warning(&about, "ProvisioningFailed", text);
        return Ok(());
    }
    let mut new = Value::clone(claim);
    let notes = meta_mut(&mut new).entry("annotations").or_insert_with(|| json!({}));
    for note in [
        "volume.kubernetes.io/storage-provisioner",
        "volume.beta.kubernetes.io/storage-provisioner",
    ] {
        notes[note] = provisioner.into();
    }
    context.store.update(CLAIMS, new)?;
    let text = format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
    );
    context.events.normal(&about, "ExternalProvisioning", &text);
    if provisioner != PROVISIONER {
        return Ok(());
    }
    let source = format!("{PROVISIONER}_provisioner");
    let events = context.shared.events.of(&source, "");
    let full = format!("{}/{}", object::namespace(claim), object::name(claim));
    events.normal(
        &about,
        "Provisioning",
        &format!("External provisioner is provisioning volume for claim {full:?}"),
    );
    let name = format!("pvc-{}", object::uid(claim));
    let volume = json!({
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": provisioner}},
        "spec": {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "namespace": object::namespace(claim), "name": object::name(claim),
                "uid": object::uid(claim),
                "resourceVersion": object::meta(claim, "resourceVersion"),
            },
            "csi": {"driver": provisioner, "volumeHandle": name},
            "persistentVolumeReclaimPolicy": class["reclaimPolicy"],
            "storageClassName": object::name(class),
            "volumeMode": claim["spec"]["volumeMode"],
        },
    });
    match context.store.create(VOLUMES, volume) {
        Ok(_) => {}
        Err(e) if e.reason == "AlreadyExists" => {}
        Err(e) => {
            let text = format!(
                "failed to provision volume with StorageClass {:?}: {}",
                object::name(class),
                e.message
            );
            events.warning(&about, "ProvisioningFailed", &text);
            return Err(e);
        }
    }
    events.normal(
        &about,
        "ProvisioningSucceeded",
        &format!("Successfully provisioned volume {name}"),
    );
    Ok(())
}

fn sync_volume(context: &Context, volume: &Object) -> Result<(), Error> {
    let reference = &volume["spec"]["claimRef"];
    let uid = reference["uid"].as_str().unwrap_or("");
    if reference.is_null() || uid.is_empty() {
        return phase(context, volume, "Available");
    }
    let word = |f: &str| reference[f].as_str().unwrap_or("");
    let claim = context.store.get(CLAIMS, word("namespace"), word("name"));
    if let Some(claim) = claim.filter(|c| object::uid(c) == uid) {
        let theirs = claim["spec"]["volumeName"].as_str().unwrap_or("");
        if theirs.is_empty() || theirs == object::name(volume) {
            return if theirs.is_empty() { Ok(()) } else { phase(context, volume, "Bound") };
        }
    }
    phase(context, volume, "Released")?;
    if volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete" && !object::deleting(volume) {
        // What it held is gone with it.
        context.shared.claims.lock().expect("claims lock").remove(object::uid(volume));
        let options = DeleteOptions::default();
        context.store.delete(VOLUMES, "", object::name(volume), &options)?;
    }
    Ok(())
}

fn phase(context: &Context, volume: &Object, phase: &str) -> Result<(), Error> {
    if volume["status"]["phase"] == phase {
        return Ok(());
    }
    let mut new = Value::clone(volume);
    let status = map_mut(map_mut(&mut new).entry("status").or_insert(Value::Null));
    status.insert("phase".into(), phase.into());
    let now = object::time(context.shared.sim.unix_nanos());
    status.insert("lastPhaseTransitionTime".into(), now.into());
    context.store.update_status(VOLUMES, new).map(|_| ())
}

/// Lets go of claims that no pod uses and of volumes that are not bound.
struct Protection;

impl Controller for Protection {
    const NAME: &'static str = "pvc-protection-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec![CLAIMS, VOLUMES, "pods"]
    }

    fn concerns(&mut self, _: &Context, kind: &str, change: &Change) -> Vec<Key> {
        let object = &change.object;
        if kind != "pods" {
            return if object::deleting(object) { vec![object::key(object)] } else { Vec::new() };
        }
        let over = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        if !over && change.verb != Verb::Deleted {
            return Vec::new();
        }
        let used = list(&object["spec"], "volumes").iter();
        let claims = used.filter_map(|v| v["persistentVolumeClaim"]["claimName"].as_str());
        claims.map(|c| (object::namespace(object).to_owned(), c.to_owned())).collect()
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let (kind, finalizer) =
            if key.0.is_empty() { (VOLUMES, VOLUME_FINALIZER) } else { (CLAIMS, CLAIM_FINALIZER) };
        let Some(object) = context.store.get(kind, &key.0, &key.1) else { return Ok(Next::Change) };
        if !object::deleting(&object) {
            return Ok(Next::Change);
        }
        let busy = if kind == VOLUMES {
            object["status"]["phase"] == "Bound"
        } else {
            context.store.list("pods", Some(&key.0)).iter().any(|p| {
                !matches!(p["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
                    && list(&p["spec"], "volumes")
                        .iter()
                        .any(|v| v["persistentVolumeClaim"]["claimName"] == key.1)
            })
        };
        if busy {
            return Ok(Next::Change);
        }
        let mut new = Value::clone(&object);
        if let Some(all) = new["metadata"]["finalizers"].as_array_mut() {
            let before = all.len();
            all.retain(|f| f != finalizer);
            if all.len() < before {
                context.store.update(kind, new)?;
            }
        }
        Ok(Next::Change)
    }
}
