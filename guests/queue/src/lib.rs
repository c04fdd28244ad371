//! A broker: queues of tasks over HTTP, Redis' lists over RESP, and AMQP 0-9-1, in bounded memory.
//!
//! # Layout
//! - `tasks`: taking, acknowledging, coming back, the dead
//! - `lists`: lists with two ends
//! - `amqp`: exchanges, queues, consumers, as RabbitMQ has them
//! - `broker`: all of them under one bound and one journal, and a bell for those who wait
//! - `journal`, `replay`: what outlives the program
//! - `web`, `figures`: the HTTP API; `redis`: the commands
//! - this file: the command line and connections

mod amqp;
mod broker;
mod figures;
mod journal;
mod lists;
mod redis;
mod replay;
mod tasks;
mod web;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits};
use podlab_guest::net::TcpStream;
use podlab_guest::resp::{self, Value};
use podlab_guest::runtime::{Either, Flag, race, sleep_until, spawn, timeout};
use podlab_guest::{connections, log, program};

use broker::{Broker, Shared};
use redis::{MAX_ELEMENT, Outcome, Session};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "queue",
    version: env!("CARGO_PKG_VERSION"),
    about: "A broker in bounded memory: queues of tasks over HTTP, Redis' lists over RESP, and AMQP 0-9-1.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where to speak HTTP"),
        opt("redis", "ADDR", "0.0.0.0:6379", "where to speak RESP 2 and 3; '-' for nowhere"),
        opt("amqp", "ADDR", "0.0.0.0:5672", "where to speak AMQP 0-9-1; '-' for nowhere"),
        opt("amqp-login", "USER:PASSWORD", "guest:guest", "what AMQP's clients log in with"),
        opt("memory", "BYTES", "8388608", "what tasks and lists may take; then it says no"),
        opt("tries", "N", "5", "a task that came back so often goes to the dead"),
        opt("visibility", "TIME", "30s", "a task taken comes back after this, unless it is said"),
        opt("journal", "FILE", "", "goes on after a restart where this file ends"),
        opt("connections", "N", "256", "connections at a time, for each protocol"),
        opt("patience", "TIME", "10s", "how long a request may take to arrive, once begun"),
    ],
};

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken, a journal that is none.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let mut broker = Broker::new(args.number("memory")?, args.number("tries")?);
    let journal = args.text("journal");
    if !journal.is_empty() {
        broker.resume(Path::new(&journal))?;
    }
    let broker: Shared = Rc::new(RefCell::new(broker));
    let most = args.number::<usize>("connections")?.max(1);
    let (visibility, patience) = (args.duration("visibility")?, args.duration("patience")?);
    // Raised when the connections of a protocol have ended.
    let mut ends = Vec::new();
    if let Some(listener) = connections::listen(&args, "redis").await? {
        let (broker, stop, end) = (broker.clone(), stop.clone(), Flag::default());
        ends.push(end.clone());
        spawn(async move {
            let serve = |stream| converse(stream, broker.clone(), patience, stop.clone());
            connections::accept(listener, most, &stop, serve).await;
            end.raise();
        });
    }
    if let Some(listener) = connections::listen(&args, "amqp").await? {
        let (broker, stop, end) = (broker.clone(), stop.clone(), Flag::default());
        ends.push(end.clone());
        let login = args.text("amqp-login");
        spawn(async move {
            let serve = |stream| {
                let (broker, stop) = (broker.clone(), stop.clone());
                amqp::connection::converse(stream, broker, login.clone(), patience, stop)
            };
            connections::accept(listener, most, &stop, serve).await;
            end.raise();
        });
    }
    spawn(watch(broker.clone()));
    let listener = program::listen(&args).await?;
    let limits = Limits { connections: most, request: patience, ..Limits::default() };
    let end = stop.clone();
    let handler: http::Handler = Rc::new(move |request| {
        let (broker, end) = (broker.clone(), end.clone());
        Box::pin(async move { web::answer(&broker, &request, visibility, &end).await })
    });
    let served = http::serve(listener, handler, limits, stop).await.map_err(|e| e.to_string());
    for end in ends {
        end.wait().await;
    }
    served
}

