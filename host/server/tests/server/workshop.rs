//! A workshop as its learners, its instructor and strangers meet it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode, header};
use podlab_lab::{Catalogue, Plan};
use podlab_server::openapi::document;
use podlab_server::workshop::{Rules, Workshop};
use podlab_server::{App, Assets, Limits, Options, router};
use podlab_wasm::{Engine, EngineOptions};
use podlab_world::Images;
use serde_json::{Value, json};

use crate::client::{Answer, Server};

const PLAN: &str = "title: { en: T, ja: T }\nsections:\n  - { name: one, kind: break, title: { en: A, ja: A }, minutes: 5 }\n  - name: two\n    kind: question\n    title: { en: B, ja: B }\n    minutes: 5\n    question: { ask: { en: C, ja: C }, answers: [{ en: D, ja: D }, { en: E, ja: E }], right: 2, why: { en: because, ja: because } }\n    notes: { en: secret notes, ja: secret notes }\n";

/// What learners can reach without a seat; everything else wants one. Whoever opens a further
/// route to strangers has to say so here.
const OPEN: [&str; 6] = [
    "/healthz",
    "/api/workshop",
    "/api/workshop/join",
    "/api/workshop/return",
    "/api/workshop/instructor",
    "/api/workshop/leave",
];
/// What every learner may use, since it belongs to nobody or concerns only them.
const SHARED: [&str; 16] = [
    "/api/openapi.json",
    "/api/patterns",
    "/api/patterns/{name}",
    "/api/patterns/{name}/exercises",
    "/api/patterns/{name}/exercises/{slug}",
    "/api/patterns/{name}/exercises/{slug}/lint",
    "/api/patterns/{name}/exercises/{slug}/world",
    "/api/patterns/{name}/exercises/{slug}/check",
    "/api/worlds",
    "/api/workshop/me",
    "/api/workshop/home",
    "/api/workshop/hand",
    "/api/workshop/answer",
    "/api/workshop/hints",
    "/api/workshop/invite",
    "/api/workshop/kubeconfig",
];

pub(crate) struct Room {
    pub server: Server,
    pub workshop: Arc<Workshop>,
}

/// Somebody's browser.
#[derive(Clone)]
pub(crate) struct Browser {
    pub cookie: String,
    pub from: SocketAddr,
}

pub(crate) fn browser(last: u8) -> Browser {
    Browser { cookie: String::new(), from: SocketAddr::from(([192, 168, 0, last], 5000)) }
}

pub(crate) fn room(dir: Option<&Path>, learners: usize) -> Room {
    room_with(dir, learners, Limits::default(), Catalogue::default())
}

pub(crate) fn room_with(
    dir: Option<&Path>,
    learners: usize,
    limits: Limits,
    catalogue: Catalogue,
) -> Room {
    let plan = Plan::read("plan.yaml", PLAN).unwrap();
    let address = "http://192.168.0.2:7878".into();
    let rules = Rules { learners, plan, address, certificate: None };
    let workshop = Arc::new(Workshop::open(dir, rules).unwrap());
    let options = Options {
        limits,
        threads: 2,
        state: dir.map(Path::to_path_buf),
        workshop: Some(workshop.clone()),
        ..Options::default()
    };
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let page = Assets::new([("index.html".to_owned(), "<!doctype html>".as_bytes().into())]);
    let app = App::new(engine, Images::new(), catalogue, page, options);
    Room { server: Server { router: router(app.clone()), app }, workshop }
}

