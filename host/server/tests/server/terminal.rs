//! The terminal over real sockets.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::client::server;
use crate::streams::listen;

struct Terminal(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Terminal {
    async fn open(address: &str, id: &str) -> Terminal {
        let url = format!("ws://{address}/api/worlds/{id}/terminal");
        Terminal(connect_async(url).await.expect("a terminal").0)
    }

    async fn say(&mut self, value: Value) {
        self.0.send(Message::Text(value.to_string().into())).await.expect("it is taken");
    }

    async fn hear(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.0.next());
            match next.await.expect("the terminal does not fall silent") {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(_)) => {}
                other => panic!("the terminal is gone: {other:?}"),
            }
        }
    }

    /// Runs a line to its end: both outputs together, and the exit code.
    async fn run(&mut self, line: &str) -> (String, i64) {
        self.say(json!({ "run": line })).await;
        let mut text = String::new();
        loop {
            let heard = self.hear().await;
            text += heard["out"].as_str().or(heard["err"].as_str()).unwrap_or("");
            if let Some(code) = heard["done"].as_i64() {
                return (text, code);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_over_the_worlds_api() {
    let server = server();
    let address = listen(&server).await;
    let id = server.world(json!({ "speed": 0 })).await;
    let mut terminal = Terminal::open(&address, &id).await;
    let (nodes, code) = terminal.run("kubectl get nodes -o name | wc -l").await;
    assert_eq!((nodes.trim().parse::<u32>().is_ok(), code), (true, 0), "{nodes}");
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pasted}\ndata: {a: b}\n";
    let apply = format!("k apply -f - <<EOF\n{manifest}EOF");
    assert_eq!(terminal.run(&apply).await, ("configmap/pasted created\n".into(), 0));
    assert_eq!(terminal.run(&apply).await, ("configmap/pasted unchanged\n".into(), 0));
    let (data, _) = terminal.run("k get cm pasted -o jsonpath='{.data.a}'").await;
    assert_eq!(data, "b");
    let (error, code) = terminal.run("kubectl get pods nope").await;
    assert_eq!(error, "Error from server (NotFound): pods \"nope\" not found\n");
    assert_eq!(code, 1);
    assert_eq!(terminal.run("rm -rf /").await.1, 127);
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_is_no_input_and_changing_is_one() {
    let server = server();
    let address = listen(&server).await;
    let id = server.world(json!({ "speed": 0 })).await;
    let mut terminal = Terminal::open(&address, &id).await;
    let inputs = || server.app.world(&id).unwrap().export().unwrap().inputs.len();
    let before = inputs();
    terminal.run("kubectl get all -A").await;
    terminal.run("kubectl describe nodes").await;
    assert_eq!(inputs(), before);
    terminal.run("kubectl create configmap mine").await;
    assert_eq!(inputs(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_stopped_and_the_next_command_runs() {
    let server = server();
    let address = listen(&server).await;
    let id = server.world(json!({ "speed": 0 })).await;
    let mut terminal = Terminal::open(&address, &id).await;
    terminal.run("kubectl create configmap first").await;
    terminal.say(json!({ "run": "kubectl get configmaps -w" })).await;
    let mut seen = String::new();
    while !seen.contains("first") {
        seen += terminal.hear().await["out"].as_str().expect("output");
    }
    server.config_map(&id, "second").await;
    while !seen.contains("second") {
        seen += terminal.hear().await["out"].as_str().expect("output");
    }
    terminal.say(json!({ "interrupt": true })).await;
    assert_eq!(terminal.hear().await, json!({ "done": 130 }));
    let (text, code) = terminal.run("kubectl get cm -o name | grep second").await;
    assert_eq!((text.as_str(), code), ("configmap/second\n", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_completed() {
    let server = server();
    let address = listen(&server).await;
    let id = server.world(json!({ "speed": 0 })).await;
    let mut terminal = Terminal::open(&address, &id).await;
    for (line, from, wanted) in [
        ("kubectl desc", 8, json!(["describe"])),
        ("k get deplo", 6, json!(["deployments"])),
        ("k get ns kube-sys", 9, json!(["kube-system"])),
        ("k get ns/defa", 9, json!(["default"])),
        ("k rollout und", 10, json!(["undo"])),
        ("k get pods | gre", 13, json!(["grep"])),
    ] {
        terminal.say(json!({ "complete": line })).await;
        let heard = terminal.hear().await;
        assert_eq!(heard, json!({ "line": line, "from": from, "completions": wanted }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_no_terminal_and_nonsense_harms_nobody() {
    let server = server();
    let address = listen(&server).await;
    let id = server.world(json!({ "speed": 0 })).await;
    let url = format!("ws://{address}/api/worlds/{id}/terminal");
    let mut foreign = url.clone().into_client_request().unwrap();
    foreign.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
    assert!(connect_async(foreign).await.is_err());
    assert!(connect_async(format!("ws://{address}/api/worlds/w99/terminal")).await.is_err());
    let mut terminal = Terminal::open(&address, &id).await;
    for nonsense in ["", "{", "[1]", "{\"run\": 7}", "{\"input\": \"x\"}", "{\"end\": true}"] {
        terminal.0.send(Message::Text(nonsense.into())).await.expect("it is taken");
    }
    assert_eq!(terminal.run("kubectl get '").await.1, 2);
    assert_eq!(terminal.run("echo still here").await.0, "still here\n");
}
