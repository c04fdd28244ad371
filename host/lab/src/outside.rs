//! Clients outside the cluster: HTTP over the world's gateway, on virtual time.

use std::collections::BTreeMap;

use podlab_world::gateway::{Outside, OutsideEvent};
use podlab_world::{Input, World};

use crate::history::Finished;
use crate::scenario::{Request, TcpRequest};

/// An answer longer than this is cut, in bytes.
const MAX_ANSWER: usize = 4 << 20;

/// The requests under way.
#[derive(Default)]
pub struct Clients {
    next: u64,
    open: BTreeMap<u64, Exchange>,
}

struct Exchange {
    request: Request,
    /// For a text over TCP: what its answer ends with, if anything.
    text: Option<Option<String>>,
    at: u64,
    deadline: u64,
    answer: Vec<u8>,
}

impl Clients {
    /// Sends a request now, and returns its number.
    pub fn send(&mut self, world: &mut World, request: &Request) -> u64 {
        self.next += 1;
        let id = self.next;
        let at = world.now().as_nanos();
        let deadline = at.saturating_add(request.timeout.0.as_nanos() as u64);
        self.open.insert(
            id,
            Exchange { request: request.clone(), text: None, at, deadline, answer: Vec::new() },
        );
        world.input(Input::Open { id, target: request.to.clone() });
        world.input(Input::Send { id, bytes: serde_bytes::ByteBuf::from(head(request)) });
        id
    }

    /// Sends a text over TCP now, and returns its number.
    pub fn send_text(&mut self, world: &mut World, tcp: &TcpRequest) -> u64 {
        self.next += 1;
        let id = self.next;
        let at = world.now().as_nanos();
        let deadline = at.saturating_add(tcp.timeout.0.as_nanos() as u64);
        let request = Request {
            name: tcp.name.clone(),
            to: tcp.to.clone(),
            path: String::new(),
            method: String::new(),
            headers: BTreeMap::new(),
            body: tcp.send.clone(),
            timeout: tcp.timeout,
        };
        let text = Some(tcp.ends.clone());
        self.open.insert(id, Exchange { request, text, at, deadline, answer: Vec::new() });
        world.input(Input::Open { id, target: tcp.to.clone() });
        let bytes = serde_bytes::ByteBuf::from(tcp.send.clone().into_bytes());
        world.input(Input::Send { id, bytes });
        if tcp.ends.is_none() {
            world.input(Input::Shut { id });
        }
        id
    }

    /// How many requests are under way.
    pub fn pending(&self) -> usize {
        self.open.len()
    }

    /// Whether request `id` is under way.
    pub fn is_pending(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    /// The instant at which the next request times out, in ns.
    pub fn next_deadline(&self) -> Option<u64> {
        self.open.values().map(|e| e.deadline).min()
    }

    /// Takes in what came back, and returns what has come to an end.
    pub fn take(&mut self, world: &mut World) -> Vec<Finished> {
        let mut done = Vec::new();
        for OutsideEvent { id, at, what } in world.take_outside() {
            let Some(exchange) = self.open.get_mut(&id) else { continue };
            let end = match what {
                Outside::Opened => continue,
                Outside::Data(bytes) => {
                    let room = MAX_ANSWER.saturating_sub(exchange.answer.len());
                    exchange.answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    match exchange.parse(false) {
                        Parsed::Partial => continue,
                        Parsed::Whole(status, body) => Ok((status, body)),
                        Parsed::Bad(error) => Err(error),
                    }
                }
                Outside::Ended => match exchange.parse(true) {
                    Parsed::Whole(status, body) => Ok((status, body)),
                    Parsed::Partial if exchange.answer.is_empty() => {
                        Err("the connection was closed without an answer".into())
                    }
                    Parsed::Partial => {
                        Err("the connection was closed in the middle of the answer".into())
                    }
                    Parsed::Bad(error) => Err(error),
                },
                Outside::Failed(reason) => Err(reason),
                Outside::Exited(_) => continue,
            };
            let exchange = self.open.remove(&id).expect("found above");
            world.input(Input::Drop { id });
            done.push(exchange.finish(at, end));
        }
        let now = world.now().as_nanos();
        let late: Vec<u64> =
            self.open.iter().filter(|(_, e)| e.deadline <= now).map(|(id, _)| *id).collect();
        for id in late {
            let exchange = self.open.remove(&id).expect("listed above");
            world.input(Input::Drop { id });
            let deadline = exchange.deadline;
            done.push(exchange.finish(deadline, Err("timeout".into())));
        }
        done
    }
}

impl Exchange {
    fn parse(&self, ended: bool) -> Parsed {
        let Some(ends) = &self.text else {
            return parse(&self.answer, ended, &self.request.method);
        };
        let whole = match ends {
            Some(end) => self.answer.ends_with(end.as_bytes()),
            None => ended,
        };
        match whole {
            true => Parsed::Whole(0, String::from_utf8_lossy(&self.answer).into_owned()),
            false => Parsed::Partial,
        }
    }

