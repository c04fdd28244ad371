//! The old pods go, all of them, and then the new ones come (`recreate.go`).

use super::super::owner;
use super::super::pods::{PODS, int, phase};
use super::{Rollout, wanted};
use crate::store::{Error, object};

impl Rollout<'_> {
    pub(super) fn recreate(&mut self) -> Result<(), Error> {
        let mut shrunk = false;
        for set in self.old.clone().iter().filter(|s| wanted(s) > 0) {
            shrunk |= self.scale_set(set, 0)?;
        }
        if shrunk || self.old_pods_run() {
            return self.report();
        }
        if self.new.is_none() {
            self.find_sets(true)?;
        }
        if let Some(new) = self.new.clone() {
            self.scale_set(&new, self.desired())?;
        }
        if self.is_complete(&self.deployment["status"]) {
            self.clean_up()?;
        }
        self.report()
    }

    fn old_pods_run(&self) -> bool {
        if self.old.iter().any(|s| int(&s["status"]["replicas"]) > 0) {
            return true;
        }
        let pods = self.context.store.list(PODS, Some(object::namespace(&self.deployment)));
        pods.iter().any(|p| {
            !matches!(phase(p), "Succeeded" | "Failed")
                && self.old.iter().any(|s| owner::controls(s, p))
        })
    }
}
