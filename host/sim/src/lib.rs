//! The heart of a world: a seeded, single-threaded, discrete-event executor on virtual time.
//!
//! # Layout
//! - [`time`]: instants of virtual time, nanoseconds since the world began
//! - [`executor`]: tasks, timers, and the order in which they run
//! - [`random`]: one named random stream for each purpose, all derived from one seed
//! - [`sync`]: how tasks wait for one another (signals, channels)
//! - [`cpu`]: virtual processors that tasks pay for the work they did
//!
//! # What this crate must never know
//! Pods, networks, files, programs, wall clocks, threads. Everything here is a pure function
//! of the seed and of what the tasks do.
#![warn(missing_docs)]

pub mod cpu;
pub mod executor;
pub mod random;
pub mod sync;
pub mod time;

pub use executor::{Elapsed, Handle, Sim, Sleep, Stop, Task};
pub use random::Rng;
pub use time::Time;
