//! The line of a pod (`printPod` in printers.go).

use serde_json::Value;

use super::{Column, age, ago};
use crate::store::object;
use crate::store::object::list;

pub(super) const COLUMNS: &[Column] = &[
    ("Name", 0),
    ("Ready", 0),
    ("Status", 0),
    ("Restarts", 0),
    ("Age", 0),
    ("IP", 1),
    ("Node", 1),
    ("Nominated Node", 1),
    ("Readiness Gates", 1),
];

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value[field].as_str().filter(|s| !s.is_empty())
}

fn ended(t: &Value, prefix: &str) -> String {
    match (text(t, "reason"), t["signal"].as_i64()) {
        (Some(reason), _) => format!("{prefix}{reason}"),
        (None, Some(signal)) if signal != 0 => format!("{prefix}Signal:{signal}"),
        _ => format!("{prefix}ExitCode:{}", t["exitCode"]),
    }
}

pub(super) fn cells(pod: &Value, now: u64) -> Vec<Value> {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let mut total = list(spec, "containers").len();
    let mut ready = 0;
    let (mut restarts, mut sidecar_restarts) = (0, 0);
    let (mut last_restart, mut last_sidecar) = (None::<&str>, None::<&str>);
    let mut reason = text(status, "reason").or(text(status, "phase")).unwrap_or("").to_string();
    let condition = |kind: &str| list(status, "conditions").iter().find(|c| c["type"] == kind);
    if condition("PodScheduled").is_some_and(|c| c["reason"] == "SchedulingGated") {
        reason = "SchedulingGated".into();
    }
    let sidecar = |name: &Value| {
        list(spec, "initContainers")
            .iter()
            .any(|c| c["name"] == *name && c["restartPolicy"] == "Always")
    };
    let inits = list(spec, "initContainers").len();
    total += list(spec, "initContainers").iter().filter(|c| c["restartPolicy"] == "Always").count();

    let mut initializing = false;
    for (i, c) in list(status, "initContainerStatuses").iter().enumerate() {
        let count = c["restartCount"].as_i64().unwrap_or(0);
        restarts += count;
        let finished = c["lastState"]["terminated"]["finishedAt"].as_str();
        last_restart = last_restart.max(finished);
        let is_sidecar = sidecar(&c["name"]);
        if is_sidecar {
            sidecar_restarts += count;
            last_sidecar = last_sidecar.max(finished);
        }
        let (terminated, waiting) = (&c["state"]["terminated"], &c["state"]["waiting"]);
        if terminated.is_object() && terminated["exitCode"] == 0 {
            continue;
        }
        if is_sidecar && c["started"] == true {
            ready += usize::from(c["ready"] == true);
            continue;
        }
        reason = if terminated.is_object() {
            ended(terminated, "Init:")
        } else if let Some(w) = text(waiting, "reason").filter(|w| *w != "PodInitializing") {
            format!("Init:{w}")
        } else {
            format!("Init:{i}/{inits}")
        };
        initializing = true;
        break;
    }

    if !initializing || condition("Initialized").is_some_and(|c| c["status"] == "True") {
        restarts = sidecar_restarts;
        last_restart = last_sidecar;
        let mut running = false;
        for c in list(status, "containerStatuses").iter().rev() {
            restarts += c["restartCount"].as_i64().unwrap_or(0);
            last_restart = last_restart.max(c["lastState"]["terminated"]["finishedAt"].as_str());
            let state = &c["state"];
            if let Some(waiting) = text(&state["waiting"], "reason") {
                reason = waiting.into();
            } else if state["terminated"].is_object() {
                reason = ended(&state["terminated"], "");
            } else if c["ready"] == true && state["running"].is_object() {
                running = true;
                ready += 1;
            }
        }
        if reason == "Completed" && running {
            let is_ready = condition("Ready").is_some_and(|c| c["status"] == "True");
            reason = if is_ready { "Running" } else { "NotReady" }.into();
        }
    }
    if object::deleting(pod) {
        if status["reason"] == "NodeLost" {
            reason = "Unknown".into();
        } else if !matches!(status["phase"].as_str(), Some("Failed" | "Succeeded")) {
            reason = "Terminating".into();
        }
    }
    let restarts = match last_restart {
        Some(at) if restarts > 0 => format!("{restarts} ({} ago)", ago(&at.into(), now)),
        _ => restarts.to_string(),
    };
    let or_none = |v: Option<&str>| Value::from(v.unwrap_or("<none>"));
    let gates = list(spec, "readinessGates");
    let met = gates
        .iter()
        .filter(|g| {
            g["conditionType"]
                .as_str()
                .is_some_and(|t| condition(t).is_some_and(|c| c["status"] == "True"))
        })
        .count();
    vec![
        object::name(pod).into(),
        format!("{ready}/{total}").into(),
        reason.into(),
        restarts.into(),
        age(pod, now),
        or_none(text(status, "podIP")),
        or_none(text(spec, "nodeName")),
        or_none(text(status, "nominatedNodeName")),
        if gates.is_empty() { "<none>".into() } else { format!("{met}/{}", gates.len()).into() },
    ]
}
