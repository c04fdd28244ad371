//! What a running program has said and may still do, and whose turn it is.
//!
//! The interpreter cannot be put aside, so that one function of a program runs at a time. While it
//! waits (for an answer, for a time) the container's own tasks go on: it still answers probes. The
//! body of the program is special: while *it* waits, its handlers may run.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, Instant};

use podlab_guest::runtime::{Either, Flag, block_here, race, sleep};
use rhai::{EvalAltResult, FnPtr, Position};

use crate::engine::Answer;

/// The program as it runs.
pub struct State {
    /// Where it began.
    pub began: Instant,
    /// Raised by SIGTERM.
    pub stop: Flag,
    /// How long a request or a step of a conversation may take.
    pub patience: Duration,
    /// What was given after the program's path.
    pub args: Vec<String>,
    /// What answers requests.
    pub on_request: RefCell<Option<FnPtr>>,
    /// What is to be done again and again, and has not been begun.
    every: RefCell<Vec<(Duration, FnPtr)>>,
    /// How many of those there have been.
    timers: Cell<usize>,
    /// Raised when there is another.
    added: RefCell<Flag>,
    /// What is done at SIGTERM.
    pub on_stop: RefCell<Vec<FnPtr>>,
    /// What the program says of itself, if it does.
    pub ready: Cell<Option<bool>>,
    /// The state of its random numbers.
    pub seed: Cell<u64>,
    most: u64,
    operations: Cell<u64>,
    /// Whether a handler is at work (and not the body).
    handling: Cell<bool>,
    /// Whether the turn is somebody's, who perhaps has not begun yet.
    taken: Cell<bool>,
    told: Cell<bool>,
    ending: Cell<bool>,
    waiting: RefCell<VecDeque<Flag>>,
}

impl State {
    /// Of a program that has not begun. `most` operations may be done between two waits.
    pub fn new(stop: Flag, patience: Duration, args: Vec<String>, most: u64, seed: u64) -> State {
        State {
            began: Instant::now(),
            stop,
            patience,
            args,
            on_request: RefCell::default(),
            every: RefCell::default(),
            timers: Cell::default(),
            added: RefCell::default(),
            on_stop: RefCell::default(),
            ready: Cell::default(),
            seed: Cell::new(seed),
            most,
            operations: Cell::default(),
            handling: Cell::default(),
            taken: Cell::default(),
            told: Cell::default(),
            ending: Cell::default(),
            waiting: RefCell::default(),
        }
    }

    /// Counts an operation.
    ///
    /// # Errors
    /// If there were too many since the program last waited.
    pub fn count(&self) -> Result<(), String> {
        self.operations.set(self.operations.get() + 1);
        match self.operations.get() > self.most {
            true => Err(format!("more than {} operations without a wait", self.most)),
            false => Ok(()),
        }
    }

    /// Waits in the middle of the program.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let value = block_here(future);
        self.operations.set(0);
        value
    }

    /// Sleeps; false if SIGTERM has come. A body that sleeps once more is ended then, so that the
    /// simplest loop ends as asked.
    pub fn sleep(&self, time: Duration) -> Answer<bool> {
        if self.handling.get() {
            self.wait(sleep(time));
            return Ok(!self.stop.raised());
        }
        if self.told.get() {
            self.ending.set(true);
            let end = EvalAltResult::ErrorTerminated("ended by SIGTERM".into(), Position::NONE);
            return Err(end.into());
        }
        let stopped = matches!(self.wait(race(self.stop.wait(), sleep(time))), Either::First(()));
        self.told.set(stopped);
        Ok(!stopped)
    }

    /// Whether the body was ended by [`State::sleep`].
    pub fn ended(&self) -> bool {
        self.ending.get()
    }

    /// Runs a handler when it is its turn: first come, first served.
    pub async fn in_turn<T>(&self, run: impl FnOnce() -> T) -> T {
        if self.taken.replace(true) {
            let turn = Flag::default();
            self.waiting.borrow_mut().push_back(turn.clone());
            turn.wait().await;
        }
        // The body may have been in the middle of something.
        let before = self.operations.replace(0);
        self.handling.set(true);
        let value = run();
        self.handling.set(false);
        self.operations.set(before);
        match self.waiting.borrow_mut().pop_front() {
            Some(next) => next.raise(),
            None => self.taken.set(false),
        }
        value
    }

    /// Whether there is a reason to go on when the body has ended.
    pub fn goes_on(&self) -> bool {
        self.on_request.borrow().is_some() || self.timers.get() > 0
    }

    /// Adds what is to be done again and again.
    ///
    /// # Errors
    /// If there are `most` already.
    pub fn add_timer(&self, time: Duration, handler: FnPtr, most: usize) -> Result<(), String> {
        if self.timers.get() >= most {
            return Err(format!("there are at most {most} timers"));
        }
        self.timers.set(self.timers.get() + 1);
        self.every.borrow_mut().push((time, handler));
        self.added.borrow().raise();
        Ok(())
    }

    /// The timers that have not been begun; waits for the first one.
    pub async fn new_timers(&self) -> Vec<(Duration, FnPtr)> {
        loop {
            let new = self.every.take();
            if !new.is_empty() {
                return new;
            }
            let added = Flag::default();
            self.added.replace(added.clone());
            added.wait().await;
        }
    }
}
