//! Tasks, timers, and the order in which they run.
//!
//! Time is event-driven: it stands still while any task can run, then jumps to the next timer.
//! All tasks that are runnable at one instant form a *batch*; the seed permutes each batch, so
//! that races between simultaneous events flip from seed to seed, and every task of a batch
//! runs once before any runs again, so that none can starve the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::random::Rng;
use crate::time::Time;

type Body = Pin<Box<dyn Future<Output = ()> + Send>>;

/// More polls than this without time moving means that tasks wake each other for ever.
const POLLS_PER_INSTANT: u64 = 5_000_000;
/// How often one poll may move time on by itself before it must return to the executor, so
/// that whoever drives the world stays in control. It has no influence on what happens.
const ADVANCES_PER_POLL: u64 = 4096;

/// Why [`Sim::run_until`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Everything due up to the limit was done, and the clock stands at the limit.
    Reached,
    /// Nothing is runnable and nothing is scheduled: without an input nothing will ever happen.
    Idle,
    /// The budget of polls is used up; call again to go on.
    Budget,
    /// Tasks woke each other for ever at one instant. A world that does this is broken.
    Livelock,
}

/// The executor: owns the tasks and runs them. `Send`, so that a world can move to whichever
/// thread drives it next.
pub struct Sim {
    core: Arc<Core>,
    tasks: Vec<Option<(Body, Arc<TaskWaker>)>>,
    polls_at_instant: u64,
}

/// What tasks hold of the executor: the clock, timers, spawning, randomness. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    core: Weak<Core>,
    clock: Arc<Clock>,
}

#[derive(Default)]
struct Clock {
    now: AtomicU64,
    seed: u64,
    epoch_ns: u64,
}

struct Core {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

struct State {
    /// Tasks of the current batch that have still to run.
    batch: VecDeque<usize>,
    /// Tasks woken since the batch was formed, in the order of their waking.
    woken: Vec<usize>,
    timers: BTreeMap<(Time, u64), Waker>,
    next_timer: u64,
    spawned: Vec<(usize, Body)>,
    /// Slots of finished tasks, the lowest taken first.
    free: BinaryHeap<Reverse<usize>>,
    slots: usize,
    aborted: Vec<usize>,
    order: Rng,
    limit: Time,
    advances: u64,
}

impl Core {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no task panics while it holds the executor")
    }
}

struct TaskWaker {
    slot: usize,
    queued: AtomicBool,
    done: AtomicBool,
    core: Weak<Core>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.done.load(Relaxed)
            && !self.queued.swap(true, Relaxed)
            && let Some(core) = self.core.upgrade()
        {
            core.state().woken.push(self.slot);
        }
    }
}

impl Sim {
    /// An executor whose every choice follows from `seed`. `epoch_ns` is the wall-clock time, in
    /// nanoseconds since 1970, that the world believes it is at [`Time::ZERO`].
    pub fn new(seed: u64, epoch_ns: u64) -> Sim {
        let clock = Arc::new(Clock { now: AtomicU64::new(0), seed, epoch_ns });
        let state = State {
            batch: VecDeque::new(),
            woken: Vec::new(),
            timers: BTreeMap::new(),
            next_timer: 0,
            spawned: Vec::new(),
            free: BinaryHeap::new(),
            slots: 0,
            aborted: Vec::new(),
            order: Rng::named(seed, "sim/order"),
            limit: Time::ZERO,
            advances: 0,
        };
        let core = Arc::new(Core { clock, state: Mutex::new(state) });
        Sim { core, tasks: Vec::new(), polls_at_instant: 0 }
    }

    /// What tasks use to reach this executor.
    pub fn handle(&self) -> Handle {
        Handle { core: Arc::downgrade(&self.core), clock: self.core.clock.clone() }
    }

    /// The current instant.
    pub fn now(&self) -> Time {
        Time(self.core.clock.now.load(Relaxed))
    }

    /// When the next timer is due, if any is set. [`Time::ZERO`] or the current instant when
    /// tasks are runnable right now.
    pub fn next_due(&self) -> Option<Time> {
        let state = self.core.state();
        if !state.batch.is_empty() || !state.woken.is_empty() || !state.spawned.is_empty() {
            return Some(self.now());
        }
        state.timers.keys().next().map(|(at, _)| *at)
    }

    /// How many tasks are alive.
    pub fn tasks(&self) -> usize {
        self.tasks.iter().filter(|t| t.is_some()).count() + self.core.state().spawned.len()
    }

    /// Runs all that is due up to and including `limit`, at most `budget` polls of it, and
    /// leaves the clock at `limit` if it got there.
    pub fn run_until(&mut self, limit: Time, budget: u64) -> Stop {
        self.run(limit, budget, ADVANCES_PER_POLL)
    }

    /// Polls one task, first moving the clock to the next timer (not beyond `limit`) if nothing
    /// is runnable. `Budget` means that a task was polled.
    pub fn step(&mut self, limit: Time) -> Stop {
        self.run(limit, 1, 0)
    }

