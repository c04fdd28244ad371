//! The API server as kubectl meets it, compared with recordings of a real control plane.

mod client;
mod discovery;
mod reviews;
mod ssa;
