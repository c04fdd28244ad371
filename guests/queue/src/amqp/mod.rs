//! AMQP 0-9-1, the protocol of RabbitMQ and its clients.
//!
//! # Layout
//! - `exchange`, `queue`: where a message goes, and where it waits
//! - `host`: the virtual host, all of them; `consume`: channels and consumers
//! - `keep`: what outlives the program
//! - `letters`: what becomes of a message that nobody wanted
//! - `session`: one connection's conversation, without a socket; `handshake`, `content`: parts of it
//! - `connection`: the socket, heartbeats, time-outs

pub mod code;
pub mod connection;
mod consume;
mod content;
mod exchange;
mod handshake;
pub mod host;
mod keep;
mod letters;
mod queue;
mod session;
#[cfg(test)]
mod tests;

pub use queue::Queue;

/// Why something was refused: what closes a channel or a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reply code (see [`code`]).
    pub code: u16,
    /// What it is about, after the code's name.
    pub text: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: u16, text: impl Into<String>) -> Refusal {
        Refusal { code, text: text.into() }
    }

    /// As it is sent: with the name of its code.
    pub fn full(&self) -> String {
        format!("{} - {}", code::name(self.code), self.text)
    }
}
