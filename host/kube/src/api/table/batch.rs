//! The lines of what runs to its end, of limits and budgets, and of storage.

use serde_json::Value;

use super::{Column, age, ago, human};
use crate::store::object;
use crate::store::object::list;

pub(super) const JOB: &[Column] = &[
    ("Name", 0),
    ("Status", 0),
    ("Completions", 0),
    ("Duration", 0),
    ("Age", 0),
    ("Containers", 1),
    ("Images", 1),
    ("Selector", 1),
];
pub(super) const CRON_JOB: &[Column] = &[
    ("Name", 0),
    ("Schedule", 0),
    ("Timezone", 0),
    ("Suspend", 0),
    ("Active", 0),
    ("Last Schedule", 0),
    ("Age", 0),
    ("Containers", 1),
    ("Images", 1),
    ("Selector", 1),
];
pub(super) const BUDGET: &[Column] = &[
    ("Name", 0),
    ("Min Available", 0),
    ("Max Unavailable", 0),
    ("Allowed Disruptions", 0),
    ("Age", 0),
];
pub(super) const QUOTA: &[Column] = &[("Name", 0), ("Age", 0), ("Request", 0), ("Limit", 0)];
pub(super) const VOLUME: &[Column] = &[
    ("Name", 0),
    ("Capacity", 0),
    ("Access Modes", 0),
    ("Reclaim Policy", 0),
    ("Status", 0),
    ("Claim", 0),
    ("StorageClass", 0),
    ("VolumeAttributesClass", 0),
    ("Reason", 0),
    ("Age", 0),
    ("VolumeMode", 1),
];
pub(super) const STORAGE_CLASS: &[Column] = &[
    ("Name", 0),
    ("Provisioner", 0),
    ("ReclaimPolicy", 0),
    ("VolumeBindingMode", 0),
    ("AllowVolumeExpansion", 0),
    ("Age", 0),
];
pub(super) const PRIORITY_CLASS: &[Column] =
    &[("Name", 0), ("Value", 0), ("Global-Default", 0), ("Age", 0), ("PreemptionPolicy", 0)];
pub(super) const AUTOSCALER: &[Column] = &[
    ("Name", 0),
    ("Reference", 0),
    ("Targets", 0),
    ("MinPods", 0),
    ("MaxPods", 0),
    ("Replicas", 0),
    ("Age", 0),
];

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value[field].as_str().filter(|s| !s.is_empty())
}

fn name(o: &Value) -> Value {
    object::name(o).into()
}

/// A number or a percentage, or `other`.
fn amount(value: &Value, other: &str) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Number(n) => n.to_string(),
        _ => other.into(),
    }
}

/// Names and images of a pod template's containers.
pub(super) fn containers(template: &Value) -> [Value; 2] {
    let all = list(&template["spec"], "containers");
    ["name", "image"].map(|field| {
        all.iter().map(|c| text(c, field).unwrap_or("")).collect::<Vec<_>>().join(",").into()
    })
}

