//! What a connection consists of.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::{Context, Waker};

use bytes::Bytes;
use podlab_sim::Time;
use podlab_trace::{ConnId, Dir, PlaceId, Seq};

use crate::dissect::Dissection;
use crate::errno::Errno;
use crate::link::Path;
use crate::table::Key;

/// The side that connected. It sends on the pipe of the same number.
pub(crate) const CLIENT: usize = 0;
/// The side that accepted.
pub(crate) const SERVER: usize = 1;
/// The directions of the pipes.
pub(crate) const DIRS: [Dir; 2] = [Dir::ToServer, Dir::ToClient];
/// The largest segment: what Linux puts into one buffer with offloading.
pub(crate) const SEGMENT: usize = 65_536;
/// What a segment costs of a buffer at least, so that tiny writes cannot fill memory with
/// bookkeeping (Linux counts `truesize` for the same reason).
const LEAST_CHARGE: usize = 256;

/// What a segment of `len` bytes takes of the receiver's buffer.
pub(crate) fn charge(len: usize) -> usize {
    len.max(LEAST_CHARGE)
}

/// The most tasks that wait at one socket. Tasks that lost interest are not told apart.
const WAKERS_MAX: usize = 64;

/// Tasks to wake.
#[derive(Default)]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    /// Adds a task; the one that waited longest is woken (and may ask again) if there are too
    /// many.
    pub(crate) fn add(&mut self, cx: &Context<'_>, wakes: &mut Vec<Waker>) {
        if self.0.iter().any(|w| w.will_wake(cx.waker())) {
            return;
        }
        if self.0.len() >= WAKERS_MAX {
            wakes.push(self.0.remove(0));
        }
        self.0.push(cx.waker().clone());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Moves all of them to those that are about to be woken.
    pub(crate) fn wake(&mut self, wakes: &mut Vec<Waker>) {
        wakes.append(&mut self.0);
    }
}

pub(crate) struct Conn {
    pub(crate) id: ConnId,
    /// The event of its connect.
    pub(crate) connect: Seq,
    pub(crate) target: Target,
    pub(crate) ends: [End; 2],
    pub(crate) pipes: [Pipe; 2],
    /// The listening socket that it waits at, until it is accepted.
    pub(crate) listener: Option<Key>,
    /// An ephemeral port to be given back to a namespace.
    pub(crate) lent: Option<(Key, u16)>,
    pub(crate) dissection: Dissection,
    /// Whether the trace has its end.
    pub(crate) ended: bool,
}

/// Where a connect goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To whoever has the address.
    Host,
    /// To a Service without endpoints.
    Rejected,
    /// To nobody.
    Nowhere,
}

pub(crate) struct End {
    /// The namespace; `None` for a server that was not found yet.
    pub(crate) namespace: Option<Key>,
    pub(crate) place: PlaceId,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    /// The socket, while a program holds one.
    pub(crate) socket: Option<Key>,
    /// The handshake is done as far as this side knows.
    pub(crate) connected: bool,
    /// The program let go of it: bytes that still come are answered with a reset.
    pub(crate) orphan: bool,
    /// It sends and takes nothing any more.
    pub(crate) dead: bool,
    /// Why, until a program was told.
    pub(crate) error: Option<Errno>,
    /// Reads that would block end instead.
    pub(crate) shut_read: bool,
    pub(crate) readers: Wakers,
    pub(crate) writers: Wakers,
}

impl End {
    pub(crate) fn new(
        namespace: Option<Key>,
        place: PlaceId,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> End {
        End {
            namespace,
            place,
            local,
            peer,
            socket: None,
            connected: false,
            orphan: false,
            dead: false,
            error: None,
            shut_read: false,
            readers: Wakers::default(),
            writers: Wakers::default(),
        }
    }
}

/// The end of a direction's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fin {
    /// More may come.
    Open,
    /// To be sent after what is not sent yet.
    Wanted,
    /// Under way.
    Sent,
    /// The receiver knows.
    Arrived,
}

#[derive(Debug)]
pub(crate) enum Segment {
    /// The third packet of the handshake.
    Ack,
    Data {
        data: Bytes,
        offset: u64,
        seq: Seq,
    },
    Fin,
    Rst,
}

impl Segment {
    pub(crate) fn len(&self) -> usize {
        match self {
            Segment::Data { data, .. } => data.len(),
            _ => 0,
        }
    }
}

/// A segment on the wire.
pub(crate) struct InFlight {
    pub(crate) at: Time,
    /// Whether it was lost at least once, so that a partition may have begun meanwhile.
    pub(crate) late: bool,
    pub(crate) segment: Segment,
}

/// Bytes that wait to be read.
pub(crate) struct Chunk {
    pub(crate) data: Bytes,
    pub(crate) charge: usize,
    pub(crate) seq: Seq,
}

/// One direction.
pub(crate) struct Pipe {
    /// Accepted from the program, beyond the receiver's window.
    pub(crate) unsent: VecDeque<Bytes>,
    pub(crate) unsent_len: usize,
    pub(crate) send_buffer: usize,
    /// Position of the next byte to be sent.
    pub(crate) offset: u64,
    /// Charges of what was sent and not read yet: the receiver's window is what is left.
    pub(crate) outstanding: usize,
    pub(crate) receive_buffer: usize,
    pub(crate) flight: VecDeque<InFlight>,
    /// The last arrival: later segments do not overtake.
    pub(crate) last_arrival: Time,
    /// Lost, and everything sent since.
    pub(crate) held: VecDeque<Segment>,
    /// How often the first of them was sent again.
    pub(crate) tries: u32,
    pub(crate) fin: Fin,
    pub(crate) path: Option<(u64, Path)>,
    /// A window update is under way.
    pub(crate) window_due: bool,
    /// Arrived and not read yet.
    pub(crate) queue: VecDeque<Chunk>,
    pub(crate) queued: usize,
}

impl Pipe {
    pub(crate) fn new(send_buffer: usize, receive_buffer: usize) -> Pipe {
        Pipe {
            unsent: VecDeque::new(),
            unsent_len: 0,
            send_buffer,
            offset: 0,
            outstanding: 0,
            receive_buffer,
            flight: VecDeque::new(),
            last_arrival: Time::ZERO,
            held: VecDeque::new(),
            tries: 0,
            fin: Fin::Open,
            path: None,
            window_due: false,
            queue: VecDeque::new(),
            queued: 0,
        }
    }

    /// Bytes that the program may write now.
    pub(crate) fn space(&self) -> usize {
        let window = self.receive_buffer.saturating_sub(self.outstanding);
        if self.unsent_len == 0 && window > 0 {
            self.send_buffer + window
        } else {
            self.send_buffer.saturating_sub(self.unsent_len)
        }
    }

    /// Whether nothing of it is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.unsent.is_empty() && self.flight.is_empty() && self.held.is_empty()
    }

    /// Forgets what was not sent, or not got through.
    pub(crate) fn give_up(&mut self) {
        self.unsent.clear();
        self.unsent_len = 0;
        self.held.clear();
        self.tries = 0;
    }
}
