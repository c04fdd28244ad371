//! How many pods a Job has, and which.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Sync, backoff, pods, policy, release};
use crate::controllers::Context;
use crate::events::About;
use crate::store::object::{map_mut, meta_mut};
use crate::store::selector::LabelSelector;
use crate::store::{DeleteOptions, Error, Object, object};

/// At most this many pods are made or deleted at once (`MaxPodCreateDeletePerSync`).
const MOST: usize = 500;
/// A generated name's base may be this long.
const BASE: usize = 58;

/// The Job's pods; those that match and belong to nobody become its own.
pub(super) fn claim(context: &Context, job: &Value) -> Result<Vec<Object>, Error> {
    let selector = LabelSelector::from_selector(&job["spec"]["selector"]);
    let mut out = Vec::new();
    for pod in context.store.list("pods", Some(object::namespace(job))) {
        match object::controller(&pod) {
            Some(o) if o["uid"] == object::uid(job) => {
                if selector.matches(&pod) || object::deleting(&pod) {
                    out.push(pod);
                } else {
                    disown(context, &pod, object::uid(job))?;
                }
            }
            None if selector.matches(&pod) && !object::deleting(&pod) && !object::deleting(job) => {
                let mut new = Value::clone(&pod);
                let meta = meta_mut(&mut new);
                let mut add = |field: &str, value: Value| {
                    let list = meta.entry(field).or_insert_with(|| json!([]));
                    if let Some(list) = list.as_array_mut() {
                        list.push(value);
                    }
                };
                add("ownerReferences", object::controller_reference(job));
                add("finalizers", pods::FINALIZER.into());
                out.push(context.store.update("pods", new)?);
            }
            _ => {}
        }
    }
    Ok(out)
}

fn disown(context: &Context, pod: &Value, uid: &str) -> Result<(), Error> {
    let mut new = pod.clone();
    let meta = meta_mut(&mut new);
    for (field, ours) in [
        ("ownerReferences", &(|v: &Value| v["uid"] == uid) as &dyn Fn(&Value) -> bool),
        ("finalizers", &|v: &Value| v == pods::FINALIZER),
    ] {
        if let Some(list) = meta.get_mut(field).and_then(Value::as_array_mut) {
            list.retain(|v| !ours(v));
        }
    }
    context.store.update("pods", new).map(|_| ())
}

