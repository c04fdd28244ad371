//! HTTP/1.1 on a connection of the virtual network (RFC 9110, RFC 9112): requests in, within
//! bounds, and answers out.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use podlab_net::TcpStream;
use podlab_sim::Handle;

use crate::api::{BODY_LIMIT, Request, Response};
use crate::store::Error;

/// A request's line and fields may be this long: no client of an API server needs more.
const MAX_HEAD: usize = 64 << 10;
/// How many fields a request may have.
const MAX_FIELDS: usize = 100;
/// How long a connection may be idle (`idleTimeout` of the API server).
const IDLE: Duration = Duration::from_secs(90);
/// How long a request's head may take (`ReadHeaderTimeout` of the API server).
const HEAD: Duration = Duration::from_secs(32);
/// How long a request's body may take.
const BODY: Duration = Duration::from_secs(60);
/// How long is read on after an error, so that the client sees the answer and no reset.
const LINGER: Duration = Duration::from_secs(1);

/// A request as it came, and who says they sent it.
pub(super) struct Incoming {
    /// What is asked.
    pub request: Request,
    /// The bearer token, if any was given.
    pub token: Option<String>,
    /// Whether the client wants to send more on this connection.
    pub keep: bool,
    /// Whether the answer may be in chunks.
    pub chunks: bool,
}

/// Why no request came.
pub(super) enum Refused {
    /// The connection has ended or was silent for too long.
    Over,
    /// What came is no request that can be answered; nothing after it can be understood.
    Answer(Error),
}

/// One end of a connection.
pub(super) struct Connection {
    sim: Handle,
    stream: TcpStream,
    /// What has come and is not used yet.
    buffer: BytesMut,
}

/// What a head says of what follows it.
struct Head {
    incoming: Incoming,
    length: Length,
    expects: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
}

fn bad(why: impl Into<String>) -> Error {
    Error::bad_request(why)
}

fn too_large() -> Error {
    let text = format!("Request entity too large: limit is {BODY_LIMIT}");
    Error::new(413, "RequestEntityTooLarge", text)
}

impl Connection {
    pub(super) fn new(sim: &Handle, stream: TcpStream) -> Connection {
        Connection { sim: sim.clone(), stream, buffer: BytesMut::new() }
    }

    /// The next request.
    pub(super) async fn next(&mut self) -> Result<Incoming, Refused> {
        if self.buffer.is_empty() {
            let more = self.sim.clone().timeout(IDLE, self.more()).await;
            if !more.is_ok_and(|m| m) {
                return Err(Refused::Over);
            }
        }
        let timeout = |what: &str| {
            let text = format!("Timeout: the request's {what} took too long");
            Refused::Answer(Error::new(408, "Timeout", text))
        };
        let sim = self.sim.clone();
        let head = sim.timeout(HEAD, self.head()).await.map_err(|_| timeout("head"))??;
        let Head { mut incoming, length, expects } = head;
        if length == Length::Known(0) {
            return Ok(incoming);
        }
        if matches!(length, Length::Known(n) if n > BODY_LIMIT) {
            return Err(Refused::Answer(too_large()));
        }
        if expects && self.buffer.is_empty() {
            let go_on = Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n");
            self.stream.write_all(go_on).await.map_err(|_| Refused::Over)?;
        }
        let body = async {
            match length {
                Length::Known(n) => self.exactly(n).await,
                Length::Chunked => self.chunks().await,
            }
        };
        incoming.request.body = sim.timeout(BODY, body).await.map_err(|_| timeout("body"))??;
        Ok(incoming)
    }

    /// Waits for more bytes; `false` when there will be none.
    async fn more(&mut self) -> bool {
        match self.stream.read(64 << 10).await {
            Ok(bytes) if !bytes.is_empty() => {
                self.buffer.extend_from_slice(&bytes);
                true
            }
            _ => false,
        }
    }

