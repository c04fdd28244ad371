//! Create and update, with Kubernetes' rules for metadata
//! (`k8s.io/apiserver/pkg/registry/rest/{create,update,delete}.go`).

use std::collections::BTreeMap;

use podlab_trace::Verb;
use serde_json::Value;

use super::error::{Error, FieldError};
use super::managed::{Manager, Managers};
use super::object::{self, Object, meta_mut};
use super::resource::{Context, Row};
use super::{Part, Store, Streams, WriteOptions, names};
use crate::schema::fields::walk;

/// What only the server writes.
const SERVER_FIELDS: [&str; 6] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
];

impl Store {
    /// Creates an object: fills in defaults, admits, validates, stores.
    ///
    /// # Errors
    /// `AlreadyExists`, `Invalid`, `Forbidden`, `NotFound` (of the namespace), ... as Kubernetes.
    pub fn create(&self, resource: &str, object: Value) -> Result<Object, Error> {
        self.create_with(resource, object, &WriteOptions::default())
    }

    /// [`create`](Store::create) with options.
    ///
    /// # Errors
    /// As there.
    pub fn create_with(
        &self,
        resource: &str,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Object, Error> {
        self.create_owned(resource, object, options, None)
    }

    /// Creates; `applied` are the managers after an apply.
    fn create_owned(
        &self,
        resource: &str,
        mut object: Value,
        options: &WriteOptions,
        applied: Option<Managers>,
    ) -> Result<Object, Error> {
        let row = self.require_row(resource)?;
        let mut streams = self.lock().streams.clone();
        let given = self.prepare(&row, &mut object);
        self.namespace_accepts(&row, &object)?;
        row.fill(&mut object);
        let now = object::time(self.sim.unix_nanos());
        self.fill_metadata(&row, &mut object, &mut streams, &now);
        if !options.dry_run {
            // A name that was tried is not tried again, even if the object is refused.
            self.lock().streams.names = streams.names.clone();
        }
        let managers = applied.unwrap_or_else(|| {
            let mut managers = Managers::of_request(&given, &Value::Null);
            let manager = self.manager(&row, Part::Main, options);
            managers.updated(&manager, &nothing(), &object, row.shape(), &now);
            managers
        });
        crate::admission::mutate(self, &row, &mut object)?;
        let mut context = Context { store: self, rng: &mut streams.allocation };
        (row.hooks.prepare_create)(&mut context, &mut object)?;
        self.validate(&row, &object, None)?;
        managers.put(&mut object);
        let (namespace, name) = (object::namespace(&object), object::name(&object));
        if self.get(resource, namespace, name).is_some() {
            return Err(Error::already_exists(&row, name));
        }
        crate::admission::check(self, &row, &object, options.dry_run)?;
        if options.dry_run {
            return Ok(Object::new(object));
        }
        self.lock().streams = streams;
        self.commit(&row, Verb::Added, object)
    }

    /// Who writes.
    fn manager(&self, row: &Row, part: Part, options: &WriteOptions) -> Manager {
        let name = if options.manager.is_empty() { self.manager } else { &options.manager };
        let subresource = match part {
            Part::Status if options.subresource.is_empty() => "status",
            _ => options.subresource,
        };
        Manager {
            applies: false,
            name: name.into(),
            api_version: row.api_version(),
            subresource: subresource.into(),
        }
    }

    /// Applies `config`: what it says becomes so, and belongs to the manager of the options;
    /// what the manager applied before and not any more goes, unless somebody else owns it
    /// (server-side apply). Says whether it created the object.
    ///
    /// # Errors
    /// `Conflict` if others own what would change, unless `force`; as [`update`](Store::update).
    pub fn apply(
        &self,
        resource: &str,
        mut config: Value,
        part: Part,
        options: &WriteOptions,
        force: bool,
    ) -> Result<(Object, bool), Error> {
        let row = self.require_row(resource)?;
        let now = object::time(self.sim.unix_nanos());
        let (namespace, name) =
            (object::namespace(&config).to_string(), object::name(&config).to_string());
        if !config["metadata"]["managedFields"].is_null() {
            return Err(Error::bad_request("metadata.managedFields must be nil"));
        }
        let shape = row.shape();
        walk::check(&config, shape).map_err(|why| {
            let place = if namespace.is_empty() {
                format!("/{name}")
            } else {
                format!("{namespace}/{name}")
            };
            let message = format!(
                "failed to create typed patch object ({place}; {}, Kind={}): {why}",
                row.api_version(),
                row.kind
            );
            Error::new(500, "", message)
        })?;
        match part {
            Part::Main if row.has_status() => {
                object::map_mut(&mut config).remove("status");
            }
            Part::Status => {
                object::map_mut(&mut config).remove("spec");
            }
            _ => {}
        }
        let manager = self.manager(&row, part, options);
        let old = self.get(resource, &namespace, &name);
        let (live, given_version) = match &old {
            Some(old) => (Value::clone(old), object::meta(&config, "resourceVersion").to_string()),
            None if part == Part::Main => {
                if !object::uid(&config).is_empty() {
                    let uid = object::uid(&config);
                    return Err(Error::conflict(
                        &row,
                        &name,
                        &format!(
                            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                        ),
                    ));
                }
                let mut live = nothing();
                for field in ["name", "namespace"] {
                    if let Some(value) = config["metadata"].get(field) {
                        meta_mut(&mut live).insert(field.into(), value.clone());
                    }
                }
                (live, String::new())
            }
            None => return Err(Error::not_found(&row, &name)),
        };
        let mut managers = Managers::read(&live["metadata"]["managedFields"]).unwrap_or_default();
        let mut bare = live;
        meta_mut(&mut bare).remove("managedFields");
        if old.is_some() && managers.is_empty() {
            let first = Manager {
                name: "before-first-apply".into(),
                subresource: String::new(),
                ..manager.clone()
            };
            managers.updated(&first, &nothing(), &bare, shape, &now);
        }
        let mut new = managers.apply(&manager, (&bare, &config), shape, force, &now)?;
        if manager.name == "kubectl" {
            super::managed::renew_last_applied(&mut new, &config);
        }
        row.settle(&mut new)?;
        let Some(old) = old else {
            return Ok((self.create_owned(resource, new, options, Some(managers))?, true));
        };
        let version = if given_version.is_empty() {
            object::meta(&old, "resourceVersion").to_string()
        } else {
            given_version
        };
        meta_mut(&mut new).insert("resourceVersion".into(), version.into());
        self.update_owned(resource, new, part, options, Some(managers)).map(|o| (o, false))
    }

    /// Type, and a namespace only where there is one. Returns who owns what, as the object says.
    fn prepare(&self, row: &Row, object: &mut Value) -> Value {
        let map = object::map_mut(object);
        map.insert("apiVersion".into(), row.api_version().into());
        map.insert("kind".into(), row.kind.as_ref().into());
        let meta = meta_mut(object);
        if !row.namespaced {
            meta.remove("namespace");
        }
        meta.remove("managedFields").unwrap_or_default()
    }

    fn fill_metadata(&self, row: &Row, object: &mut Value, streams: &mut Streams, now: &str) {
        if row.has_status() && row.plural != "nodes" {
            // Only a node registers with its status.
            object::map_mut(object).remove("status");
        }
        let base = object::meta(object, "generateName").to_string();
        let generate = object::name(object).is_empty() && !base.is_empty();
        let namespace = object::namespace(object).to_string();
        let resource = row.qualified();
        let meta = meta_mut(object);
        for field in SERVER_FIELDS.iter().chain(&["resourceVersion"]) {
            meta.remove(*field);
        }
        if generate {
            // Kubernetes tries 8 times and gives up; 27^5 names make the difference moot.
            let mut name = names::generate(&mut streams.names, &base);
            while self.get(&resource, &namespace, &name).is_some() {
                name = names::generate(&mut streams.names, &base);
            }
            meta.insert("name".into(), name.into());
        }
        meta.insert("uid".into(), names::uid(&mut streams.uids).into());
        meta.insert("creationTimestamp".into(), now.into());
        if row.generation {
            meta.insert("generation".into(), 1.into());
        }
    }

    /// The namespace must exist and must not be going (admission plugin NamespaceLifecycle).
    fn namespace_accepts(&self, row: &Row, object: &Value) -> Result<(), Error> {
        if !row.namespaced {
            return Ok(());
        }
        let namespace = object::namespace(object);
        if namespace.is_empty() {
            return Err(Error::bad_request("an empty namespace may not be set during creation"));
        }
        let ns = self.require("namespaces", "", namespace)?;
        if ns["status"]["phase"] == "Terminating" || object::deleting(&ns) {
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            let mut e = Error::forbidden(row, object::name(object), &why);
            if let Some(details) = &mut e.details {
                details.causes.push(super::error::Cause {
                    reason: "NamespaceTerminating".into(),
                    message: format!("namespace {namespace} is being terminated"),
                    field: "metadata.namespace".into(),
                });
            }
            return Err(e);
        }
        Ok(())
    }

    fn validate(&self, row: &Row, object: &Value, old: Option<&Value>) -> Result<(), Error> {
        let mut errors: Vec<FieldError> = Vec::new();
        super::kinds::metadata::validate(row, object, old, &mut errors);
        row.check_schema(object, old, &mut errors);
        match old {
            None => (row.hooks.validate)(object, &mut errors),
            Some(old) => (row.hooks.validate_update)(object, old, &mut errors),
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid(&row.kind, &row.group, object::name(object), &errors))
        }
    }

