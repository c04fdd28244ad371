//! Figures of the engine: round trips, bulk and metering, as JSON lines.
//!
//! `cargo run -p podlab-wasm --example figures -- PINGPONG.wasm [TRIPS]`
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "figures live on real time"
)]

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use podlab_fs::{Device, Mounts, SignalQueue, Volume, VolumeOptions};
use podlab_net::{Namespace, NamespaceSpec, Net, NetOptions};
use podlab_sim::cpu::Cpu;
use podlab_sim::{Sim, Time};
use podlab_trace::Trace;
use podlab_wasm::container::{self, Container, ContainerSpec};
use podlab_wasm::{Engine, EngineOptions, Program, Stdin};

struct World {
    sim: Sim,
    trace: Trace,
    namespace: Namespace,
    cpu: Cpu,
    output: Arc<Mutex<Vec<u8>>>,
}

impl World {
    fn new() -> World {
        let sim = Sim::new(1, 0);
        let trace = Trace::default();
        let net = Net::new(&sim.handle(), &trace, NetOptions::default());
        let place = trace.place(0, "node-1", "default", "pod", "");
        let namespace = net.namespace(NamespaceSpec {
            name: "default/pod".into(),
            node: "node-1".into(),
            place,
            ipv4: Ipv4Addr::new(10, 244, 1, 2),
            ipv6: None,
            hostname: "pod".into(),
            search: Vec::new(),
            external: false,
        });
        let cpu = Cpu::new(&sim.handle(), 4, 200_000_000);
        World { sim, trace, namespace, cpu, output: Arc::default() }
    }

    fn start(&self, program: &Program, name: &str, args: &[&str]) -> Container {
        let h = self.sim.handle();
        let place = self.trace.place(h.now().as_nanos(), "node-1", "default", "pod", name);
        let signals = SignalQueue::new();
        let root = Volume::new(&h, name, VolumeOptions::default());
        let mounts = Mounts::new(root, &self.trace, place)
            .device("/dev/signals", Device::Signals(signals.clone()))
            .unwrap();
        let output = self.output.clone();
        let spec = ContainerSpec {
            place,
            program: program.clone(),
            image: name.into(),
            args: args.iter().map(|a| (*a).to_owned()).collect(),
            env: Vec::new(),
            stack: self.namespace.stack(place),
            mounts,
            signals,
            cpu: self.cpu.account(100, None),
            quantum: self.cpu.fuel_per_quantum(),
            memory_limit: None,
            rng: h.rng(name),
            run: 0,
            main: true,
            stdin: Stdin::empty(),
            output: Arc::new(Mutex::new(move |_, bytes: &[u8]| {
                output.lock().unwrap().extend_from_slice(bytes);
            })),
        };
        container::start(&h, &self.trace, spec)
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let wasm = std::fs::read(&args[1]).unwrap();
    let trips = args.get(2).map_or("100000", String::as_str);
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let program = engine.load(&wasm).unwrap();
    for (what, client) in [
        ("round trips", vec!["pingpong", "client", trips, "64"]),
        ("bulk", vec!["pingpong", "bulk", "1073741824"]),
    ] {
        let mut world = World::new();
        world.start(&program, "server", &["pingpong", "server"]);
        let client = world.start(&program, "client", &client);
        let began = std::time::Instant::now();
        let mut at = Time::ZERO;
        while client.exit().is_none() && at < Time::from_secs(600) {
            at += std::time::Duration::from_millis(100);
            world.sim.run_until(at, u64::MAX);
        }
        let seconds = began.elapsed().as_secs_f64();
        let output = String::from_utf8_lossy(&world.output.lock().unwrap()).into_owned();
        let last = output.lines().last().unwrap_or("").to_owned();
        println!(
            "{{\"figure\":\"{what}\",\"seconds\":{seconds:.3},\"virtual\":{:.3},\"events\":{},\"exit\":{:?},\"said\":{last:?}}}",
            at.as_secs_f64(),
            world.trace.last(),
            client.exit(),
        );
    }
}
