//! Sidecar: two containers of a pod share a volume or localhost; only one is asked from outside.

use podlab_trace::event::{PlaceId, Seq};

use super::facts::Facts;
use super::{Clue, Found, Pattern, clue};

/// What shows it; not in one of the pods in `taken`.
pub fn find(facts: &Facts, taken: &[String]) -> Option<Found> {
    // Who was first asked from outside, when, by whom.
    let mut asked: Vec<(PlaceId, Seq, PlaceId)> = Vec::new();
    for ask in facts.asks.iter().filter(|a| !a.local) {
        if !asked.iter().any(|(server, ..)| *server == ask.server) {
            asked.push((ask.server, ask.seq, ask.client));
        }
    }
    for (main, first, by) in &asked {
        let Some((namespace, pod)) = facts.pod(*main) else { continue };
        let key = format!("{namespace}/{pod}");
        if taken.contains(&key) {
            continue;
        }
        let neighbour = |p: &PlaceId| {
            p != main
                && facts.pod(*p) == Some((namespace, pod))
                && !asked.iter().any(|(a, ..)| a == p)
        };
        let begin = clue(Clue::Asked, &[&facts.name(*main), &facts.name(*by)], *first);
        let end = |p: PlaceId| clue(Clue::Unasked, &[&facts.name(p)], 0);
        let found = |middle: Vec<super::Evidence>, helper: PlaceId| {
            let evidence = [vec![begin.clone()], middle, vec![end(helper)]].concat();
            Some(Found { pattern: Pattern::Sidecar, at: pod.to_owned(), evidence })
        };
        // A file that one writes and the other reads afterwards. What only prepared the pod had
        // ended before anybody asked.
        for read in facts.touches.iter().filter(|t| !t.writes && t.seq > *first) {
            let pair = |a: PlaceId, b: PlaceId| {
                (a == *main && neighbour(&b)) || (b == *main && neighbour(&a))
            };
            let write = facts.touches.iter().rev().find(|w| {
                w.writes
                    && w.seq < read.seq
                    && w.volume == read.volume
                    && pair(w.who, read.who)
                    && file(&w.path) == file(&read.path)
            });
            let Some(write) = write else { continue };
            let helper = if write.who == *main { read.who } else { write.who };
            let later = facts.touches.iter().any(|t| t.who == helper && t.seq > *first)
                || facts.asks.iter().any(|a| a.client == helper && a.seq > *first);
            if !later {
                continue;
            }
            let middle = vec![
                clue(Clue::Writes, &[&facts.name(write.who), &write.path], write.seq),
                clue(Clue::Reads, &[&facts.name(read.who), &read.volume], read.seq),
            ];
            return found(middle, helper);
        }
        // Or they talk over localhost.
        let talk = facts.asks.iter().find(|a| {
            a.local
                && a.answer.is_some()
                && ((a.client == *main && neighbour(&a.server))
                    || (a.server == *main && neighbour(&a.client)))
        });
        if let Some(talk) = talk {
            let helper = if talk.client == *main { talk.server } else { talk.client };
            let names = [facts.name(talk.client), facts.name(talk.server)];
            let middle = vec![clue(Clue::Local, &[&names[0], &names[1]], talk.seq)];
            return found(middle, helper);
        }
    }
    None
}

/// The file's own name: two containers may have the volume at different paths.
fn file(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
