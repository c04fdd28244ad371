//! The scheduler: which node a pod runs on (`pkg/scheduler` of 1.32, default profile).
//!
//! # Layout
//! - `cluster`: what it knows; `filter`: which nodes can take a pod; `score`: which is best
//! - `affinity`, `spread`, `volumes`: the larger filters; `preempt`: making room

mod affinity;
mod cluster;
mod filter;
mod preempt;
mod score;
mod spread;
mod volumes;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podlab_trace::Verb;
use serde_json::{Value, json};

use self::cluster::{Cluster, Key, PodInfo, key, priority};
use self::filter::{Filters, Refusal};
use self::preempt::Outcome;
use self::volumes::Volumes;
use crate::control_plane::Shared;
use crate::events::{About, Recorder};
use crate::store::watch::Change;
use crate::store::{Object, Part, Store, WriteOptions, object};

pub(crate) use self::affinity::node_selected;
pub(crate) use self::filter::tolerates;
pub(crate) use self::volumes::{SELECTED_NODE, reaches};

/// Starts the scheduler.
pub(crate) fn start(shared: &Arc<Shared>) {
    let place =
        shared.trace.place(shared.sim.now().as_nanos(), "", "kube-system", "", "kube-scheduler");
    let mut scheduler = Scheduler {
        store: shared.store.acting_at(place).acting_as("kube-scheduler"),
        events: shared.events.of("default-scheduler", "").at(place),
        cluster: Cluster::default(),
        placed: BTreeMap::new(),
        waiting: BTreeSet::new(),
        arrived: BTreeMap::new(),
        arrivals: 0,
    };
    // It begins with the nodes there are, as with a cache that has synced.
    for object in shared.store.list("nodes", None) {
        let name = object::name(&object).to_owned();
        scheduler.cluster.nodes.entry(name).or_default().object = Some(object);
    }
    // Both kinds of changes come through one queue, in the order in which they happened.
    let mut inbox =
        shared.store.changes(&["nodes", "pods", "persistentvolumeclaims", "persistentvolumes"]);
    let trace = shared.trace.clone();
    shared.sim.spawn(async move {
        let mut first = inbox.recv().await;
        while let Some((kind, change)) = first.take() {
            let mut room = false;
            let mut new = BTreeSet::new();
            let mut next = Some((kind, change));
            while let Some((kind, change)) = next {
                if kind == "nodes" {
                    room |= scheduler.node(&change);
                } else if kind != "pods" {
                    // A claim that is bound now, or a volume that can be.
                    room = true;
                } else {
                    room |= scheduler.pod(&change, &mut new);
                    if change.event > 0 && !new.is_empty() {
                        trace.took(place, change.event);
                    }
                }
                next = inbox.try_recv();
            }
            if room {
                new.extend(scheduler.waiting.iter().cloned());
            }
            for key in scheduler.in_order(new) {
                scheduler.place(&key);
            }
            first = inbox.recv().await;
        }
    });
}

struct Scheduler {
    store: Store,
    events: Recorder,
    cluster: Cluster,
    /// Which node the pods are on.
    placed: BTreeMap<Key, String>,
    /// Pods for which there was no node.
    waiting: BTreeSet<Key>,
    /// In which order pods came that have no node yet.
    arrived: BTreeMap<Key, u64>,
    arrivals: u64,
}

impl Scheduler {
    /// Says whether there may be more room now.
    fn node(&mut self, change: &Change) -> bool {
        let node = self.cluster.nodes.entry(object::name(&change.object).to_owned()).or_default();
        if change.verb == Verb::Deleted {
            node.object = None;
            return false;
        }
        let before = node.object.replace(change.object.clone());
        let Some(before) = before else { return true };
        let now = &change.object;
        before["spec"] != now["spec"]
            || before["metadata"]["labels"] != now["metadata"]["labels"]
            || before["status"]["allocatable"] != now["status"]["allocatable"]
    }

