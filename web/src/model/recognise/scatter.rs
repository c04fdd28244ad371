//! Scatter and gather: one request becomes several at once, their answers become one.

use podlab_trace::event::Seq;

use super::facts::{Ask, Facts};
use super::{Clue, Found, Pattern, clue};
use crate::model::show;

/// So many at least are asked at once.
const PARTS: usize = 3;

/// What shows it.
pub fn find(facts: &Facts) -> Option<Found> {
    // The newest: that is what one sees.
    facts.asks.iter().rev().find_map(|whole| of(facts, whole))
}

fn of(facts: &Facts, whole: &Ask) -> Option<Found> {
    let end = whole.answer?;
    // What the one that was asked asked of others until it answered.
    let from = facts.asks.partition_point(|a| a.seq <= whole.seq);
    let parts: Vec<(&Ask, Seq)> = facts.asks[from..]
        .iter()
        .take_while(|a| a.seq < end)
        .filter(|a| a.client == whole.server && !a.local && facts.pod(a.server).is_some())
        .filter_map(|a| a.answer.filter(|answer| *answer < end).map(|answer| (a, answer)))
        .collect();
    let (first, _) = parts.first()?;
    // All of them the same question.
    let line = facts.line(first.seq);
    let same: Vec<_> = parts.iter().filter(|(a, _)| facts.line(a.seq) == line).collect();
    let early = same.iter().map(|(_, answer)| *answer).min()?;
    // At once: asked before any of them has answered.
    let mut fan: Vec<&(&Ask, Seq)> = Vec::new();
    for part in same.into_iter().filter(|(a, _)| a.seq < early) {
        if !fan.iter().any(|(a, _)| a.server == part.0.server) {
            fan.push(part);
        }
    }
    if fan.len() < PARTS || line.is_empty() {
        return None;
    }
    let (last, came) = fan.iter().max_by_key(|(_, answer)| *answer)?;
    let (sent, took) =
        (fan.iter().map(|(a, _)| a.seq).max()?, facts.at(*came) - facts.at(last.seq));
    let (root, count) = (facts.name(whole.server), fan.len().to_string());
    let evidence = vec![
        clue(Clue::OneAsk, &[&facts.name(whole.client), &root], whole.seq),
        clue(Clue::Scatters, &[&root, &count], sent),
        clue(Clue::Straggler, &[&facts.name(last.server), &show::duration(took)], *came),
        clue(Clue::Gathers, &[&root, &count], end),
    ];
    Some(Found { pattern: Pattern::ScatterGather, at: root, evidence })
}