    fn finish(self, end: u64, result: Result<(u16, String), String>) -> Finished {
        let text = self.text.is_some();
        let ok = match &result {
            Ok((status, _)) => text || (200..400).contains(status),
            Err(_) => false,
        };
        let (status, body, error) = match result {
            Ok((status, body)) => (status, body, String::new()),
            Err(error) => (0, String::new(), error),
        };
        let Request { name, method, path, body: sent, .. } = self.request;
        Finished { name, at: self.at, end, status, body, error, ok, method, path, sent }
    }
}

fn head(request: &Request) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    // Whom it is for may be another name than where it goes: that is how an Ingress is asked.
    if !request.headers.keys().any(|name| name.eq_ignore_ascii_case("host")) {
        let host = request.to.rsplit_once(':').map_or(request.to.as_str(), |(h, _)| h);
        text += &format!("Host: {host}\r\n");
    }
    text += "Connection: close\r\n";
    for (name, value) in &request.headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !request.body.is_empty() || request.method == "POST" || request.method == "PUT" {
        text += &format!("Content-Length: {}\r\n", request.body.len());
    }
    text += "\r\n";
    text += &request.body;
    text.into_bytes()
}

enum Parsed {
    Partial,
    Whole(u16, String),
    Bad(String),
}

fn parse(answer: &[u8], ended: bool, method: &str) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let start = match response.parse(answer) {
        Ok(httparse::Status::Complete(n)) => n,
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(e) => return Parsed::Bad(format!("the answer is not HTTP: {e}")),
    };
    let status = response.code.unwrap_or(0);
    let header = |name: &str| {
        response
            .headers
            .iter()
            .find(|h| h.name.eq_ignore_ascii_case(name))
            .and_then(|h| std::str::from_utf8(h.value).ok())
            .map(str::trim)
    };
    let body = &answer[start..];
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    if method == "HEAD" || status == 204 || status == 304 {
        return Parsed::Whole(status, String::new());
    }
    if header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        return match dechunk(body) {
            Ok(Some(whole)) => Parsed::Whole(status, text(&whole)),
            Ok(None) => Parsed::Partial,
            Err(e) => Parsed::Bad(e),
        };
    }
    match header("content-length").map(str::parse::<usize>) {
        Some(Ok(n)) if body.len() >= n => Parsed::Whole(status, text(&body[..n])),
        Some(Ok(_)) => Parsed::Partial,
        Some(Err(_)) => Parsed::Bad("the answer's Content-Length is not a number".into()),
        None if ended => Parsed::Whole(status, text(body)),
        None => Parsed::Partial,
    }
}

fn dechunk(mut body: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut out = Vec::new();
    loop {
        match httparse::parse_chunk_size(body) {
            Ok(httparse::Status::Complete((at, 0))) => {
                let _ = at;
                return Ok(Some(out));
            }
            Ok(httparse::Status::Complete((at, size))) => {
                let end = at.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
                if body.len() < end.saturating_add(2) {
                    return Ok(None);
                }
                out.extend_from_slice(&body[at..end]);
                body = &body[end + 2..];
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("the answer's chunks are malformed".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(answer: &str, ended: bool) -> Option<(u16, String)> {
        match parse(answer.as_bytes(), ended, "GET") {
            Parsed::Whole(s, b) => Some((s, b)),
            _ => None,
        }
    }

    #[test]
    fn answers_end_by_length_chunk_or_close() {
        let by_length = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(whole(by_length, false), Some((200, "hi".into())));
        assert_eq!(whole(&by_length[..by_length.len() - 1], true), None);
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n";
        assert_eq!(whole(chunked, false), Some((200, "hi!".into())));
        assert_eq!(whole(&chunked[..chunked.len() - 8], true), None);
        let by_close = "HTTP/1.0 404 Not Found\r\n\r\nno";
        assert_eq!(whole(by_close, false), None);
        assert_eq!(whole(by_close, true), Some((404, "no".into())));
    }
}
