//! The claims of a StatefulSet's pods: made before the pod, and kept or deleted as the set's
//! policy says (`stateful_set_utils.go`, `stateful_pod_control.go`).

use serde_json::{Value, json};

use super::super::super::Context;
use super::identity;
use crate::events::About;
use crate::store::object::list;
use crate::store::object::{map_mut, meta_mut};
use crate::store::{Error, Part, WriteOptions, object};

const CLAIMS: &str = "persistentvolumeclaims";

/// The claim of a template and an ordinal.
pub(super) fn name(set: &Value, template: &Value, ordinal: i64) -> String {
    format!("{}-{}-{ordinal}", object::name(template), object::name(set))
}

/// Makes the claims of a pod that are not there yet.
pub(super) fn create(context: &Context, set: &Value, pod: &Value) -> Result<(), Error> {
    let Some(ordinal) = identity::ordinal(set, pod) else { return Ok(()) };
    let namespace = object::namespace(set);
    for template in list(&set["spec"], "volumeClaimTemplates") {
        let name = name(set, template, ordinal);
        if let Some(there) = context.store.get(CLAIMS, namespace, &name) {
            if object::deleting(&there) {
                let row = context.store.row(CLAIMS).ok_or_else(Error::no_such_path)?;
                return Err(Error::conflict(&row, &name, "it is being deleted"));
            }
            continue;
        }
        let mut claim = template.clone();
        map_mut(&mut claim).remove("status");
        let meta = meta_mut(&mut claim);
        meta.remove("creationTimestamp");
        meta.insert("name".into(), name.as_str().into());
        meta.insert("namespace".into(), namespace.into());
        let labels = map_mut(meta.entry("labels").or_insert(Value::Null));
        let selected = set["spec"]["selector"]["matchLabels"].as_object();
        for (key, value) in selected.into_iter().flatten() {
            labels.insert(key.clone(), value.clone());
        }
        let owners = wanted_owners(set, None);
        if !owners.is_empty() {
            meta.insert("ownerReferences".into(), owners.into());
        }
        let of =
            format!("Claim {name} Pod {} in StatefulSet {}", object::name(pod), object::name(set));
        let about = About::object(set);
        match context.store.create(CLAIMS, claim) {
            Ok(_) => {
                let text = format!("create {of} success");
                context.events.normal(&about, "SuccessfulCreate", &text);
            }
            Err(e) => {
                let text = format!("create {of} failed error: {}", e.message);
                context.events.warning(&about, "FailedCreate", &text);
                return Err(e);
            }
        }
    }
    Ok(())
}

/// Who is to own a claim: the set if claims go with it, the pod if they go when it is scaled
/// away.
fn wanted_owners(set: &Value, condemned: Option<&Value>) -> Vec<Value> {
    let policy = &set["spec"]["persistentVolumeClaimRetentionPolicy"];
    match condemned {
        Some(pod) if policy["whenScaled"] == "Delete" => {
            let mut reference = object::controller_reference(pod);
            reference["apiVersion"] = "v1".into();
            reference["kind"] = "Pod".into();
            vec![reference]
        }
        _ if policy["whenDeleted"] == "Delete" => vec![object::controller_reference(set)],
        _ => Vec::new(),
    }
}

/// Brings the owners of a pod's claims to where the policy wants them.
pub(super) fn own(
    context: &Context,
    set: &Value,
    pod: &Value,
    condemned: bool,
) -> Result<(), Error> {
    let Some(ordinal) = identity::ordinal(set, pod) else { return Ok(()) };
    let wanted = wanted_owners(set, condemned.then_some(pod));
    for template in list(&set["spec"], "volumeClaimTemplates") {
        let name = name(set, template, ordinal);
        let Some(claim) = context.store.get(CLAIMS, object::namespace(set), &name) else {
            continue;
        };
        let mut owners = list(&claim["metadata"], "ownerReferences").to_vec();
        // Only what this set may have put there.
        owners.retain(|o| {
            o["uid"] != *object::uid(set)
                && !(o["kind"] == "Pod" && o["name"] == *object::name(pod))
        });
        owners.extend(wanted.iter().cloned());
        if owners == list(&claim["metadata"], "ownerReferences") {
            continue;
        }
        let mut new = Value::clone(&claim);
        meta_mut(&mut new).insert("ownerReferences".into(), json!(owners));
        if owners.is_empty() {
            meta_mut(&mut new).remove("ownerReferences");
        }
        context.store.update_with(CLAIMS, new, Part::Whole, &WriteOptions::default())?;
    }
    Ok(())
}
