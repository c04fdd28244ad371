//! What the instructor shows: a learner's world on the projector, a moment on all screens.
//!
//! A moment is a copy of a world that stands at an instant. It belongs to nobody: learners look at
//! it and cannot change it, and what happens in the world it was taken from does not touch it.

use std::sync::Arc;

use podlab_sim::Time;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::live::{Live, Speed};
use crate::workshop::Workshop;
use crate::workshop::register::{Moment, Projected, Record};
use crate::workshop::viewer::Viewer;

/// The words for what is selected are at most so many characters long.
const MAX_WORDS: usize = 300;

/// The moment that the instructor wants to show.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The world's id.
    pub world: String,
    /// The instant, in ns; none for the present.
    pub at: Option<u64>,
    /// What is selected, in words.
    pub what: String,
    /// The event that is inspected.
    pub event: Option<u64>,
    /// What is shown of it.
    pub show: String,
}

impl Workshop {
    /// Throws a learner's world at the wall, or with `None` what is there otherwise.
    ///
    /// # Errors
    /// If it is no learner's world.
    pub fn project(&self, world: Option<&str>, named: bool) -> Result<(), ApiError> {
        let projected = match world {
            None => None,
            Some(id) => {
                let number = App::number(id).filter(|n| self.place(*n).is_some());
                Some(Projected { world: number.ok_or_else(|| App::no_world(id))?, named })
            }
        };
        self.change(|record| record.projected = projected);
        Ok(())
    }

    /// The world on the wall, and whose it is if that is to be told.
    pub fn projected(&self) -> Value {
        self.read(|record| {
            let Some(shown) = &record.projected else { return Value::Null };
            // It may have ended since.
            let Some(place) = record.worlds.get(&shown.world) else { return Value::Null };
            let name = record.seats.get(&place.seat).filter(|_| shown.named).map(|s| &s.name);
            json!({ "world": format!("w{}", shown.world), "pattern": place.pattern, "name": name })
        })
    }

    /// Shows everybody an instant of a world.
    ///
    /// # Errors
    /// If there is no such world or instant, or no room for a copy.
    pub fn show(&self, app: &App, wanted: Wanted) -> Result<Value, ApiError> {
        if wanted.what.chars().count() > MAX_WORDS || wanted.show.chars().count() > MAX_WORDS {
            return Err(ApiError::bad("what is selected has too many words", "Select something."));
        }
        let live: Arc<Live> = match app.world(&wanted.world) {
            Ok(live) => live,
            Err(_) => app.wake(&wanted.world)?,
        };
        let at = wanted.at.unwrap_or_else(|| live.view().now());
        let before = self.read(|record| record.moment.clone());
        // The one that is shown already may be shown again: with another selection.
        let same = before.as_ref().filter(|m| m.world == live.number());
        let world = match same {
            Some(moment) => moment.world,
            None => {
                let copy = live.fork(Time::from_nanos(at))?;
                app.adopt(copy, Speed::Paused, Viewer::Instructor)?.number()
            }
        };
        let moment = self.change(|record| {
            record.moments = record.moments.wrapping_add(1);
            let moment = Moment {
                serial: record.moments,
                world,
                pattern: live.pattern().to_owned(),
                at,
                what: wanted.what,
                event: wanted.event,
                show: wanted.show,
            };
            record.moment = Some(moment.clone());
            moment
        });
        if let Some(old) = before.filter(|old| old.world != world) {
            // The instructor may have ended it.
            let _ = app.delete(&format!("w{}", old.world));
        }
        Ok(told(&moment))
    }

    /// Shows no moment any more; the copy ends.
    pub fn unshow(&self, app: &App) {
        if let Some(old) = self.change(|record| record.moment.take()) {
            // As above.
            let _ = app.delete(&format!("w{}", old.world));
        }
    }
}

/// The moment as pages see it.
pub(super) fn moment(record: &Record) -> Value {
    record.moment.as_ref().map_or(Value::Null, told)
}

fn told(moment: &Moment) -> Value {
    json!({
        "number": moment.serial, "world": format!("w{}", moment.world), "pattern": moment.pattern,
        "at": moment.at, "what": moment.what, "event": moment.event, "show": moment.show,
    })
}
