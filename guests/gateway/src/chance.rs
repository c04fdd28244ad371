//! Chance: seeded once by the system, which in a simulated world is the world's own.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A source of numbers (SplitMix64).
pub struct Chance(Cell<u64>);

impl Chance {
    /// One that starts anywhere.
    pub fn any() -> Chance {
        Chance::of(RandomState::new().build_hasher().finish())
    }

    /// One that starts here.
    pub fn of(seed: u64) -> Chance {
        Chance(Cell::new(seed))
    }

    /// Any number.
    pub fn next(&self) -> u64 {
        let seed = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(seed);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `most`; 0 if that is 0.
    pub fn below(&self, most: u32) -> u32 {
        ((u128::from(self.next()) * u128::from(most)) >> 64) as u32
    }
}

#[cfg(all(test, not(target_os = "wasi")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// 10,000 draws of a fifth: 2,000 with a standard deviation of 40, so within six of those.
        #[test]
        fn draws_are_even(seed: u64) {
            let chance = Chance::of(seed);
            let few = (0..10_000).filter(|_| chance.below(100) < 20).count();
            prop_assert!((1760..=2240).contains(&few), "{few}");
        }
    }
}
