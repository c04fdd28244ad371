//! What the roles allow (`plugin/pkg/auth/authorizer/rbac`).

use serde_json::{Value, json};

use super::{Attributes, User, account};
use crate::store::object;
use crate::store::{Error, Store};

const GROUP: &str = "rbac.authorization.k8s.io";

fn texts<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    value[field].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Why the user may do it ("" for those who may everything); `None` if they may not.
pub(super) fn allowed(store: &Store, user: &User, wanted: &Attributes) -> Option<String> {
    if user.is_master() {
        return Some(String::new());
    }
    granted(store, user, &wanted.namespace)
        .into_iter()
        .find(|(_, rules)| rules.iter().any(|rule| covers(rule, wanted)))
        .map(|(why, _)| format!("RBAC: allowed by {why}"))
}

/// Every binding that names the user and counts in the namespace, in words, and its rules.
pub(super) fn granted(store: &Store, user: &User, namespace: &str) -> Vec<(String, Vec<Value>)> {
    let mut bindings = store.list(&format!("clusterrolebindings.{GROUP}"), None);
    if !namespace.is_empty() {
        bindings.extend(store.list(&format!("rolebindings.{GROUP}"), Some(namespace)));
    }
    let mut out = Vec::new();
    for binding in bindings {
        let within = object::namespace(&binding);
        let mut subjects = binding["subjects"].as_array().into_iter().flatten();
        let Some(subject) = subjects.find(|s| is(s, user, within)) else { continue };
        let (kind, role) = (
            binding["roleRef"]["kind"].as_str().unwrap_or(""),
            binding["roleRef"]["name"].as_str().unwrap_or(""),
        );
        let resource = if kind == "ClusterRole" { "clusterroles" } else { "roles" };
        // A role that does not exist allows nothing.
        let rules = of_role(store, resource, within, role).unwrap_or_default();
        let name = object::name(&binding);
        let what = if within.is_empty() {
            format!("ClusterRoleBinding {name:?}")
        } else {
            format!("RoleBinding {:?}", format!("{name}/{within}"))
        };
        let who = match (subject["kind"].as_str(), subject["name"].as_str().unwrap_or("")) {
            (Some("ServiceAccount"), name) => format!(
                "ServiceAccount {:?}",
                format!("{name}/{}", subject["namespace"].as_str().unwrap_or(within))
            ),
            (kind, name) => format!("{} {name:?}", kind.unwrap_or("")),
        };
        let why = format!("{what} of {kind} {role:?} to {who}");
        out.push((why, rules));
    }
    out
}

/// The rules of a role ("roles") or cluster role ("clusterroles").
///
/// # Errors
/// `NotFound`.
pub(super) fn of_role(
    store: &Store,
    resource: &str,
    namespace: &str,
    name: &str,
) -> Result<Vec<Value>, Error> {
    if resource == "clusterroles" {
        let role = store.require(&format!("clusterroles.{GROUP}"), "", name)?;
        return Ok(cluster_rules(store, &role));
    }
    let role = store.require(&format!("roles.{GROUP}"), namespace, name)?;
    Ok(role["rules"].as_array().cloned().unwrap_or_default())
}

/// A cluster role's own rules and those that it gathers by labels.
fn cluster_rules(store: &Store, role: &Value) -> Vec<Value> {
    let mut rules = role["rules"].as_array().cloned().unwrap_or_default();
    for selector in role["aggregationRule"]["clusterRoleSelectors"].as_array().into_iter().flatten()
    {
        let selector = crate::store::selector::LabelSelector::from_map(&selector["matchLabels"]);
        if selector.is_empty() {
            continue;
        }
        for other in store.list(&format!("clusterroles.{GROUP}"), None) {
            if selector.matches(&other) && object::uid(&other) != object::uid(role) {
                for rule in other["rules"].as_array().into_iter().flatten() {
                    if !rules.contains(rule) {
                        rules.push(rule.clone());
                    }
                }
            }
        }
    }
    rules
}

fn is(subject: &Value, user: &User, within: &str) -> bool {
    let name = subject["name"].as_str().unwrap_or("");
    match subject["kind"].as_str() {
        Some("User") => name == user.name || name == "*",
        Some("Group") => user.groups.iter().any(|g| g == name),
        Some("ServiceAccount") => {
            let namespace = subject["namespace"].as_str().filter(|n| !n.is_empty());
            account(&user.name) == Some((namespace.unwrap_or(within), name))
        }
        _ => false,
    }
}

fn covers(rule: &Value, wanted: &Attributes) -> bool {
    let has = |field: &str, value: &str| texts(rule, field).any(|t| t == "*" || t == value);
    if !has("verbs", &wanted.verb) {
        return false;
    }
    if !wanted.path.is_empty() {
        return texts(rule, "nonResourceURLs").any(|url| match url.strip_suffix('*') {
            Some(prefix) => wanted.path.starts_with(prefix),
            None => url == wanted.path,
        });
    }
    let full = wanted.full_resource();
    let resource = texts(rule, "resources").any(|r| {
        r == "*"
            || r == full
            || (!wanted.sub.is_empty() && r.strip_prefix("*/") == Some(&wanted.sub))
    });
    let mut names = texts(rule, "resourceNames").peekable();
    resource
        && has("apiGroups", &wanted.group)
        && (names.peek().is_none() || names.any(|n| n == wanted.name))
}

/// All that the user may do in a namespace: resource rules and rules for other paths.
pub(super) fn list(store: &Store, user: &User, namespace: &str) -> (Vec<Value>, Vec<Value>) {
    let mut all: Vec<Value> = Vec::new();
    if user.is_master() {
        all.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        all.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    }
    all.extend(granted(store, user, namespace).into_iter().flat_map(|(_, rules)| rules));
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    for rule in all {
        let keep = |fields: &[&str]| {
            let mut out = serde_json::Map::new();
            for field in fields {
                if rule[*field].is_array() {
                    out.insert((*field).into(), rule[*field].clone());
                }
            }
            Value::Object(out)
        };
        if rule["resources"].is_array() {
            resources.push(keep(&["verbs", "apiGroups", "resources", "resourceNames"]));
        }
        if rule["nonResourceURLs"].is_array() {
            paths.push(keep(&["verbs", "nonResourceURLs"]));
        }
    }
    (resources, paths)
}
