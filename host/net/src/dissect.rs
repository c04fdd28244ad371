//! Protocols recognised in the bytes of a connection.
//!
//! A dissector sees the bytes of both directions as they are sent, in whatever pieces, and says
//! which messages they hold. It never delays or changes anything, and keeps a bounded amount.

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
    /// Whether it breaks its protocol.
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

/// What a connection's bytes are taken for.
#[derive(Default)]
pub(crate) struct Dissection {
    over: bool,
}

impl Dissection {
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    pub(crate) fn feed(
        &mut self,
        _dir: Dir,
        _data: &Bytes,
        _now: u64,
        _arrives: u64,
        _emit: &mut dyn FnMut(Found, Seq) -> Seq,
    ) {
        self.over = true;
    }

    pub(crate) fn finish(
        &mut self,
        _dir: Dir,
        _now: u64,
        _emit: &mut dyn FnMut(Found, Seq) -> Seq,
    ) {
    }
}
