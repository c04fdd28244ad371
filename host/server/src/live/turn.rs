//! What the driver does with a world.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use podlab_sim::{Stop, Time};
use podlab_world::{Recording, Twins};

use super::{Inner, Live, Speed};
use crate::app::lock;

/// How long a turn lasts at most, about.
const TURN: Duration = Duration::from_millis(4);
/// How many polls of the executor lie between two looks at the clock.
const BUDGET: u64 = 256;
/// How much virtual time is run at once at full speed.
const STRIDE: u64 = 1_000_000_000;
/// How far the clock may be behind before what is lost is given up.
const MAX_LAG: Duration = Duration::from_millis(250);
/// How often the journal is written.
const JOURNAL: Duration = Duration::from_millis(900);
/// A world that has nothing to do for so long is idle enough to make twins.
const IDLE: Duration = Duration::from_millis(20);
/// Events are looked for this far ahead when stepping.
const STEP_LIMIT: Duration = Duration::from_secs(3600);

/// When a world wants its next turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// At this instant of real time.
    At(Instant),
    /// When somebody pokes it.
    Never,
}

/// What a caught panic says.
pub(super) fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("it broke one of its own rules: {}", text.as_deref().unwrap_or("no reason was given"))
}

impl Live {
    /// One turn: at most a few milliseconds of work.
    pub fn turn(&self) -> Next {
        if self.wanted.load(Relaxed) > 0 {
            // Requests go first; a lock that is taken again at once would starve them.
            return Next::At(Instant::now() + Duration::from_micros(200));
        }
        let mut inner = lock(&self.inner);
        if inner.usable().is_err() {
            return Next::Never;
        }
        let result = catch_unwind(AssertUnwindSafe(|| {
            let began = Instant::now();
            // Whoever waits for the world gets it between two looks at the clock.
            let goes_on = || began.elapsed() < TURN && self.wanted.load(Relaxed) == 0;
            let next = inner.advance(began, goes_on);
            inner.hand_out();
            next
        }));
        let next = result.unwrap_or_else(|panic| {
            inner.dead = Some(reason(panic.as_ref()));
            Next::Never
        });
        self.publish(&inner);
        if inner.dead.is_some() {
            inner.connections.break_all("the world is dead");
            return Next::Never;
        }
        let idle = match next {
            Next::At(at) => at.saturating_duration_since(Instant::now()) > IDLE,
            Next::Never => true,
        };
        if !idle || inner.whole.is_some() {
            return next;
        }
        let now = inner.world.now();
        let wanted = Twins::wanted(now).last().map_or(0, |t| t.as_nanos());
        if wanted <= inner.twins_until {
            return next;
        }
        let recording = inner.inputs_only();
        let images = inner.world.images().clone();
        drop(inner);
        if self.refill(&images, &recording, now) {
            lock(&self.inner).twins_until = wanted;
            return next;
        }
        Next::At(Instant::now() + Duration::from_millis(1))
    }

    /// Works on the twins for a turn; whether there is nothing left to do.
    fn refill(&self, images: &podlab_world::Images, recording: &Recording, now: Time) -> bool {
        let mut twins = lock(&self.twins);
        let began = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| {
            while began.elapsed() < TURN {
                if twins.refill(&self.engine, images, recording, now, BUDGET).unwrap_or(true) {
                    return true;
                }
            }
            false
        }));
        result.unwrap_or_else(|_| {
            // Going back will be slower; whatever broke will show there.
            twins.clear();
            true
        })
    }
}

impl Inner {
    /// The recording without its marks, which are of no use to a twin.
    fn inputs_only(&self) -> Recording {
        let recording = self.world.recording();
        Recording {
            header: recording.header.clone(),
            inputs: recording.inputs.clone(),
            marks: Vec::new(),
        }
    }

    /// Brings the clock to where it should be, as far as a turn reaches. At full speed it should be
    /// nowhere in particular: a little further, so that many requests do not hold the world up.
    pub(super) fn catch_up(&mut self) {
        let began = Instant::now();
        match self.pace.speed() {
            Speed::Paused => {}
            Speed::Rate(_) => {
                self.advance(began, || began.elapsed() < TURN);
            }
            Speed::Max => {
                self.advance(began, || false);
            }
        }
    }

