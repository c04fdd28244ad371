//! All shards: who they are, which of them a key belongs to, and asking them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use podlab_guest::log;
use podlab_guest::runtime::{Either, Flag, race, sleep};

use crate::ring::Ring;
use crate::shard::{Fault, Policy, Shard, Wire};

/// Shards at most.
const MAX_SHARDS: usize = 256;

/// Where the list of shards comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// It was given.
    List(String),
    /// A file with a shard a line, read again and again.
    File(String),
    /// The addresses of a name, asked for again and again.
    Name(String),
}

/// Keys that are kept on several shards.
#[derive(Clone, Debug)]
pub struct Hot {
    /// How they begin; empty for no key.
    pub prefix: Vec<u8>,
    /// On how many shards they are kept.
    pub copies: usize,
}

/// The shards and their ring, as they are now.
pub struct Members<W: Wire> {
    /// The shards.
    pub shards: Vec<Rc<Shard<W>>>,
    /// Where they are on the ring.
    pub ring: Ring,
}

/// All shards.
pub struct Pool<W: Wire> {
    members: RefCell<Rc<Members<W>>>,
    policy: Rc<Policy>,
    hot: Hot,
    port: u16,
    turn: Cell<usize>,
    /// How often the list has changed.
    pub changes: Cell<u64>,
    /// Requests sent a second time.
    pub retries: Cell<u64>,
}

impl<W: Wire> Pool<W> {
    /// A pool without shards; `port` is that of shards whose entry names none.
    pub fn new(policy: Policy, hot: Hot, port: u16) -> Rc<Pool<W>> {
        let members = Members { shards: Vec::new(), ring: Ring::default() };
        Rc::new(Pool {
            members: RefCell::new(Rc::new(members)),
            policy: Rc::new(policy),
            hot,
            port,
            turn: Cell::new(0),
            changes: Cell::new(0),
            retries: Cell::new(0),
        })
    }

    /// The shards as they are now.
    pub fn members(&self) -> Rc<Members<W>> {
        self.members.borrow().clone()
    }

    /// Makes these the shards; those that were there already stay as they are.
    pub fn set(&self, names: &[String]) {
        let old = self.members();
        if old.shards.iter().map(|s| &s.name).eq(names) {
            return;
        }
        let shards: Vec<Rc<Shard<W>>> = names
            .iter()
            .map(|name| match old.shards.iter().find(|s| s.name == *name) {
                Some(shard) => shard.clone(),
                None => {
                    let (host, port) = split(name, self.port);
                    Shard::new(name, host, port, &self.policy)
                }
            })
            .collect();
        let ring = Ring::new(names.iter().map(String::as_str));
        log::info("shards", &[("count", &shards.len()), ("names", &names.join(","))]);
        *self.members.borrow_mut() = Rc::new(Members { shards, ring });
        self.changes.set(self.changes.get() + 1);
        for shard in &old.shards {
            if !names.contains(&shard.name) {
                shard.leave();
            }
        }
    }

    /// The names that `source` gives.
    ///
    /// # Errors
    /// Why it gives none.
    pub async fn names(&self, source: &Source) -> Result<Vec<String>, String> {
        let mut names = match source {
            Source::List(list) => parse_list(list)?,
            Source::File(file) => {
                let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
                parse_list(&text)?
            }
            Source::Name(name) => {
                let (host, port) = split(name, self.port);
                let found = podlab_guest::net::resolve(host, port).await;
                let found = found.map_err(|e| format!("{host}: {e}"))?;
                found.iter().map(ToString::to_string).collect()
            }
        };
        // The order in which they are found says nothing.
        names.sort();
        names.dedup();
        match names.len() {
            0 => Err("there are no shards".into()),
            1..=MAX_SHARDS => Ok(names),
            n => Err(format!("{n} shards are too many: at most {MAX_SHARDS}")),
        }
    }

    /// Keeps the list up to date until `stop`. A list that cannot be had changes nothing.
    pub async fn follow(self: Rc<Self>, source: Source, every: std::time::Duration, stop: Flag) {
        let mut said = String::new();
        loop {
            match self.names(&source).await {
                Ok(names) => {
                    said.clear();
                    self.set(&names);
                }
                Err(error) if said != error => {
                    log::warn("no-list", &[("error", &error)]);
                    said = error;
                }
                Err(_) => {}
            }
            if let Either::Second(()) = race(sleep(every), stop.wait()).await {
                return;
            }
        }
    }

