//! Figures of the test runner: how fast scenarios are, what shrinking, tracing and checking cost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use podlab_lab::shrink::{RUNS, shrink};
use podlab_lab::{Pattern, Runner, Scenario};
use podlab_trace::{Trace, Verdict};

use super::{Setup, line};

fn sidecar(setup: &Setup) -> Result<(Pattern, Runner)> {
    let catalogue = podlab_tests::catalogue()?;
    let pattern = catalogue.get("sidecar").context("the sidecar pattern")?.clone();
    Ok((pattern, Runner::new(&setup.images)))
}

fn scenario(yaml: &str) -> Result<Scenario> {
    Ok(Scenario::parse("figure.yaml", yaml)?)
}

const APPLY: &str = "\
title: {en: F, ja: F}
apply: [manifests/origin.yaml, manifests/log-store.yaml, manifests/web.yaml]
timeout: 10h
";

/// Virtual seconds a second of one core: under load, and when mostly waiting.
pub(super) fn scenarios(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    let (pattern, runner) = sidecar(setup)?;
    let load = APPLY.to_owned()
        + "steps:\n  - wait: {until: ready('web')}\n  - load: {request: {name: page, to: \"web:8080\"}, rate: 20.0, for: 300s}\n  - join: page\nchecks:\n  - {name: answered, finally: \"size(requests('page')) == 6000\"}\n  - {name: kept, always: \"restarts('web', 'web') == 0\"}\n";
    let waiting = APPLY.to_owned()
        + "steps:\n  - wait: {until: ready('web')}\n  - sleep: 1h\nchecks:\n  - {name: kept, always: \"restarts('web', 'web') == 0\"}\n";
    let mut lines = Vec::new();
    for (name, yaml, least) in [
        (
            "a scenario of the sidecar pattern at 20 requests/s, virtual seconds per second",
            load,
            50.0,
        ),
        (
            "a scenario of the sidecar pattern that mostly waits, virtual seconds per second",
            waiting,
            1000.0,
        ),
    ] {
        let scenario = scenario(&yaml)?;
        let began = Instant::now();
        let report = runner.run(&pattern, "figure", &scenario, 1).report;
        let seconds = began.elapsed().as_secs_f64();
        ensure!(report.verdict == Verdict::Pass, "{:?} {}", report.checks, report.error);
        let mut l = line(name, report.virtual_nanos as f64 / 1e9 / seconds, "x", Some(least), None);
        l["events"] = report.events.into();
        lines.push(l);
    }
    Ok(lines)
}