    async fn head(&mut self) -> Result<Head, Refused> {
        loop {
            if let Some((head, used)) = head(&self.buffer).map_err(Refused::Answer)? {
                let _ = self.buffer.split_to(used);
                return Ok(head);
            }
            if self.buffer.len() >= MAX_HEAD {
                let text =
                    format!("the request's line and fields are longer than {MAX_HEAD} bytes");
                return Err(Refused::Answer(Error::new(431, "RequestHeaderFieldsTooLarge", text)));
            }
            if !self.more().await {
                return Err(Refused::Over);
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Bytes, Refused> {
        while self.buffer.len() < length {
            if !self.more().await {
                return Err(Refused::Over);
            }
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    /// A body in chunks (RFC 9112, 7.1). Its trailers are read and dropped.
    async fn chunks(&mut self) -> Result<Bytes, Refused> {
        let mut body = BytesMut::new();
        loop {
            let size = loop {
                match httparse::parse_chunk_size(&self.buffer) {
                    Ok(httparse::Status::Complete((used, size))) => {
                        let _ = self.buffer.split_to(used);
                        break size;
                    }
                    Ok(httparse::Status::Partial) if self.buffer.len() < 4096 => {
                        if !self.more().await {
                            return Err(Refused::Over);
                        }
                    }
                    _ => return Err(Refused::Answer(bad("a chunk of the body has no size"))),
                }
            };
            let room = BODY_LIMIT - body.len();
            let size = usize::try_from(size).ok().filter(|s| *s <= room);
            let Some(size) = size else { return Err(Refused::Answer(too_large())) };
            if size == 0 {
                break;
            }
            let chunk = self.exactly(size + 2).await?;
            if &chunk[size..] != b"\r\n" {
                return Err(Refused::Answer(bad("a chunk of the body is not as long as it says")));
            }
            body.extend_from_slice(&chunk[..size]);
        }
        let mut seen = 0;
        loop {
            if let Some(end) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let _ = self.buffer.split_to(end + 2);
                if end == 0 {
                    return Ok(body.freeze());
                }
                seen += end;
            } else if !self.more().await {
                return Err(Refused::Over);
            }
            if seen + self.buffer.len() > MAX_HEAD {
                return Err(Refused::Answer(bad("the body's trailers are too long")));
            }
        }
    }

    /// Sends an answer that is whole.
    pub(super) async fn answer(&self, response: &Response, keep: bool, body: bool) -> bool {
        let bytes = response.bytes().cloned().unwrap_or_default();
        let mut out = self.fields(response, keep);
        out += &format!("Content-Length: {}\r\n\r\n", bytes.len());
        let mut out = BytesMut::from(out.as_bytes());
        if body {
            out.extend_from_slice(&bytes);
        }
        self.stream.write_all(out.freeze()).await.is_ok()
    }

    /// Begins an answer that is sent piece by piece.
    pub(super) async fn begin(&self, response: &Response, chunks: bool) -> bool {
        let mut out = self.fields(response, chunks);
        out += if chunks { "Transfer-Encoding: chunked\r\n\r\n" } else { "\r\n" };
        self.stream.write_all(out.into()).await.is_ok()
    }

    /// Sends a piece; an empty one is the end.
    pub(super) async fn piece(&self, piece: &Bytes, chunks: bool) -> bool {
        if !chunks {
            return self.stream.write_all(piece.clone()).await.is_ok();
        }
        let mut out = BytesMut::from(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
        self.stream.write_all(out.freeze()).await.is_ok()
    }

    /// Waits until the client has gone. What it sends meanwhile waits for its turn; one that
    /// sends more than that is not listened to any more.
    pub(super) async fn gone(&mut self) {
        while self.buffer.len() < MAX_HEAD {
            if !self.more().await {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Ends the connection so that the client can still read what was sent.
    pub(super) async fn linger(self) {
        // A connection that has ended already has nothing left to say.
        let _ = self.stream.shutdown_write();
        let drained = async {
            let mut left = 1usize << 20;
            while let Ok(bytes) = self.stream.read(64 << 10).await {
                left = left.saturating_sub(bytes.len());
                if bytes.is_empty() || left == 0 {
                    return;
                }
            }
        };
        let _ = self.sim.timeout(LINGER, drained).await;
    }

    fn fields(&self, response: &Response, keep: bool) -> String {
        let status = response.status;
        let mut out = format!("HTTP/1.1 {status} {}\r\n", phrase(status));
        out += "Cache-Control: no-cache, private\r\n";
        out += &format!("Content-Type: {}\r\n", response.content_type);
        out += &format!("Date: {}\r\n", date(self.sim.unix_nanos()));
        for warning in response.warnings.iter().take(32) {
            let text: String = warning.chars().filter(|c| !c.is_control()).take(1024).collect();
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            out += &format!("Warning: 299 - \"{text}\"\r\n");
        }
        if !keep {
            out += "Connection: close\r\n";
        }
        out
    }
}

/// RFC 9110, 5.6.7.
fn date(nanos: u64) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default();
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    printer.timestamp_to_rfc9110_string(&at).unwrap_or_default()
}

/// Reads the head of a request, if all of it is there, and says how long it is.
fn head(buffer: &[u8]) -> Result<Option<(Head, usize)>, Error> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let used = match parsed.parse(buffer) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(why) => return Err(bad(format!("this is no HTTP request: {why}"))),
    };
    let new = parsed.version == Some(1);
    let target = parsed.path.unwrap_or("/");
    // A proxy's form of a target names the host once more (RFC 9112, 3.2.2).
    let path = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    if !path.starts_with('/') {
        return Err(bad("the request's target is no path"));
    }
    let mut request = Request::new(parsed.method.unwrap_or("GET"), path);
    request.accept = String::new();
    request.user = "system:anonymous".into();
    let mut head = Head {
        incoming: Incoming { request, token: None, keep: new, chunks: new },
        length: Length::Known(0),
        expects: false,
    };
    let (mut length, mut hosts) = (None, 0);
    for field in parsed.headers.iter() {
        let value = || {
            std::str::from_utf8(field.value)
                .map(str::trim)
                .map_err(|_| bad(format!("the field {} is no text", field.name)))
        };
        let incoming = &mut head.incoming;
        match field.name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "accept" => incoming.request.accept = value()?.into(),
            "content-type" => incoming.request.content_type = value()?.into(),
            "authorization" => {
                let (scheme, token) = value()?.split_once(' ').unwrap_or_default();
                if scheme.eq_ignore_ascii_case("bearer") {
                    incoming.token = Some(token.trim().into());
                }
            }
            "connection" => {
                for word in value()?.split(',').map(str::trim) {
                    if word.eq_ignore_ascii_case("close") {
                        incoming.keep = false;
                    } else if word.eq_ignore_ascii_case("keep-alive") {
                        incoming.keep = true;
                    }
                }
            }
            "expect" => head.expects = value()?.eq_ignore_ascii_case("100-continue"),
            "content-length" => {
                let text = value()?;
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                if !digits || length.is_some_and(|l: &str| l != text) {
                    return Err(bad("the field Content-Length is no length"));
                }
                length = Some(text);
            }
            "transfer-encoding" => {
                if !value()?.eq_ignore_ascii_case("chunked") || head.length == Length::Chunked {
                    let text = "the only Transfer-Encoding is chunked".to_owned();
                    return Err(Error::new(501, "NotImplemented", text));
                }
                head.length = Length::Chunked;
            }
            _ => {}
        }
    }
    // RFC 9112, 3.2 and 6.3: what two could read differently is refused.
    if hosts > 1 || (new && hosts == 0) {
        return Err(bad("a request has one field Host"));
    }
    match length {
        Some(_) if head.length == Length::Chunked => {
            return Err(bad("a body has a Content-Length or is chunked, not both"));
        }
        // More digits than a number has are too many bytes, whatever they say.
        Some(text) => head.length = Length::Known(text.parse().unwrap_or(usize::MAX)),
        None => {}
    }
    Ok(Some((head, used)))
}

/// RFC 9110, 15.
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> String {
        match head(text.as_bytes()) {
            Ok(None) => "more".into(),
            Err(e) => format!("{} {}", e.code, e.message),
            Ok(Some((h, used))) => format!(
                "{} {} {:?} keep={} token={:?} used={used}",
                h.incoming.request.method,
                h.incoming.request.path,
                h.length,
                h.incoming.keep,
                h.incoming.token
            ),
        }
    }

    #[test]
    fn heads_are_read_and_what_is_ambiguous_is_refused() {
        for (text, want) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n", "more"),
            (
                "GET /api HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET /api Known(0) keep=true token=None used=30",
            ),
            (
                "GET http://a/api?x=1 HTTP/1.0\r\nAuthorization: bearer t\r\n\r\n",
                "GET /api Known(0) keep=false token=Some(\"t\") used=58",
            ),
            (
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\n",
                "PUT / Known(3) keep=false token=None used=65",
            ),
            (
                "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                "PUT / Chunked keep=true token=None used=55",
            ),
            ("GET / HTTP/1.1\r\n\r\n", "400 a request has one field Host"),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 a request has one field Host"),
            (
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
                "400 the field Content-Length is no length",
            ),
            (
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                "400 the field Content-Length is no length",
            ),
            (
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                "400 a body has a Content-Length or is chunked, not both",
            ),
            (
                "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
                "501 the only Transfer-Encoding is chunked",
            ),
            ("GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n", "400 the request's target is no path"),
            ("\x16\x03\x01\r\n\r\n", "400 this is no HTTP request: invalid token"),
        ] {
            assert_eq!(read(text), want, "{text:?}");
        }
        let huge = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n";
        assert!(read(huge).contains(&format!("Known({})", usize::MAX)));
    }

    proptest! {
        #[test]
        fn garbage_is_refused_or_waits(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(Some((_, used))) = head(&bytes) {
                prop_assert!(used <= bytes.len());
            }
        }
    }
}
