//! Labels of nodes, and pods that want to be near or far from others
//! (`plugins/{nodeaffinity,interpodaffinity}`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::cluster::{Cluster, PodInfo};
use crate::store::object;
use crate::store::selector::LabelSelector;
use crate::store::{Object, Store};

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// `nodeSelector` and the required node affinity.
pub(crate) fn node_selected(pod: &Value, node: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let wanted = pod["spec"]["nodeSelector"].as_object().into_iter().flatten();
    if wanted.into_iter().any(|(k, v)| labels[k] != *v) {
        return false;
    }
    let required = &pod["spec"]["affinity"]["nodeAffinity"][REQUIRED];
    required.is_null() || terms_match(&required["nodeSelectorTerms"], node)
}

/// Whether one of the terms of a node selector fits.
pub(super) fn terms_match(terms: &Value, node: &Value) -> bool {
    list(terms).iter().any(|t| term_matches(t, node))
}

fn term_matches(term: &Value, node: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let (by_label, by_field) = (list(&term["matchExpressions"]), list(&term["matchFields"]));
    (!by_label.is_empty() || !by_field.is_empty())
        && by_label.iter().all(|e| holds(e, labels[e["key"].as_str().unwrap_or("")].as_str()))
        && by_field.iter().all(|e| holds(e, Some(object::name(node))))
}

fn holds(e: &Value, value: Option<&str>) -> bool {
    let values: Vec<&str> = list(&e["values"]).iter().filter_map(Value::as_str).collect();
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
}

/// How much a pod would like a node.
pub(super) fn node_preference(pod: &Value, node: &Value) -> i128 {
    list(&pod["spec"]["affinity"]["nodeAffinity"][PREFERRED])
        .iter()
        .filter(|p| term_matches(&p["preference"], node))
        .map(|p| i128::from(p["weight"].as_i64().unwrap_or(0)))
        .sum()
}

/// A term of a pod's affinity: which pods, and what "near" means.
struct Term {
    topology: String,
    selector: LabelSelector,
    namespaces: Option<Vec<String>>,
    weight: i128,
}

impl Term {
    fn new(term: &Value, owner: &Value, store: &Store, weight: i128) -> Term {
        let mut names: Vec<String> = list(&term["namespaces"])
            .iter()
            .filter_map(|n| n.as_str().map(str::to_owned))
            .collect();
        let by_label = &term["namespaceSelector"];
        let mut all = false;
        if by_label.is_object() {
            let selector = LabelSelector::from_selector(by_label);
            all = selector.is_empty();
            let found = store.list("namespaces", None);
            names.extend(
                found.iter().filter(|n| selector.matches(n)).map(|n| object::name(n).to_owned()),
            );
        } else if names.is_empty() {
            names.push(object::namespace(owner).to_owned());
        }
        let selector = &term["labelSelector"];
        // No selector selects no pod; an empty one all of them.
        let selector = if selector.is_object() {
            LabelSelector::from_selector(selector)
        } else {
            LabelSelector::nothing()
        };
        Term {
            topology: term["topologyKey"].as_str().unwrap_or("").to_owned(),
            selector,
            namespaces: (!all).then_some(names),
            weight,
        }
    }

    fn wants(&self, pod: &Value) -> bool {
        self.namespaces.as_ref().is_none_or(|n| n.iter().any(|n| n == object::namespace(pod)))
            && self.selector.matches(pod)
    }
}

fn terms(pod: &Value, kind: &str, store: &Store) -> Vec<Term> {
    let all = list(&pod["spec"]["affinity"][kind][REQUIRED]);
    all.iter().map(|t| Term::new(t, pod, store, 1)).collect()
}

fn preferred(pod: &Value, kind: &str, sign: i128, store: &Store) -> Vec<Term> {
    let all = list(&pod["spec"]["affinity"][kind][PREFERRED]);
    all.iter()
        .map(|p| {
            let weight = i128::from(p["weight"].as_i64().unwrap_or(0));
            Term::new(&p["podAffinityTerm"], pod, store, sign * weight)
        })
        .collect()
}

fn domain<'a>(node: &'a Value, topology: &str) -> Option<&'a str> {
    node["metadata"]["labels"][topology].as_str()
}

/// How many pods there are in each domain of each term, by its number and the label's value.
type Counts = BTreeMap<(usize, String), usize>;

/// What other pods mean for one that looks for a node.
pub(super) struct Neighbours {
    affinity: Vec<Term>,
    anti: Vec<Term>,
    near: Counts,
    far: Counts,
    /// Where pods are that do not want this one near them.
    refused: std::collections::BTreeSet<(String, String)>,
    /// Whether it wants to be near pods like itself.
    like_itself: bool,
}

