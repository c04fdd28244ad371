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
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let podlab = std::env::var("PODLAB")
        .unwrap_or_else(|_| root().join("target/podlab").display().to_string());
    let child = Command::new(podlab)
        .args([
            "up",
            "--no-open",
            "--pattern",
            "sidecar",
            "--speed",
            "20",
            "--port",
            &port.to_string(),
            "--state",
        ])
        .arg(home.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("target/podlab: run `cargo xtask build` first");
    let server = format!("http://127.0.0.1:{port}/api/worlds/w1/kube");
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
