//! Numbers and conditions of a Deployment (`sync.go`, `progress.go`).

use std::time::Duration;

use serde_json::{Value, json};

use super::super::pods::int;
use super::numbers::max_unavailable;
use super::{Rollout, available, wanted};
use crate::store::object::list;
use crate::store::object::map_mut;
use crate::store::{Error, object};

const PROGRESSING: &str = "Progressing";
const SECOND: u64 = 1_000_000_000;

fn find<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    list(status, "conditions").iter().find(|c| c["type"] == kind)
}

fn drop(status: &mut Value, kind: &str) {
    if let Some(all) = map_mut(status).get_mut("conditions").and_then(Value::as_array_mut) {
        all.retain(|c| c["type"] != kind);
    }
}

/// Says it, unless that is what it says already (`SetDeploymentCondition`).
fn set(status: &mut Value, now: u64, kind: &str, value: &str, reason: &str, message: &str) {
    let time = object::time(now);
    let mut since = Value::from(time.as_str());
    if let Some(old) = find(status, kind) {
        if old["status"] == value && old["reason"] == reason {
            return;
        }
        if old["status"] == value {
            since = old["lastTransitionTime"].clone();
        }
    }
    drop(status, kind);
    let all = map_mut(status).entry("conditions").or_insert_with(|| json!([]));
    if let Some(all) = all.as_array_mut() {
        all.push(json!({
            "type": kind, "status": value, "reason": reason, "message": message,
            "lastUpdateTime": time, "lastTransitionTime": since,
        }));
    }
}

