//! The garbage collector: what is owned goes with its owners
//! (`pkg/controller/garbagecollector/{garbagecollector,graph_builder}.go` of 1.32).
//!
//! - background: when the last owner is gone, its dependents are deleted;
//! - foreground: an owner that is deleted with the finalizer `foregroundDeletion` waits until
//!   those dependents are gone that block it;
//! - orphan: an owner with the finalizer `orphan` goes when no dependent names it any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use podlab_trace::Verb;
use serde_json::Value;

use super::apps::owner::remove_owners;
use super::{Context, Controller, Key, Next, start};
use crate::control_plane::Shared;
use crate::store::object::meta_mut;
use crate::store::watch::Change;
use crate::store::{
    DeleteOptions, Error, Object, Part, Propagation, Store, WriteOptions, object, resource,
};

/// The owner waits for its dependents.
const FOREGROUND: &str = "foregroundDeletion";
/// The dependents stay.
const ORPHAN: &str = "orphan";

/// Starts it, for all kinds there are now.
pub(super) fn start_all(shared: &Arc<Shared>) {
    let rows = shared.store.rows();
    // Nothing owns or is owned by an event, and there are many.
    let kinds = rows.iter().map(|r| r.qualified()).filter(|k| !k.starts_with("events"));
    let kinds = kinds.map(constant).collect();
    start(shared, Garbage { kinds, nodes: BTreeMap::new(), dependents: BTreeMap::new() });
}

/// The name of a kind for as long as the process lives; there are only so many.
fn constant(kind: String) -> &'static str {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = known.get(kind.as_str()) {
        return name;
    }
    let name: &'static str = Box::leak(kind.into_boxed_str());
    known.insert(name);
    name
}

/// An object in the graph.
struct Node {
    resource: &'static str,
    namespace: String,
    name: String,
    /// The uids of its owners, and whether it blocks their deletion.
    owners: Vec<(String, bool)>,
    /// Whether it is deleted and waits for its dependents.
    waits: bool,
    deleting: bool,
}

struct Garbage {
    kinds: Vec<&'static str>,
    /// By uid.
    nodes: BTreeMap<String, Node>,
    /// By the owner's uid.
    dependents: BTreeMap<String, BTreeSet<String>>,
}

fn has_finalizer(object: &Value, name: &str) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|f| f.iter().any(|f| f == name))
}

fn waits(object: &Value) -> bool {
    object::deleting(object) && has_finalizer(object, FOREGROUND)
}

fn owners(object: &Value) -> &[Value] {
    object["metadata"]["ownerReferences"].as_array().map_or(&[], Vec::as_slice)
}

fn uid(reference: &Value) -> &str {
    reference["uid"].as_str().unwrap_or("")
}

/// The graph goes by uid.
fn key(uid: &str) -> Key {
    (String::new(), uid.to_owned())
}

impl Controller for Garbage {
    const NAME: &'static str = "garbage-collector-controller";

