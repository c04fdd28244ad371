//! One scenario under one seed.

use std::collections::{BTreeMap, VecDeque};

use podlab_sim::{Stop, Time};
use podlab_trace::{Kind, Verdict, text};
use podlab_world::options::NodeOptions;
use podlab_world::{Fault, Images, Input, Recording, World, WorldOptions};

use crate::check::Monitor;
use crate::expression::{Evaluator, Expression};
use crate::history::History;
use crate::outside::Clients;
use crate::pattern::Pattern;
use crate::report::{Decision, Recovery, Report};
use crate::scenario::{Scenario, Step};

/// While the runner waits for something, it looks this often, in ns of virtual time.
const TICK: u64 = 5_000_000;
/// How many polls of the executor one turn takes at most.
const BUDGET: u64 = 1_000_000;

/// How many events before and after the one that decided a check are shown.
const AROUND: u64 = 4;

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
    steps: VecDeque<&'a Step>,
    waiting: Option<Waiting<'a>>,
    read: u64,
    coverage: BTreeMap<String, u64>,
    decisions: Vec<Decision>,
    recoveries: Vec<Recovery>,
}

struct LoadState {
    load: crate::scenario::Load,
    began: u64,
    sent: u64,
    total: u64,
    open: Vec<u64>,
}

enum Waiting<'a> {
    Until(u64),
    Holds(&'a Expression, u64),
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
        let nodes = (1..=scenario.world.nodes)
            .map(|n| NodeOptions {
                cores: scenario.world.cores,
                ..NodeOptions::named(&format!("node-{n}"))
            })
            .collect();
        let options = WorldOptions {
            seed,
            pattern: pattern.file.name.clone(),
            nodes,
            ..WorldOptions::default()
        };
        let world = World::new(&self.images, options);
        let mut run = Run {
            pattern,
            scenario,
            world,
            evaluator: Evaluator::new(History::default()),
            monitors: scenario.checks.iter().map(Monitor::new).collect(),
            clients: Clients::default(),
            loads: BTreeMap::new(),
            mends: Vec::new(),
            steps: scenario.steps.iter().collect(),
            waiting: None,
            read: 0,
            coverage: BTreeMap::new(),
            decisions: Vec::new(),
            recoveries: Vec::new(),
        };
        let error = run.go().err().unwrap_or_default();
        run.finish(name, seed, error)
    }
}

