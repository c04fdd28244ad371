//! Further versions of stored objects: what comes in and goes out in another shape.

pub(super) mod autoscaler;
pub(super) mod event;
