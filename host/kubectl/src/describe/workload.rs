//! Deployments and their kin, Jobs and CronJobs.

use serde_json::Value;

use super::labels::{
    annotations, annotations_at, joined, labels, multiline, selector, selector_or,
};
use super::values::text;
use super::writer::Writer;
use super::{container, pod, time, volume};
use crate::client::with_query;
use crate::failure::Result;
use crate::kubectl::Kubectl;
use crate::print::age;

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// A pod template with tabs, as `rollout history --revision` prints it.
pub fn template(pod: &Value) -> String {
    let mut w = Writer::default();
    template_at(&mut w, pod);
    w.text()
}

fn template_at(w: &mut Writer, pod: &Value) {
    w.write(0, "Pod Template:");
    multiline(w, 1, "Labels", "\t", &pod["metadata"]["labels"]);
    if pod["metadata"]["annotations"].as_object().is_some_and(|a| !a.is_empty()) {
        annotations_at(w, 1, "Annotations", &pod["metadata"]["annotations"]);
    }
    let spec = &pod["spec"];
    if let Some(account) = spec["serviceAccountName"].as_str().filter(|n| !n.is_empty()) {
        w.write(1, format!("Service Account:\t{account}"));
    }
    if spec["initContainers"].as_array().is_some_and(|l| !l.is_empty()) {
        container::describe(w, "Init Containers", &spec["initContainers"], &Value::Null, 1, pod);
    }
    container::describe(w, "Containers", &spec["containers"], &Value::Null, 1, pod);
    volume::describe(w, &spec["volumes"], 1);
    if let Some(class) = spec["priorityClassName"].as_str().filter(|n| !n.is_empty()) {
        w.write(1, format!("Priority Class Name:\t{class}"));
    }
    w.deeper(1, |w| {
        labels(w, "Node-Selectors", &spec["nodeSelector"]);
        pod::tolerations(w, &spec["tolerations"]);
    });
}

