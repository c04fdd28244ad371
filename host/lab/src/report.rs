//! What came of a scenario under one seed.

use std::collections::BTreeMap;

use podlab_trace::Verdict;
use serde::Serialize;

use crate::check::CheckResult;

/// What came of a scenario under one seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The pattern.
    pub pattern: String,
    /// The scenario: its file's name without the ending.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// Fail if any check failed, else unknown if any is unknown, else pass.
    pub verdict: Verdict,
    /// The checks.
    pub checks: Vec<CheckResult>,
    /// Why the scenario did not come to its end, or empty.
    pub error: String,
    /// BLAKE3 of the trace, hex.
    pub digest: String,
    /// How many events the trace has.
    pub events: u64,
    /// How long it ran, in ns of virtual time.
    pub virtual_nanos: u64,
    /// How often each kind of fault began.
    pub faults: BTreeMap<String, u64>,
    /// What was drawn from the seed by the scenario itself, in order.
    pub decisions: Vec<Decision>,
    /// How long each `recover` step took.
    pub recoveries: Vec<Recovery>,
    /// What the world was made with.
    pub options: BTreeMap<String, String>,
}

/// A choice that the scenario left to the seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// When it takes effect, in ns.
    pub at: u64,
    /// The random stream it was drawn from.
    pub stream: String,
    /// What was chosen.
    pub choice: String,
}

/// How long it took until all was well again.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// What had to hold.
    pub until: String,
    /// When everything was mended, in ns.
    pub at: u64,
    /// How long it took from there, in ns.
    pub took: u64,
}

/// The goals (`sometimes`) that no run of a scenario reached, as pattern, scenario and check:
/// what passed may have passed in vain.
pub fn vacuous(reports: &[Report]) -> Vec<(String, String, String)> {
    let mut goals: BTreeMap<(&str, &str, &str), bool> = BTreeMap::new();
    for report in reports {
        for check in report.checks.iter().filter(|c| c.goal) {
            let key = (report.pattern.as_str(), report.scenario.as_str(), check.name.as_str());
            *goals.entry(key).or_default() |= check.verdict == Verdict::Pass;
        }
    }
    let missed = goals.into_iter().filter(|(_, reached)| !reached);
    missed.map(|((p, s, c), _)| (p.to_owned(), s.to_owned(), c.to_owned())).collect()
}

impl Report {
    /// The verdict that follows from checks and error.
    pub fn judge(checks: &[CheckResult], error: &str) -> Verdict {
        let any = |v| checks.iter().any(|c| c.verdict == v && !(c.goal && v == Verdict::Unknown));
        if any(Verdict::Fail) || !error.is_empty() {
            Verdict::Fail
        } else if any(Verdict::Unknown) {
            Verdict::Unknown
        } else {
            Verdict::Pass
        }
    }
}
