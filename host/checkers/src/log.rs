//! A log that was shipped: every line, exactly once, in the order of its source.

use std::collections::BTreeMap;

use crate::Violation;

/// How exactly lines must arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// No line arrives twice.
    pub once: bool,
    /// Lines of one source arrive in the order in which they were written.
    pub ordered: bool,
}

/// Whether all that `written` has is in `stored`. A line is a source and a text; lines of one
/// source that read the same are told apart by how many there are.
///
/// # Errors
/// The first line that is missing, too many, out of order, or from nowhere. Positions are those of
/// `written` for a line that is missing, of `stored` for all else.
pub fn check(
    written: &[(String, String)],
    stored: &[(String, String)],
    promise: Promise,
) -> Result<(), Violation> {
    let mut positions: BTreeMap<&(String, String), Vec<usize>> = BTreeMap::new();
    for (i, line) in written.iter().enumerate() {
        positions.entry(line).or_default().push(i);
    }
    let mut used: BTreeMap<&(String, String), usize> = BTreeMap::new();
    let mut last: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (i, line) in stored.iter().enumerate() {
        let (source, text) = line;
        let Some(places) = positions.get(line) else {
            let what = format!("{source}: the line {text:?} was stored but never written");
            return Err(Violation::new(what, vec![i]));
        };
        let n = used.entry(line).or_insert(0);
        let Some(place) = places.get(*n) else {
            if promise.once {
                let what = format!("{source}: the line {text:?} was stored {} times", *n + 1);
                return Err(Violation::new(what, vec![i]));
            }
            continue;
        };
        *n += 1;
        if promise.ordered
            && let Some((before, at)) = last.get(source.as_str())
            && before > place
        {
            let what = format!(
                "{source}: the line {text:?} was stored after {:?}, which was written later",
                written[*before].1
            );
            return Err(Violation::new(what, vec![*at, i]));
        }
        last.insert(source, (*place, i));
    }
    for (line, places) in &positions {
        let there = used.get(line).copied().unwrap_or(0);
        if let Some(missing) = places.get(there) {
            let what = format!("{}: the line {:?} was lost", line.0, line.1);
            return Err(Violation::new(what, vec![*missing]));
        }
    }
    Ok(())
}
