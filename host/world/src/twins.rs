//! Paused copies of a world at earlier instants.
//!
//! A suspended program cannot be copied, but a second world can be run to the same instant. So
//! a world that has run for long keeps a few *twins* behind it; going back means taking the
//! nearest earlier one and running it on. They cost memory only, and are made when the machine
//! has nothing better to do.

use podlab_sim::{Stop, Time};
use podlab_wasm::Engine;

use crate::images::Images;
use crate::recording::Recording;
use crate::replay::{ReplayError, begin};
use crate::world::World;

/// How many twins a world keeps at most.
pub const MAX: usize = 6;
/// The distance of twins in a young world, in ns; it doubles as the world ages.
const SPACING: u64 = 30_000_000_000;
/// A twin keeps only this much of its trace; when it is taken it adopts the rest.
const TRACE_QUOTA: usize = 4 << 20;

/// The twins of one world.
#[derive(Default)]
pub struct Twins {
    worlds: Vec<World>,
}

impl Twins {
    /// No twins yet.
    pub fn new() -> Twins {
        Twins::default()
    }

    /// The instants at which twins are wanted when the world stands at `now`.
    pub fn wanted(now: Time) -> Vec<Time> {
        let mut spacing = SPACING;
        while now.as_nanos() / spacing > MAX as u64 {
            spacing *= 2;
        }
        (1..=now.as_nanos() / spacing).map(|n| Time(n * spacing)).filter(|t| *t < now).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.worlds.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.worlds.is_empty()
    }

    /// Works towards the wanted twins for about `budget` polls of the executor. `true` when
    /// there is nothing left to do.
    ///
    /// # Errors
    /// If a twin cannot be made.
    pub fn refill(
        &mut self,
        engine: &Engine,
        images: &Images,
        recording: &Recording,
        now: Time,
        budget: u64,
    ) -> Result<bool, ReplayError> {
        let wanted = Twins::wanted(now);
        // The latest instant first: that is where most rewinds go.
        let Some(missing) =
            wanted.iter().rev().find(|w| !self.worlds.iter().any(|t| t.now() == **w))
        else {
            return Ok(true);
        };
        let spare = |t: &World| !wanted.contains(&t.now()) && t.now() < *missing;
        let index = match self.worlds.iter().rposition(spare) {
            Some(index) => index,
            None => {
                let world = begin(engine, images, recording)?;
                world.trace().set_quota(TRACE_QUOTA);
                self.worlds.insert(0, world);
                0
            }
        };
        let twin = &mut self.worlds[index];
        // Inputs that came since the twin was made lie ahead of it too.
        twin.expect(recording);
        if twin.run_until(*missing, budget) == Stop::Livelock {
            return Err(ReplayError::Livelock(twin.now()));
        }
        self.worlds.sort_by_key(World::now);
        while self.worlds.len() > MAX + 1 {
            self.worlds.remove(0);
        }
        Ok(false)
    }

    /// Takes the latest twin that is not after `at`.
    pub fn take(&mut self, at: Time) -> Option<World> {
        let index = self.worlds.iter().rposition(|t| t.now() <= at)?;
        Some(self.worlds.remove(index))
    }

    /// The world went back to `at` and may go on differently: twins after it are worth nothing.
    pub fn forget_after(&mut self, at: Time) {
        self.worlds.retain(|t| t.now() <= at);
    }

    /// Gives up all twins: memory is short.
    pub fn clear(&mut self) {
        self.worlds.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_are_few_and_never_far_apart() {
        for seconds in [10u64, 31, 60, 300, 600, 3600, 86_400] {
            let now = Time::from_secs(seconds);
            let wanted = Twins::wanted(now);
            assert!(wanted.len() <= MAX, "{seconds}: {wanted:?}");
            let gaps = [Time::ZERO].iter().chain(&wanted).zip(wanted.iter().chain([&now]));
            let widest = gaps.map(|(a, b)| b.since(*a).as_secs()).max().unwrap();
            assert!(widest <= 60.max(seconds / 2), "{seconds}: {widest} s");
        }
    }
}
