//! A workshop: a room of learners, each in worlds of their own, and an instructor.
//!
//! # Layout
//! - [`gate`]: what each request must show, and what it may then reach
//! - [`viewer`]: who sends a request; [`secrets`], [`attempts`]: what lets people in, and guessing
//! - [`seats`]: taking a seat; [`queue`]: who waits for a seat; [`budget`]: how fast a learner may make worlds
//! - [`register`]: what is kept on disk
//! - [`helm`]: who acts in a learner's world; [`show`], [`help`]: what the instructor shows and gives
//! - [`progress`]: what learners and instructor do in the sections of the plan
//! - [`parking`]: worlds that nobody looks at are put to disk, and come back on touch

pub mod attempts;
pub mod budget;
pub mod gate;
pub mod helm;
pub mod help;
pub mod parking;
pub mod progress;
pub mod queue;
pub mod register;
pub mod seats;
pub mod secrets;
pub mod show;
pub mod viewer;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::http::StatusCode;
use podlab_lab::Plan;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::app::{App, lock, now_nanos};
use crate::error::ApiError;
use attempts::Attempts;
use budget::Budget;
use queue::Queue;
use register::{Place, Record, Register};
use secrets::Digest;
use viewer::Viewer;

/// So many worlds a learner has at once. Those end first in which checks ran, then the oldest, but
/// never the one they came into.
const SHARE: usize = 4;

/// So many attempts of a learner wait for their turn.
const ATTEMPTS: usize = 4;
/// So many kubeconfigs of a world are good at once; the oldest end first.
const MAX_KEYS: usize = 4;

/// How a workshop is to be.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How many learners there may be.
    pub learners: usize,
    /// What is done.
    pub plan: Plan,
    /// Where learners reach it: `http://192.168.0.2:7878`.
    pub address: String,
    /// The certificate that learners' kubectl has to trust, PEM, where it is one of our own.
    pub certificate: Option<String>,
}

/// A workshop.
pub struct Workshop {
    rules: Rules,
    record: Mutex<Record>,
    register: Register,
    broken: AtomicBool,
    attempts: Mutex<Attempts>,
    budget: Mutex<Budget>,
    queue: Mutex<Queue>,
    changed: watch::Sender<u64>,
    /// At which speed worlds go on when all are paused no more.
    speeds: Mutex<BTreeMap<u64, crate::live::Speed>>,
    /// The turns of each learner at having attempts checked: those that wait, and the one that runs.
    turns: Mutex<BTreeMap<u32, [Arc<Semaphore>; 2]>>,
}

impl std::fmt::Debug for Workshop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workshop").finish_non_exhaustive()
    }
}

fn seconds() -> u64 {
    now_nanos() / 1_000_000_000
}

impl Workshop {
    /// Opens a workshop in `dir`, or the one that was there.
    ///
    /// # Errors
    /// A sentence: the folder cannot be used, or there are no random bytes.
    pub fn open(dir: Option<&Path>, rules: Rules) -> Result<Workshop, String> {
        let shown = dir.map(|d| d.display().to_string()).unwrap_or_default();
        let cannot = |e: std::io::Error| format!("{shown}: {e}");
        let register = Register::open(dir).map_err(cannot)?;
        let mut record = match register.read().map_err(cannot)? {
            Some(record) => record,
            None => Record {
                code: secrets::code()?,
                secret: secrets::capability()?,
                section_since: seconds(),
                ..Record::default()
            },
        };
        // The plan may have become shorter since.
        record.section = record.section.min(rules.plan.sections.len().saturating_sub(1));
        register.write(&mut record).map_err(cannot)?;
        Ok(Workshop {
            rules,
            record: Mutex::new(record),
            register,
            broken: AtomicBool::new(false),
            attempts: Mutex::new(Attempts::new(Instant::now())),
            budget: Mutex::default(),
            queue: Mutex::default(),
            changed: watch::channel(1).0,
            speeds: Mutex::default(),
            turns: Mutex::default(),
        })
    }

    /// How it is to be.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether learners reach it over TLS.
    pub fn speaks_tls(&self) -> bool {
        self.rules.address.starts_with("https:")
    }

