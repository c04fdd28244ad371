//! Namespaces: those that are always there, what each of them has, and their end
//! (`pkg/controller/{namespace,serviceaccount,certificates/rootcacertpublisher}`).

use std::sync::Arc;
use std::time::Duration;

use podlab_trace::Verb;
use serde_json::{Value, json};

use crate::control_plane::Shared;
use crate::store::{DeleteOptions, Part, WriteOptions, object};

const ALWAYS: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
/// How often the end of a namespace is looked at while something holds it up.
const RETRY: Duration = Duration::from_secs(5);

/// Makes the namespaces and starts what keeps them.
pub(crate) fn start(shared: &Arc<Shared>) {
    for name in ALWAYS {
        shared
            .store
            .create("namespaces", json!({"metadata": {"name": name}}))
            .expect("the store has no namespace of this name yet");
        furnish(shared, name);
    }
    let service = json!({
        "metadata": {"name": "kubernetes", "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.1",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]},
    });
    shared.store.create("services", service).expect("the store has no Services yet");
    let shared = shared.clone();
    shared.clone().sim.spawn(async move {
        let mut namespaces = shared.store.informer("namespaces");
        loop {
            let change = namespaces.next().await;
            let name = object::name(&change.object).to_owned();
            if change.verb == Verb::Deleted {
                continue;
            }
            if !object::deleting(&change.object) {
                furnish(&shared, &name);
                continue;
            }
            let before = change.previous.as_ref().is_some_and(|p| object::deleting(p));
            if !before {
                let ending = shared.clone();
                let uid = object::uid(&change.object).to_owned();
                shared.sim.spawn(async move { end(&ending, &name, &uid).await });
            }
        }
    });
}

/// What every namespace has.
fn furnish(shared: &Shared, namespace: &str) {
    let store = &shared.store;
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
async fn end(shared: &Shared, name: &str, uid: &str) {
    loop {
        let Some(namespace) = shared.store.get("namespaces", "", name) else { return };
        if object::uid(&namespace) != uid {
            return;
        }
        let mut left = 0usize;
        let mut pods = false;
        for row in shared.store.rows().into_iter().filter(|r| r.namespaced) {
            let key = row.qualified();
            for object in shared.store.list(&key, Some(name)) {
                if !object::deleting(&object) {
                    // What is not gone now is looked at again below.
                    let options = DeleteOptions::default();
                    let _ = shared.store.delete(&key, name, object::name(&object), &options);
                }
            }
            let remaining = shared.store.list(&key, Some(name)).len();
            left += remaining;
            pods |= remaining > 0 && key == "pods";
        }
        let mut new = Value::clone(&namespace);
        if left == 0 {
            new["spec"]["finalizers"] = json!([]);
            let options = WriteOptions::default();
            // The one who changes a namespace meanwhile does not exist: nothing runs in between.
            let _ = shared.store.update_with("namespaces", new, Part::Whole, &options);
            return;
        }
        let now = object::time(shared.sim.unix_nanos());
        let text = if pods {
            format!("Some resources are remaining: pods. has {left} resource instances")
        } else {
            format!("Some resources are remaining: {left} resource instances")
        };
        let condition = |kind: &str, value: bool, reason: &str, message: &str| {
            json!({"type": kind, "status": if value { "True" } else { "False" },
                "reason": reason, "message": message, "lastTransitionTime": now})
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
            condition(
                "NamespaceFinalizersRemaining",
                false,
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished"
            ),
        ]);
        if new["status"]["conditions"].as_array().map(Vec::len)
            != namespace["status"]["conditions"].as_array().map(Vec::len)
        {
            let _ = shared.store.update_status("namespaces", new);
        }
        shared.sim.sleep(RETRY).await;
    }
}
