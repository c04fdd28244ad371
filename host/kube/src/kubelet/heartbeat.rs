//! How the cluster knows that a node lives: its lease, and what happens when that is not renewed
//! (`pkg/kubelet/nodelease`, `pkg/controller/nodelifecycle`).

use std::sync::Arc;
use std::time::Duration;

use podlab_sim::Time;
use serde_json::{Value, json};

use super::node::{LEASE, NodeCell, conditions};
use crate::control_plane::Shared;
use crate::events::About;
use crate::store::{Object, object};

const LEASES: &str = "leases.coordination.k8s.io";
const NAMESPACE: &str = "kube-node-lease";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// How long after its last sign a node counts as lost (`--node-monitor-grace-period`, 50 s since
/// 1.32).
const LOST: Duration = Duration::from_secs(50);

/// Renews the node's lease for as long as it is up.
pub(crate) fn start(shared: &Arc<Shared>, node: &Arc<NodeCell>) {
    let (shared, node) = (shared.clone(), node.clone());
    shared.clone().sim.spawn(async move {
        let store = shared.store.acting_at(node.place).acting_as("kubelet");
        loop {
            let up = || node.lock().up.then_some(());
            node.changed.until(up).await;
            let renewed = object::micro_time(shared.sim.unix_nanos());
            let name = node.spec.name.as_str();
            let spec =
                json!({"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": renewed});
            match store.get(LEASES, NAMESPACE, name) {
                Some(old) => {
                    let mut new = Value::clone(&old);
                    new["spec"] = spec;
                    // Nobody else writes it between reading and writing.
                    let _ = store.update(LEASES, new);
                }
                None => {
                    let meta = json!({"name": name, "namespace": NAMESPACE});
                    let _ = store.create(LEASES, json!({"metadata": meta, "spec": spec}));
                }
            }
            shared.sim.sleep(LEASE).await;
        }
    });
}

/// The node was lost at this instant: what the node lifecycle controller does about it, unless
/// it comes back. Pods are driven away by the taint; see the taint eviction controller.
pub(crate) fn lost(shared: &Arc<Shared>, node: &Arc<NodeCell>) {
    let boots = node.lock().boots;
    let (shared, node) = (shared.clone(), node.clone());
    shared.clone().sim.spawn(async move {
        let dead = || {
            let state = node.lock();
            !state.up && state.boots == boots
        };
        // Its last sign was the lease it renewed last.
        let last = last_sign(&shared, &node);
        shared.sim.sleep_until(last + LOST).await;
        if !dead() {
            return;
        }
        mark(&shared, &node, false);
        let about = About { uid: node.spec.name.clone(), ..about(&shared, &node) };
        let events = shared.events.of("node-controller", "");
        let text = format!("Node {} status is now: NodeNotReady", node.spec.name);
        events.normal(&about, "NodeNotReady", &text);
        for pod in pods_on(&shared, &node) {
            unready(&shared, &pod);
        }
    });
}

/// The node reports again.
pub(crate) fn back(shared: &Shared, node: &NodeCell) {
    mark(shared, node, true);
    let events = shared.events.of("kubelet", &node.spec.name).at(node.place);
    let boots = node.lock().boots;
    let about = About { uid: node.spec.name.clone(), ..about(shared, node) };
    let name = &node.spec.name;
    let text = format!("Node {name} has been rebooted, boot id: {name}-{boots}");
    events.warning(&about, "Rebooted", &text);
    events.normal(&about, "NodeReady", &format!("Node {name} status is now: NodeReady"));
}

fn about(shared: &Shared, node: &NodeCell) -> About {
    let object = shared.store.get("nodes", "", &node.spec.name);
    let mut about = About::object(object.as_deref().unwrap_or(&Value::Null));
    about.name.clone_from(&node.spec.name);
    about.kind = "Node".into();
    about
}

fn last_sign(shared: &Shared, node: &NodeCell) -> Time {
    let lease = shared.store.get(LEASES, NAMESPACE, &node.spec.name);
    let renewed = lease.and_then(|l| object::parse_time(l["spec"]["renewTime"].as_str()?));
    let epoch = shared.sim.unix_nanos() - shared.sim.now().as_nanos();
    renewed.map_or(shared.sim.now(), |ns| Time(ns.saturating_sub(epoch)))
}

/// Reports the node as ready, or as not heard of.
fn mark(shared: &Shared, node: &NodeCell, ready: bool) {
    let store = &shared.store;
    let Some(old) = store.get("nodes", "", &node.spec.name) else { return };
    let now = object::time(shared.sim.unix_nanos());
    let mut new = Value::clone(&old);
    if let Some(spec) = new["spec"].as_object_mut() {
        let taints = spec.entry("taints").or_insert_with(|| json!([]));
        if let Some(taints) = taints.as_array_mut() {
            taints.retain(|t| t["key"] != UNREACHABLE);
            if !ready {
                for effect in ["NoSchedule", "NoExecute"] {
                    taints.push(json!({"key": UNREACHABLE, "effect": effect, "timeAdded": now}));
                }
            }
            if taints.is_empty() {
                spec.remove("taints");
            }
        }
    }
    // Nothing runs in between, so neither write can be outdated.
    let _ = store.update("nodes", new);
    let Some(old) = store.get("nodes", "", &node.spec.name) else { return };
    let mut new = Value::clone(&old);
    new["status"]["conditions"] = conditions(ready, &now, &now);
    if ready {
        let boot = format!("{}-{}", node.spec.name, node.lock().boots);
        new["status"]["nodeInfo"]["bootID"] = boot.into();
    }
    let _ = store.update_status("nodes", new);
}

fn pods_on(shared: &Shared, node: &NodeCell) -> Vec<Object> {
    let mut pods = shared.store.list("pods", None);
    pods.retain(|p| p["spec"]["nodeName"] == *node.spec.name && !object::deleting(p));
    pods
}

/// A pod on a lost node does not answer: its Ready condition says so.
fn unready(shared: &Shared, pod: &Object) {
    let mut new = Value::clone(pod);
    let now = object::time(shared.sim.unix_nanos());
    for c in new["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if c["type"] == "Ready" && c["status"] == "True" {
            c["status"] = "False".into();
            c["lastTransitionTime"] = now.as_str().into();
        }
    }
    let _ = shared.store.update_status("pods", new);
}
