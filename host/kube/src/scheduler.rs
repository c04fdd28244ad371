//! The scheduler: which node a pod runs on (`pkg/scheduler`, NodeResourcesFit with LeastAllocated,
//! NodeAffinity's selector, TaintToleration, NodeUnschedulable, NodePorts).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podlab_sim::sync::channel;
use podlab_trace::Verb;
use serde_json::{Value, json};

use crate::control_plane::Shared;
use crate::events::{About, Recorder};
use crate::store::watch::Change;
use crate::store::{Object, Part, Store, WriteOptions, object, quantity};

type Key = (String, String);

/// What a pod asks for, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
struct Request {
    cpu: i128,
    memory: i128,
}

#[derive(Default)]
struct Node {
    object: Option<Object>,
    pods: BTreeMap<Key, (Request, BTreeSet<i64>)>,
    used: Request,
}

/// Starts the scheduler.
pub(crate) fn start(shared: &Arc<Shared>) {
    let place =
        shared.trace.place(shared.sim.now().as_nanos(), "", "kube-system", "", "kube-scheduler");
    let mut scheduler = Scheduler {
        store: shared.store.acting_at(place),
        events: shared.events.of("default-scheduler", "").at(place),
        nodes: BTreeMap::new(),
        placed: BTreeMap::new(),
        waiting: BTreeSet::new(),
    };
    // It begins with the nodes there are, as with a cache that has synced.
    for object in shared.store.list("nodes", None) {
        let name = object::name(&object).to_owned();
        scheduler.nodes.entry(name).or_default().object = Some(object);
    }
    // Both kinds of changes come through one queue, in the order in which they happened.
    let (changes, mut inbox) = channel();
    for kind in ["nodes", "pods"] {
        let (changes, mut informer) = (changes.clone(), shared.store.informer(kind));
        shared
            .sim
            .spawn(async move { while changes.send((kind, informer.next().await)).is_ok() {} });
    }
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
            for key in new {
                scheduler.place(&key);
            }
            first = inbox.recv().await;
        }
    });
}

struct Scheduler {
    store: Store,
    events: Recorder,
    nodes: BTreeMap<String, Node>,
    /// Which node the pods are on.
    placed: BTreeMap<Key, String>,
    /// Pods for which there was no node.
    waiting: BTreeSet<Key>,
}

fn key(object: &Value) -> Key {
    (object::namespace(object).to_owned(), object::name(object).to_owned())
}

