//! Patterns, their scenarios and checks, and the runner that proves them.
//!
//! # Layout
//! - [`pattern`]: the catalogue: what a folder of `patterns/` holds
//! - [`scenario`]: the scenario format, read from YAML
//! - [`exercise`]: exercises; [`attempt`]: what a learner makes of one; [`lint`]: what is wrong with a pattern's folder
//! - [`plan`]: plans of workshops
//! - [`check`]: checks as monitors over the trace; [`expression`]: their language, CEL
//! - `vocabulary`: the words expressions may use; [`history`]: what checks can ask about
//! - [`run`]: one scenario under one seed; [`report`]: what came of it; [`mod@shrink`]: the smallest
//!   scenario that fails in the same way
//!
//! # What this crate must never know
//! HTTP servers, terminals. It reads no files: whoever calls it brings their contents.
#![warn(missing_docs)]

pub mod attempt;
pub mod check;
pub mod checker;
pub mod exercise;
pub mod expression;
pub mod history;
pub mod lint;
pub mod outside;
pub mod pattern;
pub mod plan;
pub mod report;
pub mod run;
pub mod scenario;
pub mod shrink;
mod vocabulary;

pub use exercise::Exercise;
pub use pattern::{Catalogue, Pattern};
pub use plan::Plan;
pub use report::Report;
pub use run::Runner;
pub use scenario::Scenario;
