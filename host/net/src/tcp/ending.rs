//! How a connection ends.

use std::collections::BTreeSet;

use podlab_trace::Kind;

use crate::errno::Errno;
use crate::net::State;
use crate::socket::Role;
use crate::table::Key;
use crate::tcp::conn::{CLIENT, DIRS, Fin, SERVER, Segment};

impl State {
    /// The program will send no more: the end follows what it wrote before.
    pub(crate) fn finish_sending(&mut self, conn: Key, side: usize) {
        let pipe = &mut self.conns[conn].pipes[side];
        if pipe.fin == Fin::Open {
            pipe.fin = Fin::Wanted;
            if pipe.unsent.is_empty() {
                self.send_fin(conn, side);
            }
        }
    }

    pub(crate) fn send_fin(&mut self, conn: Key, dir: usize) {
        let c = &mut self.conns[conn];
        c.pipes[dir].fin = Fin::Sent;
        let (id, place) = (c.id, c.ends[dir].place);
        self.dissect_end(conn, dir);
        if !self.conns[conn].ended {
            self.emit(place, Kind::Shut { conn: id, dir: DIRS[dir] });
        }
        self.send_control(conn, dir, Segment::Fin);
    }

    /// An end has arrived; perhaps it was the second.
    pub(crate) fn ends_meet(&mut self, conn: Key, dir: usize) {
        let c = &mut self.conns[conn];
        if c.pipes.iter().all(|p| p.fin == Fin::Arrived) && !c.ended {
            c.ended = true;
            let (id, place) = (c.id, c.ends[dir].place);
            self.emit(place, Kind::Close { conn: id });
        }
    }

    /// `side` ends the connection at once, or answers a packet for one that it has ended.
    pub(crate) fn send_reset(&mut self, conn: Key, side: usize) {
        let c = &mut self.conns[conn];
        let (id, place) = (c.id, c.ends[side].place);
        c.ends[side].dead = true;
        c.pipes[side].give_up();
        if !c.ended {
            c.ended = true;
            self.emit(place, Kind::Reset { conn: id, dir: DIRS[side] });
        }
        if !self.conns[conn].ends[1 - side].dead {
            self.send_control(conn, side, Segment::Rst);
        }
    }

    pub(crate) fn reset_arrives(&mut self, conn: Key, side: usize) {
        let fin = self.conns[conn].pipes[1 - side].fin;
        // Linux `tcp_reset`: a writer whose peer had ended its own direction gets EPIPE.
        let error = if fin == Fin::Arrived { Errno::Closed } else { Errno::ConnReset };
        self.break_end(conn, side, error);
    }

    /// `side` gives up.
    pub(crate) fn timed_out(&mut self, conn: Key, side: usize) {
        self.break_end(conn, side, Errno::TimedOut);
        let c = &mut self.conns[conn];
        if !c.ended {
            c.ended = true;
            let (id, place) = (c.id, c.ends[side].place);
            self.emit(place, Kind::Close { conn: id });
        }
        self.reap(conn);
    }

    fn break_end(&mut self, conn: Key, side: usize, error: Errno) {
        let c = &mut self.conns[conn];
        let end = &mut c.ends[side];
        if end.dead {
            return;
        }
        end.dead = true;
        end.error = Some(error);
        end.readers.wake(&mut self.wakes);
        end.writers.wake(&mut self.wakes);
        c.pipes[side].give_up();
        if side == CLIENT || !c.ends[SERVER].connected {
            self.forget_pending(conn);
        }
    }

    /// Takes a connection whose handshake will not be completed away from its listener.
    fn forget_pending(&mut self, conn: Key) {
        let c = &mut self.conns[conn];
        if c.ends[SERVER].connected {
            return;
        }
        if let Some(listener) = c.listener.take()
            && let Some(socket) = self.sockets.get_mut(listener)
            && let Role::Listening(l) = &mut socket.role
        {
            l.pending.retain(|k| *k != conn);
        }
        let server = &mut self.conns[conn].ends[SERVER];
        (server.orphan, server.dead) = (true, true);
    }

