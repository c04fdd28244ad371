//! Which pods of a set go first (`ActivePodsWithRanks` in `pkg/controller/controller_utils.go`).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value;

use super::pods::{int, phase, ready_since};
use crate::store::object::list;
use crate::store::{Object, object};

/// Sorts pods so that those that go first come first. `related` are all active pods of the same
/// workload: of pods on one node, one goes before those that are alone on theirs.
pub(super) fn sort(pods: &mut [Object], related: &[Object], now: u64) {
    let mut on_node: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in related {
        *on_node.entry(node(pod)).or_default() += 1;
    }
    pods.sort_by(|a, b| {
        let doubled = |p: &Value| on_node.get(node(p)).copied().unwrap_or(0);
        compare(a, b, doubled(a), doubled(b), now)
    });
}

fn node(pod: &Value) -> &str {
    pod["spec"]["nodeName"].as_str().unwrap_or("")
}

fn cost(pod: &Value) -> i64 {
    let text =
        pod["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"].as_str();
    // What is no 32-bit number counts as 0.
    text.and_then(|t| t.parse::<i32>().ok()).map_or(0, i64::from)
}

/// The most restarts of a container, and of a sidecar.
fn restarts(pod: &Value) -> (i64, i64) {
    let most = |field: &str| {
        list(&pod["status"], field).iter().map(|c| int(&c["restartCount"])).max().unwrap_or(0)
    };
    let sidecars: Vec<&Value> = list(&pod["spec"], "initContainers")
        .iter()
        .filter(|c| c["restartPolicy"] == "Always")
        .map(|c| &c["name"])
        .collect();
    let sidecar = list(&pod["status"], "initContainerStatuses")
        .iter()
        .filter(|c| sidecars.contains(&&c["name"]))
        .map(|c| int(&c["restartCount"]))
        .max();
    (most("containerStatuses"), sidecar.unwrap_or(0))
}

/// Ages are compared by the power of two they are in, and at random within one; an object's uid
/// is as random as anything.
fn younger_first(a: u64, b: u64, pods: [&Value; 2], now: u64) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let bucket = |t: u64| now.checked_sub(t).and_then(u64::checked_ilog2).map_or(-1, i64::from);
    let uid = |i: usize| object::uid(pods[i]);
    bucket(a).cmp(&bucket(b)).then_with(|| uid(0).cmp(uid(1)))
}

fn compare(a: &Value, b: &Value, doubled_a: usize, doubled_b: usize, now: u64) -> Ordering {
    let stage = |p: &Value| match phase(p) {
        "Pending" => 0,
        "Running" => 2,
        _ => 1,
    };
    let born =
        |p: &Value| object::parse_time(object::meta(p, "creationTimestamp")).unwrap_or(u64::MAX);
    let (ready_a, ready_b) = (ready_since(a), ready_since(b));
    let by_ready = match (ready_a, ready_b) {
        (Some(x), Some(y)) => younger_first(x, y, [a, b], now),
        _ => Ordering::Equal,
    };
    let ((main_a, side_a), (main_b, side_b)) = (restarts(a), restarts(b));
    (!node(a).is_empty())
        .cmp(&!node(b).is_empty())
        .then(stage(a).cmp(&stage(b)))
        .then(ready_a.is_some().cmp(&ready_b.is_some()))
        .then(cost(a).cmp(&cost(b)))
        .then(doubled_b.cmp(&doubled_a))
        .then(by_ready)
        .then(main_b.cmp(&main_a))
        .then(side_b.cmp(&side_a))
        .then(younger_first(born(a), born(b), [a, b], now))
        .then_with(|| object::uid(a).cmp(object::uid(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, spec: Value, ready: Option<&str>, more: Value) -> Object {
        let mut conditions = Vec::new();
        if let Some(at) = ready {
            conditions.push(json!({"type": "Ready", "status": "True", "lastTransitionTime": at}));
        }
        let mut out = json!({
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-11-21T04:00:00Z"},
            "spec": spec, "status": {"phase": "Running", "conditions": conditions},
        });
        for (key, value) in more.as_object().unwrap() {
            *out.pointer_mut(key).unwrap() = value.clone();
        }
        Object::new(out)
    }

    #[test]
    fn what_is_worth_least_goes_first() {
        let now = object::parse_time("2026-11-21T05:00:00Z").unwrap();
        let on = |n: &str| json!({"nodeName": n});
        let (old, new) = ("2026-11-21T04:00:00Z", "2026-11-21T04:59:30Z");
        let meta = |name: &str, cost: &str| {
            json!({"name": name, "uid": name, "creationTimestamp": "2026-11-21T04:00:00Z",
                "annotations": {"controller.kubernetes.io/pod-deletion-cost": cost}})
        };
        let all = [
            pod("1-unassigned", json!({}), None, json!({"/status/phase": "Pending"})),
            pod("2-pending", on("a"), None, json!({"/status/phase": "Pending"})),
            pod("3-unready", on("a"), None, json!({})),
            pod("4-cheap", on("b"), Some(old), json!({"/metadata": meta("4-cheap", "-5")})),
            pod("5-doubled", on("c"), Some(old), json!({})),
            pod("6-doubled-too", on("c"), Some(old), json!({})),
            pod("7-young", on("d"), Some(new), json!({})),
            pod("8-old", on("e"), Some(old), json!({})),
            pod("9-dear", on("c"), Some(new), json!({"/metadata": meta("9-dear", "5")})),
        ];
        let mut pods = all.to_vec();
        pods.reverse();
        sort(&mut pods, &all, now);
        let names: Vec<&str> = pods.iter().map(|p| object::name(p)).collect();
        let want: Vec<&str> = all.iter().map(|p| object::name(p)).collect();
        assert_eq!(names, want);
    }
}
