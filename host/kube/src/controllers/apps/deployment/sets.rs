//! A Deployment's ReplicaSets and their revisions (`sync.go`, `deployment_util.go`).

use serde_json::{Value, json};

use super::super::{hash, owner, pods};
use super::numbers::max_surge;
use super::{DEPLOYMENTS, REPLICA_SETS, Rollout, by_age, wanted};
use crate::events::About;
use crate::store::object::{map_mut, meta_mut};
use crate::store::{DeleteOptions, Error, Object, object};

const REVISION: &str = "deployment.kubernetes.io/revision";
/// Revisions that this set had before somebody rolled back to it.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// What of a Deployment's annotations is its own.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];
/// How long the history of a set's revisions may get.
const HISTORY_CHARS: usize = 2000;
/// Set by the controller on a set's selector, labels and template.
const HASH: &str = "pod-template-hash";

fn annotation<'a>(o: &'a Value, key: &str) -> Option<&'a str> {
    o["metadata"]["annotations"][key].as_str()
}

fn annotate(o: &mut Value, key: &str, value: String) -> bool {
    let map = map_mut(meta_mut(o).entry("annotations").or_insert(Value::Null));
    let value = Value::from(value);
    map.insert(key.into(), value.clone()) != Some(value)
}

pub(super) fn number(o: &Value, key: &str) -> Option<i64> {
    annotation(o, key)?.parse().ok()
}

/// How many replicas the Deployment wanted when this set was scaled last.
pub(super) fn desired_then(set: &Value) -> Option<i64> {
    number(set, DESIRED)
}

/// How many pods the Deployment might have then.
pub(super) fn max_then(set: &Value) -> Option<i64> {
    number(set, MAX)
}

/// Notes how many there may be now; says whether that is new.
pub(super) fn note_size(set: &mut Value, desired: i64, max: i64) -> bool {
    let first = annotate(set, DESIRED, desired.to_string());
    annotate(set, MAX, max.to_string()) || first
}

fn revision(set: &Value) -> i64 {
    number(set, REVISION).unwrap_or(0)
}

fn content(template: &Value) -> String {
    hash::canonical(template, &[HASH])
}

