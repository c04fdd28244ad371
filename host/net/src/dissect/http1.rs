//! HTTP/1.0 and HTTP/1.1 (RFC 9112).

use std::collections::VecDeque;

use podlab_trace::Dir;

use super::body::{Content, Framing};
use super::{Dissector, Found, Guess, Piece};

/// The longest head that is looked at, in bytes.
const HEAD_MAX: usize = 16_384;
/// The most header fields.
const FIELDS_MAX: usize = 128;
/// The most requests that wait for answers.
const PENDING_MAX: usize = 1024;
/// The longest summary, in characters.
const SUMMARY_MAX: usize = 200;

const METHODS: [&str; 9] =
    ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ", "CONNECT "];

/// Whether a client that begins with `first` speaks HTTP/1.
pub(crate) fn guess(first: &[u8]) -> Guess {
    // RFC 9112, 2.2: a server ignores empty lines before the request.
    let skip = first.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let first = &first[skip..];
    if METHODS.iter().any(|m| first.starts_with(m.as_bytes())) {
        Guess::Yes
    } else if METHODS.iter().any(|m| m.as_bytes().starts_with(first)) {
        Guess::Perhaps
    } else {
        Guess::No
    }
}

/// What of a request decides how its answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Head,
    Connect,
    Other,
}

/// A message whose head is known.
#[derive(Debug)]
struct Message {
    exchange: u32,
    protocol: &'static str,
    summary: String,
    head: String,
    content: Content,
}

#[derive(Debug)]
enum Stage {
    /// Between messages, or inside a head: its bytes, and where its last line begins.
    Head {
        bytes: Vec<u8>,
        line: usize,
    },
    Body {
        message: Message,
        framing: Framing,
    },
    /// No longer understood.
    Raw,
}

impl Stage {
    fn between() -> Stage {
        Stage::Head { bytes: Vec::new(), line: 0 }
    }
}

/// One direction.
struct Way {
    stage: Stage,
    began: u64,
    arrives: u64,
}

/// Reads the two directions of a connection.
pub(crate) struct Http1 {
    ways: [Way; 2],
    pending: VecDeque<(u32, Asked)>,
    exchanges: u32,
    body_limit: usize,
}

/// What a head says about the rest.
struct Head {
    protocol: &'static str,
    summary: String,
    asked: Asked,
    /// 0 for a request.
    status: u16,
    framing: Framing,
}

impl Http1 {
    pub(crate) fn new(body_limit: usize) -> Http1 {
        let way = || Way { stage: Stage::between(), began: 0, arrives: 0 };
        Http1 { ways: [way(), way()], pending: VecDeque::new(), exchanges: 0, body_limit }
    }

    /// The exchange that a message of this direction belongs to.
    fn exchange(&mut self, dir: Dir, asked: Asked) -> (u32, Asked) {
        match (dir, self.pending.front()) {
            (Dir::ToClient, Some(asked)) => *asked,
            // An answer that nobody asked for (408 before a connection is closed).
            (Dir::ToClient, None) => {
                self.exchanges += 1;
                (self.exchanges, Asked::Other)
            }
            (Dir::ToServer, _) => {
                self.exchanges += 1;
                self.pending.push_back((self.exchanges, asked));
                (self.exchanges, asked)
            }
        }
    }

    /// A head is complete. `None` if the direction is not HTTP from here on.
    fn begin(&mut self, dir: Dir, bytes: &[u8], found: &mut Vec<Found>) -> Option<Stage> {
        let parsed = match dir {
            Dir::ToServer => request(bytes),
            Dir::ToClient => {
                let asked = self.pending.front().map_or(Asked::Other, |p| p.1);
                response(bytes, asked)
            }
        };
        let head = match parsed {
            Ok(head) => head,
            Err(how) => {
                self.malformed_head(dir, bytes, &how, found);
                return None;
            }
        };
        let (exchange, asked) = self.exchange(dir, head.asked);
        let message = Message {
            exchange,
            protocol: head.protocol,
            summary: head.summary,
            head: text(bytes),
            content: Content::default(),
        };
        if dir == Dir::ToClient {
            let upgraded =
                head.status == 101 || (asked == Asked::Connect && head.status / 100 == 2);
            if upgraded {
                self.complete(dir, message, None, found);
                self.ways.iter_mut().for_each(|w| w.stage = Stage::Raw);
                return None;
            }
            if head.status >= 200 {
                self.pending.pop_front();
            }
        } else if self.pending.len() > PENDING_MAX {
            return None;
        }
        if let Framing::Sized(0) = head.framing {
            self.complete(dir, message, None, found);
            return Some(Stage::between());
        }
        Some(Stage::Body { message, framing: head.framing })
    }

    fn complete(
        &self,
        dir: Dir,
        message: Message,
        malformed: Option<&str>,
        found: &mut Vec<Found>,
    ) {
        let way = &self.ways[dir as usize];
        let head = match malformed {
            Some(how) => format!("{how}\n\n{}", message.head),
            None => message.head,
        };
        found.push(Found {
            dir,
            exchange: message.exchange,
            protocol: message.protocol,
            summary: message.summary,
            head,
            body_len: message.content.len,
            body: message.content.into_bytes(),
            began: way.began,
            arrives: way.arrives,
            malformed: malformed.is_some(),
        });
    }

    fn malformed_head(&mut self, dir: Dir, bytes: &[u8], how: &str, found: &mut Vec<Found>) {
        let (exchange, _) = self.exchange(dir, Asked::Other);
        let head = text(bytes);
        let summary = shorten(head.lines().next().unwrap_or_default());
        let content = Content::default();
        let message = Message { exchange, protocol: "http/1.1", summary, head, content };
        self.complete(dir, message, Some(how), found);
    }
}

