//! Walking objects by their shape.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::set::{Set, Step, path_text};
use super::shape::{Form, Shape};

/// What differs between two objects.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Only in the second.
    pub added: Set,
    /// In both, and different.
    pub modified: Set,
    /// Only in the first.
    pub removed: Set,
}

impl Comparison {
    /// Whether nothing differs.
    pub fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }
}

/// The step to an item; `None` for what has no keys.
fn item_step(form: &Form<'_>, item: &Value) -> Option<Step> {
    match form {
        Form::Keyed(keys) => {
            let mut out = Vec::new();
            for (key, default) in keys {
                let value = match item.get(*key) {
                    Some(value) if !value.is_null() => value,
                    _ if !default.is_null() => *default,
                    _ => continue,
                };
                out.push(((*key).to_string(), value.to_string()));
            }
            (!out.is_empty()).then_some(Step::Key(out))
        }
        Form::Set => Some(Step::Value(item.to_string())),
        _ => None,
    }
}

/// The fields of an object that somebody applies.
pub fn fields(value: &Value, shape: Shape<'_>) -> Set {
    let mut out = Set::default();
    collect(value, shape, &mut Vec::new(), &mut out);
    out
}

fn collect(value: &Value, shape: Shape<'_>, path: &mut Vec<Step>, out: &mut Set) {
    let form = shape.form(value);
    match (&form, value) {
        (Form::Leaf, _) => out.insert(path),
        (Form::Map, Value::Object(map)) => {
            for (key, child) in map {
                let (inner, declared) = shape.at(key);
                path.push(Step::Field(key.clone()));
                collect(child, inner, path, out);
                let hollow =
                    child.is_null() || child.as_object().is_some_and(serde_json::Map::is_empty);
                if hollow || !declared {
                    out.insert(path);
                }
                path.pop();
            }
        }
        (Form::Keyed(_) | Form::Set, Value::Array(items)) => {
            for item in items {
                let Some(step) = item_step(&form, item) else { continue };
                path.push(step);
                if !matches!(form, Form::Set) {
                    collect(item, shape.items(), path, out);
                }
                out.insert(path);
                path.pop();
            }
        }
        _ => {}
    }
}

/// What differs from `old` to `new`.
pub fn compare(old: &Value, new: &Value, shape: Shape<'_>) -> Comparison {
    let mut out = Comparison::default();
    walk(Some(old), Some(new), shape, &mut Vec::new(), &mut out);
    out
}

static EMPTY: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| Value::Object(Map::new()));

fn hollow(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(m)) => m.is_empty(),
        Some(Value::Array(a)) => a.is_empty(),
        _ => false,
    }
}

fn walk(
    old: Option<&Value>,
    new: Option<&Value>,
    shape: Shape<'_>,
    path: &mut Vec<Step>,
    out: &mut Comparison,
) {
    if let (Some(a), Some(b)) = (old, new)
        && a == b
    {
        return;
    }
    let Some(example) = new.or(old) else { return };
    let form = shape.form(example);
    let leaf = |out: &mut Comparison| match (old, new) {
        (None, _) => out.added.insert(path),
        (_, None) => out.removed.insert(path),
        _ => out.modified.insert(path),
    };
    match form {
        Form::Leaf => return leaf(out),
        Form::Map => {
            let mut keys: BTreeSet<&str> = BTreeSet::new();
            for side in [old, new] {
                keys.extend(
                    side.and_then(Value::as_object).into_iter().flatten().map(|(k, _)| &**k),
                );
            }
            let always: BTreeSet<&str> = shape.always().collect();
            keys.extend(&always);
            if keys.is_empty() {
                return leaf(out);
            }
            for key in keys {
                let side = |value: Option<&'_ Value>| -> Option<Value> {
                    let value = value?;
                    match value.get(key) {
                        Some(child) => Some(child.clone()),
                        None if always.contains(key) => Some(EMPTY.clone()),
                        None => None,
                    }
                };
                let (a, b) = (side(old), side(new));
                if a == b {
                    continue;
                }
                path.push(Step::Field(key.to_string()));
                walk(a.as_ref(), b.as_ref(), shape.at(key).0, path, out);
                path.pop();
            }
        }
        Form::Keyed(_) | Form::Set => {
            if hollow(old) && hollow(new) {
                return leaf(out);
            }
            let list = |value: Option<&'_ Value>| -> Vec<(Step, Value)> {
                let items = value.and_then(Value::as_array).into_iter().flatten();
                items.filter_map(|i| Some((item_step(&form, i)?, i.clone()))).collect()
            };
            let (a, b) = (list(old), list(new));
            let steps: BTreeSet<&Step> = a.iter().chain(&b).map(|(s, _)| s).collect();
            for step in steps {
                let find = |side: &'_ [(Step, Value)]| {
                    side.iter().find(|(s, _)| s == step).map(|(_, v)| v.clone())
                };
                let (l, r) = (find(&a), find(&b));
                path.push(step.clone());
                let inner = if matches!(form, Form::Set) { Shape::Open } else { shape.items() };
                walk(l.as_ref(), r.as_ref(), inner, path, out);
                path.pop();
            }
        }
    }
    if path.is_empty() {
        return;
    }
    match (old, new) {
        (None, _) => out.added.insert(path),
        (_, None) => out.removed.insert(path),
        _ => {}
    }
}

