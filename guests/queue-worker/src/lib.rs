//! A sidecar that turns a queue into files: it takes a task, writes it into a directory, waits for
//! the answer of the main container, publishes that, and acknowledges the task.
//!
//! # Layout
//! - `broker`: what it says to the broker: over `http`, or over `amqp`
//! - `format`: a task as a file
//! - this file: one task after the other, heartbeats, the end

mod amqp;
mod broker;
mod format;
mod http;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{Handler, Limits, Request, Response, Url, serve};
use podlab_guest::runtime::{Flag, race, sleep, spawn};
use podlab_guest::{connections, handover, log};

use amqp::Amqp;
use broker::{Broker, Taken, Task};
use format::Format;
use http::Http;

/// The command line.
pub const SPEC: Spec = Spec {
    name: "queue-worker",
    version: env!("CARGO_PKG_VERSION"),
    about: "Takes tasks from a queue, one at a time, and hands each to the container beside it.",
    options: &[
        opt("broker", "URL", "http://queue:8080", "the broker; over AMQP amqp://HOST:5672"),
        opt("protocol", "NAME", "http", "what the broker speaks: http, amqp"),
        opt("login", "USER:PASSWORD", "guest:guest", "for AMQP"),
        opt("tries", "N", "3", "over AMQP: a task that came back so often is a dead letter"),
        opt("queue", "NAME", "tasks", "the queue to take from"),
        opt("results", "NAME", "", "the queue that results are published to"),
        opt("dir", "DIR", "/work", "where tasks and answers are files"),
        opt("format", "NAME", "json", "how a task is written: json, csv, raw"),
        opt("visibility", "TIME", "10s", "a task of a worker that is silent comes back after this"),
        opt("deadline", "TIME", "60s", "a task that takes longer has failed"),
        opt("retry-delay", "TIME", "1s", "a task that failed is tried again after this"),
        opt("wait", "TIME", "1s", "how long one look for a task waits"),
        opt("poll", "TIME", "50ms", "from one look for the answer to the next"),
        opt("timeout", "TIME", "3s", "how long the broker may take, beside --wait"),
        opt("tasks", "N", "0", "says `done` to the main container after so many; 0 is never"),
        opt("until-empty", "", "", "says `done` when no task is left"),
        opt("ack", "WHEN", "after", "after the result; `before` the work loses tasks"),
        opt("keys", "BOOL", "true", "whether results are published under their task's key"),
        opt("listen", "ADDR", "0.0.0.0:8081", "HTTP: /healthz, /readyz, /stats; '-' for nowhere"),
    ],
};

struct Worker {
    broker: Broker,
    dir: PathBuf,
    format: Format,
    results: String,
    visibility: Duration,
    deadline: Duration,
    retry: Duration,
    poll: Duration,
    keys: bool,
    early: bool,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    taken: Cell<u64>,
    done: Cell<u64>,
    failed: Cell<u64>,
    lost: Cell<u64>,
    returned: Cell<u64>,
}

