//! The virtual host `/`: exchanges and queues, publishing, and what keeps them within bounds. Who
//! consumes is in `consume`, what becomes of unwanted messages in `letters`.
//!
//! Time is the program's age, given from outside. Everything that must outlive the program is left
//! in [`Host::log`] as commands of the journal.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::consume::Peer;
use super::exchange::{Exchange, Kind};
use super::queue::{self, Message, Queue, Settings};
use super::{Refusal, code};
use crate::journal::Command;
use podlab_guest::amqp::method::{Properties, bit};
use podlab_guest::amqp::wire::{Table, Wire};

/// Queues and exchanges.
const MOST: usize = 256;
/// Bindings of one exchange.
const MOST_BINDINGS: usize = 1024;
/// Bytes of a queue's arguments.
const MAX_ARGUMENTS: usize = 4096;

/// Everything one broker knows of AMQP.
pub struct Host {
    pub(super) exchanges: BTreeMap<String, Exchange>,
    pub(super) queues: BTreeMap<String, Queue>,
    /// Connections.
    pub(super) peers: BTreeMap<u64, Peer>,
    /// Bytes of all messages, and of those that are still coming in.
    pub(super) bytes: usize,
    pub(super) position: u64,
    pub(super) names: u64,
    /// What the journal is to be told.
    pub log: Vec<Command>,
    /// Queues in which something changed since the last [`Host::tidy`].
    pub(super) touched: BTreeSet<String>,
    /// Messages nobody wants, with the queue and the reason.
    pub(super) doomed: VecDeque<(String, Message, &'static str)>,
}

/// How publishing went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is in a queue, or more.
    Routed,
    /// No queue wants it.
    Nowhere,
    /// A queue that is full has refused it.
    Rejected,
}

/// What a declaration says of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Messages that wait.
    pub messages: u32,
    /// Consumers it has.
    pub consumers: u32,
}

type Answer<T> = Result<T, Refusal>;

pub(super) fn refuse<T>(code: u16, text: impl Into<String>) -> Answer<T> {
    Err(Refusal::new(code, text))
}

/// A command of the journal.
pub(super) fn command(words: &[&[u8]]) -> Command {
    words.iter().map(|w| w.to_vec()).collect()
}

fn truth(b: bool) -> &'static [u8] {
    if b { b"1" } else { b"0" }
}

impl Default for Host {
    fn default() -> Host {
        let built_in = [
            ("", Kind::Direct),
            ("amq.direct", Kind::Direct),
            ("amq.fanout", Kind::Fanout),
            ("amq.topic", Kind::Topic),
        ];
        let exchanges = built_in.map(|(name, kind)| (name.to_owned(), Exchange::built_in(kind)));
        Host {
            exchanges: exchanges.into(),
            queues: BTreeMap::new(),
            peers: BTreeMap::new(),
            bytes: 0,
            position: 0,
            names: 0,
            log: Vec::new(),
            touched: BTreeSet::new(),
            doomed: VecDeque::new(),
        }
    }
}

impl Host {
    /// Bytes of all messages, and of those that are still coming in.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many messages were put into queues so far.
    pub fn published(&self) -> u64 {
        self.position
    }

    /// All queues.
    pub fn queues(&self) -> impl Iterator<Item = (&str, &Queue)> {
        self.queues.iter().map(|(name, queue)| (name.as_str(), queue))
    }

    /// Declares an exchange.
    ///
    /// # Errors
    /// If it is there and different, must not be, or is of a kind that there is not.
    pub fn declare_exchange(&mut self, name: &str, kind: &str, flags: u8) -> Answer<()> {
        let found = self.exchanges.get(name);
        if flags & bit::PASSIVE != 0 {
            return found.map(|_| ()).ok_or_else(|| no_exchange(name));
        }
        if name.is_empty() {
            return refuse(code::ACCESS_REFUSED, "operation not permitted on the default exchange");
        }
        let Some(kind) = Kind::named(kind) else {
            let code =
                if kind == "headers" { code::NOT_IMPLEMENTED } else { code::COMMAND_INVALID };
            return refuse(code, format!("unknown exchange type '{kind:.30}'"));
        };
        let new = Exchange {
            kind,
            durable: flags & bit::DURABLE != 0,
            auto_delete: flags & bit::EXCLUSIVE != 0,
            internal: flags & bit::AUTO_DELETE != 0,
            bindings: BTreeSet::new(),
        };
        if let Some(old) = found {
            let same = [
                ("type", old.kind == new.kind),
                ("durable", old.durable == new.durable),
                ("auto_delete", old.auto_delete == new.auto_delete),
                ("internal", old.internal == new.internal),
            ];
            return match same.iter().find(|(_, same)| !same) {
                None => Ok(()),
                Some((arg, _)) => refuse(
                    code::PRECONDITION_FAILED,
                    format!("inequivalent arg '{arg}' for exchange '{name}' in vhost '/'"),
                ),
            };
        }
        if name.starts_with("amq.") {
            return refuse(
                code::ACCESS_REFUSED,
                format!("exchange name '{name}' contains reserved prefix 'amq.*'"),
            );
        }
        if self.exchanges.len() >= MOST {
            return refuse(code::RESOURCE_ERROR, format!("there are at most {MOST} exchanges"));
        }
        if new.durable {
            let (auto, internal) = (truth(new.auto_delete), truth(new.internal));
            let words = [b"AX", name.as_bytes(), new.kind.name().as_bytes(), auto, internal];
            self.log.push(command(&words));
        }
        self.exchanges.insert(name.to_owned(), new);
        Ok(())
    }