impl Rollout<'_> {
    /// Finds the new set among all of them, makes it if there is none and `create` says so, and
    /// brings revisions up to date.
    pub(super) fn find_sets(&mut self, create: bool) -> Result<(), Error> {
        self.sets.sort_by_key(by_age);
        let wanted = content(&self.deployment["spec"]["template"]);
        // Should there be several, the oldest one counts.
        let at = self.sets.iter().position(|s| content(&s["spec"]["template"]) == wanted);
        self.old = self.sets.clone();
        self.new = at.map(|at| self.old.remove(at));
        let next = 1 + self.old.iter().map(|s| revision(s)).max().unwrap_or(0);
        match self.new.clone() {
            Some(set) => self.keep(&set, next),
            None if create => self.create(&wanted, next),
            None => Ok(()),
        }
    }

    fn keep(&mut self, set: &Object, next: i64) -> Result<(), Error> {
        let mut new = Value::clone(set);
        let mut changed = self.annotate_set(&mut new, next, true);
        let ready = &self.deployment["spec"]["minReadySeconds"];
        if pods::int(&new["spec"]["minReadySeconds"]) != pods::int(ready) {
            new["spec"]["minReadySeconds"] = ready.clone();
            changed = true;
        }
        if changed {
            let stored = self.context.store.update(REPLICA_SETS, new)?;
            self.replace(&stored);
        }
        let revision = self.new.as_ref().and_then(|n| annotation(n, REVISION)).map(str::to_owned);
        let mut changed = match revision {
            Some(r) => annotate(&mut self.deployment, REVISION, r),
            None => false,
        };
        if self.has_deadline() && self.condition("Progressing").is_none() {
            let text = format!("Found new replica set {:?}", object::name(set));
            self.set_condition("Progressing", "True", "FoundNewReplicaSet", &text);
            changed = true;
        }
        if changed { self.store_status() } else { Ok(()) }
    }

    fn create(&mut self, content: &str, next: i64) -> Result<(), Error> {
        let collisions = self.deployment["status"]["collisionCount"].as_i64();
        let hash = hash::hash(content, collisions);
        // Both a name and a label's value: 63 characters less the dash and the hash.
        let base: String = self.name().chars().take(253 - 1 - hash.len()).collect();
        let name = format!("{base}-{hash}");
        let mut template = self.deployment["spec"]["template"].clone();
        map_mut(meta_mut(&mut template).entry("labels").or_insert(Value::Null))
            .insert(HASH.into(), hash.as_str().into());
        let mut selector = self.deployment["spec"]["selector"].clone();
        map_mut(map_mut(&mut selector).entry("matchLabels").or_insert(Value::Null))
            .insert(HASH.into(), hash.as_str().into());
        let mut set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": name, "namespace": object::namespace(&self.deployment),
                "labels": template["metadata"]["labels"],
                "ownerReferences": [object::controller_reference(&self.deployment)],
            },
            "spec": {"replicas": 0, "selector": selector, "template": template},
        });
        let ready = &self.deployment["spec"]["minReadySeconds"];
        if !ready.is_null() {
            set["spec"]["minReadySeconds"] = ready.clone();
        }
        let replicas = self.new_replicas(&set);
        set["spec"]["replicas"] = replicas.into();
        self.annotate_set(&mut set, next, false);
        let store = &self.context.store;
        let mut existed = false;
        let stored = match store.create(REPLICA_SETS, set) {
            Ok(stored) => stored,
            Err(e) if e.reason == "AlreadyExists" => {
                let there =
                    store.require(REPLICA_SETS, object::namespace(&self.deployment), &name)?;
                // Ours if it has this template after all; otherwise its name is in the way.
                if owner::controls(&self.deployment, &there)
                    && self::content(&there["spec"]["template"]) == content
                {
                    existed = true;
                    there
                } else {
                    let status = map_mut(&mut self.deployment).entry("status");
                    map_mut(status.or_insert(Value::Null))
                        .insert("collisionCount".into(), (collisions.unwrap_or(0) + 1).into());
                    self.store_status()?;
                    return Err(e);
                }
            }
            Err(e) if pods::namespace_ends(&e) => return Err(e),
            Err(e) => {
                let text = format!("Failed to create new replica set {name:?}: {}", e.message);
                if self.has_deadline() {
                    self.set_condition("Progressing", "False", "ReplicaSetCreateError", &text);
                    self.store_status()?;
                }
                let about = About::object(&self.deployment);
                self.context.events.warning(&about, "ReplicaSetCreateError", &text);
                return Err(e);
            }
        };
        if !existed && replicas > 0 {
            let text = format!("Scaled up replica set {name} from 0 to {replicas}");
            let about = About::object(&self.deployment);
            self.context.events.normal(&about, "ScalingReplicaSet", &text);
        }
        self.sets.push(stored.clone());
        self.new = Some(stored);
        let mut changed = annotate(&mut self.deployment, REVISION, next.to_string());
        if !existed && self.has_deadline() {
            let text = format!("Created new replica set {name:?}");
            self.set_condition("Progressing", "True", "NewReplicaSetCreated", &text);
            changed = true;
        }
        if changed { self.store_status() } else { Ok(()) }
    }

    /// Gives a new set what it has from its Deployment, and its number
    /// (`SetNewReplicaSetAnnotations`).
    fn annotate_set(&self, set: &mut Value, next: i64, exists: bool) -> bool {
        let mut changed = false;
        let given = self.deployment["metadata"]["annotations"].as_object();
        for (key, value) in given.into_iter().flatten() {
            if !OWN.contains(&key.as_str()) {
                changed |= annotate(set, key, value.as_str().unwrap_or("").to_owned());
            }
        }
        let before = annotation(set, REVISION).map(str::to_owned);
        if revision(set) < next {
            annotate(set, REVISION, next.to_string());
            changed = true;
            if let Some(before) = before {
                let mut all: Vec<String> = annotation(set, HISTORY)
                    .into_iter()
                    .flat_map(|h| h.split(','))
                    .map(str::to_owned)
                    .collect();
                all.push(before);
                while all.len() > 1 && all.join(",").len() > HISTORY_CHARS {
                    all.remove(0);
                }
                annotate(set, HISTORY, all.join(","));
            }
        }
        if !exists {
            let desired = self.desired();
            changed |= note_size(set, desired, desired + max_surge(&self.deployment));
        }
        changed
    }

    /// Takes note of a set that was stored.
    pub(super) fn replace(&mut self, stored: &Object) {
        let uid = object::uid(stored);
        for set in self.sets.iter_mut().chain(&mut self.old).chain(&mut self.new) {
            if object::uid(set) == uid {
                *set = stored.clone();
            }
        }
    }

    /// Deletes the oldest of the sets without pods that are more than are to be remembered.
    pub(super) fn clean_up(&mut self) -> Result<(), Error> {
        let limit = self.deployment["spec"]["revisionHistoryLimit"].as_i64();
        let Some(limit) = limit.filter(|l| *l < i64::from(i32::MAX)) else { return Ok(()) };
        let mut sets: Vec<&Object> = self.old.iter().filter(|s| !object::deleting(s)).collect();
        let surplus = sets.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        sets.sort_by_key(|s| (revision(s), by_age(s)));
        for set in &sets[..surplus] {
            let status = &set["status"];
            let seen = pods::int(&status["observedGeneration"]);
            if pods::int(&status["replicas"]) != 0
                || wanted(set) != 0
                || pods::int(&set["metadata"]["generation"]) > seen
            {
                continue;
            }
            let (namespace, name) = (object::namespace(set), object::name(set));
            match self.context.store.delete(
                REPLICA_SETS,
                namespace,
                name,
                &DeleteOptions::default(),
            ) {
                Err(e) if e.code != 404 => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    /// Stores the Deployment's status and revision as they are now.
    pub(super) fn store_status(&mut self) -> Result<(), Error> {
        let stored = self.context.store.update_status(DEPLOYMENTS, self.deployment.clone())?;
        self.deployment = Value::clone(&stored);
        Ok(())
    }
}
