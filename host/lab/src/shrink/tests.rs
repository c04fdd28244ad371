use std::collections::BTreeMap;

use podlab_trace::Verdict;

use super::*;
use crate::check::CheckResult;

fn report(failed: Option<&str>, error: &str) -> Report {
    let check = |name: &str| CheckResult {
        name: name.into(),
        verdict: Verdict::Fail,
        expected: String::new(),
        seen: String::new(),
        event: 0,
        at: 0,
        goal: false,
        around: Vec::new(),
    };
    let checks: Vec<CheckResult> = failed.into_iter().map(check).collect();
    Report {
        pattern: "p".into(),
        scenario: "s".into(),
        seed: 1,
        verdict: Report::judge(&checks, error),
        checks,
        error: error.into(),
        digest: String::new(),
        events: 0,
        virtual_nanos: 0,
        faults: BTreeMap::new(),
        decisions: Vec::new(),
        recoveries: Vec::new(),
        options: BTreeMap::new(),
    }
}

const MANY: &str = "\
title: {en: T, ja: T}
steps:
  - wait: {until: \"ready('web')\"}
  - sleep: 1s
  - load: {request: {name: noise, to: \"web:80\"}, rate: 10.0, for: 16s}
  - load: {request: {name: page, to: \"web:80\"}, rate: 10.0, for: 16s}
  - fault: {pause: {target: default/web/a}}
  - sleep: 2s
  - fault: {resume: {target: default/web/a}}
  - faults:
      until: 60s
      plan:
        - {at: 1s, fault: {kill: {target: default/web/a}}}
        - {at: 2s, fault: {kill: {target: default/web/b}}}
        - {at: 3s, fault: {kill: {target: default/web/c}}}
        - {at: 4s, fault: {kill: {target: default/web/d}}}
        - {at: 5s, fault: {kill: {target: default/web/e}}}
        - {at: 6s, fault: {kill: {target: default/web/f}}}
        - {at: 7s, fault: {kill: {target: default/web/g}}}
        - {at: 8s, fault: {kill: {target: default/web/h}}}
  - join: noise
  - join: page
  - sleep: 8s
  - request: {name: saved, to: \"store:80\"}
checks:
  - {name: other, always: now < 1000.0}
  - {name: kept, finally: size(requests('page')) == 160}
";

/// Runs a model: `fails` says whether the scenario with these targets, steps and loads fails.
fn shrunk(limit: u32, fails: impl Fn(&Scenario, &str) -> bool) -> Option<(Shrunk, u32)> {
    let scenario = Scenario::parse("s.yaml", MANY).unwrap();
    let failed = report(Some("kept"), "");
    let mut calls = 0;
    let found = shrink(&scenario, &failed, &scenario.steps, limit, |s| {
        calls += 1;
        report(fails(s, &s.to_yaml().unwrap()).then_some("kept"), "")
    });
    found.map(|f| (f, calls))
}

#[test]
fn only_what_the_failure_needs_is_left() {
    let (found, calls) = shrunk(200, |_, y| y.contains("web/c") && y.contains("web/g")).unwrap();
    assert_eq!(found.runs, calls);
    assert_eq!(found.faults, (9, 2), "{}", found.yaml);
    for gone in ["web/a", "web/h", "noise", "saved", "other", "sleep"] {
        assert!(!found.yaml.contains(gone), "{gone} is still in\n{}", found.yaml);
    }
    // What the clause speaks of stays as it is, and what is waited for is still waited for.
    for kept in ["for: 16s", "name: page", "join: page", "ready('web')"] {
        assert!(found.yaml.contains(kept), "{kept} is not in\n{}", found.yaml);
    }
    assert_eq!(found.scenario.world.nodes, 1);
    assert_eq!(Scenario::parse("s.yaml", &found.yaml).unwrap().steps.len(), found.steps.1);
}

#[test]
fn a_cut_that_fails_without_faults_too_is_another_failure() {
    // The scenario needs its last sleep whether or not anything breaks.
    let needs =
        |s: &Scenario| s.steps.iter().any(|s| matches!(s, Step::Sleep(d) if d.0.as_secs() == 8));
    let (found, _) = shrunk(200, |s, y| y.contains("web/c") || !needs(s)).unwrap();
    assert!(found.yaml.contains("sleep: 8s"), "{}", found.yaml);
    assert!(!found.yaml.contains("sleep: 2s"), "{}", found.yaml);
    assert_eq!(found.faults.1, 1);
}

#[test]
fn faults_that_do_not_matter_go_at_once_and_time_stays() {
    let (found, _) = shrunk(200, |_, _| true).unwrap();
    assert_eq!(found.faults.1, 0);
    assert!(found.yaml.contains("sleep: 8s"), "nothing tells a cut too deep\n{}", found.yaml);
}

#[test]
fn there_is_a_bound_and_the_same_comes_out_each_time() {
    for limit in [1, 2, 5, 12, 30] {
        let run = || shrunk(limit, |_, y| y.contains("web/c") && y.contains("web/g")).unwrap();
        let ((a, calls), (b, _)) = (run(), run());
        assert!(calls <= limit && a.yaml == b.yaml && a.runs == b.runs);
        assert!(a.yaml.contains("web/c") && a.yaml.contains("web/g"));
    }
    let (thirty, _) = shrunk(30, |_, y| y.contains("web/c")).unwrap();
    assert_eq!(thirty.faults.1, 1, "30 runs are enough for one fault\n{}", thirty.yaml);
}

#[test]
fn what_does_not_fail_again_is_not_shrunk() {
    assert!(shrunk(30, |_, _| false).is_none());
}

#[test]
fn steps_that_fail_are_the_same_by_what_they_waited_for() {
    let scenario = Scenario::parse("s.yaml", MANY).unwrap();
    let wait = |e: &str, seen: &str| format!("wait: `{e}` did not come to hold in time: {seen}");
    let clause = Clause::of(&report(None, &wait("ready('web')", "a")), &scenario).unwrap();
    assert!(clause.is(&report(None, &wait("ready('web')", "b"))));
    assert!(!clause.is(&report(None, &wait("ready('db')", "a"))));
    assert!(!clause.is(&report(Some("kept"), "")));
    assert!(Clause::of(&report(None, ""), &scenario).is_none());
}
