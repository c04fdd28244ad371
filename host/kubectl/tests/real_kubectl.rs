//! Every command through this crate and through real kubectl 1.32, against the same world: what
//! they print and their exit codes are compared.
//!
//! `looks.txt` runs against a world that stands still; `changes.txt` runs against two worlds of
//! the same seed, command by command.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests live on real time")]

use std::io::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use podlab_kubectl::line::words::parse;
use podlab_kubectl::{Kept, Kubectl, run};
use regex::Regex;
use serde_json::{Value, json};

mod http;
use http::Http;

struct Up {
    child: Child,
    host: String,
    home: PathBuf,
    kubectl: String,
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// `$KUBECTL_132`, `kubectl.1.32`, or `kubectl` where that is 1.32.
fn kubectl() -> Option<String> {
    let named = std::env::var("KUBECTL_132").ok();
    let candidates = named.into_iter().chain(["kubectl.1.32".into(), "kubectl".into()]);
    candidates.into_iter().find(|name| {
        let version = Command::new(name).args(["version", "--client", "-o", "json"]).output();
        version.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("\"v1.32."))
    })
}

fn up() -> Up {
    let kubectl = kubectl().expect("kubectl 1.32: set KUBECTL_132 to its path");
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let podlab = std::env::var("PODLAB")
        .unwrap_or_else(|_| root.join("target/podlab").display().to_string());
    static HOMES: AtomicU32 = AtomicU32::new(0);
    let number = HOMES.fetch_add(1, Ordering::Relaxed);
    let home = std::env::temp_dir().join(format!("podlab-kubectl-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    // It takes a free port itself: one that is looked for here may be another test's by then.
    let mut child = Command::new(podlab)
        .args(["up", "--no-open", "--pattern", "sidecar", "--speed", "20", "--port", "0"])
        .arg("--state")
        .arg(&home)
        .current_dir(&root)
        .stdout(Stdio::piped())
        .spawn()
        .expect("target/podlab: run `cargo xtask build` first");
    let host = BufReader::new(child.stdout.take().expect("it is piped"))
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("http://")?.1.split_once('/')?.0.to_owned()))
        .expect("podlab says where it is");
    let up = Up { child, host, home, kubectl };
    let began = Instant::now();
    while up.real("w1", &["version".into()], "").2 != 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "podlab did not start");
        std::thread::sleep(Duration::from_millis(100));
    }
    up
}

type Printed = (String, String, i32);

impl Up {
    fn post(&self, path: &str, body: &Value) -> Value {
        use podlab_kubectl::transport::{Body, Request, Transport as _};
        let http = Http { host: self.host.clone(), base: String::new() };
        let request = Request {
            method: "POST",
            target: path.into(),
            accept: "application/json",
            content_type: "application/json",
            body: body.to_string().into_bytes(),
        };
        match http::now(http.send(request)).unwrap().body {
            Body::Full(body) => serde_json::from_slice(&body).unwrap(),
            Body::Stream(_) => Value::Null,
        }
    }

    fn real(&self, world: &str, argv: &[String], stdin: &str) -> Printed {
        let config = self.home.join(format!("config-{world}"));
        let server = format!("http://{}/api/worlds/{world}/kube", self.host);
        let text = json!({"apiVersion": "v1", "kind": "Config", "current-context": "w",
            "clusters": [{"name": "w", "cluster": {"server": server}}],
            "contexts": [{"name": "w", "context": {"cluster": "w", "user": "u"}}],
            "users": [{"name": "u", "user": {}}]});
        std::fs::write(&config, text.to_string()).unwrap();
        let mut child = Command::new(&self.kubectl)
            .args(argv)
            .env("HOME", &self.home)
            .env("KUBECONFIG", &config)
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads nothing may be gone by now.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let out = child.wait_with_output().unwrap();
        let text = |b: &[u8]| String::from_utf8_lossy(b).replace("kubectl.1.32", "kubectl");
        (text(&out.stdout), text(&out.stderr), out.status.code().unwrap_or(-1))
    }

    fn ours(&self, world: &str, argv: &[String], stdin: &str) -> Printed {
        let base = format!("/api/worlds/{world}/kube");
        let http = Http { host: self.host.clone(), base };
        let (mut out, mut err) = (Kept::default(), Kept::default());
        let code = http::now(run(&mut Kubectl::new(&http, stdin, &mut out, &mut err), argv));
        (out.text(), err.text(), code)
    }
}

