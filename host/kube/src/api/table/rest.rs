//! The lines of all kinds but pods.

use serde_json::Value;

use super::{Column, age, ago};
use crate::store::object;
use crate::store::object::list;

pub(super) const STATUS: &[Column] = &[("Name", 0), ("Status", 0), ("Age", 0)];
pub(super) const NODE: &[Column] = &[
    ("Name", 0),
    ("Status", 0),
    ("Roles", 0),
    ("Age", 0),
    ("Version", 0),
    ("Internal-IP", 1),
    ("External-IP", 1),
    ("OS-Image", 1),
    ("Kernel-Version", 1),
    ("Container-Runtime", 1),
];
pub(super) const SERVICE: &[Column] = &[
    ("Name", 0),
    ("Type", 0),
    ("Cluster-IP", 0),
    ("External-IP", 0),
    ("Port(s)", 0),
    ("Age", 0),
    ("Selector", 1),
];
pub(super) const ENDPOINTS: &[Column] = &[("Name", 0), ("Endpoints", 0), ("Age", 0)];
pub(super) const CONFIG_MAP: &[Column] = &[("Name", 0), ("Data", 0), ("Age", 0)];
pub(super) const SECRET: &[Column] = &[("Name", 0), ("Type", 0), ("Data", 0), ("Age", 0)];
pub(super) const EVENT: &[Column] = &[
    ("Last Seen", 0),
    ("Type", 0),
    ("Reason", 0),
    ("Object", 0),
    ("Subobject", 1),
    ("Source", 1),
    ("Message", 0),
    ("First Seen", 1),
    ("Count", 1),
    ("Name", 1),
];
pub(super) const ACCOUNT: &[Column] = &[("Name", 0), ("Secrets", 0), ("Age", 0)];
pub(super) const CLAIM: &[Column] = &[
    ("Name", 0),
    ("Status", 0),
    ("Volume", 0),
    ("Capacity", 0),
    ("Access Modes", 0),
    ("StorageClass", 0),
    ("VolumeAttributesClass", 0),
    ("Age", 0),
    ("VolumeMode", 1),
];
pub(super) const LEASE: &[Column] = &[("Name", 0), ("Holder", 0), ("Age", 0)];
pub(super) const SLICE: &[Column] =
    &[("Name", 0), ("AddressType", 0), ("Ports", 0), ("Endpoints", 0), ("Age", 0)];

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value[field].as_str().filter(|s| !s.is_empty())
}

fn name(o: &Value) -> Value {
    object::name(o).into()
}

fn size(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len)
}

/// The first `most` words with commas, and how many more there are.
fn some(words: Vec<String>, most: usize) -> Value {
    if words.is_empty() {
        return "<none>".into();
    }
    let more = words.len().saturating_sub(most);
    let mut out = words.into_iter().take(most).collect::<Vec<_>>().join(",");
    if more > 0 {
        out += &format!(" + {more} more...");
    }
    out.into()
}

pub(super) fn namespace(o: &Value, now: u64) -> Vec<Value> {
    vec![name(o), o["status"]["phase"].clone(), age(o, now)]
}

