//! A cluster whose programs are tasks on the real network and files: what a program does is
//! said by its arguments.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use podlab_fs::{OpenOptions, Volume, VolumeOptions};
use podlab_kube::api::{Api, Request};
use podlab_kube::runtime::{Ending, Exit, ImageInfo, Running, Runtime, StartSpec};
use podlab_kube::store::{DeleteOptions, Store};
use podlab_kube::{Cluster, ControlPlane, Delays, NodeSpec};
use podlab_net::{Net, NetOptions, Stack};
use podlab_sim::sync::Signal;
use podlab_sim::{Handle, Sim, Task, Time};
use podlab_trace::{Event, Kind, Stream, Trace};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z in ns.
pub const EPOCH: u64 = 1_767_225_600_000_000_000;

/// A world with a control plane.
pub struct World {
    pub sim: Sim,
    pub h: Handle,
    pub trace: Trace,
    pub net: Net,
    pub store: Store,
    pub plane: ControlPlane,
    pub api: Api,
}

/// Delays of nothing: times of the tables come out exactly.
pub fn no_delays() -> Delays {
    Delays {
        pull: Duration::ZERO,
        sandbox: Duration::ZERO,
        start: Duration::ZERO,
        proxy: Duration::ZERO,
        config: Duration::from_secs(60),
    }
}

impl World {
    pub fn new(seed: u64) -> World {
        World::with(seed, no_delays(), 3, 110)
    }

    pub fn with(seed: u64, delays: Delays, nodes: u32, pods: u32) -> World {
        let sim = Sim::new(seed, EPOCH);
        let h = sim.handle();
        let trace = Trace::default();
        let net = Net::new(&h, &trace, NetOptions::default());
        let store = Store::new(&h, &trace);
        let runtime = Arc::new(Tasks { sim: h.clone(), trace: trace.clone() });
        let nodes = (1..=nodes)
            .map(|n| NodeSpec { name: format!("node-{n}"), cores: 2, memory: 4 << 30, pods })
            .collect();
        let plane = ControlPlane::start(Cluster {
            sim: h.clone(),
            trace: trace.clone(),
            net: net.clone(),
            store: store.clone(),
            runtime,
            nodes,
            delays,
        });
        let api = Api::new(&store).with_logs(plane.logs());
        let mut world = World { sim, h, trace, net, store, plane, api };
        world.run(0.0);
        world
    }

    /// Runs until `seconds` after the beginning.
    pub fn run(&mut self, seconds: f64) {
        self.sim.run_until(Time((seconds * 1e9) as u64), u64::MAX);
    }

    /// Runs for `seconds` more.
    pub fn pass(&mut self, seconds: f64) {
        let now = self.h.now().as_secs_f64();
        self.run(now + seconds);
    }

    /// Creates a pod in `default`.
    pub fn pod(&self, name: &str, spec: Value) {
        let pod = json!({"metadata": {"name": name, "namespace": "default", "labels": {"app": name}}, "spec": spec});
        self.store.create("pods", pod).unwrap();
    }

    pub fn get(&self, name: &str) -> Value {
        self.store.get("pods", "default", name).map_or(Value::Null, |o| (*o).clone())
    }

    pub fn delete(&self, name: &str) {
        self.store.delete("pods", "default", name, &DeleteOptions::default()).unwrap();
    }

    pub fn ready(&self, name: &str) -> bool {
        condition(&self.get(name), "Ready")
    }

    /// Messages of the events about a pod: "reason message xN".
    pub fn events(&self, name: &str) -> Vec<String> {
        let mut all: Vec<_> = self.store.list("events", Some("default"));
        all.retain(|e| e["involvedObject"]["name"] == name);
        all.sort_by_key(|e| podlab_kube::store::object::version(e));
        all.iter()
            .map(|e| format!("{} {} x{}", e["reason"].as_str().unwrap(), e["message"].as_str().unwrap(), e["count"]))
            .collect()
    }

    /// Seconds at which something of a container happened, in the trace: "start", "exit 137",
    /// "signal 15".
    pub fn history(&self, pod: &str, container: &str) -> Vec<(f64, String)> {
        let mut places: BTreeMap<u32, (String, String)> = BTreeMap::new();
        let mut out = Vec::new();
        for e in self.trace.read(1, usize::MAX) {
            let Event { at, place, kind, .. } = e;
            if let Kind::Place { id, pod, container, .. } = &kind {
                places.insert(*id, (pod.clone(), container.clone()));
            }
            let Some((p, c)) = places.get(&place) else { continue };
            if p != pod || c != container {
                continue;
            }
            let what = match kind {
                Kind::Start { .. } => "start".into(),
                Kind::Exit { code, .. } => format!("exit {code}"),
                Kind::Signal { number, .. } => format!("signal {number}"),
                _ => continue,
            };
            out.push((at as f64 / 1e9, what));
        }
        out
    }

