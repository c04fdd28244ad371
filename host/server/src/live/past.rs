//! Going back, and forking.
//!
//! An earlier instant is reached by running the recording again, from the nearest twin or from
//! the beginning. That may take a while, so it happens outside the lock; the world stands still
//! meanwhile and takes no inputs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use podlab_sim::Time;
use podlab_world::{Recording, World, replay};

use super::{Live, Speed};
use crate::app::lock;
use crate::error::ApiError;

/// Nobody can wait for a world that is asked to go further ahead than this, in ns.
const MAX_AHEAD: u64 = 24 * 3600 * 1_000_000_000;

impl Live {
    /// Goes to `at`: back by running again, forward by running on as fast as possible. The world
    /// is paused when it arrives; a jump forward is under way when this returns.
    ///
    /// # Errors
    /// If the instant is too far ahead, or the recording cannot be run again.
    pub fn seek(&self, at: Time) -> Result<(), ApiError> {
        let (whole, images) = {
            let back = self.with(|inner| {
                let now = inner.world.now();
                if at >= now {
                    if at.as_nanos() - now.as_nanos() > MAX_AHEAD {
                        return Err(ApiError::bad(
                            format!("{at} is more than a day ahead"),
                            "Run the world at full speed instead: {\"speed\": \"max\"}.",
                        ));
                    }
                    inner.set_pace(Speed::Max, Some(at.as_nanos()));
                    return Ok(None);
                }
                let whole = inner.whole_recording();
                inner.busy = true;
                Ok(Some((whole, inner.world.images().clone())))
            })??;
            match back {
                Some(found) => found,
                None => return Ok(()),
            }
        };
        let earlier = self.run_again(&images, &whole, at);
        let mut inner = lock(&self.inner);
        inner.busy = false;
        let result = match earlier {
            Ok(mut world) => {
                world.take_over(&inner.world);
                inner.connections.break_all("the world went back in time");
                inner.world = world;
                inner.whole = Some(whole);
                inner.twins_until = 0;
                inner.set_pace(Speed::Paused, None);
                let mut view = lock(&self.view);
                view.trace = inner.world.trace().clone();
                view.rewinds += 1;
                Ok(())
            }
            Err(error) => Err(error),
        };
        self.publish(&inner);
        result
    }

    /// Another world, with the history of this one up to `at`, that may go on differently.
    ///
    /// # Errors
    /// If `at` lies ahead, or the recording cannot be run again.
    pub fn fork(&self, at: Time) -> Result<World, ApiError> {
        let (whole, images) = self.with(|inner| {
            let whole = inner.whole_recording();
            let end = inner.world.now().max(inner.world.horizon());
            if at > end {
                return Err(ApiError::bad(
                    format!("{at} has not happened yet: the world stands at {end}"),
                    "Fork at an earlier instant.",
                ));
            }
            Ok((whole, inner.world.images().clone()))
        })??;
        let mut world = self.run_again(&images, &whole.until(at), at)?;
        self.with(|inner| world.take_over(&inner.world))?;
        Ok(world)
    }

    fn run_again(
        &self,
        images: &podlab_world::Images,
        recording: &Recording,
        at: Time,
    ) -> Result<World, ApiError> {
        let twin = lock(&self.twins).take(at);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut world = match twin {
                Some(mut twin) => {
                    twin.expect(recording);
                    twin
                }
                None => replay::begin(&self.engine, images, recording)?,
            };
            replay::run(&mut world, at)?;
            Ok::<World, replay::ReplayError>(world)
        }));
        match result {
            Ok(Ok(world)) => Ok(world),
            Ok(Err(error)) => Err(ApiError::refused(
                error.to_string(),
                "Add the image that is missing, then try again.",
            )),
            Err(panic) => Err(ApiError::internal(super::turn::reason(panic.as_ref()))),
        }
    }
}

impl super::Inner {
    /// The recording with what lies ahead, if the world is in its own past.
    fn whole_recording(&mut self) -> Recording {
        match &self.whole {
            Some(whole) => whole.clone(),
            None => {
                self.world.mark();
                self.world.recording().clone()
            }
        }
    }
}
