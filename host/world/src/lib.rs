//! A world: a whole cluster on virtual time, and everything that may be done to it from outside.
//!
//! # Layout
//! - [`options`]: what a world is made with
//! - [`images`]: the programs its containers can run
//! - [`world`]: the world itself: run, input, look
//! - [`input`]: what comes from outside and changes a world; [`fault`]: what may break
//! - [`recording`]: options + inputs: enough to have the same trace again
//! - [`replay`]: running a recording, and finding the first difference
//! - [`twins`]: paused copies at earlier instants, so that rewinding is quick
//! - [`runtime`]: how the kubelet's containers become programs of `podlab-wasm`
//! - [`gateway`]: connections between the outside and the world's network
//!
//! # What this crate must never know
//! Real time, HTTP servers, files of the machine. Whoever drives a world owns those.
#![warn(missing_docs)]

pub mod apply;
pub mod cluster;
pub mod fault;
pub mod gateway;
pub mod images;
pub mod input;
pub mod options;
pub mod recording;
pub mod replay;
pub mod runtime;
pub mod session;
pub mod stand_ins;
pub mod twins;
pub mod world;

pub use fault::Fault;
pub use images::{Image, Images};
pub use input::{Input, Outcome};
pub use options::WorldOptions;
pub use recording::Recording;
pub use twins::{Allowance, Twins};
pub use world::World;
