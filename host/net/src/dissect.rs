//! Protocols recognised in the bytes of a connection.
//!
//! A dissector sees the bytes of both directions as they are sent, in whatever pieces, and says
//! which messages they hold. It never delays or changes anything, and keeps a bounded amount.
//! A new protocol is a [`Dissector`] and a line in `PROTOCOLS`.
//!
//! - `http1`: HTTP/1.0 and HTTP/1.1
//! - `body`: where the body of an HTTP message ends

mod body;
mod http1;

use std::collections::VecDeque;

use bytes::Bytes;
use podlab_trace::{ConnId, Dir, Kind, Seq};

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which way it went.
    pub dir: Dir,
    /// Which exchange of the connection it belongs to, from 1.
    pub exchange: u32,
    /// "http/1.1".
    pub protocol: &'static str,
    /// One line.
    pub summary: String,
    /// The head as text.
    pub head: String,
    /// The length of the body.
    pub body_len: u64,
    /// The first bytes of the body.
    pub body: Bytes,
    /// When its first byte was sent, in ns.
    pub began: u64,
    /// When its last byte is there, in ns.
    pub arrives: u64,
    /// Whether it breaks its protocol; then `head` begins with how.
    pub malformed: bool,
}

impl Found {
    pub(crate) fn into_kind(self, conn: ConnId, answers: Seq) -> Kind {
        Kind::Message {
            conn,
            dir: self.dir,
            exchange: self.exchange,
            protocol: self.protocol.into(),
            summary: self.summary,
            head: self.head,
            body_len: self.body_len,
            body: self.body,
            began: self.began,
            arrives: self.arrives,
            answers,
            malformed: self.malformed,
        }
    }
}

/// Some bytes of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Which way they go.
    pub dir: Dir,
    /// The bytes.
    pub data: &'a [u8],
    /// When they were sent, in ns.
    pub at: u64,
    /// When they are there, in ns.
    pub arrives: u64,
}

/// Understands one protocol, on one connection.
pub trait Dissector: Send {
    /// Takes the next bytes in, and adds the messages that are complete with them.
    fn feed(&mut self, piece: Piece<'_>, found: &mut Vec<Found>);

    /// A direction has ended: adds the message that lasts until then, or that is cut short.
    fn finish(&mut self, dir: Dir, found: &mut Vec<Found>);

    /// Whether nothing will be found any more.
    fn is_over(&self) -> bool;
}

/// What the first bytes from the client say about the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    /// It is not this one.
    No,
    /// More bytes are needed to tell.
    Perhaps,
    /// It is this one.
    Yes,
}

/// How one protocol is recognised, and who understands it then.
struct Protocol {
    guess: fn(&[u8]) -> Guess,
    /// The argument is how many bytes of a body a message may keep.
    make: fn(usize) -> Box<dyn Dissector>,
}

/// The protocols, in the order in which they are tried.
const PROTOCOLS: &[Protocol] = &[Protocol { guess: http1::guess, make: http }];

/// A dissector for one connection of HTTP/1; bodies are kept up to `limit` bytes.
pub fn http(limit: usize) -> Box<dyn Dissector> {
    Box::new(http1::Http1::new(limit))
}

/// What a connection's bytes are taken for.
pub(crate) enum Dissection {
    /// The client's first bytes, and when they were sent.
    Guessing(Vec<u8>, u64),
    Known(Box<dyn Dissector>, Requests),
    /// Nothing is, or will be, recognised.
    Over,
}

/// The events of requests that wait for their answers.
#[derive(Default)]
pub(crate) struct Requests(VecDeque<(u32, Seq)>);

impl Requests {
    fn emit(&mut self, found: Found, emit: &mut dyn FnMut(Found, Seq) -> Seq) {
        let (dir, exchange) = (found.dir, found.exchange);
        match dir {
            Dir::ToServer => {
                let seq = emit(found, 0);
                self.0.push_back((exchange, seq));
            }
            Dir::ToClient => {
                while self.0.front().is_some_and(|(e, _)| *e < exchange) {
                    self.0.pop_front();
                }
                // Not removed: an interim answer (100 Continue) is not the last.
                let answers = self.0.front().filter(|(e, _)| *e == exchange).map_or(0, |r| r.1);
                emit(found, answers);
            }
        }
    }
}

impl Default for Dissection {
    fn default() -> Dissection {
        Dissection::Guessing(Vec::new(), 0)
    }
}

impl Dissection {
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Dissection::Over)
    }

    /// Takes bytes in, and hands every message found to `emit`, together with the event of the
    /// request it answers; `emit` returns the message's own event.
    pub(crate) fn feed(
        &mut self,
        piece: Piece<'_>,
        body_limit: usize,
        emit: &mut dyn FnMut(Found, Seq) -> Seq,
    ) {
        let mut found = Vec::new();
        match self {
            Dissection::Over => return,
            Dissection::Known(dissector, _) => dissector.feed(piece, &mut found),
            Dissection::Guessing(..) if piece.dir == Dir::ToClient => {
                *self = Dissection::Over;
                return;
            }
            Dissection::Guessing(first, began) => {
                if first.is_empty() {
                    *began = piece.at;
                }
                // Longer than any protocol needs to be told.
                let known = first.len();
                first.extend_from_slice(&piece.data[..piece.data.len().min(16)]);
                let guesses = || PROTOCOLS.iter().map(|p| (p, (p.guess)(first)));
                if let Some((protocol, _)) = guesses().find(|(_, g)| *g == Guess::Yes) {
                    let mut dissector = (protocol.make)(body_limit);
                    let before = Piece { data: &first[..known], at: *began, ..piece };
                    dissector.feed(before, &mut found);
                    dissector.feed(piece, &mut found);
                    *self = Dissection::Known(dissector, Requests::default());
                } else if first.len() > 16 || !guesses().any(|(_, g)| g == Guess::Perhaps) {
                    *self = Dissection::Over;
                }
            }
        }
        self.hand_on(found, emit);
    }

    /// A direction has ended.
    pub(crate) fn finish(&mut self, dir: Dir, emit: &mut dyn FnMut(Found, Seq) -> Seq) {
        if let Dissection::Known(dissector, _) = self {
            let mut found = Vec::new();
            dissector.finish(dir, &mut found);
            self.hand_on(found, emit);
        }
    }

    fn hand_on(&mut self, found: Vec<Found>, emit: &mut dyn FnMut(Found, Seq) -> Seq) {
        let Dissection::Known(dissector, requests) = self else { return };
        for message in found {
            requests.emit(message, emit);
        }
        if dissector.is_over() {
            *self = Dissection::Over;
        }
    }
}
