//! DaemonSets: one pod on every node that takes it (`pkg/controller/daemon` of 1.32).
//!
//! # Layout
//! - `nodes`: which nodes take it; `update`: how pods are renewed

mod nodes;
mod update;

use std::collections::BTreeMap;

use podlab_trace::Verb;
use serde_json::{Value, json};

use super::super::{Context, Controller, Key, Next};
use super::pods::{self, PODS, int, phase};
use super::{owner, revisions};
use crate::events::About;
use crate::store::kinds::apps::TEMPLATE_GENERATION;
use crate::store::object::{map_mut, meta_mut};
use crate::store::selector::LabelSelector;
use crate::store::watch::Change;
use crate::store::{Error, Object, object};

const DAEMON_SETS: &str = "daemonsets.apps";
const NODES: &str = "nodes";
/// How many pods are created or deleted at one look at most.
const BURST: usize = 250;

/// The controller.
pub(super) struct DaemonSets;

fn selector(set: &Value) -> LabelSelector {
    LabelSelector::from_selector(&set["spec"]["selector"])
}

impl Controller for DaemonSets {
    const NAME: &'static str = "daemonset-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec![DAEMON_SETS, NODES, PODS]
    }

    fn concerns(&mut self, context: &Context, kind: &str, change: &Change) -> Vec<Key> {
        match kind {
            PODS => owner::concerned(context, "DaemonSet", DAEMON_SETS, selector, change),
            NODES => {
                let now = &change.object;
                let same = change.verb == Verb::Modified
                    && change.previous.as_ref().is_some_and(|old| {
                        old["spec"]["taints"] == now["spec"]["taints"]
                            && old["spec"]["unschedulable"] == now["spec"]["unschedulable"]
                            && old["metadata"]["labels"] == now["metadata"]["labels"]
                    });
                if same {
                    return Vec::new();
                }
                context.store.list(DAEMON_SETS, None).iter().map(|s| object::key(s)).collect()
            }
            _ if change.verb == Verb::Deleted => Vec::new(),
            _ => vec![object::key(&change.object)],
        }
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let Some(set) = context.store.get(DAEMON_SETS, &key.0, &key.1) else {
            return Ok(Next::Change);
        };
        let now = context.shared.sim.unix_nanos();
        let mut look = Look::new(context, &set, now)?;
        if object::deleting(&set) {
            return Ok(Next::Change);
        }
        let history = revisions::note(context, &set, true)?;
        look.hash = revisions::hash_of(&history.update).to_owned();
        let mut plan = look.place();
        if plan.is_empty() && set["spec"]["updateStrategy"]["type"] == "RollingUpdate" {
            plan = look.renew();
        }
        let acted = look.act(&plan);
        // Counted as it is after that.
        let mut after = Look::new(context, &set, now)?;
        after.hash = look.hash;
        let next = after.report(history.collisions)?;
        acted?;
        let used = |r: &Value| {
            object::uid(r) == object::uid(&history.update)
                || after.pods().any(|p| hash_of(p) == revisions::hash_of(r))
        };
        revisions::truncate(context, &set, &history.all, used)?;
        Ok(next)
    }
}

/// The hash of the revision that a pod has.
fn hash_of(pod: &Value) -> &str {
    pod["metadata"]["labels"][revisions::LABEL].as_str().unwrap_or("")
}

/// What to do.
#[derive(Default)]
struct Plan {
    /// The nodes that are to get a pod.
    create: Vec<String>,
    delete: Vec<Object>,
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.create.is_empty() && self.delete.is_empty()
    }
}

/// One look at a set.
struct Look<'a> {
    context: &'a Context,
    set: &'a Object,
    now: u64,
    hash: String,
    nodes: Vec<Object>,
    /// The set's pods by the node they are on or are meant for, oldest first.
    by_node: BTreeMap<String, Vec<Object>>,
}

