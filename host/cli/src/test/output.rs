//! Reports: for people, for programs, for CI servers.

use std::collections::BTreeMap;
use std::process::ExitCode;

use podlab_lab::Report;
use podlab_lab::report::vacuous;
use podlab_trace::Verdict;

use super::{Args, Format};

/// Prints what came of all runs, and says how the command ends: 0 if all passed, 1 if one
/// failed, else 2.
pub(super) fn report(reports: &[Report], args: &Args, seconds: f64) -> ExitCode {
    let count = |v| reports.iter().filter(|r| r.verdict == v).count();
    let (passed, failed) = (count(Verdict::Pass), count(Verdict::Fail));
    let unknown = count(Verdict::Unknown);
    let missed = vacuous(reports);
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, n) in reports.iter().flat_map(|r| &r.faults) {
        *faults.entry(kind).or_default() += n;
    }
    match args.format {
        Format::Json => {
            let document = serde_json::json!({
                "passed": passed, "failed": failed, "unknown": unknown, "seconds": seconds,
                "vacuous": missed, "faults": faults, "reports": reports,
            });
            println!("{document:#}");
        }
        Format::Junit => println!("{}", junit(reports, &missed)),
        Format::Text => {
            print_text(reports, args);
            if !faults.is_empty() {
                let all: Vec<String> = faults.iter().map(|(k, n)| format!("{k} {n}")).collect();
                println!("faults: {}", all.join(", "));
            }
            println!("in {seconds:.1} s");
            if unknown > 0 {
                println!("{unknown} unknown");
            }
            println!("{passed} passed, {failed} failed");
        }
    }
    match (failed, unknown + missed.len()) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(2),
        _ => ExitCode::from(1),
    }
}

/// JUnit's XML as CI servers read it: a suite for each scenario, a case for each seed.
fn junit(reports: &[Report], missed: &[(String, String, String)]) -> String {
    let mut suites: BTreeMap<(&str, &str), Vec<&Report>> = BTreeMap::new();
    for report in reports {
        suites.entry((&report.pattern, &report.scenario)).or_default().push(report);
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for ((pattern, scenario), group) in suites {
        let count = |v| group.iter().filter(|r| r.verdict == v).count();
        let goals: Vec<&str> = missed
            .iter()
            .filter(|(p, s, _)| p == pattern && s == scenario)
            .map(|(.., goal)| goal.as_str())
            .collect();
        out += &format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">\n",
            xml(&format!("{pattern}/{scenario}")),
            group.len() + goals.len(),
            count(Verdict::Fail),
            count(Verdict::Unknown) + goals.len(),
        );
        for report in group {
            out += &format!(
                "    <testcase classname=\"{}.{}\" name=\"seed {}\" time=\"{:.3}\"",
                xml(pattern),
                xml(scenario),
                report.seed,
                report.virtual_nanos as f64 / 1e9
            );
            if report.verdict == Verdict::Pass {
                out += "/>\n";
                continue;
            }
            let mut lines = vec![report.error.clone()];
            for c in report.checks.iter().filter(|c| c.verdict != Verdict::Pass && !c.goal) {
                lines.push(format!("{}: expected {}; seen: {}", c.name, c.expected, c.seen));
                lines.extend(c.around.iter().cloned());
            }
            lines.retain(|l| !l.is_empty());
            let (what, text) = (lines.first().cloned().unwrap_or_default(), lines.join("\n"));
            let tag = if report.verdict == Verdict::Fail { "failure" } else { "skipped" };
            out += &format!(
                ">\n      <{tag} message=\"{}\">{}</{tag}>\n    </testcase>\n",
                xml(&what),
                xml(&text)
            );
        }
        for goal in goals {
            out += &format!(
                "    <testcase classname=\"{}.{}\" name=\"goal {}\"><skipped message=\"not reached under any seed\"/></testcase>\n",
                xml(pattern),
                xml(scenario),
                xml(goal)
            );
        }
        out += "  </testsuite>\n";
    }
    out + "</testsuites>"
}

/// As text and attribute values of XML 1.0 take it; what XML cannot hold is left out.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(c),
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

/// A line for each scenario, and what there is to say about each run that did not pass.
fn print_text(reports: &[Report], args: &Args) {
    let mut rest = reports;
    while let Some(first) = rest.first() {
        let same = |r: &&Report| (&r.pattern, &r.scenario) == (&first.pattern, &first.scenario);
        let n = rest.iter().take_while(same).count();
        let (group, others) = rest.split_at(n);
        rest = others;
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
        for report in group.iter().filter(|r| r.verdict != Verdict::Pass) {
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
                    println!("         at event {}", check.event);
                }
                let which = if check.event > 0 { "around it" } else { "the last events" };
                if !check.around.is_empty() {
                    println!("         {which}:");
                }
                for line in &check.around {
                    println!("           {}", shortened(line));
                }
            }
            println!("       again: {}", again(report, args));
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

/// The command that has this very run again.
fn again(report: &Report, args: &Args) -> String {
    let path = match args.path.as_slice() {
        [path] => path.display().to_string(),
        _ => report.pattern.clone(),
    };
    let mut command = vec!["podlab".to_owned(), "test".into(), quoted(&path)];
    command.extend(["--scenario".into(), quoted(&report.scenario)]);
    command.extend(["--seed".into(), report.seed.to_string()]);
    for image in &args.image {
        command.extend(["--image".into(), quoted(image)]);
    }
    command.join(" ")
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
    fn xml_holds_what_xml_can_hold() {
        assert_eq!(xml("a<b & \"c\"\u{1}"), "a&lt;b &amp; &quot;c&quot;");
    }

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("patterns/side-car"), "patterns/side-car");
        assert_eq!(quoted("my patterns"), "'my patterns'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(shortened(&"é".repeat(200)).chars().count(), 160);
    }
}
