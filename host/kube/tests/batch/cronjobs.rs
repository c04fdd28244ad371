//! CronJobs. The world begins at 04:59:38.

use serde_json::{Value, json};

use crate::cluster::{Cluster, container, with};

const CRON: &str = "cronjobs.batch";
const JOBS: &str = "jobs.batch";

fn cron(c: &Cluster, name: &str, spec: Value, script: &str) {
    let pod = json!({"spec": {"restartPolicy": "Never", "containers": [container("c", script)]}});
    let spec = with(spec, json!({"jobTemplate": {"spec": {"template": pod}}}));
    c.create(CRON, json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec}));
}

fn status(c: &Cluster, name: &str) -> Value {
    c.store.get(CRON, "default", name).unwrap()["status"].clone()
}

fn jobs(c: &Cluster) -> Vec<String> {
    let all = c.store.list(JOBS, Some("default"));
    all.iter().map(|j| j["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn jobs_come_on_time_and_the_oldest_go() {
    let mut c = Cluster::new();
    cron(&c, "cj", json!({"schedule": "*/1 * * * *"}), "sleep 2 exit 0");
    c.until(21.0);
    assert!(jobs(&c).is_empty());
    c.until(23.0);
    // 05:00 is minute 29920620 since 1970.
    assert_eq!(jobs(&c), ["cj-29920620"]);
    let job = c.store.get(JOBS, "default", "cj-29920620").unwrap();
    assert_eq!(
        job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"],
        "2026-11-21T05:00:00Z"
    );
    assert_eq!(status(&c, "cj")["active"][0]["name"], "cj-29920620");
    assert_eq!(status(&c, "cj")["lastScheduleTime"], "2026-11-21T05:00:00Z");
    c.until(40.0);
    assert_eq!(status(&c, "cj")["active"], Value::Null);
    assert_eq!(status(&c, "cj")["lastSuccessfulTime"], "2026-11-21T05:00:03Z");
    c.until(22.0 + 300.0);
    assert_eq!(jobs(&c), ["cj-29920622", "cj-29920623", "cj-29920624"]);
    let events = c.events("cj");
    assert_eq!(events[0], "Normal SuccessfulCreate: Created job cj-29920620");
    assert_eq!(
        events[1],
        "Normal SawCompletedJob: Saw completed job: cj-29920620, condition: Complete"
    );
    assert!(
        events.contains(&"Normal SuccessfulDelete: Deleted job cj-29920620".into()),
        "{events:?}"
    );
}

#[test]
fn concurrency_is_allowed_forbidden_or_ends_the_old() {
    for (policy, want) in [
        ("Allow", &["cj-29920620", "cj-29920621", "cj-29920622"][..]),
        ("Forbid", &["cj-29920620"]),
        ("Replace", &["cj-29920622"]),
    ] {
        let mut c = Cluster::new();
        cron(&c, "cj", json!({"schedule": "* * * * *", "concurrencyPolicy": policy}), "stay");
        c.until(22.0 + 150.0);
        assert_eq!(jobs(&c), want, "{policy}");
        assert_eq!(status(&c, "cj")["active"].as_array().unwrap().len(), want.len(), "{policy}");
        let skipped = "Normal JobAlreadyActive (x2): Not starting job because prior execution is running and concurrency policy is Forbid";
        assert_eq!(
            c.events("cj").iter().any(|e| e == skipped),
            policy == "Forbid",
            "{:?}",
            c.events("cj")
        );
    }
}

#[test]
fn what_forbid_kept_back_starts_late_when_the_old_one_ends() {
    let mut c = Cluster::new();
    cron(
        &c,
        "cj",
        json!({"schedule": "* * * * *", "concurrencyPolicy": "Forbid"}),
        "sleep 80 exit 0",
    );
    c.until(22.0 + 100.0);
    assert_eq!(jobs(&c), ["cj-29920620", "cj-29920621"]);
    assert_eq!(status(&c, "cj")["lastScheduleTime"], "2026-11-21T05:01:00Z");
}

#[test]
fn while_suspended_nothing_starts_and_a_deadline_forgets_it() {
    for (deadline, late) in [(Value::Null, 1), (json!(20), 0)] {
        let mut c = Cluster::new();
        cron(
            &c,
            "cj",
            json!({"schedule": "* * * * *", "suspend": true, "startingDeadlineSeconds": deadline}),
            "exit 0",
        );
        c.until(200.0);
        assert!(jobs(&c).is_empty());
        let mut object = Value::clone(&c.store.get(CRON, "default", "cj").unwrap());
        object["spec"]["suspend"] = false.into();
        // 05:03 is at 202 s; this is 30 s before it.
        c.until(172.0 + 60.0);
        c.store.update(CRON, object).unwrap();
        c.until(172.0 + 70.0);
        assert_eq!(jobs(&c).len(), late, "deadline {deadline}");
    }
}

#[test]
fn too_many_missed_times_are_complained_about_and_one_is_started() {
    let mut c = Cluster::new();
    cron(&c, "cj", json!({"schedule": "* * * * *", "suspend": true}), "exit 0");
    c.until(22.0 + 120.0 * 60.0 + 5.0);
    let mut object = Value::clone(&c.store.get(CRON, "default", "cj").unwrap());
    object["spec"]["suspend"] = false.into();
    c.store.update(CRON, object).unwrap();
    c.until(22.0 + 120.0 * 60.0 + 10.0);
    assert_eq!(jobs(&c), ["cj-29920740"]);
    let text = "Warning TooManyMissedTimes: too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
    assert_eq!(c.events("cj")[0], text);
}

#[test]
fn a_time_zone_is_kept_and_a_wrong_one_refused() {
    let mut c = Cluster::new();
    cron(&c, "tokyo", json!({"schedule": "5 14 * * *", "timeZone": "Asia/Tokyo"}), "exit 0");
    c.until(22.0 + 301.0);
    assert_eq!(jobs(&c), ["tokyo-29920625"]);
    let job = c.store.get(JOBS, "default", "tokyo-29920625").unwrap();
    assert_eq!(
        job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"],
        "2026-11-21T14:05:00+09:00"
    );
    let refuse = |spec: Value, want: &str| {
        let pod =
            json!({"spec": {"restartPolicy": "Never", "containers": [container("c", "stay")]}});
        let spec = with(spec, json!({"jobTemplate": {"spec": {"template": pod}}}));
        let object = json!({"metadata": {"name": "bad", "namespace": "default"}, "spec": spec});
        assert_eq!(
            c.store.create(CRON, object).unwrap_err().message,
            format!("CronJob.batch \"bad\" is invalid: {want}")
        );
    };
    refuse(
        json!({"schedule": "nope"}),
        "spec.schedule: Invalid value: \"nope\": expected exactly 5 fields, found 1: [nope]",
    );
    refuse(
        json!({"schedule": "@daily", "timeZone": "Moon/Base"}),
        "spec.timeZone: Invalid value: \"Moon/Base\": unknown time zone Moon/Base",
    );
    refuse(
        json!({"schedule": "TZ=UTC 0 0 * * *"}),
        "spec.schedule: Invalid value: \"TZ=UTC 0 0 * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
    );
    refuse(
        json!({"schedule": "@daily", "concurrencyPolicy": "No"}),
        "spec.concurrencyPolicy: Unsupported value: \"No\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
    );
}

#[test]
fn a_job_made_by_hand_belongs_to_it_and_counts_as_success() {
    let mut c = Cluster::new();
    cron(&c, "cj", json!({"schedule": "@yearly"}), "sleep 1 exit 0");
    let owner = c.store.get(CRON, "default", "cj").unwrap();
    let template = owner["spec"]["jobTemplate"]["spec"].clone();
    c.create(JOBS, json!({"metadata": {"name": "by-hand", "namespace": "default",
        "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "cj", "controller": true, "uid": owner["metadata"]["uid"]}]},
        "spec": template}));
    c.until(5.0);
    assert!(
        c.events("cj")[0]
            .ends_with("Saw a job that the controller did not create or forgot: by-hand"),
        "{:?}",
        c.events("cj")
    );
    assert_eq!(status(&c, "cj")["lastSuccessfulTime"], "2026-11-21T04:59:40Z");
    c.store.delete(CRON, "default", "cj", &Default::default()).unwrap();
    c.until(10.0);
    assert!(jobs(&c).is_empty());
}