impl Rollout<'_> {
    pub(super) fn condition(&self, kind: &str) -> Option<&Value> {
        find(&self.deployment["status"], kind)
    }

    pub(super) fn set_condition(&mut self, kind: &str, value: &str, reason: &str, message: &str) {
        let now = self.now;
        let status = map_mut(&mut self.deployment).entry("status").or_insert(Value::Null);
        set(status, now, kind, value, reason, message);
    }

    fn deadline(&self) -> Option<u64> {
        let seconds = self.deployment["spec"]["progressDeadlineSeconds"].as_u64()?;
        (seconds != u64::from(i32::MAX.unsigned_abs())).then_some(seconds)
    }

    pub(super) fn has_deadline(&self) -> bool {
        self.deadline().is_some()
    }

    /// Time does not count while a Deployment is paused (`checkPausedConditions`).
    pub(super) fn check_paused(&mut self) -> Result<(), Error> {
        let reason = self.condition(PROGRESSING).map_or("", |c| c["reason"].as_str().unwrap_or(""));
        let noted = reason == "DeploymentPaused";
        if !self.has_deadline() || reason == "ProgressDeadlineExceeded" || noted == self.paused() {
            return Ok(());
        }
        let (reason, text) = if noted {
            ("DeploymentResumed", "Deployment is resumed")
        } else {
            ("DeploymentPaused", "Deployment is paused")
        };
        self.set_condition(PROGRESSING, "Unknown", reason, text);
        self.store_status()
    }

    /// The numbers, and whether there are enough pods (`calculateStatus`).
    fn calculate(&self) -> Value {
        let spec_total: i64 = self.all().map(|s| wanted(s)).sum();
        let sum = |field: &str| self.all().map(|s| int(&s["status"][field])).sum::<i64>();
        let working: i64 = self.all().map(|s| available(s)).sum();
        let updated = self.new.as_ref().map_or(0, |s| int(&s["status"]["replicas"]));
        let mut status = json!({});
        for (field, count) in [
            ("observedGeneration", int(&self.deployment["metadata"]["generation"])),
            ("replicas", sum("replicas")),
            ("updatedReplicas", updated),
            ("readyReplicas", sum("readyReplicas")),
            ("availableReplicas", working),
            ("unavailableReplicas", (spec_total - working).max(0)),
        ] {
            // Go leaves out what is zero.
            if count != 0 {
                status[field] = count.into();
            }
        }
        let before = &self.deployment["status"];
        for field in ["collisionCount", "conditions"] {
            if !before[field].is_null() {
                status[field] = before[field].clone();
            }
        }
        let enough = working >= self.desired() - max_unavailable(&self.deployment);
        let (value, reason, text) = if enough {
            ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            let text = "Deployment does not have minimum availability.";
            ("False", "MinimumReplicasUnavailable", text)
        };
        set(&mut status, self.now, "Available", value, reason, text);
        status
    }

    /// Writes numbers only (`syncDeploymentStatus`).
    pub(super) fn write_status(&mut self) -> Result<(), Error> {
        let status = self.calculate();
        self.write(status)
    }

    fn write(&mut self, status: Value) -> Result<(), Error> {
        if status == self.deployment["status"] {
            return Ok(());
        }
        map_mut(&mut self.deployment).insert("status".into(), status);
        self.store_status()
    }

    /// Whether all pods are new and available.
    pub(super) fn is_complete(&self, status: &Value) -> bool {
        let desired = self.desired();
        ["updatedReplicas", "replicas", "availableReplicas"]
            .iter()
            .all(|f| int(&status[*f]) == desired)
            && int(&status["observedGeneration"]) >= int(&self.deployment["metadata"]["generation"])
    }

    fn is_progressing(&self, new: &Value) -> bool {
        let old = &self.deployment["status"];
        let old_pods = |s: &Value| int(&s["replicas"]) - int(&s["updatedReplicas"]);
        let more = |f: &str| int(&new[f]) > int(&old[f]);
        more("updatedReplicas")
            || old_pods(new) < old_pods(old)
            || more("readyReplicas")
            || more("availableReplicas")
    }

    /// Whether nothing has moved for longer than the deadline, and when that will be.
    fn timed_out(&self, status: &Value) -> (bool, Option<u64>) {
        let (Some(seconds), Some(condition)) = (self.deadline(), find(status, PROGRESSING)) else {
            return (false, None);
        };
        match condition["reason"].as_str().unwrap_or("") {
            "NewReplicaSetAvailable" => return (false, None),
            "ProgressDeadlineExceeded" => return (true, None),
            _ => {}
        }
        let from = condition["lastUpdateTime"].as_str().and_then(object::parse_time).unwrap_or(0);
        let at = from.saturating_add(seconds.saturating_mul(SECOND));
        (at < self.now, Some(at))
    }

    /// Writes numbers and how the rollout goes (`syncRolloutStatus`).
    pub(super) fn report(&mut self) -> Result<(), Error> {
        let mut status = self.calculate();
        let now = self.now;
        let what = match &self.new {
            Some(new) => format!("ReplicaSet {:?}", object::name(new)),
            None => format!("Deployment {:?}", self.name()),
        };
        let before = self.condition(PROGRESSING).cloned();
        let done = int(&status["replicas"]) == int(&status["updatedReplicas"])
            && before.as_ref().is_some_and(|c| c["reason"] == "NewReplicaSetAvailable");
        if !self.has_deadline() {
            drop(&mut status, PROGRESSING);
        } else if !done {
            if self.is_complete(&status) {
                let text = format!("{what} has successfully progressed.");
                set(&mut status, now, PROGRESSING, "True", "NewReplicaSetAvailable", &text);
            } else if self.is_progressing(&status) {
                let text = format!("{what} is progressing.");
                drop(&mut status, PROGRESSING);
                set(&mut status, now, PROGRESSING, "True", "ReplicaSetUpdated", &text);
                let since = before.filter(|c| c["status"] == "True");
                if let (Some(since), Some(all)) = (since, status["conditions"].as_array_mut())
                    && let Some(new) = all.last_mut()
                {
                    new["lastTransitionTime"] = since["lastTransitionTime"].clone();
                }
            } else if self.timed_out(&status).0 {
                let text = format!("{what} has timed out progressing.");
                set(&mut status, now, PROGRESSING, "False", "ProgressDeadlineExceeded", &text);
            }
        }
        match self.failure() {
            Some(c) => {
                let word = |f: &str| c[f].as_str().unwrap_or("").to_owned();
                let (value, reason, text) = (word("status"), word("reason"), word("message"));
                set(&mut status, now, "ReplicaFailure", &value, &reason, &text);
            }
            None => drop(&mut status, "ReplicaFailure"),
        }
        self.write(status)?;
        self.look_again();
        Ok(())
    }

    /// Why pods of a set could not be created or deleted; that of the new one counts first.
    fn failure(&self) -> Option<Value> {
        let of = |s: &Value| find(&s["status"], "ReplicaFailure").cloned();
        self.new.iter().chain(&self.old).find_map(|s| of(s))
    }

    /// A rollout that is stuck changes nothing, so its deadline is waited for.
    fn look_again(&mut self) {
        let status = &self.deployment["status"];
        if self.is_complete(status) {
            return;
        }
        if let (false, Some(at)) = self.timed_out(status) {
            // Times are stored in whole seconds.
            self.again = Some(Duration::from_nanos((at + SECOND).saturating_sub(self.now).max(1)));
        }
    }
}
