//! Worlds, their Kubernetes API, and many of them at once.

use axum::http::{Method, StatusCode};
use podlab_server::Limits;
use serde_json::json;

use crate::client::{server, with_limits};

#[tokio::test(flavor = "multi_thread")]
async fn a_world_is_made_shown_and_ended() {
    let server = with_limits(Limits { worlds: 2, ..Limits::default() });
    let id = server.world(json!({ "seed": 7, "speed": 0 })).await;
    let status = server.get(&format!("/api/worlds/{id}")).await.json();
    assert_eq!(
        (&status["seed"], &status["speed"], &status["dead"]),
        (&json!(7), &json!(0), &json!(false))
    );
    server.world(json!({})).await;
    let third = server.post("/api/worlds", json!({})).await;
    assert_eq!((third.status.as_u16(), third.reason().as_str()), (429, "TooMany"));
    assert_eq!(server.get("/api/worlds").await.json()["worlds"].as_array().unwrap().len(), 2);
    let ended = server.call(Method::DELETE, &format!("/api/worlds/{id}"), None).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get(&format!("/api/worlds/{id}")).await.status, StatusCode::NOT_FOUND);
    server.world(json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kubernetes_api_answers_while_time_stands_still() {
    let server = server();
    let id = server.world(json!({ "speed": 0 })).await;
    let kube = format!("/api/worlds/{id}/kube");
    let version = server.get(&format!("{kube}/version")).await;
    assert_eq!(version.status, StatusCode::OK, "{}", version.text);
    // The default namespace is made by the control plane as it starts.
    server.run_to(&id, 1.0).await;
    let made = server.config_map(&id, "settings").await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let again = server.config_map(&id, "settings").await;
    // Errors of the API server are Kubernetes' own.
    assert_eq!((again.status.as_u16(), again.json()["kind"].as_str()), (409, Some("Status")));
    let path = format!("{kube}/api/v1/namespaces/default/configmaps");
    let one = server.get(&format!("{path}/settings")).await.json();
    assert_eq!(one["data"]["a"], "b");
    let listed = server.get(&path).await.json();
    let from = listed["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
    // A watch lasts as long as it says, in real time, although the world is paused.
    let watch = format!("{path}?watch=1&resourceVersion={from}&timeoutSeconds=1");
    let (seen, made) = tokio::join!(server.get(&watch), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        server.config_map(&id, "more").await
    });
    assert_eq!(made.status, StatusCode::CREATED);
    let line: serde_json::Value =
        serde_json::from_str(seen.text.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (&line["type"], &line["object"]["metadata"]["name"]),
        (&json!("ADDED"), &json!("more"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_worlds_run_at_once() {
    let server = server();
    let mut ids = Vec::new();
    for seed in 0..32 {
        ids.push(server.world(json!({ "seed": seed, "speed": 100 })).await);
    }
    for id in &ids {
        server.until(id, |s| s["now"].as_f64() > Some(5.0)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_changes_nothing() {
    let server = server();
    let options = json!({ "seed": 3, "speed": 0, "epoch": 1_767_225_600 });
    let (watched, alone) = (server.world(options.clone()).await, server.world(options).await);
    let kube = format!("/api/worlds/{watched}/kube/api/v1");
    for half in 1..=6 {
        let at = f64::from(half) / 2.0;
        for path in [
            "nodes",
            "pods",
            "namespaces/default/configmaps?watch=1&timeoutSeconds=0",
            "pods?limit=1",
        ] {
            server.get(&format!("{kube}/{path}")).await;
        }
        server.get(&format!("/api/worlds/{watched}/density")).await;
        server.get(&format!("/api/worlds/{watched}/recording")).await;
        server.run_to(&watched, at).await;
    }
    server.run_to(&alone, 3.0).await;
    let (a, b) = (server.trace(&watched).await, server.trace(&alone).await);
    assert!(!a.is_empty());
    assert_eq!(a, b);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_one_world_ends_that_world_alone() {
    let server = with_limits(Limits { worlds: 2, ..Limits::default() });
    let broken = server.world(json!({ "speed": 1 })).await;
    let other = server.world(json!({ "speed": 100 })).await;
    let live = server.app.world(&broken).unwrap();
    let died = tokio::task::spawn_blocking(move || {
        live.with(|_| -> () { panic!("an invariant broke") }).unwrap_err()
    });
    assert!(died.await.unwrap().message.contains("an invariant broke"));
    let status = server.get(&format!("/api/worlds/{broken}")).await.json();
    assert_eq!(status["dead"], true);
    assert!(status["stopped"].as_str().unwrap().contains("an invariant broke"), "{status}");
    let asked = server.get(&format!("/api/worlds/{broken}/kube/api/v1/pods")).await;
    assert_eq!((asked.status, asked.reason().as_str()), (StatusCode::GONE, "WorldDead"));
    let now = server.get(&format!("/api/worlds/{other}")).await.json()["now"].as_f64();
    server.until(&other, |s| s["now"].as_f64() > now && s["dead"] == false).await;
    // Its place can be used again.
    let deleted = server.call(Method::DELETE, &format!("/api/worlds/{broken}"), None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    server.world(json!({ "speed": 1 })).await;
}
