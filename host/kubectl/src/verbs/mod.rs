//! The verbs, a file for each or for a few that belong together.
//!
//! Each file has the flags of its verbs (see [`crate::flags`]) and one function for each.

pub mod apply;
pub mod change;
pub mod create;
pub mod diff;
pub mod explain;
pub mod expose;
pub mod get;
pub mod info;
pub mod inside;
pub mod instead;
pub mod nodes;
pub mod replace;
pub mod rollout;
pub mod set;
pub mod top;
pub mod wait;
