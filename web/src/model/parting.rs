//! Where two worlds part: the first instant at which not the same happens in both.
//!
//! Instants are compared one after the other, each as what happened in it in any order (who came
//! first within one instant means nothing). Every event is looked at once, and none after the
//! worlds have parted. Beside it, the first thing that a program *does* otherwise is looked for,
//! whenever it does it: each program's deeds in their own order.

use std::collections::{BTreeMap, VecDeque};

use podlab_trace::event::{Event, Kind, PlaceId, Seq};
use podlab_trace::text;

use crate::model::likeness::{actor, likeness};
use crate::model::rows::{List, name, row};
use crate::model::timeline::Timeline;

/// So many events are looked at in one go.
const BUDGET: usize = 3_000;
/// Programs' deeds of one side that wait for those of the other, at most.
const WAITING: usize = 50_000;
/// A program that has not done by then what it did in the other world does not do it, in ns.
const GRACE: u64 = 2_000_000_000;

/// What the page has of a world.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Its events.
    pub timeline: &'a Timeline,
    /// All up to and with this instant are in, in ns.
    pub until: u64,
}

/// One side of a difference, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// The event.
    pub seq: Seq,
    /// When, in ns.
    pub at: u64,
    /// Who, and to whom.
    pub who: String,
    /// What.
    pub what: String,
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// When it begins, in ns.
    pub at: u64,
    /// What happens on each side; `None` where nothing (else) does.
    pub sides: [Option<Deed>; 2],
    /// Whether both do the same, only that it takes another time.
    pub late: bool,
}

/// How far two worlds are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// From this instant they are compared, in ns: 0 for the beginning, later where a side does not
    /// hold it any more.
    pub since: u64,
    /// Up to and with this instant the same has happened, in ns.
    pub same: u64,
    /// The first difference.
    pub first: Option<Difference>,
    /// The first thing that a program does otherwise, at whatever time.
    pub deed: Option<Difference>,
}

/// Looks for where two worlds part.
#[derive(Clone, Debug, Default)]
pub struct Parting {
    found: Found,
    /// The next event of each side.
    next: [Seq; 2],
    deeds: Deeds,
    /// How many events were looked at, ever.
    looked: u64,
}

impl Parting {
    /// Nothing is known yet.
    pub fn new() -> Parting {
        Parting::default()
    }

    /// What is found so far.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// How many events were looked at, ever.
    pub fn looked(&self) -> u64 {
        self.looked
    }

    /// Takes in what has come; whether there is more to look at already.
    pub fn advance(&mut self, sides: [Known; 2]) -> bool {
        if sides.iter().any(|s| s.timeline.is_empty()) {
            return false;
        }
        let lost = |next: [Seq; 2]| (0..2).any(|i| next[i] > sides[i].timeline.next());
        // One that went back has another past now.
        if lost(self.next) || lost(self.deeds.next) {
            *self = Parting { looked: self.looked, ..Parting::default() };
        }
        let gone = |next: [Seq; 2]| (0..2).any(|i| next[i] < sides[i].timeline.first());
        if self.found.first.is_none() && gone(self.next) {
            let since = sides.map(|s| if s.timeline.first() > 1 { s.timeline.since() } else { 0 });
            let since = since[0].max(since[1]);
            self.found = Found { since, same: since, ..Found::default() };
            self.next = sides.map(|s| match since {
                0 => s.timeline.first(),
                _ => s.timeline.after(since),
            });
            self.deeds = Deeds { next: self.next, ..Deeds::default() };
        }
        let more = self.found.first.is_none() && self.instants(sides);
        let deeds = self.deeds.advance(sides, &mut self.looked);
        // Before they part nothing is done otherwise, only by others of the same name.
        let parted = self.found.first.as_ref().map_or(u64::MAX, |d| d.at);
        self.found.deed = self.deeds.found.clone().filter(|d| d.at >= parted);
        more || deeds
    }

