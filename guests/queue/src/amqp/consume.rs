//! Who takes messages: channels, consumers and how much each may hold, acknowledging, coming back.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use podlab_guest::runtime::Flag;

use super::host::{Host, refuse};
use super::queue::{ConsumerKey, Message};
use super::{Refusal, code};
use podlab_guest::amqp::method::bit;
use podlab_guest::amqp::wire::{Table, Value};

/// Consumers of one connection.
const MOST_CONSUMERS: usize = 256;
/// Bytes that wait to be sent to one connection; then others are served.
const MAX_OUTBOX: usize = 256 << 10;

/// What a connection is to be told without having asked.
#[derive(Debug)]
pub enum Outgoing {
    /// A message for a consumer.
    Deliver {
        /// The consumer's channel.
        channel: u16,
        /// The consumer.
        tag: String,
        /// The delivery's number in the channel.
        delivery: u64,
        /// The message.
        message: Box<Message>,
    },
    /// A consumer's queue is gone.
    Cancel {
        /// The consumer's channel.
        channel: u16,
        /// The consumer.
        tag: String,
    },
}

/// A connection.
#[derive(Default)]
pub struct Peer {
    pub(super) bell: Flag,
    pub(super) outbox: VecDeque<Outgoing>,
    pub(super) outbox_bytes: usize,
    pub(super) channels: BTreeMap<u16, Channel>,
}

/// A channel.
#[derive(Default)]
pub struct Channel {
    /// What all consumers together may hold; 0 is no bound.
    limit: u16,
    /// What each consumer that comes may hold; 0 is no bound.
    next_limit: u16,
    outstanding: BTreeMap<u64, Outstanding>,
    last: u64,
    consumers: BTreeMap<String, Consumer>,
}

struct Outstanding {
    queue: String,
    queue_id: u64,
    consumer: Option<String>,
    message: Message,
}

struct Consumer {
    queue: String,
    no_ack: bool,
    limit: u16,
    outstanding: usize,
}

/// What becomes of a message that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// It waits again, where it was.
    Requeue,
    /// It is not wanted.
    Reject,
}

type Answer<T> = Result<T, Refusal>;

fn room(held: usize, limit: u16) -> bool {
    limit == 0 || held < usize::from(limit)
}

impl Host {
    /// A connection begins.
    pub fn connect(&mut self, connection: u64) {
        self.peers.insert(connection, Peer::default());
    }

    /// Rings when there is something for this connection.
    pub fn bell(&self, connection: u64) -> Flag {
        self.peers.get(&connection).map(|p| p.bell.clone()).unwrap_or_default()
    }

    /// Whether there is something for this connection.
    pub fn waiting(&self, connection: u64) -> bool {
        self.peers.get(&connection).is_some_and(|p| !p.outbox.is_empty())
    }

    /// What this connection is to be told next.
    pub fn outgoing(&mut self, connection: u64) -> Option<Outgoing> {
        let peer = self.peers.get_mut(&connection)?;
        let next = peer.outbox.pop_front()?;
        if let Outgoing::Deliver { message, .. } = &next {
            peer.outbox_bytes -= message.size();
        }
        Some(next)
    }

    /// What was to be sent has been sent: its consumers can be served again.
    pub fn sent(&mut self, connection: u64, now: Duration) {
        let queues = self.peers.get(&connection).into_iter().flat_map(|p| p.channels.values());
        let queues = queues.flat_map(|c| c.consumers.values().map(|c| c.queue.clone()));
        self.touched.extend(queues);
        self.tidy(now);
    }

    /// What is handed out and not acknowledged, with its queue.
    pub(super) fn held(&self) -> impl Iterator<Item = (&str, &Message)> {
        let channels = self.peers.values().flat_map(|p| p.channels.values());
        let all = channels.flat_map(|c| c.outstanding.values());
        let there =
            |o: &&Outstanding| self.queues.get(&o.queue).is_some_and(|q| q.id == o.queue_id);
        all.filter(there).map(|o| (o.queue.as_str(), &o.message))
    }