    fn kinds(&self) -> Vec<&'static str> {
        self.kinds.clone()
    }

    fn concerns(&mut self, _: &Context, kind: &str, change: &Change) -> Vec<Key> {
        let object = &change.object;
        let id = object::uid(object);
        let before = self.forget(id);
        if change.verb == Verb::Deleted {
            let mut due: Vec<Key> =
                self.dependents.get(id).into_iter().flatten().map(|d| key(d)).collect();
            // Owners that wait for this one.
            for (owner, _) in before.into_iter().flat_map(|b| b.owners) {
                if self.nodes.get(&owner).is_some_and(|o| o.waits) {
                    due.push(key(&owner));
                }
            }
            return due;
        }
        let Some(resource) = self.kinds.iter().find(|k| **k == kind) else { return Vec::new() };
        let owned =
            owners(object).iter().map(|o| (uid(o).to_owned(), o["blockOwnerDeletion"] == true));
        let node = Node {
            resource,
            namespace: object::namespace(object).into(),
            name: object::name(object).into(),
            owners: owned.collect(),
            waits: waits(object),
            deleting: object::deleting(object),
        };
        for (owner, _) in &node.owners {
            self.dependents.entry(owner.clone()).or_default().insert(id.to_owned());
        }
        let mut due = Vec::new();
        let (owned, news) = (!node.owners.is_empty(), before.as_ref());
        let changed = news.is_none_or(|b| b.owners != node.owners);
        if changed {
            // Those it no longer belongs to may wait for it.
            let old = news.into_iter().flat_map(|b| &b.owners).map(|(o, _)| o);
            due.extend(old.filter(|o| self.nodes.get(*o).is_some_and(|o| o.waits)).map(|o| key(o)));
        }
        let begins = node.waits && news.is_none_or(|b| !b.waits);
        let orphans = node.deleting && has_finalizer(object, ORPHAN);
        if (changed && owned) || begins || orphans {
            due.push(key(id));
        }
        if begins {
            due.extend(self.dependents.get(id).into_iter().flatten().map(|d| key(d)));
        }
        self.nodes.insert(id.to_owned(), node);
        due
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let store = &context.store;
        let Some(node) = self.nodes.get(&key.1) else { return Ok(Next::Change) };
        let found = store.get(node.resource, &node.namespace, &node.name);
        let Some(object) = found.filter(|o| object::uid(o) == key.1) else {
            return Ok(Next::Change);
        };
        if object::deleting(&object) {
            if has_finalizer(&object, ORPHAN) {
                self.orphan(store, &object, node)?;
            } else if waits(&object) {
                self.finish(store, &object, node)?;
            }
            return Ok(Next::Change);
        }
        self.collect(store, &object, node)?;
        Ok(Next::Change)
    }
}