/// What differs between two worlds or two moments is made equal.
struct Equal(Vec<(Regex, &'static str)>);

impl Equal {
    fn new() -> Equal {
        let rules = [
            (r"\b[0-9]+[smhd]([0-9]+[smhd])?\b", "AGE"),
            (r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]+ \+0000", "TIME"),
            (r"\d{4}-\d\d-\d\d[T ][\d:.]+( \+0000|Z)", "TIME"),
            (r"/tmp/(LIVE|MERGED)-\d+", "/tmp/$1"),
            (r"\tTIME\n", "\n"),
            (r"(resourceVersion|uid): .*", "$1"),
            (r"UID: .*|Resource Version: .*", "UNIQUE"),
            (r"\d+\.\d+\.\d+\.\d+", "IP"),
            (r"-[a-z0-9]{8,10}(-[a-z0-9]{5})?\b", "-HASH"),
            (r"hash=\S+", "hash=HASH"),
            (r"/api/worlds/w\d+/", "/api/worlds/w/"),
            (r"[a-z0-9]{64}", "DIGEST"),
            (r" +", " "),
            (r"-{2,}", "--"),
        ];
        Equal(rules.into_iter().map(|(r, to)| (Regex::new(r).unwrap(), to)).collect())
    }

    fn of(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (rule, to) in &self.0 {
            text = rule.replace_all(&text, *to).into_owned();
        }
        text
    }
}

/// The commands of a file: shell lines, with here-documents.
fn commands(text: &str) -> Vec<(Vec<String>, String)> {
    let lists = parse(text).unwrap();
    let all = lists.into_iter().flat_map(|(_, pipe)| pipe);
    all.map(|c| (c.words, c.input.unwrap_or_default())).collect()
}

fn compare(up: &Up, text: &str, real: &str, ours: &str) {
    let equal = Equal::new();
    let mut differing = Vec::new();
    let all = commands(text);
    let count = all.len();
    for (argv, stdin) in all {
        let both = || (up.real(real, &argv, &stdin), up.ours(ours, &argv, &stdin));
        let shown = |p: &Printed| (equal.of(&p.0), equal.of(&p.1), p.2);
        let (mut a, mut b) = both();
        // Two worlds that run do not reach a state at the same instant: looks are repeated.
        let looks = matches!(&*argv[0], "get" | "describe" | "events" | "top" | "logs");
        for _ in 0..if looks && real != ours { 20 } else { 0 } {
            if shown(&a) == shown(&b) {
                break;
            }
            std::thread::sleep(Duration::from_millis(250));
            (a, b) = both();
        }
        if shown(&a) != shown(&b) {
            differing.push(format!(
                "$ kubectl {}\n--- kubectl, {}\n{}{}--- ours, {}\n{}{}",
                argv.join(" "),
                a.2,
                a.0,
                a.1,
                b.2,
                b.0,
                b.1
            ));
        }
    }
    let n = differing.len();
    assert!(n == 0, "{n} of {count} commands differ:\n{}", differing.join("\n"));
}

#[test]
#[ignore = "needs kubectl 1.32"]
fn looks_cannot_be_told_from_kubectl() {
    let up = up();
    let ready = ["wait", "--for=condition=Ready", "pods", "--all", "--timeout=60s"];
    let ready: Vec<String> = ready.iter().map(|w| (*w).to_owned()).collect();
    assert_eq!(up.real("w1", &ready, "").2, 0);
    up.post("/api/worlds/w1/time", &json!({"speed": 0}));
    compare(&up, include_str!("looks.txt"), "w1", "w1");
}

#[test]
#[ignore = "needs kubectl 1.32"]
fn changes_cannot_be_told_from_kubectl() {
    let up = up();
    let new = json!({"pattern": "sidecar", "seed": 7, "speed": 20, "epoch": 1_790_000_000});
    let world = || up.post("/api/worlds", &new)["id"].as_str().unwrap().to_owned();
    let (real, ours) = (world(), world());
    compare(&up, include_str!("changes.txt"), &real, &ours);
}
