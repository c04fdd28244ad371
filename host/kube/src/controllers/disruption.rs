//! PodDisruptionBudgets: how many pods may go now (`pkg/controller/disruption/disruption.go`).

use std::collections::BTreeSet;
use std::time::Duration;

use podlab_trace::Verb;
use serde_json::{Map, Value, json};

use super::{Context, Controller, Key, Next};
use crate::events::About;
use crate::store::kinds::budget::scaled;
use crate::store::object::map_mut;
use crate::store::selector::LabelSelector;
use crate::store::watch::Change;
use crate::store::{Error, Object, Store, object};

const BUDGETS: &str = "poddisruptionbudgets.policy";
/// An eviction that led to nothing is forgotten after this (`DeletionTimeout`).
const FORGET: u64 = 120 * 1_000_000_000;

/// Keeps the status of every budget.
pub(crate) struct Disruptions;

impl Controller for Disruptions {
    const NAME: &'static str = "controllermanager";

    fn kinds(&self) -> Vec<&'static str> {
        vec![
            BUDGETS,
            "pods",
            "deployments.apps",
            "replicasets.apps",
            "statefulsets.apps",
            "replicationcontrollers",
        ]
    }

    fn concerns(&mut self, context: &Context, kind: &str, change: &Change) -> Vec<Key> {
        let object = &change.object;
        let namespace = object::namespace(object);
        if kind == BUDGETS {
            if change.verb == Verb::Deleted {
                return Vec::new();
            }
            return vec![(namespace.to_owned(), object::name(object).to_owned())];
        }
        let scale = |o: &Object| o["spec"]["replicas"].clone();
        if kind != "pods" && change.previous.as_ref().is_some_and(|p| scale(p) == scale(object)) {
            return Vec::new();
        }
        let both: Vec<&Object> = [object].into_iter().chain(&change.previous).collect();
        let all = context.store.list(BUDGETS, Some(namespace));
        let matches = |b: &&Object| kind != "pods" || both.iter().any(|p| selects(b, p));
        all.iter()
            .filter(matches)
            .map(|b| (namespace.to_owned(), object::name(b).to_owned()))
            .collect()
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let Some(budget) = context.store.get(BUDGETS, &key.0, &key.1) else {
            return Ok(Next::Change);
        };
        let mut pods = context.store.list("pods", Some(&key.0));
        pods.retain(|p| selects(&budget, p));
        let about = About::object(&budget);
        if pods.is_empty() {
            context.events.normal(&about, "NoPods", "No matching pods found");
        }
        let (expected, desired) = match expectation(context, &budget, &pods) {
            Ok(found) => found,
            Err(why) => {
                let text = format!("Failed to calculate the number of expected pods: {why}");
                context.events.warning(&about, "CalculateExpectedPodCountFailed", &text);
                return fail(context, &budget, &why);
            }
        };
        let now = context.shared.sim.unix_nanos();
        let (disrupted, again) = still_disrupted(&budget, &pods, now);
        let healthy = pods
            .iter()
            .filter(|p| !object::deleting(p) && object::holds(p, "Ready"))
            .filter(|p| !disrupted.contains_key(object::name(p)))
            .count() as i64;
        let allowed = if expected <= 0 { 0 } else { (healthy - desired).max(0) };
        let mut new = Value::clone(&budget);
        let generation = budget["metadata"]["generation"].clone();
        let conditions = conditions(&budget, allowed, &generation, now);
        let status = map_mut(map_mut(&mut new).entry("status").or_insert(Value::Null));
        for (field, value) in [
            ("currentHealthy", healthy),
            ("desiredHealthy", desired),
            ("expectedPods", expected),
            ("disruptionsAllowed", allowed),
        ] {
            status.insert(field.into(), value.into());
        }
        status.insert("observedGeneration".into(), generation);
        status.insert("conditions".into(), conditions);
        if disrupted.is_empty() {
            status.remove("disruptedPods");
        } else {
            status.insert("disruptedPods".into(), disrupted.into());
        }
        context.store.update_status(BUDGETS, new)?;
        Ok(again.map_or(Next::Change, Next::After))
    }
}

/// Whether a budget is about this pod.
pub(crate) fn selects(budget: &Value, pod: &Value) -> bool {
    let selector = &budget["spec"]["selector"];
    selector.is_object() && LabelSelector::from_selector(selector).matches(pod)
}

/// How many pods there should be, and how many must be healthy.
fn expectation(context: &Context, budget: &Value, pods: &[Object]) -> Result<(i64, i64), String> {
    let (min, max) = (&budget["spec"]["minAvailable"], &budget["spec"]["maxUnavailable"]);
    if max.is_null() {
        if let Some(number) = min.as_i64() {
            return Ok((pods.len() as i64, number));
        }
        let scale = scale(context, budget, pods)?;
        return Ok((scale, scaled(min, scale, true).unwrap_or(0)));
    }
    let scale = scale(context, budget, pods)?;
    Ok((scale, (scale - scaled(max, scale, true).unwrap_or(0)).max(0)))
}

