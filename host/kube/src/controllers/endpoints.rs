//! Who answers for a Service: Endpoints and EndpointSlices
//! (`pkg/controller/{endpoint,endpointslice}`).

use std::collections::BTreeMap;

use podlab_trace::Verb;
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next};
use crate::store::object::{holds, key};
use crate::store::watch::Change;
use crate::store::{DeleteOptions, Error, Object, object};

const SERVICES: &str = "services";
const ENDPOINTS: &str = "endpoints";
const SLICES: &str = "endpointslices.discovery.k8s.io";
/// The labels by which a slice says whose it is, and who keeps it.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const HEADLESS: &str = "service.kubernetes.io/headless";
const MANAGER: &str = "endpointslice-controller.k8s.io";
/// How many endpoints one slice holds (`--max-endpoints-per-slice`).
const SLICE: usize = 100;

/// Makes the Endpoints and EndpointSlices of Services with a selector.
pub(crate) struct Endpoints;

/// Whether a selector of a Service picks these labels.
fn picks(service: &Value, labels: &Value) -> bool {
    match service["spec"]["selector"].as_object() {
        Some(selector) if !selector.is_empty() => selector.iter().all(|(k, v)| labels[k] == *v),
        _ => false,
    }
}

/// What endpoints depend on of a pod.
fn facts(pod: &Value) -> (Value, Value, bool, bool, Value) {
    (
        pod["metadata"]["labels"].clone(),
        pod["status"]["podIP"].clone(),
        holds(pod, "Ready"),
        object::deleting(pod),
        pod["status"]["phase"].clone(),
    )
}

