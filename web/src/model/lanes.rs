//! The order of what happened, as a space-time diagram: a lane for each container, time from left
//! to right, messages as arrows. What happened one after the other stands side by side however
//! short the time between was; a longer pause is a wider gap.

use std::collections::{BTreeMap, BTreeSet};

use podlab_trace::event::{Kind, PlaceId, Seq};
use podlab_trace::state::State;

use crate::model::consequence::{carried, carriers};
use crate::model::flight::{Flight, Flights, Shape};
use crate::model::route::End;
use crate::model::rows::name;
use crate::model::timeline::Timeline;

/// Height of a lane, in CSS pixels.
pub const LANE: f64 = 30.0;
/// Room between two instants.
const STEP: f64 = 17.0;
/// A pause longer than this, in ns, is a gap.
const PAUSE: u64 = 20_000_000;
/// The width of a gap.
const GAP: f64 = 46.0;
/// Room before the first instant.
const EDGE: f64 = 14.0;
/// Causes and consequences are followed over so many events.
const REACH: u64 = 6_000;

/// A lane.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// What stands before it.
    pub label: String,
    /// Its pod, or the name of what is in none.
    pub group: String,
    /// How many containers it stands for.
    pub of: usize,
}

/// A message, from lane to lane; of a file, both are the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrow {
    /// Its event.
    pub seq: Seq,
    /// When it was sent, in ns.
    pub at: u64,
    /// The lanes it leaves and reaches.
    pub lanes: (usize, usize),
    /// Where it leaves and arrives, from the left.
    pub x: (f64, f64),
    /// What it looks like.
    pub shape: Shape,
    /// Whether it never arrives.
    pub lost: bool,
}

/// The diagram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lanes {
    /// The lanes, from above.
    pub lanes: Vec<Lane>,
    /// What happened, in order.
    pub arrows: Vec<Arrow>,
    /// Pauses: where, and the instant after them in ns.
    pub gaps: Vec<(f64, u64)>,
    /// The width of all of it.
    pub width: f64,
}

/// What is to be in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Pods whose containers share a lane.
    pub folded: BTreeSet<String>,
    /// Whether probes are shown.
    pub probes: bool,
    /// What is selected is shown, also where it is a probe.
    pub chosen: Option<Seq>,
    /// At most so many messages: the newest.
    pub most: usize,
}

/// The place an end of a message belongs to.
fn place(end: &End) -> PlaceId {
    match end {
        End::Place(id) | End::Volume(id, _) => *id,
    }
}

/// When a message really was sent and really arrived, in ns.
fn span(timeline: &Timeline, flight: &Flight) -> (u64, u64) {
    match timeline.event(flight.seq).map(|e| &e.kind) {
        Some(Kind::Message { began, arrives, .. }) if *arrives != u64::MAX => (*began, *arrives),
        Some(Kind::Data { arrives, .. } | Kind::Datagram { arrives, .. })
            if *arrives != u64::MAX =>
        {
            (flight.at, *arrives)
        }
        _ => (flight.at, flight.at),
    }
}

/// The group of a place: its pod, or its own name.
fn group(state: &State, id: PlaceId) -> String {
    match state.places.get(&id) {
        Some(p) if !p.pod.is_empty() => p.pod.clone(),
        _ => name(state, id),
    }
}

/// What happened up to the event before `before`.
pub fn lanes(timeline: &Timeline, flights: &Flights, before: Seq, wanted: &Wanted) -> Lanes {
    let state = timeline.head();
    let mut chosen: Vec<&Flight> = flights
        .newest(before, timeline)
        .filter(|f| wanted.probes || f.shape != Shape::Probe || wanted.chosen == Some(f.seq))
        .take(wanted.most)
        .collect();
    chosen.reverse();

    let mut keys: BTreeMap<(String, PlaceId), usize> = BTreeMap::new();
    for flight in &chosen {
        for id in [place(&flight.from), place(&flight.to)] {
            keys.insert((group(state, id), id), 0);
        }
    }
    // Who has ever said something keeps its lane, so that lanes do not come and go.
    for id in flights.talkers() {
        if state.places.get(id).is_some_and(|p| !p.pod.is_empty() && !p.container.is_empty()) {
            keys.insert((group(state, *id), *id), 0);
        }
    }
    let mut out = Lanes::default();
    for ((group, id), lane) in &mut keys {
        let folded = wanted.folded.contains(group);
        match out.lanes.last_mut() {
            Some(last) if folded && last.group == *group => last.of += 1,
            _ => {
                let label = if folded { group.clone() } else { name(state, *id) };
                out.lanes.push(Lane { label, group: group.clone(), of: 1 });
            }
        }
        *lane = out.lanes.len() - 1;
    }
    let lane_of =
        |end: &End| keys.get(&(group(state, place(end)), place(end))).copied().unwrap_or(0);

    // Every instant gets a place of its own, in order.
    let mut instants = BTreeMap::new();
    for flight in &chosen {
        let (sent, came) = span(timeline, flight);
        instants.insert(sent, 0.0);
        instants.insert(came, 0.0);
    }
    let (mut x, mut last) = (EDGE, None);
    for (at, place) in &mut instants {
        if let Some(last) = last {
            x += STEP;
            if at - last > PAUSE {
                x += GAP;
                out.gaps.push((x, *at));
            }
        } else {
            out.gaps.push((x, *at));
        }
        *place = x;
        last = Some(*at);
    }
    out.width = x + 4.0 * EDGE;
    out.arrows = chosen
        .iter()
        .map(|f| {
            let (sent, came) = span(timeline, f);
            let at = |t: u64| instants.get(&t).copied().unwrap_or(0.0);
            let lanes = (lane_of(&f.from), lane_of(&f.to));
            // What happened in no time still has a beginning and an end.
            let x = (at(sent), at(came).max(at(sent) + if lanes.0 == lanes.1 { 0.0 } else { 5.0 }));
            Arrow { seq: f.seq, at: f.at, lanes, x, shape: f.shape, lost: f.lost }
        })
        .collect();
    out
}

