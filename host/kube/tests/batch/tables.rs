//! The lines that kubectl prints, as in the transcripts of a real control plane
//! (`05-job-cronjob`, `09-nodes`, `15-quota-limits`).

use podlab_kube::api::{Api, Body, Request};
use serde_json::{Value, json};

use crate::cluster::{Cluster, container, with};

/// What `kubectl get KIND -n NAMESPACE` prints, in single spaces; `wide` with `-o wide`.
fn table(c: &Cluster, path: &str, wide: bool) -> Vec<String> {
    let mut request = Request::new("GET", path);
    request.accept = "application/json;as=Table;v=v1;g=meta.k8s.io".into();
    let Body::Full(bytes) = Api::new(&c.store).handle(&request).body else { panic!("a stream") };
    let table: Value = serde_json::from_slice(&bytes).unwrap();
    let columns = table["columnDefinitions"].as_array().unwrap();
    let shown: Vec<usize> =
        (0..columns.len()).filter(|i| wide || columns[*i]["priority"] == 0).collect();
    let mut out = vec![
        shown
            .iter()
            .map(|i| columns[*i]["name"].as_str().unwrap().to_uppercase())
            .collect::<Vec<_>>()
            .join(" | "),
    ];
    for row in table["rows"].as_array().unwrap() {
        let cell = |i: &usize| match &row["cells"][*i] {
            Value::String(s) => s.clone(),
            other => other.to_string(),
        };
        out.push(shown.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
    out
}

fn batch(kind: &str) -> String {
    format!("/apis/batch/v1/namespaces/default/{kind}")
}

#[test]
fn jobs_and_cron_jobs() {
    let mut c = Cluster::new();
    let pod = |name: &str, script: &str, policy: &str| json!({"spec": {"restartPolicy": policy, "containers": [container(name, script)]}});
    c.create("jobs.batch", json!({"metadata": {"name": "pi", "namespace": "default"}, "spec":
        {"completions": 3, "parallelism": 2, "backoffLimit": 4, "template": pod("pi", "sleep 2 exit 0", "Never")}}));
    assert_eq!(
        table(&c, &batch("jobs"), false),
        ["NAME | STATUS | COMPLETIONS | DURATION | AGE", "pi | Running | 0/3 |  | 0s"]
    );
    c.until(0.5);
    assert_eq!(table(&c, &batch("jobs"), false)[1], "pi | Running | 0/3 | 0s | 0s");
    c.until(6.9);
    let uid = c.store.get("jobs.batch", "default", "pi").unwrap()["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        table(&c, &batch("jobs"), true),
        [
            "NAME | STATUS | COMPLETIONS | DURATION | AGE | CONTAINERS | IMAGES | SELECTOR"
                .to_owned(),
            format!(
                "pi | Complete | 3/3 | 6s | 6s | pi | script:v1 | batch.kubernetes.io/controller-uid={uid}"
            ),
        ]
    );
    c.create("cronjobs.batch", json!({"metadata": {"name": "cj", "namespace": "default"}, "spec":
        {"schedule": "*/1 * * * *", "jobTemplate": {"spec": {"template": pod("cj", "sleep 30 exit 0", "OnFailure")}}}}));
    assert_eq!(
        table(&c, &batch("cronjobs"), true),
        [
            "NAME | SCHEDULE | TIMEZONE | SUSPEND | ACTIVE | LAST SCHEDULE | AGE | CONTAINERS | IMAGES | SELECTOR",
            "cj | */1 * * * * | <none> | False | 0 | <none> | 0s | cj | script:v1 | <none>",
        ]
    );
    c.until(25.0);
    assert_eq!(
        table(&c, &batch("cronjobs"), false)[1],
        "cj | */1 * * * * | <none> | False | 1 | 3s | 19s"
    );
    assert_eq!(table(&c, &batch("jobs"), false)[1], "cj-29920620 | Running | 0/1 | 3s | 3s");
}

#[test]
fn what_a_job_and_a_cron_job_look_like_whole() {
    let mut c = Cluster::new();
    let pod = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "pi", "image": "script:v1", "command": ["exit", "0"]}]}});
    c.create(
        "jobs.batch",
        json!({"metadata": {"name": "pi", "namespace": "default"}, "spec": {"template": pod}}),
    );
    c.until(10.0);
    let job = c.store.get("jobs.batch", "default", "pi").unwrap();
    let uid = &job["metadata"]["uid"];
    let labels = json!({"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": "pi", "controller-uid": uid, "job-name": "pi"});
    let template = json!({"metadata": {"creationTimestamp": null, "labels": labels}, "spec": {
        "containers": [{"name": "pi", "image": "script:v1", "command": ["exit", "0"], "imagePullPolicy": "IfNotPresent", "resources": {},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}],
        "dnsPolicy": "ClusterFirst", "restartPolicy": "Never", "schedulerName": "default-scheduler",
        "securityContext": {}, "terminationGracePeriodSeconds": 30}});
    assert_eq!(
        job["spec"],
        json!({"backoffLimit": 6, "completionMode": "NonIndexed", "completions": 1, "manualSelector": false,
        "parallelism": 1, "podReplacementPolicy": "TerminatingOrFailed", "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
        "suspend": false, "template": template})
    );
    let fields: Vec<&String> = job["status"].as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        [
            "completionTime",
            "conditions",
            "ready",
            "startTime",
            "succeeded",
            "terminating",
            "uncountedTerminatedPods"
        ]
    );
}

