//! The streams of a program to and from a client: channels of a WebSocket
//! (`k8s.io/streaming` wsstream), or streams of SPDY (`pkg/kubelet/.../remotecommand`).

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::ws::WebSocket;
use bytes::{BufMut as _, Bytes, BytesMut};
use podlab_kube::control_plane::SessionSpec;
use serde_json::Value;

use super::wire::{Gone, Wire};
use crate::spdy::{self, Frame, Reader, Writer};

/// How long a client may take to open its streams.
const OPENING: Duration = Duration::from_secs(30);
/// How long a client is given to leave by itself.
const LEAVING: Duration = Duration::from_secs(2);

/// The channels, by number.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
/// Version 5: the next byte is the channel that is closed.
const CLOSE: u8 = 255;

/// What a client does.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Sends input.
    Input(Bytes),
    /// Sends no more.
    End,
    /// Has another window: columns and rows.
    Resize(u16, u16),
    /// Wants these bytes back: see [`Client::reply`].
    Ping(Bytes),
}

/// A client.
pub struct Client {
    wire: Wire,
    carrier: Carrier,
    stdout: bool,
    stderr: bool,
}

enum Carrier {
    /// Messages that begin with a channel's number.
    Messages { greeted: bool, five: bool },
    /// Streams by channel.
    Spdy { reader: Box<Reader>, streams: BTreeMap<u8, u32> },
}

fn resized(bytes: &[u8]) -> Option<Event> {
    // Clients send JSON documents, one after the other; the last one counts.
    let sizes = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let size = sizes.map_while(Result::ok).last()?;
    let side = |name: &str| size[name].as_u64().and_then(|n| u16::try_from(n).ok());
    Some(Event::Resize(side("Width")?, side("Height")?))
}

impl Client {
    /// A client of `v4.channel.k8s.io`, or `v5` where `five`.
    pub fn websocket(socket: WebSocket, stdout: bool, stderr: bool, five: bool) -> Client {
        let carrier = Carrier::Messages { greeted: false, five };
        Client { wire: Wire::WebSocket(socket), carrier, stdout, stderr }
    }

    /// A client of SPDY, when it has opened all streams that it asked for.
    pub async fn spdy(
        mut wire: Wire,
        spec: &SessionSpec,
        stdout: bool,
        stderr: bool,
    ) -> Option<Client> {
        let wanted = 1
            + usize::from(spec.stdin)
            + usize::from(stdout)
            + usize::from(stderr)
            + usize::from(spec.terminal);
        let (mut reader, mut writer) = (Reader::default(), Writer::default());
        let mut streams = BTreeMap::new();
        let opening = async {
            while streams.len() < wanted {
                reader.take(&wire.recv().await?);
                let mut out = BytesMut::new();
                while streams.len() < wanted
                    && let Some(frame) = reader.next().ok()?
                {
                    match frame {
                        Frame::Open { stream, headers, .. } => {
                            let kind = headers.iter().find(|(k, _)| k == "streamtype")?;
                            streams.insert(channel(&kind.1)?, stream);
                            writer.reply(stream, &mut out);
                        }
                        Frame::Ping(id) => spdy::pong(id, &mut out),
                        Frame::GoAway => return None,
                        Frame::Data { .. } | Frame::Reset(_) => {}
                    }
                }
                wire.send(out.freeze()).await.ok()?;
            }
            Some(())
        };
        tokio::time::timeout(OPENING, opening).await.ok()??;
        let carrier = Carrier::Spdy { reader: Box::new(reader), streams };
        Some(Client { wire, carrier, stdout, stderr })
    }

    /// What the client does next; `None` when it is gone. May be dropped while it waits.
    ///
    /// # Errors
    /// If it breaks the protocol.
    pub async fn next(&mut self) -> Result<Option<Event>, String> {
        loop {
            match &mut self.carrier {
                Carrier::Messages { five, .. } => {
                    let five = *five;
                    let Some(message) = self.wire.recv().await else { return Ok(None) };
                    match message.first() {
                        Some(&STDIN) if message.len() > 1 => {
                            return Ok(Some(Event::Input(message.slice(1..))));
                        }
                        Some(&RESIZE) => {
                            if let Some(event) = resized(&message[1..]) {
                                return Ok(Some(event));
                            }
                        }
                        Some(&CLOSE) if five && message.get(1) == Some(&STDIN) => {
                            return Ok(Some(Event::End));
                        }
                        _ => {}
                    }
                }
                Carrier::Spdy { reader, streams } => {
                    if let Some(event) = spdy_event(reader, streams)? {
                        return Ok(Some(event));
                    }
                    let Some(bytes) = self.wire.recv().await else { return Ok(None) };
                    reader.take(&bytes);
                }
            }
        }
    }

