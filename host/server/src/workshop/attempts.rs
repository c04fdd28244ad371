//! How often somebody may be wrong.
//!
//! Every wrong code, word or secret costs its sender's address a token, and the whole server one
//! too. Who has none left is refused before anything is compared, so that a refusal tells
//! nothing. Being right costs nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Wrong attempts an address may make at once.
const BURST: f64 = 10.0;
/// How long one of them takes to come back.
const PERIOD: Duration = Duration::from_secs(6);
/// Wrong attempts all addresses together may make at once.
const TOTAL_BURST: f64 = 200.0;
/// How long one of those takes to come back.
const TOTAL_PERIOD: Duration = Duration::from_millis(250);
/// Addresses remembered at most.
const MAX_ADDRESSES: usize = 4096;

/// What may still be done, and comes back with time.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub fn new(burst: f64, at: Instant) -> Bucket {
        Bucket { tokens: burst, at }
    }

    /// Takes one out.
    ///
    /// # Errors
    /// How long it takes until there is one again.
    pub fn take(&mut self, burst: f64, period: Duration, now: Instant) -> Result<(), Duration> {
        self.refill(burst, period, now);
        if self.tokens < 1.0 {
            return Err(period.mul_f64(1.0 - self.tokens));
        }
        self.tokens -= 1.0;
        Ok(())
    }

    fn refill(&mut self, burst: f64, period: Duration, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed / period.as_secs_f64()).min(burst);
        self.at = now;
    }
}

/// Who was wrong, and how often.
#[derive(Debug)]
pub struct Attempts {
    by_address: BTreeMap<IpAddr, Bucket>,
    total: Bucket,
}

/// What counts as one address: whoever has an IPv6 network has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        v4 => v4,
    }
}

impl Attempts {
    /// Nobody was wrong yet.
    pub fn new(now: Instant) -> Attempts {
        Attempts { by_address: BTreeMap::new(), total: Bucket::new(TOTAL_BURST, now) }
    }

    /// Takes a token before something is compared; give it back with [`Attempts::right`].
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&mut self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        self.total.refill(TOTAL_BURST, TOTAL_PERIOD, now);
        if self.by_address.len() >= MAX_ADDRESSES {
            self.by_address.retain(|_, bucket| {
                bucket.refill(BURST, PERIOD, now);
                bucket.tokens < BURST
            });
        }
        if self.by_address.len() >= MAX_ADDRESSES && !self.by_address.contains_key(&network(from)) {
            return Err(PERIOD);
        }
        let bucket =
            self.by_address.entry(network(from)).or_insert_with(|| Bucket::new(BURST, now));
        bucket.refill(BURST, PERIOD, now);
        if bucket.tokens < 1.0 {
            return Err(PERIOD.mul_f64(1.0 - bucket.tokens));
        }
        if self.total.tokens < 1.0 {
            return Err(TOTAL_PERIOD.mul_f64(1.0 - self.total.tokens));
        }
        bucket.tokens -= 1.0;
        self.total.tokens -= 1.0;
        Ok(())
    }

    /// The attempt was right.
    pub fn right(&mut self, from: IpAddr) {
        if let Some(bucket) = self.by_address.get_mut(&network(from)) {
            bucket.tokens = (bucket.tokens + 1.0).min(BURST);
        }
        self.total.tokens = (self.total.tokens + 1.0).min(TOTAL_BURST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([192, 168, 0, last])
    }

    #[test]
    fn an_address_may_be_wrong_ten_times_and_then_waits() {
        let now = Instant::now();
        let mut attempts = Attempts::new(now);
        for _ in 0..10 {
            assert_eq!(attempts.take(v4(1), now), Ok(()));
        }
        let wait = attempts.take(v4(1), now).expect_err("none is left");
        assert!(wait <= PERIOD && wait > Duration::from_secs(5));
        assert_eq!(attempts.take(v4(2), now), Ok(()), "another is not concerned");
        assert_eq!(attempts.take(v4(1), now + PERIOD), Ok(()));
        assert!(attempts.take(v4(1), now + PERIOD).is_err());
    }

    #[test]
    fn being_right_costs_nothing() {
        let now = Instant::now();
        let mut attempts = Attempts::new(now);
        for _ in 0..1000 {
            assert_eq!(attempts.take(v4(1), now), Ok(()));
            attempts.right(v4(1));
        }
    }

    #[test]
    fn many_addresses_share_a_limit_and_a_network_counts_once() {
        let now = Instant::now();
        let mut attempts = Attempts::new(now);
        let guesses = (0..100u8).flat_map(|a| (0..10).map(move |_| a));
        let taken = guesses.filter(|a| attempts.take(v4(*a), now).is_ok()).count();
        assert_eq!(taken, 200);
        let mut attempts = Attempts::new(now);
        let six = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]);
        let taken = (0..100).filter(|n| attempts.take(six(*n), now).is_ok()).count();
        assert_eq!(taken, 10);
        let mut attempts = Attempts::new(now);
        for n in 0..10_000u32 {
            let address = IpAddr::from(n.to_be_bytes());
            // Refused or not: what is remembered is bounded.
            let _ = attempts.take(address, now);
        }
        assert!(attempts.by_address.len() <= MAX_ADDRESSES);
    }
}