    /// Takes note of a pod; says whether there may be more room now.
    fn pod(&mut self, change: &Change, new: &mut BTreeSet<Key>) -> bool {
        let (pod, key) = (&change.object, key(&change.object));
        let over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        if change.verb == Verb::Deleted || over {
            self.waiting.remove(&key);
            new.remove(&key);
            self.cluster.nominated.remove(&key);
            self.arrived.remove(&key);
            let Some(name) = self.placed.remove(&key) else { return false };
            if let Some(node) = self.cluster.nodes.get_mut(&name) {
                node.remove(&key);
            }
            return true;
        }
        match pod["spec"]["nodeName"].as_str() {
            Some(name) if !name.is_empty() => self.assume(&key, name, pod),
            _ => {
                let ours = pod["spec"]["schedulerName"].as_str().unwrap_or("default-scheduler");
                let gated =
                    pod["spec"]["schedulingGates"].as_array().is_some_and(|g| !g.is_empty());
                if ours == "default-scheduler" && !gated && !object::deleting(pod) {
                    // A pod that waits is tried again when there is room or it changes itself.
                    let same = change.previous.as_ref().is_some_and(|p| p["spec"] == pod["spec"]);
                    if !same {
                        let count = self.arrivals;
                        self.arrivals += 1;
                        self.arrived.entry(key.clone()).or_insert(count);
                        new.insert(key);
                    }
                }
            }
        }
        false
    }

    fn assume(&mut self, key: &Key, name: &str, pod: &Object) {
        self.waiting.remove(key);
        self.cluster.nominated.remove(key);
        self.arrived.remove(key);
        let node = self.cluster.nodes.entry(name.to_owned()).or_default();
        node.add(key, PodInfo::new(pod));
        self.placed.insert(key.clone(), name.to_owned());
    }

    /// The more important first, then who came first (PrioritySort).
    fn in_order(&self, keys: BTreeSet<Key>) -> Vec<Key> {
        let rank = |key: &Key| {
            let pod = self.store.get("pods", &key.0, &key.1);
            let pod = pod.as_deref().unwrap_or(&Value::Null);
            (Reverse(priority(pod)), self.arrived.get(key).copied())
        };
        let mut keys: Vec<Key> = keys.into_iter().collect();
        keys.sort_by_cached_key(rank);
        keys
    }

