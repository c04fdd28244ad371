//! Claims of a pod: bound ones say where it can run, others must be bound first
//! (`plugins/volumebinding`).

use serde_json::{Value, json};

use super::affinity::terms_match;
use crate::store::object::meta_mut;
use crate::store::{Object, Store, object, quantity};

const CLAIMS: &str = "persistentvolumeclaims";
/// Tells the provisioner for which node a volume is needed.
pub(crate) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// The volumes of a pod that looks for a node.
#[derive(Default)]
pub(super) struct Volumes {
    bound: Vec<Object>,
    /// Claims that are bound once a node is known, each with what could be bound; `None` where
    /// a volume is made.
    late: Vec<(Object, Option<Vec<Object>>)>,
}

impl Volumes {
    /// # Errors
    /// Why the pod cannot run anywhere now.
    pub(super) fn new(pod: &Value, store: &Store) -> Result<Volumes, String> {
        let mut out = Volumes::default();
        for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
            let Some(name) = volume["persistentVolumeClaim"]["claimName"].as_str() else {
                continue;
            };
            let Some(claim) = store.get(CLAIMS, object::namespace(pod), name) else {
                return Err(format!("persistentvolumeclaim {name:?} not found"));
            };
            if object::deleting(&claim) {
                return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
            }
            if claim["status"]["phase"] == "Bound" {
                let name = claim["spec"]["volumeName"].as_str().unwrap_or("");
                out.bound.extend(store.get("persistentvolumes", "", name));
                continue;
            }
            let class = claim["spec"]["storageClassName"].as_str().unwrap_or("");
            let class = store.get("storageclasses.storage.k8s.io", "", class);
            let waits =
                class.as_ref().is_some_and(|c| c["volumeBindingMode"] == "WaitForFirstConsumer");
            if !waits || claim["spec"]["volumeName"].is_string() {
                return Err("pod has unbound immediate PersistentVolumeClaims".into());
            }
            let made = class.is_some_and(|c| c["provisioner"] != "kubernetes.io/no-provisioner");
            let found = (!made).then(|| {
                let mut all = store.list("persistentvolumes", None);
                all.retain(|v| {
                    v["status"]["phase"] == "Available"
                        && v["spec"]["storageClassName"] == claim["spec"]["storageClassName"]
                        && quantity::of(&v["spec"]["capacity"]["storage"])
                            >= quantity::of(&claim["spec"]["resources"]["requests"]["storage"])
                });
                all
            });
            out.late.push((claim, found));
        }
        Ok(out)
    }

    /// Why the node does not do.
    pub(super) fn refuses(&self, node: &Value) -> Option<&'static str> {
        if !self.bound.iter().all(|v| reaches(v, node)) {
            return Some("node(s) had volume node affinity conflict");
        }
        let found = |volumes: &Option<Vec<Object>>| {
            volumes.as_ref().is_none_or(|all| all.iter().any(|v| reaches(v, node)))
        };
        (!self.late.iter().all(|(_, v)| found(v)))
            .then_some("node(s) didn't find available persistent volumes to bind")
    }

    /// Whether something must be bound before the pod can be.
    pub(super) fn waits(&self) -> bool {
        !self.late.is_empty()
    }

    /// Asks for the claims to be bound for a pod on this node.
    pub(super) fn ask(&self, store: &Store, node: &str) {
        for (claim, _) in &self.late {
            if claim["metadata"]["annotations"][SELECTED_NODE] == node {
                continue;
            }
            let mut new = Value::clone(claim);
            let annotations = meta_mut(&mut new).entry("annotations").or_insert(json!({}));
            annotations[SELECTED_NODE] = node.into();
            // Whoever changes the claim meanwhile makes the pod be looked at again.
            let _ = store.update(CLAIMS, new);
        }
    }
}

/// Whether a volume can be used on a node.
pub(crate) fn reaches(volume: &Value, node: &Value) -> bool {
    let required = &volume["spec"]["nodeAffinity"]["required"];
    required.is_null() || terms_match(&required["nodeSelectorTerms"], node)
}