impl Scheduler {
    /// Says whether there may be more room now.
    fn node(&mut self, change: &Change) -> bool {
        let node = self.nodes.entry(object::name(&change.object).to_owned()).or_default();
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
            let Some(name) = self.placed.remove(&key) else { return false };
            if let Some(node) = self.nodes.get_mut(&name)
                && let Some((request, _)) = node.pods.remove(&key)
            {
                node.used.cpu -= request.cpu;
                node.used.memory -= request.memory;
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
                        new.insert(key);
                    }
                }
            }
        }
        false
    }

    fn assume(&mut self, key: &Key, name: &str, pod: &Value) {
        self.waiting.remove(key);
        if self.placed.contains_key(key) {
            return;
        }
        let node = self.nodes.entry(name.to_owned()).or_default();
        let request = request(pod);
        node.used.cpu += request.cpu;
        node.used.memory += request.memory;
        node.pods.insert(key.clone(), (request, host_ports(pod)));
        self.placed.insert(key.clone(), name.to_owned());
    }

    /// Finds a node for a pod and binds it, or says why there is none.
    fn place(&mut self, key: &Key) {
        let Some(pod) = self.store.get("pods", &key.0, &key.1) else { return };
        let bound = pod["spec"]["nodeName"].as_str().is_some_and(|n| !n.is_empty());
        if bound || object::deleting(&pod) {
            return;
        }
        let (wants, ports) = (request(&pod), host_ports(&pod));
        let mut why: BTreeMap<String, usize> = BTreeMap::new();
        let mut best: Option<((i128, std::cmp::Reverse<usize>), &String)> = None;
        let mut total = 0;
        for (name, node) in &self.nodes {
            let Some(object) = &node.object else { continue };
            total += 1;
            let refused = refusals(&pod, wants, &ports, object, node);
            if refused.is_empty() {
                let score = (score(wants, object, node), std::cmp::Reverse(node.pods.len()));
                // The first of equals: nodes come by name.
                if best.as_ref().is_none_or(|(b, _)| score > *b) {
                    best = Some((score, name));
                }
            }
            for reason in refused {
                *why.entry(reason).or_default() += 1;
            }
        }
        let about = About::object(&pod);
        let Some((_, name)) = best else {
            let text = unschedulable(total, &why);
            if self.waiting.insert(key.clone()) || condition_text(&pod) != text {
                self.events.warning(&about, "FailedScheduling", &text);
                self.report(&pod, &text);
            }
            return;
        };
        let name = name.clone();
        let mut new = Value::clone(&pod);
        new["spec"]["nodeName"] = name.as_str().into();
        let condition = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null,
            "lastTransitionTime": object::time(self.store.sim().unix_nanos())});
        set_condition(&mut new, condition);
        // Nothing runs between reading and binding.
        if self.store.update_with("pods", new, Part::Whole, &WriteOptions::default()).is_ok() {
            self.assume(key, &name, &pod);
            let text = format!("Successfully assigned {}/{} to {name}", key.0, key.1);
            self.events.normal(&about, "Scheduled", &text);
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

/// The request of a pod: the sum of its containers, or an init container's if that is more
/// (sidecars add to both).
fn request(pod: &Value) -> Request {
    let of = |c: &Value, name: &str| quantity::of(&c["resources"]["requests"][name]).unwrap_or(0);
    let total = |name: &str| {
        let list = |field: &str| pod["spec"][field].as_array().cloned().unwrap_or_default();
        let mains: i128 = list("containers").iter().map(|c| of(c, name)).sum();
        let (mut sidecars, mut most) = (0, 0);
        for c in list("initContainers") {
            if c["restartPolicy"] == "Always" {
                sidecars += of(&c, name);
                most = most.max(sidecars);
            } else {
                most = most.max(sidecars + of(&c, name));
            }
        }
        (mains + sidecars).max(most)
    };
    Request { cpu: total("cpu"), memory: total("memory") }
}

fn host_ports(pod: &Value) -> BTreeSet<i64> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    containers
        .flat_map(|c| c["ports"].as_array().into_iter().flatten())
        .filter_map(|p| p["hostPort"].as_i64().filter(|p| *p > 0))
        .collect()
}

fn allocatable(node: &Value, name: &str) -> i128 {
    quantity::of(&node["status"]["allocatable"][name]).unwrap_or(0)
}

/// How much of the node would stay free, in hundredths of a percent (LeastAllocated).
fn score(wants: Request, object: &Value, node: &Node) -> i128 {
    let part =
        |used: i128, all: i128| if all <= 0 { 0 } else { (all - used).max(0) * 10_000 / all };
    let cpu = part(node.used.cpu + wants.cpu, allocatable(object, "cpu"));
    let memory = part(node.used.memory + wants.memory, allocatable(object, "memory"));
    (cpu + memory) / 2
}