    fn instants(&mut self, sides: [Known; 2]) -> bool {
        let known = sides[0].until.min(sides[1].until);
        let mut left = BUDGET;
        loop {
            let at = |i: usize| sides[i].timeline.event(self.next[i]).map(|e| e.at);
            let Some(now) = [at(0), at(1)].into_iter().flatten().min().filter(|t| *t <= known)
            else {
                self.found.same = self.found.same.max(known);
                return false;
            };
            if left == 0 {
                return true;
            }
            let ends = [0, 1].map(|i| sides[i].timeline.after(now));
            let prints = [0, 1].map(|i| {
                let timeline = sides[i].timeline;
                let all = timeline.range(self.next[i], ends[i]);
                let mut all: Vec<(u64, Seq)> =
                    all.filter_map(|e| Some((likeness(timeline, e, true)?, e.seq))).collect();
                all.sort_unstable();
                all
            });
            let seen = prints[0].len() + prints[1].len();
            self.looked += seen as u64;
            left = left.saturating_sub(seen.max(1));
            let only = alone(&prints[0], &prints[1]);
            if only.iter().any(|o| !o.is_empty()) {
                self.found.first = Some(difference(sides, now, only));
                return false;
            }
            (self.next, self.found.same) = (ends, now);
        }
    }
}

/// What each of two sorted lists has alone.
fn alone(a: &[(u64, Seq)], b: &[(u64, Seq)]) -> [Vec<Seq>; 2] {
    let (mut i, mut j) = (0, 0);
    let mut out = [Vec::new(), Vec::new()];
    while i < a.len() || j < b.len() {
        match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) if x.0 == y.0 => (i, j) = (i + 1, j + 1),
            (Some(x), y) if y.is_none_or(|y| x.0 < y.0) => {
                out[0].push(x.1);
                i += 1;
            }
            (_, Some(y)) => {
                out[1].push(y.1);
                j += 1;
            }
            (_, None) => break,
        }
    }
    out
}

/// Which of several things that happen at once says most.
fn weight(kind: &Kind) -> u8 {
    match kind {
        Kind::Input { .. } | Kind::Fault { .. } => 0,
        Kind::Message { .. } => 1,
        Kind::Refuse { .. } | Kind::Reset { .. } | Kind::Datagram { .. } => 2,
        Kind::Exit { .. } | Kind::Start { .. } | Kind::Signal { .. } => 3,
        Kind::Log { .. } => 4,
        Kind::File { .. } | Kind::Probe { .. } => 5,
        Kind::Object { object_kind, .. } if object_kind == "Event" => 8,
        Kind::Object { .. } => 6,
        _ => 7,
    }
}

fn difference(sides: [Known; 2], at: u64, only: [Vec<Seq>; 2]) -> Difference {
    let event = |i: usize, seq: Seq| sides[i].timeline.event(seq);
    let pick = |i: usize| {
        let all = only[i].iter().filter_map(|seq| event(i, *seq));
        all.min_by_key(|e| (weight(&e.kind), e.seq))
    };
    let loose = |i: usize, e: &Event| likeness(sides[i].timeline, e, false);
    let mut chosen = [pick(0), pick(1)];
    // What weighs most on one side is told beside what answers to it on the other.
    if let [Some(a), Some(b)] = chosen {
        let (i, first) = if weight(&b.kind) < weight(&a.kind) { (1, b) } else { (0, a) };
        let print = loose(i, first);
        let same = only[1 - i].iter().filter_map(|seq| event(1 - i, *seq));
        if let Some(same) = same.into_iter().find(|e| loose(1 - i, e) == print) {
            chosen[1 - i] = Some(same);
        } else if weight(&a.kind).abs_diff(weight(&b.kind)) > 2 {
            chosen[1 - i] = None;
        }
    }
    let late = matches!(chosen, [Some(a), Some(b)] if loose(0, a) == loose(1, b));
    let told = [0, 1].map(|i| chosen[i].map(|e| deed(sides[i].timeline, e)));
    Difference { at, sides: told, late }
}

/// What happened, in words.
fn deed(timeline: &Timeline, event: &Event) -> Deed {
    let list = [List::Messages, List::Logs, List::Events];
    let (who, what) = match list.into_iter().find_map(|l| row(timeline, event, l)) {
        Some(r) if event.place == 0 => (String::new(), r.what),
        Some(r) if r.whom.is_empty() => (r.who, r.what),
        Some(r) => (format!("{} → {}", r.who, r.whom), r.what),
        None => (name(timeline.head(), event.place), text::summary(&event.kind)),
    };
    Deed { seq: event.seq, at: event.at, who, what: what.chars().take(300).collect() }
}

