//! The network of a world, and what can be changed about it while it runs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use podlab_sim::{Handle, Time};
use podlab_trace::{ConnId, PlaceId, Trace};

use crate::dns::{DnsFault, Names};
use crate::fabric::{Carrier, Fabric};
use crate::link::{LinkDefaults, LinkEnds, LinkProps, Links, Path, Site};
use crate::namespace::{Namespace, NamespaceSpec, Ns};
use crate::policy::Policy;
use crate::service::{Service, Services};
use crate::socket::Socket;
use crate::table::{Key, Table};
use crate::tcp::conn::Conn;

/// What a network is like.
#[derive(Clone, Debug)]
pub struct NetOptions {
    /// The links without any rule.
    pub links: LinkDefaults,
    /// How often a SYN is sent again, after 1, 2, 4 s and so on (Linux `tcp_syn_retries`).
    pub syn_retries: u32,
    /// How often data is sent again before its sender gives up (Linux `tcp_retries2`).
    pub data_retries: u32,
    /// The most sockets that one namespace may have.
    pub sockets: usize,
}

impl Default for NetOptions {
    fn default() -> NetOptions {
        NetOptions {
            links: LinkDefaults::default(),
            syn_retries: 6,
            data_retries: 15,
            sockets: 16384,
        }
    }
}

/// The network of one world. All clones are the same network.
#[derive(Clone)]
pub struct Net {
    pub(crate) state: Arc<Mutex<State>>,
}

/// Everything there is, under one lock.
pub(crate) struct State {
    pub(crate) sim: Handle,
    pub(crate) trace: Trace,
    pub(crate) options: NetOptions,
    pub(crate) payload_limit: usize,
    pub(crate) nodes: BTreeMap<String, PlaceId>,
    pub(crate) namespaces: Table<Ns>,
    pub(crate) by_ip: BTreeMap<IpAddr, Key>,
    pub(crate) next_namespace: u64,
    pub(crate) next_stack: u64,
    pub(crate) sockets: Table<Socket>,
    pub(crate) conns: Table<Conn>,
    pub(crate) next_conn: ConnId,
    pub(crate) links: Links,
    pub(crate) services: Services,
    pub(crate) names: Names,
    pub(crate) policy: Option<Policy>,
    pub(crate) fabric: Fabric,
    /// Whom to wake once the lock is released.
    pub(crate) wakes: Vec<Waker>,
}

impl Net {
    /// An empty network. It starts one task of its own in `sim`, which sleeps while nothing is
    /// under way.
    pub fn new(sim: &Handle, trace: &Trace, options: NetOptions) -> Net {
        let state = State {
            sim: sim.clone(),
            trace: trace.clone(),
            payload_limit: trace.payload_limit(),
            nodes: BTreeMap::new(),
            namespaces: Table::new(),
            by_ip: BTreeMap::new(),
            next_namespace: 1,
            next_stack: 1,
            sockets: Table::new(),
            conns: Table::new(),
            next_conn: 1,
            links: Links::new(options.links, sim),
            services: Services::new(sim.rng("net/services")),
            names: Names::default(),
            policy: None,
            fabric: Fabric::new(sim),
            wakes: Vec::new(),
            options,
        };
        let state = Arc::new(Mutex::new(state));
        sim.spawn(Carrier(Arc::downgrade(&state)));
        Net { state }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the network")
    }