/// Why a node does not take a pod: the reasons of the first filter that says no, in the
/// scheduler's order of filters.
fn refusals(
    pod: &Value,
    wants: Request,
    ports: &BTreeSet<i64>,
    object: &Value,
    node: &Node,
) -> Vec<String> {
    let tolerates = |taint: &Value| {
        let all = pod["spec"]["tolerations"].as_array();
        all.into_iter().flatten().any(|t| tolerates(t, taint))
    };
    let unschedulable = json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
    if object["spec"]["unschedulable"] == true && !tolerates(&unschedulable) {
        return vec!["node(s) were unschedulable".into()];
    }
    let taints = object["spec"]["taints"].as_array().into_iter().flatten();
    for taint in taints {
        if matches!(taint["effect"].as_str(), Some("NoSchedule" | "NoExecute")) && !tolerates(taint)
        {
            let (k, v) =
                (taint["key"].as_str().unwrap_or(""), taint["value"].as_str().unwrap_or(""));
            return vec![format!("node(s) had untolerated taint {{{k}: {v}}}")];
        }
    }
    if !selected(pod, object) {
        return vec!["node(s) didn't match Pod's node affinity/selector".into()];
    }
    if node.pods.values().any(|(_, used)| !used.is_disjoint(ports)) {
        return vec!["node(s) didn't have free ports for the requested pod ports".into()];
    }
    let mut out = Vec::new();
    if (node.pods.len() as i128 + 1) * 1000 > allocatable(object, "pods") {
        out.push("Too many pods".to_owned());
    }
    if wants.cpu > 0 && node.used.cpu + wants.cpu > allocatable(object, "cpu") {
        out.push("Insufficient cpu".into());
    }
    if wants.memory > 0 && node.used.memory + wants.memory > allocatable(object, "memory") {
        out.push("Insufficient memory".into());
    }
    out
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    let (key, effect) = (text(&toleration["key"]), text(&toleration["effect"]));
    if !effect.is_empty() && effect != text(&taint["effect"]) {
        return false;
    }
    let exists = toleration["operator"] == "Exists";
    if key.is_empty() {
        return exists;
    }
    key == text(&taint["key"]) && (exists || text(&toleration["value"]) == text(&taint["value"]))
}

/// `nodeSelector` and the required node affinity.
fn selected(pod: &Value, node: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let wanted = pod["spec"]["nodeSelector"].as_object().into_iter().flatten();
    if wanted.into_iter().any(|(k, v)| labels[k] != *v) {
        return false;
    }
    let terms = &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        ["nodeSelectorTerms"];
    let Some(terms) = terms.as_array() else { return true };
    let holds = |e: &Value, value: Option<&str>| {
        let values: Vec<&str> =
            e["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let number = |s: Option<&str>| s.and_then(|s| s.parse::<i64>().ok());
        match e["operator"].as_str().unwrap_or("") {
            "In" => value.is_some_and(|v| values.contains(&v)),
            "NotIn" => value.is_none_or(|v| !values.contains(&v)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            "Gt" => number(value).zip(number(values.first().copied())).is_some_and(|(a, b)| a > b),
            "Lt" => number(value).zip(number(values.first().copied())).is_some_and(|(a, b)| a < b),
            _ => false,
        }
    };
    terms.iter().any(|term| {
        let by_label = term["matchExpressions"].as_array().cloned().unwrap_or_default();
        let by_field = term["matchFields"].as_array().cloned().unwrap_or_default();
        (!by_label.is_empty() || !by_field.is_empty())
            && by_label.iter().all(|e| holds(e, labels[e["key"].as_str().unwrap_or("")].as_str()))
            && by_field.iter().all(|e| holds(e, Some(object::name(node))))
    })
}

/// The message of `FailedScheduling`.
fn unschedulable(total: usize, why: &BTreeMap<String, usize>) -> String {
    if total == 0 {
        return "no nodes available to schedule pods".into();
    }
    let mut reasons: Vec<String> = why.iter().map(|(text, n)| format!("{n} {text}")).collect();
    reasons.sort();
    // No pod is ever evicted for another one; the scheduler's words for that follow.
    let room = |text: &&String| {
        text.starts_with("Insufficient") || *text == "Too many pods" || text.contains("free ports")
    };
    let short: usize = why.iter().filter(|(t, _)| room(t)).map(|(_, n)| *n).max().unwrap_or(0);
    let mut help = Vec::new();
    if short > 0 {
        help.push(format!("{short} No preemption victims found for incoming pod"));
    }
    if total > short {
        help.push(format!("{} Preemption is not helpful for scheduling", total - short));
    }
    help.sort();
    format!(
        "0/{total} nodes are available: {}. preemption: 0/{total} nodes are available: {}.",
        reasons.join(", "),
        help.join(", ")
    )
}
