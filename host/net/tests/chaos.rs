//! Whatever programs and clusters do in whatever order: the network stands, leaves nothing
//! behind, and does the same again.

mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use podlab_net::{
    LinkEnd, LinkEnds, LinkProps, Namespace, Service, ServicePort, Stack, TcpSocket, UdpSocket,
};
use podlab_sim::{Rng, Stop, Time};
use podlab_trace::Kind;
use world::{World, pod};

const PODS: [(&str, &str, &str); 4] = [
    ("p0", "n1", "10.1.0.1"),
    ("p1", "n1", "10.1.0.2"),
    ("p2", "n2", "10.1.0.3"),
    ("p3", "", "10.1.0.4"),
];

struct Pod {
    namespace: Namespace,
    stack: Stack,
    tcp: Vec<TcpSocket>,
    udp: Vec<UdpSocket>,
}

struct Chaos {
    w: World,
    rng: Rng,
    pods: Vec<Pod>,
}

impl Chaos {
    fn pod(w: &World, n: usize) -> Pod {
        let (name, node, ip) = PODS[n];
        let namespace = pod(&w.net, &w.trace, w.sim.now().as_nanos(), name, node, ip);
        let stack = namespace.stack(namespace.place());
        let listener = stack.tcp(false).unwrap();
        listener.bind("0.0.0.0:80".parse().unwrap()).unwrap();
        listener.listen(5).unwrap();
        let tcp = vec![listener];
        Pod { namespace, stack, tcp, udp: Vec::new() }
    }

    fn new(seed: u64) -> Chaos {
        let w = World::new(seed);
        let pods = (0..PODS.len()).map(|n| Chaos::pod(&w, n)).collect();
        Chaos { w, rng: Rng::named(seed, "chaos"), pods }
    }

    fn n(&mut self, n: usize) -> usize {
        self.rng.below(n as u64) as usize
    }

    fn addr(&mut self) -> SocketAddr {
        // Mostly where somebody listens.
        let ips = [
            "127.0.0.1",
            "10.96.0.1",
            "10.1.0.1",
            "10.1.0.2",
            "10.1.0.3",
            "10.1.0.4",
            "10.1.0.1",
            "10.1.0.2",
            "10.1.0.3",
            "10.1.0.4",
            "0.0.0.0",
            "10.9.9.9",
            "::1",
            "::",
        ];
        let ip = ips[self.n(ips.len())];
        SocketAddr::new(ip.parse().unwrap(), [80, 80, 80, 80, 80, 80, 81, 0][self.n(8)])
    }

    fn props(&mut self) -> LinkProps {
        LinkProps {
            latency: Some(Duration::from_micros(self.rng.below(100_000))),
            jitter: Some(Duration::from_micros(self.rng.below(10_000))),
            bandwidth: [None, Some(1_000_000)][self.n(2)],
            loss: Some(self.n(3) as f64 / 5.0),
            duplicate: Some(self.n(2) as f64 / 2.0),
            partitioned: self.n(8) == 0,
        }
    }

