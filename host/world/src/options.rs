//! What a world is made with. Options are part of a recording.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// 2026-01-01T00:00:00Z in ns since 1970: when a test's world begins, unless it says otherwise.
pub const TEST_EPOCH: u64 = 1_767_225_600_000_000_000;

/// No world has more nodes.
const MAX_NODES: usize = 1000;
/// No node has more virtual processors.
const MAX_CORES: u32 = 1024;

/// What a world is made with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorldOptions {
    /// Every choice of the world follows from it.
    pub seed: u64,
    /// What its wall clock shows at the beginning, in ns since 1970. A live world begins at the
    /// real date, because clients such as kubectl compute ages themselves.
    pub epoch: u64,
    /// The pattern it was made from, or empty. For people only.
    pub pattern: String,
    /// Its nodes.
    pub nodes: Vec<NodeOptions>,
    /// About how much of its trace it keeps, in bytes.
    pub trace_quota: u64,
}

/// A virtual node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeOptions {
    /// Its name.
    pub name: String,
    /// Its virtual processors.
    pub cores: u32,
    /// How much work one of them does in a virtual second, in units of wasm fuel. Slower than a
    /// real core, so that the world keeps up with its clock.
    pub fuel_per_second: u64,
    /// Its memory in bytes.
    pub memory: u64,
    /// How many pods it takes.
    pub pods: u32,
}

impl Default for WorldOptions {
    fn default() -> WorldOptions {
        WorldOptions {
            seed: 1,
            epoch: TEST_EPOCH,
            pattern: String::new(),
            nodes: (1..=3).map(|n| NodeOptions::named(&format!("node-{n}"))).collect(),
            trace_quota: 256 << 20,
        }
    }
}

impl WorldOptions {
    /// Whether a world can be made with them: they may come from a file.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.nodes.len() > MAX_NODES {
            return Err(format!("{} nodes; {MAX_NODES} are the most", self.nodes.len()));
        }
        let mut names = BTreeSet::new();
        for node in &self.nodes {
            // A node's name is a DNS label here (RFC 1123).
            let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if node.name.is_empty() || node.name.len() > 63 || !node.name.bytes().all(good) {
                return Err(format!("{:?} is no name of a node", node.name));
            }
            if !names.insert(&node.name) {
                return Err(format!("two nodes are called {:?}", node.name));
            }
            if !(1..=MAX_CORES).contains(&node.cores) {
                return Err(format!("node {} has {} cores", node.name, node.cores));
            }
        }
        Ok(())
    }
}

impl NodeOptions {
    /// A node called `name` of the usual size: 4 cores, 8 GiB, 110 pods.
    pub fn named(name: &str) -> NodeOptions {
        NodeOptions {
            name: name.into(),
            cores: 4,
            fuel_per_second: 200_000_000,
            memory: 8 << 30,
            pods: 110,
        }
    }
}
