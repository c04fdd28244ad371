//! Packets under way, in order of arrival. The only place of this crate that waits for time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use podlab_sim::{Handle, Sleep, Time};
use podlab_trace::Seq;

use crate::net::State;
use crate::table::Key;

/// Something that happens when its time has come.
pub(crate) enum Due {
    /// The first packets of a direction of a connection are there.
    Flight { conn: Key, dir: usize },
    /// A packet that was lost is sent once more.
    Retransmit { conn: Key, dir: usize },
    /// A sender hears that there is room again; or asks, while it cannot hear.
    Window { conn: Key, dir: usize, probes: u32 },
    /// A SYN is there.
    Syn { conn: Key, sent: Time, attempt: u32 },
    /// A SYN is sent once more.
    SynAgain { conn: Key, attempt: u32 },
    /// The client hears that it is connected.
    SynAck { conn: Key },
    /// The client hears that it is not, or waited long enough.
    Refused { conn: Key, how: Refusal },
    /// A datagram is there.
    Datagram { to: Key, local: SocketAddr, from: SocketAddr, data: Bytes, seq: Seq, sender: Key },
    /// A sender of datagrams hears that nobody is there.
    Unreachable { socket: Key, peer: SocketAddr },
}

/// How a connect failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Reset,
    Timeout,
    Denied,
}

struct Entry {
    at: Time,
    number: u64,
    due: Due,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest is the greatest, as the heap wants it.
    fn cmp(&self, other: &Entry) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

pub(crate) struct Fabric {
    sim: Handle,
    heap: BinaryHeap<Entry>,
    next: u64,
    /// The fabric's task, once it has run.
    task: Option<Waker>,
    armed: Option<(Time, Sleep)>,
}

impl Fabric {
    pub(crate) fn new(sim: &Handle) -> Fabric {
        Fabric { sim: sim.clone(), heap: BinaryHeap::new(), next: 0, task: None, armed: None }
    }

    pub(crate) fn push(&mut self, at: Time, due: Due) {
        self.heap.push(Entry { at, number: self.next, due });
        self.next += 1;
    }

    fn pop(&mut self, now: Time) -> Option<Due> {
        if self.heap.peek()?.at > now {
            return None;
        }
        self.heap.pop().map(|e| e.due)
    }

    /// Sets the timer to the first entry, if it is not there yet. The timer wakes the fabric's
    /// task directly, so that sending does not run it.
    pub(crate) fn arm(&mut self) {
        let (Some(first), Some(task)) = (self.heap.peek(), &self.task) else { return };
        if self.armed.as_ref().is_some_and(|(at, _)| *at <= first.at) {
            return;
        }
        let at = first.at;
        let mut sleep = self.sim.sleep_until(at);
        // Pending in any case: a sleep that is due at once wakes instead.
        let _ = Pin::new(&mut sleep).poll(&mut Context::from_waker(task));
        self.armed = Some((at, sleep));
    }
}

/// The task that delivers what is due.
pub(crate) struct Carrier(pub(crate) Weak<Mutex<State>>);

impl Future for Carrier {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(state) = self.0.upgrade() else { return Poll::Ready(()) };
        let mut state = state.lock().expect("nothing panics while it holds the network");
        let now = state.now();
        if state.fabric.armed.as_ref().is_some_and(|(at, _)| *at <= now) {
            state.fabric.armed = None;
        }
        if state.fabric.task.as_ref().is_none_or(|t| !t.will_wake(cx.waker())) {
            state.fabric.task = Some(cx.waker().clone());
        }
        while let Some(due) = state.fabric.pop(now) {
            state.deliver(due);
        }
        state.fabric.arm();
        let wakes = std::mem::take(&mut state.wakes);
        drop(state);
        wakes.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

impl State {
    fn deliver(&mut self, due: Due) {
        match due {
            Due::Flight { conn, dir } => self.land(conn, dir),
            Due::Retransmit { conn, dir } => self.retransmit(conn, dir),
            Due::Window { conn, dir, probes } => self.window(conn, dir, probes),
            Due::Syn { conn, sent, attempt } => self.syn_arrives(conn, sent, attempt),
            Due::SynAgain { conn, attempt } => self.send_syn(conn, attempt),
            Due::SynAck { conn } => self.connected(conn),
            Due::Refused { conn, how } => self.refused(conn, how),
            Due::Datagram { to, local, from, data, seq, sender } => {
                self.datagram_arrives(to, local, from, data, seq, sender);
            }
            Due::Unreachable { socket, peer } => self.nobody_there(socket, peer),
        }
    }
}
