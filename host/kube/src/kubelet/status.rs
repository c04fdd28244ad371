//! What the kubelet reports about a pod (`kubelet_pods.go` generateAPIPodStatus,
//! `status/generate.go`).

use serde_json::{Map, Value, json};

use super::cell::{ContainerCell, Ctx, Ended, Inner, Role, Sandbox, State, Stop};
use super::container;
use crate::store::{Part, WriteOptions, object};

/// The conditions that the kubelet owns, in the order in which it reports them.
const OWN: [&str; 4] = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"];

/// Whether the pod has run its course, and then whether that was a success. Sidecars do not
/// count; they may still be running.
pub(crate) fn outcome(inner: &Inner) -> Option<bool> {
    if inner.verdict.is_some() {
        return Some(false);
    }
    let policy = policy(inner);
    if inner.stop == Stop::Done {
        let mains = inner.containers.iter().filter(|c| c.role == Role::Main);
        return Some(mains.into_iter().all(|c| c.ended().is_some_and(|e| e.code == 0)));
    }
    let over = |c: &ContainerCell| {
        c.ended()
            .filter(|e| !c.busy && !container::restarts(c.role, policy, e.code))
            .map(|e| e.code)
    };
    let mut success = true;
    let counts = |c: &&ContainerCell| matches!(c.role, Role::Init | Role::Main);
    for c in inner.containers.iter().filter(counts) {
        match (c.role, over(c)) {
            (Role::Init, Some(0)) => {}
            (Role::Init, Some(_)) => return Some(false),
            // Init containers are not looked at any more once a main was started.
            (Role::Init, None) if inner.begun => {}
            (Role::Main, Some(code)) => success &= code == 0,
            _ => return None,
        }
    }
    Some(success)
}

fn policy(inner: &Inner) -> &str {
    inner.pod.spec.as_ref().and_then(|s| s.restart_policy.as_deref()).unwrap_or("Always")
}

/// `status.phase`.
fn phase(inner: &Inner) -> &'static str {
    let running = inner.containers.iter().any(ContainerCell::running);
    if !running && let Some(success) = outcome(inner) {
        return if success { "Succeeded" } else { "Failed" };
    }
    let pending = inner.containers.iter().any(|c| match c.role {
        Role::Init => !inner.begun && c.ended().is_none_or(|e| e.code != 0),
        Role::Sidecar => !inner.begun && (!c.running() || !c.started),
        Role::Ephemeral => false,
        Role::Main => (matches!(c.state, State::Waiting(..)) || c.hooking) && c.last.is_none(),
    });
    if pending { "Pending" } else { "Running" }
}

/// Writes the status, if it changed.
pub(crate) fn report(ctx: &Ctx) {
    let cell = &ctx.cell;
    let (status, gone) = {
        let mut inner = cell.lock();
        let status = render(ctx, &mut inner);
        if inner.gone || inner.reported.as_ref() == Some(&status) {
            return;
        }
        inner.reported = Some(status.clone());
        (status, inner.gone)
    };
    debug_assert!(!gone, "checked above");
    let store = ctx.store();
    let Some(current) = store.get("pods", &cell.namespace, &cell.name) else { return };
    if object::uid(&current) != cell.uid {
        return;
    }
    let mut new = Value::clone(&current);
    let mut status = status;
    // Conditions of others (the scheduler's, readiness gates) stay.
    if let (Some(theirs), Some(ours)) =
        (current["status"]["conditions"].as_array(), status["conditions"].as_array_mut())
    {
        let foreign = |c: &&Value| !OWN.contains(&c["type"].as_str().unwrap_or(""));
        ours.extend(theirs.iter().filter(foreign).cloned());
    }
    for field in ["resourceClaimStatuses", "nominatedNodeName"] {
        if let Some(value) = current["status"].get(field) {
            status[field] = value.clone();
        }
    }
    new["status"] = status;
    // Nothing runs between reading and writing, so the version is the current one.
    let _ = store.update_with("pods", new, Part::Status, &WriteOptions::default());
}

