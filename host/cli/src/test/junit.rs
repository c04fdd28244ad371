//! Reports as CI servers read them.

use std::collections::BTreeMap;

use podlab_lab::Report;
use podlab_trace::Verdict;

/// JUnit's XML as CI servers read it: a suite for each scenario, a case for each seed.
pub(super) fn junit(reports: &[Report], missed: &[(String, String, String)]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_holds_what_xml_can_hold() {
        assert_eq!(xml("a<b & \"c\"\u{1}"), "a&lt;b &amp; &quot;c&quot;");
    }
}
