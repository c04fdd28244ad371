//! One queue: what waits in it, and what its arguments say, under RabbitMQ's names.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::{Refusal, code};
use podlab_guest::amqp::method::Properties;
use podlab_guest::amqp::wire::{Table, Value, Wire};

/// What a message takes beside its bytes.
const OVERHEAD: usize = 160;

/// A message in a queue.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its place: messages are handed out in this order, those that came back as well.
    pub position: u64,
    /// Where it was published to.
    pub exchange: String,
    /// Under which key.
    pub key: String,
    /// What it says of itself.
    pub properties: Properties,
    /// Its bytes, shared by all queues that have it.
    pub body: Rc<Vec<u8>>,
    /// It was handed out before.
    pub redelivered: bool,
    /// How often it came back.
    pub returns: u32,
    /// When it is no longer wanted (the program's age).
    pub expires: Option<Duration>,
    /// It is in the journal.
    pub kept: bool,
}

impl Message {
    /// Bytes it takes in a queue.
    pub fn size(&self) -> usize {
        size(&self.exchange, &self.key, &self.properties, self.body.len())
    }
}

/// Bytes a message takes in a queue.
pub fn size(exchange: &str, key: &str, properties: &Properties, body: usize) -> usize {
    let mut head = Vec::new();
    properties.write(&mut head);
    body + exchange.len() + key.len() + head.len() + OVERHEAD
}

/// What a queue's arguments say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `x-message-ttl`
    pub ttl: Option<Duration>,
    /// `x-max-length`
    pub max_length: Option<usize>,
    /// `x-max-length-bytes`, of bodies.
    pub max_bytes: Option<usize>,
    /// `x-overflow`: `reject-publish` instead of `drop-head`.
    pub reject: bool,
    /// `x-dead-letter-exchange`
    pub dead_exchange: Option<String>,
    /// `x-dead-letter-routing-key`
    pub dead_key: Option<String>,
    /// `x-queue-type`: `quorum`. It counts how often a message came back, and keeps every message.
    pub quorum: bool,
    /// `x-delivery-limit` of such a queue.
    pub limit: Option<u32>,
}

/// The arguments whose values must be the same when a queue is declared again.
const KNOWN: [&str; 8] = [
    "x-message-ttl",
    "x-max-length",
    "x-max-length-bytes",
    "x-overflow",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-queue-type",
    "x-delivery-limit",
];
/// Arguments that would change what a queue does, and that this broker does not know.
const UNSUPPORTED: [&str; 3] = ["x-expires", "x-max-priority", "x-single-active-consumer"];

impl Settings {
    /// Reads a queue's arguments.
    ///
    /// # Errors
    /// If a value is not as it must be, or is one that this broker cannot keep to.
    pub fn read(arguments: &Table) -> Result<Settings, Refusal> {
        let wrong = |name: &str, why: &str| {
            Refusal::new(code::PRECONDITION_FAILED, format!("invalid arg '{name}': {why}"))
        };
        if let Some(name) = UNSUPPORTED.iter().find(|n| arguments.get(n).is_some()) {
            return Err(wrong(name, "this broker does not have it"));
        }
        let number = |name: &str| match arguments.get(name) {
            None => Ok(None),
            Some(value) => match value.as_number() {
                Some(n) if n >= 0 => Ok(Some(n as u64)),
                Some(_) => Err(wrong(name, "a negative number")),
                None => Err(wrong(name, "not a number")),
            },
        };
        let text = |name: &str| match arguments.get(name) {
            None => Ok(None),
            Some(value) => match value.as_text() {
                Some(text) => Ok(Some(text.to_owned())),
                None => Err(wrong(name, "not a text")),
            },
        };
        let overflow = text("x-overflow")?;
        let kind = text("x-queue-type")?;
        let settings = Settings {
            ttl: number("x-message-ttl")?.map(Duration::from_millis),
            max_length: number("x-max-length")?.map(|n| n as usize),
            max_bytes: number("x-max-length-bytes")?.map(|n| n as usize),
            reject: match overflow.as_deref() {
                None | Some("drop-head") => false,
                Some("reject-publish") => true,
                Some(_) => return Err(wrong("x-overflow", "neither drop-head nor reject-publish")),
            },
            dead_exchange: text("x-dead-letter-exchange")?,
            dead_key: text("x-dead-letter-routing-key")?,
            quorum: match kind.as_deref() {
                None | Some("classic") => false,
                Some("quorum") => true,
                Some(_) => return Err(wrong("x-queue-type", "neither classic nor quorum")),
            },
            limit: number("x-delivery-limit")?.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        };
        if settings.dead_key.is_some() && settings.dead_exchange.is_none() {
            return Err(wrong("x-dead-letter-routing-key", "there is no x-dead-letter-exchange"));
        }
        if settings.limit.is_some() && !settings.quorum {
            return Err(wrong("x-delivery-limit", "only queues of x-queue-type quorum have it"));
        }
        Ok(settings)
    }
}

