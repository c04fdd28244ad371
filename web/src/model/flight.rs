//! When a mark leaves and arrives on the screen.
//!
//! A real flight takes microseconds, and nobody would see it. So a mark flies for 0.4 to 0.9 s of
//! the viewer's time, longer for longer flights (logarithmically), and never leaves before what
//! caused it has arrived. True figures are printed where a mark is inspected. All of this is a
//! function of the events and the speed alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use podlab_trace::event::{ConnId, Dir, Event, FileOp, Kind, PlaceId, Seq};

use crate::model::route::End;
use crate::model::timeline::Timeline;

const SHORT: f64 = 0.40e9;
const LONG: f64 = 0.90e9;
/// How far marks may lag behind their events, in ns of the viewer's time, before they hurry.
const LAG: f64 = 1.2e9;
/// The shape of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// A request: an arrowhead.
    Request,
    /// A response: a disc.
    Response,
    /// Bytes of a connection whose protocol is not known: a square.
    Data,
    /// A datagram: a hexagon.
    Datagram,
    /// A file written: a sheet, full.
    Write,
    /// A file read: a sheet, outlined.
    Read,
    /// A probe and its answer: a ring.
    Probe,
    /// Something that went wrong: a diamond.
    Error,
}

/// All shapes, for a legend.
pub const SHAPES: [Shape; 8] = [
    Shape::Request,
    Shape::Response,
    Shape::Write,
    Shape::Read,
    Shape::Data,
    Shape::Datagram,
    Shape::Probe,
    Shape::Error,
];

/// One mark.
#[derive(Clone, Debug, PartialEq)]
pub struct Flight {
    /// Its event.
    pub seq: Seq,
    /// When it happened, in ns.
    pub at: u64,
    /// When it leaves on the screen, in ns of world time.
    pub start: u64,
    /// When it arrives.
    pub end: u64,
    /// From where.
    pub from: End,
    /// To where.
    pub to: End,
    /// The Service in between, or empty.
    pub via: String,
    /// What it looks like.
    pub shape: Shape,
    /// The connection, 0 if there is none.
    pub conn: ConnId,
    /// Whether it never arrives.
    pub lost: bool,
}

/// All marks of a timeline at one speed.
#[derive(Clone, Debug)]
pub struct Flights {
    speed: f64,
    list: VecDeque<Flight>,
    /// All places that ever sent something or were sent something.
    talkers: BTreeSet<PlaceId>,
    /// When the consequences of an event may begin.
    done: BTreeMap<Seq, u64>,
    /// The end of the last bytes of a direction that no message has claimed yet.
    pending: BTreeMap<(ConnId, bool), (u64, u64)>,
    next: Seq,
    /// Until when marks are under way.
    until: u64,
}

impl Flights {
    /// No marks yet; `speed` is world time a second of the viewer's time.
    pub fn new(speed: f64) -> Flights {
        Flights {
            speed: speed.max(0.01),
            list: VecDeque::new(),
            talkers: BTreeSet::new(),
            done: BTreeMap::new(),
            pending: BTreeMap::new(),
            next: 0,
            until: 0,
        }
    }

    /// The speed they are made for.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Takes in the events that have come since.
    pub fn extend(&mut self, timeline: &Timeline) {
        if self.next < timeline.first() {
            self.next = timeline.first();
        }
        let to = timeline.next();
        if self.next > to {
            *self = Flights::new(self.speed);
            self.next = timeline.first();
        }
        for event in timeline.range(self.next, to) {
            self.take(event, timeline);
        }
        self.next = to;
        while self.done.len() > 20_000 {
            self.done.pop_first();
        }
        while self.pending.len() > 4_000 {
            self.pending.pop_first();
        }
        while self.list.front().is_some_and(|f| f.seq < timeline.first()) {
            self.list.pop_front();
        }
    }

    /// How long a flight of `real` ns lasts on the screen, in ns of world time, if nothing hurries.
    fn length(&self, real: u64) -> f64 {
        let decades = ((real as f64).max(1.0) / 1e5).log10().clamp(0.0, 4.0);
        ((SHORT + (LONG - SHORT) * decades / 4.0) * self.speed).max(real as f64)
    }

    /// When a flight that happened at `at` and is caused by what is done at `after` begins and
    /// ends.
    fn plan(&self, at: u64, after: u64, real: u64) -> (u64, u64) {
        let lag = LAG * self.speed;
        let start = at.max(after).min(at.saturating_add((2.0 * lag) as u64));
        let late = (start - at) as f64;
        let hurry = (1.0 - late / lag).clamp(0.04, 1.0);
        (start, start.saturating_add((self.length(real) * hurry) as u64))
    }