fn render(ctx: &Ctx, inner: &mut Inner) -> Value {
    let epoch = ctx.shared.sim.unix_nanos() - ctx.now().as_nanos();
    let at = |t: podlab_sim::Time| object::time(epoch + t.as_nanos());
    let phase = phase(inner);
    let over = matches!(phase, "Succeeded" | "Failed");
    let mut status = Map::new();
    status.insert("phase".into(), phase.into());
    if let Some((reason, message)) = &inner.verdict {
        status.insert("reason".into(), reason.as_str().into());
        status.insert("message".into(), message.as_str().into());
    }
    let conditions = conditions(ctx, inner, phase);
    status.insert("conditions".into(), conditions);
    status.insert("hostIP".into(), ctx.node.ip.to_string().into());
    status.insert("hostIPs".into(), json!([{"ip": ctx.node.ip.to_string()}]));
    if let Some(ip) = inner.ip {
        status.insert("podIP".into(), ip.to_string().into());
        status.insert("podIPs".into(), json!([{"ip": ip.to_string()}]));
    }
    status.insert("startTime".into(), at(inner.started).into());
    let waiting_for_init =
        inner.containers.iter().any(|c| matches!(c.role, Role::Init | Role::Sidecar));
    let list = |roles: &[Role]| -> Vec<Value> {
        let all = inner.containers.iter().filter(|c| roles.contains(&c.role));
        all.map(|c| container_status(c, waiting_for_init, over, &at)).collect()
    };
    let (init, main) = (list(&[Role::Init, Role::Sidecar]), list(&[Role::Main]));
    let ephemeral = list(&[Role::Ephemeral]);
    if !ephemeral.is_empty() {
        status.insert("ephemeralContainerStatuses".into(), ephemeral.into());
    }
    if !init.is_empty() {
        status.insert("initContainerStatuses".into(), init.into());
    }
    status.insert("containerStatuses".into(), main.into());
    let qos = inner.object["status"]["qosClass"].clone();
    status.insert("qosClass".into(), qos);
    Value::Object(status)
}

fn terminated(ended: &Ended, at: &impl Fn(podlab_sim::Time) -> String) -> Value {
    let mut out = json!({
        "exitCode": ended.code,
        "reason": ended.reason,
        "startedAt": at(ended.began),
        "finishedAt": at(ended.finished),
        "containerID": format!("podlab://{}", ended.container_id),
    });
    if !ended.message.is_empty() {
        out["message"] = ended.message.as_str().into();
    }
    json!({"terminated": out})
}

fn container_status(
    c: &ContainerCell,
    has_init: bool,
    over: bool,
    at: &impl Fn(podlab_sim::Time) -> String,
) -> Value {
    let creating = || {
        let reason = if has_init { "PodInitializing" } else { "ContainerCreating" };
        json!({"waiting": {"reason": reason}})
    };
    let state = match &c.state {
        // The kubelet does not report a container before its postStart hook is done.
        State::Running(_) if c.hooking => creating(),
        State::Running(since) => json!({"running": {"startedAt": at(*since)}}),
        State::Ended(ended) => terminated(ended, at),
        State::Waiting(reason, _) if reason.is_empty() => creating(),
        State::Waiting(reason, message) => {
            json!({"waiting": {"reason": reason, "message": message}})
        }
    };
    let last = match (&c.last, &c.state) {
        // What is shown as the state is not the last state too.
        (Some(last), State::Running(_) | State::Waiting(..)) => terminated(last, at),
        (Some(last), State::Ended(_)) => terminated(last, at),
        (None, _) => json!({}),
    };
    let ready = match c.role {
        Role::Init => c.ended().is_some_and(|e| e.code == 0),
        Role::Ephemeral => false,
        _ => c.ready && c.running() && !over,
    };
    let mut out = json!({
        "name": c.spec.name,
        "state": state,
        "lastState": last,
        "ready": ready,
        "restartCount": c.runs.saturating_sub(1),
        "image": c.spec.image,
        "imageID": c.image_id,
        "started": c.started && c.running(),
    });
    if !c.container_id.is_empty() {
        out["containerID"] = format!("podlab://{}", c.container_id).into();
    }
    out
}

