//! The events the page has: a window of the trace that opens with a keyframe.

use std::collections::{BTreeMap, VecDeque};

use podlab_trace::event::{ConnId, Event, Kind, PlaceId, Seq};
use podlab_trace::state::State;

/// At most this many events are kept; when more come, the oldest quarter goes.
pub const MOST_EVENTS: usize = 60_000;
/// At most about this many bytes are kept.
pub const MOST_BYTES: usize = 48 << 20;
/// A copy of the state is kept for every so many events.
const STRIDE: usize = 2_000;

/// The ends of a connection, kept after it has closed, as long as its events are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Who connected.
    pub client: PlaceId,
    /// Who accepted, or the pod that the packets go to.
    pub server: PlaceId,
    /// The near and the far address, as text.
    pub from: String,
    /// The address that the connection ended at.
    pub to: String,
    /// The Service in between ("namespace/name:port"), or empty.
    pub via: String,
    /// The event that began it, 0 if that is older than the window.
    pub begun: Seq,
    /// Whether messages of a known protocol were found in it.
    pub spoken: bool,
    last: Seq,
}

/// A window of the trace.
#[derive(Clone, Debug)]
pub struct Timeline {
    base: State,
    events: VecDeque<Event>,
    bytes: usize,
    /// What was true just before the event number that is the key.
    checkpoints: BTreeMap<Seq, State>,
    head: State,
    ends: BTreeMap<ConnId, Ends>,
    /// The response of a request.
    answers: BTreeMap<Seq, Seq>,
    first: Seq,
}

impl Timeline {
    /// An empty window that begins with event `from`, before which `base` was true.
    pub fn new(from: Seq, base: State) -> Timeline {
        let mut ends = BTreeMap::new();
        for (conn, c) in &base.connections {
            let end = Ends {
                client: c.client,
                server: c.server,
                from: c.from.to_string(),
                to: c.to.to_string(),
                via: c.via.clone(),
                begun: 0,
                spoken: false,
                last: from,
            };
            ends.insert(*conn, end);
        }
        Timeline {
            head: base.clone(),
            base,
            events: VecDeque::new(),
            bytes: 0,
            checkpoints: BTreeMap::new(),
            ends,
            answers: BTreeMap::new(),
            first: from.max(1),
        }
    }

    /// Takes in the next event. An event that is there already, or that leaves a gap, is
    /// refused with `false`.
    pub fn push(&mut self, event: Event) -> bool {
        if event.seq != self.next() {
            return false;
        }
        if (event.seq as usize).is_multiple_of(STRIDE) {
            self.checkpoints.insert(event.seq, self.head.clone());
        }
        self.head.apply(&event);
        self.note(&event);
        self.bytes += weight(&event);
        self.events.push_back(event);
        if self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            self.shrink();
        }
        true
    }

    fn note(&mut self, event: &Event) {
        match &event.kind {
            Kind::Connect { conn, from, target, via, peer, .. } => {
                let ends = Ends {
                    client: event.place,
                    server: *peer,
                    from: from.to_string(),
                    to: target.to_string(),
                    via: via.clone(),
                    begun: event.seq,
                    spoken: false,
                    last: event.seq,
                };
                self.ends.insert(*conn, ends);
            }
            Kind::Accept { conn } => {
                if let Some(ends) = self.ends.get_mut(conn) {
                    ends.server = event.place;
                }
            }
            Kind::Message { conn, answers, .. } => {
                if *answers != 0 {
                    self.answers.insert(*answers, event.seq);
                }
                if let Some(ends) = self.ends.get_mut(conn) {
                    (ends.spoken, ends.last) = (true, event.seq);
                }
            }
            Kind::Data { conn, .. } => {
                if let Some(ends) = self.ends.get_mut(conn) {
                    ends.last = event.seq;
                }
            }
            _ => {}
        }
    }

    /// Gives up the oldest quarter.
    fn shrink(&mut self) {
        for _ in 0..self.events.len() / 4 {
            let Some(event) = self.events.pop_front() else { break };
            self.bytes -= weight(&event);
            self.base.apply(&event);
            self.first = event.seq + 1;
        }
        let first = self.first;
        self.checkpoints = self.checkpoints.split_off(&first);
        self.answers = self.answers.split_off(&first);
        let open = &self.head.connections;
        self.ends.retain(|conn, e| e.last >= first || open.contains_key(conn));
    }

    /// Forgets the events after `last`: the world went back.
    pub fn truncate(&mut self, last: Seq) {
        if last + 1 < self.first {
            *self = Timeline::new(last + 1, State::default());
            return;
        }
        while self.events.back().is_some_and(|e| e.seq > last) {
            if let Some(event) = self.events.pop_back() {
                self.bytes -= weight(&event);
            }
        }
        self.checkpoints.split_off(&(last + 1));
        self.ends.retain(|_, e| e.begun <= last);
        self.answers.retain(|_, answer| *answer <= last);
        self.head = self.state_before(last + 1);
    }

    /// The number of the first event in the window (or to come).
    pub fn first(&self) -> Seq {
        self.first
    }

    /// The number of the event that would come next.
    pub fn next(&self) -> Seq {
        self.events.back().map_or(self.first, |e| e.seq + 1)
    }

    /// How many events the window holds.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether the window holds none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The instant of the first event in the window, in ns.
    pub fn since(&self) -> u64 {
        self.events.front().map_or(0, |e| e.at)
    }

    /// The instant of the last event, in ns.
    pub fn until(&self) -> u64 {
        self.events.back().map_or(0, |e| e.at)
    }

    /// An event by its number.
    pub fn event(&self, seq: Seq) -> Option<&Event> {
        self.events.get(usize::try_from(seq.checked_sub(self.first)?).ok()?)
    }

    /// All events of the window.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> + ExactSizeIterator {
        self.events.iter()
    }

    /// The events with numbers in `from..to`.
    pub fn range(&self, from: Seq, to: Seq) -> impl DoubleEndedIterator<Item = &Event> {
        let index = |seq: Seq| {
            usize::try_from(seq.saturating_sub(self.first)).unwrap_or(0).min(self.events.len())
        };
        let (from, to) = (index(from), index(to));
        self.events.range(from..to.max(from))
    }

    /// The number of the first event after `at` ns.
    pub fn after(&self, at: u64) -> Seq {
        self.first + self.events.partition_point(|e| e.at <= at) as Seq
    }

    /// What was true just before event `seq`.
    pub fn state_before(&self, seq: Seq) -> State {
        let (from, mut state) = match self.checkpoints.range(..=seq).next_back() {
            Some((from, state)) => (*from, state.clone()),
            None => (self.first, self.base.clone()),
        };
        for event in self.range(from, seq) {
            state.apply(event);
        }
        state
    }

    /// What is true after the last event.
    pub fn head(&self) -> &State {
        &self.head
    }

    /// The ends of a connection.
    pub fn ends(&self, conn: ConnId) -> Option<&Ends> {
        self.ends.get(&conn)
    }

    /// The response to request `seq`.
    pub fn answer(&self, seq: Seq) -> Option<Seq> {
        self.answers.get(&seq).copied()
    }
}

