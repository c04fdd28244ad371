//! The language of checks: CEL, the one Kubernetes uses.
//!
//! Beside CEL's own functions there are:
//!
//! | function | result |
//! | --- | --- |
//! | `pod(name)`, `object(kind, name)`, `objects(kind)` | objects of namespace `default` as they are now; null if there is none |
//! | `ready(pod)`, `running(pod, container)`, `restarts(pod, container)` | short cuts over pods |
//! | `requests(name)`, `last(name)` | finished requests: `at`, `status`, `body`, `error`, `latencyMs`, `ok` |
//! | `logs(pod, container)` | lines written so far |
//! | `json(text)`, `lines(text)` | a text taken apart |
//! | `percentile(list, p)`, `sum(list)` | of numbers |
//!
//! and the variables `now` (seconds since the world began) and, in checks with `on`, `event`.

use std::fmt;
use std::sync::Arc;

use cel::{Context, ExecutionError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::history::{History, from_json};

/// The longest expression, in bytes.
const MAX_LENGTH: usize = 4096;

/// A compiled expression.
#[derive(Clone)]
pub struct Expression {
    source: String,
    program: Arc<cel::Program>,
    /// What it looks at, so that it is not asked again when only other things changed.
    reads: Reads,
}

/// What an expression looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Objects of the control plane.
    pub objects: bool,
    /// Answers to requests.
    pub requests: bool,
    /// Log lines.
    pub logs: bool,
    /// The clock.
    pub now: bool,
}

impl Reads {
    /// Whether the two have something in common.
    pub fn overlaps(self, other: Reads) -> bool {
        (self.objects && other.objects)
            || (self.requests && other.requests)
            || (self.logs && other.logs)
            || (self.now && other.now)
    }
}

const FUNCTIONS: &[(&str, Reads)] = &{
    const NONE: Reads = Reads { objects: false, requests: false, logs: false, now: false };
    const OBJECTS: Reads = Reads { objects: true, ..NONE };
    const REQUESTS: Reads = Reads { requests: true, ..NONE };
    const LOGS: Reads = Reads { logs: true, ..NONE };
    [
        ("pod", OBJECTS),
        ("object", OBJECTS),
        ("objects", OBJECTS),
        ("ready", OBJECTS),
        ("running", OBJECTS),
        ("restarts", OBJECTS),
        ("requests", REQUESTS),
        ("last", REQUESTS),
        ("logs", LOGS),
        ("json", NONE),
        ("lines", NONE),
        ("percentile", NONE),
        ("sum", NONE),
    ]
};

/// CEL's own functions that checks may use.
const STANDARD: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "max",
    "min",
    "has",
    "all",
    "exists",
    "exists_one",
    "map",
    "filter",
    "type",
    "dyn",
    "bool",
];

impl Expression {
    /// Compiles `source`.
    ///
    /// # Errors
    /// A sentence that says what is wrong and where.
    pub fn compile(source: &str) -> Result<Expression, String> {
        if source.len() > MAX_LENGTH {
            return Err(format!("the expression is longer than {MAX_LENGTH} bytes"));
        }
        let program = cel::Program::compile(source)
            .map_err(|e| format!("in the expression `{source}`: {e}"))?;
        let references = program.references();
        let mut reads = Reads::default();
        for name in references.functions() {
            // Operators appear as functions with names such as `_==_` and `!_`.
            if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                continue;
            }
            if let Some((_, r)) = FUNCTIONS.iter().find(|(f, _)| *f == name) {
                reads.objects |= r.objects;
                reads.requests |= r.requests;
                reads.logs |= r.logs;
            } else if !STANDARD.contains(&name) {
                let known: Vec<_> =
                    FUNCTIONS.iter().map(|(f, _)| *f).chain(STANDARD.iter().copied()).collect();
                return Err(format!(
                    "in the expression `{source}`: there is no function {name:?}; there are {}",
                    known.join(", ")
                ));
            }
        }
        reads.now = references.has_variable("now");
        let program = Arc::new(program);
        Ok(Expression { source: source.into(), program, reads })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it looks at.
    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// Whether it holds now. `event` is bound where it is given.
    ///
    /// # Errors
    /// When it cannot be told: a field is missing, types do not fit.
    pub fn holds(&self, evaluator: &Evaluator, event: Option<Value>) -> Result<bool, String> {
        match self.value(evaluator, event)? {
            Value::Bool(b) => Ok(b),
            other => Err(format!("`{}` is {other:?}, neither true nor false", self.source)),
        }
    }