#[test]
fn budgets_quotas_and_classes() {
    let mut c = Cluster::new();
    for i in 0..4 {
        let meta =
            json!({"name": format!("w{i}"), "namespace": "default", "labels": {"app": "web"}});
        c.create("pods", json!({"metadata": meta, "spec": {"containers": [with(container("c", "stay"), json!({}))]}}));
    }
    c.create(
        "poddisruptionbudgets.policy",
        json!({"metadata": {"name": "web-pdb", "namespace": "default"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}}),
    );
    c.create("namespaces", json!({"metadata": {"name": "q"}}));
    c.until(2.5);
    assert_eq!(
        table(&c, "/apis/policy/v1/namespaces/default/poddisruptionbudgets", false),
        [
            "NAME | MIN AVAILABLE | MAX UNAVAILABLE | ALLOWED DISRUPTIONS | AGE",
            "web-pdb | 2 | N/A | 2 | 2s",
        ]
    );
    c.create("resourcequotas", json!({"metadata": {"name": "rq", "namespace": "q"}, "spec": {"hard": {"pods": "1", "requests.cpu": "1", "configmaps": "2"}}}));
    c.until(4.6);
    assert_eq!(
        table(&c, "/api/v1/namespaces/q/resourcequotas", false),
        [
            "NAME | AGE | REQUEST | LIMIT",
            "rq | 2s | configmaps: 1/2, pods: 0/1, requests.cpu: 0/1 | ",
        ]
    );
    assert_eq!(
        table(&c, "/apis/storage.k8s.io/v1/storageclasses", false),
        [
            "NAME | PROVISIONER | RECLAIMPOLICY | VOLUMEBINDINGMODE | ALLOWVOLUMEEXPANSION | AGE",
            "standard (default) | podlab.io/dynamic | Delete | WaitForFirstConsumer | false | 4s",
        ]
    );
    assert_eq!(
        table(&c, "/apis/scheduling.k8s.io/v1/priorityclasses", false),
        [
            "NAME | VALUE | GLOBAL-DEFAULT | AGE | PREEMPTIONPOLICY",
            "system-cluster-critical | 2000000000 | false | 4s | PreemptLowerPriority",
            "system-node-critical | 2000001000 | false | 4s | PreemptLowerPriority",
        ]
    );
    c.create("persistentvolumes", json!({"metadata": {"name": "pv"}, "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}}));
    c.until(5.0);
    assert_eq!(
        table(&c, "/api/v1/persistentvolumes", true)[1],
        "pv | 1Gi | RWO | Retain | Available |  |  | <unset> |  | 1s | Filesystem"
    );
    c.create("horizontalpodautoscalers.autoscaling", json!({"metadata": {"name": "h", "namespace": "default"}, "spec":
        {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 5}}));
    assert_eq!(
        table(&c, "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", false),
        [
            "NAME | REFERENCE | TARGETS | MINPODS | MAXPODS | REPLICAS | AGE",
            "h | Deployment/web | cpu: <unknown>/80% | 1 | 5 | 0 | 0s",
        ]
    );
}
