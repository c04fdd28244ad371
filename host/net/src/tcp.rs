//! TCP: connections as state machines (RFC 9293, as Linux has it), and sockets over them.
//!
//! Both ends of a connection live in one `conn::Conn`; each direction is a
//! `conn::Pipe` of its own. To a program, loss is delay: a lost segment is sent again after
//! 200 ms, then after twice that, and what follows waits for it. A partition holds everything
//! back until a retransmission gets through, or the sender gives up.
//!
//! - `conn`: what a connection consists of
//! - `handshake`: how it begins
//! - `transfer`: how bytes travel, and how a slow reader slows the writer
//! - `ending`: how it ends
//! - `socket`: what programs hold

pub(crate) mod conn;
mod ending;
mod handshake;
mod socket;
mod transfer;

pub use socket::{BACKLOG_MAX, TcpOptions, TcpSocket};