impl Controller for Endpoints {
    const NAME: &'static str = "endpoint-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec![ENDPOINTS, SLICES, "pods", SERVICES]
    }

    fn concerns(&mut self, context: &Context, kind: &str, change: &Change) -> Vec<Key> {
        let key = key(&change.object);
        match kind {
            SERVICES => vec![key],
            "pods" => {
                let old = change.previous.as_deref();
                if change.verb == Verb::Modified
                    && old.is_some_and(|o| facts(o) == facts(&change.object))
                {
                    return Vec::new();
                }
                let labels = &change.object["metadata"]["labels"];
                let mut services = context.store.list(SERVICES, Some(&key.0));
                services.retain(|service| {
                    picks(service, labels)
                        || old.is_some_and(|o| picks(service, &o["metadata"]["labels"]))
                });
                services.iter().map(|service| object::key(service)).collect()
            }
            // What somebody deleted by hand is made again.
            ENDPOINTS if change.verb == Verb::Deleted => vec![key],
            SLICES if change.verb == Verb::Deleted => {
                let service = change.object["metadata"]["labels"][SERVICE_NAME].as_str();
                service.map(|s| (key.0, s.to_owned())).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        match context.store.get(SERVICES, &key.0, &key.1) {
            None => {
                let options = DeleteOptions::default();
                gone(context.store.delete(ENDPOINTS, &key.0, &key.1, &options).map(drop))?;
                slices(context, key, Vec::new(), None)?;
            }
            // Whoever made the Service makes its endpoints.
            Some(service) if !selects(&service) || service["spec"]["type"] == "ExternalName" => {}
            // A namespace that is going accepts nothing new; then there is nothing to do.
            Some(service) => match make(context, key, &service) {
                Err(error) if error.is_about("NamespaceTerminating") => {}
                done => done?,
            },
        }
        Ok(Next::Change)
    }
}

/// What is gone already need not be deleted.
fn gone(deleted: Result<(), Error>) -> Result<(), Error> {
    deleted.or_else(|error| if error.reason == "NotFound" { Ok(()) } else { Err(error) })
}

fn selects(service: &Value) -> bool {
    service["spec"]["selector"].as_object().is_some_and(|s| !s.is_empty())
}

/// Makes Endpoints and slices of a Service what they ought to be.
fn make(context: &Context, key: &Key, service: &Value) -> Result<(), Error> {
    let mut pods = context.store.list("pods", Some(&key.0));
    pods.retain(|pod| {
        picks(service, &pod["metadata"]["labels"])
            && pod["status"]["podIP"].is_string()
            && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
    });
    endpoints(context, key, service, &pods)?;
    // Pods that differ in the numbers of named ports go into different slices.
    let mut by_ports: BTreeMap<String, (Value, Vec<Value>)> = BTreeMap::new();
    for pod in &pods {
        let ports = slice_ports(service, pod);
        let entry = by_ports.entry(ports.to_string()).or_insert((ports, Vec::new()));
        entry.1.push(endpoint(service, pod));
    }
    if by_ports.is_empty() {
        by_ports.insert(String::new(), (json!([]), Vec::new()));
    }
    let wanted = by_ports.into_values().flat_map(|(ports, all)| {
        if all.is_empty() {
            return vec![(ports, all)];
        }
        all.chunks(SLICE).map(|c| (ports.clone(), c.to_vec())).collect()
    });
    slices(context, key, wanted.collect(), Some(service))
}

fn endpoints(context: &Context, key: &Key, service: &Value, pods: &[Object]) -> Result<(), Error> {
    let early = service["spec"]["publishNotReadyAddresses"] == true;
    let mut subsets: BTreeMap<String, (Value, Vec<Value>, Vec<Value>)> = BTreeMap::new();
    for pod in pods {
        if object::deleting(pod) && !early {
            continue;
        }
        let ports = slice_ports(service, pod);
        let mut address = json!({
            "ip": pod["status"]["podIP"],
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": {"kind": "Pod", "name": object::name(pod), "namespace": key.0,
                "uid": object::uid(pod)},
        });
        if let Some(name) = hostname(service, pod) {
            address["hostname"] = name.into();
        }
        let subset = subsets.entry(ports.to_string()).or_insert((ports, Vec::new(), Vec::new()));
        if holds(pod, "Ready") || early { subset.1.push(address) } else { subset.2.push(address) }
    }
    let subsets: Vec<Value> = subsets
        .into_values()
        .map(|(ports, ready, other)| {
            let mut out = json!({});
            if !ready.is_empty() {
                out["addresses"] = ready.into();
            }
            if !other.is_empty() {
                out["notReadyAddresses"] = other.into();
            }
            let mut ports = ports;
            for port in ports.as_array_mut().into_iter().flatten() {
                // Here a name may be absent, in slices it may not.
                if port["name"] == "" {
                    object::map_mut(port).remove("name");
                }
            }
            if ports.as_array().is_some_and(|p| !p.is_empty()) {
                out["ports"] = ports;
            }
            out
        })
        .collect();
    let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    if service["spec"]["clusterIP"] == "None" {
        labels.insert(HEADLESS.into(), "".into());
    }
    let mut new = json!({"metadata": {"name": key.1, "namespace": key.0}});
    if !labels.is_empty() {
        new["metadata"]["labels"] = labels.into();
    }
    if !subsets.is_empty() {
        new["subsets"] = subsets.into();
    }
    match context.store.get(ENDPOINTS, &key.0, &key.1) {
        None => drop(context.store.create(ENDPOINTS, new)?),
        Some(old)
            if old["subsets"] == new["subsets"]
                && old["metadata"]["labels"] == new["metadata"]["labels"] => {}
        Some(_) => drop(context.store.update(ENDPOINTS, new)?),
    }
    Ok(())
}

