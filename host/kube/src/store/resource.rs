//! What kinds of objects there are: one row each.

use std::borrow::Cow;
use std::sync::Arc;

use podlab_sim::Rng;
use serde_json::Value;

use super::custom::{self, Custom};
use super::error::{Error, FieldError};
use super::{DeleteOptions, Store};
use crate::schema::fields::Shape;

/// A name in a row: nearly always a constant.
pub type Name = Cow<'static, str>;

/// One kind of object: the row from which paths, discovery, storage and checks follow.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: Name,
    /// The version ("v1").
    pub version: Name,
    /// "pods".
    pub plural: Name,
    /// "pod".
    pub singular: Name,
    /// "Pod".
    pub kind: Name,
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
    /// "po".
    pub short_names: Vec<Name>,
    /// "all".
    pub categories: Vec<Name>,
    /// What may be done, sorted.
    pub verbs: Vec<Name>,
    /// `/status`, `/log`, ...
    pub subresources: Vec<Subresource>,
    /// Whether `metadata.generation` counts the changes of `spec`.
    pub generation: bool,
    /// Whether PUT to a name that does not exist creates it.
    pub create_on_update: bool,
    /// The fields a field selector may name besides `metadata.name` and `metadata.namespace`.
    pub selectable: Vec<Name>,
    /// What is special about this kind.
    pub hooks: Hooks,
    /// For kinds that are made at run time.
    pub custom: Option<Arc<Custom>>,
}

/// A subresource of a [`Resource`].
#[derive(Clone, Debug)]
pub struct Subresource {
    /// "status".
    pub name: Name,
    /// The kind its bodies have.
    pub kind: Name,
    /// The group and version of that kind where they differ from the resource's.
    pub group_version: Option<(Name, Name)>,
    /// What may be done, sorted.
    pub verbs: Vec<Name>,
}

/// What a hook may use besides the object.
pub struct Context<'a> {
    /// The store as it is now.
    pub store: &'a Store,
    /// For what is allocated (addresses, ports).
    pub rng: &'a mut Rng,
}

