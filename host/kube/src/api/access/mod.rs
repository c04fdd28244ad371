//! Who asks, and whether they may (`rbac.authorization.k8s.io/v1`).
//!
//! # Layout
//! - this file: users, what they want, the refusal
//! - `rules`: the roles' rules, as RBAC reads them
//! - `escalation`: nobody grants more than they have
//! - `reviews`: asking the server about it (`kubectl auth can-i`)
//! - `impersonate`: acting as somebody else
//! - `token`: service accounts' tokens
//! - `defaults`: the roles that every cluster has

mod defaults;
mod escalation;
mod impersonate;
mod reviews;
mod rules;
pub mod token;

pub use defaults::furnish;

use super::route::Target;
use crate::store::Error;

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub name: String,
    pub groups: Vec<String>,
}

const ACCOUNT: &str = "system:serviceaccount:";

impl User {
    /// The user of a request: "admin" may everything, as may a request of the process itself,
    /// which names nobody; the groups of others follow from their names.
    pub fn of(name: &str) -> User {
        let mut groups: Vec<String> = Vec::new();
        if matches!(name, "" | "admin") {
            groups.push("system:masters".into());
        } else if let Some((namespace, _)) = account(name) {
            groups.push("system:serviceaccounts".into());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        groups.push(
            match name {
                "system:anonymous" => "system:unauthenticated",
                _ => "system:authenticated",
            }
            .into(),
        );
        let name = if name.is_empty() { "admin" } else { name };
        User { name: name.into(), groups }
    }

    /// Whether no role is asked for (`authorizerfactory.NewPrivilegedGroups`).
    pub fn is_master(&self) -> bool {
        self.groups.iter().any(|g| g == "system:masters")
    }
}

/// Namespace and name of a service account's user.
pub(super) fn account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix(ACCOUNT)?.split_once(':')
}

/// What somebody wants to do.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes {
    pub verb: String,
    pub group: String,
    pub resource: String,
    pub sub: String,
    pub namespace: String,
    pub name: String,
    /// A path that is no resource; empty for resources.
    pub path: String,
}

impl Attributes {
    pub fn of(verb: &str, t: &Target) -> Attributes {
        Attributes {
            verb: verb.into(),
            group: t.row.group.to_string(),
            resource: t.row.plural.to_string(),
            sub: t.sub.clone(),
            namespace: t.namespace.clone(),
            name: t.name.clone(),
            path: String::new(),
        }
    }

    pub fn path(verb: &str, path: &str) -> Attributes {
        Attributes { verb: verb.into(), path: path.into(), ..Attributes::default() }
    }

    /// "pods", "pods/log".
    pub fn full_resource(&self) -> String {
        if self.sub.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.sub)
        }
    }

    /// 403 as `responsewriters.Forbidden` words it.
    pub fn refusal(&self, user: &User) -> Error {
        if !self.path.is_empty() {
            let message = format!(
                "forbidden: User {:?} cannot {} path {:?}",
                user.name, self.verb, self.path
            );
            let mut e = Error::new(403, "Forbidden", message);
            e.details = Some(Box::default());
            return e;
        }
        let place = if self.namespace.is_empty() {
            "at the cluster scope".to_string()
        } else {
            format!("in the namespace {:?}", self.namespace)
        };
        let qualified = crate::store::resource::qualified(&self.resource, &self.group);
        let name = if self.name.is_empty() { String::new() } else { format!(" {:?}", self.name) };
        let mut e = Error::new(
            403,
            "Forbidden",
            format!(
                "{qualified}{name} is forbidden: User {:?} cannot {} resource {:?} in API group {:?} {place}",
                user.name,
                self.verb,
                self.full_resource(),
                self.group,
            ),
        );
        e.details = Some(Box::new(crate::store::error::Details {
            name: self.name.clone(),
            group: self.group.clone(),
            kind: self.resource.clone(),
            ..Default::default()
        }));
        e
    }
}

impl super::Api {
    /// Refuses what the user may not do.
    pub(super) fn authorize(&self, user: &User, wanted: &Attributes) -> Result<(), Error> {
        match rules::allowed(&self.store, user, wanted) {
            Some(_) => Ok(()),
            None => Err(wanted.refusal(user)),
        }
    }
}
