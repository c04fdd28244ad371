//! Adapter: a container answers somebody outside by asking its neighbour, and says it in another
//! form.

use podlab_trace::event::PlaceId;

use super::facts::{Ask, Facts, Groups, each};
use super::{Clue, Found, Pattern, clue, short};

/// So often at least somebody has asked the same.
const ASKS: usize = 2;

/// The pods, and what shows it.
pub fn find(facts: &Facts) -> Vec<(String, Found)> {
    let mut found = Vec::new();
    // Whoever goes out itself is no application that is only looked into.
    let goes_out = each(facts.asks.iter().filter(|a| !a.local).map(|a| a.client));
    // What was asked from outside, with what was asked of a neighbour to answer it.
    let mut pairs: Groups<(PlaceId, PlaceId), Vec<(&Ask, &Ask)>> = Groups::default();
    for inner in facts.asks.iter().filter(|a| a.local) {
        let Some(outer) = inner.of.map(|i| &facts.asks[i]) else { continue };
        if !outer.local && outer.server == inner.client && !goes_out.contains(&inner.server) {
            pairs.of((outer.client, inner.client)).push((outer, inner));
        }
    }
    for ((by, adapter), pairs) in pairs.0 {
        let Some((namespace, pod)) = facts.pod(adapter) else { continue };
        let key = format!("{namespace}/{pod}");
        let translated = |(outer, inner): &&(&Ask, &Ask)| {
            let (Some(said), Some(told)) = (inner.answer, outer.answer) else { return false };
            let (said, told) = (facts.body(said), facts.body(told));
            // The same question, the same words: that would be passing on.
            !said.is_empty()
                && !told.is_empty()
                && !contains(told, said)
                && facts.line(outer.seq) != facts.line(inner.seq)
        };
        let again: Vec<_> = pairs.iter().filter(translated).collect();
        let Some((outer, inner)) = again.last().filter(|_| again.len() >= ASKS) else { continue };
        // The same question each time: it collects, it does not serve.
        let same = again.iter().filter(|(o, _)| facts.line(o.seq) == facts.line(outer.seq)).count();
        let (Some(said), Some(told)) = (inner.answer, outer.answer) else { continue };
        if same < ASKS {
            continue;
        }
        let text = |seq| short(&String::from_utf8_lossy(facts.body(seq)));
        let (me, neighbour) = (facts.name(adapter), facts.name(inner.server));
        let evidence = vec![
            clue(Clue::Scrapes, &[&facts.name(by), &me, facts.line(outer.seq)], outer.seq),
            clue(Clue::AsksNeighbour, &[&me, &neighbour], inner.seq),
            clue(Clue::OwnForm, &[&neighbour, &text(said)], said),
            clue(Clue::OtherForm, &[&me, &text(told)], told),
        ];
        found.push((key, Found { pattern: Pattern::Adapter, at: pod.to_owned(), evidence }));
    }
    found
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    part.len() <= whole.len() && whole.windows(part.len()).any(|w| w == part)
}
