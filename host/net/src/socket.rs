//! Sockets of any kind, as the network keeps them: bound, listening, connecting, closed.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use podlab_trace::{Kind, PlaceId};

use crate::errno::Errno;
use crate::namespace::{Stack, canonical, loopback_if_unspecified};
use crate::net::State;
use crate::table::Key;
use crate::tcp::conn::{CLIENT, Wakers};
use crate::tcp::{BACKLOG_MAX, TcpOptions};
use crate::udp::Datagrams;

/// A socket of any kind, as the network keeps it.
pub(crate) struct Socket {
    pub(crate) stack: u64,
    pub(crate) namespace: Key,
    pub(crate) place: PlaceId,
    pub(crate) v6: bool,
    pub(crate) options: TcpOptions,
    /// Where it is bound in the namespace's ports.
    pub(crate) bound: Option<SocketAddr>,
    pub(crate) role: Role,
}

pub(crate) enum Role {
    Idle,
    Listening(Listening),
    Connection { conn: Key, side: usize },
    Datagrams(Datagrams),
}

pub(crate) struct Listening {
    pub(crate) backlog: usize,
    /// Connections whose handshake is under way.
    pub(crate) pending: Vec<Key>,
    /// Connections that wait to be accepted.
    pub(crate) queue: VecDeque<Key>,
    pub(crate) waiting: Wakers,
}

impl State {
    pub(crate) fn add_socket(
        &mut self,
        stack: u64,
        namespace: Key,
        place: PlaceId,
        v6: bool,
        options: TcpOptions,
        role: Role,
    ) -> Key {
        let socket = Socket { stack, namespace, place, v6, options, bound: None, role };
        let key = self.sockets.insert(socket);
        self.namespaces[namespace].sockets.insert(key);
        key
    }

