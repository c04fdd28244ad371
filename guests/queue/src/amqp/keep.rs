//! What of AMQP outlives the program: durable exchanges, durable queues with their bindings, and the
//! persistent messages in them, as commands of the journal.

use std::rc::Rc;
use std::time::Duration;

use super::exchange::{Exchange, Kind};
use super::host::{Host, command, keep};
use super::queue::{self, Message, Queue, Settings};
use crate::journal::Command;
use podlab_guest::amqp::method::Properties;
use podlab_guest::amqp::wire::{Reader, Table, Wire};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Host {
    /// Everything that must outlive the program, as commands that make it anew.
    pub fn snapshot(&self) -> Vec<Command> {
        let truth = |b: bool| if b { &b"1"[..] } else { b"0" };
        let mut out = Vec::new();
        for (name, e) in self.exchanges.iter().filter(|(n, e)| e.durable && !built_in(n)) {
            let (auto, internal) = (truth(e.auto_delete), truth(e.internal));
            let words = [b"AX", name.as_bytes(), e.kind.name().as_bytes(), auto, internal];
            out.push(command(&words));
        }
        for (name, queue) in self.queues.iter().filter(|(_, q)| q.durable) {
            let mut arguments = Vec::new();
            queue.arguments.write(&mut arguments);
            let words = [b"AQ", name.as_bytes(), truth(queue.auto_delete), &arguments];
            out.push(command(&words));
            out.extend(queue.ready.values().filter(|m| m.kept).map(|m| keep(name, m)));
        }
        for (queue, message) in self.held().filter(|(_, m)| m.kept) {
            out.push(keep(queue, message));
        }
        for (name, exchange) in self.exchanges.iter().filter(|(_, e)| e.durable) {
            for (queue, key) in &exchange.bindings {
                if self.queues.get(queue).is_some_and(|q| q.durable) {
                    let words = [b"AB", name.as_bytes(), queue.as_bytes(), key.as_bytes()];
                    out.push(command(&words));
                }
            }
        }
        out
    }

    /// Does what one command of the journal says. What somebody held when the program ended waits
    /// again; every message counts as redelivered, since it is not known which were handed out.
    ///
    /// # Errors
    /// If it is none.
    pub fn replay(&mut self, words: &[&[u8]], now: Duration) -> Result<(), String> {
        match words {
            [b"AX", name, kind, auto, internal] => {
                let kind = Kind::named(&text(kind)).ok_or("an exchange of no kind")?;
                let exchange = Exchange {
                    auto_delete: *auto == b"1",
                    internal: *internal == b"1",
                    ..Exchange::built_in(kind)
                };
                self.exchanges.insert(text(name), exchange);
            }
            [b"AX-", name] => drop(self.exchanges.remove(&text(name))),
            [b"AQ", name, auto, arguments] => {
                let wrong = |why: &dyn std::fmt::Display| format!("queue {:?}: {why}", text(name));
                let arguments = Table::read(&mut Reader::new(arguments)).map_err(|e| wrong(&e))?;
                let settings = Settings::read(&arguments).map_err(|e| wrong(&e.text))?;
                let mut queue = Queue::new(true, None, *auto == b"1", arguments, settings);
                self.names += 1;
                queue.id = self.names;
                self.queues.insert(text(name), queue);
            }
            [b"AQ-", name] => drop(self.remove_queue(&text(name))),
            [b"AB", exchange, queue, key] => {
                if let Some(exchange) = self.exchanges.get_mut(&text(exchange)) {
                    exchange.bindings.insert((text(queue), text(key)));
                }
            }
            [b"AB-", exchange, queue, key] => {
                if let Some(exchange) = self.exchanges.get_mut(&text(exchange)) {
                    exchange.bindings.remove(&(text(queue), text(key)));
                }
            }
            [b"AM", name, position, returns, exchange, key, head, body] => {
                let number =
                    |word: &[u8]| text(word).parse::<u64>().map_err(|_| "no number".to_owned());
                let position = number(position)?;
                let properties =
                    Properties::read(&mut Reader::new(head)).map_err(|e| e.to_string())?;
                let returns = u32::try_from(number(returns)?).unwrap_or(u32::MAX);
                self.position = self.position.max(position);
                let Some(queue) = self.queues.get_mut(&text(name)) else { return Ok(()) };
                let expiration = properties.expiration.as_deref();
                // Its time begins anew: how long the program was away is not known.
                let expires = queue::expiry(expiration, &queue.settings, now).ok().flatten();
                let message = Message {
                    position,
                    exchange: text(exchange),
                    key: text(key),
                    properties,
                    body: Rc::new(body.to_vec()),
                    redelivered: true,
                    returns,
                    expires,
                    kept: true,
                };
                if let Some(old) = queue.ready.remove(&position) {
                    self.bytes -= old.size();
                    queue.body_bytes -= old.body.len();
                } else {
                    queue.counters.published += 1;
                }
                self.bytes += message.size();
                queue.put(message);
            }
            [b"AM-", name, position] => {
                let position = text(position).parse::<u64>().map_err(|e| e.to_string())?;
                let Some(queue) = self.queues.get_mut(&text(name)) else { return Ok(()) };
                if let Some(message) = queue.ready.remove(&position) {
                    queue.body_bytes -= message.body.len();
                    self.bytes -= message.size();
                }
            }
            _ => {
                return Err(format!(
                    "{:?} is no entry of a journal",
                    words.first().map(|w| text(w))
                ));
            }
        }
        Ok(())
    }
}

fn built_in(name: &str) -> bool {
    name.is_empty() || name.starts_with("amq.")
}