    /// Replaces an object (not its status, where that is a subresource). An empty
    /// resourceVersion replaces whatever is there; otherwise it must be the current one.
    ///
    /// # Errors
    /// `NotFound`, `Conflict`, `Invalid`.
    pub fn update(&self, resource: &str, object: Value) -> Result<Object, Error> {
        self.update_with(resource, object, Part::Main, &WriteOptions::default())
    }

    /// Replaces an object's status.
    ///
    /// # Errors
    /// As [`update`](Store::update).
    pub fn update_status(&self, resource: &str, object: Value) -> Result<Object, Error> {
        self.update_with(resource, object, Part::Status, &WriteOptions::default())
    }

    /// Replaces a part of an object.
    ///
    /// # Errors
    /// As [`update`](Store::update).
    pub fn update_with(
        &self,
        resource: &str,
        new: Value,
        part: Part,
        options: &WriteOptions,
    ) -> Result<Object, Error> {
        self.update_owned(resource, new, part, options, None)
    }

    /// Replaces; `applied` are the managers after an apply.
    fn update_owned(
        &self,
        resource: &str,
        mut new: Value,
        part: Part,
        options: &WriteOptions,
        applied: Option<Managers>,
    ) -> Result<Object, Error> {
        let row = self.require_row(resource)?;
        let given = self.prepare(&row, &mut new);
        let (namespace, name) =
            (object::namespace(&new).to_string(), object::name(&new).to_string());
        let Some(old) = self.get(resource, &namespace, &name) else {
            if row.create_on_update
                && part == Part::Main
                && object::meta(&new, "resourceVersion").is_empty()
            {
                return self.create_with(resource, new, options);
            }
            return Err(Error::not_found(&row, &name));
        };
        let (new_uid, old_uid) = (object::uid(&new), object::uid(&old));
        if !new_uid.is_empty() && new_uid != old_uid {
            return Err(Error::conflict(
                &row,
                &name,
                &format!(
                    "StorageError: invalid object, Code: 4, Key: /registry/{}/{}{name}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {new_uid}, UID in object meta: {old_uid}",
                    row.plural,
                    if namespace.is_empty() { String::new() } else { format!("{namespace}/") },
                ),
            ));
        }
        let version = object::meta(&new, "resourceVersion");
        if !version.is_empty() && version != "0" && version != object::meta(&old, "resourceVersion")
        {
            return Err(Error::modified(&row, &name));
        }

        let meta = meta_mut(&mut new);
        for field in SERVER_FIELDS.iter().chain(&["resourceVersion"]) {
            match old["metadata"].get(*field) {
                Some(value) => meta.insert((*field).into(), value.clone()),
                None => meta.remove(*field),
            };
        }
        match part {
            Part::Main if row.has_status() => keep(&mut new, &old, "status"),
            Part::Main | Part::Whole => {}
            Part::Status => {
                let status = new["status"].take();
                let (labels, annotations) =
                    (new["metadata"]["labels"].take(), new["metadata"]["annotations"].take());
                new = Value::clone(&old);
                object::map_mut(&mut new).insert("status".into(), status);
                // Pods and nodes take labels and annotations with their status, Deployments
                // annotations only (their revision).
                if matches!(&*row.plural, "pods" | "nodes" | "deployments") {
                    for (field, value) in [("labels", labels), ("annotations", annotations)] {
                        if field == "labels" && row.plural == "deployments" {
                            continue;
                        }
                        if value.is_null() {
                            meta_mut(&mut new).remove(field);
                        } else {
                            meta_mut(&mut new).insert(field.into(), value);
                        }
                    }
                }
                if new["status"].is_null() {
                    object::map_mut(&mut new).remove("status");
                }
                meta_mut(&mut new).remove("managedFields");
            }
        }
        let mut streams = self.lock().streams.clone();
        if part == Part::Main {
            row.fill(&mut new);
        }
        let listed = &old["metadata"]["managedFields"];
        let managers = applied.unwrap_or_else(|| {
            let given = if part == Part::Main { &given } else { &Value::Null };
            let mut managers = Managers::of_request(given, listed);
            let now = object::time(self.sim.unix_nanos());
            // Nobody owns what a binding sets: its handler knows no managers.
            if options.subresource != "binding" {
                let manager = self.manager(&row, part, options);
                managers.updated(&manager, &old, &new, row.shape(), &now);
            }
            managers
        });
        if part == Part::Main {
            let mut context = Context { store: self, rng: &mut streams.allocation };
            (row.hooks.prepare_update)(&mut context, &mut new, &old)?;
            self.validate(&row, &new, Some(&old))?;
        }
        if row.generation && part != Part::Status && !means_the_same(&new, &old) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            meta_mut(&mut new).insert("generation".into(), generation.into());
        }
        managers.put(&mut new);
        if new == *old {
            return Ok(old);
        }
        if options.dry_run {
            return Ok(Object::new(new));
        }
        self.lock().streams = streams;
        if self.is_finished(&new) {
            return self.commit(&row, Verb::Deleted, new);
        }
        self.commit(&row, Verb::Modified, new)
    }
}

/// What an object is before it is.
fn nothing() -> Value {
    serde_json::json!({"metadata": {}})
}

fn keep(new: &mut Value, old: &Value, field: &str) {
    let map = object::map_mut(new);
    match old.get(field) {
        Some(value) => map.insert(field.into(), value.clone()),
        None => map.remove(field),
    };
}

/// Whether two states of an object differ in nothing that its generation counts: anything but
/// metadata and status.
fn means_the_same(new: &Value, old: &Value) -> bool {
    let counted = |o: &Value| -> BTreeMap<String, Value> {
        let all = o.as_object().into_iter().flatten();
        all.filter(|(k, _)| *k != "metadata" && *k != "status")
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    };
    counted(new) == counted(old)
}
