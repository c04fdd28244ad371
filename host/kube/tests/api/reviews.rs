//! Who may what, and asking the server about it.

use serde_json::json;

use crate::client::{Client, furnished};

fn with(user: &str) -> Client {
    Client { user: user.into(), ..furnished() }
}

const PODS: &str = "/api/v1/namespaces/demo/pods";

#[test]
fn a_stranger_is_refused_in_kubernetes_words() {
    let c = with("jane");
    for (method, target, want) in [
        (
            "GET",
            PODS,
            r#"403 pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "demo""#,
        ),
        (
            "GET",
            "/api/v1/namespaces/demo/pods/web",
            r#"403 pods "web" is forbidden: User "jane" cannot get resource "pods" in API group "" in the namespace "demo""#,
        ),
        (
            "GET",
            "/api/v1/nodes",
            r#"403 nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope"#,
        ),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/demo/deployments/web",
            r#"403 deployments.apps "web" is forbidden: User "jane" cannot delete resource "deployments" in API group "apps" in the namespace "demo""#,
        ),
        ("GET", "/metrics", r#"403 forbidden: User "jane" cannot get path "/metrics""#),
        ("GET", "/api/v1", "200 (no message)"),
    ] {
        assert_eq!(c.ask(method, target, "", "").message(), want);
    }
}

#[test]
fn roles_count_where_they_are_bound() {
    let c = furnished();
    let role = json!({"metadata": {"name": "r"}, "rules": [
        {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"], "verbs": ["*"]}]});
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    assert_eq!(c.post(&format!("{rbac}/namespaces/demo/roles"), role).status, 201);
    let binding = json!({"metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "bot"}, {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}]});
    assert_eq!(c.post(&format!("{rbac}/namespaces/demo/rolebindings"), binding).status, 201);
    for (user, method, target, status) in [
        ("jane", "GET", PODS, 200),
        ("jane", "GET", "/api/v1/namespaces/default/pods", 403),
        ("jane", "GET", "/api/v1/pods", 403),
        ("jane", "DELETE", "/api/v1/namespaces/demo/pods/x", 403),
        ("jane", "GET", "/api/v1/namespaces/demo/configmaps/one", 404),
        ("jane", "GET", "/api/v1/namespaces/demo/configmaps/two", 403),
        ("jane", "GET", "/api/v1/namespaces/demo/configmaps", 403),
        ("system:serviceaccount:demo:bot", "GET", PODS, 200),
        ("system:serviceaccount:default:bot", "GET", PODS, 403),
        ("system:anonymous", "GET", "/version", 200),
        ("system:anonymous", "GET", "/api", 403),
    ] {
        let c = Client { user: user.into(), api: c.api.clone(), _sim: podlab_sim::Sim::new(1, 0) };
        assert_eq!(c.ask(method, target, "", "").status, status, "{user} {method} {target}");
    }
}

#[test]
fn edit_writes_what_view_only_reads_and_neither_touches_roles() {
    let c = furnished();
    for (user, role) in [("v", "view"), ("e", "edit"), ("a", "admin")] {
        let binding = json!({"metadata": {"name": user},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "name": user}]});
        let target = "/apis/rbac.authorization.k8s.io/v1/namespaces/demo/rolebindings";
        assert_eq!(c.post(target, binding).status, 201);
    }
    let can = |user: &str, verb: &str, group: &str, resource: &str| {
        let review = json!({"spec": {"user": user, "resourceAttributes":
            {"namespace": "demo", "verb": verb, "group": group, "resource": resource}}});
        let answer = c.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review);
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["status"]["allowed"] == true
    };
    for (verb, group, resource, view, edit, admin) in [
        ("get", "", "pods", true, true, true),
        ("create", "apps", "deployments", false, true, true),
        ("get", "", "secrets", false, true, true),
        ("create", "rbac.authorization.k8s.io", "roles", false, false, true),
        ("create", "", "resourcequotas", false, false, false),
    ] {
        let got = (
            can("v", verb, group, resource),
            can("e", verb, group, resource),
            can("a", verb, group, resource),
        );
        assert_eq!(got, (view, edit, admin), "{verb} {resource}");
    }
}

#[test]
fn whoami_and_what_can_i_do() {
    let c = furnished();
    let me = c.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json!({}));
    assert_eq!(
        me.body["status"]["userInfo"],
        json!({"username": "admin", "groups": ["system:masters", "system:authenticated"]})
    );
    let mine = json!({"spec": {"resourceAttributes": {"verb": "create", "resource": "pods", "namespace": "demo"}}});
    let target = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert_eq!(c.post(target, mine.clone()).body["status"], json!({"allowed": true}));
    let jane = Client { user: "jane".into(), ..c };
    assert_eq!(jane.post(target, mine).body["status"], json!({"allowed": false}));
    let rules = json!({"spec": {"namespace": "demo"}});
    let rules = jane.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", rules);
    assert_eq!(rules.status, 201);
    let urls = rules.body["status"]["nonResourceRules"].as_array().unwrap();
    assert!(urls.iter().any(|r| r["nonResourceURLs"].to_string().contains("/apis/*")));
}

#[test]
fn a_token_stands_for_its_account_while_that_lives() {
    let c = furnished();
    let account = "/api/v1/namespaces/demo/serviceaccounts";
    c.post(account, json!({"metadata": {"name": "bot"}}));
    let short = c.post(&format!("{account}/bot/token"), json!({"spec": {"expirationSeconds": 60}}));
    assert_eq!(
        short.message(),
        r#"422 TokenRequest.authentication.k8s.io "bot" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes"#
    );
    let made = c.post(&format!("{account}/bot/token"), json!({}));
    assert_eq!(made.status, 201, "{}", made.body);
    let token = made.body["status"]["token"].as_str().unwrap();
    assert_eq!(c.api.authenticate(token).as_deref(), Ok("system:serviceaccount:demo:bot"));
    let review =
        c.post("/apis/authentication.k8s.io/v1/tokenreviews", json!({"spec": {"token": token}}));
    assert_eq!(review.body["status"]["user"]["username"], "system:serviceaccount:demo:bot");
    let mut forged = token.to_string();
    forged.insert(forged.find('.').unwrap() + 3, 'x');
    assert!(c.api.authenticate(&forged).is_err());
    c.ask("DELETE", &format!("{account}/bot"), "", "");
    assert!(c.api.authenticate(token).is_err());
}
