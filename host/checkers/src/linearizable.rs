//! Linearizability of a register with read, write and compare-and-swap
//! (Herlihy and Wing, 1990), by the search of Wing and Gong with Lowe's memory of what was tried.
//!
//! A history is linearizable if every operation can be given one instant between its beginning and
//! its end at which it took effect, such that the register behaves correctly. An operation whose
//! outcome is not known (a time-out, a cut connection) may have taken effect at any later instant,
//! or never.
//!
//! The search is exponential in the number of simultaneous operations, so histories are split by
//! key, and it gives up after [`Limits::states`] states: then the answer is "unknown".

use std::collections::{BTreeMap, BTreeSet};

use crate::{Outcome, Violation};

/// What was asked of the register, and what was answered. `None` is the value of a register that
/// was never written, or was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read this.
    Read(Option<String>),
    /// Wrote this.
    Write(Option<String>),
    /// Asked to replace the first by the second; whether it was done.
    Swap(Option<String>, Option<String>, bool),
}

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// On which register.
    pub key: String,
    /// What.
    pub action: Action,
    /// When it was asked, in ns.
    pub begin: u64,
    /// When it was answered; `None` if nobody knows what became of it. A read without an answer
    /// says nothing and is left out.
    pub end: Option<u64>,
}

/// How hard to search.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many states are looked at for each key.
    pub states: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { states: 2_000_000 }
    }
}

/// Whether every key's operations are those of a register that begins with `initial`.
pub fn register(history: &[Operation], initial: Option<&str>, limits: Limits) -> Outcome {
    let mut by_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, operation) in history.iter().enumerate() {
        by_key.entry(&operation.key).or_default().push(i);
    }
    let mut unknown = None;
    for (key, operations) in by_key {
        match one(history, operations, initial, limits) {
            Outcome::Holds => {}
            Outcome::Broken(mut violation) => {
                if !key.is_empty() {
                    violation.what = format!("key {key:?}: {}", violation.what);
                }
                return Outcome::Broken(violation);
            }
            Outcome::Unknown(why) => unknown = Some(format!("key {key:?}: {why}")),
        }
    }
    unknown.map_or(Outcome::Holds, Outcome::Unknown)
}

/// Values as small numbers: 0 is "nothing".
struct Values(BTreeMap<String, u32>);

impl Values {
    fn number(&mut self, value: Option<&str>) -> u32 {
        let Some(value) = value else { return 0 };
        let next = u32::try_from(self.0.len() + 1).expect("fewer values than operations");
        *self.0.entry(value.to_owned()).or_insert(next)
    }

    fn text(&self, number: u32) -> String {
        let found = self.0.iter().find(|(_, n)| **n == number);
        found.map_or_else(|| "nothing".into(), |(value, _)| format!("{value:?}"))
    }
}

#[derive(Clone, Copy)]
enum Step {
    Read(u32),
    Write(u32),
    Swap(u32, u32, bool),
    /// A swap of which nobody knows whether it was done.
    Perhaps(u32, u32),
}

impl Step {
    /// The register after this, if it can happen to a register that holds `value`.
    fn apply(self, value: u32) -> Option<u32> {
        match self {
            Step::Read(v) => (v == value).then_some(value),
            Step::Write(v) => Some(v),
            Step::Swap(old, new, true) => (old == value).then_some(new),
            Step::Swap(old, _, false) => (old != value).then_some(value),
            Step::Perhaps(old, new) => Some(if old == value { new } else { value }),
        }
    }
}

/// Where the search is: which operations have taken effect, and what the register holds.
type State = (Vec<u64>, u32);