    fn after(&self, event: &Event) -> u64 {
        self.done.get(&event.cause).copied().unwrap_or(0).max(event.at)
    }

    fn take(&mut self, event: &Event, timeline: &Timeline) {
        let after = self.after(event);
        let real =
            |arrives: u64| if arrives == u64::MAX { 0 } else { arrives.saturating_sub(event.at) };
        let mut done = after;
        match &event.kind {
            Kind::Data { conn, dir, arrives, .. } => {
                let key = (*conn, *dir == Dir::ToServer);
                let (start, end) = self.plan(event.at, after, real(*arrives));
                let pending = self.pending.get(&key).copied();
                let span = pending.map_or((start, end), |(s, e)| (s, e.max(end)));
                self.pending.insert(key, span);
                done = end;
                if let Some(ends) = timeline.ends(*conn) {
                    let way = way(*dir, ends.client, ends.server);
                    self.add(
                        event,
                        (start, end),
                        way,
                        &ends.via,
                        Shape::Data,
                        *conn,
                        *arrives == u64::MAX,
                    );
                }
            }
            Kind::Message { conn, dir, arrives, answers, summary, malformed, .. } => {
                let asked = self.done.get(answers).copied().unwrap_or(0);
                let span = self.pending.remove(&(*conn, *dir == Dir::ToServer));
                let after = span.map_or(after, |(s, _)| s).max(asked);
                let (start, end) = self.plan(event.at, after, real(*arrives));
                done = end;
                if let Some(ends) = timeline.ends(*conn) {
                    let way = way(*dir, ends.client, ends.server);
                    let probe = timeline
                        .head()
                        .places
                        .get(&ends.client)
                        .is_some_and(|p| p.pod.is_empty() && p.container == "kubelet");
                    let shape = if *malformed || (*answers != 0 && failed(summary)) {
                        Shape::Error
                    } else if probe {
                        Shape::Probe
                    } else if *dir == Dir::ToServer {
                        Shape::Request
                    } else {
                        Shape::Response
                    };
                    self.add(
                        event,
                        (start, end),
                        way,
                        &ends.via,
                        shape,
                        *conn,
                        *arrives == u64::MAX,
                    );
                }
            }
            Kind::Refuse { conn, .. } | Kind::Reset { conn, .. } => {
                let (start, end) = self.plan(event.at, after, 0);
                done = end;
                if let Some(ends) = timeline.ends(*conn) {
                    let dir = match &event.kind {
                        Kind::Reset { dir, .. } => *dir,
                        _ => Dir::ToClient,
                    };
                    let way = way(dir, ends.client, ends.server);
                    self.add(event, (start, end), way, "", Shape::Error, 0, false);
                }
            }
            Kind::Datagram { peer, arrives, .. } => {
                let (start, end) = self.plan(event.at, after, real(*arrives));
                done = end;
                let way = (End::Place(event.place), End::Place(*peer));
                self.add(event, (start, end), way, "", Shape::Datagram, 0, *arrives == u64::MAX);
            }
            Kind::File { op, volume, error, .. } if !volume.is_empty() => {
                let drawer = End::Volume(event.place, volume.clone());
                let here = End::Place(event.place);
                let (way, shape) = match op {
                    FileOp::Open if error.is_empty() => return self.finish(event.seq, done),
                    FileOp::Read => ((drawer, here), Shape::Read),
                    FileOp::Open => ((drawer, here), Shape::Error),
                    _ => ((here, drawer), Shape::Write),
                };
                let (start, end) = self.plan(event.at, after, 0);
                done = end;
                let shape = if error.is_empty() { shape } else { Shape::Error };
                self.add(event, (start, end), way, "", shape, 0, false);
            }
            _ => {}
        }
        self.finish(event.seq, done);
    }

    fn finish(&mut self, seq: Seq, done: u64) {
        self.done.insert(seq, done);
    }

    #[allow(clippy::too_many_arguments)]
    fn add(
        &mut self,
        event: &Event,
        (start, end): (u64, u64),
        (from, to): (End, End),
        via: &str,
        shape: Shape,
        conn: ConnId,
        lost: bool,
    ) {
        self.until = self.until.max(end);
        for side in [&from, &to] {
            if let End::Place(id) = side {
                self.talkers.insert(*id);
            }
        }
        let via = via.to_owned();
        self.list.push_back(Flight {
            seq: event.seq,
            at: event.at,
            start,
            end,
            from,
            to,
            via,
            shape,
            conn,
            lost,
        });
    }

