//! The CronJob controller (`pkg/controller/cronjob/cronjob_controllerv2.go` of 1.32).

use std::collections::BTreeMap;
use std::time::Duration;

use podlab_sim::Time;
use podlab_trace::Verb;
use serde_json::{Value, json};

use super::job::finished;
use super::{Context, Controller, Key, Next};
use crate::events::About;
use crate::store::kinds::schedule::{Schedule, time_zone};
use crate::store::object::list;
use crate::store::object::map_mut;
use crate::store::watch::Change;
use crate::store::{DeleteOptions, Error, Object, object};

const CRON_JOBS: &str = "cronjobs.batch";
const JOBS: &str = "jobs.batch";
/// A Job is looked for this long after its time (`nextScheduleDelta`).
const DELTA: Duration = Duration::from_millis(100);
const SECOND: u64 = 1_000_000_000;
/// More missed times than this are complained about.
const MANY: u64 = 100;

/// Makes Jobs when it is time.
#[derive(Default)]
pub(crate) struct CronJobs {
    /// When a CronJob is to be looked at.
    due: BTreeMap<Key, Time>,
}

impl Controller for CronJobs {
    const NAME: &'static str = "cronjob-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec![CRON_JOBS, JOBS]
    }

    fn concerns(&mut self, context: &Context, kind: &str, change: &Change) -> Vec<Key> {
        let object = &change.object;
        let sim = &context.shared.sim;
        let namespace = object::namespace(object).to_owned();
        if kind == JOBS {
            let Some(owner) = owner(object) else { return Vec::new() };
            let name = owner["name"].as_str().unwrap_or("").to_owned();
            let found = context.store.get(CRON_JOBS, &namespace, &name);
            if found.is_none_or(|c| owner["uid"] != object::uid(&c)) {
                return Vec::new();
            }
            self.due.insert((namespace.clone(), name.clone()), sim.now());
            return vec![(namespace, name)];
        }
        let key = (namespace, object::name(object).to_owned());
        if change.verb == Verb::Deleted {
            self.due.remove(&key);
            return Vec::new();
        }
        let mut at = sim.now();
        // Another schedule is waited for, not made up for.
        if let Some(before) = &change.previous
            && ["schedule", "timeZone"].iter().any(|f| before["spec"][*f] != object["spec"][*f])
            && let Ok(schedule) = schedule(object)
            && let Some(wait) = until_next(object, &schedule, sim.unix_nanos())
        {
            at += wait;
        }
        self.due.insert(key.clone(), at);
        vec![key]
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let now = context.shared.sim.now();
        if let Some(at) = self.due.get(key).filter(|at| **at > now) {
            return Ok(Next::After(at.since(now)));
        }
        self.due.remove(key);
        let Some(stored) = context.store.get(CRON_JOBS, &key.0, &key.1) else {
            return Ok(Next::Change);
        };
        let mut jobs = context.store.list(JOBS, Some(&key.0));
        jobs.retain(|j| owner(j).is_some_and(|o| o["uid"] == object::uid(&stored)));
        let mut cron =
            Cron { context, object: Value::clone(&stored), said: About::object(&stored) };
        cron.clean_up(&mut jobs);
        let next = cron.sync(&jobs);
        // What was noticed is written also if something failed after it.
        if cron.object["status"] != stored["status"] {
            context.store.update_status(CRON_JOBS, cron.object)?;
        }
        Ok(match next? {
            Some(wait) => {
                self.due.insert(key.clone(), now + wait);
                Next::After(wait)
            }
            None => Next::Change,
        })
    }
}

/// The CronJob that made a Job.
fn owner(job: &Value) -> Option<&Value> {
    object::controller(job).filter(|o| o["kind"] == "CronJob")
}

fn schedule(cron: &Value) -> Result<Schedule, String> {
    let word = |f: &str| cron["spec"][f].as_str().unwrap_or("");
    Schedule::parse(word("schedule"), word("timeZone"))
}

fn time(value: &Value) -> Option<u64> {
    value.as_str().and_then(object::parse_time)
}

/// What was due and was not started.
struct Missed {
    earliest: u64,
    latest: Option<u64>,
    many: bool,
}

