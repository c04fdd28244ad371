//! What an adapter says is what others can read: a strict reader of ours, a parser that others
//! wrote, and promtool where there is one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use podlab_guest::args::Spec;
use podlab_guest::exposition;
use podlab_guest::runtime::{Flag, block_on};

fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start<F: Future<Output = Result<(), String>> + 'static>(
    spec: &'static Spec,
    run: fn(podlab_guest::args::Args, Flag) -> F,
    words: Vec<String>,
    port: u16,
) {
    std::thread::spawn(move || {
        let args = spec.parse(&words, |_| None).unwrap();
        block_on(async move { run(args, Flag::default()).await }).unwrap();
    });
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An adapter with this configuration: its port, and its file.
fn adapter(name: &str, config: &str) -> (u16, std::path::PathBuf) {
    let port = free();
    let file = std::env::temp_dir().join(format!("metrics-adapter-{}-{name}", std::process::id()));
    std::fs::write(&file, config).unwrap();
    let words = vec![
        format!("--listen=127.0.0.1:{port}"),
        format!("--config={}", file.display()),
        "--refresh=20ms".to_owned(),
    ];
    start(&metrics_adapter::SPEC, metrics_adapter::run, words, port);
    (port, file)
}

fn get(port: u16, accept: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut out = String::new();
    socket.read_to_string(&mut out).unwrap();
    out.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn wait_for(port: u16, line: &str) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !get(port, "").contains(line) {
        assert!(Instant::now() < deadline, "{line:?} never came:\n{}", get(port, ""));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The text, after everybody has read it.
fn checked(port: u16) -> String {
    let text = get(port, "text/plain");
    exposition::parse(&text, false).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let open = get(port, "application/openmetrics-text; version=1.0.0");
    exposition::parse(&open, true).unwrap_or_else(|e| panic!("{e}\n{open}"));
    let scrape = prometheus_parse::Scrape::parse(text.lines().map(|l| Ok(l.to_owned()))).unwrap();
    assert!(!scrape.samples.is_empty());
    let tool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn();
    if let Ok(mut tool) = tool {
        tool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let status = tool.wait().unwrap();
        assert!(status.success(), "promtool says {status}\n{text}");
    }
    text
}

#[test]
fn a_redis() {
    let redis = free();
    let none = ["--memcached=-", "--admin=-"].map(str::to_owned);
    let words = none.into_iter().chain([format!("--redis=127.0.0.1:{redis}")]).collect();
    start(&cache::SPEC, cache::run, words, redis);
    let (port, _) = adapter(
        "redis",
        &format!(
            "source redis 127.0.0.1:{redis}\n\
             counter app_requests_total total_commands_processed Commands.\n\
             gauge app_keys{{db=\"0\"}} db0.keys Keys.\n\
             gauge app_memory_bytes used_memory Memory.\n\
             gauge app_nothing no_such_figure Nothing.\n"
        ),
    );
    let text = checked(port);
    assert!(text.contains("app_keys{db=\"0\"} 0\n") && text.contains("adapter_up 1\n"), "{text}");
    assert!(!text.contains("app_nothing"), "{text}");
}

/// A server that answers every request with this body.
fn server(body: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let _asked = socket.read(&mut [0; 4096]);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _gone = socket.write_all(format!("{head}{body}").as_bytes());
        }
    });
    port
}

#[test]
fn a_json_and_its_next_version() {
    let first = server(r#"{"requests": 7, "queue": {"length": 2}, "uptime_ms": 1500}"#);
    let second = server(r#"{"counters": [{"name": "requests", "value": 8}], "uptimeSeconds": 2}"#);
    let metric = "counter app_requests_total";
    let (port, file) = adapter(
        "json",
        &format!(
            "source json http://127.0.0.1:{first}/status\n{metric} requests R.\n\
             gauge app_uptime_seconds uptime_ms*0.001 Age.\n"
        ),
    );
    let text = checked(port);
    assert!(text.contains("app_requests_total 7\n") && text.contains("seconds 1.5\n"), "{text}");
    let config = format!(
        "source json http://127.0.0.1:{second}/status\n{metric} counters[name=requests].value R.\n"
    );
    std::fs::write(&file, config).unwrap();
    wait_for(port, "app_requests_total 8\n");
    // A file that is none changes nothing.
    std::fs::write(&file, "source nonsense").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(checked(port).contains("app_requests_total 8\n"));
}

#[test]
fn garbage_is_said_to_be_garbage() {
    let bodies = ["", "{", "[1]", "\u{0}\u{1}", "{\"requests\": -5}", "{\"requests\": \"x\"}"];
    for (n, body) in bodies.into_iter().enumerate() {
        let source = server(body);
        let (port, _) = adapter(
            &format!("garbage-{n}"),
            &format!("source json http://127.0.0.1:{source}/\ncounter a_total requests R.\n"),
        );
        assert!(!checked(port).contains("\na_total"), "{body:?}");
    }
    let (port, _) = adapter("nobody", "source redis 127.0.0.1:1\ncounter a_total a A.\n");
    assert!(checked(port).contains("adapter_up 0\n"));
}

#[test]
fn statsd_lines() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (port, _) = adapter(
        "statsd",
        &format!(
            "source statsd 127.0.0.1:{udp}\ncounter o_total o.requests Orders.\n\
             histogram o_seconds{{shop=\"a\"}} o.ms*0.001 buckets=0.01,0.1 Time.\n"
        ),
    );
    assert!(checked(port).contains("o_seconds_bucket{le=\"+Inf\",shop=\"a\"} 0\n"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..50 {
        let lines = format!("o.requests:1|c\no.ms:{n}|ms\nnonsense");
        socket.send_to(lines.as_bytes(), ("127.0.0.1", udp)).unwrap();
    }
    wait_for(port, "o_total 50\n");
    let text = checked(port);
    assert!(text.contains("o_seconds_bucket{le=\"0.01\",shop=\"a\"} 11\n"), "{text}");
    assert!(text.contains("o_seconds_count{shop=\"a\"} 50\n"), "{text}");
    assert!(text.contains("adapter_bad_lines_total 50\n"), "{text}");
}
