//! How many pods each ReplicaSet has (`sync.go`).

use serde_json::Value;

use super::numbers::max_surge;
use super::sets::{desired_then, max_then, note_size};
use super::{REPLICA_SETS, Rollout, available, by_age, wanted};
use crate::events::About;
use crate::store::{Error, Object, object};

impl Rollout<'_> {
    /// Whether somebody changed the number of replicas since a set with pods was scaled.
    pub(super) fn is_scaling(&self) -> bool {
        let desired = self.desired();
        self.all()
            .filter(|s| wanted(s) > 0)
            .any(|s| desired_then(s).is_some_and(|then| then != desired))
    }

    /// Gives every set its part of the desired number.
    pub(super) fn scale(&mut self) -> Result<(), Error> {
        let desired = self.desired();
        if let Some(only) = self.active_or_latest() {
            if wanted(&only) != desired {
                self.scale_set(&only, desired)?;
            }
            return Ok(());
        }
        if self.is_saturated() {
            for old in self.old.clone().iter().filter(|s| wanted(s) > 0) {
                self.scale_set(old, 0)?;
            }
            return Ok(());
        }
        if self.deployment["spec"]["strategy"]["type"] == "RollingUpdate" {
            self.scale_in_proportion()?;
        }
        Ok(())
    }

    /// The only set with pods; without any, the newest. `None` if there are several.
    fn active_or_latest(&self) -> Option<Object> {
        let active: Vec<&Object> = self.all().filter(|s| wanted(s) > 0).collect();
        match active[..] {
            [] => self.new.clone().or_else(|| self.old.iter().max_by_key(|s| by_age(s)).cloned()),
            [only] => Some(only.clone()),
            _ => None,
        }
    }

    /// Whether the new set is all there should be.
    fn is_saturated(&self) -> bool {
        let desired = self.desired();
        self.new.as_ref().is_some_and(|s| {
            wanted(s) == desired && desired_then(s) == Some(desired) && available(s) == desired
        })
    }

    /// In the middle of a rollout, what is to come or go is shared out by size.
    fn scale_in_proportion(&mut self) -> Result<(), Error> {
        let mut sets: Vec<Object> = self.all().filter(|s| wanted(s) > 0).cloned().collect();
        let desired = self.desired();
        let allowed = if desired > 0 { desired + max_surge(&self.deployment) } else { 0 };
        let to_add = allowed - sets.iter().map(|s| wanted(s)).sum::<i64>();
        // The largest first; of equals, the newest if there is more to come, the oldest if less.
        sets.sort_by_key(by_age);
        if to_add > 0 {
            sets.reverse();
        }
        sets.sort_by_key(|s| std::cmp::Reverse(wanted(s)));
        let mut added = 0;
        let mut sizes: Vec<i64> = Vec::new();
        for set in &sets {
            let part = self.proportion(set, to_add, added);
            added += part;
            sizes.push(wanted(set) + part);
        }
        if let Some(first) = sizes.first_mut() {
            // What rounding left over.
            *first = (*first + to_add - added).max(0);
        }
        for (set, size) in sets.iter().zip(sizes) {
            self.scale_set(set, size)?;
        }
        Ok(())
    }

    /// What a set gets of `to_add`, of which `added` is given away already
    /// (`GetReplicaSetProportion`).
    fn proportion(&self, set: &Value, to_add: i64, added: i64) -> i64 {
        let size = wanted(set);
        if size == 0 || to_add == 0 || to_add == added {
            return 0;
        }
        let left = to_add - added;
        let part = self.fraction(set, size);
        if to_add > 0 { part.min(left) } else { part.max(left) }
    }

    fn fraction(&self, set: &Value, size: i64) -> i64 {
        let desired = self.desired();
        if desired == 0 {
            return -size;
        }
        let before = match max_then(set) {
            Some(n) if n != 0 => n,
            // Not ours before: what there is counts.
            _ => super::int(&self.deployment["status"]["replicas"]),
        };
        if before == 0 {
            return 0;
        }
        let now = desired + max_surge(&self.deployment);
        // Rounded half away from zero, as math.Round does.
        (2 * size * now + before).div_euclid(2 * before) - size
    }

    /// Makes a set have `size` pods and says so; says whether that is a change
    /// (`scaleReplicaSetAndRecordEvent`).
    pub(super) fn scale_set(&mut self, set: &Object, size: i64) -> Result<bool, Error> {
        let before = wanted(set);
        let mut new = Value::clone(set);
        let desired = self.desired();
        let noted = note_size(&mut new, desired, desired + max_surge(&self.deployment));
        if before == size && !noted {
            return Ok(false);
        }
        new["spec"]["replicas"] = size.into();
        let stored = self.context.store.update(REPLICA_SETS, new)?;
        self.replace(&stored);
        if before != size {
            let way = if size > before { "up" } else { "down" };
            let name = object::name(set);
            let text = format!("Scaled {way} replica set {name} from {before} to {size}");
            let about = About::object(&self.deployment);
            self.context.events.normal(&about, "ScalingReplicaSet", &text);
        }
        Ok(before != size)
    }
}
