//! A message on its way in: its method, its header, its body, and room kept for it.

use podlab_guest::log;

use super::host::Published;
use super::queue::size;
use super::session::{Session, Step};
use super::{Refusal, code};
use crate::broker::Broker;
use crate::tasks::MAX_TASK;
use podlab_guest::amqp::method::{Header, Method};

/// A message that is coming in.
pub(super) struct Content {
    pub(super) exchange: String,
    pub(super) key: String,
    pub(super) mandatory: bool,
    pub(super) header: Option<Header>,
    pub(super) body: Vec<u8>,
    pub(super) reserved: usize,
}

type Answer = Result<(), Refusal>;

fn refuse(code: u16, text: impl Into<String>) -> Answer {
    Err(Refusal::new(code, text))
}

impl Session {
    fn incoming(&mut self, channel: u16) -> Result<Option<&mut Content>, Refusal> {
        let Some(found) = self.channels.get_mut(&channel) else {
            let text = format!("channel {channel} is not open");
            return Err(Refusal::new(code::CHANNEL_ERROR, text));
        };
        if found.closing {
            return Ok(None);
        }
        match &mut found.content {
            Some(content) => Ok(Some(content)),
            None => Err(Refusal::new(code::UNEXPECTED_FRAME, "a content without its method")),
        }
    }

    pub(super) fn header(
        &mut self,
        broker: &mut Broker,
        channel: u16,
        payload: &[u8],
    ) -> Result<Step, Refusal> {
        let Some(content) = self.incoming(channel)? else { return Ok(Step::More) };
        if content.header.is_some() {
            return Err(Refusal::new(code::UNEXPECTED_FRAME, "a second header for one content"));
        }
        let header =
            Header::read(payload).map_err(|why| Refusal::new(code::SYNTAX_ERROR, why.0))?;
        if header.size > MAX_TASK as u64 {
            let text = format!(
                "message size {} is larger than configured max size {MAX_TASK}",
                header.size
            );
            return Err(Refusal::new(code::PRECONDITION_FAILED, text));
        }
        let targets = broker.amqp.route(&content.exchange, &content.key)?.len().max(1);
        let (exchange, key) = (&content.exchange, &content.key);
        let needed = size(exchange, key, &header.properties, header.size as usize) * targets;
        if needed > broker.limit() {
            let text = format!("{needed} bytes are more than this broker may ever take");
            return Err(Refusal::new(code::PRECONDITION_FAILED, text));
        }
        if needed > broker.room() {
            self.block();
            return Ok(Step::Blocked);
        }
        broker.amqp.reserve(needed);
        content.reserved = needed;
        content.header = Some(header);
        if std::mem::take(&mut self.blocked) && self.able("connection.blocked") {
            self.send(0, &Method::ConnectionUnblocked {});
        }
        self.complete(broker, channel)?;
        Ok(Step::More)
    }

    /// There is no room: says so, once.
    fn block(&mut self) {
        if std::mem::replace(&mut self.blocked, true) {
            return;
        }
        log::warn("amqp-blocked", &[("client", &self.id)]);
        if self.able("connection.blocked") {
            self.send(0, &Method::ConnectionBlocked { reason: "low on memory".into() });
        }
    }

    pub(super) fn body(&mut self, broker: &mut Broker, channel: u16, payload: &[u8]) -> Answer {
        let Some(content) = self.incoming(channel)? else { return Ok(()) };
        let Some(header) = &content.header else {
            return refuse(code::UNEXPECTED_FRAME, "a body without its header");
        };
        if (content.body.len() + payload.len()) as u64 > header.size {
            return refuse(code::UNEXPECTED_FRAME, "a body is longer than its header said");
        }
        content.body.extend(payload);
        self.complete(broker, channel)
    }

    /// Publishes a content that is here as a whole.
    fn complete(&mut self, broker: &mut Broker, channel: u16) -> Answer {
        let Some(found) = self.channels.get_mut(&channel) else { return Ok(()) };
        let whole =
            |c: &mut Content| c.header.as_ref().is_some_and(|h| h.size == c.body.len() as u64);
        let Some(content) = found.content.take_if(whole) else { return Ok(()) };
        let Content { exchange, key, mandatory, header, body, reserved } = content;
        let properties = header.map(|h| h.properties).unwrap_or_default();
        broker.amqp.release(reserved);
        let now = broker.now();
        let returned = mandatory.then(|| body.clone());
        let published = broker.amqp.publish(&exchange, &key, &properties, body, now)?;
        let confirm = found.confirm.as_mut().map(|n| {
            *n += 1;
            *n
        });
        // Before it is confirmed it must be written down.
        let written = broker.commit_amqp();
        if let (Published::Nowhere, Some(body)) = (published, returned) {
            let text = code::name(code::NO_ROUTE).to_owned();
            let method = Method::BasicReturn { code: code::NO_ROUTE, text, exchange, key };
            self.content(channel, &method, &properties, &body);
        }
        if let Some(delivery) = confirm {
            let method = if published == Published::Rejected || !written {
                Method::BasicNack { delivery, flags: 0 }
            } else {
                Method::BasicAck { delivery, multiple: 0 }
            };
            self.send(channel, &method);
        }
        Ok(())
    }
}
