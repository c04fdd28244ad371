//! What the instructor does in learners' worlds and on their screens.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use futures_util::{SinkExt as _, StreamExt as _};
use podlab_lab::Catalogue;
use podlab_server::Limits;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::streams::listen;
use crate::workshop::{Browser, Room, browser, every_route, room, room_with};

const MAPS: &str = "/kube/api/v1/namespaces/default/configmaps";
/// Of a world's routes, what somebody may use who only looks; all others act. A further route is
/// closed to lookers until it is named here.
const LOOKS: [&str; 9] = [
    "/api/worlds/{id}",
    "/api/worlds/{id}/trace",
    "/api/worlds/{id}/density",
    "/api/worlds/{id}/recording",
    "/api/worlds/{id}/export/{format}",
    "/api/worlds/{id}/stream",
    "/api/worlds/{id}/identities",
    "/api/worlds/{id}/kube",
    "/api/worlds/{id}/kube/{path}",
];

fn map(name: &str) -> Value {
    json!({ "metadata": { "name": name } })
}

impl Room {
    async fn writes(&self, by: &Browser, world: &str, name: &str) -> StatusCode {
        self.post(by, &format!("/api/worlds/{world}{MAPS}"), map(name)).await.status
    }

    async fn me(&self, by: &Browser) -> Value {
        self.get(by, "/api/workshop/me").await.json()
    }

    async fn events(&self, by: &Browser, world: &str) -> Value {
        self.get(by, &format!("/api/worlds/{world}")).await.json()["events"].clone()
    }

    /// Everything that acts in a world is refused to `by`, and everything that looks is not.
    async fn only_looks(&self, by: &Browser, world: &str, reason: &str) {
        let before = self.events(by, world).await;
        let mut acted = 0;
        for (template, method, path) in every_route(world, 1) {
            if !template.starts_with("/api/worlds/{id}") || template.contains("{capability}") {
                continue;
            }
            let answer = self.call(by, &method, &path, Some(json!({}))).await;
            let said = format!("{method} {template}: {}", answer.text);
            if LOOKS.contains(&template.as_str()) && method == "get" {
                assert!(!answer.text.contains(reason), "{said}");
            } else {
                assert!(answer.status.is_client_error(), "{said}");
                // An answer to HEAD has no body.
                assert!(method == "head" || answer.text.contains(reason), "{said}");
                acted += 1;
            }
        }
        assert!(acted > 15, "only {acted} routes act");
        for path in [
            "pods/web/exec?command=ls",
            "pods/web/attach",
            "pods/web/portforward",
            "pods/web/%65xec",
        ] {
            let path = format!("/api/worlds/{world}/kube/api/v1/namespaces/default/{path}");
            assert!(self.get(by, &path).await.text.contains(reason), "{path}");
        }
        assert_eq!(self.events(by, world).await, before, "nothing has happened in that world");
    }
}

