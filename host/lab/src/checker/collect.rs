//! A checker at work: it keeps what its sources say.

use cel::Value;
use podlab_trace::{Event, Seq};

use super::{Checker, Source};
use crate::expression::Evaluator;

/// No history is longer.
pub(super) const MAX_ROWS: usize = 1_000_000;

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) role: usize,
    pub(super) begin: u64,
    pub(super) end: u64,
    /// Whether it is known to have happened (true), or not to have (false).
    pub(super) done: Option<bool>,
    pub(super) missing: bool,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) event: Seq,
}

/// A checker at work: it keeps what its sources say.
pub struct Collector {
    pub(super) checker: Checker,
    pub(super) rows: Vec<Row>,
    pub(super) bypass: Option<(Seq, String)>,
    pub(super) connects: u64,
    pub(super) error: Option<String>,
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
            let (p, c) = evaluator.history().place(event);
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
            let Some(on) = source.on.as_ref().filter(|on| on.may_concern(&event.kind)) else {
                continue;
            };
            let value = evaluator.history().event(event, on.event_fields());
            if on.holds(evaluator, Some(value)) == Ok(true) {
                let asked = source.key.as_ref().map(|key| key.event_fields());
                let asked = asked.map_or_else(
                    || source.value.event_fields().clone(),
                    |key| source.value.event_fields().and(key),
                );
                let value = evaluator.history().event(event, &asked);
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

    /// Takes in the requests from outside.
    pub(super) fn take_requests(&mut self, evaluator: &Evaluator) -> Result<(), String> {
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

pub(super) fn answers(evaluator: &Evaluator, name: &str) -> Vec<Value> {
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

pub(super) fn text_of(value: &Value, field: &str) -> Option<String> {
    match get(value, field)? {
        Value::String(s) => Some(s.to_string()),
        _ => None,
    }
}

pub(super) fn flag(value: &Value, field: &str) -> bool {
    get(value, field) == Some(Value::Bool(true))
}

pub(super) fn number_of(value: &Value, field: &str) -> Option<f64> {
    match get(value, field)? {
        Value::Float(f) => Some(f),
        Value::Int(i) => Some(i as f64),
        _ => None,
    }
}
