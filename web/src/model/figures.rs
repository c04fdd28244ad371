//! A world in a few numbers, from its beginning up to an instant: what charts show over time, as
//! totals that can stand beside those of another world.

use std::collections::{BTreeMap, BTreeSet};

use podlab_trace::event::{Dir, Kind, PlaceId, Seq};

use crate::model::flight::failed;
use crate::model::timeline::Timeline;

/// A world in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Requests; those of kubelets are not counted.
    pub requests: u64,
    /// Answers that say no, malformed messages, connections refused or reset.
    pub errors: u64,
    /// Half of the answers were faster, in ns.
    pub p50: Option<u64>,
    /// 95 of 100 were, in ns.
    pub p95: Option<u64>,
    /// Requests that wait for their answer.
    pub waiting: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Lines logged.
    pub lines: u64,
    /// Programs that run.
    pub running: u64,
    /// Programs that were started again.
    pub restarts: u64,
    /// From this instant on is counted, in ns: 0 for the beginning.
    pub since: u64,
}

/// Counts on from where it was.
#[derive(Clone, Debug, Default)]
pub struct Count {
    figures: Figures,
    next: Seq,
    took: Vec<u64>,
    asked: BTreeMap<Seq, u64>,
    asked_on: BTreeMap<u64, BTreeSet<Seq>>,
    programs: BTreeSet<PlaceId>,
}

impl Count {
    /// Nothing is counted yet.
    pub fn new() -> Count {
        Count::default()
    }

    /// Everything before event `edge`. Forwards each event is counted once; backwards it counts anew.
    pub fn before(&mut self, timeline: &Timeline, edge: Seq) -> Figures {
        let edge = edge.clamp(timeline.first(), timeline.next());
        if edge < self.next || self.next == 0 || self.next < timeline.first() {
            let base = timeline.state_before(timeline.first());
            let running = base.places.iter().filter(|(_, p)| p.running).map(|(id, _)| *id);
            *self = Count {
                next: timeline.first(),
                programs: running.collect(),
                figures: Figures {
                    since: if timeline.first() > 1 { timeline.since() } else { 0 },
                    ..Figures::default()
                },
                ..Count::default()
            };
        }
        if edge > self.next {
            for event in timeline.range(self.next, edge) {
                self.count(timeline, event);
            }
            self.next = edge;
            self.took.sort_unstable();
        }
        let part = |hundredths: usize| {
            let rank = (self.took.len() * hundredths).div_ceil(100);
            self.took.get(rank.max(1) - 1).copied()
        };
        (self.figures.p50, self.figures.p95) = (part(50), part(95));
        self.figures.waiting = self.asked.len() as u64;
        self.figures.running = self.programs.len() as u64;
        self.figures.clone()
    }

    fn count(&mut self, timeline: &Timeline, event: &podlab_trace::Event) {
        let f = &mut self.figures;
        match &event.kind {
            Kind::Message { conn, dir, answers, summary, malformed, .. } => {
                let places = &timeline.head().places;
                let client = timeline.ends(*conn).and_then(|e| places.get(&e.client));
                // Kubelets ask for themselves.
                let probe = client.is_some_and(|p| p.pod.is_empty() && p.container == "kubelet");
                if *malformed || (*answers != 0 && failed(summary) && !probe) {
                    f.errors += 1;
                }
                if probe {
                    return;
                }
                if *dir == Dir::ToServer {
                    f.requests += 1;
                    self.asked.insert(event.seq, event.at);
                    self.asked_on.entry(*conn).or_default().insert(event.seq);
                } else if let Some(since) = self.asked.remove(answers) {
                    self.took.push(event.at.saturating_sub(since));
                    if let Some(open) = self.asked_on.get_mut(conn) {
                        open.remove(answers);
                    }
                }
            }
            Kind::Refuse { conn, .. } | Kind::Reset { conn, .. } | Kind::Close { conn } => {
                if !matches!(event.kind, Kind::Close { .. }) {
                    f.errors += 1;
                }
                // Nobody waits on a connection that is gone.
                for seq in self.asked_on.remove(conn).unwrap_or_default() {
                    self.asked.remove(&seq);
                }
            }
            Kind::Data { len, .. } | Kind::Datagram { len, .. } => f.bytes += u64::from(*len),
            Kind::Log { .. } => f.lines += 1,
            Kind::Start { run, .. } => {
                self.programs.insert(event.place);
                f.restarts += u64::from(*run > 0);
            }
            Kind::Exit { .. } => {
                self.programs.remove(&event.place);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::chart::{Line, Of, charts};
    use crate::model::sample;
    use podlab_trace::State;

    fn load(steps: u64) -> Timeline {
        let mut timeline = Timeline::new(1, State::default());
        for event in sample::world(steps).read(1, usize::MAX) {
            timeline.push(event);
        }
        timeline
    }

    #[test]
    fn totals_are_those_of_the_charts() {
        let timeline = load(60);
        let figures = Count::new().before(&timeline, timeline.next());
        let charts = charts(&timeline, 0);
        let line = |of: Of, line: Line| {
            let chart = charts.charts.iter().find(|c| c.of == of).unwrap();
            chart.lines.iter().find(|(l, _)| *l == line).unwrap().1.clone()
        };
        let sum = |of, l| line(of, l).iter().flatten().sum::<f64>() * charts.width as f64 / 1e9;
        assert!((sum(Of::Rate, Line::Requests) - figures.requests as f64).abs() < 1e-6);
        assert!((sum(Of::Rate, Line::Errors) - figures.errors as f64).abs() < 1e-6);
        assert!((sum(Of::Bytes, Line::Bytes) - figures.bytes as f64).abs() < 1e-3);
        let running = line(Of::Programs, Line::Running).last().copied().flatten().unwrap();
        assert_eq!(running, figures.running as f64);
        assert!(figures.requests > 60 && figures.errors > 5 && figures.lines == 60);
        assert!(figures.p50 <= figures.p95 && figures.p95.is_some());
        assert_eq!((figures.since, figures.restarts), (0, 0));
    }

    #[test]
    fn bit_by_bit_there_and_back_it_counts_the_same() {
        let timeline = load(40);
        let mut count = Count::new();
        for edge in [1, 50, 51, 400, 399, 20, timeline.next(), 1, timeline.next() + 9] {
            assert_eq!(
                count.before(&timeline, edge),
                Count::new().before(&timeline, edge),
                "before {edge}"
            );
        }
        assert_eq!(Count::new().before(&timeline, 1), Figures::default());
    }

    #[test]
    fn what_waits_on_a_lost_connection_waits_no_longer() {
        let timeline = load(10);
        let ask = timeline.events().find(|e| matches!(&e.kind, Kind::Message { answers: 0, .. }));
        let Kind::Message { conn, .. } = &ask.unwrap().kind else { unreachable!() };
        let mut cut = Timeline::new(1, State::default());
        for event in timeline.range(1, ask.unwrap().seq + 1) {
            cut.push(event.clone());
        }
        assert_eq!(Count::new().before(&cut, cut.next()).waiting, 1);
        let mut reset = ask.unwrap().clone();
        (reset.seq, reset.kind) = (cut.next(), Kind::Reset { conn: *conn, dir: Dir::ToClient });
        cut.push(reset);
        let figures = Count::new().before(&cut, cut.next());
        assert_eq!((figures.waiting, figures.errors), (0, 1));
    }
}
