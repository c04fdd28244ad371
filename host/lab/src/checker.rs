//! Ready-made checkers over histories: of requests from outside, and of events of the trace.

use cel::Value;
use podlab_checkers::linearizable::{self, Action, Limits, Operation};
use podlab_checkers::{Outcome, Violation, exposition, lock, log, queue};
use podlab_trace::{Event, Seq, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::expression::{Evaluator, Expression};

/// No history is longer.
const MAX_ROWS: usize = 1_000_000;

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

#[derive(Clone, Debug)]
struct Row {
    role: usize,
    begin: u64,
    end: u64,
    /// Whether it is known to have happened (true), or not to have (false).
    done: Option<bool>,
    missing: bool,
    key: String,
    value: String,
    event: Seq,
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

/// A checker at work: it keeps what its sources say.
pub struct Collector {
    checker: Checker,
    rows: Vec<Row>,
    bypass: Option<(Seq, String)>,
    connects: u64,
    error: Option<String>,
}

impl Collector {
    /// Begins to listen.
    pub fn new(checker: &Checker) -> Collector {
        let checker = checker.clone();
        Collector { checker, rows: Vec::new(), bypass: None, connects: 0, error: None }
    }

    /// Looks at an event.
    pub fn look(&mut self, evaluator: &Evaluator, event: &Event) {
        if let Checker::NoBypass { pod, through } = &self.checker
            && let podlab_trace::Kind::Connect { to, target, .. } = &event.kind
            && !target.ip().is_loopback()
        {
            let value = evaluator.history().event(event);
            let (Some(p), Some(c)) = (text_of(&value, "pod"), text_of(&value, "container")) else {
                return;
            };
            if p == *pod {
                self.connects += 1;
                if c != *through && self.bypass.is_none() {
                    self.bypass = Some((event.seq, format!("{c} connected to {to} itself")));
                }
            }
            return;
        }
        let mut found = Vec::new();
        for (role, source) in self.checker.sources().into_iter().enumerate() {
            let Some(source) = source else { continue };
            let Some(on) = &source.on else { continue };
            let value = evaluator.history().event(event);
            if on.holds(evaluator, Some(value.clone())) == Ok(true) {
                found.push((role, rows(evaluator, source, "event", value)));
            }
        }
        for (role, result) in found {
            match result {
                Ok(texts) => self.rows.extend(texts.into_iter().map(|(key, value)| Row {
                    role,
                    begin: event.at,
                    end: event.at,
                    done: Some(true),
                    missing: false,
                    key,
                    value,
                    event: event.seq,
                })),
                Err(error) => self.error = Some(error),
            }
        }
        self.rows.truncate(MAX_ROWS);
    }

    /// The verdict, what was seen, and the event that shows it (0 if none does).
    pub fn finish(mut self, evaluator: &Evaluator) -> (Verdict, String, Seq) {
        if let Err(error) = self.take_requests(evaluator) {
            return (Verdict::Unknown, error, 0);
        }
        if let Some(error) = self.error {
            return (Verdict::Unknown, error, 0);
        }
        if self.rows.len() >= MAX_ROWS {
            return (Verdict::Unknown, format!("more than {MAX_ROWS} operations"), 0);
        }
        // What was sent counts from when it was asked for, all else from when it was done.
        self.rows.sort_by_key(|r| (if r.role == 0 { r.begin } else { r.end }, r.event, r.role));
        let event = |v: &Violation, rows: &[&Row]| {
            v.operations.iter().rev().filter_map(|i| rows.get(*i)).map(|r| r.event).find(|e| *e > 0)
        };
        let judge = |result: Result<String, Violation>, rows: &[&Row]| match result {
            Ok(seen) => (Verdict::Pass, seen, 0),
            Err(v) => (Verdict::Fail, v.what.clone(), event(&v, rows).unwrap_or(0)),
        };
        let all: Vec<&Row> = self.rows.iter().collect();
        let of = |role: usize| self.rows.iter().filter(move |r| r.role == role);
        let vain = || (Verdict::Unknown, "there was nothing to check".to_owned(), 0);
        match &self.checker {
            Checker::Register { initial, .. } => {
                let kept: Vec<&Row> = all
                    .into_iter()
                    .filter(|r| match r.role {
                        0 => r.done == Some(true) || r.missing,
                        _ => r.done != Some(false),
                    })
                    .collect();
                if kept.is_empty() {
                    return vain();
                }
                let operations: Vec<Operation> = kept
                    .iter()
                    .map(|r| {
                        let value = (!r.missing).then(|| r.value.clone());
                        let action =
                            if r.role == 0 { Action::Read(value) } else { Action::Write(value) };
                        let end = r.done.is_some().then_some(r.end);
                        Operation { key: r.key.clone(), action, begin: r.begin, end }
                    })
                    .collect();
                match linearizable::register(&operations, initial.as_deref(), Limits::default()) {
                    Outcome::Holds => {
                        (Verdict::Pass, format!("{} operations", operations.len()), 0)
                    }
                    Outcome::Broken(v) => judge(Err(v), &kept),
                    Outcome::Unknown(why) => (Verdict::Unknown, why, 0),
                }
            }
            Checker::Queue { once, empty, .. } => {
                let kept: Vec<&Row> =
                    all.into_iter().filter(|r| r.role == 0 || r.done == Some(true)).collect();
                if kept.is_empty() {
                    return vain();
                }
                let history: Vec<queue::Event> = kept
                    .iter()
                    .map(|r| {
                        let item = r.value.clone();
                        match r.role {
                            0 => queue::Event::Sent { item, confirmed: r.done == Some(true) },
                            1 => queue::Event::Effect(item),
                            2 => queue::Event::Acknowledged(item),
                            _ => queue::Event::SetAside(item),
                        }
                    })
                    .collect();
                let promise = queue::Promise { once: *once, empty: *empty };
                let seen = queue::check(&history, promise).map(|c| {
                    format!("{} sent, {} done, {} set aside", c.sent, c.done, c.set_aside)
                });
                judge(seen, &kept)
            }
            Checker::Lock { .. } => {
                let mut beliefs: Vec<(lock::Belief, &Row)> = Vec::new();
                for row in all.into_iter().filter(|r| r.done == Some(true)) {
                    if row.role == 0 {
                        let holder = row.value.clone();
                        let (begin, end) = (row.end, u64::MAX);
                        beliefs.push((lock::Belief { holder, begin, end }, row));
                    } else if let Some((open, _)) =
                        beliefs.iter_mut().find(|(b, _)| b.holder == row.value && b.end == u64::MAX)
                    {
                        open.end = row.begin;
                    }
                }
                if beliefs.is_empty() {
                    return vain();
                }
                let (beliefs, rows): (Vec<_>, Vec<_>) = beliefs.into_iter().unzip();
                let seen = lock::exclusive(&beliefs).map(|()| format!("held {} times", rows.len()));
                judge(seen, &rows)
            }
            Checker::Fencing { .. } => {
                let mut effects = Vec::new();
                for row in &all {
                    let Ok(token) = row.key.parse() else {
                        let why = format!("the token {:?} is not a number", row.key);
                        return (Verdict::Unknown, why, row.event);
                    };
                    let accepted = row.done == Some(true);
                    let holder = row.value.clone();
                    effects.push(lock::Effect { holder, token, at: row.end, accepted });
                }
                if effects.is_empty() {
                    return vain();
                }
                let seen = lock::fenced(&effects).map(|()| format!("{} effects", effects.len()));
                judge(seen, &all)
            }
            Checker::Log { once, ordered, .. } => {
                let lines = |role| -> Vec<(String, String)> {
                    of(role)
                        .filter(|r| r.done == Some(true))
                        .map(|r| (r.key.clone(), r.value.clone()))
                        .collect()
                };
                let (written, stored) = (lines(0), lines(1));
                if written.is_empty() && stored.is_empty() {
                    return vain();
                }
                let promise = log::Promise { once: *once, ordered: *ordered };
                let seen = log::check(&written, &stored, promise)
                    .map(|()| format!("{} lines written and stored", written.len()));
                judge(seen, &[])
            }
            Checker::Exposition { request } => {
                let bodies = answers(evaluator, request);
                let mut bad = bodies
                    .iter()
                    .filter(|r| flag(r, "ok"))
                    .filter_map(|r| exposition::parse(&text_of(r, "body")?).err());
                match bad.next() {
                    Some(v) => judge(Err(v), &[]),
                    None if bodies.iter().all(|r| !flag(r, "ok")) => vain(),
                    None => (Verdict::Pass, format!("{} answers", bodies.len()), 0),
                }
            }
            Checker::NoBypass { .. } => match self.bypass {
                Some((seq, what)) => (Verdict::Fail, what, seq),
                None if self.connects == 0 => vain(),
                None => (Verdict::Pass, format!("{} connections", self.connects), 0),
            },
            Checker::SuccessRate { request, at_least } => {
                let answers = answers(evaluator, request);
                let good = answers.iter().filter(|r| flag(r, "ok")).count();
                if answers.is_empty() {
                    return vain();
                }
                let share = good as f64 / answers.len() as f64;
                let seen = format!("{good} of {} were answered well", answers.len());
                (if share >= *at_least { Verdict::Pass } else { Verdict::Fail }, seen, 0)
            }
            Checker::Latency { request, percentile, at_most_ms } => {
                let mut times: Vec<f64> = answers(evaluator, request)
                    .iter()
                    .filter(|r| flag(r, "ok"))
                    .filter_map(|r| number_of(r, "latencyMs"))
                    .collect();
                if times.is_empty() {
                    return vain();
                }
                times.sort_by(f64::total_cmp);
                let n = times.len() as f64;
                let rank = (percentile / 100.0 * n).ceil().clamp(1.0, n) as usize;
                let ms = times[rank - 1];
                let verdict = if ms <= *at_most_ms { Verdict::Pass } else { Verdict::Fail };
                (verdict, format!("{ms:.3} ms"), 0)
            }
        }
    }

    /// Takes in the requests from outside.
    fn take_requests(&mut self, evaluator: &Evaluator) -> Result<(), String> {
        let checker = self.checker.clone();
        for (role, source) in checker.sources().into_iter().enumerate() {
            let Some(source) = source else { continue };
            let Some(name) = &source.request else { continue };
            let mut all = answers(evaluator, name);
            if matches!(checker, Checker::Log { .. }) && all.len() > 1 {
                all.drain(..all.len() - 1);
            }
            for request in all {
                let ns = |field| number_of(&request, field).map_or(0, |s| (s * 1e9).round() as u64);
                let status = number_of(&request, "status").unwrap_or(0.0) as u16;
                // No answer, or one of a server in trouble: it may have happened or not.
                let done = match (flag(&request, "ok"), status) {
                    (true, _) => Some(true),
                    (false, 400..500) => Some(false),
                    _ => None,
                };
                let (begin, end, missing) = (ns("at"), ns("end"), status == 404);
                for (key, value) in rows(evaluator, source, "request", request.clone())? {
                    let missing = missing && role == 0;
                    self.rows.push(Row { role, begin, end, done, missing, key, value, event: 0 });
                }
            }
        }
        Ok(())
    }
}

/// The key and value of what is at hand; several where the value is a list.
fn rows(
    evaluator: &Evaluator,
    source: &Source,
    variable: &str,
    at_hand: Value,
) -> Result<Vec<(String, String)>, String> {
    let key = match &source.key {
        Some(key) => shown(&key.value_of(evaluator, variable, at_hand.clone())?),
        None => String::new(),
    };
    Ok(match source.value.value_of(evaluator, variable, at_hand)? {
        Value::List(list) => list.iter().map(|v| (key.clone(), shown(v))).collect(),
        one => vec![(key, shown(&one))],
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(s) => s.to_string(),
        Value::Int(i) => i.to_string(),
        Value::UInt(u) => u.to_string(),
        other => format!("{other:?}"),
    }
}

fn answers(evaluator: &Evaluator, name: &str) -> Vec<Value> {
    match evaluator.history().requests(name) {
        Value::List(list) => list.to_vec(),
        _ => Vec::new(),
    }
}

fn get(value: &Value, field: &str) -> Option<Value> {
    let Value::Map(map) = value else { return None };
    let key = cel::objects::Key::String(std::sync::Arc::new(field.to_owned()));
    map.map.get(&key).cloned()
}

fn text_of(value: &Value, field: &str) -> Option<String> {
    match get(value, field)? {
        Value::String(s) => Some(s.to_string()),
        _ => None,
    }
}

fn flag(value: &Value, field: &str) -> bool {
    get(value, field) == Some(Value::Bool(true))
}

fn number_of(value: &Value, field: &str) -> Option<f64> {
    match get(value, field)? {
        Value::Float(f) => Some(f),
        Value::Int(i) => Some(i as f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Finished, History};

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