    /// One random thing. Errors are fine, panics are not.
    fn step(&mut self) {
        let p = self.n(self.pods.len());
        let (addr, len) = (self.addr(), self.n(100_000));
        let pick = self.rng.u64() as usize;
        let backlog = self.n(3);
        match self.n(40) {
            0..3 => {
                let pod = &mut self.pods[p];
                if let Ok(socket) = pod.stack.tcp(addr.is_ipv6()) {
                    _ = socket.connect(addr);
                    pod.tcp.push(socket);
                }
            }
            3 => {
                let pod = &mut self.pods[p];
                pod.udp.extend(pod.stack.udp(addr.is_ipv6()));
            }
            4 if self.n(8) == 0 => {
                self.pods[p].stack.close();
                self.pods[p].stack = self.pods[p].namespace.stack(1 + p as u32);
            }
            5 if self.n(12) == 0 => {
                self.pods[p].namespace.close();
                // Programs let go of their sockets before or after.
                let old = std::mem::replace(&mut self.pods[p], Chaos::pod(&self.w, p));
                drop(old);
            }
            6 if self.n(3) == 0 => {
                let end = |n: usize| match n {
                    0 => LinkEnd::Any,
                    1 => LinkEnd::Node("n1".into()),
                    2 => LinkEnd::Outside,
                    _ => LinkEnd::Namespace(PODS[n % 4].0.into()),
                };
                let ends = LinkEnds { from: end(self.n(7)), to: end(self.n(7)) };
                let props = self.props();
                self.w.net.set_link(ends, props);
            }
            7 => {
                let rules = self.w.net.links();
                if !rules.is_empty() {
                    assert!(self.w.net.clear_link(&rules[pick % rules.len()].0));
                }
            }
            8 => {
                let endpoints = (0..self.n(3)).map(|_| self.addr()).collect();
                let port = ServicePort { name: String::new(), port: 80, udp: false, endpoints };
                let ips = vec!["10.96.0.1".parse().unwrap()];
                let service = Service { name: "default/s".into(), ips, ports: vec![port] };
                self.w.net.set_service(service);
            }
            9..14 => {
                let d = [0, 10, 1000, 100_000, 10_000_000, 3_000_000_000][self.n(6)];
                let to = self.w.sim.now() + Duration::from_nanos(d);
                assert_ne!(self.w.sim.run_until(to, u64::MAX), Stop::Livelock);
            }
            14..17 if !self.pods[p].udp.is_empty() => {
                let pod = &mut self.pods[p];
                let socket = &pod.udp[pick % pod.udp.len()];
                match len % 6 {
                    0 => _ = socket.bind(addr),
                    1 => _ = socket.connect(Some(addr)),
                    2 => _ = socket.send(Bytes::from(vec![0; len / 2]), Some(addr)),
                    3 => _ = socket.send(Bytes::from(vec![0; len / 2]), None),
                    4 => _ = socket.try_recv(len),
                    _ => drop(pod.udp.swap_remove(pick % pod.udp.len())),
                }
            }
            what if !self.pods[p].tcp.is_empty() => {
                let pod = &mut self.pods[p];
                let n = pick % pod.tcp.len();
                let socket = &pod.tcp[n];
                match what {
                    17 | 18 => _ = socket.bind(addr),
                    19 | 20 => _ = socket.listen(backlog),
                    21..24 => _ = socket.connect(addr),
                    24..27 => {
                        let accepted: Vec<_> =
                            pod.tcp.iter().filter_map(|s| s.accept().ok()).collect();
                        pod.tcp.extend(accepted);
                    }
                    27..31 => _ = socket.try_write(Bytes::from(vec![b'x'; len])),
                    31..34 => _ = socket.try_read(len),
                    34 => _ = socket.shutdown(len % 2 == 0, len % 3 == 0),
                    35 => {
                        let mut options = socket.options();
                        (options.send_buffer, options.receive_buffer) = (len, pick % 100_000);
                        _ = socket.set_options(options);
                    }
                    36 => drop((socket.finish_connect(), socket.local_addr(), socket.peer_addr())),
                    _ if len % 4 == 0 => drop(pod.tcp.swap_remove(n)),
                    _ => {
                        if let Ok(socket) = pod.stack.tcp(false) {
                            _ = socket.bind("0.0.0.0:80".parse().unwrap());
                            _ = socket.listen(backlog);
                            pod.tcp.push(socket);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// Ends all programs, and gives what is left of the connections after half an hour.
    fn end(mut self) -> (usize, podlab_trace::Digest, BTreeMap<&'static str, u32>) {
        for (ends, _) in self.w.net.links() {
            self.w.net.clear_link(&ends);
        }
        self.pods.clear();
        assert_eq!(self.w.sim.run_until(Time::MAX, u64::MAX), Stop::Idle);
        let mut seen = BTreeMap::new();
        for event in self.w.events() {
            let what = match event.kind {
                Kind::Accept { .. } => "accept",
                Kind::Refuse { .. } => "refuse",
                Kind::Data { retries: 0, .. } => "data",
                Kind::Data { .. } => "data sent again",
                Kind::Shut { .. } => "shut",
                Kind::Reset { .. } => "reset",
                Kind::Close { .. } => "close",
                Kind::Datagram { arrives: u64::MAX, .. } => "datagram lost",
                Kind::Datagram { .. } => "datagram",
                _ => continue,
            };
            *seen.entry(what).or_default() += 1;
        }
        (self.w.net.connections(), self.w.trace.digest(), seen)
    }
}

#[test]
fn the_network_stands() {
    let mut all = BTreeMap::<_, u32>::new();
    for seed in 0..60 {
        let run = || {
            let mut chaos = Chaos::new(seed);
            for _ in 0..1500 {
                chaos.step();
            }
            chaos.end()
        };
        let (left, digest, seen) = run();
        for (what, n) in seen {
            *all.entry(what).or_default() += n;
        }
        assert_eq!(left, 0, "connections are left behind under seed {seed}");
        assert_eq!(run().1, digest, "seed {seed} is not reproducible");
    }
    // Chaos that never connects would prove nothing.
    assert!(all.len() == 9 && all.values().all(|n| *n > 20), "{all:?}");
}
