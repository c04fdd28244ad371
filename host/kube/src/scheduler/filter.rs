//! Which nodes can take a pod (the filters, in the order of the default profile).

use serde_json::{Value, json};

use super::affinity::{Neighbours, node_selected};
use super::cluster::{Cluster, PodInfo};
use super::spread::Spread;
use super::volumes::Volumes;
use crate::store::Store;

/// What is computed once for a pod.
pub(super) struct Filters<'a> {
    pub pod: &'a PodInfo,
    pub neighbours: Neighbours,
    pub spread: Spread,
    pub volumes: &'a Volumes,
}

/// Why a node does not take a pod.
pub(super) struct Refusal {
    pub reasons: Vec<String>,
    /// Whether it could be different if pods went.
    pub curable: bool,
}

fn no(reason: impl Into<String>, curable: bool) -> Option<Refusal> {
    Some(Refusal { reasons: vec![reason.into()], curable })
}

impl<'a> Filters<'a> {
    pub(super) fn new(
        pod: &'a PodInfo,
        volumes: &'a Volumes,
        cluster: &Cluster,
        store: &Store,
    ) -> Filters<'a> {
        let neighbours = Neighbours::new(pod, cluster, store);
        Filters { pod, neighbours, spread: Spread::new(pod, cluster, store), volumes }
    }

    /// What the first filter says that refuses the node.
    pub(super) fn refuse(&self, cluster: &Cluster, name: &str) -> Option<Refusal> {
        let node = cluster.nodes.get(name)?;
        let object = node.object.as_ref()?;
        let pod = &*self.pod.object;
        let unschedulable =
            json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
        if object["spec"]["unschedulable"] == true && !is_tolerated(pod, &unschedulable) {
            return no("node(s) were unschedulable", false);
        }
        if let Some((key, value)) = untolerated(pod, object) {
            return no(format!("node(s) had untolerated taint {{{key}: {value}}}"), false);
        }
        if !node_selected(pod, object) {
            return no("node(s) didn't match Pod's node affinity/selector", false);
        }
        if !self.pod.ports.is_empty()
            && cluster.pods_on(name, self.pod).any(|p| !p.ports.is_disjoint(&self.pod.ports))
        {
            return no("node(s) didn't have free ports for the requested pod ports", true);
        }
        let mut short = Vec::new();
        if (cluster.count(name, self.pod) + 1) * 1000 > node.allocatable("pods") {
            short.push("Too many pods".to_owned());
        }
        for (resource, wanted) in &self.pod.request {
            let used = || cluster.used(name, self.pod, resource);
            if *wanted > 0 && used() + wanted > node.allocatable(resource) {
                short.push(format!("Insufficient {resource}"));
            }
        }
        if !short.is_empty() {
            return Some(Refusal { reasons: short, curable: true });
        }
        if let Some(reason) = self.volumes.refuses(object) {
            return no(reason, false);
        }
        let (reason, curable) =
            self.spread.refuses(object).or_else(|| self.neighbours.refuses(object))?;
        no(reason, curable)
    }
}

/// Key and value of the first taint that keeps the pod away.
pub(super) fn untolerated<'a>(pod: &Value, node: &'a Value) -> Option<(&'a str, &'a str)> {
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    let taint = taints.into_iter().find(|t| {
        matches!(t["effect"].as_str(), Some("NoSchedule" | "NoExecute")) && !is_tolerated(pod, t)
    })?;
    let word = |f: &str| taint[f].as_str().unwrap_or("");
    Some((word("key"), word("value")))
}

/// Whether one of the pod's tolerations is about the taint.
pub(super) fn is_tolerated(pod: &Value, taint: &Value) -> bool {
    let all = pod["spec"]["tolerations"].as_array();
    all.into_iter().flatten().any(|t| tolerates(t, taint))
}

/// Whether a toleration is about a taint (`Toleration.ToleratesTaint`).
pub(crate) fn tolerates(toleration: &Value, taint: &Value) -> bool {
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
