//! What happened in numbers over virtual time: how many requests, how long they took, how many
//! failed, how many wait, how many programs and replicas run.
//!
//! Every number is counted from the events of a trace; what a trace does not tell has no chart.

use std::collections::{BTreeMap, BTreeSet};

use podlab_trace::event::{Dir, Kind, PlaceId, Seq, Verb};
use serde::Deserialize;

use crate::model::flight::failed;
use crate::model::timeline::Timeline;

/// A chart has at most so many columns.
const MOST: u64 = 90;
/// How wide a column may be, in ns.
const WIDTHS: [u64; 10] = [
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
    300_000_000_000,
    3_600_000_000_000,
    86_400_000_000_000,
];
/// More workloads than this are not told apart.
const WORKLOADS: usize = 6;

/// What a chart is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// Requests and failures a second.
    Rate,
    /// How long answers took, in ms.
    Latency,
    /// Requests that wait for their answer, at the most.
    Waiting,
    /// Bytes sent a second.
    Bytes,
    /// Programs that run, and ends of programs that were not meant.
    Programs,
    /// Replicas that are ready, by workload.
    Replicas,
}

/// A line of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// Requests.
    Requests,
    /// Answers that say no, malformed messages, connections refused or reset.
    Errors,
    /// Half of the answers were faster.
    P50,
    /// 95 of 100 were.
    P95,
    /// 99 of 100 were.
    P99,
    /// What waits.
    Waiting,
    /// Bytes.
    Bytes,
    /// Programs that run.
    Running,
    /// Programs that ended with an error.
    Failed,
    /// The workload of that number in [`Charts::workloads`].
    Workload(u8),
}

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it is of.
    pub of: Of,
    /// Its lines: a value for each column; `None` where there is nothing to tell.
    pub lines: Vec<(Line, Vec<Option<f64>>)>,
}

impl Chart {
    /// The largest value.
    pub fn most(&self) -> f64 {
        self.lines.iter().flat_map(|(_, v)| v).flatten().fold(0.0, |a, b| a.max(*b))
    }
}

/// All charts of a trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Charts {
    /// Where the first column begins, in ns.
    pub since: u64,
    /// How wide a column is, in ns.
    pub width: u64,
    /// How many there are.
    pub columns: usize,
    /// The charts that have something to tell.
    pub charts: Vec<Chart>,
    /// The workloads with replicas: kind and name.
    pub workloads: Vec<String>,
}

impl Charts {
    /// The column of an instant.
    pub fn column(&self, at: u64) -> Option<usize> {
        let column = at.checked_sub(self.since)? / self.width.max(1);
        usize::try_from(column).ok().filter(|c| *c < self.columns)
    }
}

#[derive(Deserialize, Default)]
struct Workload {
    #[serde(default)]
    metadata: Meta,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Default)]
struct Meta {
    #[serde(default, rename = "ownerReferences")]
    owners: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default, rename = "readyReplicas", alias = "numberReady")]
    ready: u32,
}

/// Values that hold until they change.
#[derive(Default)]
struct Level {
    now: f64,
    columns: Vec<Option<f64>>,
}

impl Level {
    /// It is `value` from column `at` on.
    fn set(&mut self, at: usize, value: f64) {
        self.until(at + 1);
        self.now = value;
        self.columns[at] = Some(value);
    }

    /// The same, but the column shows the most that was true in it.
    fn peak(&mut self, at: usize, value: f64) {
        self.until(at + 1);
        self.now = value;
        let held = &mut self.columns[at];
        *held = Some(held.map_or(value, |h| h.max(value)));
    }

    fn until(&mut self, columns: usize) {
        let now = self.now;
        while self.columns.len() < columns {
            self.columns.push(Some(now));
        }
    }
}

