//! UDP: datagrams.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use bytes::Bytes;
use podlab_trace::{Kind, Seq};

use crate::errno::Errno;
use crate::fabric::Due;
use crate::link::Fate;
use crate::namespace::{Stack, canonical, loopback_if_unspecified, shown};
use crate::net::{Net, State};
use crate::policy::{Flow, allowed};
use crate::socket::{Role, open};
use crate::table::Key;
use crate::tcp::conn::{Target, Wakers};

/// The most bytes that fit into a datagram: 65,535 less the headers of IPv4 and UDP.
pub const DATAGRAM_MAX: usize = 65_507;
/// Bytes of datagrams that wait to be read (Linux `rmem_default`); more are dropped.
const QUEUE_MAX: usize = 212_992;
/// Bytes of one socket's datagrams that links hold; more are dropped, as a full queue of a
/// network card drops them.
const IN_FLIGHT_MAX: usize = 4 << 20;
/// What a datagram takes of the queue beside its bytes.
const OVERHEAD: usize = 256;

/// The most Services that a socket talks to at a time.
const TRANSLATIONS_MAX: usize = 64;

pub(crate) struct Datagrams {
    peer: Option<SocketAddr>,
    queue: VecDeque<(SocketAddr, Bytes, Seq)>,
    queued: usize,
    limit: usize,
    /// Bytes of its datagrams that are on the wire.
    in_flight: usize,
    error: Option<Errno>,
    /// Virtual addresses it sent to, and the endpoints that were chosen: what comes from an
    /// endpoint comes from the virtual address (conntrack does this on a node).
    translated: Vec<(SocketAddr, SocketAddr)>,
    hop_limit: u8,
    /// Whether the trace knows that it is bound.
    pub(crate) told: bool,
    pub(crate) readers: Wakers,
}

impl Datagrams {
    fn translate(&self, from: SocketAddr) -> SocketAddr {
        self.translated.iter().find(|(_, e)| *e == from).map_or(from, |(vip, _)| *vip)
    }

    fn remember(&mut self, vip: SocketAddr, endpoint: SocketAddr) {
        self.translated.retain(|(v, e)| *v != vip && *e != endpoint);
        if self.translated.len() >= TRANSLATIONS_MAX {
            self.translated.remove(0);
        }
        self.translated.push((vip, endpoint));
    }
}

impl State {
    fn datagrams(&mut self, key: Key) -> Option<&mut Datagrams> {
        match &mut self.sockets.get_mut(key)?.role {
            Role::Datagrams(d) => Some(d),
            _ => None,
        }
    }

