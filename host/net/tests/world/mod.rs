//! A small world for the tests: two nodes, two pods on the first, one on the second, and a
//! client outside.
#![allow(dead_code, reason = "every test file uses its own part of it")]

use std::future::Future;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use podlab_net::{Errno, Namespace, NamespaceSpec, Net, NetOptions, Stack, TcpStream};
use podlab_sim::{Handle, Sim, Stop, Time};
use podlab_trace::{Event, Kind, PlaceId, Trace};

pub struct World {
    pub sim: Sim,
    pub trace: Trace,
    pub net: Net,
    pub a: Stack,
    pub b: Stack,
    pub far: Stack,
    pub outside: Stack,
    said: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub fn new(seed: u64) -> World {
        World::with(seed, NetOptions::default())
    }

    pub fn with(seed: u64, options: NetOptions) -> World {
        let sim = Sim::new(seed, 0);
        let trace = Trace::default();
        let net = Net::new(&sim.handle(), &trace, options);
        for node in ["n1", "n2"] {
            net.add_node(node, trace.place(0, node, "", "", ""));
        }
        let stack = |name: &str, node: &str, ip: &str| {
            let ns = pod(&net, &trace, 0, name, node, ip);
            ns.stack(trace.place(0, node, "default", name, "main"))
        };
        let (a, b) = (stack("a", "n1", "10.0.1.1"), stack("b", "n1", "10.0.1.2"));
        let far = stack("far", "n2", "10.0.2.1");
        let outside = stack("outside", "", "192.168.0.1");
        World { sim, trace, net, a, b, far, outside, said: Arc::default() }
    }

    pub fn say(&self) -> impl Fn(String) + Clone + Send + 'static {
        let (said, h) = (self.said.clone(), self.sim.handle());
        move |s| said.lock().unwrap().push(format!("{} {s}", h.now()))
    }

    pub fn handle(&self) -> Handle {
        self.sim.handle()
    }

    pub fn spawn(&self, body: impl Future<Output = ()> + Send + 'static) {
        self.sim.handle().spawn(body);
    }

    /// Runs until nothing is left to do, and gives what was said.
    pub fn run(&mut self) -> Vec<String> {
        assert_eq!(self.sim.run_until(Time::MAX, 10_000_000), Stop::Idle);
        std::mem::take(&mut self.said.lock().unwrap())
    }

    pub fn run_until(&mut self, at: Time) -> Vec<String> {
        let stop = self.sim.run_until(at, 10_000_000);
        assert!(matches!(stop, Stop::Idle | Stop::Reached), "{stop:?}");
        std::mem::take(&mut self.said.lock().unwrap())
    }

    pub fn events(&self) -> Vec<Event> {
        self.trace.read(1, usize::MAX)
    }

    /// The network's events in short, without when.
    pub fn story(&self) -> Vec<String> {
        let shown = self.events().into_iter().filter(|e| !matches!(e.kind, Kind::Place { .. }));
        shown.map(|e| podlab_trace::text::summary(&e.kind)).collect()
    }
}

pub fn pod(net: &Net, trace: &Trace, at: u64, name: &str, node: &str, ip: &str) -> Namespace {
    let place: PlaceId = trace.place(at, node, "default", name, "");
    let external = node.is_empty();
    net.namespace(NamespaceSpec {
        name: name.into(),
        node: node.into(),
        place,
        ipv4: ip.parse().unwrap(),
        ipv6: None,
        hostname: name.into(),
        search: ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"]
            .map(String::from)
            .to_vec(),
        external,
    })
}

/// Reads until the end.
pub async fn read_all(stream: &TcpStream) -> Result<Vec<u8>, Errno> {
    let mut out = Vec::new();
    loop {
        let part = stream.read(usize::MAX).await?;
        if part.is_empty() {
            return Ok(out);
        }
        out.extend_from_slice(&part);
    }
}

pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
