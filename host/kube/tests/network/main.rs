//! Services and NetworkPolicies as programs in pods find them.
#![allow(missing_docs)]

#[path = "../pod_life/cluster.rs"]
#[allow(dead_code)]
mod cluster;
#[path = "../pod_life/program.rs"]
#[allow(dead_code)]
mod program;

mod inside;
mod policies;
mod reached;
mod removal;
mod sessions;
