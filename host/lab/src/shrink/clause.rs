//! What it means to fail in the same way.

use podlab_trace::Verdict;

use super::{anything, written_out};
use crate::report::Report;
use crate::scenario::{Check, Scenario, Step};

/// What failed: a check, or a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// The check's name, or empty.
    check: String,
    /// What the error begins with, or empty.
    error: String,
    /// The requests that the check speaks of by name: fewer of them might be another failure.
    requests: Vec<String>,
}

impl Clause {
    /// What failed in a run of `scenario`; nothing if nothing did.
    pub fn of(report: &Report, scenario: &Scenario) -> Option<Clause> {
        if report.verdict != Verdict::Fail {
            return None;
        }
        if !report.error.is_empty() {
            let error = beginning(&report.error).to_owned();
            return Some(Clause { check: String::new(), error, requests: Vec::new() });
        }
        // The one that was decided first: the run ended there.
        let failed = report.checks.iter().filter(|c| c.verdict == Verdict::Fail);
        let first = failed.min_by_key(|c| c.at)?;
        let check = scenario.checks.iter().find(|c| c.name == first.name)?;
        let requests = expressions(check)
            .flat_map(|e| e.arguments(&["requests", "last"]).map(str::to_owned).collect::<Vec<_>>())
            .collect();
        Some(Clause { check: first.name.clone(), error: String::new(), requests })
    }

    /// Whether a run failed in this way.
    pub fn is(&self, report: &Report) -> bool {
        if report.verdict != Verdict::Fail {
            return false;
        }
        match self.check.is_empty() {
            true => beginning(&report.error) == self.error,
            false => {
                report.error.is_empty()
                    && report
                        .checks
                        .iter()
                        .any(|c| c.name == self.check && c.verdict == Verdict::Fail)
            }
        }
    }

    /// The requests that must stay as they are.
    pub fn requests(&self) -> &[String] {
        &self.requests
    }

    /// The steps that were done, with this clause as the only check.
    pub(super) fn alone(&self, scenario: &Scenario, script: &[Step]) -> Scenario {
        let mut out = written_out(scenario, script);
        let reached =
            |mark: &String| out.steps.iter().any(|s| matches!(s, Step::Mark(m) if m == mark));
        let mut checks: Vec<Check> =
            scenario.checks.iter().filter(|c| c.name == self.check).cloned().collect();
        for check in &mut checks {
            // A window that was still open has no end.
            check.until = check.until.take().filter(reached);
        }
        if checks.is_empty() {
            checks.push(anything());
        }
        let wanted: Vec<String> =
            checks.iter().flat_map(|c| c.after.iter().chain(&c.until).cloned()).collect();
        out.steps.retain(|s| !matches!(s, Step::Mark(m) if !wanted.contains(m)));
        out.checks = checks;
        out
    }
}

fn expressions(check: &Check) -> impl Iterator<Item = &crate::expression::Expression> {
    [&check.eventually, &check.always, &check.never, &check.finally, &check.sometimes, &check.on]
        .into_iter()
        .flatten()
}

/// An error without the instants, counts and values in it.
fn beginning(error: &str) -> &str {
    let ends = [" did not ", " at ", " was mended "].iter().filter_map(|e| error.find(e));
    // A recovery names what did not come to hold after the instant.
    match (error.starts_with("recover:"), ends.min()) {
        (true, _) => "recover:",
        (false, Some(end)) => &error[..end],
        (false, None) => error,
    }
}
