//! Speed, steps, going back, forks, recordings.

use axum::http::StatusCode;
use podlab_world::Recording;
use serde_json::json;

use crate::client::server;

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_world_stands_still_and_steps() {
    let server = server();
    let id = server.world(json!({ "speed": 0 })).await;
    let time = format!("/api/worlds/{id}/time");
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let before = server.get(&format!("/api/worlds/{id}")).await.json();
    assert_eq!(before["nowNanos"], 0);
    let stepped = server.post(&time, json!({ "step": "event" })).await;
    assert_eq!(stepped.status, StatusCode::OK, "{}", stepped.text);
    let after = &stepped.json()["world"];
    assert!(after["events"].as_u64() > before["events"].as_u64(), "{after}");
    server.post(&time, json!({ "speed": 10 })).await;
    server.until(&id, |s| s["now"].as_f64() > Some(1.0)).await;
    let paused = server.post(&time, json!({ "speed": 0 })).await.json();
    let now = paused["world"]["nowNanos"].clone();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(server.get(&format!("/api/worlds/{id}")).await.json()["nowNanos"], now);
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_shows_the_same_past_and_playing_it_the_same_future() {
    let server = server();
    let id = server.world(json!({ "speed": 0, "seed": 5 })).await;
    let time = format!("/api/worlds/{id}/time");
    server.run_to(&id, 2.0).await;
    assert_eq!(server.config_map(&id, "first").await.status, StatusCode::CREATED);
    server.run_to(&id, 4.0).await;
    assert_eq!(server.config_map(&id, "second").await.status, StatusCode::CREATED);
    server.run_to(&id, 6.0).await;
    let whole = server.trace(&id).await;
    let back = server.post(&time, json!({ "seek": "3s" })).await;
    assert_eq!(back.status, StatusCode::OK, "{}", back.text);
    let status = &back.json()["world"];
    assert_eq!(status["nowNanos"], 3_000_000_000_u64, "{status}");
    assert!(status["futureNanos"].as_u64() >= Some(4_000_000_000), "{status}");
    let past = server.trace(&id).await;
    assert!(past.len() < whole.len() && whole.starts_with(&past));
    let second = format!("/api/worlds/{id}/kube/api/v1/namespaces/default/configmaps/second");
    assert_eq!(server.get(&second).await.status, StatusCode::NOT_FOUND);
    // Playing on, the recorded inputs enter again.
    server.run_to(&id, 6.0).await;
    assert_eq!(server.trace(&id).await, whole);
    assert_eq!(server.get(&second).await.status, StatusCode::OK);
    // A new input in the past is where history goes another way.
    server.post(&time, json!({ "seek": "3s" })).await;
    assert_eq!(server.config_map(&id, "third").await.status, StatusCode::CREATED);
    server.run_to(&id, 6.0).await;
    assert_eq!(server.get(&second).await.status, StatusCode::NOT_FOUND);
    assert_ne!(server.trace(&id).await, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_has_the_same_past_and_leaves_the_original_alone() {
    let server = server();
    let id = server.world(json!({ "speed": 0, "seed": 9 })).await;
    server.run_to(&id, 2.0).await;
    server.config_map(&id, "first").await;
    server.run_to(&id, 5.0).await;
    let whole = server.trace(&id).await;
    let made = server.post(&format!("/api/worlds/{id}/time"), json!({ "fork": "3s" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let fork = made.json()["world"]["id"].as_str().expect("an id").to_owned();
    let past = server.trace(&fork).await;
    assert!(!past.is_empty() && whole.starts_with(&past));
    server.run_to(&fork, 5.0).await;
    assert_eq!(server.trace(&fork).await, whole);
    server.config_map(&fork, "other").await;
    assert_eq!(server.trace(&id).await, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_can_be_taken_away() {
    let server = server();
    let id = server.world(json!({ "speed": 0, "seed": 2 })).await;
    server.run_to(&id, 1.0).await;
    server.config_map(&id, "a").await;
    server.run_to(&id, 2.0).await;
    let live = server.app.world(&id).unwrap();
    let bytes = live.export().unwrap().encode();
    let (recording, lost) = Recording::decode(&bytes).unwrap();
    assert_eq!((recording.inputs.len(), lost, recording.header.options.seed), (1, 0, 2));
    assert_eq!(recording.marks.last().map(|m| m.last), Some(server.trace(&id).await.len() as u64));
    let answer = server.get(&format!("/api/worlds/{id}/recording")).await;
    assert!(answer.headers["content-disposition"].to_str().unwrap().contains(".plrec"));
}