/// Makes the slices of a Service hold these endpoints, with as few changes as possible.
fn slices(
    context: &Context,
    key: &Key,
    mut wanted: Vec<(Value, Vec<Value>)>,
    service: Option<&Value>,
) -> Result<(), Error> {
    let ours = |s: &Object| {
        let labels = &s["metadata"]["labels"];
        labels[SERVICE_NAME] == *key.1 && labels[MANAGED_BY] == MANAGER
    };
    let labels = service.map(|service| slice_labels(service, &key.1));
    let mut old: Vec<Object> = context.store.list(SLICES, Some(&key.0));
    old.retain(ours);
    // Those that stay as they are first, then those of the same ports.
    old.retain(|slice| {
        let same = wanted.iter().position(|(ports, endpoints)| {
            slice["ports"] == *ports
                && labels.as_ref().is_some_and(|l| slice["metadata"]["labels"] == *l)
                && slice["endpoints"].as_array().is_some_and(|e| e == endpoints)
        });
        same.map(|at| wanted.remove(at)).is_none()
    });
    for slice in old {
        let (namespace, name) = (object::namespace(&slice), object::name(&slice));
        if wanted.is_empty() {
            let options = DeleteOptions::default();
            gone(context.store.delete(SLICES, namespace, name, &options).map(drop))?;
            continue;
        }
        let at = wanted.iter().position(|(ports, _)| slice["ports"] == *ports).unwrap_or(0);
        let (ports, endpoints) = wanted.remove(at);
        let mut new = Value::clone(&slice);
        new["ports"] = ports;
        new["endpoints"] = endpoints.into();
        if let Some(labels) = &labels {
            new["metadata"]["labels"] = labels.clone();
        }
        context.store.update(SLICES, new)?;
    }
    let Some(service) = service else { return Ok(()) };
    for (ports, endpoints) in wanted {
        let slice = json!({
            "metadata": {
                "generateName": format!("{}-", key.1),
                "namespace": key.0,
                "labels": labels,
                "ownerReferences": [object::controller_reference(service)],
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": ports,
        });
        context.store.create(SLICES, slice)?;
    }
    Ok(())
}

/// The labels of a Service's slices: its own, and what finds them (`setEndpointSliceLabels`).
fn slice_labels(service: &Value, name: &str) -> Value {
    let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.remove(HEADLESS);
    if service["spec"]["clusterIP"] == "None" {
        labels.insert(HEADLESS.into(), "".into());
    }
    labels.insert(SERVICE_NAME.into(), name.into());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    labels.into()
}

/// The pod's own name under a headless Service that is its subdomain.
fn hostname(service: &Value, pod: &Value) -> Option<String> {
    let name = pod["spec"]["hostname"].as_str().filter(|h| !h.is_empty())?;
    (pod["spec"]["subdomain"] == service["metadata"]["name"]).then(|| name.to_owned())
}

fn endpoint(service: &Value, pod: &Value) -> Value {
    let (serving, terminating) = (holds(pod, "Ready"), object::deleting(pod));
    let early = service["spec"]["publishNotReadyAddresses"] == true;
    let mut out = json!({
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": early || (serving && !terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": {"kind": "Pod", "name": object::name(pod),
            "namespace": object::namespace(pod), "uid": object::uid(pod)},
    });
    if let Some(name) = hostname(service, pod) {
        out["hostname"] = name.into();
    }
    out
}

/// The Service's ports as this pod has them: named target ports are looked up in its containers.
fn slice_ports(service: &Value, pod: &Value) -> Value {
    let mut out = Vec::new();
    for port in service["spec"]["ports"].as_array().into_iter().flatten() {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        let number = match &port["targetPort"] {
            Value::String(name) => {
                let containers = ["containers", "initContainers"].into_iter();
                let found = containers
                    .flat_map(|f| pod["spec"][f].as_array().into_iter().flatten())
                    .flat_map(|c| c["ports"].as_array().into_iter().flatten())
                    .find(|p| {
                        p["name"] == **name && p["protocol"].as_str().unwrap_or("TCP") == protocol
                    });
                found.and_then(|p| p["containerPort"].as_u64())
            }
            Value::Number(n) => n.as_u64().filter(|n| *n > 0),
            _ => port["port"].as_u64(),
        };
        let Some(number) = number else { continue };
        let name = port["name"].as_str().unwrap_or("");
        out.push(json!({"name": name, "port": number, "protocol": protocol}));
    }
    out.into()
}
