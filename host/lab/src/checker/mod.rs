//! Ready-made checkers over histories: of requests from outside, and of events of the trace.
//!
//! # Layout
//! - `collect`: keeps what the sources say; `judge`: what the history comes to

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::expression::Expression;

mod collect;
mod judge;

pub use collect::Collector;

/// A ready-made checker.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Checker {
    /// What clients read and wrote is what a register could have done (linearizability).
    Register {
        /// Reads: `value` is what was read. An answer 404 means that there was none.
        read: Box<Source>,
        /// Writes: `value` is what was written.
        write: Box<Source>,
        /// What the register holds at first.
        #[serde(default)]
        initial: Option<String>,
    },
    /// No item is lost, none comes from nowhere, none has its effect twice. Each `value` is the
    /// item's name.
    Queue {
        /// Handed in; confirmed if a request for it was answered well.
        sent: Box<Source>,
        /// The effect was had.
        effect: Box<Source>,
        /// The queue was told that it is done.
        #[serde(default)]
        acknowledged: Option<Box<Source>>,
        /// Given up.
        #[serde(default)]
        set_aside: Option<Box<Source>>,
        /// Each effect happens only once.
        #[serde(default = "yes")]
        once: bool,
        /// At the end nothing is left.
        #[serde(default = "yes")]
        empty: bool,
    },
    /// No two holders believe to hold a lock at once. `value` is the holder.
    Lock {
        /// From when on.
        acquired: Box<Source>,
        /// Until when.
        released: Box<Source>,
    },
    /// The resource obeys no token older than one it has seen. `value` is the holder, `key` the
    /// token.
    Fencing {
        /// What the resource did.
        effect: Box<Source>,
    },
    /// Each line that was written is stored, once and in order. `value` is a line, or a list of
    /// lines; `key` the source, where there are several. Of a request, the last one counts.
    Log {
        /// What was written.
        written: Box<Source>,
        /// What was stored.
        stored: Box<Source>,
        /// No line is stored twice.
        #[serde(default = "yes")]
        once: bool,
        /// In the order in which they were written.
        #[serde(default = "yes")]
        ordered: bool,
    },
    /// Every answer is valid in Prometheus' text format.
    Exposition {
        /// The name of the requests.
        request: String,
    },
    /// All that a pod connects to goes through one of its containers; loopback is free.
    NoBypass {
        /// The pod.
        pod: String,
        /// The container that may connect.
        through: String,
    },
    /// So many of the requests are answered well.
    SuccessRate {
        /// The name of the requests.
        request: String,
        /// The share, 0 to 1.
        at_least: f64,
    },
    /// So many of the answers come this soon (nearest rank).
    Latency {
        /// The name of the requests.
        request: String,
        /// The percentile: 99.
        percentile: f64,
        /// In ms.
        at_most_ms: f64,
    },
}

fn yes() -> bool {
    true
}

/// Where operations come from: requests of one name (`request`), or events (`on`). Expressions
/// speak of the one at hand as `request` or `event`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Source {
    /// The name of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Which events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Expression>,
    /// The key, source or token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Expression>,
    /// The value, item, holder or line.
    pub value: Expression,
}

