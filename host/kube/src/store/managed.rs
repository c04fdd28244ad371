//! `metadata.managedFields`: who owns which field, kept with every write, and server-side apply
//! (`apimachinery/pkg/util/managedfields`, `structured-merge-diff/merge/update.go`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::error::{Cause, Details, Error};
use super::object::{self, meta_mut};
use crate::schema::fields::set::path_text;
use crate::schema::fields::walk::{self, Comparison};
use crate::schema::fields::{Set, Shape, Step};

/// So many managers that update are told apart; older ones become one.
const UPDATERS: usize = 10;
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Somebody who owns fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manager {
    /// Applied, or updated.
    pub applies: bool,
    /// "kubectl-client-side-apply", ...
    pub name: String,
    /// The version of the objects that it wrote; empty for what applies, in comparisons.
    pub api_version: String,
    /// "status", ...; empty for the object itself.
    pub subresource: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    set: Set,
    time: String,
    api_version: String,
}

/// All managers of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managers(BTreeMap<Manager, Owned>);

/// The fields that nobody owns (`stripmeta.go`).
fn strip(set: &mut Set) {
    let field = |name: &str| Step::Field(name.into());
    for name in ["apiVersion", "kind", "metadata"] {
        set.remove(&[field(name)]);
    }
    for name in [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        set.remove(&[field("metadata"), field(name)]);
    }
}

