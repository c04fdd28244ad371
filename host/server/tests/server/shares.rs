//! What a room has is shared: seats by a queue, worlds and storage by budgets; and a learner's own
//! kubectl reaches their world and no other.

use std::process::Command;
use std::time::Duration;

use axum::http::{StatusCode, header};
use podlab_lab::Catalogue;
use podlab_server::Limits;
use serde_json::{Value, json};

use crate::streams::listen;
use crate::workshop::{Browser, Room, browser, room, room_with, with_cookie};

const MAPS: &str = "/kube/api/v1/namespaces/default/configmaps";

impl Room {
    /// Joins a room that is full; the browser that waits.
    async fn waits(&self, last: u8, name: &str) -> Browser {
        let body = json!({ "code": self.workshop.code(), "name": name });
        let answer = self.post(&browser(last), "/api/workshop/join", body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        with_cookie(&browser(last), &answer)
    }

    async fn queue(&self, by: &Browser) -> Value {
        let answer = self.get(by, "/api/workshop/queue").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }

    async fn sits_down(&self, by: &Browser) -> StatusCode {
        self.call(by, "POST", "/api/workshop/seat", None).await.status
    }
}

#[tokio::test]
async fn who_waits_sees_their_place_and_gets_the_next_seat() {
    let room = room(None, 1);
    let (anna, _) = room.join(1, "Anna").await;
    let instructor = room.instructor().await;
    let (ben, cem) = (room.waits(2, "Ben").await, room.waits(3, "Cem").await);
    assert_eq!(room.queue(&ben).await, json!({ "place": 1, "of": 2, "ready": false }));
    assert_eq!(room.queue(&cem).await, json!({ "place": 2, "of": 2, "ready": false }));
    // A ticket is no seat, and no seat is a ticket.
    for path in ["/api/worlds", "/api/workshop/me", "/api/patterns", "/api/worlds/w1"] {
        assert_eq!(room.get(&ben, path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(room.get(&ben, "/api/workshop").await.json()["role"], "waiting");
    assert_eq!(room.get(&anna, "/api/workshop/queue").await.status, StatusCode::FORBIDDEN);
    assert_eq!(room.sits_down(&ben).await, StatusCode::CONFLICT);
    let twice = json!({ "code": room.workshop.code(), "name": "ben" });
    let twice = room.post(&browser(4), "/api/workshop/join", twice).await;
    assert_eq!(twice.reason(), "NameTaken");
    let board = room.get(&instructor, "/api/workshop/board").await.json();
    let names: Vec<&Value> =
        board["queue"].as_array().unwrap().iter().map(|q| &q["name"]).collect();
    assert_eq!(names, ["Ben", "Cem"]);
    assert!(room.get(&instructor, "/metrics").await.text.contains("podlab_learners_waiting 2"));
    // A seat is freed: who waits hears of it at once, and only the first gets it.
    let (heard, ()) = tokio::join!(room.get(&ben, "/api/workshop/queue?after=1"), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let freed = room.call(&instructor, "DELETE", "/api/workshop/seats/1", None).await;
        assert_eq!(freed.status, StatusCode::NO_CONTENT);
    });
    assert_eq!(heard.json()["ready"], true);
    assert_eq!(room.sits_down(&cem).await, StatusCode::CONFLICT);
    // Nor does somebody who comes now overtake them.
    room.waits(5, "Dora").await;
    let seated = room.call(&ben, "POST", "/api/workshop/seat", None).await;
    assert_eq!(seated.status, StatusCode::CREATED, "{}", seated.text);
    let (told, ben) = (seated.json(), with_cookie(&ben, &seated));
    assert!(told["word"].is_string() && told["world"].is_string(), "{told}");
    assert_eq!(room.get(&ben, "/api/workshop/me").await.json()["name"], "Ben");
    assert_eq!(room.queue(&cem).await, json!({ "place": 1, "of": 2, "ready": false }));
    // Who leaves the queue makes room in it.
    room.call(&cem, "POST", "/api/workshop/leave", None).await;
    assert_eq!(room.get(&cem, "/api/workshop/queue").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_room_for_a_world_one_waits_as_without_a_seat() {
    let limits = Limits { worlds: 1, ..Limits::default() };
    let room = room_with(None, 5, limits, Catalogue::default());
    let (anna, _) = room.join(1, "Anna").await;
    let ben = room.waits(2, "Ben").await;
    assert_eq!(room.queue(&ben).await["ready"], false);
    assert_eq!(
        room.call(&anna, "DELETE", "/api/worlds/w1", None).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(room.queue(&ben).await["ready"], true);
    assert_eq!(room.sits_down(&ben).await, StatusCode::CREATED);
}

#[tokio::test]
async fn a_learner_who_makes_worlds_in_a_loop_takes_nothing_from_others() {
    let dir = std::env::temp_dir().join(format!("podlab-shares-{}", std::process::id()));
    let room = room(Some(&dir), 3);
    let (anna, _) = room.join(1, "Anna").await;
    let (ben, _) = room.join(2, "Ben").await;
    let mut refused = None;
    let mut made = 0;
    for n in 0..40 {
        let answer = match n % 2 {
            0 => room.post(&anna, "/api/worlds", json!({})).await,
            _ => room.post(&anna, "/api/worlds/w1/time", json!({ "fork": "0s" })).await,
        };
        match answer.status {
            StatusCode::CREATED => made += 1,
            _ => refused = Some(answer),
        }
    }
    let refused = refused.expect("there is an end to it");
    assert!((10..=14).contains(&made), "{made} worlds");
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "TooMany")
    );
    let wait: u64 = refused.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait} s");
    // What is gone takes no room on disk either; Ben has all he had.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let files: Vec<String> = std::fs::read_dir(dir.join("recordings"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(files.len() <= 5, "{files:?}");
    assert_eq!(room.get(&ben, "/api/worlds/w2").await.status, StatusCode::OK);
    assert_eq!(room.post(&ben, "/api/worlds", json!({})).await.status, StatusCode::CREATED);
    // Recordings are no way around it.
    let recording = room.post(&anna, "/api/recordings", json!({})).await;
    assert_eq!(recording.status, StatusCode::FORBIDDEN);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn a_world_takes_in_only_so_much() {
    let limits = Limits { entered: 1 << 20, ..Limits::default() };
    let room = room_with(None, 3, limits, Catalogue::default());
    let (anna, _) = room.join(1, "Anna").await;
    let (ben, _) = room.join(2, "Ben").await;
    let mut last = StatusCode::CREATED;
    let mut sent = 0;
    while last == StatusCode::CREATED && sent < 100 {
        sent += 1;
        let map = json!({ "metadata": { "name": format!("m{sent}") }, "data": { "a": "x".repeat(100_000) } });
        last = room.post(&anna, &format!("/api/worlds/w1{MAPS}"), map).await.status;
    }
    assert_eq!((last, sent), (StatusCode::INSUFFICIENT_STORAGE, 11));
    // It can be looked at, time goes on, and another world is a fresh one.
    assert_eq!(room.get(&anna, &format!("/api/worlds/w1{MAPS}")).await.status, StatusCode::OK);
    assert_eq!(
        room.post(&anna, "/api/worlds/w1/time", json!({ "speed": 1 })).await.status,
        StatusCode::OK
    );
    let small = json!({ "metadata": { "name": "small" }, "data": { "a": "x".repeat(100_000) } });
    assert_eq!(
        room.post(&ben, &format!("/api/worlds/w2{MAPS}"), small.clone()).await.status,
        StatusCode::CREATED
    );
    // Its fork has taken in as much.
    let fork = room.post(&anna, "/api/worlds/w1/time", json!({ "fork": 0 })).await;
    assert_eq!(fork.status, StatusCode::CREATED, "{}", fork.text);
}

#[tokio::test]
async fn kubectl_reaches_the_world_of_its_learner_and_no_other() {
    let dir = std::env::temp_dir().join(format!("podlab-keys-{}", std::process::id()));
    let room = room(Some(&dir), 3);
    let (anna, _) = room.join(1, "Anna").await;
    let (ben, _) = room.join(2, "Ben").await;
    let issue = async |by: &Browser, world: &str| {
        room.post(by, "/api/workshop/kubeconfig", json!({ "world": world })).await
    };
    for none in ["w1", "w9", "x"] {
        assert_eq!(issue(&ben, none).await.status, StatusCode::NOT_FOUND, "{none}");
    }
    let issued = issue(&anna, "w1").await;
    assert_eq!(issued.status, StatusCode::CREATED, "{}", issued.text);
    let path = issued.json()["path"].as_str().unwrap().to_owned();
    // kubectl sends no cookie.
    let stranger = browser(9);
    let maps = format!("{path}/api/v1/namespaces/default/configmaps");
    let made = room.post(&stranger, &maps, json!({ "metadata": { "name": "mine" } })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    for (from, to) in [("/w1/", "/w2/"), ("/as/", "/as/A")] {
        let other = room.get(&stranger, &format!("{}/version", path.replacen(from, to, 1))).await;
        assert_eq!(other.status, StatusCode::UNAUTHORIZED, "{to}");
        assert_eq!(other.json()["kind"], "Status", "as kubectl reads it: {}", other.text);
    }
    // It is good for the API alone, and for no other route.
    let key = path.split('/').nth(5).unwrap().to_owned();
    let forged = Browser { cookie: format!("podlab-workshop={key}"), ..browser(9) };
    for path in ["/api/worlds/w1", "/api/workshop/me", "/api/worlds"] {
        assert_eq!(room.get(&forged, path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    // While the instructor acts in it, it looks on; and says so as the API would.
    let instructor = room.instructor().await;
    room.post(&anna, "/api/workshop/invite", json!({ "invited": true })).await;
    room.post(&instructor, "/api/workshop/seats/1/drive", json!({ "driven": true })).await;
    let held = room.post(&stranger, &maps, json!({ "metadata": { "name": "held" } })).await;
    assert_eq!((held.status, &held.json()["code"]), (StatusCode::CONFLICT, &json!(409)));
    assert_eq!(room.get(&stranger, &maps).await.status, StatusCode::OK);
    room.post(&anna, "/api/workshop/invite", json!({ "invited": false })).await;
    // A world that was put to disk comes back for it.
    assert!(room.server.app.park(Duration::ZERO) > 0);
    let back = room.get(&stranger, &format!("{maps}/mine")).await;
    assert_eq!(back.status, StatusCode::OK, "{}", back.text);
    // Nobody who reads the register can use it.
    let register = std::fs::read_to_string(dir.join("register.json")).unwrap();
    assert!(!register.contains(&key));
    // The real one, where there is one: over http, without cookies or tokens.
    let at = listen(&room.server).await;
    let server = format!("http://{at}{path}");
    let kubectl = tokio::task::spawn_blocking(move || {
        Command::new("kubectl")
            .args([
                "--server",
                &server,
                "--kubeconfig",
                "/dev/null",
                "get",
                "configmap",
                "mine",
                "-o",
                "name",
            ])
            .env("HOME", std::env::temp_dir())
            .output()
    });
    if let Ok(output) = kubectl.await.unwrap() {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "configmap/mine", "{error}");
    }
    // It ends with its world.
    room.call(&anna, "DELETE", "/api/worlds/w1", None).await;
    assert_eq!(room.get(&stranger, &maps).await.status, StatusCode::UNAUTHORIZED);
    std::fs::remove_dir_all(&dir).unwrap();
}
