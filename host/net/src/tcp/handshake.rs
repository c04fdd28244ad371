//! How a connection begins.

use std::net::SocketAddr;
use std::time::Duration;

use podlab_sim::Time;
use podlab_trace::{Kind, PlaceId};

use crate::dissect::Dissection;
use crate::errno::Errno;
use crate::fabric::{Due, Refusal};
use crate::link::Fate;
use crate::net::State;
use crate::policy::{Flow, allowed};
use crate::service::Route;
use crate::socket::Role;
use crate::table::Key;
use crate::tcp::conn::{CLIENT, Conn, End, Pipe, SERVER, Segment, Target};

/// How long after the first SYN the second is sent (RFC 6298, 2.1); then twice that, and so on.
const SYN_TIMEOUT: Duration = Duration::from_secs(1);

fn patience(attempt: u32) -> Duration {
    SYN_TIMEOUT.saturating_mul(1 << attempt.min(16))
}

impl State {
    /// Begins a connection from a socket whose local address is decided.
    pub(crate) fn connect(
        &mut self,
        socket: Key,
        local: SocketAddr,
        to: SocketAddr,
        lent: Option<(Key, u16)>,
    ) -> Key {
        let s = &self.sockets[socket];
        let (namespace, place, options) = (s.namespace, s.place, s.options);
        let (target_addr, via, target) = self.route(namespace, to, false, None);
        let found = match target {
            Target::Host => self.locate(namespace, target_addr.ip()),
            Target::Rejected | Target::Nowhere => None,
        };
        let peer: PlaceId = found.map_or(0, |n| self.namespaces[n].place);
        let id = self.next_conn;
        self.next_conn += 1;
        let connect = self.emit(
            place,
            Kind::Connect { conn: id, from: local, to, target: target_addr, via, peer },
        );
        let mut client = End::new(Some(namespace), place, local, to);
        client.socket = Some(socket);
        let mut server = End::new(None, peer, target_addr, local);
        server.orphan = true;
        let key = self.conns.insert(Conn {
            id,
            connect,
            target,
            ends: [client, server],
            pipes: [
                Pipe::new(options.send_buffer, options.receive_buffer),
                Pipe::new(options.send_buffer, options.receive_buffer),
            ],
            listener: None,
            lent,
            dissection: Dissection::default(),
            ended: false,
        });
        self.send_syn(key, 0);
        key
    }

    /// Where packets to `to` go, through which Service.
    pub(crate) fn route(
        &mut self,
        namespace: Key,
        to: SocketAddr,
        udp: bool,
        keep: Option<SocketAddr>,
    ) -> (SocketAddr, String, Target) {
        let now = self.now();
        let client = self.namespaces[namespace].source(to.ip()).ok().map(|ip| (ip, to, udp));
        let had = client.and_then(|c| self.services.recall(&c));
        let node = &self.namespaces[namespace].node;
        let mut route = self.services.route(node, to, udp, keep.or(had.map(|h| h.0)));
        if let (Route::Endpoint(_, via), None, Some((_, then))) = (&route, keep, had)
            && !self.services.remembers(via, then, now)
        {
            // It was too long ago.
            route = self.services.route(node, to, udp, None);
        }
        if let (Route::Endpoint(endpoint, via), Some(client)) = (&route, client) {
            self.services.remember(via, client, *endpoint, now);
        }
        match route {
            Route::Direct => (to, String::new(), Target::Host),
            Route::Endpoint(endpoint, via) => (endpoint, via, Target::Host),
            Route::Reject(via) => (to, via, Target::Rejected),
            Route::Nowhere(via) => (to, via, Target::Nowhere),
        }
    }

    pub(crate) fn send_syn(&mut self, conn: Key, attempt: u32) {
        let now = self.now();
        let Some(c) = self.conns.get(conn) else { return };
        let (client, server) = (&c.ends[CLIENT], &c.ends[SERVER]);
        if client.dead || client.connected {
            return;
        }
        let Some(from) = client.namespace.filter(|n| self.namespaces.get(*n).is_some()) else {
            return;
        };
        match c.target {
            Target::Host => {}
            Target::Rejected => {
                let at = now + self.links.defaults().loopback.latency;
                self.fabric.push(at, Due::Refused { conn, how: Refusal::Reset });
                return;
            }
            Target::Nowhere => {
                self.syn_lost(conn, now, attempt, Refusal::Timeout);
                return;
            }
        }
        let Some(to) = self.locate(from, server.local.ip()) else {
            self.syn_lost(conn, now, attempt, Refusal::Timeout);
            return;
        };
        let flow = Flow {
            from: self.namespaces[from].place,
            from_addr: client.local,
            to: self.namespaces[to].place,
            to_addr: server.local,
            udp: false,
        };
        if allowed(self.policy.as_ref(), &flow).is_err() {
            self.syn_lost(conn, now, attempt, Refusal::Denied);
            return;
        }
        let fate = self.path(from, to).map(|p| self.links.fate(&p, now, 0));
        match fate {
            Some(Fate::Arrives(at)) => {
                self.fabric.push(at, Due::Syn { conn, sent: now, attempt });
            }
            _ => self.syn_lost(conn, now, attempt, Refusal::Timeout),
        }
    }

    /// A SYN that left at `sent` was lost, or its answer: the client tries again in time, or
    /// gives up.
    fn syn_lost(&mut self, conn: Key, sent: Time, attempt: u32, how: Refusal) {
        let at = sent + patience(attempt);
        let due = if attempt >= self.options.syn_retries {
            Due::Refused { conn, how }
        } else {
            Due::SynAgain { conn, attempt: attempt + 1 }
        };
        self.fabric.push(at.max(self.now()), due);
    }