#[tokio::test]
async fn the_instructor_acts_on_invitation_alone_and_either_hands_back() {
    let room = room(None, 5);
    let (anna, _) = room.join(1, "Anna").await;
    let (ben, _) = room.join(2, "Ben").await;
    let instructor = room.instructor().await;
    room.post(&anna, "/api/worlds/w1/time", json!({ "speed": 0 })).await;
    room.only_looks(&instructor, "w1", "NotInvited").await;
    let drive = async |seat: u32, driven: bool| {
        let path = format!("/api/workshop/seats/{seat}/drive");
        room.post(&instructor, &path, json!({ "driven": driven })).await
    };
    let refused = drive(1, true).await;
    assert_eq!((refused.status, refused.reason().as_str()), (StatusCode::FORBIDDEN, "NotInvited"));
    assert_eq!(drive(9, true).await.status, StatusCode::NOT_FOUND);
    // A raised hand is an invitation, and the button is one.
    for (path, body) in [
        ("/api/workshop/hand", json!({ "raised": true })),
        ("/api/workshop/invite", json!({ "invited": true })),
    ] {
        assert_eq!(room.post(&anna, path, body).await.status, StatusCode::OK);
        let whose = room.get(&instructor, "/api/workshop/worlds/w1").await.json();
        assert_eq!((&whose["name"], &whose["invited"]), (&json!("Anna"), &json!(true)));
        // An invitation alone changes nothing yet.
        assert_eq!(room.writes(&instructor, "w1", "early").await, StatusCode::FORBIDDEN);
        assert_eq!(drive(1, true).await.status, StatusCode::OK);
        assert_eq!(room.me(&anna).await["driven"], true);
        let name = path.rsplit('/').next().unwrap();
        assert_eq!(room.writes(&instructor, "w1", name).await, StatusCode::CREATED);
        // Only in Anna's worlds, and what is made there is Anna's.
        assert_eq!(room.writes(&instructor, "w2", name).await, StatusCode::FORBIDDEN);
        let fork = json!({ "fork": "0s" });
        let fork = room.post(&instructor, "/api/worlds/w1/time", fork).await;
        assert_eq!(fork.status, StatusCode::CREATED, "{}", fork.text);
        let forked = fork.json()["world"]["id"].as_str().unwrap().to_owned();
        assert_eq!(room.writes(&instructor, &forked, name).await, StatusCode::CREATED);
        // Nobody who could act on after handing back is let in.
        let issue = json!({ "name": "helper", "namespace": "team", "role": "edit" });
        let issue = room.post(&instructor, "/api/worlds/w1/identities", issue).await;
        assert_eq!(issue.status, StatusCode::CONFLICT, "{}", issue.text);
        // The learner looks on.
        room.only_looks(&anna, "w1", "Driven").await;
        assert_eq!(room.writes(&ben, "w2", name).await, StatusCode::CREATED);
        // Back, by the instructor the first time and by the learner the second.
        match name {
            "hand" => assert_eq!(drive(1, false).await.status, StatusCode::OK),
            _ => {
                let back = json!({ "invited": false });
                let back = room.post(&anna, "/api/workshop/invite", back).await;
                assert_eq!(back.status, StatusCode::OK);
            }
        }
        let seen = room.me(&anna).await;
        assert_eq!(
            (&seen["driven"], &seen["hand"], &seen["invited"]),
            (&json!(false), &json!(false), &json!(false))
        );
        assert_eq!(room.writes(&anna, &forked, "own").await, StatusCode::CREATED);
        room.only_looks(&instructor, "w1", "NotInvited").await;
        assert_eq!(drive(1, true).await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn what_was_open_ends_when_somebody_else_takes_over() {
    let room = room(None, 5);
    let (anna, _) = room.join(1, "Anna").await;
    let instructor = room.instructor().await;
    let at = listen(&room.server).await;
    let terminal = async |by: &Browser| {
        let mut request =
            format!("ws://{at}/api/worlds/w1/terminal").into_client_request().unwrap();
        request.headers_mut().insert("cookie", by.cookie.parse().unwrap());
        tokio_tungstenite::connect_async(request).await
    };
    let (mut annas, _) = terminal(&anna).await.expect("her own");
    let refused = terminal(&instructor).await;
    assert!(matches!(refused, Err(Error::Http(r)) if r.status() == StatusCode::FORBIDDEN));
    room.post(&anna, "/api/workshop/invite", json!({ "invited": true })).await;
    room.post(&instructor, "/api/workshop/seats/1/drive", json!({ "driven": true })).await;
    // Hers closes; what she types into it does not arrive.
    let run = json!({ "run": "kubectl create configmap late --from-literal=a=b" }).to_string();
    let _ = annas.send(Message::text(run.clone())).await;
    while let Some(Ok(message)) = annas.next().await {
        assert!(!message.to_string().contains("created"), "{message}");
    }
    let (mut theirs, _) = terminal(&instructor).await.expect("on invitation");
    room.post(&anna, "/api/workshop/invite", json!({ "invited": false })).await;
    let _ = theirs.send(Message::text(run)).await;
    while let Some(Ok(message)) = theirs.next().await {
        assert!(!message.to_string().contains("created"), "{message}");
    }
    let late = room.get(&anna, &format!("/api/worlds/w1{MAPS}/late")).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_learners_world_is_thrown_at_the_wall_with_or_without_the_name() {
    let room = room(None, 5);
    let (anna, _) = room.join(1, "Anna").await;
    let instructor = room.instructor().await;
    let project = async |body: Value| room.post(&instructor, "/api/workshop/projector", body).await;
    let wall =
        async || room.get(&instructor, "/api/workshop/projector").await.json()["shown"].clone();
    assert_eq!(wall().await, Value::Null);
    project(json!({ "world": "w1" })).await;
    assert_eq!(wall().await, json!({ "world": "w1", "pattern": "", "name": "Anna" }));
    project(json!({ "world": "w1", "named": false })).await;
    assert_eq!(wall().await["name"], Value::Null);
    let mine = room.post(&instructor, "/api/worlds", json!({})).await.json();
    for none in [json!({ "world": "w9" }), json!({ "world": mine["id"] }), json!({ "world": "1" })]
    {
        assert_eq!(project(none).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(project(json!({ "world": 3 })).await.status, StatusCode::BAD_REQUEST);
    // A world that ends leaves the wall, and so does one that is taken away.
    project(json!({ "world": null })).await;
    assert_eq!(wall().await, Value::Null);
    project(json!({ "world": "w1" })).await;
    room.call(&anna, "DELETE", "/api/worlds/w1", None).await;
    assert_eq!(wall().await, Value::Null);
}

#[tokio::test]
async fn a_moment_is_a_copy_that_all_look_at_and_nobody_changes() {
    let room = room(None, 5);
    let (anna, _) = room.join(1, "Anna").await;
    let (ben, _) = room.join(2, "Ben").await;
    let instructor = room.instructor().await;
    assert_eq!(room.writes(&anna, "w1", "before").await, StatusCode::CREATED);
    let show = async |body: Value| room.post(&instructor, "/api/workshop/moment", body).await;
    let shown =
        show(json!({ "world": "w1", "what": "pod:default/web", "event": 3, "show": "order" }))
            .await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    let moment = shown.json()["moment"].clone();
    assert_eq!(
        (&moment["what"], &moment["event"], &moment["show"]),
        (&json!("pod:default/web"), &json!(3), &json!("order"))
    );
    let copy = moment["world"].as_str().unwrap().to_owned();
    assert_ne!(copy, "w1");
    // Everybody hears of it, sees what was there, and changes nothing.
    for by in [&anna, &ben] {
        assert_eq!(room.me(by).await["moment"], moment);
        let seen = room.get(by, &format!("/api/worlds/{copy}{MAPS}/before")).await;
        assert_eq!(seen.status, StatusCode::OK, "{}", seen.text);
        room.only_looks(by, &copy, "OnlyShown").await;
    }
    assert_eq!(
        room.get(&browser(9), &format!("/api/worlds/{copy}")).await.status,
        StatusCode::UNAUTHORIZED
    );
    // It is not the world it was taken from: that goes on, and stays its learner's.
    assert_eq!(room.writes(&anna, "w1", "after").await, StatusCode::CREATED);
    let after = room.get(&ben, &format!("/api/worlds/{copy}{MAPS}/after")).await;
    assert_eq!(after.status, StatusCode::NOT_FOUND);
    assert_eq!(room.get(&ben, "/api/worlds/w1").await.status, StatusCode::NOT_FOUND);
    let worlds = room.get(&ben, "/api/worlds").await.json();
    assert_eq!(worlds["worlds"].as_array().unwrap().len(), 1);
    // The next one takes its place; the end of it ends the copy.
    let next = show(json!({ "world": "w2", "at": 0 })).await.json()["moment"].clone();
    assert!(next["number"].as_u64() > moment["number"].as_u64());
    assert_eq!(room.get(&ben, &format!("/api/worlds/{copy}")).await.status, StatusCode::NOT_FOUND);
    for bad in [
        json!({ "world": "w99" }),
        json!({ "world": "w1", "at": u64::MAX }),
        json!({ "world": "w1", "what": "x".repeat(301) }),
    ] {
        assert!(show(bad).await.status.is_client_error());
    }
    assert_eq!(room.me(&ben).await["moment"], next);
    let over = room.call(&instructor, "DELETE", "/api/workshop/moment", None).await;
    assert_eq!(over.status, StatusCode::OK);
    assert_eq!(room.me(&ben).await["moment"], Value::Null);
    assert_eq!(room.server.app.worlds().len(), 2);
}

#[tokio::test]
async fn hints_and_solutions_reach_one_learner_or_all() {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../patterns/sidecar");
    let mut folders = vec![folder.clone()];
    while let Some(dir) = folders.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&folder).unwrap().to_str().unwrap();
                files.insert(format!("sidecar/{name}"), std::fs::read(&path).unwrap());
            }
        }
    }
    let room = room_with(None, 5, Limits::default(), Catalogue::read(files).unwrap());
    let (anna, _) = room.join(1, "Anna").await;
    let (ben, _) = room.join(2, "Ben").await;
    let instructor = room.instructor().await;
    let exercises = room.get(&anna, "/api/patterns/sidecar/exercises").await.json();
    let slug = exercises["exercises"][0]["slug"].as_str().expect("an exercise").to_owned();
    let key = format!("sidecar/{slug}");
    let give = async |more: Value| {
        let mut body = json!({ "pattern": "sidecar", "exercise": slug });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        room.post(&instructor, "/api/workshop/give", body).await.status
    };
    let given = async |by: &Browser| {
        let given = room.me(by).await["given"][&key].clone();
        (given["hints"].as_u64().unwrap_or(0), given["solution"] == true)
    };
    assert_eq!(give(json!({ "hints": 1 })).await, StatusCode::OK);
    assert_eq!(give(json!({ "hints": 2, "seat": 1 })).await, StatusCode::OK);
    assert_eq!((given(&anna).await, given(&ben).await), ((2, false), (1, false)));
    assert_eq!(give(json!({ "solution": true, "seat": 2 })).await, StatusCode::OK);
    assert_eq!((given(&anna).await, given(&ben).await), ((2, false), (1, true)));
    for bad in [
        json!({}),
        json!({ "hints": 0 }),
        json!({ "hints": 99 }),
        json!({ "hints": 1, "seat": "x" }),
    ] {
        assert_eq!(give(bad).await, StatusCode::BAD_REQUEST);
    }
    assert_eq!(give(json!({ "hints": 1, "seat": 9 })).await, StatusCode::NOT_FOUND);
    let none = json!({ "pattern": "sidecar", "exercise": "none", "hints": 1 });
    let none = room.post(&instructor, "/api/workshop/give", none).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    // What was given is not what somebody needed by themselves.
    let board = room.get(&instructor, "/api/workshop/board").await.json();
    assert_eq!(board["seats"][0]["exercises"], json!({}));
    assert_eq!(board["seats"][0]["given"][&key]["hints"], 2);
}