/// Lets tasks come back when their time is over, even if nobody asks.
async fn watch(broker: Shared) {
    loop {
        let (bell, due) = {
            let broker = broker.borrow();
            let due = broker.tasks.next_due().into_iter().chain(broker.amqp.next_expiry()).min();
            let due = due.map(|age| broker.instant(age));
            (broker.bell(), due)
        };
        match due {
            None => bell.wait().await,
            Some(at) => {
                if let Either::Second(()) = race(bell.wait(), sleep_until(at)).await {
                    let mut broker = broker.borrow_mut();
                    broker.settle();
                    broker.ring();
                }
            }
        }
    }
}

/// One connection that speaks RESP, to its end.
async fn converse(stream: TcpStream, broker: Shared, patience: Duration, stop: Flag) {
    let id = {
        let mut broker = broker.borrow_mut();
        broker.clients += 1;
        broker.clients
    };
    let mut session = Session { version: 2, id, quit: false };
    let mut input: Vec<u8> = Vec::new();
    loop {
        let (output, end) = match resp::parse_command(&input, MAX_ELEMENT) {
            Ok(Some((words, used))) => {
                input.drain(..used);
                if words.is_empty() {
                    continue;
                }
                let reply = perform(&stream, &broker, &mut session, &words, &mut input, &stop);
                let Some(value) = reply.await else { break };
                let mut output = Vec::new();
                value.encode(session.version, &mut output);
                (output, session.quit)
            }
            Err(message) => {
                log::warn("bad-request", &[("client", &id), ("answer", &message)]);
                let mut output = Vec::new();
                Value::Error(message).encode(2, &mut output);
                (output, true)
            }
            Ok(None) => {
                let read = stream.read(64 << 10);
                let got = if input.is_empty() {
                    match race(read, stop.wait()).await {
                        Either::First(got) => Some(got),
                        Either::Second(()) => break,
                    }
                } else {
                    timeout(patience, read).await
                };
                match got {
                    Some(Ok(bytes)) if !bytes.is_empty() => input.extend(bytes),
                    Some(_) => break,
                    None => {
                        log::warn("request-too-slow", &[("client", &id)]);
                        break;
                    }
                }
                continue;
            }
        };
        // A client that does not take its answers is let go.
        let sent = timeout(patience, stream.write_all(&output)).await;
        if end || !matches!(sent, Some(Ok(()))) {
            break;
        }
    }
}

/// Does a command, waiting where it waits. `None` if the client went away meanwhile: then nothing
/// was taken for it.
async fn perform(
    stream: &TcpStream,
    broker: &Shared,
    session: &mut Session,
    words: &[Vec<u8>],
    input: &mut Vec<u8>,
    stop: &Flag,
) -> Option<Value> {
    let mut end = None;
    loop {
        let bell = {
            let mut broker = broker.borrow_mut();
            match redis::answer(&mut broker, session, words) {
                Outcome::Done(value) => return Some(value),
                Outcome::Wait(limit, otherwise) => {
                    let (limit, otherwise) = end.get_or_insert_with(|| {
                        (limit.map(|l| broker.instant(broker.now().saturating_add(l))), otherwise)
                    });
                    if limit.is_some_and(|at| at <= std::time::Instant::now()) {
                        return Some(otherwise.clone());
                    }
                    broker.bell()
                }
            }
        };
        let limit = end.as_ref().and_then(|(at, _)| *at);
        let late = async {
            match limit {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let room = if input.len() < MAX_ELEMENT { 4096 } else { 0 };
        let more = async {
            if room > 0 { Some(stream.read(room).await) } else { std::future::pending().await }
        };
        match race(race(bell.wait(), late), race(more, stop.wait())).await {
            Either::First(_) => {}
            Either::Second(Either::First(Some(Ok(bytes)))) if !bytes.is_empty() => {
                input.extend(bytes);
            }
            Either::Second(_) => return None,
        }
    }
}
