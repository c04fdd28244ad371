//! The lines of the kinds around the workloads: networking, access, storage, admission, ...
//! (`pkg/printers/internalversion/printers.go`).

use serde_json::{Value, json};

use super::{Column, age, ago};
use crate::store::object;
use crate::store::object::list;

pub(super) const INGRESS: &[Column] =
    &[("Name", 0), ("Class", 0), ("Hosts", 0), ("Address", 0), ("Ports", 0), ("Age", 0)];
pub(super) const INGRESS_CLASS: &[Column] =
    &[("Name", 0), ("Controller", 0), ("Parameters", 0), ("Age", 0)];
pub(super) const NETWORK_POLICY: &[Column] = &[("Name", 0), ("Pod-Selector", 0), ("Age", 0)];
pub(super) const BINDING: &[Column] =
    &[("Name", 0), ("Role", 0), ("Age", 0), ("Users", 1), ("Groups", 1), ("ServiceAccounts", 1)];
pub(super) const CSI_DRIVER: &[Column] = &[
    ("Name", 0),
    ("AttachRequired", 0),
    ("PodInfoOnMount", 0),
    ("StorageCapacity", 0),
    ("TokenRequests", 0),
    ("RequiresRepublish", 0),
    ("Modes", 0),
    ("Age", 0),
];
pub(super) const CSI_NODE: &[Column] = &[("Name", 0), ("Drivers", 0), ("Age", 0)];
pub(super) const ATTACHMENT: &[Column] =
    &[("Name", 0), ("Attacher", 0), ("PV", 0), ("Node", 0), ("Attached", 0), ("Age", 0)];
pub(super) const WEBHOOKS: &[Column] = &[("Name", 0), ("Webhooks", 0), ("Age", 0)];
pub(super) const ADMISSION_POLICY: &[Column] =
    &[("Name", 0), ("Validations", 0), ("ParamKind", 0), ("Age", 0)];
pub(super) const ADMISSION_BINDING: &[Column] =
    &[("Name", 0), ("PolicyName", 0), ("ParamRef", 0), ("Age", 0)];
pub(super) const SIGNING: &[Column] = &[
    ("Name", 0),
    ("Age", 0),
    ("SignerName", 0),
    ("Requestor", 0),
    ("RequestedDuration", 0),
    ("Condition", 0),
];
pub(super) const API_SERVICE: &[Column] =
    &[("Name", 0), ("Service", 0), ("Available", 0), ("Age", 0)];
pub(super) const FLOW_SCHEMA: &[Column] = &[
    ("Name", 0),
    ("PriorityLevel", 0),
    ("MatchingPrecedence", 0),
    ("DistinguisherMethod", 0),
    ("Age", 0),
    ("MissingPL", 0),
];
pub(super) const PRIORITY_LEVEL: &[Column] = &[
    ("Name", 0),
    ("Type", 0),
    ("NominalConcurrencyShares", 0),
    ("Queues", 0),
    ("HandSize", 0),
    ("QueueLengthLimit", 0),
    ("Age", 0),
];
pub(super) const RUNTIME_CLASS: &[Column] = &[("Name", 0), ("Handler", 0), ("Age", 0)];
pub(super) const COMPONENT: &[Column] = &[("Name", 0), ("Status", 0), ("Message", 0), ("Error", 0)];

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or("")
}

fn name(o: &Value) -> Value {
    object::name(o).into()
}

fn or<'a>(text: &'a str, none: &'a str) -> &'a str {
    if text.is_empty() { none } else { text }
}

pub(super) fn ingress(o: &Value, now: u64) -> Vec<Value> {
    let spec = &o["spec"];
    let hosts: Vec<&str> =
        list(spec, "rules").iter().map(|r| text(r, "host")).filter(|h| !h.is_empty()).collect();
    let mut shown = hosts.iter().take(3).copied().collect::<Vec<_>>().join(",");
    if hosts.len() > 3 {
        shown += &format!(" + {} more...", hosts.len() - 3);
    }
    let addresses: Vec<&str> = list(&o["status"]["loadBalancer"], "ingress")
        .iter()
        .map(|i| or(text(i, "ip"), text(i, "hostname")))
        .filter(|a| !a.is_empty())
        .collect();
    let ports = if list(spec, "tls").is_empty() { "80" } else { "80, 443" };
    vec![
        name(o),
        or(text(spec, "ingressClassName"), "<none>").into(),
        or(&shown, "*").into(),
        addresses.join(",").into(),
        ports.into(),
        age(o, now),
    ]
}

