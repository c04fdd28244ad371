//! Work queue: what somebody put in, one of several takes out; each piece once, and says when it
//! is done.

use std::collections::{BTreeMap, BTreeSet};

use podlab_trace::event::{PlaceId, Seq};

use super::facts::{Ask, Facts};
use super::{Clue, Found, Pattern, clue};

/// So many pieces at least were taken.
const PIECES: usize = 3;

/// A piece of work on its way.
struct Piece<'a> {
    put: &'a Ask,
    take: &'a Ask,
    given: Seq,
}

/// What shows it.
pub fn find(facts: &Facts) -> Option<Found> {
    let servers: BTreeSet<PlaceId> =
        facts.asks.iter().filter(|a| !a.local).map(|a| a.server).collect();
    servers.into_iter().find_map(|queue| at(facts, queue))
}

fn at(facts: &Facts, queue: PlaceId) -> Option<Found> {
    let mine: Vec<&Ask> = facts.asks.iter().filter(|a| a.server == queue && !a.local).collect();
    // What was put in, by what it says, and how often it was given out.
    let mut put: BTreeMap<&[u8], &Ask> = BTreeMap::new();
    let mut given: BTreeMap<&[u8], Vec<Piece>> = BTreeMap::new();
    for ask in &mine {
        let body = facts.body(ask.seq);
        if !body.is_empty() {
            put.entry(body).or_insert(ask);
        }
    }
    // Who waits for work has asked before it was there.
    for ask in &mine {
        let Some(answer) = ask.answer else { continue };
        let body = facts.body(answer);
        let from = put.get(body).filter(|p| p.client != ask.client && p.seq < answer);
        if let Some(from) = from {
            let piece = Piece { put: from, take: ask, given: answer };
            given.entry(body).or_default().push(piece);
        }
    }
    if given.values().any(|pieces| pieces.len() != 1) {
        return None;
    }
    let mut pieces: Vec<Piece> = given.into_values().flatten().collect();
    pieces.sort_by_key(|p| p.given);
    let takers: BTreeSet<PlaceId> = pieces.iter().map(|p| p.take.client).collect();
    if pieces.len() < PIECES || takers.len() < 2 {
        return None;
    }
    // Done is said in words that are said only once: they name the piece.
    let mut said: BTreeMap<&str, usize> = BTreeMap::new();
    for ask in &mine {
        *said.entry(facts.whole_line(ask.seq)).or_default() += 1;
    }
    let ack = |piece: &Piece| {
        mine.iter().find(|a| {
            let line = facts.whole_line(a.seq);
            a.client == piece.take.client
                && a.seq > piece.given
                && !line.is_empty()
                && line != facts.whole_line(piece.take.seq)
                && said.get(line) == Some(&1)
        })
    };
    let (first, done) = pieces.iter().find_map(|p| ack(p).map(|a| (p, a)))?;
    let other = pieces.iter().find(|p| p.take.client != first.take.client)?;
    let name = |p: PlaceId| facts.name(p);
    let taker = name(first.take.client);
    let evidence = vec![
        clue(Clue::Puts, &[&name(first.put.client), &name(queue)], first.put.seq),
        clue(Clue::Takes, &[&taker], first.given),
        clue(Clue::TakesOther, &[&name(other.take.client)], other.given),
        clue(Clue::Acks, &[&taker], done.seq),
    ];
    Some(Found { pattern: Pattern::WorkQueue, at: name(queue), evidence })
}