    /// All places that ever sent something or were sent something.
    pub fn talkers(&self) -> &BTreeSet<PlaceId> {
        &self.talkers
    }

    /// The last instant at which a mark is under way.
    pub fn until(&self) -> u64 {
        self.until
    }

    /// The marks under way at `t`, each with the part of its way that it has gone.
    pub fn at<'a>(
        &'a self,
        t: u64,
        timeline: &'a Timeline,
    ) -> impl Iterator<Item = (&'a Flight, f64)> {
        let back = ((2.0 * LAG + LONG) * self.speed) as u64 + 10_000_000_000;
        let from = self.list.partition_point(|f| f.at < t.saturating_sub(back));
        self.list
            .range(from..)
            .take_while(move |f| f.at <= t)
            .filter(move |f| f.start <= t && t < f.end)
            // Once the message in some bytes is known, it stands for them.
            .filter(|f| f.shape != Shape::Data || !timeline.ends(f.conn).is_some_and(|e| e.spoken))
            .map(move |f| (f, (t - f.start) as f64 / (f.end - f.start).max(1) as f64))
    }

    /// The marks of the events in `from..=to`, oldest first.
    pub fn between<'a>(
        &'a self,
        from: u64,
        to: u64,
        timeline: &'a Timeline,
    ) -> impl Iterator<Item = &'a Flight> {
        let start = self.list.partition_point(|f| f.at < from);
        self.list
            .range(start..)
            .take_while(move |f| f.at <= to)
            .filter(|f| f.shape != Shape::Data || !timeline.ends(f.conn).is_some_and(|e| e.spoken))
    }
}

impl Flights {
    /// The marks of events before number `before`, newest first.
    pub fn newest<'a>(
        &'a self,
        before: Seq,
        timeline: &'a Timeline,
    ) -> impl Iterator<Item = &'a Flight> {
        let end = self.list.partition_point(|f| f.seq < before);
        self.list
            .range(..end)
            .rev()
            .filter(|f| f.shape != Shape::Data || !timeline.ends(f.conn).is_some_and(|e| e.spoken))
    }
}

fn way(dir: Dir, client: PlaceId, server: PlaceId) -> (End, End) {
    match dir {
        Dir::ToServer => (End::Place(client), End::Place(server)),
        Dir::ToClient => (End::Place(server), End::Place(client)),
    }
}

/// Whether a response's first line says that it is an error.
pub fn failed(summary: &str) -> bool {
    summary.trim_start().starts_with(['4', '5'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;
    use podlab_trace::State;

    fn load() -> Timeline {
        let mut timeline = Timeline::new(1, State::default());
        for event in sample::world(30).read(1, usize::MAX) {
            timeline.push(event);
        }
        timeline
    }

    #[test]
    fn a_response_leaves_after_its_request_has_arrived() {
        let timeline = load();
        for speed in [0.1, 1.0, 100.0] {
            let mut flights = Flights::new(speed);
            flights.extend(&timeline);
            let by_seq: BTreeMap<Seq, &Flight> = flights.list.iter().map(|f| (f.seq, f)).collect();
            let mut pairs = 0;
            for event in timeline.events() {
                if let Kind::Message { answers, .. } = &event.kind
                    && let (Some(q), Some(r)) = (by_seq.get(answers), by_seq.get(&event.seq))
                {
                    pairs += 1;
                    assert!(r.start >= q.end, "{} answers {answers} at speed {speed}", event.seq);
                }
            }
            assert!(pairs > 10);
        }
    }

    #[test]
    fn a_mark_is_under_way_at_an_instant_however_one_got_there() {
        let timeline = load();
        let mut whole = Flights::new(1.0);
        whole.extend(&timeline);
        let mut steps = Flights::new(1.0);
        let mut grown = Timeline::new(1, State::default());
        for event in timeline.events() {
            grown.push(event.clone());
            steps.extend(&grown);
        }
        for t in (0..30).map(|s| s * 700_000_000) {
            let a: Vec<_> =
                whole.at(t, &timeline).map(|(f, p)| (f.seq, f.start, p.to_bits())).collect();
            let b: Vec<_> =
                steps.at(t, &grown).map(|(f, p)| (f.seq, f.start, p.to_bits())).collect();
            assert_eq!(a, b, "at {t}");
        }
    }

    #[test]
    fn marks_do_not_fall_behind_for_ever() {
        let timeline = load();
        let mut flights = Flights::new(100.0);
        flights.extend(&timeline);
        for f in &flights.list {
            assert!(f.end - f.at <= (100.0 * (2.0 * LAG + LONG)) as u64 + 1);
        }
    }
}