    /// Whether `key` is kept on several shards.
    pub fn is_hot(&self, key: &[u8]) -> bool {
        !self.hot.prefix.is_empty() && key.starts_with(&self.hot.prefix)
    }

    /// The shard that `key` is read from.
    pub fn reads(&self, key: &[u8]) -> Option<Rc<Shard<W>>> {
        let writes = self.writes(key);
        let turn = if writes.len() > 1 { self.turn.replace(self.turn.get() + 1) } else { 0 };
        writes.get(turn % writes.len().max(1)).cloned()
    }

    /// The shards that `key` is written to.
    pub fn writes(&self, key: &[u8]) -> Vec<Rc<Shard<W>>> {
        let copies = if self.is_hot(key) { self.hot.copies } else { 1 };
        let members = self.members();
        let live = |i: usize| !self.policy.auto_eject || members.shards[i].alive();
        members.ring.shards(key, live).take(copies).map(|i| members.shards[i].clone()).collect()
    }

    /// Asks the shard that `pick` chooses. What was never sent is sent once more; what may have
    /// been done is asked again only if `repeatable`: nobody counts twice because of a proxy.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(
        &self,
        client: u64,
        bytes: &[u8],
        ask: W::Ask,
        repeatable: bool,
        pick: impl Fn() -> Option<Rc<Shard<W>>>,
    ) -> Result<W::Reply, Fault> {
        let shard = pick().ok_or(Fault::NoShard)?;
        let fault = match refused(&shard, &self.policy) {
            true => Fault::NotSent,
            false => match shard.ask(client, bytes, ask.clone()).await {
                Ok(reply) => return Ok(reply),
                Err(fault) => fault,
            },
        };
        let again = match fault {
            Fault::NotSent => true,
            Fault::Lost => repeatable,
            Fault::TimedOut | Fault::Busy | Fault::NoShard => false,
        };
        let shard = pick().filter(|shard| again && !refused(shard, &self.policy));
        let Some(shard) = shard else { return Err(fault) };
        self.retries.set(self.retries.get() + 1);
        shard.ask(client, bytes, ask).await
    }
}

/// An ejected shard whose keys are not given to others answers nothing until it is back.
fn refused<W: Wire>(shard: &Shard<W>, policy: &Policy) -> bool {
    !policy.auto_eject && !shard.alive()
}

/// Names from lines or a list with commas; `#` begins a comment, `a-[0-7]` stands for eight names.
fn parse_list(text: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        for entry in line.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            let range = entry.split_once('[').and_then(|(before, rest)| {
                let (range, after) = rest.split_once(']')?;
                let (first, last) = range.split_once('-')?;
                let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
                (first <= last && last - first < MAX_SHARDS).then_some((
                    before,
                    first..=last,
                    after,
                ))
            });
            match range {
                Some((before, range, after)) => {
                    names.extend(range.map(|n| format!("{before}{n}{after}")));
                }
                None if entry.contains(|c: char| c.is_whitespace() || "[]".contains(c)) => {
                    return Err(format!("{entry:?} is no shard such as cache-0.cache:11211"));
                }
                None => names.push(entry.to_owned()),
            }
        }
    }
    Ok(names)
}

/// Host and port of an entry.
fn split(name: &str, port: u16) -> (&str, u16) {
    match name.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) if !host.is_empty() => (host, port),
        _ => (name, port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let list = |text| parse_list(text).unwrap();
        assert_eq!(list("a:1, b\n# c\n\nd # e"), ["a:1", "b", "d"]);
        assert_eq!(list("c-[0-2].c:5"), ["c-0.c:5", "c-1.c:5", "c-2.c:5"]);
        assert!(parse_list("c-[x]").is_err() && parse_list("a b").is_err());
        assert!(parse_list("c-[0-9999999]").is_err());
        assert_eq!((split("a:1", 9), split("a", 9)), (("a", 1), ("a", 9)));
    }
}