    /// Deletes an exchange, if there is one.
    ///
    /// # Errors
    /// If it must not be, or is in use and the flags forbid that.
    pub fn delete_exchange(&mut self, name: &str, flags: u8) -> Answer<()> {
        if name.is_empty() || name.starts_with("amq.") {
            return refuse(code::ACCESS_REFUSED, "operation not permitted on this exchange");
        }
        let used = self.exchanges.get(name).is_some_and(|e| !e.bindings.is_empty());
        if used && flags & bit::IF_UNUSED != 0 {
            return refuse(
                code::PRECONDITION_FAILED,
                format!("exchange '{name}' in vhost '/' in use"),
            );
        }
        if self.exchanges.remove(name).is_some_and(|e| e.durable) {
            self.log.push(command(&[b"AX-", name.as_bytes()]));
        }
        Ok(())
    }

    /// Declares a queue for a connection; without a name it gets one.
    ///
    /// # Errors
    /// If it is there and different, must not be, belongs to another, or one too many.
    pub fn declare_queue(
        &mut self,
        connection: u64,
        name: &str,
        flags: u8,
        arguments: Table,
    ) -> Answer<Declared> {
        if flags & bit::PASSIVE != 0 || self.queues.contains_key(name) {
            self.queue_of(connection, name)?;
        }
        if flags & bit::PASSIVE != 0 {
            return Ok(self.declared(name));
        }
        let settings = Settings::read(&arguments)?;
        let mut bytes = Vec::new();
        arguments.write(&mut bytes);
        if bytes.len() > MAX_ARGUMENTS {
            let text = format!("a queue's arguments are at most {MAX_ARGUMENTS} bytes");
            return refuse(code::PRECONDITION_FAILED, text);
        }
        let exclusive = (flags & bit::EXCLUSIVE != 0).then_some(connection);
        let auto = flags & bit::AUTO_DELETE != 0;
        let mut new = Queue::new(flags & bit::DURABLE != 0, exclusive, auto, arguments, settings);
        if let Some(old) = self.queues.get(name) {
            if old.exclusive != new.exclusive {
                return refuse(code::RESOURCE_LOCKED, locked(name));
            }
            return match old.differs(name, &new) {
                None => Ok(self.declared(name)),
                Some(why) => refuse(code::PRECONDITION_FAILED, why),
            };
        }
        if name.starts_with("amq.") {
            return refuse(
                code::ACCESS_REFUSED,
                format!("queue name '{name}' contains reserved prefix 'amq.*'"),
            );
        }
        if self.queues.len() >= MOST {
            return refuse(code::RESOURCE_ERROR, format!("there are at most {MOST} queues"));
        }
        self.names += 1;
        new.id = self.names;
        let name = match name {
            "" => format!("amq.gen-{}", self.names),
            name => name.to_owned(),
        };
        // An exclusive queue ends with its connection, and so before the program.
        new.durable &= new.exclusive.is_none();
        if new.durable {
            self.log.push(command(&[b"AQ", name.as_bytes(), truth(auto), &bytes]));
        }
        self.queues.insert(name.clone(), new);
        Ok(self.declared(&name))
    }

    fn declared(&self, name: &str) -> Declared {
        let queue = self.queues.get(name);
        let count = |n: Option<usize>| n.unwrap_or(0).try_into().unwrap_or(u32::MAX);
        Declared {
            name: name.to_owned(),
            messages: count(queue.map(|q| q.ready.len())),
            consumers: count(queue.map(|q| q.consumers.len())),
        }
    }

