//! What a template finds in an object, and how it is printed.

use serde_json::Value;

use super::super::json::compact;
use super::{Node, Side};

pub(super) fn render(
    nodes: &[Node],
    at: &Value,
    root: &Value,
    out: &mut String,
) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Literal(value) => out.push_str(&shown(value)),
            Node::Path(path) => {
                let found = walk(vec![at], root, path)?;
                let texts: Vec<String> = found.into_iter().map(shown).collect();
                out.push_str(&texts.join(" "));
            }
            Node::Range(path, body) => {
                for item in walk(vec![at], root, path)? {
                    render(body, item, root, out)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A value as a template prints it.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => compact(other),
    }
}

pub(super) fn walk<'v>(
    start: Vec<&'v Value>,
    root: &'v Value,
    path: &[Node],
) -> Result<Vec<&'v Value>, String> {
    let mut found = start;
    for node in path {
        let mut next = Vec::new();
        for value in found {
            step(value, root, node, &mut next)?;
        }
        found = next;
    }
    Ok(found)
}

fn step<'v>(
    value: &'v Value,
    root: &'v Value,
    node: &Node,
    out: &mut Vec<&'v Value>,
) -> Result<(), String> {
    match node {
        Node::Field(name) => out.extend(value.get(name).filter(|v| !v.is_null())),
        Node::All => match value {
            Value::Array(items) => out.extend(items),
            Value::Object(map) => out.extend(map.values()),
            _ => {}
        },
        Node::Deep => deep(value, out),
        Node::Union(paths) => {
            for path in paths {
                out.extend(walk(vec![value], root, path)?);
            }
        }
        Node::Slice(from, to, by, single) => slice(value, [*from, *to, *by], *single, out)?,
        Node::Where(left, op, right) => {
            for item in value.as_array().into_iter().flatten() {
                if holds(item, root, left, op, right)? {
                    out.push(item);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn slice<'v>(
    value: &'v Value,
    [from, to, by]: [Option<i64>; 3],
    single: bool,
    out: &mut Vec<&'v Value>,
) -> Result<(), String> {
    let Some(items) = value.as_array() else {
        return if value.is_null() {
            Ok(())
        } else {
            Err(format!("{} is not array or slice", shown(value)))
        };
    };
    let len = items.len() as i64;
    let bound = |given: Option<i64>, default: i64| match given {
        Some(n) if n < 0 => n + len,
        Some(n) => n,
        None => default,
    };
    let from = bound(from, 0);
    let to = if single { from + 1 } else { bound(to, len).min(len) };
    let by = by.unwrap_or(1);
    if single && (from < 0 || from >= len) || from > len {
        return Err(format!("array index out of bounds: index {from}, length {len}"));
    }
    if by <= 0 {
        return Err("step must be > 0".into());
    }
    let mut at = from.max(0);
    while at < to {
        out.extend(usize::try_from(at).ok().and_then(|at| items.get(at)));
        at = at.saturating_add(by);
    }
    Ok(())
}

fn deep<'v>(value: &'v Value, out: &mut Vec<&'v Value>) {
    out.push(value);
    match value {
        Value::Array(items) => items.iter().for_each(|v| deep(v, out)),
        Value::Object(map) => map.values().for_each(|v| deep(v, out)),
        _ => {}
    }
}

fn holds(item: &Value, root: &Value, left: &Side, op: &str, right: &Side) -> Result<bool, String> {
    let values = |side: &Side| -> Result<Vec<Value>, String> {
        Ok(match side {
            Side::Path(path) => walk(vec![item], root, path)?.into_iter().cloned().collect(),
            Side::Value(value) => vec![value.clone()],
            Side::Nothing => Vec::new(),
        })
    };
    let left = values(left)?;
    if op == "exists" {
        return Ok(!left.is_empty());
    }
    let (Some(left), Some(right)) = (left.into_iter().next(), values(right)?.into_iter().next())
    else {
        return Ok(false);
    };
    let order = match (&left, &right) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().unwrap_or(0.0).partial_cmp(&b.as_f64().unwrap_or(0.0))
        }
        _ => None,
    };
    Ok(match op {
        "==" => left == right,
        "!=" => left != right,
        "<" => order.is_some_and(std::cmp::Ordering::is_lt),
        "<=" => order.is_some_and(std::cmp::Ordering::is_le),
        ">" => order.is_some_and(std::cmp::Ordering::is_gt),
        _ => order.is_some_and(std::cmp::Ordering::is_ge),
    })
}

/// The same as Go's `%#v` of the decoded object, which kubectl prints when a template fails.
pub fn go(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let fields: Vec<String> = map.iter().map(|(k, v)| format!("{k:?}:{}", go(v))).collect();
            format!("map[string]interface {{}}{{{}}}", fields.join(", "))
        }
        other => compact(other),
    }
}
