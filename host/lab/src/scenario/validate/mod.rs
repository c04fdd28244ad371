//! What the types of a scenario do not say.
//!
//! # Layout
//! - `steps`: what is done; `faults`: what breaks; `checks`: what must hold

use super::{Scenario, Step, all_steps};
use crate::expression::Expression;
use crate::vocabulary::meant;

mod checks;
mod faults;
mod steps;

/// A text to find the line by, and what is wrong.
pub(super) type Mistake = (String, String);

/// What the steps of a scenario name.
struct Names<'a> {
    marks: Vec<&'a str>,
    loads: Vec<&'a str>,
    requests: Vec<&'a str>,
}

impl Scenario {
    /// The first mistake.
    pub(super) fn validate(&self) -> Result<(), Mistake> {
        if !(1..=50).contains(&self.world.nodes) || !(1..=64).contains(&self.world.cores) {
            let message = "world: a cluster has 1 to 50 nodes of 1 to 64 cores";
            return Err(("world".into(), message.into()));
        }
        let steps = all_steps(&self.steps);
        let names = Names::of(&steps);
        for step in &steps {
            steps::check(step, &names)?;
        }
        steps::bounded(self)?;
        checks::check(&self.checks, &names)
    }
}

impl Scenario {
    /// Leaves out the checks that speak of requests and marks that no step makes.
    pub(crate) fn drop_checks_of_what_is_not_done(&mut self) {
        let steps = all_steps(&self.steps);
        let names = Names::of(&steps);
        self.checks.retain(|check| checks::one(check, &names).is_ok());
    }
}

impl<'a> Names<'a> {
    fn of(steps: &[&'a Step]) -> Names<'a> {
        let mut names = Names { marks: Vec::new(), loads: Vec::new(), requests: Vec::new() };
        for step in steps {
            match step {
                Step::Mark(mark) => names.marks.push(mark),
                Step::Load(load) => {
                    names.loads.push(&load.request.name);
                    names.requests.push(&load.request.name);
                }
                Step::Request(request) => names.requests.push(&request.name),
                Step::Tcp(request) => names.requests.push(&request.name),
                _ => {}
            }
        }
        names
    }

    /// An answer that no step asks for never comes: whatever waits for it waits in vain.
    fn unasked(&self, e: &Expression) -> Option<String> {
        let requests = &self.requests;
        let name = e.arguments(&["requests", "last"]).find(|n| !requests.contains(n))?;
        let meant = meant(name, requests.iter().copied());
        Some(format!(
            "`{}`: no step makes a request named {name:?}{meant} The steps make {requests:?}",
            e.source().trim()
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;

    /// The error of a scenario with these steps, beside one that passes.
    fn error(steps: &str) -> String {
        let text = format!(
            "title: {{en: T, ja: T}}\nsteps: [{steps}]\nchecks: [{{name: c, finally: now > 0.0}}]\n"
        );
        match Scenario::parse("s.yaml", &text) {
            Ok(_) => String::new(),
            Err(e) => e.message,
        }
    }

    #[test]
    fn steps_inside_steps_are_looked_at_too() {
        let bad = "{repeat: {times: 2, steps: [{fault: {kill: {target: web}}}]}}";
        assert!(error(bad).contains("fault.kill: \"web\" is no target"), "{}", error(bad));
        let bad = "{oneOf: {name: n, choices: [[{wait: {until: \"last('x').ok\"}}]]}}";
        assert!(error(bad).contains("wait.until: `last('x').ok`: no step makes"), "{}", error(bad));
        assert_eq!(error("{repeat: {times: 2, steps: [{sleep: 1s}]}}"), "");
    }

    #[test]
    fn every_fault_is_looked_at() {
        for (fault, expected) in [
            ("pause: {target: default/web}", "write namespace/pod/container"),
            ("nodeDown: {target: a/b}", "write node-1"),
            ("partition: {a: '*', b: a/b/c}", "no end of a link"),
            ("link: {a: '*', b: '*', loss: 2.0}", "loss is 2: it must be from 0 to 1"),
            ("link: {a: '*', b: '*', latencyMs: -1.0}", "latencyMs is -1"),
            ("dnsDown: {target: web}", "or \"*\" for all"),
            ("volumeFull: {target: a/b}", "write namespace/pod/volume"),
            ("volumeSlow: {target: a, ms: 5}", "write namespace/pod/volume"),
            ("cpuStarve: {target: a/b/c, factor: 1}", "factor is 1"),
            ("crashOnWrite: {target: a/b/c, volume: v, writes: 0}", "writes of 1 or more"),
            ("clockSkew: {target: a/b, ms: 5}", "write namespace/pod/container"),
            ("imagePull: {target: web}", "with its tag"),
            ("controlPlaneSlow: {factor: 1}", "factor is 1"),
        ] {
            let step = error(&format!("{{fault: {{{fault}}}}}"));
            assert!(step.contains(expected), "{fault}: {step}");
            let plan = format!("{{faults: {{until: 5s, plan: [{{at: 1s, fault: {{{fault}}}}}]}}}}");
            assert!(error(&plan).contains(expected), "{fault}: {}", error(&plan));
        }
        let once =
            "{faults: {until: 5s, plan: [{at: 1s, for: 1s, fault: {oom: {target: a/b/c}}}]}}";
        assert!(error(once).contains("oom happens once"), "{}", error(once));
    }

    #[test]
    fn a_scenario_that_cannot_end_is_refused() {
        let most =
            "{repeat: {times: 10000, steps: [{repeat: {times: 10000, steps: [{mark: m}]}}]}}";
        assert!(error(most).contains("at most 100000 are done"), "{}", error(most));
        assert!(error("{sleep: 11m}").contains("they never come to their end"));
        assert!(error("{repeat: {times: 100, steps: [{sleep: 6s}]}}").contains("sleep for 600s"));
        assert!(error("{at: 10m}").contains("timeout is 10m"));
        assert_eq!(error("{at: 9m}"), "");
        assert!(error("{repeat: {times: 5, steps: []}}").contains("repeat.steps is empty"));
    }
}