    /// Its value now.
    ///
    /// # Errors
    /// When it has none.
    pub fn value(&self, evaluator: &Evaluator, event: Option<Value>) -> Result<Value, String> {
        let mut context = evaluator.root.new_inner_scope();
        if self.reads.now {
            context.add_variable_from_value("now", evaluator.history.now_seconds());
        }
        if let Some(event) = event {
            context.add_variable_from_value("event", event);
        }
        self.program.execute(&context).map_err(|e| format!("`{}`: {e}", self.source))
    }
}

/// What expressions are evaluated in: the functions of the module's table, over one history.
pub struct Evaluator {
    history: History,
    root: Context<'static, 'static>,
}

impl Evaluator {
    /// Expressions that ask about `history`.
    pub fn new(history: History) -> Evaluator {
        let mut root = Context::default();
        bind(&mut root, &history).expect("each function is declared once");
        Evaluator { history, root }
    }

    /// What they ask about.
    pub fn history(&self) -> &History {
        &self.history
    }
}

fn bind(context: &mut Context<'_, '_>, history: &History) -> Result<(), cel::DeclarationError> {
    let h = history.clone();
    context.add_function("pod", move |name: Arc<String>| h.object("Pod", &name))?;
    let h = history.clone();
    context.add_function("object", move |kind: Arc<String>, name: Arc<String>| {
        h.object(&kind, &name)
    })?;
    let h = history.clone();
    context.add_function("objects", move |kind: Arc<String>| h.objects(&kind))?;
    let h = history.clone();
    context.add_function("ready", move |pod: Arc<String>| h.ready(&pod))?;
    let h = history.clone();
    context.add_function("running", move |pod: Arc<String>, c: Arc<String>| h.running(&pod, &c))?;
    let h = history.clone();
    context
        .add_function("restarts", move |pod: Arc<String>, c: Arc<String>| h.restarts(&pod, &c))?;
    let h = history.clone();
    context.add_function("requests", move |name: Arc<String>| h.requests(&name))?;
    let h = history.clone();
    context.add_function("last", move |name: Arc<String>| h.last(&name))?;
    let h = history.clone();
    context.add_function("logs", move |pod: Arc<String>, c: Arc<String>| h.logs(&pod, &c))?;
    context.add_function("json", |text: Arc<String>| match serde_json::from_str(&text) {
        Ok(value) => Ok(from_json(&value)),
        Err(e) => Err(ExecutionError::function_error("json", e)),
    })?;
    context.add_function("lines", |text: Arc<String>| {
        Value::List(Arc::new(text.lines().map(|l| Value::String(Arc::new(l.into()))).collect()))
    })?;
    context.add_function("sum", |list: Arc<Vec<Value>>| -> Result<f64, ExecutionError> {
        Ok(numbers("sum", &list)?.iter().sum())
    })?;
    context.add_function("percentile", |list: Arc<Vec<Value>>, p: f64| {
        let mut n = numbers("percentile", &list)?;
        if n.is_empty() {
            return Err(ExecutionError::function_error("percentile", "the list is empty"));
        }
        n.sort_by(f64::total_cmp);
        // Nearest rank.
        let rank = (p / 100.0 * n.len() as f64).ceil().clamp(1.0, n.len() as f64) as usize;
        Ok(n[rank - 1])
    })?;
    Ok(())
}

fn numbers(function: &str, list: &[Value]) -> Result<Vec<f64>, ExecutionError> {
    list.iter()
        .map(|v| match v {
            Value::Int(i) => Ok(*i as f64),
            Value::UInt(u) => Ok(*u as f64),
            Value::Float(f) => Ok(*f),
            other => {
                Err(ExecutionError::function_error(function, format!("{other:?} is not a number")))
            }
        })
        .collect()
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Serialize for Expression {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Expression, D::Error> {
        let text = String::deserialize(d)?;
        Expression::compile(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Expression {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expression".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A CEL expression.", "maxLength": MAX_LENGTH })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(source: &str) -> Result<Value, String> {
        Expression::compile(source)?.value(&Evaluator::new(History::default()), None)
    }

    #[test]
    fn expressions_are_cel_with_functions_of_ours() {
        assert_eq!(value("percentile([3, 1, 2, 10], 50.0)"), Ok(Value::Float(2.0)));
        assert_eq!(value(r"size(lines('a\nb'))"), Ok(Value::Int(2)));
        assert_eq!(value("json('{\"a\": [1]}').a[0] == 1"), Ok(Value::Bool(true)));
        assert_eq!(value("pod('x') == null"), Ok(Value::Bool(true)));
        assert_eq!(value("requests('x').all(r, r.ok)"), Ok(Value::Bool(true)));
        assert_eq!(value("now < 1.0"), Ok(Value::Bool(true)));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |source| Expression::compile(source).unwrap_err();
        assert!(error("reddy('web')").contains("no function \"reddy\""));
        assert!(error("1 +").contains("1 +"));
        assert!(value("pod('x').status.phase == 'Running'").is_err());
    }
}
