//! From a failing run to the smallest scenario that still fails in the same way.
//!
//! First the run is written out: the steps that were done, in their order, without repeats and
//! choices and with the faults that were drawn. Then faults are left out, then steps, then load,
//! time and nodes are halved; what to leave out is chosen by ddmin (Zeller and Hildebrandt,
//! "Simplifying and Isolating Failure-Inducing Input", 2002). Every attempt is one run under the
//! same seed, and there are never more than a given number of them.
//!
//! A scenario can be made to fail by cutting away what it needs, which would be another failure
//! under the same name. So each cut that is no fault is tried without the faults as well: there it
//! must not fail, if the whole scenario did not.
//!
//! # Layout
//! - `parts`: what can be left out; `clause`: what it means to fail in the same way

use std::collections::BTreeMap;

use crate::report::Report;
use crate::scenario::{Check, Scenario, Step, read_yaml};

mod clause;
mod parts;

pub use clause::Clause;
use parts::{Part, faults, halved, others, without};

/// How many runs shrinking takes at most, unless told otherwise; and, as a run that passes may be
/// longer than the one that failed, as many times the events of that one.
pub const RUNS: u32 = 30;

/// What is left of a failure.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest scenario found that fails in the same way.
    pub scenario: Scenario,
    /// It as a file.
    pub yaml: String,
    /// Its report.
    pub report: Report,
    /// How many runs it took.
    pub runs: u32,
    /// How many faults there were, and how many are left.
    pub faults: (usize, usize),
    /// How many steps there were, and how many are left.
    pub steps: (usize, usize),
}

/// Makes `scenario` smaller, which ended as `report` says after the steps of `script` were done.
/// `run` runs a scenario under the same seed; it is called at most `limit` times, and no more once
/// its runs had `limit` times the events of the one that failed. Gives nothing back if the run did not fail, or does not fail again when it is written out.
pub fn shrink(
    scenario: &Scenario,
    report: &Report,
    script: &[Step],
    limit: u32,
    run: impl FnMut(&Scenario) -> Report,
) -> Option<Shrunk> {
    let clause = Clause::of(report, scenario)?;
    let whole = clause.alone(scenario, script);
    let mut search = Search {
        clause,
        run,
        limit,
        runs: 0,
        events: report.events.saturating_mul(limit.into()),
        dearest: 0,
        tried: BTreeMap::new(),
        control: false,
        best: None,
    };
    search.attempt(&whole)?;
    let at_first = search.candidate().clone();
    search.faults();
    search.others();
    search.smaller();
    let Search { best, runs, .. } = search;
    let (scenario, yaml, report) = best?;
    let count = |s: &Scenario| (faults(s).len(), s.steps.len());
    let (before, after) = (count(&at_first), count(&scenario));
    let (faults, steps) = ((before.0, after.0), (before.1, after.1));
    Some(Shrunk { scenario, yaml, report, runs, faults, steps })
}

struct Search<R> {
    clause: Clause,
    run: R,
    limit: u32,
    runs: u32,
    /// How many events runs may still have, and the most that one of them had.
    events: u64,
    dearest: u64,
    /// What was tried already, and whether it failed in the same way.
    tried: BTreeMap<String, bool>,
    /// Whether the scenario passes without its faults, so that cuts can be held against that.
    control: bool,
    best: Option<(Scenario, String, Report)>,
}

impl<R: FnMut(&Scenario) -> Report> Search<R> {
    fn candidate(&self) -> &Scenario {
        &self.best.as_ref().expect("the first attempt failed as it should").0
    }

    /// Whether `candidate` fails in the same way, if that can still be found out. What was run is
    /// what is printed: the file, read again.
    fn fails(&mut self, candidate: &Scenario) -> Option<(Scenario, String, Report)> {
        let yaml = candidate.to_yaml().ok()?;
        let dear = self.runs > 0 && self.dearest > self.events;
        if self.tried.contains_key(&yaml) || self.runs >= self.limit || dear {
            return None;
        }
        let read = Scenario::parse(&candidate.file, &yaml).ok()?;
        self.runs += 1;
        let report = (self.run)(&read);
        self.events = self.events.saturating_sub(report.events);
        self.dearest = self.dearest.max(report.events);
        let same = self.clause.is(&report);
        self.tried.insert(yaml.clone(), same);
        same.then_some((read, yaml, report))
    }

