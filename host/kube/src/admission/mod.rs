//! Admission: what is changed about an object before it is stored, and what is refused though it
//! is valid (`plugin/pkg/admission`). Pure functions of the object and the store; the quota's
//! books are the one thing that is written.
//!
//! # Layout
//! - a file for each plugin

pub(crate) mod limit_range;
pub(crate) mod pod_security;
pub(crate) mod priority;
pub(crate) mod quota;
pub(crate) mod storage;

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
    store.create(storage::CLASSES, storage::standard()).expect("the store has no classes yet");
}

/// Changes a new object as the plugins do, before it is validated.
///
/// # Errors
/// What a plugin refuses.
pub(crate) fn mutate(store: &Store, row: &Row, object: &mut Value) -> Result<(), Error> {
    match &*row.qualified() {
        "pods" => {
            limit_range::fill_in(store, object);
            priority::pod(store, row, object)
        }
        "persistentvolumeclaims" => {
            storage::claim(store, object);
            Ok(())
        }
        "persistentvolumes" => {
            storage::volume(object);
            Ok(())
        }
        "priorityclasses.scheduling.k8s.io" => priority::class(store, row, object),
        _ => Ok(()),
    }
}

/// Looks at a valid new object for the last time: quotas are charged for it here.
///
/// # Errors
/// What a plugin refuses.
pub(crate) fn check(store: &Store, row: &Row, object: &Value, dry_run: bool) -> Result<(), Error> {
    if row.qualified() == "pods" {
        pod_security::check(store, row, object)?;
    }
    limit_range::check(store, row, object)?;
    quota::charge(store, row, object, dry_run)
}