/// The charts of the events that the page has, up to `until` ns.
pub fn charts(timeline: &Timeline, until: u64) -> Charts {
    // Whole columns: the picture does not jump when the oldest events are given up.
    let last = until.max(timeline.until());
    let span = last.saturating_sub(timeline.since());
    let width = WIDTHS.into_iter().find(|w| span / w < MOST).unwrap_or(WIDTHS[9]);
    let since = timeline.since() / width * width;
    let columns = ((last - since) / width + 1).min(4 * MOST) as usize;
    let mut out = Charts { since, width, columns, ..Charts::default() };
    let seconds = width as f64 / 1e9;

    let mut requests = vec![0u32; columns];
    let mut errors = vec![0u32; columns];
    let mut bytes = vec![0u64; columns];
    let mut took: Vec<Vec<u64>> = vec![Vec::new(); columns];
    let (mut waiting, mut running) = (Level::default(), Level::default());
    let mut ended = vec![0u32; columns];
    let mut asked: BTreeMap<Seq, u64> = BTreeMap::new();
    let mut asked_on: BTreeMap<u64, BTreeSet<Seq>> = BTreeMap::new();
    let places = &timeline.head().places;
    let probes =
        |p: PlaceId| places.get(&p).is_some_and(|p| p.pod.is_empty() && p.container == "kubelet");
    let before = timeline.state_before(timeline.first());
    let mut programs: BTreeSet<PlaceId> =
        before.places.iter().filter(|(_, p)| p.running).map(|(id, _)| *id).collect();
    running.now = programs.len() as f64;
    let mut replicas: BTreeMap<String, Level> = BTreeMap::new();
    for ((kind, _, name), object) in &before.objects {
        if let Some(ready) = ready(kind, &object.json) {
            replicas.entry(format!("{kind} {name}")).or_default().now = ready;
        }
    }

    for event in timeline.events() {
        let Some(at) = out.column(event.at) else { continue };
        match &event.kind {
            Kind::Message { conn, dir, answers, summary, malformed, .. } => {
                let ends = timeline.ends(*conn);
                let probe = ends.is_some_and(|e| probes(e.client));
                if *malformed || (*answers != 0 && failed(summary) && !probe) {
                    errors[at] += 1;
                }
                if probe {
                    // Kubelets ask for themselves.
                    continue;
                }
                if *dir == Dir::ToServer {
                    requests[at] += 1;
                    asked.insert(event.seq, event.at);
                    asked_on.entry(*conn).or_default().insert(event.seq);
                    waiting.peak(at, asked.len() as f64);
                } else if let Some(since) = asked.remove(answers) {
                    took[at].push(event.at.saturating_sub(since));
                    if let Some(open) = asked_on.get_mut(conn) {
                        open.remove(answers);
                    }
                    waiting.peak(at, asked.len() as f64);
                }
            }
            Kind::Refuse { conn, .. } | Kind::Reset { conn, .. } | Kind::Close { conn } => {
                if !matches!(event.kind, Kind::Close { .. }) {
                    errors[at] += 1;
                }
                // Nobody waits on a connection that is gone.
                if let Some(open) = asked_on.remove(conn) {
                    asked.retain(|seq, _| !open.contains(seq));
                    waiting.peak(at, asked.len() as f64);
                }
            }
            Kind::Data { len, .. } | Kind::Datagram { len, .. } => bytes[at] += u64::from(*len),
            Kind::Start { .. } => {
                programs.insert(event.place);
                running.set(at, programs.len() as f64);
            }
            Kind::Exit { code, .. } => {
                programs.remove(&event.place);
                running.set(at, programs.len() as f64);
                if *code != 0 {
                    ended[at] += 1;
                }
            }
            Kind::Object { verb, object_kind, name, object, .. } => {
                let key = || format!("{object_kind} {name}");
                if *verb == Verb::Deleted {
                    if let Some(level) = replicas.get_mut(&key()) {
                        level.set(at, 0.0);
                    }
                } else if let Some(ready) = ready(object_kind, object) {
                    replicas.entry(key()).or_default().set(at, ready);
                }
            }
            _ => {}
        }
    }

    took.iter_mut().for_each(|column| column.sort_unstable());
    let percentile = |part: f64| -> Vec<Option<f64>> {
        took.iter()
            .map(|column| {
                let rank = (part * column.len() as f64).ceil() as usize;
                column.get(rank.max(1) - 1).map(|ns| *ns as f64 / 1e6)
            })
            .collect()
    };
    let rate = |counts: &[u32]| -> Vec<Option<f64>> {
        counts.iter().map(|n| Some(f64::from(*n) / seconds)).collect()
    };
    let mut add = |of: Of, lines: Vec<(Line, Vec<Option<f64>>)>| {
        let chart = Chart { of, lines };
        if chart.most() > 0.0 {
            out.charts.push(chart);
        }
    };
    add(Of::Rate, vec![(Line::Requests, rate(&requests)), (Line::Errors, rate(&errors))]);
    let parts = [(Line::P50, 0.5), (Line::P95, 0.95), (Line::P99, 0.99)];
    add(Of::Latency, parts.map(|(line, part)| (line, percentile(part))).into());
    waiting.until(columns);
    add(Of::Waiting, vec![(Line::Waiting, waiting.columns)]);
    let sent = bytes.iter().map(|n| Some(*n as f64 / seconds)).collect();
    add(Of::Bytes, vec![(Line::Bytes, sent)]);
    running.until(columns);
    let ended = ended.iter().map(|n| Some(f64::from(*n))).collect();
    add(Of::Programs, vec![(Line::Running, running.columns), (Line::Failed, ended)]);
    let mut lines = Vec::new();
    for (i, (name, mut level)) in replicas.into_iter().take(WORKLOADS).enumerate() {
        level.until(columns);
        lines.push((Line::Workload(i as u8), level.columns));
        out.workloads.push(name);
    }
    let chart = Chart { of: Of::Replicas, lines };
    if chart.most() > 0.0 {
        out.charts.push(chart);
    }
    out
}

