//! Making room for a more important pod (`plugins/defaultpreemption`, `framework/preemption`).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::Value;

use super::Scheduler;
use super::cluster::{Key, PodInfo};
use super::filter::{Filters, Refusal};
use super::volumes::Volumes;
use crate::controllers::disruption::selects;
use crate::events::About;
use crate::store::object::map_mut;
use crate::store::{DeleteOptions, Object, object};

/// What came of looking for victims.
pub(super) enum Outcome {
    /// These have been told to go from this node.
    Node(String),
    /// Why there is no room to be made, as it follows `preemption: `.
    None(String),
}

/// Who would have to go from a node.
struct Candidate {
    node: String,
    victims: Vec<PodInfo>,
    violations: usize,
}

impl Scheduler {
    /// Looks for pods that matter less and whose going would help, and lets them go.
    pub(super) fn preempt(
        &mut self,
        pod: &PodInfo,
        refusals: &BTreeMap<String, Refusal>,
    ) -> Outcome {
        let total = refusals.len();
        if pod.object["spec"]["preemptionPolicy"] == "Never" {
            return Outcome::None("not eligible due to preemptionPolicy=Never.".into());
        }
        if self.victims_are_going(pod) {
            let why = "not eligible due to a terminating pod on the nominated node.";
            return Outcome::None(why.into());
        }
        let mut why: BTreeMap<String, usize> = BTreeMap::new();
        let mut candidates = Vec::new();
        for (node, refusal) in refusals {
            let found = if refusal.curable {
                self.victims(pod, node)
            } else {
                Err(vec!["Preemption is not helpful for scheduling".into()])
            };
            match found {
                Ok(candidate) => candidates.push(candidate),
                Err(reasons) => reasons.into_iter().for_each(|r| *why.entry(r).or_default() += 1),
            }
        }
        // As few broken budgets, as unimportant and as few pods as possible; then the youngest.
        let cost = |c: &Candidate| {
            let priorities = || c.victims.iter().map(PodInfo::priority);
            let top = priorities().max().unwrap_or(i64::MIN);
            let oldest = c.victims.iter().filter(|p| p.priority() == top).map(started).min();
            // Sums are of offsets, as in Kubernetes, so that more pods are never cheaper.
            let sum: i128 = priorities().map(|p| i128::from(p) + (1 << 31)).sum();
            (c.violations, top, sum, c.victims.len(), Reverse(oldest))
        };
        let Some(best) = candidates.into_iter().min_by_key(cost) else {
            let reasons = super::counted(&why);
            return Outcome::None(format!("0/{total} nodes are available: {reasons}."));
        };
        for victim in &best.victims {
            self.evict(victim, pod, &best.node);
        }
        Outcome::Node(best.node)
    }

    /// Whether the pods that made room for this one are still on their way out.
    fn victims_are_going(&self, pod: &PodInfo) -> bool {
        let Some(name) = pod.object["status"]["nominatedNodeName"].as_str() else { return false };
        let node = self.cluster.nodes.get(name);
        let pods = node.into_iter().flat_map(|n| n.pods.values());
        pods.into_iter().any(|p| p.priority() < pod.priority() && object::deleting(&p.object))
    }

    /// Who has to go from `node` so that `pod` fits.
    fn victims(&mut self, pod: &PodInfo, node: &str) -> Result<Candidate, Vec<String>> {
        let here = self.cluster.nodes.get(node).map(|n| n.pods.clone()).unwrap_or_default();
        let mut lower: Vec<PodInfo> =
            here.into_values().filter(|p| p.priority() < pod.priority()).collect();
        if lower.is_empty() {
            return Err(vec!["No preemption victims found for incoming pod".into()]);
        }
        let volumes = Volumes::new(&pod.object, &self.store).unwrap_or_default();
        self.cluster.gone = lower.iter().map(PodInfo::key).collect();
        if let Some(refusal) = self.refusal(pod, &volumes, node) {
            self.cluster.gone.clear();
            return Err(refusal.reasons);
        }
        // The most important are spared first, and among them those with a budget to keep.
        lower.sort_by_key(|p| (Reverse(p.priority()), started(p), p.key()));
        let (breaking, fine) = self.by_budget(lower);
        let (mut victims, mut violations) = (Vec::new(), 0);
        for (candidate, breaks) in
            breaking.into_iter().map(|p| (p, true)).chain(fine.into_iter().map(|p| (p, false)))
        {
            let key: Key = candidate.key();
            self.cluster.gone.remove(&key);
            if self.refusal(pod, &volumes, node).is_some() {
                self.cluster.gone.insert(key);
                violations += usize::from(breaks);
                victims.push(candidate);
            }
        }
        self.cluster.gone.clear();
        Ok(Candidate { node: node.to_owned(), victims, violations })
    }

    fn refusal(&self, pod: &PodInfo, volumes: &Volumes, node: &str) -> Option<Refusal> {
        let filters = Filters::new(pod, volumes, &self.cluster, &self.store);
        filters.refuse(&self.cluster, node)
    }

    /// Those whose going breaks a budget, and the others.
    fn by_budget(&self, pods: Vec<PodInfo>) -> (Vec<PodInfo>, Vec<PodInfo>) {
        let budgets = self.store.list("poddisruptionbudgets.policy", None);
        let mut left: Vec<i64> = budgets
            .iter()
            .map(|b| b["status"]["disruptionsAllowed"].as_i64().unwrap_or(0))
            .collect();
        pods.into_iter().partition(|p| {
            let mut breaks = false;
            for (budget, left) in budgets.iter().zip(&mut left) {
                if object::namespace(budget) == object::namespace(&p.object)
                    && selects(budget, &p.object)
                {
                    *left -= 1;
                    breaks |= *left < 0;
                }
            }
            breaks
        })
    }

    fn evict(&self, victim: &PodInfo, by: &PodInfo, node: &str) {
        let (namespace, name) = (object::namespace(&victim.object), object::name(&victim.object));
        let Some(now) = self.store.get("pods", namespace, name) else { return };
        let mut new = Value::clone(&now);
        let condition = serde_json::json!({
            "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
            "message": "default-scheduler: preempting to accommodate a higher priority pod",
            "lastProbeTime": null,
            "lastTransitionTime": object::time(self.store.sim().unix_nanos()),
        });
        super::set_condition(&mut new, condition);
        // Nothing runs between reading and writing; a pod that is gone needs no going.
        let _ = self.store.update_status("pods", new);
        let options = DeleteOptions {
            uid: Some(object::uid(&victim.object).into()),
            ..DeleteOptions::default()
        };
        let _ = self.store.delete("pods", namespace, name, &options);
        let text = format!("Preempted by pod {} on node {node}", object::uid(&by.object));
        self.events.normal(&About::object(&victim.object), "Preempted", &text);
    }

    /// Promises a node to a pod, or takes the promise back.
    pub(super) fn nominate(&mut self, pod: &Object, node: Option<&str>) {
        let now = pod["status"]["nominatedNodeName"].as_str();
        if now == node {
            return;
        }
        let Some(stored) = self.store.get("pods", object::namespace(pod), object::name(pod)) else {
            return;
        };
        let mut new = Value::clone(&stored);
        let status = map_mut(map_mut(&mut new).entry("status").or_insert(Value::Null));
        match node {
            Some(node) => status.insert("nominatedNodeName".into(), node.into()),
            None => status.remove("nominatedNodeName"),
        };
        let _ = self.store.update_status("pods", new);
    }
}

fn started(pod: &PodInfo) -> u64 {
    let time = pod.object["status"]["startTime"].as_str().and_then(object::parse_time);
    time.unwrap_or(u64::MAX)
}
