//! Kinds that are made at run time: CustomResourceDefinitions
//! (`k8s.io/apiextensions-apiserver`).
//!
//! A definition is in force when the write that makes it returns: real servers need some
//! milliseconds for what is no work here.
//!
//! # Layout
//! - this file: definitions, and the rows that follow from them
//! - [`schema`]: pruning, defaults and checks by a structural schema; [`rules`]: CEL
//! - `definition`: the rules for definitions themselves

pub mod definition;
mod enforce;
pub mod rules;
pub mod schema;

use std::sync::Arc;

use serde_json::Value;

use super::object;
use super::resource::{Name, Resource, Subresource};

/// Holds a definition until its objects are gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
/// The resource of definitions.
pub const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// What a row of a custom kind knows besides.
#[derive(Clone, Debug)]
pub struct Custom {
    /// The versions, in the definition's order.
    pub versions: Vec<Version>,
    /// The name of its definition.
    pub definition: String,
}

/// A version of a custom kind.
#[derive(Clone, Debug)]
pub struct Version {
    /// "v1".
    pub name: String,
    /// Whether it is offered.
    pub served: bool,
    /// Whether objects are stored in it.
    pub storage: bool,
    /// What its users are warned of.
    pub warning: Option<String>,
    /// The OpenAPI schema.
    pub schema: Value,
    /// The columns of its tables.
    pub columns: Vec<Value>,
    /// Whether it has a status of its own.
    pub status: bool,
    /// Its numbers of replicas.
    pub scale: Option<Scale>,
}

/// Where the numbers of replicas are, as field names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// How many are wanted.
    pub spec: Vec<String>,
    /// How many there are.
    pub status: Vec<String>,
    /// Which they are.
    pub selector: Vec<String>,
}

fn path(value: &Value) -> Vec<String> {
    let text = value.as_str().unwrap_or("");
    text.split('.').filter(|p| !p.is_empty()).map(str::to_string).collect()
}

fn version(group: &str, kind: &str, v: &Value) -> Version {
    let text = |value: &Value| value.as_str().unwrap_or("").to_string();
    let subresources = &v["subresources"];
    let scale = subresources["scale"].is_object().then(|| Scale {
        spec: path(&subresources["scale"]["specReplicasPath"]),
        status: path(&subresources["scale"]["statusReplicasPath"]),
        selector: path(&subresources["scale"]["labelSelectorPath"]),
    });
    let name = text(&v["name"]);
    let warning = (v["deprecated"] == true).then(|| {
        v["deprecationWarning"]
            .as_str()
            .map_or_else(|| format!("{group}/{name} {kind} is deprecated"), str::to_string)
    });
    Version {
        served: v["served"] == true,
        storage: v["storage"] == true,
        warning,
        schema: v["schema"]["openAPIV3Schema"].clone(),
        columns: v["additionalPrinterColumns"].as_array().cloned().unwrap_or_default(),
        status: subresources["status"].is_object(),
        scale,
        name,
    }
}

/// The row of a definition that is in force; `None` for others.
pub fn row(definition: &Value) -> Option<Resource> {
    let established = definition["status"]["conditions"]
        .as_array()?
        .iter()
        .any(|c| c["type"] == "Established" && c["status"] == "True");
    let spec = &definition["spec"];
    let (group, kind) = (spec["group"].as_str()?, spec["names"]["kind"].as_str()?);
    let versions: Vec<Version> =
        spec["versions"].as_array()?.iter().map(|v| version(group, kind, v)).collect();
    let storage = versions.iter().find(|v| v.storage)?.clone();
    if !established {
        return None;
    }
    let list = |field: &str| -> Vec<Name> {
        let all = spec["names"][field].as_array().into_iter().flatten();
        all.filter_map(|n| n.as_str().map(|n| Name::from(n.to_string()))).collect()
    };
    let name = |field: &str| Name::from(spec["names"][field].as_str().unwrap_or("").to_string());
    let mut row = Resource::new("", "", "", "");
    row.group = group.to_string().into();
    row.version = storage.name.clone().into();
    row.plural = name("plural");
    row.singular = name("singular");
    row.kind = name("kind");
    row.namespaced = spec["scope"] == "Namespaced";
    row.short_names = list("shortNames");
    row.categories = list("categories");
    row.generation = true;
    row.custom =
        Some(Arc::new(Custom { versions, definition: object::name(definition).to_string() }));
    Some(in_version(&row, &storage))
}

/// The row as a version of it is offered.
pub fn in_version(row: &Resource, version: &Version) -> Resource {
    let mut row = row.clone();
    row.version = version.name.clone().into();
    row.subresources = Vec::new();
    let mut sub = |name: &'static str, kind: &Name, of: Option<(Name, Name)>| {
        row.subresources.push(Subresource {
            name: name.into(),
            kind: kind.clone(),
            group_version: of,
            verbs: ["get", "patch", "update"].map(Name::from).to_vec(),
        });
    };
    let kind = row.kind.clone();
    if version.scale.is_some() {
        sub("scale", &"Scale".into(), Some(("autoscaling".into(), "v1".into())));
    }
    if version.status {
        sub("status", &kind, None);
    }
    row
}

impl Custom {
    /// The version `name`.
    pub fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|v| v.name == name)
    }
}
