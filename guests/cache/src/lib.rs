//! A cache in memory that speaks memcached's text protocol and Redis' RESP, over one store.
//!
//! # Layout
//! - `store`: values, times to live, the bound and who goes first
//! - `memcached`, `redis`: what each protocol's requests do to the store
//! - this file: the command line, connections, the page for operators

mod memcached;
mod redis;
mod store;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::memcached::{self as mc, Parsed, Verb};
use podlab_guest::net::TcpStream;
use podlab_guest::runtime::{Either, Flag, race, spawn, timeout};
use podlab_guest::{connections, log, resp};

use store::{MAX_VALUE, Store};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "cache",
    version: env!("CARGO_PKG_VERSION"),
    about: "Keeps values in memory: memcached's text protocol and Redis' RESP over one store.",
    options: &[
        opt("memcached", "ADDR", "0.0.0.0:11211", "where to speak memcached; '-' for nowhere"),
        opt("redis", "ADDR", "0.0.0.0:6379", "where to speak RESP 2 and 3; '-' for nowhere"),
        opt("admin", "ADDR", "0.0.0.0:8080", "HTTP: /healthz, /readyz, /stats, /info"),
        opt("memory", "BYTES", "8388608", "what all values may take; the least used go first"),
        opt("connections", "N", "512", "connections at a time, for each protocol"),
        opt("patience", "TIME", "10s", "how long a request may take to arrive, once begun"),
        opt("delay", "TIME", "0", "an answer takes this much longer (a slow machine)"),
    ],
};

struct Cache {
    store: RefCell<Store>,
    born: Instant,
    patience: Duration,
    delay: Duration,
}

impl Cache {
    fn age(&self) -> Duration {
        self.born.elapsed()
    }
}

#[derive(Clone, Copy)]
enum Protocol {
    Memcached,
    Redis,
}

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let limit: usize = args.number("memory")?;
    let most = args.number::<usize>("connections")?.max(1);
    let cache = Rc::new(Cache {
        store: RefCell::new(Store::new(limit)),
        born: Instant::now(),
        patience: args.duration("patience")?,
        delay: args.duration("delay")?,
    });
    for (option, protocol) in [("memcached", Protocol::Memcached), ("redis", Protocol::Redis)] {
        let Some(listener) = connections::listen(&args, option).await? else { continue };
        let (cache, stop) = (cache.clone(), stop.clone());
        spawn(async move {
            let serve = |stream| serve(stream, protocol, cache.clone(), stop.clone());
            connections::accept(listener, most, &stop, serve).await;
        });
    }
    let handler: http::Handler = Rc::new(move |request| {
        let cache = cache.clone();
        Box::pin(async move { cache.admin(&request) })
    });
    match connections::listen(&args, "admin").await? {
        Some(listener) => {
            http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
        }
        None => {
            stop.wait().await;
            Ok(())
        }
    }
}

/// One connection, to its end.
async fn serve(stream: TcpStream, protocol: Protocol, cache: Rc<Cache>, stop: Flag) {
    let id = {
        let counters = &mut cache.store.borrow_mut().counters;
        counters.connections += 1;
        counters.total_connections += 1;
        counters.total_connections
    };
    let mut talk = Talk {
        session: redis::Session { version: 2, id, quit: false },
        cache: &cache,
        protocol,
        skip: 0,
        refused: 0,
    };
    let mut input: Vec<u8> = Vec::new();
    loop {
        let (output, used, end) = talk.answer(&input);
        input.drain(..used);
        if !output.is_empty() {
            if !cache.delay.is_zero() {
                podlab_guest::runtime::sleep(cache.delay).await;
            }
            // A client that does not take its answers is let go.
            let sent = timeout(cache.patience, stream.write_all(&output)).await;
            if !matches!(sent, Some(Ok(()))) {
                break;
            }
        }
        if end || (stop.raised() && input.is_empty()) {
            break;
        }
        let read = stream.read(64 << 10);
        let got = if input.is_empty() && talk.skip == 0 {
            match race(read, stop.wait()).await {
                Either::First(got) => Some(got),
                Either::Second(()) => break,
            }
        } else {
            timeout(cache.patience, read).await
        };
        match got {
            Some(Ok(bytes)) if !bytes.is_empty() => input.extend(bytes),
            Some(_) => break,
            None => {
                log::warn("request-too-slow", &[("client", &id)]);
                break;
            }
        }
    }
    cache.store.borrow_mut().counters.connections -= 1;
}