/// A deed of a program that waits for its like on the other side.
type Waiting = (u64, Seq, u64);

/// The deeds of programs, each program's in their order.
#[derive(Clone, Debug, Default)]
struct Deeds {
    next: [Seq; 2],
    lanes: BTreeMap<String, [VecDeque<Waiting>; 2]>,
    names: [BTreeMap<PlaceId, String>; 2],
    waiting: usize,
    found: Option<Difference>,
    /// There were too many to wait for, or some were given up before they were seen.
    full: bool,
}

/// Whether a program did that of itself, and where it can be seen.
fn is_deed(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Message { .. }
            | Kind::Datagram { .. }
            | Kind::Refuse { .. }
            | Kind::Reset { .. }
            | Kind::Log { .. }
            | Kind::Start { .. }
            | Kind::Exit { .. }
    )
}

impl Deeds {
    fn advance(&mut self, sides: [Known; 2], looked: &mut u64) -> bool {
        let mut more = false;
        for (i, side) in sides.iter().enumerate() {
            let timeline = side.timeline;
            // Deeds that nobody has seen cannot be compared.
            self.full |= self.next[i] < timeline.first();
            if self.full {
                return false;
            }
            let end = timeline.next().min(self.next[i] + BUDGET as u64);
            more |= end < timeline.next();
            for event in timeline.range(self.next[i], end) {
                // What came of a difference says nothing more about where it began.
                if self.found.as_ref().is_some_and(|f| event.at >= f.at) {
                    more = false;
                    break;
                }
                if !is_deed(&event.kind) {
                    continue;
                }
                *looked += 1;
                let Some(print) = likeness(timeline, event, false) else { continue };
                let names = &mut self.names[i];
                let lane = names.entry(event.place).or_insert_with(|| actor(timeline, event.place));
                let lane = self.lanes.entry(lane.clone()).or_default();
                lane[i].push_back((print, event.seq, event.at));
                self.waiting += 1;
            }
            self.next[i] = end;
        }
        self.meet(sides);
        self.full = self.waiting > WAITING;
        more
    }

