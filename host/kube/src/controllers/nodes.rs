//! What a node's spec says as taints, and pods that taints drive away
//! (`pkg/controller/{nodelifecycle,tainteviction}`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use podlab_sim::Time;
use podlab_trace::Verb;
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, start};
use crate::control_plane::Shared;
use crate::events::About;
use crate::scheduler::tolerates;
use crate::store::object::list;
use crate::store::object::map_mut;
use crate::store::watch::Change;
use crate::store::{DeleteOptions, Error, Object, object};

const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Set by hand on a node that is gone for good.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// Pods of a node that does not exist are removed after this (`podgc` quarantineTime).
const QUARANTINE: Duration = Duration::from_secs(40);

/// Starts them.
pub(super) fn start_all(shared: &Arc<Shared>) {
    start(shared, Lifecycle);
    start(shared, Evictions::default());
    start(shared, Collector::default());
}

fn over(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// A node that is not to be used has a taint that says so.
struct Lifecycle;

impl Controller for Lifecycle {
    const NAME: &'static str = "node-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec!["nodes"]
    }

    fn concerns(&mut self, context: &Context, _: &str, change: &Change) -> Vec<Key> {
        let node = &change.object;
        let name = object::name(node);
        if change.verb == Verb::Deleted {
            let text = format!("Node {name} event: Removing Node {name} from Controller");
            context.events.normal(&About::object(node), "RemovingNode", &text);
            return Vec::new();
        }
        if change.previous.is_none() {
            let text = format!("Node {name} event: Registered Node {name} in Controller");
            context.events.normal(&About::object(node), "RegisteredNode", &text);
        }
        vec![(String::new(), name.to_owned())]
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let Some(node) = context.store.get("nodes", "", &key.1) else { return Ok(Next::Change) };
        let wanted = node["spec"]["unschedulable"] == true;
        let is = |t: &Value| t["key"] == UNSCHEDULABLE && t["effect"] == "NoSchedule";
        if list(&node["spec"], "taints").iter().any(is) == wanted {
            return Ok(Next::Change);
        }
        let mut new = Value::clone(&node);
        let spec = map_mut(&mut new["spec"]);
        let taints = spec.entry("taints").or_insert_with(|| json!([]));
        if let Some(taints) = taints.as_array_mut() {
            if wanted {
                let now = object::time(context.shared.sim.unix_nanos());
                taints
                    .push(json!({"key": UNSCHEDULABLE, "effect": "NoSchedule", "timeAdded": now}));
            } else {
                taints.retain(|t| !is(t));
            }
            if taints.is_empty() {
                spec.remove("taints");
            }
        }
        context.store.update("nodes", new)?;
        Ok(Next::Change)
    }
}

/// Pods leave nodes with a NoExecute taint: at once, or when their toleration ends.
#[derive(Default)]
struct Evictions {
    /// Since when a pod (by its uid) has been on its way out.
    since: BTreeMap<String, Time>,
}

impl Controller for Evictions {
    const NAME: &'static str = "taint-eviction-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec!["nodes", "pods"]
    }

    fn concerns(&mut self, context: &Context, kind: &str, change: &Change) -> Vec<Key> {
        let object = &change.object;
        let key = |o: &Value| (object::namespace(o).to_owned(), object::name(o).to_owned());
        if kind == "pods" {
            if change.verb == Verb::Deleted {
                self.since.remove(object::uid(object));
                return Vec::new();
            }
            let same = change.previous.as_ref().is_some_and(|p| p["spec"] == object["spec"]);
            return if same { Vec::new() } else { vec![key(object)] };
        }
        let taints = |o: &Value| o["spec"]["taints"].clone();
        if change.previous.as_ref().is_some_and(|p| taints(p) == taints(object)) {
            return Vec::new();
        }
        let mut pods = context.store.list("pods", None);
        pods.retain(|p| p["spec"]["nodeName"] == object::name(object));
        pods.iter().map(|p| key(p)).collect()
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let Some(pod) = context.store.get("pods", &key.0, &key.1) else { return Ok(Next::Change) };
        let uid = object::uid(&pod);
        let name = pod["spec"]["nodeName"].as_str().unwrap_or("");
        let node = context.store.get("nodes", "", name);
        let Some(wait) = node.filter(|_| !over(&pod)).and_then(|n| patience(&pod, &n)) else {
            if self.since.remove(uid).is_some() && !object::deleting(&pod) {
                let text = format!("Cancelling deletion of Pod {}/{}", key.0, key.1);
                let about = About::object(&pod);
                context.events.normal(&about, "TaintManagerEviction", &text);
            }
            return Ok(Next::Change);
        };
        if object::deleting(&pod) {
            return Ok(Next::Change);
        }
        let now = context.shared.sim.now();
        let since = *self.since.entry(uid.to_owned()).or_insert(now);
        let at = since + wait;
        if at > now {
            return Ok(Next::After(at.since(now)));
        }
        let text = format!("Marking for deletion Pod {}/{}", key.0, key.1);
        context.events.normal(&About::object(&pod), "TaintManagerEviction", &text);
        let pod = condition(
            context,
            &pod,
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
        )?;
        let options =
            DeleteOptions { uid: Some(object::uid(&pod).into()), ..DeleteOptions::default() };
        match context.store.delete("pods", &key.0, &key.1, &options) {
            Err(e) if e.code != 404 => Err(e),
            _ => Ok(Next::Change),
        }
    }
}

