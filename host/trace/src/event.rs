//! The events.
//!
//! Instants and durations are nanoseconds of virtual time, lengths are bytes.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The number of an event: 1 for the first, without gaps. 0 stands for "none".
pub type Seq = u64;
/// Where something happened: an index into the places announced by [`Kind::Place`]. 0 is the
/// world itself.
pub type PlaceId = u32;
/// A connection, numbered from 1 in the order of the connects.
pub type ConnId = u64;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub seq: Seq,
    /// When, in ns since the world began.
    pub at: u64,
    /// Where.
    pub place: PlaceId,
    /// The event that this place took in last before it did this; 0 if there was none.
    pub cause: Seq,
    /// What.
    pub kind: Kind,
}

/// The two directions of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Dir {
    /// From whoever connected to whoever accepted.
    ToServer,
    /// The way back.
    ToClient,
}

/// An output of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What was done to a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FileOp {
    /// Opened, without creating it.
    Open,
    /// Created, and opened.
    Create,
    /// Bytes read.
    Read,
    /// Bytes written.
    Write,
    /// Cut or extended to `len`.
    Truncate,
    /// Given the name `to`.
    Rename,
    /// A further name `to` (hard link), or a symbolic link at `path` to `to`.
    Link,
    /// Removed.
    Remove,
    /// A directory made.
    Mkdir,
}

/// What happened to an object of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verb {
    /// It exists now.
    Added,
    /// It was changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// The three values of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It cannot be told.
    Unknown,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
#[allow(clippy::large_enum_variant)]
pub enum Kind {
    /// A place that later events refer to. Empty names mean "the whole": a place without a
    /// container is a pod (its kubelet acts there), without a pod a node or an outside client.
    Place {
        /// The number later events use.
        id: PlaceId,
        /// The node, or empty for what runs on none (the control plane, an outside client).
        node: String,
        /// The pod's namespace.
        namespace: String,
        /// The pod.
        pod: String,
        /// The container, or what else acts ("kubelet", "client-1").
        container: String,
    },

    // ---- network -----------------------------------------------------------------------------
    /// A socket accepts connections (or, for UDP, is bound).
    Listen {
        /// The address it is bound to.
        addr: SocketAddr,
        /// Whether it is UDP.
        udp: bool,
    },
    /// It no longer does.
    Unlisten {
        /// The address it was bound to.
        addr: SocketAddr,
        /// Whether it is UDP.
        udp: bool,
    },
    /// A name was looked up.
    Resolve {
        /// The name as the program gave it.
        name: String,
        /// The addresses found.
        answers: Vec<IpAddr>,
        /// Why there are none ("NXDOMAIN", "SERVFAIL", "timeout").
        error: String,
    },
    /// A connection was begun.
    Connect {
        /// Its number.
        conn: ConnId,
        /// The near end.
        from: SocketAddr,
        /// The far end as the program gave it.
        to: SocketAddr,
        /// The far end after Services were resolved to an endpoint.
        target: SocketAddr,
        /// The Service that was in between ("namespace/name:port"), or empty.
        via: String,
        /// The place that the packets go to: a pod's or a node's, 0 if there is none.
        peer: PlaceId,
    },
    /// The listening program took the connection; the event's place is the server's.
    Accept {
        /// The connection.
        conn: ConnId,
    },
    /// The connection did not come about.
    Refuse {
        /// The connection.
        conn: ConnId,
        /// "refused", "timeout", "unreachable", "denied".
        reason: String,
    },
    /// Bytes were sent.
    Data {
        /// The connection.
        conn: ConnId,
        /// Which way.
        dir: Dir,
        /// Position of the first byte in this direction's stream.
        offset: u64,
        /// How many bytes.
        len: u32,
        /// The first of them (bounded).
        payload: Bytes,
        /// When they are there, in ns; `u64::MAX` while a partition holds them back.
        arrives: u64,
        /// How many retransmissions that took.
        retries: u32,
    },
    /// One side will send no more.
    Shut {
        /// The connection.
        conn: ConnId,
        /// The direction that ends.
        dir: Dir,
    },
    /// One side ended the connection with a reset.
    Reset {
        /// The connection.
        conn: ConnId,
        /// The direction in which the reset travels.
        dir: Dir,
    },
    /// Both directions have ended.
    Close {
        /// The connection.
        conn: ConnId,
    },
    /// A datagram was sent.
    Datagram {
        /// From where.
        from: SocketAddr,
        /// To where, after Services were resolved.
        to: SocketAddr,
        /// The place that it goes to, 0 if there is none.
        peer: PlaceId,
        /// How many bytes.
        len: u32,
        /// The first of them (bounded).
        payload: Bytes,
        /// When it is there, in ns; `u64::MAX` if it is lost.
        arrives: u64,
    },
    /// A message of a known protocol was found in a connection's bytes; the place is the sender's.
    Message {
        /// The connection.
        conn: ConnId,
        /// Which way it went.
        dir: Dir,
        /// Which exchange of the connection: request and response share it. From 1.
        exchange: u32,
        /// "http/1.1".
        protocol: String,
        /// One line: "GET /index.html", "200 OK".
        summary: String,
        /// The head as text, or the whole message for line protocols (bounded).
        head: String,
        /// The length of the body.
        body_len: u64,
        /// The first bytes of the body (bounded), chunks joined.
        body: Bytes,
        /// When its first byte was sent, in ns.
        began: u64,
        /// When its last byte is there, in ns; `u64::MAX` while a partition holds it back.
        arrives: u64,
        /// The request this answers, for a response: its event. 0 for a request.
        answers: Seq,
        /// Whether the message breaks its protocol; then `head` says how.
        malformed: bool,
    },

