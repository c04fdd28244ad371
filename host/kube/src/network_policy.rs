//! NetworkPolicies, compiled for the virtual network: who may open a connection to whom.
//!
//! The rules (`networking.k8s.io/v1`): a pod that no policy selects for a direction may do all;
//! one that some select may do what any of them allows. A connection needs both ends' consent.
//! Answers belong to their connection. A node always reaches its pods, and they it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use podlab_net::{Denied, Flow, Policy};
use podlab_trace::Verb;
use serde_json::Value;

use crate::control_plane::Shared;
use crate::store::Object;
use crate::store::object::{Key, key};
use crate::store::selector::LabelSelector;
use crate::store::watch::Change;

/// Follows the policies and what they select.
pub(crate) fn start(shared: &Arc<Shared>) {
    let mut inbox =
        shared.store.changes(&["namespaces", "networkpolicies.networking.k8s.io", "nodes", "pods"]);
    let shared = shared.clone();
    shared.clone().sim.spawn(async move {
        let mut view = View::default();
        let mut installed = false;
        while let Some(first) = inbox.recv().await {
            let mut matters = false;
            let mut next = Some(first);
            while let Some((kind, change)) = next {
                matters |= view.take(kind, &change);
                next = inbox.try_recv();
            }
            if !matters || (view.policies.is_empty() && !installed) {
                continue;
            }
            installed = !view.policies.is_empty();
            let rules = installed.then(|| Arc::new(view.compile()));
            shared.net.set_policy(rules.map(|rules| {
                let decide: Policy = Arc::new(move |flow: &Flow| {
                    rules.decide(flow.from_addr.ip(), flow.to_addr, flow.udp)
                });
                decide
            }));
        }
    });
}

/// What policies depend on.
#[derive(Default)]
struct View {
    policies: BTreeMap<Key, Object>,
    pods: BTreeMap<Key, Object>,
    namespaces: BTreeMap<String, Object>,
    nodes: BTreeMap<String, IpAddr>,
}

/// What policies see of a pod.
fn facts(pod: &Value) -> (&Value, &Value, &Value) {
    (&pod["metadata"]["labels"], &pod["status"]["podIP"], &pod["status"]["phase"])
}

impl View {
    /// Whether a change matters.
    fn take(&mut self, kind: &str, change: &Change) -> bool {
        let (at, gone) = (key(&change.object), change.verb == Verb::Deleted);
        let old = change.previous.as_deref();
        match kind {
            "pods" => {
                // The address of a pod that ended may belong to another already.
                let over = matches!(
                    change.object["status"]["phase"].as_str(),
                    Some("Succeeded" | "Failed")
                );
                if gone || over || !change.object["status"]["podIP"].is_string() {
                    return self.pods.remove(&at).is_some();
                }
                let known = self.pods.insert(at, change.object.clone());
                known.is_none_or(|k| facts(&k) != facts(&change.object))
            }
            "namespaces" => {
                if gone {
                    return self.namespaces.remove(&at.1).is_some();
                }
                self.namespaces.insert(at.1, change.object.clone());
                old.is_none_or(|o| o["metadata"]["labels"] != change.object["metadata"]["labels"])
            }
            "nodes" => {
                let all = change.object["status"]["addresses"].as_array();
                let internal = all.into_iter().flatten().find(|a| a["type"] == "InternalIP");
                let ip = internal.and_then(|a| a["address"].as_str()?.parse().ok());
                match ip.filter(|_| !gone) {
                    Some(ip) => self.nodes.insert(at.1, ip) != Some(ip),
                    None => self.nodes.remove(&at.1).is_some(),
                }
            }
            _ if gone => self.policies.remove(&at).is_some(),
            _ => {
                self.policies.insert(at, change.object.clone());
                old.is_none_or(|o| o["spec"] != change.object["spec"])
            }
        }
    }

    fn compile(&self) -> Rules {
        let mut pods: BTreeMap<IpAddr, Ends> = BTreeMap::new();
        let mut ports: BTreeMap<IpAddr, Vec<(String, bool, u16)>> = BTreeMap::new();
        for (at, pod) in &self.pods {
            let Some(ip) = pod["status"]["podIP"].as_str().and_then(|i| i.parse().ok()) else {
                continue;
            };
            pods.insert(ip, Ends::default());
            ports.insert(ip, named_ports(pod));
            for (of, policy) in &self.policies {
                let spec = &policy["spec"];
                if of.0 != at.0 || !LabelSelector::from_selector(&spec["podSelector"]).matches(pod)
                {
                    continue;
                }
                let name: Arc<str> = format!("NetworkPolicy {}/{}", of.0, of.1).into();
                let ends = pods.get_mut(&ip).expect("just inserted");
                for (kind, field, peers, side) in [
                    ("Ingress", "ingress", "from", &mut ends.ingress),
                    ("Egress", "egress", "to", &mut ends.egress),
                ] {
                    if applies(spec, kind) {
                        side.selected.push(name.clone());
                        let rules = spec[field].as_array().into_iter().flatten();
                        side.rules.extend(rules.map(|r| self.rule(&of.0, r, peers)));
                    }
                }
            }
        }
        let nodes = self.nodes.values().copied().collect();
        Rules { pods, ports, nodes }
    }

