//! The server as its clients see it: in the process, and over real sockets.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod client;
mod front;
mod guiding;
mod identities;
mod shares;
mod sharing;
mod streams;
mod terminal;
mod time;
mod workshop;
mod worlds;
