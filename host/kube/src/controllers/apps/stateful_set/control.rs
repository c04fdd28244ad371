//! In which order pods come, go and are renewed (`stateful_set_control.go`).

use std::time::Duration;

use serde_json::Value;

use super::super::super::Context;
use super::super::pods::{self, PODS, int, phase};
use super::{claims, identity};
use crate::events::About;
use crate::store::{DeleteOptions, Error, Object, object};

/// One look at a set.
pub(super) struct Control<'a> {
    context: &'a Context,
    set: &'a Object,
    current: &'a Object,
    update: &'a Object,
    /// By position from the first ordinal.
    replicas: Vec<Option<Object>>,
    /// Those beyond, highest ordinal first.
    condemned: Vec<Object>,
    now: u64,
    pub again: Option<Duration>,
}

fn is_healthy(pod: &Value) -> bool {
    phase(pod) == "Running" && pods::ready(pod) && !object::deleting(pod)
}

impl<'a> Control<'a> {
    pub(super) fn new(
        context: &'a Context,
        set: &'a Object,
        current: &'a Object,
        update: &'a Object,
        pods: &[Object],
    ) -> Control<'a> {
        let (start, count) = (identity::start(set), int(&set["spec"]["replicas"]));
        let at = |p: &Object| identity::ordinal(set, p).map_or(-1, |o| o - start);
        let replicas = (0..count).map(|i| pods.iter().find(|p| at(p) == i).cloned()).collect();
        let mut condemned: Vec<Object> =
            pods.iter().filter(|p| !(0..count).contains(&at(p))).cloned().collect();
        condemned.sort_by_key(|p| std::cmp::Reverse(at(p)));
        let now = context.shared.sim.unix_nanos();
        Control { context, set, current, update, replicas, condemned, now, again: None }
    }

    /// One step, or in a set that does not mind the order all that are possible.
    pub(super) fn act(&mut self) -> Result<(), Error> {
        let ordered = self.set["spec"]["podManagementPolicy"] != "Parallel";
        let mut blocked = false;
        for i in 0..self.replicas.len() {
            blocked |= self.keep(i, ordered)?;
            if blocked && ordered {
                return Ok(());
            }
        }
        if blocked {
            return Ok(());
        }
        for pod in &self.condemned {
            claims::own(self.context, self.set, pod, true)?;
        }
        let unhealthy = self.first_unhealthy();
        for pod in self.condemned.clone() {
            blocked |= self.remove(&pod, ordered, unhealthy.as_deref())?;
            if blocked && ordered {
                return Ok(());
            }
        }
        if blocked || self.set["spec"]["updateStrategy"]["type"] == "OnDelete" {
            return Ok(());
        }
        self.renew()
    }

    /// The pod that is not healthy with the lowest ordinal.
    fn first_unhealthy(&self) -> Option<String> {
        let all = self.replicas.iter().flatten().chain(&self.condemned);
        all.filter(|p| !is_healthy(p))
            .min_by_key(|p| identity::ordinal(self.set, p))
            .map(|p| object::uid(p).to_owned())
    }

    /// Whether it is available; notes when that will be if only time is missing.
    fn is_available(&mut self, pod: &Value) -> bool {
        let min_ready = int(&self.set["spec"]["minReadySeconds"]);
        match pods::available(pod, min_ready, self.now) {
            Ok(()) => phase(pod) == "Running",
            Err(wait) => {
                if let Some(wait) = wait {
                    self.again = Some(self.again.map_or(wait, |a| a.min(wait)));
                }
                false
            }
        }
    }

    /// Brings the pod of a position about; says whether what follows has to wait.
    fn keep(&mut self, i: usize, ordered: bool) -> Result<bool, Error> {
        let ordinal = identity::start(self.set) + i as i64;
        let Some(pod) = self.replicas[i].clone() else {
            let revision = if self.keeps_old(i as i64) { self.current } else { self.update };
            let pod = identity::pod(self.set, revision, ordinal);
            self.create(pod)?;
            return Ok(ordered);
        };
        if matches!(phase(&pod), "Failed" | "Succeeded") {
            if !object::deleting(&pod) {
                self.delete(&pod)?;
            }
            // The next one comes when this one is gone.
            return Ok(true);
        }
        if phase(&pod) == "Pending" {
            claims::create(self.context, self.set, &pod)?;
        }
        let available = self.is_available(&pod);
        if (object::deleting(&pod) || !is_healthy(&pod) || !available) && ordered {
            return Ok(true);
        }
        claims::own(self.context, self.set, &pod, false)?;
        let mut new = Value::clone(&pod);
        if identity::identify(self.set, &mut new) {
            self.context.store.update(PODS, new)?;
        }
        Ok(false)
    }

    /// Whether a new pod at this position is of the current revision, not of the new one.
    fn keeps_old(&self, i: i64) -> bool {
        let strategy = &self.set["spec"]["updateStrategy"];
        if strategy["type"] != "RollingUpdate" {
            return false;
        }
        let partition = int(&strategy["rollingUpdate"]["partition"]);
        i < partition
    }

    /// Deletes a pod that is too many; says whether the others have to wait.
    fn remove(
        &mut self,
        pod: &Object,
        ordered: bool,
        unhealthy: Option<&str>,
    ) -> Result<bool, Error> {
        if object::deleting(pod) {
            return Ok(ordered);
        }
        let first = unhealthy == Some(object::uid(pod));
        let available = self.is_available(pod);
        if ordered && !first && (!is_healthy(pod) || !available) {
            return Ok(true);
        }
        self.delete(pod)?;
        Ok(true)
    }

    /// Deletes the pod with the highest ordinal that has an old revision, once all above it are
    /// available.
    fn renew(&mut self) -> Result<(), Error> {
        let rolling = &self.set["spec"]["updateStrategy"]["rollingUpdate"];
        let least = usize::try_from(int(&rolling["partition"])).unwrap_or(0);
        for i in (least..self.replicas.len()).rev() {
            let Some(pod) = self.replicas[i].clone() else { return Ok(()) };
            if identity::revision(&pod) != object::name(self.update) && !object::deleting(&pod) {
                return self.delete(&pod);
            }
            if !is_healthy(&pod) || !self.is_available(&pod) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn create(&self, pod: Value) -> Result<(), Error> {
        claims::create(self.context, self.set, &pod)?;
        let of = self.of(&pod);
        let about = About::object(self.set);
        match self.context.store.create(PODS, pod) {
            Ok(_) => {
                let text = format!("create {of} successful");
                self.context.events.normal(&about, "SuccessfulCreate", &text);
                Ok(())
            }
            Err(e) => {
                let text = format!("create {of} failed error: {}", e.message);
                self.context.events.warning(&about, "FailedCreate", &text);
                Err(e)
            }
        }
    }

    fn delete(&self, pod: &Object) -> Result<(), Error> {
        let options =
            DeleteOptions { uid: Some(object::uid(pod).into()), ..DeleteOptions::default() };
        let of = self.of(pod);
        let about = About::object(self.set);
        match self.context.store.delete(PODS, object::namespace(pod), object::name(pod), &options) {
            Ok(_) => {
                let text = format!("delete {of} successful");
                self.context.events.normal(&about, "SuccessfulDelete", &text);
                Ok(())
            }
            Err(e) if e.code == 404 => Ok(()),
            Err(e) => {
                let text = format!("delete {of} failed error: {}", e.message);
                self.context.events.warning(&about, "FailedDelete", &text);
                Err(e)
            }
        }
    }

    fn of(&self, pod: &Value) -> String {
        format!("Pod {} in StatefulSet {}", object::name(pod), object::name(self.set))
    }
}
