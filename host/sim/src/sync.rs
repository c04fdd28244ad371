//! How tasks wait for one another.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// Something changed: wakes every task that waits, in the order in which they began to wait.
#[derive(Clone, Default)]
pub struct Signal(Arc<Mutex<Waiters>>);

#[derive(Default)]
struct Waiters {
    next: u64,
    waiting: Vec<(u64, Waker)>,
}

impl Signal {
    /// A signal nobody waits for yet.
    pub fn new() -> Signal {
        Signal::default()
    }

    /// Wakes all who wait now.
    pub fn notify(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Waits until `ready` returns something; it is asked at once and after every
    /// [`notify`](Signal::notify).
    pub fn until<T, F: FnMut() -> Option<T> + Unpin>(&self, ready: F) -> Until<F> {
        Until { signal: self.clone(), ready, key: None }
    }

    /// Registers `cx` for the next [`notify`](Signal::notify): for hand-written futures.
    /// `key` remembers the registration between polls.
    pub fn register(&self, key: &mut Option<u64>, cx: &mut Context<'_>) {
        let mut w = self.lock();
        if let Some(k) = *key
            && let Some((_, waker)) = w.waiting.iter_mut().find(|(id, _)| *id == k)
        {
            waker.clone_from(cx.waker());
            return;
        }
        let k = w.next;
        w.next += 1;
        w.waiting.push((k, cx.waker().clone()));
        *key = Some(k);
    }

    /// Takes a registration back.
    pub fn unregister(&self, key: Option<u64>) {
        if let Some(key) = key {
            self.lock().waiting.retain(|(k, _)| *k != key);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiters> {
        self.0.lock().expect("waiters are never held across a panic")
    }
}

/// See [`Signal::until`].
pub struct Until<F> {
    signal: Signal,
    ready: F,
    key: Option<u64>,
}

impl<T, F: FnMut() -> Option<T> + Unpin> Future for Until<F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        match (this.ready)() {
            Some(out) => Poll::Ready(out),
            None => {
                this.signal.register(&mut this.key, cx);
                Poll::Pending
            }
        }
    }
}

impl<F> Drop for Until<F> {
    fn drop(&mut self) {
        self.signal.unregister(self.key);
    }
}

/// A queue between tasks, without bound: for control messages, not for guests' data.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Mutex::new(Queue { items: VecDeque::new(), senders: 1, closed: false }));
    let signal = Signal::new();
    (Sender { shared: shared.clone(), signal: signal.clone() }, Receiver { shared, signal })
}

struct Queue<T> {
    items: VecDeque<T>,
    senders: usize,
    closed: bool,
}

/// The end of a [`channel`] that puts in.
pub struct Sender<T> {
    shared: Arc<Mutex<Queue<T>>>,
    signal: Signal,
}

impl<T> Sender<T> {
    /// Puts `item` in. Gives it back if the receiver is gone.
    ///
    /// # Errors
    /// The item itself, when nobody will ever take it.
    pub fn send(&self, item: T) -> Result<(), T> {
        let mut q = self.shared.lock().expect("queue lock");
        if q.closed {
            return Err(item);
        }
        q.items.push_back(item);
        drop(q);
        self.signal.notify();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.lock().expect("queue lock").senders += 1;
        Sender { shared: self.shared.clone(), signal: self.signal.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let last = {
            let mut q = self.shared.lock().expect("queue lock");
            q.senders -= 1;
            q.senders == 0
        };
        if last {
            self.signal.notify();
        }
    }
}

/// The end of a [`channel`] that takes out.
pub struct Receiver<T> {
    shared: Arc<Mutex<Queue<T>>>,
    signal: Signal,
}

impl<T> Receiver<T> {
    /// The next item, or `None` when all senders are gone and nothing is left.
    pub async fn recv(&mut self) -> Option<T> {
        let shared = self.shared.clone();
        self.signal
            .until(|| {
                let mut q = shared.lock().expect("queue lock");
                match q.items.pop_front() {
                    Some(item) => Some(Some(item)),
                    None if q.senders == 0 => Some(None),
                    None => None,
                }
            })
            .await
    }

    /// The next item if one is there.
    pub fn try_recv(&mut self) -> Option<T> {
        self.shared.lock().expect("queue lock").items.pop_front()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let items = {
            let mut q = self.shared.lock().expect("queue lock");
            q.closed = true;
            std::mem::take(&mut q.items)
        };
        drop(items);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sim, Time};
    use std::time::Duration;

    #[test]
    fn a_channel_keeps_order_and_ends_with_its_senders() {
        let mut sim = Sim::new(1, 0);
        let (tx, mut rx) = channel();
        let h = sim.handle();
        sim.handle().spawn(async move {
            for i in 0..3 {
                tx.send(i).unwrap();
                h.sleep(Duration::from_millis(1)).await;
            }
        });
        let got = Arc::new(Mutex::new(Vec::new()));
        let g = got.clone();
        sim.handle().spawn(async move {
            while let Some(i) = rx.recv().await {
                g.lock().unwrap().push(i);
            }
            g.lock().unwrap().push(99);
        });
        sim.run_until(Time::MAX, u64::MAX);
        assert_eq!(*got.lock().unwrap(), [0, 1, 2, 99]);
    }
}
