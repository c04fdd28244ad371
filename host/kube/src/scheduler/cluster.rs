//! What the scheduler knows: nodes, and the pods on them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::store::kinds::pod_resources::{self, Amounts};
use crate::store::{Object, quantity};

/// Namespace and name of a pod.
pub(super) use crate::store::object::{Key, key};

/// A pod with what is asked of it again and again.
#[derive(Clone)]
pub(super) struct PodInfo {
    pub object: Object,
    pub request: Amounts,
    pub ports: BTreeSet<(String, i64)>,
    /// Whether it cares which pods are near it.
    pub picky: bool,
    /// Processor and memory as scores see them: what asks for nothing needs something too.
    pub weight: [i128; 2],
}

/// What a pod that asks for nothing is taken to ask for (`util/pod_resources.go`).
const LEAST: [(&str, i128); 2] = [("cpu", 100), ("memory", 200 * 1024 * 1024 * 1000)];

impl PodInfo {
    pub(super) fn new(object: &Object) -> PodInfo {
        let containers = object["spec"]["containers"].as_array().into_iter().flatten();
        let ports = containers
            .flat_map(|c| c["ports"].as_array().into_iter().flatten())
            .filter_map(|p| {
                let port = p["hostPort"].as_i64().filter(|p| *p > 0)?;
                Some((p["protocol"].as_str().unwrap_or("TCP").to_owned(), port))
            })
            .collect();
        let request = pod_resources::total(object, "requests");
        let weight = LEAST.map(|(resource, least)| {
            request.get(resource).copied().filter(|n| *n > 0).unwrap_or(least)
        });
        let affinity = &object["spec"]["affinity"];
        let picky = affinity["podAffinity"].is_object() || affinity["podAntiAffinity"].is_object();
        PodInfo { object: object.clone(), request, ports, picky, weight }
    }

    pub(super) fn key(&self) -> Key {
        key(&self.object)
    }

    pub(super) fn priority(&self) -> i64 {
        priority(&self.object)
    }

    pub(super) fn wants(&self, resource: &str) -> i128 {
        self.request.get(resource).copied().unwrap_or(0)
    }
}

pub(super) fn priority(pod: &Value) -> i64 {
    pod["spec"]["priority"].as_i64().unwrap_or(0)
}

/// A node, its pods, and their sums.
#[derive(Default)]
pub(super) struct Node {
    pub object: Option<Object>,
    pub pods: BTreeMap<Key, PodInfo>,
    used: Amounts,
    weight: [i128; 2],
    picky: usize,
}

impl Node {
    /// Takes a pod on, or what is new about it.
    pub(super) fn add(&mut self, key: &Key, pod: PodInfo) {
        self.remove(key);
        self.count(&pod, 1);
        self.pods.insert(key.clone(), pod);
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(pod) = self.pods.remove(key) {
            self.count(&pod, -1);
        }
    }

    fn count(&mut self, pod: &PodInfo, sign: i128) {
        for (resource, amount) in &pod.request {
            *self.used.entry(resource.clone()).or_default() += sign * amount;
        }
        for (sum, weight) in self.weight.iter_mut().zip(pod.weight) {
            *sum += sign * weight;
        }
        if pod.picky {
            self.picky = if sign > 0 { self.picky + 1 } else { self.picky - 1 };
        }
    }

    pub(super) fn allocatable(&self, resource: &str) -> i128 {
        let object = self.object.as_ref();
        object.and_then(|o| quantity::of(&o["status"]["allocatable"][resource])).unwrap_or(0)
    }
}

/// All nodes; what is `gone` is treated as if it were not there (which pods would have to go?),
/// and what is `coming` to a node as if it were.
#[derive(Default)]
pub(super) struct Cluster {
    pub nodes: BTreeMap<String, Node>,
    /// Pods that wait for a node that was promised to them.
    pub nominated: BTreeMap<Key, (String, PodInfo)>,
    pub gone: BTreeSet<Key>,
}

impl Cluster {
    /// The nodes that exist.
    pub(super) fn present(&self) -> impl Iterator<Item = (&String, &Node, &Object)> {
        self.nodes.iter().filter_map(|(name, n)| n.object.as_ref().map(|o| (name, n, o)))
    }

    /// The pods on a node, as far as `pod` has to care: with those that are promised the node
    /// and matter at least as much.
    pub(super) fn pods_on<'a>(
        &'a self,
        name: &'a str,
        pod: &'a PodInfo,
    ) -> impl Iterator<Item = &'a PodInfo> {
        let here = self.nodes.get(name).into_iter().flat_map(|n| n.pods.iter());
        let here = here.filter(|(k, _)| !self.gone.contains(*k)).map(|(_, p)| p);
        let me = pod.key();
        let promised = self.nominated.iter().filter(move |(k, (node, other))| {
            **k != me && node == name && other.priority() >= pod.priority()
        });
        here.chain(promised.map(|(_, (_, p))| p))
    }

    /// `base`, which is a sum over the pods of a node, without those that are `gone` and with
    /// those that are promised the node.
    fn adjusted(
        &self,
        name: &str,
        pod: &PodInfo,
        base: i128,
        of: impl Fn(&PodInfo) -> i128,
    ) -> i128 {
        let here = self.nodes.get(name);
        let gone = self.gone.iter().filter_map(|k| here?.pods.get(k)).map(&of).sum::<i128>();
        let me = pod.key();
        let promised = self.nominated.iter().filter(|(k, (node, other))| {
            **k != me && node == name && other.priority() >= pod.priority()
        });
        base - gone + promised.map(|(_, (_, p))| of(p)).sum::<i128>()
    }

    /// How much of a resource is asked for on a node.
    pub(super) fn used(&self, name: &str, pod: &PodInfo, resource: &str) -> i128 {
        let base = self.nodes.get(name).and_then(|n| n.used.get(resource)).copied();
        self.adjusted(name, pod, base.unwrap_or(0), |p| p.wants(resource))
    }

    /// How many pods a node has.
    pub(super) fn count(&self, name: &str, pod: &PodInfo) -> i128 {
        let base = self.nodes.get(name).map_or(0, |n| n.pods.len() as i128);
        self.adjusted(name, pod, base, |_| 1)
    }

    /// The weight of a node's processor (0) or memory (1).
    pub(super) fn weight(&self, name: &str, pod: &PodInfo, which: usize) -> i128 {
        let base = self.nodes.get(name).map_or(0, |n| n.weight[which]);
        self.adjusted(name, pod, base, |p| p.weight[which])
    }

    /// Whether any pod cares who is near it.
    pub(super) fn anyone_picky(&self) -> bool {
        self.nodes.values().any(|n| n.picky > 0) || self.nominated.values().any(|(_, p)| p.picky)
    }
}
