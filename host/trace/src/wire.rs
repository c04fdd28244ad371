//! What the server says to a page over its stream: binary WebSocket messages, each one postcard
//! [`Frame`].

use serde::{Deserialize, Serialize};

use crate::event::{Event, Seq};
use crate::log::decode;
use crate::state::State;

/// The version of this protocol and of the event model: a page and a server that differ in it
/// do not understand each other. Raise it with every change to either.
pub const VERSION: u32 = 1;

/// A message from the server to the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Frame {
    /// The first message.
    Hello {
        /// [`VERSION`] of the server.
        version: u32,
        /// The world's id.
        world: String,
        /// The pattern it was made from, or empty.
        pattern: String,
        /// Its seed.
        seed: u64,
        /// What its wall clock showed at the beginning, in ns since 1970.
        epoch: u64,
        /// The event the stream starts with.
        from: Seq,
        /// What was true just before event `from`, unless the page has it already.
        keyframe: Option<State>,
    },
    /// A run of events, encoded one after the other.
    Events {
        /// The number of the first.
        first: Seq,
        /// How many.
        count: u32,
        /// The events.
        bytes: Vec<u8>,
    },
    /// Where the world's clock stands. Sent after a change and at least every 250 ms.
    Clock {
        /// Virtual time, in ns.
        now: u64,
        /// Virtual seconds a second, in thousandths: 1000 is real time, 0 is paused,
        /// `u32::MAX` is as fast as possible.
        speed: u32,
        /// The last event there is.
        last: Seq,
        /// How far a recording that is being played again reaches, in ns; 0 when this is the
        /// present.
        future: u64,
        /// Whether the machine is too slow for this speed.
        lagging: bool,
        /// Why the clock does not move although it should ("idle", an error), or empty.
        stopped: String,
    },
    /// The world went back: events after `last` no longer exist.
    Rewound {
        /// The last event that still holds.
        last: Seq,
        /// The new present, in ns.
        now: u64,
    },
    /// The world is no more; the stream ends.
    Gone {
        /// Why.
        reason: String,
    },
}

impl Frame {
    /// The frame as bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a frame can be encoded")
    }

    /// The frame that `bytes` are.
    ///
    /// # Errors
    /// If they are not a frame of this version.
    pub fn decode(bytes: &[u8]) -> Result<Frame, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}

/// The events of a [`Frame::Events`].
///
/// # Errors
/// If the bytes are not `count` events of this version.
pub fn events(count: u32, mut bytes: &[u8]) -> Result<Vec<Event>, postcard::Error> {
    let mut out = Vec::new();
    for _ in 0..count {
        let (event, rest) = decode(bytes)?;
        out.push(event);
        bytes = rest;
    }
    Ok(out)
}
