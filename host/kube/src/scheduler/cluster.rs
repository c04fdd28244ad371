//! What the scheduler knows: nodes, and the pods on them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::store::kinds::pod_resources::{self, Amounts};
use crate::store::{Object, object, quantity};

/// Namespace and name of a pod.
pub(super) type Key = (String, String);

/// A pod with what is asked of it again and again.
#[derive(Clone)]
pub(super) struct PodInfo {
    pub object: Object,
    pub request: Amounts,
    pub ports: BTreeSet<(String, i64)>,
}

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
        PodInfo { object: object.clone(), request: pod_resources::total(object, "requests"), ports }
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

pub(super) fn key(object: &Value) -> Key {
    (object::namespace(object).to_owned(), object::name(object).to_owned())
}

pub(super) fn priority(pod: &Value) -> i64 {
    pod["spec"]["priority"].as_i64().unwrap_or(0)
}

#[derive(Default)]
pub(super) struct Node {
    pub object: Option<Object>,
    pub pods: BTreeMap<Key, PodInfo>,
}

impl Node {
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

    /// How much of a resource is asked for on a node.
    pub(super) fn used(&self, name: &str, pod: &PodInfo, resource: &str) -> i128 {
        self.pods_on(name, pod).map(|p| p.wants(resource)).sum()
    }
}
