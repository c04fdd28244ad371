//! How nodes and programs learn of Services: the proxies' routes (kube-proxy) and the names
//! (CoreDNS). Both follow the objects after a delay, each node by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podlab_net::{Service, ServicePort};
use podlab_trace::Verb;
use serde_json::Value;

use crate::control_plane::Shared;
use crate::store::Object;
use crate::store::object::{Key, key};
use crate::store::watch::Change;

/// Brings Services and slices to the nodes, each after the delay, and into the name server.
pub(crate) fn start(shared: &Arc<Shared>) {
    let mut inbox = shared.store.changes(&["endpointslices.discovery.k8s.io", "services"]);
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
    /// The Services whose node ports are routed.
    opened: BTreeSet<Key>,
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

/// What a Service remembers clients for (`sessionAffinity: ClientIP`).
fn affinity(service: &Value) -> Option<Duration> {
    let spec = &service["spec"];
    let seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"].as_u64();
    (spec["sessionAffinity"] == "ClientIP").then(|| Duration::from_secs(seconds.unwrap_or(10_800)))
}

fn install(shared: &Shared, node: &str, routes: Vec<(String, Option<Service>)>) {
    for (name, route) in routes {
        match route {
            Some(service) => shared.net.set_service_on(node, service),
            None => shared.net.remove_service_on(node, &name),
        }
    }
}

impl View {
    /// Which Services a change concerns.
    fn take(&mut self, kind: &str, change: &Change) -> Vec<Key> {
        let Some(at) = self.taken(kind, change) else { return Vec::new() };
        // Other names for it follow it.
        let fqdn = format!("{}.{}.svc.cluster.local", at.1, at.0);
        let aliases = self.services.iter().filter(|(_, s)| alias(s) == Some(&fqdn));
        aliases.map(|(at, _)| at.clone()).chain([at.clone()]).collect()
    }

    fn taken(&mut self, kind: &str, change: &Change) -> Option<Key> {
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
        self.published += 1;
        let number = self.published;
        // Routes that it had before and has no more must go too.
        let service = self.services.get(at);
        let opened = service.is_some_and(|s| {
            let ports = s["spec"]["ports"].as_array();
            ports.into_iter().flatten().any(|p| p["nodePort"].as_u64().is_some_and(|n| n > 0))
        });
        let before = if opened { !self.opened.insert(at.clone()) } else { self.opened.remove(at) };
        let node_ports = opened || before;
        let service = self.services.get(at);
        let names = service.map(|s| self.addresses(at, s)).unwrap_or_default();
        let name = format!("{}/{}", at.0, at.1);
        let affinity = service.and_then(|s| affinity(s));
        let nodes: Vec<(String, IpAddr)> =
            shared.nodes.iter().map(|(name, cell)| (name.clone(), cell.ip.into())).collect();
        let routes = |node: &str| -> Vec<(String, Option<Service>)> {
            let mut out = vec![(name.clone(), service.and_then(|s| self.service(at, s, node)))];
            if node_ports {
                out.extend(self.node_ports(at, service.map(|s| &**s), &nodes));
            }
            out
        };
        let delay = shared.delays().proxy;
        for node in shared.nodes.keys() {
            let routes = routes(node);
            let (shared, node) = (shared.clone(), node.clone());
            let (name, applied) = (name.clone(), self.applied.clone());
            shared.clone().sim.spawn(async move {
                shared.sim.sleep(delay).await;
                if overtaken(&applied, &node, &name, number) {
                    return;
                }
                install(&shared, &node, routes);
                shared.net.set_affinity(&name, affinity);
            });
        }
        let routes = routes("");
        let (shared, applied) = (shared.clone(), self.applied.clone());
        let installed = self.names.clone();
        shared.clone().sim.spawn(async move {
            shared.sim.sleep(delay).await;
            if overtaken(&applied, "", &name, number) {
                return;
            }
            // Clients outside of the cluster (gateways, tests) come in as through a node.
            install(&shared, "", routes);
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
    /// serve while they end (KEP-1669). With `node`, only those there.
    fn chosen(&self, at: &Key, node: Option<&str>) -> Vec<(&Value, &Value)> {
        let all: Vec<(&Value, &Value)> = self
            .slices
            .get(at)
            .into_iter()
            .flat_map(BTreeMap::values)
            .flat_map(|s| s["endpoints"].as_array().into_iter().flatten().map(move |e| (&**s, e)))
            .filter(|(_, e)| node.is_none_or(|n| e["nodeName"] == n))
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

    /// The routes of a Service's own addresses as `node` sees them ("": the outside).
    fn service(&self, at: &Key, service: &Value, node: &str) -> Option<Service> {
        let spec = &service["spec"];
        let listed =
            spec["clusterIPs"].as_array().into_iter().flatten().chain([&spec["clusterIP"]]);
        let external = spec["externalIPs"].as_array().into_iter().flatten();
        let balancers = service["status"]["loadBalancer"]["ingress"].as_array();
        let balancers = balancers.into_iter().flatten().map(|i| &i["ip"]);
        let mut ips: Vec<IpAddr> = listed
            .chain(external)
            .chain(balancers)
            .filter_map(|ip| ip.as_str()?.parse().ok())
            .collect();
        ips.sort();
        ips.dedup();
        if ips.is_empty() {
            return None;
        }
        let local = spec["internalTrafficPolicy"] == "Local" && !node.is_empty();
        let chosen = self.chosen(at, local.then_some(node));
        let mut ports = ports(service, &chosen, "port");
        if (at.0.as_str(), at.1.as_str()) == ("default", "kubernetes") {
            // No program here speaks TLS: http://kubernetes.default.svc needs no port.
            let https = ports.iter().find(|p| p.port == 443).cloned();
            ports.extend(https.map(|p| ServicePort { name: "http".into(), port: 80, ..p }));
        }
        Some(Service { name: format!("{}/{}", at.0, at.1), ips, ports })
    }

    /// The routes of node ports: the same from everywhere, since a packet's node decides.
    fn node_ports(
        &self,
        at: &Key,
        service: Option<&Value>,
        nodes: &[(String, IpAddr)],
    ) -> Vec<(String, Option<Service>)> {
        let name = format!("{}/{} node port", at.0, at.1);
        let local = service.is_some_and(|s| s["spec"]["externalTrafficPolicy"] == "Local");
        let mut out = vec![(name.clone(), None)];
        out.extend(nodes.iter().map(|(node, _)| (format!("{name} of {node}"), None)));
        let Some(service) = service else { return out };
        if !local {
            let ports = ports(service, &self.chosen(at, None), "nodePort");
            let ips = nodes.iter().map(|(_, ip)| *ip).collect();
            out[0].1 = Some(Service { name, ips, ports });
            return out;
        }
        for (slot, (node, ip)) in out[1..].iter_mut().zip(nodes) {
            let ports = ports(service, &self.chosen(at, Some(node)), "nodePort");
            slot.1 = Some(Service { name: slot.0.clone(), ips: vec![*ip], ports });
        }
        out
    }

    /// The addresses behind a name that another Service stands for: a Service's, or literal.
    fn aliased(&self, target: &str) -> Option<Vec<IpAddr>> {
        if let Ok(ip) = target.parse() {
            return Some(vec![ip]);
        }
        let (name, namespace) = target.strip_suffix(".svc.cluster.local")?.split_once('.')?;
        let at = (namespace.to_owned(), name.to_owned());
        // An alias of an alias is not followed: chains could go round.
        let service = self.services.get(&at).filter(|s| alias(s).is_none())?;
        self.addresses(&at, service).remove(target)
    }

    /// The names of a Service: its own, and below a headless one those of its pods.
    fn addresses(&self, at: &Key, service: &Value) -> BTreeMap<String, Vec<IpAddr>> {
        let fqdn = format!("{}.{}.svc.cluster.local", at.1, at.0);
        if let Some(target) = alias(service) {
            return self.aliased(target).map(|found| (fqdn, found)).into_iter().collect();
        }
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
        for (_, endpoint) in self.chosen(at, None) {
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

/// The ports of a Service by what `field` calls their numbers, each with who answers.
fn ports(service: &Value, chosen: &[(&Value, &Value)], field: &str) -> Vec<ServicePort> {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten().filter_map(|port| {
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
        let port = u16::try_from(port[field].as_u64()?).ok().filter(|p| *p > 0)?;
        Some(ServicePort { name: name.into(), port, udp, endpoints })
    });
    ports.collect()
}

/// The name that a Service only stands for (`type: ExternalName`).
fn alias(service: &Value) -> Option<&str> {
    let name = service["spec"]["externalName"].as_str()?.trim_end_matches('.');
    (service["spec"]["type"] == "ExternalName" && !name.is_empty()).then_some(name)
}
