//! The pool of threads that drives all worlds.
//!
//! A queue holds each world with the instant of real time at which it next has something to do.
//! Threads take the one that is due first, give it a short turn and put it back. A world that
//! has nothing to do is not in the queue and costs nothing until somebody pokes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::app::lock;
use crate::live::{Live, Next};

/// How long a thread without anything to do sleeps at most.
const NAP: Duration = Duration::from_secs(60);

/// The pool.
pub struct Driver {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    due: BTreeSet<(Instant, u64)>,
    worlds: BTreeMap<u64, Entry>,
    stopped: bool,
}

struct Entry {
    live: Arc<Live>,
    state: State,
}

enum State {
    Waiting(Instant),
    Running { poked: bool },
    Parked,
}

impl Driver {
    /// A pool of `threads` threads.
    pub fn start(threads: usize) -> Driver {
        let shared = Arc::new(Shared::default());
        let threads = (0..threads.max(1))
            .filter_map(|n| {
                let shared = shared.clone();
                std::thread::Builder::new()
                    .name(format!("world-{n}"))
                    .spawn(move || shared.work())
                    .ok()
            })
            .collect();
        Driver { shared, threads: Mutex::new(threads) }
    }

    /// Takes a world into its care.
    pub fn add(&self, live: &Arc<Live>) {
        let entry = Entry { live: live.clone(), state: State::Parked };
        lock(&self.shared.queue).worlds.insert(live.number(), entry);
        self.poke(live);
    }

    /// Gives a world a turn as soon as possible: something about it has changed.
    pub fn poke(&self, live: &Live) {
        let mut queue = lock(&self.shared.queue);
        let Some(entry) = queue.worlds.get_mut(&live.number()) else { return };
        let now = Instant::now();
        let old = match &mut entry.state {
            State::Running { poked } => {
                *poked = true;
                return;
            }
            State::Waiting(at) => Some(*at),
            State::Parked => None,
        };
        entry.state = State::Waiting(now);
        if let Some(at) = old {
            queue.due.remove(&(at, live.number()));
        }
        queue.due.insert((now, live.number()));
        drop(queue);
        self.shared.wake.notify_one();
    }

    /// Lets go of a world. A turn that is under way comes to its end.
    pub fn remove(&self, number: u64) {
        let mut queue = lock(&self.shared.queue);
        if let Some(entry) = queue.worlds.remove(&number)
            && let State::Waiting(at) = entry.state
        {
            queue.due.remove(&(at, number));
        }
    }

    /// Stops all threads.
    pub fn stop(&self) {
        lock(&self.shared.queue).stopped = true;
        self.shared.wake.notify_all();
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // A thread cannot panic: turns catch what happens inside a world.
            let _ = thread.join();
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn work(&self) {
        while let Some((number, live)) = self.take() {
            let next = live.turn();
            self.put_back(number, next);
        }
    }

    /// The world that is due, as soon as one is; `None` when the pool stops.
    fn take(&self) -> Option<(u64, Arc<Live>)> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.stopped {
                return None;
            }
            let now = Instant::now();
            let wait = match queue.due.first().copied() {
                Some((at, number)) if at <= now => {
                    queue.due.pop_first();
                    if let Some(entry) = queue.worlds.get_mut(&number) {
                        entry.state = State::Running { poked: false };
                        return Some((number, entry.live.clone()));
                    }
                    continue;
                }
                Some((at, _)) => at - now,
                None => NAP,
            };
            let (guard, _) = self
                .wake
                .wait_timeout(queue, wait.min(NAP))
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            queue = guard;
        }
    }

    fn put_back(&self, number: u64, next: Next) {
        let mut queue = lock(&self.queue);
        let Some(entry) = queue.worlds.get_mut(&number) else { return };
        let poked = matches!(entry.state, State::Running { poked: true });
        let at = match next {
            _ if poked => Instant::now(),
            Next::At(at) => at,
            Next::Never => {
                entry.state = State::Parked;
                return;
            }
        };
        entry.state = State::Waiting(at);
        queue.due.insert((at, number));
        drop(queue);
        self.wake.notify_one();
    }
}
