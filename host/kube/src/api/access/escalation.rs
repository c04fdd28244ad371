//! Nobody grants more than they have (`pkg/registry/rbac/{role,rolebinding}/policybased`,
//! `pkg/registry/rbac/validation/rule.go`): a role may only hold what its author holds, and a
//! binding may only name a role whose rules its author holds, unless a role lets the author
//! `escalate` or `bind`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Attributes, User, rules};
use crate::api::Api;
use crate::api::request::Request;
use crate::api::route::Target;
use crate::store::Error;
use crate::store::object;

const GROUP: &str = "rbac.authorization.k8s.io";

/// As many rights as one object may break down to: a few long lists in a rule multiply.
const RIGHTS: usize = 20_000;

/// What one atom of a rule allows: Kubernetes compares rules after breaking them down to these.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Right {
    group: String,
    resource: String,
    /// "" for every name.
    name: String,
    /// A path that is no resource; the fields above are empty then.
    url: String,
    verb: String,
}

fn texts<'a>(rule: &'a Value, field: &str) -> Vec<&'a str> {
    rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// How many rights a rule breaks down to.
fn amount(rule: &Value) -> usize {
    let len = |field: &str| rule[field].as_array().map_or(0, Vec::len);
    let resources = len("apiGroups")
        .saturating_mul(len("resources"))
        .saturating_mul(len("resourceNames").max(1));
    resources.saturating_add(len("nonResourceURLs")).saturating_mul(len("verbs"))
}

/// `BreakdownRule`.
fn rights(rule: &Value, out: &mut Vec<Right>) {
    let verbs = texts(rule, "verbs");
    let mut names = texts(rule, "resourceNames");
    if names.is_empty() {
        names.push("");
    }
    for group in texts(rule, "apiGroups") {
        for resource in texts(rule, "resources") {
            for verb in &verbs {
                for name in &names {
                    out.push(Right {
                        group: group.into(),
                        resource: resource.into(),
                        name: (*name).into(),
                        url: String::new(),
                        verb: (*verb).into(),
                    });
                }
            }
        }
    }
    for url in texts(rule, "nonResourceURLs") {
        for verb in &verbs {
            out.push(Right {
                group: String::new(),
                resource: String::new(),
                name: String::new(),
                url: url.into(),
                verb: (*verb).into(),
            });
        }
    }
}

/// `ruleCovers`: whether one rule of the author's holds the whole right.
fn covers(rule: &Value, right: &Right) -> bool {
    let has = |field: &str, wanted: &str| {
        rule[field].as_array().into_iter().flatten().any(|v| v == wanted)
    };
    if !(has("verbs", "*") || has("verbs", &right.verb)) {
        return false;
    }
    if !right.url.is_empty() {
        return texts(rule, "nonResourceURLs").iter().any(|own| {
            *own == right.url || own.strip_suffix('*').is_some_and(|p| right.url.starts_with(p))
        });
    }
    let resource = has("resources", "*")
        || has("resources", &right.resource)
        || right
            .resource
            .split_once('/')
            .is_some_and(|(_, sub)| has("resources", &format!("*/{sub}")));
    let unnamed = texts(rule, "resourceNames").is_empty();
    resource
        && (has("apiGroups", "*") || has("apiGroups", &right.group))
        && (unnamed || (!right.name.is_empty() && has("resourceNames", &right.name)))
}