/// The sum of what the pods' controllers should have.
fn scale(context: &Context, budget: &Value, pods: &[Object]) -> Result<i64, String> {
    let (mut seen, mut total, mut unmanaged) = (BTreeSet::new(), 0, false);
    for pod in pods {
        let Some(owner) = object::controller(pod) else {
            unmanaged = true;
            continue;
        };
        let found = scale_of(&context.store, object::namespace(pod), owner);
        let (uid, replicas) =
            found.ok_or_else(|| format!("found no controllers for pod {:?}", object::name(pod)))?;
        if seen.insert(uid) {
            total += replicas;
        }
    }
    if unmanaged {
        let labels = &budget["spec"]["selector"]["matchLabels"];
        let pairs = labels.as_object().into_iter().flatten();
        let text: Vec<String> =
            pairs.map(|(k, v)| format!("{k}:{}", v.as_str().unwrap_or(""))).collect();
        let text = format!(
            "Pods selected by this PodDisruptionBudget (selector: &LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{}},}}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.",
            text.join(",")
        );
        context.events.warning(&About::object(budget), "UnmanagedPods", &text);
    }
    Ok(total)
}

/// Uid and replicas of what scales the pods of `owner`: a ReplicaSet's Deployment, or itself.
fn scale_of(store: &Store, namespace: &str, owner: &Value) -> Option<(String, i64)> {
    let kind = owner["kind"].as_str()?;
    let rows = store.rows();
    let row = rows.iter().find(|r| r.kind == kind && r.subresource("scale").is_some())?;
    let found = store.get(&row.qualified(), namespace, owner["name"].as_str()?)?;
    if owner["uid"] != object::uid(&found) {
        return None;
    }
    if let Some(above) = object::controller(&found)
        && let Some(scale) = scale_of(store, namespace, above)
    {
        return Some(scale);
    }
    Some((object::uid(&found).to_owned(), found["spec"]["replicas"].as_i64().unwrap_or(1)))
}

/// Pods that were evicted and are still there, and when the first of these is forgotten.
fn still_disrupted(
    budget: &Value,
    pods: &[Object],
    now: u64,
) -> (Map<String, Value>, Option<Duration>) {
    let (mut out, mut again) = (Map::new(), None::<u64>);
    for (name, at) in budget["status"]["disruptedPods"].as_object().into_iter().flatten() {
        let there = pods.iter().any(|p| object::name(p) == name && !object::deleting(p));
        let until = at.as_str().and_then(object::parse_time).unwrap_or(0) + FORGET;
        if there && until > now {
            out.insert(name.clone(), at.clone());
            again = Some(again.map_or(until, |a| a.min(until)));
        }
    }
    (out, again.map(|at| Duration::from_nanos(at - now)))
}

fn conditions(budget: &Value, allowed: i64, generation: &Value, now: u64) -> Value {
    let (status, reason) =
        if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    condition(budget, status, reason, "", generation, now)
}

/// The one condition of a budget; it keeps its time while its status stays.
pub(crate) fn condition(
    budget: &Value,
    status: &str,
    reason: &str,
    message: &str,
    generation: &Value,
    now: u64,
) -> Value {
    let old = budget["status"]["conditions"].as_array().into_iter().flatten();
    let since = old
        .into_iter()
        .find(|c| c["type"] == "DisruptionAllowed" && c["status"] == status)
        .and_then(|c| c["lastTransitionTime"].as_str().map(str::to_owned))
        .unwrap_or_else(|| object::time(now));
    json!([{"type": "DisruptionAllowed", "status": status, "reason": reason, "message": message,
        "observedGeneration": generation, "lastTransitionTime": since}])
}

/// What is not known allows nothing.
fn fail(context: &Context, budget: &Value, why: &str) -> Result<Next, Error> {
    let mut new = budget.clone();
    let generation = budget["metadata"]["generation"].clone();
    let now = context.shared.sim.unix_nanos();
    let condition = condition(budget, "False", "SyncFailed", why, &generation, now);
    let status = map_mut(map_mut(&mut new).entry("status").or_insert(Value::Null));
    for field in ["currentHealthy", "desiredHealthy", "expectedPods"] {
        status.entry(field).or_insert(0.into());
    }
    status.insert("disruptionsAllowed".into(), 0.into());
    status.insert("observedGeneration".into(), generation);
    status.insert("conditions".into(), condition);
    context.store.update_status(BUDGETS, new)?;
    Ok(Next::Change)
}