    /// The program let go of its end.
    pub(crate) fn close_end(&mut self, conn: Key, side: usize) {
        let Some(c) = self.conns.get_mut(conn) else { return };
        let end = &mut c.ends[side];
        end.socket = None;
        end.orphan = true;
        // Whoever still waits on a clone of the handle learns that it is closed.
        end.readers.wake(&mut self.wakes);
        end.writers.wake(&mut self.wakes);
        let unread = !c.pipes[1 - side].queue.is_empty();
        let pipe = &mut c.pipes[1 - side];
        pipe.queue.clear();
        pipe.queued = 0;
        if !c.ends[side].dead {
            if !c.ends[side].connected {
                c.ends[side].dead = true;
                self.forget_pending(conn);
            } else if unread {
                // RFC 2525, 2.17: data that nobody will read is answered with a reset.
                self.send_reset(conn, side);
            } else {
                self.finish_sending(conn, side);
            }
        }
        self.reap(conn);
    }

    /// The listener of a connection that was not accepted is gone.
    pub(crate) fn turn_away(&mut self, conn: Key) {
        let Some(c) = self.conns.get_mut(conn) else { return };
        c.listener = None;
        c.ends[SERVER].orphan = true;
        let pipe = &mut c.pipes[CLIENT];
        pipe.queue.clear();
        pipe.queued = 0;
        if !c.ends[SERVER].dead {
            self.send_reset(conn, SERVER);
        }
        self.reap(conn);
    }

    /// A namespace is gone, and with it these sockets: no peer hears of it.
    pub(crate) fn vanish(&mut self, namespace: Key, sockets: &BTreeSet<Key>) {
        for key in sockets {
            let Some(socket) = self.sockets.remove(*key) else { continue };
            let listened = match socket.role {
                Role::Listening(mut l) => {
                    l.waiting.wake(&mut self.wakes);
                    Some(false)
                }
                Role::Datagrams(mut d) => {
                    d.readers.wake(&mut self.wakes);
                    d.told.then_some(true)
                }
                Role::Idle | Role::Connection { .. } => None,
            };
            if let (Some(udp), Some(addr)) = (listened, socket.bound) {
                self.emit(socket.place, Kind::Unlisten { addr, udp });
            }
        }
        let touched: Vec<Key> = self
            .conns
            .iter()
            .filter(|(_, c)| c.ends.iter().any(|e| e.namespace == Some(namespace)))
            .map(|(k, _)| k)
            .collect();
        for conn in touched {
            for side in [CLIENT, SERVER] {
                let c = &mut self.conns[conn];
                if c.ends[side].namespace != Some(namespace) {
                    continue;
                }
                let end = &mut c.ends[side];
                (end.socket, end.orphan, end.dead) = (None, true, true);
                end.readers.wake(&mut self.wakes);
                end.writers.wake(&mut self.wakes);
                c.pipes[side].give_up();
                // What is on the wire still arrives.
                c.pipes[1 - side].queue.clear();
                c.pipes[1 - side].queued = 0;
                if side == SERVER {
                    c.listener = None;
                } else if c.pipes[CLIENT].flight.is_empty() {
                    self.forget_pending(conn);
                }
            }
            self.probe(conn, CLIENT);
            self.probe(conn, SERVER);
            self.reap(conn);
        }
    }

    /// Forgets a connection that no program holds and nothing is under way for.
    pub(crate) fn reap(&mut self, conn: Key) {
        let Some(c) = self.conns.get(conn) else { return };
        let held = c.ends.iter().any(|e| e.socket.is_some());
        if held || c.listener.is_some() || !c.pipes.iter().all(|p| p.is_idle()) {
            return;
        }
        let c = self.conns.remove(conn).expect("looked at above");
        if let Some((namespace, port)) = c.lent
            && let Some(ns) = self.namespaces.get_mut(namespace)
        {
            ns.tcp.give_back(port);
        }
        if !c.ended {
            self.emit(c.ends[CLIENT].place, Kind::Close { conn: c.id });
        }
    }
}
