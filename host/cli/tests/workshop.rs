//! `podlab workshop` as it runs in a room: killed without warning, it comes back with seats and
//! worlds.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests of a command")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A server, and what it printed.
struct Room {
    child: Child,
    address: String,
    code: String,
    secret: String,
}

impl Drop for Room {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(state: &Path, more: &[&str]) -> Room {
    started(Command::new(env!("CARGO_BIN_EXE_podlab")), state, more)
}

/// Starts a room by a command that takes the arguments of podlab.
fn started(mut command: Command, state: &Path, more: &[&str]) -> Room {
    let mut child = command
        .args(["workshop", "--port", "0", "--state"])
        .arg(state)
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut after = |start: &str| loop {
        let line = lines.next().unwrap_or_else(|| panic!("no line {start:?}")).unwrap();
        if let Some(rest) = line.trim_start().strip_prefix(start) {
            return rest.trim().to_owned();
        }
    };
    let address = after("Learners open   http://");
    let code = after("and type        ");
    let link = after("http://");
    let secret = link.split_once("key=").unwrap().1.to_owned();
    // What is printed later is of no interest, but must go somewhere.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Room { child, address, code, secret }
}

impl Room {
    /// Status, the cookie that was set, and the body.
    fn call(&self, method: &str, path: &str, cookie: &str, body: Value) -> (u16, String, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let cookie =
            if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{cookie}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let set = head.lines().find_map(|l| l.strip_prefix("set-cookie: ")).unwrap_or_default();
        let cookie = set.split(';').next().unwrap_or_default().to_owned();
        (status, cookie, serde_json::from_str(body).unwrap_or_default())
    }
}

#[test]
fn a_room_that_is_killed_comes_back_as_it_was() {
    let place = tempfile::tempdir().unwrap();
    let maps = "/api/worlds/w1/kube/api/v1/namespaces/default/configmaps";
    let first = start(place.path(), &[]);
    let began = Instant::now();
    let join = json!({ "code": first.code, "name": "Anna" });
    let (status, cookie, joined) = first.call("POST", "/api/workshop/join", "", join);
    assert_eq!((status, &joined["world"]), (201, &json!("w1")), "{joined}");
    println!("joined after {:?}", began.elapsed());
    let made = first.call("POST", maps, &cookie, json!({ "metadata": { "name": "mine" } }));
    assert_eq!(made.0, 201, "{}", made.2);
    let (code, secret) = (first.code.clone(), first.secret.clone());
    // At most the last second is lost: what was done a second ago is there.
    std::thread::sleep(Duration::from_millis(1000));
    // On Unix this is SIGKILL.
    drop(first);

    let again = start(place.path(), &["--resume"]);
    assert_eq!((&again.code, &again.secret), (&code, &secret));
    let (status, _, me) = again.call("GET", "/api/workshop/me", &cookie, Value::Null);
    assert_eq!((status, &me["name"], &me["home"]), (200, &json!("Anna"), &json!("w1")), "{me}");
    let (status, _, mine) = again.call("GET", &format!("{maps}/mine"), &cookie, Value::Null);
    assert_eq!(status, 200, "{mine}");
    let (status, _, pods) = again.call(
        "GET",
        "/api/worlds/w1/kube/api/v1/namespaces/default/pods",
        &cookie,
        Value::Null,
    );
    assert!(status == 200 && !pods["items"].as_array().unwrap().is_empty(), "{pods}");
    let (status, _, _) = again.call("PUT", "/api/images/evil:v1", &cookie, json!("x"));
    assert_eq!(status, 403, "learners bring no images");
    let (status, board, _) =
        again.call("POST", "/api/workshop/instructor", "", json!({ "secret": secret }));
    assert_eq!(status, 200);
    let (status, _, seen) = again.call("GET", "/api/workshop/board", &board, Value::Null);
    assert_eq!((status, &seen["seats"][0]["name"]), (200, &json!("Anna")), "{seen}");
}

#[test]
fn whenever_it_is_killed_at_most_the_last_second_is_lost() {
    const MAPS: &str = "/api/worlds/w1/kube/api/v1/namespaces/default/configmaps";
    let place = tempfile::tempdir().unwrap();
    let mut room = start(place.path(), &[]);
    let join = json!({ "code": room.code, "name": "Anna" });
    let (_, cookie, _) = room.call("POST", "/api/workshop/join", "", join);
    // What was made, and when it was said to be.
    let mut made: Vec<(String, Instant)> = Vec::new();
    // Moments that are odd on purpose: in the middle of a write as well as between two.
    for (round, ms) in [1013, 1487, 1951, 2203].into_iter().enumerate() {
        let killed = Instant::now() + Duration::from_millis(ms);
        while Instant::now() < killed {
            let name = format!("map-{round}-{}", made.len());
            let body = json!({ "metadata": { "name": name } });
            let (status, _, answer) = room.call("POST", MAPS, &cookie, body);
            assert_eq!(status, 201, "{answer}");
            made.push((name, Instant::now()));
            std::thread::sleep(Duration::from_millis(40));
        }
        let at = Instant::now();
        drop(room);
        room = start(place.path(), &["--resume"]);
        let (status, _, list) = room.call("GET", MAPS, &cookie, Value::Null);
        assert_eq!(status, 200, "{list}");
        let there: Vec<&str> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|m| m["metadata"]["name"].as_str())
            .collect();
        let lost: Vec<_> =
            made.iter().filter(|(name, _)| !there.contains(&name.as_str())).collect();
        // A second, and half of one for a machine that is busy with other tests.
        let late = |(_, when): &&(String, Instant)| at - *when > Duration::from_millis(1500);
        assert!(!lost.iter().copied().any(|m| late(&m)), "round {round}: lost {lost:?} at {at:?}");
        let lost: Vec<String> = lost.into_iter().map(|(name, _)| name.clone()).collect();
        made.retain(|(name, _)| !lost.contains(name));
    }
    assert!(made.len() > 30, "{}", made.len());
}

