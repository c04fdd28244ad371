//! Jobs.

use serde_json::{Value, json};

use crate::cluster::{Cluster, container, with};

const JOBS: &str = "jobs.batch";

pub fn job(c: &Cluster, name: &str, spec: Value, script: &str) {
    job_with(
        c,
        name,
        spec,
        json!({"restartPolicy": "Never", "containers": [container("c", script)]}),
    );
}

fn job_with(c: &Cluster, name: &str, spec: Value, pod: Value) {
    let spec = with(spec, json!({"template": {"spec": pod}}));
    c.create(JOBS, json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec}));
}

pub fn status(c: &Cluster, name: &str) -> Value {
    c.store.get(JOBS, "default", name).unwrap_or_else(|| panic!("no job {name}"))["status"].clone()
}

/// The conditions that hold: their reasons and messages.
fn conditions(c: &Cluster, name: &str) -> Vec<String> {
    let status = status(c, name);
    let all = status["conditions"].as_array().cloned().unwrap_or_default();
    let word = |v: &Value, f: &str| v[f].as_str().unwrap_or("").to_owned();
    all.iter()
        .map(|v| {
            format!(
                "{} {} {}: {}",
                word(v, "type"),
                word(v, "status"),
                word(v, "reason"),
                word(v, "message")
            )
        })
        .collect()
}

fn counts(c: &Cluster, name: &str) -> [i64; 4] {
    let s = status(c, name);
    ["active", "succeeded", "failed", "terminating"].map(|f| s[f].as_i64().unwrap_or(0))
}

fn pods(c: &Cluster, job: &str) -> Vec<std::sync::Arc<Value>> {
    let mut all = c.store.list("pods", Some("default"));
    all.retain(|p| p["metadata"]["labels"]["job-name"] == job);
    all
}

#[test]
fn a_job_runs_its_completions_in_parallel_and_is_complete() {
    let mut c = Cluster::new();
    job(&c, "pi", json!({"completions": 3, "parallelism": 2, "backoffLimit": 4}), "sleep 2 exit 0");
    let made = c.store.get(JOBS, "default", "pi").unwrap();
    let uid = made["metadata"]["uid"].as_str().unwrap();
    for labels in [&made["metadata"]["labels"], &made["spec"]["template"]["metadata"]["labels"]] {
        assert_eq!(labels["job-name"], "pi");
        assert_eq!(labels["batch.kubernetes.io/job-name"], "pi");
        assert_eq!(labels["batch.kubernetes.io/controller-uid"], uid);
        assert_eq!(labels["controller-uid"], uid);
    }
    assert_eq!(
        made["spec"]["selector"],
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})
    );
    assert_eq!(made["spec"]["podReplacementPolicy"], "TerminatingOrFailed");
    c.until(1.0);
    assert_eq!(counts(&c, "pi"), [2, 0, 0, 0]);
    c.until(20.0);
    assert_eq!(counts(&c, "pi"), [0, 3, 0, 0]);
    assert_eq!(status(&c, "pi")["uncountedTerminatedPods"], json!({}));
    assert_eq!(
        conditions(&c, "pi"),
        [
            "SuccessCriteriaMet True CompletionsReached: Reached expected number of succeeded pods",
            "Complete True CompletionsReached: Reached expected number of succeeded pods",
        ]
    );
    let all = pods(&c, "pi");
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|p| p["metadata"]["finalizers"].is_null()));
    let events = c.events("pi");
    assert_eq!(events.len(), 4, "{events:?}");
    assert!(events[0].starts_with("Normal SuccessfulCreate: Created pod: pi-"));
    assert_eq!(events[3], "Normal Completed: Job completed");
}

#[test]
fn failed_pods_are_replaced_after_10_20_40_seconds_until_the_limit() {
    let mut c = Cluster::new();
    job(&c, "j", json!({"backoffLimit": 3}), "exit 1");
    let made = |c: &Cluster| pods(c, "j").len();
    let mut at = Vec::new();
    for second in 0..120 {
        c.until(f64::from(second));
        if made(&c) > at.len() {
            at.push(second);
        }
    }
    // One failed at once; then the waits, and up to a second of gathering each.
    assert_eq!(at.len(), 4, "{at:?}");
    let gaps: Vec<i32> = at.windows(2).map(|w| w[1] - w[0]).collect();
    for (gap, want) in gaps.iter().zip([10, 20, 40]) {
        assert!((want..=want + 2).contains(gap), "{gaps:?}");
    }
    assert_eq!(counts(&c, "j"), [0, 0, 4, 0]);
    let text = "BackoffLimitExceeded: Job has reached the specified backoff limit";
    assert_eq!(
        conditions(&c, "j"),
        [format!("FailureTarget True {text}"), format!("Failed True {text}")]
    );
    assert_eq!(c.events("j").last().unwrap(), &format!("Warning {text}"));
}

