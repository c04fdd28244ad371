//! One connection's conversation, without a socket: bytes that came go in, bytes to send come out.

use std::collections::BTreeMap;

use podlab_guest::log;

use super::consume::{Back, Outgoing};
use super::content::Content;
use super::queue::Message;
use super::{Refusal, code};
use crate::broker::Broker;
use podlab_guest::amqp::method::{Header, Method, Properties, Unreadable, bit};
use podlab_guest::amqp::wire::{self, FRAME_EXTRA, Frame, Kind, Long, PROTOCOL, Table, Value};

/// Bytes of a frame, at most; a client may ask for less.
pub(super) const FRAME_MAX: u32 = 32 << 10;
/// Channels of a connection, at most; a client may ask for fewer.
pub(super) const CHANNEL_MAX: u16 = 127;
/// Bytes to send that may pile up before they are sent.
const MAX_OUT: usize = 64 << 10;

/// What is to be done after some bytes were taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send what there is, and read on.
    More,
    /// There is no room for a message: read no further until there is.
    Blocked,
    /// Send what there is, and close.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Protocol,
    Start,
    Tune,
    Open,
    Running,
    /// Told to close, and waiting to hear that it was heard.
    Closing,
}

#[derive(Default)]
pub(super) struct Channel {
    pub(super) closing: bool,
    pub(super) content: Option<Content>,
    /// How many messages were published since confirming began.
    pub(super) confirm: Option<u64>,
    last_queue: String,
}

/// A connection.
pub struct Session {
    pub(super) id: u64,
    pub(super) login: String,
    pub(super) state: State,
    /// Bytes to be sent.
    pub out: Vec<u8>,
    pub(super) frame_max: u32,
    pub(super) channel_max: u16,
    /// Seconds between signs of life; 0 for none.
    pub heartbeat: u16,
    pub(super) channels: BTreeMap<u16, Channel>,
    pub(super) client: Table,
    pub(super) blocked: bool,
}

type Answer = Result<(), Refusal>;

fn refuse(code: u16, text: impl Into<String>) -> Answer {
    Err(Refusal::new(code, text))
}

impl Session {
    /// A connection that has just begun. Clients must log in as `login` (`user:password`).
    pub fn new(id: u64, login: &str, broker: &mut Broker) -> Session {
        broker.amqp.connect(id);
        Session {
            id,
            login: login.to_owned(),
            state: State::Protocol,
            out: Vec::new(),
            frame_max: FRAME_MAX,
            channel_max: CHANNEL_MAX,
            heartbeat: 0,
            channels: BTreeMap::new(),
            client: Table::default(),
            blocked: false,
        }
    }

    /// Whether a message is still coming in, or a log-in: then the next bytes must not take long.
    pub fn unfinished(&self) -> bool {
        !matches!(self.state, State::Running) || self.channels.values().any(|c| c.content.is_some())
    }

    /// Takes in what has come, as far as it goes.
    pub fn feed(&mut self, broker: &mut Broker, input: &mut Vec<u8>) -> Step {
        if self.state == State::Protocol {
            let Some(first) = input.first_chunk::<8>().copied() else {
                // A beginning that cannot become one needs no more bytes to be wrong.
                return if PROTOCOL.starts_with(input) { Step::More } else { self.no_protocol() };
            };
            if first != PROTOCOL {
                return self.no_protocol();
            }
            input.drain(..8);
            self.start();
        }
        let mut used = 0;
        let step = loop {
            self.flush(broker);
            if self.out.len() >= MAX_OUT {
                break Step::More;
            }
            let (frame, length) = match wire::frame(&input[used..], self.frame_max) {
                Ok(None) => break Step::More,
                Ok(Some(found)) => found,
                Err(why) => {
                    self.fail(broker, &Refusal::new(code::FRAME_ERROR, why.0), (0, 0));
                    input.clear();
                    return Step::End;
                }
            };
            match self.frame(broker, frame) {
                Step::More => used += length,
                step => break step,
            }
        };
        input.drain(..used);
        step
    }

    /// Whether there are frames that could be taken in once what is to be sent was sent.
    pub fn pending(&self, input: &[u8]) -> bool {
        self.state != State::Protocol
            && matches!(wire::frame(input, self.frame_max), Ok(Some(_)) | Err(_))
    }

    fn no_protocol(&mut self) -> Step {
        self.out.extend(PROTOCOL);
        Step::End
    }

    pub(super) fn send(&mut self, channel: u16, method: &Method) {
        wire::write_frame(Kind::Method, channel, &method.payload(), &mut self.out);
    }

