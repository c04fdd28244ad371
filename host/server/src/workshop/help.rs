//! What the instructor gives learners of an exercise: a hint, or the solution.
//!
//! It opens in the learner's page as if they had opened it themselves, but is not counted as
//! theirs: the board tells what they needed by themselves.

use std::collections::BTreeMap;

use podlab_lab::Exercise;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::workshop::register::{Given, Record, Seat};
use crate::workshop::{Workshop, no_seat, seconds};

/// So many exercises are remembered, of everybody and of each seat.
const MAX_EXERCISES: usize = 200;

/// What is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gift {
    /// So many hints, from the first on.
    Hints(u32),
    /// The solution.
    Solution,
}

impl Workshop {
    /// Gives a hint or the solution of an exercise to a learner, or to everybody.
    ///
    /// # Errors
    /// If there is no such seat, or no such hint.
    pub fn give(
        &self,
        seat: Option<u32>,
        pattern: &str,
        exercise: &Exercise,
        gift: Gift,
    ) -> Result<(), ApiError> {
        let there = exercise.file.hints.len();
        if let Gift::Hints(n) = gift
            && (n == 0 || usize::try_from(n).unwrap_or(usize::MAX) > there)
        {
            return Err(ApiError::bad(
                format!("there is no hint {n}"),
                format!("This exercise has {there}: send a number from 1 to {there}."),
            ));
        }
        let at = seconds();
        let key = format!("{pattern}/{}", exercise.slug);
        let add = move |all: &mut BTreeMap<String, Given>| {
            if all.len() >= MAX_EXERCISES && !all.contains_key(&key) {
                return;
            }
            let given = all.entry(key).or_default();
            given.at = at;
            match gift {
                Gift::Hints(n) => given.hints = given.hints.max(n),
                Gift::Solution => given.solution = true,
            }
        };
        self.change(|record| match seat {
            None => {
                add(&mut record.given);
                Ok(())
            }
            Some(number) => {
                add(&mut record.seats.get_mut(&number).ok_or_else(|| no_seat(number))?.given);
                Ok(())
            }
        })
    }
}

/// What was given to a learner, to them alone or with all others.
pub(super) fn given(record: &Record, seat: &Seat) -> Value {
    let mut all = record.given.clone();
    for (key, own) in &seat.given {
        let both = all.entry(key.clone()).or_default();
        both.hints = both.hints.max(own.hints);
        both.solution |= own.solution;
        both.at = both.at.max(own.at);
    }
    all.into_iter()
        .map(|(key, given)| (key, json!(given)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
