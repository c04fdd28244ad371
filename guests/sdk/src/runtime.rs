//! Tasks on one thread, and one poll over everything they wait for.
//!
//! An idle program is blocked in a single `wasi:io/poll` (on Linux: `poll(2)`) over its sockets, its
//! timers and its signals. It never wakes up to look.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::sys::Source;

type Ready = Arc<Mutex<VecDeque<u64>>>;
type Boxed = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
struct Reactor {
    next: Cell<u64>,
    tasks: RefCell<BTreeMap<u64, Boxed>>,
    ready: Ready,
    waits: RefCell<BTreeMap<u64, (Source, Waker)>>,
    timers: RefCell<BTreeMap<(Instant, u64), Waker>>,
}

impl Reactor {
    fn id(&self) -> u64 {
        self.next.set(self.next.get() + 1);
        self.next.get()
    }

    /// Runs the next task that is ready, or waits until one is. Returns a task that could not be run
    /// because it is running.
    fn step(&self) -> Option<u64> {
        let next = self.ready.lock().expect("no holder of this lock panics").pop_front();
        let Some(task) = next else {
            self.wait();
            return None;
        };
        // Taken out while it runs: a task may spawn others.
        let taken = self.tasks.borrow_mut().remove(&task);
        let Some(mut future) = taken else { return Some(task) };
        let waker = Waker::from(Arc::new(TaskWaker { task, ready: self.ready.clone() }));
        let done = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        if !done {
            self.tasks.borrow_mut().insert(task, future);
        }
        None
    }

    /// Waits for one thing at least, and wakes who waits for what came.
    fn wait(&self) {
        let now = Instant::now();
        let first = self.timers.borrow().keys().next().map(|(at, _)| *at);
        let timeout = first.map(|at| at.saturating_duration_since(now));
        if timeout != Some(Duration::ZERO) {
            let (ids, sources): (Vec<u64>, Vec<Source>) =
                self.waits.borrow().iter().map(|(id, (s, _))| (*id, s.clone())).unzip();
            assert!(
                timeout.is_some() || !sources.is_empty(),
                "every task waits, and nothing can wake one"
            );
            for index in crate::sys::poll(&sources, timeout) {
                if let Some((_, waker)) = self.waits.borrow_mut().remove(&ids[index]) {
                    waker.wake();
                }
            }
        }
        let now = Instant::now();
        loop {
            let mut timers = self.timers.borrow_mut();
            match timers.first_entry() {
                Some(entry) if entry.key().0 <= now => entry.remove().wake(),
                _ => break,
            }
        }
    }
}

thread_local! {
    static REACTOR: Rc<Reactor> = Rc::new(Reactor::default());
}

fn reactor() -> Rc<Reactor> {
    REACTOR.with(Rc::clone)
}

struct TaskWaker {
    task: u64,
    ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut ready = self.ready.lock().expect("no holder of this lock panics");
        if !ready.contains(&self.task) {
            ready.push_back(self.task);
        }
    }
}

/// Runs `main` to its end; other tasks run as long as it does, and are dropped then.
pub fn block_on<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
    let value = block_on_keeping(main);
    let reactor = reactor();
    let rest = std::mem::take(&mut *reactor.tasks.borrow_mut());
    drop(rest);
    reactor.ready.lock().expect("no holder of this lock panics").clear();
    value
}

/// Runs `main` to its end; other tasks stand still until the next call.
pub fn block_on_keeping<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
    let reactor = reactor();
    let result = Rc::new(RefCell::new(None));
    let slot = result.clone();
    spawn(async move {
        let value = main.await;
        *slot.borrow_mut() = Some(value);
    });
    loop {
        reactor.step();
        // Looked for after each step: `block_here` may have run the main task inside another.
        if let Some(value) = result.borrow_mut().take() {
            return value;
        }
    }
}

/// Runs `future` to its end inside a task that cannot be put aside (an interpreter's function, say);
/// other tasks run meanwhile, except those that are waiting in here themselves.
///
/// Who waits here last must be done first: keep the number of tasks that do so small.
pub fn block_here<T>(future: impl Future<Output = T>) -> T {
    let reactor = reactor();
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(woken.clone());
    let mut future = std::pin::pin!(future);
    // What was woken while it runs further down this stack; it is told when it can be.
    let mut later: Vec<u64> = Vec::new();
    let value = loop {
        if woken.0.swap(false, Ordering::Relaxed) {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                break value;
            }
            continue;
        }
        later.extend(reactor.step().filter(|task| !later.contains(task)));
    };
    reactor.ready.lock().expect("no holder of this lock panics").extend(later);
    value
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts a task beside the others. Returns its number.
pub fn spawn(future: impl Future<Output = ()> + 'static) -> u64 {
    let reactor = reactor();
    let id = reactor.id();
    reactor.tasks.borrow_mut().insert(id, Box::pin(future));
    reactor.ready.lock().expect("no holder of this lock panics").push_back(id);
    id
}

