//! How many replicas a metric asks for (`pkg/controller/podautoscaler/replica_calculator.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::store::{Object, Store, object, quantity};

/// Within this of the target nothing changes, in thousandths.
pub(super) const TOLERANCE: i128 = 100;
const SECOND: u64 = 1_000_000_000;
/// A pod's start may be busier than its life (`--horizontal-pod-autoscaler-cpu-initialization-period`).
const BUSY_START: u64 = 300 * SECOND;
/// So long after its start a pod may become ready for the first time (`-initial-readiness-delay`).
const FIRST_READY: u64 = 30 * SECOND;

/// What a resource metric is about.
pub(super) struct Wanted<'a> {
    pub resource: &'a str,
    /// One container, or all of them.
    pub container: Option<&'a str>,
    /// Percent of the request, or thousandths of the resource's unit for each pod.
    pub target: Target,
}

#[derive(Clone, Copy)]
pub(super) enum Target {
    Utilization(i128),
    Average(i128),
}

/// What came out.
pub(super) struct Answer {
    pub replicas: i64,
    /// Percent of the requests, if that is what is wanted.
    pub utilization: Option<i128>,
    /// Thousandths for each pod.
    pub average: i128,
}

/// Replicas for a resource metric.
///
/// # Errors
/// Why it cannot be said, in Kubernetes' words.
pub(super) fn resource(
    store: &Store,
    pods: &[Object],
    current: i64,
    wanted: &Wanted<'_>,
    now: u64,
) -> Result<Answer, String> {
    let name = wanted.resource;
    let mut values: BTreeMap<String, i128> = BTreeMap::new();
    let mut stamps: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for pod in pods {
        let Some(sample) = store.measured().pod(object::namespace(pod), object::name(pod)) else {
            continue;
        };
        let used = sample.usage.iter().filter(|(c, _)| wanted.container.is_none_or(|w| w == *c));
        let sum: i128 = used
            .map(|(_, u)| match name {
                "cpu" => i128::from(u.nanocores.div_ceil(1_000_000)),
                _ => i128::from(u.memory) * 1000,
            })
            .sum();
        values.insert(object::name(pod).into(), sum);
        stamps.insert(object::name(pod).into(), (sample.at, sample.window));
    }
    if !matches!(name, "cpu" | "memory") || values.is_empty() {
        return Err(format!(
            "unable to get metrics for resource {name}: no metrics returned from resource metrics API"
        ));
    }
    calculate(pods, current, values, &stamps, wanted, now)
}

/// Replicas for values that pods tell of themselves, of which each should have `target`
/// thousandths.
///
/// # Errors
/// Why it cannot be said, in Kubernetes' words.
pub(super) fn of_values(
    pods: &[Object],
    current: i64,
    values: BTreeMap<String, i128>,
    stamps: &BTreeMap<String, (u64, u64)>,
    target: i128,
    now: u64,
) -> Result<Answer, String> {
    let wanted = Wanted { resource: "", container: None, target: Target::Average(target) };
    calculate(pods, current, values, stamps, &wanted, now)
}

fn calculate(
    pods: &[Object],
    current: i64,
    mut values: BTreeMap<String, i128>,
    stamps: &BTreeMap<String, (u64, u64)>,
    wanted: &Wanted<'_>,
    now: u64,
) -> Result<Answer, String> {
    if pods.is_empty() {
        return Err("no pods returned by selector while calculating replica count".into());
    }
    let groups = Groups::new(pods, stamps, wanted.resource, now);
    values.retain(|pod, _| !groups.ignored.contains(pod) && !groups.unready.contains(pod));
    if values.is_empty() {
        return Err("did not receive metrics for targeted pods (pods might be unready)".into());
    }
    let requests = match wanted.target {
        Target::Utilization(_) => requests(pods, wanted)?,
        Target::Average(_) => BTreeMap::new(),
    };
    let first = measure(&values, &requests, wanted.target);
    let answer =
        |replicas| Answer { replicas, utilization: first.utilization, average: first.average };
    let up = first.ratio > 1000;
    if groups.missing.is_empty() && (groups.unready.is_empty() || !up) {
        let steady = (1000 - first.ratio).abs() <= TOLERANCE;
        let wanted = ceil(first.exact, groups.ready);
        return Ok(answer(if steady { current } else { wanted }));
    }
    // What is not known is taken to be what speaks against a change.
    for pod in &groups.missing {
        let value = if first.ratio < 1000 {
            match wanted.target {
                Target::Utilization(t) => {
                    requests.get(pod).copied().unwrap_or(0) * t.max(100) / 100
                }
                Target::Average(t) => t,
            }
        } else {
            0
        };
        values.insert(pod.clone(), value);
    }
    if up {
        values.extend(groups.unready.iter().map(|p| (p.clone(), 0)));
    }
    let second = measure(&values, &requests, wanted.target);
    let turned = (first.ratio < 1000) != (second.ratio < 1000) && second.ratio != 1000;
    if (1000 - second.ratio).abs() <= TOLERANCE || turned {
        return Ok(answer(current));
    }
    let replicas = ceil(second.exact, values.len() as i128);
    let against =
        (second.ratio < 1000 && replicas > current) || (second.ratio > 1000 && replicas < current);
    Ok(answer(if against { current } else { replicas }))
}

