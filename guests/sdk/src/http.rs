//! HTTP/1.1 (RFC 9112), as much as small services need, with every buffer bounded.
//!
//! - `message`: requests and responses, and how they are parsed
//! - `server`: connections, keep-alive, pipelining, time-outs, graceful end
//! - `client`: one request at a time, keep-alive if wanted
//! - `pieces`: messages whose bodies are read piece by piece

mod client;
mod message;
mod pieces;
mod server;

pub use client::{Client, Reply, Url};
pub use message::{
    Body, Head, Headers, Refusal, Request, Response, http_date, parse_head, parse_http_date, reason,
};
pub use pieces::{Fault, PIECE, Reader, Rest};
pub use server::{Handler, Limits, serve};
