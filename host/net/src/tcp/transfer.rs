//! How bytes travel, and how a slow reader slows the writer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use podlab_sim::Time;
use podlab_trace::Kind;

use crate::dissect::Piece;
use crate::errno::Errno;
use crate::fabric::Due;
use crate::net::State;
use crate::table::Key;
use crate::tcp::conn::{Chunk, DIRS, Fin, InFlight, SEGMENT, Segment, charge};

/// The first retransmission time-out (Linux `TCP_RTO_MIN`)…
const RTO_MIN: Duration = Duration::from_millis(200);
/// …and the longest (Linux `TCP_RTO_MAX`).
const RTO_MAX: Duration = Duration::from_secs(120);
/// How often data is sent again that its program left behind (Linux `tcp_orphan_retries`).
const ORPHAN_RETRIES: u32 = 8;
/// Pieces smaller than this are copied together when they are sent or read at once.
const SMALL: usize = 16_384;

/// How long to wait before sending again what was sent again `tries` times.
fn backoff(tries: u32) -> Duration {
    RTO_MIN.saturating_mul(1 << tries.min(16)).min(RTO_MAX)
}

/// What becomes of a segment.
enum Course {
    Arrives(Time, u32),
    Held,
}

impl State {
    /// Looks up (again, if something changed) what the way of a direction is like. `None` if
    /// one of the namespaces is gone.
    fn way(&mut self, conn: Key, dir: usize) -> Option<crate::link::Path> {
        let epoch = self.links.epoch;
        let c = self.conns.get(conn)?;
        if let Some((at, path)) = c.pipes[dir].path
            && at == epoch
        {
            return Some(path);
        }
        let path = self.path(c.ends[dir].namespace?, c.ends[1 - dir].namespace?)?;
        self.conns[conn].pipes[dir].path = Some((epoch, path));
        Some(path)
    }

    fn course(&mut self, conn: Key, dir: usize, len: usize) -> Course {
        let now = self.now();
        let path = self.way(conn, dir);
        let pipe = &mut self.conns[conn].pipes[dir];
        let Some(path) = path else { return Course::Held };
        if path.link.partitioned || !pipe.held.is_empty() {
            return Course::Held;
        }
        let mut sent = now;
        let mut tries = 0;
        while self.links.loses(&path) {
            if tries == self.options.data_retries {
                return Course::Held;
            }
            sent += backoff(tries);
            tries += 1;
        }
        let at = self.links.arrival(&path, sent, len).max(pipe.last_arrival);
        pipe.last_arrival = at;
        Course::Arrives(at, tries)
    }

    /// Puts a segment on its way, or to those that wait to be sent again.
    fn dispatch(&mut self, conn: Key, dir: usize, course: &Course, segment: Segment) {
        let now = self.now();
        let pipe = &mut self.conns[conn].pipes[dir];
        match *course {
            Course::Arrives(at, tries) => {
                if pipe.flight.is_empty() {
                    self.fabric.push(at, Due::Flight { conn, dir });
                }
                pipe.flight.push_back(InFlight { at, late: tries > 0, segment });
            }
            Course::Held => {
                if pipe.held.is_empty() {
                    pipe.tries = 0;
                    self.fabric.push(now + backoff(0), Due::Retransmit { conn, dir });
                }
                pipe.held.push_back(segment);
            }
        }
    }

    /// Sends a segment without bytes. A reset that does not get through is not sent again.
    pub(crate) fn send_control(&mut self, conn: Key, dir: usize, segment: Segment) {
        let course = self.course(conn, dir, 0);
        if matches!((&segment, &course), (Segment::Rst, Course::Held)) {
            self.probe(conn, 1 - dir);
            return;
        }
        self.dispatch(conn, dir, &course, segment);
    }

    /// Lets a sender that waits for room of a peer that is no more probe for it (RFC 9293,
    /// 3.8.6.1): that is how it learns. While the peer lives, its window updates are enough.
    pub(crate) fn probe(&mut self, conn: Key, dir: usize) {
        let at = self.now() + backoff(0);
        let c = &mut self.conns[conn];
        let pipe = &mut c.pipes[dir];
        if c.ends[1 - dir].dead && !pipe.unsent.is_empty() && !pipe.window_due {
            pipe.window_due = true;
            self.fabric.push(at, Due::Window { conn, dir, probes: 1 });
        }
    }