fn conditions(ctx: &Ctx, inner: &mut Inner, phase: &str) -> Value {
    let over = matches!(phase, "Succeeded" | "Failed");
    let names = |bad: &dyn Fn(&ContainerCell) -> bool| -> Vec<String> {
        inner.containers.iter().filter(|c| bad(c)).map(|c| c.spec.name.clone()).collect()
    };
    let begun = inner.begun;
    let incomplete = names(&|c| match c.role {
        Role::Init => !begun && c.ended().is_none_or(|e| e.code != 0),
        Role::Sidecar => !(begun || c.running() && c.started),
        Role::Main | Role::Ephemeral => false,
    });
    let unready = names(&|c| match c.role {
        Role::Init | Role::Ephemeral => false,
        Role::Sidecar | Role::Main => !(c.running() && c.ready),
    });
    let done = |kind: &str| (kind.to_owned(), false, "PodCompleted".to_owned(), String::new());
    let fine = |kind: &str| (kind.to_owned(), true, String::new(), String::new());
    let bad =
        |kind: &str, reason: &str, text: String| (kind.to_owned(), false, reason.to_owned(), text);
    let sandbox = matches!(inner.sandbox, Sandbox::Ready(..));
    let containers_ready = if phase == "Succeeded" {
        done("ContainersReady")
    } else if phase == "Failed" {
        bad("ContainersReady", "PodFailed", String::new())
    } else if unready.is_empty() {
        fine("ContainersReady")
    } else {
        let text = format!("containers with unready status: [{}]", unready.join(" "));
        bad("ContainersReady", "ContainersNotReady", text)
    };
    let gates: Vec<String> = inner
        .pod
        .spec
        .iter()
        .flat_map(|s| s.readiness_gates.iter().flatten())
        .filter(|gate| {
            let all = inner.object["status"]["conditions"].as_array();
            let holds = |c: &Value| c["type"] == *gate.condition_type && c["status"] == "True";
            !all.into_iter().flatten().any(holds)
        })
        .map(|gate| {
            format!(
                "corresponding condition of pod readiness gate {:?} does not exist.",
                gate.condition_type
            )
        })
        .collect();
    let ready = if !containers_ready.1 {
        let (_, _, reason, text) = containers_ready.clone();
        bad("Ready", &reason, text)
    } else if gates.is_empty() {
        fine("Ready")
    } else {
        bad("Ready", "ReadinessGatesNotReady", gates.join(", "))
    };
    let initialized = if phase == "Succeeded" {
        ("Initialized".to_owned(), true, "PodCompleted".to_owned(), String::new())
    } else if incomplete.is_empty() {
        fine("Initialized")
    } else {
        let text = format!("containers with incomplete status: [{}]", incomplete.join(" "));
        bad("Initialized", "ContainersNotInitialized", text)
    };
    let start = (OWN[0].to_owned(), sandbox && !over, String::new(), String::new());
    let now = object::time(ctx.shared.sim.unix_nanos());
    let list = [start, initialized, ready, containers_ready];
    let known = &mut inner.conditions;
    let out = list.into_iter().map(|(kind, value, reason, message)| {
        let entry = known.entry(kind.clone()).or_insert_with(|| (value, now.clone()));
        if entry.0 != value {
            *entry = (value, now.clone());
        }
        let mut out = json!({
            "type": kind,
            "status": if value { "True" } else { "False" },
            "lastProbeTime": null,
            "lastTransitionTime": entry.1,
        });
        if !reason.is_empty() {
            out["reason"] = reason.into();
        }
        if !message.is_empty() {
            out["message"] = message.into();
        }
        out
    });
    out.collect::<Vec<_>>().into()
}
