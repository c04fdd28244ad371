//! One request at a time over one connection, kept if wanted.

use std::io;
use std::time::Duration;

use super::message::{Framing, Headers, chunk_size, parse_head};
use crate::net::TcpStream;
use crate::runtime::timeout;

/// `http://host:port/path?query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// A name or an address.
    pub host: String,
    /// 80 unless given.
    pub port: u16,
    /// Path and query.
    pub target: String,
}

impl Url {
    /// Reads a URL; `http://` may be left out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Url, String> {
        let rest = text.strip_prefix("http://").unwrap_or(text);
        if rest.contains("://") {
            return Err(format!("{text}: only http:// is known"));
        }
        let (place, target) = rest.find('/').map_or((rest, "/"), |i| rest.split_at(i));
        let colon = place.rfind(':').filter(|i| !place[*i..].contains(']'));
        let (host, port) = match colon {
            Some(i) => {
                let port = place[i + 1..].parse();
                (&place[..i], port.map_err(|_| format!("{text}: the port is no number"))?)
            }
            None => (place, 80),
        };
        let bad = |c: char| c.is_whitespace() || c.is_control();
        if host.is_empty() || text.contains(bad) {
            return Err(format!("{text}: this is no URL such as http://web:8080/"));
        }
        Ok(Url { host: host.to_owned(), port, target: target.to_owned() })
    }

    /// With this path and query instead.
    #[must_use]
    pub fn at(&self, target: impl Into<String>) -> Url {
        Url { target: target.into(), ..self.clone() }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The fields.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

/// A client for one host at a time.
pub struct Client {
    name: String,
    limit: Duration,
    largest: usize,
    keep: bool,
    kept: Option<(String, u16, TcpStream)>,
}

impl Client {
    /// `name` is sent as User-Agent; an exchange takes at most `limit`.
    pub fn new(name: &str, limit: Duration) -> Client {
        Client { name: name.to_owned(), limit, largest: 16 << 20, keep: true, kept: None }
    }

    /// Whether connections are kept for the next request.
    #[must_use]
    pub fn keep(mut self, keep: bool) -> Client {
        self.keep = keep;
        self
    }

    /// Bytes an answer may have; 16 MiB unless it is said.
    #[must_use]
    pub fn largest(mut self, largest: usize) -> Client {
        self.largest = largest;
        self
    }

    /// Asks, and waits for the whole answer. Nothing is sent twice, except that a kept connection
    /// which turns out to be closed before an answer began is opened anew.
    ///
    /// # Errors
    /// `TimedOut`, `InvalidData` if the answer is no HTTP, or as the system has it.
    pub async fn send(
        &mut self,
        method: &str,
        url: &Url,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Reply> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
        let limit = self.limit;
        timeout(limit, self.exchange(method, url, headers, body)).await.ok_or_else(late)?
    }

    async fn exchange(
        &mut self,
        method: &str,
        url: &Url,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Reply> {
        let mut message = format!("{method} {} HTTP/1.1\r\n", url.target);
        // Said by the caller, these are not said again.
        let said = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !said("host") {
            message.push_str(&format!("Host: {}:{}\r\n", url.host, url.port));
        }
        if !said("user-agent") {
            message.push_str(&format!("User-Agent: {}\r\n", self.name));
        }
        for (name, value) in headers {
            message.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" || method == "PUT" {
            message.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        message.push_str(if self.keep { "\r\n" } else { "Connection: close\r\n\r\n" });
        let mut message = message.into_bytes();
        message.extend_from_slice(body);
        let kept =
            self.kept.take().filter(|(host, port, _)| (host, port) == (&url.host, &url.port));
        if let Some((_, _, stream)) = kept {
            match self.over(stream, method, url, &message).await {
                Err(e) if stale(&e) => {}
                other => return other,
            }
        }
        let stream = TcpStream::connect(&url.host, url.port).await?;
        self.over(stream, method, url, &message).await
    }

    async fn over(
        &mut self,
        stream: TcpStream,
        method: &str,
        url: &Url,
        message: &[u8],
    ) -> io::Result<Reply> {
        stream.write_all(message).await?;
        let bad = |why: &'static str| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut buffer = Vec::new();
        let head = loop {
            match parse_head(&buffer, 64 << 10).map_err(|r| bad(r.reason))? {
                // An interim answer (100) is not the answer.
                Some(head) if head.line[1].starts_with('1') => {
                    buffer.drain(..head.length);
                }
                Some(head) => break head,
                None => {
                    let bytes = stream.read(16 << 10).await?;
                    if bytes.is_empty() {
                        let kind = match buffer.is_empty() {
                            true => io::ErrorKind::ConnectionAborted,
                            false => io::ErrorKind::UnexpectedEof,
                        };
                        return Err(io::Error::new(kind, "closed before the answer"));
                    }
                    buffer.extend(bytes);
                }
            }
        };
        buffer.drain(..head.length);
        if !head.line[0].starts_with("HTTP/1.") {
            return Err(bad("the answer is no HTTP/1.1"));
        }
        let status: u16 = head.line[1].parse().map_err(|_| bad("the answer has no status"))?;
        let none = method == "HEAD" || status == 204 || status == 304;
        let framing = match head.headers.framing().map_err(|r| bad(r.reason))? {
            _ if none => Framing::Length(0),
            Some(framing) => framing,
            None => Framing::UntilClose,
        };
        let mut source = Source { stream: &stream, buffer, largest: self.largest };
        let body = match framing {
            Framing::Length(n) => source.take(n).await?,
            Framing::Chunked => source.chunks().await?,
            Framing::UntilClose => source.rest().await?,
        };
        let close = head.headers.has_token("connection", "close")
            || framing == Framing::UntilClose
            || head.line[0] == "HTTP/1.0";
        if self.keep && !close {
            self.kept = Some((url.host.clone(), url.port, stream));
        }
        Ok(Reply { status, headers: head.headers, body })
    }
}

/// A kept connection that the other side had closed meanwhile.
fn stale(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::ConnectionAborted | K::ConnectionReset | K::BrokenPipe)
}

struct Source<'a> {
    stream: &'a TcpStream,
    buffer: Vec<u8>,
    largest: usize,
}

impl Source<'_> {
    async fn more(&mut self) -> io::Result<bool> {
        if self.buffer.len() > self.largest {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too large"));
        }
        let bytes = self.stream.read(64 << 10).await?;
        self.buffer.extend_from_slice(&bytes);
        Ok(!bytes.is_empty())
    }

    async fn take(&mut self, n: u64) -> io::Result<Vec<u8>> {
        if n > self.largest as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too large"));
        }
        let n = n as usize;
        while self.buffer.len() < n {
            if !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..n).collect())
    }

    async fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.more().await? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "a chunk without a size");
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = chunk_size(&line).ok_or_else(bad)?;
            if size > self.largest || body.len() + size > self.largest {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too large"));
            }
            body.extend(self.take(size as u64).await?);
            self.line().await?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let url = Url::parse("http://web.default:8080/a?b").unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.target.as_str()),
            ("web.default", 8080, "/a?b")
        );
        assert_eq!(Url::parse("web").unwrap().target, "/");
        assert_eq!(Url::parse("http://[::1]:81").unwrap().host, "[::1]");
        assert!(Url::parse("https://web").is_err());
        assert!(Url::parse("http://web:x").is_err());
    }
}
