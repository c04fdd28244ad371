//! The little that guests share.
//!
//! # Layout
//! - [`runtime`]: tasks, timers and readiness, all waiting in *one* poll
//! - [`net`]: TCP on that runtime, [`udp`]; `sys` holds what differs between WASI and Linux
//! - [`signals`]: `/dev/signals`, and what a program does when asked to end
//! - [`http`]: HTTP/1.1, server and client, with bounded buffers
//! - [`connections`]: accepting, with a bound; [`memcached`], [`resp`], [`keyvalue`]: the protocols of caches;
//!   [`amqp`]: that of RabbitMQ
//! - [`exposition`]: figures as monitors read them
//! - [`handover`]: tasks as files; [`health`]: probes for programs that serve nothing else
//! - [`args`]: the command line, with `--help` and `--version`
//! - [`log`]: one line an event
//! - [`json`]: writing JSON strings
//!
//! A program that uses it knows nothing of the world it runs in: the same source runs on Linux.

pub mod amqp;
pub mod args;
pub mod connections;
pub mod exposition;
pub mod handover;
pub mod health;
pub mod http;
pub mod json;
pub mod keyvalue;
pub mod log;
pub mod logfile;
pub mod memcached;
pub mod net;
pub mod program;
pub mod resp;
pub mod runtime;
pub mod signals;
mod sys;
pub mod udp;
