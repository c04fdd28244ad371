//! Taking a seat: with the code, out of the queue, or again with the recovery word.

use std::net::IpAddr;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::register::Seat;
use super::secrets::{self, Digest};
use super::{Workshop, gate, no_seat, seconds, wrong};
use crate::app::lock;
use crate::error::ApiError;

/// A name is at most so many characters long.
const MAX_NAME: usize = 40;
/// So many browsers may have one seat; the oldest lose it.
const MAX_BROWSERS: usize = 4;

/// What somebody who joins is given; the word and the capability are told this once.
pub struct Joined {
    /// Their seat.
    pub seat: u32,
    /// Their name, as others see it.
    pub name: String,
    /// What their browser keeps.
    pub capability: String,
    /// What they write down, where it is new.
    pub word: Option<String>,
}

/// What came of joining.
pub enum Entry {
    /// They have a seat.
    Seated(Joined),
    /// They wait for one.
    Waiting {
        /// Their name, as others see it.
        name: String,
        /// What their browser keeps: their ticket, and later their seat.
        capability: String,
    },
}

/// A name as it is shown: without characters that change how others are shown.
fn proper(name: &str) -> Option<String> {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let plain: String = name.chars().map(|c| if hidden(c) { ' ' } else { c }).collect();
    let name = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    (!name.is_empty() && name.chars().count() <= MAX_NAME).then_some(name)
}

