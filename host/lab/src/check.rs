//! Checks as monitors: each event of the trace is looked at once, as it comes.

use std::collections::BTreeSet;

use podlab_trace::{Event, Seq, Verdict};

use crate::checker::Collector;
use crate::expression::{Evaluator, Expression, Fields, Reads};
use crate::scenario::{Check, Count};

/// A check at work.
pub struct Monitor {
    check: Check,
    form: Form,
    window: Window,
    /// What is asked of events.
    fields: Fields,
    verdict: Option<Decided>,
    collector: Option<Collector>,
    /// Why the expression could not be evaluated, the last time it could not.
    error: String,
    /// How often it was looked at inside the window; for `count`, how many events matched.
    looked: u64,
    /// How many events `on` was asked about inside the window.
    offered: u64,
    asked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Eventually,
    Always,
    Never,
    Finally,
    Count,
    Sometimes,
    Checker,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Window {
    Before,
    /// Since when, in ns.
    Open(u64),
    Closed,
}

#[derive(Clone)]
struct Decided {
    verdict: Verdict,
    seen: String,
    event: Seq,
    at: u64,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// The check.
    pub name: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// What had to hold.
    pub expected: String,
    /// What was seen.
    pub seen: String,
    /// The event that decided it, 0 if none did.
    pub event: Seq,
    /// When that was, in ns.
    pub at: u64,
    /// Whether it is a goal over all seeds (`sometimes`): unknown then only means "not in this one".
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub goal: bool,
    /// Unless it passed: the events around the one that decided it, or the last ones, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub around: Vec<String>,
}

impl Monitor {
    /// Begins to watch.
    pub fn new(check: &Check) -> Monitor {
        let form = match (&check.eventually, &check.always, &check.never) {
            (Some(_), ..) => Form::Eventually,
            (_, Some(_), _) => Form::Always,
            (_, _, Some(_)) => Form::Never,
            _ if check.count.is_some() => Form::Count,
            _ if check.sometimes.is_some() => Form::Sometimes,
            _ if check.checker.is_some() => Form::Checker,
            _ => Form::Finally,
        };
        let window = if check.after.is_some() { Window::Before } else { Window::Open(0) };
        let fields = expressions(check)
            .map(|e| e.event_fields().clone())
            .reduce(|a, b| a.and(&b))
            .unwrap_or(Fields::All);
        Monitor {
            check: check.clone(),
            fields,
            form,
            window,
            verdict: None,
            collector: check.checker.as_ref().map(Collector::new),
            error: String::new(),
            looked: 0,
            offered: 0,
            asked: false,
        }
    }

    fn expression(&self) -> &Expression {
        expressions(&self.check).next().expect("a check was validated: it has one form")
    }

    /// Whether it is decided already.
    pub fn is_decided(&self) -> bool {
        self.verdict.is_some()
    }

    /// Whether it has failed already.
    pub fn has_failed(&self) -> bool {
        self.verdict.as_ref().is_some_and(|d| d.verdict == Verdict::Fail)
    }

    /// A mark was set at `at` ns.
    pub fn mark(&mut self, name: &str, at: u64, evaluator: &Evaluator) {
        if self.check.after.as_deref() == Some(name) && self.window == Window::Before {
            self.window = Window::Open(at);
            self.asked = false;
            // What holds when the window opens counts, although nothing changes then.
            if self.check.on.is_none() && !matches!(self.form, Form::Finally | Form::Checker) {
                self.ask(evaluator, None, 0, at);
            }
        }
        if self.check.until.as_deref() == Some(name)
            && let Window::Open(_) = self.window
        {
            self.window = Window::Closed;
        }
    }

