//! One scenario under one seed.
//!
//! # Layout
//! - `steps`: does what is due; `faults`: breaks and mends; `load`: requests at a rate

use std::collections::{BTreeMap, VecDeque};

use podlab_sim::{Rng, Stop, Time};
use podlab_trace::{Event, Kind, Seq, Trace, Verdict, text};
use podlab_world::options::NodeOptions;
use podlab_world::{Fault, Images, Recording, World, WorldOptions};

use crate::check::Monitor;
use crate::expression::{Evaluator, Expression, Reads};
use crate::history::History;
use crate::outside::Clients;
use crate::pattern::Pattern;
use crate::report::{Decision, Recovery, Report};
use crate::scenario::{PlannedFault, Scenario, Step};

mod faults;
mod load;
mod steps;

use load::LoadState;

/// While the runner waits for something, it looks this often, in ns of virtual time.
const TICK: u64 = 5_000_000;
/// How many polls of the executor one turn takes at most.
const BUDGET: u64 = 1_000_000;

/// How many events before and after the one that decided a check are shown.
const AROUND: usize = 4;
/// Among so many on either side.
const LOOKED_AT: u64 = 200;

/// Runs scenarios.
#[derive(Clone)]
pub struct Runner {
    images: Images,
}

/// What a run leaves behind.
pub struct Finished {
    /// The report.
    pub report: Report,
    /// The world as it stands at the end.
    pub world: World,
    /// The steps that were done, one after the other, with what the seed chose written out.
    pub script: Vec<Step>,
}

impl Finished {
    /// The recording of the run.
    pub fn recording(&self) -> Recording {
        self.world.recording().clone()
    }
}

struct Run<'a> {
    pattern: &'a Pattern,
    scenario: &'a Scenario,
    world: World,
    evaluator: Evaluator,
    monitors: Vec<Monitor>,
    clients: Clients,
    loads: BTreeMap<String, LoadState>,
    mends: Vec<(u64, Fault)>,
    /// Faults that lie ahead: when, what, for how long.
    planned: Vec<(u64, PlannedFault)>,
    /// What is broken now and can be mended.
    broken: Vec<Fault>,
    chosen: BTreeMap<String, Rng>,
    steps: VecDeque<&'a Step>,
    /// What was done so far.
    script: Vec<Step>,
    waiting: Option<Waiting<'a>>,
    /// What has changed since the expression that is waited for was asked last; nothing if it
    /// was not asked yet.
    news: Option<Reads>,
    read: u64,
    coverage: BTreeMap<String, u64>,
    decisions: Vec<Decision>,
    recoveries: Vec<Recovery>,
}

