//! The Job controller (`pkg/controller/job/job_controller.go` of 1.32).
//!
//! # Layout
//! - `pods`: what pods say; `policy`: failure and success policies; `backoff`: waiting
//! - `manage`: creating and deleting pods; `track`: counting each end exactly once

mod backoff;
mod manage;
mod pods;
mod policy;
mod track;

use std::collections::BTreeMap;
use std::time::Duration;

use podlab_sim::Time;
use podlab_trace::Verb;
use serde_json::{Value, json};

use self::backoff::Backoff;
use super::{Context, Controller, Key, Next};
use crate::events::About;
use crate::store::kinds::job_indexes::Indexes;
use crate::store::object::list;
use crate::store::object::{map_mut, meta_mut};
use crate::store::selector::LabelSelector;
use crate::store::watch::Change;
use crate::store::{DeleteOptions, Error, Object, Propagation, object};

const JOBS: &str = "jobs.batch";
/// Changes of pods are gathered for this long (`syncJobBatchPeriod`).
const BATCH: Duration = Duration::from_secs(1);

/// Runs pods until enough of them have succeeded.
#[derive(Default)]
pub(crate) struct Jobs {
    /// Failures in a row, by the Job's uid.
    backoff: BTreeMap<String, Backoff>,
    /// When a Job is to be looked at.
    due: BTreeMap<Key, Time>,
}

/// What one look at a Job finds.
struct Sync<'a> {
    context: &'a Context,
    job: Value,
    pods: Vec<Object>,
    /// Those that neither ended nor are on their way out.
    active: Vec<Object>,
    terminating: i64,
    ready: i64,
    succeeded: i64,
    failed: i64,
    done_before: Indexes,
    done: Indexes,
    failed_indexes: Option<Indexes>,
    /// The failed pod of an index that must stay until its successor is there, since it knows
    /// how often the index has failed.
    kept: BTreeMap<u64, Object>,
    finish: Option<Finish>,
    backoff: Backoff,
    /// When to look again at the latest.
    again: Option<Duration>,
}

/// How a Job is about to end.
#[derive(Clone)]
struct Finish {
    kind: &'static str,
    reason: String,
    message: String,
}

impl Finish {
    fn new(kind: &'static str, reason: &str, message: &str) -> Finish {
        Finish { kind, reason: reason.into(), message: message.into() }
    }
}

impl Controller for Jobs {
    const NAME: &'static str = "job-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec![JOBS, "pods"]
    }

    fn concerns(&mut self, context: &Context, kind: &str, change: &Change) -> Vec<Key> {
        let object = &change.object;
        let now = context.shared.sim.now();
        let (key, at) = if kind == JOBS {
            let key = (object::namespace(object).to_owned(), object::name(object).to_owned());
            let same = change.previous.as_ref().is_some_and(|p| p["spec"] == object["spec"]);
            (key, if same { now + BATCH } else { now })
        } else {
            let owner = [object].into_iter().chain(&change.previous).find_map(|o| job_of(o));
            let Some(name) = owner else { return adopters(context, object) };
            ((object::namespace(object).to_owned(), name), now + BATCH)
        };
        if change.verb == Verb::Deleted && kind == JOBS {
            self.backoff.remove(object::uid(object));
        }
        let due = self.due.entry(key.clone()).or_insert(at);
        *due = (*due).min(at);
        vec![key]
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let now = context.shared.sim.now();
        if let Some(at) = self.due.get(key).filter(|at| **at > now) {
            return Ok(Next::After(at.since(now)));
        }
        self.due.remove(key);
        let Some(job) = context.store.get(JOBS, &key.0, &key.1) else {
            return track::free_orphans(context, key).map(|()| Next::Change);
        };
        track::free_orphans(context, key)?;
        if finished(&job).is_some() {
            return expire(context, &job);
        }
        if job["spec"]["managedBy"].as_str().is_some_and(|m| m != "kubernetes.io/job-controller") {
            return Ok(Next::Change);
        }
        let uid = object::uid(&job).to_owned();
        let backoff = self.backoff.get(&uid).copied().unwrap_or_default();
        let mut sync = Sync::look(context, &job, backoff)?;
        let managed = sync.decide();
        sync.track(&mut |record| {
            self.backoff.insert(uid.clone(), record);
        })?;
        managed?;
        Ok(match sync.again {
            Some(wait) => {
                self.due.insert(key.clone(), now + wait);
                Next::After(wait)
            }
            None => Next::Change,
        })
    }
}

/// The Job that controls a pod.
fn job_of(pod: &Value) -> Option<String> {
    let owner = object::controller(pod).filter(|o| o["kind"] == "Job")?;
    owner["name"].as_str().map(str::to_owned)
}

