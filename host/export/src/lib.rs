//! A trace in the formats of other people's tools, and in numbers.
//!
//! Everything here is a pure function of the events of a trace, taken in one by one, so that a
//! trace need not fit into memory, and the page in the browser can do the same as the terminal.
//!
//! # Layout
//! - [`exchange`]: requests with their answers, found in a trace
//! - [`pcapng`]: packets for Wireshark; [`packet`](self): IPv4/IPv6, TCP and UDP headers
//! - [`har`]: HTTP Archive 1.2 for browsers' network panels
//! - [`otlp`]: OpenTelemetry spans as OTLP/JSON
//! - [`lanes`]: a space-time diagram in text
//! - [`page`]: the page and what it plays as one HTML file
//! - [`behaviour`]: what happened in numbers, to compare two runs
//!
//! # What this crate must never know
//! Where a trace comes from, files, time zones of the machine.
#![warn(missing_docs)]

pub mod behaviour;
pub mod exchange;
pub mod har;
pub mod lanes;
pub mod otlp;
mod packet;
pub mod page;
pub mod pcapng;