/// `live` with what `applied` says.
pub fn merge(live: Option<&Value>, applied: &Value, shape: Shape<'_>) -> Value {
    let form = shape.form(applied);
    match (&form, live, applied) {
        (Form::Map, _, Value::Object(fields)) => {
            let mut out = live.and_then(Value::as_object).cloned().unwrap_or_default();
            for (key, value) in fields {
                let merged = merge(out.get(key), value, shape.at(key).0);
                out.insert(key.clone(), merged);
            }
            Value::Object(out)
        }
        (Form::Keyed(_) | Form::Set, Some(Value::Array(old)), Value::Array(new)) => {
            let step = |item: &Value| item_step(&form, item);
            let mut out: Vec<Value> = Vec::new();
            let mut cursor = 0;
            let shared = |item: &Value| new.iter().any(|n| step(n) == step(item));
            for item in new {
                // What only the live list has stays in front of what followed it there.
                while cursor < old.len() && !shared(&old[cursor]) {
                    out.push(old[cursor].clone());
                    cursor += 1;
                }
                let before = old.iter().position(|o| step(o) == step(item));
                out.push(merge(before.map(|i| &old[i]), item, shape.items()));
                if before == Some(cursor) {
                    cursor += 1;
                }
            }
            out.extend(old.iter().skip(cursor).filter(|o| !shared(o)).cloned());
            Value::Array(out)
        }
        _ => applied.clone(),
    }
}

/// `value` without the fields of `gone`.
pub fn remove(value: &Value, gone: &Set, shape: Shape<'_>) -> Value {
    let form = shape.form(value);
    match (&form, value) {
        (Form::Map, Value::Object(map)) => {
            let mut out = Map::new();
            for (key, child) in map {
                let step = Step::Field(key.clone());
                if gone.has(&step) {
                    continue;
                }
                let child = match gone.child(&step) {
                    Some(inner) => remove(child, inner, shape.at(key).0),
                    None => child.clone(),
                };
                out.insert(key.clone(), child);
            }
            if out.is_empty() && !map.is_empty() { Value::Null } else { Value::Object(out) }
        }
        (Form::Keyed(_) | Form::Set, Value::Array(items)) => {
            let mut out = Vec::new();
            for item in items {
                match item_step(&form, item) {
                    Some(step) if gone.has(&step) => {}
                    Some(step) => out.push(match gone.child(&step) {
                        Some(inner) => remove(item, inner, shape.items()),
                        None => item.clone(),
                    }),
                    None => out.push(item.clone()),
                }
            }
            if out.is_empty() && !items.is_empty() { Value::Null } else { Value::Array(out) }
        }
        _ => value.clone(),
    }
}

/// The set with every declared field on the way to a member as a member too.
pub fn named(set: &Set, shape: Shape<'_>) -> Set {
    let mut out = set.clone();
    for (step, child) in set.children() {
        let inner = match step {
            Step::Field(key) => {
                let (inner, declared) = shape.at(key);
                if declared {
                    out.add(step.clone());
                }
                inner
            }
            _ => shape.items(),
        };
        out.set_child(step.clone(), named(child, inner));
    }
    out
}

/// What is wrong with an object that somebody applies: unknown fields, items without their keys,
/// items given twice.
pub fn check(value: &Value, shape: Shape<'_>) -> Result<(), String> {
    check_at(value, shape, &mut Vec::new())
}

fn check_at(value: &Value, shape: Shape<'_>, path: &mut Vec<Step>) -> Result<(), String> {
    let form = shape.form(value);
    match (&form, value) {
        (Form::Leaf, _) | (_, Value::Null) => Ok(()),
        (Form::Map, Value::Object(map)) => {
            for (key, child) in map {
                path.push(Step::Field(key.clone()));
                if !shape.knows(key) {
                    return Err(format!("{}: field not declared in schema", path_text(path)));
                }
                check_at(child, shape.at(key).0, path)?;
                path.pop();
            }
            Ok(())
        }
        (Form::Map, other) => {
            Err(format!("{}: expected map, got {}", path_text(path), described(other)))
        }
        (Form::Keyed(keys), Value::Array(items)) => {
            let mut seen = BTreeSet::new();
            for (i, item) in items.iter().enumerate() {
                for (key, default) in keys {
                    if item[*key].is_null() && default.is_null() {
                        return Err(format!(
                            "{}: element {i}: associative list with keys has an element that omits key field {key:?} (and doesn't have default value)",
                            path_text(path)
                        ));
                    }
                }
                let Some(step) = item_step(&form, item) else { continue };
                path.push(step.clone());
                if !seen.insert(step) {
                    let at = path_text(path);
                    path.pop();
                    return Err(format!(
                        "{}: duplicate entries for key {}",
                        path_text(path),
                        &at[path_text(path).len()..]
                    ));
                }
                check_at(item, shape.items(), path)?;
                path.pop();
            }
            Ok(())
        }
        (Form::Set, Value::Array(items)) => {
            let mut seen = BTreeSet::new();
            for item in items {
                if !seen.insert(item.to_string()) {
                    return Err(format!(
                        "{}: duplicate entries for key [={item}]",
                        path_text(path)
                    ));
                }
            }
            Ok(())
        }
        (_, other) => Err(format!("{}: expected list, got {}", path_text(path), described(other))),
    }
}

fn described(value: &Value) -> String {
    format!("&{{{value}}}")
}