/// Where a kind differs from plain storage. All hooks are pure functions of the object and the
/// store; the order of a create is `default`, `prepare_create`, `validate`.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// Fills in what Kubernetes fills in.
    pub default: fn(&mut Value),
    /// Before an object is created: admission and allocation.
    pub prepare_create: fn(&mut Context<'_>, &mut Value) -> Result<(), Error>,
    /// Before an object is changed (`new`, `old`).
    pub prepare_update: fn(&mut Context<'_>, &mut Value, &Value) -> Result<(), Error>,
    /// What is wrong with an object.
    pub validate: fn(&Value, &mut Vec<FieldError>),
    /// What is wrong with a change (`new`, `old`).
    pub validate_update: fn(&Value, &Value, &mut Vec<FieldError>),
    /// How many seconds a deletion takes; `None` for kinds that are deleted at once.
    pub grace: fn(&Value, &DeleteOptions) -> Option<i64>,
    /// What is wrong with the name, in words.
    pub name_error: fn(&str) -> Option<String>,
}

impl Hooks {
    /// Nothing special.
    pub const fn plain() -> Hooks {
        Hooks {
            default: |_| {},
            prepare_create: |_, _| Ok(()),
            prepare_update: |_, _, _| Ok(()),
            validate: |_, _| {},
            validate_update: |_, _, _| {},
            grace: |_, _| None,
            name_error: super::names::subdomain_error,
        }
    }
}

const ALL_VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

impl Resource {
    /// A namespaced resource with all verbs and nothing special.
    pub fn new(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        kind: &'static str,
    ) -> Resource {
        Resource {
            group: group.into(),
            version: version.into(),
            plural: plural.into(),
            singular: kind.to_lowercase().into(),
            kind: kind.into(),
            namespaced: true,
            short_names: Vec::new(),
            categories: Vec::new(),
            verbs: ALL_VERBS.map(Name::from).to_vec(),
            subresources: Vec::new(),
            generation: false,
            create_on_update: false,
            selectable: Vec::new(),
            hooks: Hooks::plain(),
            custom: None,
        }
    }

    /// Lives in no namespace.
    pub fn cluster(mut self) -> Resource {
        self.namespaced = false;
        self
    }

    /// Has these short names.
    pub fn short(mut self, names: &[&'static str]) -> Resource {
        self.short_names = names.iter().map(|n| Name::from(*n)).collect();
        self
    }

    /// Is in these categories.
    pub fn categories(mut self, names: &[&'static str]) -> Resource {
        self.categories = names.iter().map(|n| Name::from(*n)).collect();
        self
    }

    /// Does not offer `verb`.
    pub fn without(mut self, verb: &str) -> Resource {
        self.verbs.retain(|v| v != verb);
        self
    }

    /// Has a `/status` of its own.
    pub fn status(self) -> Resource {
        let kind = self.kind.clone();
        self.sub("status", kind, &["get", "patch", "update"])
    }

    /// Has a `/scale`.
    pub fn scale(self) -> Resource {
        self.sub_of("scale", ("autoscaling", "v1", "Scale"), &["get", "patch", "update"])
    }

    /// Has an `/eviction`.
    pub fn eviction(mut self) -> Resource {
        self = self.sub("eviction", "Eviction", &["create"]);
        let eviction = self.subresources.iter_mut().find(|s| s.name == "eviction");
        eviction.expect("just added").group_version = Some(("policy".into(), "v1".into()));
        self
    }

    /// Has the subresource `name` with bodies of `kind`.
    pub fn sub(
        mut self,
        name: &'static str,
        kind: impl Into<Name>,
        verbs: &[&'static str],
    ) -> Resource {
        self.subresources.push(Subresource {
            name: name.into(),
            kind: kind.into(),
            group_version: None,
            verbs: verbs.iter().map(|n| Name::from(*n)).collect(),
        });
        self.subresources.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// Has the subresource `name` with bodies of a kind of another group (group, version, kind).
    pub fn sub_of(
        mut self,
        name: &'static str,
        of: (&'static str, &'static str, &'static str),
        verbs: &[&'static str],
    ) -> Resource {
        self = self.sub(name, of.2, verbs);
        let sub = self.subresources.iter_mut().find(|s| s.name == name);
        sub.expect("just added").group_version = Some((of.0.into(), of.1.into()));
        self
    }

    /// Counts changes of `spec`.
    pub fn generation(mut self) -> Resource {
        self.generation = true;
        self
    }

    /// Is created by PUT.
    pub fn create_on_update(mut self) -> Resource {
        self.create_on_update = true;
        self
    }

    /// Lets field selectors name these fields.
    pub fn selectable(mut self, fields: &[&'static str]) -> Resource {
        self.selectable = fields.iter().map(|n| Name::from(*n)).collect();
        self
    }

    /// Is special in these ways.
    pub fn hooks(mut self, hooks: Hooks) -> Resource {
        self.hooks = hooks;
        self
    }

    /// "pods", "leases.coordination.k8s.io": the key in the store, and how messages name it.
    pub fn qualified(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    /// "v1", "apps/v1".
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Of a custom kind, the version of this row.
    pub fn version_of_custom(&self) -> Option<&custom::Version> {
        self.custom.as_ref()?.version(&self.version)
    }

    /// Fills in what is filled in.
    pub(super) fn fill(&self, object: &mut Value) {
        (self.hooks.default)(object);
        if let Some(version) = self.version_of_custom() {
            custom::schema::fill(object, &version.schema);
        }
    }

    /// What the schema of a custom kind says.
    pub(super) fn check_schema(
        &self,
        object: &Value,
        old: Option<&Value>,
        errors: &mut Vec<FieldError>,
    ) {
        if let Some(version) = self.version_of_custom() {
            let before = errors.len();
            custom::schema::check(object, &version.schema, "", errors);
            // Rules can rely on what the schema says.
            if errors.len() == before {
                custom::rules::check(object, old, &version.schema, "", errors);
            }
        }
    }

    /// Brings an object of a custom kind into its schema's shape; returns the paths of what is
    /// dropped.
    ///
    /// # Errors
    /// What Go's decoder says of metadata of wrong types.
    pub fn prune(&self, object: &mut Value) -> Result<Vec<String>, String> {
        let mut gone = Vec::new();
        let Some(version) = self.version_of_custom() else { return Ok(gone) };
        if !object.is_object() {
            return Err(
                "json: cannot unmarshal into Go value of type map[string]interface {}".into()
            );
        }
        if let Some(meta) = object.get_mut("metadata") {
            let definition =
                &crate::schema::table()["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            if meta.is_null() {
                *meta = Value::Object(serde_json::Map::new());
            }
            let unknown = crate::schema::decode::decode(meta, definition, "ObjectMeta")?;
            gone.extend(unknown.into_iter().map(|f| format!("metadata.{f}")));
        }
        custom::schema::prune(object, &version.schema, "", true, &mut gone);
        Ok(gone)
    }

    /// How its fields are owned.
    pub fn shape(&self) -> Shape<'_> {
        if self.custom.is_some() {
            return self.version_of_custom().map_or(Shape::Open, |v| Shape::Custom(&v.schema));
        }
        Shape::of_kind(&self.group, &self.version, &self.kind)
    }

    /// Brings an object that the server itself put together into its kind's shape: no nulls, no
    /// empty lists, right types.
    ///
    /// # Errors
    /// `BadRequest` as Go's decoder words it.
    pub fn settle(&self, object: &mut Value) -> Result<(), Error> {
        if self.custom.is_some() {
            drop_nulls(object, 64);
            return self.prune(object).map(|_| ()).map_err(Error::bad_request);
        }
        if let Some(definition) = crate::schema::kind(&self.group, &self.version, &self.kind) {
            crate::schema::decode::decode(object, definition, &self.kind).map_err(|why| {
                Error::bad_request(format!(
                    "{} in version {:?} cannot be handled as a {}: {why}",
                    self.kind, self.version, self.kind
                ))
            })?;
        }
        Ok(())
    }

    /// The subresource `name`.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    /// Whether `status` is written through `/status` only.
    pub fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }
}

/// Nulls that stand for what was removed.
fn drop_nulls(value: &mut Value, depth: usize) {
    if let Value::Object(map) = value
        && depth > 0
    {
        map.retain(|_, v| !v.is_null());
        for child in map.values_mut() {
            drop_nulls(child, depth - 1);
        }
    }
}

/// "pods", "leases.coordination.k8s.io".
pub fn qualified(plural: &str, group: &str) -> String {
    if group.is_empty() { plural.to_string() } else { format!("{plural}.{group}") }
}

/// A row shared by all who need it.
pub type Row = Arc<Resource>;
