//! `kubectl create role` and its kin: who may do what.

use serde_json::{Value, json};

use super::meta;
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;

pub(super) async fn role(
    k: &mut Kubectl<'_>,
    name: &str,
    args: &Args,
    kind: &str,
) -> Result<Value> {
    let verbs = args.list("verb");
    if verbs.is_empty() {
        return Err(Failure::new("at least one verb must be specified"));
    }
    let mut rules: Vec<Value> = Vec::new();
    for word in args.list("resource") {
        let (plain, sub) = word.split_once('/').map_or((word.as_str(), ""), |(a, b)| (a, b));
        let resource = k.client.kind(plain).await?;
        let shown =
            if sub.is_empty() { resource.name.clone() } else { format!("{}/{sub}", resource.name) };
        match rules.iter_mut().find(|r| r["apiGroups"][0] == resource.group.as_str()) {
            Some(rule) => {
                if let Some(list) = rule["resources"].as_array_mut() {
                    list.push(shown.into());
                }
            }
            None => {
                let mut rule =
                    json!({"verbs": verbs, "apiGroups": [resource.group], "resources": [shown]});
                if args.has("resource-name") {
                    rule["resourceNames"] = json!(args.all("resource-name"));
                }
                rules.push(rule);
            }
        }
    }
    if rules.is_empty() {
        return Err(Failure::new("at least one resource must be specified"));
    }
    let kind = if kind == "role" { "Role" } else { "ClusterRole" };
    Ok(
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": meta(name), "rules": rules}),
    )
}

pub(super) fn binding(k: &Kubectl<'_>, name: &str, args: &Args, kind: &str) -> Result<Value> {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let (role_kind, role) = match (args.get("clusterrole"), args.get("role")) {
        (Some(role), None) => ("ClusterRole", role),
        (None, Some(role)) => ("Role", role),
        _ => return Err(Failure::new("exactly one of clusterrole or role must be specified")),
    };
    let mut subjects = Vec::new();
    for user in args.list("user") {
        subjects.push(json!({"kind": "User", "apiGroup": GROUP, "name": user}));
    }
    for group in args.list("group") {
        subjects.push(json!({"kind": "Group", "apiGroup": GROUP, "name": group}));
    }
    for account in args.list("serviceaccount") {
        let (namespace, account) = account
            .split_once(':')
            .ok_or_else(|| Failure::new("serviceaccount must be <namespace>:<name>"))?;
        subjects.push(json!({"kind": "ServiceAccount", "namespace": namespace, "name": account}));
    }
    let mut meta_ = meta(name);
    let kind = if kind == "rolebinding" {
        meta_["namespace"] = k.namespace_of(args).into();
        "RoleBinding"
    } else {
        "ClusterRoleBinding"
    };
    let mut object = json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": meta_,
        "roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role}});
    if !subjects.is_empty() {
        object["subjects"] = subjects.into();
    }
    Ok(object)
}
