//! Definitions in force: shelves come and go with them.

use podlab_trace::Verb;
use serde_json::Value;

use super::{CLEANUP, DEFINITIONS};
use crate::store::object::{self, Object, meta_mut};
use crate::store::resource::Resource;
use crate::store::{DeleteOptions, Part, Store, WriteOptions};

impl Store {
    /// After a change of a definition, or of an object of a custom kind.
    pub(in crate::store) fn enforce(&self, row: &Resource, verb: Verb, object: &Object) {
        if let Some(custom) = &row.custom {
            // The last object of a definition that waits for it.
            if verb == Verb::Deleted
                && let Some(definition) = self.get(DEFINITIONS, "", &custom.definition)
                && object::deleting(&definition)
            {
                self.clean_up(&definition);
            }
            return;
        }
        // A definition is named as its resource is in the store.
        let key = object::name(object);
        if verb == Verb::Deleted {
            self.withdraw(key);
            return;
        }
        if let Some(row) = super::row(object) {
            // Built-in kinds are nobody's to define.
            if self.row(key).is_none_or(|r| r.custom.is_some()) {
                self.offer(row);
            }
        }
        if object::deleting(object) {
            self.clean_up(object);
        }
    }

    /// Deletes the objects of a definition that goes, and lets it go when there are none left.
    fn clean_up(&self, definition: &Object) {
        let key = object::name(definition);
        for object in self.list(key, None) {
            let (namespace, name) = (object::namespace(&object), object::name(&object));
            if !object::deleting(&object) {
                // What its finalizers hold back comes here again when it goes.
                let _ = self.delete(key, namespace, name, &DeleteOptions::default());
            }
        }
        let Some(now) = self.get(DEFINITIONS, "", key) else { return };
        if !self.list(key, None).is_empty() {
            return;
        }
        let mut new = Value::clone(&now);
        let meta = meta_mut(&mut new);
        if let Some(Value::Array(list)) = meta.get_mut("finalizers") {
            list.retain(|f| f != CLEANUP);
            if list.is_empty() {
                meta.remove("finalizers");
            }
        }
        // Nothing runs in between, so nobody can have been faster.
        let _ = self.update_with(DEFINITIONS, new, Part::Whole, &WriteOptions::default());
    }
}