/// Since its last start (or creation, or the starting deadline): the newest time that was due
/// (`mostRecentScheduleTime`).
fn missed(cron: &Value, schedule: &Schedule, now: u64, deadline: bool) -> Result<Missed, String> {
    let created = time(&cron["metadata"]["creationTimestamp"]).unwrap_or(now);
    let mut earliest = time(&cron["status"]["lastScheduleTime"]).unwrap_or(created);
    if deadline && let Some(seconds) = cron["spec"]["startingDeadlineSeconds"].as_u64() {
        earliest = earliest.max(now.saturating_sub(seconds.saturating_mul(SECOND)));
    }
    let never = || "time difference between two schedules is less than 1 second".to_owned();
    let first = schedule.next(earliest).ok_or_else(never)?;
    if now < first {
        return Ok(Missed { earliest, latest: None, many: false });
    }
    let second = schedule.next(first).ok_or_else(never)?;
    if now < second {
        return Ok(Missed { earliest, latest: Some(first), many: false });
    }
    let between = second - first;
    let count = (now - first) / between + 1;
    // Far back, whole periods are leapt over: the last ones are looked at one by one.
    let mut latest = first;
    if count > MANY {
        let near = now.saturating_sub(between.saturating_mul(2));
        latest = schedule.next(near.max(first)).filter(|t| *t <= now).unwrap_or(first);
    }
    while let Some(next) = schedule.next(latest).filter(|t| *t <= now) {
        latest = next;
    }
    Ok(Missed { earliest, latest: Some(latest), many: count > MANY })
}

/// How long until it is to be looked at again (`nextScheduleTimeDuration`).
fn until_next(cron: &Value, schedule: &Schedule, now: u64) -> Option<Duration> {
    let from = match missed(cron, schedule, now, false) {
        Err(_) => now,
        Ok(m) => m.latest.unwrap_or(m.earliest),
    };
    let next = schedule.next(from)?;
    Some(Duration::from_nanos(next.saturating_sub(now)) + DELTA)
}

/// A time as Go's RFC1123Z prints it.
fn rfc1123(at: u64) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(at)).expect("in jiff's range");
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

struct Cron<'a> {
    context: &'a Context,
    object: Value,
    said: About,
}