impl Room {
    pub async fn call(
        &self,
        by: &Browser,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.to_uppercase().as_bytes()).unwrap())
            .uri(path)
            .header("host", "127.0.0.1:7878");
        if !by.cookie.is_empty() {
            request = request.header("cookie", format!("other=1; {}", by.cookie));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or(Body::empty(), |b| Body::from(b.to_string()));
        let mut request = request.body(body).unwrap();
        request.extensions_mut().insert(ConnectInfo(by.from));
        self.server.send(request).await
    }

    pub async fn get(&self, by: &Browser, path: &str) -> Answer {
        self.call(by, "GET", path, None).await
    }

    pub async fn post(&self, by: &Browser, path: &str, body: Value) -> Answer {
        self.call(by, "POST", path, Some(body)).await
    }

    /// Joins; the browser that has the seat, and what was told.
    pub async fn join(&self, last: u8, name: &str) -> (Browser, Value) {
        let body = json!({ "code": self.workshop.code(), "name": name });
        let answer = self.post(&browser(last), "/api/workshop/join", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        (with_cookie(&browser(last), &answer), answer.json())
    }

    pub async fn instructor(&self) -> Browser {
        let body = json!({ "secret": self.workshop.secret() });
        let answer = self.post(&browser(250), "/api/workshop/instructor", body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        with_cookie(&browser(250), &answer)
    }
}

pub(crate) fn with_cookie(by: &Browser, answer: &Answer) -> Browser {
    let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    Browser { cookie: set.split(';').next().unwrap().to_owned(), ..by.clone() }
}

/// Every route of the server, with a world and a seat put into it.
pub(crate) fn every_route(world: &str, seat: u64) -> Vec<(String, String, String)> {
    let described = document();
    let mut out = Vec::new();
    for (template, methods) in described["paths"].as_object().unwrap() {
        let path = template
            .replace("{id}", world)
            .replace("{seat}", &seat.to_string())
            .replace("{capability}", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
            .replace("{target}", "web:80")
            .replace("{path}", "api/v1/pods")
            .replace("{name}", "x")
            .replace("{slug}", "x")
            .replace("{format}", "jsonl");
        assert!(!path.contains('{'), "{path}: say what stands there");
        for method in methods.as_object().unwrap().keys() {
            out.push((template.clone(), method.clone(), path.clone()));
        }
    }
    assert!(out.len() > 60, "the description lists only {}", out.len());
    out
}

#[tokio::test]
async fn every_route_wants_a_seat_and_a_world_its_own() {
    let room = room(None, 10);
    let (anna, annas) = room.join(1, "Anna").await;
    let (ben, _) = room.join(2, "Ben").await;
    let world = annas["world"].as_str().unwrap().to_owned();
    let map = json!({ "metadata": { "name": "mine" } });
    let maps = format!("/api/worlds/{world}/kube/api/v1/namespaces/default/configmaps");
    assert_eq!(room.post(&anna, &maps, map).await.status, StatusCode::CREATED);
    let inputs = async || {
        let trace = room.get(&anna, &format!("/api/worlds/{world}/trace?limit=10000")).await;
        assert_eq!(trace.status, StatusCode::OK);
        trace.text.lines().filter(|l| l.contains("\"input\"")).count()
    };
    let before = inputs().await;
    assert!(before > 0, "Anna's own change is there");
    let forged = Browser { cookie: "podlab-workshop=AAAA".into(), ..browser(3) };
    for (template, method, path) in every_route(&world, 1) {
        let route = format!("{method} {template}");
        for stranger in [&browser(3), &forged] {
            let answer = room.call(stranger, &method, &path, Some(json!({}))).await;
            if OPEN.contains(&template.as_str()) {
                assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{route}");
            } else {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{route}: {}", answer.text);
            }
            assert!(!answer.text.contains("Anna"), "{route}");
        }
        if OPEN.contains(&template.as_str()) || SHARED.contains(&template.as_str()) {
            continue;
        }
        let answer = room.call(&ben, &method, &path, Some(json!({}))).await;
        if template.starts_with("/api/worlds/{id}") {
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{route}: {}", answer.text);
            // Not even that there is such a world: the same as for one that never was.
            let other = path.replace(&world, "w999");
            let none = room.call(&ben, &method, &other, Some(json!({}))).await;
            assert_eq!(answer.text.replace(&world, "w999"), none.text, "{route}");
        } else if (template.as_str(), method.as_str()) != ("/api/images", "get") {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{route}: {}", answer.text);
        }
        assert!(!answer.text.contains("Anna"), "{route}");
    }
    assert_eq!(inputs().await, before, "nobody else has changed anything");
    let theirs = room.get(&ben, "/api/worlds").await.json();
    let ids: Vec<&str> =
        theirs["worlds"].as_array().unwrap().iter().filter_map(|w| w["id"].as_str()).collect();
    assert_eq!(ids, ["w2"]);
    // Writings of the same id that the router would take for it.
    for path in ["/api/worlds/%77%31", "/api/worlds/w01", "/api/worlds/w1%2Ftrace"] {
        assert_eq!(room.get(&ben, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let instructor = room.instructor().await;
    for path in ["/api/workshop/board", "/api/workshop/results", "/metrics", "/api/worlds/w1"] {
        assert_eq!(room.get(&instructor, path).await.status, StatusCode::OK, "{path}");
        assert_ne!(room.get(&ben, path).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn what_a_world_has_issued_opens_that_world_and_no_other() {
    let room = room(None, 10);
    let (anna, _) = room.join(1, "Anna").await;
    let (_, bens) = room.join(2, "Ben").await;
    let issue = json!({ "name": "helper", "namespace": "team", "role": "view" });
    let issued = room.post(&anna, "/api/worlds/w1/identities", issue).await;
    assert_eq!(issued.status, StatusCode::CREATED, "{}", issued.text);
    let path = issued.json()["path"].as_str().unwrap().to_owned();
    let kubectl = browser(9);
    assert_eq!(room.get(&kubectl, &format!("{path}/version")).await.status, StatusCode::OK);
    let other = path.replace("/w1/", &format!("/{}/", bens["world"].as_str().unwrap()));
    let refused = room.get(&kubectl, &format!("{other}/version")).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn guesses_are_counted_and_then_not_even_compared() {
    let room = room(None, 10);
    let guess = json!({ "code": "AAAAAA", "name": "Eve" });
    let mut refused = Vec::new();
    for _ in 0..12 {
        refused.push(room.post(&browser(66), "/api/workshop/join", guess.clone()).await.status);
    }
    assert_eq!(refused[..10], [StatusCode::FORBIDDEN; 10]);
    assert_eq!(refused[10..], [StatusCode::TOO_MANY_REQUESTS; 2]);
    // The right code, word and secret are refused alike from there.
    let right = json!({ "code": room.workshop.code(), "name": "Eve" });
    let secret = json!({ "secret": room.workshop.secret() });
    for (path, body) in [
        ("/api/workshop/join", right),
        ("/api/workshop/instructor", secret),
        ("/api/workshop/return", json!({ "name": "Eve", "word": "x" })),
    ] {
        let answer = room.post(&browser(66), path, body).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{path}: {}", answer.text);
    }
    room.join(1, "Anna").await;
}

#[tokio::test]
async fn a_seat_is_taken_once_and_the_room_is_finite() {
    let room = room(None, 2);
    let (_, annas) = room.join(1, "Anna").await;
    let code = room.workshop.code();
    let join = |name: &str| json!({ "code": code.to_lowercase(), "name": name });
    let again = room.post(&browser(2), "/api/workshop/join", join(" anna ")).await;
    assert_eq!((again.status, again.reason().as_str()), (StatusCode::CONFLICT, "NameTaken"));
    for bad in ["", "   ", "\u{202e}", &"x".repeat(41)] {
        let answer = room.post(&browser(2), "/api/workshop/join", join(bad)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad:?}");
    }
    room.join(2, "Ben").await;
    // Whoever comes then waits, and is told so.
    let third = room.post(&browser(3), "/api/workshop/join", join("Cem")).await;
    assert_eq!((third.status, &third.json()["waiting"]), (StatusCode::ACCEPTED, &json!(true)));
    let cem = with_cookie(&browser(3), &third);
    // Another browser, with name and word.
    let word = annas["word"].as_str().unwrap().to_uppercase();
    let wrong = json!({ "name": "Ben", "word": word });
    let refused = room.post(&browser(4), "/api/workshop/return", wrong).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let back = json!({ "name": "anna", "word": word });
    let back = room.post(&browser(4), "/api/workshop/return", back).await;
    assert_eq!(back.json()["world"], annas["world"]);
    let there = with_cookie(&browser(4), &back);
    let world = format!("/api/worlds/{}", annas["world"].as_str().unwrap());
    assert_eq!(room.get(&there, &world).await.status, StatusCode::OK);
    // The instructor frees the seat: its browsers are strangers again.
    let instructor = room.instructor().await;
    let freed = room.call(&instructor, "DELETE", "/api/workshop/seats/1", None).await;
    assert_eq!(freed.status, StatusCode::NO_CONTENT);
    assert_eq!(room.get(&there, &world).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(room.get(&instructor, &world).await.status, StatusCode::NOT_FOUND);
    let seated = room.call(&cem, "POST", "/api/workshop/seat", None).await;
    assert_eq!(seated.status, StatusCode::CREATED, "{}", seated.text);
}

#[tokio::test]
async fn a_learner_has_a_share_of_worlds_and_keeps_the_first() {
    let room = room(None, 2);
    let (anna, _) = room.join(1, "Anna").await;
    for _ in 0..6 {
        let made = room.post(&anna, "/api/worlds", json!({})).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    }
    let worlds = room.get(&anna, "/api/worlds").await.json();
    let ids: Vec<&str> =
        worlds["worlds"].as_array().unwrap().iter().filter_map(|w| w["id"].as_str()).collect();
    assert_eq!(ids, ["w1", "w5", "w6", "w7"]);
    // A world in which only checks ran ends before those that are older.
    room.workshop.passing(7);
    let fork = room.post(&anna, "/api/worlds/w7/time", json!({ "fork": "0s" })).await;
    assert_eq!(fork.status, StatusCode::CREATED, "{}", fork.text);
    assert_eq!(fork.json()["world"]["id"], "w8");
    for (id, there) in
        [("w5", StatusCode::OK), ("w7", StatusCode::NOT_FOUND), ("w8", StatusCode::OK)]
    {
        assert_eq!(room.get(&anna, &format!("/api/worlds/{id}")).await.status, there, "{id}");
    }
}

#[tokio::test]
async fn the_instructor_leads_and_learners_follow() {
    let room = room(None, 5);
    let (anna, _) = room.join(1, "Anna").await;
    let (ben, _) = room.join(2, "Ben").await;
    let instructor = room.instructor().await;
    let me = async |by: &Browser| room.get(by, "/api/workshop/me").await.json();
    let lead = async |body: Value| {
        let answer = room.post(&instructor, "/api/workshop/board", body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    };
    assert_eq!(me(&anna).await["section"]["name"], "one");
    lead(json!({ "section": 2 })).await;
    let seen = me(&anna).await;
    assert_eq!((&seen["section"]["name"], &seen["section"]["number"]), (&json!("two"), &json!(2)));
    assert_eq!(seen["section"]["question"]["right"], Value::Null, "what is right is not told yet");
    assert!(!seen.to_string().contains("notes") && !seen.to_string().contains("because"));
    for (who, answer) in [(&anna, 2), (&ben, 1)] {
        let body = json!({ "section": "two", "answer": answer });
        assert_eq!(room.post(who, "/api/workshop/answer", body).await.status, StatusCode::OK);
    }
    let bad = json!({ "section": "two", "answer": 3 });
    assert_eq!(room.post(&ben, "/api/workshop/answer", bad).await.status, StatusCode::BAD_REQUEST);
    room.post(&ben, "/api/workshop/hand", json!({ "raised": true })).await;
    let board = room.get(&instructor, "/api/workshop/board").await.json();
    assert_eq!(board["section"]["question"]["counts"], json!([1, 1]));
    assert_eq!(board["section"]["notes"]["en"], "secret notes");
    let hands: Vec<&Value> =
        board["seats"].as_array().unwrap().iter().map(|s| &s["hand"]).collect();
    assert_eq!(hands, [false, true]);
    lead(json!({ "reveal": true })).await;
    assert_eq!(me(&ben).await["section"]["question"]["counts"], json!([1, 1]));
    let late = json!({ "section": "two", "answer": 2 });
    assert_eq!(room.post(&ben, "/api/workshop/answer", late).await.status, StatusCode::CONFLICT);

    lead(json!({ "paused": true })).await;
    let speed = async |by: &Browser, id: &str| {
        room.get(by, &format!("/api/worlds/{id}")).await.json()["speed"].clone()
    };
    assert_eq!((speed(&anna, "w1").await, speed(&ben, "w2").await), (json!(0), json!(0)));
    let go = room.post(&anna, "/api/worlds/w1/time", json!({ "speed": 1 })).await;
    assert_eq!(go.status, StatusCode::CONFLICT);
    let made = room.post(&anna, "/api/worlds", json!({ "speed": 10 })).await.json();
    assert_eq!(made["speed"], 0);
    lead(json!({ "paused": false })).await;
    assert_eq!(speed(&anna, "w1").await, json!(1.0));
    assert_eq!(speed(&anna, made["id"].as_str().unwrap()).await, json!(10.0));

    // A page that waits hears of a message at once.
    let version = me(&anna).await["version"].as_u64().unwrap();
    let path = format!("/api/workshop/me?after={version}");
    let (heard, ()) = tokio::join!(room.get(&anna, &path), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        lead(json!({ "message": "look here" })).await;
    });
    assert_eq!(heard.json()["message"]["text"], "look here");
    let csv = room.get(&instructor, "/api/workshop/results?format=csv&names=0").await.text;
    assert_eq!(
        csv,
        "seat,name,section,kind,solved,failedAttempts,hints,seconds,answer,right\r\n1,,two,question,,0,0,,2,true\r\n2,,two,question,,0,0,,1,false\r\n"
    );
}

#[tokio::test]
async fn parked_worlds_and_worlds_of_a_server_that_died_come_back() {
    let dir = std::env::temp_dir().join(format!("podlab-workshop-{}", std::process::id()));
    let map = "/kube/api/v1/namespaces/default/configmaps";
    let (code, anna, word) = {
        let room = room(Some(&dir), 5);
        let (anna, annas) = room.join(1, "Anna").await;
        let made = room
            .post(&anna, &format!("/api/worlds/w1{map}"), json!({ "metadata": { "name": "mine" } }))
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        // Nobody looks at it: it is put to disk, and comes back when somebody does.
        assert_eq!(room.server.app.park(Duration::ZERO), 1);
        assert!(room.server.app.worlds().is_empty());
        let back = room.get(&anna, &format!("/api/worlds/w1{map}/mine")).await;
        assert_eq!(back.status, StatusCode::OK, "{}", back.text);
        // What is done next is on disk after a second at most, however the server ends.
        let made = room
            .post(&anna, &format!("/api/worlds/w1{map}"), json!({ "metadata": { "name": "late" } }))
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        (room.workshop.code(), anna, annas["word"].as_str().unwrap().to_owned())
    };
    let room = room(Some(&dir), 5);
    assert_eq!(room.workshop.code(), code);
    for name in ["mine", "late"] {
        let there = room.get(&anna, &format!("/api/worlds/w1{map}/{name}")).await;
        assert_eq!(there.status, StatusCode::OK, "{}", there.text);
    }
    let back = json!({ "name": "Anna", "word": word });
    let back = room.post(&browser(7), "/api/workshop/return", back).await;
    assert_eq!(back.json()["world"], "w1", "{}", back.text);
    // New worlds take new names.
    assert_eq!(room.join(2, "Ben").await.1["world"], "w2");
    // Nobody who reads the folder finds a capability or a word in it.
    let register = std::fs::read_to_string(dir.join("register.json")).unwrap();
    let capability = anna.cookie.split('=').nth(1).unwrap();
    assert!(!register.contains(capability) && !register.contains(&word));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn without_a_workshop_nothing_is_asked_for() {
    let server = crate::client::server();
    let about = server.get("/api/workshop").await.json();
    assert_eq!(about, json!({ "workshop": false, "role": "owner", "title": null }));
    let me = server.get("/api/workshop/me").await;
    assert_eq!(me.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get("/metrics").await.status, StatusCode::OK);
}
