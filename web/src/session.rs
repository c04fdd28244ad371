//! A world as the page knows it: what has come over the stream, which instant is shown, and the
//! difference between the two.

use std::cell::RefCell;
use std::rc::Rc;

use podlab_trace::event::Seq;
use podlab_trace::state::State;
use podlab_trace::wire::{Frame, VERSION, events};

use crate::model::flight::Flights;
use crate::model::layout::Layout;
pub use crate::model::speed::MAX;
use crate::model::timeline::{Cursor, Timeline};

/// A bucket of the density curve, in ns.
pub const BUCKET: u64 = 100_000_000;

/// How the stream is.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// Not open yet.
    Connecting,
    /// Open.
    Open,
    /// Lost; tried again after so many seconds.
    Waiting(u32),
    /// The world is no more.
    Gone(String),
    /// The server speaks another version.
    Version(u32),
    /// The server sent what nobody understands.
    Garbled,
}

/// Which instant the page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The present of the world, be it running or frozen.
    Live,
    /// An instant before it; it may be played from there.
    Back {
        /// Whether the view moves.
        playing: bool,
    },
}

/// The world's clock as last heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clock {
    /// Virtual time, in ns.
    pub now: u64,
    /// Thousandths of real time.
    pub speed: u32,
    /// How far a recording that is played again reaches, or 0.
    pub future: u64,
    /// Whether the machine is too slow.
    pub lagging: bool,
    /// Why it stands although it should not, or empty.
    pub stopped: String,
    /// The last event there was.
    pub last: Seq,
    /// When that was heard, in ms of the page's clock.
    heard: f64,
}

/// A world as the page knows it.
pub struct Session {
    /// The events around the present.
    pub timeline: Timeline,
    /// Older events, fetched again to look further back.
    pub past: Option<Timeline>,
    /// Where everything stands.
    pub layout: Layout,
    /// The clock.
    pub clock: Clock,
    /// What is shown.
    pub view: View,
    /// How the stream is.
    pub link: Link,
    /// The world's pattern and seed.
    pub pattern: String,
    /// Its seed.
    pub seed: u64,
    /// What its wall clock showed at the beginning, in ns since 1970.
    pub epoch: u64,
    /// How many events each [`BUCKET`] holds.
    pub density: Vec<u32>,
    /// Whether this is a recording inside the page: no world runs behind it.
    pub recorded: bool,
    /// The event after the last one that the world kept when it went back, until the watch over
    /// breakpoints has taken note of it.
    pub returned: Option<Seq>,
    /// Where marks were drawn last, for the pointer: x, y, event.
    pub drawn: Vec<(f64, f64, Seq)>,
    flights: Flights,
    cursor: Cursor,
    shown: f64,
    draining: bool,
    last_frame: f64,
    started: bool,
    laid_out: Seq,
}

/// A session that views share.
#[derive(Clone)]
pub struct Shared(pub Rc<RefCell<Session>>);

