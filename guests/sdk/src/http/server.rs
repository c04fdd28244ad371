//! Connections: keep-alive, pipelining, time-outs, graceful end.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, Read};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use super::message::{Body, Framing, Refusal, Request, Response, chunk_size, parse_head};
use crate::net::{TcpListener, TcpStream};
use crate::runtime::{Either, Flag, race, sleep, spawn, timeout};

/// Answers requests.
pub type Handler = Rc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Response>>>>;

/// What a server bears.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a head: more is 431.
    pub head: usize,
    /// Bytes of a body: more is 413.
    pub body: usize,
    /// Connections at a time: more wait in the backlog.
    pub connections: usize,
    /// How long a whole request may take to arrive: longer is 408.
    pub request: Duration,
    /// How long a connection may be idle between requests, and a response may take to leave.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head: 16 << 10,
            body: 1 << 20,
            connections: 256,
            request: Duration::from_secs(10),
            idle: Duration::from_secs(60),
        }
    }
}

/// Serves until `stop`, then lets the requests at hand finish (at most ten seconds).
///
/// # Errors
/// If the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    handler: Handler,
    limits: Limits,
    stop: Flag,
) -> io::Result<()> {
    let limits = Rc::new(limits);
    let open = Rc::new(Cell::new(0usize));
    let changed = Rc::new(Cell::new(Flag::default()));
    while !stop.raised() {
        if open.get() >= limits.connections {
            let flag = Flag::default();
            changed.set(flag.clone());
            if open.get() >= limits.connections {
                race(flag.wait(), stop.wait()).await;
            }
            continue;
        }
        let stream = match race(listener.accept(), stop.wait()).await {
            Either::First(Ok(stream)) => stream,
            Either::First(Err(error)) => {
                // The caller went away, or there are too many sockets: neither is for ever.
                crate::log::warn("accept-failed", &[("error", &error)]);
                race(sleep(Duration::from_millis(100)), stop.wait()).await;
                continue;
            }
            Either::Second(()) => break,
        };
        open.set(open.get() + 1);
        let (handler, limits, stop) = (handler.clone(), limits.clone(), stop.clone());
        let (open, changed) = (open.clone(), changed.clone());
        spawn(async move {
            // An error here is the caller's going away: there is nobody left to tell.
            let _gone = connection(stream, &handler, &limits, &stop).await;
            open.set(open.get() - 1);
            changed.take().raise();
        });
    }
    drop(listener);
    let drained = async {
        while open.get() > 0 {
            let flag = Flag::default();
            changed.set(flag.clone());
            flag.wait().await;
        }
    };
    timeout(Duration::from_secs(10), drained).await;
    Ok(())
}

async fn connection(
    stream: TcpStream,
    handler: &Handler,
    limits: &Limits,
    stop: &Flag,
) -> io::Result<()> {
    let peer = stream.peer_addr().map(|a| a.ip().to_string()).unwrap_or_default();
    let mut input = Input { stream: &stream, buffer: Vec::new(), ended: false };
    loop {
        if input.buffer.is_empty() {
            let first = race(timeout(limits.idle, input.more()), stop.wait()).await;
            match first {
                Either::First(Some(Ok(true))) => {}
                Either::First(Some(Err(error))) => return Err(error),
                _ => return Ok(()),
            }
        }
        let whole = timeout(limits.request, input.request(&peer, limits)).await;
        let request = match whole.unwrap_or(Err(Fault::Refused(Refusal {
            status: 408,
            reason: "the request took too long to arrive",
        }))) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(Fault::Io(error)) => return Err(error),
            Err(Fault::Refused(refusal)) => {
                let response = Response::text(refusal.status, refusal.reason);
                respond(&stream, response, true, true, limits).await?;
                return linger(&stream).await;
            }
        };
        let with_body = request.method != "HEAD";
        let keep = request.keep_alive();
        let response = handler(request).await;
        let close = !keep || stop.raised() || (input.ended && input.buffer.is_empty());
        respond(&stream, response, close, with_body, limits).await?;
        if close {
            return linger(&stream).await;
        }
    }
}