    /// Looks at what `event` (already taken in by the history) changed.
    pub fn look(&mut self, evaluator: &Evaluator, event: &Event, changed: Reads) {
        if self.verdict.is_some() || self.form == Form::Finally {
            return;
        }
        if !self.inside(event.at) {
            return;
        }
        if let Some(collector) = &mut self.collector {
            collector.look(evaluator, event);
            return;
        }
        if let Some(on) = &self.check.on {
            self.offered += 1;
            if !on.may_concern(&event.kind) {
                return;
            }
            let value = evaluator.history().event(event, &self.fields);
            // An event without the field asked for is not one of those meant.
            if on.holds(evaluator, Some(value.clone())) == Ok(true) {
                match self.check.count {
                    Some(count) => self.counted(count, event),
                    None => self.ask(evaluator, Some(value), event.seq, event.at),
                }
            }
        } else if !self.asked || self.expression().reads().overlaps(changed) {
            self.ask(evaluator, None, event.seq, event.at);
        }
    }

    /// Looks at the end of a request, which is no event of the trace.
    pub fn look_outside(&mut self, evaluator: &Evaluator, changed: Reads, at: u64) {
        if self.verdict.is_none()
            && !matches!(self.form, Form::Finally | Form::Checker)
            && self.check.on.is_none()
            && self.inside(at)
            && self.expression().reads().overlaps(changed)
        {
            self.ask(evaluator, None, 0, at);
        }
    }

    fn inside(&mut self, at: u64) -> bool {
        let Window::Open(since) = self.window else { return false };
        if let Some(within) = self.check.within
            && at > since.saturating_add(within.0.as_nanos() as u64)
        {
            self.window = Window::Closed;
            return false;
        }
        true
    }

    /// One more event matched. Too many can be told at once, enough of them only where there is
    /// no upper bound.
    fn counted(&mut self, count: Count, event: &Event) {
        self.looked += 1;
        let verdict = match count.at_most {
            Some(most) if self.looked > most => Verdict::Fail,
            None if self.looked >= count.at_least => Verdict::Pass,
            _ => return,
        };
        let time = podlab_trace::text::time(event.at);
        let seen = format!("number {} came at {time}", self.looked);
        self.verdict = Some(Decided { verdict, seen, event: event.seq, at: event.at });
    }

    fn ask(&mut self, evaluator: &Evaluator, event: Option<cel::Value>, seq: Seq, at: u64) {
        self.asked = true;
        self.looked += 1;
        let holds = match self.expression().holds(evaluator, event) {
            Ok(holds) => {
                self.error.clear();
                holds
            }
            Err(error) => {
                // Not yet there is not yet true; for `never` it is not true either.
                self.error = error;
                if self.form == Form::Always {
                    return;
                }
                false
            }
        };
        let verdict = match (self.form, holds) {
            (Form::Eventually | Form::Sometimes, true) => Verdict::Pass,
            (Form::Always, false) | (Form::Never, true) => Verdict::Fail,
            _ => return,
        };
        let seen = match self.form {
            Form::Eventually => format!("it held at {}", podlab_trace::text::time(at)),
            Form::Always => format!("it did not hold at {}", podlab_trace::text::time(at)),
            _ => format!("it held at {}", podlab_trace::text::time(at)),
        };
        self.verdict = Some(Decided { verdict, seen, event: seq, at });
    }