async fn pods(k: &mut Kubectl<'_>, o: &Value) -> Result<Vec<Value>> {
    let resource = k.client.kind("pods").await?;
    let path = with_query(
        &resource.path(text(&o["metadata"]["namespace"]), ""),
        &[("labelSelector", &selector(&o["spec"]["selector"]))],
    );
    let list = k.client.get(&path).await?["items"].as_array().cloned().unwrap_or_default();
    let mine = |p: &Value| {
        let owners = p["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        owners.into_iter().any(|r| r["controller"] == true && r["uid"] == o["metadata"]["uid"])
    };
    Ok(list.into_iter().filter(mine).collect())
}

fn phases(pods: &[Value]) -> String {
    let count = |phase: &str| pods.iter().filter(|p| p["status"]["phase"] == phase).count();
    format!(
        "{} Running / {} Waiting / {} Succeeded / {} Failed",
        count("Running"),
        count("Pending"),
        count("Succeeded"),
        count("Failed")
    )
}

fn head(w: &mut Writer, o: &Value) {
    w.write(0, format!("Name:\t{}", text(&o["metadata"]["name"])));
    w.write(0, format!("Namespace:\t{}", text(&o["metadata"]["namespace"])));
}

fn conditions(w: &mut Writer, o: &Value) {
    let all = o["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    if !all.is_empty() {
        w.write(0, "Conditions:\n  Type\tStatus\tReason");
        w.write(1, "----\t------\t------");
        for c in all {
            w.write(
                1,
                format!("{} \t{}\t{}", text(&c["type"]), text(&c["status"]), text(&c["reason"])),
            );
        }
    }
}

/// A Deployment.
///
/// # Errors
/// If its ReplicaSets cannot be listed.
pub async fn deployment(k: &mut Kubectl<'_>, w: &mut Writer, o: &Value) -> Result<()> {
    let (meta, spec, status) = (&o["metadata"], &o["spec"], &o["status"]);
    head(w, o);
    w.write(0, format!("CreationTimestamp:\t{}", time(&meta["creationTimestamp"])));
    labels(w, "Labels", &meta["labels"]);
    annotations(w, "Annotations", &meta["annotations"]);
    w.write(0, format!("Selector:\t{}", selector_or(&spec["selector"], "<none>")));
    let n = |f: &str| number(&status[f]);
    w.write(
        0,
        format!(
            "Replicas:\t{} desired | {} updated | {} total | {} available | {} unavailable",
            number(&spec["replicas"]),
            n("updatedReplicas"),
            n("replicas"),
            n("availableReplicas"),
            n("unavailableReplicas")
        ),
    );
    w.write(0, format!("StrategyType:\t{}", text(&spec["strategy"]["type"])));
    w.write(0, format!("MinReadySeconds:\t{}", number(&spec["minReadySeconds"])));
    let rolling = &spec["strategy"]["rollingUpdate"];
    if !rolling.is_null() {
        let amount = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        w.write(
            0,
            format!(
                "RollingUpdateStrategy:\t{} max unavailable, {} max surge",
                amount(&rolling["maxUnavailable"]),
                amount(&rolling["maxSurge"])
            ),
        );
    }
    template_at(w, &spec["template"]);
    conditions(w, o);
    let resource = k.client.kind("replicasets.apps").await?;
    let path = with_query(
        &resource.path(text(&meta["namespace"]), ""),
        &[("labelSelector", &selector(&spec["selector"]))],
    );
    let list = k.client.get(&path).await?["items"].as_array().cloned().unwrap_or_default();
    let mut sets: Vec<Value> = list
        .into_iter()
        .filter(|s| {
            let owners = s["metadata"]["ownerReferences"].as_array().into_iter().flatten();
            owners.into_iter().any(|r| r["uid"] == meta["uid"])
        })
        .collect();
    sets.sort_by_key(|s| text(&s["metadata"]["creationTimestamp"]).to_owned());
    let plain = |t: &Value| {
        let mut t = t.clone();
        if let Some(labels) = t["metadata"]["labels"].as_object_mut() {
            labels.remove("pod-template-hash");
        }
        t
    };
    let wanted = plain(&spec["template"]);
    let new = sets.iter().position(|s| plain(&s["spec"]["template"]) == wanted);
    let shown = |s: &Value| {
        format!(
            "{} ({}/{} replicas created)",
            text(&s["metadata"]["name"]),
            number(&s["status"]["replicas"]),
            number(&s["spec"]["replicas"])
        )
    };
    let old: Vec<String> =
        sets.iter().enumerate().filter(|(i, _)| Some(*i) != new).map(|(_, s)| shown(s)).collect();
    let old = if old.is_empty() { "<none>".into() } else { old.join(", ") };
    w.write(0, format!("OldReplicaSets:\t{old}"));
    w.write(
        0,
        format!("NewReplicaSet:\t{}", new.map_or_else(|| "<none>".into(), |i| shown(&sets[i]))),
    );
    Ok(())
}

fn owner(w: &mut Writer, o: &Value) {
    let owners = o["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    if let Some(owner) = owners.into_iter().find(|r| r["controller"] == true) {
        w.write(0, format!("Controlled By:\t{}/{}", text(&owner["kind"]), text(&owner["name"])));
    }
}

/// A ReplicaSet.
///
/// # Errors
/// If its pods cannot be listed.
pub async fn replica_set(k: &mut Kubectl<'_>, w: &mut Writer, o: &Value) -> Result<()> {
    head(w, o);
    w.write(0, format!("Selector:\t{}", selector_or(&o["spec"]["selector"], "<none>")));
    labels(w, "Labels", &o["metadata"]["labels"]);
    annotations(w, "Annotations", &o["metadata"]["annotations"]);
    owner(w, o);
    w.write(
        0,
        format!(
            "Replicas:\t{} current / {} desired",
            number(&o["status"]["replicas"]),
            number(&o["spec"]["replicas"])
        ),
    );
    w.write(0, format!("Pods Status:\t{}", phases(&pods(k, o).await?)));
    template_at(w, &o["spec"]["template"]);
    conditions(w, o);
    Ok(())
}

/// A StatefulSet.
///
/// # Errors
/// If its pods cannot be listed.
pub async fn stateful_set(k: &mut Kubectl<'_>, w: &mut Writer, o: &Value) -> Result<()> {
    let spec = &o["spec"];
    head(w, o);
    w.write(0, format!("CreationTimestamp:\t{}", time(&o["metadata"]["creationTimestamp"])));
    w.write(0, format!("Selector:\t{}", selector_or(&spec["selector"], "<none>")));
    labels(w, "Labels", &o["metadata"]["labels"]);
    annotations(w, "Annotations", &o["metadata"]["annotations"]);
    w.write(
        0,
        format!(
            "Replicas:\t{} desired | {} total",
            number(&spec["replicas"]),
            number(&o["status"]["replicas"])
        ),
    );
    w.write(0, format!("Update Strategy:\t{}", text(&spec["updateStrategy"]["type"])));
    if let Some(partition) = spec["updateStrategy"]["rollingUpdate"]["partition"].as_i64() {
        w.write(1, format!("Partition:\t{partition}"));
    }
    w.write(0, format!("Pods Status:\t{}", phases(&pods(k, o).await?)));
    template_at(w, &spec["template"]);
    let claims = spec["volumeClaimTemplates"].as_array().map_or(&[][..], Vec::as_slice);
    if claims.is_empty() {
        w.write(0, "Volume Claims:\t<none>");
        return Ok(());
    }
    w.write(0, "Volume Claims:");
    for c in claims {
        w.write(1, format!("Name:\t{}", text(&c["metadata"]["name"])));
        w.write(1, format!("StorageClass:\t{}", text(&c["spec"]["storageClassName"])));
        multiline(w, 1, "Labels", "\t", &c["metadata"]["labels"]);
        annotations_at(w, 1, "Annotations", &c["metadata"]["annotations"]);
        let size = text(&c["spec"]["resources"]["requests"]["storage"]);
        w.write(1, format!("Capacity:\t{}", if size.is_empty() { "<default>" } else { size }));
        let modes: Vec<&str> =
            c["spec"]["accessModes"].as_array().into_iter().flatten().map(text).collect();
        w.write(1, format!("Access Modes:\t[{}]", modes.join(" ")));
    }
    Ok(())
}

/// A DaemonSet.
///
/// # Errors
/// If its pods cannot be listed.
pub async fn daemon_set(k: &mut Kubectl<'_>, w: &mut Writer, o: &Value) -> Result<()> {
    let status = &o["status"];
    head(w, o);
    w.write(0, format!("Selector:\t{}", selector_or(&o["spec"]["selector"], "<none>")));
    w.write(
        0,
        format!("Node-Selector:\t{}", joined(&o["spec"]["template"]["spec"]["nodeSelector"])),
    );
    labels(w, "Labels", &o["metadata"]["labels"]);
    annotations(w, "Annotations", &o["metadata"]["annotations"]);
    for (title, field) in [
        ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
        ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
        ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
        ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ] {
        w.write(0, format!("{title}: {}", number(&status[field])));
    }
    w.write(0, format!("Pods Status:\t{}", phases(&pods(k, o).await?)));
    template_at(w, &o["spec"]["template"]);
    Ok(())
}

/// A Job.
pub fn job(w: &mut Writer, o: &Value) {
    let (spec, status) = (&o["spec"], &o["status"]);
    head(w, o);
    w.write(0, format!("Selector:\t{}", selector_or(&spec["selector"], "<none>")));
    labels(w, "Labels", &o["metadata"]["labels"]);
    annotations(w, "Annotations", &o["metadata"]["annotations"]);
    owner(w, o);
    if let Some(n) = spec["parallelism"].as_i64() {
        w.write(0, format!("Parallelism:\t{n}"));
    }
    w.write(
        0,
        match spec["completions"].as_i64() {
            Some(n) => format!("Completions:\t{n}"),
            None => "Completions:\t<unset>".into(),
        },
    );
    if let Some(mode) = spec["completionMode"].as_str() {
        w.write(0, format!("Completion Mode:\t{mode}"));
    }
    if let Some(suspend) = spec["suspend"].as_bool() {
        w.write(0, format!("Suspend:\t{suspend}"));
    }
    if let Some(n) = spec["backoffLimit"].as_i64() {
        w.write(0, format!("Backoff Limit:\t{n}"));
    }
    if let Some(n) = spec["ttlSecondsAfterFinished"].as_i64() {
        w.write(0, format!("TTL Seconds After Finished:\t{n}"));
    }
    if !status["startTime"].is_null() {
        w.write(0, format!("Start Time:\t{}", time(&status["startTime"])));
    }
    if !status["completionTime"].is_null() {
        w.write(0, format!("Completed At:\t{}", time(&status["completionTime"])));
    }
    if let (Some(start), Some(end)) =
        (age::nanos(text(&status["startTime"])), age::nanos(text(&status["completionTime"])))
    {
        w.write(0, format!("Duration:\t{}", age::human(end - start)));
    }
    if let Some(n) = spec["activeDeadlineSeconds"].as_i64() {
        w.write(0, format!("Active Deadline Seconds:\t{n}s"));
    }
    let n = |f: &str| number(&status[f]);
    w.write(
        0,
        match status["ready"].as_i64() {
            Some(ready) => format!(
                "Pods Statuses:\t{} Active ({ready} Ready) / {} Succeeded / {} Failed",
                n("active"),
                n("succeeded"),
                n("failed")
            ),
            None => format!(
                "Pods Statuses:\t{} Active / {} Succeeded / {} Failed",
                n("active"),
                n("succeeded"),
                n("failed")
            ),
        },
    );
    if spec["completionMode"] == "Indexed" {
        let done = text(&status["completedIndexes"]);
        w.write(
            0,
            format!("Completed Indexes:\t{}", if done.is_empty() { "<none>" } else { done }),
        );
    }
    template_at(w, &spec["template"]);
}

/// A CronJob.
pub fn cron_job(w: &mut Writer, o: &Value) {
    let (spec, status) = (&o["spec"], &o["status"]);
    head(w, o);
    labels(w, "Labels", &o["metadata"]["labels"]);
    annotations(w, "Annotations", &o["metadata"]["annotations"]);
    w.write(0, format!("Schedule:\t{}", text(&spec["schedule"])));
    w.write(0, format!("Concurrency Policy:\t{}", text(&spec["concurrencyPolicy"])));
    let capital = |b: bool| if b { "True" } else { "False" };
    w.write(0, format!("Suspend:\t{}", capital(spec["suspend"] == true)));
    for (title, field) in [
        ("Successful Job History Limit", "successfulJobsHistoryLimit"),
        ("Failed Job History Limit", "failedJobsHistoryLimit"),
    ] {
        w.write(
            0,
            match spec[field].as_i64() {
                Some(n) => format!("{title}:\t{n}"),
                None => format!("{title}:\t<unset>"),
            },
        );
    }
    w.write(
        0,
        match spec["startingDeadlineSeconds"].as_i64() {
            Some(n) => format!("Starting Deadline Seconds:\t{n}s"),
            None => "Starting Deadline Seconds:\t<unset>".into(),
        },
    );
    let job = &spec["jobTemplate"]["spec"];
    w.write(
        0,
        format!(
            "Selector:\t{}",
            if job["selector"].is_null() {
                "<unset>".into()
            } else {
                selector_or(&job["selector"], "<none>")
            }
        ),
    );
    for (title, field) in [("Parallelism", "parallelism"), ("Completions", "completions")] {
        w.write(
            0,
            match job[field].as_i64() {
                Some(n) => format!("{title}:\t{n}"),
                None => format!("{title}:\t<unset>"),
            },
        );
    }
    if let Some(n) = job["activeDeadlineSeconds"].as_i64() {
        w.write(0, format!("Active Deadline Seconds:\t{n}s"));
    }
    template_at(w, &job["template"]);
    w.write(
        0,
        match status["lastScheduleTime"].as_str() {
            Some(at) => format!("Last Schedule Time:\t{}", age::rfc1123(at)),
            None => "Last Schedule Time:\t<unset>".into(),
        },
    );
    let active: Vec<&str> =
        status["active"].as_array().into_iter().flatten().map(|a| text(&a["name"])).collect();
    w.write(
        0,
        format!(
            "Active Jobs:\t{}",
            if active.is_empty() { "<none>".into() } else { active.join(", ") }
        ),
    );
}