    /// Binds a socket in the ports of its protocol.
    pub(crate) fn bind(&mut self, key: Key, addr: SocketAddr) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(key).ok_or(Errno::ConnAborted)?;
        if socket.bound.is_some()
            || matches!(socket.role, Role::Connection { .. } | Role::Listening(_))
        {
            return Err(Errno::Invalid);
        }
        if addr.is_ipv6() != socket.v6 {
            return Err(Errno::Family);
        }
        let addr = canonical(addr);
        let only = socket.options.v6_only;
        if only && socket.v6 && addr.is_ipv4() {
            return Err(Errno::Invalid);
        }
        let ns = &mut self.namespaces[socket.namespace];
        if !addr.ip().is_unspecified() && !ns.has(addr.ip()) {
            return Err(Errno::AddrNotAvailable);
        }
        let dual = addr.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && !only;
        let ports =
            if matches!(socket.role, Role::Datagrams(_)) { &mut ns.udp } else { &mut ns.tcp };
        let port = ports.bind(key, addr.ip(), addr.port(), dual)?;
        socket.bound = Some(SocketAddr::new(addr.ip(), port));
        Ok(())
    }

    pub(crate) fn listen(&mut self, key: Key, backlog: usize) -> Result<(), Errno> {
        let backlog = backlog.clamp(1, BACKLOG_MAX);
        let socket = self.sockets.get_mut(key).ok_or(Errno::ConnAborted)?;
        match &mut socket.role {
            Role::Listening(l) => {
                l.backlog = backlog;
                return Ok(());
            }
            Role::Idle => {}
            Role::Connection { .. } | Role::Datagrams(_) => return Err(Errno::Invalid),
        }
        if socket.bound.is_none() {
            let any: IpAddr =
                if socket.v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
            self.bind(key, SocketAddr::new(any, 0))?;
        }
        let socket = &mut self.sockets[key];
        socket.role = Role::Listening(Listening {
            backlog,
            pending: Vec::new(),
            queue: VecDeque::new(),
            waiting: Wakers::default(),
        });
        let addr = socket.bound.expect("bound above");
        let place = socket.place;
        self.emit(place, Kind::Listen { addr, udp: false });
        Ok(())
    }

    pub(crate) fn start_connect(&mut self, key: Key, to: SocketAddr) -> Result<(), Errno> {
        match self.sockets.get(key).ok_or(Errno::ConnAborted)?.role {
            Role::Idle => {}
            Role::Connection { conn, side } => match self.conns.get(conn).map(|c| &c.ends[side]) {
                Some(end) if end.connected => return Err(Errno::IsConnected),
                Some(end) if !end.dead => return Err(Errno::Already),
                // It failed before: as on Linux, one may try again.
                _ => {
                    self.sockets[key].role = Role::Idle;
                    self.close_end(conn, side);
                }
            },
            Role::Listening(_) | Role::Datagrams(_) => return Err(Errno::Invalid),
        }
        let socket = &self.sockets[key];
        if to.is_ipv6() != socket.v6 {
            return Err(Errno::Family);
        }
        let to = loopback_if_unspecified(canonical(to));
        if socket.options.v6_only && socket.v6 && to.is_ipv4() {
            return Err(Errno::Unreachable);
        }
        if to.port() == 0 {
            return Err(Errno::Invalid);
        }
        let (namespace, bound) = (socket.namespace, socket.bound);
        let ns = &mut self.namespaces[namespace];
        let source = ns.source(to.ip())?;
        let (local, lent) = match bound {
            // Linux: no way leads from the loopback to elsewhere.
            Some(b) if b.ip().is_loopback() && !ns.has(to.ip()) => return Err(Errno::Invalid),
            Some(b) if b.is_ipv4() != to.is_ipv4() && !b.ip().is_unspecified() => {
                return Err(Errno::Invalid);
            }
            Some(b) if !b.ip().is_unspecified() => (b, None),
            Some(b) => (SocketAddr::new(source, b.port()), None),
            None => {
                let port = ns.tcp.lend()?;
                (SocketAddr::new(source, port), Some((namespace, port)))
            }
        };
        let conn = self.connect(key, local, to, lent);
        self.sockets[key].role = Role::Connection { conn, side: CLIENT };
        Ok(())
    }

    /// `close(2)`.
    pub(crate) fn close_socket(&mut self, key: Key) {
        let Some(socket) = self.sockets.remove(key) else { return };
        if let Some(ns) = self.namespaces.get_mut(socket.namespace) {
            ns.sockets.remove(&key);
            if let Some(bound) = socket.bound {
                ns.tcp.unbind(key, bound.port());
                ns.udp.unbind(key, bound.port());
            }
        }
        match socket.role {
            Role::Idle => {}
            Role::Listening(mut l) => {
                l.waiting.wake(&mut self.wakes);
                let addr = socket.bound.expect("a listener is bound");
                self.emit(socket.place, Kind::Unlisten { addr, udp: false });
                for conn in l.pending.into_iter().chain(l.queue) {
                    self.turn_away(conn);
                }
            }
            Role::Connection { conn, side } => self.close_end(conn, side),
            Role::Datagrams(mut d) => {
                d.readers.wake(&mut self.wakes);
                if let (true, Some(addr)) = (d.told, socket.bound) {
                    self.emit(socket.place, Kind::Unlisten { addr, udp: true });
                }
            }
        }
    }

    /// The connection of a socket and its side of it.
    pub(crate) fn connection(&self, key: Key) -> Result<(Key, usize), Errno> {
        match self.sockets.get(key).ok_or(Errno::ConnAborted)?.role {
            Role::Connection { conn, side } if self.conns.get(conn).is_some() => Ok((conn, side)),
            Role::Connection { .. } => Err(Errno::ConnAborted),
            Role::Idle | Role::Listening(_) | Role::Datagrams(_) => Err(Errno::NotConnected),
        }
    }
}

pub(crate) fn open(stack: &Stack, v6: bool, role: Role) -> Result<Key, Errno> {
    if stack.is_closed() {
        return Err(Errno::ConnAborted);
    }
    stack.net.with(|s| {
        let namespace = stack.namespace.key;
        let ns = s.namespaces.get(namespace).ok_or(Errno::ConnAborted)?;
        if ns.sockets.len() >= s.options.sockets {
            return Err(Errno::TooManySockets);
        }
        Ok(s.add_socket(stack.id, namespace, stack.place, v6, TcpOptions::default(), role))
    })
}