pub(super) fn ingress_class(o: &Value, now: u64) -> Vec<Value> {
    let parameters = &o["spec"]["parameters"];
    let shown = if parameters.is_object() {
        let kind = text(parameters, "kind");
        match text(parameters, "apiGroup") {
            "" => format!("{kind}/{}", text(parameters, "name")),
            group => format!("{kind}.{group}/{}", text(parameters, "name")),
        }
    } else {
        "<none>".into()
    };
    vec![name(o), text(&o["spec"], "controller").into(), shown.into(), age(o, now)]
}

pub(super) fn network_policy(o: &Value, now: u64) -> Vec<Value> {
    let selector = crate::api::scale::selector_text(&o["spec"]["podSelector"]);
    vec![name(o), or(&selector, "<none>").into(), age(o, now)]
}

pub(super) fn binding(o: &Value, now: u64) -> Vec<Value> {
    let of = |kind: &str| {
        let names = list(o, "subjects").iter().filter(|s| s["kind"] == kind).map(|s| {
            match text(s, "namespace") {
                "" => text(s, "name").to_string(),
                namespace => format!("{namespace}/{}", text(s, "name")),
            }
        });
        Value::from(names.collect::<Vec<_>>().join(", "))
    };
    let role = &o["roleRef"];
    vec![
        name(o),
        format!("{}/{}", text(role, "kind"), text(role, "name")).into(),
        age(o, now),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
}

pub(super) fn csi_driver(o: &Value, now: u64) -> Vec<Value> {
    let spec = &o["spec"];
    let modes: Vec<&str> =
        list(spec, "volumeLifecycleModes").iter().filter_map(Value::as_str).collect();
    let tokens: Vec<&str> =
        list(spec, "tokenRequests").iter().map(|t| text(t, "audience")).collect();
    let flag = |field: &str, default: bool| Value::from(spec[field].as_bool().unwrap_or(default));
    vec![
        name(o),
        flag("attachRequired", true),
        flag("podInfoOnMount", false),
        flag("storageCapacity", false),
        or(&tokens.join(","), "<unset>").into(),
        flag("requiresRepublish", false),
        or(&modes.join(","), "<none>").into(),
        age(o, now),
    ]
}

pub(super) fn csi_node(o: &Value, now: u64) -> Vec<Value> {
    vec![name(o), list(&o["spec"], "drivers").len().into(), age(o, now)]
}

pub(super) fn attachment(o: &Value, now: u64) -> Vec<Value> {
    let spec = &o["spec"];
    vec![
        name(o),
        text(spec, "attacher").into(),
        text(&spec["source"], "persistentVolumeName").into(),
        text(spec, "nodeName").into(),
        o["status"]["attached"].as_bool().unwrap_or(false).into(),
        age(o, now),
    ]
}

pub(super) fn webhooks(o: &Value, now: u64) -> Vec<Value> {
    vec![name(o), list(o, "webhooks").len().into(), age(o, now)]
}

pub(super) fn admission_policy(o: &Value, now: u64) -> Vec<Value> {
    let kind = &o["spec"]["paramKind"];
    let shown = if kind.is_object() {
        format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind"))
    } else {
        "<unset>".into()
    };
    vec![name(o), list(&o["spec"], "validations").len().into(), shown.into(), age(o, now)]
}

pub(super) fn admission_binding(o: &Value, now: u64) -> Vec<Value> {
    let param = &o["spec"]["paramRef"];
    let shown = match (param.is_object(), text(param, "namespace")) {
        (false, _) => "<unset>".into(),
        (_, "") => or(text(param, "name"), "<unset>").to_string(),
        (_, namespace) => format!("{namespace}/{}", text(param, "name")),
    };
    vec![name(o), text(&o["spec"], "policyName").into(), shown.into(), age(o, now)]
}

pub(super) fn signing(o: &Value, now: u64) -> Vec<Value> {
    let conditions = list(&o["status"], "conditions");
    let has = |kind: &str| conditions.iter().any(|c| c["type"] == kind);
    let mut condition = if has("Denied") {
        "Denied".to_string()
    } else if has("Approved") {
        "Approved".into()
    } else {
        "Pending".into()
    };
    if has("Failed") {
        condition += ",Failed";
    }
    if !text(&o["status"], "certificate").is_empty() {
        condition += ",Issued";
    }
    let duration = o["spec"]["expirationSeconds"].as_u64();
    vec![
        name(o),
        age(o, now),
        or(text(&o["spec"], "signerName"), "<none>").into(),
        text(&o["spec"], "username").into(),
        duration.map_or_else(|| "<none>".into(), super::human).into(),
        condition.into(),
    ]
}

pub(super) fn api_service(o: &Value, now: u64) -> Vec<Value> {
    let service = &o["spec"]["service"];
    let shown = if service.is_object() {
        format!("{}/{}", text(service, "namespace"), text(service, "name"))
    } else {
        "Local".into()
    };
    let available = list(&o["status"], "conditions").iter().find(|c| c["type"] == "Available");
    let available = match available {
        Some(c) if c["status"] == "True" => "True".to_string(),
        Some(c) => format!("{} ({})", text(c, "status"), text(c, "reason")),
        None => "Unknown".into(),
    };
    vec![name(o), shown.into(), available.into(), age(o, now)]
}

pub(super) fn flow_schema(o: &Value, now: u64) -> Vec<Value> {
    let spec = &o["spec"];
    let dangling = list(&o["status"], "conditions").iter().find(|c| c["type"] == "Dangling");
    vec![
        name(o),
        or(text(&spec["priorityLevelConfiguration"], "name"), "<none>").into(),
        spec["matchingPrecedence"].to_string().into(),
        or(text(&spec["distinguisherMethod"], "type"), "<none>").into(),
        age(o, now),
        dangling.map_or("?", |c| text(c, "status")).into(),
    ]
}

pub(super) fn priority_level(o: &Value, now: u64) -> Vec<Value> {
    let spec = &o["spec"];
    let queuing = &spec["limited"]["limitResponse"]["queuing"];
    let number =
        |v: &Value| Value::from(if v.is_number() { v.to_string() } else { "<none>".into() });
    let shares = [&spec["limited"], &spec["exempt"]]
        .into_iter()
        .map(|p| &p["nominalConcurrencyShares"])
        .find(|v| v.is_number())
        .unwrap_or(&Value::Null);
    vec![
        name(o),
        text(spec, "type").into(),
        number(shares),
        number(&queuing["queues"]),
        number(&queuing["handSize"]),
        number(&queuing["queueLengthLimit"]),
        age(o, now),
    ]
}

pub(super) fn runtime_class(o: &Value, now: u64) -> Vec<Value> {
    vec![name(o), text(o, "handler").into(), age(o, now)]
}

pub(super) fn component(o: &Value, _: u64) -> Vec<Value> {
    let healthy = list(o, "conditions").iter().find(|c| c["type"] == "Healthy");
    let (status, message, error) = match healthy {
        Some(c) => (
            if c["status"] == "True" { "Healthy" } else { "Unhealthy" },
            text(c, "message"),
            text(c, "error"),
        ),
        None => ("Unknown", "", ""),
    };
    vec![name(o), status.into(), message.into(), error.into()]
}

/// What of a list of custom columns an object shows.
pub(super) fn custom(o: &Value, columns: &[Value], now: u64) -> Vec<Value> {
    let mut out = vec![name(o)];
    for column in columns {
        let found = crate::api::jsonpath::find(o, text(column, "jsonPath"));
        let cell = match (text(column, "type"), found.as_slice()) {
            (_, []) => Value::Null,
            ("date", [time, ..]) => ago(time, now).into(),
            ("integer" | "number" | "boolean", [one]) if !one.is_string() => (*one).clone(),
            (_, all) => {
                let words = all.iter().map(|v| match v {
                    Value::String(s) => s.clone(),
                    other => other.to_string(),
                });
                json!(words.collect::<Vec<_>>().join(","))
            }
        };
        out.push(cell);
    }
    out
}
