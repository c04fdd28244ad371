//! Nobody grants more than they have.

use serde_json::{Value, json};

use crate::client::{Client, furnished};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/demo/roles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/demo/rolebindings";

fn role(name: &str, rules: Value) -> Value {
    json!({"metadata": {"name": name}, "rules": rules})
}

fn binding(name: &str, kind: &str, role: &str) -> Value {
    json!({"metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}]})
}

/// A world where "jane" has the cluster role `held` in the namespace "demo".
fn jane(held: &str) -> (Client, Client) {
    let admin = furnished();
    assert_eq!(admin.post(BINDINGS, binding("jane", "ClusterRole", held)).status, 201);
    let jane =
        Client { user: "jane".into(), api: admin.api.clone(), _sim: podlab_sim::Sim::new(1, 0) };
    (admin, jane)
}

fn put(c: &Client, target: &str, object: &Value) -> String {
    c.ask("PUT", target, "application/json", object).message()
}

#[test]
fn a_role_holds_only_what_its_author_holds() {
    let (_admin, jane) = jane("admin");
    let readers = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["*"]}]);
    assert_eq!(
        jane.post(ROLES, role("r", readers)).message(),
        "403 roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"apps\"], Resources:[\"deployments\"], Verbs:[\"*\"]}"
    );
    // Lines are sorted, verbs of one resource are in one line, names are kept apart.
    let many = json!([
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "get"]},
        {"apiGroups": [""], "resources": ["nodes"], "resourceNames": ["a", "b"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": ["*"], "resources": ["secrets"], "verbs": ["get"]}]);
    assert_eq!(
        jane.post(ROLES, role("r", many)).message(),
        "403 roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n\
        {APIGroups:[\"\"], Resources:[\"nodes\"], ResourceNames:[\"a\"], Verbs:[\"patch\"]}\n\
        {APIGroups:[\"\"], Resources:[\"nodes\"], ResourceNames:[\"b\"], Verbs:[\"patch\"]}\n\
        {APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" \"list\"]}\n\
        {APIGroups:[\"*\"], Resources:[\"secrets\"], Verbs:[\"get\"]}"
    );
    let held = json!([{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"], "verbs": ["get"]}]);
    assert_eq!(jane.post(ROLES, role("r", held)).status, 201);
}

#[test]
fn no_way_of_writing_leads_around_it() {
    let (admin, jane) = jane("admin");
    let pods = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    assert_eq!(jane.post(ROLES, role("r", pods.clone())).status, 201);
    let nodes = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]);
    let target = format!("{ROLES}/r");
    let refused = "403 roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\"]}";
    assert_eq!(put(&jane, &target, &role("r", nodes.clone())), refused);
    let patch = json!({"rules": nodes}).to_string();
    for media in ["application/merge-patch+json", "application/strategic-merge-patch+json"] {
        assert_eq!(jane.ask("PATCH", &target, media, &patch).message(), refused, "{media}");
    }
    let steps = json!([{"op": "replace", "path": "/rules/0/resources/0", "value": "nodes"}]);
    let media = "application/json-patch+json";
    assert_eq!(jane.ask("PATCH", &target, media, steps.to_string()).message(), refused);
    let mut applied = role("r", nodes.clone());
    applied["apiVersion"] = "rbac.authorization.k8s.io/v1".into();
    applied["kind"] = "Role".into();
    let apply = format!("{target}?fieldManager=m&force=true");
    let media = "application/apply-patch+yaml";
    assert_eq!(jane.ask("PATCH", &apply, media, applied.to_string()).message(), refused);
    // Creating by PUT and by apply are creating as well.
    assert_eq!(
        put(&jane, &format!("{ROLES}/new"), &role("new", nodes)),
        refused.replace("\"r\"", "\"new\"")
    );
    assert_eq!(admin.ask("GET", &target, "", "").body["rules"], pods);
    assert_eq!(admin.ask("GET", &format!("{ROLES}/new"), "", "").status, 404);
    applied["rules"] = pods;
    assert_eq!(jane.ask("PATCH", &apply, media, applied.to_string()).status, 200);
}

#[test]
fn a_binding_names_only_what_its_author_holds_or_may_bind() {
    let (admin, jane) = jane("admin");
    let answer = jane.post(BINDINGS, binding("up", "ClusterRole", "cluster-admin")).message();
    assert_eq!(
        answer,
        "403 rolebindings.rbac.authorization.k8s.io \"up\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n{NonResourceURLs:[\"*\"], Verbs:[\"*\"]}"
    );
    assert_eq!(jane.post(BINDINGS, binding("v", "ClusterRole", "view")).status, 201);
    assert_eq!(
        jane.post(BINDINGS, binding("x", "Role", "none")).message(),
        "404 roles.rbac.authorization.k8s.io \"none\" not found"
    );
    // Everywhere is more than here.
    assert_eq!(
        jane.post(&format!("{RBAC}/clusterrolebindings"), binding("v", "ClusterRole", "view"))
            .message(),
        "403 clusterrolebindings.rbac.authorization.k8s.io is forbidden: User \"jane\" cannot create resource \"clusterrolebindings\" in API group \"rbac.authorization.k8s.io\" at the cluster scope"
    );
    // The verb `bind` on one role opens the way to that role alone.
    let bind = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
        "resourceNames": ["cluster-admin"], "verbs": ["bind"]}]);
    assert_eq!(admin.post(ROLES, role("binder", bind)).status, 201);
    assert_eq!(admin.post(BINDINGS, binding("binder", "Role", "binder")).status, 201);
    assert_eq!(jane.post(BINDINGS, binding("up", "ClusterRole", "cluster-admin")).status, 201);
    // Who has everything in a namespace now grants anything in it.
    let nodes = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]);
    assert_eq!(jane.post(ROLES, role("r", nodes)).status, 201);
}

