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

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::{Context, ExecutionError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::history::{History, from_json};
use crate::vocabulary::{EVENTS, meant};

/// The name of the function that puts the keys of a map in order; nobody can write it.
const IN_ORDER: &str = "@inOrder";

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
}

/// The names in an expression.
#[derive(Default)]
struct Names {
    /// Calls whose first argument is a text: "ready" and "web".
    calls: Vec<(String, String)>,
    /// Variables that no comprehension binds.
    free: BTreeSet<String>,
    /// Fields asked of `event`.
    fields: BTreeSet<String>,
    /// What `event.kind` is compared with.
    kinds: BTreeSet<String>,
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
        let mut program = program.expression().clone();
        in_order(&mut program);
        let program = Arc::new(program);
        Ok(Expression { source: source.into(), program, reads, names: Arc::new(names) })
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
        Value::resolve(&self.program, &context).map_err(|e| format!("`{}`: {e}", self.source))
    }
}

/// CEL leaves open in which order a map is gone through, and its library uses that freedom: what
/// comprehensions range over is put in order first, so that a check says the same each time.
fn in_order(e: &mut IdedExpr) {
    match &mut e.expr {
        Expr::Comprehension(c) => {
            for part in [
                &mut c.iter_range,
                &mut c.accu_init,
                &mut c.loop_cond,
                &mut c.loop_step,
                &mut c.result,
            ] {
                in_order(part);
            }
            let range = std::mem::take(&mut c.iter_range.expr);
            let id = c.iter_range.id;
            c.iter_range.expr = Expr::Call(CallExpr {
                func_name: IN_ORDER.into(),
                target: None,
                args: vec![IdedExpr { id, expr: range }],
            });
        }
        Expr::Select(s) => in_order(&mut s.operand),
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|t| in_order(t));
            call.args.iter_mut().for_each(in_order);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(in_order),
        Expr::Map(map) => map.entries.iter_mut().for_each(|e| entry_in_order(&mut e.expr)),
        Expr::Struct(s) => s.entries.iter_mut().for_each(|e| entry_in_order(&mut e.expr)),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

fn entry_in_order(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => in_order(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            in_order(&mut entry.key);
            in_order(&mut entry.value);
        }
    }
}

impl Names {
    fn visit(&mut self, e: &IdedExpr, bound: &mut Vec<String>) {
        match &e.expr {
            Expr::Ident(name) => {
                if !name.starts_with('@') && !bound.contains(name) {
                    self.free.insert(name.clone());
                }
            }
            Expr::Select(select) => {
                if is_event(&select.operand, bound) {
                    self.fields.insert(select.field.clone());
                }
                self.visit(&select.operand, bound);
            }
            Expr::Call(call) => {
                if let Some(Expr::Literal(LiteralValue::String(s))) =
                    call.args.first().map(|a| &a.expr)
                {
                    self.calls.push((call.func_name.clone(), s.inner().to_owned()));
                }
                if let [a, b] = call.args.as_slice()
                    && (call.func_name == "_==_" || call.func_name == "_!=_")
                {
                    for (field, text) in [(a, b), (b, a)] {
                        if let (Expr::Select(s), Expr::Literal(LiteralValue::String(text))) =
                            (&field.expr, &text.expr)
                            && s.field == "kind"
                            && is_event(&s.operand, bound)
                        {
                            self.kinds.insert(text.inner().to_owned());
                        }
                    }
                }
                for part in call.target.iter().map(|t| &**t).chain(&call.args) {
                    self.visit(part, bound);
                }
            }
            Expr::Comprehension(c) => {
                self.visit(&c.iter_range, bound);
                self.visit(&c.accu_init, bound);
                let outer = bound.len();
                bound.extend([c.iter_var.clone(), c.accu_var.clone()]);
                bound.extend(c.iter_var2.clone());
                for part in [&c.loop_cond, &c.loop_step, &c.result] {
                    self.visit(part, bound);
                }
                bound.truncate(outer);
            }
            Expr::List(list) => list.elements.iter().for_each(|e| self.visit(e, bound)),
            Expr::Map(map) => self.visit_entries(map.entries.iter().map(|e| &e.expr), bound),
            Expr::Struct(s) => self.visit_entries(s.entries.iter().map(|e| &e.expr), bound),
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn visit_entries<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a EntryExpr>,
        bound: &mut Vec<String>,
    ) {
        for entry in entries {
            match entry {
                EntryExpr::StructField(field) => self.visit(&field.value, bound),
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key, bound);
                    self.visit(&entry.value, bound);
                }
            }
        }
    }

    /// What can never be true of any event is a mistake, not a check.
    fn check(&self) -> Result<(), String> {
        let variables = ["now", "event", "request"];
        for name in &self.free {
            if !variables.contains(&name.as_str()) && !STANDARD.contains(&name.as_str()) {
                let meant = meant(name, variables);
                return Err(format!(
                    "there is no variable {name:?}{meant} There are now and, in checks with `on`, event"
                ));
            }
        }
        for kind in &self.kinds {
            if !EVENTS.kinds.contains(&kind.as_str()) {
                let meant = meant(kind, EVENTS.kinds.iter().copied());
                return Err(format!(
                    "no event is of the kind {kind:?}{meant} The kinds are {}",
                    EVENTS.kinds.join(", ")
                ));
            }
        }
        for field in &self.fields {
            if !EVENTS.fields.contains(field.as_str()) {
                let meant = meant(field, EVENTS.fields.iter().copied());
                let all: Vec<_> = EVENTS.fields.iter().copied().collect();
                return Err(format!(
                    "no event has a field {field:?}{meant} The fields are {}",
                    all.join(", ")
                ));
            }
        }
        Ok(())
    }
}

fn is_event(e: &IdedExpr, bound: &[String]) -> bool {
    matches!(&e.expr, Expr::Ident(name) if name == "event") && !bound.iter().any(|b| b == "event")
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
    context.add_function(IN_ORDER, |range: Value| match range {
        Value::Map(m) => {
            let mut keys: Vec<_> = m.map.keys().cloned().collect();
            keys.sort();
            Value::List(Arc::new(keys.into_iter().map(Value::from).collect()))
        }
        other => other,
    })?;
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