impl Sync<'_> {
    /// Deletes all active pods, since the Job is about to end.
    pub(super) fn delete_active(&mut self) -> Result<(), Error> {
        let all = self.active.clone();
        self.delete(all, true)
    }

    /// `counted`: their end is counted as a failure. Who goes because the Job needs fewer is
    /// none.
    fn delete(&mut self, gone: Vec<Object>, counted: bool) -> Result<(), Error> {
        let mut result = Ok(());
        for pod in gone {
            let (namespace, name) = (object::namespace(&pod), object::name(&pod));
            if !counted && let Err(e) = release(self.context, &pod) {
                result = Err(e);
                continue;
            }
            let options =
                DeleteOptions { uid: Some(object::uid(&pod).into()), ..DeleteOptions::default() };
            match self.context.store.delete("pods", namespace, name, &options) {
                Ok(_) => {
                    let about = About::object(&self.job);
                    let text = format!("Deleted pod: {name}");
                    self.context.events.normal(&about, "SuccessfulDelete", &text);
                }
                Err(e) if e.code == 404 => {}
                Err(e) => {
                    result = Err(e);
                    continue;
                }
            }
            self.active.retain(|p| object::uid(p) != object::uid(&pod));
            self.terminating += 1;
            self.ready -= i64::from(pods::ready(&pod));
        }
        result
    }

    /// Makes or deletes pods until there are as many active ones as there should be.
    pub(super) fn manage(&mut self) -> Result<(), Error> {
        let active = self.active.len() as i64;
        if self.suspended() {
            let all = self.active.clone();
            return self.delete(all, false);
        }
        let parallelism = self.number("parallelism").unwrap_or(1);
        let wanted = match self.number("completions") {
            None if self.succeeded > 0 => active,
            None => parallelism,
            Some(n) => (n - self.succeeded).clamp(0, parallelism),
        };
        let surplus = usize::try_from((active - wanted).max(0)).unwrap_or(0);
        let mut gone = self.removable(surplus);
        gone.truncate(MOST);
        if !gone.is_empty() {
            // Either fewer or more, never both at once.
            return self.delete(gone, false);
        }
        let going = if self.replaces_failed_only() { self.terminating } else { 0 };
        let missing = usize::try_from((wanted - going - active).max(0)).unwrap_or(0).min(MOST);
        if missing == 0 {
            return Ok(());
        }
        let now = self.context.shared.sim.unix_nanos();
        if !self.per_index() {
            let wait = self.backoff.remaining(now);
            if wait > Duration::ZERO {
                self.look_again(wait);
                return Ok(());
            }
        }
        if !self.indexed() {
            return self.create(&vec![None; missing]);
        }
        let mut pending = self.pending(missing);
        if self.per_index() {
            let waits: Vec<(u64, Duration)> =
                pending.iter().map(|i| (*i, self.index_wait(*i, now))).collect();
            pending = waits.iter().filter(|(_, w)| w.is_zero()).map(|(i, _)| *i).collect();
            if let Some(wait) = waits.iter().map(|(_, w)| *w).filter(|w| !w.is_zero()).min() {
                self.look_again(wait);
            }
        }
        self.create(&pending.into_iter().map(Some).collect::<Vec<_>>())
    }

    /// Active pods that go: second pods of an index in any case, and others up to `least`.
    fn removable(&self, least: usize) -> Vec<Object> {
        let mut left = self.active.clone();
        left.sort_by_cached_key(|p| pods::rank(p));
        let mut gone: Vec<Object> = Vec::new();
        if self.indexed() {
            // The last in the order of going is the one that stays.
            let mut seen = std::collections::BTreeSet::new();
            let mut stays = Vec::new();
            for pod in left.into_iter().rev() {
                match self.index(&pod) {
                    Some(i) if seen.insert(i) => stays.push(pod),
                    _ => gone.push(pod),
                }
            }
            stays.reverse();
            left = stays;
        }
        let more = least.saturating_sub(gone.len());
        gone.extend(left.into_iter().take(more));
        gone
    }

    /// The first `count` indexes that nobody works on.
    fn pending(&self, count: usize) -> Vec<u64> {
        let mut taken = pods::indexes(self.active.iter().map(|p| &**p));
        if self.replaces_failed_only() {
            taken.extend(pods::indexes(
                self.pods.iter().map(|p| &**p).filter(|p| pods::terminating(p)),
            ));
        }
        let free = |i: &u64| {
            !taken.contains(i)
                && !self.done.has(*i)
                && !self.failed_indexes.as_ref().is_some_and(|f| f.has(*i))
        };
        (0..self.completions()).filter(free).take(count).collect()
    }

    fn index_wait(&self, index: u64, now: u64) -> Duration {
        let Some(last) = self.kept.get(&index) else { return Duration::ZERO };
        let failures = pods::count(last, pods::FAILURES) + pods::count(last, pods::IGNORED) + 1;
        let failures = u32::try_from(failures).unwrap_or(u32::MAX);
        backoff::remaining(failures, pods::finished(last), now)
    }

    fn create(&mut self, indexes: &[Option<u64>]) -> Result<(), Error> {
        for index in indexes {
            let pod = self.pod(*index);
            let about = About::object(&self.job);
            match self.context.store.create("pods", pod) {
                Ok(pod) => {
                    let text = format!("Created pod: {}", object::name(&pod));
                    self.context.events.normal(&about, "SuccessfulCreate", &text);
                    self.active.push(pod);
                }
                // A namespace that ends takes its Jobs with it.
                Err(e) if e.is_about("NamespaceTerminating") => return Ok(()),
                Err(e) => {
                    let text = format!("Error creating: {}", e.message);
                    self.context.events.warning(&about, "FailedCreate", &text);
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    fn pod(&self, index: Option<u64>) -> Value {
        let name = object::name(&self.job);
        let template = &self.job["spec"]["template"];
        let mut base = match index {
            Some(i) => {
                let tail = format!("-{i}-");
                format!("{}{tail}", &name[..name.len().min(BASE - tail.len())])
            }
            None => format!("{name}-"),
        };
        base.truncate(BASE);
        let mut metadata = json!({
            "generateName": base,
            "namespace": object::namespace(&self.job),
            "ownerReferences": [object::controller_reference(&self.job)],
        });
        for field in ["labels", "annotations", "finalizers"] {
            if !template["metadata"][field].is_null() {
                metadata[field] = template["metadata"][field].clone();
            }
        }
        let mut pod = json!({"metadata": metadata, "spec": template["spec"]});
        let meta = meta_mut(&mut pod);
        let finalizers = meta.entry("finalizers").or_insert_with(|| json!([]));
        if let Some(list) = finalizers.as_array_mut()
            && !list.iter().any(|f| f == pods::FINALIZER)
        {
            list.push(pods::FINALIZER.into());
        }
        let Some(i) = index else { return pod };
        let number = i.to_string();
        for field in ["annotations", "labels"] {
            map_mut(meta.entry(field).or_insert(Value::Null))
                .insert(pods::INDEX.into(), number.as_str().into());
        }
        if self.per_index() {
            let (failures, ignored) = self.failures(i);
            let annotations = map_mut(meta.entry("annotations").or_insert(Value::Null));
            annotations.insert(pods::FAILURES.into(), failures.to_string().into());
            if ignored > 0 {
                annotations.insert(pods::IGNORED.into(), ignored.to_string().into());
            }
        }
        let spec = map_mut(&mut pod["spec"]);
        spec.insert("hostname".into(), format!("{name}-{i}").into());
        for field in ["containers", "initContainers"] {
            for c in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
                let env = map_mut(c).entry("env").or_insert_with(|| json!([]));
                if let Some(env) = env.as_array_mut()
                    && !env.iter().any(|e| e["name"] == "JOB_COMPLETION_INDEX")
                {
                    let path = format!("metadata.annotations['{}']", pods::INDEX);
                    env.push(json!({"name": "JOB_COMPLETION_INDEX", "valueFrom": {
                        "fieldRef": {"apiVersion": "v1", "fieldPath": path}}}));
                }
            }
        }
        pod
    }

    /// How often an index has failed, and how often that does not count.
    fn failures(&self, index: u64) -> (u64, u64) {
        let Some(last) = self.kept.get(&index) else { return (0, 0) };
        let (failures, ignored) =
            (pods::count(last, pods::FAILURES), pods::count(last, pods::IGNORED));
        if policy::judge(&self.job, last).counts() {
            (failures + 1, ignored)
        } else {
            (failures, ignored + 1)
        }
    }
}