/// Waits until `source` is ready (readiness only: then try again).
pub(crate) fn readiness(source: Source) -> Readiness {
    Readiness { source, id: None }
}

pub(crate) struct Readiness {
    source: Source,
    id: Option<u64>,
}

impl Future for Readiness {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let reactor = reactor();
        match self.id {
            None => {
                let id = reactor.id();
                self.id = Some(id);
                reactor.waits.borrow_mut().insert(id, (self.source.clone(), cx.waker().clone()));
                Poll::Pending
            }
            Some(id) => match reactor.waits.borrow_mut().get_mut(&id) {
                Some((_, waker)) => {
                    waker.clone_from(cx.waker());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            },
        }
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            reactor().waits.borrow_mut().remove(&id);
        }
    }
}

/// Waits for `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + duration)
}

/// Waits until `at`.
pub fn sleep_until(at: Instant) -> Sleep {
    Sleep { at, key: None }
}

/// Waiting for a time.
pub struct Sleep {
    at: Instant,
    key: Option<(Instant, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let reactor = reactor();
        match self.key {
            None => {
                let key = (self.at, reactor.id());
                self.key = Some(key);
                reactor.timers.borrow_mut().insert(key, cx.waker().clone());
                Poll::Pending
            }
            Some(key) => match reactor.timers.borrow_mut().get_mut(&key) {
                Some(waker) => {
                    waker.clone_from(cx.waker());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            },
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            reactor().timers.borrow_mut().remove(&key);
        }
    }
}

/// What came first of two.
pub enum Either<A, B> {
    /// The first future was done first (or at the same time).
    First(A),
    /// The second one was.
    Second(B),
}

/// Runs both until one is done; the other is dropped.
pub async fn race<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> Either<A, B> {
    let (mut a, mut b) = (std::pin::pin!(a), std::pin::pin!(b));
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(value) = a.as_mut().poll(cx) {
            return Poll::Ready(Either::First(value));
        }
        b.as_mut().poll(cx).map(Either::Second)
    })
    .await
}

/// `future`, or `None` if it takes longer than `limit`.
pub async fn timeout<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    match race(future, sleep(limit)).await {
        Either::First(value) => Some(value),
        Either::Second(()) => None,
    }
}

/// Something that happens once, and that many can wait for.
#[derive(Clone, Default)]
pub struct Flag(Rc<(Cell<bool>, RefCell<Vec<Waker>>)>);

impl Flag {
    /// It has happened.
    pub fn raise(&self) {
        self.0.0.set(true);
        for waker in self.0.1.take() {
            waker.wake();
        }
    }

    /// Whether it has happened.
    pub fn raised(&self) -> bool {
        self.0.0.get()
    }

    /// Waits for it.
    pub async fn wait(&self) {
        std::future::poll_fn(|cx| {
            if self.raised() {
                return Poll::Ready(());
            }
            let mut wakers = self.0.1.borrow_mut();
            if !wakers.iter().any(|w| w.will_wake(cx.waker())) {
                wakers.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_bounds_what_never_comes() {
        let never = std::future::pending::<()>();
        assert!(block_on(timeout(Duration::from_millis(1), never)).is_none());
    }

    /// A task waits inside a call, and meanwhile the main task does so above it.
    #[test]
    fn waiting_inside_a_task_lets_others_run() {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (flag, inner) = (Flag::default(), seen.clone());
        let done = flag.clone();
        spawn(async move {
            block_here(sleep(Duration::from_millis(30)));
            inner.borrow_mut().push("task");
            done.raise();
        });
        let outer = seen.clone();
        block_on(async move {
            block_here(sleep(Duration::from_millis(5)));
            outer.borrow_mut().push("main");
            flag.wait().await;
        });
        assert_eq!(*seen.borrow(), ["main", "task"]);
    }

    #[test]
    fn a_flag_wakes_all_who_wait() {
        let flag = Flag::default();
        let seen = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let (flag, seen) = (flag.clone(), seen.clone());
            spawn(async move {
                flag.wait().await;
                seen.set(seen.get() + 1);
            });
        }
        let count = seen.clone();
        block_on(async move {
            sleep(Duration::from_millis(1)).await;
            flag.raise();
            sleep(Duration::from_millis(1)).await;
        });
        assert_eq!(count.get(), 3);
    }
}
