//! `pods/eviction`: a deletion that respects budgets (`pkg/registry/core/pod/storage/eviction.go`).

use serde_json::{Value, json};

use super::request::Request;
use super::response::Response;
use super::route::Target;
use super::{Api, body};
use crate::controllers::disruption::{condition, selects};
use crate::store::error::{Cause, Details, Error};
use crate::store::object::{self, map_mut};
use crate::store::{DeleteOptions, Object};

const BUDGETS: &str = "poddisruptionbudgets.policy";
/// So many evictions may be under way (`MaxDisruptedPodSize`).
const MOST: usize = 2000;

impl Api {
    pub(super) fn evict(&self, request: &Request, t: &Target) -> Result<Response, Error> {
        let mut write = self.options(request, t)?;
        let eviction = body::document(request)?.value;
        let named = object::name(&eviction);
        if !named.is_empty() && named != t.name {
            return Err(Error::bad_request("name in URL does not match name in Eviction object"));
        }
        let asked = &eviction["deleteOptions"];
        write.dry_run |= asked["dryRun"].as_array().is_some_and(|d| !d.is_empty());
        let pod = self.store.require("pods", &t.namespace, &t.name)?;
        let text = |v: &Value| v.as_str().map(str::to_owned);
        let options = DeleteOptions {
            grace_period_seconds: asked["gracePeriodSeconds"].as_i64(),
            uid: text(&asked["preconditions"]["uid"]),
            resource_version: text(&asked["preconditions"]["resourceVersion"]),
            dry_run: write.dry_run,
            ..DeleteOptions::default()
        };
        if !ignores_budgets(&pod) {
            self.ask_budget(&pod, write.dry_run)?;
        }
        if !write.dry_run {
            let mut new = Value::clone(&pod);
            let now = object::time(self.store.sim().unix_nanos());
            let status = map_mut(map_mut(&mut new).entry("status").or_insert(Value::Null));
            let list = status.entry("conditions").or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                list.retain(|c| c["type"] != "DisruptionTarget");
                list.push(json!({"type": "DisruptionTarget", "status": "True",
                    "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
                    "lastProbeTime": null, "lastTransitionTime": now}));
            }
            if !object::deleting(&pod) {
                self.store.update_status("pods", new)?;
            }
        }
        self.store.delete("pods", &t.namespace, &t.name, &options)?;
        let done = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201
        });
        Ok(Response::json(201, &done))
    }

    /// Takes one disruption from the pod's budget, if it has one.
    fn ask_budget(&self, pod: &Object, dry_run: bool) -> Result<(), Error> {
        let mut budgets = self.store.list(BUDGETS, Some(object::namespace(pod)));
        let labelled = pod["metadata"]["labels"].as_object().is_some_and(|l| !l.is_empty());
        budgets.retain(|b| labelled && selects(b, pod));
        let budget = match &budgets[..] {
            [] => return Ok(()),
            [one] => one,
            _ => {
                let text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
                return Err(Error::new(500, "", text));
            }
        };
        let status = &budget["status"];
        let number = |field: &str| status[field].as_i64().unwrap_or(0);
        let (healthy, desired) = (number("currentHealthy"), number("desiredHealthy"));
        if !object::holds(pod, "Ready") {
            let always = budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
            if always || (healthy >= desired && desired > 0) {
                return Ok(());
            }
        }
        let name = object::name(budget);
        let generation = &budget["metadata"]["generation"];
        if status["observedGeneration"].as_i64() < generation.as_i64() {
            let why =
                format!("The disruption budget {name} is still being processed by the server.");
            return Err(refusal(why, 10));
        }
        if status["disruptedPods"].as_object().is_some_and(|p| p.len() > MOST) {
            let row = self.store.row(BUDGETS).ok_or_else(Error::no_such_path)?;
            return Err(Error::forbidden(
                &row,
                name,
                "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
            ));
        }
        let allowed = number("disruptionsAllowed");
        if allowed <= 0 {
            let failed = status["conditions"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|c| c["type"] == "DisruptionAllowed" && c["reason"] == "SyncFailed");
            let why = match failed {
                Some(c) => format!(
                    "The disruption budget {name} does not allow evicting pods currently because it failed sync: {}",
                    c["message"].as_str().unwrap_or("")
                ),
                None => format!(
                    "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
                ),
            };
            return Err(refusal(why, 0));
        }
        if dry_run {
            return Ok(());
        }
        let mut new = Value::clone(budget);
        let now = self.store.sim().unix_nanos();
        let status = map_mut(&mut new["status"]);
        status.insert("disruptionsAllowed".into(), (allowed - 1).into());
        if allowed == 1 {
            let none = condition(budget, "False", "InsufficientPods", "", generation, now);
            status.insert("conditions".into(), none);
        }
        map_mut(status.entry("disruptedPods").or_insert(Value::Null))
            .insert(object::name(pod).into(), object::time(now).into());
        self.store.update_status(BUDGETS, new).map(|_| ())
    }
}

/// Nobody is served by such a pod.
fn ignores_budgets(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str().unwrap_or("");
    matches!(phase, "Succeeded" | "Failed" | "Pending") || object::deleting(pod)
}

fn refusal(why: String, retry_after_seconds: u32) -> Error {
    let text = "Cannot evict pod as it would violate the pod's disruption budget.";
    let mut error = Error::new(429, "TooManyRequests", text);
    let cause = Cause { reason: "DisruptionBudget".into(), message: why, field: String::new() };
    error.details =
        Some(Box::new(Details { causes: vec![cause], retry_after_seconds, ..Details::default() }));
    error
}
