//! What a Job's pods say (`pkg/controller/job/{job_controller,backoff_utils,indexed_job_utils}.go`).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::store::object;
use crate::store::object::list;

/// Holds a pod until its end was counted.
pub(super) const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
/// Which index a pod works on.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// How often the index of this pod failed before.
pub(super) const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// How often that was not counted because of the failure policy.
pub(super) const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// "Pending", "Running", ...
pub(super) fn phase(pod: &Value) -> &str {
    pod["status"]["phase"].as_str().unwrap_or("")
}

pub(super) fn over(pod: &Value) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Neither ended nor on its way out.
pub(super) fn active(pod: &Value) -> bool {
    !over(pod) && !object::deleting(pod)
}

/// On its way out, and not ended yet.
pub(super) fn terminating(pod: &Value) -> bool {
    !over(pod) && object::deleting(pod)
}

pub(super) fn ready(pod: &Value) -> bool {
    object::holds(pod, "Ready")
}

pub(super) fn tracked(pod: &Value) -> bool {
    list(&pod["metadata"], "finalizers").iter().any(|f| f == FINALIZER)
}

/// Whether the pod counts as failed: unless only failed pods are replaced, one that is being
/// deleted does too.
pub(super) fn failed(pod: &Value, replace_failed_only: bool) -> bool {
    if phase(pod) == "Failed" {
        return true;
    }
    let deleted = object::deleting(pod) && phase(pod) != "Succeeded";
    // The pod collector fails pods that are deleted before they had a node.
    let unscheduled = pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty);
    deleted && (!replace_failed_only || unscheduled)
}

pub(super) fn index(pod: &Value) -> Option<u64> {
    pod["metadata"]["annotations"][INDEX].as_str()?.parse().ok()
}

pub(super) fn count(pod: &Value, annotation: &str) -> u64 {
    let text = pod["metadata"]["annotations"][annotation].as_str();
    text.and_then(|t| t.parse().ok()).unwrap_or(0)
}

pub(super) fn indexes<'a>(pods: impl Iterator<Item = &'a Value>) -> BTreeSet<u64> {
    pods.filter_map(index).collect()
}

/// When it ended, in ns since 1970: its last container's end, or what is known instead.
pub(super) fn finished(pod: &Value) -> u64 {
    let time = |v: &Value| v.as_str().and_then(object::parse_time);
    let statuses = list(&pod["status"], "containerStatuses");
    let ends: Vec<Option<u64>> =
        statuses.iter().map(|c| time(&c["state"]["terminated"]["finishedAt"])).collect();
    if !ends.is_empty() && ends.iter().all(Option::is_some) {
        return ends.into_iter().flatten().max().unwrap_or(0);
    }
    let unready = object::condition(pod, "Ready")
        .filter(|c| c["status"] == "False")
        .and_then(|c| time(&c["lastTransitionTime"]));
    let meta = &pod["metadata"];
    let deleted = || {
        let grace = meta["deletionGracePeriodSeconds"].as_u64().unwrap_or(0);
        Some(time(&meta["deletionTimestamp"])?.saturating_sub(grace * 1_000_000_000))
    };
    unready.or_else(deleted).or_else(|| time(&meta["creationTimestamp"])).unwrap_or(0)
}

/// Which of the active pods go first (`controller.ActivePods`): a smaller key goes sooner.
pub(super) fn rank(pod: &Value) -> impl Ord + use<> {
    let assigned = pod["spec"]["nodeName"].as_str().is_some_and(|n| !n.is_empty());
    let phase = match phase(pod) {
        "Pending" => 0,
        "Running" => 2,
        _ => 1,
    };
    let time = |v: &Value| v.as_str().and_then(object::parse_time).unwrap_or(u64::MAX);
    let since = object::condition(pod, "Ready")
        .filter(|c| c["status"] == "True")
        .map_or(u64::MAX, |c| time(&c["lastTransitionTime"]));
    let restarts: u64 = list(&pod["status"], "containerStatuses")
        .iter()
        .filter_map(|c| c["restartCount"].as_u64())
        .max()
        .unwrap_or(0);
    let born = time(&pod["metadata"]["creationTimestamp"]);
    // Newer and more restless ones go first.
    let newer = std::cmp::Reverse;
    (
        assigned,
        phase,
        ready(pod),
        newer(since),
        newer(restarts),
        newer(born),
        object::name(pod).to_owned(),
    )
}
