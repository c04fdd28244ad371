//! Requests with their answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use podlab_trace::{ConnId, Event, Kind, PlaceId, Seq, State};

/// A message of a known protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its event.
    pub seq: Seq,
    /// Who sent it.
    pub place: PlaceId,
    /// One line: "GET /index.html", "200 OK".
    pub summary: String,
    /// The head as text.
    pub head: String,
    /// The first bytes of the body.
    pub body: Bytes,
    /// The length of the body.
    pub body_len: u64,
    /// When its first byte was sent, in ns.
    pub began: u64,
    /// When its last byte was there, in ns; `u64::MAX` if it never was.
    pub arrives: u64,
    /// Whether it breaks its protocol.
    pub malformed: bool,
}

/// A request and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The connection.
    pub conn: ConnId,
    /// "http/1.1".
    pub protocol: String,
    /// The request; its place is the client.
    pub request: Message,
    /// The last answer; its place is the server.
    pub response: Option<Message>,
    /// Who answers, as far as that is known: the server's place, or its pod's.
    pub server: PlaceId,
    /// The Service in between ("namespace/name:port"), or empty.
    pub via: String,
    /// The far end, as the client addressed it.
    pub to: String,
    /// The event that the client had taken in last before it asked.
    pub cause: Seq,
}

impl Exchange {
    /// From the first byte of the request to the last of the answer, in ns.
    pub fn took(&self) -> Option<u64> {
        let response = self.response.as_ref()?;
        (response.arrives != u64::MAX).then(|| response.arrives.saturating_sub(self.request.began))
    }
}

/// Finds exchanges in a trace. What is found is given out as soon as it is complete, or at the
/// end.
#[derive(Default)]
pub struct Exchanges {
    open: BTreeMap<Seq, Exchange>,
    ready: Vec<Exchange>,
}

impl Exchanges {
    /// Takes in the next event. `state` is what was true before it.
    pub fn take(&mut self, state: &State, event: &Event) {
        match &event.kind {
            Kind::Message {
                conn,
                protocol,
                summary,
                head,
                body_len,
                body,
                began,
                arrives,
                answers,
                malformed,
                ..
            } => {
                let message = Message {
                    seq: event.seq,
                    place: event.place,
                    summary: summary.clone(),
                    head: head.clone(),
                    body: body.clone(),
                    body_len: *body_len,
                    began: *began,
                    arrives: *arrives,
                    malformed: *malformed,
                };
                if *answers == 0 {
                    let connection = state.connections.get(conn);
                    let exchange = Exchange {
                        conn: *conn,
                        protocol: protocol.clone(),
                        server: connection.map_or(0, |c| c.server),
                        via: connection.map_or_else(String::new, |c| c.via.clone()),
                        to: connection.map_or_else(String::new, |c| c.to.to_string()),
                        cause: event.cause,
                        request: message,
                        response: None,
                    };
                    self.open.insert(event.seq, exchange);
                } else if let Some(exchange) = self.open.get_mut(answers) {
                    // 100 Continue and the like announce the answer.
                    let interim = message.summary.starts_with('1');
                    exchange.server = event.place;
                    exchange.response = Some(message);
                    if !interim {
                        self.ready.extend(self.open.remove(answers));
                    }
                }
            }
            Kind::Close { conn } | Kind::Reset { conn, .. } => {
                let over: Vec<Seq> =
                    self.open.iter().filter(|(_, e)| e.conn == *conn).map(|(s, _)| *s).collect();
                self.ready.extend(over.into_iter().filter_map(|s| self.open.remove(&s)));
            }
            _ => {}
        }
    }

    /// The exchanges that were completed since the last call, in the order of their ends.
    pub fn drain(&mut self) -> Vec<Exchange> {
        std::mem::take(&mut self.ready)
    }

    /// The exchanges that nobody answered until the end, after those that were completed.
    pub fn finish(mut self) -> Vec<Exchange> {
        let mut out = std::mem::take(&mut self.ready);
        out.extend(self.open.into_values());
        out
    }
}
