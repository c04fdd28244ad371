//! One world on real time.
//!
//! # Layout
//! - `pace`: which virtual instant belongs to an instant of real time
//! - `turn`: what the driver does with a world; `past`: going back and forking
//! - `intake`: how much enters it
//! - `streams`: clients at programs' streams and ports
//!
//! A world is behind one lock, held for a few milliseconds at a time. What streams and status
//! pages show is copied out after each turn ([`View`]), so that looking never waits.

mod intake;
mod pace;
mod past;
mod streams;
mod turn;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use podlab_kube::api::{Request, Response};
use podlab_sim::Time;
use podlab_trace::{Seq, Trace};
use podlab_wasm::Engine;
use podlab_world::{Allowance, Image, Input, Outcome, Recording, Twins, World};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::app::lock;
use crate::error::ApiError;
use crate::identities::Identities;
use crate::journal::Journal;
use crate::outside::{Connections, Incoming};

pub use pace::{Pace, Speed};
pub use turn::Next;

/// A world on real time.
pub struct Live {
    number: u64,
    id: String,
    pattern: String,
    seed: u64,
    epoch: u64,
    engine: Engine,
    inner: Mutex<Inner>,
    /// How many requests want the lock: the driver lets them go first.
    wanted: AtomicUsize,
    twins: Mutex<Twins>,
    view: Mutex<View>,
    changed: watch::Sender<u64>,
    identities: Mutex<Identities>,
    /// When somebody asked for something of it last.
    touched: Mutex<Instant>,
}

/// What the lock guards.
pub struct Inner {
    world: World,
    pace: Pace,
    connections: Connections,
    journal: Option<Journal>,
    /// When the journal is written next, and what it has.
    journal_due: Instant,
    journaled: (Seq, usize),
    /// The whole recording, while the world is in its own past.
    whole: Option<Recording>,
    /// Why the world cannot go on.
    dead: Option<String>,
    /// Being replaced by an earlier self.
    busy: bool,
    lagging: bool,
    /// The last instant for which all twins are made.
    twins_until: u64,
    /// How many bytes have entered, and how many may.
    entered: u64,
    limit: u64,
}

/// What everybody may see without waiting for the world.
#[derive(Clone)]
pub struct View {
    /// The trace. Going back puts another in its place.
    pub trace: Trace,
    /// How often the world went back.
    pub rewinds: u64,
    /// Why there is nothing more to see.
    pub gone: Option<String>,
    /// The clock of the last turn, in ns.
    now: u64,
    /// When something is next due, in ns.
    due: Option<u64>,
    pace: Pace,
    /// The end of the recording that is being played, in ns; 0 in the present.
    pub future: u64,
    /// Whether the machine is too slow for the speed.
    pub lagging: bool,
    /// Why the clock stands although it should not, or empty.
    pub stopped: String,
}

impl View {
    /// The clock now, in ns: between turns nothing happens, so time just passes.
    pub fn now(&self) -> u64 {
        if self.gone.is_some() || self.lagging {
            return self.now;
        }
        let target = self.pace.target(Instant::now()).unwrap_or(self.now);
        target.min(self.due.unwrap_or(u64::MAX)).max(self.now)
    }

    /// How fast it is to run.
    pub fn rate(&self) -> Speed {
        self.pace.speed()
    }

    /// Virtual seconds a second in thousandths, as [`podlab_trace::wire::Frame::Clock`] has it.
    pub fn speed(&self) -> u32 {
        self.pace.thousandths()
    }
}

impl Live {
    /// A world that begins to run.
    pub fn new(
        number: u64,
        id: String,
        engine: &Engine,
        world: World,
        speed: Speed,
        journal: Option<Journal>,
        allowance: &Allowance,
    ) -> Live {
        let used = world.recording().inputs.iter().filter_map(|i| match &i.input {
            Input::Open { id, .. } | Input::Exec { id, .. } | Input::Session { id, .. } => {
                Some(*id)
            }
            _ => None,
        });
        let connections = Connections::starting_at(used.max().unwrap_or(0) + 1);
        let options = world.options();
        let (pattern, seed, epoch) = (options.pattern.clone(), options.seed, options.epoch);
        let pace = Pace::new(speed, world.now().as_nanos());
        let view = View {
            trace: world.trace().clone(),
            rewinds: 0,
            gone: None,
            now: world.now().as_nanos(),
            due: world.next_due().map(Time::as_nanos),
            pace,
            future: 0,
            lagging: false,
            stopped: String::new(),
        };
        let entered = world.recording().inputs.iter().map(|i| intake::input(&i.input)).sum();
        let inner = Inner {
            world,
            pace,
            connections,
            journal,
            journal_due: Instant::now(),
            journaled: (0, 0),
            whole: None,
            dead: None,
            busy: false,
            lagging: false,
            twins_until: 0,
            entered,
            limit: u64::MAX,
        };
        Live {
            number,
            id,
            pattern,
            seed,
            epoch,
            engine: engine.clone(),
            inner: Mutex::new(inner),
            wanted: AtomicUsize::new(0),
            twins: Mutex::new(Twins::new(allowance)),
            view: Mutex::new(view),
            changed: watch::channel(0).0,
            identities: Mutex::default(),
            touched: Mutex::new(Instant::now()),
        }
    }