/// One consumer of a queue: a connection, a channel, a tag.
pub type ConsumerKey = (u64, u16, String);

/// What has happened to a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that came in.
    pub published: u64,
    /// Messages handed out, again and again.
    pub delivered: u64,
    /// Messages acknowledged, or taken without.
    pub acknowledged: u64,
    /// Messages that came back and wait again.
    pub requeued: u64,
    /// Messages that were dead: rejected, expired, too many, too often.
    pub dead: u64,
}

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Tells it from a later one of the same name.
    pub id: u64,
    /// It outlives the program.
    pub durable: bool,
    /// The only connection that may use it.
    pub exclusive: Option<u64>,
    /// It goes when its last consumer goes.
    pub auto_delete: bool,
    /// As they were declared.
    pub arguments: Table,
    /// What they say.
    pub settings: Settings,
    /// What waits.
    pub ready: BTreeMap<u64, Message>,
    /// How many are handed out and not acknowledged.
    pub unacked: usize,
    /// Bytes of the bodies that wait.
    pub body_bytes: usize,
    /// Who takes from it; the first is next.
    pub consumers: VecDeque<ConsumerKey>,
    /// A consumer that wants to be the only one.
    pub only: bool,
    /// What has happened.
    pub counters: Counters,
}

impl Queue {
    /// An empty queue.
    pub fn new(
        durable: bool,
        exclusive: Option<u64>,
        auto_delete: bool,
        arguments: Table,
        settings: Settings,
    ) -> Queue {
        Queue {
            id: 0,
            durable,
            exclusive,
            auto_delete,
            arguments,
            settings,
            ready: BTreeMap::new(),
            unacked: 0,
            body_bytes: 0,
            consumers: VecDeque::new(),
            only: false,
            counters: Counters::default(),
        }
    }

    /// Lets a message wait.
    pub fn put(&mut self, message: Message) {
        self.body_bytes += message.body.len();
        self.ready.insert(message.position, message);
    }

    /// Takes the first message that waits.
    pub fn pop(&mut self) -> Option<Message> {
        let (_, message) = self.ready.pop_first()?;
        self.body_bytes -= message.body.len();
        Some(message)
    }

    /// Whether one more message with a body of `bytes` would be too many.
    pub fn full(&self, bytes: usize) -> bool {
        let s = &self.settings;
        s.max_length.is_some_and(|most| self.ready.len() >= most)
            || s.max_bytes.is_some_and(|most| self.body_bytes + bytes > most)
    }

    /// Whether what waits is too much already.
    pub fn over(&self) -> bool {
        let s = &self.settings;
        s.max_length.is_some_and(|most| self.ready.len() > most)
            || s.max_bytes.is_some_and(|most| self.body_bytes > most)
    }