    /// Sends a datagram from a socket.
    fn send_datagram(
        &mut self,
        key: Key,
        data: Bytes,
        to: Option<SocketAddr>,
    ) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(key).ok_or(Errno::ConnAborted)?;
        let (namespace, place, v6) = (socket.namespace, socket.place, socket.v6);
        let Role::Datagrams(d) = &mut socket.role else { return Err(Errno::Invalid) };
        if let Some(error) = d.error.take() {
            return Err(error);
        }
        let to = match (to, d.peer) {
            (Some(to), _) if to.is_ipv6() != v6 => return Err(Errno::Family),
            (Some(to), _) => canonical(to),
            (None, Some(peer)) => peer,
            (None, None) => return Err(Errno::NotConnected),
        };
        if to.port() == 0 {
            return Err(Errno::Invalid);
        }
        if data.len() > DATAGRAM_MAX {
            return Err(Errno::MessageTooLong);
        }
        let to = loopback_if_unspecified(to);
        let source = self.namespaces[namespace].source(to.ip())?;
        if self.sockets[key].bound.is_none() {
            self.bind(key, unspecified(v6))?;
        }
        let bound = self.sockets[key].bound.expect("bound above");
        let from_ip = if bound.ip().is_unspecified() { source } else { bound.ip() };
        let from = SocketAddr::new(from_ip, bound.port());
        let keep = match &self.sockets[key].role {
            Role::Datagrams(d) => d.translated.iter().find(|(vip, _)| *vip == to).map(|t| t.1),
            _ => None,
        };
        let (target, _, kind) = self.route(namespace, to, true, keep);
        if target != to
            && let Role::Datagrams(d) = &mut self.sockets[key].role
        {
            d.remember(to, target);
        }
        let found = match kind {
            Target::Host => self.locate(namespace, target.ip()),
            Target::Rejected | Target::Nowhere => None,
        };
        if kind == Target::Rejected {
            let at = self.now() + self.links.defaults().loopback.latency;
            self.fabric.push(at, Due::Unreachable { socket: key, peer: to });
        }
        let path = found.and_then(|n| self.path(namespace, n));
        let passes = found.is_some_and(|n| {
            let flow = Flow {
                from: self.namespaces[namespace].place,
                from_addr: from,
                to: self.namespaces[n].place,
                to_addr: target,
                udp: true,
            };
            allowed(self.policy.as_ref(), &flow).is_ok()
        });
        let now = self.now();
        let size = data.len() + OVERHEAD;
        let fits = self.datagrams(key).is_some_and(|d| d.in_flight + 2 * size <= IN_FLIGHT_MAX);
        let mut arrivals = Vec::new();
        if let (Some(path), true) = (path, passes && fits) {
            let copies = 1 + usize::from(self.links.doubles(&path));
            for _ in 0..copies {
                if let Fate::Arrives(at) = self.links.fate(&path, now, data.len()) {
                    arrivals.push(at);
                }
            }
        }
        let first = arrivals.iter().min().map_or(u64::MAX, |at| at.as_nanos());
        let peer = found.map_or(0, |n| self.namespaces[n].place);
        let (len, payload) = (data.len() as u32, self.clip(&data));
        let kind = Kind::Datagram { from, to: target, peer, len, payload, arrives: first };
        let seq = self.emit(place, kind);
        if let Some(d) = self.datagrams(key) {
            d.in_flight += arrivals.len() * size;
        }
        for at in arrivals {
            let to = found.expect("it has a way");
            let due =
                Due::Datagram { to, local: target, from, data: data.clone(), seq, sender: key };
            self.fabric.push(at, due);
        }
        Ok(())
    }

    pub(crate) fn datagram_arrives(
        &mut self,
        to: Key,
        local: SocketAddr,
        from: SocketAddr,
        data: Bytes,
        seq: Seq,
        sender: Key,
    ) {
        if let Some(d) = self.datagrams(sender) {
            d.in_flight -= data.len() + OVERHEAD;
        }
        let Some(ns) = self.namespaces.get(to) else { return };
        let takes = |k: &Key| {
            let Some(socket) = self.sockets.get(*k) else { return false };
            match &socket.role {
                // A connected socket takes from its peer alone.
                Role::Datagrams(d) => d.peer.is_none_or(|p| p == d.translate(from)),
                _ => false,
            }
        };
        let found = ns.udp.find(local.ip(), local.port()).find(takes);
        if let Some(found) = found {
            let Role::Datagrams(d) = &mut self.sockets[found].role else {
                unreachable!("a socket for datagrams was looked for");
            };
            // Beyond its buffer it is dropped, and nobody is told.
            if d.queued + data.len() + OVERHEAD <= d.limit {
                d.queued += data.len() + OVERHEAD;
                d.queue.push_back((d.translate(from), data, seq));
                d.readers.wake(&mut self.wakes);
            }
            return;
        }
        // ICMP port unreachable goes back; only a connected socket hears of it.
        let Some(back) = self.sockets.get(sender).map(|s| s.namespace) else { return };
        if let Some(path) = self.path(to, back)
            && let Fate::Arrives(at) = self.links.fate(&path, self.now(), 0)
        {
            self.fabric.push(at, Due::Unreachable { socket: sender, peer: local });
        }
    }

    pub(crate) fn nobody_there(&mut self, socket: Key, peer: SocketAddr) {
        let Some(socket) = self.sockets.get_mut(socket) else { return };
        let Role::Datagrams(d) = &mut socket.role else { return };
        if d.peer == Some(d.translate(peer)) {
            d.error = Some(Errno::ConnRefused);
            d.readers.wake(&mut self.wakes);
        }
    }
}

fn unspecified(v6: bool) -> SocketAddr {
    let ip: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    SocketAddr::new(ip, 0)
}

/// A UDP socket. Dropping it closes it. Operations never block.
pub struct UdpSocket {
    net: Net,
    key: Key,
    v6: bool,
}

