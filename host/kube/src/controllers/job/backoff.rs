//! How long a Job waits before it replaces failed pods (`pkg/controller/job/backoff_utils.go`).

use std::time::Duration;

/// After the first failure…
const FIRST: Duration = Duration::from_secs(10);
/// …doubling up to this (`MaxJobPodFailureBackOff`).
const LONGEST: Duration = Duration::from_secs(600);

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    failures: u32,
    /// When the last one ended, in ns since 1970.
    last: u64,
}

impl Backoff {
    /// The record after further pods have ended at these times.
    pub(super) fn after(self, succeeded: &[u64], failed: &[u64]) -> Backoff {
        let last_success = succeeded.iter().copied().max();
        let newer: Vec<u64> =
            failed.iter().copied().filter(|at| last_success.is_none_or(|s| *at > s)).collect();
        let before = if last_success.is_some() { Backoff::default() } else { self };
        match newer.iter().copied().max() {
            None => before,
            Some(last) => Backoff {
                failures: before
                    .failures
                    .saturating_add(u32::try_from(newer.len()).unwrap_or(u32::MAX)),
                last,
            },
        }
    }

    /// How long to wait still, at `now` (ns since 1970).
    pub(super) fn remaining(self, now: u64) -> Duration {
        remaining(self.failures, self.last, now)
    }
}

/// What is left of the wait after `failures` in a row, the last at `last`.
pub(super) fn remaining(failures: u32, last: u64, now: u64) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let wait = FIRST.saturating_mul(1 << (failures - 1).min(6)).min(LONGEST);
    wait.saturating_sub(Duration::from_nanos(now.saturating_sub(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_ten_minutes_and_a_success_ends_it() {
        let waits: Vec<u64> = (0..9).map(|n| remaining(n, 0, 0).as_secs()).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 320, 600, 600]);
        let s = 1_000_000_000;
        let failed = Backoff::default().after(&[], &[5 * s, 7 * s]);
        assert_eq!(failed.remaining(10 * s), Duration::from_secs(17));
        assert_eq!(failed.after(&[9 * s], &[8 * s]), Backoff::default());
        assert_eq!(failed.after(&[9 * s], &[10 * s]).remaining(10 * s), Duration::from_secs(10));
    }
}
