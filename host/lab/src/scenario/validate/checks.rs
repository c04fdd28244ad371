//! What must hold: each check has one form, and speaks of what there is.

use std::collections::BTreeSet;

use super::{Mistake, Names};
use crate::expression::Expression;
use crate::scenario::Check;
use crate::vocabulary::meant;

/// All checks of a scenario.
pub(super) fn check(checks: &[Check], names: &Names<'_>) -> Result<(), Mistake> {
    let mut taken = BTreeSet::new();
    for check in checks {
        if !taken.insert(&check.name) {
            let message = format!("check {:?}: there is another one of this name", check.name);
            return Err((check.name.clone(), message));
        }
        one(check, names)
            .map_err(|m| (check.name.clone(), format!("check {:?}: {m}", check.name)))?;
    }
    if checks.is_empty() {
        let message = "checks: a scenario without checks proves nothing";
        return Err(("checks".into(), message.into()));
    }
    Ok(())
}

/// One check.
pub(super) fn one(check: &Check, names: &Names<'_>) -> Result<(), String> {
    let kinds = [&check.eventually, &check.always, &check.never, &check.finally, &check.sometimes];
    let forms = kinds.iter().filter(|k| k.is_some()).count()
        + usize::from(check.count.is_some())
        + usize::from(check.checker.is_some());
    if forms != 1 {
        return Err(
            "needs exactly one of eventually, always, never, finally, sometimes, count, checker"
                .into(),
        );
    }
    if let Some(count) = check.count {
        if check.on.is_none() {
            return Err("`count` counts events: say which ones with `on`".into());
        }
        if count.at_most.is_some_and(|most| most < count.at_least)
            || (count.at_least == 0 && count.at_most.is_none())
        {
            return Err(
                "`count` needs atLeast, atMost or both, and atLeast must not be more than atMost"
                    .into(),
            );
        }
    }
    if let Some(checker) = &check.checker {
        checker.check(&names.requests).map_err(|m| format!("checker.{}: {m}", checker.name()))?;
        if check.on.is_some() {
            return Err("a checker names its own events: it takes no `on`".into());
        }
    }
    let expressions = || kinds.into_iter().flatten();
    if expressions().chain(&check.on).any(Expression::asks_request) {
        return Err("`request` is known only in checkers' sources".into());
    }
    if check.finally.is_some() && (check.on.is_some() || check.within.is_some()) {
        return Err("`finally` looks once, at the end: it takes neither `on` nor `within`".into());
    }
    if let Some(message) = expressions().chain(&check.on).find_map(|e| names.unasked(e)) {
        return Err(message);
    }
    if check.on.is_none() && expressions().any(Expression::asks_event) {
        return Err("`event` is known only where `on` says which events: add `on`".into());
    }
    let marks = &names.marks;
    for mark in check.after.iter().chain(&check.until) {
        if !marks.contains(&mark.as_str()) {
            let meant = meant(mark, marks.iter().copied());
            return Err(format!("there is no mark {mark:?}{meant} The steps set {marks:?}"));
        }
    }
    Ok(())
}
