//! `kubectl rollout`.

use serde_json::{Value, json};

use super::change::{MERGE, STRATEGIC, patch};
use crate::client::with_query;
use crate::describe::workload::template;
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::{DryRun, Kubectl};
use crate::print::{age, tabs};
use crate::select::{Found, required};
use crate::verbs::get::Lines;

/// Its flags.
pub const FLAGS: &str = "revision=i to-revision=i watch/w=b timeout=d filename/f= selector/l= \
    output/o= dry-run=?unchanged field-manager= recursive/R";

const REVISION: &str = "deployment.kubernetes.io/revision";
const CAUSE: &str = "kubernetes.io/change-cause";

/// Runs it.
///
/// # Errors
/// As kubectl.
pub async fn run(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let Some((sub, words)) = args.words.split_first() else {
        k.print("Manage the rollout of one or many resources.\n\nAvailable Commands:\n  history       View rollout history\n  pause         Mark the provided resource as paused\n  restart       Restart a resource\n  resume        Resume a paused resource\n  status        Show the status of the rollout\n  undo          Undo a previous rollout\n\nUsage:\n  kubectl rollout SUBCOMMAND [options]\n");
        return Ok(());
    };
    if !matches!(sub.as_str(), "history" | "pause" | "restart" | "resume" | "status" | "undo") {
        return Err(Failure::usage("kubectl rollout", format!("unknown command \"{sub}\"")));
    }
    if words.is_empty() && !args.has("filename") {
        return Err(Failure::new("required resource not specified"));
    }
    let (found, mut failures) = required(k, &format!("kubectl rollout {sub}"), args, words).await?;
    for one in found {
        let result = match sub.as_str() {
            "status" => status(k, args, &one).await,
            "history" => history(k, args, &one).await,
            "undo" => undo(k, args, &one).await,
            "restart" => restart(k, args, &one).await,
            "pause" => pause(k, args, &one, true).await,
            _ => pause(k, args, &one, false).await,
        };
        if let Err(failure) = result {
            failures.push(failure);
        }
    }
    Failure::all(failures).map_or(Ok(()), Err)
}

fn done(k: &mut Kubectl<'_>, args: &Args, one: &Found, what: &str) -> Result<()> {
    super::change::said(k, args, one, what, DryRun::of(args)?)
}

async fn pause(k: &mut Kubectl<'_>, args: &Args, one: &Found, paused: bool) -> Result<()> {
    let shown = format!("{} {:?}", one.resource.qualified(), one.name());
    if one.resource.kind != "Deployment" {
        let verb = if paused { "pausing" } else { "resuming" };
        return Err(Failure::new(format!("{shown} {verb} is not supported")));
    }
    let now = one.object["spec"]["paused"].as_bool().unwrap_or(false);
    if now == paused {
        let state = if paused { "already paused" } else { "not paused" };
        return Err(Failure::new(format!("{shown} is {state}")));
    }
    let value = if paused { json!(true) } else { Value::Null };
    patch(k, one, &json!({"spec": {"paused": value}}), MERGE, DryRun::of(args)?).await?;
    done(k, args, one, if paused { "paused" } else { "resumed" })
}

async fn restart(k: &mut Kubectl<'_>, args: &Args, one: &Found) -> Result<()> {
    let shown = format!("{} {:?}", one.resource.qualified(), one.name());
    if !matches!(one.resource.kind.as_str(), "Deployment" | "DaemonSet" | "StatefulSet") {
        return Err(Failure::new(format!("{shown} restarting is not supported")));
    }
    if one.object["spec"]["paused"] == true {
        return Err(Failure::new(
            format!("{shown} can't restart paused deployment (run rollout resume first)")
                .replace(&format!("{shown} "), ""),
        ));
    }
    let at = age::rfc3339(k.now());
    let body = json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": at}}}}});
    patch(k, one, &body, STRATEGIC, DryRun::of(args)?).await?;
    done(k, args, one, "restarted")
}

