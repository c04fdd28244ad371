//! A gateway, and an API server that keeps a few kinds.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::net;
use podlab_guest::runtime::{Flag, block_on, sleep, spawn};
use serde_json::{Value, json};

#[path = "backend.rs"]
pub mod backend;
pub use backend::Backend;

/// A port that nobody listens at.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An Ingress with these paths and Services, in the default namespace.
pub fn ingress(name: &str, host: &str, paths: &[(&str, &str)]) -> Value {
    let path = |(path, service): &(&str, &str)| {
        json!({"path": path, "pathType": "Prefix",
            "backend": {"service": {"name": service, "port": {"number": 80}}}})
    };
    let paths: Vec<Value> = paths.iter().map(path).collect();
    json!({
        "metadata": {"namespace": "default", "name": name, "creationTimestamp": name},
        "spec": {"ingressClassName": "podlab", "rules": [{"host": host, "http": {"paths": paths}}]},
    })
}

#[derive(Default)]
struct Store {
    version: u64,
    /// By plural and name.
    objects: BTreeMap<(String, String), Value>,
    /// Changes since the last was forgotten.
    events: Vec<(u64, String, Value)>,
    oldest: u64,
    cut: bool,
}

impl Store {
    fn put(&mut self, plural: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let key = (plural.to_owned(), name);
        let kind = if self.objects.contains_key(&key) { "MODIFIED" } else { "ADDED" };
        let event = json!({"type": kind, "object": object});
        self.events.push((self.version, plural.to_owned(), event));
        self.objects.insert(key, object);
    }

    fn list(&self, plural: &str) -> Value {
        let all = self.objects.iter().filter(|((p, _), _)| p == plural);
        let items: Vec<&Value> = all.map(|(_, o)| o).collect();
        json!({"metadata": {"resourceVersion": self.version.to_string()}, "items": items})
    }
}

type Shared = Arc<Mutex<Store>>;

