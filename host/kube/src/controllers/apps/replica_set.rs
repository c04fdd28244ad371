//! ReplicaSets and ReplicationControllers: so many pods of one template
//! (`pkg/controller/replicaset/{replica_set,replica_set_utils}.go` of 1.32).

use std::marker::PhantomData;

use podlab_trace::Verb;
use serde_json::{Value, json};

use super::super::{Context, Controller, Key, Next};
use super::pods::{self, PODS, int};
use super::{owner, rank};
use crate::store::object::list;
use crate::store::object::map_mut;
use crate::store::selector::LabelSelector;
use crate::store::watch::Change;
use crate::store::{Error, Object, object};

/// How many pods are created or deleted at one look at most (`BurstReplicas`).
const BURST: usize = 500;

/// What differs between the kinds that have replicas.
pub(super) trait Kind: Default + Send + 'static {
    const NAME: &'static str;
    const RESOURCE: &'static str;
    const KIND: &'static str;
    fn selector(set: &Value) -> LabelSelector;
}

/// `apps/v1`.
#[derive(Default)]
pub(super) struct ReplicaSets;

impl Kind for ReplicaSets {
    const NAME: &'static str = "replicaset-controller";
    const RESOURCE: &'static str = "replicasets.apps";
    const KIND: &'static str = "ReplicaSet";

    fn selector(set: &Value) -> LabelSelector {
        LabelSelector::from_selector(&set["spec"]["selector"])
    }
}

/// `v1`: the same controller with another kind of selector.
#[derive(Default)]
pub(super) struct ReplicationControllers;

impl Kind for ReplicationControllers {
    const NAME: &'static str = "replication-controller";
    const RESOURCE: &'static str = "replicationcontrollers";
    const KIND: &'static str = "ReplicationController";

    fn selector(set: &Value) -> LabelSelector {
        LabelSelector::from_map(&set["spec"]["selector"])
    }
}

/// The controller of one of these kinds.
#[derive(Default)]
pub(super) struct Replicas<K>(PhantomData<K>);

impl<K: Kind> Controller for Replicas<K> {
    const NAME: &'static str = K::NAME;

    fn kinds(&self) -> Vec<&'static str> {
        vec![K::RESOURCE, PODS]
    }

    fn concerns(&mut self, context: &Context, kind: &str, change: &Change) -> Vec<Key> {
        if kind == PODS {
            return owner::concerned(context, K::KIND, K::RESOURCE, K::selector, change);
        }
        match change.verb {
            Verb::Deleted => Vec::new(),
            _ => vec![object::key(&change.object)],
        }
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let Some(set) = context.store.get(K::RESOURCE, &key.0, &key.1) else {
            return Ok(Next::Change);
        };
        let mut pods = context.store.list(PODS, Some(&key.0));
        pods.retain(|p| pods::active(p));
        let pods = owner::claim(context, &set, PODS, &K::selector(&set), pods)?;
        let managed =
            if object::deleting(&set) { Ok(()) } else { manage::<K>(context, &set, &pods) };
        let next = report::<K>(context, &set, &pods, managed.as_ref().err())?;
        managed.map_err(|(_, e)| e)?;
        Ok(next)
    }
}

/// Why pods could not be managed: the condition's reason, and the error.
type Failure = (&'static str, Error);

fn manage<K: Kind>(context: &Context, set: &Value, pods: &[Object]) -> Result<(), Failure> {
    let wanted = usize::try_from(int(&set["spec"]["replicas"])).unwrap_or(0);
    if pods.len() < wanted {
        let template = &set["spec"]["template"];
        let count = (wanted - pods.len()).min(BURST);
        pods::slow_start(count, |_| {
            let mut pod = pods::from_template(set, template);
            pod["metadata"]["generateName"] = pods::prefix(set).into();
            pods::create(context, set, pod)
        })
        .map_err(|e| ("FailedCreate", e))
    } else if pods.len() > wanted {
        let count = (pods.len() - wanted).min(BURST);
        let mut sorted = pods.to_vec();
        if count < pods.len() {
            rank::sort(&mut sorted, &related::<K>(context, set), context.shared.sim.unix_nanos());
        }
        let deleted: Vec<_> =
            sorted[..count].iter().map(|pod| pods::delete(context, set, pod)).collect();
        deleted.into_iter().collect::<Result<(), Error>>().map_err(|e| ("FailedDelete", e))
    } else {
        Ok(())
    }
}

/// The active pods of all sets with the same controller, of this one if it has none
/// (`getIndirectlyRelatedPods`).
fn related<K: Kind>(context: &Context, set: &Value) -> Vec<Object> {
    let mut sets = context.store.list(K::RESOURCE, Some(object::namespace(set)));
    match object::controller(set) {
        Some(by) => sets.retain(|s| object::controller(s).is_some_and(|o| o["uid"] == by["uid"])),
        None => sets.retain(|s| object::uid(s) == object::uid(set)),
    }
    let mut pods = context.store.list(PODS, Some(object::namespace(set)));
    pods.retain(|p| pods::active(p) && sets.iter().any(|s| owner::controls(s, p)));
    pods
}

/// Writes the status; says when the next pod becomes available.
fn report<K: Kind>(
    context: &Context,
    set: &Object,
    pods: &[Object],
    failure: Option<&Failure>,
) -> Result<Next, Error> {
    let now = context.shared.sim.unix_nanos();
    let spec = &set["spec"];
    let labels = LabelSelector::from_map(&spec["template"]["metadata"]["labels"]);
    let (available, next) = pods::count_available(pods, int(&spec["minReadySeconds"]), now);
    let mut status = json!({
        "replicas": pods.len(),
        "observedGeneration": set["metadata"]["generation"],
    });
    let count = |f: &dyn Fn(&Value) -> bool| pods.iter().filter(|p| f(p)).count() as i64;
    for (field, count) in [
        ("fullyLabeledReplicas", count(&|p| labels.matches(p))),
        ("readyReplicas", count(&pods::ready)),
        ("availableReplicas", available),
    ] {
        // Go leaves out what is zero.
        if count > 0 {
            status[field] = count.into();
        }
    }
    let mut conditions = list(&set["status"], "conditions").to_vec();
    let failed = conditions.iter().any(|c| c["type"] == "ReplicaFailure");
    match failure {
        None => conditions.retain(|c| c["type"] != "ReplicaFailure"),
        // What was said first stays.
        Some(_) if failed => {}
        Some((reason, e)) => conditions.push(json!({
            "type": "ReplicaFailure", "status": "True", "reason": reason, "message": e.message,
            "lastTransitionTime": object::time(now),
        })),
    }
    if !conditions.is_empty() {
        status["conditions"] = conditions.into();
    }
    if status != set["status"] {
        let mut new = Value::clone(set);
        map_mut(&mut new).insert("status".into(), status);
        context.store.update_status(K::RESOURCE, new)?;
    }
    Ok(next.map_or(Next::Change, Next::After))
}
