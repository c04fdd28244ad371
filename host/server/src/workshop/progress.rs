//! What learners and the instructor do in the sections of the plan, and what each of them sees.

use std::sync::Arc;

use podlab_lab::plan::{Kind, Section};
use serde_json::{Value, json};

use crate::app::{App, lock, now_nanos};
use crate::error::ApiError;
use crate::live::Speed;
use crate::workshop::help::given;
use crate::workshop::register::{Progress, Record, Seat};
use crate::workshop::show::moment;
use crate::workshop::{Workshop, no_seat, seconds};

/// A message is at most so many characters long.
const MAX_MESSAGE: usize = 2000;
/// So many exercises are remembered of a learner.
const MAX_EXERCISES: usize = 200;
/// So many failing checks are remembered of an attempt, each so long.
const MAX_FAILING: (usize, usize) = (16, 200);

/// What the instructor does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Goes to a section, from 0.
    Section(usize),
    /// Stops all worlds, or lets them go on.
    Pause(bool),
    /// Says something to everybody; nothing takes it away.
    Message(String),
    /// Shows everybody how the question was answered, or hides it.
    Reveal(bool),
}

fn key(pattern: &str, exercise: &str) -> String {
    format!("{pattern}/{exercise}")
}

impl Workshop {
    /// The section the room is in.
    fn section<'a>(&'a self, record: &Record) -> Option<&'a Section> {
        self.rules.plan.sections.get(record.section)
    }

    fn of_seat<T>(
        &self,
        seat: u32,
        f: impl FnOnce(&mut Seat) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        self.change(|record| f(record.seats.get_mut(&seat).ok_or_else(|| no_seat(seat))?))
    }

    /// A learner wants to be looked after, or does not any more.
    ///
    /// # Errors
    /// If there is no such seat.
    pub fn raise(&self, seat: u32, hand: bool) -> Result<(), ApiError> {
        self.of_seat(seat, |seat| {
            seat.hand = hand;
            Ok(())
        })
    }

    /// A learner answers the question of the present section; `answer` counts from 1.
    ///
    /// # Errors
    /// If there is no such question or answer, or the answers are shown already.
    pub fn answer(&self, seat: u32, section: &str, answer: usize) -> Result<(), ApiError> {
        let now = self.read(|record| (self.section(record).cloned(), record.revealed));
        let (Some(Section { name, question: Some(question), .. }), revealed) = now else {
            return Err(ApiError::conflict("nothing is asked now", "Wait for the next question."));
        };
        if name != section {
            return Err(ApiError::conflict(
                "this question is over",
                "Look at the present section.",
            ));
        }
        if revealed {
            return Err(ApiError::conflict(
                "the answers are shown already",
                "Wait for the next question.",
            ));
        }
        if answer == 0 || answer > question.answers.len() {
            return Err(ApiError::bad(
                format!("there is no answer {answer}"),
                format!("Send a number from 1 to {}.", question.answers.len()),
            ));
        }
        self.of_seat(seat, |seat| {
            seat.answers.insert(name, answer);
            Ok(())
        })
    }

    fn progress(
        &self,
        seat: u32,
        pattern: &str,
        exercise: &str,
        f: impl FnOnce(&mut Progress),
    ) -> Result<(), ApiError> {
        self.of_seat(seat, |seat| {
            let known = seat.exercises.contains_key(&key(pattern, exercise));
            if known || seat.exercises.len() < MAX_EXERCISES {
                let begun = || Progress { since: seconds(), ..Progress::default() };
                f(seat.exercises.entry(key(pattern, exercise)).or_insert_with(begun));
            }
            Ok(())
        })
    }

    /// A learner begins an exercise.
    ///
    /// # Errors
    /// If there is no such seat.
    pub fn began(&self, seat: u32, pattern: &str, exercise: &str) -> Result<(), ApiError> {
        self.progress(seat, pattern, exercise, |_| {})
    }

    /// A learner has opened so many hints.
    ///
    /// # Errors
    /// If there is no such seat.
    pub fn hints(
        &self,
        seat: u32,
        pattern: &str,
        exercise: &str,
        hints: u32,
    ) -> Result<(), ApiError> {
        self.progress(seat, pattern, exercise, |p| p.hints = p.hints.max(hints.min(100)))
    }

    /// The checks were run on what a learner has made; `failing` did not pass.
    ///
    /// # Errors
    /// If there is no such seat.
    pub fn checked(
        &self,
        seat: u32,
        pattern: &str,
        exercise: &str,
        pass: bool,
        failing: Vec<String>,
    ) -> Result<(), ApiError> {
        self.progress(seat, pattern, exercise, |p| {
            if pass {
                p.solved_at.get_or_insert_with(seconds);
                p.solved = true;
            } else {
                p.failed = p.failed.saturating_add(1);
            }
            let short = |s: String| s.chars().take(MAX_FAILING.1).collect();
            p.failing = failing.into_iter().take(MAX_FAILING.0).map(short).collect();
        })
    }

    /// How many picked which answer of a question.
    fn distribution(&self, record: &Record, section: &Section) -> Vec<usize> {
        let answers = section.question.as_ref().map_or(0, |q| q.answers.len());
        let mut counts = vec![0; answers];
        for seat in record.seats.values() {
            let picked = seat.answers.get(&section.name).and_then(|n| n.checked_sub(1));
            if let Some(count) = picked.and_then(|n| counts.get_mut(n)) {
                *count += 1;
            }
        }
        counts
    }

    /// The present section as learners see it: without notes, and without what is right until
    /// the instructor shows it.
    fn shown(&self, record: &Record) -> Value {
        let Some(section) = self.section(record) else { return Value::Null };
        let mut value = json!({
            "number": record.section + 1, "of": self.rules.plan.sections.len(), "name": section.name,
            "kind": section.kind, "title": section.title, "minutes": section.minutes,
            "pattern": section.pattern, "exercise": section.exercise, "since": record.section_since,
        });
        if let Some(question) = &section.question {
            value["question"] = json!({ "ask": question.ask, "answers": question.answers });
            if record.revealed {
                value["question"]["counts"] = json!(self.distribution(record, section));
                value["question"]["right"] = json!(question.right);
                value["question"]["why"] = json!(question.why);
            }
        }
        value
    }

    /// What a learner sees of the workshop.
    ///
    /// # Errors
    /// If there is no such seat.
    pub fn learner(&self, seat: u32) -> Result<Value, ApiError> {
        self.read(|record| {
            let own = record.seats.get(&seat).ok_or_else(|| no_seat(seat))?;
            let picked = self.section(record).and_then(|s| own.answers.get(&s.name));
            Ok(json!({
                "seat": seat, "name": own.name, "title": self.rules.plan.title, "hand": own.hand,
                "home": own.home.map(|n| format!("w{n}")), "answer": picked,
                "section": self.shown(record), "paused": record.paused,
                "message": { "number": record.message.0, "text": record.message.1 },
                "invited": own.invited, "driven": own.driven, "moment": moment(record),
                "given": given(record, own),
            }))
        })
    }

    /// What the instructor sees.
    pub fn board(&self, app: &App) -> Value {
        let running: std::collections::BTreeMap<u64, _> =
            app.worlds().into_iter().map(|w| (w.number(), w)).collect();
        let (now, queue) = (seconds(), self.queued());
        self.read(|record| {
            let seat = |(number, seat): (&u32, &Seat)| {
                let worlds: Vec<Value> = record
                    .worlds
                    .iter()
                    .filter(|(_, place)| place.seat == *number)
                    .map(|(n, place)| {
                        let live = running.get(n);
                        let status = live.map(|l| l.status());
                        let field = |name: &str| status.as_ref().map(|s| s[name].clone());
                        json!({
                            "id": format!("w{n}"), "pattern": place.pattern, "parked": live.is_none(),
                            "watched": live.is_some_and(|l| l.is_watched()),
                            "quiet": live.map(|l| l.untouched().as_secs()),
                            "lagging": field("lagging"), "dead": field("dead"),
                        })
                    })
                    .collect();
                let exercises: Value = seat
                    .exercises
                    .iter()
                    .map(|(name, p)| (name.clone(), serde_json::to_value(p).unwrap_or_default()))
                    .collect::<serde_json::Map<_, _>>()
                    .into();
                let section = self.section(record);
                let at = section.and_then(|s| Some(key(s.pattern.as_ref()?, s.exercise.as_ref()?)));
                let here = at.and_then(|at| seat.exercises.get(&at));
                json!({
                    "seat": number, "name": seat.name, "hand": seat.hand, "invited": seat.invited,
                    "driven": seat.driven, "given": seat.given, "joined": seat.joined,
                    "home": seat.home.map(|n| format!("w{n}")), "worlds": worlds,
                    "exercises": exercises, "here": here,
                    "answered": section.is_some_and(|s| seat.answers.contains_key(&s.name)),
                })
            };
            let section = self.section(record);
            let mut shown = self.shown(record);
            if let Some(section) = section {
                shown["notes"] = json!(section.notes);
                if let Some(question) = &section.question {
                    shown["question"]["counts"] = json!(self.distribution(record, section));
                    shown["question"]["right"] = json!(question.right);
                    shown["question"]["why"] = json!(question.why);
                }
            }
            let outline: Vec<Value> = self
                .rules
                .plan
                .sections
                .iter()
                .map(|s| json!({ "name": s.name, "kind": s.kind, "title": s.title, "minutes": s.minutes }))
                .collect();
            json!({
                "title": self.rules.plan.title, "now": now, "section": shown, "outline": outline,
                "paused": record.paused, "revealed": record.revealed, "message": record.message.1,
                "given": record.given, "queue": queue, "moment": moment(record),
                "projected": record.projected.as_ref().map(|p| format!("w{}", p.world)),
                "learners": self.rules.learners, "broken": self.is_broken(),
                "seats": record.seats.iter().map(seat).collect::<Vec<_>>(),
            })
        })
    }

    /// The results: a line for each learner and exercise or question of the plan, with names or
    /// with the numbers of seats only.
    pub fn results(&self, names: bool) -> Vec<Value> {
        self.read(|record| {
            let mut out = Vec::new();
            for (number, seat) in &record.seats {
                for section in &self.rules.plan.sections {
                    let exercise = match (section.kind, &section.pattern, &section.exercise) {
                        (Kind::Exercise, Some(pattern), Some(slug)) => {
                            seat.exercises.get(&key(pattern, slug)).cloned().unwrap_or_default()
                        }
                        (Kind::Question, ..) => Progress::default(),
                        _ => continue,
                    };
                    let answer = seat.answers.get(&section.name);
                    let right = section.question.as_ref().and_then(|q| q.right);
                    let took = exercise.solved_at.map(|at| at.saturating_sub(exercise.since));
                    out.push(json!({
                        "seat": number, "name": if names { seat.name.as_str() } else { "" },
                        "section": section.name, "kind": section.kind,
                        "solved": (section.kind == Kind::Exercise).then_some(exercise.solved),
                        "failedAttempts": exercise.failed, "hints": exercise.hints, "seconds": took,
                        "answer": answer, "right": answer.and(right).map(|r| answer == Some(&r)),
                    }));
                }
            }
            out
        })
    }

    /// Does what the instructor wants.
    ///
    /// # Errors
    /// If there is no such section, or the message is too long.
    pub fn lead(&self, app: &Arc<App>, deed: Deed) -> Result<(), ApiError> {
        match deed {
            Deed::Section(n) => {
                let sections = self.rules.plan.sections.len();
                if n >= sections {
                    return Err(ApiError::bad(
                        format!("there is no section {}", n + 1),
                        format!("The plan has {sections}."),
                    ));
                }
                self.change(|record| {
                    record.section = n;
                    record.section_since = now_nanos() / 1_000_000_000;
                    record.revealed = false;
                });
            }
            Deed::Pause(paused) => self.pause(app, paused),
            Deed::Message(text) => {
                if text.chars().count() > MAX_MESSAGE {
                    return Err(ApiError::bad(
                        format!("the message is longer than {MAX_MESSAGE} characters"),
                        "Say less at once.",
                    ));
                }
                self.change(|record| record.message = (record.message.0.wrapping_add(1), text));
            }
            Deed::Reveal(revealed) => self.change(|record| record.revealed = revealed),
        }
        Ok(())
    }

    /// Stops the worlds of all learners, or lets those go on that ran.
    fn pause(&self, app: &Arc<App>, paused: bool) {
        // First the flag: a world that wakes meanwhile wakes paused.
        self.change(|record| record.paused = paused);
        let mut speeds = lock(&self.speeds);
        if paused {
            speeds.clear();
            for live in app.worlds() {
                if self.place(live.number()).is_none() {
                    continue;
                }
                speeds.insert(live.number(), live.view().rate());
                // A world that is dead or going back stands still anyway.
                let _ = live.set_speed(Speed::Paused);
                app.driver().poke(&live);
            }
            return;
        }
        let before = std::mem::take(&mut *speeds);
        for live in app.worlds() {
            if self.place(live.number()).is_none() {
                continue;
            }
            // Of a world that woke meanwhile nobody knows: as fast as real time.
            let speed = before.get(&live.number()).copied().unwrap_or(Speed::Rate(1.0));
            // As above.
            let _ = live.set_speed(speed);
            app.driver().poke(&live);
        }
    }

    /// The speed with which a new world of a learner begins: it stands still while all do, and
    /// goes on as `wanted` with them.
    pub fn speed(&self, number: u64, wanted: Speed) -> Speed {
        if !self.read(|record| record.paused) {
            return wanted;
        }
        lock(&self.speeds).insert(number, wanted);
        Speed::Paused
    }
}
