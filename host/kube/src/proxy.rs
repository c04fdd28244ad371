//! How nodes and programs learn of Services: the proxies' routes (kube-proxy) and the names
//! (CoreDNS). Both follow the objects after a delay, each node by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use podlab_net::{Service, ServicePort};
use podlab_sim::sync::channel;
use podlab_trace::Verb;
use serde_json::Value;

use crate::control_plane::Shared;
use crate::store::Object;
use crate::store::object::{Key, key};
use crate::store::watch::Change;

/// Brings Services and slices to the nodes, each after the delay, and into the name server.
pub(crate) fn start(shared: &Arc<Shared>) {
    let (changes, mut inbox) = channel();
    for kind in ["endpointslices.discovery.k8s.io", "services"] {
        let (changes, mut informer) = (changes.clone(), shared.store.informer(kind));
        shared
            .sim
            .spawn(async move { while changes.send((kind, informer.next().await)).is_ok() {} });
    }
    let shared = shared.clone();
    shared.clone().sim.spawn(async move {
        let mut view = View::default();
        while let Some(first) = inbox.recv().await {
            let mut due = BTreeSet::new();
            let mut next = Some(first);
            while let Some((kind, change)) = next {
                due.extend(view.take(kind, &change));
                next = inbox.try_recv();
            }
            for key in due {
                view.publish(&shared, &key);
            }
        }
    });
}

/// What proxies and name server know.
#[derive(Default)]
struct View {
    services: BTreeMap<Key, Object>,
    slices: BTreeMap<Key, BTreeMap<String, Object>>,
    /// The names that the name server has, by Service.
    names: Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>,
    /// How many changes were sent out.
    published: u64,
    applied: Applied,
}

/// The newest change that a node has applied, by node and Service.
type Applied = Arc<Mutex<BTreeMap<(String, String), u64>>>;

/// News that set out together may arrive in any order; older news change nothing any more.
fn overtaken(applied: &Applied, node: &str, service: &str, number: u64) -> bool {
    let mut applied = applied.lock().expect("nothing panics while it holds this");
    let newest = applied.entry((node.to_owned(), service.to_owned())).or_default();
    if *newest > number {
        return true;
    }
    *newest = number;
    false
}

impl View {
    fn take(&mut self, kind: &str, change: &Change) -> Option<Key> {
        let at = key(&change.object);
        if kind == "services" {
            if change.verb == Verb::Deleted {
                self.services.remove(&at);
            } else {
                self.services.insert(at.clone(), change.object.clone());
            }
            return Some(at);
        }
        let service = change.object["metadata"]["labels"]["kubernetes.io/service-name"].as_str()?;
        let of = (at.0.clone(), service.to_owned());
        let slices = self.slices.entry(of.clone()).or_default();
        if change.verb == Verb::Deleted {
            slices.remove(&at.1);
        } else {
            slices.insert(at.1, change.object.clone());
        }
        Some(of)
    }

    fn publish(&mut self, shared: &Arc<Shared>, at: &Key) {
        let service = self.services.get(at);
        let known = service.and_then(|s| self.service(at, s));
        let names = service.map(|s| self.addresses(at, s)).unwrap_or_default();
        let name = format!("{}/{}", at.0, at.1);
        let delay = shared.delays().proxy;
        self.published += 1;
        let number = self.published;
        for node in shared.nodes.keys() {
            let (shared, node, known) = (shared.clone(), node.clone(), known.clone());
            let (name, applied) = (name.clone(), self.applied.clone());
            shared.clone().sim.spawn(async move {
                shared.sim.sleep(delay).await;
                if overtaken(&applied, &node, &name, number) {
                    return;
                }
                match known {
                    Some(service) => shared.net.set_service_on(&node, service),
                    None => shared.net.remove_service_on(&node, &name),
                }
            });
        }
        let (shared, applied) = (shared.clone(), self.applied.clone());
        let installed = self.names.clone();
        shared.clone().sim.spawn(async move {
            shared.sim.sleep(delay).await;
            if overtaken(&applied, "", &name, number) {
                return;
            }
            // Clients outside of the cluster (gateways, tests) come in as through a node.
            match known {
                Some(service) => shared.net.set_service_on("", service),
                None => shared.net.remove_service_on("", &name),
            }
            let now: BTreeSet<String> = names.keys().cloned().collect();
            let before = installed.lock().expect("never held across anything").insert(name, now);
            for name in before.into_iter().flatten().filter(|n| !names.contains_key(n)) {
                shared.net.remove_name(&name);
            }
            for (name, addresses) in names {
                shared.net.set_name(&name, addresses);
            }
        });
    }

