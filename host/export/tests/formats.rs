//! One small conversation, in every format.

use std::net::SocketAddr;

use bytes::Bytes;
use podlab_export::behaviour::{Behaviour, table};
use podlab_export::har::Har;
use podlab_export::lanes::Lanes;
use podlab_export::otlp::Otlp;
use podlab_export::pcapng::Pcapng;
use podlab_trace::{Dir, Event, Kind, Trace};

/// 2026-11-21T04:59:38Z.
const EPOCH: u64 = 1_795_237_178_000_000_000;
const MS: u64 = 1_000_000;

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The client asks the front, which asks the back, which fails; and a connection nobody takes.
fn conversation() -> Vec<Event> {
    let trace = Trace::default();
    let client = trace.place(0, "node-1", "default", "client", "load");
    let front = trace.place(0, "node-1", "default", "front", "web");
    let back = trace.place(0, "node-2", "default", "back", "app");
    let ask = |at: u64, conn: u64, from: u32, to: u32, port: u16, via: &str| {
        let near = addr(&format!("10.0.0.{from}:{port}"));
        let far = addr("10.96.0.9:80");
        let target = addr(&format!("10.0.0.{to}:8080"));
        let connect =
            Kind::Connect { conn, from: near, to: far, target, via: via.into(), peer: to };
        trace.emit(at, from, connect);
        trace.emit(at + MS, to, Kind::Accept { conn });
    };
    let say = |at: u64, place: u32, conn: u64, dir: Dir, offset: u64, bytes: &str| {
        let payload = Bytes::from(bytes.to_owned());
        let len = bytes.len() as u32;
        let data = Kind::Data { conn, dir, offset, len, payload, arrives: at + MS, retries: 0 };
        trace.emit(at, place, data);
        let (head, body) = bytes.split_once("\r\n\r\n").expect("a head");
        let first = head.lines().next().expect("a first line");
        let mut words = first.splitn(3, ' ');
        let (a, b, c) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let summary = if a.starts_with("HTTP") { format!("{b} {c}") } else { format!("{a} {b}") };
        let answers = match dir {
            Dir::ToServer => 0,
            Dir::ToClient => {
                let all = trace.read(1, 1000);
                let request = all.iter().rev().find(|e| {
                    matches!(&e.kind, Kind::Message { conn: c, dir: Dir::ToServer, .. } if *c == conn)
                });
                request.expect("a request").seq
            }
        };
        trace.emit(
            at,
            place,
            Kind::Message {
                conn,
                dir,
                exchange: 1,
                protocol: "http/1.1".into(),
                summary,
                head: head.into(),
                body_len: body.len() as u64,
                body: Bytes::from(body.to_owned()),
                began: at,
                arrives: at + MS,
                answers,
                malformed: false,
            },
        )
    };
    ask(10 * MS, 1, client, front, 40_000, "default/front:80");
    let first =
        say(12 * MS, client, 1, Dir::ToServer, 0, "GET /a?b=c HTTP/1.1\r\nHost: front\r\n\r\n");
    trace.took(front, first);
    ask(14 * MS, 2, front, back, 40_001, "");
    let second = say(
        16 * MS,
        front,
        2,
        Dir::ToServer,
        0,
        "POST /do HTTP/1.1\r\nHost: back\r\nContent-Length: 2\r\n\r\nhi",
    );
    trace.took(back, second);
    let third =
        say(20 * MS, back, 2, Dir::ToClient, 0, "HTTP/1.1 500 Oh No\r\nContent-Length: 0\r\n\r\n");
    trace.took(front, third);
    say(
        25 * MS,
        front,
        1,
        Dir::ToClient,
        0,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    );
    for (conn, near, far) in [(1, client, front), (2, front, back)] {
        let at = (27 + 2 * conn) * MS;
        trace.emit(at, near, Kind::Shut { conn, dir: Dir::ToServer });
        trace.emit(at + MS, far, Kind::Shut { conn, dir: Dir::ToClient });
        trace.emit(at + MS, far, Kind::Close { conn });
    }
    let from = addr("10.0.0.1:40002");
    let to = addr("10.0.0.3:9999");
    let connect = Kind::Connect { conn: 3, from, to, target: to, via: String::new(), peer: back };
    trace.emit(33 * MS, client, connect);
    trace.emit(34 * MS, client, Kind::Refuse { conn: 3, reason: "refused".into() });
    trace.emit(
        40 * MS,
        back,
        Kind::Exit { run: 0, code: 137, reason: "Error".into(), message: String::new() },
    );
    trace.read(1, 1000)
}

