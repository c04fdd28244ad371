//! Which of the nodes that can take a pod is best (the scores and weights of the default
//! profile; where images are is not asked).

use std::collections::BTreeMap;

use super::affinity::{node_preference, pod_preference, sum};
use super::cluster::{Cluster, PodInfo};
use super::filter::{Filters, is_tolerated};
use crate::store::Store;

/// A score is at most this, in hundredths of Kubernetes' 100.
const FULL: i128 = 10_000;
/// The points of each of the `nodes`.
pub(super) fn points(
    filters: &Filters<'_>,
    cluster: &Cluster,
    store: &Store,
    nodes: &[&String],
) -> BTreeMap<String, i128> {
    let pod = filters.pod;
    let affinity = pod_preference(pod, cluster, store);
    let of = |f: &dyn Fn(&str) -> i128| -> Vec<i128> { nodes.iter().map(|n| f(n)).collect() };
    let object = |name: &str| cluster.nodes[name].object.as_ref().expect("a node that is there");
    let free = of(&|n| least_allocated(pod, cluster, n));
    let even = of(&|n| balanced(pod, cluster, n));
    let liked = share(of(&|n| node_preference(&pod.object, object(n))));
    let tainted = of(&|n| {
        let taints = object(n)["spec"]["taints"].as_array().into_iter().flatten();
        taints
            .filter(|t| t["effect"] == "PreferNoSchedule" && !is_tolerated(&pod.object, t))
            .count() as i128
    });
    let clean: Vec<i128> = share(tainted).into_iter().map(|s| FULL - s).collect();
    let near = stretch(of(&|n| sum(&affinity, object(n))));
    let spread = if filters.spread.has_wishes() {
        let crowds: Vec<Option<i128>> =
            nodes.iter().map(|n| filters.spread.crowd(object(n))).collect();
        roomy(&crowds)
    } else {
        vec![0; nodes.len()]
    };
    let total =
        |i: usize| free[i] + even[i] + 3 * clean[i] + 2 * liked[i] + 2 * near[i] + 2 * spread[i];
    nodes.iter().enumerate().map(|(i, n)| ((*n).clone(), total(i))).collect()
}

fn usage(pod: &PodInfo, cluster: &Cluster, node: &str) -> [(i128, i128); 2] {
    [(0, "cpu"), (1, "memory")].map(|(which, resource)| {
        let used = cluster.weight(node, pod, which) + pod.weight[which];
        (used, cluster.nodes[node].allocatable(resource))
    })
}

/// How much of the node would stay free.
fn least_allocated(pod: &PodInfo, cluster: &Cluster, node: &str) -> i128 {
    let parts = usage(pod, cluster, node)
        .map(|(used, all)| if all <= 0 { 0 } else { (all - used).max(0) * FULL / all });
    (parts[0] + parts[1]) / 2
}

/// How evenly processors and memory would be used.
fn balanced(pod: &PodInfo, cluster: &Cluster, node: &str) -> i128 {
    let [cpu, memory] = usage(pod, cluster, node)
        .map(|(used, all)| if all <= 0 { FULL } else { (used * FULL / all).min(FULL) });
    // The deviation of two values is half their distance.
    FULL - (cpu - memory).abs() / 2
}

/// In proportion to the greatest.
fn share(values: Vec<i128>) -> Vec<i128> {
    let most = values.iter().copied().max().unwrap_or(0);
    values.into_iter().map(|v| if most <= 0 { 0 } else { v * FULL / most }).collect()
}

/// Between the least and the greatest.
fn stretch(values: Vec<i128>) -> Vec<i128> {
    let (least, most) =
        (values.iter().copied().min().unwrap_or(0), values.iter().copied().max().unwrap_or(0));
    let width = most - least;
    values.into_iter().map(|v| if width == 0 { 0 } else { (v - least) * FULL / width }).collect()
}

/// The fewer the better; nothing where it cannot be said.
fn roomy(crowds: &[Option<i128>]) -> Vec<i128> {
    let known = || crowds.iter().flatten().copied();
    let (least, most) = (known().min().unwrap_or(0), known().max().unwrap_or(0));
    let score = |c: &Option<i128>| match c {
        None => 0,
        Some(_) if most == 0 => FULL,
        Some(c) => FULL * (most + least - c) / most,
    };
    crowds.iter().map(score).collect()
}