    /// Changes the state, then sets the timer and wakes whoever is to be woken.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let out = change(&mut state);
        state.fabric.arm();
        if state.wakes.is_empty() {
            return out;
        }
        let wakes = std::mem::take(&mut state.wakes);
        drop(state);
        wakes.into_iter().for_each(Waker::wake);
        out
    }

    /// Announces a node. Namespaces name the node they are on; a name that was not announced
    /// is a node all the same.
    pub fn add_node(&self, name: &str, place: PlaceId) {
        self.lock().nodes.insert(name.to_owned(), place);
    }

    /// The place of a node, if it was announced.
    pub fn node(&self, name: &str) -> Option<PlaceId> {
        self.lock().nodes.get(name).copied()
    }

    /// Makes a namespace: a pod's, a node's or that of a client outside.
    ///
    /// # Errors
    /// [`Errno::AddrInUse`](crate::Errno::AddrInUse) if another namespace has one of the
    /// addresses.
    pub fn try_namespace(&self, spec: NamespaceSpec) -> Result<Namespace, crate::Errno> {
        let (name, place) = (spec.name.clone(), spec.place);
        let key = self.with(|s| s.add_namespace(spec))?;
        Ok(Namespace::new(self.clone(), key, name, place))
    }

    /// Like [`try_namespace`](Net::try_namespace), for addresses known to be free.
    ///
    /// # Panics
    /// If another namespace has one of the addresses.
    pub fn namespace(&self, spec: NamespaceSpec) -> Namespace {
        let (name, ip) = (spec.name.clone(), spec.ipv4);
        self.try_namespace(spec)
            .unwrap_or_else(|e| panic!("the address {ip} of namespace {name}: {e}"))
    }

    /// Makes a Service known to, or changes it on, all nodes and outside clients. Connections
    /// that exist keep their endpoint.
    pub fn set_service(&self, service: Service) {
        self.lock().services.set(service);
    }

    /// Makes a Service known on one node only, as when the news has not reached the others.
    pub fn set_service_on(&self, node: &str, service: Service) {
        self.lock().services.set_on(node, service.name.clone(), Some(service));
    }

    /// Removes a Service everywhere.
    pub fn remove_service(&self, name: &str) {
        self.lock().services.remove(name);
    }

    /// Removes a Service on one node only.
    pub fn remove_service_on(&self, node: &str, name: &str) {
        self.lock().services.set_on(node, name.to_owned(), None);
    }

    /// Gives a full name ("web.default.svc.cluster.local") its addresses.
    pub fn set_name(&self, fqdn: &str, addresses: Vec<IpAddr>) {
        self.lock().names.set(fqdn, addresses);
    }

    /// Takes a full name back.
    pub fn remove_name(&self, fqdn: &str) {
        self.lock().names.remove(fqdn);
    }

    /// Makes name lookups fail: those of the namespace called `namespace`, or all. `None` as
    /// fault ends it.
    pub fn set_dns_fault(&self, namespace: Option<&str>, fault: Option<DnsFault>) {
        self.lock().names.set_fault(namespace, fault);
    }

    /// Changes the links from one end to another; replaces what was set for the same ends.
    /// Where several rules apply, later ones lie over earlier ones.
    pub fn set_link(&self, ends: LinkEnds, props: LinkProps) {
        self.lock().links.set(ends, props);
    }

    /// Takes back what [`set_link`](Net::set_link) set for these ends. Says whether there was
    /// something.
    pub fn clear_link(&self, ends: &LinkEnds) -> bool {
        self.lock().links.clear(ends)
    }

    /// The rules in force, the oldest first.
    pub fn links(&self) -> Vec<(LinkEnds, LinkProps)> {
        self.lock().links.rules()
    }

    /// How many connections there are, also those that no program holds any more but that
    /// still have something to send.
    pub fn connections(&self) -> usize {
        self.lock().conns.iter().count()
    }

    /// Makes a Service ("namespace/name") send a client to the endpoint it had last, for this
    /// long after its last connection; `None` forgets that.
    pub fn set_affinity(&self, service: &str, lasts: Option<std::time::Duration>) {
        self.lock().services.set_affinity(service, lasts);
    }

    /// Sets who decides which connections and datagrams get through; `None` lets all through.
    /// It is asked under the network's lock: it must not call the network.
    pub fn set_policy(&self, policy: Option<Policy>) {
        self.lock().policy = policy;
    }
}

impl State {
    pub(crate) fn now(&self) -> Time {
        self.sim.now()
    }

    pub(crate) fn emit(&self, place: PlaceId, kind: podlab_trace::Kind) -> podlab_trace::Seq {
        self.trace.emit(self.sim.now().as_nanos(), place, kind)
    }

    /// The link between two namespaces as it is now.
    pub(crate) fn path(&self, from: Key, to: Key) -> Option<Path> {
        let (a, b) = (self.namespaces.get(from)?, self.namespaces.get(to)?);
        Some(self.links.path((a.id, a.site()), (b.id, b.site())))
    }

    /// The first `payload_limit` bytes, not copied.
    pub(crate) fn clip(&self, data: &bytes::Bytes) -> bytes::Bytes {
        data.slice(..data.len().min(self.payload_limit))
    }
}

impl Ns {
    pub(crate) fn site(&self) -> Site<'_> {
        Site { name: &self.name, node: &self.node, external: self.external, places: &self.places }
    }
}
