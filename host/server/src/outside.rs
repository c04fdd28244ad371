//! Connections from outside into a world.
//!
//! What goes in enters as inputs; what comes out is taken from the world after each turn and
//! handed on here. The world never waits: a connection whose reader is too slow is broken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use podlab_world::gateway::{Outside, OutsideEvent};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How many bytes may wait for the reader of one connection.
const MAX_WAITING: usize = 32 << 20;

/// The open connections of a world.
#[derive(Default)]
pub struct Connections {
    open: BTreeMap<u64, Open>,
    next: u64,
}

struct Open {
    sender: UnboundedSender<Outside>,
    waiting: Arc<AtomicUsize>,
}

/// The near end of a connection: what comes out of the world.
pub struct Incoming {
    receiver: UnboundedReceiver<Outside>,
    waiting: Arc<AtomicUsize>,
}

impl Incoming {
    /// The next thing that came out; `None` when nothing more will.
    pub async fn next(&mut self) -> Option<Outside> {
        let event = self.receiver.recv().await?;
        if let Outside::Data(bytes) = &event {
            self.waiting.fetch_sub(bytes.len(), Relaxed);
        }
        Some(event)
    }
}

impl Connections {
    /// Numbers below `next` are used up.
    pub fn starting_at(next: u64) -> Connections {
        Connections { open: BTreeMap::new(), next }
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// A number for a new connection, and its near end.
    pub fn open(&mut self) -> (u64, Incoming) {
        let id = self.next;
        self.next += 1;
        let (sender, receiver) = unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        self.open.insert(id, Open { sender, waiting: waiting.clone() });
        (id, Incoming { receiver, waiting })
    }

    /// Hands on what came out. Returns the connections that must be dropped because nobody
    /// reads them.
    pub fn deliver(&mut self, events: Vec<OutsideEvent>) -> Vec<u64> {
        let mut broken = Vec::new();
        for event in events {
            let Some(open) = self.open.get(&event.id) else { continue };
            let size = if let Outside::Data(bytes) = &event.what { bytes.len() } else { 0 };
            let last =
                matches!(event.what, Outside::Ended | Outside::Failed(_) | Outside::Exited(_));
            let waiting = open.waiting.fetch_add(size, Relaxed) + size;
            let read = open.sender.send(event.what).is_ok();
            if last || !read || waiting > MAX_WAITING {
                self.open.remove(&event.id);
                if !last {
                    broken.push(event.id);
                }
            }
        }
        broken
    }

    /// Forgets a connection; whether it was open.
    pub fn close(&mut self, id: u64) -> bool {
        self.open.remove(&id).is_some()
    }

    /// The open ones.
    pub fn numbers(&self) -> Vec<u64> {
        self.open.keys().copied().collect()
    }

    /// Breaks all connections: they belong to a branch of time that is gone, or to somebody who
    /// may not act any more.
    pub fn break_all(&mut self, why: &str) {
        for (_, open) in std::mem::take(&mut self.open) {
            // A reader that is gone needs no reason.
            let _ = open.sender.send(Outside::Failed(why.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn event(id: u64, what: Outside) -> OutsideEvent {
        OutsideEvent { id, at: 0, what }
    }

    #[test]
    fn a_reader_that_does_not_read_is_cut_off() {
        let mut connections = Connections::starting_at(5);
        let (id, mut incoming) = connections.open();
        assert_eq!(id, 5);
        let mib = || Outside::Data(Bytes::from(vec![0; 1 << 20]));
        for _ in 0..32 {
            assert!(connections.deliver(vec![event(id, mib())]).is_empty());
        }
        assert_eq!(connections.deliver(vec![event(id, mib())]), [id]);
        assert!(!connections.close(id));
        let mut got = 0;
        while let Ok(event) = incoming.receiver.try_recv() {
            got += usize::from(matches!(event, Outside::Data(_)));
        }
        assert_eq!(got, 33);
    }
}