impl UdpSocket {
    pub(crate) fn open(stack: &Stack, v6: bool) -> Result<UdpSocket, Errno> {
        let role = Role::Datagrams(Datagrams {
            peer: None,
            queue: VecDeque::new(),
            queued: 0,
            limit: QUEUE_MAX,
            in_flight: 0,
            error: None,
            translated: Vec::new(),
            hop_limit: 64,
            told: false,
            readers: Wakers::default(),
        });
        let key = open(stack, v6, role)?;
        Ok(UdpSocket { net: stack.net.clone(), key, v6 })
    }

    fn with<R>(&self, change: impl FnOnce(&mut Datagrams) -> Result<R, Errno>) -> Result<R, Errno> {
        match self.net.lock().sockets.get_mut(self.key).map(|s| &mut s.role) {
            Some(Role::Datagrams(d)) => change(d),
            _ => Err(Errno::ConnAborted),
        }
    }

    /// Whether it is an IPv6 socket.
    pub fn is_ipv6(&self) -> bool {
        self.v6
    }

    /// Gives the socket a local address; port 0 asks for an ephemeral one.
    ///
    /// # Errors
    /// As [`TcpSocket::bind`](crate::TcpSocket::bind).
    pub fn bind(&self, addr: SocketAddr) -> Result<(), Errno> {
        self.net.with(|s| {
            s.bind(self.key, addr)?;
            let socket = &mut s.sockets[self.key];
            let (place, bound) = (socket.place, socket.bound.expect("bound above"));
            if let Role::Datagrams(d) = &mut socket.role {
                d.told = true;
            }
            s.emit(place, Kind::Listen { addr: bound, udp: true });
            Ok(())
        })
    }

    /// Sets the peer: `None` as address of [`send`](UdpSocket::send) means it, and only what
    /// comes from it is received. `None` here takes it back.
    ///
    /// # Errors
    /// [`Errno::Family`], [`Errno::Invalid`] (port 0), [`Errno::Unreachable`],
    /// [`Errno::AddrNotAvailable`].
    pub fn connect(&self, peer: Option<SocketAddr>) -> Result<(), Errno> {
        let v6 = self.v6;
        self.net.with(|s| {
            let socket = s.sockets.get(self.key).ok_or(Errno::ConnAborted)?;
            let namespace = socket.namespace;
            let bound = socket.bound;
            let peer = match peer {
                Some(p) if p.is_ipv6() != v6 => return Err(Errno::Family),
                Some(p) if p.port() == 0 => return Err(Errno::Invalid),
                Some(p) => Some(loopback_if_unspecified(canonical(p))),
                None => None,
            };
            if let Some(peer) = peer {
                s.namespaces[namespace].source(peer.ip())?;
                if bound.is_none() {
                    s.bind(self.key, unspecified(v6))?;
                }
            }
            if let Role::Datagrams(d) = &mut s.sockets[self.key].role {
                d.peer = peer;
                d.error = None;
                if let Some(peer) = peer {
                    d.queue.retain(|(from, ..)| *from == peer);
                    d.queued = d.queue.iter().map(|(_, data, _)| data.len() + OVERHEAD).sum();
                }
            }
            Ok(())
        })
    }

    /// Sends one datagram, to the peer if `to` is `None`. It is never too much: what the way
    /// or the receiver cannot take is lost.
    ///
    /// # Errors
    /// [`Errno::NotConnected`] without any address; [`Errno::MessageTooLong`] beyond
    /// [`DATAGRAM_MAX`]; [`Errno::ConnRefused`] if nobody took an earlier one (connected
    /// sockets); [`Errno::Family`], [`Errno::Unreachable`], [`Errno::AddrNotAvailable`].
    pub fn send(&self, data: Bytes, to: Option<SocketAddr>) -> Result<(), Errno> {
        self.net.with(|s| s.send_datagram(self.key, data, to))
    }

