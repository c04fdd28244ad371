//! Deleting: grace, preconditions, finalizers, and what becomes of what an object owns.

use podlab_trace::Verb;
use serde_json::Value;

use super::object::{self, Object, meta_mut};
use super::resource::Row;
use super::{DeleteOptions, Deleted, Error, Propagation, Store};

impl Store {
    /// Whether nothing holds back an object whose deletion has begun any more.
    pub(super) fn is_finished(&self, object: &Value) -> bool {
        object::deleting(object)
            && !object::has_finalizers(object)
            && object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
            && !has_namespace_finalizers(object)
    }

    /// Deletes an object: at once, or when its grace is over and its finalizers are gone.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` (preconditions), `Forbidden` (namespaces that must stay).
    pub fn delete(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, Error> {
        let row = self.require_row(resource)?;
        let old = self.require(resource, namespace, name)?;
        self.check_preconditions(&row, &old, options)?;
        if resource == "namespaces"
            && matches!(name, "default" | "kube-system" | "kube-public" | "kube-node-lease")
        {
            return Err(Error::forbidden(&row, name, "this namespace may not be deleted"));
        }

        let mut new = Value::clone(&old);
        let asked = (row.hooks.grace)(&old, options);
        let now = self.sim.unix_nanos();
        if let Some(before) = old["metadata"]["deletionGracePeriodSeconds"].as_i64()
            && object::deleting(&old)
        {
            // Being deleted already: only a shorter time can be asked for.
            let wanted = options.grace_period_seconds.unwrap_or(before);
            if wanted >= before && before > 0 {
                return Ok(Deleted::Pending(old));
            }
            let until = object::parse_time(object::meta(&old, "deletionTimestamp")).unwrap_or(now);
            let began = until.saturating_sub(seconds(before));
            let meta = meta_mut(&mut new);
            meta.insert(
                "deletionTimestamp".into(),
                object::time(began.saturating_add(seconds(wanted))).into(),
            );
            meta.insert("deletionGracePeriodSeconds".into(), wanted.max(0).into());
        } else {
            let grace = asked.unwrap_or(0).max(0);
            let meta = meta_mut(&mut new);
            meta.insert(
                "deletionTimestamp".into(),
                object::time(now.saturating_add(seconds(grace))).into(),
            );
            meta.insert("deletionGracePeriodSeconds".into(), grace.into());
            if row.generation {
                let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
                meta.insert("generation".into(), generation.into());
            }
        }
        if resource == "namespaces" {
            meta_mut(&mut new).remove("deletionGracePeriodSeconds");
            object::map_mut(object::map_mut(&mut new).entry("status").or_insert(Value::Null))
                .insert("phase".into(), "Terminating".into());
        }
        if !resource.starts_with("events") {
            set_propagation(&mut new, options.propagation);
        }
        let gone = self.is_finished(&new);
        if options.dry_run {
            let object = Object::new(new);
            return Ok(if gone { Deleted::Gone(object) } else { Deleted::Pending(object) });
        }
        if gone {
            // The last state that watchers see is the object as it was.
            return Ok(Deleted::Gone(self.commit(&row, Verb::Deleted, Value::clone(&old))?));
        }
        if new == *old {
            return Ok(Deleted::Pending(old));
        }
        Ok(Deleted::Pending(self.commit(&row, Verb::Modified, new)?))
    }

    fn check_preconditions(
        &self,
        row: &Row,
        old: &Value,
        options: &DeleteOptions,
    ) -> Result<(), Error> {
        let failed = |what: &str, wanted: &str, is: &str| {
            let name = object::name(old);
            let qualified = super::resource::qualified(&row.kind, &row.group);
            let mut e = Error::new(
                409,
                "Conflict",
                format!(
                    "Operation cannot be fulfilled on {qualified} {name:?}: the {what} in the precondition ({wanted}) does not match the {what} in record ({is}). The object might have been {}",
                    if what == "UID" { "deleted and then recreated" } else { "modified" },
                ),
            );
            e.details = Some(Box::new(super::error::Details {
                name: name.into(),
                group: row.group.to_string(),
                kind: row.kind.to_string(),
                ..Default::default()
            }));
            e
        };
        match (&options.uid, &options.resource_version) {
            (Some(uid), _) if uid != object::uid(old) => Err(failed("UID", uid, object::uid(old))),
            (_, Some(version)) if version != object::meta(old, "resourceVersion") => {
                Err(failed("ResourceVersion", version, object::meta(old, "resourceVersion")))
            }
            _ => Ok(()),
        }
    }
}

/// The finalizers that make the garbage collector treat the dependents as asked
/// (`deletionFinalizersForGarbageCollection` in `registry/generic/registry/store.go`).
fn set_propagation(object: &mut Value, propagation: Propagation) {
    let (add, drop) = match propagation {
        Propagation::Background => return,
        Propagation::Foreground => ("foregroundDeletion", "orphan"),
        Propagation::Orphan => ("orphan", "foregroundDeletion"),
    };
    let list = meta_mut(object).entry("finalizers").or_insert_with(|| Value::Array(Vec::new()));
    if let Some(list) = list.as_array_mut() {
        list.retain(|f| f != drop);
        if !list.iter().any(|f| f == add) {
            list.push(add.into());
        }
    }
}

/// Namespaces carry a finalizer of their own in `spec`.
fn has_namespace_finalizers(object: &Value) -> bool {
    object["kind"] == "Namespace"
        && object["spec"]["finalizers"].as_array().is_some_and(|f| !f.is_empty())
}

fn seconds(s: i64) -> u64 {
    u64::try_from(s).unwrap_or(0).saturating_mul(1_000_000_000)
}
