//! What the paths offer: the rows of the store, further versions of the same objects, and
//! resources that are answered without being stored.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::convert;
use crate::store::resource::Resource;
use crate::store::{Row, Store};

/// The groups in the order in which a real server offers them (by priority); further groups
/// follow by name.
pub(super) const GROUPS: [&str; 19] = [
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "flowcontrol.apiserver.k8s.io",
];

/// How objects of a version differ from the stored ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Conversion {
    /// `events.k8s.io/v1`, stored as `v1`.
    Event,
    /// `autoscaling/v1`, stored as `v2`.
    Autoscaler,
    /// A version of a custom kind that differs in its name only.
    Named,
}

impl Conversion {
    /// A stored object in this version.
    pub fn out(self, stored: &Value) -> Value {
        match self {
            Conversion::Event => convert::event::out(stored),
            Conversion::Autoscaler => convert::autoscaler::out(stored),
            Conversion::Named => stored.clone(),
        }
    }

    /// An object of this version as it is stored.
    pub fn inward(self, object: Value) -> Value {
        match self {
            Conversion::Event => convert::event::inward(&object),
            Conversion::Autoscaler => convert::autoscaler::inward(&object),
            Conversion::Named => object,
        }
    }
}

/// A resource as a path names it.
#[derive(Clone)]
pub(super) struct Served {
    /// Its row.
    pub row: Row,
    /// The store's key; empty for what is not stored.
    pub key: String,
    /// How its objects differ from the stored ones.
    pub conversion: Option<Conversion>,
}

fn further() -> &'static [(Row, &'static str, Conversion)] {
    static ROWS: OnceLock<Vec<(Row, &'static str, Conversion)>> = OnceLock::new();
    ROWS.get_or_init(|| {
        vec![
            (
                Arc::new(
                    Resource::new("events.k8s.io", "v1", "events", "Event")
                        .short(&["ev"])
                        .create_on_update(),
                ),
                "events",
                Conversion::Event,
            ),
            (
                Arc::new(
                    Resource::new(
                        "autoscaling",
                        "v1",
                        "horizontalpodautoscalers",
                        "HorizontalPodAutoscaler",
                    )
                    .short(&["hpa"])
                    .categories(&["all"])
                    .status(),
                ),
                "horizontalpodautoscalers.autoscaling",
                Conversion::Autoscaler,
            ),
        ]
    })
}

/// What is answered but not stored.
fn unstored() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let review = |group, plural, kind| {
            let mut row = Resource::new(group, "v1", plural, kind).cluster();
            row.verbs = vec!["create".into()];
            row
        };
        let mut statuses = Resource::new("", "v1", "componentstatuses", "ComponentStatus")
            .cluster()
            .short(&["cs"]);
        statuses.verbs = vec!["get".into(), "list".into()];
        let mut local =
            review("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview");
        local.namespaced = true;
        let mut bindings = review("", "bindings", "Binding");
        bindings.namespaced = true;
        [
            bindings,
            statuses,
            review("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
            review("authentication.k8s.io", "tokenreviews", "TokenReview"),
            local,
            review("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
            review("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
            review("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview"),
        ]
        .map(Arc::new)
        .to_vec()
    })
}

fn stored(row: Row) -> Served {
    Served { key: row.qualified(), row, conversion: None }
}

/// The resource that a path names.
pub(super) fn find(store: &Store, group: &str, version: &str, plural: &str) -> Option<Served> {
    let is = |r: &Row| r.group == group && r.version == version && r.plural == plural;
    let key = crate::store::resource::qualified(plural, group);
    if let Some(row) = store.row(&key) {
        if let Some(custom) = &row.custom {
            let served = custom.version(version).filter(|v| v.served)?;
            let conversion = (!served.storage).then_some(Conversion::Named);
            let row = Arc::new(crate::store::custom::in_version(&row, served));
            return Some(Served { row, key, conversion });
        }
        if is(&row) {
            return Some(stored(row));
        }
    }
    if let Some((row, key, conversion)) = further().iter().find(|(r, ..)| is(r)) {
        return Some(Served {
            row: row.clone(),
            key: (*key).into(),
            conversion: Some(*conversion),
        });
    }
    let row = unstored().iter().find(|r| is(r))?;
    Some(Served { row: row.clone(), key: String::new(), conversion: None })
}

/// Everything, by group (in the order of [`GROUPS`]), version (the preferred first), and name.
pub(super) fn all(store: &Store) -> Vec<Row> {
    let mut out: Vec<Row> = Vec::new();
    for row in store.rows() {
        match &row.custom {
            Some(custom) => out.extend(
                custom
                    .versions
                    .iter()
                    .filter(|v| v.served)
                    .map(|v| Arc::new(crate::store::custom::in_version(&row, v))),
            ),
            None => out.push(row),
        }
    }
    out.extend(further().iter().map(|(row, ..)| row.clone()));
    out.extend(unstored().iter().cloned());
    out.sort_by_cached_key(|r| {
        let place = match &*r.group {
            "" => 0,
            group => GROUPS.iter().position(|g| *g == group).map_or(GROUPS.len() + 1, |i| i + 1),
        };
        (place, r.group.to_string(), std::cmp::Reverse(priority(&r.version)), r.plural.to_string())
    });
    out
}

/// How much a version is preferred (`apimachinery/pkg/version/helpers.go`): stable versions
/// before betas before alphas, higher numbers first, other names last.
pub(super) fn priority(version: &str) -> (u8, u64, u64, std::cmp::Reverse<String>) {
    let other = || (0, 0, 0, std::cmp::Reverse(version.to_string()));
    let Some(rest) = version.strip_prefix('v') else { return other() };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let Ok(major) = rest[..digits].parse::<u64>() else { return other() };
    let tail = &rest[digits..];
    let (stage, minor) = if tail.is_empty() {
        (3, "0")
    } else if let Some(minor) = tail.strip_prefix("beta") {
        (2, minor)
    } else if let Some(minor) = tail.strip_prefix("alpha") {
        (1, minor)
    } else {
        return other();
    };
    match minor.parse() {
        Ok(minor) => (stage, major, minor, std::cmp::Reverse(String::new())),
        Err(_) => other(),
    }
}
