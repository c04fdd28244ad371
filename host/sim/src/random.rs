//! Randomness with names.
//!
//! Each purpose ("net/loss", "guest/default/web/0") has a stream of its own, derived from the
//! world's seed and the name, so that one more draw for one purpose does not shuffle the rest.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// A named stream of random numbers.
#[derive(Clone, Debug)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The stream called `name` under `seed`. The same pair gives the same stream, so a name
    /// must be used for one purpose only.
    pub fn named(seed: u64, name: &str) -> Rng {
        let mut hash = blake3::Hasher::new();
        hash.update(&seed.to_le_bytes());
        hash.update(name.as_bytes());
        Rng(ChaCha8Rng::from_seed(*hash.finalize().as_bytes()))
    }

    /// A number out of all 64-bit numbers.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..n`, each equally likely.
    ///
    /// # Panics
    /// If `n` is zero.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "nothing to choose from");
        // Lemire's multiply-and-reject: unbiased, and nearly always one draw.
        let threshold = n.wrapping_neg() % n;
        loop {
            let wide = u128::from(self.u64()) * u128::from(n);
            if wide as u64 >= threshold {
                return (wide >> 64) as u64;
            }
        }
    }

    /// A number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `p`. Draws nothing when the answer is certain.
    pub fn chance(&mut self, p: f64) -> bool {
        if p <= 0.0 {
            false
        } else if p >= 1.0 {
            true
        } else {
            self.unit() < p
        }
    }

    /// Fills `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }

    /// A stream of its own that goes on from here.
    pub fn split(&mut self) -> Rng {
        let mut seed = [0; 32];
        self.fill(&mut seed);
        Rng(ChaCha8Rng::from_seed(seed))
    }

    /// Puts `items` into a random order (Fisher-Yates). One item draws nothing.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_and_name_only() {
        let draw = |seed, name| Rng::named(seed, name).u64();
        assert_eq!(draw(1, "net"), draw(1, "net"));
        assert_ne!(draw(1, "net"), draw(2, "net"));
        assert_ne!(draw(1, "net"), draw(1, "cpu"));
    }

    #[test]
    fn below_reaches_every_value_and_no_other() {
        let mut rng = Rng::named(3, "t");
        let mut seen = [0u32; 7];
        for _ in 0..7000 {
            seen[rng.below(7) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (800..1200).contains(n)), "{seen:?}");
    }

    #[test]
    fn certain_chances_draw_nothing() {
        let mut a = Rng::named(3, "t");
        let mut b = a.clone();
        assert!(!a.chance(0.0) && a.chance(1.0));
        assert_eq!(a.u64(), b.u64());
    }
}
