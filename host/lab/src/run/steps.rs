//! Does what is due.

use podlab_sim::{Rng, Time};

use super::load::{LoadState, load_total};
use super::{Run, Waiting};
use crate::expression::Reads;
use crate::report::{Decision, Recovery};
use crate::scenario::{FaultBudget, Step};

/// No more steps lie ahead at once.
const MAX_STEPS: usize = 100_000;

impl<'a> Run<'a> {
    /// Does whatever is due now.
    pub(super) fn proceed(&mut self) -> Result<(), String> {
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
                // What nothing has touched since it was asked last still does not hold.
                if let Waiting::Holds(expression, deadline) | Waiting::Well(expression, _, deadline) =
                    waiting
                    && let Some(news) = self.news.replace(Reads::default())
                    && now < *deadline
                    && !expression.reads().overlaps(news)
                {
                    return Ok(());
                }
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
            self.news = None;
        }
    }

    fn step(&mut self, step: &'a Step, now: u64) -> Result<(), String> {
        // As it is done: without repeats, choices and draws.
        if !matches!(step, Step::Repeat(_) | Step::OneOf(_) | Step::Faults(_)) {
            self.script.push(step.clone());
        }
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
                if !plan.is_empty() {
                    let (from, until) = (budget.from, budget.until);
                    let drawn = FaultBudget { budget: Vec::new(), plan: plan.clone(), from, until };
                    self.script.push(Step::Faults(drawn));
                }
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

    pub(super) fn apply(&mut self, files: &[String]) -> Result<(), String> {
        for file in files {
            let text =
                self.pattern.text(file).ok_or_else(|| format!("apply: there is no file {file}"))?;
            self.world.apply(text).map_err(|e| format!("apply {file}: {e}"))?;
        }
        Ok(())
    }
}
