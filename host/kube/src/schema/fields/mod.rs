//! Who owns which field: sets of fields, and how objects compare and merge by their schema
//! (the rules of `sigs.k8s.io/structured-merge-diff`).
//!
//! # Layout
//! - [`set`]: sets of fields and their notation `FieldsV1`; [`shape`]: what a field is
//! - [`walk`]: the set of an object, comparing, merging and removing

pub mod set;
pub mod shape;
pub mod walk;

pub use set::{Set, Step};
pub use shape::Shape;