    pub fn log(&self, pod: &str, container: &str, previous: bool) -> Vec<String> {
        let part = self.plane.logs().read("default", pod, container, previous, 0);
        let lines = part.map(|p| p.lines).unwrap_or_default();
        lines.iter().map(|l| String::from_utf8_lossy(&l.text).into_owned()).collect()
    }

    pub fn request(&self, path: &str) -> Request {
        Request { method: "GET".into(), path: path.into(), ..Request::default() }
    }
}

pub fn condition(pod: &Value, kind: &str) -> bool {
    let all = pod["status"]["conditions"].as_array();
    all.into_iter().flatten().any(|c| c["type"] == kind && c["status"] == "True")
}

/// A container called `name` that runs `script`; see [`program`].
pub fn container(name: &str, script: &str) -> Value {
    json!({"name": name, "image": "test:1", "args": script.split(' ').collect::<Vec<_>>()})
}

struct Tasks {
    sim: Handle,
    trace: Trace,
}

struct Process {
    sim: Handle,
    trace: Trace,
    place: u32,
    run: u32,
    main: bool,
    stack: Stack,
    exit: Mutex<Option<Exit>>,
    task: Mutex<Option<Task>>,
    ended: Signal,
    signals: podlab_fs::SignalQueue,
}

impl Process {
    fn finish(&self, exit: Exit) {
        {
            let mut slot = self.exit.lock().unwrap();
            if slot.is_some() {
                return;
            }
            *slot = Some(exit.clone());
        }
        if self.main {
            self.stack.close();
            let Exit { code, reason, message } = exit;
            let kind = Kind::Exit { run: self.run, code, reason, message };
            self.trace.emit(self.sim.now().as_nanos(), self.place, kind);
        }
        self.ended.notify();
    }
}

impl Runtime for Tasks {
    fn image(&self, name: &str) -> Result<ImageInfo, String> {
        match name {
            "test:1" => Ok(ImageInfo {
                entrypoint: vec!["test".into()],
                env: vec![("IMAGE".into(), "test".into())],
                digest: "0123".into(),
            }),
            other => Err(format!("no image {other}: add it with --image")),
        }
    }

    fn root(&self, _image: &str, _id: &str) -> Volume {
        Volume::new(&self.sim, "root", VolumeOptions::default())
    }

    fn start(&self, spec: StartSpec) -> Arc<dyn Running> {
        if spec.main {
            let kind = Kind::Start { run: spec.run, image: spec.image.clone(), args: spec.args.clone() };
            self.trace.emit(self.sim.now().as_nanos(), spec.place, kind);
        }
        let process = Arc::new(Process {
            sim: self.sim.clone(),
            trace: self.trace.clone(),
            place: spec.place,
            run: spec.run,
            main: spec.main,
            stack: spec.stack.clone(),
            exit: Mutex::default(),
            task: Mutex::default(),
            ended: Signal::new(),
            signals: spec.signals.clone(),
        });
        let (p, sim) = (process.clone(), self.sim.clone());
        let task = self.sim.spawn(async move {
            let code = program(&sim, spec).await;
            let reason = if code == 0 { "Completed" } else { "Error" };
            p.finish(Exit { code, reason: reason.into(), message: String::new() });
        });
        *process.task.lock().unwrap() = Some(task);
        Arc::new(Handled(process))
    }
}

struct Handled(Arc<Process>);

impl Running for Handled {
    fn signal(&self, number: u8) {
        let p = &self.0;
        if p.exit.lock().unwrap().is_some() {
            return;
        }
        let handled = number != 9 && p.signals.opened();
        if p.main {
            let kind = Kind::Signal { number, handled };
            p.trace.emit(p.sim.now().as_nanos(), p.place, kind);
        }
        if handled {
            p.signals.push(number);
        } else {
            let task = p.task.lock().unwrap().clone();
            if let Some(task) = task {
                task.abort();
            }
            let code = 128 + i32::from(number);
            p.finish(Exit { code, reason: "Error".into(), message: String::new() });
        }
    }

    fn kill(&self) {
        self.signal(9);
    }

    fn set_frozen(&self, _: bool) {}

    fn exit(&self) -> Option<Exit> {
        self.0.exit.lock().unwrap().clone()
    }

