//! Reports for people and for programs.

use std::collections::BTreeMap;
use std::process::ExitCode;

use podlab_lab::Report;
use podlab_lab::report::vacuous;
use podlab_lab::scenario::Span;
use podlab_trace::Verdict;
use podlab_world::Fault;

use super::junit::junit;
use super::runs::Ran;
use super::{Args, Format, html};
use crate::problem::{Done, Problem};

/// Prints what came of all runs, and says how the command ends: 0 if all passed, 1 if one
/// failed, else 2.
pub(super) fn report(ran: &[Ran], args: &Args, seconds: f64) -> Done {
    let reports: Vec<Report> = ran.iter().map(|r| r.report.clone()).collect();
    let count = |v| reports.iter().filter(|r| r.verdict == v).count();
    let (passed, failed) = (count(Verdict::Pass), count(Verdict::Fail));
    let unknown = count(Verdict::Unknown);
    let missed = vacuous(&reports);
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, n) in reports.iter().flat_map(|r| &r.faults) {
        *faults.entry(kind).or_default() += n;
    }
    if let Some(path) = &args.report {
        std::fs::write(path, html::page(ran, args, seconds)).map_err(|e| Problem::file(path, e))?;
    }
    match args.format {
        Format::Json => {
            let smallest: Vec<_> = ran.iter().filter_map(smallest).collect();
            let document = serde_json::json!({
                "passed": passed, "failed": failed, "unknown": unknown, "seconds": seconds,
                "vacuous": missed, "faults": faults, "smallest": smallest, "reports": reports,
            });
            println!("{document:#}");
        }
        Format::Junit => println!("{}", junit(&reports, &missed)),
        Format::Text => {
            print_text(ran, args);
            if !faults.is_empty() {
                let all: Vec<String> = faults.iter().map(|(k, n)| format!("{k} {n}")).collect();
                let none: Vec<&str> =
                    Fault::KINDS.iter().copied().filter(|k| !faults.contains_key(k)).collect();
                println!("faults: {}; never: {}", all.join(", "), none.join(", "));
            }
            recoveries(&reports);
            if let Some(path) = &args.report {
                println!("report: {}", path.display());
            }
            println!("in {seconds:.1} s");
            if unknown > 0 {
                println!("{unknown} unknown");
            }
            println!("{passed} passed, {failed} failed");
        }
    }
    Ok(match (failed, unknown + missed.len()) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(2),
        _ => ExitCode::from(1),
    })
}

/// What a failure was shrunk to, for programs.
fn smallest(ran: &Ran) -> Option<serde_json::Value> {
    let found = ran.smallest.as_ref()?;
    let s = &found.shrunk;
    Some(serde_json::json!({
        "pattern": s.report.pattern, "scenario": s.report.scenario, "seed": s.report.seed,
        "runs": s.runs, "faults": s.faults.1, "steps": s.steps.1, "yaml": s.yaml,
        "recording": found.recording,
    }))
}

/// The longest time that each scenario took to recover.
fn recoveries(reports: &[Report]) {
    let mut longest: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for r in reports {
        for recovery in &r.recoveries {
            let entry = longest.entry((&r.pattern, &r.scenario)).or_default();
            *entry = (*entry).max(recovery.took);
        }
    }
    for ((pattern, scenario), took) in longest {
        println!("recovery: {pattern}/{scenario} within {:.3} s", took as f64 / 1e9);
    }
}