async fn api(store: Shared, request: Request) -> Response {
    while store.lock().unwrap().cut {
        sleep(Duration::from_millis(50)).await;
    }
    let of = "/apis/networking.k8s.io/v1/namespaces/default/ingresses/";
    if let Some(rest) = request.path.strip_prefix(of) {
        let (name, status) = rest.split_once('/').unwrap_or((rest, ""));
        let mut store = store.lock().unwrap();
        let mut object = store.objects[&("ingresses".to_owned(), name.to_owned())].clone();
        if (request.method.as_str(), status) == ("PUT", "status") {
            let new: Value = serde_json::from_slice(&request.body).unwrap();
            if new["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
                return Response::json(409, "{}");
            }
            object["status"] = new["status"].clone();
            store.put("ingresses", object.clone());
        }
        return Response::json(200, object.to_string());
    }
    let plural = request.path.rsplit('/').next().unwrap_or_default().to_owned();
    if request.parameter("watch").is_none() {
        return Response::json(200, store.lock().unwrap().list(&plural).to_string());
    }
    let from: u64 = request.parameter("resourceVersion").unwrap().parse().unwrap();
    let end = Instant::now() + Duration::from_millis(200);
    // One change ends this watch, and so does a moment without any, since nothing of an answer is
    // sent before it is whole: the next one goes on from there.
    loop {
        {
            let store = store.lock().unwrap();
            if from < store.oldest {
                return Response::json(410, r#"{"message":"too old"}"#);
            }
            let of_kind = |(v, p, _): &&(u64, String, Value)| *v > from && *p == plural;
            let lines: String =
                store.events.iter().filter(of_kind).map(|(_, _, e)| format!("{e}\n")).collect();
            if !store.cut && (!lines.is_empty() || Instant::now() > end) {
                return Response::json(200, lines);
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// A gateway and what it lives in.
pub struct World {
    store: Shared,
    pub port: u16,
    pub status: u16,
    stop: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl World {
    pub fn start(options: &[&str]) -> World {
        let store = Shared::default();
        store.lock().unwrap().put(
            "services",
            json!({
                "metadata": {"namespace": "edge", "name": "gateway"},
                "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
                "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}},
            }),
        );
        let (api_port, port, status) = (free_port(), free_port(), free_port());
        let served = store.clone();
        std::thread::spawn(move || {
            block_on(async move {
                let address = ([127, 0, 0, 1], api_port).into();
                let listener = net::TcpListener::bind(address).await.unwrap();
                let handler: http::Handler =
                    Rc::new(move |request| Box::pin(api(served.clone(), request)));
                http::serve(listener, handler, Limits::default(), Flag::default()).await
            })
            .unwrap();
        });
        let mut words: Vec<String> = [
            format!("--listen=127.0.0.1:{port}"),
            format!("--status=127.0.0.1:{status}"),
            format!("--api=http://127.0.0.1:{api_port}"),
            "--publish-service=edge/gateway".to_owned(),
        ]
        .into();
        words.extend(options.iter().map(|o| (*o).to_owned()));
        let (stop, ended) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (asked, done) = (stop.clone(), ended.clone());
        std::thread::spawn(move || {
            let args = gateway::SPEC.parse(&words, |_| None).unwrap();
            block_on(async move {
                let flag = Flag::default();
                let raised = flag.clone();
                spawn(async move {
                    while !asked.load(Ordering::SeqCst) {
                        sleep(Duration::from_millis(5)).await;
                    }
                    raised.raise();
                });
                gateway::run(args, flag).await.unwrap();
            });
            done.store(true, Ordering::SeqCst);
        });
        let world = World { store, port, status, stop, ended };
        world.wait("ready", || {
            TcpStream::connect(("127.0.0.1", status)).is_ok()
                && backend::ask(status, "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n").contains(" 200 ")
        });
        world
    }

    pub fn put(&self, plural: &str, object: Value) {
        self.store.lock().unwrap().put(plural, object);
    }

    pub fn object(&self, plural: &str, name: &str) -> Value {
        self.store.lock().unwrap().objects[&(plural.to_owned(), name.to_owned())].clone()
    }

    /// A Service in the default namespace, with who is ready behind it: at most five.
    pub fn service(&self, name: &str, ports: &[u16]) {
        let spec = json!({"clusterIP": "10.96.0.1", "ports": [{"name": "http", "port": 80}]});
        let meta = json!({"namespace": "default", "name": name});
        self.put("services", json!({"metadata": meta, "spec": spec}));
        // They differ by ports here, so each has a slice of its own.
        for i in 0..5 {
            let port = ports.get(i).copied().unwrap_or(1);
            self.put(
                "endpointslices",
                json!({
                    "metadata": {"namespace": "default", "name": format!("{name}-{i}"),
                        "labels": {"kubernetes.io/service-name": name}},
                    "ports": [{"name": "http", "port": port}],
                    "endpoints": [{"addresses": ["127.0.0.1"],
                        "conditions": {"ready": i < ports.len()}}],
                }),
            );
        }
    }

    /// Cuts the API server off, or puts it back.
    pub fn cut(&self, cut: bool) {
        self.store.lock().unwrap().cut = cut;
    }

    /// The API server forgets what happened up to now.
    pub fn forget(&self) {
        let mut store = self.store.lock().unwrap();
        store.events.clear();
        store.oldest = store.version;
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    pub fn send(&self, text: &str) -> String {
        backend::ask(self.port, text)
    }

    pub fn get(&self, host: &str, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    }

    pub fn metrics(&self) -> String {
        backend::ask(self.status, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
    }

    /// Asks until the answer holds `wanted`.
    pub fn until(&self, text: &str, wanted: &str) -> String {
        let mut last = String::new();
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            last = self.send(text);
            if last.contains(wanted) {
                return last;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{wanted:?} never came; the last answer was {last}");
    }

    pub fn wait(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(Instant::now() < end, "{what}: not within 20 seconds");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}
