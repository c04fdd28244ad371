//! Users who know a capability, and what RBAC lets them do.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::json;

use crate::client::{Answer, Server, server};

const WORLD: &str = "/api/worlds/w1";

async fn world_with(role: &str) -> (Server, String) {
    let server = server();
    server.world(json!({})).await;
    let issued = server
        .post(
            &format!("{WORLD}/identities"),
            json!({"name": "anna", "namespace": "team-a", "role": role}),
        )
        .await;
    assert_eq!(issued.status, StatusCode::CREATED, "{}", issued.text);
    let path = issued.json()["path"].as_str().unwrap().to_owned();
    (server, path)
}

async fn with_headers(
    server: &Server,
    method: Method,
    path: &str,
    headers: &[(&'static str, &'static str)],
) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:7878");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request.body(Body::empty()).expect("a request")).await
}

fn message(answer: &Answer) -> String {
    answer.json()["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_capability_reaches_its_namespace_and_no_further() {
    let (server, kube) = world_with("edit").await;
    let map = json!({"metadata": {"name": "mine"}});
    let maps = |ns: &str| format!("{kube}/api/v1/namespaces/{ns}/configmaps");
    let made = server.post(&maps("team-a"), map.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let refused = server.post(&maps("default"), map).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(
        message(&refused),
        "configmaps is forbidden: User \"anna\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"default\""
    );
    for path in ["/api/v1/nodes", "/api/v1/pods", "/api/v1/namespaces/default/secrets"] {
        let answer = server.get(&format!("{kube}{path}")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
    // Nothing else of the server lies below a capability.
    for path in ["/identities", "/faults", "/recording", "/trace"] {
        let answer = server.get(&kube.replace("/kube", path)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn the_server_tells_who_asks_and_what_they_may() {
    let (server, kube) = world_with("view").await;
    let reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let me = server.post(&format!("{kube}{reviews}"), json!({})).await.json();
    let user = &me["status"]["userInfo"];
    assert_eq!(
        (&user["username"], &user["groups"]),
        (&json!("anna"), &json!(["system:authenticated"]))
    );
    let can = async |verb: &str, namespace: &str| {
        let path = format!("{kube}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
        let wanted = json!({"verb": verb, "resource": "pods", "namespace": namespace});
        let body = json!({"spec": {"resourceAttributes": wanted}});
        server.post(&path, body).await.json()["status"]["allowed"] == true
    };
    assert!(can("list", "team-a").await);
    assert!(!can("create", "team-a").await && !can("list", "default").await);
}

#[tokio::test]
async fn streams_ask_before_they_begin() {
    let (server, kube) = world_with("view").await;
    let path = "/api/v1/namespaces/team-a/pods/web";
    for sub in ["exec?command=sh&stdout=true", "attach?stdout=true", "portforward"] {
        let upgrade = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
        let answer =
            with_headers(&server, Method::POST, &format!("{kube}{path}/{sub}"), &upgrade).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{sub}: {}", answer.text);
        let owner =
            with_headers(&server, Method::POST, &format!("{WORLD}/kube{path}/{sub}"), &upgrade)
                .await;
        assert_eq!(owner.status, StatusCode::NOT_FOUND, "{sub}: {}", owner.text);
    }
    let logs = server.get(&format!("{kube}/api/v1/namespaces/default/pods/web/log")).await;
    assert_eq!(logs.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn only_who_may_acts_as_somebody_else() {
    let (server, kube) = world_with("edit").await;
    let path = "/api/v1/namespaces/default/configmaps";
    let as_anna = [("impersonate-user", "anna")];
    let owner = with_headers(&server, Method::GET, &format!("{WORLD}/kube{path}"), &as_anna).await;
    assert_eq!(owner.status, StatusCode::FORBIDDEN, "the owner as anna is no more than anna");
    let as_admin = [("impersonate-user", "admin")];
    let anna = with_headers(&server, Method::GET, &format!("{kube}{path}"), &as_admin).await;
    assert_eq!(
        message(&anna),
        "users \"admin\" is forbidden: User \"anna\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
    );
    let groups = [("impersonate-user", "anna"), ("impersonate-group", "system:masters")];
    let refused = with_headers(&server, Method::GET, &format!("{WORLD}/kube{path}"), &groups).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_identity_is_listed_without_its_capability_and_can_be_taken_back() {
    let (server, kube) = world_with("admin").await;
    let path = format!("{WORLD}/identities");
    let all = server.get(&path).await;
    assert_eq!(
        all.json()["identities"],
        json!([{"name": "anna", "namespace": "team-a", "role": "admin"}])
    );
    let again = json!({"name": "anna", "namespace": "team-b"});
    assert_eq!(server.post(&path, again).await.status, StatusCode::CONFLICT);
    for wrong in [
        json!({}),
        json!({"name": "admin", "namespace": "a"}),
        json!({"name": "system:masters", "namespace": "a"}),
        json!({"name": "b", "namespace": "a", "role": "cluster-admin"}),
        json!({"name": "b", "namespace": "../x"}),
    ] {
        let answer = server.post(&path, wrong.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(server.get(&format!("{kube}/version")).await.status, StatusCode::OK);
    let gone = server.call(Method::DELETE, &format!("{path}/anna"), None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get(&format!("{kube}/version")).await.status, StatusCode::NOT_FOUND);
    let bindings = "/kube/apis/rbac.authorization.k8s.io/v1/namespaces/team-a/rolebindings";
    let left = server.get(&format!("{WORLD}{bindings}")).await.json();
    assert_eq!(left["items"], json!([]));
}
