//! The terminal, without its looks: what was written, what is typed, the line to the server.
//!
//! - [`screen`]: what was written; [`editor`]: what is typed, and what was typed before
//! - [`socket`]: the commands' way to the server

pub mod editor;
pub mod screen;
pub mod socket;