/// What `status` says of an object, and whether it is done.
fn state(one: &Found) -> Result<(String, bool)> {
    let (spec, status) = (&one.object["spec"], &one.object["status"]);
    let number = |v: &Value| v.as_i64().unwrap_or(0);
    let name = one.name();
    let seen =
        number(&one.object["metadata"]["generation"]) <= number(&status["observedGeneration"]);
    match one.resource.kind.as_str() {
        "Deployment" => {
            if !seen {
                return Ok(("Waiting for deployment spec update to be observed...".into(), false));
            }
            let conditions = status["conditions"].as_array().into_iter().flatten();
            if conditions.into_iter().any(|c| c["reason"] == "ProgressDeadlineExceeded") {
                return Err(Failure::new(format!(
                    "deployment {name:?} exceeded its progress deadline"
                )));
            }
            let wanted = spec["replicas"].as_i64().unwrap_or(1);
            let (updated, all) = (number(&status["updatedReplicas"]), number(&status["replicas"]));
            let available = number(&status["availableReplicas"]);
            let waiting = format!("Waiting for deployment {name:?} rollout to finish: ");
            if updated < wanted {
                return Ok((
                    format!("{waiting}{updated} out of {wanted} new replicas have been updated..."),
                    false,
                ));
            }
            if all > updated {
                return Ok((
                    format!("{waiting}{} old replicas are pending termination...", all - updated),
                    false,
                ));
            }
            if available < updated {
                return Ok((
                    format!("{waiting}{available} of {updated} updated replicas are available..."),
                    false,
                ));
            }
            Ok((format!("deployment {name:?} successfully rolled out"), true))
        }
        "DaemonSet" => {
            if spec["updateStrategy"]["type"] != "RollingUpdate" {
                return Err(Failure::new(
                    "rollout status is only available for RollingUpdate strategy type",
                ));
            }
            if !seen {
                return Ok(("Waiting for daemon set spec update to be observed...".into(), false));
            }
            let wanted = number(&status["desiredNumberScheduled"]);
            let (updated, available) =
                (number(&status["updatedNumberScheduled"]), number(&status["numberAvailable"]));
            let waiting = format!("Waiting for daemon set {name:?} rollout to finish: ");
            if updated < wanted {
                return Ok((
                    format!("{waiting}{updated} out of {wanted} new pods have been updated..."),
                    false,
                ));
            }
            if available < wanted {
                return Ok((
                    format!("{waiting}{available} of {wanted} updated pods are available..."),
                    false,
                ));
            }
            Ok((format!("daemon set {name:?} successfully rolled out"), true))
        }
        "StatefulSet" => {
            if spec["updateStrategy"]["type"] != "RollingUpdate" {
                return Err(Failure::new(
                    "rollout status is only available for RollingUpdate strategy type",
                ));
            }
            if !seen {
                return Ok(("Waiting for statefulset spec update to be observed...".into(), false));
            }
            let wanted = spec["replicas"].as_i64().unwrap_or(1);
            let (ready, updated) =
                (number(&status["readyReplicas"]), number(&status["updatedReplicas"]));
            if ready < wanted {
                return Ok((format!("Waiting for {} pods to be ready...", wanted - ready), false));
            }
            let partition = number(&spec["updateStrategy"]["rollingUpdate"]["partition"]);
            if partition > 0 {
                let due = wanted - partition;
                if updated < due {
                    return Ok((
                        format!(
                            "Waiting for partitioned roll out to finish: {updated} out of {due} new pods have been updated..."
                        ),
                        false,
                    ));
                }
                return Ok((
                    format!(
                        "partitioned roll out complete: {updated} new pods have been updated..."
                    ),
                    true,
                ));
            }
            if status["updateRevision"] != status["currentRevision"] {
                return Ok((
                    format!(
                        "waiting for statefulset rolling update to complete {updated} pods at revision {}...",
                        status["updateRevision"].as_str().unwrap_or("")
                    ),
                    false,
                ));
            }
            Ok((
                format!(
                    "statefulset rolling update complete {} pods at revision {}...",
                    number(&status["currentReplicas"]),
                    status["currentRevision"].as_str().unwrap_or("")
                ),
                true,
            ))
        }
        _ => Err(Failure::new(format!(
            "no status viewer has been implemented for {}",
            one.resource.kind
        ))),
    }
}

async fn status(k: &mut Kubectl<'_>, args: &Args, one: &Found) -> Result<()> {
    let (text, finished) = state(one)?;
    k.line(text);
    if finished || args.get("watch") == Some("false") {
        return Ok(());
    }
    let base = one.resource.path(one.namespace(), "");
    let version = one.object["metadata"]["resourceVersion"].as_str().unwrap_or("").to_owned();
    let only = format!("metadata.name={}", one.name());
    let seconds = args.millis("timeout").filter(|t| *t > 0).map(|t| (t / 1000).max(1).to_string());
    let path = with_query(
        &base,
        &[
            ("watch", "true"),
            ("fieldSelector", &only),
            ("resourceVersion", &version),
            ("timeoutSeconds", seconds.as_deref().unwrap_or("")),
        ],
    );
    let mut events = Lines::new(k.client.stream(path, "application/json").await?);
    let mut last = String::new();
    while let Some(event) = events.next().await {
        if event["type"] == "DELETED" {
            return Err(Failure::new("object has been deleted"));
        }
        let now = Found { resource: one.resource.clone(), object: event["object"].clone() };
        let (text, finished) = state(&now)?;
        if finished || text != last {
            k.line(&text);
            last = text;
        }
        if finished || k.is_closed() {
            return Ok(());
        }
    }
    Err(Failure::new("timed out waiting for the condition"))
}

