//! Controllers of workloads that go on (`apps/v1`, and ReplicationControllers).
//!
//! # Layout
//! - `replica_set`: so many pods of one template (ReplicaSets and ReplicationControllers);
//!   `rank`: which of them go first
//! - `deployment`: one template after the other; `hash`: names made from templates
//! - `owner`: who controls what; `pods`: pods as their controllers see them

mod deployment;
mod hash;
pub(in crate::controllers) mod owner;
mod pods;
mod rank;
mod replica_set;

use std::sync::Arc;

use super::start;
use crate::control_plane::Shared;

/// Starts them all.
pub(super) fn start_all(shared: &Arc<Shared>) {
    start(shared, deployment::Deployments);
    start(shared, replica_set::Replicas::<replica_set::ReplicaSets>::default());
    start(shared, replica_set::Replicas::<replica_set::ReplicationControllers>::default());
}