    fn wait(&self) -> Ending {
        let p = self.0.clone();
        Box::pin(async move {
            let q = p.clone();
            p.ended.until(move || q.exit.lock().unwrap().clone()).await
        })
    }

    fn memory(&self) -> u64 {
        0
    }

    fn cpu_nanos(&self) -> u64 {
        0
    }
}

/// What a program does, word by word:
/// `sleep:S` `exit:N` `print:T` `env:NAME` `cat:PATH` `write:PATH=T` `term` (handles SIGTERM from
/// here on, by ignoring it) `drain:S` (waits for SIGTERM and then that long) `serve:PORT` (HTTP:
/// 200, or 503 while the file /tmp/sick is there; until it ends) `forever`.
async fn program(sim: &Handle, spec: StartSpec) -> i32 {
    let root = spec.mounts.root();
    let say = |text: &str| {
        (spec.output.lock().unwrap())(Stream::Stdout, format!("{text}\n").as_bytes());
    };
    let read = |path: &str| {
        let file = root.open_at(path.trim_start_matches('/'), OpenOptions { read: true, follow: true, ..OpenOptions::default() });
        file.and_then(|f| f.read(1 << 16, 0)).map(|b| String::from_utf8_lossy(&b).into_owned())
    };
    for word in spec.args.iter().skip(1) {
        let (what, rest) = word.split_once(':').unwrap_or((word, ""));
        match what {
            "sleep" => sim.sleep(Duration::from_secs_f64(rest.parse().unwrap())).await,
            "exit" => return rest.parse().unwrap(),
            "print" => say(rest),
            "env" => {
                let found = spec.env.iter().find(|(k, _)| k == rest);
                say(found.map_or("(none)", |(_, v)| v));
            }
            "cat" => say(&read(rest).unwrap_or_else(|e| e.name().to_owned())),
            "write" => {
                let (path, text) = rest.split_once('=').unwrap();
                let options = OpenOptions { write: true, create: true, truncate: true, follow: true, ..OpenOptions::default() };
                let file = root.open_at(path.trim_start_matches('/'), options);
                if let Err(e) = file.and_then(|f| f.write(text.as_bytes(), 0)) {
                    say(e.name());
                }
            }
            "ls" => {
                let dir = root.open_at(rest.trim_start_matches('/'), OpenOptions { read: true, follow: true, ..OpenOptions::default() });
                let mut names: Vec<String> = dir.and_then(|d| d.entries()).unwrap_or_default().into_iter().map(|e| e.0).collect();
                names.sort();
                say(&names.join(" "));
            }
            "has" => {
                if read(rest).is_err() {
                    return 1;
                }
            }
            "term" => {
                root.open_at("dev/signals", OpenOptions { read: true, ..OpenOptions::default() }).unwrap();
            }
            "drain" => {
                root.open_at("dev/signals", OpenOptions { read: true, ..OpenOptions::default() }).unwrap();
                spec.signals.ready().await;
                sim.sleep(Duration::from_secs_f64(rest.parse().unwrap())).await;
                return 0;
            }
            "get" => {
                let (host, port) = rest.rsplit_once(':').unwrap();
                let found = match host.parse() {
                    Ok(ip) => Ok(vec![ip]),
                    Err(_) => spec.stack.resolve(host).await,
                };
                let Ok(ips) = found else {
                    say("no name");
                    continue;
                };
                let to = std::net::SocketAddr::new(ips[0], port.parse().unwrap());
                match spec.stack.connect(to).await {
                    Ok(stream) => {
                        stream.write_all(Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n")).await.unwrap();
                        let answer = stream.read(4096).await.unwrap_or_default();
                        let text = String::from_utf8_lossy(&answer).into_owned();
                        say(text.rsplit_once("\r\n\r\n").map_or("nothing", |(_, body)| body));
                    }
                    Err(e) => say(&format!("{e:?}")),
                }
            }
            "serve" => {
                let port: u16 = rest.parse().unwrap();
                let listener = spec.stack.listen(([0, 0, 0, 0], port).into()).unwrap();
                loop {
                    let Ok(stream) = listener.accept().await else { return 1 };
                    let Ok(_) = stream.read(4096).await else { continue };
                    let status = if read("/tmp/sick").is_ok() { "503 Sick" } else { "200 OK" };
                    let body = &spec.pod;
                    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    // A client that has gone does not matter.
                    let _ = stream.write_all(Bytes::from(answer)).await;
                }
            }
            "forever" => std::future::pending::<()>().await,
            other => panic!("a test's program does not know {other:?}"),
        }
    }
    0
}
