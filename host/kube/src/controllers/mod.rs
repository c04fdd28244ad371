//! Controllers: each watches some kinds and makes the cluster what one of them says it should be.
//!
//! # Layout
//! - [`queue`](self): the loop all of them share: keys, waiting, retries with back-off
//! - a file (or folder) for each controller, with its rules
//!
//! A controller is a value with three functions: which kinds it watches, which objects of its own
//! a change concerns, and how to bring one of these to where it should be. It keeps no truth of its
//! own: everything is read from the store, so that it may be stopped and started at any time.

mod apps;
mod autoscale;
mod cronjob;
pub(crate) mod disruption;
mod endpoints;
mod garbage;
mod job;
mod load_balancer;
mod namespaces;
mod nodes;
mod queue;
mod quota;
mod volumes;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use namespaces::furnish;
pub(crate) use queue::start;

use crate::control_plane::Shared;
use crate::events::Recorder;
use crate::store::watch::Change;
use crate::store::{Error, Store};

/// Namespace and name of an object that a controller is responsible for.
pub(crate) use crate::store::object::Key;

/// What a controller works with.
pub(crate) struct Context {
    /// The objects; what is changed here appears in the trace at the controller's place.
    pub store: Store,
    /// What the controller says about objects.
    pub events: Recorder,
    /// Everything else of the control plane.
    pub shared: Arc<Shared>,
}

/// When to look at an object again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// When something changes.
    Change,
    /// After this time, or earlier when something changes.
    After(Duration),
}

/// One controller.
pub(crate) trait Controller: Send + 'static {
    /// Its name as it appears in the trace and as the source of events
    /// (`deployment-controller`).
    const NAME: &'static str;

    /// The kinds whose changes it wants to know ("pods", "deployments.apps").
    fn kinds(&self) -> Vec<&'static str>;

    /// Which of its objects this change concerns.
    fn concerns(&mut self, context: &Context, kind: &str, change: &Change) -> Vec<Key>;

    /// Brings one object one step nearer to where it should be. Takes no virtual time.
    ///
    /// # Errors
    /// What kept it from that; it is tried again with a growing delay (5 ms doubling to 1,000 s,
    /// as `workqueue.DefaultTypedControllerRateLimiter`).
    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error>;
}

/// Starts all controllers.
pub(crate) fn start_all(shared: &Arc<Shared>) {
    start(shared, namespaces::Namespaces);
    start(shared, endpoints::Endpoints);
    garbage::start_all(shared);
    apps::start_all(shared);
    start(shared, job::Jobs::default());
    start(shared, cronjob::CronJobs::default());
    start(shared, disruption::Disruptions);
    start(shared, load_balancer::LoadBalancers);
    start(shared, quota::Quotas);
    start(shared, autoscale::Autoscalers::default());
    volumes::start_all(shared);
    nodes::start_all(shared);
}