fn add(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

/// How the wait for an answer ended.
enum Answer {
    Result(Vec<u8>),
    Failed(String),
    Lost,
    Stopped,
}

/// Works until `stop`.
///
/// # Errors
/// A wrong option, a directory that cannot be used, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let (visibility, wait) = (args.duration("visibility")?, args.duration("wait")?);
    let early = match args.text("ack").as_str() {
        "after" => false,
        "before" => true,
        other => return Err(format!("--ack: {other:?} is neither after nor before")),
    };
    if visibility < Duration::from_millis(100) {
        return Err("--visibility: at least 100ms, for heartbeats to come in between".into());
    }
    let (url, queue) = (args.text("broker"), args.text("queue"));
    let limit = args.duration("timeout")?;
    let broker = match args.text("protocol").as_str() {
        "http" => Broker::Http(Http::new(Url::parse(&url)?, &queue, visibility, wait + limit)),
        "amqp" => Broker::Amqp(Amqp::new(amqp::Settings {
            address: amqp::address(&url)?,
            login: args.text("login"),
            queue,
            results: args.text("results"),
            tries: args.number("tries")?,
            silence: visibility,
            limit,
        })),
        other => return Err(format!("--protocol: {other:?} is none of http, amqp")),
    };
    let worker = Rc::new(Worker {
        broker,
        dir: PathBuf::from(args.text("dir")),
        format: Format::named(&args.text("format"))?,
        results: args.text("results"),
        visibility,
        deadline: args.duration("deadline")?,
        retry: args.duration("retry-delay")?,
        poll: args.duration("poll")?.max(Duration::from_millis(1)),
        keys: args.switch("keys"),
        early,
        counts: Counts::default(),
    });
    worker.clear().map_err(|e| format!("{}: {e}", worker.dir.display()))?;
    if let Some(listener) = connections::listen(&args, "listen").await? {
        let (worker, stop) = (worker.clone(), stop.clone());
        let handler: Handler = Rc::new(move |request| {
            let worker = worker.clone();
            Box::pin(async move { worker.page(&request) })
        });
        spawn(async move {
            if let Err(error) = serve(listener, handler, Limits::default(), stop).await {
                log::error("page-failed", &[("error", &error)]);
            }
        });
    }
    let (most, until_empty) = (args.number::<u64>("tasks")?, args.switch("until-empty"));
    let mut failures = 0u32;
    while !stop.raised() {
        if most > 0 && worker.counts.done.get() >= most {
            return worker.end(&stop).await;
        }
        // Not raced with `stop`: a task that is on its way must not be dropped.
        let taken = worker.broker.take(wait).await;
        match taken {
            Ok(Taken::Task(task)) => {
                failures = 0;
                worker.task(&task, &stop).await;
            }
            Ok(Taken::None(0)) if until_empty => return worker.end(&stop).await,
            Ok(Taken::None(_)) => failures = 0,
            Err(error) => {
                failures += 1;
                log::warn("broker-failed", &[("error", &error)]);
                race(sleep(pause(failures)), stop.wait()).await;
            }
        }
    }
    Ok(())
}

/// 0.25 s, 0.5 s ... 8 s.
fn pause(failures: u32) -> Duration {
    Duration::from_millis(250 << failures.saturating_sub(1).min(5))
}