    /// The join code.
    pub fn code(&self) -> String {
        lock(&self.record).code.clone()
    }

    /// The instructor's secret.
    pub fn secret(&self) -> String {
        lock(&self.record).secret.clone()
    }

    /// Where learners join; the code is in the fragment, which browsers send to nobody.
    pub fn join_link(&self) -> String {
        format!("{}/#/join?code={}", self.rules.address, self.code())
    }

    /// Tells whenever something has changed; the value counts the changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Reads what is kept.
    pub fn read<T>(&self, f: impl FnOnce(&Record) -> T) -> T {
        f(&lock(&self.record))
    }

    /// Changes what is kept, and keeps it. A disk that is full stops the register, not the
    /// workshop; the board says so.
    pub fn change<T>(&self, f: impl FnOnce(&mut Record) -> T) -> T {
        let value = {
            let mut record = lock(&self.record);
            let value = f(&mut record);
            let written = self.register.write(&mut record);
            let failed = written.is_err();
            if let Err(error) = written
                && !self.broken.swap(true, Relaxed)
            {
                tracing::error!(%error, "the workshop's register is not written any more");
            }
            if !failed {
                self.broken.store(false, Relaxed);
            }
            value
        };
        self.changed.send_modify(|n| *n += 1);
        value
    }

    /// Whether the register cannot be written.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// Whose capability this is.
    pub fn who(&self, capability: &str) -> Viewer {
        let digest = Digest::of(capability);
        let record = lock(&self.record);
        if Digest::of(&record.secret) == digest {
            return Viewer::Instructor;
        }
        // Digests: what their comparison takes tells nothing of capabilities.
        let hex = digest.hex();
        let mut seats = record.seats.iter();
        if let Some((number, _)) = seats.find(|(_, seat)| seat.capabilities.contains(&hex)) {
            return Viewer::Learner(*number);
        }
        drop(record);
        lock(&self.queue).holder(&hex).map_or(Viewer::Nobody, Viewer::Waiting)
    }