    fn run(&mut self, limit: Time, mut budget: u64, advances: u64) -> Stop {
        self.core.state().limit = limit;
        loop {
            self.collect();
            let slot = {
                let mut state = self.core.state();
                if state.batch.is_empty() && !state.woken.is_empty() {
                    let mut batch = std::mem::take(&mut state.woken);
                    state.order.shuffle(&mut batch);
                    state.batch = batch.into();
                }
                if state.batch.is_empty() {
                    let Some((&(at, _), _)) = state.timers.first_key_value() else {
                        return self.rest(limit, Stop::Idle, state);
                    };
                    if at > limit {
                        return self.rest(limit, Stop::Reached, state);
                    }
                    self.core.clock.now.store(at.0, Relaxed);
                    self.polls_at_instant = 0;
                    let later = state.timers.split_off(&(Time(at.0.saturating_add(1)), 0));
                    let due = std::mem::replace(&mut state.timers, later);
                    drop(state);
                    due.into_values().for_each(Waker::wake);
                    continue;
                }
                if budget == 0 {
                    return Stop::Budget;
                }
                state.advances = advances;
                state.batch.pop_front().expect("the batch is not empty")
            };
            budget -= 1;
            let before = self.now();
            self.poll(slot);
            self.polls_at_instant =
                if self.now() == before { self.polls_at_instant + 1 } else { 0 };
            if self.polls_at_instant > POLLS_PER_INSTANT {
                return Stop::Livelock;
            }
        }
    }

    fn rest(&self, limit: Time, stop: Stop, state: MutexGuard<'_, State>) -> Stop {
        drop(state);
        if limit != Time::MAX && limit > self.now() {
            self.core.clock.now.store(limit.0, Relaxed);
        }
        stop
    }

    fn poll(&mut self, slot: usize) {
        let Some((mut body, waker)) = self.tasks.get_mut(slot).and_then(Option::take) else {
            return;
        };
        waker.queued.store(false, Relaxed);
        let done = body.as_mut().poll(&mut Context::from_waker(&waker.clone().into())).is_ready();
        if done {
            self.end(slot, &waker);
            drop(body);
        } else {
            self.tasks[slot] = Some((body, waker));
        }
    }

    /// Takes over what tasks asked for while they ran: new tasks, and the end of others.
    fn collect(&mut self) {
        loop {
            let (spawned, aborted) = {
                let mut state = self.core.state();
                if state.spawned.is_empty() && state.aborted.is_empty() {
                    return;
                }
                (std::mem::take(&mut state.spawned), std::mem::take(&mut state.aborted))
            };
            for (slot, body) in spawned {
                let waker = Arc::new(TaskWaker {
                    slot,
                    queued: AtomicBool::new(true),
                    done: AtomicBool::new(false),
                    core: Arc::downgrade(&self.core),
                });
                if slot >= self.tasks.len() {
                    self.tasks.resize_with(slot + 1, || None);
                }
                self.tasks[slot] = Some((body, waker));
                self.core.state().woken.push(slot);
            }
            for slot in aborted {
                // Dropping a body may spawn, abort and wake: hence the loop, and no lock here.
                if let Some((body, waker)) = self.tasks.get_mut(slot).and_then(Option::take) {
                    self.end(slot, &waker);
                    drop(body);
                }
            }
        }
    }

    fn end(&mut self, slot: usize, waker: &TaskWaker) {
        waker.done.store(true, Relaxed);
        let mut state = self.core.state();
        if waker.queued.load(Relaxed) {
            // The slot stands in a queue; whoever moves in next must not be run for it.
            state.batch.retain(|s| *s != slot);
            state.woken.retain(|s| *s != slot);
        }
        state.free.push(Reverse(slot));
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // Bodies hold handles and may touch the executor while they are dropped.
        for slot in 0..self.tasks.len() {
            let task = self.tasks[slot].take();
            drop(task);
        }
        let (spawned, timers) = {
            let mut state = self.core.state();
            (std::mem::take(&mut state.spawned), std::mem::take(&mut state.timers))
        };
        drop(spawned);
        drop(timers);
    }
}

impl Handle {
    fn core(&self) -> Option<Arc<Core>> {
        self.core.upgrade()
    }

    /// The current instant.
    pub fn now(&self) -> Time {
        Time(self.clock.now.load(Relaxed))
    }

    /// What a wall clock in this world shows: nanoseconds since 1970.
    pub fn unix_nanos(&self) -> u64 {
        self.clock.epoch_ns.saturating_add(self.now().0)
    }

    /// The seed of the world.
    pub fn seed(&self) -> u64 {
        self.clock.seed
    }

    /// The random stream called `name`; see [`Rng::named`].
    pub fn rng(&self, name: &str) -> Rng {
        Rng::named(self.clock.seed, name)
    }

