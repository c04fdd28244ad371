//! Images and containers: real WASI programs in a world.
//!
//! # Layout
//! - [`engine`]: compiling programs; what they may import
//! - [`container`]: a program at work: start, signals, end
//! - [`host`]: WASI over `sim`, `net` and `fs`
//! - [`metering`]: fuel becomes virtual time; [`limits`]: memory
//!
//! # What this crate must never know
//! Kubernetes' objects. The real clock, network, files, environment and randomness: every
//! interface that a program may import is linked by name, each to something of the world's.
//!
//! # Unsafe
//! One function, [`Engine::load_precompiled`](engine::Engine::load_precompiled), which says why.
#![warn(missing_docs)]

pub mod bindings;
pub mod container;
pub mod engine;
pub mod host;
pub mod limits;
pub mod metering;

pub use container::{Container, ContainerSpec, Exit};
pub use engine::{Engine, EngineOptions, LoadError, MAX_PROGRAM, Program};
pub use host::stdio::{Sink, Stdin};
