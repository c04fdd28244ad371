//! A Redis client that others wrote, and the HTTP API, natively; restarts; bytes nobody should send.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use podlab_guest::runtime::{Flag, block_on};

/// Starts a broker on free ports: HTTP, RESP.
fn start(more: &[&str]) -> [u16; 2] {
    let ports = [(); 2].map(|()| {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().port()
    });
    let words: Vec<String> = ["listen", "redis"]
        .iter()
        .zip(ports)
        .map(|(name, port)| format!("--{name}=127.0.0.1:{port}"))
        .chain(["--amqp=-".to_owned()])
        .chain(more.iter().map(|w| (*w).to_owned()))
        .collect();
    std::thread::spawn(move || {
        let args = queue::SPEC.parse(&words, |_| None).unwrap();
        block_on(async move { queue::run(args, Flag::default()).await }).unwrap();
    });
    while TcpStream::connect(("127.0.0.1", ports[0])).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    ports
}

/// Sends bytes, ends its half, and reads all answers.
fn raw(port: u16, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.write_all(bytes).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut out = String::new();
    socket.read_to_string(&mut out).unwrap();
    out
}

/// A POST: status, head, body.
fn post(port: u16, target: &str, key: &str, body: &str) -> (u16, String, String) {
    let key = if key.is_empty() { String::new() } else { format!("Idempotency-Key: {key}\r\n") };
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: q\r\nConnection: close\r\n{key}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    split(&raw(port, request.as_bytes()))
}

fn get(port: u16, target: &str) -> (u16, String, String) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n");
    split(&raw(port, request.as_bytes()))
}

fn split(answer: &str) -> (u16, String, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_owned(), body.to_owned())
}

fn field<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

#[test]
fn a_redis_client_hands_over_reliably_in_both_versions() {
    let [_, port] = start(&[]);
    for version in ["resp2", "resp3"] {
        let url = format!("redis://127.0.0.1:{port}/?protocol={version}");
        let open = || redis::Client::open(url.as_str()).unwrap().get_connection().unwrap();
        let run = |words: &[&str]| {
            let mut cmd = redis::cmd(words[0]);
            cmd.arg(&words[1..]);
            cmd
        };
        let (mut c, mut waiting) = (open(), open());
        // One waits, the other pushes.
        let taker = {
            let cmd = run(&["BLMOVE", "jobs", "busy", "RIGHT", "LEFT", "5"]);
            std::thread::spawn(move || cmd.query::<Option<String>>(&mut waiting).unwrap())
        };
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(run(&["LPUSH", "jobs", "a"]).query::<i64>(&mut c).unwrap(), 1);
        assert_eq!(taker.join().unwrap().as_deref(), Some("a"));
        assert_eq!(run(&["LLEN", "jobs"]).query::<i64>(&mut c).unwrap(), 0);
        let busy: Vec<String> = run(&["LRANGE", "busy", "0", "-1"]).query(&mut c).unwrap();
        assert_eq!(busy, ["a"]);
        assert_eq!(run(&["LREM", "busy", "1", "a"]).query::<i64>(&mut c).unwrap(), 1);
        let begun = Instant::now();
        let none: Option<(String, String)> = run(&["BLPOP", "jobs", "0.1"]).query(&mut c).unwrap();
        assert!(none.is_none() && begun.elapsed() >= Duration::from_millis(100));
        let (n, all): (i64, Vec<String>) = redis::pipe()
            .cmd("RPUSH")
            .arg(&["p", "1", "2"])
            .cmd("LRANGE")
            .arg(&["p", "0", "-1"])
            .query(&mut c)
            .unwrap();
        assert_eq!((n, all), (2, vec!["1".into(), "2".into()]));
        run(&["DEL", "p"]).query::<i64>(&mut c).unwrap();
    }
}

