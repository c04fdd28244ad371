//! How fast a learner may make worlds: a few at once, then one every few seconds. A world costs
//! the machine far more than the request that makes it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::attempts::Bucket;
use crate::error::ApiError;

/// Worlds a learner may make at once.
const BURST: f64 = 12.0;
/// How long one of them takes to come back.
const PERIOD: Duration = Duration::from_secs(5);

/// What each seat may still make.
#[derive(Debug, Default)]
pub struct Budget(BTreeMap<u32, Bucket>);

impl Budget {
    /// Takes a world from what a seat may make.
    ///
    /// # Errors
    /// If it has none left; it says how long to wait.
    pub fn spend(&mut self, seat: u32, now: Instant) -> Result<(), ApiError> {
        let bucket = self.0.entry(seat).or_insert_with(|| Bucket::new(BURST, now));
        bucket.take(BURST, PERIOD, now).map_err(|wait| {
            let seconds = wait.as_secs() + 1;
            ApiError::too_many(
                "you make worlds faster than this machine can make them for everybody",
                format!("Wait {seconds} s, or go on in a world that you have."),
            )
            .after(seconds)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_that_makes_worlds_in_a_loop_waits_and_others_do_not() {
        let mut budget = Budget::default();
        let now = Instant::now();
        let made = (0..100).filter(|_| budget.spend(1, now).is_ok()).count();
        assert_eq!(made, 12);
        let refused = budget.spend(1, now).unwrap_err();
        assert!(refused.retry_after.is_some_and(|s| (1..=6).contains(&s)));
        assert!(budget.spend(2, now).is_ok());
        let later = now + Duration::from_secs(61);
        assert_eq!((0..100).filter(|_| budget.spend(1, later).is_ok()).count(), 12);
    }
}