#[test]
fn an_indexed_job_gives_every_pod_its_index() {
    let mut c = Cluster::new();
    job(
        &c,
        "i",
        json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed"}),
        "env JOB_COMPLETION_INDEX read /etc/hostname sleep 1 exit 0",
    );
    c.until(0.5);
    for (n, pod) in pods(&c, "i").iter().enumerate() {
        let name = pod["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with(&format!("i-{n}-")), "{name}");
        assert_eq!(
            pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"],
            n.to_string()
        );
        assert_eq!(pod["spec"]["hostname"], format!("i-{n}"));
        assert_eq!(c.log(name, "c"), [format!("JOB_COMPLETION_INDEX={n}"), format!("i-{n}")]);
    }
    c.until(6.0);
    assert_eq!(status(&c, "i")["completedIndexes"], "0-2");
    assert_eq!(conditions(&c, "i").len(), 2);
}

#[test]
fn a_limit_for_each_index_lets_the_others_go_on() {
    let mut c = Cluster::new();
    let pod = json!({"restartPolicy": "Never", "containers": [with(container("c", "unused"), json!({
        "args": ["read", "/n/$(JOB_COMPLETION_INDEX)", "exit", "$(CODE)"],
        "env": [{"name": "CODE", "value": "1"}]}))]});
    job_with(
        &c,
        "x",
        json!({"completions": 2, "parallelism": 2, "completionMode": "Indexed",
        "backoffLimitPerIndex": 1}),
        pod,
    );
    c.until(5.0);
    assert_eq!(status(&c, "x")["failedIndexes"], "");
    c.until(40.0);
    let s = status(&c, "x");
    assert_eq!(s["failedIndexes"], "0,1");
    assert_eq!(counts(&c, "x"), [0, 0, 4, 0]);
    assert_eq!(conditions(&c, "x")[1], "Failed True FailedIndexes: Job has failed indexes");
}

#[test]
fn the_failure_policy_decides_what_counts() {
    let mut c = Cluster::new();
    let policy = |rules: Value| json!({"backoffLimit": 2, "podFailurePolicy": {"rules": rules}});
    job(
        &c,
        "hard",
        policy(json!([{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}])),
        "exit 42",
    );
    job(
        &c,
        "soft",
        policy(
            json!([{"action": "Ignore", "onExitCodes": {"containerName": "c", "operator": "In", "values": [42]}}]),
        ),
        "exit 42",
    );
    c.until(100.0);
    let hard = conditions(&c, "hard");
    let name = pods(&c, "hard")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let text = format!(
        "PodFailurePolicy: Container c for pod default/{name} failed with exit code 42 matching FailJob rule at index 0"
    );
    assert_eq!(hard, [format!("FailureTarget True {text}"), format!("Failed True {text}")]);
    assert_eq!(counts(&c, "soft")[2], 0, "ignored failures are not counted");
    assert!(pods(&c, "soft").len() >= 4);
    assert!(conditions(&c, "soft").is_empty());
}

#[test]
fn a_deadline_ends_a_job_and_its_pods() {
    let mut c = Cluster::new();
    job(&c, "j", json!({"activeDeadlineSeconds": 5, "parallelism": 2, "completions": 2}), "stay");
    c.until(4.9);
    assert_eq!(counts(&c, "j"), [2, 0, 0, 0]);
    c.until(6.0);
    assert_eq!(
        conditions(&c, "j")[0],
        "FailureTarget True DeadlineExceeded: Job was active longer than specified deadline"
    );
    c.until(10.0);
    assert_eq!(
        conditions(&c, "j")[1],
        "Failed True DeadlineExceeded: Job was active longer than specified deadline"
    );
    assert!(pods(&c, "j").is_empty());
    assert_eq!(counts(&c, "j"), [0, 0, 2, 0]);
}

#[test]
fn a_suspended_job_has_no_pods_and_begins_anew_when_it_is_resumed() {
    let mut c = Cluster::new();
    job(&c, "j", json!({"suspend": true}), "stay");
    c.until(3.0);
    assert!(pods(&c, "j").is_empty());
    assert_eq!(conditions(&c, "j"), ["Suspended True JobSuspended: Job suspended"]);
    assert!(status(&c, "j")["startTime"].is_null());
    let suspend = |c: &Cluster, value: bool| {
        let mut job = Value::clone(&c.store.get(JOBS, "default", "j").unwrap());
        job["spec"]["suspend"] = value.into();
        c.store.update(JOBS, job).unwrap();
    };
    suspend(&c, false);
    c.until(5.0);
    assert_eq!(counts(&c, "j"), [1, 0, 0, 0]);
    assert_eq!(conditions(&c, "j"), ["Suspended False JobResumed: Job resumed"]);
    suspend(&c, true);
    c.until(40.0);
    assert_eq!(counts(&c, "j"), [0, 0, 0, 0], "going pods of a suspended job are no failures");
    assert!(pods(&c, "j").is_empty());
    let said: Vec<String> = c
        .events("j")
        .into_iter()
        .filter(|e| e.contains("uspended") || e.contains("esumed"))
        .collect();
    assert_eq!(said, ["Normal Resumed: Job resumed", "Normal Suspended (x2): Job suspended"]);
}

#[test]
fn a_success_policy_ends_a_job_before_all_have_succeeded() {
    let mut c = Cluster::new();
    let pod = json!({"restartPolicy": "Never", "containers": [with(container("c", "x"), json!({"args": ["sleep", "$(JOB_COMPLETION_INDEX)0", "exit", "0"]}))]});
    job_with(
        &c,
        "s",
        json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed",
        "successPolicy": {"rules": [{"succeededIndexes": "0"}]}}),
        pod,
    );
    c.until(5.0);
    assert_eq!(
        conditions(&c, "s"),
        [
            "SuccessCriteriaMet True SuccessPolicy: Matched rules at index 0",
            "Complete True SuccessPolicy: Matched rules at index 0",
        ]
    );
    assert_eq!(counts(&c, "s"), [0, 1, 0, 0]);
    assert_eq!(pods(&c, "s").len(), 1);
}

