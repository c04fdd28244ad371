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
//!
//! # Layout
//! - [`evaluator`]: the functions, over a history; `names`: what an expression speaks of;
//!   `fields`: what it asks of it; `order`: maps are gone through in order

use std::fmt;
use std::sync::Arc;

use cel::Value;
use cel::common::ast::IdedExpr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vocabulary::meant;

pub mod evaluator;
mod fields;
mod names;
mod order;

pub use evaluator::Evaluator;
pub use fields::Fields;
use fields::{narrow_requests, of_variable};
use names::Names;
use order::in_order;

/// The longest expression, in bytes.
const MAX_LENGTH: usize = 4096;

/// A compiled expression.
#[derive(Clone)]
pub struct Expression {
    source: String,
    program: Arc<IdedExpr>,
    /// What it looks at, so that it is not asked again when only other things changed.
    reads: Reads,
    names: Arc<Names>,
    /// The kind of the only events of which it can hold.
    kind: Option<Arc<str>>,
    /// What it asks of `event`.
    fields: Fields,
}

/// What an expression looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Pods.
    pub pods: bool,
    /// Other objects of the control plane.
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
        (self.pods && other.pods)
            || (self.objects && other.objects)
            || (self.requests && other.requests)
            || (self.logs && other.logs)
            || (self.now && other.now)
    }

    /// Takes in more.
    pub fn add(&mut self, other: Reads) {
        self.pods |= other.pods;
        self.objects |= other.objects;
        self.requests |= other.requests;
        self.logs |= other.logs;
        self.now |= other.now;
    }
}