/// The revisions of an object: number, what changed it, the pod template.
async fn revisions(k: &mut Kubectl<'_>, one: &Found) -> Result<Vec<(i64, String, Value, Value)>> {
    let owned = |o: &Value| {
        let owners = o["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        owners.into_iter().any(|r| r["uid"] == one.object["metadata"]["uid"])
    };
    let cause = |o: &Value| {
        o["metadata"]["annotations"][CAUSE]
            .as_str()
            .filter(|c| !c.is_empty())
            .unwrap_or("<none>")
            .to_owned()
    };
    let kind = match one.resource.kind.as_str() {
        "Deployment" => "replicasets",
        "DaemonSet" | "StatefulSet" => "controllerrevisions",
        other => {
            return Err(Failure::new(format!(
                "no history viewer has been implemented for {other:?}"
            )));
        }
    };
    let resource = k.client.kind(kind).await?;
    let list = k.client.get(&resource.path(one.namespace(), "")).await?;
    let mut all: Vec<(i64, String, Value, Value)> = list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|o| owned(o))
        .map(|o| {
            if kind == "replicasets" {
                let number =
                    o["metadata"]["annotations"][REVISION].as_str().and_then(|n| n.parse().ok());
                (number.unwrap_or(0), cause(o), o["spec"]["template"].clone(), o.clone())
            } else {
                (
                    o["revision"].as_i64().unwrap_or(0),
                    cause(o),
                    o["data"]["spec"]["template"].clone(),
                    o.clone(),
                )
            }
        })
        .collect();
    all.sort_by_key(|r| r.0);
    Ok(all)
}

async fn history(k: &mut Kubectl<'_>, args: &Args, one: &Found) -> Result<()> {
    let all = revisions(k, one).await?;
    let wanted = args.number("revision").unwrap_or(0);
    if wanted > 0 {
        let (_, _, pod, _) = all
            .iter()
            .find(|r| r.0 == wanted)
            .ok_or_else(|| Failure::new("unable to find the specified revision"))?;
        let mut pod = pod.clone();
        let cause = all.iter().find(|r| r.0 == wanted).map_or("", |r| r.1.as_str());
        if cause != "<none>" {
            pod["metadata"]["annotations"][CAUSE] = cause.into();
        }
        let text = tabs::align(&template(&pod), 0, 2);
        k.print(format!("{} with revision #{wanted}\n{text}", one.shown()));
        return Ok(());
    }
    k.print(format!("{} \n", one.shown()));
    if all.is_empty() {
        k.line("No rollout history found.");
        return Ok(());
    }
    let mut text = "REVISION\tCHANGE-CAUSE\n".to_owned();
    for (number, cause, ..) in &all {
        text += &format!("{number}\t{cause}\n");
    }
    k.print(tabs::align(&text, 0, 2));
    k.print("\n");
    Ok(())
}

async fn undo(k: &mut Kubectl<'_>, args: &Args, one: &Found) -> Result<()> {
    let all = revisions(k, one).await?;
    let to = args.number("to-revision").unwrap_or(0);
    let shown = format!("{} {:?}", one.resource.qualified(), one.name());
    if one.object["spec"]["paused"] == true {
        return Err(Failure::new(format!(
            "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume deployment/{}' and try again",
            one.name()
        )));
    }
    let chosen = if to > 0 {
        all.iter().find(|r| r.0 == to).ok_or_else(|| {
            Failure::new(format!("unable to find specified revision {to} in history"))
        })?
    } else {
        all.len().checked_sub(2).and_then(|i| all.get(i)).ok_or_else(|| {
            Failure::new(
                format!("no rollout history found for {shown}")
                    .replace(&shown, &format!("{} {:?}", one.resource.singular, one.name())),
            )
        })?
    };
    let without_hash = |mut t: Value| {
        if let Some(labels) = t["metadata"]["labels"].as_object_mut() {
            labels.remove("pod-template-hash");
        }
        t
    };
    let pod = without_hash(chosen.2.clone());
    if pod == without_hash(one.object["spec"]["template"].clone()) {
        return done(
            k,
            args,
            one,
            &format!("skipped rollback (current template already matches revision {})", chosen.0),
        );
    }
    let dry = DryRun::of(args)?;
    if dry != DryRun::Client {
        if one.resource.kind == "Deployment" {
            let body = json!([{"op": "replace", "path": "/spec/template", "value": pod}]);
            patch(k, one, &body, "application/json-patch+json", dry).await?;
        } else {
            patch(k, one, &chosen.3["data"], STRATEGIC, dry).await?;
        }
    }
    done(k, args, one, "rolled back")
}
