//! Bytes both ways.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::{Bytes, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A client that takes nothing for this long is gone.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The end of a WebSocket. Clients take one without a code for an error.
pub fn goodbye() -> Message {
    Message::Close(Some(CloseFrame { code: close_code::NORMAL, reason: "".into() }))
}

/// A stream of bytes to and from a client.
#[allow(clippy::large_enum_variant, reason = "one for each connection, and it never moves")]
pub enum Wire {
    /// Binary messages, whose bounds mean nothing.
    WebSocket(WebSocket),
    /// A connection that was upgraded.
    Raw(Box<TokioIo<Upgraded>>),
}

/// The client is gone, or takes nothing.
#[derive(Debug)]
pub struct Gone;

impl Wire {
    /// What comes next; `None` at the end. May be dropped while it waits.
    pub async fn recv(&mut self) -> Option<Bytes> {
        match self {
            Wire::WebSocket(socket) => loop {
                match socket.recv().await? {
                    Ok(Message::Binary(bytes)) => return Some(bytes),
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(_) => {}
                }
            },
            Wire::Raw(raw) => {
                let mut bytes = BytesMut::with_capacity(16 << 10);
                match raw.read_buf(&mut bytes).await {
                    Ok(n) if n > 0 => Some(bytes.freeze()),
                    _ => None,
                }
            }
        }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn send(&mut self, bytes: Bytes) -> Result<(), Gone> {
        let sent = async {
            match self {
                Wire::WebSocket(socket) => {
                    socket.send(Message::Binary(bytes)).await.map_err(|_| Gone)
                }
                Wire::Raw(raw) => {
                    raw.write_all(&bytes).await.map_err(|_| Gone)?;
                    raw.flush().await.map_err(|_| Gone)
                }
            }
        };
        tokio::time::timeout(PATIENCE, sent).await.unwrap_or(Err(Gone))
    }

    /// Ends our side.
    pub async fn close(&mut self) {
        // A client that is gone already is fine too.
        match self {
            Wire::WebSocket(socket) => drop(socket.send(goodbye()).await),
            Wire::Raw(raw) => drop(raw.shutdown().await),
        }
    }
}