#[test]
fn escalate_lets_a_role_grow_and_gathering_is_for_administrators() {
    let (admin, jane) = jane("view");
    let may = |verbs: Value| {
        json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "clusterroles"],
            "verbs": verbs}])
    };
    let clusterwide = |name: &str| format!("{RBAC}/{name}");
    let post = |c: &Client, what: &str, object: Value| c.post(&clusterwide(what), object).message();
    assert_eq!(
        admin
            .post(&clusterwide("clusterroles"), role("author", may(json!(["create", "update"]))))
            .status,
        201
    );
    assert_eq!(
        admin
            .post(&clusterwide("clusterrolebindings"), binding("author", "ClusterRole", "author"))
            .status,
        201
    );
    let nodes = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]);
    assert!(post(&jane, "clusterroles", role("n", nodes.clone())).starts_with("403 clusterroles"));
    let mut gathers = role("g", json!([]));
    gathers["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]});
    assert_eq!(
        post(&jane, "clusterroles", gathers.clone()),
        "403 clusterroles.rbac.authorization.k8s.io \"g\" is forbidden: must have cluster-admin privileges to use the aggregationRule"
    );
    // A long list times a long list is no way to stop the world.
    let many: Vec<String> = (0..2000).map(|i| format!("v{i}")).collect();
    let bomb = json!([{"apiGroups": [""], "resources": many, "verbs": many}]);
    assert_eq!(
        post(&jane, "clusterroles", role("b", bomb)),
        "403 clusterroles.rbac.authorization.k8s.io \"b\" is forbidden: its rules multiply to more than 20000 rights: split it"
    );
    // Only the finalizers and owners of what one does not hold may be changed.
    assert_eq!(admin.post(&clusterwide("clusterroles"), role("n", nodes.clone())).status, 201);
    let target = clusterwide("clusterroles/n");
    let mut there = admin.ask("GET", &target, "", "").body;
    there["metadata"]["finalizers"] = json!(["example.com/f"]);
    assert!(put(&jane, &target, &there).starts_with("200"));
    let mut there = admin.ask("GET", &target, "", "").body;
    there["metadata"]["labels"] = json!({"a": "b"});
    assert!(put(&jane, &target, &there).starts_with("403"));
    let body = role("author", may(json!(["create", "update", "escalate"]))).to_string();
    let grown = admin.ask("PUT", &clusterwide("clusterroles/author"), "application/json", &body);
    assert_eq!(grown.status, 200);
    assert!(put(&jane, &target, &there).starts_with("200"));
    assert_eq!(post(&jane, "clusterroles", gathers), "201 (no message)");
}

#[test]
fn who_may_update_but_not_create_creates_nothing_by_updating() {
    let (admin, jane) = jane("view");
    let rules = json!([{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
        "verbs": ["get", "update", "patch"]}]);
    assert_eq!(admin.post(ROLES, role("keeper", rules)).status, 201);
    assert_eq!(admin.post(BINDINGS, binding("keeper", "Role", "keeper")).status, 201);
    let leases = "/apis/coordination.k8s.io/v1/namespaces/demo/leases";
    let refused = "403 leases.coordination.k8s.io \"l\" is forbidden: User \"jane\" cannot create resource \"leases\" in API group \"coordination.k8s.io\" in the namespace \"demo\"";
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}});
    assert_eq!(put(&jane, &format!("{leases}/l"), &lease), refused);
    let apply = format!("{leases}/l?fieldManager=m");
    let media = "application/apply-patch+yaml";
    assert_eq!(jane.ask("PATCH", &apply, media, lease.to_string()).message(), refused);
    assert_eq!(admin.post(leases, lease.clone()).status, 201);
    assert_eq!(put(&jane, &format!("{leases}/l"), &lease), "200 (no message)");
}