    /// The slices' endpoints that get traffic: ready ones; if there are none, those that still
    /// serve while they end (KEP-1669).
    fn chosen(&self, at: &Key) -> Vec<(&Value, &Value)> {
        let all: Vec<(&Value, &Value)> = self
            .slices
            .get(at)
            .into_iter()
            .flat_map(BTreeMap::values)
            .flat_map(|s| s["endpoints"].as_array().into_iter().flatten().map(move |e| (&**s, e)))
            .collect();
        let of = |want: &dyn Fn(&Value) -> bool| -> Vec<(&Value, &Value)> {
            all.iter().filter(|(_, e)| want(&e["conditions"])).copied().collect()
        };
        let ready = of(&|c| c["ready"] != false);
        if !ready.is_empty() {
            return ready;
        }
        of(&|c| c["serving"] == true && c["terminating"] == true)
    }

    fn service(&self, at: &Key, service: &Value) -> Option<Service> {
        let spec = &service["spec"];
        let listed =
            spec["clusterIPs"].as_array().into_iter().flatten().chain([&spec["clusterIP"]]);
        let external = spec["externalIPs"].as_array().into_iter().flatten();
        let mut ips: Vec<IpAddr> =
            listed.chain(external).filter_map(|ip| ip.as_str()?.parse().ok()).collect();
        ips.sort();
        ips.dedup();
        if ips.is_empty() {
            return None;
        }
        let chosen = self.chosen(at);
        let ports = spec["ports"].as_array().into_iter().flatten().filter_map(|port| {
            let name = port["name"].as_str().unwrap_or("");
            let udp = port["protocol"] == "UDP";
            let mut endpoints: Vec<SocketAddr> = chosen
                .iter()
                .filter_map(|(slice, endpoint)| {
                    let ports = slice["ports"].as_array()?;
                    let found = ports.iter().find(|p| p["name"].as_str().unwrap_or("") == name)?;
                    let number = u16::try_from(found["port"].as_u64()?).ok()?;
                    Some(SocketAddr::new(endpoint["addresses"][0].as_str()?.parse().ok()?, number))
                })
                .collect();
            endpoints.sort();
            endpoints.dedup();
            let port = u16::try_from(port["port"].as_u64()?).ok()?;
            Some(ServicePort { name: name.into(), port, udp, endpoints })
        });
        Some(Service { name: format!("{}/{}", at.0, at.1), ips, ports: ports.collect() })
    }

    /// The names of a Service: its own, and below a headless one those of its pods.
    fn addresses(&self, at: &Key, service: &Value) -> BTreeMap<String, Vec<IpAddr>> {
        let fqdn = format!("{}.{}.svc.cluster.local", at.1, at.0);
        let mut out = BTreeMap::new();
        let cluster: Option<IpAddr> =
            service["spec"]["clusterIP"].as_str().and_then(|i| i.parse().ok());
        if let Some(ip) = cluster {
            out.insert(fqdn, vec![ip]);
            return out;
        }
        if service["spec"]["clusterIP"] != "None" {
            return out;
        }
        let mut all = Vec::new();
        for (_, endpoint) in self.chosen(at) {
            let Some(ip) = endpoint["addresses"][0].as_str().and_then(|i| i.parse::<IpAddr>().ok())
            else {
                continue;
            };
            all.push(ip);
            let dashed = ip.to_string().replace('.', "-");
            let own = endpoint["hostname"].as_str().unwrap_or(&dashed);
            out.insert(format!("{own}.{fqdn}"), vec![ip]);
        }
        if !all.is_empty() {
            all.sort();
            out.insert(fqdn, all);
        }
        out
    }
}
