//! Kubernetes, as far as a world needs it: objects, API server, scheduler, kubelet.
//!
//! # Layout
//! - [`store`]: the objects, their rules, watches
//! - [`runtime`]: how the kubelet gets images and programs
//! - [`control_plane`]: what acts on the objects; [`events`]: what it says
//! - `kubelet`: a node's pods; `scheduler`: which node; `proxy`: how a node routes to Services
//! - `admission`: what is changed or refused before it is stored
//! - `controllers`: what makes a cluster what its objects say
//! - [`schema`]: what fields there are, for strict decoding and merging
//! - [`api`]: the REST paths of the API server over the store; [`serving`]: to programs in pods
//! - `network_policy`: who may connect to whom
//!
//! # What this crate must never know
//! WebAssembly (it sees a `Runtime` trait), real time, sockets of the host.
#![warn(missing_docs)]

mod admission;
pub mod api;
pub mod control_plane;
mod controllers;
pub mod events;
mod kubelet;
mod network_policy;
mod proxy;
pub mod runtime;
mod scheduler;
pub mod schema;
pub mod serving;
pub mod store;

pub use control_plane::{Cluster, ControlPlane, Delays, NodeSpec};
