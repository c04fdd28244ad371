//! The API over plain HTTP, with nothing but the standard library: for tests and the example.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "real time, real sockets")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use podlab_kubectl::transport::{Body, Future, Pieces, Request, Response, Session, Transport};

/// A server at `host:port`, below `base`.
pub struct Http {
    /// "127.0.0.1:7777".
    pub host: String,
    /// "/api/worlds/w1/kube".
    pub base: String,
}

impl Http {
    fn ask(&self, request: &Request) -> std::io::Result<Response> {
        let mut stream = TcpStream::connect(&self.host)?;
        let Request { method, target, accept, content_type, body } = request;
        let mut head = format!(
            "{method} {}{target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: {accept}\r\n",
            self.base, self.host
        );
        if !content_type.is_empty() {
            head += &format!("Content-Type: {content_type}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(500);
        let (mut length, mut warnings) = (None, Vec::new());
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok(),
                "warning" => {
                    let text = value.trim_start_matches("299 - \"").trim_end_matches('"');
                    warnings.push(text.replace("\\\"", "\"").replace("\\\\", "\\"));
                }
                _ => {}
            }
        }
        let body = match length {
            Some(length) => {
                let mut body = vec![0; length];
                reader.read_exact(&mut body)?;
                Body::Full(body)
            }
            None => Body::Stream(Box::new(Chunks(reader))),
        };
        Ok(Response { status, warnings, body })
    }
}

struct Chunks(BufReader<TcpStream>);

impl Chunks {
    fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = String::new();
        self.0.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok().filter(|n| *n > 0)?;
        let mut chunk = vec![0; length + 2];
        self.0.read_exact(&mut chunk).ok()?;
        chunk.truncate(length);
        Some(chunk)
    }
}

impl Pieces for Chunks {
    fn next(&mut self) -> Future<'_, Option<Vec<u8>>> {
        let chunk = self.chunk();
        Box::pin(async { chunk })
    }
}

impl Transport for Http {
    fn send(&self, request: Request) -> Future<'_, Result<Response, String>> {
        let answer = self.ask(&request).map_err(|e| e.to_string());
        Box::pin(async { answer })
    }

    fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
    }

    fn pause(&self, millis: u64) -> Future<'_, ()> {
        std::thread::sleep(Duration::from_millis(millis));
        Box::pin(async {})
    }

    fn exec(
        &self,
        _: String,
        _: Vec<u8>,
        _: bool,
    ) -> Future<'_, Result<Box<dyn Session>, Response>> {
        let body = Body::Full(b"exec needs the terminal of the page".to_vec());
        Box::pin(async { Err(Response { status: 501, warnings: Vec::new(), body }) })
    }

    fn server(&self) -> String {
        format!("http://{}{}", self.host, self.base)
    }
}

/// Runs a future whose parts never wait.
pub fn now<T>(future: impl core::future::Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
