//! What can be left out of a scenario, and what can be made less.

use std::time::Duration;

use podlab_world::Fault;

use crate::scenario::{Scenario, Span, Step};

/// Something that is left out as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Steps, by their number: a fault and what ends it, a load and whoever waits for it.
    Steps(Vec<usize>),
    /// A fault of the plan of a step.
    Planned(usize, usize),
}

/// The faults.
pub(super) fn faults(scenario: &Scenario) -> Vec<Part> {
    let mut out = Vec::new();
    let mut ends: Vec<usize> = Vec::new();
    for (n, step) in scenario.steps.iter().enumerate() {
        match step {
            Step::Fault(fault) if !ends.contains(&n) => {
                let mut part = vec![n];
                if let Some(end) = ended(&scenario.steps, n, fault) {
                    ends.push(end);
                    part.push(end);
                }
                out.push(Part::Steps(part));
            }
            Step::FaultFor(_) => out.push(Part::Steps(vec![n])),
            Step::Faults(f) => out.extend((0..f.plan.len()).map(|k| Part::Planned(n, k))),
            _ => {}
        }
    }
    out
}

/// The step that ends the fault of step `from`.
fn ended(steps: &[Step], from: usize, fault: &Fault) -> Option<usize> {
    let end = fault.end().filter(|_| fault.begins())?;
    let later = steps.iter().enumerate().skip(from + 1);
    later.filter(|(_, s)| matches!(s, Step::Fault(f) if *f == end)).map(|(n, _)| n).next()
}

/// Everything else that does something: waits stay, since what follows them relies on them, and so
/// do the requests called `kept`. Careful means: time that passes stays as well.
pub(super) fn others(scenario: &Scenario, kept: &[String], careful: bool) -> Vec<Part> {
    let steps = &scenario.steps;
    let mut out = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        match step {
            Step::Load(load) if !kept.contains(&load.request.name) => {
                let name = &load.request.name;
                let joins = steps.iter().enumerate();
                let joins = joins.filter(|(_, s)| matches!(s, Step::Join(j) if j == name));
                out.push(Part::Steps([n].into_iter().chain(joins.map(|(n, _)| n)).collect()));
            }
            Step::Request(r) if !kept.contains(&r.name) => out.push(Part::Steps(vec![n])),
            Step::Tcp(r) if !kept.contains(&r.name) => out.push(Part::Steps(vec![n])),
            Step::Sleep(_) if !careful => out.push(Part::Steps(vec![n])),
            Step::Patch(_) | Step::Scale(_) | Step::Delete(_) => out.push(Part::Steps(vec![n])),
            _ => {}
        }
    }
    // The last ones first: what comes late matters least to what follows.
    out.reverse();
    out
}

/// `scenario` without `parts`.
pub(super) fn without(scenario: &Scenario, parts: &[Part]) -> Scenario {
    let mut out = scenario.clone();
    out.steps.clear();
    for (n, step) in scenario.steps.iter().enumerate() {
        if parts.iter().any(|p| matches!(p, Part::Steps(all) if all.contains(&n))) {
            continue;
        }
        let mut step = step.clone();
        if let Step::Faults(f) = &mut step {
            let mut k = 0;
            f.plan.retain(|_| {
                k += 1;
                !parts.contains(&Part::Planned(n, k - 1))
            });
            if f.plan.is_empty() {
                continue;
            }
        }
        out.steps.push(step);
    }
    out
}

/// What can be halved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// When the faults of a plan begin, and how long they last.
    Plan,
    /// How long loads last.
    Load,
    /// How long the scenario sleeps.
    Sleep,
    /// How many nodes there are.
    Nodes,
}

/// In the order in which they are halved.
pub(super) const MEASURES: [Measure; 4] =
    [Measure::Plan, Measure::Load, Measure::Sleep, Measure::Nodes];

/// `scenario` with half of a measure, unless there is little of it already.
pub(super) fn halved(
    scenario: &Scenario,
    measure: Measure,
    kept: &[String],
    careful: bool,
) -> Option<Scenario> {
    let mut out = scenario.clone();
    let mut any = false;
    let mut half = |span: &mut Span, least: Duration| {
        let less = Duration::from_millis(span.0.as_millis() as u64 / 2);
        if less >= least {
            *span = Span(less);
            any = true;
        }
    };
    match measure {
        Measure::Plan => {
            for step in &mut out.steps {
                let Step::Faults(f) = step else { continue };
                for planned in &mut f.plan {
                    half(&mut planned.at, Duration::from_millis(100));
                    if let Some(lasts) = &mut planned.duration {
                        half(lasts, Duration::from_millis(100));
                    }
                }
                // All of it lies within the step's time, as before.
                let last = f.plan.iter().map(|p| p.at.0).max().unwrap_or_default();
                f.until = Span(last + Duration::from_millis(1)).min(f.until);
                f.from = Span::default();
            }
        }
        Measure::Load => {
            for step in &mut out.steps {
                if let Step::Load(load) = step
                    && !kept.contains(&load.request.name)
                {
                    half(&mut load.duration, Duration::from_millis(100));
                }
            }
        }
        Measure::Sleep if careful => return None,
        Measure::Sleep => {
            for step in &mut out.steps {
                if let Step::Sleep(span) = step {
                    half(span, Duration::from_millis(100));
                }
            }
        }
        Measure::Nodes => {
            let less = out.world.nodes / 2;
            any = less >= 1;
            out.world.nodes = less.max(1);
        }
    }
    any.then_some(out)
}