    pub(super) fn content(
        &mut self,
        channel: u16,
        method: &Method,
        properties: &Properties,
        body: &[u8],
    ) {
        self.send(channel, method);
        let room = self.frame_max as usize - FRAME_EXTRA;
        let mut header = Header { size: body.len() as u64, properties: properties.clone() };
        if header.payload().len() > room {
            // Dead letters grow; one that no longer fits loses its headers.
            header.properties.headers = None;
        }
        wire::write_frame(Kind::Header, channel, &header.payload(), &mut self.out);
        for part in body.chunks(room) {
            wire::write_frame(Kind::Body, channel, part, &mut self.out);
        }
    }

    pub(super) fn able(&self, name: &str) -> bool {
        match self.client.get("capabilities") {
            Some(Value::Table(table)) => table.get(name) == Some(&Value::Bool(true)),
            _ => false,
        }
    }

    /// Says why the connection ends, and gives back what it holds.
    pub fn fail(&mut self, broker: &mut Broker, refusal: &Refusal, (class, method): (u16, u16)) {
        log::warn("amqp-connection-closed", &[("client", &self.id), ("error", &refusal.full())]);
        let text = refusal.full();
        self.send(0, &Method::ConnectionClose { code: refusal.code, text, class, method });
        self.state = State::Closing;
        self.leave(broker);
    }

    /// The connection is over: what it holds waits again.
    pub fn leave(&mut self, broker: &mut Broker) {
        let reserved: usize =
            self.channels.values().filter_map(|c| c.content.as_ref()).map(|c| c.reserved).sum();
        self.channels.clear();
        broker.amqp.release(reserved);
        let now = broker.now();
        broker.amqp.disconnect(self.id, now);
        broker.commit_amqp();
    }

    fn end_channel(&mut self, broker: &mut Broker, number: u16) {
        if let Some(content) = self.channels.get_mut(&number).and_then(|c| c.content.take()) {
            broker.amqp.release(content.reserved);
        }
        let now = broker.now();
        broker.amqp.close_channel(self.id, number, now);
    }

    /// A sign of life.
    pub fn beat(&mut self) {
        wire::write_frame(Kind::Heartbeat, 0, &[], &mut self.out);
    }

    /// Writes what the connection is to be told without having asked.
    pub fn flush(&mut self, broker: &mut Broker) {
        while self.out.len() < MAX_OUT {
            let Some(next) = broker.amqp.outgoing(self.id) else { break };
            match next {
                Outgoing::Deliver { channel, tag, delivery, message } => {
                    let Message { exchange, key, properties, body, redelivered, .. } = *message;
                    let redelivered = u8::from(redelivered);
                    let method = Method::BasicDeliver { tag, delivery, redelivered, exchange, key };
                    self.content(channel, &method, &properties, &body);
                }
                Outgoing::Cancel { channel, tag } => {
                    if self.able("consumer_cancel_notify") {
                        self.send(channel, &Method::BasicCancel { tag, no_wait: 1 });
                    }
                }
            }
        }
    }

    fn frame(&mut self, broker: &mut Broker, frame: Frame) -> Step {
        let Frame { kind, channel, payload } = frame;
        if self.state == State::Closing {
            return match (kind, Method::read(&payload)) {
                (Kind::Method, Ok(Method::ConnectionCloseOk {})) => Step::End,
                (Kind::Method, Ok(Method::ConnectionClose { .. })) => {
                    self.send(0, &Method::ConnectionCloseOk {});
                    Step::End
                }
                _ => Step::More,
            };
        }
        let mut ids = (0, 0);
        let done = match kind {
            Kind::Heartbeat if channel == 0 => Ok(Step::More),
            Kind::Heartbeat => Err(Refusal::new(code::FRAME_ERROR, "a heartbeat on a channel")),
            Kind::Method => match Method::read(&payload) {
                Ok(method) => {
                    ids = method.ids();
                    match channel {
                        0 => self.connection(broker, method),
                        _ => self.method(broker, channel, method).map(|()| Step::More),
                    }
                }
                Err(Unreadable::Unknown(class, id)) => {
                    ids = (class, id);
                    let text = format!("there is no method {id} in class {class}");
                    Err(Refusal::new(code::COMMAND_INVALID, text))
                }
                Err(Unreadable::Malformed(why, class, id)) => {
                    ids = (class, id);
                    Err(Refusal::new(code::SYNTAX_ERROR, why.0))
                }
            },
            Kind::Header | Kind::Body if channel == 0 => {
                Err(Refusal::new(code::COMMAND_INVALID, "a content on channel 0"))
            }
            Kind::Header => self.header(broker, channel, &payload),
            Kind::Body => self.body(broker, channel, &payload).map(|()| Step::More),
        };
        let step = match done {
            Ok(step) => step,
            Err(refusal) => {
                if code::soft(refusal.code) && self.channels.contains_key(&channel) {
                    log::warn(
                        "amqp-channel-closed",
                        &[("client", &self.id), ("channel", &channel), ("error", &refusal.full())],
                    );
                    self.end_channel(broker, channel);
                    let (text, (class, method)) = (refusal.full(), ids);
                    let code = refusal.code;
                    self.send(channel, &Method::ChannelClose { code, text, class, method });
                    self.channels.insert(channel, Channel { closing: true, ..Channel::default() });
                } else {
                    self.fail(broker, &refusal, ids);
                }
                Step::More
            }
        };
        if self.state == State::Running {
            let now = broker.now();
            broker.amqp.tidy(now);
        }
        if !broker.commit_amqp() && self.state == State::Running {
            let refusal = Refusal::new(code::INTERNAL_ERROR, "the journal cannot be written");
            self.fail(broker, &refusal, ids);
        }
        step
    }

