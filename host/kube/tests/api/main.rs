//! The API server as kubectl meets it, compared with recordings of a real control plane.

mod client;
mod custom;
mod discovery;
mod escalation;
mod lists;
mod reviews;
mod ssa;
