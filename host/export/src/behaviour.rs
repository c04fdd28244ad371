//! What happened in a run, in numbers, and how two runs differ in them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use podlab_trace::{Event, Kind, PlaceId, State, text};
use serde_json::{Value, json};

use crate::exchange::{Exchange, Exchanges};

/// Collects the numbers of a trace.
#[derive(Default)]
pub struct Behaviour {
    state: State,
    exchanges: Exchanges,
    requests: BTreeMap<(String, String), Requests>,
    places: BTreeMap<String, Counts>,
    events: u64,
    end: u64,
}

/// What was asked of one server by one client.
#[derive(Clone, Debug, Default, PartialEq)]
struct Requests {
    took: Vec<u64>,
    errors: u64,
    unanswered: u64,
}

/// What one place did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    starts: u64,
    failures: u64,
    refused: u64,
    probes_failed: u64,
    lines: u64,
    written: u64,
}

impl Behaviour {
    /// Takes in the next event.
    pub fn take(&mut self, event: &Event) {
        self.events += 1;
        self.end = self.end.max(event.at);
        self.exchanges.take(&self.state, event);
        for exchange in self.exchanges.drain() {
            self.exchange(&exchange);
        }
        let mut counts = |place: PlaceId, count: fn(&mut Counts, u64), by: u64| {
            count(self.places.entry(text::place(&self.state, place)).or_default(), by);
        };
        match &event.kind {
            Kind::Start { .. } => counts(event.place, |c, by| c.starts += by, 1),
            Kind::Exit { code, .. } if *code != 0 => {
                counts(event.place, |c, by| c.failures += by, 1);
            }
            Kind::Refuse { .. } => counts(event.place, |c, by| c.refused += by, 1),
            Kind::Probe { ok: false, .. } => {
                counts(event.place, |c, by| c.probes_failed += by, 1);
            }
            Kind::Log { .. } => counts(event.place, |c, by| c.lines += by, 1),
            Kind::File { op: podlab_trace::FileOp::Write, len, .. } => {
                counts(event.place, |c, by| c.written += by, *len);
            }
            _ => {}
        }
        self.state.apply(event);
    }

    fn exchange(&mut self, exchange: &Exchange) {
        let client = text::place(&self.state, exchange.request.place);
        let server = match exchange.via.as_str() {
            "" => text::place(&self.state, exchange.server),
            via => format!("Service {via}"),
        };
        let requests = self.requests.entry((client, server)).or_default();
        match (&exchange.response, exchange.took()) {
            (Some(response), Some(took)) => {
                requests.took.push(took);
                let error = response.malformed
                    || response.summary.starts_with('4')
                    || response.summary.starts_with('5');
                requests.errors += u64::from(error);
            }
            _ => requests.unanswered += 1,
        }
    }

    /// The numbers, by their names: `requests client -> web: p99 ms` and the like.
    pub fn finish(mut self) -> Numbers {
        for exchange in std::mem::take(&mut self.exchanges).finish() {
            self.exchange(&exchange);
        }
        let mut out = BTreeMap::new();
        out.insert("events".into(), self.events as f64);
        out.insert("virtual seconds".into(), self.end as f64 / 1e9);
        for ((client, server), mut requests) in self.requests {
            requests.took.sort_unstable();
            let name = |what: &str| format!("{client} -> {server}: {what}");
            out.insert(name("requests"), (requests.took.len() as u64 + requests.unanswered) as f64);
            out.insert(name("errors"), requests.errors as f64);
            out.insert(name("unanswered"), requests.unanswered as f64);
            for (what, share) in
                [("p50 ms", 0.5), ("p95 ms", 0.95), ("p99 ms", 0.99), ("max ms", 1.0)]
            {
                if let Some(took) = percentile(&requests.took, share) {
                    out.insert(name(what), took as f64 / 1e6);
                }
            }
        }
        for (place, counts) in self.places {
            for (what, count) in [
                ("starts", counts.starts),
                ("failed ends", counts.failures),
                ("refused connections", counts.refused),
                ("failed probes", counts.probes_failed),
                ("log lines", counts.lines),
                ("bytes written to files", counts.written),
            ] {
                if count > 0 {
                    out.insert(format!("{place}: {what}"), count as f64);
                }
            }
        }
        Numbers(out)
    }
}

/// The smallest value that `share` of all are not above (nearest rank).
fn percentile(sorted: &[u64], share: f64) -> Option<u64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// A run in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers(pub BTreeMap<String, f64>);

/// A number that two runs do not share. Where a run has none, 0 stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which.
    pub name: String,
    /// In the first run.
    pub before: f64,
    /// In the second.
    pub after: f64,
}

impl Change {
    /// How large it is, as a share of the larger number: 0 to 1.
    pub fn share(&self) -> f64 {
        let larger = self.before.abs().max(self.after.abs());
        if larger == 0.0 { 0.0 } else { (self.after - self.before).abs() / larger }
    }
}

impl Numbers {
    /// What is different in `after`, by name.
    pub fn changes(&self, after: &Numbers) -> Vec<Change> {
        let names: std::collections::BTreeSet<&String> =
            self.0.keys().chain(after.0.keys()).collect();
        let of = |numbers: &Numbers, name: &String| numbers.0.get(name).copied().unwrap_or(0.0);
        names
            .into_iter()
            .map(|name| Change {
                name: name.clone(),
                before: of(self, name),
                after: of(after, name),
            })
            .filter(|c| (c.before - c.after).abs() > f64::EPSILON)
            .collect()
    }

    /// As one JSON object.
    pub fn to_json(&self) -> Value {
        json!(self.0)
    }
}

/// The changes as a table for terminals.
pub fn table(changes: &[Change]) -> String {
    let width = changes.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for c in changes {
        let percent = if c.before == 0.0 {
            String::new()
        } else {
            format!("  {:+.1} %", (c.after - c.before) / c.before * 100.0)
        };
        let _ = writeln!(
            out,
            "{:<width$}  {:>12} -> {:>12}{percent}",
            c.name,
            short(c.before),
            short(c.after)
        );
    }
    out
}

fn short(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.3}") }
}