impl<'a> Run<'a> {
    fn go(&mut self) -> Result<(), String> {
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
            self.pass(self.next_wake(now).min(timeout))?;
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
                for monitor in &mut self.monitors {
                    monitor.look(&self.evaluator, event, changed);
                }
            }
        }
        let now = self.world.now().as_nanos();
        self.evaluator.history().advance(now);
        for finished in self.clients.take(&mut self.world) {
            let changed = self.evaluator.history().finished(&finished);
            for monitor in &mut self.monitors {
                monitor.look_outside(&self.evaluator, changed, now);
            }
        }
        for load in self.loads.values_mut() {
            load.open.retain(|id| self.clients.is_pending(*id));
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
        for (at, _) in &self.mends {
            wake = wake.min(*at);
        }
        wake.max(now + 1)
    }

    /// Does whatever is due now.
    fn proceed(&mut self) -> Result<(), String> {
        let now = self.world.now().as_nanos();
        let (due, later): (Vec<_>, Vec<_>) = self.mends.drain(..).partition(|(at, _)| *at <= now);
        self.mends = later;
        for (_, fault) in due {
            self.fault(fault)?;
        }
        for load in self.loads.values_mut() {
            while load.next().is_some_and(|at| at <= now) {
                load.sent += 1;
                load.open.push(self.clients.send(&mut self.world, &load.load.request));
            }
        }
        loop {
            if let Some(waiting) = &self.waiting {
                let over = match waiting {
                    Waiting::Until(at) => *at <= now,
                    Waiting::Answer(id) => !self.clients.is_pending(*id),
                    Waiting::Load(name) => {
                        self.loads.get(name).is_none_or(|l| l.next().is_none() && l.open.is_empty())
                    }
                    Waiting::Holds(expression, deadline) => {
                        match expression.holds(&self.evaluator, None) {
                            Ok(true) => true,
                            result if now >= *deadline => {
                                let why =
                                    result.err().map(|e| format!(" ({e})")).unwrap_or_default();
                                return Err(format!(
                                    "wait: `{}` did not come to hold in time{why}: {}",
                                    expression.source().trim(),
                                    crate::check::seen(expression, &self.evaluator)
                                ));
                            }
                            _ => false,
                        }
                    }
                };
                if !over {
                    return Ok(());
                }
                self.waiting = None;
            }
            let Some(step) = self.steps.pop_front() else { return Ok(()) };
            self.step(step, now)?;
        }
    }

    fn step(&mut self, step: &'a Step, now: u64) -> Result<(), String> {
        match step {
            Step::Apply(files) => self.apply(files)?,
            Step::Delete(object) => {
                self.world.delete_object(&object.kind, &object.namespace, &object.name)?;
            }
            Step::Sleep(span) => {
                self.waiting = Some(Waiting::Until(now + span.0.as_nanos() as u64))
            }
            Step::At(span) => self.waiting = Some(Waiting::Until(span.0.as_nanos() as u64)),
            Step::Wait(wait) => {
                let deadline = now + wait.within.0.as_nanos() as u64;
                self.waiting = Some(Waiting::Holds(&wait.until, deadline));
            }
            Step::Mark(name) => {
                for monitor in &mut self.monitors {
                    monitor.mark(name, now, &self.evaluator);
                }
            }
            Step::Request(request) => {
                let id = self.clients.send(&mut self.world, request);
                self.waiting = Some(Waiting::Answer(id));
            }
            Step::Load(load) => {
                let total = (load.rate * load.duration.0.as_secs_f64()).round() as u64;
                let state =
                    LoadState { load: load.clone(), began: now, sent: 0, total, open: Vec::new() };
                self.loads.insert(load.request.name.clone(), state);
            }
            Step::Join(name) => self.waiting = Some(Waiting::Load(name.clone())),
            Step::Fault(fault) => self.fault(fault.clone())?,
            Step::FaultFor(f) => {
                self.fault(f.fault.clone())?;
                let end = f.fault.end().expect("validated: the fault can end");
                self.mends.push((now + f.duration.0.as_nanos() as u64, end));
            }
        }
        Ok(())
    }

    fn fault(&mut self, fault: Fault) -> Result<(), String> {
        let (kind, begins) = (fault.name(), fault.begins());
        match self.world.input(Input::Fault(fault)) {
            podlab_world::Outcome::Refused(why) => Err(format!("fault: {why}")),
            _ => {
                if begins {
                    *self.coverage.entry(kind.into()).or_default() += 1;
                }
                Ok(())
            }
        }
    }

    fn apply(&mut self, files: &[String]) -> Result<(), String> {
        for file in files {
            let text =
                self.pattern.text(file).ok_or_else(|| format!("apply: there is no file {file}"))?;
            self.world.apply(text).map_err(|e| format!("apply {file}: {e}"))?;
        }
        Ok(())
    }

    fn finish(mut self, name: &str, seed: u64, error: String) -> Finished {
        let now = self.world.now().as_nanos();
        let mut checks: Vec<_> =
            self.monitors.drain(..).map(|m| m.finish(&self.evaluator, now)).collect();
        let verdict = Report::judge(&checks, &error);
        let trace = self.world.trace().clone();
        for check in checks.iter_mut().filter(|c| c.verdict != Verdict::Pass) {
            let about = if check.event > 0 { check.event } else { trace.last() };
            let events = trace.read(about.saturating_sub(AROUND).max(1), 2 * AROUND as usize + 1);
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
        Finished { report, world: self.world }
    }
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

impl LoadState {
    /// When the next request is due, in ns.
    fn next(&self) -> Option<u64> {
        (self.sent < self.total)
            .then(|| self.began + (self.sent as f64 * 1e9 / self.load.rate).round() as u64)
    }
}
