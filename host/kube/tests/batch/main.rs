//! Work that ends, budgets, limits, storage and autoscaling, by virtual time.
#![allow(missing_docs, dead_code)]

#[path = "../pod_life/cluster.rs"]
mod cluster;
#[path = "../pod_life/program.rs"]
mod program;

mod autoscaling;
mod autoscaling_property;
mod cronjobs;
mod eviction;
mod jobs;
mod jobs_property;
mod nodes;
mod quota;
mod scheduling;
mod storage;
mod tables;
