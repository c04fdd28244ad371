//! A queue that loses nothing: what went in comes out, or is still there, or was set aside.
//!
//! Items are told apart by their names, so producers give each a name of its own.

use std::collections::{BTreeMap, BTreeSet};

use crate::Violation;

/// What happened to an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was handed in; whether that was confirmed.
    Sent {
        /// The item.
        item: String,
        /// If not, it may be in the queue or not.
        confirmed: bool,
    },
    /// A consumer got it.
    Taken(String),
    /// What it stands for was done: a mail was sent, a result was written.
    Effect(String),
    /// The queue was told that it is done.
    Acknowledged(String),
    /// It was given up, and set aside (a dead-letter queue).
    SetAside(String),
}

/// What a queue promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Each effect happens exactly once (idempotency keys), not only at least once.
    pub once: bool,
    /// At the end nothing may be left in the queue.
    pub empty: bool,
}

/// Whether the history keeps the promise.
///
/// # Errors
/// The first item that was lost, came from nowhere, or had its effect twice.
pub fn check(history: &[Event], promise: Promise) -> Result<Count, Violation> {
    let mut sent: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    let mut effects: BTreeMap<&str, usize> = BTreeMap::new();
    let mut acknowledged: BTreeMap<&str, usize> = BTreeMap::new();
    let mut aside: BTreeSet<&str> = BTreeSet::new();
    let mut count = Count::default();
    for (i, event) in history.iter().enumerate() {
        let known = |item: &str, what: &str| match sent.contains_key(item) {
            true => Ok(()),
            false => Err(Violation::new(
                format!("item {item:?} was {what}, but nobody had sent it"),
                vec![i],
            )),
        };
        match event {
            Event::Sent { item, confirmed } => {
                if let Some((first, before)) = sent.get_mut(item.as_str()) {
                    if *before && *confirmed {
                        let both = vec![*first, i];
                        let what = format!("item {item:?} was sent twice: names must be unique");
                        return Err(Violation::new(what, both));
                    }
                    *before |= *confirmed;
                } else {
                    sent.insert(item, (i, *confirmed));
                    count.sent += 1;
                }
            }
            Event::Taken(item) => {
                known(item, "taken")?;
                count.taken += 1;
            }
            Event::Effect(item) => {
                known(item, "worked on")?;
                if let Some(first) = effects.insert(item, i) {
                    count.repeated += 1;
                    if promise.once {
                        let what = format!("item {item:?} had its effect twice");
                        return Err(Violation::new(what, vec![first, i]));
                    }
                }
            }
            Event::Acknowledged(item) => {
                known(item, "acknowledged")?;
                if !effects.contains_key(item.as_str()) && !aside.contains(item.as_str()) {
                    acknowledged.insert(item, i);
                }
            }
            Event::SetAside(item) => {
                known(item, "set aside")?;
                aside.insert(item);
            }
        }
    }
    for (item, (at, confirmed)) in &sent {
        if effects.contains_key(item) || aside.contains(item) {
            continue;
        }
        if let Some(ack) = acknowledged.get(item) {
            let what = format!("item {item:?} was lost: it was acknowledged, but never done");
            return Err(Violation::new(what, vec![*at, *ack]));
        }
        if *confirmed && promise.empty {
            let what = format!("item {item:?} was confirmed, but neither done nor set aside");
            return Err(Violation::new(what, vec![*at]));
        }
        count.left += u64::from(*confirmed);
    }
    count.done = effects.len() as u64;
    count.set_aside = aside.len() as u64;
    Ok(count)
}

/// A history in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Items handed in.
    pub sent: u64,
    /// How often consumers got one.
    pub taken: u64,
    /// Items whose effect happened.
    pub done: u64,
    /// Effects beyond the first of an item.
    pub repeated: u64,
    /// Items set aside.
    pub set_aside: u64,
    /// Confirmed items that are still in the queue.
    pub left: u64,
}