impl PartialEq for Shared {
    fn eq(&self, other: &Shared) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Session {
    /// A world nothing is known of.
    pub fn new() -> Session {
        Session {
            timeline: Timeline::new(1, State::default()),
            past: None,
            layout: Layout::new(3),
            clock: Clock::default(),
            view: View::Live,
            link: Link::Connecting,
            pattern: String::new(),
            seed: 0,
            epoch: 0,
            density: Vec::new(),
            recorded: false,
            returned: None,
            drawn: Vec::new(),
            flights: Flights::new(1.0),
            cursor: Cursor::new(),
            shown: 0.0,
            draining: false,
            last_frame: 0.0,
            started: false,
            laid_out: 0,
        }
    }

    /// Takes in a frame that came at `clock_ms` of the page's clock.
    pub fn frame(&mut self, bytes: &[u8], clock_ms: f64) {
        let Ok(frame) = Frame::decode(bytes) else {
            self.link = Link::Garbled;
            return;
        };
        match frame {
            Frame::Hello { version, pattern, seed, epoch, from, keyframe, .. } => {
                if version != VERSION {
                    self.link = Link::Version(version);
                    return;
                }
                (self.pattern, self.seed, self.epoch) = (pattern, seed, epoch);
                if from != self.timeline.next() || self.timeline.is_empty() {
                    self.timeline = Timeline::new(from, keyframe.unwrap_or_default());
                    self.forget();
                }
                self.link = Link::Open;
            }
            Frame::Events { count, bytes, .. } => match events(count, &bytes) {
                Ok(list) => {
                    for event in list {
                        let bucket = (event.at / BUCKET) as usize;
                        if self.timeline.push(event) && bucket < 1 << 20 {
                            if bucket >= self.density.len() {
                                self.density.resize(bucket + 1, 0);
                            }
                            self.density[bucket] += 1;
                        }
                    }
                }
                Err(_) => self.link = Link::Garbled,
            },
            Frame::Clock { now, speed, last, future, lagging, stopped } => {
                let first = !self.started;
                if speed == 0 && self.clock.speed == 0 && now > self.clock.now && !first {
                    // A step: its marks may still fly.
                    self.draining = true;
                }
                if speed != 0 {
                    self.draining = false;
                    let factor = if speed == MAX { 100.0 } else { f64::from(speed) / 1000.0 };
                    if (factor - self.flights.speed()).abs() > 1e-9 {
                        self.flights = Flights::new(factor);
                    }
                }
                self.clock = Clock { now, speed, future, lagging, stopped, last, heard: clock_ms };
                if first {
                    self.started = true;
                    self.shown = self.shown.max(now as f64);
                    if let View::Live = self.view {
                        self.shown = now as f64;
                    }
                }
            }
            Frame::Rewound { last, now } => {
                self.timeline.truncate(last);
                self.returned = Some(self.returned.map_or(last + 1, |seq| seq.min(last + 1)));
                self.density.truncate((now / BUCKET) as usize + 1);
                self.forget();
                self.clock.now = now;
                self.clock.heard = clock_ms;
                self.shown = now as f64;
                self.view = View::Live;
            }
            Frame::Gone { reason } => self.link = Link::Gone(reason),
        }
    }

    fn forget(&mut self) {
        self.flights = Flights::new(self.flights.speed());
        self.cursor.reset();
        self.past = None;
        self.laid_out = 0;
    }

    /// Stands everything in so many columns.
    pub fn columns(&mut self, columns: usize) {
        if columns != self.layout.columns() {
            self.layout = Layout::new(columns);
            self.laid_out = 0;
        }
    }

    /// Whether all that had happened when the stream was opened has come.
    pub fn complete(&self) -> bool {
        self.clock.heard > 0.0 && !self.timeline.is_empty()
    }

    /// All that has happened up to and with this instant is here, in ns.
    pub fn known(&self) -> u64 {
        // What happens at the newest instant may still have company on its way.
        let before = self.timeline.until().saturating_sub(1);
        if self.timeline.next() > self.clock.last { self.clock.now.max(before) } else { before }
    }

    /// The world's present as well as it can be told between two frames, in ns.
    pub fn now(&self, clock_ms: f64) -> f64 {
        let speed =
            if self.clock.speed == MAX { 0.0 } else { f64::from(self.clock.speed) / 1000.0 };
        let stands = !self.clock.stopped.is_empty() && self.clock.stopped != "idle";
        let since = (clock_ms - self.clock.heard).clamp(0.0, 400.0);
        self.clock.now as f64 + if stands { 0.0 } else { since * 1e6 * speed }
    }

    /// Moves the view on to `clock_ms` of the page's clock; whether anything on the screen moves.
    pub fn advance(&mut self, clock_ms: f64) -> bool {
        let passed = ((clock_ms - self.last_frame).clamp(0.0, 250.0)) * 1e6;
        self.last_frame = clock_ms;
        self.flights.extend(self.past.as_ref().unwrap_or(&self.timeline));
        if self.laid_out != self.timeline.next() {
            self.layout.extend(self.timeline.head(), self.flights.talkers());
            self.laid_out = self.timeline.next();
        }
        let now = self.now(clock_ms);
        let speed = self.flights.speed();
        let before = self.shown;
        match self.view {
            View::Back { playing: true } => {
                self.shown += passed * speed;
                if self.shown >= now {
                    self.present();
                }
            }
            View::Back { playing: false } => {}
            View::Live if !self.started => {}
            View::Live if self.clock.speed == 0 => {
                let end = self.flights.until() as f64;
                if self.draining {
                    self.shown = (self.shown.max(self.clock.now as f64 - speed * 1e8)
                        + passed * speed)
                        .min(end.max(now));
                    self.draining = self.shown < end;
                }
            }
            View::Live if self.clock.speed == MAX => {
                self.shown += (now - self.shown) * (passed / 2.5e8).min(1.0);
            }
            View::Live => {
                let off = now - self.shown;
                if off.abs() > 2.5e9 * speed.max(1.0) {
                    self.shown = now;
                } else {
                    let pull = (off / (5e8 * speed)).clamp(-1.0, 1.0);
                    self.shown += passed * speed * (1.0 + pull);
                }
            }
        }
        (self.shown - before).abs() > 0.5
    }

    /// The instant shown, in ns. Marks may fly on for a moment after it when the world is frozen.
    pub fn shown(&self) -> u64 {
        self.shown.max(0.0) as u64
    }

    /// The instant shown as people are told it: never after the world's present.
    pub fn told(&self) -> u64 {
        match self.view {
            View::Live if self.clock.speed == 0 => self.clock.now,
            _ => self.shown().min(self.clock.now.max(self.timeline.until())),
        }
    }

    /// The timeline that holds the instant shown.
    pub fn around(&self) -> &Timeline {
        self.past.as_ref().unwrap_or(&self.timeline)
    }

    /// The number of the first event that is not shown yet.
    pub fn edge(&self) -> Seq {
        match self.view {
            View::Live if self.clock.speed == 0 => self.timeline.next(),
            _ => self.around().after(self.shown()),
        }
    }

    /// What is true at the instant shown.
    pub fn state(&mut self) -> Rc<State> {
        let edge = self.edge();
        let timeline = self.past.as_ref().unwrap_or(&self.timeline);
        self.cursor.before(timeline, edge)
    }

    /// The marks.
    pub fn flights(&self) -> &Flights {
        &self.flights
    }

    /// Shows instant `at` and stays there.
    pub fn look_at(&mut self, at: u64) {
        self.view = View::Back { playing: false };
        self.shown = at as f64;
        self.started = true;
    }

    /// Whether the instant shown lies before all the page has.
    pub fn lacks(&self) -> bool {
        self.view != View::Live && self.shown() < self.around().since() && self.around().first() > 1
    }

    /// Uses older events to look further back.
    pub fn adopt(&mut self, past: Timeline) {
        self.past = Some(past);
        self.flights = Flights::new(self.flights.speed());
        self.cursor.reset();
    }

    /// Shows the present again.
    pub fn present(&mut self) {
        self.view = View::Live;
        if self.past.take().is_some() {
            self.flights = Flights::new(self.flights.speed());
            self.cursor.reset();
        }
        self.shown = self.clock.now as f64;
    }

    /// Whether nothing moves by itself: the world is frozen, or the recording is not played.
    pub fn stands(&self) -> bool {
        if self.recorded {
            self.view != View::Back { playing: true }
        } else {
            self.clock.speed == 0
        }
    }

    /// Plays at so many thousandths of the time of the recording.
    pub fn pace(&mut self, thousandths: u32) {
        let factor = if thousandths == MAX { 100.0 } else { f64::from(thousandths) / 1000.0 };
        if (factor - self.flights.speed()).abs() > 1e-9 {
            self.flights = Flights::new(factor);
        }
    }

    /// The instant of the first event that is known, in ns.
    pub fn beginning(&self) -> u64 {
        self.density.iter().position(|n| *n > 0).map_or(0, |i| i as u64 * BUCKET)
    }

    /// Shows the next event after the instant shown, or the end if there is none.
    pub fn step(&mut self) {
        let edge = self.edge();
        match self.around().event(edge).map(|e| e.at) {
            Some(at) => self.look_at(at),
            None => self.present(),
        }
    }

    /// Lets the view move from where it is, or stay.
    pub fn play(&mut self, playing: bool) {
        if let View::Back { .. } = self.view {
            self.view = View::Back { playing };
        }
    }

    /// Shows the event before the instant shown.
    pub fn step_back(&mut self) {
        let edge = self.edge();
        let at = match self.view {
            View::Live => self.timeline.until(),
            View::Back { .. } => self.around().event(edge.saturating_sub(1)).map_or(0, |e| e.at),
        };
        let from = self.around().after(at.saturating_sub(1));
        let before = self.around().event(from.saturating_sub(1)).map_or(at, |e| e.at);
        self.look_at(before);
    }
}

impl Default for Session {
    fn default() -> Session {
        Session::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    fn hello() -> Vec<u8> {
        let (world, pattern) = ("w".into(), "sidecar".into());
        Frame::Hello {
            version: VERSION,
            world,
            pattern,
            seed: 7,
            epoch: 0,
            from: 1,
            keyframe: None,
        }
        .encode()
    }

    fn clock(now: u64, speed: u32) -> Vec<u8> {
        Frame::Clock { now, speed, last: 0, future: 0, lagging: false, stopped: String::new() }
            .encode()
    }

    fn open() -> Session {
        let trace = sample::world(40);
        let (first, count, bytes) = trace.read_encoded(1, usize::MAX);
        let mut s = Session::new();
        s.frame(&hello(), 0.0);
        s.frame(&Frame::Events { first, count, bytes }.encode(), 0.0);
        s
    }

    #[test]
    fn a_frozen_world_and_a_view_of_the_past_are_different_things() {
        let mut s = open();
        s.frame(&clock(8_000_000_000, 0), 0.0);
        assert_eq!((s.view, s.told()), (View::Live, 8_000_000_000));
        for ms in [16.0, 1000.0, 2000.0] {
            assert!(!s.advance(ms), "a frozen world does not move");
        }
        s.look_at(3_000_000_000);
        assert_eq!(s.told(), 3_000_000_000);
        s.frame(&clock(9_000_000_000, 1000), 2000.0);
        s.advance(2100.0);
        assert_eq!(s.told(), 3_000_000_000, "the world runs, the view stands");
        s.play(true);
        s.advance(2200.0);
        assert_eq!(s.told(), 3_100_000_000);
        s.present();
        assert_eq!(s.view, View::Live);
        assert_eq!(s.told(), 9_000_000_000);
    }

    #[test]
    fn after_a_step_its_marks_fly_and_then_all_stands() {
        let mut s = open();
        s.frame(&clock(8_000_000_000, 0), 0.0);
        s.advance(1.0);
        s.frame(&clock(12_100_000_000, 0), 20.0);
        assert!(s.advance(40.0));
        assert_eq!(s.told(), 12_100_000_000);
        let mut ms = 40.0;
        while s.advance(ms + 16.0) {
            ms += 16.0;
            assert!(ms < 10_000.0, "it ends");
        }
    }

    #[test]
    fn another_version_is_told() {
        let mut s = Session::new();
        let (world, pattern) = (String::new(), String::new());
        let hello = Frame::Hello {
            version: VERSION + 1,
            world,
            pattern,
            seed: 0,
            epoch: 0,
            from: 1,
            keyframe: None,
        };
        s.frame(&hello.encode(), 0.0);
        assert_eq!(s.link, Link::Version(VERSION + 1));
        s.frame(&[9, 9, 9], 0.0);
        assert_eq!(s.link, Link::Garbled);
    }
}
