//! Each fault does what it says, and each step: small worlds under `scenarios/`.
//!
//! A scenario of the pattern `faults` passes with its faults; without them it must not, else it
//! would prove nothing.

use podlab_lab::pattern::Catalogue;
use podlab_lab::scenario::{Scenario, Step};
use podlab_lab::{Pattern, Runner};
use podlab_tests::{catalogue_of, engine, images, root};
use podlab_trace::Verdict;
use podlab_world::Fault;

fn worlds() -> Catalogue {
    catalogue_of(&root().join("tests/scenarios")).unwrap()
}

fn runner(pattern: &Pattern) -> Runner {
    let mut images = images(&engine()).unwrap();
    for (name, guest) in &pattern.file.images {
        let digest = images.resolve(&format!("{guest}:v1")).map(|i| i.digest.clone());
        images.tag(name, &digest.unwrap_or_else(|| panic!("no guest {guest}"))).unwrap();
    }
    Runner::new(&images)
}

/// The steps without those that break anything.
fn without_faults(scenario: &Scenario) -> Scenario {
    let faultless = |s: &Step| !matches!(s, Step::Fault(_) | Step::FaultFor(_) | Step::Faults(_));
    let steps = scenario.steps.iter().filter(|s| faultless(s)).cloned().collect();
    Scenario { steps, ..scenario.clone() }
}

#[test]
fn each_fault_does_what_it_says() {
    let worlds = worlds();
    let pattern = worlds.get("faults").unwrap();
    let runner = runner(pattern);
    let mut covered = std::collections::BTreeSet::new();
    for (name, scenario) in pattern.scenarios().unwrap() {
        for seed in 1..=3 {
            let report = runner.run(pattern, &name, &scenario, seed).report;
            assert_eq!(report.verdict, Verdict::Pass, "{name} under seed {seed}: {report:#?}");
            covered.extend(report.faults.into_keys());
        }
        let bare = runner.run(pattern, &name, &without_faults(&scenario), 1).report;
        assert_ne!(bare.verdict, Verdict::Pass, "{name} passes without its faults too");
    }
    let all: Vec<&str> = Fault::KINDS.to_vec();
    assert_eq!(covered.iter().map(String::as_str).collect::<Vec<_>>(), all);
}

#[test]
fn each_step_does_what_it_says() {
    let worlds = worlds();
    let pattern = worlds.get("steps").unwrap();
    let runner = runner(pattern);
    let mut reports = Vec::new();
    for (name, scenario) in pattern.scenarios().unwrap() {
        for seed in 1..=8 {
            let finished = runner.run(pattern, &name, &scenario, seed);
            let report = finished.report;
            assert_eq!(report.verdict, Verdict::Pass, "{name} under seed {seed}: {report:#?}");
            // Written out it is the same run, event by event.
            let whole = podlab_lab::shrink::written_out(&scenario, &finished.script);
            let again = Scenario::parse("whole.yaml", &whole.to_yaml().unwrap()).unwrap();
            let again = runner.run(pattern, &name, &again, seed).report;
            assert_eq!(again.digest, report.digest, "{name} under seed {seed}");
            reports.push(report);
        }
    }
    assert_eq!(podlab_lab::report::vacuous(&reports), []);
}

/// Routes and canaries of the gateway, with what is missing put back.
#[test]
fn the_ingress_controller_does_what_it_says() {
    let worlds = worlds();
    let pattern = worlds.get("ingress").unwrap();
    let runner = runner(pattern);
    for (name, scenario) in pattern.scenarios().unwrap() {
        for seed in 1..=3 {
            let report = runner.run(pattern, &name, &scenario, seed).report;
            assert_eq!(report.verdict, Verdict::Pass, "{name} under seed {seed}: {report:#?}");
        }
    }
}

/// The same run twice gives the same report.
#[test]
fn a_report_says_the_same_twice() {
    let worlds = worlds();
    let pattern = worlds.get("faults").unwrap();
    let runner = runner(pattern);
    for (name, scenario) in pattern.scenarios().unwrap().iter().filter(|(n, _)| n == "budget") {
        for seed in 1..=3 {
            let run = || runner.run(pattern, name, scenario, seed).report;
            assert_eq!(run(), run());
        }
    }
}
