//! ControllerRevisions: the templates that StatefulSets and DaemonSets have had
//! (`pkg/controller/history/controller_history.go`).

use serde_json::{Value, json};

use super::super::Context;
use super::hash;
use super::owner;
use super::pods::int;
use crate::store::object::{map_mut, meta_mut};
use crate::store::{DeleteOptions, Error, Object, object};

const REVISIONS: &str = "controllerrevisions.apps";
/// On the revision: the hash in its name.
const HASH: &str = "controller.kubernetes.io/hash";
/// On pods: which revision they have. (DaemonSets put it on the revision, too.)
pub(super) const LABEL: &str = "controller-revision-hash";

/// The template of a revision.
pub(super) fn template(revision: &Value) -> Value {
    let mut template = revision["data"]["spec"]["template"].clone();
    map_mut(&mut template).remove("$patch");
    template
}

fn content(revision: &Value) -> String {
    hash::canonical(&revision["data"]["spec"]["template"], &[])
}

/// The hash in a revision's name.
pub(super) fn hash_of(revision: &Value) -> &str {
    let labels = &revision["metadata"]["labels"];
    labels[HASH].as_str().or(labels[LABEL].as_str()).unwrap_or("")
}

/// All revisions of `set`, oldest first.
fn list(context: &Context, set: &Value) -> Vec<Object> {
    let mut all = context.store.list(REVISIONS, Some(object::namespace(set)));
    all.retain(|r| owner::controls(set, r));
    all.sort_by_key(|r| (int(&r["revision"]), object::name(r).to_owned()));
    all
}

/// The revisions of a set after its template has been noted.
pub(super) struct History {
    /// All of them, oldest first.
    pub all: Vec<Object>,
    /// The one with the set's template.
    pub update: Object,
    /// How often the name of a new one was taken.
    pub collisions: i64,
}

/// Notes the set's template: a new revision, or an old one with a new number. `label` is under
/// which key the revision has its hash.
pub(super) fn note(context: &Context, set: &Value, daemon: bool) -> Result<History, Error> {
    let mut all = list(context, set);
    let next = all.last().map_or(0, |r| int(&r["revision"])) + 1;
    let mut template = set["spec"]["template"].clone();
    map_mut(&mut template).insert("$patch".into(), "replace".into());
    let wanted = hash::canonical(&template, &[]);
    let mut collisions = int(&set["status"]["collisionCount"]);
    let equal = all.iter().rposition(|r| content(r) == wanted);
    if let Some(at) = equal {
        if at + 1 == all.len() {
            let update = all[at].clone();
            return Ok(History { all, update, collisions });
        }
        // Back to an old one.
        let mut new = Value::clone(&all.remove(at));
        new["revision"] = next.into();
        let update = context.store.update(REVISIONS, new)?;
        all.push(update.clone());
        return Ok(History { all, update, collisions });
    }
    loop {
        let hash = hash::hash(&wanted, Some(collisions));
        let base: String = object::name(set).chars().take(223).collect();
        let name = format!("{base}-{hash}");
        let mut labels = set["spec"]["template"]["metadata"]["labels"].clone();
        let key = if daemon { LABEL } else { HASH };
        map_mut(&mut labels).insert(key.into(), hash.into());
        let mut new = json!({
            "metadata": {
                "name": name, "namespace": object::namespace(set), "labels": labels,
                "ownerReferences": [object::controller_reference(set)],
            },
            "data": {"spec": {"template": template}},
            "revision": next,
        });
        let annotations = &set["metadata"]["annotations"];
        if annotations.is_object() {
            meta_mut(&mut new).insert("annotations".into(), annotations.clone());
        }
        match context.store.create(REVISIONS, new) {
            Ok(update) => {
                all.push(update.clone());
                return Ok(History { all, update, collisions });
            }
            Err(e) if e.reason == "AlreadyExists" => {
                let there = context.store.require(REVISIONS, object::namespace(set), &name)?;
                if object::controller(&there).is_none() && content(&there) == wanted {
                    // Left over from a set that was deleted without its dependents.
                    let mut adopted = Value::clone(&there);
                    meta_mut(&mut adopted).insert(
                        "ownerReferences".into(),
                        json!([object::controller_reference(set)]),
                    );
                    adopted["revision"] = next.into();
                    let update = context.store.update(REVISIONS, adopted)?;
                    all.push(update.clone());
                    return Ok(History { all, update, collisions });
                }
                collisions += 1;
            }
            Err(e) => return Err(e),
        }
    }
}

/// Deletes the oldest revisions that nobody uses and that are more than the set wants to keep.
pub(super) fn truncate(
    context: &Context,
    set: &Value,
    all: &[Object],
    used: impl Fn(&Value) -> bool,
) -> Result<(), Error> {
    let limit = usize::try_from(int(&set["spec"]["revisionHistoryLimit"])).unwrap_or(0);
    let idle: Vec<&Object> = all.iter().filter(|r| !used(r)).collect();
    for revision in &idle[..idle.len().saturating_sub(limit)] {
        let (namespace, name) = (object::namespace(revision), object::name(revision));
        let options = DeleteOptions::default();
        match context.store.delete(REVISIONS, namespace, name, &options) {
            Err(e) if e.code != 404 => return Err(e),
            _ => {}
        }
    }
    Ok(())
}
