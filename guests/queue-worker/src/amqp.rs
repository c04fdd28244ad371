//! The broker over AMQP 0-9-1: a task is kept for as long as the connection lives. Whoever dies gives
//! back at once, whoever is cut off when a heartbeat is missed.
//!
//! One task owns the socket and writes heartbeats while others wait for a main container; the rest talks
//! to it through [`Link`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::amqp::method::{Header, Method, Properties, bit};
use podlab_guest::amqp::wire::{self, Kind, Long, PROTOCOL, Table, Value};
use podlab_guest::log;
use podlab_guest::net::TcpStream;
use podlab_guest::runtime::{Either, Flag, race, sleep, sleep_until, spawn, timeout};

use crate::broker::{Taken, Task};

/// Bytes of a frame that this side can take.
const FRAME_MAX: u32 = 128 << 10;
/// Bytes of a task.
const MAX_BODY: u64 = 1 << 20;
/// The channel for everything.
const CHANNEL: u16 = 1;

/// How the broker is reached, and what is asked of it.
pub struct Settings {
    /// Host and port.
    pub address: (String, u16),
    /// User and password, with a colon between.
    pub login: String,
    /// The queue of tasks.
    pub queue: String,
    /// The queue of results; empty for none.
    pub results: String,
    /// How often a task is tried.
    pub tries: u32,
    /// After how long a side that says nothing counts as gone.
    pub silence: Duration,
    /// How long an answer may take.
    pub limit: Duration,
}

/// Host and port of `amqp://HOST:PORT`.
///
/// # Errors
/// If it is no such address.
pub fn address(url: &str) -> Result<(String, u16), String> {
    let wrong = || format!("--broker: {url:?} is not like amqp://HOST:5672");
    let rest = url.strip_prefix("amqp://").ok_or_else(wrong)?.trim_end_matches('/');
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, "5672"));
    let port = port.parse().map_err(|_| wrong())?;
    if host.is_empty() { Err(wrong()) } else { Ok((host.to_owned(), port)) }
}

/// A queue of a broker over AMQP.
pub struct Amqp {
    settings: Settings,
    link: RefCell<Option<Rc<Link>>>,
    generation: Cell<u64>,
}

/// One connection.
#[derive(Default)]
struct Link {
    generation: u64,
    out: RefCell<Vec<u8>>,
    tasks: RefCell<VecDeque<Task>>,
    answers: RefCell<VecDeque<Method>>,
    dead: Cell<bool>,
    why: RefCell<String>,
    /// Rings when there is something to write.
    write: RefCell<Flag>,
    /// Rings when something came, or the connection ended.
    news: RefCell<Flag>,
}

fn ring(bell: &RefCell<Flag>) {
    bell.take().raise();
}

impl Link {
    fn send(&self, channel: u16, method: &Method) {
        wire::write_frame(Kind::Method, channel, &method.payload(), &mut self.out.borrow_mut());
        ring(&self.write);
    }

    fn end(&self, why: impl ToString) {
        if !self.dead.replace(true) {
            *self.why.borrow_mut() = why.to_string();
        }
        ring(&self.news);
        ring(&self.write);
    }

    /// Waits until all is sent, for `limit` at most: before the program ends it must have been.
    async fn flushed(&self, limit: Duration) {
        let sent = async {
            loop {
                let news = self.news.borrow().clone();
                if self.out.borrow().is_empty() || self.dead.get() {
                    return;
                }
                news.wait().await;
            }
        };
        timeout(limit, sent).await;
    }

    /// The next answer that is like this, for `limit` at most.
    async fn answer(&self, like: fn(&Method) -> bool, limit: Duration) -> Result<Method, String> {
        let found = async {
            loop {
                let news = self.news.borrow().clone();
                let place = self.answers.borrow().iter().position(like);
                if let Some(answer) = place.and_then(|n| self.answers.borrow_mut().remove(n)) {
                    return Ok(answer);
                }
                if self.dead.get() {
                    return Err(self.why.borrow().clone());
                }
                news.wait().await;
            }
        };
        let late = || Err("the broker did not answer in time".to_owned());
        timeout(limit, found).await.unwrap_or_else(late)
    }
}

/// A content on its way in.
struct Incoming {
    delivery: u64,
    redelivered: bool,
    header: Option<Header>,
    body: Vec<u8>,
}

impl Amqp {
    /// A queue of a broker.
    pub fn new(settings: Settings) -> Amqp {
        Amqp { settings, link: RefCell::default(), generation: Cell::new(0) }
    }

