//! Controllers of workloads that go on (`apps/v1`, and ReplicationControllers).
//!
//! # Layout
//! - `replica_set`: so many pods of one template (ReplicaSets and ReplicationControllers);
//!   `rank`: which of them go first
//! - `deployment`: one template after the other; `hash`: names made from templates
//! - `stateful_set`: pods with names of their own; `daemon_set`: one pod a node; `revisions`:
//!   the templates that these have had
//! - `owner`: who controls what; `pods`: pods as their controllers see them

mod daemon_set;
mod deployment;
mod hash;
pub(in crate::controllers) mod owner;
mod pods;
mod rank;
mod replica_set;
mod revisions;
mod stateful_set;

use std::sync::Arc;

use super::start;
use crate::control_plane::Shared;

/// Starts them all.
pub(super) fn start_all(shared: &Arc<Shared>) {
    start(shared, deployment::Deployments);
    start(shared, stateful_set::StatefulSets);
    start(shared, daemon_set::DaemonSets);
    start(shared, replica_set::Replicas::<replica_set::ReplicaSets>::default());
    start(shared, replica_set::Replicas::<replica_set::ReplicationControllers>::default());
}