    /// Takes `candidate` if it fails in the same way.
    fn attempt(&mut self, candidate: &Scenario) -> Option<()> {
        self.best = Some(self.fails(candidate)?);
        Some(())
    }

    /// The same, but only if it would not fail without its faults.
    fn attempt_held(&mut self, candidate: &Scenario) -> Option<()> {
        // Both runs or none: an answer without its control says nothing.
        if self.control && self.runs + 2 > self.limit {
            return None;
        }
        let found = self.fails(candidate)?;
        if self.control {
            let bare = without(&found.0, &faults(&found.0));
            let yaml = bare.to_yaml().ok()?;
            let fails = match self.tried.get(&yaml) {
                Some(fails) => *fails,
                None => self.fails(&bare).is_some(),
            };
            if fails || !self.tried.contains_key(&yaml) {
                return None;
            }
        }
        self.best = Some(found);
        Some(())
    }

    /// Fewer faults: none at all, if that fails as well, else as few as possible.
    fn faults(&mut self) {
        let all = faults(self.candidate());
        if all.is_empty() {
            return;
        }
        let bare = without(self.candidate(), &all);
        if self.attempt(&bare).is_some() {
            return;
        }
        self.control = bare.to_yaml().is_ok_and(|y| self.tried.get(&y) == Some(&false));
        self.ddmin(&all, Self::attempt);
    }

    /// Fewer steps.
    fn others(&mut self) {
        let kept = self.clause.requests().to_vec();
        // Without a scenario that passes nothing tells a cut that is too deep from the failure.
        let careful = !self.control;
        let all = others(self.candidate(), &kept, careful);
        self.ddmin(&all, Self::attempt_held);
    }

    /// Leaves out as many of `parts` of the best candidate as `attempt` lets pass.
    fn ddmin(&mut self, parts: &[Part], attempt: fn(&mut Self, &Scenario) -> Option<()>) {
        let whole = self.candidate().clone();
        let mut parts = parts.to_vec();
        let mut gone: Vec<Part> = Vec::new();
        let mut pieces = 2;
        while !parts.is_empty() && self.runs < self.limit && self.dearest <= self.events {
            let size = parts.len().div_ceil(pieces);
            let cut = parts.chunks(size).find_map(|chunk| {
                let left_out: Vec<Part> = gone.iter().chain(chunk).cloned().collect();
                attempt(self, &without(&whole, &left_out))?;
                Some(left_out)
            });
            match cut {
                Some(left_out) => {
                    parts.retain(|p| !left_out.contains(p));
                    gone = left_out;
                    pieces = (pieces - 1).max(2);
                }
                None if size == 1 => return,
                None => pieces = (pieces * 2).min(parts.len()),
            }
        }
    }

    /// Less load, less time, fewer nodes: half as much as long as that goes.
    fn smaller(&mut self) {
        let kept = self.clause.requests().to_vec();
        let careful = !self.control;
        for measure in parts::MEASURES {
            while let Some(less) = halved(self.candidate(), measure, &kept, careful) {
                if self.attempt_held(&less).is_none() {
                    break;
                }
            }
        }
    }
}

/// The steps that were done, as a scenario of their own: what a decision log is for. It fails as
/// the run did even after the way in which seeds are drawn from has changed. Checks of what was not
/// done are left out.
pub fn written_out(scenario: &Scenario, script: &[Step]) -> Scenario {
    let mut out = Scenario { steps: script.to_vec(), ..scenario.clone() };
    out.drop_checks_of_what_is_not_done();
    if out.checks.is_empty() {
        out.checks.push(anything());
    }
    out
}

/// A check that always holds, for scenarios whose steps fail.
fn anything() -> Check {
    let yaml = "name: comes-to-its-end\nfinally: \"true\"\n";
    read_yaml("checks", yaml).expect("this text is a check")
}

#[cfg(test)]
mod tests;