impl Garbage {
    /// Takes a node out of the graph; who depends on it stays known.
    fn forget(&mut self, uid: &str) -> Option<Node> {
        let node = self.nodes.remove(uid)?;
        for (owner, _) in &node.owners {
            if let Some(of) = self.dependents.get_mut(owner) {
                of.remove(uid);
                if of.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
        Some(node)
    }

    fn dependents(&self, uid: &str) -> impl Iterator<Item = (&String, &Node)> {
        let of = self.dependents.get(uid).into_iter().flatten();
        of.filter_map(|d| Some((d, self.nodes.get(d)?)))
    }

    /// Frees the dependents of an owner, and then lets it go.
    fn orphan(&self, store: &Store, owner: &Object, node: &Node) -> Result<(), Error> {
        let id = object::uid(owner);
        for (uid, d) in self.dependents(id) {
            let Some(dependent) = store.get(d.resource, &d.namespace, &d.name) else { continue };
            if object::uid(&dependent) != uid {
                continue;
            }
            let mut new = Value::clone(&dependent);
            remove_owners(&mut new, |o| o == id);
            store.update_with(d.resource, new, Part::Whole, &WriteOptions::default())?;
        }
        remove_finalizer(store, node.resource, owner, ORPHAN)
    }

    /// Lets an owner go that no dependent blocks any more.
    fn finish(&self, store: &Store, owner: &Object, node: &Node) -> Result<(), Error> {
        let id = object::uid(owner);
        let blocked = self.dependents(id).any(|(uid, d)| {
            d.owners.iter().any(|(o, blocks)| *blocks && o == id)
                && store
                    .get(d.resource, &d.namespace, &d.name)
                    .is_some_and(|o| object::uid(&o) == uid)
        });
        if blocked { Ok(()) } else { remove_finalizer(store, node.resource, owner, FOREGROUND) }
    }

    /// Deletes an object that has owners, but none of them exists any more
    /// (`attemptToDeleteItem`).
    fn collect(&self, store: &Store, object: &Object, node: &Node) -> Result<(), Error> {
        let references = owners(object);
        if references.is_empty() {
            return Ok(());
        }
        let (mut solid, mut gone, mut waiting) = (0, Vec::new(), Vec::new());
        for reference in references {
            match self.owner(store, object, reference) {
                Owner::Unknown => solid += 1,
                Owner::Gone => gone.push(uid(reference)),
                Owner::Is(owner) if waits(&owner) => waiting.push(uid(reference)),
                Owner::Is(_) => solid += 1,
            }
        }
        if solid > 0 {
            if gone.is_empty() && waiting.is_empty() {
                return Ok(());
            }
            let mut new = Value::clone(object);
            remove_owners(&mut new, |o| gone.contains(&o) || waiting.contains(&o));
            let options = WriteOptions::default();
            return store.update_with(node.resource, new, Part::Whole, &options).map(|_| ());
        }
        let has_dependents = self.dependents(object::uid(object)).next().is_some();
        let propagation = if !waiting.is_empty() && has_dependents {
            self.unblock_circle(store, object, node)?;
            Propagation::Foreground
        } else if has_finalizer(object, ORPHAN) {
            Propagation::Orphan
        } else if has_finalizer(object, FOREGROUND) {
            Propagation::Foreground
        } else {
            Propagation::Background
        };
        let options = DeleteOptions {
            uid: Some(object::uid(object).into()),
            propagation,
            ..DeleteOptions::default()
        };
        match store.delete(node.resource, &node.namespace, &node.name, &options) {
            Err(e) if e.code != 404 => Err(e),
            _ => Ok(()),
        }
    }

    /// If a dependent waits for its own dependents already, there may be a circle: nobody blocks
    /// anybody in it then.
    fn unblock_circle(&self, store: &Store, object: &Object, node: &Node) -> Result<(), Error> {
        if !self.dependents(object::uid(object)).any(|(_, d)| d.waits) {
            return Ok(());
        }
        let mut new = Value::clone(object);
        if let Some(Value::Array(list)) = meta_mut(&mut new).get_mut("ownerReferences") {
            for reference in list.iter_mut().filter(|r| r["blockOwnerDeletion"] == true) {
                reference["blockOwnerDeletion"] = false.into();
            }
        }
        store.update_with(node.resource, new, Part::Whole, &WriteOptions::default()).map(|_| ())
    }

    /// The owner that a reference names.
    fn owner(&self, store: &Store, dependent: &Value, reference: &Value) -> Owner {
        let version = reference["apiVersion"].as_str().unwrap_or("");
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        let kind = reference["kind"].as_str().unwrap_or("");
        // One that is in the graph need not be looked for.
        let row = match self.nodes.get(uid(reference)) {
            Some(node) => store.row(node.resource),
            None => store.rows().into_iter().find(|r| r.group == group && r.kind == kind),
        };
        let Some(row) = row else { return Owner::Unknown };
        let namespace = if row.namespaced { object::namespace(dependent) } else { "" };
        let resource = resource::qualified(&row.plural, &row.group);
        let name = reference["name"].as_str().unwrap_or("");
        match store.get(&resource, namespace, name) {
            Some(owner) if object::uid(&owner) == uid(reference) => Owner::Is(owner),
            _ => Owner::Gone,
        }
    }
}

enum Owner {
    Is(Object),
    Gone,
    /// Of a kind that does not exist: nothing is known about it.
    Unknown,
}

fn remove_finalizer(
    store: &Store,
    resource: &str,
    object: &Object,
    finalizer: &str,
) -> Result<(), Error> {
    let mut new = Value::clone(object);
    let meta = meta_mut(&mut new);
    if let Some(Value::Array(list)) = meta.get_mut("finalizers") {
        list.retain(|f| f != finalizer);
        if list.is_empty() {
            meta.remove("finalizers");
        }
    }
    store.update_with(resource, new, Part::Whole, &WriteOptions::default()).map(|_| ())
}
