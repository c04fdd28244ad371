//! The API server as programs in pods reach it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use podlab_kube::api::access::token;
use podlab_sim::Time;
use podlab_trace::Kind;
use serde_json::{Value, json};

use crate::cluster::{Cluster, container};

const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A client in a pod of this name, and what it has read so far.
struct Client(Arc<Mutex<String>>);

impl Client {
    /// Connects from a pod and sends `bytes` at once.
    fn send(c: &Cluster, pod: &str, to: &str, bytes: impl Into<Bytes>) -> Client {
        let stack = c.control.pod_stack("default", pod).unwrap();
        let (to, bytes): (SocketAddr, Bytes) = (to.parse().unwrap(), bytes.into());
        let read = Arc::new(Mutex::new(String::new()));
        let sink = read.clone();
        c.sim.handle().spawn(async move {
            let say = |text: &str| sink.lock().unwrap().push_str(text);
            let Ok(stream) = stack.connect(to).await else { return say("(not connected)") };
            if stream.write_all(bytes).await.is_err() {
                say("(broken)");
            }
            loop {
                match stream.read(64 << 10).await {
                    Ok(bytes) if bytes.is_empty() => return say("(end)"),
                    Ok(bytes) => say(&String::from_utf8_lossy(&bytes)),
                    Err(error) => return say(&format!("({error:?})")),
                }
            }
        });
        Client(read)
    }