    fn send_data(&mut self, conn: Key, dir: usize, data: Bytes) {
        let course = self.course(conn, dir, data.len());
        let c = &mut self.conns[conn];
        let pipe = &mut c.pipes[dir];
        let offset = pipe.offset;
        pipe.offset += data.len() as u64;
        pipe.outstanding += charge(data.len());
        let seq = self.tell_data(conn, dir, offset, &data, &course);
        self.dissect(conn, dir, &data, &course);
        self.dispatch(conn, dir, &course, Segment::Data { data, offset, seq });
    }

    fn tell_data(
        &mut self,
        conn: Key,
        dir: usize,
        offset: u64,
        data: &Bytes,
        course: &Course,
    ) -> podlab_trace::Seq {
        let c = &self.conns[conn];
        let (arrives, retries) = match *course {
            Course::Arrives(at, tries) => (at.as_nanos(), tries),
            Course::Held => (u64::MAX, 0),
        };
        let (len, payload) = (data.len() as u32, self.clip(data));
        let kind =
            Kind::Data { conn: c.id, dir: DIRS[dir], offset, len, payload, arrives, retries };
        self.emit(c.ends[dir].place, kind)
    }

    fn dissect(&mut self, conn: Key, dir: usize, data: &Bytes, course: &Course) {
        let now = self.now().as_nanos();
        let c = &mut self.conns[conn];
        if c.dissection.is_over() {
            return;
        }
        let arrives = match *course {
            Course::Arrives(at, _) => at.as_nanos(),
            Course::Held => u64::MAX,
        };
        let (id, place, trace) = (c.id, c.ends[dir].place, &self.trace);
        let piece = Piece { dir: DIRS[dir], data, at: now, arrives };
        c.dissection.feed(piece, self.payload_limit, &mut |found, answers| {
            trace.emit(now, place, found.into_kind(id, answers))
        });
    }

    /// The stream of this direction ends: so does a message that lasts until then.
    pub(crate) fn dissect_end(&mut self, conn: Key, dir: usize) {
        let now = self.now().as_nanos();
        let c = &mut self.conns[conn];
        if c.dissection.is_over() {
            return;
        }
        let (id, place, trace) = (c.id, c.ends[dir].place, &self.trace);
        c.dissection.finish(DIRS[dir], &mut |found, answers| {
            trace.emit(now, place, found.into_kind(id, answers))
        });
    }

    /// Takes bytes from the program: sends what the window allows, keeps what the buffer holds.
    pub(crate) fn write(
        &mut self,
        conn: Key,
        side: usize,
        data: &mut Bytes,
    ) -> Result<usize, Errno> {
        let c = &mut self.conns[conn];
        let (end, pipe) = (&mut c.ends[side], &mut c.pipes[side]);
        if let Some(error) = end.error.take() {
            return Err(error);
        }
        if end.dead || pipe.fin > Fin::Open {
            return Err(Errno::Closed);
        }
        if !end.connected {
            return Err(Errno::WouldBlock);
        }
        let taken = data.len().min(pipe.space());
        if taken == 0 {
            return if data.is_empty() { Ok(0) } else { Err(Errno::WouldBlock) };
        }
        let mut taking = data.split_to(taken);
        if pipe.unsent.is_empty() {
            loop {
                let pipe = &self.conns[conn].pipes[side];
                let window = pipe.receive_buffer.saturating_sub(pipe.outstanding);
                let len = taking.len().min(SEGMENT).min(window);
                if len == 0 {
                    break;
                }
                let segment = taking.split_to(len);
                self.send_data(conn, side, segment);
            }
        }
        if !taking.is_empty() {
            let pipe = &mut self.conns[conn].pipes[side];
            pipe.unsent_len += taking.len();
            match pipe.unsent.back_mut() {
                // Small writes beyond the window are one buffer, not many.
                Some(last) if last.len() + taking.len() <= SMALL => {
                    let mut joined = match std::mem::take(last).try_into_mut() {
                        Ok(joined) => joined,
                        Err(shared) => BytesMut::from(&shared[..]),
                    };
                    joined.extend_from_slice(&taking);
                    *last = joined.freeze();
                }
                _ => pipe.unsent.push_back(taking),
            }
            self.probe(conn, side);
        }
        Ok(taken)
    }

