//! Counting the end of each pod exactly once: its uid is written down first, then its finalizer
//! goes, then it is counted (`trackJobStatusAndRemoveFinalizers`).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::backoff::Backoff;
use super::{Finish, JOBS, Sync, pods, policy, release};
use crate::controllers::{Context, Key};
use crate::events::About;
use crate::store::object::list;
use crate::store::object::map_mut;
use crate::store::{Error, Object, object};

/// So many ends are written down at once (`MaxUncountedPods`).
const MOST: usize = 500;

/// Pods of a Job that is gone are no longer held.
pub(super) fn free_orphans(context: &Context, key: &Key) -> Result<(), Error> {
    let job = context.store.get(JOBS, &key.0, &key.1);
    let uid = job.as_ref().map_or("", |j| object::uid(j));
    for pod in context.store.list("pods", Some(&key.0)) {
        if !pods::tracked(&pod) {
            continue;
        }
        let owner = object::controller(&pod).filter(|o| o["kind"] == "Job");
        let gone = owner.is_some_and(|o| o["name"] == key.1 && o["uid"] != uid);
        if gone {
            release(context, &pod)?;
        }
    }
    Ok(())
}

impl Sync<'_> {
    /// Whether a pod may lose its finalizer once its end is written down.
    fn may_go(&self, pod: &Object) -> bool {
        if object::deleting(&self.job) || self.finish.is_some() || pods::phase(pod) == "Succeeded" {
            return true;
        }
        let kept = self
            .index(pod)
            .and_then(|i| self.kept.get(&i))
            .is_some_and(|k| object::uid(k) == object::uid(pod));
        self.lost(pod) && !kept
    }

    /// Writes the status, counts what ended, and lets go of it. `remember` takes the record of
    /// failures once they are written down.
    pub(super) fn track(&mut self, remember: &mut dyn FnMut(Backoff)) -> Result<(), Error> {
        let mut held: BTreeSet<String> = self
            .pods
            .iter()
            .filter(|p| pods::tracked(p))
            .map(|p| object::uid(p).to_owned())
            .collect();
        let mut flush = self.count_released(&held);
        let (active, ready, terminating) = (self.active.len() as i64, self.ready, self.terminating);
        let status = self.status();
        status.entry("uncountedTerminatedPods").or_insert_with(|| json!({}));
        if active > 0 {
            status.insert("active".into(), active.into());
        } else {
            status.remove("active");
        }
        status.insert("ready".into(), ready.into());
        status.insert("terminating".into(), terminating.into());
        let mut leaving: Vec<Object> = Vec::new();
        let mut full = false;
        let mut all = self.pods.clone();
        all.sort_by_key(|p| (pods::index(p), object::name(p).to_owned()));
        for pod in all.iter().filter(|p| pods::tracked(p)) {
            if !self.may_go(pod) {
                continue;
            }
            leaving.push(pod.clone());
            self.write_down(pod);
            let noted = |f: &str| list(&self.job["status"]["uncountedTerminatedPods"], f).len();
            if noted("succeeded") + noted("failed") >= MOST {
                full = true;
                break;
            }
        }
        if self.indexed() {
            let (done, failed) =
                (self.done.clone(), self.failed_indexes.as_ref().map(ToString::to_string));
            let status = self.status();
            set_count(status, "succeeded", done.len() as i64);
            if done.is_empty() {
                status.remove("completedIndexes");
            } else {
                status.insert("completedIndexes".into(), done.to_string().into());
            }
            if let Some(failed) = failed {
                status.insert("failedIndexes".into(), failed.into());
            }
        }
        self.announce();
        self.flush()?;
        remember(self.backoff);
        let mut error = None;
        for pod in leaving {
            match release(self.context, &pod) {
                Ok(()) => {
                    held.remove(object::uid(&pod));
                }
                Err(e) => error = Some(e),
            }
        }
        flush |= self.count_released(&held);
        if let Some(e) = error {
            if flush {
                self.flush()?;
            }
            return Err(e);
        }
        let end = self.finish.clone().filter(|_| !full && self.may_end());
        if let Some(end) = &end {
            self.set_condition(end.kind, true, &end.reason, &end.message);
            if end.kind == "Complete" {
                let now = self.now();
                self.status().insert("completionTime".into(), now.into());
            }
        }
        self.flush()?;
        if let Some(end) = end {
            self.report(&end);
        }
        Ok(())
    }

    /// Notes the end of a pod that may go, unless it is noted or does not count.
    fn write_down(&mut self, pod: &Object) {
        let uid = object::uid(pod);
        let noted = |job: &Value, which: &str| {
            let all = list(&job["status"]["uncountedTerminatedPods"], which);
            all.iter().any(|u| u == uid)
        };
        let fails = self.finish.as_ref().is_some_and(|f| f.kind != "SuccessCriteriaMet");
        let which = if pods::phase(pod) == "Succeeded" && !noted(&self.job, "failed") {
            if self.indexed() {
                // The index is enough to count it once.
                return;
            }
            "succeeded"
        } else if self.lost(pod) || fails {
            let counts = self.job["spec"]["podFailurePolicy"].is_null()
                || policy::judge(&self.job, pod).counts();
            if !counts || (self.indexed() && self.index(pod).is_none()) {
                return;
            }
            "failed"
        } else {
            return;
        };
        if noted(&self.job, which) {
            return;
        }
        let list =
            map_mut(self.status().entry("uncountedTerminatedPods").or_insert_with(|| json!({})))
                .entry(which)
                .or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(uid.into());
        }
    }

    /// Counts what is written down and has no finalizer any more.
    fn count_released(&mut self, held: &BTreeSet<String>) -> bool {
        let mut changed = false;
        for which in ["succeeded", "failed"] {
            let noted = list(&self.job["status"]["uncountedTerminatedPods"], which).to_vec();
            let (stay, gone): (Vec<Value>, Vec<Value>) =
                noted.into_iter().partition(|u| u.as_str().is_some_and(|u| held.contains(u)));
            if gone.is_empty() {
                continue;
            }
            changed = true;
            let status = self.status();
            let before = status.get(which).and_then(Value::as_i64).unwrap_or(0);
            set_count(status, which, before + gone.len() as i64);
            let uncounted =
                map_mut(status.entry("uncountedTerminatedPods").or_insert_with(|| json!({})));
            if stay.is_empty() {
                uncounted.remove(which);
            } else {
                uncounted.insert(which.into(), stay.into());
            }
        }
        changed
    }

    /// Says what is going to happen before anything is let go; what follows is the final word.
    fn announce(&mut self) {
        let Some(finish) = self.finish.clone() else { return };
        let last = match finish.kind {
            "SuccessCriteriaMet" => "Complete",
            _ => "Failed",
        };
        if matches!(finish.kind, "SuccessCriteriaMet" | "FailureTarget")
            && !object::holds(&self.job, finish.kind)
        {
            self.set_condition(finish.kind, true, &finish.reason, &finish.message);
        }
        self.finish = Some(Finish { kind: last, ..finish });
    }

    /// A Job is over when everything is counted and nobody is left.
    fn may_end(&self) -> bool {
        let uncounted = &self.job["status"]["uncountedTerminatedPods"];
        list(uncounted, "succeeded").is_empty()
            && list(uncounted, "failed").is_empty()
            && self.terminating == 0
    }

    /// Writes the status if it differs from what is stored.
    fn flush(&mut self) -> Result<(), Error> {
        let store = &self.context.store;
        let stored = store.get(JOBS, object::namespace(&self.job), object::name(&self.job));
        if stored.is_some_and(|s| s["status"] == self.job["status"]) {
            return Ok(());
        }
        let new = store.update_status(JOBS, self.job.clone())?;
        self.job = Value::clone(&new);
        Ok(())
    }

    fn report(&self, end: &Finish) {
        let about = About::object(&self.job);
        let events = &self.context.events;
        if end.kind != "Complete" {
            events.warning(&about, &end.reason, &end.message);
            return;
        }
        let done = self.job["status"]["succeeded"].as_i64().unwrap_or(0);
        if self.number("completions").is_some_and(|n| done > n) {
            let text = "Too many succeeded pods were already completed";
            events.warning(&about, "TooManySucceededPods", text);
        }
        events.normal(&about, "Completed", "Job completed");
    }
}

fn set_count(status: &mut serde_json::Map<String, Value>, field: &str, count: i64) {
    if count == 0 {
        status.remove(field);
    } else {
        status.insert(field.into(), count.into());
    }
}
