//! Network namespaces, and what a container sees of one.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use podlab_trace::PlaceId;

use crate::errno::Errno;
use crate::net::{Net, State};
use crate::ports::Ports;
use crate::table::Key;
use crate::tcp::TcpSocket;
use crate::udp::UdpSocket;

/// What a namespace is made of.
#[derive(Clone, Debug)]
pub struct NamespaceSpec {
    /// Its name, which link rules and DNS faults use: "default/web-0", "client-1".
    pub name: String,
    /// The node it is on; empty if it is external.
    pub node: String,
    /// Where packets to it go: the pod's place.
    pub place: PlaceId,
    /// Its address.
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address, if it has one. `::1` is always there.
    pub ipv6: Option<Ipv6Addr>,
    /// Its own name, which resolves to its addresses.
    pub hostname: String,
    /// The domains in which names with fewer than 5 dots are tried first.
    pub search: Vec<String>,
    /// Whether it lies outside of the cluster.
    pub external: bool,
}

pub(crate) struct Ns {
    /// Tells it from every other namespace of this world, also of past ones.
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) place: PlaceId,
    pub(crate) places: Vec<PlaceId>,
    pub(crate) ipv4: Ipv4Addr,
    pub(crate) ipv6: Option<Ipv6Addr>,
    pub(crate) hostname: String,
    pub(crate) search: Vec<String>,
    pub(crate) external: bool,
    pub(crate) tcp: Ports,
    pub(crate) udp: Ports,
    pub(crate) sockets: BTreeSet<Key>,
}

impl Ns {
    /// Whether `ip` is an address of this namespace.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(v4) => v4.is_loopback() || v4 == self.ipv4,
            IpAddr::V6(v6) => v6.is_loopback() || Some(v6) == self.ipv6,
        }
    }

    /// The address that packets to `to` come from.
    pub(crate) fn source(&self, to: IpAddr) -> Result<IpAddr, Errno> {
        if to.is_loopback() {
            return Ok(match to {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => to,
            });
        }
        match to {
            IpAddr::V4(_) => Ok(self.ipv4.into()),
            IpAddr::V6(_) => self.ipv6.map(IpAddr::V6).ok_or(Errno::Unreachable),
        }
    }
}

/// A namespace. All clones are the same namespace.
#[derive(Clone)]
pub struct Namespace {
    net: Net,
    pub(crate) key: Key,
    name: Arc<str>,
    place: PlaceId,
}

impl Namespace {
    pub(crate) fn new(net: Net, key: Key, name: String, place: PlaceId) -> Namespace {
        Namespace { net, key, name: name.into(), place }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The place that packets to it go to.
    pub fn place(&self) -> PlaceId {
        self.place
    }

    /// What one program sees of the namespace: its events get `place`, its sockets end with
    /// [`Stack::close`].
    pub fn stack(&self, place: PlaceId) -> Stack {
        let id = self.net.with(|s| {
            if let Some(ns) = s.namespaces.get_mut(self.key)
                && !ns.places.contains(&place)
            {
                ns.places.push(place);
                // Rules may name this place.
                s.links.epoch += 1;
            }
            s.next_stack += 1;
            s.next_stack
        });
        let (net, namespace) = (self.net.clone(), self.clone());
        Stack { net, namespace, place, id, closed: Arc::new(AtomicBool::new(false)) }
    }

    /// Ends the namespace, as when a pod is deleted: sockets that are still open vanish without
    /// a word, and packets to its addresses go nowhere.
    pub fn close(&self) {
        self.net.with(|s| s.close_namespace(self.key));
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.net.lock().namespaces.get(self.key).is_none()
    }
}

/// What one program sees of a namespace. All clones are the same stack.
#[derive(Clone)]
pub struct Stack {
    pub(crate) net: Net,
    pub(crate) namespace: Namespace,
    pub(crate) place: PlaceId,
    pub(crate) id: u64,
    closed: Arc<AtomicBool>,
}

impl Stack {
    /// The namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The place its events get.
    pub fn place(&self) -> PlaceId {
        self.place
    }

    /// The network.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// A TCP socket that is not bound yet; for IPv6 if `v6`.
    ///
    /// # Errors
    /// [`Errno::TooManySockets`]; [`Errno::ConnAborted`] if the stack or namespace is closed.
    pub fn tcp(&self, v6: bool) -> Result<TcpSocket, Errno> {
        TcpSocket::open(self, v6)
    }

    /// A UDP socket that is not bound yet; for IPv6 if `v6`.
    ///
    /// # Errors
    /// As [`tcp`](Stack::tcp).
    pub fn udp(&self, v6: bool) -> Result<UdpSocket, Errno> {
        UdpSocket::open(self, v6)
    }

    /// The program ended: its sockets close as the kernel would close them, and no more can be
    /// made.
    pub fn close(&self) {
        if !self.closed.swap(true, Relaxed) {
            self.net.with(|s| s.close_stack(self.namespace.key, self.id));
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }
}

impl State {
    pub(crate) fn add_namespace(&mut self, spec: NamespaceSpec) -> Result<Key, Errno> {
        let v4 = IpAddr::V4(spec.ipv4);
        let ips = [Some(v4), spec.ipv6.map(IpAddr::V6)];
        if ips.iter().flatten().any(|ip| self.by_ip.contains_key(ip)) {
            return Err(Errno::AddrInUse);
        }
        let ns = Ns {
            id: self.next_namespace,
            name: spec.name,
            node: spec.node,
            place: spec.place,
            places: vec![spec.place],
            ipv4: spec.ipv4,
            ipv6: spec.ipv6,
            hostname: spec.hostname,
            search: spec.search,
            external: spec.external,
            tcp: Ports::new(),
            udp: Ports::new(),
            sockets: BTreeSet::new(),
        };
        self.next_namespace += 1;
        let key = self.namespaces.insert(ns);
        for ip in ips.into_iter().flatten() {
            self.by_ip.insert(ip, key);
        }
        Ok(key)
    }

    fn close_namespace(&mut self, key: Key) {
        let Some(ns) = self.namespaces.remove(key) else { return };
        self.by_ip.retain(|_, k| *k != key);
        self.links.forget(ns.id);
        self.links.epoch += 1;
        self.vanish(key, &ns.sockets);
    }

    fn close_stack(&mut self, namespace: Key, stack: u64) {
        let Some(ns) = self.namespaces.get(namespace) else { return };
        let own = |k: &Key| self.sockets.get(*k).is_some_and(|s| s.stack == stack);
        let sockets: Vec<Key> = ns.sockets.iter().copied().filter(own).collect();
        for socket in sockets {
            self.close_socket(socket);
        }
    }

    /// The namespace that `ip` leads to, seen from `from`.
    pub(crate) fn locate(&self, from: Key, ip: IpAddr) -> Option<Key> {
        if ip.is_loopback() {
            return self.namespaces.get(from).map(|_| from);
        }
        self.by_ip.get(&ip).copied()
    }
}

/// The address a socket works with: IPv4 inside IPv6 (`::ffff:a.b.c.d`) is IPv4.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// The address as a socket of the given family shows it.
pub(crate) fn shown(addr: SocketAddr, v6: bool) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(v4) if v6 => SocketAddr::new(v4.to_ipv6_mapped().into(), addr.port()),
        _ => addr,
    }
}

/// Linux takes the unspecified address as destination for the loopback.
pub(crate) fn loopback_if_unspecified(mut to: SocketAddr) -> SocketAddr {
    match to.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => to.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => to.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    to
}
