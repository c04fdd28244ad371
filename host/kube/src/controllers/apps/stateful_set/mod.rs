//! StatefulSets: pods with names and volumes of their own, one after the other
//! (`pkg/controller/statefulset` of 1.32).
//!
//! # Layout
//! - `identity`: what makes a pod the pod of its ordinal; `claims`: its volumes
//! - `control`: in which order pods come, go and are renewed

mod claims;
mod control;
mod identity;

use serde_json::{Value, json};

use podlab_trace::Verb;

use self::control::Control;
use super::super::{Context, Controller, Key, Next};
use super::pods::{self, PODS, int};
use super::{owner, revisions};
use crate::store::object::map_mut;
use crate::store::selector::LabelSelector;
use crate::store::watch::Change;
use crate::store::{Error, Object, object};

const STATEFUL_SETS: &str = "statefulsets.apps";

/// The controller.
pub(super) struct StatefulSets;

fn selector(set: &Value) -> LabelSelector {
    LabelSelector::from_selector(&set["spec"]["selector"])
}

impl Controller for StatefulSets {
    const NAME: &'static str = "statefulset-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec![STATEFUL_SETS, PODS]
    }

    fn concerns(&mut self, context: &Context, kind: &str, change: &Change) -> Vec<Key> {
        if kind == PODS {
            return owner::concerned(context, "StatefulSet", STATEFUL_SETS, selector, change);
        }
        match change.verb {
            Verb::Deleted => Vec::new(),
            _ => vec![object::key(&change.object)],
        }
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let Some(set) = context.store.get(STATEFUL_SETS, &key.0, &key.1) else {
            return Ok(Next::Change);
        };
        let mut pods = context.store.list(PODS, Some(&key.0));
        // Whose name says so, and nobody else.
        pods.retain(|p| identity::ordinal(&set, p).is_some());
        let pods = owner::claim(context, &set, PODS, &selector(&set), pods)?;
        let history = revisions::note(context, &set, false)?;
        let current = set["status"]["currentRevision"].as_str().unwrap_or("");
        let current = history.all.iter().find(|r| object::name(r) == current);
        let current = current.unwrap_or(&history.update).clone();
        let mut control = Control::new(context, &set, &current, &history.update, &pods);
        let acted = if object::deleting(&set) { Ok(()) } else { control.act() };
        let next = control.again;
        // What was done counts at once, without waiting for another look.
        report(context, &set, &current, &history, &pods)?;
        acted?;
        let used = |r: &Value| {
            let name = object::name(r);
            name == object::name(&current)
                || name == object::name(&history.update)
                || pods.iter().any(|p| identity::revision(p) == name)
        };
        revisions::truncate(context, &set, &history.all, used)?;
        Ok(next.map_or(Next::Change, Next::After))
    }
}

fn report(
    context: &Context,
    set: &Object,
    current: &Value,
    history: &revisions::History,
    seen: &[Object],
) -> Result<(), Error> {
    let now = context.shared.sim.unix_nanos();
    // As they are after what was done: created ones count.
    let mut pods = context.store.list(PODS, Some(object::namespace(set)));
    pods.retain(|p| {
        owner::controls(set, p) && identity::ordinal(set, p).is_some()
            || seen.iter().any(|s| object::uid(s) == object::uid(p))
    });
    let count = |f: &dyn Fn(&Value) -> bool| pods.iter().filter(|p| f(p)).count() as i64;
    let running = |p: &Value| pods::phase(p) == "Running" && pods::ready(p);
    let min_ready = int(&set["spec"]["minReadySeconds"]);
    let of =
        |r: &Value, p: &Value| !object::deleting(p) && identity::revision(p) == object::name(r);
    let replicas = count(&|p| !pods::phase(p).is_empty());
    let ready = count(&running);
    let available = count(&|p| running(p) && pods::available(p, min_ready, now).is_ok());
    let renewed = count(&|p| of(&history.update, p));
    let mut old = count(&|p| of(current, p));
    let mut revision = object::name(current);
    let update = object::name(&history.update);
    let rolling = set["spec"]["updateStrategy"]["type"] == "RollingUpdate";
    if rolling && renewed == replicas && ready == replicas {
        old = renewed;
        revision = update;
    }
    let mut status = json!({
        "observedGeneration": set["metadata"]["generation"],
        "replicas": replicas,
        "availableReplicas": available,
        "currentRevision": revision,
        "updateRevision": update,
        "collisionCount": history.collisions,
    });
    for (field, count) in
        [("readyReplicas", ready), ("currentReplicas", old), ("updatedReplicas", renewed)]
    {
        // Go leaves out what is zero.
        if count != 0 {
            status[field] = count.into();
        }
    }
    if status != set["status"] {
        let mut new = Value::clone(set);
        map_mut(&mut new).insert("status".into(), status);
        context.store.update_status(STATEFUL_SETS, new)?;
    }
    Ok(())
}