    /// The connection, made anew if it is gone.
    async fn link(&self) -> Result<Rc<Link>, String> {
        let old = self.link.borrow().clone();
        if let Some(link) = old.filter(|l| !l.dead.get()) {
            return Ok(link);
        }
        let (host, port) = &self.settings.address;
        let limit = self.settings.limit;
        let connecting = timeout(limit, TcpStream::connect(host, *port));
        let stream = connecting.await.ok_or("the broker cannot be reached in time")?;
        let stream = stream.map_err(|e| format!("{host}:{port}: {e}"))?;
        self.generation.set(self.generation.get() + 1);
        let link = Rc::new(Link { generation: self.generation.get(), ..Link::default() });
        link.out.borrow_mut().extend(PROTOCOL);
        spawn(pump(stream, link.clone(), self.settings.silence));
        if let Err(error) = self.begin(&link, limit).await {
            link.end(&error);
            return Err(error);
        }
        log::info("connected", &[("protocol", &"amqp"), ("broker", host)]);
        *self.link.borrow_mut() = Some(link.clone());
        Ok(link)
    }

    /// Logs in, declares the queues, and asks for one task at a time.
    async fn begin(&self, link: &Link, limit: Duration) -> Result<(), String> {
        let s = &self.settings;
        link.answer(|m| matches!(m, Method::ConnectionStart { .. }), limit).await?;
        let able = ["authentication_failure_close", "consumer_cancel_notify"];
        let able = able.map(|name| (name.to_owned(), Value::Bool(true))).into();
        let product = ("product".to_owned(), Value::text("podlab queue-worker"));
        let properties = Table(vec![("capabilities".into(), Value::Table(Table(able))), product]);
        let response = Long(format!("\0{}", s.login.replacen(':', "\0", 1)).into_bytes());
        let (mechanism, locale) = ("PLAIN".to_owned(), "en_US".to_owned());
        link.send(0, &Method::ConnectionStartOk { properties, mechanism, response, locale });
        let tune = link.answer(|m| matches!(m, Method::ConnectionTune { .. }), limit).await?;
        let Method::ConnectionTune { channel_max, frame_max, .. } = tune else { unreachable!() };
        let frame_max = if frame_max == 0 { FRAME_MAX } else { frame_max.min(FRAME_MAX) };
        let heartbeat = beat(s.silence).as_secs() as u16;
        link.send(0, &Method::ConnectionTuneOk { channel_max, frame_max, heartbeat });
        let (host, capabilities) = ("/".to_owned(), String::new());
        link.send(0, &Method::ConnectionOpen { host, capabilities, insist: 0 });
        link.answer(|m| matches!(m, Method::ConnectionOpenOk { .. }), limit).await?;
        link.send(CHANNEL, &Method::ChannelOpen { reserved: String::new() });
        link.answer(|m| matches!(m, Method::ChannelOpenOk { .. }), limit).await?;
        // A queue that counts how often a task came back, and one for those that came too often.
        let dead = format!("{}.dead", s.queue);
        let arguments = Table(vec![
            ("x-queue-type".into(), Value::text("quorum")),
            ("x-delivery-limit".into(), Value::number(i64::from(s.tries.max(1)) - 1)),
            ("x-dead-letter-exchange".into(), Value::text("")),
            ("x-dead-letter-routing-key".into(), Value::text(&dead)),
        ]);
        let plain = |name: &str| (name.to_owned(), Table::default());
        let mut queues = vec![(s.queue.clone(), arguments), plain(&dead)];
        if !s.results.is_empty() {
            queues.push(plain(&s.results));
        }
        for (queue, arguments) in queues {
            let flags = bit::DURABLE;
            link.send(CHANNEL, &Method::QueueDeclare { ticket: 0, queue, flags, arguments });
            link.answer(|m| matches!(m, Method::QueueDeclareOk { .. }), limit).await?;
        }
        link.send(CHANNEL, &Method::ConfirmSelect { no_wait: 0 });
        link.answer(|m| matches!(m, Method::ConfirmSelectOk {}), limit).await?;
        link.send(CHANNEL, &Method::BasicQos { prefetch_size: 0, prefetch_count: 1, global: 0 });
        link.answer(|m| matches!(m, Method::BasicQosOk {}), limit).await?;
        let (queue, tag, arguments) = (s.queue.clone(), "worker".to_owned(), Table::default());
        link.send(CHANNEL, &Method::BasicConsume { ticket: 0, queue, tag, flags: 0, arguments });
        link.answer(|m| matches!(m, Method::BasicConsumeOk { .. }), limit).await?;
        Ok(())
    }