    // ---- files -------------------------------------------------------------------------------
    /// A program touched a file.
    File {
        /// How.
        op: FileOp,
        /// The path as the container sees it, absolute.
        path: String,
        /// The volume's name, or empty for the container's own layer.
        volume: String,
        /// The new name of a rename, the target of a link, else empty.
        to: String,
        /// Position of the first byte.
        offset: u64,
        /// How many bytes.
        len: u64,
        /// The first of them (bounded).
        payload: Bytes,
        /// Empty, or the error ("ENOENT", "ENOSPC").
        error: String,
    },

    // ---- programs ----------------------------------------------------------------------------
    /// A program started.
    Start {
        /// How often this container was started before.
        run: u32,
        /// The image.
        image: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// It ended.
    Exit {
        /// How often this container was started before.
        run: u32,
        /// The exit code as Kubernetes shows it.
        code: i32,
        /// "Completed", "Error", "OOMKilled".
        reason: String,
        /// The trap and its backtrace, or empty.
        message: String,
    },
    /// A signal was sent to it.
    Signal {
        /// Its number (15 is SIGTERM, 9 is SIGKILL).
        number: u8,
        /// Whether the program had opened `/dev/signals`.
        handled: bool,
    },
    /// It wrote a line.
    Log {
        /// Where to.
        stream: Stream,
        /// The line, without its end.
        line: String,
    },
    /// A probe was answered (or was not).
    Probe {
        /// "startup", "readiness", "liveness".
        probe: String,
        /// Whether it succeeded.
        ok: bool,
        /// What was seen.
        message: String,
    },

    // ---- control plane -----------------------------------------------------------------------
    /// An object changed.
    Object {
        /// How.
        verb: Verb,
        /// "v1", "apps/v1".
        api_version: String,
        /// "Pod".
        object_kind: String,
        /// Its namespace, or empty.
        namespace: String,
        /// Its name.
        name: String,
        /// Its resourceVersion.
        version: u64,
        /// The whole object as JSON.
        object: String,
    },

    // ---- people and tests --------------------------------------------------------------------
    /// Something from outside entered the world.
    Input {
        /// Which one, as in the recording.
        number: u64,
        /// What, for people.
        what: String,
    },
    /// A fault began or ended.
    Fault {
        /// The fault.
        name: String,
        /// What it hits.
        target: String,
        /// Whether it began.
        on: bool,
    },
    /// A check came to a verdict.
    Check {
        /// The check.
        name: String,
        /// Its verdict.
        verdict: Verdict,
        /// What was expected.
        expected: String,
        /// What was seen.
        seen: String,
        /// The event that decided it, 0 if none did.
        event: Seq,
    },
}

impl Event {
    /// The event as one flat JSON object, as exports and checks see it: the fields of the kind
    /// beside `seq`, `at`, `place`, `cause` and `kind` (its name). Payloads are text where they
    /// are UTF-8; where they are not, `payloadBase64` (or `bodyBase64`) stands instead.
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        use serde_json::Value;
        let mut out = serde_json::Map::new();
        out.insert("seq".into(), self.seq.into());
        out.insert("at".into(), self.at.into());
        out.insert("place".into(), self.place.into());
        out.insert("cause".into(), self.cause.into());
        let Ok(Value::Object(kind)) = serde_json::to_value(&self.kind) else {
            unreachable!("a kind with fields is an object with one entry");
        };
        for (name, fields) in kind {
            out.insert("kind".into(), name.into());
            if let Value::Object(fields) = fields {
                // A place's own number must not hide where the event happened; they are equal.
                out.extend(fields);
            }
        }
        for field in ["payload", "body"] {
            if let Some(Value::Array(bytes)) = out.get(field) {
                let raw: Vec<u8> =
                    bytes.iter().filter_map(|b| b.as_u64().map(|b| b as u8)).collect();
                match String::from_utf8(raw) {
                    Ok(text) => out.insert(field.into(), text.into()),
                    Err(e) => {
                        use base64::Engine as _;
                        let text = base64::engine::general_purpose::STANDARD.encode(e.as_bytes());
                        out.remove(field);
                        out.insert(format!("{field}Base64"), text.into())
                    }
                };
            }
        }
        out
    }
}