/// A selector as `metav1.FormatLabelSelector` prints it.
pub(super) fn selector(value: &Value) -> String {
    let mut parts: Vec<String> = value["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")))
        .collect();
    parts.sort();
    for e in list(value, "matchExpressions") {
        let key = text(e, "key").unwrap_or("");
        let values: Vec<&str> = list(e, "values").iter().filter_map(Value::as_str).collect();
        let values = values.join(",");
        parts.push(match e["operator"].as_str().unwrap_or("") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    if parts.is_empty() { "<none>".into() } else { parts.join(",") }
}

pub(super) fn job(o: &Value, now: u64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let holds = |kind: &str| {
        list(status, "conditions").iter().any(|c| c["type"] == kind && c["status"] == "True")
    };
    let word = if holds("Complete") {
        "Complete"
    } else if holds("Failed") {
        "Failed"
    } else if object::deleting(o) {
        "Terminating"
    } else {
        let known = ["Suspended", "FailureTarget", "SuccessCriteriaMet"];
        known.into_iter().find(|k| holds(k)).unwrap_or("Running")
    };
    let done = status["succeeded"].as_i64().unwrap_or(0);
    let completions = match (spec["completions"].as_i64(), spec["parallelism"].as_i64()) {
        (Some(n), _) => format!("{done}/{n}"),
        (None, Some(p)) if p > 1 => format!("{done}/1 of {p}"),
        _ => format!("{done}/1"),
    };
    let time = |field: &str| status[field].as_str().and_then(object::parse_time);
    let duration = time("startTime").map_or(String::new(), |start| {
        human(time("completionTime").unwrap_or(now).saturating_sub(start) / 1_000_000_000)
    });
    let [names, images] = containers(&spec["template"]);
    vec![
        name(o),
        word.into(),
        completions.into(),
        duration.into(),
        age(o, now),
        names,
        images,
        selector(&spec["selector"]).into(),
    ]
}

pub(super) fn cron_job(o: &Value, now: u64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let last = match &status["lastScheduleTime"] {
        Value::Null => "<none>".into(),
        time => ago(time, now),
    };
    let job = &spec["jobTemplate"]["spec"];
    let [names, images] = containers(&job["template"]);
    vec![
        name(o),
        text(spec, "schedule").unwrap_or("").into(),
        text(spec, "timeZone").unwrap_or("<none>").into(),
        if spec["suspend"] == true { "True" } else { "False" }.into(),
        list(status, "active").len().into(),
        last.into(),
        age(o, now),
        names,
        images,
        selector(&job["selector"]).into(),
    ]
}

pub(super) fn budget(o: &Value, now: u64) -> Vec<Value> {
    let spec = &o["spec"];
    vec![
        name(o),
        amount(&spec["minAvailable"], "N/A").into(),
        amount(&spec["maxUnavailable"], "N/A").into(),
        o["status"]["disruptionsAllowed"].as_i64().unwrap_or(0).into(),
        age(o, now),
    ]
}

pub(super) fn quota(o: &Value, now: u64) -> Vec<Value> {
    let status = &o["status"];
    let mut columns = [Vec::new(), Vec::new()];
    let mut hard: Vec<(&String, &Value)> =
        status["hard"].as_object().into_iter().flatten().collect();
    hard.sort_by_key(|(k, _)| *k);
    for (resource, most) in hard {
        let used = amount(&status["used"][resource], "0");
        let line = format!("{resource}: {used}/{}", amount(most, "0"));
        columns[usize::from(resource.starts_with("limits"))].push(line);
    }
    let [requests, limits] = columns.map(|c| Value::from(c.join(", ")));
    vec![name(o), age(o, now), requests, limits]
}

fn modes(list: &[Value]) -> String {
    let short = |m: &Value| match m.as_str().unwrap_or("") {
        "ReadWriteOnce" => "RWO".to_owned(),
        "ReadOnlyMany" => "ROX".into(),
        "ReadWriteMany" => "RWX".into(),
        "ReadWriteOncePod" => "RWOP".into(),
        other => other.into(),
    };
    list.iter().map(short).collect::<Vec<_>>().join(",")
}

pub(super) fn volume(o: &Value, now: u64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let phase =
        if object::deleting(o) { "Terminating" } else { text(status, "phase").unwrap_or("") };
    let claim = &spec["claimRef"];
    let claim = match (text(claim, "namespace"), text(claim, "name")) {
        (Some(ns), Some(name)) => format!("{ns}/{name}"),
        _ => String::new(),
    };
    vec![
        name(o),
        amount(&spec["capacity"]["storage"], "").into(),
        modes(list(spec, "accessModes")).into(),
        text(spec, "persistentVolumeReclaimPolicy").unwrap_or("").into(),
        phase.into(),
        claim.into(),
        text(spec, "storageClassName").unwrap_or("").into(),
        text(spec, "volumeAttributesClassName").unwrap_or("<unset>").into(),
        text(status, "reason").unwrap_or("").into(),
        age(o, now),
        text(spec, "volumeMode").unwrap_or("<unset>").into(),
    ]
}

pub(super) fn storage_class(o: &Value, now: u64) -> Vec<Value> {
    let default =
        o["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true";
    let name = object::name(o);
    vec![
        if default { format!("{name} (default)").into() } else { name.into() },
        text(o, "provisioner").unwrap_or("").into(),
        text(o, "reclaimPolicy").unwrap_or("Delete").into(),
        text(o, "volumeBindingMode").unwrap_or("Immediate").into(),
        (o["allowVolumeExpansion"] == true).into(),
        age(o, now),
    ]
}

pub(super) fn priority_class(o: &Value, now: u64) -> Vec<Value> {
    vec![
        name(o),
        o["value"].as_i64().unwrap_or(0).into(),
        (o["globalDefault"] == true).into(),
        age(o, now),
        text(o, "preemptionPolicy").unwrap_or("PreemptLowerPriority").into(),
    ]
}

pub(super) fn autoscaler(o: &Value, now: u64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let reference = &spec["scaleTargetRef"];
    let reference = format!(
        "{}/{}",
        text(reference, "kind").unwrap_or(""),
        text(reference, "name").unwrap_or("")
    );
    vec![
        name(o),
        reference.into(),
        targets(list(spec, "metrics"), list(status, "currentMetrics")).into(),
        spec["minReplicas"].as_i64().map_or("<unset>".into(), |n| n.to_string()).into(),
        spec["maxReplicas"].as_i64().unwrap_or(0).to_string().into(),
        status["currentReplicas"].as_i64().unwrap_or(0).to_string().into(),
        age(o, now),
    ]
}

/// Metrics as `formatHPAMetrics` prints them: what is, and what is wanted.
fn targets(wanted: &[Value], current: &[Value]) -> String {
    if wanted.is_empty() {
        return "<none>".into();
    }
    let mut out = Vec::new();
    for (i, metric) in wanted.iter().enumerate().take(2) {
        let kind = text(metric, "type").unwrap_or("");
        let field = match kind {
            "ContainerResource" => "containerResource",
            "External" => "external",
            "Object" => "object",
            "Pods" => "pods",
            _ => "resource",
        };
        let (target, now) =
            (&metric[field]["target"], current.get(i).map(|c| &c[field]["current"]));
        let is = |key: &str, unit: &str| {
            let value = now.map(|n| amount(&n[key], "<unknown>"));
            match value {
                Some(v) if v != "<unknown>" => format!("{v}{unit}"),
                _ => "<unknown>".into(),
            }
        };
        let pair = if !target["averageUtilization"].is_null() {
            let want = amount(&target["averageUtilization"], "");
            format!("{}/{want}%", is("averageUtilization", "%"))
        } else if !target["averageValue"].is_null() {
            let average = if matches!(kind, "External" | "Object") { " (avg)" } else { "" };
            let want = amount(&target["averageValue"], "");
            format!("{}/{want}{average}", is("averageValue", ""))
        } else {
            format!("{}/{}", is("value", ""), amount(&target["value"], "<auto>"))
        };
        // Resources are named since 1.30.
        out.push(match text(&metric[field], "name") {
            Some(resource) if matches!(kind, "Resource" | "ContainerResource") => {
                format!("{resource}: {pair}")
            }
            _ => pair,
        });
    }
    let more = wanted.len().saturating_sub(2);
    let all = out.join(", ");
    if more > 0 { format!("{all} + {more} more...") } else { all }
}
