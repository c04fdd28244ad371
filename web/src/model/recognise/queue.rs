//! Work queue: what somebody put in, one of several takes out; each piece once, and says when it
//! is done.

use podlab_trace::event::{PlaceId, Seq};

use super::facts::{Ask, Facts, Groups, each};
use super::{Clue, Found, Pattern, clue};

/// So many pieces at least were taken.
const PIECES: usize = 3;

/// So many of the newest are looked at.
const NEWEST: usize = 1_500;

/// A piece of work on its way.
struct Piece<'a> {
    put: &'a Ask,
    take: &'a Ask,
    given: Seq,
}

/// What shows it.
pub fn find(facts: &Facts) -> Option<Found> {
    let servers = each(facts.asks.iter().filter(|a| !a.local).map(|a| a.server));
    servers.into_iter().find_map(|queue| at(facts, queue))
}

fn at(facts: &Facts, queue: PlaceId) -> Option<Found> {
    let all = facts.asks.iter().rev().filter(|a| a.server == queue && !a.local);
    let mut mine: Vec<&Ask> = all.take(NEWEST).collect();
    mine.reverse();
    // What was put in comes out again, in the words in which it was put; each piece once.
    let mut given: Groups<&[u8], Vec<Piece>> = Groups::default();
    for take in &mine {
        let Some(answer) = take.answer else { continue };
        let body = facts.body(answer);
        // Who waits for work has asked before it was there.
        let puts =
            |p: &&&Ask| p.seq < answer && p.client != take.client && facts.body(p.seq) == body;
        if body.is_empty() {
            continue;
        }
        if let Some(put) = mine.iter().find(puts) {
            given.of(body).push(Piece { put, take, given: answer });
        }
    }
    if given.0.iter().any(|(_, pieces)| pieces.len() != 1) {
        return None;
    }
    let pieces: Vec<Piece> = given.0.into_iter().flat_map(|(_, pieces)| pieces).collect();
    let takers = each(pieces.iter().map(|p| p.take.client));
    if pieces.len() < PIECES || takers.len() < 2 {
        return None;
    }
    // Done is said in words that are said only once: they name the piece.
    let once = |line: &str| mine.iter().filter(|a| facts.whole_line(a.seq) == line).count() == 1;
    let ack = |piece: &Piece| {
        mine.iter().find(|a| {
            let line = facts.whole_line(a.seq);
            a.client == piece.take.client
                && a.seq > piece.given
                && !line.is_empty()
                && line != facts.whole_line(piece.take.seq)
                && once(line)
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
