//! What differs between WASI and Linux: sockets, streams, and the one poll.

#[cfg(target_os = "wasi")]
#[path = "sys/wasi.rs"]
mod platform;
#[cfg(not(target_os = "wasi"))]
#[path = "sys/unix.rs"]
mod platform;

pub(crate) use platform::*;
