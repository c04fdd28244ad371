//! Leader election: several want a Lease, one holds and renews it.

use podlab_trace::event::{PlaceId, Seq};

use super::facts::{Facts, Groups, Hold};
use super::{Clue, Found, Pattern, clue};

/// What shows it.
pub fn find(facts: &Facts) -> Option<Found> {
    let mut leases: Groups<&str, Vec<&Hold>> = Groups::default();
    for hold in facts.holds.iter().filter(|h| !h.holder.is_empty()) {
        leases.of(&hold.lease).push(hold);
    }
    for (lease, holds) in leases.0 {
        // Who asked the API for it, and whom it refused.
        let mut wants: Vec<(PlaceId, Seq)> = Vec::new();
        let mut refused = None;
        for ask in
            facts.asks.iter().filter(|a| about(facts.whole_line(a.seq), lease, facts.body(a.seq)))
        {
            if !wants.iter().any(|(who, _)| *who == ask.client) {
                wants.push((ask.client, ask.seq));
            }
            let Some(answer) = ask.answer else { continue };
            if refused.is_none() && facts.line(answer).starts_with("409") {
                refused = Some((ask.client, answer));
            }
        }
        let renewed = holds.windows(2).find(|w| w[0].holder == w[1].holder);
        let (Some(renewed), true) = (renewed, wants.len() >= 2) else { continue };
        let mut evidence: Vec<_> = wants
            .iter()
            .take(3)
            .map(|(who, seq)| clue(Clue::Candidate, &[&facts.name(*who), lease], *seq))
            .collect();
        if let Some((who, seq)) = refused {
            evidence.push(clue(Clue::Refused, &[&facts.name(who), facts.line(seq)], seq));
        }
        evidence.push(clue(Clue::Holds, &[&renewed[0].holder], renewed[0].seq));
        evidence.push(clue(Clue::Renews, &[&renewed[1].holder], renewed[1].seq));
        if let Some(w) = holds.windows(2).rev().find(|w| w[0].holder != w[1].holder) {
            evidence.push(clue(Clue::TakesOver, &[&w[1].holder, &w[0].holder], w[1].seq));
        }
        let at = lease.to_owned();
        return Some(Found { pattern: Pattern::LeaderElection, at, evidence });
    }
    None
}

/// Whether a request is about this Lease: by its path, or a new one by its body.
fn about(line: &str, lease: &str, body: &[u8]) -> bool {
    let Some((_, rest)) = line.split_once("/leases") else { return false };
    let rest = rest.split([' ', '?']).next().unwrap_or_default();
    match rest.strip_prefix('/') {
        Some(name) => name == lease,
        None => {
            let made: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
            made["metadata"]["name"] == lease
        }
    }
}