    /// Sends what waits, as far as the window allows; then the end, if it is wanted.
    pub(crate) fn pump(&mut self, conn: Key, dir: usize) {
        loop {
            let Some(c) = self.conns.get_mut(conn).filter(|c| !c.ends[dir].dead) else { return };
            let pipe = &mut c.pipes[dir];
            let window = pipe.receive_buffer.saturating_sub(pipe.outstanding);
            let Some(first) = pipe.unsent.front_mut() else { break };
            let len = first.len().min(SEGMENT).min(window);
            if len == 0 {
                return;
            }
            let segment = first.split_to(len);
            if first.is_empty() {
                pipe.unsent.pop_front();
            }
            pipe.unsent_len -= len;
            self.send_data(conn, dir, segment);
        }
        if self.conns[conn].pipes[dir].fin == Fin::Wanted {
            self.send_fin(conn, dir);
        }
    }

    /// Gives the program up to `max` bytes that have arrived. None at all is the end.
    pub(crate) fn read(&mut self, conn: Key, side: usize, max: usize) -> Result<Bytes, Errno> {
        let dir = 1 - side;
        let c = &mut self.conns[conn];
        let (end, pipe) = (&mut c.ends[side], &mut c.pipes[dir]);
        let Some(first) = pipe.queue.front() else {
            if let Some(error) = end.error.take() {
                return Err(error);
            }
            if end.dead || end.shut_read || pipe.fin == Fin::Arrived {
                return Ok(Bytes::new());
            }
            return Err(Errno::WouldBlock);
        };
        if max == 0 {
            return Ok(Bytes::new());
        }
        let mut seq = first.seq;
        let whole = first.data.len() <= max;
        let out = if !whole || pipe.queue.len() == 1 || first.data.len() >= SMALL {
            pipe.take(max)
        } else {
            let mut joined = BytesMut::with_capacity(max.min(pipe.queued).min(SEGMENT));
            while joined.len() < joined.capacity().min(max)
                && let Some(next) = pipe.queue.front()
            {
                seq = next.seq;
                let room = max.min(SEGMENT) - joined.len();
                if room == 0 {
                    break;
                }
                joined.extend_from_slice(&pipe.take(room));
            }
            joined.freeze()
        };
        self.trace.took(end.place, seq);
        // As Linux, tell the writer only when there is room worth telling of, and only if it
        // waits: otherwise it will see for itself.
        let waits = !pipe.unsent.is_empty() || !c.ends[dir].writers.is_empty();
        if waits && !pipe.window_due && pipe.outstanding <= pipe.receive_buffer / 2 {
            pipe.window_due = true;
            self.tell_window(conn, dir, 0);
        }
        Ok(out)
    }

    fn tell_window(&mut self, conn: Key, dir: usize, probes: u32) {
        let now = self.now();
        let path = self.way(conn, 1 - dir).filter(|p| !self.links.loses(p));
        let (at, probes) = match path {
            Some(path) => (self.links.arrival(&path, now, 0), 0),
            // Lost: the sender's zero-window probe will ask for it.
            None => (now + backoff(probes), probes + 1),
        };
        self.fabric.push(at, Due::Window { conn, dir, probes });
    }

    pub(crate) fn window(&mut self, conn: Key, dir: usize, probes: u32) {
        if probes > 0 {
            if self.conns.get(conn).is_none_or(|c| c.ends[dir].dead) {
                return;
            }
            if probes > self.options.data_retries {
                self.timed_out(conn, dir);
            } else {
                self.tell_window(conn, dir, probes);
            }
            return;
        }
        let Some(c) = self.conns.get_mut(conn) else { return };
        c.pipes[dir].window_due = false;
        if c.ends[1 - dir].dead {
            self.reset_arrives(conn, dir);
            self.reap(conn);
            return;
        }
        self.pump(conn, dir);
        let Some(c) = self.conns.get_mut(conn) else { return };
        // A third free, as Linux' `sk_stream_is_writeable`.
        if c.pipes[dir].unsent_len <= c.pipes[dir].send_buffer / 3 * 2 {
            c.ends[dir].writers.wake(&mut self.wakes);
        }
        self.reap(conn);
    }

    /// What is on the wire and due arrives.
    pub(crate) fn land(&mut self, conn: Key, dir: usize) {
        let now = self.now();
        let side = 1 - dir;
        loop {
            let Some(c) = self.conns.get_mut(conn) else { return };
            let there = c.ends[side].namespace.is_some_and(|n| self.namespaces.get(n).is_some());
            let pipe = &mut c.pipes[dir];
            let Some(next) = pipe.flight.front() else { break };
            if next.at > now {
                self.fabric.push(next.at, Due::Flight { conn, dir });
                return;
            }
            let late = next.late;
            if !there || (late && self.way(conn, dir).is_none_or(|p| p.link.partitioned)) {
                self.stall(conn, dir);
                return;
            }
            let c = &mut self.conns[conn];
            let next = c.pipes[dir].flight.pop_front().expect("looked at above");
            self.take_in(conn, side, next.segment);
        }
        self.reap(conn);
    }

