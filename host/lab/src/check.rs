//! Checks as monitors: each event of the trace is looked at once, as it comes.

use std::collections::BTreeMap;

use podlab_trace::{Event, Seq, Verdict};

use crate::expression::{Evaluator, Expression, Reads};
use crate::scenario::Check;

/// A check at work.
pub struct Monitor {
    check: Check,
    form: Form,
    window: Window,
    verdict: Option<Decided>,
    /// Why the expression could not be evaluated, the last time it could not.
    error: String,
    /// How often it was looked at inside the window.
    looked: u64,
    asked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Eventually,
    Always,
    Never,
    Finally,
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
}

impl Monitor {
    /// Begins to watch.
    pub fn new(check: &Check) -> Monitor {
        let form = match (&check.eventually, &check.always, &check.never) {
            (Some(_), ..) => Form::Eventually,
            (_, Some(_), _) => Form::Always,
            (_, _, Some(_)) => Form::Never,
            _ => Form::Finally,
        };
        let window = if check.after.is_some() { Window::Before } else { Window::Open(0) };
        Monitor {
            check: check.clone(),
            form,
            window,
            verdict: None,
            error: String::new(),
            looked: 0,
            asked: false,
        }
    }

    fn expression(&self) -> &Expression {
        let c = &self.check;
        [&c.eventually, &c.always, &c.never, &c.finally]
            .into_iter()
            .flatten()
            .next()
            .expect("a check was validated: it has one form")
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
            if self.check.on.is_none() && self.form != Form::Finally {
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
        if let Some(on) = &self.check.on {
            let value = evaluator.history().event(event);
            // An event without the field asked for is not one of those meant.
            if on.holds(evaluator, Some(value.clone())) == Ok(true) {
                self.ask(evaluator, Some(value), event.seq, event.at);
            }
        } else if !self.asked || self.expression().reads().overlaps(changed) {
            self.ask(evaluator, None, event.seq, event.at);
        }
    }

    /// Looks at the end of a request, which is no event of the trace.
    pub fn look_outside(&mut self, evaluator: &Evaluator, changed: Reads, at: u64) {
        if self.verdict.is_none()
            && self.form != Form::Finally
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
            (Form::Eventually, true) => Verdict::Pass,
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
        let decided = self.verdict.clone().unwrap_or_else(|| {
            let never_open = self.window == Window::Before;
            let error =
                if self.error.is_empty() { String::new() } else { format!(" ({})", self.error) };
            let (verdict, seen) = match self.form {
                _ if never_open => (Verdict::Unknown, "its mark was never reached".to_owned()),
                Form::Eventually => (
                    Verdict::Fail,
                    format!("it never held{error}; at the end {}", self.parts(evaluator)),
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
        }
    }

    fn expected(&self) -> String {
        let form = match self.form {
            Form::Eventually => "eventually",
            Form::Always => "always",
            Form::Never => "never",
            Form::Finally => "finally",
        };
        let mut text = format!("{form} {}", self.expression().source().trim());
        if let Some(within) = self.check.within {
            text += &format!(" within {within}");
        }
        text
    }

    /// The values of the two sides of a comparison, so that a failure says more than "false".
    fn parts(&self, evaluator: &Evaluator) -> String {
        let source = self.expression().source().trim();
        let mut out = BTreeMap::new();
        for clause in source.split("&&") {
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
                        out.insert(left.to_owned(), text);
                    }
                    break;
                }
            }
        }
        if out.is_empty() {
            return "it did not hold".into();
        }
        out.iter().map(|(k, v)| format!("`{k}` was {v}")).collect::<Vec<_>>().join(", ")
    }
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
