//! Paused copies of a world at earlier instants.
//!
//! A suspended program cannot be copied, but a second world can be run to the same instant. So
//! a world that has run for long keeps a few *twins* behind it; going back means taking the
//! nearest earlier one and running it on. They cost memory only, and are made when the machine
//! has nothing better to do. All worlds of a process share one [`Allowance`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

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

/// How many twins the worlds of a process may have in all. Clones share it.
#[derive(Clone)]
pub struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    /// Room for so many.
    pub fn of(twins: usize) -> Allowance {
        Allowance(Arc::new(AtomicUsize::new(twins)))
    }

    fn take(&self) -> Option<Place> {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).ok()?;
        Some(Place(self.clone()))
    }
}

/// The room of one twin; it is given back when the twin goes.
struct Place(Allowance);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Relaxed);
    }
}

struct Twin {
    world: World,
    _place: Place,
}

/// The twins of one world.
pub struct Twins {
    twins: Vec<Twin>,
    allowance: Allowance,
}

impl Twins {
    /// No twins yet.
    pub fn new(allowance: &Allowance) -> Twins {
        Twins { twins: Vec::new(), allowance: allowance.clone() }
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
        self.twins.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.twins.is_empty()
    }

    /// Works towards the wanted twins for about `budget` polls of the executor. `true` when
    /// there is nothing left to do, or no room for more.
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
            wanted.iter().rev().find(|w| !self.twins.iter().any(|t| t.world.now() == **w))
        else {
            return Ok(true);
        };
        let spare = |t: &Twin| !wanted.contains(&t.world.now()) && t.world.now() < *missing;
        let index = match self.twins.iter().rposition(spare) {
            Some(index) => index,
            None => {
                let Some(place) = self.allowance.take() else { return Ok(true) };
                let world = begin(engine, images, recording)?;
                world.trace().set_quota(TRACE_QUOTA);
                self.twins.insert(0, Twin { world, _place: place });
                0
            }
        };
        let twin = &mut self.twins[index].world;
        // Inputs that came since the twin was made lie ahead of it too.
        twin.expect(recording);
        if twin.run_until(*missing, budget) == Stop::Livelock {
            return Err(ReplayError::Livelock(twin.now()));
        }
        self.twins.sort_by_key(|t| t.world.now());
        while self.twins.len() > MAX + 1 {
            self.twins.remove(0);
        }
        Ok(false)
    }

    /// Takes the latest twin that is not after `at`.
    pub fn take(&mut self, at: Time) -> Option<World> {
        let index = self.twins.iter().rposition(|t| t.world.now() <= at)?;
        Some(self.twins.remove(index).world)
    }

    /// The world went back to `at` and may go on differently: twins after it are worth nothing.
    pub fn forget_after(&mut self, at: Time) {
        self.twins.retain(|t| t.world.now() <= at);
    }

    /// Gives up all twins: memory is short.
    pub fn clear(&mut self) {
        self.twins.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_shared_and_given_back() {
        let allowance = Allowance::of(2);
        let (first, second) = (allowance.take(), allowance.clone().take());
        assert!(first.is_some() && second.is_some() && allowance.take().is_none());
        drop(first);
        assert!(allowance.take().is_some());
    }

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
