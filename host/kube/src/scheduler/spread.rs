//! `topologySpreadConstraints` (`plugins/podtopologyspread`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::affinity::node_selected;
use super::cluster::{Cluster, PodInfo};
use super::filter::untolerated;
use crate::store::selector::LabelSelector;
use crate::store::{Store, object};

struct Constraint {
    topology: String,
    skew: i64,
    selector: LabelSelector,
    min_domains: i64,
    honours_affinity: bool,
    honours_taints: bool,
    /// Pods in each domain.
    counts: BTreeMap<String, i64>,
}

/// What the pods that are there mean for where one more should go.
pub(super) struct Spread {
    hard: Vec<Constraint>,
    soft: Vec<Constraint>,
    pod: Value,
}

impl Spread {
    pub(super) fn new(pod: &PodInfo, cluster: &Cluster, store: &Store) -> Spread {
        let mut out = Spread { hard: Vec::new(), soft: Vec::new(), pod: Value::clone(&pod.object) };
        let given = pod.object["spec"]["topologySpreadConstraints"].as_array();
        match given.filter(|g| !g.is_empty()) {
            Some(given) => {
                for c in given {
                    let made = constraint(c, &pod.object);
                    let hard = c["whenUnsatisfiable"] != "ScheduleAnyway";
                    if hard { out.hard.push(made) } else { out.soft.push(made) }
                }
            }
            None => out.soft.extend(usual(&pod.object, store)),
        }
        if out.hard.is_empty() && out.soft.is_empty() {
            return out;
        }
        let Spread { hard, soft, pod: me } = &mut out;
        // A domain counts if it has a node with all the labels that hard constraints are about.
        let keys: Vec<String> = hard.iter().map(|c| c.topology.clone()).collect();
        for (name, _, node) in cluster.present() {
            let label = |key: &str| node["metadata"]["labels"][key].as_str();
            let complete = keys.iter().all(|k| label(k).is_some());
            for (c, needs) in
                hard.iter_mut().map(|c| (c, true)).chain(soft.iter_mut().map(|c| (c, false)))
            {
                let Some(domain) = label(&c.topology) else { continue };
                let fits = (!c.honours_affinity || node_selected(me, node))
                    && (!c.honours_taints || untolerated(me, node).is_none());
                if (needs && !complete) || !fits {
                    continue;
                }
                let count = cluster
                    .pods_on(name, pod)
                    .map(|p| &p.object)
                    .filter(|p| object::namespace(p) == object::namespace(me))
                    .filter(|p| !object::deleting(p) && c.selector.matches(p))
                    .count() as i64;
                *c.counts.entry(domain.to_owned()).or_default() += count;
            }
        }
        out
    }

    /// Why the node does not do, and whether it could if other pods went.
    pub(super) fn refuses(&self, node: &Value) -> Option<(&'static str, bool)> {
        for c in &self.hard {
            let Some(domain) = node["metadata"]["labels"][&c.topology].as_str() else {
                return Some((
                    "node(s) didn't match pod topology spread constraints (missing required label)",
                    false,
                ));
            };
            let fewest = if (c.counts.len() as i64) < c.min_domains {
                0
            } else {
                c.counts.values().copied().min().unwrap_or(0)
            };
            let here = c.counts.get(domain).copied().unwrap_or(0);
            let me = i64::from(c.selector.matches(&self.pod));
            if here + me - fewest > c.skew {
                return Some(("node(s) didn't match pod topology spread constraints", true));
            }
        }
        None
    }

    /// How many there are already where this node is: fewer is better. `None` if the node lacks
    /// a label.
    pub(super) fn crowd(&self, node: &Value) -> Option<i128> {
        let mut sum = 0;
        for c in &self.soft {
            let domain = node["metadata"]["labels"][&c.topology].as_str()?;
            // What is alone on its node matters most; larger domains count in proportion.
            sum += i128::from(c.counts.get(domain).copied().unwrap_or(0)) * 100
                + i128::from(c.skew - 1);
        }
        Some(sum)
    }

    pub(super) fn has_wishes(&self) -> bool {
        !self.soft.is_empty()
    }
}

fn constraint(c: &Value, pod: &Value) -> Constraint {
    let mut selector = c["labelSelector"].clone();
    for key in c["matchLabelKeys"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let Some(value) = pod["metadata"]["labels"][key].as_str() {
            selector["matchLabels"][key] = value.into();
        }
    }
    Constraint {
        topology: c["topologyKey"].as_str().unwrap_or("").to_owned(),
        skew: c["maxSkew"].as_i64().unwrap_or(1),
        selector: if selector.is_object() {
            LabelSelector::from_selector(&selector)
        } else {
            LabelSelector::nothing()
        },
        min_domains: c["minDomains"].as_i64().unwrap_or(1),
        honours_affinity: c["nodeAffinityPolicy"] != "Ignore",
        honours_taints: c["nodeTaintsPolicy"] == "Honor",
        counts: BTreeMap::new(),
    }
}

/// What holds for pods that say nothing: those of a Service or of a controller are spread over
/// nodes and zones (`systemDefaultConstraints`).
fn usual(pod: &Value, store: &Store) -> Vec<Constraint> {
    let Some(selector) = siblings(pod, store) else { return Vec::new() };
    [("kubernetes.io/hostname", 3), ("topology.kubernetes.io/zone", 5)]
        .into_iter()
        .map(|(key, skew)| {
            constraint(
                &json!({"topologyKey": key, "maxSkew": skew, "labelSelector": selector}),
                pod,
            )
        })
        // Without zones there is nothing to spread over.
        .filter(|c| {
            c.topology == "kubernetes.io/hostname"
                || store
                    .list("nodes", None)
                    .iter()
                    .any(|n| n["metadata"]["labels"][&c.topology].is_string())
        })
        .collect()
}

/// The selector of the pod's Services and controller.
fn siblings(pod: &Value, store: &Store) -> Option<Value> {
    let mut labels = serde_json::Map::new();
    for service in store.list("services", Some(object::namespace(pod))) {
        let selector = &service["spec"]["selector"];
        if selector.as_object().is_some_and(|s| !s.is_empty())
            && LabelSelector::from_map(selector).matches(pod)
        {
            labels.extend(selector.as_object().cloned().unwrap_or_default());
        }
    }
    let mut out = json!({});
    if let Some(owner) = object::controller(pod) {
        let key = match owner["kind"].as_str().unwrap_or("") {
            "ReplicaSet" => "replicasets.apps",
            "StatefulSet" => "statefulsets.apps",
            "ReplicationController" => "replicationcontrollers",
            _ => "",
        };
        let name = owner["name"].as_str().unwrap_or("");
        if let Some(found) = store.get(key, object::namespace(pod), name) {
            let selector = &found["spec"]["selector"];
            if key == "replicationcontrollers" {
                labels.extend(selector.as_object().cloned().unwrap_or_default());
            } else {
                labels.extend(selector["matchLabels"].as_object().cloned().unwrap_or_default());
                out["matchExpressions"] = selector["matchExpressions"].clone();
            }
        }
    }
    if labels.is_empty() && out["matchExpressions"].as_array().is_none_or(Vec::is_empty) {
        return None;
    }
    out["matchLabels"] = labels.into();
    Some(out)
}
