//! Which nodes take a set's pod (`daemon_controller.go`, `util/daemonset_util.go`).

use serde_json::{Value, json};

use crate::scheduler::{node_selected, tolerates};
use crate::store::object;
use crate::store::object::list;
use crate::store::object::map_mut;

/// What becomes of a set's pod on a node.
pub(super) struct Takes {
    /// One that is missing is created.
    pub start: bool,
    /// One that is there may stay.
    pub keep: bool,
}

/// What daemons put up with: they are there to look after nodes in trouble.
pub(super) fn tolerate(pod: &mut Value) {
    let host = pod["spec"]["hostNetwork"] == true;
    let of = |key: &str, effect: &str| json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": effect});
    let mut all = vec![
        of("not-ready", "NoExecute"),
        of("unreachable", "NoExecute"),
        of("disk-pressure", "NoSchedule"),
        of("memory-pressure", "NoSchedule"),
        of("pid-pressure", "NoSchedule"),
        of("unschedulable", "NoSchedule"),
    ];
    if host {
        all.push(of("network-unavailable", "NoSchedule"));
    }
    let spec = map_mut(&mut pod["spec"]);
    let given = spec.entry("tolerations").or_insert_with(|| json!([]));
    if let Some(given) = given.as_array_mut() {
        for new in all {
            let same = |t: &&mut Value| {
                ["key", "effect", "operator", "value"].iter().all(|f| t[*f] == new[*f])
            };
            match given.iter_mut().find(same) {
                Some(old) => *old = new,
                None => given.push(new),
            }
        }
    }
}

/// Lets the scheduler put a pod on this node only, whatever node names it asked for.
pub(super) fn bind(pod: &mut Value, node: &str) {
    let only = json!([{"key": "metadata.name", "operator": "In", "values": [node]}]);
    let spec = map_mut(&mut pod["spec"]);
    let affinity = map_mut(spec.entry("affinity").or_insert(Value::Null));
    let affinity = map_mut(affinity.entry("nodeAffinity").or_insert(Value::Null));
    let required = map_mut(
        affinity.entry("requiredDuringSchedulingIgnoredDuringExecution").or_insert(Value::Null),
    );
    // The node was chosen by the expressions already.
    required.insert("nodeSelectorTerms".into(), json!([{"matchFields": only}]));
}

/// The node that a pod is on or was made for.
pub(super) fn of_pod(pod: &Value) -> &str {
    if let Some(name) = pod["spec"]["nodeName"].as_str().filter(|n| !n.is_empty()) {
        return name;
    }
    let required =
        &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    list(required, "nodeSelectorTerms")
        .iter()
        .flat_map(|t| list(t, "matchFields"))
        .find(|f| f["key"] == "metadata.name" && f["operator"] == "In")
        .and_then(|f| f["values"][0].as_str())
        .unwrap_or("")
}

/// What a node says to a set's pod (`NodeShouldRunDaemonPod`).
pub(super) fn takes(set: &Value, node: &Value) -> Takes {
    let mut pod = json!({"spec": set["spec"]["template"]["spec"]});
    tolerate(&mut pod);
    let named = pod["spec"]["nodeName"].as_str().filter(|n| !n.is_empty());
    if named.is_some_and(|n| n != object::name(node)) || !node_selected(&pod, node) {
        return Takes { start: false, keep: false };
    }
    let mut taints = list(&node["spec"], "taints").to_vec();
    if node["spec"]["unschedulable"] == true {
        taints.push(json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}));
    }
    let refuses = |effects: &[&str]| {
        taints.iter().any(|taint| {
            effects.iter().any(|e| taint["effect"] == *e)
                && !list(&pod["spec"], "tolerations").iter().any(|t| tolerates(t, taint))
        })
    };
    Takes { start: !refuses(&["NoSchedule", "NoExecute"]), keep: !refuses(&["NoExecute"]) }
}
