//! Sets of fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// How deep a set may nest when it is read.
const DEPTH: usize = 128;

/// One step from a value to a value in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A field of an object, or a key of a map.
    Field(String),
    /// An item of a list, by its keys: names and JSON values, by name.
    Key(Vec<(String, String)>),
    /// An item of a set, as JSON.
    Value(String),
    /// An item by its place.
    Index(usize),
}

impl Step {
    fn encode(&self) -> String {
        match self {
            Step::Field(name) => format!("f:{name}"),
            Step::Key(keys) => {
                let list: Vec<String> = keys
                    .iter()
                    .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
                    .collect();
                format!("k:{{{}}}", list.join(","))
            }
            Step::Value(value) => format!("v:{value}"),
            Step::Index(i) => format!("i:{i}"),
        }
    }

    fn decode(text: &str) -> Option<Step> {
        let (kind, rest) = text.split_once(':')?;
        Some(match kind {
            "f" => Step::Field(rest.into()),
            "k" => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(rest).ok()?;
                Step::Key(keys.into_iter().map(|(k, v)| (k, v.to_string())).collect())
            }
            "v" => Step::Value(serde_json::from_str::<Value>(rest).ok()?.to_string()),
            "i" => Step::Index(rest.parse().ok()?),
            _ => return None,
        })
    }
}

/// A path as Kubernetes prints it: `.spec.containers[name="c"].image`.
pub fn path_text(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        let _ = match step {
            Step::Field(name) => write!(out, ".{name}"),
            Step::Key(keys) => {
                let list: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
                write!(out, "[{}]", list.join(","))
            }
            Step::Value(value) => write!(out, "[={value}]"),
            Step::Index(i) => write!(out, "[{i}]"),
        };
    }
    out
}

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    members: BTreeSet<Step>,
    children: BTreeMap<Step, Set>,
}

impl Set {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Set::is_empty)
    }

    /// Adds the field at `path`, which must not be empty.
    pub fn insert(&mut self, path: &[Step]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Takes the field at `path` away, not what is in it.
    pub fn remove(&mut self, path: &[Step]) {
        match path {
            [] => {}
            [last] => {
                self.members.remove(last);
            }
            [first, rest @ ..] => {
                if let Some(child) = self.children.get_mut(first) {
                    child.remove(rest);
                    if child.is_empty() {
                        self.children.remove(first);
                    }
                }
            }
        }
    }

    /// Whether the field is in it.
    pub fn has(&self, step: &Step) -> bool {
        self.members.contains(step)
    }

    /// What is in it below `step`.
    pub fn child(&self, step: &Step) -> Option<&Set> {
        self.children.get(step).filter(|c| !c.is_empty())
    }

    /// Adds a member here.
    pub(super) fn add(&mut self, step: Step) {
        self.members.insert(step);
    }

    pub(super) fn children(&self) -> impl Iterator<Item = (&Step, &Set)> {
        self.children.iter()
    }

    pub(super) fn set_child(&mut self, step: Step, child: Set) {
        if !child.is_empty() {
            self.children.insert(step, child);
        }
    }

    /// Both.
    #[must_use]
    pub fn union(&self, other: &Set) -> Set {
        let mut out = self.clone();
        out.members.extend(other.members.iter().cloned());
        for (step, child) in &other.children {
            let merged = out.children.get(step).map_or_else(|| child.clone(), |c| c.union(child));
            out.children.insert(step.clone(), merged);
        }
        out
    }

    /// What is not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Set) -> Set {
        let mut out = Set {
            members: self.members.difference(&other.members).cloned().collect(),
            children: BTreeMap::new(),
        };
        for (step, child) in &self.children {
            let left =
                other.children.get(step).map_or_else(|| child.clone(), |c| child.difference(c));
            out.set_child(step.clone(), left);
        }
        out
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Set) -> Set {
        let mut out = Set {
            members: self.members.intersection(&other.members).cloned().collect(),
            children: BTreeMap::new(),
        };
        for (step, child) in &self.children {
            if let Some(c) = other.children.get(step) {
                out.set_child(step.clone(), child.intersection(c));
            }
        }
        out
    }

    /// All fields, as paths, in order.
    pub fn paths(&self) -> Vec<Vec<Step>> {
        let mut out = Vec::new();
        self.collect(&mut Vec::new(), &mut out);
        out
    }

    fn collect(&self, prefix: &mut Vec<Step>, out: &mut Vec<Vec<Step>>) {
        for member in &self.members {
            let mut path = prefix.clone();
            path.push(member.clone());
            out.push(path);
        }
        for (step, child) in &self.children {
            prefix.push(step.clone());
            child.collect(prefix, out);
            prefix.pop();
        }
    }

    /// As `FieldsV1`.
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        for member in &self.members {
            out.insert(member.encode(), Value::Object(Map::new()));
        }
        for (step, child) in self.children.iter().filter(|(_, c)| !c.is_empty()) {
            let mut inner = child.to_json();
            if self.members.contains(step) {
                inner["."] = Value::Object(Map::new());
            }
            out.insert(step.encode(), inner);
        }
        Value::Object(out)
    }

    /// From `FieldsV1`; `None` if it is none.
    pub fn from_json(value: &Value) -> Option<Set> {
        Set::read(value, DEPTH)
    }

    fn read(value: &Value, depth: usize) -> Option<Set> {
        let mut out = Set::default();
        if depth == 0 {
            return None;
        }
        for (key, inner) in value.as_object()? {
            if key == "." {
                continue;
            }
            let step = Step::decode(key)?;
            let child = Set::read(inner, depth - 1)?;
            if child.is_empty() || inner.get(".").is_some() {
                out.members.insert(step.clone());
            }
            out.set_child(step, child);
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sets_are_written_and_read_as_kubernetes_does() {
        let value = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}}},
            "f:finalizers": {"v:\"x\"": {}}}});
        let set = Set::from_json(&value).unwrap();
        assert_eq!(set.to_json(), value);
        let texts: Vec<String> = set.paths().iter().map(|p| path_text(p)).collect();
        assert!(texts.contains(&".spec.containers[name=\"c\"].image".to_string()));
        assert!(set.difference(&set).is_empty());
        assert_eq!(set.intersection(&set), set);
        assert!(Set::from_json(&json!({"x": {}})).is_none());
    }
}
