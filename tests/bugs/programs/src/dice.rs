//! Chance, from the randomness that the world gives: another seed, other numbers.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use podlab_guest::runtime::sleep;

/// Throws numbers.
pub struct Dice(Cell<u64>);

impl Default for Dice {
    fn default() -> Dice {
        Dice(Cell::new(RandomState::new().build_hasher().finish() | 1))
    }
}

impl Dice {
    /// From `least` to `most`, both included (xorshift64*).
    pub fn throw(&self, least: u64, most: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.set(x);
        least + (x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % (most - least + 1)
    }

    /// Works for so many milliseconds.
    pub async fn work(&self, least: u64, most: u64) {
        sleep(Duration::from_millis(self.throw(least, most))).await;
    }
}
