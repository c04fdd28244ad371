//! A client of a cache, in either protocol: connections are kept and shared, one request at a time
//! on each.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use crate::memcached::{self, Reply, Request};
use crate::net::TcpStream;
use crate::resp::{self, Value};
use crate::runtime::{Either, race, timeout};

/// Connections kept for later.
const IDLE: usize = 8;
/// The largest value, in bytes.
const MAX_VALUE: usize = 1 << 20;

/// A client of one server.
pub struct Client {
    host: String,
    port: u16,
    limit: Duration,
    idle: RefCell<Vec<TcpStream>>,
}

impl Client {
    /// A client of `address`, a host with a port; an exchange takes at most `limit`.
    ///
    /// # Errors
    /// If it is no such address.
    pub fn new(address: &str, limit: Duration) -> Result<Client, String> {
        let wrong = || format!("{address:?} is no address such as localhost:11211");
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        Ok(Client { host: host.to_owned(), port, limit, idle: RefCell::default() })
    }

    /// Asks in memcached's protocol.
    ///
    /// # Errors
    /// As the system has it; `TimedOut`; `InvalidData` if the answer is none. Nothing is sent twice.
    pub async fn memcached(&self, request: &Request) -> io::Result<Reply> {
        let parse = |bytes: &[u8]| {
            memcached::parse_reply(bytes, request.verb, MAX_VALUE).map_err(str::to_owned)
        };
        self.exchange(&request.encode(), parse).await
    }

    /// Asks in Redis' protocol. An error of the server is a value.
    ///
    /// # Errors
    /// As [`Client::memcached`].
    pub async fn redis(&self, words: &[&[u8]]) -> io::Result<Value> {
        self.exchange(&resp::command(words), |bytes| resp::parse_value(bytes, MAX_VALUE)).await
    }

    /// A kept connection, unless the other side has ended it meanwhile (or said something that
    /// nobody asked for).
    async fn kept(&self) -> Option<TcpStream> {
        loop {
            let stream = self.idle.borrow_mut().pop()?;
            if let Either::Second(()) = race(stream.read(1), async {}).await {
                return Some(stream);
            }
        }
    }

    async fn exchange<T>(
        &self,
        bytes: &[u8],
        parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, String>,
    ) -> io::Result<T> {
        let talk = async {
            let stream = match self.kept().await {
                Some(stream) => stream,
                None => TcpStream::connect(&self.host, self.port).await?,
            };
            stream.write_all(bytes).await?;
            let mut input: Vec<u8> = Vec::new();
            loop {
                let got = stream.read(64 << 10).await?;
                if got.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                input.extend(got);
                let parsed = parse(&input);
                match parsed.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))? {
                    None => {}
                    Some((reply, used)) => {
                        let mut idle = self.idle.borrow_mut();
                        if used == input.len() && idle.len() < IDLE {
                            idle.push(stream);
                        }
                        return Ok(reply);
                    }
                }
            }
        };
        let result = timeout(self.limit, talk).await;
        let result = result.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()));
        if result.is_err() {
            // The others that are kept were probably closed with it.
            self.idle.borrow_mut().clear();
        }
        result
    }
}
