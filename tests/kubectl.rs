//! Real kubectl against a world, through the front door: the binary, over HTTP.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests live on real time")]

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use podlab_tests::root;

struct Up {
    child: Child,
    server: String,
    home: tempfile::TempDir,
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn up() -> Up {
    let home = tempfile::tempdir().unwrap();
    let podlab = std::env::var("PODLAB")
        .unwrap_or_else(|_| root().join("target/podlab").display().to_string());
    // It takes a free port itself: one that is looked for here may be another test's by then.
    let mut child = Command::new(podlab)
        .args([
            "up",
            "--no-open",
            "--pattern",
            "sidecar",
            "--speed",
            "20",
            "--port",
            "0",
            "--state",
        ])
        .arg(home.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("target/podlab: run `cargo xtask build` first");
    let lines = std::io::BufReader::new(child.stdout.take().expect("it is piped"));
    let address = std::io::BufRead::lines(lines)
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("http://")?.1.split_once('/')?.0.to_owned()))
        .expect("podlab says where it is");
    let server = format!("http://{address}/api/worlds/w1/kube");
    let up = Up { child, server, home };
    let began = Instant::now();
    while !up.kubectl(&["version"]).status.success() {
        assert!(began.elapsed() < Duration::from_secs(30), "podlab did not start");
        std::thread::sleep(Duration::from_millis(100));
    }
    up
}

impl Up {
    fn kubectl(&self, args: &[&str]) -> Output {
        let kubectl = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".into());
        Command::new(kubectl)
            .arg("--server")
            .arg(&self.server)
            .args(args)
            .env("HOME", self.home.path())
            .env_remove("KUBECONFIG")
            .current_dir(root())
            .output()
            .expect("kubectl runs")
    }