/// Ends our half and reads on for a moment, so that a caller still sending sees the answer instead
/// of a reset (RFC 9112, 9.6).
async fn linger(stream: &TcpStream) -> io::Result<()> {
    stream.shutdown_write()?;
    let drain = async {
        let mut seen = 0;
        while let Ok(bytes) = stream.read(16 << 10).await {
            seen += bytes.len();
            if bytes.is_empty() || seen > 1 << 20 {
                break;
            }
        }
    };
    timeout(Duration::from_secs(1), drain).await;
    Ok(())
}

async fn respond(
    stream: &TcpStream,
    response: Response,
    close: bool,
    with_body: bool,
    limits: &Limits,
) -> io::Result<()> {
    let send = async {
        let mut head = response.head(close);
        match response.body {
            Body::Bytes(bytes) => {
                if with_body {
                    head.extend(bytes);
                }
                stream.write_all(&head).await
            }
            Body::File(mut file, mut left) => {
                let mut piece = vec![0; 32 << 10];
                while with_body && left > 0 {
                    let most = piece.len().min(left.try_into().unwrap_or(usize::MAX));
                    let n = file.read(&mut piece[..most])?;
                    if n == 0 {
                        // The file got shorter: only closing can tell the caller.
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    left -= n as u64;
                    head.extend_from_slice(&piece[..n]);
                    stream.write_all(&head).await?;
                    head.clear();
                }
                stream.write_all(&head).await
            }
        }
    };
    timeout(limits.idle, send).await.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
}

enum Fault {
    Io(io::Error),
    Refused(Refusal),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        Fault::Refused(refusal)
    }
}

struct Input<'a> {
    stream: &'a TcpStream,
    buffer: Vec<u8>,
    ended: bool,
}

impl Input<'_> {
    /// Reads more; false at the end.
    async fn more(&mut self) -> io::Result<bool> {
        if !self.ended {
            let bytes = self.stream.read(16 << 10).await?;
            self.ended = bytes.is_empty();
            self.buffer.extend(bytes);
        }
        Ok(!self.ended)
    }

    /// The next request; `None` if the caller ended between two.
    async fn request(&mut self, peer: &str, limits: &Limits) -> Result<Option<Request>, Fault> {
        let head = loop {
            if let Some(head) = parse_head(&self.buffer, limits.head)? {
                break head;
            }
            if !self.more().await? {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                return Err(cut());
            }
        };
        self.buffer.drain(..head.length);
        let mut request = Request::from_head(head, peer)?;
        let framing = request.headers.framing()?;
        if framing.is_some() && request.headers.has_token("expect", "100-continue") {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let large = Refusal { status: 413, reason: "the body is too large" };
        request.body = match framing {
            None | Some(Framing::UntilClose) => Vec::new(),
            Some(Framing::Length(n)) if n > limits.body as u64 => return Err(large.into()),
            Some(Framing::Length(n)) => self.take(n as usize).await?,
            Some(Framing::Chunked) => self.chunks(limits.body, large).await?,
        };
        Ok(Some(request))
    }

    async fn take(&mut self, n: usize) -> Result<Vec<u8>, Fault> {
        while self.buffer.len() < n {
            if !self.more().await? {
                return Err(cut());
            }
        }
        Ok(self.buffer.drain(..n).collect())
    }

    async fn line(&mut self) -> Result<String, Fault> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.buffer.len() > 8 << 10 || !self.more().await? {
                return Err(cut());
            }
        }
    }

    async fn chunks(&mut self, max: usize, large: Refusal) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let bad = Refusal { status: 400, reason: "a chunk without a size" };
            let size = chunk_size(&line).ok_or(bad)?;
            if size == 0 {
                break;
            }
            if size > max || body.len() + size > max {
                return Err(large.into());
            }
            body.extend(self.take(size).await?);
            if !self.line().await?.is_empty() {
                return Err(Refusal { status: 400, reason: "a chunk longer than its size" }.into());
            }
        }
        // Trailers are read and dropped.
        for _ in 0..100 {
            if self.line().await?.is_empty() {
                return Ok(body);
            }
        }
        Err(Refusal { status: 431, reason: "too many trailers" }.into())
    }
}

fn cut() -> Fault {
    Refusal { status: 400, reason: "the request ends in its middle" }.into()
}