#[test]
fn a_replacement_waits_for_the_end_of_the_old_pod_if_the_policy_says_so() {
    for (policy, early) in [("Failed", 1), ("TerminatingOrFailed", 2)] {
        let mut c = Cluster::new();
        job(&c, "j", json!({"podReplacementPolicy": policy}), "trap stay");
        c.until(3.0);
        let name = pods(&c, "j")[0]["metadata"]["name"].as_str().unwrap().to_owned();
        c.delete(&name, Some(20));
        c.until(20.0);
        assert_eq!(pods(&c, "j").len(), early, "{policy}");
        if early == 1 {
            assert_eq!(counts(&c, "j"), [0, 0, 0, 1]);
        }
        c.until(60.0);
        assert_eq!(counts(&c, "j"), [1, 0, 1, 0], "{policy}");
    }
}

#[test]
fn what_is_over_for_long_enough_is_deleted_with_its_pods() {
    let mut c = Cluster::new();
    job(&c, "j", json!({"ttlSecondsAfterFinished": 10}), "exit 0");
    c.until(8.0);
    assert_eq!(conditions(&c, "j").len(), 2);
    c.until(20.0);
    assert!(c.store.get(JOBS, "default", "j").is_none());
    assert!(pods(&c, "j").is_empty());
}

#[test]
fn deleting_a_job_takes_its_pods_along() {
    let mut c = Cluster::new();
    job(&c, "j", json!({}), "stay");
    c.until(2.0);
    assert_eq!(pods(&c, "j").len(), 1);
    c.store.delete(JOBS, "default", "j", &Default::default()).unwrap();
    c.until(10.0);
    assert!(pods(&c, "j").is_empty());
}

#[test]
fn a_job_that_cannot_be_is_refused() {
    let c = Cluster::new();
    let refuse = |spec: Value, want: &str| {
        let job = json!({"metadata": {"name": "j", "namespace": "default"}, "spec": spec});
        let error = c.store.create(JOBS, job).unwrap_err();
        assert_eq!(error.code, 422);
        assert!(error.message.contains(want), "{}", error.message);
    };
    let pod = |policy: &str| json!({"spec": {"restartPolicy": policy, "containers": [container("c", "stay")]}});
    refuse(
        json!({"template": {"spec": {"containers": [container("c", "stay")]}}}),
        "Job.batch \"j\" is invalid: spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
    );
    refuse(
        json!({"completions": -1, "template": pod("Never")}),
        "spec.completions: Invalid value: -1: must be greater than or equal to 0",
    );
    refuse(
        json!({"completionMode": "Indexed", "parallelism": 1, "template": pod("Never")}),
        "spec.completions: Required value: when completion mode is Indexed",
    );
    refuse(
        json!({"backoffLimitPerIndex": 1, "template": pod("Never")}),
        "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
    );
    job(&c, "ok", json!({}), "stay");
    let mut changed = Value::clone(&c.store.get(JOBS, "default", "ok").unwrap());
    changed["spec"]["completions"] = 5.into();
    let error = c.store.update(JOBS, changed).unwrap_err();
    assert_eq!(
        error.message,
        "Job.batch \"ok\" is invalid: spec.completions: Invalid value: 5: field is immutable"
    );
}
