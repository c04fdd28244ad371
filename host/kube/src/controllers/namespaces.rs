//! Namespaces: those that are always there, what each of them has, and their end
//! (`pkg/controller/{namespace,serviceaccount,certificates/rootcacertpublisher}`).

use std::collections::BTreeMap;
use std::time::Duration;

use podlab_trace::Verb;
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next};
use crate::store::watch::Change;
use crate::store::{DeleteOptions, Error, Part, Store, WriteOptions, object};

const ALWAYS: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
/// How often the end of a namespace is looked at while something holds it up.
const RETRY: Duration = Duration::from_secs(5);

/// Makes the namespaces that are always there, and the Service of the API server.
pub(crate) fn furnish(store: &Store) {
    for name in ALWAYS {
        store
            .create("namespaces", json!({"metadata": {"name": name}}))
            .expect("the store has no namespace of this name yet");
        equip(store, name);
    }
    let service = json!({
        "metadata": {"name": "kubernetes", "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.1",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]},
    });
    store.create("services", service).expect("the store has no Services yet");
}

/// Gives each namespace what it must have, and empties those that end.
pub(crate) struct Namespaces;

impl Controller for Namespaces {
    const NAME: &'static str = "namespace-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec!["namespaces"]
    }

    fn concerns(&mut self, _: &Context, _: &str, change: &Change) -> Vec<Key> {
        let previous = change.previous.as_deref();
        // What the end of a namespace writes into it is no reason to look again at once.
        let ending = previous.is_some_and(object::deleting) && object::deleting(&change.object);
        if change.verb == Verb::Deleted || ending {
            return Vec::new();
        }
        vec![object::key(&change.object)]
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        match context.store.get("namespaces", "", &key.1) {
            None => Ok(Next::Change),
            Some(namespace) if object::deleting(&namespace) => end(context, &namespace),
            Some(_) => {
                equip(&context.store, &key.1);
                Ok(Next::Change)
            }
        }
    }
}

/// What every namespace has.
fn equip(store: &Store, namespace: &str) {
    if store.get("serviceaccounts", namespace, "default").is_none() {
        let account = json!({"metadata": {"name": "default", "namespace": namespace}});
        // A namespace that begins to end meanwhile accepts nothing any more.
        let _ = store.create("serviceaccounts", account);
    }
    if store.get("configmaps", namespace, "kube-root-ca.crt").is_none() {
        let map = json!({
            "metadata": {"name": "kube-root-ca.crt", "namespace": namespace, "annotations": {
                "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
            }},
            "data": {"ca.crt": ""},
        });
        let _ = store.create("configmaps", map);
    }
}

/// Deletes all that is in the namespace, and then the namespace.
fn end(context: &Context, namespace: &Value) -> Result<Next, Error> {
    let (store, name) = (&context.store, object::name(namespace));
    // What is left: kinds, and the finalizers that keep them
    // (`namespaced_resources_deleter.go`, `gvrDeletionMetadata`).
    let (mut left, mut finalizers) = (BTreeMap::new(), BTreeMap::new());
    for row in store.rows().into_iter().filter(|r| r.namespaced) {
        let key = row.qualified();
        for object in store.list(&key, Some(name)) {
            if !object::deleting(&object) {
                // What is not gone now is looked at again below.
                let options = DeleteOptions::default();
                let _ = store.delete(&key, name, object::name(&object), &options);
            }
        }
        for object in store.list(&key, Some(name)) {
            *left.entry(format!("{}.{}", row.plural, row.group)).or_insert(0usize) += 1;
            let all = object["metadata"]["finalizers"].as_array();
            for finalizer in all.into_iter().flatten().filter_map(Value::as_str) {
                *finalizers.entry(finalizer.to_owned()).or_insert(0usize) += 1;
            }
        }
    }
    let mut new = namespace.clone();
    if left.is_empty() {
        new["spec"]["finalizers"] = json!([]);
        let options = WriteOptions::default();
        store.update_with("namespaces", new, Part::Whole, &options)?;
        return Ok(Next::Change);
    }
    let now = object::time(context.shared.sim.unix_nanos());
    let counted = |verb: &str, all: &BTreeMap<String, usize>| {
        let each = all.iter().map(|(what, n)| format!("{what} {verb} {n} resource instances"));
        each.collect::<Vec<_>>().join(", ")
    };
    let text = format!("Some resources are remaining: {}", counted("has", &left));
    let kept = if finalizers.is_empty() {
        "All content-preserving finalizers finished".to_owned()
    } else {
        let each = counted("in", &finalizers);
        format!("Some content in the namespace has finalizers remaining: {each}")
    };
    let keeps =
        if finalizers.is_empty() { "ContentHasNoFinalizers" } else { "SomeFinalizersRemain" };
    let condition = |kind: &str, value: bool, reason: &str, message: &str| {
        let status = if value { "True" } else { "False" };
        let mut before = namespace["status"]["conditions"].as_array().into_iter().flatten();
        let since = before.find(|c| c["type"] == kind && c["status"] == status);
        let since = since.map_or(json!(now), |c| c["lastTransitionTime"].clone());
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": since})
    };
    new["status"]["conditions"] = json!([
        condition(
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered"
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed"
        ),
        condition(
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization"
        ),
        condition("NamespaceContentRemaining", true, "SomeResourcesRemain", &text),
        condition("NamespaceFinalizersRemaining", !finalizers.is_empty(), keeps, &kept),
    ]);
    if new["status"] != namespace["status"] {
        store.update_status("namespaces", new)?;
    }
    Ok(Next::After(RETRY))
}