/// The Jobs that may want a pod without a controller.
fn adopters(context: &Context, pod: &Value) -> Vec<Key> {
    if object::controller(pod).is_some() {
        return Vec::new();
    }
    let jobs = context.store.list(JOBS, Some(object::namespace(pod)));
    let wants = |j: &&Object| {
        j["spec"]["manualSelector"] == true
            && LabelSelector::from_selector(&j["spec"]["selector"]).matches(pod)
    };
    jobs.iter().filter(wants).map(|j| object::key(j)).collect()
}

/// The condition `kind` of a Job, if it holds.
fn condition<'a>(job: &'a Value, kind: &str) -> Option<&'a Value> {
    object::condition(job, kind).filter(|c| c["status"] == "True")
}

/// The condition that says that a Job is over.
pub(super) fn finished(job: &Value) -> Option<&Value> {
    condition(job, "Complete").or_else(|| condition(job, "Failed"))
}

/// Deletes what has been over for long enough (`pkg/controller/ttlafterfinished`).
fn expire(context: &Context, job: &Value) -> Result<Next, Error> {
    let (Some(ttl), Some(end)) = (job["spec"]["ttlSecondsAfterFinished"].as_u64(), finished(job))
    else {
        return Ok(Next::Change);
    };
    let end = end["lastTransitionTime"].as_str().and_then(object::parse_time).unwrap_or(0);
    let at = end.saturating_add(ttl.saturating_mul(1_000_000_000));
    let now = context.shared.sim.unix_nanos();
    if at > now {
        return Ok(Next::After(Duration::from_nanos(at - now)));
    }
    if !object::deleting(job) {
        let options = DeleteOptions {
            uid: Some(object::uid(job).into()),
            propagation: Propagation::Foreground,
            ..DeleteOptions::default()
        };
        context.store.delete(JOBS, object::namespace(job), object::name(job), &options)?;
    }
    Ok(Next::Change)
}

