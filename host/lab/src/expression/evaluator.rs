//! What expressions are evaluated in.

use std::sync::Arc;

use cel::{Context, ExecutionError, Value};

use super::fields::REQUESTS_WITH;
use super::order::IN_ORDER;
use crate::history::{History, from_json};

/// What expressions are evaluated in: the functions of the module's table, over one history.
pub struct Evaluator {
    pub(super) history: History,
    pub(super) root: Context<'static, 'static>,
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
    context.add_function(REQUESTS_WITH, move |name: Arc<String>, fields: Arc<Vec<Value>>| {
        h.requests_with(&name, &fields)
    })?;
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
