//! What is known of the cluster: objects as they were seen last. Reflectors put them here, requests
//! are routed by them, and they stay while the API server is away.

use std::cell::{Cell, Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use podlab_guest::log;
use podlab_guest::runtime::Flag;
use serde_json::Value;

use crate::objects::{Backend, Class, Ingress, Name, Service, Slice};
use crate::table::{Classes, Table};

/// The kinds of objects that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rules.
    Ingress,
    /// Whose rules.
    Class,
    /// Ports.
    Service,
    /// Who is ready.
    Slice,
}

impl Kind {
    /// All of them, in the order in which they are read.
    pub const ALL: [Kind; 4] = [Kind::Class, Kind::Service, Kind::Slice, Kind::Ingress];

    /// Where they are, in one namespace or in all.
    pub fn path(self, namespace: &str) -> String {
        let (group, plural) = match self {
            Kind::Ingress => ("/apis/networking.k8s.io/v1", "ingresses"),
            Kind::Class => ("/apis/networking.k8s.io/v1", "ingressclasses"),
            Kind::Service => ("/api/v1", "services"),
            Kind::Slice => ("/apis/discovery.k8s.io/v1", "endpointslices"),
        };
        match namespace {
            "" => format!("{group}/{plural}"),
            _ if self == Kind::Class => format!("{group}/{plural}"),
            _ => format!("{group}/namespaces/{namespace}/{plural}"),
        }
    }
}

/// What is behind a port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behind {
    /// These are ready, and at least one is.
    Ready(Vec<SocketAddr>),
    /// There is no such Service, or it has no such port.
    Unknown(String),
    /// Nobody is ready.
    Nobody,
}

#[derive(Default)]
struct Objects {
    ingresses: BTreeMap<Name, Ingress>,
    classes: BTreeMap<Name, Class>,
    services: BTreeMap<Name, Service>,
    slices: BTreeMap<Name, Slice>,
    /// Kinds that were listed at least once.
    listed: Vec<Kind>,
}

/// The cluster as it was seen last.
pub struct Cluster {
    classes: Classes,
    otherwise: Option<Backend>,
    publish: Option<Name>,
    objects: RefCell<Objects>,
    table: RefCell<Table>,
    stale: Cell<bool>,
    /// How often the table was made anew.
    pub made: Cell<u64>,
    changed: RefCell<Flag>,
}

impl Cluster {
    /// Nothing is known yet.
    pub fn new(classes: Classes, otherwise: Option<Backend>, publish: Option<Name>) -> Cluster {
        Cluster {
            classes,
            otherwise,
            publish,
            objects: RefCell::default(),
            table: RefCell::default(),
            stale: Cell::new(true),
            made: Cell::new(0),
            changed: RefCell::default(),
        }
    }

    /// These objects are all there are of their kind.
    pub fn replace(&self, kind: Kind, objects: &[Value]) {
        {
            let mut all = self.objects.borrow_mut();
            match kind {
                Kind::Ingress => all.ingresses.clear(),
                Kind::Class => all.classes.clear(),
                Kind::Service => all.services.clear(),
                Kind::Slice => all.slices.clear(),
            }
            for object in objects {
                all.put(kind, object);
            }
            if !all.listed.contains(&kind) {
                all.listed.push(kind);
            }
        }
        self.change(kind);
    }

    /// An object is like this now.
    pub fn put(&self, kind: Kind, object: &Value) {
        self.objects.borrow_mut().put(kind, object);
        self.change(kind);
    }

    /// An object was removed.
    pub fn remove(&self, kind: Kind, object: &Value) {
        let name = name(object);
        {
            let mut all = self.objects.borrow_mut();
            match kind {
                Kind::Ingress => drop(all.ingresses.remove(&name)),
                Kind::Class => drop(all.classes.remove(&name)),
                Kind::Service => drop(all.services.remove(&name)),
                Kind::Slice => drop(all.slices.remove(&name)),
            }
        }
        self.change(kind);
    }

    fn change(&self, kind: Kind) {
        if matches!(kind, Kind::Ingress | Kind::Class) {
            self.stale.set(true);
        }
        // Who writes statuses wants to know; endpoints do not matter there.
        if kind != Kind::Slice {
            self.changed.take().raise();
        }
    }

    /// Raised at the next change of anything but endpoints.
    pub fn changed(&self) -> Flag {
        self.changed.borrow().clone()
    }

    /// Whether every kind was listed once.
    pub fn known(&self) -> bool {
        self.objects.borrow().listed.len() == Kind::ALL.len()
    }

