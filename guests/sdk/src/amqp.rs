//! AMQP 0-9-1 on the wire, for brokers and their clients.
//!
//! # Layout
//! - [`wire`]: elementary types, tables, frames
//! - [`method`]: methods, and the heads of contents

pub mod method;
pub mod wire;