    fn method(&mut self, broker: &mut Broker, channel: u16, method: Method) -> Answer {
        if self.state != State::Running {
            return refuse(code::COMMAND_INVALID, "the connection is not open yet");
        }
        let Some(found) = self.channels.get_mut(&channel) else {
            if !matches!(method, Method::ChannelOpen { .. }) {
                return refuse(code::CHANNEL_ERROR, format!("channel {channel} is not open"));
            }
            if channel > self.channel_max {
                let text = format!("channel number {channel} is more than {}", self.channel_max);
                return refuse(code::NOT_ALLOWED, text);
            }
            self.channels.insert(channel, Channel::default());
            broker.amqp.open_channel(self.id, channel);
            self.send(channel, &Method::ChannelOpenOk { reserved: Long::default() });
            return Ok(());
        };
        if found.closing {
            match method {
                Method::ChannelCloseOk {} => drop(self.channels.remove(&channel)),
                Method::ChannelClose { .. } => self.send(channel, &Method::ChannelCloseOk {}),
                _ => {}
            }
            return Ok(());
        }
        if found.content.is_some() {
            return refuse(code::UNEXPECTED_FRAME, "a method in the middle of a content");
        }
        let named = |queue: String| match (queue.as_str(), found.last_queue.as_str()) {
            ("", "") => Err(Refusal::new(code::NOT_FOUND, "no previously declared queue")),
            ("", last) => Ok(last.to_owned()),
            _ => Ok(queue),
        };
        let (id, host) = (self.id, &mut broker.amqp);
        let reply = match method {
            Method::ChannelOpen { .. } => {
                return refuse(code::CHANNEL_ERROR, format!("channel {channel} is open already"));
            }
            Method::ChannelClose { .. } => {
                self.end_channel(broker, channel);
                self.channels.remove(&channel);
                Some(Method::ChannelCloseOk {})
            }
            Method::ChannelFlow { active: 1 } => Some(Method::ChannelFlowOk { active: 1 }),
            Method::ChannelFlow { .. } => return refuse(code::NOT_IMPLEMENTED, "active=false"),
            Method::ExchangeDeclare { exchange, kind, flags, .. } => {
                host.declare_exchange(&exchange, &kind, flags)?;
                (flags & bit::DECLARE_NO_WAIT == 0).then_some(Method::ExchangeDeclareOk {})
            }
            Method::ExchangeDelete { exchange, flags, .. } => {
                host.delete_exchange(&exchange, flags)?;
                (flags & 2 == 0).then_some(Method::ExchangeDeleteOk {})
            }
            Method::ExchangeBind { .. } | Method::ExchangeUnbind { .. } => {
                return refuse(code::NOT_IMPLEMENTED, "bindings between exchanges");
            }
            Method::QueueDeclare { queue, flags, arguments, .. } => {
                let queue = match queue.as_str() {
                    "" if flags & bit::PASSIVE != 0 => named(queue)?,
                    _ => queue,
                };
                let declared = host.declare_queue(id, &queue, flags, arguments)?;
                found.last_queue.clone_from(&declared.name);
                let (messages, consumers) = (declared.messages, declared.consumers);
                let ok = Method::QueueDeclareOk { queue: declared.name, messages, consumers };
                (flags & bit::DECLARE_NO_WAIT == 0).then_some(ok)
            }
            Method::QueueBind { queue, exchange, key, no_wait, .. } => {
                host.bind(id, &named(queue)?, &exchange, &key)?;
                (no_wait == 0).then_some(Method::QueueBindOk {})
            }
            Method::QueueUnbind { queue, exchange, key, .. } => {
                host.unbind(id, &named(queue)?, &exchange, &key)?;
                Some(Method::QueueUnbindOk {})
            }
            Method::QueuePurge { queue, no_wait, .. } => {
                let messages = host.purge(id, &named(queue)?)?;
                (no_wait == 0).then_some(Method::QueuePurgeOk { messages })
            }
            Method::QueueDelete { queue, flags, .. } => {
                let messages = host.delete_queue(id, &named(queue)?, flags)?;
                (flags & 4 == 0).then_some(Method::QueueDeleteOk { messages })
            }
            Method::BasicQos { prefetch_size, prefetch_count, global } => {
                if prefetch_size != 0 {
                    return refuse(
                        code::NOT_IMPLEMENTED,
                        format!("prefetch_size!=0 ({prefetch_size})"),
                    );
                }
                host.qos(id, channel, prefetch_count, global != 0)?;
                Some(Method::BasicQosOk {})
            }
            Method::BasicConsume { queue, tag, flags, .. } => {
                let tag = host.consume(id, channel, &named(queue)?, &tag, flags)?;
                (flags & bit::CONSUME_NO_WAIT == 0).then_some(Method::BasicConsumeOk { tag })
            }
            Method::BasicCancel { tag, no_wait } => {
                host.cancel(id, channel, &tag);
                (no_wait == 0).then_some(Method::BasicCancelOk { tag })
            }
            // The answer to a cancellation that the broker told of.
            Method::BasicCancelOk { .. } | Method::ChannelFlowOk { .. } => None,
            Method::BasicPublish { exchange, key, flags, .. } => {
                if flags & bit::IMMEDIATE != 0 {
                    return refuse(code::NOT_IMPLEMENTED, "immediate=true");
                }
                host.route(&exchange, &key)?;
                let mandatory = flags & bit::MANDATORY != 0;
                let (header, body, reserved) = (None, Vec::new(), 0);
                found.content = Some(Content { exchange, key, mandatory, header, body, reserved });
                None
            }
            Method::BasicGet { queue, no_ack, .. } => {
                let queue = named(queue)?;
                let now = broker.now();
                match broker.amqp.get(id, channel, &queue, no_ack != 0, now)? {
                    None => Some(Method::BasicGetEmpty { reserved: String::new() }),
                    Some((delivery, message, messages)) => {
                        let Message { exchange, key, properties, body, redelivered, .. } = message;
                        let redelivered = u8::from(redelivered);
                        let ok =
                            Method::BasicGetOk { delivery, redelivered, exchange, key, messages };
                        self.content(channel, &ok, &properties, &body);
                        None
                    }
                }
            }
            Method::BasicAck { delivery, multiple } => {
                host.ack(id, channel, delivery, multiple != 0)?;
                None
            }
            Method::BasicReject { delivery, requeue } => {
                let back = if requeue != 0 { Back::Requeue } else { Back::Reject };
                host.give_back(id, channel, delivery, false, back)?;
                None
            }
            Method::BasicNack { delivery, flags } => {
                let requeue = flags & bit::NACK_REQUEUE != 0;
                let back = if requeue { Back::Requeue } else { Back::Reject };
                host.give_back(id, channel, delivery, flags & bit::MULTIPLE != 0, back)?;
                None
            }
            Method::BasicRecover { requeue: 0 } | Method::BasicRecoverAsync { requeue: 0 } => {
                return refuse(code::NOT_IMPLEMENTED, "requeue=false");
            }
            Method::BasicRecover { .. } => {
                host.give_back(id, channel, 0, true, Back::Requeue)?;
                Some(Method::BasicRecoverOk {})
            }
            Method::BasicRecoverAsync { .. } => {
                host.give_back(id, channel, 0, true, Back::Requeue)?;
                None
            }
            Method::ConfirmSelect { no_wait } => {
                found.confirm.get_or_insert(0);
                (no_wait == 0).then_some(Method::ConfirmSelectOk {})
            }
            Method::TxSelect {} | Method::TxCommit {} | Method::TxRollback {} => {
                return refuse(code::NOT_IMPLEMENTED, "transactions");
            }
            other => {
                let (class, id) = other.ids();
                let text =
                    format!("method {id} of class {class} is none for a channel of a client");
                return refuse(code::COMMAND_INVALID, text);
            }
        };
        if let Some(reply) = reply {
            self.send(channel, &reply);
        }
        Ok(())
    }
}