    /// Waits for a task.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn take(&self, wait: Duration) -> Result<Taken, String> {
        let link = self.link().await?;
        let end = Instant::now() + wait;
        loop {
            let news = link.news.borrow().clone();
            if let Some(task) = link.tasks.borrow_mut().pop_front() {
                return Ok(Taken::Task(task));
            }
            if link.dead.get() {
                return Err(link.why.borrow().clone());
            }
            if let Either::Second(()) = race(news.wait(), sleep_until(end)).await {
                break;
            }
        }
        // What others work on is not told: it counts as done.
        let queue = self.settings.queue.clone();
        let (flags, arguments) = (bit::PASSIVE, Table::default());
        link.send(CHANNEL, &Method::QueueDeclare { ticket: 0, queue, flags, arguments });
        let is = |m: &Method| matches!(m, Method::QueueDeclareOk { .. });
        let answer = link.answer(is, self.settings.limit).await?;
        let Method::QueueDeclareOk { messages, .. } = answer else { unreachable!() };
        if let Some(task) = link.tasks.borrow_mut().pop_front() {
            return Ok(Taken::Task(task));
        }
        Ok(Taken::None(messages.into()))
    }

    /// The connection and the delivery of a receipt, if it is still good.
    fn held(&self, receipt: &str) -> Option<(Rc<Link>, u64)> {
        let (generation, delivery) = receipt.split_once('-')?;
        let link = self.link.borrow().clone()?;
        let good = !link.dead.get() && generation.parse() == Ok(link.generation);
        good.then_some((link, delivery.parse().ok()?))
    }

    /// Whether a task is still ours.
    pub fn keeps(&self, receipt: &str) -> bool {
        self.held(receipt).is_some()
    }

    /// The task is done. False if it is no longer ours.
    ///
    /// # Errors
    /// None; the broker does not answer.
    pub async fn ack(&self, receipt: &str) -> Result<bool, String> {
        let Some((link, delivery)) = self.held(receipt) else { return Ok(false) };
        link.send(CHANNEL, &Method::BasicAck { delivery, multiple: 0 });
        link.flushed(self.settings.limit).await;
        Ok(!link.dead.get())
    }

    /// The task failed, or is given back. It waits here for `delay` first: a broker of AMQP hands it out again
    /// at once, and counts it either way.
    ///
    /// # Errors
    /// None; the broker does not answer.
    pub async fn nack(
        &self,
        receipt: &str,
        counted: bool,
        delay: Duration,
    ) -> Result<bool, String> {
        if counted {
            sleep(delay).await;
        }
        let Some((link, delivery)) = self.held(receipt) else { return Ok(false) };
        link.send(CHANNEL, &Method::BasicNack { delivery, flags: bit::NACK_REQUEUE });
        link.flushed(self.settings.limit).await;
        Ok(true)
    }

    /// Publishes a result, and waits until the broker has it.
    ///
    /// # Errors
    /// If it has not.
    pub async fn publish(&self, queue: &str, key: &str, body: &[u8]) -> Result<(), String> {
        let link = self.link().await?;
        let (exchange, key) = (String::new(), Some(key.to_owned()).filter(|k| !k.is_empty()));
        let publish = Method::BasicPublish { ticket: 0, exchange, key: queue.to_owned(), flags: 0 };
        let properties =
            Properties { delivery_mode: Some(2), message_id: key, ..Properties::default() };
        let header = Header { size: body.len() as u64, properties };
        {
            let mut out = link.out.borrow_mut();
            wire::write_frame(Kind::Method, CHANNEL, &publish.payload(), &mut out);
            wire::write_frame(Kind::Header, CHANNEL, &header.payload(), &mut out);
            // The least that every broker can take.
            for part in body.chunks(wire::FRAME_MIN as usize - wire::FRAME_EXTRA) {
                wire::write_frame(Kind::Body, CHANNEL, part, &mut out);
            }
        }
        ring(&link.write);
        let is = |m: &Method| matches!(m, Method::BasicAck { .. } | Method::BasicNack { .. });
        match link.answer(is, self.settings.limit).await? {
            Method::BasicAck { .. } => Ok(()),
            _ => Err("the broker refused a result".into()),
        }
    }
}