    pub(crate) fn syn_arrives(&mut self, conn: Key, sent: Time, attempt: u32) {
        let now = self.now();
        let Some(c) = self.conns.get(conn) else { return };
        if c.ends[CLIENT].dead {
            return;
        }
        let (client, addr) = (c.ends[CLIENT].namespace, c.ends[SERVER].local);
        let host = client.and_then(|n| self.locate(n, addr.ip()));
        let (Some(client), Some(host)) = (client, host) else {
            self.syn_lost(conn, sent, attempt, Refusal::Timeout);
            return;
        };
        let Some(path) = self.path(host, client) else { return };
        let Some(listener) = self.find_listener(host, addr) else {
            match self.links.fate(&path, now, 0) {
                Fate::Arrives(at) => {
                    self.fabric.push(at, Due::Refused { conn, how: Refusal::Reset });
                }
                Fate::Lost => self.syn_lost(conn, sent, attempt, Refusal::Timeout),
            }
            return;
        };
        let socket = &mut self.sockets[listener];
        let (place, options) = (socket.place, socket.options);
        let Role::Listening(l) = &mut socket.role else {
            unreachable!("a listener was looked for");
        };
        // Linux takes one more than the backlog (`sk_acceptq_is_full`).
        let full = l.queue.len() + l.pending.len() > l.backlog;
        let answer = if full { Fate::Lost } else { self.links.fate(&path, now, 0) };
        let Fate::Arrives(at) = answer else {
            self.syn_lost(conn, sent, attempt, Refusal::Timeout);
            return;
        };
        l.pending.push(conn);
        let c = &mut self.conns[conn];
        c.listener = Some(listener);
        let server = &mut c.ends[SERVER];
        (server.namespace, server.place, server.orphan) = (Some(host), place, false);
        c.pipes[CLIENT].receive_buffer = options.receive_buffer;
        c.pipes[SERVER].send_buffer = options.send_buffer;
        c.pipes[SERVER].last_arrival = at;
        self.fabric.push(at, Due::SynAck { conn });
    }

    fn find_listener(&self, namespace: Key, addr: SocketAddr) -> Option<Key> {
        let ns = self.namespaces.get(namespace)?;
        ns.tcp
            .find(addr.ip(), addr.port())
            .find(|k| self.sockets.get(*k).is_some_and(|s| matches!(s.role, Role::Listening(_))))
    }

    /// The client's side is done; its acknowledgement goes on its way.
    pub(crate) fn connected(&mut self, conn: Key) {
        let Some(c) = self.conns.get_mut(conn) else { return };
        let client = &mut c.ends[CLIENT];
        if client.dead {
            return;
        }
        client.connected = true;
        client.readers.wake(&mut self.wakes);
        client.writers.wake(&mut self.wakes);
        self.send_control(conn, CLIENT, Segment::Ack);
        self.pump(conn, CLIENT);
    }

    /// The acknowledgement is there: the connection waits to be accepted.
    pub(crate) fn established(&mut self, conn: Key) {
        let c = &mut self.conns[conn];
        c.ends[SERVER].connected = true;
        let Some(listener) = c.listener else { return };
        let Some(socket) = self.sockets.get_mut(listener) else { return };
        let Role::Listening(l) = &mut socket.role else { return };
        l.pending.retain(|k| *k != conn);
        l.queue.push_back(conn);
        l.waiting.wake(&mut self.wakes);
    }

    /// The client learns that there will be no connection.
    pub(crate) fn refused(&mut self, conn: Key, how: Refusal) {
        let Some(c) = self.conns.get_mut(conn) else { return };
        let client = &mut c.ends[CLIENT];
        if client.dead || client.connected {
            return;
        }
        let (error, reason) = match how {
            Refusal::Reset => (Errno::ConnRefused, "refused"),
            Refusal::Timeout => (Errno::TimedOut, "timeout"),
            Refusal::Denied => (Errno::TimedOut, "denied"),
        };
        client.error = Some(error);
        client.dead = true;
        client.readers.wake(&mut self.wakes);
        client.writers.wake(&mut self.wakes);
        c.ended = true;
        let (id, place) = (c.id, client.place);
        self.emit(place, Kind::Refuse { conn: id, reason: reason.into() });
        self.reap(conn);
    }

    /// Takes the oldest connection that waits at a listener.
    pub(crate) fn take_waiting(&mut self, listener: Key) -> Result<Key, Errno> {
        let socket = self.sockets.get_mut(listener).ok_or(Errno::ConnAborted)?;
        let (place, options) = (socket.place, socket.options);
        let (stack, namespace, v6) = (socket.stack, socket.namespace, socket.v6);
        let Role::Listening(l) = &mut socket.role else { return Err(Errno::Invalid) };
        if l.queue.is_empty() {
            return Err(Errno::WouldBlock);
        }
        let full = self.namespaces[namespace].sockets.len() >= self.options.sockets;
        if full {
            return Err(Errno::TooManySockets);
        }
        let conn = l.queue.pop_front().expect("looked at above");
        let role = Role::Connection { conn, side: SERVER };
        let key = self.add_socket(stack, namespace, place, v6, options, role);
        let c = &mut self.conns[conn];
        c.listener = None;
        c.ends[SERVER].socket = Some(key);
        c.ends[SERVER].place = place;
        let (id, connect) = (c.id, c.connect);
        self.trace.took(place, connect);
        if !c.ended {
            self.emit(place, Kind::Accept { conn: id });
        }
        Ok(key)
    }
}
