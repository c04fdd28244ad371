//! Ambassador: the application talks to localhost only; its neighbour goes out to several pods.

use podlab_trace::event::PlaceId;

use super::facts::{Ask, Facts, Groups};
use super::{Clue, Found, Pattern, clue};

/// The application has asked so often at least.
const ASKS: usize = 3;

/// The pods, and what shows it.
pub fn find(facts: &Facts) -> Vec<(String, Found)> {
    let mut found = Vec::new();
    let mut by: Groups<PlaceId, Vec<&Ask>> = Groups::default();
    for ask in &facts.asks {
        by.of(ask.client).push(ask);
    }
    for (app, asks) in &by.0 {
        let Some((namespace, pod)) = facts.pod(*app) else { continue };
        let key = format!("{namespace}/{pod}");
        let neighbour = asks[0].server;
        let only = asks.iter().all(|a| a.local && a.server == neighbour);
        if asks.len() < ASKS || !only {
            continue;
        }
        // What the neighbour does with it: on to several pods.
        let (mut pods, mut out) = (Vec::new(), Vec::new());
        let theirs =
            by.0.iter().filter(|(client, _)| *client == neighbour).flat_map(|(_, asks)| asks);
        for ask in theirs.filter(|a| !a.local) {
            let of = ask.of.map(|i| &facts.asks[i]).is_some_and(|a| a.client == *app);
            let Some(to) = facts.pod(ask.server).filter(|_| of) else { continue };
            if !pods.contains(&to) {
                pods.push(to);
                out.push(ask);
            }
        }
        if out.len() < 2 {
            continue;
        }
        let (app, middle) = (facts.name(*app), facts.name(neighbour));
        let count = asks.len().to_string();
        let mut evidence = vec![clue(Clue::LocalOnly, &[&app, &middle, &count], asks[0].seq)];
        for ask in out.iter().take(3) {
            evidence.push(clue(Clue::PassesOn, &[&middle, &facts.name(ask.server)], ask.seq));
        }
        found.push((key, Found { pattern: Pattern::Ambassador, at: pod.to_owned(), evidence }));
    }
    found
}
