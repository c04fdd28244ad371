//! Those who wait for a seat, in the order in which they came.
//!
//! Whoever waits has a ticket: a capability that becomes that of their seat. A page that waits
//! asks again and again; one that has not asked for a while has gone, and its ticket with it, so
//! that nobody waits for somebody who is not there. The queue is in memory only: after a restart
//! pages join again by themselves.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::seconds;
use super::secrets::Digest;

/// So many wait at most.
pub const MAX_QUEUE: usize = 100;
/// Who has not asked for so long has gone.
const PATIENCE: Duration = Duration::from_secs(45);

struct Ticket {
    number: u32,
    name: String,
    digest: String,
    /// When they came, in s since 1970.
    since: u64,
    asked: Instant,
}

/// The queue.
#[derive(Default)]
pub struct Queue {
    tickets: Vec<Ticket>,
    next: u32,
}

impl Queue {
    /// Whether nobody waits.
    pub fn is_empty(&mut self) -> bool {
        self.forget_gone();
        self.tickets.is_empty()
    }

    /// How many wait.
    pub fn len(&mut self) -> usize {
        self.forget_gone();
        self.tickets.len()
    }

    fn forget_gone(&mut self) {
        self.tickets.retain(|t| t.asked.elapsed() < PATIENCE);
    }

    /// Whether somebody of this name waits.
    pub fn knows(&mut self, name: &str) -> bool {
        self.forget_gone();
        self.tickets.iter().any(|t| t.name.to_lowercase() == name.to_lowercase())
    }

    /// Puts somebody at the end; their ticket's number, unless there is no room.
    pub fn add(&mut self, name: &str, capability: &str) -> Option<u32> {
        self.forget_gone();
        if self.tickets.len() >= MAX_QUEUE {
            return None;
        }
        self.next += 1;
        self.tickets.push(Ticket {
            number: self.next,
            name: name.to_owned(),
            digest: Digest::of(capability).hex(),
            since: seconds(),
            asked: Instant::now(),
        });
        Some(self.next)
    }

    /// Whose ticket this is.
    pub fn holder(&self, digest: &str) -> Option<u32> {
        self.tickets.iter().find(|t| t.digest == digest).map(|t| t.number)
    }

    /// The place of a ticket, from 0, and how many wait; its holder is there.
    pub fn place(&mut self, number: u32) -> Option<(usize, usize)> {
        if let Some(ticket) = self.tickets.iter_mut().find(|t| t.number == number) {
            ticket.asked = Instant::now();
        }
        self.forget_gone();
        let at = self.tickets.iter().position(|t| t.number == number)?;
        Some((at, self.tickets.len()))
    }

    /// Takes a ticket out; its holder's name, and the digest of its capability.
    pub fn remove(&mut self, number: u32) -> Option<(String, String)> {
        let at = self.tickets.iter().position(|t| t.number == number)?;
        let ticket = self.tickets.remove(at);
        Some((ticket.name, ticket.digest))
    }

    /// As the board shows it.
    pub fn told(&mut self) -> Value {
        self.forget_gone();
        let one = |t: &Ticket| json!({ "name": t.name, "since": t.since });
        self.tickets.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_first_is_first_and_who_has_gone_holds_nobody_up() {
        let mut queue = Queue::default();
        assert!(queue.is_empty());
        let [anna, ben, cem] = ["Anna", "Ben", "Cem"].map(|n| queue.add(n, n).unwrap());
        assert_eq!((queue.place(anna), queue.place(cem)), (Some((0, 3)), Some((2, 3))));
        assert!(queue.knows("ben") && !queue.knows("dora"));
        assert_eq!(queue.holder(&Digest::of("Ben").hex()), Some(ben));
        queue.tickets[0].asked -= PATIENCE;
        assert_eq!((queue.place(ben), queue.len()), (Some((0, 2)), 2));
        assert_eq!(queue.remove(ben), Some(("Ben".into(), Digest::of("Ben").hex())));
        assert_eq!((queue.place(ben), queue.place(cem)), (None, Some((0, 1))));
        while queue.add("x", "y").is_some() {}
        assert_eq!(queue.len(), MAX_QUEUE);
    }
}