/// A line for each scenario, and what there is to say about each run that did not pass.
fn print_text(ran: &[Ran], args: &Args) {
    let mut rest = ran;
    while let Some(Ran { report: first, .. }) = rest.first() {
        let same =
            |r: &&Ran| (&r.report.pattern, &r.report.scenario) == (&first.pattern, &first.scenario);
        let n = rest.iter().take_while(same).count();
        let (all, others) = rest.split_at(n);
        rest = others;
        let group: Vec<Report> = all.iter().map(|r| r.report.clone()).collect();
        let group = group.as_slice();
        let passed = group.iter().filter(|r| r.verdict == Verdict::Pass).count();
        let failed = group.iter().any(|r| r.verdict == Verdict::Fail);
        let missed = vacuous(group);
        let mark = match passed == n && missed.is_empty() {
            true => "ok  ",
            false if failed => "FAIL",
            false => "??  ",
        };
        println!("{mark} {}/{}  {passed} of {n} seeds", first.pattern, first.scenario);
        for (_, _, goal) in missed {
            println!(
                "     the goal {goal} was not reached under any of {n} seeds: what passed may have passed in vain"
            );
        }
        if args.show_options {
            group.iter().for_each(options);
        }
        for ran in all.iter().filter(|r| r.report.verdict != Verdict::Pass) {
            let report = &ran.report;
            println!("     seed {}:", report.seed);
            if !report.error.is_empty() {
                println!("       {}", report.error);
            }
            for check in report.checks.iter().filter(|c| c.verdict != Verdict::Pass && !c.goal) {
                let verdict = if check.verdict == Verdict::Fail { "failed" } else { "unknown" };
                println!("       {} {verdict}", check.name);
                println!("         expected: {}", check.expected);
                println!("         seen:     {}", check.seen);
                if check.event > 0 {
                    let at = podlab_trace::text::time(check.at);
                    println!("         at {at}, event {}", check.event);
                }
                let which = if check.event > 0 { "around it" } else { "the last events" };
                if !check.around.is_empty() {
                    println!("         {which}:");
                }
                for line in &check.around {
                    println!("           {}", shortened(line));
                }
            }
            if let Some(smallest) = &ran.smallest {
                let s = &smallest.shrunk;
                println!(
                    "       the smallest scenario that fails in the same way ({} of {} faults, {} of {} steps, found in {} runs):",
                    s.faults.1, s.faults.0, s.steps.1, s.steps.0, s.runs
                );
                for line in s.yaml.lines() {
                    println!("         {line}");
                }
            }
            for (what, command) in again(ran, args) {
                println!("       {what} {command}");
            }
        }
    }
}

/// Everything that was drawn from a seed, and what the world was made with.
fn options(report: &Report) {
    println!("     seed {} was:", report.seed);
    for (name, value) in &report.options {
        println!("       {name}: {value}");
    }
    for d in &report.decisions {
        println!("       at {} {}: {}", podlab_trace::text::time(d.at), d.stream, d.choice);
    }
}

/// A line that fits a terminal.
fn shortened(line: &str) -> String {
    if line.chars().count() <= 160 {
        return line.to_owned();
    }
    line.chars().take(159).chain(['…']).collect()
}

/// The commands that have this very run again, and show it.
pub(super) fn again(ran: &Ran, args: &Args) -> Vec<(&'static str, String)> {
    let report = &ran.report;
    let path = match args.path.as_slice() {
        [path] => path.display().to_string(),
        _ => report.pattern.clone(),
    };
    let images: Vec<String> =
        args.image.iter().map(|image| format!(" --image {}", quoted(image))).collect();
    let test = |scenario: &str| {
        format!(
            "podlab test {} --scenario {} --seed {}{}",
            quoted(&path),
            quoted(scenario),
            report.seed,
            images.concat()
        )
    };
    let scenario = args.scenario.as_deref().unwrap_or(&report.scenario);
    let mut out = vec![("again:   ", test(scenario))];
    let decided = report.checks.iter().filter(|c| c.verdict == Verdict::Fail && c.event > 0);
    let until = decided.map(|c| c.at).min().unwrap_or(report.virtual_nanos);
    let until = Span(std::time::Duration::from_nanos(until));
    out.push(("look:    ", format!("{} --until {until} --open", test(scenario))));
    let file = |path: &std::path::Path| quoted(&path.display().to_string());
    if let Some(recording) = &ran.recording {
        out.push(("replay:  ", format!("podlab replay {}", file(recording))));
    }
    if let Some(smallest) = ran.smallest.as_ref().and_then(|s| s.recording.as_ref()) {
        let yaml = smallest.with_extension("yaml");
        out.push(("smallest:", test(&yaml.display().to_string())));
        out.push(("replay:  ", format!("podlab replay {}", file(smallest))));
        out.push(("in page: ", format!("podlab up --recording {}", file(smallest))));
    }
    out
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("patterns/side-car"), "patterns/side-car");
        assert_eq!(quoted("my patterns"), "'my patterns'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(shortened(&"é".repeat(200)).chars().count(), 160);
    }
}
