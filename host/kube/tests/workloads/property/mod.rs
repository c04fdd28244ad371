//! Workloads while containers are killed, pods are deleted, nodes go, writes are in conflict and
//! everything takes another time: 200 worlds for each kind.

mod daemon_sets;
mod deployments;
mod stateful_sets;

use podlab_sim::Rng;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::world::{DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, name};

/// How many worlds there are of each kind.
const SEEDS: u64 = 200;
/// While nothing bad happens any more, worlds are looked at this often, in seconds.
const PACE: f64 = 5.0;
/// By then everything is well again: a container that was killed often waits up to five minutes,
/// and a pod of a node that came back for the next try.
const PATIENCE: f64 = 1500.0;

fn is_ready(p: &Value) -> bool {
    let all = p["status"]["conditions"].as_array();
    p["metadata"]["deletionTimestamp"].is_null()
        && all.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

fn is_over(p: &Value) -> bool {
    matches!(p["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn say(o: &mut Value, text: u64) {
    o["spec"]["template"]["spec"]["containers"][0]["args"] =
        json!(["say", text.to_string(), "stay"]);
}

/// Every owner that is named exists.
fn no_orphans(c: &Cluster, seed: u64) {
    for kind in ["pods", REPLICA_SETS] {
        for o in c.store.list(kind, Some("default")) {
            let owner = &o["metadata"]["ownerReferences"][0];
            let resource = match owner["kind"].as_str() {
                Some("ReplicaSet") => REPLICA_SETS,
                Some("StatefulSet") => STATEFUL_SETS,
                Some("DaemonSet") => DAEMON_SETS,
                Some("Deployment") => DEPLOYMENTS,
                other => panic!("seed {seed}: {} belongs to {other:?}", name(&o)),
            };
            let found = c.store.get(resource, "default", owner["name"].as_str().unwrap());
            let found = found.unwrap_or_else(|| panic!("seed {seed}: {} has no owner", name(&o)));
            assert_eq!(found["metadata"]["uid"], owner["uid"], "seed {seed}");
        }
    }
}

/// What goes wrong in a world.
struct Trouble {
    /// The node that is down.
    down: Option<String>,
    /// Whether pods may be deleted without grace: that alone lets two of one name run.
    by_force: bool,
}

impl Trouble {
    fn new(by_force: bool) -> Trouble {
        Trouble { down: None, by_force }
    }

    /// Something bad happens to a pod or a node, or nothing.
    fn strike(&mut self, c: &Cluster, rng: &mut Rng, app: &str) {
        let pods = c.living(app);
        let victim = (!pods.is_empty()).then(|| name(&pods[rng.below(pods.len() as u64) as usize]));
        match (rng.below(20), victim) {
            (0 | 1, Some(pod)) => {
                // A program that does not run yet cannot be killed.
                let _ = c.control.kill("default", &pod, "c");
            }
            (2, Some(pod)) => {
                let forced = self.by_force && rng.below(2) == 0;
                c.delete(&pod, forced.then_some(0));
            }
            (3, _) if self.down.is_none() => {
                let node = format!("node-{}", 1 + rng.below(3));
                c.control.node_down(&node).unwrap();
                self.down = Some(node);
            }
            (4 | 5, _) => self.end(c),
            _ => {}
        }
    }

    fn end(&mut self, c: &Cluster) {
        if let Some(node) = self.down.take() {
            c.control.node_up(&node).unwrap();
        }
    }
}

/// Whether these fields of an object's status have this value.
fn says(o: &Value, fields: &[&str], value: i64) -> bool {
    fields.iter().all(|f| o["status"][*f] == value)
}