/// Seconds between signs of life, so that two that are missing are the silence that is allowed.
fn beat(silence: Duration) -> Duration {
    Duration::from_secs((silence.as_secs() / 2).clamp(1, 600))
}

/// Owns the socket: writes what is to be sent, takes in what comes, until one of both ends.
async fn pump(stream: TcpStream, link: Rc<Link>, silence: Duration) {
    let (mut input, mut content): (Vec<u8>, Option<Incoming>) = (Vec::new(), None);
    let beat = beat(silence);
    let (mut heard, mut said) = (Instant::now(), Instant::now());
    while !link.dead.get() {
        let write = link.write.borrow().clone();
        let out = link.out.borrow().clone();
        if !out.is_empty() {
            if !matches!(timeout(silence, stream.write_all(&out)).await, Some(Ok(()))) {
                return link.end("the connection broke");
            }
            link.out.borrow_mut().drain(..out.len());
            said = Instant::now();
            ring(&link.news);
            continue;
        }
        let next = (said + beat / 2).min(heard + 2 * beat);
        match race(stream.read(16 << 10), race(write.wait(), sleep_until(next))).await {
            Either::First(Ok(bytes)) if !bytes.is_empty() => {
                heard = Instant::now();
                input.extend(bytes);
            }
            Either::First(_) => return link.end("the broker closed the connection"),
            Either::Second(Either::First(())) => continue,
            Either::Second(Either::Second(())) => {
                if heard.elapsed() >= 2 * beat {
                    return link.end("the broker fell silent");
                }
                wire::write_frame(Kind::Heartbeat, 0, &[], &mut link.out.borrow_mut());
                continue;
            }
        }
        let mut used = 0;
        loop {
            match wire::frame(&input[used..], FRAME_MAX) {
                Ok(None) => break,
                Ok(Some((frame, length))) => {
                    used += length;
                    if let Err(why) = take_in(&link, frame, &mut content) {
                        return link.end(why);
                    }
                }
                Err(why) => return link.end(why),
            }
        }
        input.drain(..used);
        ring(&link.news);
    }
}

/// Takes in a frame.
fn take_in(link: &Link, frame: wire::Frame, content: &mut Option<Incoming>) -> Result<(), String> {
    match frame.kind {
        Kind::Heartbeat => Ok(()),
        Kind::Method => match Method::read(&frame.payload).map_err(|e| format!("{e:?}"))? {
            Method::BasicDeliver { delivery, redelivered, .. } => {
                let redelivered = redelivered != 0;
                let (header, body) = (None, Vec::new());
                *content = Some(Incoming { delivery, redelivered, header, body });
                Ok(())
            }
            Method::ConnectionClose { text, .. } | Method::ChannelClose { text, .. } => Err(text),
            Method::BasicCancel { .. } => Err("the queue was deleted".into()),
            answer => {
                let mut answers = link.answers.borrow_mut();
                if answers.len() >= 16 {
                    answers.pop_front();
                }
                answers.push_back(answer);
                Ok(())
            }
        },
        Kind::Header => {
            let header = Header::read(&frame.payload).map_err(|e| e.to_string())?;
            if header.size > MAX_BODY {
                return Err(format!("a task of {} bytes", header.size));
            }
            content.as_mut().ok_or("a header without its method")?.header = Some(header);
            complete(link, content);
            Ok(())
        }
        Kind::Body => {
            let incoming = content.as_mut().ok_or("a body without its method")?;
            incoming.body.extend(frame.payload);
            if incoming.body.len() as u64 > MAX_BODY {
                return Err("a body longer than its header said".into());
            }
            complete(link, content);
            Ok(())
        }
    }
}

fn complete(link: &Link, content: &mut Option<Incoming>) {
    let whole = |c: &mut Incoming| c.header.as_ref().is_some_and(|h| h.size <= c.body.len() as u64);
    let Some(incoming) = content.take_if(whole) else { return };
    let properties = incoming.header.map(|h| h.properties).unwrap_or_default();
    let count = properties.headers.as_ref().and_then(|h| h.get("x-delivery-count"));
    let before = count.and_then(Value::as_number).unwrap_or(incoming.redelivered.into());
    // What becomes part of a file's name is ours: whoever published may have written anything.
    let task = Task {
        id: incoming.delivery.to_string(),
        receipt: format!("{}-{}", link.generation, incoming.delivery),
        key: properties.message_id.unwrap_or_default(),
        tries: before.saturating_add(1).to_string(),
        body: incoming.body,
    };
    link.tasks.borrow_mut().push_back(task);
}
