//! Requests at a rate.

use crate::scenario::{Load, Profile};

pub(super) struct LoadState {
    pub(super) load: Load,
    pub(super) began: u64,
    pub(super) sent: u64,
    pub(super) total: u64,
    pub(super) open: Vec<u64>,
}

/// How many requests a load is.
pub(super) fn load_total(load: &Load) -> u64 {
    let seconds = load.duration.0.as_secs_f64();
    let rate = match load.profile {
        Some(Profile::Ramp { to }) => (load.rate + to) / 2.0,
        _ => load.rate,
    };
    (rate * seconds).round() as u64
}

impl LoadState {
    /// When the next request is due, in ns.
    pub(super) fn next(&self) -> Option<u64> {
        (self.sent < self.total).then(|| self.began + (self.due(self.sent) * 1e9).round() as u64)
    }

    /// When request `n` (from 0) is due, in seconds from the beginning.
    fn due(&self, n: u64) -> f64 {
        let rate = self.load.rate;
        match self.load.profile {
            None => n as f64 / rate,
            Some(Profile::Burst { size }) => {
                let size = u64::from(size);
                (n / size * size) as f64 / rate
            }
            // The rate grows evenly, so n = rate t + growth t² / 2.
            Some(Profile::Ramp { to }) => {
                let growth = (to - rate) / self.load.duration.0.as_secs_f64();
                if growth.abs() < 1e-9 {
                    return n as f64 / rate;
                }
                let root = (rate * rate + 2.0 * growth * n as f64).max(0.0).sqrt();
                (root - rate) / growth
            }
        }
    }
}