    /// The next datagram, cut to `max` bytes, and who sent it.
    ///
    /// # Errors
    /// [`Errno::WouldBlock`]; [`Errno::ConnRefused`] if nobody took what was sent.
    pub fn try_recv(&self, max: usize) -> Result<(Bytes, SocketAddr), Errno> {
        let v6 = self.v6;
        let mut state = self.net.lock();
        let socket = state.sockets.get_mut(self.key).ok_or(Errno::ConnAborted)?;
        let place = socket.place;
        let Role::Datagrams(d) = &mut socket.role else { return Err(Errno::ConnAborted) };
        if let Some(error) = d.error.take() {
            return Err(error);
        }
        let (from, mut data, seq) = d.queue.pop_front().ok_or(Errno::WouldBlock)?;
        d.queued -= data.len() + OVERHEAD;
        data.truncate(max);
        state.trace.took(place, seq);
        Ok((data, shown(from, v6)))
    }

    /// Ready once [`try_recv`](UdpSocket::try_recv) would not block.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.net.with(|s| match s.sockets.get_mut(self.key).map(|k| &mut k.role) {
            Some(Role::Datagrams(d)) if d.queue.is_empty() && d.error.is_none() => {
                d.readers.add(cx, &mut s.wakes);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
    }

    /// The next datagram.
    ///
    /// # Errors
    /// As [`try_recv`](UdpSocket::try_recv), without `WouldBlock`.
    pub async fn recv(&self, max: usize) -> Result<(Bytes, SocketAddr), Errno> {
        std::future::poll_fn(|cx| match self.try_recv(max) {
            Err(Errno::WouldBlock) => {
                let ready = self.poll_recv(cx);
                debug_assert!(ready.is_pending(), "nothing runs in between");
                Poll::Pending
            }
            done => Poll::Ready(done),
        })
        .await
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// [`Errno::Invalid`] before it has one.
    pub fn local_addr(&self) -> Result<SocketAddr, Errno> {
        let state = self.net.lock();
        let socket = state.sockets.get(self.key).ok_or(Errno::ConnAborted)?;
        let mut addr = socket.bound.ok_or(Errno::Invalid)?;
        if let (Role::Datagrams(Datagrams { peer: Some(peer), .. }), true) =
            (&socket.role, addr.ip().is_unspecified())
        {
            addr.set_ip(state.namespaces[socket.namespace].source(peer.ip())?);
        }
        Ok(shown(addr, self.v6))
    }

    /// The peer.
    ///
    /// # Errors
    /// [`Errno::NotConnected`].
    pub fn peer_addr(&self) -> Result<SocketAddr, Errno> {
        let v6 = self.v6;
        self.with(|d| d.peer.map(|p| shown(p, v6)).ok_or(Errno::NotConnected))
    }

    /// IP_TTL, IPV6_UNICAST_HOPS.
    pub fn hop_limit(&self) -> u8 {
        self.with(|d| Ok(d.hop_limit)).unwrap_or(64)
    }

    /// Sets the hop limit.
    ///
    /// # Errors
    /// [`Errno::Invalid`] for 0.
    pub fn set_hop_limit(&self, hops: u8) -> Result<(), Errno> {
        if hops == 0 {
            return Err(Errno::Invalid);
        }
        self.with(|d| {
            d.hop_limit = hops;
            Ok(())
        })
    }

    /// SO_RCVBUF: bytes of datagrams that wait; more are dropped.
    pub fn receive_buffer(&self) -> usize {
        self.with(|d| Ok(d.limit)).unwrap_or(QUEUE_MAX)
    }

    /// Sets the receive buffer, within 2304 bytes and the default.
    ///
    /// # Errors
    /// [`Errno::ConnAborted`] if the socket is gone.
    pub fn set_receive_buffer(&self, bytes: usize) -> Result<(), Errno> {
        self.with(|d| {
            d.limit = bytes.clamp(2304, QUEUE_MAX);
            Ok(())
        })
    }

    /// IPV6_V6ONLY; must be set before binding.
    ///
    /// # Errors
    /// [`Errno::Invalid`] once it is bound.
    pub fn set_v6_only(&self, only: bool) -> Result<(), Errno> {
        let mut state = self.net.lock();
        let socket = state.sockets.get_mut(self.key).ok_or(Errno::ConnAborted)?;
        if socket.bound.is_some() {
            return Err(Errno::Invalid);
        }
        socket.options.v6_only = only;
        Ok(())
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.net.with(|s| s.close_socket(self.key));
        }
    }
}
