//! What a history comes to.

use podlab_checkers::linearizable::{self, Action, Limits, Operation};
use podlab_checkers::{Outcome, Violation, exposition, lock, log, queue};
use podlab_trace::{Seq, Verdict};

use super::Checker;
use super::collect::{Collector, MAX_ROWS, Row, answers, flag, number_of, text_of};
use crate::expression::Evaluator;

impl Collector {
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
}
