//! The new ReplicaSet grows while the old ones shrink (`rolling.go`).

use serde_json::Value;

use super::numbers::{max_surge, max_unavailable};
use super::{Rollout, available, by_age, wanted};
use crate::store::Error;

impl Rollout<'_> {
    pub(super) fn roll(&mut self) -> Result<(), Error> {
        self.find_sets(true)?;
        // One thing at a time, and what comes before what goes.
        if self.grow_new()? || self.shrink_old()? {
            return self.report();
        }
        if self.is_complete(&self.deployment["status"]) {
            self.clean_up()?;
        }
        self.report()
    }

    /// How large the new set may be now (`NewRSNewReplicas`).
    pub(super) fn new_replicas(&self, new: &Value) -> i64 {
        let desired = self.desired();
        if self.deployment["spec"]["strategy"]["type"] == "Recreate" {
            return desired;
        }
        let size = wanted(new);
        let all = size + self.old.iter().map(|s| wanted(s)).sum::<i64>();
        let room = desired + max_surge(&self.deployment) - all;
        if room <= 0 { size } else { size + room.min(desired - size) }
    }

    fn grow_new(&mut self) -> Result<bool, Error> {
        let Some(new) = self.new.clone() else { return Ok(false) };
        let desired = self.desired();
        if wanted(&new) == desired {
            return Ok(false);
        }
        let size = if wanted(&new) > desired { desired } else { self.new_replicas(&new) };
        self.scale_set(&new, size)
    }

    fn shrink_old(&mut self) -> Result<bool, Error> {
        let Some(new) = self.new.clone() else { return Ok(false) };
        if self.old.iter().all(|s| wanted(s) == 0) {
            return Ok(false);
        }
        let all: i64 = self.all().map(|s| wanted(s)).sum();
        let least = self.desired() - max_unavailable(&self.deployment);
        let missing = wanted(&new) - available(&new);
        let most = all - least - missing;
        if most <= 0 {
            return Ok(false);
        }
        self.old.sort_by_key(by_age);
        // What does no work goes first, so that it cannot hold up the rollout.
        let mut gone = 0;
        for set in self.old.clone() {
            let (size, working) = (wanted(&set), available(&set));
            if gone >= most {
                break;
            }
            if size == 0 || size <= working {
                continue;
            }
            let fewer = (most - gone).min(size - working);
            self.scale_set(&set, size - fewer)?;
            gone += fewer;
        }
        // Then as many as there are available beyond what is needed.
        let working: i64 = self.all().map(|s| available(s)).sum();
        let mut left = working - least;
        for set in self.old.clone() {
            let size = wanted(&set);
            if left <= 0 {
                break;
            }
            if size == 0 {
                continue;
            }
            let fewer = size.min(left);
            self.scale_set(&set, size - fewer)?;
            left -= fewer;
            gone += fewer;
        }
        Ok(gone > 0)
    }
}
