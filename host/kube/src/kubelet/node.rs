//! A node: what it has, who is on it, and how it registers.

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use podlab_net::{NamespaceSpec, Net, Stack};
use podlab_sim::Handle;
use podlab_sim::sync::Signal;
use podlab_trace::{PlaceId, Trace};
use serde_json::{Value, json};

use crate::control_plane::NodeSpec;
use crate::store::watch::Change;
use crate::store::{Store, object};

/// The version that this kubelet reports.
pub(crate) const VERSION: &str = "v1.32.13";
/// How often a kubelet renews its lease.
pub(crate) const LEASE: std::time::Duration = std::time::Duration::from_secs(10);

/// A node and its kubelet's state.
pub(crate) struct NodeCell {
    pub(crate) spec: NodeSpec,
    pub(crate) ip: Ipv4Addr,
    /// What the node itself does (its kubelet, probes).
    pub(crate) place: PlaceId,
    pub(crate) stack: Stack,
    /// The first address of its pods, and how many there are.
    cidr: (u32, u32),
    state: Mutex<NodeState>,
    pub(crate) changed: Signal,
}

pub(crate) struct NodeState {
    pub(crate) up: bool,
    pub(crate) boots: u32,
    pub(crate) images: BTreeSet<String>,
    pub(crate) inbox: VecDeque<Arc<Change>>,
    used: BTreeSet<u32>,
    last: u32,
}

impl NodeCell {
    /// Makes the node, its addresses and its object. `wide` gives nodes more pod addresses.
    pub(crate) fn new(
        sim: &Handle,
        trace: &Trace,
        net: &Net,
        store: &Store,
        spec: NodeSpec,
        index: usize,
        wide: bool,
    ) -> NodeCell {
        let number = u32::try_from(index).expect("nodes are few") + 1;
        let now = sim.now().as_nanos();
        let whole = trace.place(now, &spec.name, "", "", "");
        let place = trace.place(now, &spec.name, "", "", "kubelet");
        net.add_node(&spec.name, whole);
        let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(172, 18, 0, 1)) + number);
        // As kind's clusters: 10.244.N.0/24. Nodes of many pods get a /20 each, elsewhere.
        let (base, size) = if wide {
            assert!(number < 2048, "there are addresses for 2047 nodes");
            (u32::from(Ipv4Addr::new(10, 128, 0, 0)) + (number << 12), 1 << 12)
        } else {
            (u32::from(Ipv4Addr::new(10, 244, 0, 0)) + (number << 8), 1 << 8)
        };
        let namespace = net.namespace(NamespaceSpec {
            name: format!("node/{}", spec.name),
            node: spec.name.clone(),
            place: whole,
            ipv4: ip,
            ipv6: None,
            hostname: spec.name.clone(),
            search: Vec::new(),
            external: false,
        });
        let stack = namespace.stack(place);
        let state = NodeState {
            up: true,
            boots: 1,
            images: BTreeSet::new(),
            inbox: VecDeque::new(),
            used: BTreeSet::new(),
            last: size - 2,
        };
        let cell = NodeCell {
            spec,
            ip,
            place,
            stack,
            cidr: (base, size),
            state: Mutex::new(state),
            changed: Signal::new(),
        };
        cell.register(sim, &store.acting_at(place).acting_as("kubelet"));
        cell
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, NodeState> {
        self.state.lock().expect("node lock")
    }

    /// An address for a pod, the next one after the last (as the host-local plugin does).
    pub(crate) fn take_address(&self) -> Option<Ipv4Addr> {
        let mut state = self.lock();
        let (base, size) = self.cidr;
        // .0 is the network, .1 the bridge, the last one broadcast.
        let count = size - 3;
        let number = (1..=count)
            .map(|step| 2 + (state.last - 2 + step) % count)
            .find(|n| !state.used.contains(n))?;
        state.used.insert(number);
        state.last = number;
        Some(Ipv4Addr::from(base + number))
    }

    pub(crate) fn give_back(&self, address: Ipv4Addr) {
        let number = u32::from(address).wrapping_sub(self.cidr.0);
        self.lock().used.remove(&number);
    }

    fn cidr(&self) -> String {
        let bits = 32 - self.cidr.1.trailing_zeros();
        format!("{}/{bits}", Ipv4Addr::from(self.cidr.0))
    }

    fn register(&self, sim: &Handle, store: &Store) {
        let name = &self.spec.name;
        let now = object::time(sim.unix_nanos());
        let capacity = json!({
            "cpu": self.spec.cores.to_string(),
            "memory": format!("{}Ki", self.spec.memory >> 10),
            "pods": self.spec.pods.to_string(),
            "ephemeral-storage": "104857600Ki",
        });
        let node = json!({
            "metadata": {
                "name": name,
                "labels": {
                    "kubernetes.io/hostname": name,
                    "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": "wasm32",
                    "beta.kubernetes.io/os": "linux",
                    "beta.kubernetes.io/arch": "wasm32",
                },
                "annotations": {"node.alpha.kubernetes.io/ttl": "0"},
            },
            "spec": {"podCIDR": self.cidr(), "podCIDRs": [self.cidr()]},
            "status": {
                "capacity": capacity,
                "allocatable": capacity,
                "addresses": [
                    {"type": "InternalIP", "address": self.ip.to_string()},
                    {"type": "Hostname", "address": name},
                ],
                "conditions": conditions(true, &now, &now),
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
                "nodeInfo": {
                    "architecture": "wasm32",
                    "bootID": format!("{name}-1"),
                    "containerRuntimeVersion": concat!("podlab://", env!("CARGO_PKG_VERSION")),
                    "kernelVersion": "podlab",
                    "kubeProxyVersion": VERSION,
                    "kubeletVersion": VERSION,
                    "machineID": name,
                    "operatingSystem": "linux",
                    "osImage": "Podlab",
                    "systemUUID": name,
                },
            },
        });
        store.create("nodes", node).expect("the store has no node of this name yet");
    }
}

/// A node's conditions; `beat` is when the kubelet reported, `since` when they changed.
pub(crate) fn conditions(ready: bool, beat: &str, since: &str) -> Value {
    let fine = [
        ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ];
    let mut out: Vec<Value> = fine
        .iter()
        .map(|(kind, reason, message)| {
            if ready {
                json!({"type": kind, "status": "False", "reason": reason, "message": message,
                    "lastHeartbeatTime": beat, "lastTransitionTime": since})
            } else {
                unknown(kind, beat, since)
            }
        })
        .collect();
    out.push(if ready {
        json!({"type": "Ready", "status": "True", "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
            "lastHeartbeatTime": beat, "lastTransitionTime": since})
    } else {
        unknown("Ready", beat, since)
    });
    out.into()
}

fn unknown(kind: &str, beat: &str, since: &str) -> Value {
    json!({"type": kind, "status": "Unknown", "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status.",
        "lastHeartbeatTime": beat, "lastTransitionTime": since})
}
