//! The report as one page that needs nothing else: no script, no request, no font of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use podlab_lab::Report;
use podlab_lab::report::vacuous;
use podlab_trace::{Verdict, text};
use podlab_world::Fault;

use super::Args;
use super::output::again;
use super::runs::Ran;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#f3f4f6;--line:#d0d5db;--ok:#116d36;--bad:#b3261e;--maybe:#8a5a00;--fault:#fde7c7;--hit:#fbd5d2}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--paper:#14171b;--soft:#1f242a;--line:#3a424c;--ok:#5dd48b;--bad:#ff8a80;--maybe:#ffc46b;--fault:#4a3510;--hit:#5a1f1b}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;max-width:76rem;padding:1.5rem}\
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.2rem}h3{font-size:1rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
.pass{color:var(--ok)}.fail{color:var(--bad)}.unknown{color:var(--maybe)}.pass,.fail,.unknown{font-weight:600}\
pre{background:var(--soft);padding:.7rem;overflow:auto;font:13px/1.45 ui-monospace,monospace}code{font:13px ui-monospace,monospace}\
.scroll{overflow-x:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}svg .name{font-weight:600}\
svg .lane{stroke:var(--line)}svg .arrow{stroke:currentColor}svg .tip,svg .dot{fill:currentColor}svg .fault,svg .end{fill:var(--fault)}svg .decides{fill:var(--hit)}";

/// The page.
pub(super) fn page(ran: &[Ran], args: &Args, seconds: f64) -> String {
    let reports: Vec<&Report> = ran.iter().map(|r| &r.report).collect();
    let owned: Vec<Report> = reports.iter().map(|r| (*r).clone()).collect();
    let count = |v| reports.iter().filter(|r| r.verdict == v).count();
    let (passed, failed, unknown) =
        (count(Verdict::Pass), count(Verdict::Fail), count(Verdict::Unknown));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Podlab: {passed} passed, {failed} failed</title><style>{STYLE}</style></head><body>\n<h1>Podlab test report</h1>\n<p><span class=\"pass\">{passed} passed</span>, <span class=\"fail\">{failed} failed</span>, <span class=\"unknown\">{unknown} unknown</span> in {seconds:.1} s. Podlab {}.</p>\n",
        escaped(crate::VERSION)
    );
    verdicts(&mut out, &reports);
    goals(&mut out, &reports, &vacuous(&owned));
    for one in ran.iter().filter(|r| r.report.verdict != Verdict::Pass) {
        failure(&mut out, one, args);
    }
    coverage(&mut out, &reports);
    recoveries(&mut out, &reports);
    out + "</body></html>\n"
}

/// Text as HTML takes it, in content and in attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Unknown => "unknown",
    }
}

/// What came of a check under each seed.
type Seeds = Vec<(u64, Verdict)>;

/// A row for each check of each scenario, over all seeds.
fn verdicts(out: &mut String, reports: &[&Report]) {
    *out += "<h2>Verdicts</h2>\n<div class=\"scroll\"><table><thead><tr><th>Scenario</th><th>Check</th><th>Verdict</th><th class=\"n\">Pass</th><th class=\"n\">Fail</th><th class=\"n\">Unknown</th><th>First seed that did not pass</th></tr></thead><tbody>\n";
    let mut rows: BTreeMap<(&str, &str, &str), Seeds> = BTreeMap::new();
    for r in reports {
        for c in r.checks.iter().filter(|c| !c.goal) {
            let key = (r.pattern.as_str(), r.scenario.as_str(), c.name.as_str());
            rows.entry(key).or_default().push((r.seed, c.verdict));
        }
        let steps = if r.error.is_empty() { Verdict::Pass } else { Verdict::Fail };
        rows.entry((&r.pattern, &r.scenario, "(its steps)")).or_default().push((r.seed, steps));
    }
    for ((pattern, scenario, check), all) in rows {
        let n = |v| all.iter().filter(|(_, w)| *w == v).count();
        let (pass, fail, unknown) = (n(Verdict::Pass), n(Verdict::Fail), n(Verdict::Unknown));
        let verdict = match (fail, unknown) {
            (0, 0) => Verdict::Pass,
            (0, _) => Verdict::Unknown,
            _ => Verdict::Fail,
        };
        let first = all.iter().find(|(_, v)| *v != Verdict::Pass);
        let first = first.map_or(String::new(), |(seed, _)| seed.to_string());
        let _ = writeln!(
            out,
            "<tr><td>{}/{}</td><td>{}</td><td class=\"{v}\">{v}</td><td class=\"n\">{pass}</td><td class=\"n\">{fail}</td><td class=\"n\">{unknown}</td><td>{first}</td></tr>",
            escaped(pattern),
            escaped(scenario),
            escaped(check),
            v = word(verdict),
        );
    }
    *out += "</tbody></table></div>\n";
}