/// How many replicas of a workload are ready; `None` if it is none, or belongs to another.
fn ready(kind: &str, object: &str) -> Option<f64> {
    if !["Deployment", "StatefulSet", "ReplicaSet", "DaemonSet"].contains(&kind) {
        return None;
    }
    let workload: Workload = serde_json::from_str(object).ok()?;
    workload.metadata.owners.is_empty().then(|| f64::from(workload.status.ready))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;
    use podlab_trace::{State, Trace};

    fn load(trace: &Trace) -> Timeline {
        let mut timeline = Timeline::new(1, State::default());
        for event in trace.read(1, usize::MAX) {
            timeline.push(event);
        }
        timeline
    }

    fn line(charts: &Charts, of: Of, line: Line) -> Vec<Option<f64>> {
        let chart = charts.charts.iter().find(|c| c.of == of).expect("a chart");
        chart.lines.iter().find(|(l, _)| *l == line).expect("a line").1.clone()
    }

    #[test]
    fn what_is_drawn_is_what_happened() {
        let timeline = load(&sample::world(40));
        let charts = charts(&timeline, 0);
        assert!(charts.columns as u64 <= MOST + 1 && charts.columns > 20, "{}", charts.columns);
        let seconds = charts.width as f64 / 1e9;
        let sum: f64 = line(&charts, Of::Rate, Line::Requests).iter().flatten().sum();
        let kubelet = |p: PlaceId| timeline.head().places[&p].container == "kubelet";
        let asked = timeline.events().filter(|e| match &e.kind {
            Kind::Message { conn, dir: Dir::ToServer, .. } => {
                !kubelet(timeline.ends(*conn).unwrap().client)
            }
            _ => false,
        });
        let asked = asked.count();
        assert!(asked > 10 && (sum * seconds - asked as f64).abs() < 1e-6, "{sum} {asked}");
        let (p50, p99) =
            (line(&charts, Of::Latency, Line::P50), line(&charts, Of::Latency, Line::P99));
        assert!(p50.iter().flatten().count() > 5);
        assert!(p50.iter().zip(&p99).all(|(a, b)| a <= b), "percentiles are in order");
        let running = line(&charts, Of::Programs, Line::Running);
        let up = timeline.head().places.values().filter(|p| p.running).count();
        assert_eq!(running.last().copied().flatten(), Some(up as f64));
        assert!(line(&charts, Of::Waiting, Line::Waiting).iter().flatten().all(|n| *n >= 0.0));
    }

    #[test]
    fn columns_stay_where_they_are_when_the_world_goes_on() {
        let timeline = load(&sample::world(40));
        let (now, later) = (charts(&timeline, 0), charts(&timeline, 43_000_000_000));
        assert_eq!((now.since, now.width), (later.since, later.width));
        assert!(later.columns > now.columns);
        let before = line(&now, Of::Rate, Line::Requests);
        assert_eq!(line(&later, Of::Rate, Line::Requests)[..before.len()], before[..]);
        assert_eq!(now.column(now.since), Some(0));
        assert_eq!(now.column(u64::MAX), None);
    }

    #[test]
    fn replicas_are_those_that_are_ready_and_belong_to_nobody() {
        let trace = Trace::default();
        let place = trace.place(0, "", "", "", "controllers");
        let mut at = 0;
        let mut object = |kind: &str, verb: Verb, object: &str| {
            at += 2_000_000_000;
            let kind = Kind::Object {
                verb,
                api_version: "apps/v1".into(),
                object_kind: kind.into(),
                namespace: "default".into(),
                name: "web".into(),
                version: 1,
                object: object.into(),
            };
            trace.emit(at, place, kind);
        };
        object("Deployment", Verb::Added, "{\"metadata\": {}}");
        object(
            "ReplicaSet",
            Verb::Added,
            "{\"metadata\":{\"ownerReferences\":[{}]},\"status\":{\"readyReplicas\":9}}",
        );
        object("Deployment", Verb::Modified, "{\"status\":{\"readyReplicas\":3}}");
        object("Deployment", Verb::Modified, "not JSON");
        object("Deployment", Verb::Deleted, "{}");
        let charts = charts(&load(&trace), 0);
        assert_eq!(charts.workloads, ["Deployment web"]);
        let ready = line(&charts, Of::Replicas, Line::Workload(0));
        let at = |s: u64| ready[charts.column(s * 1_000_000_000).unwrap()];
        assert_eq!((at(3), at(6), at(9), at(10)), (Some(0.0), Some(3.0), Some(3.0), Some(0.0)));
        assert_eq!(charts.charts.len(), 1, "nothing else happened");
    }

    #[test]
    fn a_world_without_events_and_one_that_idles_for_years_are_charts_too() {
        assert!(charts(&Timeline::new(1, State::default()), 0).charts.is_empty());
        let trace = Trace::default();
        let place = trace.place(0, "", "", "", "x");
        trace.emit(u64::MAX / 2, place, Kind::Signal { number: 1, handled: true });
        assert!(charts(&load(&trace), 0).columns <= 4 * MOST as usize);
    }
}