#[test]
fn har_has_every_request_with_times_headers_and_bodies() {
    let mut har = Har::new(EPOCH);
    for event in conversation() {
        har.take(&event, true);
    }
    let har = har.finish();
    let entries = har["log"]["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), 2);
    let first = &entries[0];
    assert_eq!(first["startedDateTime"], "2026-11-21T04:59:38.012000Z");
    assert_eq!(first["request"]["url"], "http://front/a?b=c");
    assert_eq!(first["request"]["queryString"][0]["value"], "c");
    assert_eq!(first["response"]["status"], 200);
    assert_eq!(first["response"]["content"]["text"], "hello");
    assert_eq!(first["timings"], serde_json::json!({"send": 1.0, "wait": 12.0, "receive": 1.0}));
    assert_eq!(first["time"], 14.0);
    assert_eq!(first["serverIPAddress"], "10.0.0.2");
    assert_eq!(first["comment"], "through Service default/front:80");
    assert_eq!(entries[1]["request"]["postData"]["text"], "hi");
    assert_eq!(entries[1]["response"]["statusText"], "Oh No");
}

#[test]
fn spans_follow_a_request_through_programs_that_know_nothing_of_it() {
    let mut otlp = Otlp::new(EPOCH);
    for event in conversation() {
        otlp.take(&event, true);
    }
    let otlp = otlp.finish();
    let mut spans = Vec::new();
    for resource in otlp["resourceSpans"].as_array().expect("resources") {
        let service = &resource["resource"]["attributes"][0]["value"]["stringValue"];
        for span in resource["scopeSpans"][0]["spans"].as_array().expect("spans") {
            spans.push((service.as_str().expect("a name").to_owned(), span.clone()));
        }
    }
    assert_eq!(spans.len(), 4);
    let find = |service: &str, kind: u64| {
        let found = spans.iter().find(|(s, span)| s == service && span["kind"] == kind);
        found.expect("a span").1.clone()
    };
    let (asks, serves) = (find("client/load", 3), find("front/web", 2));
    let (calls, answers) = (find("front/web", 3), find("back/app", 2));
    assert_eq!(asks["parentSpanId"], serde_json::Value::Null);
    assert_eq!(serves["parentSpanId"], asks["spanId"]);
    assert_eq!(calls["parentSpanId"], serves["spanId"]);
    assert_eq!(answers["parentSpanId"], calls["spanId"]);
    for span in [&serves, &calls, &answers] {
        assert_eq!(span["traceId"], asks["traceId"]);
    }
    assert_eq!(calls["status"]["code"], 2, "a 500 is an error");
    assert_eq!(asks["startTimeUnixNano"], (EPOCH + 12 * MS).to_string());
    assert_eq!(asks["endTimeUnixNano"], (EPOCH + 26 * MS).to_string());
}

#[test]
fn lanes_draw_messages_between_columns() {
    let mut lanes = Lanes::new();
    for event in conversation() {
        lanes.take(&event, true);
    }
    let want = [
        "                    client/load      front/web        back/app",
        "    0.012000000s          o-------------->|               |         GET /a?b=c",
        "    0.016000000s          |               o-------------->|         POST /do",
        "    0.020000000s          |               |<--------------o         500 Oh No",
        "    0.025000000s          |<--------------o               |         200 OK",
        "    0.034000000s          o------------------------------x|         #3 refused",
        "    0.040000000s          |               |               X         exit 137 Error",
        "",
    ];
    assert_eq!(lanes.finish(), want.join("\n"));
}

#[test]
fn numbers_tell_two_runs_apart() {
    let count = |events: &[Event]| {
        let mut behaviour = Behaviour::default();
        for event in events {
            behaviour.take(event);
        }
        behaviour.finish()
    };
    let all = conversation();
    let before = count(&all);
    assert_eq!(before.0["client/load -> Service default/front:80: p99 ms"], 14.0);
    assert_eq!(before.0["front/web -> back/app: errors"], 1.0);
    assert_eq!(before.0["client/load: refused connections"], 1.0);
    assert_eq!(before.0["back/app: failed ends"], 1.0);
    assert_eq!(before.changes(&before), []);
    let after = count(&all[..all.len() - 1]);
    let changes = before.changes(&after);
    let names: Vec<&str> = changes.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["back/app: failed ends", "events", "virtual seconds"]);
    assert!(table(&changes).contains("back/app: failed ends             1 ->            0"));
}

/// The blocks of a file: type and body.
fn blocks(file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut out = Vec::new();
    let mut rest = file;
    let number = |b: &[u8]| u32::from_le_bytes(b[..4].try_into().expect("four bytes"));
    while !rest.is_empty() {
        let (kind, length) = (number(rest), number(&rest[4..]) as usize);
        assert_eq!(length % 4, 0);
        assert_eq!(number(&rest[length - 4..]) as usize, length, "the length stands twice");
        out.push((kind, rest[8..length - 4].to_vec()));
        rest = &rest[length..];
    }
    out
}

#[test]
fn packets_have_an_interface_for_each_pod_and_whole_conversations() {
    let mut file = Pcapng::new(Vec::new(), EPOCH).expect("memory");
    for event in conversation() {
        file.take(&event, true).expect("memory");
    }
    let packets = file.packets();
    let file = file.finish().expect("memory");
    let blocks = blocks(&file);
    assert_eq!(blocks[0].0, 0x0A0D_0D0A);
    assert_eq!(blocks.iter().filter(|(kind, _)| *kind == 1).count(), 3, "interfaces");
    // Twice: handshake 3, data 2, ends 4; and a connect with its refusal.
    assert_eq!(packets, 2 * 9 + 2);
    assert_eq!(blocks.iter().filter(|(kind, _)| *kind == 6).count() as u64, packets);
}

#[test]
fn what_is_not_wanted_is_not_there_but_counts() {
    let events = conversation();
    let mut file = Pcapng::new(Vec::new(), EPOCH).expect("memory");
    for event in &events {
        let answer = matches!(&event.kind, Kind::Data { conn: 1, dir: Dir::ToClient, .. });
        file.take(event, answer).expect("memory");
    }
    // The answer alone, after the handshake that its stream needs.
    assert_eq!(file.packets(), 3);
    let bytes = file.finish().expect("memory");
    let last = blocks(&bytes).into_iter().rfind(|(kind, _)| *kind == 6).expect("a packet").1;
    let tcp = &last[20 + 20..];
    let number = |b: &[u8]| u32::from_be_bytes(b[..4].try_into().expect("four bytes"));
    assert_eq!(number(&tcp[4..]), 1, "sequence number");
    assert_eq!(number(&tcp[8..]), 1 + 36, "it acknowledges the request that is left out");
}