impl<'a> Sync<'a> {
    fn look(context: &'a Context, job: &Value, backoff: Backoff) -> Result<Sync<'a>, Error> {
        let pods = manage::claim(context, job)?;
        let active: Vec<Object> = pods.iter().filter(|p| pods::active(p)).cloned().collect();
        let ready = active.iter().filter(|p| pods::ready(p)).count() as i64;
        let terminating = pods.iter().filter(|p| pods::terminating(p)).count() as i64;
        let mut sync = Sync {
            context,
            job: job.clone(),
            pods,
            active,
            terminating,
            ready,
            succeeded: 0,
            failed: 0,
            done_before: Indexes::default(),
            done: Indexes::default(),
            failed_indexes: None,
            kept: BTreeMap::new(),
            finish: None,
            backoff,
            again: None,
        };
        let mut counted: Vec<String> = Vec::new();
        for which in ["succeeded", "failed"] {
            let all = list(&job["status"]["uncountedTerminatedPods"], which);
            counted.extend(all.iter().filter_map(|u| u.as_str().map(str::to_owned)));
        }
        let new: Vec<&Object> = sync
            .pods
            .iter()
            .filter(|p| pods::tracked(p) && !counted.iter().any(|u| u == object::uid(p)))
            .filter(|p| !sync.indexed() || sync.index(p).is_some())
            .collect();
        let won: Vec<&&Object> = new.iter().filter(|p| pods::phase(p) == "Succeeded").collect();
        let lost: Vec<&&Object> = new.iter().filter(|p| sync.lost(p)).collect();
        let number = |field: &str| job["status"][field].as_i64().unwrap_or(0);
        let uncounted =
            |field: &str| list(&job["status"]["uncountedTerminatedPods"], field).len() as i64;
        let succeeded = number("succeeded") + won.len() as i64 + uncounted("succeeded");
        let counted = lost.iter().filter(|p| policy::judge(job, p).counts()).count() as i64;
        let failed = number("failed") + counted + uncounted("failed");
        let times = |of: &[&&Object]| of.iter().map(|p| pods::finished(p)).collect::<Vec<_>>();
        let backoff = backoff.after(&times(&won), &times(&lost));
        sync.succeeded = succeeded;
        sync.failed = failed;
        sync.backoff = backoff;
        Ok(sync)
    }

    fn number(&self, field: &str) -> Option<i64> {
        self.job["spec"][field].as_i64()
    }

    fn indexed(&self) -> bool {
        self.job["spec"]["completionMode"] == "Indexed"
    }

    fn per_index(&self) -> bool {
        self.indexed() && self.number("backoffLimitPerIndex").is_some()
    }

    fn suspended(&self) -> bool {
        self.job["spec"]["suspend"] == true
    }

    fn completions(&self) -> u64 {
        self.number("completions").and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    }

    /// Whether pods are replaced only once they have failed, not while they are on their way out.
    fn replaces_failed_only(&self) -> bool {
        self.job["spec"]["podReplacementPolicy"] == "Failed"
    }

    fn lost(&self, pod: &Value) -> bool {
        pods::failed(pod, self.replaces_failed_only())
    }

    /// The index of a pod, if the Job has it.
    fn index(&self, pod: &Value) -> Option<u64> {
        pods::index(pod).filter(|i| *i < self.completions())
    }

    fn now(&self) -> String {
        object::time(self.context.shared.sim.unix_nanos())
    }

    /// What is next: the end of the Job, or more or fewer pods.
    fn decide(&mut self) -> Result<(), Error> {
        if self.job["status"]["startTime"].is_null() && !self.suspended() {
            let now = self.now();
            self.status().insert("startTime".into(), now.into());
        }
        self.finish = self.ending();
        if self.indexed() {
            self.look_at_indexes();
        }
        if self.finish.is_some() {
            return self.delete_active();
        }
        let managed = if object::deleting(&self.job) { Ok(()) } else { self.manage() };
        let active = self.active.len();
        let complete = match self.number("completions") {
            None => self.succeeded > 0 && active == 0,
            Some(n) => self.succeeded >= n && active == 0,
        };
        if complete {
            self.finish = Some(Finish::new(
                "SuccessCriteriaMet",
                "CompletionsReached",
                "Reached expected number of succeeded pods",
            ));
        } else if !object::deleting(&self.job) {
            self.say_suspended();
        }
        managed
    }

    /// Whether the Job is to end now, because of what its status, its pods or the time say.
    fn ending(&mut self) -> Option<Finish> {
        let met = |kind: &str| {
            let c = condition(&self.job, kind)?;
            let word = |f: &str| c[f].as_str().unwrap_or("").to_owned();
            Some((word("reason"), word("message")))
        };
        if let Some((reason, message)) = met("SuccessCriteriaMet") {
            return Some(Finish { kind: "SuccessCriteriaMet", reason, message });
        }
        if let Some((reason, message)) = met("FailureTarget") {
            return Some(Finish { kind: "Failed", reason, message });
        }
        let lost = self.pods.iter().filter(|p| self.lost(p));
        if let Some(why) = lost.into_iter().find_map(|p| policy::judge(&self.job, p).fails_job) {
            return Some(Finish::new("FailureTarget", "PodFailurePolicy", &why));
        }
        let limit = self.number("backoffLimit").unwrap_or(6);
        if self.failed > limit || self.restarted_too_often(limit) {
            return Some(Finish::new(
                "FailureTarget",
                "BackoffLimitExceeded",
                "Job has reached the specified backoff limit",
            ));
        }
        let deadline = self.number("activeDeadlineSeconds").filter(|_| !self.suspended())?;
        let began = self.job["status"]["startTime"].as_str().and_then(object::parse_time)?;
        let end = began + u64::try_from(deadline).unwrap_or(0) * 1_000_000_000;
        let now = self.context.shared.sim.unix_nanos();
        if end <= now {
            return Some(Finish::new(
                "FailureTarget",
                "DeadlineExceeded",
                "Job was active longer than specified deadline",
            ));
        }
        self.look_again(Duration::from_nanos(end - now));
        None
    }

    /// Containers that are restarted in place count too.
    fn restarted_too_often(&self, limit: i64) -> bool {
        if self.job["spec"]["template"]["spec"]["restartPolicy"] != "OnFailure" {
            return false;
        }
        let restarts: i64 = self
            .pods
            .iter()
            .filter(|p| matches!(pods::phase(p), "Running" | "Pending"))
            .flat_map(|p| {
                ["initContainerStatuses", "containerStatuses"]
                    .into_iter()
                    .flat_map(|f| list(&p["status"], f))
            })
            .filter_map(|c| c["restartCount"].as_i64())
            .sum();
        if limit == 0 { restarts > 0 } else { restarts >= limit }
    }

    fn look_at_indexes(&mut self) {
        let completions = self.completions();
        let text = self.job["status"]["completedIndexes"].as_str().unwrap_or("");
        self.done_before = Indexes::lenient(text, completions);
        self.done = self.done_before.clone();
        for pod in self.pods.iter().filter(|p| pods::phase(p) == "Succeeded" && pods::tracked(p)) {
            if let Some(i) = self.index(pod) {
                self.done.insert(i);
            }
        }
        self.succeeded = self.done.len() as i64;
        if self.per_index() {
            let failed = self.count_failed_indexes();
            let (lost, most) = (failed.len() as i64, self.number("maxFailedIndexes"));
            self.failed_indexes = Some(failed);
            if self.finish.is_some() {
            } else if most.is_some_and(|most| lost > most) {
                self.finish = Some(Finish::new(
                    "FailureTarget",
                    "MaxFailedIndexesExceeded",
                    "Job has exceeded the specified maximal number of failed indexes",
                ));
            } else if lost > 0 && lost + self.succeeded >= completions as i64 {
                self.finish =
                    Some(Finish::new("FailureTarget", "FailedIndexes", "Job has failed indexes"));
            }
            self.keep_last_failures();
        }
        if self.finish.is_none()
            && let Some(message) = policy::succeeded(&self.job, &self.done)
        {
            self.finish = Some(Finish::new("SuccessCriteriaMet", "SuccessPolicy", &message));
        }
    }

    fn count_failed_indexes(&self) -> Indexes {
        let text = self.job["status"]["failedIndexes"].as_str().unwrap_or("");
        let mut failed = Indexes::lenient(text, self.completions());
        let limit = self.number("backoffLimitPerIndex").unwrap_or(0);
        for pod in self.pods.iter().filter(|p| pods::tracked(p) && self.lost(p)) {
            let Some(i) = self.index(pod) else { continue };
            let verdict = policy::judge(&self.job, pod);
            let at_once = verdict.action.as_deref() == Some("FailIndex");
            let often = pods::count(pod, pods::FAILURES) as i64 >= limit;
            if at_once || (verdict.counts() && often) {
                failed.insert(i);
            }
        }
        failed
    }

    /// Of each index that has no active pod, the last failed one.
    fn keep_last_failures(&mut self) {
        let active = pods::indexes(self.active.iter().map(|p| &**p));
        let total = |p: &Value| pods::count(p, pods::FAILURES) + pods::count(p, pods::IGNORED);
        let lost = self.pods.iter().filter(|p| pods::tracked(p) && self.lost(p));
        for pod in lost.cloned().collect::<Vec<_>>() {
            let Some(i) = self.index(&pod) else { continue };
            let given_up = self.failed_indexes.as_ref().is_some_and(|f| f.has(i));
            if self.done.has(i) || given_up || active.contains(&i) {
                continue;
            }
            let newer = self.kept.get(&i).is_none_or(|other| {
                total(other) <= total(&pod) && pods::finished(other) <= pods::finished(&pod)
            });
            if newer {
                self.kept.insert(i, pod);
            }
        }
    }

    fn look_again(&mut self, wait: Duration) {
        self.again = Some(self.again.map_or(wait, |before| before.min(wait)));
    }

    fn status(&mut self) -> &mut serde_json::Map<String, Value> {
        map_mut(map_mut(&mut self.job).entry("status").or_insert(Value::Null))
    }

    fn say_suspended(&mut self) {
        let suspended = self.suspended();
        let known = object::holds(&self.job, "Suspended");
        let about = About::object(&self.job);
        if suspended && !known {
            self.set_condition("Suspended", true, "JobSuspended", "Job suspended");
            self.context.events.normal(&about, "Suspended", "Job suspended");
        } else if !suspended && known {
            self.set_condition("Suspended", false, "JobResumed", "Job resumed");
            self.context.events.normal(&about, "Resumed", "Job resumed");
            // The time of a Job that goes on begins anew.
            let now = self.now();
            self.status().insert("startTime".into(), now.into());
            if let Some(deadline) = self.number("activeDeadlineSeconds") {
                self.look_again(Duration::from_secs(u64::try_from(deadline).unwrap_or(0)));
            }
        }
    }

    fn set_condition(&mut self, kind: &str, holds: bool, reason: &str, message: &str) {
        let now = self.now();
        let condition = json!({
            "type": kind, "status": if holds { "True" } else { "False" },
            "lastProbeTime": now, "lastTransitionTime": now,
            "reason": reason, "message": message,
        });
        let list = self.status().entry("conditions").or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            match list.iter_mut().find(|c| c["type"] == kind) {
                Some(old) => *old = condition,
                None => list.push(condition),
            }
        }
    }
}

/// Takes the finalizer off a pod.
fn release(context: &Context, pod: &Value) -> Result<(), Error> {
    let Some(now) = context.store.get("pods", object::namespace(pod), object::name(pod)) else {
        return Ok(());
    };
    if object::uid(&now) != object::uid(pod) || !pods::tracked(&now) {
        return Ok(());
    }
    let mut new = Value::clone(&now);
    let meta = meta_mut(&mut new);
    if let Some(list) = meta.get_mut("finalizers").and_then(Value::as_array_mut) {
        list.retain(|f| f != pods::FINALIZER);
        if list.is_empty() {
            meta.remove("finalizers");
        }
    }
    context.store.update("pods", new).map(|_| ())
}