impl Cron<'_> {
    fn normal(&self, reason: &str, text: &str) {
        self.context.events.normal(&self.said, reason, text);
    }

    fn warning(&self, reason: &str, text: &str) {
        self.context.events.warning(&self.said, reason, text);
    }

    fn active(&self) -> &[Value] {
        list(&self.object["status"], "active")
    }

    fn is_active(&self, uid: &str) -> bool {
        self.active().iter().any(|a| a["uid"] == uid)
    }

    fn status(&mut self) -> &mut serde_json::Map<String, Value> {
        map_mut(map_mut(&mut self.object).entry("status").or_insert(Value::Null))
    }

    fn forget(&mut self, uid: &str) {
        let mut left = self.active().to_vec();
        left.retain(|a| a["uid"] != uid);
        if left.is_empty() {
            self.status().remove("active");
        } else {
            self.status().insert("active".into(), left.into());
        }
    }

    fn delete(&mut self, job: &Value) -> Result<(), Error> {
        let (namespace, name) = (object::namespace(job), object::name(job));
        let options = DeleteOptions::default();
        match self.context.store.delete(JOBS, namespace, name, &options) {
            Ok(_) => {
                self.forget(object::uid(job));
                self.normal("SuccessfulDelete", &format!("Deleted job {name}"));
                Ok(())
            }
            Err(e) => {
                self.warning("FailedDelete", &format!("Deleted job: {}", e.message));
                Err(e)
            }
        }
    }

    /// Deletes finished Jobs beyond the history limits, the oldest first.
    fn clean_up(&mut self, jobs: &mut Vec<Object>) {
        for (kind, field) in
            [("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")]
        {
            let Some(limit) = self.object["spec"][field].as_u64() else { continue };
            let mut over: Vec<Object> = jobs
                .iter()
                .filter(|j| finished(j).is_some_and(|c| c["type"] == kind))
                .cloned()
                .collect();
            let began = |j: &Object| time(&j["status"]["startTime"]).unwrap_or(u64::MAX);
            over.sort_by_key(|j| (began(j), object::name(j).to_owned()));
            let surplus = over.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
            for job in &over[..surplus] {
                // What could not be deleted now is tried again at the next look.
                if self.delete(job).is_ok() {
                    jobs.retain(|j| object::uid(j) != object::uid(job));
                }
            }
        }
    }

    /// Takes note of what its Jobs did, and starts the one that is due. Says when to look again.
    fn sync(&mut self, jobs: &[Object]) -> Result<Option<Duration>, Error> {
        for job in jobs {
            let (uid, name) = (object::uid(job), object::name(job));
            match finished(job) {
                None if !self.is_active(uid) => self.warning(
                    "UnexpectedJob",
                    &format!("Saw a job that the controller did not create or forgot: {name}"),
                ),
                None => {}
                Some(end) => {
                    if self.is_active(uid) {
                        let kind = end["type"].as_str().unwrap_or("").to_owned();
                        self.forget(uid);
                        self.normal(
                            "SawCompletedJob",
                            &format!("Saw completed job: {name}, condition: {kind}"),
                        );
                    }
                    let at = &job["status"]["completionTime"];
                    let last = time(&self.object["status"]["lastSuccessfulTime"]);
                    if end["type"] == "Complete" && time(at) > last {
                        self.status().insert("lastSuccessfulTime".into(), at.clone());
                    }
                }
            }
        }
        for active in self.active().to_vec() {
            let uid = active["uid"].as_str().unwrap_or("").to_owned();
            if !jobs.iter().any(|j| object::uid(j) == uid) {
                let name = active["name"].as_str().unwrap_or("");
                self.normal("MissingJob", &format!("Active job went missing: {name}"));
                self.forget(&uid);
            }
        }
        if object::deleting(&self.object) {
            return Ok(None);
        }
        let zone = self.object["spec"]["timeZone"].as_str().unwrap_or("").to_owned();
        if let Err(why) = time_zone(&zone) {
            self.warning("UnknownTimeZone", &format!("invalid timeZone: {zone:?}: {why}"));
            return Ok(None);
        }
        if self.object["spec"]["suspend"] == true {
            return Ok(None);
        }
        let text = self.object["spec"]["schedule"].as_str().unwrap_or("").to_owned();
        let schedule = match schedule(&self.object) {
            Ok(schedule) => schedule,
            Err(why) => {
                let text = format!("unparseable schedule: {text:?} : {why}");
                self.warning("UnparseableSchedule", &text);
                return Ok(None);
            }
        };
        let now = self.context.shared.sim.unix_nanos();
        match missed(&self.object, &schedule, now, true) {
            Err(why) => {
                self.warning("InvalidSchedule", &format!("invalid schedule: {text} : {why}"));
                Ok(None)
            }
            Ok(Missed { latest: None, .. }) => Ok(until_next(&self.object, &schedule, now)),
            Ok(Missed { latest: Some(at), many, .. }) => {
                if many {
                    let text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
                    self.warning("TooManyMissedTimes", text);
                }
                self.start(at, now, &schedule)?;
                Ok(until_next(&self.object, &schedule, now))
            }
        }
    }

    /// Starts the Job that was due at `at`, if that is right.
    fn start(&mut self, at: u64, now: u64, schedule: &Schedule) -> Result<(), Error> {
        let spec = self.object["spec"].clone();
        if let Some(seconds) = spec["startingDeadlineSeconds"].as_u64()
            && at.saturating_add(seconds.saturating_mul(SECOND)) < now
        {
            let text = format!("Missed scheduled time to start a job: {}", rfc1123(at));
            self.warning("MissSchedule", &text);
            return Ok(());
        }
        let name = format!("{}-{}", object::name(&self.object), at / SECOND / 60);
        if self.active().iter().any(|a| a["name"] == name)
            || time(&self.object["status"]["lastScheduleTime"]) == Some(at)
        {
            return Ok(());
        }
        if spec["concurrencyPolicy"] == "Forbid" && !self.active().is_empty() {
            let text = "Not starting job because prior execution is running and concurrency policy is Forbid";
            self.normal("JobAlreadyActive", text);
            return Ok(());
        }
        let namespace = object::namespace(&self.object).to_owned();
        if spec["concurrencyPolicy"] == "Replace" {
            for active in self.active().to_vec() {
                let name = active["name"].as_str().unwrap_or("");
                let job = self.context.store.require(JOBS, &namespace, name).inspect_err(|e| {
                    self.warning("FailedGet", &format!("Get job: {}", e.message));
                })?;
                self.delete(&job)?;
            }
        }
        let job = self.context.store.create(JOBS, self.job(&name, at, schedule));
        let job = match job {
            Ok(job) => {
                self.normal("SuccessfulCreate", &format!("Created job {name}"));
                job
            }
            Err(e) if e.reason == "AlreadyExists" => {
                // Made before, but not written down.
                let job = self.context.store.require(JOBS, &namespace, &name)?;
                let ours = owner(&job).is_some_and(|o| o["uid"] == object::uid(&self.object));
                if !ours {
                    return Ok(());
                }
                job
            }
            Err(e) => {
                self.warning("FailedCreate", &format!("Error creating job: {}", e.message));
                return Err(e);
            }
        };
        let reference = json!({
            "apiVersion": "batch/v1", "kind": "Job", "name": name, "namespace": namespace,
            "resourceVersion": object::meta(&job, "resourceVersion"), "uid": object::uid(&job),
        });
        let status = self.status();
        let list = status.entry("active").or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(reference);
        }
        status.insert("lastScheduleTime".into(), object::time(at).into());
        Ok(())
    }

    fn job(&self, name: &str, at: u64, schedule: &Schedule) -> Value {
        let template = &self.object["spec"]["jobTemplate"];
        let mut metadata = json!({
            "name": name,
            "namespace": object::namespace(&self.object),
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": [object::controller_reference(&self.object)],
        });
        if template["metadata"]["labels"].is_object() {
            metadata["labels"] = template["metadata"]["labels"].clone();
        }
        map_mut(&mut metadata["annotations"]).insert(
            "batch.kubernetes.io/cronjob-scheduled-timestamp".into(),
            schedule.local(at).into(),
        );
        json!({"metadata": metadata, "spec": template["spec"]})
    }
}
