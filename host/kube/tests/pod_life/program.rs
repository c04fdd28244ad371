//! Programs for tests: small scripts on the world's real network and files, in the container's
//! own namespaces. A script is the program's arguments, run one after the other:
//!
//! `sleep S`, `exit CODE`, `trap` (from now on SIGTERM is ignored), `drain S` (SIGTERM ends it
//! with 0 after S seconds), `serve PORT` (HTTP, until the end; see [`Programs::answer`]),
//! `say TEXT`, `write PATH TEXT`, `read PATH` (says what is in it), `env NAME` (says it),
//! `healthy` (ends with 0 or 1; see [`Programs::answer`]), `get HOST PORT` (says the status of
//! an HTTP answer), `burn MILLICORES` (from now on it computes so much), `stay`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use podlab_fs::{OpenOptions, Volume, VolumeOptions};
use podlab_kube::runtime::{Ending, Exit, ImageInfo, Running, Runtime, StartSpec};
use podlab_sim::sync::Signal;
use podlab_sim::{Handle, Task};
use podlab_trace::Stream;

/// Runs scripts, and remembers when what happened to them.
pub struct Programs {
    sim: Handle,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    /// What a container's server answers; 200 if nothing is said.
    answers: BTreeMap<String, u16>,
    /// `(milliseconds, what)`.
    history: Vec<(u64, String)>,
}

impl Programs {
    pub fn new(sim: &Handle) -> Programs {
        Programs { sim: sim.clone(), told: Arc::default() }
    }

    /// What container `name`'s server answers from now on; above 399, `healthy` fails too. 0
    /// answers nothing at all.
    pub fn answer(&self, name: &str, status: u16) {
        self.told.lock().unwrap().answers.insert(name.into(), status);
    }

    /// How many programs run.
    pub fn running(&self) -> i64 {
        let told = self.told.lock().unwrap();
        let of = |(_, what): &(u64, String)| match what.split(' ').next() {
            Some("start") => 1,
            Some("exit") => -1,
            _ => 0,
        };
        told.history.iter().map(of).sum()
    }

    /// What happened, as `SECONDS WHAT` in whole seconds.
    pub fn history(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.history.iter().map(|(ms, what)| format!("{} {what}", ms / 1000)).collect()
    }
}

impl Runtime for Programs {
    fn image(&self, name: &str) -> Result<ImageInfo, String> {
        if name != "script:v1" {
            return Err(format!("image {name:?} is not known here"));
        }
        Ok(ImageInfo {
            entrypoint: vec!["script".into()],
            env: vec![("FROM_IMAGE".into(), "yes".into())],
            digest: "0123456789abcdef".into(),
        })
    }

    fn root(&self, _: &str, id: &str) -> Volume {
        Volume::new(&self.sim, id, VolumeOptions::default())
    }

    fn start(&self, spec: StartSpec) -> Arc<dyn Running> {
        let state = Arc::new(State {
            sim: self.sim.clone(),
            name: if spec.main { spec.container.clone() } else { format!("{}$", spec.container) },
            told: self.told.clone(),
            end: Mutex::default(),
            over: Signal::new(),
            on_term: Mutex::new(OnTerm::End),
            tasks: Mutex::default(),
            metrics: Mutex::default(),
            burning: Mutex::default(),
        });
        state.note("start");
        let script = state.clone();
        let task = self.sim.spawn(async move {
            let code = run(&script, &spec).await;
            script.finish(code, "");
        });
        state.tasks.lock().unwrap().push(task);
        Arc::new(Program(state))
    }
}

#[derive(Clone, Copy)]
enum OnTerm {
    End,
    Ignore,
    Drain(Duration),
}

struct State {
    sim: Handle,
    name: String,
    told: Arc<Mutex<Told>>,
    end: Mutex<Option<Exit>>,
    over: Signal,
    on_term: Mutex<OnTerm>,
    tasks: Mutex<Vec<Task>>,
    /// What it tells of itself.
    metrics: Mutex<String>,
    /// Millicores since when, in ns, and what was computed before.
    burning: Mutex<(u64, u64, u64)>,
}

impl State {
    fn note(&self, what: &str) {
        let ms = self.sim.now().as_nanos() / 1_000_000;
        self.told.lock().unwrap().history.push((ms, format!("{what} {}", self.name)));
    }

    fn finish(&self, code: i32, message: &str) {
        {
            let mut end = self.end.lock().unwrap();
            if end.is_some() {
                return;
            }
            let reason = if code == 0 { "Completed" } else { "Error" };
            *end = Some(Exit { code, reason: reason.into(), message: message.into() });
        }
        self.note(&format!("exit {code}"));
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        tasks.iter().for_each(Task::abort);
        self.over.notify();
    }

    fn answer(&self) -> u16 {
        let name = self.name.trim_end_matches('$');
        self.told.lock().unwrap().answers.get(name).copied().unwrap_or(200)
    }
}

struct Program(Arc<State>);

impl Running for Program {
    fn signal(&self, number: u8) {
        let state = &self.0;
        if number != 15 || state.end.lock().unwrap().is_some() {
            return;
        }
        state.note("TERM");
        let on_term = *state.on_term.lock().unwrap();
        match on_term {
            OnTerm::End => state.finish(143, ""),
            OnTerm::Ignore => {}
            OnTerm::Drain(time) => {
                let later = state.clone();
                let task = state.sim.spawn(async move {
                    later.sim.sleep(time).await;
                    later.finish(0, "");
                });
                state.tasks.lock().unwrap().push(task);
            }
        }
    }