impl Dissector for Http1 {
    fn feed(&mut self, piece: Piece<'_>, found: &mut Vec<Found>) {
        let Piece { dir, mut data, at, arrives } = piece;
        let way = &mut self.ways[dir as usize];
        way.arrives = way.arrives.max(arrives);
        while !data.is_empty() {
            let way = &mut self.ways[dir as usize];
            match &mut way.stage {
                Stage::Raw => return,
                Stage::Head { bytes, line } => {
                    if bytes.is_empty() {
                        let skip = data.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
                        data = &data[skip..];
                        if data.is_empty() {
                            return;
                        }
                        way.began = at;
                    }
                    // Not more than one byte beyond the longest head, however long the piece.
                    let room = HEAD_MAX + 1 - bytes.len();
                    let end = data.iter().take(room).position(|b| *b == b'\n').map(|i| i + 1);
                    let (part, rest) = data.split_at(end.unwrap_or(data.len().min(room)));
                    bytes.extend_from_slice(part);
                    data = rest;
                    if bytes.len() > HEAD_MAX {
                        let bytes = std::mem::take(bytes);
                        way.stage = Stage::Raw;
                        let how = "its head is longer than 16 KiB";
                        self.malformed_head(dir, &bytes, how, found);
                    } else if end.is_some() {
                        let empty = matches!(bytes[*line..], [b'\n'] | [b'\r', b'\n']);
                        *line = bytes.len();
                        if empty {
                            let bytes = std::mem::take(bytes);
                            let next = self.begin(dir, &bytes, found).unwrap_or(Stage::Raw);
                            self.ways[dir as usize].stage = next;
                        }
                    }
                }
                Stage::Body { message, framing } => {
                    match framing.take(&mut data, &mut message.content, self.body_limit) {
                        Ok(false) => {}
                        done => {
                            let next = if done.is_ok() { Stage::between() } else { Stage::Raw };
                            let stage = std::mem::replace(&mut way.stage, next);
                            let Stage::Body { message, .. } = stage else {
                                unreachable!("matched above");
                            };
                            self.complete(dir, message, done.err(), found);
                        }
                    }
                }
            }
        }
    }

    fn finish(&mut self, dir: Dir, found: &mut Vec<Found>) {
        match std::mem::replace(&mut self.ways[dir as usize].stage, Stage::Raw) {
            Stage::Raw => {}
            Stage::Head { bytes, .. } if bytes.is_empty() => {}
            Stage::Head { bytes, .. } => {
                self.malformed_head(dir, &bytes, "it ended within its head", found);
            }
            Stage::Body { message, framing: Framing::UntilEnd } => {
                self.complete(dir, message, None, found);
            }
            Stage::Body { message, .. } => {
                self.complete(dir, message, Some("it ended within its body"), found);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.ways.iter().all(|w| matches!(w.stage, Stage::Raw))
    }
}

fn shorten(line: &str) -> String {
    line.chars().take(SUMMARY_MAX).collect()
}

/// The head for people: without the empty line, and with plain line ends.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.trim_ascii_end()).replace("\r\n", "\n")
}

fn protocol(version: Option<u8>) -> &'static str {
    if version == Some(0) { "http/1.0" } else { "http/1.1" }
}

fn request(bytes: &[u8]) -> Result<Head, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err("it ends too early".into()),
        Err(error) => return Err(error.to_string()),
    }
    let (method, path) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let framing = declared(request.headers)?.unwrap_or(Framing::Sized(0));
    if matches!(framing, Framing::UntilEnd) {
        return Err("its transfer coding does not end in chunked".into());
    }
    let asked = match method {
        "HEAD" => Asked::Head,
        "CONNECT" => Asked::Connect,
        _ => Asked::Other,
    };
    Ok(Head {
        protocol: protocol(request.version),
        summary: shorten(&format!("{method} {path}")),
        asked,
        status: 0,
        framing,
    })
}

fn response(bytes: &[u8], asked: Asked) -> Result<Head, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err("it ends too early".into()),
        Err(error) => return Err(error.to_string()),
    }
    let status = response.code.unwrap_or_default();
    // RFC 9112, 6.3: these have no body, whatever they say about its length.
    let bare = asked == Asked::Head || status < 200 || status == 204 || status == 304;
    let framing = match declared(response.headers)? {
        _ if bare => Framing::Sized(0),
        Some(framing) => framing,
        None => Framing::UntilEnd,
    };
    let reason = response.reason.unwrap_or_default();
    Ok(Head {
        protocol: protocol(response.version),
        summary: shorten(format!("{status} {reason}").trim_end()),
        asked,
        status,
        framing,
    })
}

/// What the fields say about the body's length (RFC 9112, 6.3).
fn declared(fields: &[httparse::Header<'_>]) -> Result<Option<Framing>, String> {
    let mut length = None;
    let mut coding = None;
    for field in fields {
        if field.name.eq_ignore_ascii_case("content-length") {
            for part in field.value.split(|b| *b == b',') {
                let digits = part.trim_ascii();
                let text = std::str::from_utf8(digits).ok();
                let value = text
                    .filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()))
                    .and_then(|t| t.parse::<u64>().ok())
                    .ok_or("its content-length is not a number")?;
                if length.is_some_and(|l| l != value) {
                    return Err("its content-lengths differ".into());
                }
                length = Some(value);
            }
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            coding = field.value.rsplit(|b| *b == b',').next().map(<[u8]>::trim_ascii);
        }
    }
    Ok(match (coding, length) {
        (Some(last), _) if last.eq_ignore_ascii_case(b"chunked") => Some(Framing::chunked()),
        (Some(_), _) => Some(Framing::UntilEnd),
        (None, length) => length.map(Framing::Sized),
    })
}

#[cfg(test)]
#[path = "http1_tests.rs"]
mod tests;
