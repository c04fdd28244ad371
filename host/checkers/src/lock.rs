//! A lock, or a leadership: one holder at a time, and a resource that knows whom to obey.

use std::collections::BTreeMap;

use crate::Violation;

/// A time during which somebody believed to hold the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belief {
    /// Who.
    pub holder: String,
    /// From when on, in ns.
    pub begin: u64,
    /// Until when.
    pub end: u64,
}

/// Whether no two different holders believed it at once. Touching ends are allowed.
///
/// # Errors
/// The first two that did.
pub fn exclusive(beliefs: &[Belief]) -> Result<(), Violation> {
    let mut order: Vec<usize> = (0..beliefs.len()).collect();
    order.sort_by_key(|i| (beliefs[*i].begin, beliefs[*i].end));
    // Of each holder, the belief that ends last so far; two holders are enough to compare with.
    let mut latest: BTreeMap<&str, usize> = BTreeMap::new();
    for i in order {
        let belief = &beliefs[i];
        for (holder, other) in &latest {
            if *holder != belief.holder && beliefs[*other].end > belief.begin {
                let (a, b) = (&beliefs[*other], belief);
                let what = format!(
                    "{} and {} both held it from {} ns to {} ns",
                    a.holder,
                    b.holder,
                    b.begin,
                    a.end.min(b.end)
                );
                return Err(Violation::new(what, vec![*other, i]));
            }
        }
        let last = latest.entry(&belief.holder).or_insert(i);
        if beliefs[*last].end < belief.end {
            *last = i;
        }
    }
    Ok(())
}

/// An effect on the resource that the lock protects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Who had it done.
    pub holder: String,
    /// The fencing token that came with it.
    pub token: u64,
    /// When the resource did it, in ns.
    pub at: u64,
    /// Whether the resource did it, or refused.
    pub accepted: bool,
}

/// Whether the resource never obeyed a token older than one it had seen, and whether each token
/// has one holder (Kleppmann, "How to do distributed locking", 2016).
///
/// # Errors
/// The first effect that should have been refused.
pub fn fenced(effects: &[Effect]) -> Result<(), Violation> {
    let mut order: Vec<usize> = (0..effects.len()).collect();
    order.sort_by_key(|i| effects[*i].at);
    let mut highest: Option<usize> = None;
    let mut holders: BTreeMap<u64, usize> = BTreeMap::new();
    for i in order {
        let effect = &effects[i];
        if !effect.accepted {
            continue;
        }
        if let Some(h) = highest
            && effects[h].token > effect.token
        {
            let what = format!(
                "the resource obeyed {} with token {} after it had obeyed {} with token {}",
                effect.holder, effect.token, effects[h].holder, effects[h].token
            );
            return Err(Violation::new(what, vec![h, i]));
        }
        let first = *holders.entry(effect.token).or_insert(i);
        if effects[first].holder != effect.holder {
            let what = format!(
                "token {} was used by {} and by {}",
                effect.token, effects[first].holder, effect.holder
            );
            return Err(Violation::new(what, vec![first, i]));
        }
        highest = Some(i);
    }
    Ok(())
}
