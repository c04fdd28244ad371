//! Services: virtual addresses in front of endpoints, as kube-proxy's rules make them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use podlab_sim::{Rng, Time};

/// A Service as the network sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// "namespace/name".
    pub name: String,
    /// Its virtual addresses (ClusterIPs, external IPs).
    pub ips: Vec<IpAddr>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
}

/// One port of a [`Service`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// The port's name, or empty.
    pub name: String,
    /// The port of the virtual addresses.
    pub port: u16,
    /// Whether it is UDP.
    pub udp: bool,
    /// Who answers.
    pub endpoints: Vec<SocketAddr>,
}

/// Where a packet for an address goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The address is no Service's.
    Direct,
    /// To an endpoint of a Service ("namespace/name:port").
    Endpoint(SocketAddr, String),
    /// The Service has no endpoint: kube-proxy's REJECT.
    Reject(String),
    /// The Service's address, but none of its ports: nobody takes the packet.
    Nowhere(String),
}

pub(crate) struct Services {
    everywhere: BTreeMap<String, Service>,
    /// What a node knows that differs; `None` is a Service it does not know (yet, any more).
    views: BTreeMap<String, BTreeMap<String, Option<Service>>>,
    by_ip: BTreeMap<IpAddr, Vec<String>>,
    choice: Rng,
    /// How long Services remember which endpoint a client had.
    affinity: BTreeMap<String, Duration>,
    /// Client, address asked for and protocol, to the endpoint and when it was used last.
    remembered: BTreeMap<Client, (SocketAddr, Time)>,
}

/// A client of a Service: its address, the Service's, and whether it is UDP.
pub(crate) type Client = (IpAddr, SocketAddr, bool);

/// How many clients are remembered at most.
const MAX_REMEMBERED: usize = 1 << 16;

impl Services {
    pub(crate) fn new(choice: Rng) -> Services {
        Services {
            everywhere: BTreeMap::new(),
            views: BTreeMap::new(),
            by_ip: BTreeMap::new(),
            choice,
            affinity: BTreeMap::new(),
            remembered: BTreeMap::new(),
        }
    }

    pub(crate) fn set(&mut self, service: Service) {
        for view in self.views.values_mut() {
            view.remove(&service.name);
        }
        self.everywhere.insert(service.name.clone(), service);
        self.index();
    }

    pub(crate) fn set_on(&mut self, node: &str, name: String, service: Option<Service>) {
        self.views.entry(node.to_owned()).or_default().insert(name, service);
        self.index();
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.everywhere.remove(name);
        for view in self.views.values_mut() {
            view.remove(name);
        }
        self.index();
    }

    /// Makes a Service remember its clients for this long after their last connection.
    pub(crate) fn set_affinity(&mut self, name: &str, lasts: Option<Duration>) {
        match lasts {
            Some(lasts) => drop(self.affinity.insert(name.to_owned(), lasts)),
            None => drop(self.affinity.remove(name)),
        }
    }

    /// The endpoint that a client had last.
    pub(crate) fn recall(&self, client: &Client) -> Option<(SocketAddr, Time)> {
        self.remembered.get(client).copied()
    }

    /// Whether a Service, as [`Route::Endpoint`] names it, remembers what was used at `then`.
    pub(crate) fn remembers(&self, via: &str, then: Time, now: Time) -> bool {
        self.lasting(via).is_some_and(|lasts| now.since(then) < lasts)
    }

    /// Remembers the endpoint of a client, if its Service does so.
    pub(crate) fn remember(&mut self, via: &str, client: Client, endpoint: SocketAddr, now: Time) {
        if self.lasting(via).is_none() {
            return;
        }
        if self.remembered.len() >= MAX_REMEMBERED {
            self.remembered.pop_first();
        }
        self.remembered.insert(client, (endpoint, now));
    }

    /// `default/web:http` and `default/web node port:http` are of `default/web`.
    fn lasting(&self, via: &str) -> Option<Duration> {
        let name = via.rsplit_once(':').map_or(via, |(name, _)| name);
        let name = name.split(' ').next().unwrap_or(name);
        self.affinity.get(name).copied()
    }