    fn meet(&mut self, sides: [Known; 2]) {
        for lane in self.lanes.values_mut() {
            loop {
                let fronts = [lane[0].front().copied(), lane[1].front().copied()];
                let before = |at: u64| self.found.as_ref().is_none_or(|f| at < f.at);
                let only = match fronts {
                    [Some(a), Some(b)] if a.0 == b.0 => {
                        lane[0].pop_front();
                        lane[1].pop_front();
                        self.waiting -= 2;
                        continue;
                    }
                    [Some(a), Some(b)] => {
                        // Within one instant the order means nothing.
                        let now = lane[1].iter().take_while(|w| w.2 == b.2);
                        if let Some(i) = now.into_iter().position(|w| w.0 == a.0) {
                            lane[0].pop_front();
                            lane[1].remove(i);
                            self.waiting -= 2;
                            continue;
                        }
                        [Some(a), Some(b)]
                    }
                    // Nothing like it there, and time enough has passed.
                    [Some(a), None] if sides[1].until >= a.2.saturating_add(GRACE) => {
                        [Some(a), None]
                    }
                    [None, Some(b)] if sides[0].until >= b.2.saturating_add(GRACE) => {
                        [None, Some(b)]
                    }
                    _ => break,
                };
                let at = only.iter().flatten().map(|w| w.2).min().unwrap_or(0);
                if before(at) {
                    let told = [0, 1].map(|i| {
                        let event = sides[i].timeline.event(only[i]?.1)?;
                        Some(deed(sides[i].timeline, event))
                    });
                    self.found = Some(Difference { at, sides: told, late: false });
                }
                self.waiting -= lane[0].len() + lane[1].len();
                *lane = Default::default();
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;
    use podlab_trace::State;

    fn events(steps: u64) -> Vec<Event> {
        sample::world(steps).read(1, usize::MAX)
    }

    fn load(events: &[Event]) -> Timeline {
        let mut timeline = Timeline::new(1, State::default());
        for event in events {
            assert!(timeline.push(event.clone()));
        }
        timeline
    }

    /// Without `gone`, and all numbers in their new order.
    fn without(events: &[Event], gone: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut number = BTreeMap::new();
        let mut out = Vec::new();
        for event in events.iter().filter(|e| !gone(e)) {
            let mut event = event.clone();
            number.insert(event.seq, out.len() as u64 + 1);
            event.seq = out.len() as u64 + 1;
            if let Kind::Message { answers, .. } = &mut event.kind {
                *answers = number.get(answers).copied().unwrap_or(0);
            }
            out.push(event);
        }
        out
    }

    /// As of a world that has ended.
    fn known(timeline: &Timeline) -> Known<'_> {
        Known { timeline, until: timeline.until() }
    }

    fn compare(a: &Timeline, b: &Timeline) -> Parting {
        let mut parting = Parting::new();
        for _ in 0..1_000 {
            if !parting.advance([known(a), known(b)]) {
                return parting;
            }
        }
        panic!("it never ends");
    }

    #[test]
    fn the_same_world_twice_has_no_difference() {
        let all = events(60);
        let (a, b) = (load(&all), load(&all));
        let parting = compare(&a, &b);
        assert_eq!(parting.found().first, None);
        assert_eq!(parting.found().deed, None);
        assert_eq!((parting.found().since, parting.found().same), (0, a.until()));
        // Once for the instants, once for the deeds, on each side.
        assert!(parting.looked() <= 4 * all.len() as u64, "{}", parting.looked());
    }

    #[test]
    fn the_first_line_that_is_other_is_found() {
        let all = events(60);
        let mut other = all.clone();
        let logs: Vec<usize> =
            (0..all.len()).filter(|i| matches!(all[*i].kind, Kind::Log { .. })).collect();
        for at in &logs[20..] {
            if let Kind::Log { line, .. } = &mut other[*at].kind {
                line.push_str(" slow");
            }
        }
        let parting = compare(&load(&all), &load(&other));
        let found = parting.found();
        let event = &all[logs[20]];
        for difference in [found.first.as_ref().unwrap(), found.deed.as_ref().unwrap()] {
            assert_eq!(difference.at, event.at);
            assert!(!difference.late);
            let [Some(a), Some(b)] = &difference.sides else { panic!("{difference:?}") };
            assert_eq!((a.seq, b.seq), (event.seq, event.seq));
            assert_eq!(format!("{} slow", a.what), b.what);
        }
        assert!(found.same < event.at);
        assert!(parting.looked() < 4 * all.len() as u64);
    }

    #[test]
    fn what_one_side_lacks_is_found_although_all_numbers_differ() {
        let all = events(60);
        let nth = |n: usize| {
            let all = all.iter().filter(
                |e| matches!(&e.kind, Kind::Message { summary, .. } if summary == "POST /append"),
            );
            all.cloned().nth(n).unwrap()
        };
        let gone = nth(5);
        let less = load(&without(&all, |e| e.seq == gone.seq));
        let whole = load(&all);
        let found = compare(&whole, &less).found().clone();
        let first = found.first.unwrap();
        assert_eq!(first.at, gone.at);
        assert!(first.sides[0].as_ref().unwrap().what.starts_with("POST /append"), "{first:?}");
        assert_eq!(first.sides[1], None);
        // The other way round as well.
        let turned = compare(&less, &whole).found().clone().first.unwrap();
        assert_eq!((turned.at, &turned.sides[1]), (first.at, &first.sides[0]));
        // One of many that are alike: in the end there is one less, which only time can tell.
        assert_eq!(found.deed, None);
        let later = |t| Known { timeline: t, until: Timeline::until(t) + GRACE };
        let mut parting = Parting::new();
        while parting.advance([later(&whole), later(&less)]) {}
        let deed = parting.found().deed.clone().unwrap();
        assert!(deed.sides[1].is_none() && deed.sides[0].is_some(), "{deed:?}");
    }

    #[test]
    fn what_happens_at_once_may_happen_in_any_order() {
        let mut all = events(20);
        for event in &mut all {
            event.at = event.at / 50_000_000 * 50_000_000;
        }
        let mut turned = all.clone();
        let logs: Vec<usize> = (1..all.len())
            .filter(|i| {
                matches!(all[*i].kind, Kind::Log { .. })
                    && matches!(all[i - 1].kind, Kind::File { .. })
                    && all[*i].at == all[i - 1].at
            })
            .collect();
        assert!(logs.len() > 3);
        for i in logs {
            turned.swap(i, i - 1);
            (turned[i].seq, turned[i - 1].seq) = (turned[i - 1].seq, turned[i].seq);
        }
        assert_eq!(compare(&load(&all), &load(&turned)).found().first, None);
    }

    #[test]
    fn the_same_later_is_a_difference_of_time_and_not_of_deeds() {
        let all = events(40);
        let from = all.len() / 2;
        let mut late = all.clone();
        for event in &mut late[from..] {
            event.at += 1_000_000;
        }
        let found = compare(&load(&all), &load(&late)).found().clone();
        assert_eq!(found.first.unwrap().at, all[from].at);
        assert_eq!(found.deed, None);
        // Or it only arrives later.
        let mut slow = all.clone();
        let message =
            (from..all.len()).find(|i| matches!(all[*i].kind, Kind::Message { .. })).unwrap();
        if let Kind::Message { arrives, .. } = &mut slow[message].kind {
            *arrives += 5_000_000;
        }
        let first = compare(&load(&all), &load(&slow)).found().clone().first.unwrap();
        assert!(first.late && first.at == all[message].at, "{first:?}");
    }

    #[test]
    fn events_that_come_bit_by_bit_are_compared_as_they_come() {
        let all = events(60);
        let mut other = all.clone();
        let last = all.iter().rposition(|e| matches!(e.kind, Kind::Log { .. })).unwrap();
        if let Kind::Log { line, .. } = &mut other[last].kind {
            line.push('!');
        }
        let whole = compare(&load(&all), &load(&other)).found().clone();
        let (mut a, mut b) =
            (Timeline::new(1, State::default()), Timeline::new(1, State::default()));
        let mut parting = Parting::new();
        let mut same = 0;
        for i in 0..all.len() + 40 {
            // The right side is forty events behind.
            if let Some(event) = all.get(i) {
                a.push(event.clone());
            }
            if let Some(event) = i.checked_sub(40).map(|i| &other[i]) {
                b.push(event.clone());
            }
            // What is at the newest instant may still have company.
            let so_far = |t| Known { timeline: t, until: Timeline::until(t).saturating_sub(1) };
            parting.advance([so_far(&a), so_far(&b)]);
            assert!(parting.found().same >= same, "it only grows");
            same = parting.found().same;
        }
        parting.advance([known(&a), known(&b)]);
        let found = parting.found();
        assert_eq!((&found.first, &found.deed), (&whole.first, &whole.deed));
        assert!(parting.looked() <= 4 * all.len() as u64, "{}", parting.looked());
    }

    #[test]
    fn a_side_without_its_beginning_is_compared_from_where_it_begins() {
        let all = events(60);
        let from = all.len() / 2;
        let whole = load(&all);
        let mut base = State::default();
        all[..from].iter().for_each(|e| base.apply(e));
        let mut part = Timeline::new(all[from].seq, base);
        all[from..].iter().for_each(|e| assert!(part.push(e.clone())));
        let found = compare(&whole, &part).found().clone();
        assert_eq!((found.since, found.first), (all[from].at, None));
        assert_eq!(found.same, whole.until());
    }

    #[test]
    fn going_back_begins_anew() {
        let all = events(40);
        let mut other = all.clone();
        if let Some(Kind::Log { line, .. }) =
            other.iter_mut().map(|e| &mut e.kind).rfind(|k| matches!(k, Kind::Log { .. }))
        {
            line.push('!');
        }
        let (whole, mut part) = (load(&all), load(&other));
        let mut parting = Parting::new();
        while parting.advance([known(&whole), known(&part)]) {}
        assert!(parting.found().first.is_some());
        part.truncate(50);
        parting.advance([known(&whole), known(&part)]);
        assert_eq!(parting.found().first, None);
        assert_eq!(parting.found().same, part.until());
    }
}
