//! Does what clients saw keep the promise of what they used?
//!
//! Each checker takes a history (what was asked, what was answered, when) and says whether there
//! is any correct thing that could have behaved so. They know nothing of worlds and traces: a
//! history is plain data, so that each checker can be tried on histories made by hand.
//!
//! # Layout
//! - [`linearizable`]: a register with compare-and-swap (one for each key)
//! - [`queue`]: nothing lost, nothing twice, nothing from nowhere
//! - [`lock`]: one holder at a time; tokens that only grow
//! - [`log`]: every line, once, in order
//! - [`exposition`]: Prometheus' text format
//!
//! # What this crate must never know
//! Worlds, traces, Kubernetes.
#![warn(missing_docs)]

pub mod exposition;
pub mod linearizable;
pub mod lock;
pub mod log;
pub mod queue;

use std::fmt;

/// Why a history cannot be that of a correct thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong, in one sentence.
    pub what: String,
    /// The operations that show it: their positions in the history that was given.
    pub operations: Vec<usize>,
}

impl Violation {
    fn new(what: impl Into<String>, operations: Vec<usize>) -> Violation {
        Violation { what: what.into(), operations }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Violation {}

/// What a checker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A correct thing could have behaved so.
    Holds,
    /// None could.
    Broken(Violation),
    /// It cannot be told within the bounds of the checker.
    Unknown(String),
}
