//! Clients at programs' streams, and ephemeral containers.

use std::sync::{Arc, Mutex};

use podlab_kube::api::{Api, Request, Streaming};
use podlab_kube::control_plane::SessionSpec;
use podlab_trace::Stream;
use serde_json::{Value, json};

use crate::cluster::{Cluster, container};

fn asked(c: &Cluster, target: &str) -> Result<Streaming, (u16, String)> {
    let request = Request::new("GET", &format!("/api/v1/namespaces/default/pods/{target}"));
    Api::new(&c.store).streaming(&request).map_err(|answer| {
        let body = answer.bytes().map(|b| String::from_utf8_lossy(b).into_owned());
        let text = body.unwrap_or_default();
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        (answer.status, status["message"].as_str().map_or(text, str::to_owned))
    })
}

#[test]
fn what_cannot_be_streamed_is_refused_in_kubernetes_words() {
    let mut c = Cluster::new();
    c.pod("web", json!({"containers": [container("a", "stay"), container("b", "stay")]}));
    c.pod("done", json!({"restartPolicy": "Never", "containers": [container("main", "exit 0")]}));
    c.until(5.0);
    for (target, code, text) in [
        ("nope/exec?command=ls&stdout=1", 404, "pods \"nope\" not found"),
        (
            "web/exec?command=ls&stdout=1",
            400,
            "a container name must be specified for pod web, choose one of: [a b]",
        ),
        ("web/exec?command=ls&container=x&stdout=1", 400, "container x is not valid for pod web"),
        (
            "web/exec?command=ls&container=a",
            400,
            "you must specify at least 1 of stdin, stdout, stderr",
        ),
        (
            "web/exec?container=a&stdout=1",
            400,
            "you must specify at least one command for the container",
        ),
        (
            "done/exec?command=ls&stdout=1",
            400,
            "cannot exec into a container in a completed pod; current phase is Succeeded",
        ),
        ("web/portforward?ports=0", 400, "invalid port \"0\": must be 1 to 65535"),
    ] {
        assert_eq!(asked(&c, target).unwrap_err(), (code, text.to_owned()), "{target}");
    }
    let exec = asked(&c, "web/exec?command=ls&command=-l&container=a&stdout=true&stdin=true");
    let wanted = SessionSpec {
        namespace: "default".into(),
        pod: "web".into(),
        container: "a".into(),
        command: Some(vec!["ls".into(), "-l".into()]),
        stdin: true,
        terminal: false,
    };
    assert_eq!(exec, Ok(Streaming::Session(wanted, true, false)));
}

#[test]
fn an_ephemeral_container_joins_a_pod_that_runs() {
    let mut c = Cluster::new();
    c.pod("web", json!({"containers": [container("main", "stay")]}));
    c.until(3.0);
    let patch = json!({"spec": {"ephemeralContainers": [
        {"name": "debug", "image": "script:v1", "args": ["say", "here"], "targetContainerName": "main"}
    ]}});
    let path = "/api/v1/namespaces/default/pods/web/ephemeralcontainers";
    let request = Request::new("PATCH", path)
        .with_body("application/strategic-merge-patch+json", patch.to_string());
    let answer = Api::new(&c.store).handle(&request);
    assert_eq!(answer.status, 200, "{:?}", answer.bytes());
    c.until(6.0);
    let status = c.status("web");
    let debug = &status["ephemeralContainerStatuses"][0];
    assert_eq!(
        (&debug["name"], &debug["state"]["terminated"]["exitCode"]),
        (&json!("debug"), &json!(0))
    );
    assert_eq!(c.log("web", "debug"), ["here"]);
    // It neither ends the pod nor makes it unready, and is never started again.
    assert_eq!(status["phase"], "Running");
    assert!(c.condition("web", "Ready").starts_with("True"));
    c.until(60.0);
    assert_eq!(c.status("web")["ephemeralContainerStatuses"][0]["restartCount"], 0);
}

#[test]
fn who_is_attached_sees_what_the_container_says() {
    let mut c = Cluster::new();
    c.pod("web", json!({"containers": [container("main", "sleep 10 say late stay")]}));
    c.until(3.0);
    let seen = Arc::new(Mutex::new(String::new()));
    let sink = seen.clone();
    let output = Arc::new(Mutex::new(move |_: Stream, bytes: &[u8]| {
        sink.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
    }));
    let spec = SessionSpec {
        namespace: "default".into(),
        pod: "web".into(),
        container: "main".into(),
        command: None,
        stdin: false,
        terminal: false,
    };
    let session = c.control.session(&spec, output).unwrap();
    assert!(!session.has_terminal());
    c.until(20.0);
    assert_eq!(seen.lock().unwrap().trim_end(), "late");
    session.hang_up();
}