    fn post(&mut self, connection: u64, what: Outgoing) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        if let Outgoing::Deliver { message, .. } = &what {
            peer.outbox_bytes += message.size();
        }
        peer.outbox.push_back(what);
        std::mem::take(&mut peer.bell).raise();
    }

    /// A channel begins.
    pub fn open_channel(&mut self, connection: u64, channel: u16) {
        if let Some(peer) = self.peers.get_mut(&connection) {
            peer.channels.insert(channel, Channel::default());
        }
    }

    fn channel(&mut self, connection: u64, channel: u16) -> Answer<&mut Channel> {
        let found = self.peers.get_mut(&connection).and_then(|p| p.channels.get_mut(&channel));
        found.ok_or_else(|| Refusal::new(code::CHANNEL_ERROR, "this channel is not open"))
    }

    /// How much a channel, or each consumer it gets from now on, may hold.
    ///
    /// # Errors
    /// If the channel is not open.
    pub fn qos(&mut self, connection: u64, channel: u16, limit: u16, global: bool) -> Answer<()> {
        let found = self.channel(connection, channel)?;
        if global {
            found.limit = limit
        } else {
            found.next_limit = limit
        }
        Ok(())
    }

    /// A consumer begins.
    ///
    /// # Errors
    /// If there is no such queue, it belongs to another, the tag is in use, or somebody is or wants
    /// to be the only one.
    pub fn consume(
        &mut self,
        connection: u64,
        channel: u16,
        queue: &str,
        tag: &str,
        flags: u8,
    ) -> Answer<String> {
        let only = flags & bit::ONLY != 0;
        self.names += 1;
        let tag = if tag.is_empty() { format!("amq.ctag-{}", self.names) } else { tag.to_owned() };
        let found = self.queue_of(connection, queue)?;
        if found.only || only && !found.consumers.is_empty() {
            let text = format!("queue '{queue}' in vhost '/' in exclusive use");
            return refuse(code::ACCESS_REFUSED, text);
        }
        let all = self
            .peers
            .get(&connection)
            .map_or(0, |p| p.channels.values().map(|c| c.consumers.len()).sum::<usize>());
        if all >= MOST_CONSUMERS {
            let text = format!("a connection has at most {MOST_CONSUMERS} consumers");
            return refuse(code::RESOURCE_ERROR, text);
        }
        let found = self.channel(connection, channel)?;
        if found.consumers.contains_key(&tag) {
            return refuse(code::NOT_ALLOWED, format!("attempt to reuse consumer tag '{tag}'"));
        }
        let consumer = Consumer {
            queue: queue.to_owned(),
            no_ack: flags & bit::NO_ACK != 0,
            limit: found.next_limit,
            outstanding: 0,
        };
        found.consumers.insert(tag.clone(), consumer);
        let found = self.queue_of(connection, queue)?;
        found.only = only;
        found.consumers.push_back((connection, channel, tag.clone()));
        self.touched.insert(queue.to_owned());
        Ok(tag)
    }

    /// A consumer ends; what it holds it still holds.
    pub fn cancel(&mut self, connection: u64, channel: u16, tag: &str) {
        let Ok(found) = self.channel(connection, channel) else { return };
        let Some(consumer) = found.consumers.remove(tag) else { return };
        self.leave(&consumer.queue, &(connection, channel, tag.to_owned()));
    }

    fn leave(&mut self, name: &str, key: &ConsumerKey) {
        let Some(queue) = self.queues.get_mut(name) else { return };
        queue.consumers.retain(|k| k != key);
        if queue.consumers.is_empty() {
            queue.only = false;
            if queue.auto_delete {
                self.remove_queue(name);
            }
        }
    }

    /// A queue is gone, and with it this consumer.
    pub(super) fn cancelled(&mut self, connection: u64, channel: u16, tag: String) {
        if let Ok(found) = self.channel(connection, channel) {
            found.consumers.remove(&tag);
            self.post(connection, Outgoing::Cancel { channel, tag });
        }
    }

    /// Takes a message without a consumer: its delivery number, it, and how many wait behind it.
    ///
    /// # Errors
    /// If there is no such queue, or it belongs to another.
    pub fn get(
        &mut self,
        connection: u64,
        channel: u16,
        queue: &str,
        no_ack: bool,
        now: Duration,
    ) -> Answer<Option<(u64, Message, u32)>> {
        self.expire(now);
        let found = self.queue_of(connection, queue)?;
        let Some(message) = found.pop() else { return Ok(None) };
        let left = found.ready.len().try_into().unwrap_or(u32::MAX);
        let delivery = self.hand_out(connection, channel, queue, None, &message, no_ack);
        Ok(Some((delivery, message, left)))
    }

    fn hand_out(
        &mut self,
        connection: u64,
        channel: u16,
        name: &str,
        consumer: Option<&str>,
        message: &Message,
        no_ack: bool,
    ) -> u64 {
        let queue_id = self.queues.get(name).map_or(0, |q| q.id);
        let mut delivery = 0;
        if let Ok(found) = self.channel(connection, channel) {
            found.last += 1;
            delivery = found.last;
            if !no_ack {
                let outstanding = Outstanding {
                    queue: name.to_owned(),
                    queue_id,
                    consumer: consumer.map(str::to_owned),
                    message: message.clone(),
                };
                found.outstanding.insert(delivery, outstanding);
                if let Some(consumer) = consumer.and_then(|tag| found.consumers.get_mut(tag)) {
                    consumer.outstanding += 1;
                }
            }
        }
        if let Some(queue) = self.queues.get_mut(name) {
            queue.counters.delivered += 1;
            if no_ack { queue.counters.acknowledged += 1 } else { queue.unacked += 1 }
        }
        if no_ack {
            self.forget(name, message);
        }
        delivery
    }

    /// Gives the queue's first messages to those of its consumers that may hold one more, in turn.
    pub(super) fn dispatch(&mut self, name: &str) {
        loop {
            let Some(queue) = self.queues.get(name) else { return };
            if queue.ready.is_empty() {
                return;
            }
            let Some(n) = queue.consumers.iter().position(|key| self.may_hold(key)) else { return };
            let Some(queue) = self.queues.get_mut(name) else { return };
            let (Some(key), Some(message)) = (queue.consumers.remove(n), queue.pop()) else {
                return;
            };
            queue.consumers.push_back(key.clone());
            let (connection, channel, tag) = key;
            let found = self.channel(connection, channel);
            let no_ack = found.is_ok_and(|c| c.consumers.get(&tag).is_some_and(|c| c.no_ack));
            let delivery = self.hand_out(connection, channel, name, Some(&tag), &message, no_ack);
            let message = Box::new(message);
            self.post(connection, Outgoing::Deliver { channel, tag, delivery, message });
        }
    }

    fn may_hold(&self, (connection, channel, tag): &ConsumerKey) -> bool {
        let Some(peer) = self.peers.get(connection) else { return false };
        let Some(channel) = peer.channels.get(channel) else { return false };
        let Some(consumer) = channel.consumers.get(tag) else { return false };
        peer.outbox_bytes < MAX_OUTBOX
            && room(channel.outstanding.len(), channel.limit)
            && room(consumer.outstanding, consumer.limit)
    }

    /// Takes deliveries out of what a channel holds.
    fn settled(
        &mut self,
        connection: u64,
        channel: u16,
        delivery: u64,
        multiple: bool,
    ) -> Answer<Vec<Outstanding>> {
        let found = self.channel(connection, channel)?;
        let chosen: Vec<u64> = match (multiple, delivery) {
            (true, 0) => found.outstanding.keys().copied().collect(),
            (true, last) => found.outstanding.range(..=last).map(|(n, _)| *n).collect(),
            (false, n) => found.outstanding.contains_key(&n).then_some(n).into_iter().collect(),
        };
        if chosen.is_empty() && !(multiple && delivery == 0) {
            let text = format!("unknown delivery tag {delivery}");
            return refuse(code::PRECONDITION_FAILED, text);
        }
        let mut out = Vec::new();
        for n in chosen {
            let Some(outstanding) = found.outstanding.remove(&n) else { continue };
            let consumer = outstanding.consumer.as_ref().and_then(|t| found.consumers.get_mut(t));
            if let Some(consumer) = consumer {
                consumer.outstanding = consumer.outstanding.saturating_sub(1);
            }
            out.push(outstanding);
        }
        // Whoever was held back by a bound may have more now.
        let queues: Vec<String> = found.consumers.values().map(|c| c.queue.clone()).collect();
        self.touched.extend(queues);
        Ok(out)
    }

    /// Deliveries are done.
    ///
    /// # Errors
    /// If there is no such delivery.
    pub fn ack(
        &mut self,
        connection: u64,
        channel: u16,
        delivery: u64,
        multiple: bool,
    ) -> Answer<()> {
        for held in self.settled(connection, channel, delivery, multiple)? {
            if let Some(queue) = self.queues.get_mut(&held.queue).filter(|q| q.id == held.queue_id)
            {
                queue.unacked -= 1;
                queue.counters.acknowledged += 1;
            }
            self.forget(&held.queue, &held.message);
        }
        Ok(())
    }

    /// Deliveries come back.
    ///
    /// # Errors
    /// If there is no such delivery.
    pub fn give_back(
        &mut self,
        connection: u64,
        channel: u16,
        delivery: u64,
        multiple: bool,
        back: Back,
    ) -> Answer<()> {
        for held in self.settled(connection, channel, delivery, multiple)? {
            self.came_back(held, back);
        }
        Ok(())
    }

    fn came_back(&mut self, held: Outstanding, back: Back) {
        let Outstanding { queue: name, queue_id, mut message, .. } = held;
        let Some(queue) = self.queues.get_mut(&name).filter(|q| q.id == queue_id) else {
            self.bytes -= message.size();
            return;
        };
        queue.unacked -= 1;
        if back == Back::Reject {
            self.doomed.push_back((name, message, "rejected"));
            return;
        }
        message.redelivered = true;
        message.returns += 1;
        if queue.settings.limit.is_some_and(|most| message.returns > most) {
            self.doomed.push_back((name, message, "delivery_limit"));
            return;
        }
        queue.counters.requeued += 1;
        if queue.settings.quorum {
            let before = message.size();
            let headers = message.properties.headers.get_or_insert_with(Table::default);
            headers.set("x-delivery-count", Value::number(message.returns.into()));
            self.bytes = self.bytes + message.size() - before;
            if message.kept {
                self.log.push(super::host::keep(&name, &message));
            }
        }
        if let Some(queue) = self.queues.get_mut(&name) {
            queue.put(message);
        }
        self.touched.insert(name);
    }

    /// A channel ends: its consumers end, and what it holds waits again.
    pub fn close_channel(&mut self, connection: u64, number: u16, now: Duration) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        let Some(channel) = peer.channels.remove(&number) else { return };
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut peer.outbox)
            .into_iter()
            .partition(|o| matches!(o, Outgoing::Deliver { channel, .. } | Outgoing::Cancel { channel, .. } if *channel == number));
        peer.outbox.extend(kept);
        for outgoing in &gone {
            if let Outgoing::Deliver { message, .. } = outgoing {
                peer.outbox_bytes -= message.size();
            }
        }
        for (tag, consumer) in channel.consumers {
            self.leave(&consumer.queue, &(connection, number, tag));
        }
        for held in channel.outstanding.into_values() {
            self.came_back(held, Back::Requeue);
        }
        self.tidy(now);
    }

    /// A connection ends, with its channels and its exclusive queues.
    pub fn disconnect(&mut self, connection: u64, now: Duration) {
        let channels = self.peers.get(&connection).map(|p| p.channels.keys().copied());
        for channel in channels.into_iter().flatten().collect::<Vec<_>>() {
            self.close_channel(connection, channel, now);
        }
        self.peers.remove(&connection);
        let own = |q: &super::queue::Queue| q.exclusive == Some(connection);
        let names: Vec<String> =
            self.queues.iter().filter(|(_, q)| own(q)).map(|(n, _)| n.clone()).collect();
        for name in names {
            self.remove_queue(&name);
        }
        self.tidy(now);
    }
}
