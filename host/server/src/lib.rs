//! The server: many worlds on real time, the page, and the Kubernetes endpoint of each world.
//!
//! # Layout
//! - [`app`]: what all requests share: images, patterns, worlds, limits
//! - [`live`]: one world on real time: pace, inputs, going back; [`journal`]: its recording on disk
//! - [`driver`]: the pool of threads that drives all worlds
//! - [`outside`]: connections from outside into a world
//! - [`guard`]: who may ask (Host, Origin), and the headers of every answer
//! - [`workshop`]: a room of learners: seats, what each may reach, the instructor's board
//! - [`tls`]: the same over TLS, with a certificate of our own or a given one
//! - `spdy`: the frames in which Kubernetes' older clients stream
//! - [`error`]: the errors clients see; [`assets`]: the files of the page
//! - [`routes`]: one file for each part of the API; [`openapi`]: its description
//!
//! # What this crate must never know
//! Terminals, command lines, where the embedded files come from.
#![warn(missing_docs)]
// Real time and real threads live here, outside the worlds.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

pub mod app;
pub mod assets;
pub mod driver;
pub mod error;
pub mod guard;
pub mod identities;
pub mod journal;
pub mod live;
pub mod openapi;
pub mod outside;
pub mod routes;
mod spdy;
pub mod tls;
pub mod workshop;

pub use app::{App, Limits, Options};
pub use assets::Assets;
pub use routes::router;