impl Checker {
    /// Its name, as in scenarios.
    pub fn name(&self) -> &'static str {
        match self {
            Checker::Register { .. } => "register",
            Checker::Queue { .. } => "queue",
            Checker::Lock { .. } => "lock",
            Checker::Fencing { .. } => "fencing",
            Checker::Log { .. } => "log",
            Checker::Exposition { .. } => "exposition",
            Checker::NoBypass { .. } => "noBypass",
            Checker::SuccessRate { .. } => "successRate",
            Checker::Latency { .. } => "latency",
        }
    }

    /// Where its operations come from.
    fn sources(&self) -> Vec<Option<&Source>> {
        match self {
            Checker::Register { read: a, write: b, .. }
            | Checker::Lock { acquired: a, released: b }
            | Checker::Log { written: a, stored: b, .. } => vec![Some(a), Some(b)],
            Checker::Queue { sent, effect, acknowledged, set_aside, .. } => {
                vec![Some(sent), Some(effect), acknowledged.as_deref(), set_aside.as_deref()]
            }
            Checker::Fencing { effect } => vec![Some(effect)],
            _ => Vec::new(),
        }
    }

    /// What the format alone does not say; `requests` are those that the steps make.
    pub(crate) fn check(&self, requests: &[&str]) -> Result<(), String> {
        let mut names = Vec::new();
        for source in self.sources().into_iter().flatten() {
            if source.request.is_some() == source.on.is_some() {
                return Err("a source needs either `request` or `on`".into());
            }
            names.extend(source.request.as_deref());
        }
        match self {
            Checker::Exposition { request }
            | Checker::SuccessRate { request, .. }
            | Checker::Latency { request, .. } => names.push(request),
            Checker::Fencing { effect } if effect.key.is_none() => {
                return Err("fencing needs the token: `key`".into());
            }
            _ => {}
        }
        for name in names {
            if !requests.contains(&name) {
                let meant = crate::vocabulary::meant(name, requests.iter().copied());
                return Err(format!("no step makes a request named {name:?}{meant}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Evaluator;
    use crate::history::{Finished, History};
    use podlab_trace::{Event, Verdict};

    struct Asked(&'static str, u64, u64, u16, &'static str, &'static str);

    /// What a checker says of requests: name, begin and end in ms, status, what was sent, body.
    fn verdict(yaml: &str, requests: &[Asked]) -> (Verdict, String) {
        let checker: Checker = crate::scenario::read_yaml("c.yaml", yaml).unwrap();
        let evaluator = Evaluator::new(History::default());
        for Asked(name, at, end, status, sent, body) in requests {
            evaluator.history().finished(&Finished {
                name: (*name).into(),
                at: at * 1_000_000,
                end: end * 1_000_000,
                status: *status,
                body: (*body).into(),
                error: String::new(),
                ok: (200..400).contains(status),
                method: "GET".into(),
                path: "/k".into(),
                sent: (*sent).into(),
            });
        }
        let (verdict, seen, _) = Collector::new(&checker).finish(&evaluator);
        (verdict, seen)
    }

    fn says(yaml: &str, good: &[Asked], bad: &[Asked]) {
        let (v, seen) = verdict(yaml, good);
        assert_eq!(v, Verdict::Pass, "{yaml}: {seen}");
        let (v, seen) = verdict(yaml, bad);
        assert_eq!(v, Verdict::Fail, "{yaml}: {seen}");
        assert_eq!(verdict(yaml, &[]).0, Verdict::Unknown, "{yaml}: nothing proves nothing");
    }

    #[test]
    fn each_checker_passes_a_good_history_and_fails_a_bad_one() {
        let w = |at, v| Asked("w", at, at + 5, 200, v, "");
        let r = |at, v| Asked("r", at, at + 5, 200, "", v);
        says(
            "register: {read: {request: r, key: request.path, value: request.body}, write: {request: w, key: request.path, value: request.sent}}",
            &[w(0, "a"), r(10, "a"), w(20, "b"), r(30, "b")],
            &[w(0, "a"), w(10, "b"), r(20, "a")],
        );
        says(
            "queue: {sent: {request: w, value: request.sent}, effect: {request: r, value: request.body}}",
            &[w(0, "a"), r(10, "a")],
            &[w(0, "a"), r(10, "a"), r(20, "a")],
        );
        let lost = [w(0, "a"), w(10, "b"), r(20, "a")];
        let queue = "queue: {sent: {request: w, value: request.sent}, effect: {request: r, value: request.body}}";
        assert_eq!(verdict(queue, &lost).0, Verdict::Fail);
        says(
            "lock: {acquired: {request: w, value: request.sent}, released: {request: r, value: request.body}}",
            &[w(0, "a"), r(10, "a"), w(20, "b"), r(30, "b")],
            &[w(0, "a"), w(10, "b"), r(20, "a")],
        );
        says(
            "fencing: {effect: {request: w, key: request.sent, value: request.body}}",
            &[Asked("w", 0, 5, 200, "1", "a"), Asked("w", 10, 15, 200, "2", "b")],
            &[Asked("w", 0, 5, 200, "2", "b"), Asked("w", 10, 15, 200, "1", "a")],
        );
        says(
            "log: {written: {request: w, value: lines(request.sent)}, stored: {request: r, value: lines(request.body)}}",
            &[w(0, "a\nb"), r(10, "a\nb")],
            &[w(0, "a\nb"), r(10, "a")],
        );
        says("exposition: {request: r}", &[r(0, "up 1\n")], &[r(0, "up one\n")]);
        says(
            "successRate: {request: r, atLeast: 0.6}",
            &[r(0, ""), r(1, ""), Asked("r", 2, 3, 500, "", "")],
            &[r(0, ""), Asked("r", 2, 3, 500, "", "")],
        );
        says(
            "latency: {request: r, percentile: 99.0, atMostMs: 5.0}",
            &[r(0, "")],
            &[r(0, ""), Asked("r", 2, 9, 200, "", "")],
        );
    }

    #[test]
    fn a_pod_that_goes_round_its_proxy_is_seen() {
        let evaluator = Evaluator::new(History::default());
        let checker: Checker =
            crate::scenario::read_yaml("c.yaml", "noBypass: {pod: p, through: proxy}").unwrap();
        let run = |container: &str| {
            let mut collector = Collector::new(&checker);
            let place = podlab_trace::Kind::Place {
                id: 1,
                node: "n".into(),
                namespace: "default".into(),
                pod: "p".into(),
                container: container.into(),
            };
            let to = "10.0.0.9:80".parse().unwrap();
            let connect = podlab_trace::Kind::Connect {
                conn: 1,
                from: "10.0.0.1:9".parse().unwrap(),
                to,
                target: to,
                via: String::new(),
                peer: 0,
            };
            for (seq, kind) in [(1, place), (2, connect)] {
                let event = Event { seq, at: seq, place: 1, cause: 0, kind };
                evaluator.history().take(&event);
                collector.look(&evaluator, &event);
            }
            collector.finish(&evaluator)
        };
        assert_eq!(run("proxy").0, Verdict::Pass);
        assert_eq!((run("app").0, run("app").2), (Verdict::Fail, 2));
    }
}