    /// Runs the one event that comes next.
    pub(super) fn step(&mut self) {
        self.set_pace(Speed::Paused, None);
        let limit = self.world.now() + STEP_LIMIT;
        if self.world.step_event(limit) == Stop::Livelock {
            self.stuck();
        }
        self.set_pace(Speed::Paused, None);
    }

    fn stuck(&mut self) {
        self.dead = Some(format!("it spins without moving time at {}", self.world.now()));
    }

    /// Runs what is due for as long as `goes_on`, which is asked now and then.
    fn advance(&mut self, began: Instant, goes_on: impl Fn() -> bool) -> Next {
        let unfinished = self.run(began, goes_on);
        if self.dead.is_some() {
            return Next::Never;
        }
        let now = self.world.now().as_nanos();
        let real = Instant::now();
        if self.pace.goal().is_some_and(|goal| now >= goal) {
            self.set_pace(Speed::Paused, None);
        }
        self.notice_lag(unfinished, real, now);
        if self.world.horizon() == Time::ZERO && self.whole.is_some() && self.played_out(now) {
            // The end of the recording: from here on this is the present again.
            self.whole = None;
        }
        let behind = self.world.trace().last() != self.journaled.0
            || self.world.recording().inputs.len() != self.journaled.1;
        if behind && real >= self.journal_due {
            self.write_journal(real);
        }
        let mut next = if unfinished {
            Some(real)
        } else {
            let due = self.world.next_due().map(Time::as_nanos);
            let due = [due, self.pace.goal()].into_iter().flatten().min();
            // A millisecond at least: a world that is busy is run in pieces worth a turn.
            due.and_then(|at| self.pace.when(at)).map(|at| at.max(real + Duration::from_millis(1)))
        };
        if behind && self.journal.is_some() {
            next = Some(next.map_or(self.journal_due, |at| at.min(self.journal_due.max(real))));
        }
        next.map_or(Next::Never, Next::At)
    }

    fn played_out(&self, now: u64) -> bool {
        self.whole.as_ref().is_some_and(|w| now >= w.end().as_nanos())
    }

    /// Runs; whether there is more to do at once.
    fn run(&mut self, began: Instant, goes_on: impl Fn() -> bool) -> bool {
        loop {
            let now = self.world.now().as_nanos();
            let limit = match self.pace.target(began) {
                Some(target) => target.max(now),
                None if self.world.next_due().is_none() && self.pace.goal().is_none() => {
                    return false;
                }
                None => {
                    now.saturating_add(STRIDE).min(self.pace.goal().unwrap_or(u64::MAX)).max(now)
                }
            };
            match self.world.run_until(Time(limit), BUDGET) {
                Stop::Livelock => {
                    self.stuck();
                    return false;
                }
                Stop::Budget => {}
                Stop::Reached | Stop::Idle => {
                    if self.pace.speed() != Speed::Max
                        || self.pace.goal().is_some_and(|g| limit >= g)
                    {
                        return false;
                    }
                }
            }
            self.hand_out();
            if !goes_on() {
                return true;
            }
        }
    }

    fn notice_lag(&mut self, unfinished: bool, real: Instant, now: u64) {
        let Speed::Rate(rate) = self.pace.speed() else {
            self.lagging = false;
            return;
        };
        if !unfinished {
            self.lagging = false;
            return;
        }
        let missing = self.pace.target(real).unwrap_or(now).saturating_sub(now);
        if missing as f64 / rate > MAX_LAG.as_nanos() as f64 {
            self.pace.rebase(real, now);
            self.lagging = true;
        }
    }

    /// Sets a mark and appends to the journal what is new. The past is on disk already.
    pub(super) fn write_journal(&mut self, real: Instant) {
        self.journal_due = real + JOURNAL;
        if self.whole.is_some() {
            self.journaled = (self.world.trace().last(), self.world.recording().inputs.len());
            return;
        }
        if let Some(journal) = &mut self.journal {
            self.world.mark();
            journal.write(self.world.recording());
        }
        self.journaled = (self.world.trace().last(), self.world.recording().inputs.len());
    }
}
