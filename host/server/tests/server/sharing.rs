//! What is taken away of a world, and recordings that come back.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use podlab_server::Limits;
use serde_json::{Value, json};

use crate::client::{Answer, Server, server, with_limits};

async fn open(server: &Server, bytes: Vec<u8>) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/api/recordings")
        .header("host", "127.0.0.1:7878")
        .header("content-type", "application/octet-stream")
        .body(Body::from(bytes));
    server.send(request.expect("a request")).await
}

/// A server, a world with an input at 1 s that stands at 2 s, and its recording.
async fn recorded() -> (Server, String, Vec<u8>) {
    let server = server();
    let id = server.world(json!({ "speed": 0, "seed": 2 })).await;
    server.run_to(&id, 1.0).await;
    server.config_map(&id, "a").await;
    server.run_to(&id, 2.0).await;
    let bytes = server.app.world(&id).unwrap().export().unwrap().encode();
    (server, id, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_becomes_the_same_world_again_paused_at_its_end() {
    let (server, id, bytes) = recorded().await;
    let answer = open(&server, bytes).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    let said = answer.json();
    assert_eq!((&said["identical"], &said["lostBytes"]), (&json!(true), &json!(0)));
    let world = &said["world"];
    assert_eq!((world["speed"].as_f64(), world["now"].as_f64()), (Some(0.0), Some(2.0)));
    let again = world["id"].as_str().unwrap();
    assert_eq!(answer.headers["location"], format!("/api/worlds/{again}"));
    assert_eq!(server.trace(again).await, server.trace(&id).await);
    // It goes on, and goes back.
    server.config_map(again, "b").await;
    server.run_to(again, 3.0).await;
    server.run_to(again, 0.5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_recording_is_refused_with_one_message() {
    let (server, _, bytes) = recorded().await;
    let mut other = bytes.clone();
    other[8] = 99;
    let mut damaged = bytes.clone();
    damaged[40] ^= 1;
    for (name, bytes, said) in [
        ("empty", Vec::new(), "not a Podlab recording"),
        ("a picture", b"GIF89a".to_vec(), "not a Podlab recording"),
        ("another version", other, "version 99"),
        ("cut", bytes[..40].to_vec(), "header"),
        ("damaged", damaged, "damaged"),
    ] {
        let answer = open(&server, bytes).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        assert_eq!(answer.reason(), "Refused", "{name}");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(said), "{name}: {message}");
    }
    // Cut later, it is a shorter world, and that is told.
    let answer = open(&server, bytes[..bytes.len() - 3].to_vec()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert!(answer.json()["lostBytes"].as_u64() > Some(0), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_and_too_many_are_refused() {
    let server = with_limits(Limits { recording: 100, worlds: 1, ..Limits::default() });
    assert_eq!(open(&server, vec![0; 101]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    server.world(json!({ "speed": 0 })).await;
    assert_eq!(open(&server, vec![0; 50]).await.reason(), "TooMany");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_taken_away_whole_or_in_part() {
    let (server, id, _) = recorded().await;
    let of = |query: &str| format!("/api/worlds/{id}/export/{query}");
    let whole = server.get(&of("jsonl")).await;
    assert_eq!(whole.text.lines().collect::<Vec<_>>(), server.trace(&id).await);
    let named = whole.headers["content-disposition"].to_str().unwrap();
    assert_eq!(named, format!("attachment; filename=\"podlab-{id}.jsonl\""));
    let part = server.get(&of("jsonl?from=1s&until=1.5s")).await;
    let at = |line: &str| serde_json::from_str::<Value>(line).unwrap()["at"].as_u64().unwrap();
    let times: Vec<u64> = part.text.lines().map(at).collect();
    assert!(!times.is_empty() && times.len() < whole.text.lines().count());
    assert!(times.iter().all(|t| (1_000_000_000..=1_500_000_000).contains(t)), "{times:?}");
    assert_eq!(server.get(&of("har")).await.json()["log"]["version"], "1.2");
    assert!(server.get(&of("otlp")).await.json()["resourceSpans"].is_array());
    assert_eq!(server.get(&of("pcapng")).await.status, StatusCode::OK);
    for (query, status, reason) in [
        ("gif", 404, "NotFound"),
        ("jsonl?from=yesterday", 400, "BadRequest"),
        // This server has no page.
        ("html", 503, "NoPage"),
    ] {
        let answer = server.get(&of(query)).await;
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (status, reason), "{query}");
    }
}