    fn rule(&self, namespace: &str, rule: &Value, peers: &str) -> Rule {
        let given = |field: &str| rule[field].as_array().filter(|a| !a.is_empty());
        Rule {
            peers: given(peers).map(|all| all.iter().map(|p| self.peer(namespace, p)).collect()),
            ports: given("ports").map(|all| all.iter().filter_map(port).collect()),
        }
    }

    fn peer(&self, namespace: &str, peer: &Value) -> Peer {
        if peer["ipBlock"].is_object() {
            let block = &peer["ipBlock"];
            let except = block["except"].as_array().into_iter().flatten();
            return Peer::Block(
                Cidr::parse(block["cidr"].as_str().unwrap_or("")),
                except.filter_map(|e| Cidr::parse(e.as_str()?)).collect(),
            );
        }
        let of_pods = peer["podSelector"].is_object();
        let of_namespaces = peer["namespaceSelector"].is_object();
        let pods = LabelSelector::from_selector(&peer["podSelector"]);
        let namespaces = LabelSelector::from_selector(&peer["namespaceSelector"]);
        let within = |name: &str| {
            if of_namespaces {
                self.namespaces.get(name).is_some_and(|n| namespaces.matches(n))
            } else {
                name == namespace
            }
        };
        let chosen = self.pods.iter().filter(|(at, pod)| {
            within(&at.0) && (!of_pods || pods.matches(pod)) && (of_pods || of_namespaces)
        });
        Peer::Pods(
            chosen.filter_map(|(_, p)| p["status"]["podIP"].as_str()?.parse().ok()).collect(),
        )
    }
}

/// Whether a policy is about a direction: as it says, else ingress, and egress if it has rules.
fn applies(spec: &Value, kind: &str) -> bool {
    match spec["policyTypes"].as_array().filter(|t| !t.is_empty()) {
        Some(types) => types.iter().any(|t| t == kind),
        None => kind == "Ingress" || spec["egress"].as_array().is_some_and(|e| !e.is_empty()),
    }
}

/// The named ports of a pod: name, whether UDP, number.
fn named_ports(pod: &Value) -> Vec<(String, bool, u16)> {
    let containers = ["containers", "initContainers"].into_iter();
    containers
        .flat_map(|f| pod["spec"][f].as_array().into_iter().flatten())
        .flat_map(|c| c["ports"].as_array().into_iter().flatten())
        .filter_map(|p| {
            let number = u16::try_from(p["containerPort"].as_u64()?).ok()?;
            Some((p["name"].as_str()?.to_owned(), p["protocol"] == "UDP", number))
        })
        .collect()
}

/// What is allowed, by address.
struct Rules {
    pods: BTreeMap<IpAddr, Ends>,
    ports: BTreeMap<IpAddr, Vec<(String, bool, u16)>>,
    nodes: Vec<IpAddr>,
}

/// What a pod may take in and send out.
#[derive(Default)]
struct Ends {
    ingress: Side,
    egress: Side,
}

#[derive(Default)]
struct Side {
    /// The policies that select the pod; none, and all is allowed.
    selected: Vec<Arc<str>>,
    rules: Vec<Rule>,
}

/// One rule; `None` is everybody, and every port.
struct Rule {
    peers: Option<Vec<Peer>>,
    ports: Option<Vec<Port>>,
}

enum Peer {
    /// Pods, by their addresses.
    Pods(Vec<IpAddr>),
    /// Addresses but for some. A block that cannot be read holds none.
    Block(Option<Cidr>, Vec<Cidr>),
}

struct Port {
    udp: bool,
    what: Which,
}

enum Which {
    All,
    Named(String),
    Range(u16, u16),
}