/// A thousand seeds of the scenario that kills the sidecar, on two threads.
pub(super) fn seeds(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    const SEEDS: u64 = 1000;
    let (pattern, runner) = sidecar(setup)?;
    let scenarios = pattern.scenarios()?;
    let (name, scenario) =
        scenarios.iter().find(|(n, _)| n == "log-saver-killed").context("log-saver-killed")?;
    let (next, passed) = (AtomicU64::new(1), AtomicU64::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed > SEEDS {
                        return;
                    }
                    let report = runner.run(&pattern, name, scenario, seed).report;
                    if report.verdict == Verdict::Pass {
                        passed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    let passed = passed.into_inner();
    ensure!(passed == SEEDS, "{passed} of {SEEDS} pass");
    let name = "1,000 seeds of the scenario that kills the sidecar, two threads";
    Ok(vec![line(name, seconds, "s", None, Some(60.0))])
}

/// Shrinking, in multiples of the run that failed.
pub(super) fn shrinking(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    let (pattern, runner) = sidecar(setup)?;
    let scenario = scenario(
        &(APPLY.to_owned()
            + "\
steps:
  - wait: {until: ready('web')}
  - sleep: 1s
  - load: {request: {name: noise, to: \"web:8080\"}, rate: 10.0, for: 60s}
  - load: {request: {name: page, to: \"pod/web:8080\"}, rate: 10.0, for: 60s}
  - faults:
      until: 50s
      budget:
        - {anyOf: [{kill: {target: default/web/log-saver}}, {kill: {target: default/web/content-puller}}], perMinute: 10.0}
        - anyOf: [{partition: {a: default/web, b: default/log-store}}, {link: {a: '*', b: outside, latencyMs: 5.0}}]
          perMinute: 20.0
          for: {min: 1s, max: 5s}
  - join: page
  - join: noise
checks:
  - {name: never-killed-twice, never: \"restarts('web', 'log-saver') >= 2\"}
"),
    )?;
    for seed in 1..=50 {
        let began = Instant::now();
        let finished = runner.run(&pattern, "figure", &scenario, seed);
        let once = began.elapsed().as_secs_f64();
        if finished.report.verdict != Verdict::Fail {
            continue;
        }
        let began = Instant::now();
        let small = shrink(&scenario, &finished.report, &finished.script, RUNS, |s| {
            runner.run(&pattern, "figure", s, seed).report
        })
        .context("the failure does not come back")?;
        let times = began.elapsed().as_secs_f64() / once;
        let name = "shrinking a failure of the sidecar pattern, in times of the run that failed";
        let mut l = line(name, times, "x", None, Some(30.0));
        l["runs"] = small.runs.into();
        l["faults"] = serde_json::json!([small.faults.0, small.faults.1]);
        l["steps"] = serde_json::json!([small.steps.0, small.steps.1]);
        return Ok(vec![l]);
    }
    anyhow::bail!("no seed of 50 fails")
}

/// How much of a run goes into its trace: all its events are emitted once more, into another
/// trace, which is what the run itself did with them.
pub(super) fn trace(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    let mut world = super::loaded(setup)?;
    let first = world.trace().last() + 1;
    let end = world.now() + Duration::from_secs(120);
    let began = Instant::now();
    podlab_tests::run(&mut world, end);
    let whole = began.elapsed().as_secs_f64();
    let mut events = Vec::new();
    let mut from = first;
    loop {
        let more = world.trace().read(from, 4096);
        let Some(last) = more.last() else { break };
        from = last.seq + 1;
        events.extend(more);
    }
    ensure!(events.first().is_some_and(|e| e.seq == first), "the beginning was dropped");
    // The quickest of three: the machine is shared, and this is the shorter of the two.
    let again = (0..3)
        .map(|_| {
            let copies = events.clone();
            let trace = Trace::new(64 << 20);
            let began = Instant::now();
            for event in copies {
                trace.emit_caused(event.at, event.place, event.cause, event.kind);
            }
            began.elapsed().as_secs_f64()
        })
        .fold(f64::MAX, f64::min);
    let mut l = line("the trace's share of a run", again / whole, "of 1", None, Some(0.15));
    l["events"] = events.len().into();
    Ok(vec![l])
}

/// How much of a run goes into its checks, over a million events: with the checks of the pattern's
/// scenarios, and with one that looks once.
pub(super) fn checks(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    let (pattern, runner) = sidecar(setup)?;
    let steps = "steps:\n  - wait: {until: ready('web')}\n  - load: {request: {name: page, to: \"web:8080\"}, rate: 50.0, for: 1100s}\n  - join: page\n";
    let one = "checks:\n  - {name: end, finally: \"now > 0.0\"}\n";
    let many = "\
checks:
  - {name: kept, always: \"restarts('web', 'web') == 0\"}
  - {name: ready, after: m, always: \"ready('web')\"}
  - {name: no-failure, on: event.kind == 'exit' && event.code != 0, count: {atMost: 0}}
  - {name: through-the-sidecar, on: event.kind == 'connect' && event.pod == 'web', always: event.container != 'web'}
  - {name: answered, finally: \"requests('page').all(r, r.ok)\"}
  - {name: rate, checker: {successRate: {request: page, atLeast: 1.0}}}
  - {name: no-bypass, checker: {noBypass: {pod: log-store, through: log-store}}}
";
    let time = |checks: &str| -> Result<(f64, u64)> {
        let steps = steps.replace("  - load", "  - sleep: 1s\n  - mark: m\n  - load");
        let scenario = scenario(&(APPLY.to_owned() + &steps + checks))?;
        let began = Instant::now();
        let report = runner.run(&pattern, "figure", &scenario, 1).report;
        ensure!(report.verdict != Verdict::Fail, "{:?} {}", report.checks, report.error);
        Ok((began.elapsed().as_secs_f64(), report.events))
    };
    let (mut with, mut without, mut events) = (f64::MAX, f64::MAX, 0);
    // In turns; the quickest of each counts.
    for _ in 0..2 {
        let (seconds, n) = time(many)?;
        (with, events) = (with.min(seconds), n);
        without = without.min(time(one)?.0);
    }
    let share = ((with - without) / with).max(0.0);
    let mut l = line("seven checks' share of a run", share, "of 1", None, Some(0.2));
    l["events"] = events.into();
    ensure!(events >= 1_000_000, "only {events} events");
    Ok(vec![l])
}
