//! One scenario under one seed.

use std::collections::{BTreeMap, VecDeque};

use podlab_sim::{Rng, Stop, Time};
use podlab_trace::{Kind, Verdict, text};
use podlab_world::options::NodeOptions;
use podlab_world::{Fault, Images, Input, Recording, World, WorldOptions};

use crate::check::Monitor;
use crate::expression::{Evaluator, Expression};
use crate::history::History;
use crate::outside::Clients;
use crate::pattern::Pattern;
use crate::report::{Decision, Recovery, Report};
use crate::scenario::{Load, PlannedFault, Profile, Scenario, Step};

/// While the runner waits for something, it looks this often, in ns of virtual time.
const TICK: u64 = 5_000_000;
/// How many polls of the executor one turn takes at most.
const BUDGET: u64 = 1_000_000;

/// No more steps lie ahead at once.
const MAX_STEPS: usize = 100_000;

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
    /// Faults that lie ahead: when, what, for how long.
    planned: Vec<(u64, PlannedFault)>,
    /// What is broken now and can be mended.
    broken: Vec<Fault>,
    chosen: BTreeMap<String, Rng>,
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
            planned: Vec::new(),
            broken: Vec::new(),
            chosen: BTreeMap::new(),
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
        for at in self.mends.iter().map(|m| m.0).chain(self.planned.iter().map(|p| p.0)) {
            wake = wake.min(at);
        }
        wake.max(now + 1)
    }

    /// Does whatever is due now.
    fn proceed(&mut self) -> Result<(), String> {
        let now = self.world.now().as_nanos();
        let (due, later): (Vec<_>, Vec<_>) = self.mends.drain(..).partition(|(at, _)| *at <= now);
        self.mends = later;
        for (_, fault) in due {
            // What was broken may be gone by now, and all that was wrong with it.
            let _ = self.fault(fault);
        }
        self.break_planned(now)?;
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
                    Waiting::Well(expression, since, deadline) => {
                        match expression.holds(&self.evaluator, None) {
                            Ok(true) => {
                                self.recoveries.push(Recovery {
                                    until: expression.source().trim().into(),
                                    at: *since,
                                    took: now - since,
                                });
                                true
                            }
                            _ if now >= *deadline => {
                                return Err(format!(
                                    "recover: everything was mended at {}, but `{}` did not come to hold in time: {}",
                                    Time(*since),
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
                let total = load_total(load);
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
            Step::Patch(p) => {
                self.world.patch_object(&p.kind, &p.namespace, &p.name, &p.merge)?;
            }
            Step::Scale(s) => {
                let patch = serde_json::json!({ "spec": { "replicas": s.replicas } });
                self.world.patch_object(&s.kind, &s.namespace, &s.name, &patch)?;
            }
            Step::Tcp(request) => {
                let id = self.clients.send_text(&mut self.world, request);
                self.waiting = Some(Waiting::Answer(id));
            }
            Step::Repeat(r) => {
                for _ in 0..r.times {
                    for step in r.steps.iter().rev() {
                        self.steps.push_front(step);
                    }
                    if self.steps.len() > MAX_STEPS {
                        return Err(format!("repeat: more than {MAX_STEPS} steps lie ahead"));
                    }
                }
            }
            Step::OneOf(o) => {
                let stream = format!("scenario/oneOf/{}", o.name);
                let seed = self.world.options().seed;
                let rng =
                    self.chosen.entry(stream.clone()).or_insert_with(|| Rng::named(seed, &stream));
                let n = rng.below(o.choices.len() as u64) as usize;
                let choice = format!("choice {} of {}", n + 1, o.choices.len());
                self.decisions.push(Decision { at: now, stream, choice });
                for step in o.choices[n].iter().rev() {
                    self.steps.push_front(step);
                }
            }
            Step::Faults(budget) => {
                let n = self.chosen.keys().filter(|k| k.starts_with("scenario/faults/")).count();
                let stream = format!("scenario/faults/{n}");
                let mut rng = Rng::named(self.world.options().seed, &stream);
                let plan = budget.draw(&mut rng);
                self.chosen.insert(stream.clone(), rng);
                for p in plan {
                    let at = now + p.at.0.as_nanos() as u64;
                    let lasts = p.duration.map(|d| format!(" for {d}")).unwrap_or_default();
                    let choice = format!("{} {}{lasts}", p.fault.name(), p.fault.target());
                    self.decisions.push(Decision { at, stream: stream.clone(), choice });
                    self.planned.push((at, p));
                }
            }
            Step::Recover(r) => {
                self.planned.clear();
                self.mends.clear();
                for fault in std::mem::take(&mut self.broken) {
                    if let Some(end) = fault.end() {
                        // What it hit may be gone for good: then there is nothing to mend.
                        let _ = self.fault(end);
                    }
                }
                let deadline = now + r.within.0.as_nanos() as u64;
                self.waiting = Some(Waiting::Well(&r.until, now, deadline));
            }
        }
        Ok(())
    }

    /// Breaks what is due by plan. That a target is gone, or starts just now, is no error.
    fn break_planned(&mut self, now: u64) -> Result<(), String> {
        while let Some(i) = self.planned.iter().position(|(at, _)| *at <= now) {
            let (at, p) = self.planned.remove(i);
            if self.fault(p.fault.clone()).is_err() {
                let choice =
                    format!("{} {}: no such target then", p.fault.name(), p.fault.target());
                self.decisions.push(Decision { at, stream: "refused".into(), choice });
                continue;
            }
            if let (Some(end), Some(lasts)) = (p.fault.end(), p.duration) {
                self.mends.push((at + lasts.0.as_nanos() as u64, end));
            }
        }
        Ok(())
    }

    fn fault(&mut self, fault: Fault) -> Result<(), String> {
        if fault.begins() && fault.end().is_some() {
            self.broken.push(fault.clone());
        } else if !fault.begins() {
            self.broken.retain(|f| f.end().as_ref() != Some(&fault));
        }
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

/// How many requests a load is.
fn load_total(load: &Load) -> u64 {
    let seconds = load.duration.0.as_secs_f64();
    let rate = match load.profile {
        Some(Profile::Ramp { to }) => (load.rate + to) / 2.0,
        _ => load.rate,
    };
    (rate * seconds).round() as u64
}

impl LoadState {
    /// When the next request is due, in ns.
    fn next(&self) -> Option<u64> {
        (self.sent < self.total).then(|| self.began + (self.due(self.sent) * 1e9).round() as u64)
    }

    /// When request `n` (from 0) is due, in seconds from the beginning.
    fn due(&self, n: u64) -> f64 {
        let rate = self.load.rate;
        match self.load.profile {
            None => n as f64 / rate,
            Some(Profile::Burst { size }) => {
                let size = u64::from(size);
                (n / size * size) as f64 / rate
            }
            // The rate grows evenly, so n = rate t + growth t² / 2.
            Some(Profile::Ramp { to }) => {
                let growth = (to - rate) / self.load.duration.0.as_secs_f64();
                if growth.abs() < 1e-9 {
                    return n as f64 / rate;
                }
                let root = (rate * rate + 2.0 * growth * n as f64).max(0.0).sqrt();
                (root - rate) / growth
            }
        }
    }
}