    /// Somebody asks for something of it.
    pub fn touch(&self) {
        *lock(&self.touched) = Instant::now();
    }

    /// For how long nobody has asked for anything of it.
    pub fn untouched(&self) -> Duration {
        lock(&self.touched).elapsed()
    }

    /// Whether somebody looks at it, or is connected to a program in it.
    pub fn is_watched(&self) -> bool {
        self.changed.receiver_count() > 0 || !lock(&self.inner).connections.is_empty()
    }

    /// Whether its recording on disk is all it takes to have it again.
    pub fn is_recorded(&self) -> bool {
        let inner = lock(&self.inner);
        let usable = inner.dead.is_none() && !inner.busy && inner.whole.is_none();
        usable && inner.journal.as_ref().is_some_and(|j| !j.is_broken())
    }

    /// Its number: 3 of `w3`.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its id: `w3`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The pattern it was made from, or empty.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Its seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What its wall clock showed at the beginning, in ns since 1970.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Who else may use its Kubernetes API.
    pub fn identities(&self) -> &Mutex<Identities> {
        &self.identities
    }

    /// What everybody may see.
    pub fn view(&self) -> View {
        lock(&self.view).clone()
    }

    /// Tells whenever something has changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Its state as JSON: instants and speeds in virtual seconds.
    pub fn status(&self) -> Value {
        let view = self.view();
        let now = view.now();
        let speed = match view.pace.speed() {
            Speed::Max => json!("max"),
            Speed::Rate(rate) => json!(rate),
            Speed::Paused => json!(0),
        };
        json!({
            "id": self.id,
            "pattern": self.pattern,
            "seed": self.seed,
            "epoch": self.epoch / 1_000_000_000,
            "speed": speed,
            "now": now as f64 / 1e9,
            "nowNanos": now,
            "events": view.trace.last(),
            "firstKept": view.trace.first(),
            "futureNanos": view.future,
            "lagging": view.lagging,
            "stopped": view.gone.clone().unwrap_or(view.stopped),
            "dead": view.gone.is_some(),
        })
    }

    /// Does something with the world, as soon as it is free.
    ///
    /// # Errors
    /// If the world is dead, is going back in time, or dies of it.
    pub fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> Result<T, ApiError> {
        self.wanted.fetch_add(1, Relaxed);
        let mut inner = lock(&self.inner);
        self.wanted.fetch_sub(1, Relaxed);
        inner.usable()?;
        let result = catch_unwind(AssertUnwindSafe(|| {
            inner.catch_up();
            let value = f(&mut inner);
            inner.hand_out();
            value
        }));
        if let Err(panic) = &result {
            inner.dead = Some(turn::reason(panic.as_ref()));
        }
        self.publish(&inner);
        result.map_err(|_| inner.usable().expect_err("just died"))
    }

    /// Answers a request to the Kubernetes API. Mutations enter as inputs.
    ///
    /// # Errors
    /// See [`Live::with`].
    pub fn api(&self, request: Request) -> Result<Response, ApiError> {
        self.with(|inner| {
            if request.mutates() {
                inner.take(intake::request(&request))?;
                inner.leave_the_past();
            }
            Ok(inner.world.api(request))
        })?
    }

    /// Lets an input enter.
    ///
    /// # Errors
    /// See [`Live::with`].
    pub fn input(&self, input: Input) -> Result<Outcome, ApiError> {
        self.with(|inner| {
            inner.take(intake::input(&input))?;
            Ok(inner.input(input))
        })?
    }