/// What at least one seed must show.
fn goals(out: &mut String, reports: &[&Report], missed: &[(String, String, String)]) {
    let goals: BTreeSet<(&str, &str, &str)> = reports
        .iter()
        .flat_map(|r| {
            r.checks
                .iter()
                .filter(|c| c.goal)
                .map(|c| (r.pattern.as_str(), r.scenario.as_str(), c.name.as_str()))
        })
        .collect();
    if goals.is_empty() {
        return;
    }
    *out += "<h2>Goals</h2>\n<p>What must be seen under at least one seed: else what passed may have passed in vain.</p>\n<table><tbody>\n";
    for (pattern, scenario, goal) in goals {
        let is = |m: &&(String, String, String)| m.0 == pattern && m.1 == scenario && m.2 == goal;
        let (class, what) = match missed.iter().find(is) {
            Some(_) => ("unknown", "not reached"),
            None => ("pass", "reached"),
        };
        let _ = writeln!(
            out,
            "<tr><td>{}/{}</td><td>{}</td><td class=\"{class}\">{what}</td></tr>",
            escaped(pattern),
            escaped(scenario),
            escaped(goal)
        );
    }
    *out += "</tbody></table>\n";
}

/// Everything about a run that did not pass.
fn failure(out: &mut String, ran: &Ran, args: &Args) {
    let r = &ran.report;
    let _ = writeln!(
        out,
        "<h2 class=\"{}\">{}/{} under seed {}</h2>",
        word(r.verdict),
        escaped(&r.pattern),
        escaped(&r.scenario),
        r.seed
    );
    if !r.error.is_empty() {
        let _ = writeln!(out, "<p>{}</p>", escaped(&r.error));
    }
    for c in r.checks.iter().filter(|c| c.verdict != Verdict::Pass && !c.goal) {
        let at = if c.event > 0 {
            format!(" at {}, event {}", text::time(c.at), c.event)
        } else {
            String::new()
        };
        let _ = writeln!(
            out,
            "<h3><span class=\"{v}\">{v}</span> {}{at}</h3>\n<table><tbody><tr><th>expected</th><td><code>{}</code></td></tr><tr><th>seen</th><td><code>{}</code></td></tr></tbody></table>",
            escaped(&c.name),
            escaped(&c.expected),
            escaped(&c.seen),
            v = word(c.verdict),
        );
        if !c.around.is_empty() {
            let _ = writeln!(out, "<pre>{}</pre>", escaped(&c.around.join("\n")));
        }
    }
    if let Some(picture) = &ran.picture {
        let _ = writeln!(out, "<div class=\"scroll\">{}</div>", picture.svg());
    }
    if !r.decisions.is_empty() {
        *out += "<details><summary>What was drawn from the seed</summary><pre>";
        for d in &r.decisions {
            let line = format!("{} {}: {}\n", text::time(d.at), d.stream, d.choice);
            *out += &escaped(&line);
        }
        *out += "</pre></details>\n";
    }
    if let Some(smallest) = &ran.smallest {
        let s = &smallest.shrunk;
        let _ = writeln!(
            out,
            "<h3>The smallest scenario that fails in the same way</h3><p>{} of {} faults and {} of {} steps are left, found in {} runs.</p><pre>{}</pre>",
            s.faults.1,
            s.faults.0,
            s.steps.1,
            s.steps.0,
            s.runs,
            escaped(&s.yaml)
        );
    }
    *out += "<h3>Again</h3><pre>";
    for line in again(ran, args) {
        *out += &escaped(&line.1);
        out.push('\n');
    }
    *out += "</pre>\n";
}

/// How often each kind of fault began, and which kinds never did.
fn coverage(out: &mut String, reports: &[&Report]) {
    let mut faults: BTreeMap<&str, u64> = Fault::KINDS.iter().map(|k| (*k, 0)).collect();
    for (kind, n) in reports.iter().flat_map(|r| &r.faults) {
        *faults.entry(kind).or_default() += n;
    }
    *out += "<h2>Faults</h2>\n<p>How often each kind began.</p>\n<table><tbody>\n";
    for (kind, n) in faults {
        let class = if n == 0 { "unknown" } else { "" };
        let _ =
            writeln!(out, "<tr><td>{}</td><td class=\"n {class}\">{n}</td></tr>", escaped(kind));
    }
    *out += "</tbody></table>\n";
}

/// How long it took until all was well.
fn recoveries(out: &mut String, reports: &[&Report]) {
    let mut rows: BTreeMap<(&str, &str, &str), Vec<u64>> = BTreeMap::new();
    for r in reports {
        for recovery in &r.recoveries {
            rows.entry((&r.pattern, &r.scenario, &recovery.until)).or_default().push(recovery.took);
        }
    }
    if rows.is_empty() {
        return;
    }
    *out += "<h2>Recovery</h2>\n<p>Virtual time from the instant at which everything was mended.</p>\n<table><thead><tr><th>Scenario</th><th>Until</th><th class=\"n\">Runs</th><th class=\"n\">Median</th><th class=\"n\">Longest</th></tr></thead><tbody>\n";
    for ((pattern, scenario, until), mut took) in rows {
        took.sort_unstable();
        let seconds = |ns: u64| ns as f64 / 1e9;
        let _ = writeln!(
            out,
            "<tr><td>{}/{}</td><td><code>{}</code></td><td class=\"n\">{}</td><td class=\"n\">{:.3} s</td><td class=\"n\">{:.3} s</td></tr>",
            escaped(pattern),
            escaped(scenario),
            escaped(until),
            took.len(),
            seconds(took[took.len() / 2]),
            seconds(took[took.len() - 1]),
        );
    }
    *out += "</tbody></table>\n";
}