fn weight(event: &Event) -> usize {
    let inside = match &event.kind {
        Kind::Data { payload, .. } | Kind::Datagram { payload, .. } => payload.len(),
        Kind::File { payload, path, .. } => payload.len() + path.len(),
        Kind::Message { head, body, .. } => head.len() + body.len(),
        Kind::Object { object, .. } => object.len(),
        Kind::Log { line, .. } => line.len(),
        _ => 64,
    };
    inside + std::mem::size_of::<Event>()
}

/// The state at an instant that mostly moves forward: steps instead of starting afresh.
#[derive(Clone, Debug)]
pub struct Cursor {
    state: std::rc::Rc<State>,
    next: Seq,
}

impl Cursor {
    /// A cursor at the beginning of nothing.
    pub fn new() -> Cursor {
        Cursor { state: std::rc::Rc::default(), next: 0 }
    }

    /// Forgets where it was: the past has changed.
    pub fn reset(&mut self) {
        *self = Cursor::new();
    }

    /// What was true just before event `seq`.
    pub fn before(&mut self, timeline: &Timeline, seq: Seq) -> std::rc::Rc<State> {
        let seq = seq.clamp(timeline.first(), timeline.next());
        if self.next == 0
            || seq < self.next
            || self.next < timeline.first()
            || seq - self.next > STRIDE as u64
        {
            self.state = timeline.state_before(seq).into();
        } else if seq > self.next {
            let state = std::rc::Rc::make_mut(&mut self.state);
            for event in timeline.range(self.next, seq) {
                state.apply(event);
            }
        }
        self.next = seq;
        self.state.clone()
    }
}

impl Default for Cursor {
    fn default() -> Cursor {
        Cursor::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    #[test]
    fn the_state_is_the_same_from_wherever_one_comes() {
        let trace = sample::world(40);
        let mut timeline = Timeline::new(1, State::default());
        for event in trace.read(1, usize::MAX) {
            assert!(timeline.push(event));
        }
        assert_eq!(*timeline.head(), trace.state());
        let mut cursor = Cursor::new();
        let last = timeline.next();
        for seq in [5, 100, 99, last, 1, last / 2, last / 2 + 1, last] {
            assert_eq!(*cursor.before(&timeline, seq), timeline.state_before(seq), "at {seq}");
        }
    }

    #[test]
    fn a_gap_is_refused_and_going_back_forgets() {
        let trace = sample::world(10);
        let events = trace.read(1, usize::MAX);
        let mut timeline = Timeline::new(1, State::default());
        assert!(!timeline.push(events[1].clone()));
        for event in &events {
            assert!(timeline.push(event.clone()));
            assert!(!timeline.push(event.clone()));
        }
        timeline.truncate(50);
        assert_eq!(timeline.next(), 51);
        let mut again = Timeline::new(1, State::default());
        for event in &events[..50] {
            again.push(event.clone());
        }
        assert_eq!(timeline.head(), again.head());
    }

    #[test]
    fn memory_is_bounded_and_the_state_survives() {
        let trace = sample::world(20);
        let events = trace.read(1, usize::MAX);
        let mut timeline = Timeline::new(1, State::default());
        let mut whole = State::default();
        for seq in 1..(MOST_EVENTS as u64 + 5_000) {
            let mut event = events[(seq as usize - 1) % events.len()].clone();
            event.seq = seq;
            whole.apply(&event);
            timeline.push(event);
        }
        assert!(timeline.len() <= MOST_EVENTS && timeline.first() > 1);
        assert_eq!(timeline.state_before(timeline.next()), whole);
        assert!(timeline.event(1).is_none());
    }
}
