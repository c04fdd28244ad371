//! Keeps the books of ResourceQuotas (`pkg/controller/resourcequota`): admission adds, and here
//! what is gone or done is taken off.

use podlab_trace::Verb;
use serde_json::Value;

use super::{Context, Controller, Key, Next};
use crate::admission::quota::{QUOTAS, status, used};
use crate::store::watch::Change;
use crate::store::{Error, object};

/// Counts what is used.
pub(crate) struct Quotas;

impl Controller for Quotas {
    const NAME: &'static str = "resourcequota-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec![
            QUOTAS,
            "configmaps",
            "cronjobs.batch",
            "daemonsets.apps",
            "deployments.apps",
            "ingresses.networking.k8s.io",
            "jobs.batch",
            "persistentvolumeclaims",
            "pods",
            "replicasets.apps",
            "replicationcontrollers",
            "secrets",
            "serviceaccounts",
            "services",
            "statefulsets.apps",
        ]
    }

    fn concerns(&mut self, context: &Context, kind: &str, change: &Change) -> Vec<Key> {
        let object = &change.object;
        let namespace = object::namespace(object).to_owned();
        if kind == QUOTAS && change.verb != Verb::Deleted {
            return vec![(namespace, object::name(object).to_owned())];
        }
        let phase = |o: &Value| o["status"]["phase"].clone();
        let same = change.previous.as_ref().is_some_and(|p| {
            change.verb == Verb::Modified
                && p["spec"] == object["spec"]
                && (kind != "pods" || phase(p) == phase(object))
        });
        if same {
            return Vec::new();
        }
        let all = context.store.list(QUOTAS, Some(&namespace));
        all.iter().map(|q| (namespace.clone(), object::name(q).to_owned())).collect()
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let Some(quota) = context.store.get(QUOTAS, &key.0, &key.1) else {
            return Ok(Next::Change);
        };
        let mut new = Value::clone(&quota);
        new["status"] = status(&quota, &used(&context.store, &quota));
        // Nothing is written if it is so already.
        context.store.update_status(QUOTAS, new)?;
        Ok(Next::Change)
    }
}