    /// The routes as of now.
    pub fn table(&self) -> Ref<'_, Table> {
        if self.stale.replace(false) {
            let objects = self.objects.borrow();
            let ours =
                objects.ingresses.iter().filter(|(_, i)| self.classes.has(i, &objects.classes));
            let table = Table::new(ours, self.otherwise.clone());
            self.tell(&table);
            *self.table.borrow_mut() = table;
            self.made.set(self.made.get() + 1);
        }
        self.table.borrow()
    }

    /// Writes what is new about a table.
    fn tell(&self, table: &Table) {
        let old = self.table.borrow();
        if self.known() && (*old != *table || self.made.get() == 0) {
            log::info("routes", &[("count", &table.routes())]);
        }
        for why in table.ignored.iter().filter(|why| !old.ignored.contains(why)) {
            log::warn("ignored", &[("what", why)]);
        }
    }

    /// Who is behind a port of a Service.
    pub fn behind(&self, backend: &Backend) -> Behind {
        let objects = self.objects.borrow();
        let Some(service) = objects.services.get(&backend.service) else {
            return Behind::Unknown("there is no such Service".to_owned());
        };
        let Some(port) = service.port_name(&backend.port) else {
            return Behind::Unknown(format!("the Service has no port {}", backend.port));
        };
        let (namespace, name) = &backend.service;
        let from = (namespace.clone(), String::new());
        let slices = objects.slices.range(from..).take_while(|((ns, _), _)| ns == namespace);
        let mut ready = BTreeSet::new();
        for (_, slice) in slices.filter(|(_, s)| s.service == *name) {
            let number = slice.ports.iter().find(|(name, _)| name == port).map(|(_, n)| *n);
            let addresses = slice.ready.iter().filter_map(|a| a.parse::<IpAddr>().ok());
            if let Some(number) = number {
                ready.extend(addresses.map(|ip| SocketAddr::new(ip, number)));
            }
        }
        if ready.is_empty() { Behind::Nobody } else { Behind::Ready(ready.into_iter().collect()) }
    }

    /// Our Ingresses whose status does not say yet where they are reached, and what it should say.
    pub fn unpublished(&self) -> Vec<(Name, Value)> {
        let objects = self.objects.borrow();
        let service = self.publish.as_ref().and_then(|name| objects.services.get(name));
        let Some(service) = service.filter(|s| !s.addresses.is_empty()) else { return Vec::new() };
        let wanted = Value::Array(service.addresses.clone());
        let ours = objects.ingresses.iter().filter(|(_, i)| self.classes.has(i, &objects.classes));
        let others = ours.filter(|(_, i)| i.status != wanted);
        others.map(|(name, _)| (name.clone(), wanted.clone())).collect()
    }
}

impl Objects {
    fn put(&mut self, kind: Kind, object: &Value) {
        let name = name(object);
        match kind {
            Kind::Ingress => drop(self.ingresses.insert(name, Ingress::read(object))),
            Kind::Class => drop(self.classes.insert(name, Class::read(object))),
            Kind::Service => drop(self.services.insert(name, Service::read(object))),
            Kind::Slice => drop(self.slices.insert(name, Slice::read(object))),
        }
    }
}

fn name(object: &Value) -> Name {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::objects::Port;

    fn cluster() -> Cluster {
        let classes = Classes { controller: "podlab.dev/gateway".into(), name: "podlab".into() };
        Cluster::new(classes, None, Some(("edge".into(), "gateway".into())))
    }

    fn slice(name: &str, service: &str, port: u16, ready: bool) -> Value {
        json!({
            "metadata": {"namespace": "default", "name": name,
                "labels": {"kubernetes.io/service-name": service}},
            "ports": [{"name": "http", "port": port}],
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
        })
    }

    fn service(namespace: &str, name: &str) -> Value {
        json!({
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"clusterIP": "10.96.0.7", "ports": [{"name": "http", "port": 80}]},
        })
    }

    #[test]
    fn who_is_behind_a_service() {
        let c = cluster();
        let web = |port| Backend { service: ("default".into(), "web".into()), port };
        let behind = |port| c.behind(&web(port));
        assert!(matches!(behind(Port::Number(80)), Behind::Unknown(_)));
        c.put(Kind::Service, &service("default", "web"));
        assert_eq!(behind(Port::Number(80)), Behind::Nobody);
        c.put(Kind::Slice, &slice("web-1", "web", 8080, true));
        c.put(Kind::Slice, &slice("other", "other", 9090, true));
        let there = Behind::Ready(vec!["10.0.0.1:8080".parse().unwrap()]);
        assert_eq!(behind(Port::Number(80)), there);
        assert_eq!(behind(Port::Name("http".into())), there);
        assert!(matches!(behind(Port::Number(8080)), Behind::Unknown(_)));
        c.put(Kind::Slice, &slice("web-1", "web", 8080, false));
        assert_eq!(behind(Port::Number(80)), Behind::Nobody);
        c.put(Kind::Slice, &slice("web-1", "web", 8080, true));
        c.remove(Kind::Slice, &slice("web-1", "web", 8080, true));
        assert_eq!(behind(Port::Number(80)), Behind::Nobody);
    }

    #[test]
    fn a_list_replaces_what_was_there_and_all_lists_make_it_known() {
        let c = cluster();
        c.put(Kind::Service, &service("default", "old"));
        for kind in Kind::ALL {
            assert!(!c.known());
            c.replace(kind, &[]);
        }
        assert!(c.known());
        let old = Backend { service: ("default".into(), "old".into()), port: Port::Number(80) };
        assert!(matches!(c.behind(&old), Behind::Unknown(_)));
    }

    #[test]
    fn a_status_is_written_once_and_only_to_ours() {
        let c = cluster();
        let ingress = |class: &str, status: Value| {
            json!({"metadata": {"namespace": "default", "name": class},
                "spec": {"ingressClassName": class}, "status": status})
        };
        c.put(Kind::Ingress, &ingress("podlab", json!(null)));
        c.put(Kind::Ingress, &ingress("nginx", json!(null)));
        assert_eq!(c.unpublished(), []);
        c.put(Kind::Service, &service("edge", "gateway"));
        let address = json!([{"ip": "10.96.0.7"}]);
        let name = ("default".to_owned(), "podlab".to_owned());
        assert_eq!(c.unpublished(), [(name, address.clone())]);
        c.put(Kind::Ingress, &ingress("podlab", json!({"loadBalancer": {"ingress": address}})));
        assert_eq!(c.unpublished(), []);
    }
}
