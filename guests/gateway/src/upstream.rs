//! Connections to those who answer: whose turn it is, and connections kept for the next request.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::net::TcpStream;
use podlab_guest::runtime::{Either, race, timeout};

use crate::chance::Chance;
use crate::objects::Backend;

/// Connections kept in all, and to one address.
const KEPT: (usize, usize) = (256, 32);
/// Shorter than most servers keep an idle connection: who closes first is never in doubt.
const FRESH: Duration = Duration::from_secs(30);
/// Backends whose turn is remembered.
const TURNS: usize = 4096;

/// A connection, and since when nothing has been asked over it.
type Kept = (Instant, Rc<TcpStream>);

/// For how long an address that did not answer is asked only if no other is left.
const SICK: Duration = Duration::from_secs(10);

/// Those who answer.
#[derive(Default)]
pub struct Upstreams {
    sick: RefCell<BTreeMap<SocketAddr, Instant>>,
    turns: RefCell<BTreeMap<Backend, usize>>,
    kept: RefCell<BTreeMap<SocketAddr, Vec<Kept>>>,
}

impl Upstreams {
    /// An address did not answer.
    pub fn failed(&self, address: SocketAddr) {
        let mut sick = self.sick.borrow_mut();
        sick.retain(|_, since| since.elapsed() < SICK);
        if sick.len() < TURNS {
            sick.insert(address, Instant::now());
        }
    }

    /// Whose turn it is among those that were not tried yet.
    pub fn choose(
        &self,
        backend: &Backend,
        ready: &[SocketAddr],
        tried: &[SocketAddr],
        chance: &Chance,
    ) -> Option<SocketAddr> {
        let mut turns = self.turns.borrow_mut();
        if turns.len() > TURNS {
            turns.clear();
        }
        // Several gateways should not all begin with the same one.
        let turn = match turns.get_mut(backend) {
            Some(turn) => turn,
            None => turns.entry(backend.clone()).or_insert(chance.below(1 << 16) as usize),
        };
        let sick = self.sick.borrow();
        let well = |a: &SocketAddr| sick.get(a).is_none_or(|since| since.elapsed() >= SICK);
        let mut left = None;
        for _ in 0..ready.len() {
            *turn = turn.wrapping_add(1);
            let one = ready[*turn % ready.len()];
            match tried.contains(&one) {
                true => {}
                false if well(&one) => return Some(one),
                false => left = left.or(Some(one)),
            }
        }
        left
    }

    /// A connection that was kept and is still open.
    pub async fn kept(&self, address: SocketAddr) -> Option<Rc<TcpStream>> {
        loop {
            let (at, stream) = self.kept.borrow_mut().get_mut(&address)?.pop()?;
            // Anything to be read, be it the end, means that it is of no use any more.
            let open = race(stream.read(1), std::future::ready(())).await;
            if at.elapsed() < FRESH && matches!(open, Either::Second(())) {
                return Some(stream);
            }
        }
    }

    /// A new connection.
    ///
    /// # Errors
    /// `TimedOut` after `limit`, or as the system has it.
    pub async fn connect(&self, address: SocketAddr, limit: Duration) -> io::Result<Rc<TcpStream>> {
        let ip = address.ip().to_string();
        let stream = TcpStream::connect(&ip, address.port());
        let late = || io::Error::new(io::ErrorKind::TimedOut, "nobody took the connection in time");
        timeout(limit, stream).await.unwrap_or_else(|| Err(late())).map(Rc::new)
    }

    /// Keeps a connection for the next request.
    pub fn keep(&self, address: SocketAddr, stream: Rc<TcpStream>) {
        let mut kept = self.kept.borrow_mut();
        kept.retain(|_, streams| {
            streams.retain(|(at, _)| at.elapsed() < FRESH);
            !streams.is_empty()
        });
        let all: usize = kept.values().map(Vec::len).sum();
        let streams = kept.entry(address).or_default();
        if all < KEPT.0 && streams.len() < KEPT.1 {
            streams.push((Instant::now(), stream));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Port;

    #[test]
    fn everybody_has_a_turn_and_nobody_two() {
        let upstreams = Upstreams::default();
        let backend = Backend { service: Default::default(), port: Port::Number(80) };
        let ready: Vec<SocketAddr> =
            (1..=3).map(|n| format!("10.0.0.{n}:80").parse().unwrap()).collect();
        let chance = Chance::of(7);
        let turn = |tried: &[SocketAddr]| upstreams.choose(&backend, &ready, tried, &chance);
        let mut three: Vec<_> = (0..3).filter_map(|_| turn(&[])).collect();
        three.sort_unstable();
        assert_eq!(three, ready);
        assert_eq!(turn(&ready[..2]), Some(ready[2]));
        assert_eq!(turn(&ready), None);
        upstreams.failed(ready[0]);
        assert!((0..9).filter_map(|_| turn(&[])).all(|one| one != ready[0]));
        assert_eq!(turn(&ready[1..]), Some(ready[0]));
    }
}
