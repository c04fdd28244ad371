//! What programs use, as the kubelets have last measured it. Beside the objects and without
//! versions: measuring changes nothing in the world.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What one container or node used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Billionths of a core, on the average of the window.
    pub nanocores: u64,
    /// Bytes.
    pub memory: u64,
}

/// A measurement of a pod or a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When, in ns since 1970.
    pub at: u64,
    /// Over which time, in ns.
    pub window: u64,
    /// By container; a node has the one "".
    pub usage: BTreeMap<String, Usage>,
}

/// The last measurements of all pods and nodes. Cheap to clone.
#[derive(Clone, Default)]
pub struct Measured(Arc<Mutex<Tables>>);

#[derive(Default)]
struct Tables {
    pods: BTreeMap<(String, String), Sample>,
    nodes: BTreeMap<String, Sample>,
}

impl Measured {
    /// Replaces all measurements.
    pub fn set(&self, pods: BTreeMap<(String, String), Sample>, nodes: BTreeMap<String, Sample>) {
        *self.0.lock().expect("nothing panics while it holds the figures") = Tables { pods, nodes };
    }

    /// A pod's, by namespace and name.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<Sample> {
        let tables = self.0.lock().expect("nothing panics while it holds the figures");
        tables.pods.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// A node's.
    pub fn node(&self, name: &str) -> Option<Sample> {
        let tables = self.0.lock().expect("nothing panics while it holds the figures");
        tables.nodes.get(name).cloned()
    }
}
