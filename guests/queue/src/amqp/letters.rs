//! What nobody wanted: expired messages, dead letters, and the state in which all of that is done.

use std::time::Duration;

use super::host::Host;
use super::queue::Message;
use podlab_guest::amqp::method::Properties;
use podlab_guest::amqp::wire::{Table, Value};

impl Host {
    /// Hands out what can be handed out, lets go what has expired, and sends dead letters on, until
    /// nothing is left to do.
    pub fn tidy(&mut self, now: Duration) {
        loop {
            while let Some(name) = self.touched.pop_first() {
                // Late by less than an instant is not late: with a TTL of 0 a message still goes to
                // a consumer that waits.
                self.expire_head(&name, now.saturating_sub(Duration::from_nanos(1)));
                self.dispatch(&name);
                self.expire_head(&name, now);
            }
            let Some((queue, message, reason)) = self.doomed.pop_front() else { break };
            self.bury(&queue, message, reason, now);
        }
    }

    /// Lets go what has expired in all queues.
    pub fn expire(&mut self, now: Duration) {
        let names: Vec<String> = self.queues.keys().cloned().collect();
        for name in names {
            self.expire_head(&name, now);
        }
        self.tidy(now);
    }

    /// When the next message expires. Only the first of a queue does, as in RabbitMQ.
    pub fn next_expiry(&self) -> Option<Duration> {
        let heads = self.queues.values().filter_map(|q| q.ready.values().next());
        heads.filter_map(|m| m.expires).min()
    }

    fn expire_head(&mut self, name: &str, now: Duration) {
        let Some(queue) = self.queues.get_mut(name) else { return };
        let late = |m: &Message| m.expires.is_some_and(|at| at <= now);
        while queue.ready.values().next().is_some_and(late) {
            let Some(message) = queue.pop() else { break };
            self.doomed.push_back((name.to_owned(), message, "expired"));
        }
    }

    /// A message leaves a queue for good, and goes where that queue says, or nowhere.
    fn bury(&mut self, name: &str, message: Message, reason: &'static str, now: Duration) {
        self.forget(name, &message);
        let Some(queue) = self.queues.get_mut(name) else { return };
        queue.counters.dead += 1;
        let Some(exchange) = queue.settings.dead_exchange.clone() else { return };
        let key = queue.settings.dead_key.clone().unwrap_or_else(|| message.key.clone());
        let properties = with_death(&message, name, reason);
        let targets = match self.exchanges.get(&exchange) {
            None => return,
            Some(_) if exchange.is_empty() => {
                self.queues.keys().filter(|q| **q == key).cloned().collect()
            }
            Some(found) => found.route(&key),
        };
        for target in targets {
            // Round and round without anybody rejecting it: the letter ends here.
            if !(reason != "rejected" && circles(&properties, &target)) {
                self.enqueue(&target, &exchange, &key, &properties, &message.body, now);
            }
        }
    }
}

/// Its properties with one more entry in `x-death`, the newest first, as RabbitMQ writes them.
fn with_death(message: &Message, queue: &str, reason: &str) -> Properties {
    let mut properties = message.properties.clone();
    let expiration = properties.expiration.take();
    let headers = properties.headers.get_or_insert_with(Table::default);
    let mut deaths = match headers.get("x-death") {
        Some(Value::Array(deaths)) => deaths.clone(),
        _ => Vec::new(),
    };
    let is = |value: &Value, name: &str, text: &str| match value {
        Value::Table(table) => table.get(name).and_then(Value::as_text) == Some(text),
        _ => false,
    };
    let same = deaths.iter().position(|d| is(d, "queue", queue) && is(d, "reason", reason));
    let entry = match same.map(|n| deaths.remove(n)) {
        Some(Value::Table(mut entry)) => {
            let count = entry.get("count").and_then(Value::as_number).unwrap_or(0);
            entry.set("count", Value::number(count.saturating_add(1)));
            entry
        }
        _ => {
            let key = Value::Array(vec![Value::text(&message.key)]);
            let mut entry = Table(vec![
                ("count".into(), Value::number(1)),
                ("reason".into(), Value::text(reason)),
                ("queue".into(), Value::text(queue)),
                ("exchange".into(), Value::text(&message.exchange)),
                ("routing-keys".into(), key),
            ]);
            if let Some(expiration) = &expiration {
                entry.set("original-expiration", Value::text(expiration));
            }
            entry
        }
    };
    deaths.insert(0, Value::Table(entry));
    headers.set("x-death", Value::Array(deaths));
    let first = [("reason", reason), ("queue", queue), ("exchange", &message.exchange)];
    for (what, text) in first {
        let name = format!("x-first-death-{what}");
        if headers.get(&name).is_none() {
            headers.set(&name, Value::text(text));
        }
    }
    properties
}

/// Whether a letter comes back to a queue without anybody having rejected it since it was there:
/// RabbitMQ's rule. A rejection further back does not count, or two full queues would send such a
/// letter round and round for ever.
fn circles(properties: &Properties, queue: &str) -> bool {
    let headers = properties.headers.as_ref();
    let Some(Value::Array(deaths)) = headers.and_then(|h| h.get("x-death")) else { return false };
    let is = |death: &Value, name: &str, text: &str| match death {
        Value::Table(table) => table.get(name).and_then(Value::as_text) == Some(text),
        _ => false,
    };
    // The newest comes first.
    let Some(last) = deaths.iter().position(|d| is(d, "queue", queue)) else { return false };
    !deaths[..=last].iter().any(|d| is(d, "reason", "rejected"))
}