    /// The end: what it came to.
    pub fn finish(mut self, evaluator: &Evaluator, at: u64) -> CheckResult {
        if self.form == Form::Finally {
            let (verdict, seen) = match self.expression().holds(evaluator, None) {
                Ok(true) => (Verdict::Pass, "it held at the end".to_owned()),
                Ok(false) => (Verdict::Fail, self.parts(evaluator)),
                Err(error) => (Verdict::Unknown, error),
            };
            self.verdict = Some(Decided { verdict, seen, event: 0, at });
        }
        if let Some(collector) = self.collector.take()
            && self.window != Window::Before
        {
            let (verdict, seen, event) = collector.finish(evaluator);
            self.verdict = Some(Decided { verdict, seen, event, at });
        }
        let decided = self.verdict.clone().unwrap_or_else(|| {
            let never_open = self.window == Window::Before;
            let error =
                if self.error.is_empty() { String::new() } else { format!(" ({})", self.error) };
            let (verdict, seen) = match self.form {
                _ if never_open => (Verdict::Unknown, "its mark was never reached".to_owned()),
                // Undecided: no bound was crossed, so only too few can be wrong.
                Form::Count => {
                    let enough = self.check.count.is_some_and(|c| self.looked >= c.at_least);
                    let verdict = if enough { Verdict::Pass } else { Verdict::Fail };
                    (verdict, format!("{} of {} events matched", self.looked, self.offered))
                }
                Form::Sometimes => (Verdict::Unknown, "it never held in this run".to_owned()),
                Form::Eventually if self.check.on.is_some() && self.looked == 0 => {
                    (Verdict::Fail, format!("none of {} events matched `on`", self.offered))
                }
                Form::Eventually => (
                    Verdict::Fail,
                    format!("it never held{error}; at the end {}", self.parts(evaluator)),
                ),
                _ if self.looked == 0 && self.check.on.is_some() => (
                    Verdict::Unknown,
                    format!(
                        "none of {} events matched `on`: it was never put to the test",
                        self.offered
                    ),
                ),
                _ if self.looked == 0 => {
                    (Verdict::Unknown, "nothing that it looks at ever happened".to_owned())
                }
                _ if self.form == Form::Always && !self.error.is_empty() => {
                    (Verdict::Unknown, self.error.clone())
                }
                _ => (Verdict::Pass, format!("looked at {} times", self.looked)),
            };
            Decided { verdict, seen, event: 0, at }
        });
        CheckResult {
            name: self.check.name.clone(),
            verdict: decided.verdict,
            expected: self.expected(),
            seen: decided.seen,
            event: decided.event,
            at: decided.at,
            goal: self.form == Form::Sometimes,
            around: Vec::new(),
        }
    }

    fn expected(&self) -> String {
        let form = match self.form {
            Form::Eventually => "eventually",
            Form::Always => "always",
            Form::Never => "never",
            Form::Finally => "finally",
            Form::Count => "count",
            Form::Sometimes => "sometimes",
            Form::Checker => "checker",
        };
        if let Some(checker) = &self.check.checker {
            return format!("the history of a correct {}", checker.name());
        }
        let source = self.expression().source().trim();
        let mut text = match self.check.count {
            Some(Count { at_least, at_most: None }) => {
                format!("at least {at_least} events where {source}")
            }
            Some(Count { at_least: 0, at_most: Some(most) }) => {
                format!("at most {most} events where {source}")
            }
            Some(Count { at_least, at_most: Some(most) }) => {
                format!("{at_least} to {most} events where {source}")
            }
            None => format!("{form} {source}"),
        };
        if let (Some(on), None) = (&self.check.on, self.check.count) {
            text += &format!(" on {}", on.source().trim());
        }
        if let Some(within) = self.check.within {
            text += &format!(" within {within}");
        }
        text
    }

