//! Admission: what is changed about an object before it is stored, and what is refused though it
//! is valid (`plugin/pkg/admission`). Pure functions of the object and the store; the quota's
//! books are the one thing that is written.
//!
//! # Layout
//! - [`priority`]: PriorityClasses; a file for each further plugin

pub(crate) mod priority;

use serde_json::{Value, json};

use crate::store::{Error, Row, Store};

/// What is there from the beginning.
///
/// # Panics
/// If the store has such objects already.
pub(crate) fn furnish(store: &Store) {
    for (name, value, text) in [
        (
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
        (
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
    ] {
        let class = json!({"metadata": {"name": name}, "value": value, "description": text});
        store.create(priority::CLASSES, class).expect("the store has no priority classes yet");
    }
}

/// Changes a new object as the plugins do, before it is validated.
///
/// # Errors
/// What a plugin refuses.
pub(crate) fn mutate(store: &Store, row: &Row, object: &mut Value) -> Result<(), Error> {
    match &*row.qualified() {
        "pods" => priority::pod(store, row, object),
        "priorityclasses.scheduling.k8s.io" => priority::class(store, row, object),
        _ => Ok(()),
    }
}