/// `CompactRules` and `CompactString`: verbs of the same resource in one line, the lines sorted.
fn describe(missing: &[Right]) -> String {
    let mut rules: BTreeMap<[&str; 3], Vec<&str>> = BTreeMap::new();
    let mut lines: BTreeSet<String> = BTreeSet::new();
    for right in missing {
        if !right.url.is_empty() {
            // Only rules of resources are compacted.
            lines
                .insert(format!("{{NonResourceURLs:[{:?}], Verbs:[{:?}]}}", right.url, right.verb));
            continue;
        }
        let verbs = rules.entry([&right.group, &right.resource, &right.name]).or_default();
        if !verbs.contains(&right.verb.as_str()) {
            verbs.push(&right.verb);
        }
    }
    for ([group, resource, name], verbs) in rules {
        let named =
            if name.is_empty() { String::new() } else { format!(", ResourceNames:[{name:?}]") };
        let verbs: Vec<String> = verbs.iter().map(|v| format!("{v:?}")).collect();
        lines.insert(format!(
            "{{APIGroups:[{group:?}], Resources:[{resource:?}]{named}, Verbs:[{}]}}",
            verbs.join(" ")
        ));
    }
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

/// Whether an update only touches what the garbage collector touches (`IsOnlyMutatingGCFields`).
fn only_collects(new: &Value, old: &Value) -> bool {
    let bare = |o: &Value| {
        let mut o = o.clone();
        let map = object::map_mut(&mut o);
        // A client may leave out what the path says already.
        map.remove("kind");
        map.remove("apiVersion");
        let meta = object::meta_mut(&mut o);
        for field in ["ownerReferences", "finalizers", "managedFields", "selfLink"] {
            meta.remove(field);
        }
        o
    };
    bare(new) == bare(old)
}

impl Api {
    /// Whether what the request writes can grant something to somebody.
    pub(in crate::api) fn checks_grants(&self, request: &Request, t: &Target) -> bool {
        t.row.group == GROUP && !User::of(&request.user).is_master()
    }

    /// Who makes an object by replacing or applying what is not there must be allowed to create.
    ///
    /// # Errors
    /// 403.
    pub(in crate::api) fn check_creates(
        &self,
        request: &Request,
        t: &Target,
        exists: bool,
    ) -> Result<(), Error> {
        if exists {
            return Ok(());
        }
        self.authorize(&User::of(&request.user), &Attributes::of("create", t))
    }

    /// Refuses a role, a binding, or a change of one, that grants what the user does not have.
    /// `old` is what it replaces.
    ///
    /// # Errors
    /// 403 with what is missing; 404 of a role that is bound and does not exist.
    pub(in crate::api) fn check_grant(
        &self,
        request: &Request,
        t: &Target,
        new: &Value,
        old: Option<&Value>,
    ) -> Result<(), Error> {
        let user = User::of(&request.user);
        if !self.checks_grants(request, t) || old.is_some_and(|o| only_collects(new, o)) {
            return Ok(());
        }
        let may = |verb: &str, resource: &str, name: &str| {
            let asked = Attributes {
                verb: verb.into(),
                group: GROUP.into(),
                resource: resource.into(),
                namespace: t.namespace.clone(),
                name: name.into(),
                ..Attributes::default()
            };
            rules::allowed(&self.store, &user, &asked).is_some()
        };
        let is_binding = t.row.plural.ends_with("bindings");
        let wanted = if is_binding {
            let role = &new["roleRef"];
            let (kind, name) =
                (role["kind"].as_str().unwrap_or(""), role["name"].as_str().unwrap_or(""));
            let resource = match kind {
                "ClusterRole" => "clusterroles",
                "Role" if t.row.namespaced => "roles",
                // Validation has the right words for it.
                _ => return Ok(()),
            };
            if may("bind", resource, name) {
                return Ok(());
            }
            rules::of_role(&self.store, resource, &t.namespace, name)?
        } else {
            if may("escalate", &t.row.plural, &t.name) {
                return Ok(());
            }
            new["rules"].as_array().cloned().unwrap_or_default()
        };
        let own: Vec<Value> = rules::granted(&self.store, &user, &t.namespace)
            .into_iter()
            .flat_map(|(_, rules)| rules)
            .collect();
        if wanted.iter().fold(0, |sum: usize, rule| sum.saturating_add(amount(rule))) > RIGHTS {
            return Err(Error::forbidden(
                &t.row,
                object::name(new),
                &format!("its rules multiply to more than {RIGHTS} rights: split it"),
            ));
        }
        let mut asked = Vec::new();
        for rule in &wanted {
            rights(rule, &mut asked);
        }
        let held = |right: &Right| own.iter().any(|rule| covers(rule, right));
        asked.retain(|right| !held(right));
        let refused = |why: &str| Err(Error::forbidden(&t.row, object::name(new), why));
        if !asked.is_empty() {
            let groups: Vec<String> = user.groups.iter().map(|g| format!("{g:?}")).collect();
            return refused(&format!(
                "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
                user.name,
                groups.join(" "),
                describe(&asked)
            ));
        }
        // Whoever gathers rules by labels may gather any.
        let gathers = |o: &Value| {
            o["aggregationRule"]["clusterRoleSelectors"].as_array().is_some_and(|s| !s.is_empty())
        };
        let everything = [
            Right {
                group: "*".into(),
                resource: "*".into(),
                name: String::new(),
                url: String::new(),
                verb: "*".into(),
            },
            Right {
                group: String::new(),
                resource: String::new(),
                name: String::new(),
                url: "*".into(),
                verb: "*".into(),
            },
        ];
        if !is_binding && (gathers(new) || old.is_some_and(gathers)) && !everything.iter().all(held)
        {
            return refused("must have cluster-admin privileges to use the aggregationRule");
        }
        Ok(())
    }
}
