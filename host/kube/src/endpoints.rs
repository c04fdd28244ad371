//! Who answers for a Service: Endpoints and EndpointSlices
//! (`pkg/controller/{endpoint,endpointslice}`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podlab_sim::sync::channel;
use podlab_trace::Verb;
use serde_json::{Value, json};

use crate::control_plane::Shared;
use crate::store::watch::Change;
use crate::store::{DeleteOptions, Object, Store, object};

/// Namespace and name.
pub(crate) type Key = (String, String);

/// How many endpoints one slice holds (`--max-endpoints-per-slice`).
const SLICE: usize = 100;

/// Starts the controllers of endpoints.
pub(crate) fn start(shared: &Arc<Shared>) {
    let now = shared.sim.now().as_nanos();
    let place = shared.trace.place(now, "", "kube-system", "", "endpoint-controller");
    let store = shared.store.acting_at(place);
    let mut controller = Controller { store, pods: BTreeMap::new(), services: BTreeMap::new() };
    let (changes, mut inbox) = channel();
    for kind in ["endpoints", "endpointslices.discovery.k8s.io", "pods", "services"] {
        let (changes, mut informer) = (changes.clone(), shared.store.informer(kind));
        shared
            .sim
            .spawn(async move { while changes.send((kind, informer.next().await)).is_ok() {} });
    }
    let trace = shared.trace.clone();
    shared.sim.spawn(async move {
        while let Some(first) = inbox.recv().await {
            let mut due = BTreeSet::new();
            let mut next = Some(first);
            while let Some((kind, change)) = next {
                let before = due.len();
                controller.take(kind, &change, &mut due);
                if due.len() > before && change.event > 0 {
                    trace.took(place, change.event);
                }
                next = inbox.try_recv();
            }
            for key in due {
                controller.sync(&key);
            }
        }
    });
}

struct Controller {
    store: Store,
    /// Pods by namespace and name, those with an address only.
    pods: BTreeMap<String, BTreeMap<String, Object>>,
    services: BTreeMap<String, BTreeMap<String, Object>>,
}

/// Namespace and name.
pub(crate) fn key(o: &Value) -> Key {
    (object::namespace(o).to_owned(), object::name(o).to_owned())
}

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
        is_ready(pod),
        object::deleting(pod),
        pod["status"]["phase"].clone(),
    )
}

