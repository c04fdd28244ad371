//! What happened in a world, as data.
//!
//! The trace is the only thing the picture, the checks and the tests read. This crate is shared
//! with the page in the browser, so it depends on nothing of the rest.
//!
//! # Layout
//! - [`event`]: the events, one enum
//! - [`log`]: the growing trace of a running world: segments, reading, digest
//! - [`state`]: what is true at an instant, derived from events alone (a keyframe)
//! - [`text`]: one line of text for an event, for terminals and tables
//! - [`wire`]: what the server says to a page
//!
//! # What this crate must never know
//! Where events come from, and who looks at them.
#![warn(missing_docs)]

pub mod event;
pub mod log;
pub mod state;
pub mod text;
pub mod wire;

pub use event::{ConnId, Dir, Event, FileOp, Kind, PlaceId, Seq, Stream, Verb, Verdict};
pub use log::{Digest, Trace};
pub use state::State;