/// All that led to event `seq`, and all that came of it, itself included.
pub fn related(timeline: &Timeline, seq: Seq) -> BTreeSet<Seq> {
    let mut out = BTreeSet::from([seq]);
    let links = |e: &podlab_trace::Event| {
        let answers = match &e.kind {
            Kind::Message { answers, .. } => *answers,
            _ => 0,
        };
        [e.cause, answers].into_iter().filter(|n| *n != 0).collect::<Vec<_>>()
    };
    let mut open = vec![seq];
    while let Some(next) = open.pop() {
        let Some(event) = timeline.event(next) else { continue };
        for cause in links(event) {
            // What stands in the diagram is the message, not its bytes.
            for cause in [cause, carried(timeline, cause)] {
                if seq - cause.min(seq) < REACH && out.insert(cause) {
                    open.push(cause);
                }
            }
        }
    }
    let mut after = BTreeSet::from([seq]);
    after.extend(carriers(timeline, seq));
    for event in timeline.range(seq + 1, seq.saturating_add(REACH)) {
        if links(event).iter().any(|c| after.contains(c)) {
            after.insert(event.seq);
        }
    }
    out.extend(after);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    fn sample() -> (Timeline, Flights) {
        let mut timeline = Timeline::new(1, State::default());
        for event in sample::world(20).read(1, usize::MAX) {
            timeline.push(event);
        }
        let mut flights = Flights::new(1.0);
        flights.extend(&timeline);
        (timeline, flights)
    }

    #[test]
    fn time_goes_from_left_to_right() {
        let (timeline, flights) = sample();
        let wanted = Wanted { most: 80, probes: true, ..Wanted::default() };
        let all = lanes(&timeline, &flights, timeline.next(), &wanted);
        assert_eq!(all.arrows.len(), 80);
        for arrow in &all.arrows {
            assert!(arrow.x.0 <= arrow.x.1 && arrow.x.1 < all.width);
            assert!(arrow.lanes.0 < all.lanes.len() && arrow.lanes.1 < all.lanes.len());
        }
        for a in &all.arrows {
            for b in all.arrows.iter().filter(|b| b.at > a.at && a.x.0 > EDGE) {
                assert!(b.x.1 >= a.x.0, "{} before {}", b.seq, a.seq);
            }
        }
        assert!(all.lanes.len() > 3);
        let early = lanes(&timeline, &flights, timeline.next() / 2, &wanted);
        assert!(early.arrows.iter().all(|a| a.seq < timeline.next() / 2), "nothing of the future");
    }

    #[test]
    fn a_folded_pod_is_one_lane_and_probes_may_be_left_out() {
        let (timeline, flights) = sample();
        let mut wanted = Wanted { most: 500, ..Wanted::default() };
        let open = lanes(&timeline, &flights, timeline.next(), &wanted);
        assert!(open.arrows.iter().all(|a| a.shape != Shape::Probe));
        let of_web = open.lanes.iter().filter(|l| l.group == "web").count();
        assert!(of_web > 1);
        wanted.folded.insert("web".into());
        let folded = lanes(&timeline, &flights, timeline.next(), &wanted);
        assert_eq!(folded.lanes.len(), open.lanes.len() - of_web + 1);
        assert_eq!(folded.arrows.len(), open.arrows.len());
        let web = folded.lanes.iter().find(|l| l.group == "web").unwrap();
        assert_eq!(web.of, of_web);
    }

    #[test]
    fn causes_and_consequences_hang_together() {
        let (timeline, _) = sample();
        let answer = timeline
            .events()
            .rev()
            .find(|e| matches!(&e.kind, Kind::Message { answers, .. } if *answers != 0))
            .unwrap();
        let Kind::Message { answers, .. } = &answer.kind else { unreachable!() };
        let both = related(&timeline, answer.seq);
        assert!(both.contains(answers) && both.contains(&answer.seq));
        assert!(related(&timeline, *answers).contains(&answer.seq));
    }
}
