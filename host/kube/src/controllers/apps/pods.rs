//! Pods as their controllers see them: readiness, availability, creation, deletion
//! (`pkg/controller/controller_utils.go`, `pkg/api/v1/pod/util.go`).

use std::time::Duration;

use serde_json::{Value, json};

use super::super::Context;
use crate::events::About;
use crate::store::{DeleteOptions, Error, Object, names, object};

pub(super) const PODS: &str = "pods";

pub(super) fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

pub(super) fn phase(pod: &Value) -> &str {
    pod["status"]["phase"].as_str().unwrap_or("")
}

/// Neither ended nor on its way out.
pub(super) fn active(pod: &Value) -> bool {
    !matches!(phase(pod), "Succeeded" | "Failed") && !object::deleting(pod)
}

/// Since when it is ready, in ns since 1970.
pub(super) fn ready_since(pod: &Value) -> Option<u64> {
    let ready = object::condition(pod, "Ready").filter(|c| c["status"] == "True")?;
    Some(ready["lastTransitionTime"].as_str().and_then(object::parse_time).unwrap_or(0))
}

pub(super) fn ready(pod: &Value) -> bool {
    object::holds(pod, "Ready")
}

/// Whether it is available: ready for longer than `min_ready` seconds. If only that is missing,
/// how long it takes.
pub(super) fn available(pod: &Value, min_ready: i64, now: u64) -> Result<(), Option<Duration>> {
    let since = ready_since(pod).ok_or(None)?;
    let Ok(seconds @ 1..) = u64::try_from(min_ready) else { return Ok(()) };
    let at = since.saturating_add(seconds.saturating_mul(1_000_000_000));
    if at < now { Ok(()) } else { Err(Some(Duration::from_nanos(at - now + 1))) }
}

/// How many of `pods` are available, and when the next one becomes so.
pub(super) fn count_available<'a>(
    pods: impl IntoIterator<Item = &'a Object>,
    min_ready: i64,
    now: u64,
) -> (i64, Option<Duration>) {
    let (mut count, mut next) = (0, None::<Duration>);
    for pod in pods {
        match available(pod, min_ready, now) {
            Ok(()) => count += 1,
            Err(None) => {}
            Err(Some(wait)) => next = Some(next.map_or(wait, |n| n.min(wait))),
        }
    }
    (count, next)
}

/// A pod of `owner` after `template`; it still needs `name` or `generateName`.
pub(super) fn from_template(owner: &Value, template: &Value) -> Value {
    let mut meta = json!({"ownerReferences": [object::controller_reference(owner)]});
    meta["namespace"] = object::namespace(owner).into();
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            meta[field] = template["metadata"][field].clone();
        }
    }
    json!({"metadata": meta, "spec": template["spec"]})
}

/// What generated names of an owner's pods begin with.
pub(super) fn prefix(owner: &Value) -> String {
    let name = object::name(owner);
    // A dash at the end counts as the beginning of what is generated.
    match names::subdomain_error(name) {
        None => format!("{name}-"),
        Some(_) => name.to_owned(),
    }
}

/// Creates a pod and says so at its owner. In a namespace that is going nothing happens.
pub(super) fn create(context: &Context, owner: &Value, pod: Value) -> Result<(), Error> {
    let about = About::object(owner);
    match context.store.create(PODS, pod) {
        Ok(pod) => {
            let text = format!("Created pod: {}", object::name(&pod));
            context.events.normal(&about, "SuccessfulCreate", &text);
            Ok(())
        }
        Err(e) if namespace_ends(&e) => Ok(()),
        Err(e) => {
            let text = format!("Error creating: {}", e.message);
            context.events.warning(&about, "FailedCreate", &text);
            Err(e)
        }
    }
}

/// Whether an object could not be created because its namespace is going.
pub(super) fn namespace_ends(e: &Error) -> bool {
    e.details.as_ref().is_some_and(|d| d.causes.iter().any(|c| c.reason == "NamespaceTerminating"))
}

/// Deletes a pod and says so at its owner.
pub(super) fn delete(context: &Context, owner: &Value, pod: &Value) -> Result<(), Error> {
    let (namespace, name) = (object::namespace(pod), object::name(pod));
    let options = DeleteOptions { uid: Some(object::uid(pod).into()), ..DeleteOptions::default() };
    match context.store.delete(PODS, namespace, name, &options) {
        Ok(_) => {
            let text = format!("Deleted pod: {name}");
            context.events.normal(&About::object(owner), "SuccessfulDelete", &text);
            Ok(())
        }
        Err(e) if e.code == 404 => Ok(()),
        Err(e) => {
            let text = format!("Error deleting: {}", e.message);
            context.events.warning(&About::object(owner), "FailedDelete", &text);
            Err(e)
        }
    }
}

/// Does something `count` times in batches of 1, 2, 4, ..., until one of a batch fails: what
/// fails for one probably fails for all (`slowStartBatch`).
///
/// # Errors
/// The first failure.
pub(super) fn slow_start(
    count: usize,
    mut act: impl FnMut(usize) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut done, mut batch) = (0, count.min(1));
    while batch > 0 {
        let results: Vec<_> = (done..done + batch).map(&mut act).collect();
        results.into_iter().collect::<Result<(), Error>>()?;
        done += batch;
        batch = (2 * batch).min(count - done);
    }
    Ok(())
}