impl Workshop {
    /// Gives a seat to somebody who knows the code, or a place in the queue: while all seats are
    /// taken, while others wait, and while there are `worlds` worlds left and that is none.
    ///
    /// # Errors
    /// If the code is wrong, the name is taken or no name, or too many wait.
    pub fn join(
        &self,
        from: IpAddr,
        code: &str,
        name: &str,
        worlds: usize,
    ) -> Result<Entry, ApiError> {
        let expected = Digest::of(&self.code());
        self.attempt(from, || {
            if !expected.is(&secrets::normal_code(code)) {
                return Err(wrong(
                    "the code is not that of this workshop",
                    "Look at the code on the wall again.",
                ));
            }
            let name = proper(name).ok_or_else(|| {
                let message = format!("a name has 1 to {MAX_NAME} characters");
                ApiError::bad(message, "Type the name that the instructor should see.")
            })?;
            let capability = secrets::capability().map_err(ApiError::internal)?;
            let same = |s: &Seat| s.name.to_lowercase() == name.to_lowercase();
            let taken = self.read(|record| record.seats.values().any(same));
            let mut queue = lock(&self.queue);
            if taken || queue.knows(&name) {
                return Err(name_taken(&name));
            }
            if queue.is_empty() && self.free_seats(worlds) > 0 {
                drop(queue);
                let digest = Digest::of(&capability).hex();
                let (seat, word) = self.seat(&name, digest)?;
                return Ok(Entry::Seated(Joined { seat, name, capability, word: Some(word) }));
            }
            let ticket = queue.add(&name, &capability);
            drop(queue);
            self.changed.send_modify(|n| *n += 1);
            match ticket {
                Some(_) => Ok(Entry::Waiting { name, capability }),
                None => Err(ApiError::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "RoomFull",
                    format!(
                        "all {} seats are taken, and too many wait already",
                        self.rules.learners
                    ),
                    "Ask the instructor: the board can free a seat.",
                )
                .after(30)),
            }
        })
    }

    /// How many may sit down, if there may be so many more worlds.
    fn free_seats(&self, worlds: usize) -> usize {
        let taken = self.read(|record| record.seats.len());
        self.rules.learners.saturating_sub(taken).min(worlds)
    }

    /// A new seat: its number and recovery word. There is still room when it is made, whoever
    /// else sits down meanwhile.
    fn seat(&self, name: &str, digest: String) -> Result<(u32, String), ApiError> {
        let word = secrets::word().map_err(ApiError::internal)?;
        let seat = self.change(|record| {
            let same = |s: &Seat| s.name.to_lowercase() == name.to_lowercase();
            if record.seats.values().any(same) {
                return Err(name_taken(name));
            }
            if record.seats.len() >= self.rules.learners {
                return Err(ApiError::conflict("the seat is taken again", "Wait for the next."));
            }
            let number = record.seats.keys().next_back().map_or(1, |last| last + 1);
            let seat = Seat {
                name: name.to_owned(),
                capabilities: vec![digest],
                word: Digest::of(&secrets::normal_word(&word)).hex(),
                joined: seconds(),
                ..Seat::default()
            };
            record.seats.insert(number, seat);
            Ok(number)
        })?;
        tracing::info!(seat, "a learner joins");
        Ok((seat, word))
    }

    /// What somebody who waits sees: their place from 1, and whether a seat is free for them.
    ///
    /// # Errors
    /// If they do not wait any more.
    pub fn waiting(&self, ticket: u32, worlds: usize) -> Result<Value, ApiError> {
        let place = lock(&self.queue).place(ticket);
        let (at, of) = place.ok_or_else(gate::no_seat)?;
        Ok(json!({ "place": at + 1, "of": of, "ready": at < self.free_seats(worlds) }))
    }

    /// Gives somebody who waits the seat that is free for them; `capability` is their ticket's.
    ///
    /// # Errors
    /// If none is.
    pub fn sit_down(
        &self,
        ticket: u32,
        capability: String,
        worlds: usize,
    ) -> Result<Joined, ApiError> {
        let (name, digest) = {
            let mut queue = lock(&self.queue);
            let (at, _) = queue.place(ticket).ok_or_else(gate::no_seat)?;
            if at >= self.free_seats(worlds) {
                return Err(ApiError::conflict(
                    "no seat is free yet",
                    "Wait: the page asks again.",
                ));
            }
            queue.remove(ticket).ok_or_else(gate::no_seat)?
        };
        let (seat, word) = self.seat(&name, digest)?;
        Ok(Joined { seat, name, capability, word: Some(word) })
    }

    /// Somebody who waited waits no more.
    pub fn give_up(&self, ticket: u32) {
        lock(&self.queue).remove(ticket);
        self.changed.send_modify(|n| *n += 1);
    }

    /// Who waits, as the board shows it.
    pub fn queued(&self) -> Value {
        lock(&self.queue).told()
    }

    /// How many wait.
    pub fn queue_length(&self) -> usize {
        lock(&self.queue).len()
    }

    /// Gives a seat back to somebody who knows its recovery word.
    ///
    /// # Errors
    /// If name and word do not belong together.
    pub fn come_back(&self, from: IpAddr, name: &str, word: &str) -> Result<Joined, ApiError> {
        let name = proper(name).unwrap_or_default();
        let digest = Digest::of(&secrets::normal_word(word));
        self.attempt(from, || {
            let capability = secrets::capability().map_err(ApiError::internal)?;
            let found = self.read(|record| {
                let same = |s: &Seat| {
                    s.name.to_lowercase() == name.to_lowercase()
                        && Digest::from_hex(&s.word).is_some_and(|word| word == digest)
                };
                record.seats.iter().find(|(_, s)| same(s)).map(|(n, _)| *n)
            });
            let found = found.and_then(|number| {
                self.change(|record| {
                    let seat = record.seats.get_mut(&number)?;
                    seat.capabilities.push(Digest::of(&capability).hex());
                    let over = seat.capabilities.len().saturating_sub(MAX_BROWSERS);
                    seat.capabilities.drain(..over);
                    Some((number, seat.name.clone()))
                })
            });
            let (seat, name) = found.ok_or_else(|| {
                wrong(
                    "name and recovery word do not belong together",
                    "Type both as they were shown when you joined, or ask the instructor for a new word.",
                )
            })?;
            tracing::info!(seat, "a learner comes back");
            Ok(Joined { seat, name, capability, word: None })
        })
    }

    /// A new recovery word for a seat; the old one is good no more.
    ///
    /// # Errors
    /// If there is no such seat.
    pub fn new_word(&self, seat: u32) -> Result<String, ApiError> {
        let word = secrets::word().map_err(ApiError::internal)?;
        self.change(|record| match record.seats.get_mut(&seat) {
            Some(seat) => {
                seat.word = Digest::of(&secrets::normal_word(&word)).hex();
                Ok(word)
            }
            None => Err(no_seat(seat)),
        })
    }

    /// Frees a seat; the worlds that were its are given back, to be ended.
    ///
    /// # Errors
    /// If there is no such seat.
    pub fn free(&self, seat: u32) -> Result<Vec<u64>, ApiError> {
        self.change(|record| {
            record.seats.remove(&seat).ok_or_else(|| no_seat(seat))?;
            let theirs = record.worlds.iter().filter(|(_, p)| p.seat == seat);
            let theirs: Vec<u64> = theirs.map(|(n, _)| *n).collect();
            record.worlds.retain(|_, p| p.seat != seat);
            Ok(theirs)
        })
    }
}

fn name_taken(name: &str) -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        "NameTaken",
        format!("somebody is here as {name:?} already"),
        "If it is you, come back with your recovery word; else add a letter to your name.",
    )
}
