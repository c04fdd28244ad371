//! Signals, as a world gives them: `/dev/signals` yields each signal's number as one byte, and
//! opening it installs the handler. Elsewhere the open fails and nothing else changes.

use crate::runtime::{Flag, readiness, spawn};
use crate::sys;

/// SIGINT.
pub const INTERRUPT: u8 = 2;
/// SIGTERM.
pub const TERMINATE: u8 = 15;

/// A flag that is raised by SIGTERM or SIGINT.
pub fn termination() -> Flag {
    let flag = Flag::default();
    if let Some(signals) = sys::Signals::open() {
        let raised = flag.clone();
        spawn(async move {
            loop {
                match signals.try_read() {
                    Ok(bytes) if bytes.is_empty() => return,
                    Ok(bytes) => {
                        if bytes.iter().any(|b| matches!(*b, INTERRUPT | TERMINATE)) {
                            crate::log::info("terminating", &[]);
                            raised.raise();
                        }
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                        readiness(signals.source()).await;
                    }
                    Err(_) => return,
                }
            }
        });
    }
    flag
}