    fn index(&mut self) {
        self.by_ip.clear();
        let local = self.views.values().flat_map(|v| v.values()).flatten();
        for service in self.everywhere.values().chain(local) {
            for ip in &service.ips {
                let names = self.by_ip.entry(*ip).or_default();
                if !names.contains(&service.name) {
                    names.push(service.name.clone());
                }
            }
        }
    }

    fn seen_from(&self, node: &str, name: &str) -> Option<&Service> {
        match self.views.get(node).and_then(|v| v.get(name)) {
            Some(view) => view.as_ref(),
            None => self.everywhere.get(name),
        }
    }

    /// Where a packet from a pod of `node` to `to` goes. Chooses an endpoint at random, each
    /// equally likely, as kube-proxy's iptables rules do; but `keep`, the endpoint chosen for
    /// this flow before, while it is one.
    pub(crate) fn route(
        &mut self,
        node: &str,
        to: SocketAddr,
        udp: bool,
        keep: Option<SocketAddr>,
    ) -> Route {
        let Some(names) = self.by_ip.get(&to.ip()) else { return Route::Direct };
        let mut nowhere = None;
        for name in names {
            let Some(service) = self.seen_from(node, name) else { continue };
            if !service.ips.contains(&to.ip()) {
                continue;
            }
            let Some(port) = service.ports.iter().find(|p| p.port == to.port() && p.udp == udp)
            else {
                nowhere = Some(service.name.clone());
                continue;
            };
            let label = if port.name.is_empty() {
                format!("{}:{}", service.name, port.port)
            } else {
                format!("{}:{}", service.name, port.name)
            };
            if let Some(keep) = keep
                && port.endpoints.contains(&keep)
            {
                return Route::Endpoint(keep, label);
            }
            return match port.endpoints.len() as u64 {
                0 => Route::Reject(label),
                1 => Route::Endpoint(port.endpoints[0], label),
                n => {
                    let endpoints = port.endpoints.clone();
                    Route::Endpoint(endpoints[self.choice.below(n) as usize], label)
                }
            };
        }
        nowhere.map_or(Route::Direct, Route::Nowhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(endpoints: &[&str]) -> Service {
        let endpoints = endpoints.iter().map(|e| e.parse().unwrap()).collect();
        let port = ServicePort { name: "http".into(), port: 80, udp: false, endpoints };
        Service {
            name: "default/web".into(),
            ips: vec!["10.96.0.1".parse().unwrap()],
            ports: vec![port],
        }
    }

    #[test]
    fn routes_by_what_the_node_knows() {
        let mut services = Services::new(Rng::named(1, "t"));
        let vip: SocketAddr = "10.96.0.1:80".parse().unwrap();
        assert_eq!(services.route("n1", vip, false, None), Route::Direct);
        services.set(service(&[]));
        let label = "default/web:http".to_owned();
        assert_eq!(services.route("n1", vip, false, None), Route::Reject(label.clone()));
        assert_eq!(services.route("n1", vip, true, None), Route::Nowhere("default/web".into()));
        services.set_on("n1", "default/web".into(), Some(service(&["10.0.0.1:8080"])));
        let there = Route::Endpoint("10.0.0.1:8080".parse().unwrap(), label.clone());
        assert_eq!(services.route("n1", vip, false, None), there);
        assert_eq!(services.route("n2", vip, false, None), Route::Reject(label));
        services.set_on("n2", "default/web".into(), None);
        assert_eq!(services.route("n2", vip, false, None), Route::Direct);
        services.remove("default/web");
        assert_eq!(services.route("n1", vip, false, None), Route::Direct);
    }

    #[test]
    fn every_endpoint_gets_its_share() {
        let mut services = Services::new(Rng::named(1, "t"));
        let vip: SocketAddr = "10.96.0.1:80".parse().unwrap();
        services.set(service(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]));
        let mut seen = BTreeMap::<String, u32>::new();
        for _ in 0..3000 {
            let Route::Endpoint(e, _) = services.route("n", vip, false, None) else {
                panic!("no endpoint")
            };
            *seen.entry(e.to_string()).or_default() += 1;
        }
        assert!(seen.len() == 3 && seen.values().all(|n| (850..1150).contains(n)), "{seen:?}");
    }
}
