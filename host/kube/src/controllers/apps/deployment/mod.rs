//! Deployments: one template after the other (`pkg/controller/deployment` of 1.32).
//!
//! # Layout
//! - `sets`: its ReplicaSets, their revisions, and making a new one
//! - `rolling`, `recreate`: how the new one takes over; `scale`: how many pods each has
//! - `status`: numbers and conditions; `numbers`: surge and unavailability

mod numbers;
mod recreate;
mod rolling;
mod scale;
mod sets;
mod status;

use std::time::Duration;

use podlab_trace::Verb;
use serde_json::Value;

use super::super::{Context, Controller, Key, Next};
use super::owner;
use super::pods::{PODS, int};
use crate::store::selector::LabelSelector;
use crate::store::watch::Change;
use crate::store::{Error, Object, object};

const DEPLOYMENTS: &str = "deployments.apps";
const REPLICA_SETS: &str = "replicasets.apps";

/// The controller.
pub(super) struct Deployments;

fn selector(deployment: &Value) -> LabelSelector {
    LabelSelector::from_selector(&deployment["spec"]["selector"])
}

impl Controller for Deployments {
    const NAME: &'static str = "deployment-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec![DEPLOYMENTS, REPLICA_SETS, PODS]
    }

    fn concerns(&mut self, context: &Context, kind: &str, change: &Change) -> Vec<Key> {
        match kind {
            DEPLOYMENTS if change.verb == Verb::Deleted => Vec::new(),
            DEPLOYMENTS => vec![object::key(&change.object)],
            REPLICA_SETS => owner::concerned(context, "Deployment", DEPLOYMENTS, selector, change),
            // Whoever recreates waits until the last pod is gone.
            _ if change.verb == Verb::Deleted => {
                recreating(context, &change.object).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let Some(deployment) = context.store.get(DEPLOYMENTS, &key.0, &key.1) else {
            return Ok(Next::Change);
        };
        let sets = context.store.list(REPLICA_SETS, Some(&key.0));
        let sets = owner::claim(context, &deployment, REPLICA_SETS, &selector(&deployment), sets)?;
        let mut rollout = Rollout {
            context,
            now: context.shared.sim.unix_nanos(),
            deployment: Value::clone(&deployment),
            sets,
            new: None,
            old: Vec::new(),
            again: None,
        };
        rollout.step()?;
        Ok(rollout.again.map_or(Next::Change, Next::After))
    }
}

/// The Deployment of a pod, if its strategy is to recreate.
fn recreating(context: &Context, pod: &Value) -> Option<Key> {
    let set = object::controller(pod).filter(|o| o["kind"] == "ReplicaSet")?;
    let namespace = object::namespace(pod);
    let set = context.store.get(REPLICA_SETS, namespace, set["name"].as_str()?)?;
    let of = object::controller(&set).filter(|o| o["kind"] == "Deployment")?;
    let deployment = context.store.get(DEPLOYMENTS, namespace, of["name"].as_str()?)?;
    (deployment["spec"]["strategy"]["type"] == "Recreate").then(|| object::key(&deployment))
}

/// One look at a Deployment.
struct Rollout<'a> {
    context: &'a Context,
    now: u64,
    deployment: Value,
    /// All its ReplicaSets, oldest first.
    sets: Vec<Object>,
    /// The one with the Deployment's template.
    new: Option<Object>,
    /// The others.
    old: Vec<Object>,
    again: Option<Duration>,
}

impl Rollout<'_> {
    fn step(&mut self) -> Result<(), Error> {
        if object::deleting(&self.deployment) {
            self.find_sets(false)?;
            return self.write_status();
        }
        self.check_paused()?;
        if self.paused() {
            return self.scale_only();
        }
        self.find_sets(false)?;
        if self.is_scaling() {
            return self.scale_only();
        }
        if self.deployment["spec"]["strategy"]["type"] == "Recreate" {
            self.recreate()
        } else {
            self.roll()
        }
    }

    /// Paused, or somebody changed the number of replicas: nothing is rolled out, but all sets
    /// keep their part.
    fn scale_only(&mut self) -> Result<(), Error> {
        self.find_sets(false)?;
        self.scale()?;
        if self.paused() {
            self.clean_up()?;
        }
        self.write_status()
    }

    fn paused(&self) -> bool {
        self.deployment["spec"]["paused"] == true
    }

    fn desired(&self) -> i64 {
        int(&self.deployment["spec"]["replicas"])
    }

    fn name(&self) -> &str {
        object::name(&self.deployment)
    }

    /// The old sets and the new one.
    fn all(&self) -> impl Iterator<Item = &Object> + Clone {
        self.old.iter().chain(&self.new)
    }
}

/// How many pods a set is to have.
fn wanted(set: &Value) -> i64 {
    int(&set["spec"]["replicas"])
}

/// How many it has that are available.
fn available(set: &Value) -> i64 {
    int(&set["status"]["availableReplicas"])
}

/// Oldest first.
fn by_age(set: &Object) -> (u64, String) {
    let born = object::parse_time(object::meta(set, "creationTimestamp")).unwrap_or(0);
    (born, object::name(set).to_owned())
}
