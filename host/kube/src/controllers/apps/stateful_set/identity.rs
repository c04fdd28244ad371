//! What makes a pod the one of its ordinal (`stateful_set_utils.go`).

use serde_json::{Value, json};

use super::super::pods::{self, int};
use super::super::revisions;
use super::claims;
use crate::store::object;
use crate::store::object::list;
use crate::store::object::{map_mut, meta_mut};

const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// The ordinal in the name of a pod of this set.
pub(super) fn ordinal(set: &Value, pod: &Value) -> Option<i64> {
    let (parent, digits) = object::name(pod).rsplit_once('-')?;
    if parent != object::name(set) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<i32>().ok().map(i64::from)
}

/// The name of the revision that a pod has.
pub(super) fn revision(pod: &Value) -> &str {
    pod["metadata"]["labels"][revisions::LABEL].as_str().unwrap_or("")
}

/// The first ordinal.
pub(super) fn start(set: &Value) -> i64 {
    int(&set["spec"]["ordinals"]["start"])
}

/// The pod of an ordinal after a revision's template.
pub(super) fn pod(set: &Value, revision: &Value, ordinal: i64) -> Value {
    let mut pod = pods::from_template(set, &revisions::template(revision));
    let name = format!("{}-{ordinal}", object::name(set));
    meta_mut(&mut pod).insert("name".into(), name.as_str().into());
    identify(set, &mut pod);
    let labels = map_mut(meta_mut(&mut pod).entry("labels").or_insert(Value::Null));
    labels.insert(revisions::LABEL.into(), object::name(revision).into());
    pod["spec"]["hostname"] = name.into();
    if let Some(service) = set["spec"]["serviceName"].as_str().filter(|s| !s.is_empty()) {
        pod["spec"]["subdomain"] = service.into();
    }
    let mut volumes = Vec::new();
    for template in list(&set["spec"], "volumeClaimTemplates") {
        let claim = claims::name(set, template, ordinal);
        volumes.push(json!({"name": object::name(template),
            "persistentVolumeClaim": {"claimName": claim}}));
    }
    // A claim's volume takes the place of one of the same name.
    let of_template = list(&pod["spec"], "volumes").iter();
    let kept: Vec<Value> =
        of_template.filter(|v| volumes.iter().all(|n| n["name"] != v["name"])).cloned().collect();
    volumes.extend(kept);
    if !volumes.is_empty() {
        pod["spec"]["volumes"] = volumes.into();
    }
    pod
}

/// Gives a pod the labels of its name and number; says whether that is a change.
pub(super) fn identify(set: &Value, pod: &mut Value) -> bool {
    let name = object::name(pod).to_owned();
    let Some(ordinal) = ordinal(set, pod) else { return false };
    let labels = map_mut(meta_mut(pod).entry("labels").or_insert(Value::Null));
    let mut changed = false;
    for (key, value) in [(POD_NAME, Value::from(name)), (POD_INDEX, ordinal.to_string().into())] {
        changed |= labels.insert(key.into(), value.clone()) != Some(value);
    }
    changed
}