    /// A queue that this connection may use.
    ///
    /// # Errors
    /// If there is none, or it belongs to another.
    pub(super) fn queue_of(&mut self, connection: u64, name: &str) -> Answer<&mut Queue> {
        match self.queues.get_mut(name) {
            None => refuse(code::NOT_FOUND, format!("no queue '{name}' in vhost '/'")),
            Some(queue) if queue.exclusive.is_some_and(|c| c != connection) => {
                refuse(code::RESOURCE_LOCKED, locked(name))
            }
            Some(queue) => Ok(queue),
        }
    }

    /// Binds a queue to an exchange.
    ///
    /// # Errors
    /// If there is no such queue or exchange, or it has too many bindings.
    pub fn bind(&mut self, connection: u64, queue: &str, exchange: &str, key: &str) -> Answer<()> {
        let durable = self.queue_of(connection, queue)?.durable;
        if exchange.is_empty() {
            return refuse(code::ACCESS_REFUSED, "operation not permitted on the default exchange");
        }
        let found = self.exchanges.get_mut(exchange).ok_or_else(|| no_exchange(exchange))?;
        if found.bindings.len() >= MOST_BINDINGS {
            let text = format!("an exchange has at most {MOST_BINDINGS} bindings");
            return refuse(code::RESOURCE_ERROR, text);
        }
        if found.bindings.insert((queue.to_owned(), key.to_owned())) && durable && found.durable {
            let words = [b"AB", exchange.as_bytes(), queue.as_bytes(), key.as_bytes()];
            self.log.push(command(&words));
        }
        Ok(())
    }

    /// Undoes a binding, if there is one.
    ///
    /// # Errors
    /// If the queue belongs to another connection.
    pub fn unbind(
        &mut self,
        connection: u64,
        queue: &str,
        exchange: &str,
        key: &str,
    ) -> Answer<()> {
        if self.queues.contains_key(queue) {
            self.queue_of(connection, queue)?;
        }
        let binding = (queue.to_owned(), key.to_owned());
        let Some(found) = self.exchanges.get_mut(exchange) else { return Ok(()) };
        if found.bindings.remove(&binding) {
            let words = [b"AB-", exchange.as_bytes(), queue.as_bytes(), key.as_bytes()];
            self.log.push(command(&words));
            self.drop_if_unbound(exchange);
        }
        Ok(())
    }

    fn drop_if_unbound(&mut self, exchange: &str) {
        if self.exchanges.get(exchange).is_some_and(|e| e.auto_delete && e.bindings.is_empty()) {
            self.exchanges.remove(exchange);
            self.log.push(command(&[b"AX-", exchange.as_bytes()]));
        }
    }

    /// Empties a queue of what waits in it; how many that were.
    ///
    /// # Errors
    /// If there is no such queue, or it belongs to another.
    pub fn purge(&mut self, connection: u64, name: &str) -> Answer<u32> {
        let queue = self.queue_of(connection, name)?;
        queue.body_bytes = 0;
        let gone = std::mem::take(&mut queue.ready);
        for message in gone.values() {
            self.forget(name, message);
        }
        Ok(gone.len().try_into().unwrap_or(u32::MAX))
    }

    /// Deletes a queue, if there is one, with what waits in it; how many that were.
    ///
    /// # Errors
    /// If it belongs to another, or is used or not empty and the flags forbid that.
    pub fn delete_queue(&mut self, connection: u64, name: &str, flags: u8) -> Answer<u32> {
        if !self.queues.contains_key(name) {
            return Ok(0);
        }
        let queue = self.queue_of(connection, name)?;
        let state = match () {
            () if flags & bit::IF_UNUSED != 0 && !queue.consumers.is_empty() => "in use",
            () if flags & bit::IF_EMPTY != 0 && !queue.ready.is_empty() => "not empty",
            () => return Ok(self.remove_queue(name)),
        };
        refuse(code::PRECONDITION_FAILED, format!("queue '{name}' in vhost '/' {state}"))
    }

    /// Removes a queue and all that hangs on it.
    pub(super) fn remove_queue(&mut self, name: &str) -> u32 {
        let Some(queue) = self.queues.remove(name) else { return 0 };
        for message in queue.ready.values() {
            self.bytes -= message.size();
        }
        if queue.durable {
            self.log.push(command(&[b"AQ-", name.as_bytes()]));
        }
        for (connection, channel, tag) in queue.consumers {
            self.cancelled(connection, channel, tag);
        }
        let mut unbound = Vec::new();
        for (exchange, found) in &mut self.exchanges {
            let before = found.bindings.len();
            found.bindings.retain(|(queue, _)| queue != name);
            if found.bindings.len() < before {
                unbound.push(exchange.clone());
            }
        }
        for exchange in unbound {
            self.drop_if_unbound(&exchange);
        }
        queue.ready.len().try_into().unwrap_or(u32::MAX)
    }