    /// Compares something typed with what would let its sender in, if they may still try.
    fn attempt<T>(
        &self,
        from: IpAddr,
        f: impl FnOnce() -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        lock(&self.attempts).take(from, Instant::now()).map_err(|wait| {
            let seconds = wait.as_secs() + 1;
            ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyAttempts",
                "there were too many wrong attempts",
                format!("Wait {seconds} s, then look at the code again."),
            )
            .after(seconds)
        })?;
        let result = f();
        // Only what was wrong costs: a full room or a name that is taken is no guess.
        if result.as_ref().err().is_some_and(|e| e.reason == "Wrong") {
            tracing::warn!(%from, "a wrong code, word or link");
        }
        if result.as_ref().err().is_none_or(|e| e.reason != "Wrong") {
            lock(&self.attempts).right(from);
        }
        result
    }

    /// Takes a world from what a seat may make.
    ///
    /// # Errors
    /// If it makes them too fast.
    pub fn spend(&self, seat: u32) -> Result<(), ApiError> {
        lock(&self.budget).spend(seat, Instant::now())
    }

    /// A capability with which kubectl reaches a learner's world.
    ///
    /// # Errors
    /// If it is not theirs.
    pub fn kube_key(&self, seat: u32, number: u64) -> Result<String, ApiError> {
        let key = secrets::capability().map_err(ApiError::internal)?;
        self.change(|record| {
            let place = record.worlds.get_mut(&number).filter(|p| p.seat == seat);
            let place = place.ok_or_else(|| App::no_world(&format!("w{number}")))?;
            place.keys.push(Digest::of(&key).hex());
            let over = place.keys.len().saturating_sub(MAX_KEYS);
            place.keys.drain(..over);
            Ok(key)
        })
    }

    /// Whether kubectl reaches a world with this.
    pub fn is_key(&self, number: u64, key: &str) -> bool {
        let hex = Digest::of(key).hex();
        self.read(|record| record.worlds.get(&number).is_some_and(|p| p.keys.contains(&hex)))
    }

    /// Lets the instructor in.
    ///
    /// # Errors
    /// If it is not the secret.
    pub fn instruct(&self, from: IpAddr, secret: &str) -> Result<String, ApiError> {
        let expected = Digest::of(&self.secret());
        self.attempt(from, || {
            if expected.is(secret) {
                return Ok(secret.to_owned());
            }
            Err(wrong(
                "this is not the instructor's link",
                "Take the link from the terminal again.",
            ))
        })
    }

    /// Waits for a learner's turn to have an attempt checked: one at a time, few in line.
    ///
    /// # Errors
    /// If too many wait already.
    pub async fn turn(&self, seat: u32) -> Result<[OwnedSemaphorePermit; 2], ApiError> {
        let [line, one] = {
            let mut turns = lock(&self.turns);
            let new = || [ATTEMPTS, 1].map(|n| Arc::new(Semaphore::new(n)));
            turns.entry(seat).or_insert_with(new).clone()
        };
        let busy = || {
            ApiError::too_many(
                format!("{ATTEMPTS} attempts of yours are being looked at already"),
                "Wait for what they come to.",
            )
        };
        let line = line.try_acquire_owned().map_err(|_| busy())?;
        let one = one.acquire_owned().await.map_err(|_| busy())?;
        Ok([line, one])
    }

    /// Whose a world is.
    pub fn place(&self, number: u64) -> Option<Place> {
        self.read(|record| record.worlds.get(&number).cloned())
    }

    /// Whether somebody may see and use a world.
    pub fn may(&self, viewer: Viewer, number: u64) -> bool {
        match viewer {
            Viewer::Owner | Viewer::Instructor => true,
            Viewer::Learner(seat) => self.place(number).is_some_and(|p| p.seat == seat),
            Viewer::Waiting(_) | Viewer::Nobody => false,
        }
    }

    /// Makes a world a learner's own. Those over their share are given back, to be ended.
    pub fn claim(&self, seat: u32, number: u64, pattern: &str, seed: u64) -> Vec<u64> {
        self.change(|record| {
            let home = record.seats.get(&seat).and_then(|s| s.home);
            let place =
                Place { seat, pattern: pattern.into(), seed, passing: false, keys: Vec::new() };
            record.worlds.insert(number, place);
            let theirs = record.worlds.iter().filter(|(n, p)| p.seat == seat && Some(**n) != home);
            let mut others: Vec<(bool, u64)> = theirs.map(|(n, p)| (!p.passing, *n)).collect();
            others.sort_unstable();
            let keep = SHARE - usize::from(home.is_some());
            let over = others.len().saturating_sub(keep);
            let over: Vec<u64> = others.into_iter().take(over).map(|(_, n)| n).collect();
            record.worlds.retain(|n, _| !over.contains(n));
            over
        })
    }

    /// The world is only there to look at what checks came to.
    pub fn passing(&self, number: u64) {
        self.change(|record| {
            if let Some(place) = record.worlds.get_mut(&number) {
                place.passing = true;
            }
        });
    }

    /// The world is no more.
    pub fn forget(&self, number: u64) {
        if self.place(number).is_none() {
            return;
        }
        self.change(|record| {
            record.worlds.remove(&number);
            for seat in record.seats.values_mut().filter(|s| s.home == Some(number)) {
                seat.home = None;
            }
        });
    }

    /// The world a learner came into is this one.
    pub fn settle(&self, seat: u32, number: u64) {
        self.change(|record| {
            if let Some(seat) = record.seats.get_mut(&seat) {
                seat.home = Some(number);
            }
        });
    }

    /// The pattern whose world a learner comes into: of the present section, else of the next
    /// one that has one, else of any.
    pub fn first_pattern(&self) -> Option<String> {
        let at = self.read(|record| record.section);
        let sections = &self.rules.plan.sections;
        let after = sections.iter().skip(at).chain(sections.iter().take(at).rev());
        after.filter_map(|s| s.pattern.clone()).next()
    }
}

fn wrong(message: &str, remedy: &str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "Wrong", message, remedy)
}

fn no_seat(seat: u32) -> ApiError {
    ApiError::not_found(format!("there is no seat {seat}"), "The board lists them.")
}