/// Where a conversation stands.
struct Talk<'a> {
    session: redis::Session,
    cache: &'a Cache,
    protocol: Protocol,
    /// Bytes that belong to a request that was refused, and are still to come.
    skip: u64,
    refused: u64,
}

impl Talk<'_> {
    /// Answers all whole requests in `input`: the answers, how much of it they took, and whether
    /// the conversation is over.
    fn answer(&mut self, input: &[u8]) -> (Vec<u8>, usize, bool) {
        let (mut output, mut at) = (Vec::new(), 0);
        loop {
            let skip = self.skip.min((input.len() - at) as u64);
            self.skip -= skip;
            at += skip as usize;
            let rest = &input[at..];
            let step = match self.protocol {
                _ if rest.is_empty() => None,
                Protocol::Memcached => self.memcached(rest, &mut output),
                Protocol::Redis => self.redis(rest, &mut output),
            };
            match step {
                None => return (output, at, false),
                Some((used, true)) => return (output, at + used, true),
                Some((used, false)) => at += used,
            }
        }
    }

    fn memcached(&mut self, input: &[u8], output: &mut Vec<u8>) -> Option<(usize, bool)> {
        match mc::parse(input, MAX_VALUE) {
            Parsed::Incomplete => None,
            Parsed::Request(request, used) => {
                let mut store = self.cache.store.borrow_mut();
                store.counters.commands += 1;
                if request.verb == Verb::Quit {
                    return Some((used, true));
                }
                let reply = memcached::answer(&mut store, &request, self.cache.age());
                if !request.noreply {
                    output.extend(reply.encode());
                }
                Some((used, false))
            }
            Parsed::Refused(refusal) => {
                self.refuse(refusal.reply);
                output.extend_from_slice(refusal.reply.as_bytes());
                output.extend_from_slice(b"\r\n");
                self.skip = refusal.skip;
                Some((refusal.used, refusal.close))
            }
        }
    }

    fn redis(&mut self, input: &[u8], output: &mut Vec<u8>) -> Option<(usize, bool)> {
        match resp::parse_command(input, MAX_VALUE) {
            Ok(None) => None,
            Ok(Some((words, used))) => {
                if words.is_empty() {
                    return Some((used, false));
                }
                let mut store = self.cache.store.borrow_mut();
                store.counters.commands += 1;
                let age = self.cache.age();
                let value = redis::answer(&mut store, &mut self.session, &words, age);
                value.encode(self.session.version, output);
                Some((used, self.session.quit))
            }
            Err(message) => {
                self.refuse(&message);
                resp::Value::Error(message).encode(2, output);
                Some((input.len(), true))
            }
        }
    }

    /// One line for the first request of a connection that is wrong: a client that sends nothing
    /// else must not fill the log.
    fn refuse(&mut self, why: &str) {
        self.refused += 1;
        if self.refused == 1 {
            log::warn("bad-request", &[("client", &self.session.id), ("answer", &why)]);
        }
    }
}

impl Cache {
    fn admin(&self, request: &Request) -> Response {
        let store = self.store.borrow();
        match request.path.as_str() {
            "/healthz" | "/readyz" => Response::text(200, "ok"),
            "/info" => Response::text(200, redis::info(&store, self.age())),
            "/stats" => {
                let c = &store.counters;
                Response::json(
                    200,
                    format!(
                        "{{\"items\":{},\"bytes\":{},\"limit\":{},\"hits\":{},\"misses\":{},\
                         \"sets\":{},\"evictions\":{},\"expired\":{},\"commands\":{},\
                         \"connections\":{},\"totalConnections\":{}}}",
                        store.items(),
                        store.bytes(),
                        store.limit(),
                        c.hits,
                        c.misses,
                        c.sets,
                        c.evictions,
                        c.expired,
                        c.commands,
                        c.connections,
                        c.total_connections
                    ),
                )
            }
            _ => Response::text(404, "there are /healthz, /readyz, /stats and /info"),
        }
    }
}