impl Managers {
    /// From `metadata.managedFields`; `None` if that cannot be read.
    pub fn read(list: &Value) -> Option<Managers> {
        let mut out = BTreeMap::new();
        for entry in list.as_array().into_iter().flatten() {
            let text = |field: &str| entry[field].as_str().unwrap_or("").to_string();
            let applies = match entry["operation"].as_str()? {
                "Apply" => true,
                "Update" => false,
                _ => return None,
            };
            let manager = Manager {
                applies,
                name: text("manager"),
                api_version: if applies { String::new() } else { text("apiVersion") },
                subresource: text("subresource"),
            };
            let set = Set::from_json(&entry["fieldsV1"])?;
            out.insert(manager, Owned { set, time: text("time"), api_version: text("apiVersion") });
        }
        Some(Managers(out))
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As `metadata.managedFields`.
    pub fn write(&self) -> Value {
        let mut all: Vec<(&Manager, &Owned)> =
            self.0.iter().filter(|(_, o)| !o.set.is_empty()).collect();
        all.sort_by_key(|(m, o)| (!m.applies, &o.time, &m.name, &o.api_version, &m.subresource));
        let list = all.into_iter().map(|(m, o)| {
            let mut entry = Map::new();
            entry.insert("manager".into(), m.name.as_str().into());
            entry.insert("operation".into(), if m.applies { "Apply" } else { "Update" }.into());
            entry.insert("apiVersion".into(), o.api_version.as_str().into());
            if !o.time.is_empty() {
                entry.insert("time".into(), o.time.as_str().into());
            }
            entry.insert("fieldsType".into(), "FieldsV1".into());
            entry.insert("fieldsV1".into(), o.set.to_json());
            if !m.subresource.is_empty() {
                entry.insert("subresource".into(), m.subresource.as_str().into());
            }
            Value::Object(entry)
        });
        list.collect()
    }

    /// Puts the list into an object.
    pub fn put(&self, object: &mut Value) {
        let list = self.write();
        if list.as_array().is_some_and(|l| !l.is_empty()) {
            meta_mut(object).insert("managedFields".into(), list);
        } else {
            meta_mut(object).remove("managedFields");
        }
    }

    /// Those of a request: what it says itself, or else what there was.
    pub fn of_request(given: &Value, live: &Value) -> Managers {
        if let Some([Value::Object(one)]) = given.as_array().map(Vec::as_slice)
            && one.is_empty()
        {
            return Managers::default();
        }
        Managers::read(given)
            .filter(|m| !m.is_empty())
            .or_else(|| Managers::read(live))
            .unwrap_or_default()
    }

    /// Takes from all but `but` what somebody else changed.
    fn give_up(&mut self, difference: &Comparison, but: &Manager) {
        let changed = difference.modified.union(&difference.added).union(&difference.removed);
        for (manager, owned) in &mut self.0 {
            if manager != but {
                owned.set = owned.set.difference(&changed);
            }
        }
        self.0.retain(|_, owned| !owned.set.is_empty());
    }

    /// After somebody updated an object from `old` to `new`.
    pub fn updated(
        &mut self,
        manager: &Manager,
        old: &Value,
        new: &Value,
        shape: Shape<'_>,
        now: &str,
    ) {
        let difference = walk::compare(old, new, shape);
        if difference.is_same() {
            return;
        }
        // The updater too gives up what it applied or updated and somebody changes: fields that
        // it changes itself, it owns afterwards.
        self.give_up(&difference, &Manager::default());
        let mut mine = difference.added.union(&difference.modified);
        strip(&mut mine);
        if !mine.is_empty() {
            let entry = self.0.entry(manager.clone()).or_insert_with(|| Owned {
                set: Set::default(),
                time: String::new(),
                api_version: manager.api_version.clone(),
            });
            entry.set = entry.set.union(&mine);
            entry.time = now.into();
        }
        self.cap();
    }

    fn cap(&mut self) {
        let mut updaters: Vec<Manager> = self.0.keys().filter(|m| !m.applies).cloned().collect();
        if updaters.len() <= UPDATERS {
            return;
        }
        updaters.sort_by_key(|m| self.0[m].time.clone());
        for old in updaters.iter().take(updaters.len() - UPDATERS) {
            let owned = self.0.remove(old).expect("listed above");
            let ancient = Manager { name: "ancient-changes".into(), ..old.clone() };
            let entry = self.0.entry(ancient).or_insert_with(|| owned.clone());
            entry.set = entry.set.union(&owned.set);
            entry.time = entry.time.clone().max(owned.time);
        }
    }

    /// `live` after `manager` applied `config`.
    ///
    /// # Errors
    /// Conflicts with other managers, unless forced.
    pub fn apply(
        &mut self,
        manager: &Manager,
        (live, config): (&Value, &Value),
        shape: Shape<'_>,
        force: bool,
        now: &str,
    ) -> Result<Value, Error> {
        let key = Manager { applies: true, api_version: String::new(), ..manager.clone() };
        let before = self.0.get(&key).cloned();
        let mut set = walk::fields(config, shape);
        strip(&mut set);
        let merged = walk::merge(Some(live), config, shape);
        let time = before.as_ref().map_or(now, |b| &b.time).to_string();
        self.0.insert(key.clone(), Owned { set, time, api_version: manager.api_version.clone() });
        let new = match before.as_ref().filter(|b| !b.set.is_empty()) {
            Some(last) => self.prune(&merged, &last.set, shape),
            None => merged,
        };
        let difference = walk::compare(live, &new, shape);
        let changed = difference.modified.union(&difference.added);
        let mut conflicts: Vec<(String, Vec<Step>)> = Vec::new();
        for (other, owned) in self.0.iter().filter(|(m, _)| **m != key) {
            let who = described(other, &owned.api_version);
            let paths = owned.set.intersection(&changed).paths();
            conflicts.extend(paths.into_iter().map(|p| (who.clone(), p)));
        }
        if !force && !conflicts.is_empty() {
            if manager.name == "kubectl" {
                // Who moves from client-side apply owns what was applied last.
                let allowed = last_applied(live, shape);
                conflicts.retain(|(_, path)| {
                    let mut one = Set::default();
                    one.insert(path);
                    !one.difference(&allowed).is_empty()
                });
            }
            if !conflicts.is_empty() {
                return Err(refused(&conflicts));
            }
        }
        self.give_up(&difference, &key);
        if let Some(owned) = self.0.get_mut(&key)
            && before.as_ref().is_none_or(|b| b.set != owned.set || !difference.is_same())
        {
            owned.time = now.into();
        }
        Ok(new)
    }

    /// Removes what was applied before, is not any more, and nobody else owns.
    fn prune(&self, merged: &Value, last: &Set, shape: Shape<'_>) -> Value {
        let set = |value: &Value| walk::named(&walk::fields(value, shape), shape);
        let last = walk::named(last, shape);
        let all = set(merged);
        let managed = self.0.values().fold(Set::default(), |u, o| u.union(&o.set));
        let kept = set(&walk::remove(merged, &last, shape)).union(&walk::named(&managed, shape));
        let pruned = walk::remove(merged, &all.difference(&kept), shape);
        let gone = all.difference(&set(&pruned)).intersection(&last);
        walk::remove(merged, &gone, shape)
    }
}

/// What the annotation of client-side apply says and is still so.
fn last_applied(live: &Value, shape: Shape<'_>) -> Set {
    let text = live["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap_or("");
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Set::default() };
    let difference = walk::compare(&value, live, shape);
    walk::fields(&value, shape)
        .difference(&difference.modified)
        .difference(&difference.added)
        .difference(&difference.removed)
}

/// Brings the annotation of client-side apply up to date, if there is one: kubectl may go back.
pub fn renew_last_applied(object: &mut Value, config: &Value) {
    if object["metadata"]["annotations"][LAST_APPLIED].is_string() {
        let mut config = config.clone();
        let meta = meta_mut(&mut config);
        meta.remove("managedFields");
        let annotations = meta.entry("annotations").or_insert_with(|| json!({}));
        object::map_mut(annotations).remove(LAST_APPLIED);
        object["metadata"]["annotations"][LAST_APPLIED] = format!("{config}\n").into();
    }
}

fn described(manager: &Manager, api_version: &str) -> String {
    let mut out = format!("{:?}", manager.name);
    if !manager.subresource.is_empty() {
        out += &format!(" with subresource {:?}", manager.subresource);
    }
    if !manager.applies {
        out += &format!(" using {api_version}");
    }
    out
}

/// 409 as `managedfields/internal/conflict.go` words it.
fn refused(conflicts: &[(String, Vec<Step>)]) -> Error {
    let message = if let [(who, path)] = conflicts {
        format!("Apply failed with 1 conflict: conflict with {who}: {}", path_text(path))
    } else {
        let mut by: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (who, path) in conflicts {
            by.entry(who).or_default().push(path_text(path));
        }
        let lines: Vec<String> = by
            .iter()
            .flat_map(|(who, paths)| {
                let head = format!("conflicts with {who}:");
                std::iter::once(head).chain(paths.iter().map(|p| format!("- {p}")))
            })
            .collect();
        format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
    };
    let mut e = Error::new(409, "Conflict", message);
    e.details = Some(Box::new(Details {
        causes: conflicts
            .iter()
            .map(|(who, path)| Cause {
                reason: "FieldManagerConflict".into(),
                message: format!("conflict with {who}"),
                field: path_text(path),
            })
            .collect(),
        ..Details::default()
    }));
    e
}
