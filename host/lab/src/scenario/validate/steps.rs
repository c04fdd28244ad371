//! What is done: names that are there, numbers in their bounds, an end that can be reached.

use std::time::Duration;

use super::{Mistake, Names, faults};
use crate::expression::Expression;
use crate::scenario::{Load, Profile, Scenario, Step};

/// A scenario that does more is refused: repeats within repeats multiply.
const MAX_STEPS: u64 = 100_000;

/// One step, without those inside it.
pub(super) fn check(step: &Step, names: &Names<'_>) -> Result<(), Mistake> {
    let wrong = |needle: &str, message: String| Err((needle.to_owned(), message));
    match step {
        Step::Load(load) => self::load(load),
        Step::Join(name) if !names.loads.contains(&name.as_str()) => wrong(
            name,
            format!("join names the load {name:?}, but there are only {:?}", names.loads),
        ),
        Step::Fault(fault) => faults::check(fault, "fault"),
        Step::FaultFor(f) => {
            if f.fault.end().is_none() {
                let message = format!(
                    "faultFor needs a fault that can end; {} happens once: write it under `fault`",
                    f.fault.name()
                );
                return wrong("faultFor", message);
            }
            faults::check(&f.fault, "faultFor")
        }
        Step::Faults(budget) => faults::budget(budget),
        Step::Repeat(r) if !(1..=10_000).contains(&r.times) => {
            wrong("times:", format!("repeat.times is {}: it must be from 1 to 10000", r.times))
        }
        Step::Repeat(r) if r.steps.is_empty() => {
            wrong("repeat", "repeat.steps is empty: say what is repeated".into())
        }
        Step::OneOf(o) if o.choices.is_empty() => wrong(&o.name, "oneOf.choices is empty".into()),
        Step::Patch(p) if !p.merge.is_object() => {
            let message =
                "patch.merge is an object: write for example `merge: {spec: {replicas: 2}}`";
            wrong("merge:", message.into())
        }
        Step::Wait(wait) => waits(&wait.until, "wait", names),
        Step::Recover(recover) => waits(&recover.until, "recover", names),
        _ => Ok(()),
    }
}

fn load(load: &Load) -> Result<(), Mistake> {
    if !(load.rate > 0.0 && load.rate <= 100_000.0) {
        let message = format!(
            "load.rate is {}: it must be above 0 and at most 100000 requests a second",
            load.rate
        );
        return Err(("rate:".into(), message));
    }
    let fits = load.profile.is_none_or(|p| match p {
        Profile::Ramp { to } => to > 0.0 && to <= 100_000.0,
        Profile::Burst { size } => (1..=10_000).contains(&size),
    });
    if !fits {
        let message = "load.profile: a ramp goes to a rate above 0, at most 100000; a burst has 1 to 10000 requests";
        return Err(("profile:".into(), message.into()));
    }
    Ok(())
}

fn waits(until: &Expression, step: &str, names: &Names<'_>) -> Result<(), Mistake> {
    let source = until.source();
    let needle = source.lines().next().unwrap_or(source).to_owned();
    if let Some(message) = names.unasked(until) {
        return Err((needle, format!("{step}.until: {message}")));
    }
    if until.asks_event() || until.asks_request() {
        let word = if until.asks_event() { "event" } else { "request" };
        let message = match word {
            "event" => format!("{step}.until: `event` is known only to checks with `on`"),
            _ => format!("{step}.until: `request` is known only in checkers' sources"),
        };
        return Err((needle, message));
    }
    Ok(())
}

/// Whether the steps can come to their end: there are not too many, and what they wait for in any
/// case does not take longer than the scenario may.
pub(super) fn bounded(scenario: &Scenario) -> Result<(), Mistake> {
    let (count, least) = sum(&scenario.steps);
    if count > MAX_STEPS {
        let message = format!("repeat: that makes {count} steps; at most {MAX_STEPS} are done");
        return Err(("repeat".into(), message));
    }
    if least >= scenario.timeout.0 {
        let message = format!(
            "timeout is {}, but the steps sleep for {least:?} at least: they never come to their end",
            scenario.timeout
        );
        return Err(("timeout:".into(), message));
    }
    Ok(())
}

/// How many steps there are once all are written out, at most, and how long they take at least.
fn sum(steps: &[Step]) -> (u64, Duration) {
    let (mut count, mut least) = (0_u64, Duration::ZERO);
    for step in steps {
        let (inner, time) = match step {
            Step::Sleep(span) => (0, span.0),
            Step::Repeat(r) => {
                let (n, time) = sum(&r.steps);
                (
                    n.saturating_mul(r.times.into()),
                    time.checked_mul(r.times).unwrap_or(Duration::MAX),
                )
            }
            Step::OneOf(o) => {
                let all: Vec<_> = o.choices.iter().map(|c| sum(c)).collect();
                let most = all.iter().map(|s| s.0).max().unwrap_or(0);
                (most, all.iter().map(|s| s.1).min().unwrap_or(Duration::ZERO))
            }
            _ => (0, Duration::ZERO),
        };
        count = count.saturating_add(inner).saturating_add(1);
        least = match step {
            // An instant, whatever was before it.
            Step::At(span) => least.max(span.0),
            _ => least.saturating_add(time),
        };
    }
    (count, least)
}