fn is_ready(pod: &Value) -> bool {
    let all = pod["status"]["conditions"].as_array();
    all.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

impl Controller {
    fn take(&mut self, kind: &str, change: &Change, due: &mut BTreeSet<Key>) {
        let key = key(&change.object);
        match kind {
            "services" => {
                let of = self.services.entry(key.0.clone()).or_default();
                if change.verb == Verb::Deleted {
                    of.remove(&key.1);
                } else {
                    of.insert(key.1.clone(), change.object.clone());
                }
                due.insert(key);
            }
            "pods" => {
                let old = change.previous.as_deref();
                if change.verb == Verb::Modified
                    && old.is_some_and(|o| facts(o) == facts(&change.object))
                {
                    return;
                }
                let of = self.pods.entry(key.0.clone()).or_default();
                if change.verb == Verb::Deleted {
                    of.remove(&key.1);
                } else {
                    of.insert(key.1.clone(), change.object.clone());
                }
                let Some(services) = self.services.get(&key.0) else { return };
                for (name, service) in services {
                    let labels = &change.object["metadata"]["labels"];
                    if picks(service, labels)
                        || old.is_some_and(|o| picks(service, &o["metadata"]["labels"]))
                    {
                        due.insert((key.0.clone(), name.clone()));
                    }
                }
            }
            // What somebody changed by hand is put right.
            "endpoints" if change.verb == Verb::Deleted => {
                due.insert(key);
            }
            "endpointslices.discovery.k8s.io" if change.verb == Verb::Deleted => {
                let service =
                    change.object["metadata"]["labels"]["kubernetes.io/service-name"].as_str();
                due.extend(service.map(|s| (key.0, s.to_owned())));
            }
            _ => {}
        }
    }

    /// Makes Endpoints and slices what they ought to be.
    fn sync(&mut self, key: &Key) {
        let service = self.services.get(&key.0).and_then(|s| s.get(&key.1));
        let Some(service) = service else {
            let _ = self.store.delete("endpoints", &key.0, &key.1, &DeleteOptions::default());
            self.slices(key, Vec::new(), None);
            return;
        };
        let selects = service["spec"]["selector"].as_object().is_some_and(|s| !s.is_empty());
        if !selects || service["spec"]["type"] == "ExternalName" {
            // Whoever made the Service makes its endpoints.
            return;
        }
        let service = service.clone();
        let empty = BTreeMap::new();
        let pods: Vec<Object> = self
            .pods
            .get(&key.0)
            .unwrap_or(&empty)
            .values()
            .filter(|p| picks(&service, &p["metadata"]["labels"]))
            .filter(|p| p["status"]["podIP"].is_string())
            .filter(|p| !matches!(p["status"]["phase"].as_str(), Some("Succeeded" | "Failed")))
            .cloned()
            .collect();
        self.endpoints(key, &service, &pods);
        // Pods that differ in the numbers of named ports go into different slices.
        let mut by_ports: BTreeMap<String, (Value, Vec<Value>)> = BTreeMap::new();
        for pod in &pods {
            let ports = slice_ports(&service, pod);
            let entry = by_ports.entry(ports.to_string()).or_insert((ports, Vec::new()));
            entry.1.push(endpoint(&service, pod));
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
        self.slices(key, wanted.collect(), Some(&service));
    }

    fn endpoints(&self, key: &Key, service: &Value, pods: &[Object]) {
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
            let subset =
                subsets.entry(ports.to_string()).or_insert((ports, Vec::new(), Vec::new()));
            if is_ready(pod) || early { subset.1.push(address) } else { subset.2.push(address) }
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
                if ports.as_array().is_some_and(|p| !p.is_empty()) {
                    out["ports"] = ports;
                }
                out
            })
            .collect();
        let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        if service["spec"]["clusterIP"] == "None" {
            labels.insert("service.kubernetes.io/headless".into(), "".into());
        }
        let mut new = json!({"metadata": {"name": key.1, "namespace": key.0}});
        if !labels.is_empty() {
            new["metadata"]["labels"] = labels.into();
        }
        if !subsets.is_empty() {
            new["subsets"] = subsets.into();
        }
        let old = self.store.get("endpoints", &key.0, &key.1);
        match old {
            // A namespace that is going accepts nothing new; then there is nothing to do.
            None => drop(self.store.create("endpoints", new)),
            Some(old) if old["subsets"] == new["subsets"] => {}
            Some(_) => drop(self.store.update("endpoints", new)),
        }
    }

    fn slices(&self, key: &Key, mut wanted: Vec<(Value, Vec<Value>)>, service: Option<&Value>) {
        let resource = "endpointslices.discovery.k8s.io";
        let ours = |s: &Object| {
            let labels = &s["metadata"]["labels"];
            labels["kubernetes.io/service-name"] == *key.1
                && labels["endpointslice.kubernetes.io/managed-by"]
                    == "endpointslice-controller.k8s.io"
        };
        let mut old: Vec<Object> = self.store.list(resource, Some(&key.0));
        old.retain(ours);
        // Those that stay as they are first, then those of the same ports.
        old.retain(|slice| {
            let same = wanted.iter().position(|(ports, endpoints)| {
                slice["ports"] == *ports
                    && slice["endpoints"].as_array().is_some_and(|e| e == endpoints)
            });
            same.map(|at| wanted.remove(at)).is_none()
        });
        for slice in old {
            let (namespace, name) = (object::namespace(&slice), object::name(&slice));
            if wanted.is_empty() {
                let _ = self.store.delete(resource, namespace, name, &DeleteOptions::default());
                continue;
            }
            let at = wanted.iter().position(|(ports, _)| slice["ports"] == *ports).unwrap_or(0);
            let (ports, endpoints) = wanted.remove(at);
            let mut new = Value::clone(&slice);
            new["ports"] = ports;
            new["endpoints"] = endpoints.into();
            let _ = self.store.update(resource, new);
        }
        let Some(service) = service else { return };
        for (ports, endpoints) in wanted {
            let slice = json!({
                "metadata": {
                    "generateName": format!("{}-", key.1),
                    "namespace": key.0,
                    "labels": {
                        "kubernetes.io/service-name": key.1,
                        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                    },
                    "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": key.1,
                        "uid": object::uid(service), "controller": true, "blockOwnerDeletion": true}],
                },
                "addressType": "IPv4",
                "endpoints": endpoints,
                "ports": ports,
            });
            let _ = self.store.create(resource, slice);
        }
    }
}

/// The pod's own name under a headless Service that is its subdomain.
fn hostname(service: &Value, pod: &Value) -> Option<String> {
    let name = pod["spec"]["hostname"].as_str().filter(|h| !h.is_empty())?;
    (pod["spec"]["subdomain"] == service["metadata"]["name"]).then(|| name.to_owned())
}

fn endpoint(service: &Value, pod: &Value) -> Value {
    let (serving, terminating) = (is_ready(pod), object::deleting(pod));
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
