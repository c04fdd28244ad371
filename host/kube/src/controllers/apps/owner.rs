//! Who controls an object, and how it comes to do so
//! (`pkg/controller/controller_ref_manager.go`).

use podlab_trace::Verb;
use serde_json::{Value, json};

use super::super::{Context, Key};
use crate::store::object::meta_mut;
use crate::store::selector::LabelSelector;
use crate::store::watch::Change;
use crate::store::{Error, Object, Part, WriteOptions, object};

/// Whether `owner` controls the object.
pub(super) fn controls(owner: &Value, object: &Value) -> bool {
    object::controller(object).is_some_and(|o| o["uid"] == *object::uid(owner))
}

/// The objects among `candidates` that `owner` controls: those that match and have no
/// controller are adopted, its own that do not match any more are released.
pub(super) fn claim(
    context: &Context,
    owner: &Value,
    resource: &str,
    selector: &LabelSelector,
    candidates: Vec<Object>,
) -> Result<Vec<Object>, Error> {
    let mut claimed = Vec::new();
    for candidate in candidates {
        let matches = selector.matches(&candidate);
        match object::controller(&candidate) {
            Some(o) if o["uid"] != *object::uid(owner) => {}
            Some(_) if matches => claimed.push(candidate),
            Some(_) if object::deleting(owner) => {}
            Some(_) => release(context, owner, resource, &candidate)?,
            None if !matches || object::deleting(owner) || object::deleting(&candidate) => {}
            None => {
                let mut new = Value::clone(&candidate);
                let list = meta_mut(&mut new).entry("ownerReferences").or_insert(json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(object::controller_reference(owner));
                }
                let options = WriteOptions::default();
                claimed.push(context.store.update_with(resource, new, Part::Whole, &options)?);
            }
        }
    }
    Ok(claimed)
}

fn release(context: &Context, owner: &Value, resource: &str, object: &Object) -> Result<(), Error> {
    let mut new = Value::clone(object);
    remove_owners(&mut new, |uid| uid == object::uid(owner));
    context.store.update_with(resource, new, Part::Whole, &WriteOptions::default()).map(|_| ())
}

/// Removes the references to owners whose uid fulfils `gone`.
pub(in crate::controllers) fn remove_owners(object: &mut Value, gone: impl Fn(&str) -> bool) {
    let meta = meta_mut(object);
    if let Some(Value::Array(owners)) = meta.get_mut("ownerReferences") {
        owners.retain(|o| !gone(o["uid"].as_str().unwrap_or("")));
        if owners.is_empty() {
            meta.remove("ownerReferences");
        }
    }
}

/// Which objects of `resource` (of kind `kind`) a change of a possible dependent concerns: its
/// controller before and after, and those who may adopt it.
pub(super) fn concerned(
    context: &Context,
    kind: &str,
    resource: &str,
    selector: fn(&Value) -> LabelSelector,
    change: &Change,
) -> Vec<Key> {
    let now = &change.object;
    let before = change.previous.as_deref();
    let mut keys = Vec::new();
    for o in [Some(&**now), before].into_iter().flatten() {
        if let Some(owner) = object::controller(o).filter(|c| c["kind"] == kind) {
            let name = owner["name"].as_str().unwrap_or("").to_owned();
            keys.push((object::namespace(o).to_owned(), name));
        }
    }
    keys.dedup();
    let same = before.is_some_and(|b| {
        b["metadata"]["labels"] == now["metadata"]["labels"]
            && b["metadata"]["ownerReferences"] == now["metadata"]["ownerReferences"]
    });
    if object::controller(now).is_none() && change.verb != Verb::Deleted && !same {
        let owners = context.store.list(resource, Some(object::namespace(now)));
        keys.extend(owners.iter().filter(|o| selector(o).matches(now)).map(|o| object::key(o)));
    }
    keys
}
