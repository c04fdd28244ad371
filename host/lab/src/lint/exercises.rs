//! Whether an exercise is one: its start fails the checks, its solution passes them.

use podlab_trace::Verdict;

use super::Finding;
use crate::exercise::{Exercise, Side};
use crate::pattern::Pattern;
use crate::report::Report;
use crate::run::Runner;

/// Runs the checks of `exercise` against one side, under one seed.
pub fn run(
    runner: &Runner,
    pattern: &Pattern,
    exercise: &Exercise,
    side: Side,
    seed: u64,
) -> Report {
    let overlaid = exercise.pattern(pattern, side);
    runner.run(&overlaid, &exercise.slug, &exercise.checks, seed).report
}

/// Runs both sides under the seeds 1 to `seeds`.
pub fn prove(runner: &Runner, pattern: &Pattern, exercise: &Exercise, seeds: u64) -> Vec<Finding> {
    let file = |path: &str| format!("{}/exercises/{}/{path}", pattern.file.name, exercise.slug);
    let mut found = Vec::new();
    for seed in 1..=seeds {
        let start = run(runner, pattern, exercise, Side::Start, seed);
        let failed: Vec<&str> = start
            .checks
            .iter()
            .filter(|c| c.verdict == Verdict::Fail)
            .map(|c| c.name.as_str())
            .collect();
        let fails = &exercise.file.fails;
        if failed.is_empty() && start.error.is_empty() {
            let message = format!(
                "the start must fail its checks, and with seed {seed} it passes: there is nothing to mend, or checks.yaml does not look"
            );
            found.push(Finding { file: file("start"), line: None, message });
        } else if !fails.is_empty() && !failed.iter().any(|f| fails.iter().any(|w| w == f)) {
            let message = format!(
                "fails: with seed {seed} the start must fail by one of {fails:?}, but it fails by {failed:?} {}",
                start.error
            );
            found.push(Finding { file: file("exercise.yaml"), line: None, message });
        }
        let solution = run(runner, pattern, exercise, Side::Solution, seed);
        if solution.verdict != Verdict::Pass {
            let why: Vec<String> = solution
                .checks
                .iter()
                .filter(|c| c.verdict != Verdict::Pass)
                .map(|c| format!("{}: expected {}, seen {}", c.name, c.expected, c.seen))
                .collect();
            let message = format!(
                "the solution must pass its checks, and with seed {seed} it does not: {} {}",
                why.join("; "),
                solution.error
            );
            found.push(Finding { file: file("solution"), line: None, message });
        }
        if !found.is_empty() {
            break;
        }
    }
    found
}