    fn take_in(&mut self, conn: Key, side: usize, segment: Segment) {
        let c = &mut self.conns[conn];
        let (end, pipe) = (&mut c.ends[side], &mut c.pipes[1 - side]);
        match segment {
            Segment::Rst => self.reset_arrives(conn, side),
            _ if end.dead => self.send_reset(conn, side),
            Segment::Ack => self.established(conn),
            Segment::Data { .. } if end.orphan => self.send_reset(conn, side),
            Segment::Data { data, seq, .. } => {
                pipe.queued += data.len();
                let charge = charge(data.len());
                pipe.queue.push_back(Chunk { data, charge, seq });
                end.readers.wake(&mut self.wakes);
            }
            Segment::Fin => {
                pipe.fin = Fin::Arrived;
                end.readers.wake(&mut self.wakes);
                self.ends_meet(conn, 1 - side);
            }
        }
    }

    /// Everything on the wire turned out to be lost.
    fn stall(&mut self, conn: Key, dir: usize) {
        let now = self.now();
        let c = &mut self.conns[conn];
        let pipe = &mut c.pipes[dir];
        if c.ends[dir].dead {
            pipe.flight.clear();
            self.probe(conn, 1 - dir);
            self.reap(conn);
            return;
        }
        if pipe.held.is_empty() {
            pipe.tries = 0;
            self.fabric.push(now + backoff(0), Due::Retransmit { conn, dir });
        }
        while let Some(lost) = pipe.flight.pop_back() {
            if !matches!(lost.segment, Segment::Rst) {
                pipe.held.push_front(lost.segment);
            }
        }
        self.reap(conn);
    }

    pub(crate) fn retransmit(&mut self, conn: Key, dir: usize) {
        let now = self.now();
        let Some(c) = self.conns.get_mut(conn) else { return };
        let pipe = &mut c.pipes[dir];
        if pipe.held.is_empty() || c.ends[dir].dead {
            return;
        }
        let orphan = c.ends[dir].orphan;
        let most = self.options.data_retries;
        if pipe.tries >= if orphan { most.min(ORPHAN_RETRIES) } else { most } {
            self.timed_out(conn, dir);
            return;
        }
        pipe.tries += 1;
        let tries = pipe.tries;
        let far = c.ends[1 - dir].local.ip();
        let path = self.way(conn, dir);
        if path.is_none() && self.by_ip.contains_key(&far) {
            // Someone else has the address now, and knows of no such connection.
            self.reset_arrives(conn, dir);
            self.reap(conn);
            return;
        }
        let Some(path) = path.filter(|p| !self.links.loses(p)) else {
            self.fabric.push(now + backoff(tries), Due::Retransmit { conn, dir });
            return;
        };
        let held = std::mem::take(&mut self.conns[conn].pipes[dir].held);
        for segment in held {
            let pipe = &mut self.conns[conn].pipes[dir];
            let at = self.links.arrival(&path, now, segment.len()).max(pipe.last_arrival);
            pipe.last_arrival = at;
            let course = Course::Arrives(at, tries);
            let segment = match segment {
                Segment::Data { data, offset, .. } => {
                    let seq = self.tell_data(conn, dir, offset, &data, &course);
                    Segment::Data { data, offset, seq }
                }
                other => other,
            };
            self.dispatch(conn, dir, &Course::Arrives(at, 0), segment);
        }
    }
}

impl crate::tcp::conn::Pipe {
    /// Takes up to `max` bytes of the first chunk, and gives their room back.
    fn take(&mut self, max: usize) -> Bytes {
        let Some(first) = self.queue.front_mut() else { return Bytes::new() };
        let (out, freed) = if first.data.len() <= max {
            let first = self.queue.pop_front().expect("looked at above");
            (first.data, first.charge)
        } else {
            // A charge is never less than the length.
            first.charge -= max;
            (first.data.split_to(max), max)
        };
        self.outstanding = self.outstanding.saturating_sub(freed);
        self.queued -= out.len();
        out
    }
}