    /// The queues that a message goes to.
    ///
    /// # Errors
    /// If there is no such exchange, or nobody may publish to it.
    pub fn route(&self, exchange: &str, key: &str) -> Answer<Vec<String>> {
        if exchange.is_empty() {
            return Ok(self.queues.contains_key(key).then(|| key.to_owned()).into_iter().collect());
        }
        let found = self.exchanges.get(exchange).ok_or_else(|| no_exchange(exchange))?;
        if found.internal {
            let text = format!("cannot publish to internal exchange '{exchange}' in vhost '/'");
            return refuse(code::ACCESS_REFUSED, text);
        }
        Ok(found.route(key).into_iter().collect())
    }

    /// Keeps room for a message that is coming in.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Gives room back: the message has come, or will not.
    pub fn release(&mut self, bytes: usize) {
        self.bytes -= bytes;
    }

    /// Publishes a message.
    ///
    /// # Errors
    /// As [`Host::route`]; if its expiration is none.
    pub fn publish(
        &mut self,
        exchange: &str,
        key: &str,
        properties: &Properties,
        body: Vec<u8>,
        now: Duration,
    ) -> Answer<Published> {
        queue::expiry(properties.expiration.as_deref(), &Settings::default(), now)?;
        let targets = self.route(exchange, key)?;
        if targets.is_empty() {
            return Ok(Published::Nowhere);
        }
        let body = Rc::new(body);
        let mut taken = true;
        for target in targets {
            taken &= self.enqueue(&target, exchange, key, properties, &body, now);
        }
        self.tidy(now);
        Ok(if taken { Published::Routed } else { Published::Rejected })
    }

    /// Puts a message into a queue; false if that refuses it.
    pub(super) fn enqueue(
        &mut self,
        name: &str,
        exchange: &str,
        key: &str,
        properties: &Properties,
        body: &Rc<Vec<u8>>,
        now: Duration,
    ) -> bool {
        let Some(queue) = self.queues.get_mut(name) else { return false };
        if queue.settings.reject && queue.full(body.len()) {
            return false;
        }
        let expiration = properties.expiration.as_deref();
        let expires = queue::expiry(expiration, &queue.settings, now).ok().flatten();
        self.position += 1;
        let lasting = queue.settings.quorum || properties.delivery_mode == Some(2);
        let message = Message {
            position: self.position,
            exchange: exchange.to_owned(),
            key: key.to_owned(),
            properties: properties.clone(),
            body: body.clone(),
            redelivered: false,
            returns: 0,
            expires,
            kept: queue.durable && lasting,
        };
        if message.kept {
            self.log.push(keep(name, &message));
        }
        self.bytes += message.size();
        queue.counters.published += 1;
        queue.put(message);
        while queue.over() {
            let Some(oldest) = queue.pop() else { break };
            self.doomed.push_back((name.to_owned(), oldest, "maxlen"));
        }
        self.touched.insert(name.to_owned());
        true
    }

    /// A message is no more: its bytes are free, and the journal need not remember it.
    pub(super) fn forget(&mut self, queue: &str, message: &Message) {
        self.bytes -= message.size();
        if message.kept {
            let position = message.position.to_string();
            self.log.push(command(&[b"AM-", queue.as_bytes(), position.as_bytes()]));
        }
    }
}

/// A message in a queue, as a command of the journal.
pub(super) fn keep(queue: &str, message: &Message) -> Command {
    let mut head = Vec::new();
    message.properties.write(&mut head);
    let (position, returns) = (message.position.to_string(), message.returns.to_string());
    command(&[
        b"AM",
        queue.as_bytes(),
        position.as_bytes(),
        returns.as_bytes(),
        message.exchange.as_bytes(),
        message.key.as_bytes(),
        &head,
        &message.body,
    ])
}

fn no_exchange(name: &str) -> Refusal {
    Refusal::new(code::NOT_FOUND, format!("no exchange '{name}' in vhost '/'"))
}

fn locked(name: &str) -> String {
    format!("cannot obtain exclusive access to locked queue '{name}' in vhost '/'")
}