    /// Why it cannot be declared so again, if it cannot.
    pub fn differs(&self, name: &str, new: &Queue) -> Option<String> {
        let say = |arg: &str, new: &str, old: &str| {
            Some(format!(
                "inequivalent arg '{arg}' for queue '{name}' in vhost '/': received {new} but current is {old}"
            ))
        };
        let quoted = |b: bool| if b { "'true'" } else { "'false'" };
        if self.durable != new.durable {
            return say("durable", quoted(new.durable), quoted(self.durable));
        }
        if self.auto_delete != new.auto_delete {
            return say("auto_delete", quoted(new.auto_delete), quoted(self.auto_delete));
        }
        let shown = |value: Option<&Value>| match value {
            None => "none".to_owned(),
            Some(v) => match (v.as_number(), v.as_text()) {
                (Some(n), _) => format!("the value '{n}'"),
                (_, Some(text)) => format!("the value '{text}'"),
                _ => "another value".to_owned(),
            },
        };
        KNOWN.iter().find_map(|arg| {
            let (old, new) = (shown(self.arguments.get(arg)), shown(new.arguments.get(arg)));
            if old == new { None } else { say(arg, &new, &old) }
        })
    }
}

/// When a message with this `expiration` is no longer wanted in a queue with these settings.
///
/// # Errors
/// If it is not a number of milliseconds.
pub fn expiry(
    expiration: Option<&str>,
    settings: &Settings,
    now: Duration,
) -> Result<Option<Duration>, Refusal> {
    let own = match expiration {
        None => None,
        Some(text) => Some(text.parse::<u32>().map_err(|_| {
            Refusal::new(code::PRECONDITION_FAILED, format!("invalid expiration '{text:.20}'"))
        })?),
    };
    let own = own.map(|ms| Duration::from_millis(ms.into()));
    let ttl = match (own, settings.ttl) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Ok(ttl.map(|ttl| now.saturating_add(ttl)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(of: &[(&str, Value)]) -> Table {
        Table(of.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect())
    }

    #[test]
    fn arguments() {
        let good = table(&[
            ("x-message-ttl", Value::Int(b'I', 500)),
            ("x-max-length", Value::Uint(b'B', 3)),
            ("x-overflow", Value::text("reject-publish")),
            ("x-dead-letter-exchange", Value::text("")),
            ("x-dead-letter-routing-key", Value::text("dead")),
            ("something", Value::Void),
        ]);
        let settings = Settings::read(&good).unwrap();
        assert_eq!(settings.ttl, Some(Duration::from_millis(500)));
        assert!(settings.reject && settings.max_length == Some(3));
        for bad in [
            ("x-message-ttl", Value::Int(b'I', -1)),
            ("x-message-ttl", Value::text("5s")),
            ("x-overflow", Value::text("block")),
            ("x-dead-letter-routing-key", Value::text("dead")),
            ("x-queue-type", Value::text("stream")),
            ("x-delivery-limit", Value::Int(b'I', 3)),
            ("x-expires", Value::Int(b'I', 3)),
        ] {
            let refusal = Settings::read(&table(std::slice::from_ref(&bad))).unwrap_err();
            assert!(refusal.code == 406 && refusal.text.contains(bad.0), "{refusal:?}");
        }
    }

    #[test]
    fn the_shorter_time_counts() {
        let settings =
            |ms| Settings { ttl: Some(Duration::from_millis(ms)), ..Settings::default() };
        let ms = Duration::from_millis;
        let now = ms(1000);
        assert_eq!(expiry(Some("50"), &settings(70), now), Ok(Some(ms(1050))));
        assert_eq!(expiry(None, &settings(70), now), Ok(Some(ms(1070))));
        assert_eq!(expiry(None, &Settings::default(), now), Ok(None));
        for wrong in ["", "-1", "1s", "99999999999"] {
            assert!(expiry(Some(wrong), &Settings::default(), now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn declared_again() {
        let queue = |durable, ttl| {
            let arguments = table(&[("x-message-ttl", Value::Int(b'I', ttl))]);
            let settings = Settings::read(&arguments).unwrap();
            Queue::new(durable, None, false, arguments, settings)
        };
        let old = queue(true, 5);
        assert_eq!(old.differs("q", &queue(true, 5)), None);
        assert!(old.differs("q", &queue(false, 5)).unwrap().contains("'durable'"));
        let text = old.differs("q", &queue(true, 6)).unwrap();
        assert!(text.ends_with("received the value '6' but current is the value '5'"), "{text}");
    }
}