    fn read(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn statuses(&self) -> Vec<String> {
        let text = self.read();
        let lines = text.split("HTTP/1.1 ").skip(1);
        lines.map(|l| l.split(' ').next().unwrap_or("").to_owned()).collect()
    }
}

fn after(c: &mut Cluster, seconds: f64) {
    let at = (c.sim.now() - Time::ZERO).as_secs_f64() + seconds;
    c.until(at);
}

fn request(method: &str, target: &str, token: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nHost: kubernetes.default.svc\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn token_of(c: &Cluster, pod: &str) -> String {
    let account = c.store.get("serviceaccounts", "default", "default").unwrap();
    let pod = c.store.get("pods", "default", pod).unwrap();
    token::issue(&c.store, &account, Some(&pod), &[], 3600)
}

/// A pod whose account may do all with ConfigMaps and Leases of its namespace.
fn cluster() -> (Cluster, String) {
    let mut c = Cluster::new();
    let rules = json!([{"apiGroups": ["", "coordination.k8s.io"],
        "resources": ["configmaps", "leases"], "verbs": ["*"]}]);
    let metadata = json!({"name": "maps", "namespace": "default"});
    c.create("roles.rbac.authorization.k8s.io", json!({"metadata": metadata, "rules": rules}));
    c.create(
        "rolebindings.rbac.authorization.k8s.io",
        json!({"metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "maps"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]}),
    );
    c.pod("client", json!({"containers": [container("main", "stay")]}));
    c.until(5.0);
    let token = token_of(&c, "client");
    (c, token)
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[test]
fn a_pod_finds_token_namespace_and_server() {
    let mut c = Cluster::new();
    let script = format!(
        "read {MOUNT}/namespace read {MOUNT}/token env KUBERNETES_SERVICE_HOST env KUBERNETES_SERVICE_PORT sleep 3000 read {MOUNT}/token stay"
    );
    c.pod("client", json!({"containers": [container("main", &script)]}));
    let none = json!({"containers": [container("main", "stay")],
        "automountServiceAccountToken": false});
    c.pod("none", none);
    c.until(10.0);
    let log = c.log("client", "main");
    assert_eq!(log[0], "default");
    let user = |token: &str| token::user(&c.store, token);
    assert_eq!(user(&log[1]).as_deref(), Ok("system:serviceaccount:default:default"));
    assert_eq!(log[2..], ["KUBERNETES_SERVICE_HOST=10.96.0.1", "KUBERNETES_SERVICE_PORT=443"]);
    let pod = c.get("client").unwrap();
    let mount = &pod["spec"]["containers"][0]["volumeMounts"][0];
    let volume = &pod["spec"]["volumes"][0];
    assert_eq!((&mount["mountPath"], &mount["name"]), (&json!(MOUNT), &volume["name"]));
    assert!(volume["name"].as_str().unwrap().starts_with("kube-api-access-"));
    assert!(c.get("none").unwrap()["spec"]["volumes"].is_null());
    // Renewed before it ends.
    c.until(3100.0);
    let log = c.log("client", "main");
    assert_ne!(log[1], log[4]);
    assert!(token::user(&c.store, &log[4]).is_ok());
    c.until(3800.0);
    assert!(token::user(&c.store, &log[1]).is_err(), "the first one has ended");
    assert!(token::user(&c.store, &log[4]).is_ok());
}

#[test]
fn several_requests_use_one_connection_and_roles_count() {
    let (mut c, token) = cluster();
    let map = json!({"metadata": {"name": "m"}, "data": {"a": "1"}}).to_string();
    let all = [
        request("GET", "/version", &token, ""),
        request("POST", MAPS, &token, &map),
        request("POST", MAPS, &token, &map),
        request("GET", &format!("{MAPS}/m"), &token, ""),
        request("GET", "/api/v1/namespaces/kube-system/configmaps", &token, ""),
        request("GET", "/api/v1/namespaces/default/secrets", &token, ""),
        request("GET", &format!("{MAPS}/m"), "nonsense", ""),
        format!("GET {MAPS}/m HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    ];
    let client = Client::send(&c, "client", "10.96.0.1:80", all.concat());
    after(&mut c, 1.0);
    let read = client.read();
    assert_eq!(
        client.statuses(),
        ["200", "201", "409", "200", "403", "403", "401", "403"],
        "{read}"
    );
    assert!(read.contains("User \\\"system:anonymous\\\" cannot get resource"), "{read}");
    assert!(read.ends_with("(end)"));
    // What a program changes is in the trace at the server's place, like all other changes.
    let created = c
        .trace
        .read(0, 1 << 20)
        .into_iter()
        .any(|e| matches!(&e.kind, Kind::Object { name, .. } if name == "m"));
    assert!(created);
    // The other port takes plain HTTP, too.
    let client =
        Client::send(&c, "client", "10.96.0.1:443", request("GET", "/version", &token, ""));
    after(&mut c, 1.0);
    assert_eq!(client.statuses(), ["200"]);
}

#[test]
fn who_is_late_with_a_resource_version_is_told() {
    let (mut c, token) = cluster();
    let map = json!({"metadata": {"name": "m"}, "data": {"a": "1"}});
    c.store
        .create("configmaps", {
            let mut m = map.clone();
            m["metadata"]["namespace"] = "default".into();
            m
        })
        .unwrap();
    let old = Value::clone(&c.store.get("configmaps", "default", "m").unwrap()).to_string();
    let put = request("PUT", &format!("{MAPS}/m"), &token, &old.replace("\"1\"", "\"2\""));
    let client =
        Client::send(&c, "client", "10.96.0.1:80", put.clone() + &put.replace("\"2\"", "\"3\""));
    after(&mut c, 1.0);
    assert_eq!(client.statuses(), ["200", "409"]);
    assert_eq!(c.store.get("configmaps", "default", "m").unwrap()["data"]["a"], "2");
}

#[test]
fn a_watch_is_a_stream_of_lines_that_ends_in_time() {
    let (mut c, token) = cluster();
    let target = format!("{MAPS}?watch=1&timeoutSeconds=150&allowWatchBookmarks=true");
    let two = request("GET", &target, &token, "") + &request("GET", "/version", &token, "");
    let client = Client::send(&c, "client", "10.96.0.1:80", two);
    after(&mut c, 5.0);
    assert!(client.read().contains("Transfer-Encoding: chunked"));
    let before = client.read().len();
    let metadata = json!({"name": "news", "namespace": "default"});
    c.create("configmaps", json!({"metadata": metadata}));
    after(&mut c, 0.1);
    let read = client.read()[before..].to_owned();
    let (size, rest) = read.split_once("\r\n").unwrap();
    let size = usize::from_str_radix(size, 16).unwrap();
    let event: Value = serde_json::from_str(&rest[..size]).unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["metadata"]["name"]),
        (&json!("ADDED"), &json!("news"))
    );
    assert_eq!(client.statuses(), ["200"]);
    after(&mut c, 160.0);
    let read = client.read();
    assert_eq!(read.matches("\"BOOKMARK\"").count(), 2, "one a minute");
    assert!(read.contains("\r\n0\r\n\r\nHTTP/1.1 200"), "the next request was answered then");
    // A client that goes away takes its watch along.
    let pods = request("GET", &format!("{MAPS}?watch=1"), &token, "");
    let _gone = Client::send(&c, "client", "10.96.0.1:80", pods);
    after(&mut c, 1.0);
    c.delete("client", Some(0));
    after(&mut c, 2000.0);
}

#[test]
fn a_body_may_be_in_chunks() {
    let (mut c, token) = cluster();
    let map = json!({"metadata": {"name": "m"}}).to_string();
    let (one, two) = map.split_at(7);
    let post = format!(
        "POST {MAPS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x};x=y\r\n{two}\r\n0\r\nTrailer: t\r\n\r\n",
        one.len(),
        two.len()
    );
    let client =
        Client::send(&c, "client", "10.96.0.1:80", post + &request("GET", "/version", &token, ""));
    after(&mut c, 1.0);
    assert_eq!(client.statuses(), ["201", "200"], "{}", client.read());
}

#[test]
fn garbage_is_answered_and_hurts_nobody() {
    let (mut c, token) = cluster();
    let big = "x".repeat(1 << 16);
    let cases: Vec<(String, &str)> = vec![
        ("\x16\x03\x01\x02\0\x01\0\r\n\r\n".into(), "400"),
        ("GET / HTTP/1.1\r\n\r\n".into(), "400"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {big}"), "431"),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n".into(), "413"),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".into(), "400"),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n".into(),
            "413",
        ),
        (request("POST", MAPS, &token, "{"), "400"),
        // Half a head, half a body: their time ends.
        ("GET / HT".into(), "408"),
        (format!("POST {MAPS} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{{"), "408"),
        (
            request("GET", "/api/v1/namespaces/default/pods/client/exec?command=ls", &token, ""),
            "501",
        ),
    ];
    let clients: Vec<(Client, &str)> = cases
        .iter()
        .map(|(text, want)| (Client::send(&c, "client", "10.96.0.1:80", text.clone()), *want))
        .collect();
    after(&mut c, 200.0);
    for (n, (client, want)) in clients.iter().enumerate() {
        assert_eq!(client.statuses(), [*want], "case {n}: {}", client.read());
        assert!(client.read().ends_with("(end)"), "case {n}: {}", client.read());
    }
    // One that is silent is sent away, one that asks is served.
    let silent = Client::send(&c, "client", "10.96.0.1:80", "");
    let asks = Client::send(&c, "client", "10.96.0.1:80", request("GET", "/version", &token, ""));
    after(&mut c, 100.0);
    assert_eq!((silent.read().as_str(), asks.statuses().len()), ("(end)", 1));
}