enum Waiting<'a> {
    Until(u64),
    Holds(&'a Expression, u64),
    /// All was mended at the first instant; it must hold until the second.
    Well(&'a Expression, u64, u64),
    Answer(u64),
    Load(String),
}

impl Runner {
    /// A runner whose worlds can run `images`.
    pub fn new(images: &Images) -> Runner {
        Runner { images: images.clone() }
    }

    /// Runs `scenario` of `pattern` under `seed`, to its end or until a check fails.
    pub fn run(&self, pattern: &Pattern, name: &str, scenario: &Scenario, seed: u64) -> Finished {
        let mut run = self.begin(pattern, scenario, seed);
        let error = run.go(u64::MAX).err().unwrap_or_default();
        run.finish(name, seed, error)
    }

    /// The world of a run as it stands at `until`, or at the run's end if that is earlier, and why
    /// the run ended, if in an error.
    pub fn freeze(
        &self,
        pattern: &Pattern,
        scenario: &Scenario,
        seed: u64,
        until: Time,
    ) -> (World, Option<String>) {
        let mut run = self.begin(pattern, scenario, seed);
        let error = run.go(until.as_nanos()).err();
        run.world.mark();
        (run.world, error)
    }

    /// What the world of `scenario` is made with.
    pub fn options(pattern: &Pattern, scenario: &Scenario, seed: u64) -> WorldOptions {
        let nodes = (1..=scenario.world.nodes)
            .map(|n| NodeOptions {
                cores: scenario.world.cores,
                ..NodeOptions::named(&format!("node-{n}"))
            })
            .collect();
        WorldOptions { seed, pattern: pattern.file.name.clone(), nodes, ..WorldOptions::default() }
    }

    fn begin<'a>(&self, pattern: &'a Pattern, scenario: &'a Scenario, seed: u64) -> Run<'a> {
        let options = Runner::options(pattern, scenario, seed);
        let world = World::new(&self.images, options);
        Run {
            pattern,
            scenario,
            world,
            evaluator: Evaluator::new(History::default()),
            monitors: scenario.checks.iter().map(Monitor::new).collect(),
            clients: Clients::default(),
            loads: BTreeMap::new(),
            mends: Vec::new(),
            planned: Vec::new(),
            broken: Vec::new(),
            chosen: BTreeMap::new(),
            steps: scenario.steps.iter().collect(),
            script: Vec::new(),
            waiting: None,
            news: None,
            read: 0,
            coverage: BTreeMap::new(),
            decisions: Vec::new(),
            recoveries: Vec::new(),
        }
    }
}

impl<'a> Run<'a> {
    /// Until the steps are through, a check has failed, or it is `stop` (in ns).
    fn go(&mut self, stop: u64) -> Result<(), String> {
        self.apply(&self.scenario.apply)?;
        let timeout = self.scenario.timeout.0.as_nanos() as u64;
        loop {
            self.observe();
            if self.monitors.iter().any(Monitor::has_failed) {
                return Ok(());
            }
            self.proceed()?;
            if self.steps.is_empty() && self.waiting.is_none() {
                return Ok(());
            }
            let now = self.world.now().as_nanos();
            if now >= timeout {
                let left = self.steps.len() + usize::from(self.waiting.is_some());
                return Err(format!(
                    "the scenario did not come to its end within {}: {left} steps are left",
                    self.scenario.timeout
                ));
            }
            if now >= stop {
                return Ok(());
            }
            self.pass(self.next_wake(now).min(timeout).min(stop))?;
        }
    }

    /// Lets time pass until `to`.
    fn pass(&mut self, to: u64) -> Result<(), String> {
        loop {
            match self.world.run_until(Time(to), BUDGET) {
                Stop::Reached | Stop::Idle => return Ok(()),
                Stop::Budget => {}
                Stop::Livelock => {
                    return Err(format!(
                        "the world spins without moving time at {}",
                        self.world.now()
                    ));
                }
            }
        }
    }

    /// Takes in what has happened, and lets the checks look.
    fn observe(&mut self) {
        let trace = self.world.trace().clone();
        loop {
            let events = trace.read(self.read + 1, 4096);
            let Some(last) = events.last() else { break };
            self.read = last.seq;
            for event in &events {
                let changed = self.evaluator.history().take(event);
                self.heard(changed);
                for monitor in &mut self.monitors {
                    monitor.look(&self.evaluator, event, changed);
                }
            }
        }
        let now = self.world.now().as_nanos();
        self.evaluator.history().advance(now);
        self.heard(Reads { now: true, ..Reads::default() });
        for finished in self.clients.take(&mut self.world) {
            let changed = self.evaluator.history().finished(&finished);
            self.heard(changed);
            for monitor in &mut self.monitors {
                monitor.look_outside(&self.evaluator, changed, now);
            }
        }
        for load in self.loads.values_mut() {
            load.open.retain(|id| self.clients.is_pending(*id));
        }
    }

    /// Something has changed.
    fn heard(&mut self, changed: Reads) {
        if let Some(news) = &mut self.news {
            news.add(changed);
        }
    }

    fn next_wake(&self, now: u64) -> u64 {
        let mut wake = match &self.waiting {
            Some(Waiting::Until(at)) => *at,
            Some(_) => now + TICK,
            None => now,
        };
        if self.clients.pending() > 0 {
            wake = wake.min(self.clients.next_deadline().unwrap_or(u64::MAX)).min(now + 10 * TICK);
        }
        for load in self.loads.values() {
            if let Some(at) = load.next() {
                wake = wake.min(at);
            }
        }
        for at in self.mends.iter().map(|m| m.0).chain(self.planned.iter().map(|p| p.0)) {
            wake = wake.min(at);
        }
        wake.max(now + 1)
    }
}

impl Run<'_> {
    fn finish(mut self, name: &str, seed: u64, error: String) -> Finished {
        let now = self.world.now().as_nanos();
        let mut checks: Vec<_> =
            self.monitors.drain(..).map(|m| m.finish(&self.evaluator, now)).collect();
        let verdict = Report::judge(&checks, &error);
        let trace = self.world.trace().clone();
        for check in checks.iter_mut().filter(|c| c.verdict != Verdict::Pass) {
            let about = if check.event > 0 { check.event } else { trace.last() };
            let events = around(&trace, about);
            check.around =
                trace.with_state(|state| events.iter().map(|e| text::line(state, e)).collect());
        }
        self.world.mark();
        let report = Report {
            pattern: self.pattern.file.name.clone(),
            scenario: name.into(),
            seed,
            verdict,
            checks,
            error,
            digest: trace.digest().iter().map(|b| format!("{b:02x}")).collect(),
            events: trace.last(),
            virtual_nanos: now,
            faults: self.coverage,
            decisions: self.decisions,
            recoveries: self.recoveries,
            options: options(&self.world),
        };
        for check in &report.checks {
            let kind = Kind::Check {
                name: check.name.clone(),
                verdict: check.verdict,
                expected: check.expected.clone(),
                seen: check.seen.clone(),
                event: check.event,
            };
            trace.emit(now, 0, kind);
        }
        Finished { report, world: self.world, script: self.script }
    }
}

/// The event `about` and those next to it, without the heartbeats of nodes: where nothing else happens
/// any more, they are all that happens.
fn around(trace: &Trace, about: Seq) -> Vec<Event> {
    let heartbeat = |event: &Event| matches!(&event.kind, Kind::Object { namespace, .. } if namespace == "kube-node-lease");
    let first = about.saturating_sub(LOOKED_AT).max(1);
    let mut events = trace.read(first, 2 * LOOKED_AT as usize + 1);
    events.retain(|event| event.seq == about || !heartbeat(event));
    let at = events.iter().position(|event| event.seq >= about).unwrap_or(events.len());
    // Where there are none after it, there is room for more before it.
    let after = events.len().saturating_sub(at + 1).min(AROUND);
    events.truncate(at + 1 + after);
    events.split_off(events.len().saturating_sub(2 * AROUND + 1))
}

/// What the world was made with, for people.
fn options(world: &World) -> BTreeMap<String, String> {
    let o = world.options();
    let mut out = BTreeMap::from([
        ("seed".to_owned(), o.seed.to_string()),
        ("epoch".into(), o.epoch.to_string()),
        ("traceQuota".into(), o.trace_quota.to_string()),
    ]);
    for n in &o.nodes {
        let what = format!(
            "{} cores of {} fuel/s, {} bytes, {} pods",
            n.cores, n.fuel_per_second, n.memory, n.pods
        );
        out.insert(format!("node {}", n.name), what);
    }
    out
}