const FUNCTIONS: &[(&str, Reads)] = &{
    const NONE: Reads =
        Reads { pods: false, objects: false, requests: false, logs: false, now: false };
    const PODS: Reads = Reads { pods: true, ..NONE };
    const REQUESTS: Reads = Reads { requests: true, ..NONE };
    const LOGS: Reads = Reads { logs: true, ..NONE };
    [
        ("pod", PODS),
        // Of which kind, its argument says.
        ("object", NONE),
        ("objects", NONE),
        ("ready", PODS),
        ("running", PODS),
        ("restarts", PODS),
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
                reads.add(*r);
            } else if !STANDARD.contains(&name) {
                let known: Vec<_> =
                    FUNCTIONS.iter().map(|(f, _)| *f).chain(STANDARD.iter().copied()).collect();
                let meant = meant(name, known.iter().copied());
                return Err(format!(
                    "in the expression `{source}`: there is no function {name:?}{meant} There are {}",
                    known.join(", ")
                ));
            }
        }
        reads.now = references.has_variable("now");
        let mut names = Names::default();
        names.visit(program.expression(), &mut Vec::new());
        names.check().map_err(|e| format!("in the expression `{source}`: {e}"))?;
        reads.objects |= names.any_object;
        reads.pods |= names.any_object;
        for (_, kind) in names.calls.iter().filter(|(f, _)| f == "object" || f == "objects") {
            if kind == "Pod" {
                reads.pods = true;
            } else {
                reads.objects = true;
            }
        }
        let kind = names::needed_kind(program.expression()).map(Arc::from);
        let fields = of_variable(program.expression(), "event");
        let mut program = program.expression().clone();
        narrow_requests(&mut program);
        in_order(&mut program);
        let program = Arc::new(program);
        let names = Arc::new(names);
        Ok(Expression { source: source.into(), program, reads, names, kind, fields })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it looks at.
    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// Whether it speaks of the event at hand.
    pub fn asks_event(&self) -> bool {
        self.names.free.contains("event")
    }

    /// Whether it can hold of an event of this kind at all, told without asking it.
    pub fn may_concern(&self, kind: &podlab_trace::Kind) -> bool {
        self.kind.as_deref().is_none_or(|k| k == crate::vocabulary::kind_of(kind))
    }

    /// What it asks of the event at hand.
    pub fn event_fields(&self) -> &Fields {
        &self.fields
    }

    /// Whether it speaks of the request at hand.
    pub fn asks_request(&self) -> bool {
        self.names.free.contains("request")
    }

    /// The texts that are the first argument of `functions`: the names of pods in `ready('web')`.
    pub fn arguments<'a>(&'a self, functions: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let calls = self.names.calls.iter();
        calls.filter(move |(f, _)| functions.contains(&f.as_str())).map(|(_, name)| name.as_str())
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
        match event {
            Some(event) => self.value_of(evaluator, "event", event),
            None => self.value_of(evaluator, "event", Value::Null),
        }
    }

    /// Its value now, where `variable` ("event" or "request") is what is at hand.
    ///
    /// # Errors
    /// When it has none.
    pub fn value_of(
        &self,
        evaluator: &Evaluator,
        variable: &str,
        at_hand: Value,
    ) -> Result<Value, String> {
        let mut context = evaluator.root.new_inner_scope();
        if self.reads.now {
            context.add_variable_from_value("now", evaluator.history.now_seconds());
        }
        if self.names.free.contains(variable) {
            context.add_variable_from_value(variable.to_owned(), at_hand);
        }
        Value::resolve(&self.program, &context).map_err(|e| {
            let missing = self.missing(evaluator);
            let missing = if missing.is_empty() {
                String::new()
            } else {
                format!(" ({})", missing.join("; "))
            };
            format!("`{}`: {e}{missing}", self.source)
        })
    }

    /// What it speaks of that is not there now: the usual reason why it has no value.
    fn missing(&self, evaluator: &Evaluator) -> Vec<String> {
        let mut missing = Vec::new();
        for (function, name) in &self.names.calls {
            let why = match function.as_str() {
                "last" if evaluator.history.last(name) == Value::Null => {
                    format!("no request {name:?} has ended yet")
                }
                "pod" if evaluator.history.object("Pod", name) == Value::Null => {
                    format!("there is no pod {name:?} now")
                }
                _ => continue,
            };
            if !missing.contains(&why) {
                missing.push(why);
            }
        }
        missing
    }
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
    use crate::history::History;

    fn value(source: &str) -> Result<Value, String> {
        Expression::compile(source)?.value(&Evaluator::new(History::default()), None)
    }

    #[test]
    fn what_is_not_there_is_named() {
        let why = value("last('page').status == 200").unwrap_err();
        assert!(why.contains("no request \"page\" has ended yet"), "{why}");
        let why = value("pod('web').status.phase == 'Running'").unwrap_err();
        assert!(why.contains("there is no pod \"web\" now"), "{why}");
        assert!(!value("'a'.b").unwrap_err().contains("now)"));
    }

    #[test]
    fn what_an_expression_looks_at_is_known_beforehand() {
        let reads = |source: &str| Expression::compile(source).unwrap().reads();
        let none = Reads::default();
        let (pods, objects) = (Reads { pods: true, ..none }, Reads { objects: true, ..none });
        assert_eq!(reads("ready('web')"), pods);
        assert_eq!(reads("size(objects('Pod')) == 1"), pods);
        assert_eq!(reads("object('Job', 'a') == null"), objects);
        assert_eq!(
            reads("['Pod', 'Job'].all(k, size(objects(k)) == 1)"),
            Reads { pods: true, objects: true, ..none }
        );
        assert_eq!(reads("now > 1.0"), Reads { now: true, ..none });
        assert_eq!(reads("true"), none);
    }

    #[test]
    fn events_of_another_kind_are_told_without_asking() {
        let log =
            podlab_trace::Kind::Log { stream: podlab_trace::Stream::Stdout, line: String::new() };
        let may = |source: &str| Expression::compile(source).unwrap().may_concern(&log);
        assert!(may("event.kind == 'log' && event.line == ''"));
        assert!(may("event.kind == 'log' || event.kind == 'signal'"));
        assert!(may("event.kind != 'signal'"));
        assert!(may("event.pod == 'web'"));
        assert!(!may("event.pod == 'web' && event.kind == 'signal' && event.number == 9"));
        assert!(!may("'signal' == event.kind"));
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
    fn a_map_is_gone_through_in_the_order_of_its_keys() {
        let source = r#"json('{"b":1,"d":2,"a":3,"c":4,"e":5}').map(k, k)"#;
        let keys = value(source).unwrap();
        for _ in 0..20 {
            assert_eq!(value(source).unwrap(), keys);
        }
        let Value::List(keys) = keys else { panic!("{keys:?}") };
        let keys: Vec<String> = keys.iter().map(|k| format!("{k:?}")).collect();
        assert!(keys.is_sorted() && keys.len() == 5, "{keys:?}");
        assert_eq!(value("{'x': 1}.all(k, k == 'x')"), Ok(Value::Bool(true)));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |source| Expression::compile(source).unwrap_err();
        assert!(error("reddy('web')").contains("no function \"reddy\""));
        assert!(error("reddy('web')").contains("did you mean \"ready\"?"));
        assert!(error("nwo > 1.0").contains("no variable \"nwo\"; did you mean \"now\"?"));
        let kind = error("event.kind == 'conect' || event.kind == 'log'");
        assert!(kind.contains("kind \"conect\"; did you mean \"connect\"?"), "{kind}");
        assert!(error("event.kind == 'log' && event.lin == ''").contains("did you mean \"line\"?"));
        assert!(error("'conect' == event.kind").contains("conect"));
        assert!(error("1 +").contains("1 +"));
        assert!(value("pod('x').status.phase == 'Running'").is_err());
    }

    #[test]
    fn what_a_comprehension_binds_is_no_unknown_name() {
        let e = Expression::compile(
            "requests('a').exists(event, event.colour == 'red') && ready('web') && now > 0.0",
        )
        .unwrap();
        assert!(!e.asks_event());
        assert_eq!(e.arguments(&["requests", "last"]).collect::<Vec<_>>(), ["a"]);
        assert_eq!(e.arguments(&["ready"]).collect::<Vec<_>>(), ["web"]);
        assert!(Expression::compile("event.kind == 'log'").unwrap().asks_event());
    }
}
