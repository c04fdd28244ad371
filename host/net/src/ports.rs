//! The ports of one namespace and protocol: who is bound to what.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::errno::Errno;
use crate::table::Key;

/// Ports given to sockets that did not ask for one (Linux `ip_local_port_range`).
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

#[derive(Clone, Copy, Debug)]
struct Binding {
    ip: IpAddr,
    /// An IPv6 wildcard that takes IPv4 too.
    dual: bool,
    socket: Key,
}

impl Binding {
    fn takes(&self, ip: IpAddr) -> bool {
        self.ip == ip
            || (self.ip.is_unspecified() && (self.dual || self.ip.is_ipv4() == ip.is_ipv4()))
    }

    fn conflicts(&self, ip: IpAddr, dual: bool) -> bool {
        let same = self.ip.is_ipv4() == ip.is_ipv4();
        if self.ip.is_unspecified() && ip.is_unspecified() {
            same || self.dual || dual
        } else if ip.is_unspecified() {
            same || dual
        } else {
            self.takes(ip)
        }
    }
}

pub(crate) struct Ports {
    bound: BTreeMap<u16, Vec<Binding>>,
    /// Local ports of connections that did not bind first.
    lent: BTreeMap<u16, u32>,
    next: u16,
}

impl Ports {
    pub(crate) fn new() -> Ports {
        Ports { bound: BTreeMap::new(), lent: BTreeMap::new(), next: *EPHEMERAL.start() }
    }

    /// Binds `socket` to `ip:port`, or to an ephemeral port if `port` is 0. The address must be
    /// known to be one of the namespace.
    pub(crate) fn bind(
        &mut self,
        socket: Key,
        ip: IpAddr,
        port: u16,
        dual: bool,
    ) -> Result<u16, Errno> {
        let port = if port == 0 { self.ephemeral()? } else { port };
        let there = self.bound.entry(port).or_default();
        if there.iter().any(|b| b.conflicts(ip, dual)) {
            return Err(Errno::AddrInUse);
        }
        there.push(Binding { ip, dual, socket });
        Ok(port)
    }

    pub(crate) fn unbind(&mut self, socket: Key, port: u16) {
        if let Some(there) = self.bound.get_mut(&port) {
            there.retain(|b| b.socket != socket);
            if there.is_empty() {
                self.bound.remove(&port);
            }
        }
    }

    /// Lends an ephemeral port to a connection.
    pub(crate) fn lend(&mut self) -> Result<u16, Errno> {
        let port = self.ephemeral()?;
        *self.lent.entry(port).or_default() += 1;
        Ok(port)
    }

    pub(crate) fn give_back(&mut self, port: u16) {
        self.lent.remove(&port);
    }

    /// Who gets what is sent to `ip:port`: an exact address goes before a wildcard.
    pub(crate) fn find(&self, ip: IpAddr, port: u16) -> impl Iterator<Item = Key> {
        let there = self.bound.get(&port).map_or(&[][..], Vec::as_slice);
        let exact = there.iter().filter(move |b| b.ip == ip);
        let wild = there.iter().filter(move |b| b.ip != ip && b.takes(ip));
        exact.chain(wild).map(|b| b.socket)
    }

    fn ephemeral(&mut self) -> Result<u16, Errno> {
        for _ in EPHEMERAL {
            let port = self.next;
            self.next = if port == *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            if !self.bound.contains_key(&port) && !self.lent.contains_key(&port) {
                return Ok(port);
            }
        }
        Err(Errno::AddrNotAvailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    #[test]
    fn wildcards_conflict_with_what_they_cover() {
        let mut keys = Table::new();
        let mut key = || keys.insert(());
        // (first, dual), (second, dual), whether both may be
        let cases = [
            ("127.0.0.1", false, "127.0.0.1", false, false),
            ("127.0.0.1", false, "10.0.0.1", false, true),
            ("0.0.0.0", false, "10.0.0.1", false, false),
            ("10.0.0.1", false, "0.0.0.0", false, false),
            ("::", true, "0.0.0.0", false, false),
            ("::", false, "0.0.0.0", false, true),
            ("0.0.0.0", false, "::", true, false),
            ("127.0.0.1", false, "::", true, false),
            ("127.0.0.1", false, "::", false, true),
            ("::1", false, "127.0.0.1", false, true),
            ("::1", false, "::", false, false),
        ];
        for (a, a_dual, b, b_dual, fine) in cases {
            let mut ports = Ports::new();
            ports.bind(key(), a.parse().unwrap(), 80, a_dual).unwrap();
            let second = ports.bind(key(), b.parse().unwrap(), 80, b_dual);
            assert_eq!(second.is_ok(), fine, "{a} ({a_dual}) then {b} ({b_dual})");
        }
    }

    #[test]
    fn ephemeral_ports_go_round_and_run_out() {
        let mut ports = Ports::new();
        assert_eq!(ports.lend(), Ok(32768));
        let second = ports.lend().unwrap();
        ports.give_back(second);
        assert_eq!(ports.lend(), Ok(32770), "a port is not used again at once");
        while ports.lend().is_ok() {}
        assert_eq!(ports.lent.len(), EPHEMERAL.count());
    }
}