    /// Opens a connection to `target` and sends `bytes`.
    ///
    /// # Errors
    /// See [`Live::with`].
    pub fn connect(&self, target: &str, bytes: Vec<u8>) -> Result<(u64, Incoming), ApiError> {
        self.with(|inner| {
            inner.take(bytes.len() as u64)?;
            let (id, incoming) = inner.connections.open();
            inner.input(Input::Open { id, target: target.into() });
            inner.input(Input::Send { id, bytes: bytes.into() });
            Ok((id, incoming))
        })?
    }

    /// Drops a connection, if it still is open.
    pub fn disconnect(&self, id: u64) {
        // A world that is dead or gone has no connections any more.
        let _ = self.with(|inner| {
            if inner.connections.close(id) {
                inner.input(Input::Drop { id });
            }
        });
    }

    /// Makes an image known, unless the world is playing its past, which must stay as it was.
    pub fn add_image(&self, image: Arc<Image>) {
        // A dead world needs no image.
        let _ = self.with(|inner| {
            if inner.whole.is_none() {
                inner.world.add_image(image);
            }
        });
    }

    /// Changes the speed. Where the world is in its past, it plays.
    ///
    /// # Errors
    /// See [`Live::with`].
    pub fn set_speed(&self, speed: Speed) -> Result<(), ApiError> {
        self.with(|inner| inner.set_pace(speed, None))
    }

    /// Pauses, and runs until the next event.
    ///
    /// # Errors
    /// See [`Live::with`].
    pub fn step(&self) -> Result<(), ApiError> {
        self.with(|inner| inner.step())
    }

    /// The recording, carrying its images.
    ///
    /// # Errors
    /// See [`Live::with`].
    pub fn export(&self) -> Result<Recording, ApiError> {
        self.with(|inner| {
            inner.world.mark();
            let mut recording = inner.world.export();
            if let Some(whole) = &inner.whole {
                recording.inputs.clone_from(&whole.inputs);
                recording.marks.clone_from(&whole.marks);
            }
            recording
        })
    }

    /// The world is to be forgotten: its recording is finished, its streams end.
    pub fn end(&self, why: &str) {
        let mut inner = lock(&self.inner);
        if inner.dead.is_none() {
            // A panic here must not keep the others from ending.
            let _ = catch_unwind(AssertUnwindSafe(|| inner.write_journal(Instant::now())));
            inner.dead = Some(why.into());
        }
        inner.connections.break_all(why);
        lock(&self.twins).clear();
        self.publish(&inner);
    }

    /// Copies out what everybody may see.
    fn publish(&self, inner: &Inner) {
        {
            let mut view = lock(&self.view);
            view.now = inner.world.now().as_nanos();
            view.due = inner.world.next_due().map(Time::as_nanos);
            view.pace = inner.pace;
            view.future = inner.world.horizon().as_nanos();
            view.lagging = inner.lagging;
            view.gone.clone_from(&inner.dead);
            view.stopped = if inner.busy {
                "seeking".into()
            } else if view.due.is_none() && inner.pace.speed() != Speed::Paused {
                "idle".into()
            } else {
                String::new()
            };
        }
        self.changed.send_modify(|n| *n += 1);
    }
}

impl Inner {
    fn usable(&self) -> Result<(), ApiError> {
        if let Some(why) = &self.dead {
            let message = format!("the world is dead: {why}");
            let status = axum::http::StatusCode::GONE;
            return Err(ApiError::new(
                status,
                "WorldDead",
                message,
                "Delete it and make another one.",
            ));
        }
        if self.busy {
            return Err(ApiError::conflict(
                "the world is going back in time",
                "Try again when it has arrived.",
            ));
        }
        Ok(())
    }

    /// Lets an input enter.
    pub fn input(&mut self, input: Input) -> Outcome {
        self.leave_the_past();
        self.world.input(input)
    }

    /// The first new input in the past is where the world leaves its recording.
    fn leave_the_past(&mut self) {
        if self.whole.take().is_some()
            && let Some(journal) = &mut self.journal
        {
            journal.branch();
            self.journaled = (0, 0);
        }
    }

    fn set_pace(&mut self, speed: Speed, goal: Option<u64>) {
        self.pace = Pace::new(speed, self.world.now().as_nanos()).until(goal);
        self.lagging = false;
    }

    /// Gives connections what came out for them.
    fn hand_out(&mut self) {
        let events = self.world.take_outside();
        if events.is_empty() {
            return;
        }
        for id in self.connections.deliver(events) {
            self.input(Input::Drop { id });
        }
    }
}