impl Neighbours {
    pub(super) fn new(pod: &PodInfo, cluster: &Cluster, store: &Store) -> Neighbours {
        let affinity = terms(&pod.object, "podAffinity", store);
        let anti = terms(&pod.object, "podAntiAffinity", store);
        let mut out = Neighbours {
            like_itself: affinity.iter().all(|t| t.wants(&pod.object)),
            affinity,
            anti,
            near: Counts::new(),
            far: Counts::new(),
            refused: Default::default(),
        };
        if out.affinity.is_empty() && out.anti.is_empty() && !cluster.anyone_picky() {
            return out;
        }
        for (name, _, node) in cluster.present() {
            for other in cluster.pods_on(name, pod) {
                out.look_at(pod, &other.object, node, store);
            }
        }
        out
    }

    fn look_at(&mut self, pod: &PodInfo, other: &Object, node: &Value, store: &Store) {
        if !self.affinity.is_empty() && self.affinity.iter().all(|t| t.wants(other)) {
            count(&self.affinity, other, node, &mut self.near);
        }
        count(&self.anti, other, node, &mut self.far);
        if other["spec"]["affinity"]["podAntiAffinity"][REQUIRED].is_array() {
            for term in terms(other, "podAntiAffinity", store) {
                if term.wants(&pod.object)
                    && let Some(value) = domain(node, &term.topology)
                {
                    self.refused.insert((term.topology, value.to_owned()));
                }
            }
        }
    }

    /// Why the node does not do, and whether it could if other pods went.
    pub(super) fn refuses(&self, node: &Value) -> Option<(&'static str, bool)> {
        let known = self.affinity.iter().all(|t| domain(node, &t.topology).is_some());
        let near = self.affinity.iter().enumerate().all(|(i, t)| {
            domain(node, &t.topology)
                .is_some_and(|d| self.near.get(&(i, d.to_owned())).is_some_and(|n| *n > 0))
        });
        // The first of pods that want each other has to be somewhere.
        let first = known && self.near.is_empty() && self.like_itself;
        if !self.affinity.is_empty() && !near && !first {
            return Some(("node(s) didn't match pod affinity rules", false));
        }
        let far = self.anti.iter().enumerate().any(|(i, t)| {
            domain(node, &t.topology).is_some_and(|d| self.far.contains_key(&(i, d.to_owned())))
        });
        if far {
            return Some(("node(s) didn't match pod anti-affinity rules", true));
        }
        let refused = self.refused.iter().any(|(key, value)| domain(node, key) == Some(value));
        refused.then_some(("node(s) didn't satisfy existing pods anti-affinity rules", true))
    }
}

fn count(terms: &[Term], other: &Value, node: &Value, counts: &mut Counts) {
    for (i, term) in terms.iter().enumerate() {
        if term.wants(other)
            && let Some(value) = domain(node, &term.topology)
        {
            *counts.entry((i, value.to_owned())).or_default() += 1;
        }
    }
}

/// How near each node is to where the pod, and pods that are there already, would like it.
pub(super) fn pod_preference(
    pod: &PodInfo,
    cluster: &Cluster,
    store: &Store,
) -> BTreeMap<(String, String), i128> {
    let mut ours = preferred(&pod.object, "podAffinity", 1, store);
    ours.extend(preferred(&pod.object, "podAntiAffinity", -1, store));
    let mut out: BTreeMap<(String, String), i128> = BTreeMap::new();
    if ours.is_empty() && !cluster.anyone_picky() {
        return out;
    }
    for (name, _, node) in cluster.present() {
        let mut add = |term: &Term| {
            if let Some(value) = domain(node, &term.topology) {
                *out.entry((term.topology.clone(), value.to_owned())).or_default() += term.weight;
            }
        };
        for other in cluster.pods_on(name, pod) {
            ours.iter().filter(|t| t.wants(&other.object)).for_each(&mut add);
            if other.picky {
                // What must be near counts a little for those who come later.
                let mut theirs = terms(&other.object, "podAffinity", store);
                theirs.extend(preferred(&other.object, "podAffinity", 1, store));
                theirs.extend(preferred(&other.object, "podAntiAffinity", -1, store));
                theirs.iter().filter(|t| t.wants(&pod.object)).for_each(&mut add);
            }
        }
    }
    out
}

/// The sum of [`pod_preference`] for one node.
pub(super) fn sum(preference: &BTreeMap<(String, String), i128>, node: &Value) -> i128 {
    preference.iter().filter(|((k, v), _)| domain(node, k) == Some(v)).map(|(_, w)| w).sum()
}
