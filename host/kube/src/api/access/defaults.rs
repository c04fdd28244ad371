//! The roles that every cluster has (`plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go`),
//! as far as users of a world meet them: the roles of components are not needed, since those act
//! on the store itself.

use serde_json::{Value, json};

use crate::store::Store;

const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];

fn rule(verbs: &[&str], group: &str, resources: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

/// What `view` reads: no Secrets, no roles.
fn view() -> Vec<Value> {
    vec![
        rule(
            &READ,
            "",
            &[
                "configmaps",
                "endpoints",
                "persistentvolumeclaims",
                "persistentvolumeclaims/status",
                "pods",
                "replicationcontrollers",
                "replicationcontrollers/scale",
                "serviceaccounts",
                "services",
                "services/status",
            ],
        ),
        rule(
            &READ,
            "",
            &[
                "bindings",
                "events",
                "limitranges",
                "namespaces/status",
                "pods/log",
                "pods/status",
                "replicationcontrollers/status",
                "resourcequotas",
                "resourcequotas/status",
            ],
        ),
        rule(&READ, "", &["namespaces"]),
        rule(&READ, "discovery.k8s.io", &["endpointslices"]),
        rule(
            &READ,
            "apps",
            &[
                "controllerrevisions",
                "daemonsets",
                "daemonsets/status",
                "deployments",
                "deployments/scale",
                "deployments/status",
                "replicasets",
                "replicasets/scale",
                "replicasets/status",
                "statefulsets",
                "statefulsets/scale",
                "statefulsets/status",
            ],
        ),
        rule(
            &READ,
            "autoscaling",
            &["horizontalpodautoscalers", "horizontalpodautoscalers/status"],
        ),
        rule(&READ, "batch", &["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
        rule(&READ, "policy", &["poddisruptionbudgets", "poddisruptionbudgets/status"]),
        rule(&READ, "networking.k8s.io", &["ingresses", "ingresses/status", "networkpolicies"]),
    ]
}

/// What `edit` may besides.
fn edit() -> Vec<Value> {
    vec![
        rule(
            &READ,
            "",
            &[
                "pods/attach",
                "pods/exec",
                "pods/portforward",
                "pods/proxy",
                "secrets",
                "services/proxy",
            ],
        ),
        rule(&["impersonate"], "", &["serviceaccounts"]),
        rule(&WRITE, "", &["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"]),
        rule(&["create"], "", &["pods/eviction"]),
        rule(
            &WRITE,
            "",
            &[
                "configmaps",
                "events",
                "persistentvolumeclaims",
                "replicationcontrollers",
                "replicationcontrollers/scale",
                "secrets",
                "serviceaccounts",
                "services",
                "services/proxy",
            ],
        ),
        rule(&["create"], "", &["serviceaccounts/token"]),
        rule(
            &WRITE,
            "apps",
            &[
                "daemonsets",
                "deployments",
                "deployments/rollback",
                "deployments/scale",
                "replicasets",
                "replicasets/scale",
                "statefulsets",
                "statefulsets/scale",
            ],
        ),
        rule(&WRITE, "autoscaling", &["horizontalpodautoscalers"]),
        rule(&WRITE, "batch", &["cronjobs", "jobs"]),
        rule(&WRITE, "policy", &["poddisruptionbudgets"]),
        rule(&WRITE, "networking.k8s.io", &["ingresses", "networkpolicies"]),
        rule(
            &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            "coordination.k8s.io",
            &["leases"],
        ),
    ]
}

/// What `admin` may besides.
fn admin() -> Vec<Value> {
    vec![
        rule(&["create"], "authorization.k8s.io", &["localsubjectaccessreviews"]),
        rule(
            &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            "rbac.authorization.k8s.io",
            &["rolebindings", "roles"],
        ),
    ]
}

fn role(name: &str, labels: &[&str], rules: Vec<Value>) -> Value {
    let mut all = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
    for label in labels {
        all[format!("rbac.authorization.k8s.io/aggregate-to-{label}")] = "true".into();
    }
    json!({
        "metadata": {
            "name": name, "labels": all,
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
        "rules": rules,
    })
}

/// A role that gathers the rules of others. Kubernetes' controller writes what it gathered into
/// `rules`, and so it stands there from the beginning.
fn gathers(name: &str, labels: &[&str], rules: Vec<Value>) -> Value {
    let mut role = role(name, labels, rules);
    let label = format!("rbac.authorization.k8s.io/aggregate-to-{name}");
    role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]});
    role
}

/// Creates them where they are missing.
pub fn furnish(store: &Store) {
    let everything = vec![
        json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
        json!({"nonResourceURLs": ["*"], "verbs": ["*"]}),
    ];
    let urls = |list: &[&str]| vec![json!({"nonResourceURLs": list, "verbs": ["get"]})];
    let with = |parts: &[Vec<Value>]| parts.concat();
    let health = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let discovery = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let roles = [
        role("cluster-admin", &[], everything),
        gathers("admin", &[], with(&[admin(), edit(), view()])),
        gathers("edit", &["admin"], with(&[edit(), view()])),
        gathers("view", &["edit"], view()),
        role("system:aggregate-to-admin", &["admin"], admin()),
        role("system:aggregate-to-edit", &["edit"], edit()),
        role("system:aggregate-to-view", &["view"], view()),
        role(
            "system:basic-user",
            &[],
            vec![
                rule(
                    &["create"],
                    "authorization.k8s.io",
                    &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
                ),
                rule(&["create"], "authentication.k8s.io", &["selfsubjectreviews"]),
            ],
        ),
        role("system:discovery", &[], urls(&discovery)),
        role("system:public-info-viewer", &[], urls(&health)),
    ];
    let bindings = [
        ("cluster-admin", &["system:masters"][..]),
        ("system:basic-user", &["system:authenticated"]),
        ("system:discovery", &["system:authenticated"]),
        ("system:public-info-viewer", &["system:authenticated", "system:unauthenticated"]),
    ];
    // Nobody else creates these before the control plane starts.
    for role in roles {
        let _ = store.create("clusterroles.rbac.authorization.k8s.io", role);
    }
    for (name, groups) in bindings {
        let subjects: Vec<Value> = groups
            .iter()
            .map(|g| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": g}))
            .collect();
        let mut binding = role(name, &[], Vec::new());
        crate::store::object::map_mut(&mut binding).remove("rules");
        binding["roleRef"] = json!({
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name
        });
        binding["subjects"] = subjects.into();
        let _ = store.create("clusterrolebindings.rbac.authorization.k8s.io", binding);
    }
}
