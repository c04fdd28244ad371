//! A cluster for tests: real network, files, store and control plane on virtual time, and
//! scripts as programs.

use std::sync::Arc;
use std::time::Duration;

use podlab_kube::control_plane::{self, ControlPlane, Delays, NodeSpec};
use podlab_kube::store::{DeleteOptions, Store};
use podlab_net::{Net, NetOptions};
use podlab_sim::{Rng, Sim, Stop, Time};
use podlab_trace::Trace;
use serde_json::{Value, json};

use crate::program::Programs;

/// 2026-11-21T04:59:38Z.
const EPOCH: u64 = 1_795_237_178_000_000_000;

pub struct Cluster {
    pub sim: Sim,
    pub trace: Trace,
    pub store: Store,
    pub control: ControlPlane,
    pub programs: Arc<Programs>,
}

impl Cluster {
    pub fn new() -> Cluster {
        Cluster::with(7, 3, Delays { pull: Duration::ZERO, ..Delays::default() })
    }

    pub fn with(seed: u64, nodes: usize, delays: Delays) -> Cluster {
        let sim = Sim::new(seed, EPOCH);
        let trace = Trace::default();
        let net = Net::new(&sim.handle(), &trace, NetOptions::default());
        let store = Store::new(&sim.handle(), &trace);
        let programs = Arc::new(Programs::new(&sim.handle()));
        let control = ControlPlane::start(control_plane::Cluster {
            sim: sim.handle(),
            trace: trace.clone(),
            net,
            store: store.clone(),
            runtime: programs.clone(),
            nodes: (1..=nodes)
                .map(|n| NodeSpec {
                    name: format!("node-{n}"),
                    cores: 4,
                    memory: 8 << 30,
                    pods: 110,
                })
                .collect(),
            delays,
        });
        Cluster { sim, trace, store, control, programs }
    }

    /// Lets the world run until `seconds` after its beginning.
    pub fn until(&mut self, seconds: f64) {
        let at = Time::ZERO + Duration::from_secs_f64(seconds);
        let stop = self.sim.run_until(at, u64::MAX);
        assert!(matches!(stop, Stop::Reached | Stop::Idle), "{stop:?}");
    }

    pub fn create(&self, resource: &str, object: Value) {
        self.store.create(resource, object).unwrap_or_else(|e| panic!("{resource}: {}", e.message));
    }

    /// Creates a pod in `default`; `spec` is without what all pods of tests share.
    pub fn pod(&self, name: &str, mut spec: Value) {
        for field in ["containers", "initContainers"] {
            for c in spec[field].as_array_mut().into_iter().flatten() {
                if c["image"].is_null() {
                    c["image"] = "script:v1".into();
                }
            }
        }
        if spec["initContainers"].is_null() {
            spec.as_object_mut().unwrap().remove("initContainers");
        }
        let labels = json!({"app": name});
        let metadata = json!({"name": name, "namespace": "default", "labels": labels});
        self.create("pods", json!({"metadata": metadata, "spec": spec}));
    }

    pub fn get(&self, name: &str) -> Option<Arc<Value>> {
        self.store.get("pods", "default", name)
    }

    pub fn status(&self, name: &str) -> Value {
        self.get(name).unwrap_or_else(|| panic!("no pod {name}"))["status"].clone()
    }

    pub fn delete(&self, name: &str, grace: Option<i64>) {
        let options = DeleteOptions { grace_period_seconds: grace, ..DeleteOptions::default() };
        self.store.delete("pods", "default", name, &options).unwrap();
    }

    /// A condition of a pod: its status and reason.
    pub fn condition(&self, pod: &str, kind: &str) -> String {
        let status = self.status(pod);
        let all = status["conditions"].as_array().cloned().unwrap_or_default();
        let Some(found) = all.iter().find(|c| c["type"] == kind) else { return "(none)".into() };
        let words = ["status", "reason", "message"].map(|f| found[f].as_str().unwrap_or(""));
        words.join(" ").trim_end().to_owned()
    }

    /// The phase, and of each container in order: its state, readiness and restarts.
    pub fn summary(&self, pod: &str) -> String {
        let status = self.status(pod);
        let mut out = status["phase"].as_str().unwrap_or("").to_owned();
        for list in ["initContainerStatuses", "containerStatuses"] {
            for c in status[list].as_array().into_iter().flatten() {
                let (kind, state) = c["state"].as_object().unwrap().iter().next().unwrap();
                let mut what = kind.clone();
                if let Some(reason) = state["reason"].as_str() {
                    what = reason.to_owned();
                }
                if let Some(code) = state["exitCode"].as_i64() {
                    what += &format!("({code})");
                }
                let ready = if c["ready"] == true { "ready" } else { "unready" };
                out += &format!(
                    " | {} {what} {ready} {}",
                    c["name"].as_str().unwrap(),
                    c["restartCount"]
                );
            }
        }
        out
    }

    /// What the events about a pod say, oldest first, with their counts.
    pub fn events(&self, pod: &str) -> Vec<String> {
        let mut all = self.store.list("events", Some("default"));
        all.retain(|e| e["involvedObject"]["name"] == pod);
        all.sort_by_key(|e| {
            e["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap()
        });
        all.iter()
            .map(|e| {
                let count = match e["count"].as_u64() {
                    Some(n) if n > 1 => format!(" (x{n})"),
                    _ => String::new(),
                };
                let word = |f: &str| e[f].as_str().unwrap_or("");
                format!("{} {}{count}: {}", word("type"), word("reason"), word("message"))
            })
            .collect()
    }

    /// What a container said in its current run.
    pub fn log(&self, pod: &str, container: &str) -> Vec<String> {
        let part = self.control.logs().read("default", pod, container, false, 0);
        let lines = part.map(|p| p.lines).unwrap_or_default();
        lines.iter().map(|l| String::from_utf8_lossy(&l.text).into_owned()).collect()
    }
}

/// How long things take in a world of a property test.
pub fn delays(rng: &mut Rng) -> Delays {
    let mut up_to = |ms: u64| Duration::from_millis(rng.below(ms));
    Delays {
        pull: up_to(3000),
        sandbox: up_to(500),
        start: up_to(300),
        proxy: up_to(1000),
        ..Delays::default()
    }
}

/// A container that runs this script.
pub fn container(name: &str, script: &str) -> Value {
    let args: Vec<&str> = script.split_whitespace().collect();
    json!({"name": name, "image": "script:v1", "args": args})
}

/// `base` with the fields of `more`.
pub fn with(mut base: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}