/// How long a pod stays on a node in spite of its NoExecute taints; `None` is for ever.
fn patience(pod: &Value, node: &Value) -> Option<Duration> {
    let taints = list(&node["spec"], "taints").iter().filter(|t| t["effect"] == "NoExecute");
    let mut least = None::<u64>;
    for taint in taints {
        let mut fitting =
            list(&pod["spec"], "tolerations").iter().filter(|t| tolerates(t, taint)).peekable();
        if fitting.peek().is_none() {
            return Some(Duration::ZERO);
        }
        for toleration in fitting {
            if let Some(seconds) = toleration["tolerationSeconds"].as_i64() {
                let seconds = u64::try_from(seconds).unwrap_or(0);
                least = Some(least.map_or(seconds, |l| l.min(seconds)));
            }
        }
    }
    least.map(Duration::from_secs)
}

/// Says in the pod's status who ends it and why.
fn condition(
    context: &Context,
    pod: &Object,
    reason: &str,
    message: &str,
) -> Result<Object, Error> {
    let mut new = Value::clone(pod);
    let now = object::time(context.shared.sim.unix_nanos());
    let status = map_mut(map_mut(&mut new).entry("status").or_insert(Value::Null));
    let all = status.entry("conditions").or_insert_with(|| json!([]));
    if let Some(all) = all.as_array_mut() {
        all.retain(|c| c["type"] != "DisruptionTarget");
        all.push(json!({"type": "DisruptionTarget", "status": "True", "reason": reason,
            "message": message, "lastProbeTime": null, "lastTransitionTime": now}));
    }
    context.store.update_status("pods", new)
}

/// Removes pods whose node does not exist any more or is out of service (`pkg/controller/podgc`).
#[derive(Default)]
struct Collector {
    /// Since when a node has been missing.
    missing: BTreeMap<String, Time>,
}

impl Controller for Collector {
    const NAME: &'static str = "pod-garbage-collector";

    fn kinds(&self) -> Vec<&'static str> {
        vec!["nodes", "pods"]
    }

    fn concerns(&mut self, context: &Context, kind: &str, change: &Change) -> Vec<Key> {
        let object = &change.object;
        let name = if kind == "nodes" {
            object::name(object)
        } else {
            object["spec"]["nodeName"].as_str().unwrap_or("")
        };
        let node = context.store.get("nodes", "", name);
        if node.as_ref().is_some_and(|n| !out_of_service(n)) {
            self.missing.remove(name);
            return Vec::new();
        }
        if name.is_empty() { Vec::new() } else { vec![(String::new(), name.to_owned())] }
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let node = context.store.get("nodes", "", &key.1);
        let mut pods = context.store.list("pods", None);
        pods.retain(|p| p["spec"]["nodeName"] == key.1);
        let (reason, message) = match &node {
            Some(node) if !out_of_service(node) => {
                self.missing.remove(&key.1);
                return Ok(Next::Change);
            }
            Some(_) => {
                pods.retain(|p| object::deleting(p));
                ("DeletionByPodGC", "PodGC: node has out-of-service taint")
            }
            None => {
                let now = context.shared.sim.now();
                let at = *self.missing.entry(key.1.clone()).or_insert(now) + QUARANTINE;
                if at > now {
                    return Ok(Next::After(at.since(now)));
                }
                ("DeletionByPodGC", "PodGC: node no longer exists")
            }
        };
        for pod in pods {
            let mut pod = condition(context, &pod, reason, message)?;
            if !over(&pod) {
                let mut failed = Value::clone(&pod);
                failed["status"]["phase"] = "Failed".into();
                pod = context.store.update_status("pods", failed)?;
            }
            let options = DeleteOptions {
                grace_period_seconds: Some(0),
                uid: Some(object::uid(&pod).into()),
                ..DeleteOptions::default()
            };
            let (namespace, name) = (object::namespace(&pod), object::name(&pod));
            match context.store.delete("pods", namespace, name, &options) {
                Err(e) if e.code != 404 => return Err(e),
                _ => {}
            }
        }
        Ok(Next::Change)
    }
}

/// Whether a node that does not report was given up by hand.
fn out_of_service(node: &Value) -> bool {
    !object::holds(node, "Ready")
        && list(&node["spec"], "taints").iter().any(|t| t["key"] == OUT_OF_SERVICE)
}