#[test]
fn who_goes_away_while_waiting_takes_nothing_along() {
    let [_, port] = start(&[]);
    let mut gone = TcpStream::connect(("127.0.0.1", port)).unwrap();
    gone.write_all(b"BLPOP q 0\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    drop(gone);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(raw(port, b"RPUSH q a\r\nLLEN q\r\n"), ":1\r\n:1\r\n");
    // What is sent while one waits is answered afterwards.
    let mut waiting = TcpStream::connect(("127.0.0.1", port)).unwrap();
    waiting.write_all(b"BLPOP x 0.1\r\nPING\r\n").unwrap();
    let mut answer = [0; 12];
    waiting.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"$-1\r\n+PONG\r\n");
}

#[test]
fn a_task_is_published_taken_kept_and_done() {
    let [port, _] = start(&["--tries=2"]);
    assert_eq!(post(port, "/queues/q", "k1", "one").0, 201);
    assert_eq!(post(port, "/queues/q", "k1", "one").0, 200);
    assert_eq!(post(port, "/queues/q?each=line", "", "two\nthree\n").2, "{\"id\":3,\"count\":2}");
    let (status, head, body) = post(port, "/queues/q/take?visibility=10s", "", "");
    assert_eq!((status, body.as_str()), (200, "one"));
    assert_eq!((field(&head, "Idempotency-Key"), field(&head, "X-Tries")), ("k1", "1"));
    let receipt = field(&head, "X-Receipt");
    assert_eq!(post(port, &format!("/queues/q/extend?receipt={receipt}"), "", "").0, 200);
    assert_eq!(post(port, &format!("/queues/q/ack?receipt={receipt}"), "", "").0, 200);
    assert_eq!(post(port, &format!("/queues/q/ack?receipt={receipt}"), "", "").0, 410);
    // The second is poison.
    for wanted in ["waiting", "dead"] {
        let (_, head, body) = post(port, "/queues/q/take", "", "");
        if body == "three" {
            continue;
        }
        let receipt = field(&head, "X-Receipt");
        let nack = format!("/queues/q/nack?receipt={receipt}&reason=no+good");
        assert_eq!(post(port, &nack, "", "").2, format!("{{\"id\":2,\"state\":\"{wanted}\"}}"));
        post(port, "/queues/q/take", "", "");
    }
    let (_, head, _) = post(port, "/queues/q/take?wait=50ms", "", "");
    assert!(head.starts_with("HTTP/1.1 2"), "{head}");
    let stats: serde_json::Value = serde_json::from_str(&get(port, "/stats").2).unwrap();
    let q = &stats["queues"]["q"];
    assert_eq!((&q["published"], &q["done"], &q["duplicates"]), (&3.into(), &1.into(), &1.into()));
    let metrics = get(port, "/metrics").2;
    podlab_guest::exposition::parse(&metrics, false).unwrap();
    assert!(metrics.contains("queue_published_total{queue=\"q\"} 3"), "{metrics}");
}