    fn kill(&self) {
        if self.0.end.lock().unwrap().is_none() {
            self.0.note("KILL");
        }
        self.0.finish(137, "");
    }

    fn set_frozen(&self, _: bool) {}

    fn exit(&self) -> Option<Exit> {
        self.0.end.lock().unwrap().clone()
    }

    fn wait(&self) -> Ending {
        let state = self.0.clone();
        Box::pin(async move {
            let over = state.over.clone();
            over.until(|| state.end.lock().unwrap().clone()).await
        })
    }

    fn memory(&self) -> u64 {
        1 << 20
    }

    fn cpu_nanos(&self) -> u64 {
        let (millicores, since, before) = *self.0.burning.lock().unwrap();
        before + (self.0.sim.now().as_nanos() - since) / 1000 * millicores
    }
}

async fn run(state: &Arc<State>, spec: &StartSpec) -> i32 {
    let say = |text: &str| {
        let line = format!("{text}\n");
        (spec.output.lock().unwrap())(Stream::Stdout, line.as_bytes());
    };
    let mut words = spec.args.iter().map(String::as_str).filter(|w| *w != "script");
    while let Some(word) = words.next() {
        let mut next = || words.next().expect("the script is whole").to_owned();
        match word {
            "sleep" => state.sim.sleep(seconds(&next())).await,
            "exit" => return next().parse().unwrap(),
            "trap" => *state.on_term.lock().unwrap() = OnTerm::Ignore,
            "drain" => *state.on_term.lock().unwrap() = OnTerm::Drain(seconds(&next())),
            "say" => say(&next()),
            "env" => {
                let name = next();
                let found = spec.env.iter().find(|(k, _)| *k == name).map(|(_, v)| v.as_str());
                say(&format!("{name}={}", found.unwrap_or("(none)")));
            }
            "write" => {
                let (path, text) = (next(), next());
                let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
                let done = spec.mounts.root().open_at(path.trim_start_matches('/'), options);
                if let Err(e) = done.and_then(|f| f.append(text.as_bytes())) {
                    say(&format!("{path}: {}", e.name()));
                }
            }
            "read" => {
                let path = next();
                let options = OpenOptions { read: true, follow: true, ..OpenOptions::default() };
                let found = spec.mounts.root().open_at(path.trim_start_matches('/'), options);
                match found.and_then(|f| f.read(4096, 0)) {
                    Ok(bytes) => say(String::from_utf8_lossy(&bytes).trim_end()),
                    Err(e) => say(&format!("{path}: {}", e.name())),
                }
            }
            "serve" => serve(state, spec, next().parse().unwrap()),
            "tell" => {
                let (port, text) = (next().parse().unwrap(), next());
                tell(state, spec, port, text.replace('~', " ") + "\n");
            }
            "get" => {
                let (host, port) = (next(), next().parse().unwrap());
                say(&get(spec, &host, port).await);
            }
            "healthy" => return i32::from(state.answer() > 399),
            "burn" => {
                let millicores = next().parse().unwrap();
                let now = state.sim.now().as_nanos();
                let mut burning = state.burning.lock().unwrap();
                let before = burning.2 + (now - burning.1) / 1000 * burning.0;
                *burning = (millicores, now, before);
            }
            "stay" => std::future::pending().await,
            other => panic!("a script has no word {other:?}"),
        }
    }
    0
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.parse().unwrap())
}

fn serve(state: &Arc<State>, spec: &StartSpec, port: u16) {
    let listener = spec.stack.listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)).unwrap();
    let server = state.clone();
    let task = state.sim.spawn(async move {
        loop {
            let Ok(client) = listener.accept().await else { return };
            // Requests are one segment here.
            if !matches!(client.read(4096).await, Ok(request) if !request.is_empty()) {
                continue;
            }
            let status = server.answer();
            if status == 0 {
                std::future::pending::<()>().await;
            }
            let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            let _ = client.write_all(Bytes::from(text)).await;
        }
    });
    state.tasks.lock().unwrap().push(task);
}

/// Answers every request with `text`; said again, the answer changes.
fn tell(state: &Arc<State>, spec: &StartSpec, port: u16, text: String) {
    let mut told = state.metrics.lock().unwrap();
    let first = told.is_empty();
    *told = text;
    if !first {
        return;
    }
    let listener = spec.stack.listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)).unwrap();
    let server = state.clone();
    let task = state.sim.spawn(async move {
        loop {
            let Ok(client) = listener.accept().await else { return };
            let _ = client.read(4096).await;
            let text = format!("HTTP/1.0 200 OK\r\n\r\n{}", server.metrics.lock().unwrap());
            let _ = client.write_all(Bytes::from(text)).await;
        }
    });
    state.tasks.lock().unwrap().push(task);
}

async fn get(spec: &StartSpec, host: &str, port: u16) -> String {
    let found = match spec.stack.resolve(host).await {
        Ok(found) => found[0],
        Err(e) => return e.to_string(),
    };
    let asked = async {
        let stream = spec.stack.connect(SocketAddr::new(found, port)).await?;
        stream.write_all(Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n")).await?;
        stream.read(4096).await
    };
    match asked.await {
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer).into_owned();
            text.split_whitespace().nth(1).unwrap_or("nothing").to_owned()
        }
        Err(e) => format!("{e:?}"),
    }
}