    /// Finds a node for a pod and binds it, or says why there is none.
    fn place(&mut self, key: &Key) {
        let Some(object) = self.store.get("pods", &key.0, &key.1) else { return };
        let bound = object["spec"]["nodeName"].as_str().is_some_and(|n| !n.is_empty());
        if bound || object::deleting(&object) {
            return;
        }
        let pod = PodInfo::new(&object);
        let total = self.cluster.present().count();
        let volumes = match Volumes::new(&object, &self.store) {
            Ok(volumes) => volumes,
            Err(why) => {
                let help = format!("{total} Preemption is not helpful for scheduling");
                let text = format!(
                    "0/{total} nodes are available: {why}. preemption: 0/{total} nodes are available: {help}."
                );
                return self.refuse(key, &object, &text);
            }
        };
        let (best, refusals) = self.choose(&pod, &volumes);
        let Some(name) = best else {
            return self.give_up(key, &pod, &refusals);
        };
        if volumes.waits() {
            // The claims first; the pod comes back when they are bound.
            volumes.ask(&self.store, &name);
            self.waiting.insert(key.clone());
            return;
        }
        let mut new = Value::clone(&object);
        new["spec"]["nodeName"] = name.as_str().into();
        let condition = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null,
            "lastTransitionTime": object::time(self.store.sim().unix_nanos())});
        set_condition(&mut new, condition);
        // Nothing runs between reading and binding.
        let binding = WriteOptions { subresource: "binding", ..WriteOptions::default() };
        if self.store.update_with("pods", new, Part::Whole, &binding).is_ok() {
            self.assume(key, &name, &object);
            let text = format!("Successfully assigned {}/{} to {name}", key.0, key.1);
            self.events.normal(&About::object(&object), "Scheduled", &text);
        }
    }

    /// The best node, and why the others do not do.
    fn choose(
        &self,
        pod: &PodInfo,
        volumes: &Volumes,
    ) -> (Option<String>, BTreeMap<String, Refusal>) {
        let filters = Filters::new(pod, volumes, &self.cluster, &self.store);
        let mut refusals = BTreeMap::new();
        let mut fitting: Vec<&String> = Vec::new();
        for (name, _, _) in self.cluster.present() {
            match filters.refuse(&self.cluster, name) {
                None => fitting.push(name),
                Some(refusal) => {
                    refusals.insert(name.clone(), refusal);
                }
            }
        }
        // What room was made for is taken if it fits now.
        let promised = pod.object["status"]["nominatedNodeName"].as_str();
        if let Some(name) = fitting.iter().find(|n| promised == Some(n.as_str())) {
            return (Some((*name).clone()), refusals);
        }
        if let [only] = fitting[..] {
            return (Some(only.clone()), refusals);
        }
        let points = score::points(&filters, &self.cluster, &self.store, &fitting);
        let pods = |name: &String| self.cluster.nodes[name].pods.len();
        // Kubernetes draws lots among equals; here it is the emptier one, and then the first.
        let best = points
            .iter()
            .min_by_key(|(name, points)| (Reverse(**points), pods(name), (*name).clone()));
        (best.map(|(name, _)| name.clone()), refusals)
    }

    /// No node takes the pod: room is made, if that is possible.
    fn give_up(&mut self, key: &Key, pod: &PodInfo, refusals: &BTreeMap<String, Refusal>) {
        let total = refusals.len();
        if total == 0 {
            return self.refuse(key, &pod.object, "no nodes available to schedule pods");
        }
        let mut why: BTreeMap<String, usize> = BTreeMap::new();
        for reason in refusals.values().flat_map(|r| &r.reasons) {
            *why.entry(reason.clone()).or_default() += 1;
        }
        let mut text = format!("0/{total} nodes are available: {}.", counted(&why));
        match self.preempt(pod, refusals) {
            Outcome::None(help) => {
                text += &format!(" preemption: {help}");
                self.refuse(key, &pod.object, &text);
                if !help.starts_with("not eligible due to a terminating") {
                    self.cluster.nominated.remove(key);
                    self.nominate(&pod.object, None);
                }
            }
            Outcome::Node(node) => {
                self.refuse(key, &pod.object, &text);
                self.cluster.nominated.insert(key.clone(), (node.clone(), pod.clone()));
                // Who was promised the node and matters less has to look again.
                let lower: Vec<Key> = self
                    .cluster
                    .nominated
                    .iter()
                    .filter(|(_, (n, p))| *n == node && p.priority() < pod.priority())
                    .map(|(k, _)| k.clone())
                    .collect();
                for key in lower {
                    if let Some((_, other)) = self.cluster.nominated.remove(&key) {
                        self.nominate(&other.object, None);
                    }
                }
                self.nominate(&pod.object, Some(&node));
            }
        }
    }

    /// Says that there is no node for a pod, and why.
    fn refuse(&mut self, key: &Key, pod: &Object, text: &str) {
        if self.waiting.insert(key.clone()) || condition_text(pod) != text {
            self.events.warning(&About::object(pod), "FailedScheduling", text);
            self.report(pod, text);
        }
    }

    fn report(&self, pod: &Value, text: &str) {
        let mut new = Value::clone(pod);
        let old = pod["status"]["conditions"].as_array();
        let since = old
            .into_iter()
            .flatten()
            .find(|c| c["type"] == "PodScheduled" && c["status"] == "False");
        let since = since.and_then(|c| c["lastTransitionTime"].as_str().map(str::to_owned));
        let since = since.unwrap_or_else(|| object::time(self.store.sim().unix_nanos()));
        let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": text, "lastProbeTime": null, "lastTransitionTime": since});
        set_condition(&mut new, condition);
        let _ = self.store.update_status("pods", new);
    }
}

fn condition_text(pod: &Value) -> &str {
    let all = pod["status"]["conditions"].as_array();
    let found = all.into_iter().flatten().find(|c| c["type"] == "PodScheduled");
    found.and_then(|c| c["message"].as_str()).unwrap_or("")
}

fn set_condition(pod: &mut Value, condition: Value) {
    let status = object::map_mut(object::map_mut(pod).entry("status").or_insert(Value::Null));
    let list = status.entry("conditions").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.retain(|c| c["type"] != condition["type"]);
        list.push(condition);
    }
}

/// Reasons with how many nodes give them ("1 Insufficient cpu, 2 ..."), sorted as texts.
fn counted(why: &BTreeMap<String, usize>) -> String {
    let mut reasons: Vec<String> = why.iter().map(|(text, n)| format!("{n} {text}")).collect();
    reasons.sort();
    reasons.join(", ")
}
