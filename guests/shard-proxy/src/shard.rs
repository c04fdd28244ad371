//! One shard: a few connections that all clients share, each carrying many requests at once.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::log;
use podlab_guest::net::TcpStream;
use podlab_guest::runtime::{spawn, timeout};

use crate::promise::Promise;

/// Requests that may wait for their answers on one connection.
const MAX_WAITING: usize = 1024;
/// Bytes that may wait to be sent on one connection.
const MAX_OUTPUT: usize = 8 << 20;

/// What the two protocols differ in, as seen from a shard.
pub trait Wire: 'static {
    /// What must be known of a request to read its answer.
    type Ask: Clone + 'static;
    /// An answer.
    type Reply: 'static;

    /// Reads the answer at the beginning of `bytes`; `None` if more must come.
    ///
    /// # Errors
    /// If it is none.
    fn parse(ask: &Self::Ask, bytes: &[u8]) -> Result<Option<(Self::Reply, usize)>, String>;

    /// A request that any living server answers at once.
    fn probe() -> (Vec<u8>, Self::Ask);
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It was never sent: there was no connection.
    NotSent,
    /// The connection ended, or carried garbage: nobody knows whether the shard did it.
    Lost,
    /// No answer in time: nobody knows whether the shard did it, or still will.
    TimedOut,
    /// Too many requests wait already.
    Busy,
    /// No shard is alive.
    NoShard,
}

impl Fault {
    /// For the client.
    pub fn text(self) -> &'static str {
        match self {
            Fault::NotSent => "the shard cannot be reached",
            Fault::Lost => "the shard closed the connection",
            Fault::TimedOut => "the shard did not answer in time",
            Fault::Busy => "the shard is busy",
            Fault::NoShard => "no shard is alive",
        }
    }
}

/// How a shard is treated.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Connections to each shard.
    pub connections: usize,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Broken connections in a row before a shard is ejected.
    pub failure_limit: u32,
    /// How long it is left alone then.
    pub retry: Duration,
    /// Whether its keys go to others meanwhile.
    pub auto_eject: bool,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Requests sent.
    pub requests: u64,
    /// Requests without an answer.
    pub errors: u64,
    /// Of those, the ones that took too long.
    pub timeouts: u64,
    /// How often it was ejected.
    pub ejections: u64,
    /// How often a connection was opened.
    pub connects: u64,
    /// Microseconds that the answers took, together.
    pub micros: u64,
}

/// A shard.
pub struct Shard<W: Wire> {
    /// What the ring knows it by.
    pub name: String,
    host: String,
    port: u16,
    policy: Rc<Policy>,
    connections: RefCell<Vec<Rc<Connection<W>>>>,
    failures: Cell<u32>,
    ejected: Cell<bool>,
    gone: Cell<bool>,
    counters: Cell<Counters>,
}

type Waiting<W> = (<W as Wire>::Ask, Promise<Result<<W as Wire>::Reply, Fault>>);

struct Connection<W: Wire> {
    slot: usize,
    output: RefCell<Vec<u8>>,
    waiting: RefCell<VecDeque<Waiting<W>>>,
    /// The writer waits for this when there is nothing to write.
    bell: RefCell<Option<Promise<()>>>,
    over: Cell<bool>,
    connected: Cell<bool>,
    end: Promise<()>,
}

impl<W: Wire> Shard<W> {
    /// A shard at `host:port`; nothing is opened before it is needed.
    pub fn new(name: &str, host: &str, port: u16, policy: &Rc<Policy>) -> Rc<Shard<W>> {
        Rc::new(Shard {
            name: name.to_owned(),
            host: host.to_owned(),
            port,
            policy: policy.clone(),
            connections: RefCell::default(),
            failures: Cell::new(0),
            ejected: Cell::new(false),
            gone: Cell::new(false),
            counters: Cell::default(),
        })
    }

    /// Whether it has not been ejected.
    pub fn alive(&self) -> bool {
        !self.ejected.get()
    }

    /// How often what happened.
    pub fn counters(&self) -> Counters {
        self.counters.get()
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.connections.borrow().iter().filter(|c| c.connected.get()).count()
    }

    fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        change(&mut counters);
        self.counters.set(counters);
    }

    /// It is no shard any more: what is under way ends, and nobody looks after it.
    pub fn leave(&self) {
        self.gone.set(true);
        let connections = std::mem::take(&mut *self.connections.borrow_mut());
        for connection in connections {
            connection.finish(Fault::Lost);
        }
    }

    /// Sends a request; the requests of one client arrive in their order. Sent by the first poll.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(
        self: Rc<Self>,
        client: u64,
        bytes: &[u8],
        ask: W::Ask,
    ) -> Result<W::Reply, Fault> {
        let begun = Instant::now();
        self.count(|c| c.requests += 1);
        let connection = self.connection(client);
        let result = match connection.send(bytes, ask) {
            None => Err(Fault::Busy),
            Some(promise) => match timeout(self.policy.timeout, promise).await {
                Some(result) => result,
                None => {
                    // A late answer must not be taken for that of the next request.
                    self.broke(&connection, Fault::TimedOut);
                    Err(Fault::TimedOut)
                }
            },
        };
        match &result {
            Ok(_) => {
                self.failures.set(0);
                let micros = begun.elapsed().as_micros() as u64;
                self.count(|c| c.micros += micros);
            }
            Err(fault) => self.count(|c| {
                c.errors += 1;
                c.timeouts += u64::from(*fault == Fault::TimedOut);
            }),
        }
        result
    }

    fn connection(self: &Rc<Self>, client: u64) -> Rc<Connection<W>> {
        let slot = (client % self.policy.connections as u64) as usize;
        let mut connections = self.connections.borrow_mut();
        if let Some(open) = connections.iter().find(|c| c.slot == slot) {
            return open.clone();
        }
        let connection = Rc::new(Connection {
            slot,
            output: RefCell::default(),
            waiting: RefCell::default(),
            bell: RefCell::default(),
            over: Cell::new(false),
            connected: Cell::new(false),
            end: Promise::default(),
        });
        connections.push(connection.clone());
        spawn(self.clone().run(connection.clone()));
        connection
    }

    /// A connection's life.
    async fn run(self: Rc<Self>, connection: Rc<Connection<W>>) {
        self.count(|c| c.connects += 1);
        let opening = TcpStream::connect(&self.host, self.port);
        let stream = match timeout(self.policy.timeout, opening).await {
            Some(Ok(stream)) => Rc::new(stream),
            _ => return self.broke(&connection, Fault::NotSent),
        };
        connection.connected.set(true);
        let (writer, out) = (connection.clone(), stream.clone());
        spawn(async move {
            while !writer.over.get() {
                let bytes = std::mem::take(&mut *writer.output.borrow_mut());
                if bytes.is_empty() {
                    let bell = Promise::default();
                    *writer.bell.borrow_mut() = Some(bell.clone());
                    bell.await;
                } else if out.write_all(&bytes).await.is_err() {
                    // The reader learns of it too.
                    return;
                }
            }
        });
        let mut input: Vec<u8> = Vec::new();
        let fault = loop {
            let read = podlab_guest::runtime::race(stream.read(64 << 10), connection.end.clone());
            match read.await {
                podlab_guest::runtime::Either::First(Ok(bytes)) if !bytes.is_empty() => {
                    input.extend(bytes);
                }
                _ => break Fault::Lost,
            }
            if let Err(why) = connection.deliver(&mut input) {
                log::warn("bad-answer", &[("shard", &self.name), ("error", &why)]);
                break Fault::Lost;
            }
        };
        self.broke(&connection, fault);
    }

    /// Gives up a connection. One that ends while nobody waits was closed in good order.
    fn broke(self: &Rc<Self>, connection: &Rc<Connection<W>>, fault: Fault) {
        if connection.over.get() {
            return;
        }
        self.connections.borrow_mut().retain(|c| !Rc::ptr_eq(c, connection));
        let disappointed = connection.finish(fault);
        if self.gone.get() || (!disappointed && fault != Fault::NotSent) {
            return;
        }
        self.failures.set(self.failures.get() + 1);
        if self.failures.get() >= self.policy.failure_limit && !self.ejected.get() {
            self.eject();
        }
    }

    /// Leaves it alone for a while, then asks until it answers.
    fn eject(self: &Rc<Self>) {
        self.ejected.set(true);
        self.count(|c| c.ejections += 1);
        log::warn("shard-ejected", &[("shard", &self.name)]);
        let shard = self.clone();
        spawn(async move {
            while !shard.gone.get() {
                podlab_guest::runtime::sleep(shard.policy.retry).await;
                let (bytes, ask) = W::probe();
                if shard.clone().ask(0, &bytes, ask).await.is_ok() {
                    shard.ejected.set(false);
                    log::info("shard-back", &[("shard", &shard.name)]);
                    return;
                }
            }
        });
    }
}

impl<W: Wire> Connection<W> {
    fn send(&self, bytes: &[u8], ask: W::Ask) -> Option<Promise<Result<W::Reply, Fault>>> {
        let promise = Promise::default();
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= MAX_WAITING || self.output.borrow().len() > MAX_OUTPUT {
            return None;
        }
        waiting.push_back((ask, promise.clone()));
        self.output.borrow_mut().extend_from_slice(bytes);
        if let Some(bell) = self.bell.borrow_mut().take() {
            bell.keep(());
        }
        Some(promise)
    }

    /// Hands the answers in `input` to those who wait.
    fn deliver(&self, input: &mut Vec<u8>) -> Result<(), String> {
        let mut at = 0;
        while at < input.len() {
            let mut waiting = self.waiting.borrow_mut();
            let Some((ask, _)) = waiting.front() else {
                return Err("an answer that nobody asked for".into());
            };
            match W::parse(ask, &input[at..])? {
                None => break,
                Some((reply, used)) => {
                    at += used;
                    if let Some((_, promise)) = waiting.pop_front() {
                        promise.keep(Ok(reply));
                    }
                }
            }
        }
        input.drain(..at);
        Ok(())
    }

    /// Disappoints all who wait; whether there were any.
    fn finish(&self, fault: Fault) -> bool {
        self.over.set(true);
        self.connected.set(false);
        self.end.keep(());
        if let Some(bell) = self.bell.borrow_mut().take() {
            bell.keep(());
        }
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        // Who is disappointed because another waited too long has lost its answer too.
        let fault = if fault == Fault::TimedOut { Fault::Lost } else { fault };
        for (_, promise) in &waiting {
            promise.keep(Err(fault));
        }
        !waiting.is_empty()
    }
}