    fn ok(&self, args: &[&str]) -> String {
        let out = self.kubectl(args);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "kubectl {args:?}: {text}{error}");
        text
    }

    /// Asks until the answer holds `wanted`.
    fn until(&self, args: &[&str], wanted: &str) -> String {
        let began = Instant::now();
        loop {
            let out = self.kubectl(args);
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            if text.contains(wanted) {
                return text;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{wanted:?} never came: {text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
#[ignore = "needs kubectl"]
fn a_learner_looks_around_with_kubectl() {
    let up = up();
    let ready = "{.status.conditions[?(@.type==\"Ready\")].status}";
    up.until(&["get", "pod", "web", "-o", &format!("jsonpath={ready}")], "True");

    let pods = up.ok(&["get", "pods", "-o", "wide"]);
    assert!(pods.starts_with("NAME"), "{pods}");
    for word in ["READY", "STATUS", "RESTARTS", "NODE", "3/3", "Running", "log-store"] {
        assert!(pods.contains(word), "{word} in {pods}");
    }
    let nodes = up.ok(&["get", "nodes"]);
    assert_eq!(nodes.matches("Ready").count(), 3, "{nodes}");
    let described = up.ok(&["describe", "pod", "web"]);
    for word in ["log-saver", "Readiness:", "content", "Scheduled", "Started container web"] {
        assert!(described.contains(word), "{word} in {described}");
    }
    up.until(&["logs", "client"], "requests");
    let services = up.ok(&["get", "services"]);
    assert!(services.contains("ClusterIP") && services.contains("8080/TCP"), "{services}");
    let endpoints = up.ok(&["get", "endpoints", "web"]);
    assert!(endpoints.contains(":8080"), "{endpoints}");
}

#[test]
#[ignore = "needs kubectl"]
fn a_learner_changes_things_with_kubectl() {
    let up = up();
    let manifest = up.home.path().join("pod.yaml");
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: hello}\nspec:\n  restartPolicy: Never\n  containers:\n  - {name: main, image: \"toolbox:v1\", args: [echo, hello, world]}\n";
    std::fs::write(&manifest, text).unwrap();
    let file = manifest.to_str().unwrap();
    assert_eq!(up.ok(&["apply", "-f", file]).trim(), "pod/hello created");
    assert_eq!(up.ok(&["apply", "-f", file]).trim(), "pod/hello unchanged");
    up.until(&["get", "pod", "hello"], "Completed");
    assert_eq!(up.ok(&["logs", "hello"]).trim(), "hello world");
    assert_eq!(up.ok(&["label", "pod", "hello", "a=b"]).trim(), "pod/hello labeled");
    assert!(up.ok(&["get", "pods", "-l", "a=b"]).contains("hello"));
    assert!(up.ok(&["delete", "pod", "hello"]).contains("\"hello\" deleted"));
    let gone = up.kubectl(&["get", "pod", "hello"]);
    assert_eq!(
        String::from_utf8_lossy(&gone.stderr).trim(),
        "Error from server (NotFound): pods \"hello\" not found"
    );
    std::fs::write(&manifest, text.replace("image:", "imagee:")).unwrap();
    let refused = up.kubectl(&["apply", "-f", file]);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        error.contains("strict decoding error: unknown field \"spec.containers[0].imagee\""),
        "{error}"
    );
}

/// A pod that stays, with tools.
const BOX: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: box}\nspec:\n  containers:\n  - {name: main, image: \"busybox:1.36\", command: [sleep, \"1000000\"]}\n";

/// Every kubectl of the machine from 1.29 on; with `KUBECTL`, that one.
fn kubectls() -> Vec<String> {
    if let Ok(one) = std::env::var("KUBECTL") {
        return vec![one];
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::split_paths(&folders).flat_map(|f| {
        (29..=33).map(move |minor| f.join(format!("kubectl.1.{minor}"))).collect::<Vec<_>>()
    });
    let found: Vec<String> = all.filter(|p| p.is_file()).map(|p| p.display().to_string()).collect();
    if found.is_empty() { vec!["kubectl".into()] } else { found }
}

impl Up {
    /// Runs one kubectl with something on its standard input.
    fn with(&self, kubectl: &str, args: &[&str], input: &[u8]) -> Output {
        use std::io::Write as _;
        let mut child = Command::new(kubectl)
            .arg("--server")
            .arg(&self.server)
            .args(args)
            .env("HOME", self.home.path())
            .env_remove("KUBECONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl runs");
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // A program that reads nothing may end before it is written.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let out = child.wait_with_output().unwrap();
        writer.join().unwrap();
        out
    }
}

#[test]
#[ignore = "needs kubectl"]
fn every_kubectl_executes_copies_and_forwards() {
    let up = up();
    let file = up.home.path().join("box.yaml");
    std::fs::write(&file, BOX).unwrap();
    up.ok(&["apply", "-f", file.to_str().unwrap()]);
    up.ok(&["wait", "--for=condition=Ready", "pod/box", "pod/web", "--timeout=60s"]);
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    let (there, back) = (up.home.path().join("there"), up.home.path().join("back"));
    std::fs::write(&there, &bytes).unwrap();
    for kubectl in kubectls() {
        let run = |args: &[&str], input: &[u8]| {
            let out = up.with(&kubectl, args, input);
            let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
            (text(&out.stdout), text(&out.stderr), out.status.code())
        };
        let script = "echo out; echo err >&2; exit 7";
        let (out, err, code) = run(&["exec", "box", "--", "sh", "-c", script], b"");
        assert_eq!((&*out, code), ("out\n", Some(7)), "{kubectl}: {err}");
        assert_eq!(err, "err\ncommand terminated with exit code 7\n", "{kubectl}");
        let (out, err, code) = run(&["exec", "-i", "box", "--", "cat"], b"through\nit\n");
        assert_eq!((&*out, code), ("through\nit\n", Some(0)), "{kubectl}: {err}");

        let (_, err, code) = run(&["cp", there.to_str().unwrap(), "box:/tmp/there"], b"");
        assert_eq!(code, Some(0), "{kubectl}: {err}");
        let (_, err, code) = run(&["cp", "box:/tmp/there", back.to_str().unwrap()], b"");
        assert_eq!(code, Some(0), "{kubectl}: {err}");
        assert!(std::fs::read(&back).unwrap() == bytes, "{kubectl}: what came back differs");

        let mut forward = Command::new(&kubectl)
            .args(["--server", &up.server, "port-forward", "pod/web", ":8080"])
            .env("HOME", up.home.path())
            .env_remove("KUBECONFIG")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        // Kept open: kubectl says more when somebody connects, and a closed pipe would end it.
        let mut stdout = std::io::BufReader::new(forward.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut said).unwrap();
        let address =
            said.split_whitespace().find(|w| w.starts_with("127.0.0.1:")).map(str::to_owned);
        let answer = address.map(|address| {
            use std::io::{Read as _, Write as _};
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .unwrap();
            let mut answer = String::new();
            let read = stream.read_to_string(&mut answer);
            (read.is_ok(), answer)
        });
        let _ = forward.kill();
        let _ = forward.wait();
        let (whole, answer) = answer.unwrap_or_else(|| panic!("{kubectl}: {said:?}"));
        assert!(whole && answer.starts_with("HTTP/1.1 200"), "{kubectl}: {answer:?}");
    }
}

#[test]
#[ignore = "needs kubectl"]
fn a_debug_container_looks_into_a_pod() {
    let up = up();
    let ready = "{.status.conditions[?(@.type==\"Ready\")].status}";
    up.until(&["get", "pod", "web", "-o", &format!("jsonpath={ready}")], "True");
    up.ok(&["debug", "web", "--image=busybox", "-c", "look", "--", "sleep", "100000"]);
    let running = "jsonpath={.status.ephemeralContainerStatuses[0].state.running}";
    up.until(&["get", "pod", "web", "-o", running], "startedAt");
    let answer = up.ok(&[
        "exec",
        "web",
        "-c",
        "look",
        "--",
        "wget",
        "-qO-",
        "http://127.0.0.1:8080/healthz",
    ]);
    assert!(answer.contains("ok"), "{answer}");
}