fn port(port: &Value) -> Option<Port> {
    let udp = match port["protocol"].as_str().unwrap_or("TCP") {
        "TCP" => false,
        "UDP" => true,
        // The network has no SCTP.
        _ => return None,
    };
    let number = |v: &Value| v.as_u64().and_then(|n| u16::try_from(n).ok());
    let what = match &port["port"] {
        Value::Null => Which::All,
        Value::String(name) => Which::Named(name.clone()),
        first => {
            let first = number(first)?;
            Which::Range(first, number(&port["endPort"]).unwrap_or(first))
        }
    };
    Some(Port { udp, what })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cidr {
    network: u32,
    mask: u32,
}

impl Cidr {
    fn parse(text: &str) -> Option<Cidr> {
        let (ip, bits) = text.split_once('/')?;
        let bits: u32 = bits.parse().ok().filter(|b| *b <= 32)?;
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        Some(Cidr { network: u32::from(ip.parse::<Ipv4Addr>().ok()?) & mask, mask })
    }

    fn holds(self, ip: IpAddr) -> bool {
        matches!(ip, IpAddr::V4(ip) if u32::from(ip) & self.mask == self.network)
    }
}

impl Rules {
    fn decide(&self, from: IpAddr, to: SocketAddr, udp: bool) -> Result<(), Denied> {
        // A node and its pods always reach each other: probes are not subject to policies.
        if self.nodes.contains(&from) || self.nodes.contains(&to.ip()) {
            return Ok(());
        }
        if let Some(pod) = self.pods.get(&from) {
            self.side(&pod.egress, to.ip(), to, udp, "egress")?;
        }
        if let Some(pod) = self.pods.get(&to.ip()) {
            self.side(&pod.ingress, from, to, udp, "ingress")?;
        }
        Ok(())
    }

    fn side(
        &self,
        side: &Side,
        peer: IpAddr,
        to: SocketAddr,
        udp: bool,
        direction: &str,
    ) -> Result<(), Denied> {
        let allows = |rule: &Rule| {
            let peers = rule.peers.as_ref();
            let ports = rule.ports.as_ref();
            peers.is_none_or(|all| all.iter().any(|p| p.holds(peer)))
                && ports.is_none_or(|all| all.iter().any(|p| self.port(p, to, udp)))
        };
        if side.selected.is_empty() || side.rules.iter().any(allows) {
            return Ok(());
        }
        Err(Denied { by: format!("{} ({direction})", side.selected.join(", ")) })
    }

    fn port(&self, port: &Port, to: SocketAddr, udp: bool) -> bool {
        port.udp == udp
            && match &port.what {
                Which::All => true,
                Which::Range(first, last) => (*first..=*last).contains(&to.port()),
                Which::Named(name) => self.ports.get(&to.ip()).is_some_and(|all| {
                    all.iter().any(|(n, u, number)| n == name && *u == udp && *number == to.port())
                }),
            }
    }
}

impl Peer {
    fn holds(&self, ip: IpAddr) -> bool {
        match self {
            Peer::Pods(all) => all.contains(&ip),
            Peer::Block(block, except) => {
                block.is_some_and(|b| b.holds(ip)) && !except.iter().any(|e| e.holds(ip))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn view() -> View {
        let mut view = View::default();
        for (ns, team) in [("default", "a"), ("other", "b")] {
            let labels = json!({"team": team, "kubernetes.io/metadata.name": ns});
            view.namespaces
                .insert(ns.into(), Arc::new(json!({"metadata": {"name": ns, "labels": labels}})));
        }
        for (ns, name, app, ip) in [
            ("default", "web", "web", "10.0.0.1"),
            ("default", "client", "client", "10.0.0.2"),
            ("default", "stranger", "stranger", "10.0.0.3"),
            ("other", "client", "client", "10.0.1.2"),
        ] {
            let pod = json!({
                "metadata": {"name": name, "namespace": ns, "labels": {"app": app}},
                "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
                "status": {"podIP": ip},
            });
            view.pods.insert((ns.into(), name.into()), Arc::new(pod));
        }
        view.nodes.insert("node-1".into(), "192.168.0.1".parse().unwrap());
        view
    }

    /// Who of 2 (client), 3 (stranger), the other namespace's client and an address outside
    /// reaches which of web's ports 8080, 9000.
    fn reach(policies: &[Value]) -> String {
        let mut view = view();
        for (n, spec) in policies.iter().enumerate() {
            let policy = json!({"metadata": {"name": n, "namespace": "default"}, "spec": spec});
            view.policies.insert(("default".into(), n.to_string()), Arc::new(policy));
        }
        let rules = view.compile();
        let mut out = String::new();
        for (letter, from) in
            [("c", "10.0.0.2"), ("s", "10.0.0.3"), ("o", "10.0.1.2"), ("x", "198.51.100.1")]
        {
            for port in [8080, 9000] {
                let to = SocketAddr::new("10.0.0.1".parse().unwrap(), port);
                if rules.decide(from.parse().unwrap(), to, false).is_ok() {
                    out += &format!("{letter}{} ", port / 1000);
                }
            }
        }
        let node =
            rules.decide("192.168.0.1".parse().unwrap(), "10.0.0.1:8080".parse().unwrap(), false);
        assert_eq!(node, Ok(()), "probes always pass");
        out.trim_end().to_owned()
    }

    #[test]
    fn policies_allow_what_kubernetes_documentation_says() {
        let web = json!({"matchLabels": {"app": "web"}});
        let client = json!({"matchLabels": {"app": "client"}});
        let ingress = |rules: Value| json!({"podSelector": web, "policyTypes": ["Ingress"], "ingress": rules});
        let from = |peers: Value| ingress(json!([{"from": peers}]));
        for (policies, wanted) in [
            (vec![], "c8 c9 s8 s9 o8 o9 x8 x9"),
            (vec![ingress(json!([]))], ""),
            (vec![json!({"podSelector": {}})], ""),
            (vec![ingress(json!([{}]))], "c8 c9 s8 s9 o8 o9 x8 x9"),
            (
                vec![json!({"podSelector": client, "policyTypes": ["Ingress"]})],
                "c8 c9 s8 s9 o8 o9 x8 x9",
            ),
            // A pod selector alone is of the policy's namespace; with a namespace selector of those.
            (vec![from(json!([{"podSelector": client}]))], "c8 c9"),
            (
                vec![from(json!([{"podSelector": client,
                    "namespaceSelector": {"matchLabels": {"team": "b"}}}]))],
                "o8 o9",
            ),
            (
                vec![from(json!([{"namespaceSelector": {"matchLabels": {"team": "a"}}}]))],
                "c8 c9 s8 s9",
            ),
            (vec![from(json!([{"namespaceSelector": {}}]))], "c8 c9 s8 s9 o8 o9"),
            // Two peers are either; two policies too.
            (
                vec![from(
                    json!([{"podSelector": client}, {"namespaceSelector": {"matchLabels": {"team": "b"}}}]),
                )],
                "c8 c9 o8 o9",
            ),
            (vec![ingress(json!([])), from(json!([{"podSelector": client}]))], "c8 c9"),
            (
                vec![from(
                    json!([{"ipBlock": {"cidr": "10.0.0.0/16", "except": ["10.0.1.0/24"]}}]),
                )],
                "c8 c9 s8 s9",
            ),
            // Ports: number, name, range, another protocol.
            (vec![ingress(json!([{"ports": [{"port": 8080}]}]))], "c8 s8 o8 x8"),
            (vec![ingress(json!([{"ports": [{"port": "http"}]}]))], "c8 s8 o8 x8"),
            (vec![ingress(json!([{"ports": [{"port": 8081, "endPort": 9500}]}]))], "c9 s9 o9 x9"),
            (vec![ingress(json!([{"ports": [{"protocol": "UDP"}]}]))], ""),
            // Egress of the sender.
            (vec![json!({"podSelector": client, "policyTypes": ["Egress"]})], "s8 s9 o8 o9 x8 x9"),
            (
                vec![json!({"podSelector": client, "policyTypes": ["Egress"],
                    "egress": [{"to": [{"podSelector": web}], "ports": [{"port": "http"}]}]})],
                "c8 s8 s9 o8 o9 x8 x9",
            ),
        ] {
            assert_eq!(reach(&policies), wanted, "{policies:?}");
        }
    }

    #[test]
    fn a_denial_names_its_policies() {
        let mut view = view();
        let policy = json!({"spec": {"podSelector": {}}});
        view.policies.insert(("default".into(), "deny".into()), Arc::new(policy));
        let denied = view.compile().decide(
            "10.0.0.2".parse().unwrap(),
            "10.0.0.1:80".parse().unwrap(),
            false,
        );
        assert_eq!(denied.unwrap_err().by, "NetworkPolicy default/deny (ingress)");
    }

    #[test]
    fn blocks_are_read() {
        assert_eq!(Cidr::parse("10.1.2.3/8"), Cidr::parse("10.0.0.0/8"));
        assert!(Cidr::parse("0.0.0.0/0").unwrap().holds("9.9.9.9".parse().unwrap()));
        assert_eq!((Cidr::parse("10.0.0.0/33"), Cidr::parse("x/8")), (None, None));
    }
}