    /// Starts a task. It first runs in the next batch of the current instant.
    pub fn spawn<F>(&self, body: F) -> Task
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let ended = crate::sync::Signal::new();
        let flag = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicBool::new(false));
        let guard = Ended(flag.clone(), ended.clone());
        let Some(core) = self.core() else {
            // The world is being dropped; the task ends before it began.
            return Task { slot: usize::MAX, handle: self.clone(), asked, flag, ended };
        };
        let body = Box::pin(async move {
            let _guard = guard;
            body.await;
        });
        let mut state = core.state();
        let slot = state.free.pop().map(|Reverse(slot)| slot).unwrap_or_else(|| {
            state.slots += 1;
            state.slots - 1
        });
        state.spawned.push((slot, body));
        drop(state);
        Task { slot, handle: self.clone(), asked, flag, ended }
    }

    /// Waits for `d` of virtual time. Zero waits for the next batch of this instant.
    pub fn sleep(&self, d: Duration) -> Sleep {
        self.sleep_until(self.now() + d)
    }

    /// Waits until `at`. An instant that is not in the future waits for the next batch.
    pub fn sleep_until(&self, at: Time) -> Sleep {
        Sleep { handle: self.clone(), at, timer: None, yielded: false }
    }

    /// Lets every other task that is runnable now run once.
    pub fn yield_now(&self) -> Sleep {
        self.sleep(Duration::ZERO)
    }

    /// Waits for `work`, at most until `d` has passed.
    ///
    /// # Errors
    /// [`Elapsed`] if the time passed first. When both happen at one instant, `work` wins.
    pub async fn timeout<F: Future>(&self, d: Duration, work: F) -> Result<F::Output, Elapsed> {
        let mut work = std::pin::pin!(work);
        let mut sleep = self.sleep(d);
        std::future::poll_fn(move |cx| {
            if let Poll::Ready(out) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(out));
            }
            Pin::new(&mut sleep).poll(cx).map(|()| Err(Elapsed))
        })
        .await
    }

    /// Moves time on by `d` at once if that is exactly what sleeping would do: nothing else is
    /// runnable, no timer is due before or at that instant, and the driver's limit allows it.
    /// Saves a trip through the executor and changes nothing else.
    pub fn try_advance(&self, d: Duration) -> bool {
        let Some(core) = self.core() else { return false };
        let mut state = core.state();
        let to = self.now() + d;
        let free = state.batch.is_empty()
            && state.woken.is_empty()
            && state.spawned.is_empty()
            && state.aborted.is_empty()
            && to <= state.limit
            && to != Time::MAX
            && state.advances > 0
            && state.timers.keys().next().is_none_or(|(at, _)| *at > to);
        if free {
            state.advances -= 1;
            self.clock.now.store(to.0, Relaxed);
        }
        free
    }
}

/// The time passed before the work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the time passed first")
    }
}

impl std::error::Error for Elapsed {}

/// Waits for an instant of virtual time.
pub struct Sleep {
    handle: Handle,
    at: Time,
    timer: Option<u64>,
    yielded: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.handle.now();
        let Some(core) = self.handle.core() else { return Poll::Pending };
        if self.at <= now {
            if self.timer.is_some() || self.yielded {
                return Poll::Ready(());
            }
            self.yielded = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut state = core.state();
        match self.timer {
            Some(id) => {
                if let Some(waker) = state.timers.get_mut(&(self.at, id)) {
                    waker.clone_from(cx.waker());
                }
            }
            None => {
                let id = state.next_timer;
                state.next_timer += 1;
                state.timers.insert((self.at, id), cx.waker().clone());
                drop(state);
                self.timer = Some(id);
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.timer
            && let Some(core) = self.handle.core()
        {
            let waker = core.state().timers.remove(&(self.at, id));
            drop(waker);
        }
    }
}

struct Ended(Arc<AtomicBool>, crate::sync::Signal);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
        self.1.notify();
    }
}

/// A task that was started. Dropping this does not end the task.
#[derive(Clone)]
pub struct Task {
    slot: usize,
    handle: Handle,
    asked: Arc<AtomicBool>,
    flag: Arc<AtomicBool>,
    ended: crate::sync::Signal,
}

impl Task {
    /// Ends the task before anything else runs; its body is dropped where it stands.
    /// A task must not abort itself: it can just return.
    pub fn abort(&self) {
        // Asking twice could hit another task, which has moved into the slot since.
        if !self.is_finished()
            && !self.asked.swap(true, Relaxed)
            && let Some(core) = self.handle.core()
        {
            core.state().aborted.push(self.slot);
        }
    }

    /// Whether the task has returned, or its body was dropped after an abort.
    pub fn is_finished(&self) -> bool {
        self.flag.load(Relaxed)
    }

    /// Waits until the task has returned or was aborted.
    pub async fn join(&self) {
        let flag = self.flag.clone();
        self.ended.until(|| flag.load(Relaxed).then_some(())).await;
    }
}

#[cfg(test)]
#[path = "executor_tests.rs"]
mod tests;