    /// A server tells that it is there with an empty message on a channel it writes to.
    pub async fn greet(&mut self) {
        if let Carrier::Messages { greeted: greeted @ false, .. } = &mut self.carrier {
            *greeted = true;
            let first = if self.stdout { STDOUT } else { STATUS };
            // A client that is gone shows when it is read from.
            let _ = self.wire.send(Bytes::copy_from_slice(&[first])).await;
        }
    }

    /// Sends back what a ping asked for.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn reply(&mut self, bytes: Bytes) -> Result<(), Gone> {
        self.wire.send(bytes).await
    }

    /// What the program wrote: a channel's number, then bytes.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn output(&mut self, piece: &Bytes) -> Result<(), Gone> {
        let channel = piece.first().copied().unwrap_or(STDOUT);
        if !(channel == STDOUT && self.stdout || channel == STDERR && self.stderr) {
            return Ok(());
        }
        match &self.carrier {
            Carrier::Messages { .. } => self.wire.send(piece.clone()).await,
            Carrier::Spdy { streams, .. } => {
                let Some(stream) = streams.get(&channel) else { return Ok(()) };
                let mut out = BytesMut::new();
                spdy::data(*stream, &piece[1..], false, &mut out);
                self.wire.send(out.freeze()).await
            }
        }
    }

    /// Tells how it ended, and takes leave.
    pub async fn finish(mut self, status: &Value) {
        let text = status.to_string();
        let told = match &self.carrier {
            Carrier::Messages { .. } => {
                let mut out = BytesMut::with_capacity(text.len() + 1);
                out.put_u8(STATUS);
                out.put_slice(text.as_bytes());
                self.wire.send(out.freeze()).await
            }
            Carrier::Spdy { streams, .. } => {
                let mut out = BytesMut::new();
                for (channel, stream) in streams {
                    match *channel {
                        STATUS => spdy::data(*stream, text.as_bytes(), true, &mut out),
                        STDOUT | STDERR => spdy::data(*stream, &[], true, &mut out),
                        _ => {}
                    }
                }
                self.wire.send(out.freeze()).await
            }
        };
        if told.is_err() {
            return;
        }
        if matches!(self.carrier, Carrier::Messages { .. }) {
            self.wire.close().await;
        }
        // What was told must arrive before the connection goes: the client leaves first.
        let left = async { while self.wire.recv().await.is_some() {} };
        let _ = tokio::time::timeout(LEAVING, left).await;
        if matches!(self.carrier, Carrier::Spdy { .. }) {
            self.wire.close().await;
        }
    }
}

fn channel(kind: &str) -> Option<u8> {
    Some(match kind {
        "stdin" => STDIN,
        "stdout" => STDOUT,
        "stderr" => STDERR,
        "error" => STATUS,
        "resize" => RESIZE,
        _ => return None,
    })
}

/// The next event among what has come already.
fn spdy_event(reader: &mut Reader, streams: &BTreeMap<u8, u32>) -> Result<Option<Event>, String> {
    while let Some(frame) = reader.next()? {
        match frame {
            Frame::Data { stream, bytes, end } => {
                let is = |channel: u8| streams.get(&channel) == Some(&stream);
                if is(STDIN) {
                    if bytes.is_empty() && end {
                        return Ok(Some(Event::End));
                    }
                    if end {
                        // Both at once: the end comes again, by itself.
                        let mut again = BytesMut::new();
                        spdy::data(stream, &[], true, &mut again);
                        reader.put_back(&again);
                    }
                    return Ok(Some(Event::Input(bytes)));
                }
                if is(RESIZE)
                    && let Some(event) = resized(&bytes)
                {
                    return Ok(Some(event));
                }
            }
            Frame::Ping(id) => {
                let mut out = BytesMut::new();
                spdy::pong(id, &mut out);
                return Ok(Some(Event::Ping(out.freeze())));
            }
            Frame::GoAway | Frame::Reset(_) | Frame::Open { .. } => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_json() {
        assert_eq!(resized(b"{\"Width\":80,\"Height\":24}\n"), Some(Event::Resize(80, 24)));
        assert_eq!(
            resized(b"{\"Width\":80,\"Height\":24}{\"Width\":81,\"Height\":24}"),
            Some(Event::Resize(81, 24))
        );
        assert_eq!(resized(b"{\"Width\":-1}"), None);
    }
}
