//! Workloads that go on, by virtual time: how many pods there are, when, and what is said.
#![allow(missing_docs, dead_code)]

#[path = "../pod_life/cluster.rs"]
mod cluster;
#[path = "../pod_life/program.rs"]
mod program;

mod daemon_sets;
mod deployments;
mod garbage;
mod property;
mod replica_sets;
mod stateful_sets;
mod world;