/// The ratio of what is to what should be.
struct Measure {
    /// In thousandths.
    ratio: i128,
    /// Exactly: of the first to the second.
    exact: (i128, i128),
    utilization: Option<i128>,
    average: i128,
}

fn measure(
    values: &BTreeMap<String, i128>,
    requests: &BTreeMap<String, i128>,
    target: Target,
) -> Measure {
    let (sum, count) = (values.values().sum::<i128>(), (values.len() as i128).max(1));
    let average = sum / count;
    match target {
        Target::Utilization(percent) => {
            let asked: i128 = values.keys().filter_map(|p| requests.get(p)).sum();
            let utilization = sum * 100 / asked.max(1);
            let exact = (utilization, percent.max(1));
            let ratio = exact.0 * 1000 / exact.1;
            Measure { ratio, exact, utilization: Some(utilization), average }
        }
        Target::Average(amount) => {
            let exact = (average, amount.max(1));
            let ratio = exact.0 * 1000 / exact.1;
            Measure { ratio, exact, utilization: None, average }
        }
    }
}

fn ceil((is, should): (i128, i128), pods: i128) -> i64 {
    i64::try_from((is * pods + should - 1) / should).unwrap_or(i64::MAX)
}

/// Pods by how much their figures say (`groupPods`).
struct Groups {
    ready: i128,
    unready: BTreeSet<String>,
    missing: BTreeSet<String>,
    ignored: BTreeSet<String>,
}

impl Groups {
    fn new(
        pods: &[Object],
        stamps: &BTreeMap<String, (u64, u64)>,
        resource: &str,
        now: u64,
    ) -> Groups {
        let mut out = Groups {
            ready: 0,
            unready: BTreeSet::new(),
            missing: BTreeSet::new(),
            ignored: BTreeSet::new(),
        };
        for pod in pods {
            let name = object::name(pod).to_owned();
            let phase = pod["status"]["phase"].as_str().unwrap_or("");
            if object::deleting(pod) || phase == "Failed" {
                out.ignored.insert(name);
            } else if phase == "Pending" {
                out.unready.insert(name);
            } else {
                match stamps.get(&name) {
                    None => {
                        out.missing.insert(name);
                    }
                    Some(stamp) if resource == "cpu" && starting(pod, *stamp, now) => {
                        out.unready.insert(name);
                    }
                    Some(_) => out.ready += 1,
                }
            }
        }
        out
    }
}

/// Whether a pod's processor time does not yet tell what it will need.
fn starting(pod: &Value, (at, window): (u64, u64), now: u64) -> bool {
    let time = |v: &Value| v.as_str().and_then(object::parse_time);
    let (Some(ready), Some(start)) =
        (object::condition(pod, "Ready"), time(&pod["status"]["startTime"]))
    else {
        return true;
    };
    let since = time(&ready["lastTransitionTime"]).unwrap_or(0);
    let unready = ready["status"] == "False";
    if start + BUSY_START > now {
        unready || at < since + window
    } else {
        unready && start + FIRST_READY > since
    }
}

/// What each pod asks for, in thousandths.
fn requests(pods: &[Object], wanted: &Wanted<'_>) -> Result<BTreeMap<String, i128>, String> {
    let mut out = BTreeMap::new();
    for pod in pods {
        let mut sum = 0;
        let sidecars = pod["spec"]["initContainers"].as_array().into_iter().flatten();
        let sidecars = sidecars.filter(|c| c["restartPolicy"] == "Always");
        let all = pod["spec"]["containers"].as_array().into_iter().flatten().chain(sidecars);
        for c in all {
            let name = c["name"].as_str().unwrap_or("");
            if wanted.container.is_some_and(|w| w != name) {
                continue;
            }
            let asked = &c["resources"]["requests"][wanted.resource];
            sum += quantity::of(asked).ok_or_else(|| {
                format!(
                    "missing request for {} in container {name} of Pod {}",
                    wanted.resource,
                    object::name(pod)
                )
            })?;
        }
        out.insert(object::name(pod).to_owned(), sum);
    }
    Ok(out)
}