#[test]
fn what_nobody_acknowledges_comes_back_to_who_waits() {
    let [port, _] = start(&[]);
    post(port, "/queues/q", "", "a");
    assert_eq!(post(port, "/queues/q/take?visibility=200ms", "", "").0, 200);
    let begun = Instant::now();
    let (status, head, _) = post(port, "/queues/q/take?wait=5s", "", "");
    assert_eq!((status, field(&head, "X-Tries")), (200, "2"));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_full_broker_pushes_back() {
    let [port, redis] = start(&["--memory=1000"]);
    let body = "x".repeat(300);
    let statuses: Vec<u16> = (0..4).map(|_| post(port, "/queues/q", "", &body).0).collect();
    assert_eq!(statuses, [201, 201, 429, 429]);
    assert!(raw(redis, format!("LPUSH l {body}\r\n").as_bytes()).starts_with("-OOM "));
    let (_, head, _) = post(port, "/queues/q/take", "", "");
    post(port, &format!("/queues/q/ack?receipt={}", field(&head, "X-Receipt")), "", "");
    assert_eq!(post(port, "/queues/q", "", &body).0, 201);
}

#[test]
fn a_journal_outlives_the_program_even_cut_off() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("journal");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("queue.aof");
    let _none = std::fs::remove_file(&file);
    let journal = format!("--journal={}", file.display());
    let [port, redis] = start(&[&journal, "--tries=1"]);
    post(port, "/queues/q?each=line", "", "a\nb\nc");
    post(port, "/queues/q", "k", "d");
    for what in ["ack", "nack"] {
        let (_, head, _) = post(port, "/queues/q/take", "", "");
        post(port, &format!("/queues/q/{what}?receipt={}", field(&head, "X-Receipt")), "", "");
    }
    post(port, "/queues/q/take", "", "");
    raw(redis, b"RPUSH l 1 2 3\r\nLMOVE l m LEFT RIGHT\r\nLREM l 0 2\r\n");
    // The first program still runs, and writes nothing more: as if it had been killed.
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend(b"*5\r\n$3\r\nPUB\r\n$1");
    std::fs::write(&file, bytes).unwrap();
    let [port, redis] = start(&[&journal, "--tries=1"]);
    let stats = get(port, "/queues/q").2;
    assert!(stats.starts_with("{\"waiting\":2,\"taken\":0,\"dead\":1,\"published\":4"), "{stats}");
    assert!(stats.contains("\"done\":1"), "{stats}");
    assert_eq!(post(port, "/queues/q", "k", "d").0, 200, "the key is known");
    assert_eq!(post(port, "/queues/q/take", "", "").2, "c", "it had been taken, and waits again");
    assert_eq!(
        raw(redis, b"LRANGE l 0 -1\r\nLRANGE m 0 -1\r\n"),
        "*1\r\n$1\r\n3\r\n*1\r\n$1\r\n1\r\n"
    );
}

#[test]
fn a_long_journal_is_written_anew() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("long");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("queue.aof");
    let _none = std::fs::remove_file(&file);
    let [_, redis] = start(&[&format!("--journal={}", file.display())]);
    let element = "x".repeat(10_000);
    for _ in 0..60 {
        raw(redis, format!("RPUSH l {element}\r\nLPOP l\r\n").as_bytes());
    }
    let size = std::fs::metadata(&file).unwrap().len();
    assert!(size < 300_000, "{size}");
}

#[test]
fn what_nobody_should_send() {
    let [port, redis] = start(&["--patience=300ms"]);
    assert_eq!(post(port, "/queues/a%20b", "", "x").0, 400);
    assert_eq!(post(port, "/queues/q/ack?receipt=x", "", "").0, 400);
    assert_eq!(post(port, "/queues/q/ack?receipt=7", "", "").0, 410);
    assert_eq!(post(port, "/queues/q/take?visibility=0", "", "").0, 400);
    assert_eq!(post(port, "/queues/q/take?wait=1000h", "", "").0, 400);
    assert_eq!(post(port, "/queues/q?each=word", "", "x").0, 400);
    assert_eq!(post(port, "/queues/q?each=line", "", "\n\n").0, 400);
    assert_eq!(post(port, "/queues/q", &"k".repeat(300), "x").0, 400);
    assert_eq!(post(port, "/queues/q", "", &"x".repeat(300_000)).0, 413);
    assert_eq!(get(port, "/nowhere").0, 404);
    assert_eq!(get(port, "/queues/q").0, 200);
    assert_eq!(raw(redis, b"*1\r\n:1\r\n"), "-ERR Protocol error: expected '$', got ':'\r\n");
    assert_eq!(raw(redis, b"*2\r\n$5\r\nBLPOP\r\n$1"), "");
    // A key longer than any may be, and a command.
    for long in [&b"*2\r\n$4\r\nLLEN\r\n$600000\r\n"[..], b"*9999999\r\n"] {
        let answer = raw(redis, long);
        assert!(answer.starts_with("-ERR "), "{answer}");
    }
    // A request that never ends.
    let mut slow = TcpStream::connect(("127.0.0.1", redis)).unwrap();
    slow.write_all(b"*2\r\n$4\r\nLL").unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(slow.read(&mut [0; 10]).unwrap(), 0, "the broker closes");
}