impl Worker {
    /// Removes what an earlier run left: those tasks come back by themselves.
    fn clear(&self) -> std::io::Result<()> {
        for folder in ["in", "out"] {
            let folder = self.dir.join(folder);
            fs::create_dir_all(&folder)?;
            for entry in fs::read_dir(&folder)? {
                fs::remove_file(entry?.path())?;
            }
        }
        match fs::remove_file(self.dir.join("done")) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Tells the main container that no more will come, and waits to be ended after it.
    async fn end(&self, stop: &Flag) -> Result<(), String> {
        handover::put(&self.dir.join("done"), b"").map_err(|e| format!("done: {e}"))?;
        log::info("no-more-tasks", &[("done", &self.counts.done.get())]);
        stop.wait().await;
        Ok(())
    }

    /// One task, to its end.
    async fn task(&self, task: &Task, stop: &Flag) {
        add(&self.counts.taken);
        if self.early {
            let _counterexample = self.broker.ack(&task.receipt).await;
        }
        let name = format!("{}-{}.{}", task.id, task.receipt, self.format.suffix());
        let file = self.dir.join("in").join(&name);
        let outputs = ["result", "error"].map(|k| self.dir.join("out").join(format!("{name}.{k}")));
        let written = self.format.write(task).and_then(|bytes| {
            handover::put(&file, &bytes).map_err(|e| format!("{}: {e}", file.display()))
        });
        let answer = match written {
            Ok(()) => self.answer(task, &outputs, stop).await,
            Err(error) => Answer::Failed(error),
        };
        // Gone already if it was answered; what is taken back must not be begun.
        let _gone = fs::remove_file(&file);
        match answer {
            Answer::Result(bytes) => self.deliver(task, &bytes, stop).await,
            Answer::Failed(why) => {
                add(&self.counts.failed);
                log::warn("task-failed", &[("task", &task.id), ("error", &why)]);
                self.back(task, true, &why).await;
            }
            Answer::Stopped => {
                add(&self.counts.returned);
                log::info("given-back", &[("task", &task.id)]);
                self.back(task, false, "the worker was asked to end").await;
            }
            Answer::Lost => {
                add(&self.counts.lost);
                log::warn("task-lost", &[("task", &task.id)]);
            }
        }
        for file in &outputs {
            let _gone = fs::remove_file(file);
        }
    }

    async fn back(&self, task: &Task, counted: bool, why: &str) {
        let nack = self.broker.nack(&task.receipt, counted, why, self.retry).await;
        if let Err(error) = nack {
            // It comes back when its time is over.
            log::warn("broker-failed", &[("error", &error)]);
        }
    }

    /// Waits for the answer of the main container, and keeps the task meanwhile.
    async fn answer(&self, task: &Task, outputs: &[PathBuf; 2], stop: &Flag) -> Answer {
        let begun = Instant::now();
        let mut beat = begun + self.visibility / 3;
        loop {
            for (file, good) in outputs.iter().zip([true, false]) {
                match read(file) {
                    Ok(None) => {}
                    Ok(Some(bytes)) if good => return Answer::Result(bytes),
                    Ok(Some(why)) => {
                        return Answer::Failed(String::from_utf8_lossy(&why).into_owned());
                    }
                    Err(error) => return Answer::Failed(error),
                }
            }
            if stop.raised() {
                return Answer::Stopped;
            }
            if begun.elapsed() >= self.deadline {
                return Answer::Failed("there was no result in time".into());
            }
            if Instant::now() >= beat {
                beat = Instant::now() + self.visibility / 3;
                let kept = match self.early {
                    true => Ok(true),
                    false => self.broker.extend(&task.receipt).await,
                };
                match kept {
                    Ok(true) => {}
                    Ok(false) => return Answer::Lost,
                    Err(error) => log::warn("broker-failed", &[("error", &error)]),
                }
            }
            race(sleep(self.poll), stop.wait()).await;
        }
    }

    /// Publishes a result and acknowledges its task: in this order, so that cut off between the two
    /// it is published again and not lost. The key makes the second time harmless.
    async fn deliver(&self, task: &Task, result: &[u8], stop: &Flag) {
        let key = if self.keys { task.key.as_str() } else { "" };
        let mut failures = 0;
        let mut published = self.results.is_empty();
        loop {
            let error = {
                let broker = &self.broker;
                if !published {
                    match broker.publish(&self.results, key, result).await {
                        Ok(()) => {
                            published = true;
                            continue;
                        }
                        Err(error) => error,
                    }
                } else if self.early {
                    add(&self.counts.done);
                    return;
                } else {
                    match broker.ack(&task.receipt).await {
                        Ok(ours) => {
                            add(if ours { &self.counts.done } else { &self.counts.lost });
                            log::info("done", &[("task", &task.id), ("ours", &ours)]);
                            return;
                        }
                        Err(error) => error,
                    }
                }
            };
            failures += 1;
            log::warn("broker-failed", &[("error", &error)]);
            if stop.raised() && failures > 2 {
                return;
            }
            sleep(pause(failures)).await;
            // A broker that is away may have given the task to somebody else.
            let kept = self.broker.extend(&task.receipt).await;
            if !self.early && matches!(kept, Ok(false)) {
                add(&self.counts.lost);
                return;
            }
        }
    }

    fn page(&self, request: &Request) -> Response {
        let c = &self.counts;
        match request.path.as_str() {
            "/healthz" | "/readyz" => Response::text(200, "ok"),
            "/stats" => Response::json(
                200,
                format!(
                    "{{\"taken\":{},\"done\":{},\"failed\":{},\"lost\":{},\"returned\":{}}}",
                    c.taken.get(),
                    c.done.get(),
                    c.failed.get(),
                    c.lost.get(),
                    c.returned.get()
                ),
            ),
            _ => Response::text(404, "there are /healthz, /readyz and /stats"),
        }
    }
}

/// Bytes of a result.
const MAX_RESULT: u64 = 256 << 10;

/// A file that is there, or not yet.
fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e.to_string()),
        Ok(data) if data.len() > MAX_RESULT => {
            Err(format!("a result has at most {MAX_RESULT} bytes, this one {}", data.len()))
        }
        Ok(_) => fs::read(path).map(Some).map_err(|e| e.to_string()),
    }
}
