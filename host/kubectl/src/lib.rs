//! kubectl's verbs, over the API of a world: what a learner types in the page's terminal.
//!
//! What is printed, where, and with which exit code is what kubectl 1.32 does; a test compares
//! them. A line may pipe into a few filters ([`mod@line`]); nothing is a process of a machine.
//!
//! # Layout
//! - [`transport`]: what is needed from outside; [`io`]: where output goes
//! - [`mod@line`]: a typed line: quotes, pipes, here-documents, filters; [`complete`]: completion
//! - [`run()`]: one command; [`verbs`]: each of them; `describe`: each kind, described
//! - [`flags`], [`failure`], [`client`], [`select`], [`manifest`]: what the verbs share
//! - [`print`](mod@print): forms of output
//!
//! # What this crate must never know
//! Worlds, HTTP, files, processes, clocks.
#![warn(missing_docs)]

pub mod client;
pub mod complete;
mod describe;
pub mod failure;
pub mod flags;
pub mod io;
pub mod kubectl;
pub mod line;
pub mod manifest;
pub mod print;
pub mod run;
pub mod select;
pub mod transport;
pub mod verbs;

pub use failure::Failure;
pub use io::{Kept, Sink};
pub use kubectl::Kubectl;
pub use run::run;
pub use transport::Transport;
