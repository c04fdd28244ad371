//! The default StorageClass, and what keeps storage from going while it is used
//! (`plugin/pkg/admission/storage`).

use serde_json::{Value, json};

use crate::store::object::{map_mut, meta_mut};
use crate::store::{Store, object};

/// The key of StorageClasses.
pub(crate) const CLASSES: &str = "storageclasses.storage.k8s.io";
/// Who makes volumes in a world.
pub(crate) const PROVISIONER: &str = "podlab.io/dynamic";
const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
/// Holds a claim that pods use.
pub(crate) const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
/// Holds a volume that is bound.
pub(crate) const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";

/// The class that is there from the beginning, as in kind's clusters.
pub(super) fn standard() -> Value {
    json!({
        "metadata": {"name": "standard", "annotations": {DEFAULT: "true"}},
        "provisioner": PROVISIONER, "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    })
}

fn hold(object: &mut Value, finalizer: &str) {
    let list = meta_mut(object).entry("finalizers").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut()
        && !list.iter().any(|f| f == finalizer)
    {
        list.push(finalizer.into());
    }
}

pub(super) fn claim(store: &Store, claim: &mut Value) {
    hold(claim, CLAIM_FINALIZER);
    if !claim["spec"]["storageClassName"].is_null()
        || !claim["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"].is_null()
    {
        return;
    }
    // Of several defaults the newest.
    let all = store.list(CLASSES, None);
    let default =
        all.iter().filter(|c| c["metadata"]["annotations"][DEFAULT] == "true").max_by_key(|c| {
            (
                object::meta(c, "creationTimestamp").to_owned(),
                std::cmp::Reverse(object::name(c).to_owned()),
            )
        });
    if let Some(class) = default {
        map_mut(map_mut(claim).entry("spec").or_insert(Value::Null))
            .insert("storageClassName".into(), object::name(class).into());
    }
}

pub(super) fn volume(volume: &mut Value) {
    hold(volume, VOLUME_FINALIZER);
}