/// A process that ignores the signal gets an error for a file that is too long, as for a disk that is
/// full.
#[cfg(unix)]
#[test]
fn a_full_disk_stops_the_recordings_and_not_the_room() {
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    // In blocks of 512 bytes.
    let script = "trap '' XFSZ; ulimit -f 160; exec \"$0\" \"$@\" 2>\"$ERRORS\"";
    let errors = place.path().join("errors");
    command.args(["-c", script, env!("CARGO_BIN_EXE_podlab")]).env("ERRORS", &errors);
    let room = started(command, place.path(), &["--log", "json"]);
    let join = json!({ "code": room.code, "name": "Anna" });
    let (status, cookie, joined) = room.call("POST", "/api/workshop/join", "", join);
    assert_eq!(status, 201, "{joined}");
    let maps = "/api/worlds/w1/kube/api/v1/namespaces/default/configmaps";
    let mut drawn = 1_u64;
    for n in 0..40 {
        // What repeats itself would be packed to nothing.
        let letter = |_| {
            drawn = drawn.wrapping_mul(6364136223846793005).wrapping_add(1);
            char::from(b'0' + (drawn >> 33) as u8 % 64)
        };
        let text: String = (0..8000).map(letter).collect();
        let body = json!({ "metadata": { "name": format!("big-{n}") }, "data": { "text": text } });
        let (status, _, answer) = room.call("POST", maps, &cookie, body);
        assert_eq!(status, 201, "{answer}");
    }
    let said = |what: &str| {
        let text = std::fs::read_to_string(&errors).unwrap();
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["message"] == what)
            .count()
    };
    let until = Instant::now() + Duration::from_secs(20);
    while said("a recording is not written any more") == 0 {
        assert!(Instant::now() < until, "{}", std::fs::read_to_string(&errors).unwrap());
        std::thread::sleep(Duration::from_millis(100));
    }
    // Everything goes on, and a newcomer has a place.
    let (status, _, list) = room.call("GET", maps, &cookie, Value::Null);
    // And the one that every namespace has.
    assert_eq!((status, list["items"].as_array().map(Vec::len)), (200, Some(40 + 1)));
    let join = json!({ "code": room.code, "name": "Bert" });
    assert_eq!(room.call("POST", "/api/workshop/join", "", join).0, 201);
    assert_eq!(said("a recording is not written any more"), 1, "it is said once for a world");
}

#[test]
fn a_room_that_never_was_cannot_go_on() {
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_podlab"))
        .args(["workshop", "--port", "0", "--resume", "--state"])
        .arg(place.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("no workshop") && text.contains("--resume"), "{text}");
}