    fn parts(&self, evaluator: &Evaluator) -> String {
        seen(self.expression(), evaluator)
    }
}

/// What a check has to evaluate, the one that says its form first.
fn expressions(c: &Check) -> impl Iterator<Item = &Expression> {
    [&c.eventually, &c.always, &c.never, &c.finally, &c.sometimes, &c.on].into_iter().flatten()
}

/// What `expression` saw: the values of the left sides of its comparisons, and why pods that it
/// names are not ready, so that a failure says more than "false".
pub fn seen(expression: &Expression, evaluator: &Evaluator) -> String {
    let mut out = Vec::new();
    for clause in expression.source().trim().split("&&") {
        for operator in ["==", "!=", ">=", "<=", ">", "<"] {
            if let Some((left, _)) = clause.split_once(operator) {
                let left = left.trim();
                if let Ok(e) = Expression::compile(left)
                    && let Ok(value) = e.value(evaluator, None)
                {
                    let mut text = show(&value);
                    if text.chars().count() > 200 {
                        text = text.chars().take(200).collect::<String>() + "…";
                    }
                    out.push(format!("`{left}` was {text}"));
                }
                break;
            }
        }
    }
    let pods: BTreeSet<_> =
        expression.arguments(&["ready", "running", "restarts", "pod"]).collect();
    for pod in pods {
        out.extend(evaluator.history().trouble(pod));
    }
    if out.is_empty() { "it did not hold".into() } else { out.join(", ") }
}

fn show(value: &cel::Value) -> String {
    match value {
        cel::Value::String(s) => format!("{s:?}"),
        cel::Value::Int(i) => i.to_string(),
        cel::Value::UInt(u) => u.to_string(),
        cel::Value::Float(f) => format!("{f:.3}"),
        cel::Value::Bool(b) => b.to_string(),
        cel::Value::Null => "null".into(),
        cel::Value::List(l) => format!("a list of {}", l.len()),
        cel::Value::Map(m) => format!("an object of {} fields", m.map.len()),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;
    use crate::scenario::Scenario;
    use podlab_trace::{Kind, Stream};

    /// A check with a line of log for each instant (in ms) as what it looks at.
    fn verdict(check: &str, logs: &[(u64, &str)], marks: &[(u64, &str)]) -> (Verdict, String, Seq) {
        let mut text = String::from("title: {en: T, ja: T}\nsteps: [");
        text += &marks.iter().map(|(_, m)| format!("{{mark: {m}}}")).collect::<Vec<_>>().join(", ");
        text += &format!("]\nchecks:\n  - {{name: c, {check}}}\n");
        let scenario = Scenario::parse("s.yaml", &text).unwrap();
        let evaluator = Evaluator::new(History::default());
        let mut monitor = Monitor::new(&scenario.checks[0]);
        let event = |seq, at, kind| Event { seq, at, place: 1, cause: 0, kind };
        let place = Kind::Place {
            id: 1,
            node: "node-1".into(),
            namespace: "default".into(),
            pod: "p".into(),
            container: "c".into(),
        };
        let mut all = vec![(0, 0, place)];
        let line = |line: &str| Kind::Log { stream: Stream::Stdout, line: line.into() };
        all.extend(logs.iter().map(|(at, text)| (*at, 1, line(text))));
        let mut marks = marks.iter().peekable();
        for (n, (ms, _, kind)) in all.into_iter().enumerate() {
            while let Some((at, mark)) = marks.next_if(|(at, _)| *at <= ms) {
                monitor.mark(mark, at * 1_000_000, &evaluator);
            }
            let event = event(n as u64 + 1, ms * 1_000_000, kind);
            let changed = evaluator.history().take(&event);
            monitor.look(&evaluator, &event, changed);
        }
        for (at, mark) in marks {
            monitor.mark(mark, at * 1_000_000, &evaluator);
        }
        let result = monitor.finish(&evaluator, 10_000_000_000);
        (result.verdict, result.seen, result.event)
    }

    const AB: &[(u64, &str)] = &[(10, "a"), (20, "b")];

    #[test]
    fn each_form_passes_and_fails() {
        use Verdict::{Fail, Pass, Unknown};
        let is = |check, expected| {
            let (verdict, seen, _) = verdict(check, AB, &[]);
            assert_eq!(verdict, expected, "{check}: {seen}");
        };
        is("eventually: \"size(logs('p', 'c')) == 2\"", Pass);
        is("eventually: \"size(logs('p', 'c')) == 3\"", Fail);
        is("eventually: \"size(logs('p', 'c')) == 2\", within: 20ms", Pass);
        is("eventually: \"size(logs('p', 'c')) == 2\", within: 19ms", Fail);
        is("always: \"size(logs('p', 'c')) < 3\"", Pass);
        is("always: \"size(logs('p', 'c')) < 2\"", Fail);
        is("always: \"size(logs('p', 'c')) < 2\", within: 15ms", Pass);
        is("never: \"'c' in logs('p', 'c')\"", Pass);
        is("never: \"'b' in logs('p', 'c')\"", Fail);
        is("finally: \"size(logs('p', 'c')) == 2\"", Pass);
        is("finally: \"size(logs('p', 'c')) == 1\"", Fail);
        is("on: event.kind == 'log', count: {atLeast: 2, atMost: 2}", Pass);
        is("on: event.kind == 'log', count: {atMost: 1}", Fail);
        is("on: event.kind == 'log', count: {atLeast: 3}", Fail);
        is("on: event.kind == 'log', count: {atLeast: 2}, within: 15ms", Fail);
        is("on: event.kind == 'signal', count: {atMost: 0}", Pass);
        is("on: event.kind == 'log', always: event.line != 'b'", Fail);
        is("on: event.kind == 'log', always: event.pod == 'p'", Pass);
        is("on: event.kind == 'log', never: event.line == 'c'", Pass);
        // What was never put to the test has not passed.
        is("on: event.kind == 'signal', always: event.number == 15", Unknown);
        is("on: event.kind == 'signal', never: event.number == 9", Unknown);
        is("on: event.kind == 'signal', eventually: event.number == 15", Fail);
        is("finally: \"last('x')\"".replace("last('x')", "now").as_str(), Unknown);
    }

    #[test]
    fn the_event_that_decides_is_named_and_what_was_seen() {
        let check = "always: \"size(logs('p', 'c')) < 2\"";
        assert_eq!(verdict(check, AB, &[]).2, 3);
        let (_, seen, event) = verdict("on: event.kind == 'log', count: {atMost: 1}", AB, &[]);
        assert_eq!((seen.as_str(), event), ("number 2 came at 0.020000000s", 3));
        let (_, seen, _) = verdict("finally: \"size(logs('p', 'c')) == 1\"", AB, &[]);
        assert_eq!(seen, "`size(logs('p', 'c'))` was 2");
        let (_, seen, _) = verdict("eventually: ready('web')", AB, &[]);
        assert!(seen.contains("there is no pod \"web\""), "{seen}");
        let (_, seen, _) =
            verdict("on: event.kind == 'signal', always: event.number == 15", AB, &[]);
        assert_eq!(seen, "none of 3 events matched `on`: it was never put to the test");
    }

    #[test]
    fn marks_open_and_close_the_window() {
        let check = |c: &str, marks| verdict(&format!("on: event.kind == 'log', {c}"), AB, marks).0;
        assert_eq!(check("after: m, count: {atLeast: 2}", &[(15, "m")]), Verdict::Fail);
        assert_eq!(check("after: m, count: {atLeast: 1}", &[(15, "m")]), Verdict::Pass);
        assert_eq!(check("until: m, count: {atMost: 1}", &[(15, "m")]), Verdict::Pass);
        assert_eq!(check("after: m, within: 1ms, count: {atMost: 0}", &[(15, "m")]), Verdict::Pass);
        // A mark that only comes after the last event still opens the window, with nothing in it.
        assert_eq!(check("after: m, always: event.line == 'x'", &[(30, "m")]), Verdict::Unknown);
    }

    #[test]
    fn the_report_has_the_shape_that_others_read() {
        let result = CheckResult {
            name: "c".into(),
            verdict: Verdict::Fail,
            expected: "e".into(),
            seen: "s".into(),
            event: 3,
            at: 5,
            goal: false,
            around: Vec::new(),
        };
        let expected = serde_json::json!({
            "name": "c", "verdict": "fail", "expected": "e", "seen": "s", "event": 3, "at": 5,
        });
        assert_eq!(serde_json::to_value(&result).unwrap(), expected);
        let judge = |verdicts: &[Verdict], error: &str| {
            let of = |verdict: &Verdict| CheckResult { verdict: *verdict, ..result.clone() };
            crate::Report::judge(&verdicts.iter().map(of).collect::<Vec<_>>(), error)
        };
        use Verdict::{Fail, Pass, Unknown};
        assert_eq!(judge(&[Pass, Pass], ""), Pass);
        assert_eq!(judge(&[Pass, Unknown], ""), Unknown);
        assert_eq!(judge(&[Fail, Unknown], ""), Fail);
        assert_eq!(judge(&[Pass], "timeout"), Fail);
    }
}
