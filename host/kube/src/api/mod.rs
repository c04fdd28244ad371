//! The API server of a world: Kubernetes' REST paths over the [`Store`].
//!
//! [`Api::handle`] answers at once and takes no virtual time. Everything about a kind comes from
//! its row ([`crate::store::kinds`]), everything about its fields from the schema.
//!
//! # Layout
//! - [`request`], [`response`]: the two ends, as data
//! - `served`: what paths there are; `convert`: further versions of the same objects
//! - `route`: paths; `objects`: the verbs; `patch`: the three kinds of patch
//! - `body`, `protobuf`: what comes in; [`watch`], [`log`]: what streams
//! - [`streaming`]: exec, attach, portforward
//! - `access`: who asks, and whether they may
//! - `table`, `discovery`, `openapi`: how kubectl sees it

pub mod access;
mod body;
mod convert;
mod custom_metrics;
mod discovery;
mod eviction;
mod jsonpath;
pub mod log;
mod metrics;
mod objects;
mod openapi;
mod patch;
mod protobuf;
pub mod request;
pub mod response;
mod route;
mod scale;
mod served;
pub mod streaming;
mod table;
pub mod watch;

use std::sync::Arc;

pub use log::{LogFollow, LogLine, LogPart, LogSource};
pub use request::Request;
pub use response::{Body, Response};
pub use streaming::{Streaming, is_streaming};
pub use watch::WatchStream;

use crate::store::{Error, Store};

/// Bodies may be this long (Kubernetes' own limit).
pub(crate) const BODY_LIMIT: usize = 3 << 20;

/// The API server. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    store: Store,
    logs: Option<Arc<dyn LogSource>>,
}

impl Api {
    /// An API server over `store`.
    pub fn new(store: &Store) -> Api {
        Api { store: store.clone(), logs: None }
    }

    /// Serves logs from `source`.
    pub fn with_logs(mut self, source: Arc<dyn LogSource>) -> Api {
        self.logs = Some(source);
        self
    }

    /// The store it serves.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Answers a request. A request that does not [mutate](Request::mutates) changes nothing.
    pub fn handle(&self, request: &Request) -> Response {
        if request.body.len() > BODY_LIMIT {
            return Response::error(&Error::new(
                413,
                "RequestEntityTooLarge",
                format!("Request entity too large: limit is {BODY_LIMIT}"),
            ));
        }
        let namespace = request
            .path
            .strip_prefix("/api/v1/namespaces/")
            .filter(|name| request.mutates() && !name.contains('/'));
        let Some(name) = namespace else {
            return self.dispatch(request).unwrap_or_else(|e| Response::error(&e));
        };
        // Who begins to enforce a level is told which pods break it.
        let old = self.store.get("namespaces", "", name);
        let mut response = self.dispatch(request).unwrap_or_else(|e| Response::error(&e));
        if let Some(new) = self.store.get("namespaces", "", name) {
            let said = crate::admission::pod_security::warnings(&self.store, &new, old.as_deref());
            response.warnings.extend(said);
        }
        response
    }
}

#[cfg(test)]
mod tests;