pub(super) fn node(o: &Value, now: u64) -> Vec<Value> {
    let ready = object::condition(o, "Ready");
    let mut status = match ready {
        Some(c) if c["status"] == "True" => "Ready".to_string(),
        Some(_) => "NotReady".into(),
        None => "Unknown".into(),
    };
    if o["spec"]["unschedulable"] == true {
        status += ",SchedulingDisabled";
    }
    let roles: Vec<&str> = o["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(k, _)| k.strip_prefix("node-role.kubernetes.io/"))
        .filter(|r| !r.is_empty())
        .collect();
    let roles = if roles.is_empty() { "<none>".into() } else { roles.join(",") };
    let info = &o["status"]["nodeInfo"];
    let address = |kind: &str| {
        let found = list(&o["status"], "addresses").iter().find(|a| a["type"] == kind);
        Value::from(found.and_then(|a| text(a, "address")).unwrap_or("<none>"))
    };
    let info_or = |field: &str| Value::from(text(info, field).unwrap_or("<unknown>"));
    vec![
        name(o),
        status.into(),
        roles.into(),
        age(o, now),
        text(info, "kubeletVersion").unwrap_or("").into(),
        address("InternalIP"),
        address("ExternalIP"),
        info_or("osImage"),
        info_or("kernelVersion"),
        info_or("containerRuntimeVersion"),
    ]
}

pub(super) fn service(o: &Value, now: u64) -> Vec<Value> {
    let spec = &o["spec"];
    let kind = text(spec, "type").unwrap_or("");
    let cluster = text(spec, "clusterIP").unwrap_or("<none>");
    let mut external: Vec<&str> = list(&o["status"]["loadBalancer"], "ingress")
        .iter()
        .filter_map(|i| text(i, "ip").or(text(i, "hostname")))
        .chain(list(spec, "externalIPs").iter().filter_map(Value::as_str))
        .collect();
    if kind == "ExternalName" {
        external = text(spec, "externalName").into_iter().collect();
    }
    let external = match (external.is_empty(), kind) {
        (true, "LoadBalancer") => "<pending>".into(),
        (true, _) => "<none>".into(),
        _ => external.join(","),
    };
    let ports: Vec<String> = list(spec, "ports")
        .iter()
        .map(|p| {
            let protocol = text(p, "protocol").unwrap_or("TCP");
            match p["nodePort"].as_u64() {
                Some(n) if n > 0 => format!("{}:{n}/{protocol}", p["port"]),
                _ => format!("{}/{protocol}", p["port"]),
            }
        })
        .collect();
    let ports = if ports.is_empty() { "<none>".into() } else { ports.join(",") };
    let selector: Vec<String> = spec["selector"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")))
        .collect();
    let selector = if selector.is_empty() { "<none>".into() } else { selector.join(",") };
    vec![
        name(o),
        kind.into(),
        cluster.into(),
        external.into(),
        ports.into(),
        age(o, now),
        selector.into(),
    ]
}

pub(super) fn endpoints(o: &Value, now: u64) -> Vec<Value> {
    let mut all = Vec::new();
    for subset in list(o, "subsets") {
        let addresses = list(subset, "addresses").iter().filter_map(|a| text(a, "ip"));
        let ports = list(subset, "ports");
        if ports.is_empty() {
            all.extend(addresses.map(str::to_string));
        } else {
            let addresses: Vec<&str> = addresses.collect();
            for port in ports {
                all.extend(addresses.iter().map(|a| format!("{a}:{}", port["port"])));
            }
        }
    }
    vec![name(o), some(all, 3), age(o, now)]
}

pub(super) fn config_map(o: &Value, now: u64) -> Vec<Value> {
    let count = size(&o["data"]) + size(&o["binaryData"]);
    vec![name(o), count.to_string().into(), age(o, now)]
}

pub(super) fn secret(o: &Value, now: u64) -> Vec<Value> {
    vec![name(o), o["type"].clone(), size(&o["data"]).to_string().into(), age(o, now)]
}

pub(super) fn event(o: &Value, now: u64) -> Vec<Value> {
    let involved = &o["involvedObject"];
    let first = match &o["firstTimestamp"] {
        Value::Null => &o["eventTime"],
        at => at,
    };
    let last = [&o["series"]["lastObservedTime"], &o["lastTimestamp"]]
        .into_iter()
        .find(|t| t.is_string())
        .unwrap_or(first);
    let count = o["series"]["count"].as_i64().or(o["count"].as_i64()).unwrap_or(1).max(1);
    let source = text(&o["source"], "component").or(text(o, "reportingComponent")).unwrap_or("");
    let host = text(&o["source"], "host").or(text(o, "reportingInstance"));
    let source = host.map_or_else(|| source.to_string(), |h| format!("{source}, {h}"));
    let kind = text(involved, "kind").unwrap_or("").to_lowercase();
    vec![
        ago(last, now).into(),
        o["type"].clone(),
        o["reason"].clone(),
        format!("{kind}/{}", text(involved, "name").unwrap_or("")).into(),
        text(involved, "fieldPath").unwrap_or("").into(),
        source.into(),
        text(o, "message").unwrap_or("").trim().into(),
        ago(first, now).into(),
        count.to_string().into(),
        name(o),
    ]
}

pub(super) fn account(o: &Value, now: u64) -> Vec<Value> {
    vec![name(o), list(o, "secrets").len().to_string().into(), age(o, now)]
}

pub(super) fn claim(o: &Value, now: u64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let phase =
        if object::deleting(o) { "Terminating" } else { text(status, "phase").unwrap_or("") };
    let bound = text(spec, "volumeName").is_some();
    let modes: Vec<&str> = list(status, "accessModes")
        .iter()
        .filter_map(Value::as_str)
        .map(|m| match m {
            "ReadWriteOnce" => "RWO",
            "ReadOnlyMany" => "ROX",
            "ReadWriteMany" => "RWX",
            "ReadWriteOncePod" => "RWOP",
            other => other,
        })
        .collect();
    let capacity = text(&status["capacity"], "storage").filter(|_| bound).unwrap_or("");
    vec![
        name(o),
        phase.into(),
        text(spec, "volumeName").unwrap_or("").into(),
        capacity.into(),
        if bound { modes.join(",").into() } else { "".into() },
        text(spec, "storageClassName").unwrap_or("").into(),
        text(spec, "volumeAttributesClassName").unwrap_or("<unset>").into(),
        age(o, now),
        text(spec, "volumeMode").unwrap_or("<unset>").into(),
    ]
}

pub(super) fn lease(o: &Value, now: u64) -> Vec<Value> {
    vec![name(o), text(&o["spec"], "holderIdentity").unwrap_or("").into(), age(o, now)]
}

pub(super) fn slice(o: &Value, now: u64) -> Vec<Value> {
    let ports: Vec<String> = list(o, "ports").iter().map(|p| p["port"].to_string()).collect();
    let ports = if ports.is_empty() { "<unset>".into() } else { some(ports, 3) };
    let addresses: Vec<String> = list(o, "endpoints")
        .iter()
        .flat_map(|e| list(e, "addresses"))
        .filter_map(|a| a.as_str().map(str::to_string))
        .collect();
    let addresses = if addresses.is_empty() { "<unset>".into() } else { some(addresses, 3) };
    vec![name(o), o["addressType"].clone(), ports, addresses, age(o, now)]
}
