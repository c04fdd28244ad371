//! What came of a scenario under one seed.

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
}

impl Report {
    /// The verdict that follows from checks and error.
    pub fn judge(checks: &[CheckResult], error: &str) -> Verdict {
        let any = |v| checks.iter().any(|c| c.verdict == v);
        if any(Verdict::Fail) || !error.is_empty() {
            Verdict::Fail
        } else if any(Verdict::Unknown) {
            Verdict::Unknown
        } else {
            Verdict::Pass
        }
    }
}
