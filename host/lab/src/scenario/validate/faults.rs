//! What breaks: targets of the right form, numbers in their bounds, budgets that can be spent.

use podlab_world::Fault;

use super::Mistake;
use crate::scenario::{Between, FaultBudget};

/// One fault of the step `step`.
pub(super) fn check(fault: &Fault, step: &str) -> Result<(), Mistake> {
    fault.check().map_err(|message| {
        let needle = fault.target().split(' ').next().unwrap_or_default().to_owned();
        (needle, format!("{step}.{}: {message}", fault.name()))
    })
}

/// A step `faults`.
pub(super) fn budget(faults: &FaultBudget) -> Result<(), Mistake> {
    bounds(faults).map_err(|message| ("faults".to_owned(), message))?;
    let drawn = faults.budget.iter().flat_map(|k| &k.any_of);
    for fault in drawn {
        check(fault, "faults.budget.anyOf")?;
    }
    for planned in &faults.plan {
        check(&planned.fault, "faults.plan")?;
        if planned.duration.is_some() && planned.fault.end().is_none() {
            let name = planned.fault.name();
            let message = format!("faults.plan: {name} happens once: it takes no `for`");
            return Err((name.into(), message));
        }
    }
    Ok(())
}

fn bounds(faults: &FaultBudget) -> Result<(), String> {
    if faults.from >= faults.until {
        return Err("faults.until must be later than faults.from".into());
    }
    if faults.budget.is_empty() && faults.plan.is_empty() {
        return Err("faults needs a budget or a plan".into());
    }
    for kind in &faults.budget {
        if kind.any_of.is_empty() {
            return Err("faults.budget.anyOf is empty: name the faults to choose from".into());
        }
        if !(kind.per_minute > 0.0 && kind.per_minute <= 6000.0) {
            return Err(format!(
                "faults.budget.perMinute is {}: it must be above 0 and at most 6000",
                kind.per_minute
            ));
        }
        if let Some(Between { min, max }) = kind.duration
            && min > max
        {
            return Err(format!("faults.budget.for: {min} is longer than {max}"));
        }
        let lasting = kind.any_of.iter().find(|f| f.end().is_some());
        if let (Some(fault), None) = (lasting, kind.duration) {
            return Err(format!(
                "faults.budget: {} lasts: say how long with `for: {{min: 1s, max: 5s}}`",
                fault.name()
            ));
        }
    }
    Ok(())
}