fn one(
    history: &[Operation],
    mut operations: Vec<usize>,
    initial: Option<&str>,
    limits: Limits,
) -> Outcome {
    operations
        .retain(|i| !matches!((&history[*i].action, history[*i].end), (Action::Read(_), None)));
    operations.sort_by_key(|i| history[*i].begin);
    let mut values = Values(BTreeMap::new());
    let first = values.number(initial);
    let steps: Vec<Step> = operations
        .iter()
        .map(|i| {
            let known = history[*i].end.is_some();
            match &history[*i].action {
                Action::Read(v) => Step::Read(values.number(v.as_deref())),
                Action::Write(v) => Step::Write(values.number(v.as_deref())),
                Action::Swap(old, new, done) => {
                    let (old, new) = (values.number(old.as_deref()), values.number(new.as_deref()));
                    if known { Step::Swap(old, new, *done) } else { Step::Perhaps(old, new) }
                }
            }
        })
        .collect();
    let begin: Vec<u64> = operations.iter().map(|i| history[*i].begin).collect();
    let end: Vec<u64> = operations.iter().map(|i| history[*i].end.unwrap_or(u64::MAX)).collect();
    let must = end.iter().filter(|e| **e != u64::MAX).count();

    let words = operations.len().div_ceil(64).max(1);
    let mut seen: BTreeSet<State> = BTreeSet::new();
    let mut stack: Vec<(State, usize)> = vec![((vec![0; words], first), 0)];
    let mut best: (usize, State) = (0, (vec![0; words], first));
    while let Some((state, done)) = stack.pop() {
        if done == must {
            return Outcome::Holds;
        }
        if !seen.insert(state.clone()) {
            continue;
        }
        if seen.len() > limits.states {
            return Outcome::Unknown(format!(
                "{} operations are too many at once to tell ({} orders were tried)",
                operations.len(),
                limits.states
            ));
        }
        if done > best.0 {
            best = (done, state.clone());
        }
        let (taken, value) = &state;
        let is_taken = |n: usize| taken[n / 64] >> (n % 64) & 1 == 1;
        // Only what began before the earliest end among the rest can be next.
        let earliest =
            (0..steps.len()).filter(|n| !is_taken(*n)).map(|n| end[n]).min().unwrap_or(u64::MAX);
        for n in (0..steps.len()).rev() {
            if is_taken(n) || begin[n] > earliest {
                continue;
            }
            if let Some(after) = steps[n].apply(*value) {
                let mut taken = taken.clone();
                taken[n / 64] |= 1 << (n % 64);
                stack.push(((taken, after), done + usize::from(end[n] != u64::MAX)));
            }
        }
    }
    // The longest order that was possible tells most: what could come next does not fit.
    let (_, (taken, value)) = best;
    let rest = (0..steps.len()).filter(|n| taken[n / 64] >> (n % 64) & 1 == 0);
    let stuck = rest.min_by_key(|n| end[*n]).expect("something is left, or it would hold");
    let i = operations[stuck];
    let what = match &history[i].action {
        Action::Read(_) => format!(
            "a read at {} answered {}, but after all that came before it there was {}",
            seconds(history[i].begin),
            match steps[stuck] {
                Step::Read(v) => values.text(v),
                _ => unreachable!("a read is a read"),
            },
            values.text(value)
        ),
        Action::Write(_) => format!("a write at {} fits nowhere", seconds(history[i].begin)),
        Action::Swap(old, new, done) => format!(
            "a swap at {} from {old:?} to {new:?} was {}, but after all that came before it there was {}",
            seconds(history[i].begin),
            if *done { "done" } else { "refused" },
            values.text(value)
        ),
    };
    let mut shown = vec![i];
    // The last operation that took effect before is the other half of the contradiction.
    let before = (0..steps.len())
        .filter(|n| taken[n / 64] >> (n % 64) & 1 == 1 && !matches!(steps[*n], Step::Read(_)))
        .max_by_key(|n| begin[*n]);
    shown.extend(before.map(|n| operations[n]));
    Outcome::Broken(Violation::new(what, shown))
}

fn seconds(ns: u64) -> String {
    format!("{}.{:06}s", ns / 1_000_000_000, ns % 1_000_000_000 / 1000)
}