impl<'a> Look<'a> {
    fn new(context: &'a Context, set: &'a Object, now: u64) -> Result<Look<'a>, Error> {
        let pods = context.store.list(PODS, Some(object::namespace(set)));
        let pods = owner::claim(context, set, PODS, &selector(set), pods)?;
        let mut by_node: BTreeMap<String, Vec<Object>> = BTreeMap::new();
        for pod in pods {
            by_node.entry(nodes::of_pod(&pod).to_owned()).or_default().push(pod);
        }
        for pods in by_node.values_mut() {
            // Pods that are placed count before those that wait.
            pods.sort_by_key(|p| {
                let waits = p["spec"]["nodeName"].as_str().is_none_or(str::is_empty);
                let born = object::parse_time(object::meta(p, "creationTimestamp"));
                (waits, born, object::name(p).to_owned())
            });
        }
        let nodes = context.store.list(NODES, None);
        Ok(Look { context, set, now, hash: String::new(), nodes, by_node })
    }

    fn pods(&self) -> impl Iterator<Item = &Object> {
        self.by_node.values().flatten()
    }

    fn on(&self, node: &str) -> &[Object] {
        self.by_node.get(node).map_or(&[], Vec::as_slice)
    }

    fn min_ready(&self) -> i64 {
        int(&self.set["spec"]["minReadySeconds"])
    }

    fn is_available(&self, pod: &Value) -> bool {
        pods::available(pod, self.min_ready(), self.now).is_ok()
    }

    /// A pod where one is missing, and none where there should not be one
    /// (`podsShouldBeOnNode`).
    fn place(&self) -> Plan {
        let mut plan = Plan::default();
        for node in &self.nodes {
            let name = object::name(node);
            let takes = nodes::takes(self.set, node);
            let pods = self.on(name);
            if takes.start && pods.is_empty() {
                plan.create.push(name.to_owned());
                continue;
            }
            if !takes.keep {
                plan.delete.extend(pods.iter().filter(|p| !object::deleting(p)).cloned());
                continue;
            }
            let mut running: Vec<&Object> = Vec::new();
            for pod in pods.iter().filter(|p| !object::deleting(p)) {
                let about = About::object(self.set);
                match phase(pod) {
                    "Failed" => {
                        let text = format!(
                            "Found failed daemon pod {}/{} on node {name}, will try to kill it",
                            object::namespace(pod),
                            object::name(pod)
                        );
                        self.context.events.warning(&about, "FailedDaemonPod", &text);
                        plan.delete.push(pod.clone());
                    }
                    "Succeeded" => {
                        let text = format!(
                            "Found succeeded daemon pod {}/{} on node {name}, will try to delete it",
                            object::namespace(pod),
                            object::name(pod)
                        );
                        self.context.events.normal(&about, "SucceededDaemonPod", &text);
                        plan.delete.push(pod.clone());
                    }
                    _ => running.push(pod),
                }
            }
            // While one is renewed with surge, an old and a new one may be together.
            let keep = if self.surges() {
                let new = running.iter().position(|p| hash_of(p) == self.hash);
                let old = running.iter().position(|p| hash_of(p) != self.hash);
                [new, old]
            } else {
                [(!running.is_empty()).then_some(0), None]
            };
            for (i, pod) in running.into_iter().enumerate() {
                if !keep.contains(&Some(i)) {
                    plan.delete.push(pod.clone());
                }
            }
        }
        // What waits for a node that is no more.
        for (name, pods) in &self.by_node {
            let known = self.nodes.iter().any(|n| object::name(n) == name);
            let waits = |p: &&Object| {
                p["spec"]["nodeName"].as_str().is_none_or(str::is_empty) && !object::deleting(p)
            };
            if !known {
                plan.delete.extend(pods.iter().filter(waits).cloned());
            }
        }
        plan
    }

    fn act(&self, plan: &Plan) -> Result<(), Error> {
        let generation =
            self.set["metadata"]["annotations"][TEMPLATE_GENERATION].as_str().unwrap_or("1");
        let create = &plan.create[..plan.create.len().min(BURST)];
        let created = pods::slow_start(create.len(), |i| {
            let mut pod = pods::from_template(self.set, &self.set["spec"]["template"]);
            let meta = meta_mut(&mut pod);
            meta.insert("generateName".into(), pods::prefix(self.set).into());
            let labels = map_mut(meta.entry("labels").or_insert(Value::Null));
            labels.insert(revisions::LABEL.into(), self.hash.as_str().into());
            labels.insert("pod-template-generation".into(), generation.into());
            nodes::tolerate(&mut pod);
            nodes::bind(&mut pod, &create[i]);
            pods::create(self.context, self.set, pod)
        });
        let deleted: Vec<_> = plan
            .delete
            .iter()
            .take(BURST)
            .map(|pod| pods::delete(self.context, self.set, pod))
            .collect();
        deleted.into_iter().collect::<Result<(), Error>>()?;
        created
    }

    fn report(&self, collisions: i64) -> Result<Next, Error> {
        let (mut desired, mut current, mut misplaced) = (0, 0, 0);
        let (mut ready, mut available, mut updated) = (0, 0, 0);
        let mut next = None;
        for node in &self.nodes {
            let pods = self.on(object::name(node));
            if !nodes::takes(self.set, node).start {
                misplaced += i64::from(!pods.is_empty());
                continue;
            }
            desired += 1;
            let Some(pod) = pods.first() else { continue };
            current += 1;
            ready += i64::from(pods::ready(pod));
            match pods::available(pod, self.min_ready(), self.now) {
                Ok(()) => available += 1,
                Err(Some(wait)) => {
                    next = Some(next.map_or(wait, |n: std::time::Duration| n.min(wait)));
                }
                Err(None) => {}
            }
            updated += i64::from(hash_of(pod) == self.hash);
        }
        let mut status = json!({
            "currentNumberScheduled": current,
            "numberMisscheduled": misplaced,
            "desiredNumberScheduled": desired,
            "numberReady": ready,
            "observedGeneration": self.set["metadata"]["generation"],
        });
        for (field, count) in [
            ("updatedNumberScheduled", updated),
            ("numberAvailable", available),
            ("numberUnavailable", desired - available),
            ("collisionCount", collisions),
        ] {
            // Go leaves out what is zero.
            if count != 0 {
                status[field] = count.into();
            }
        }
        if status != self.set["status"] {
            let mut new = Value::clone(self.set);
            map_mut(&mut new).insert("status".into(), status);
            self.context.store.update_status(DAEMON_SETS, new)?;
        }
        Ok(next.map_or(Next::Change, Next::After))
    }
}
