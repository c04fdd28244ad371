//! Pods as their owners see them: when what happens, and what the status and the events say.
#![allow(missing_docs)]

#[allow(dead_code)]
mod cluster;
mod life;
mod placement;
mod probes;
#[allow(dead_code)]
mod program;
mod restarts;
mod services;
mod termination;
mod volumes;
