//! A small world for the tests and figures of this crate: one node, one pod, programs in it.
#![allow(
    dead_code,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the harness lives in the real world, and not every test uses all of it"
)]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use podlab_fs::{Device, Mounts, SignalQueue, Volume, VolumeOptions};
use podlab_net::{Namespace, NamespaceSpec, Net, NetOptions};
use podlab_sim::cpu::Cpu;
use podlab_sim::{Sim, Time};
use podlab_trace::Trace;
use podlab_wasm::container::{self, Container, ContainerSpec, Exit};
use podlab_wasm::{Engine, EngineOptions, Program, Stdin};

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the checkout")
}

/// Builds a guest as `cargo xtask build` does, so that neither builds what the other has built;
/// its file.
pub fn guest(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(path) = built.get(name) {
        return path.clone();
    }
    let root = root();
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let mut flags = vec![format!("--remap-path-prefix={}=/podlab", root.display())];
    flags.extend(home.map(|home| format!("--remap-path-prefix={}=/cargo", home.display())));
    let done = cargo(name)
        .args(["--target", "wasm32-wasip2", "--target-dir"])
        .arg(root.join("target/guests"))
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .status()
        .expect("cargo runs");
    assert!(done.success(), "the guest {name} must build: rustup target add wasm32-wasip2");
    let path = root.join(format!("target/guests/wasm32-wasip2/guest/{name}.wasm"));
    built.insert(name.to_owned(), path.clone());
    path
}

/// Builds a guest for this machine; its file.
pub fn native(name: &str) -> PathBuf {
    let target = root().join("target/native-guests");
    let done = cargo(name).arg("--target-dir").arg(&target).status().expect("cargo runs");
    assert!(done.success(), "the guest {name} must build natively");
    target.join("guest").join(name)
}

fn cargo(package: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root())
        .args(["build", "--quiet", "--manifest-path", "guests/Cargo.toml", "--profile", "guest"])
        .args(["--package", package, "--bins"])
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS");
    cargo
}

/// The engine of all tests of this process.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineOptions::default()).expect("an engine"))
}

/// A guest, compiled.
pub fn program(name: &str) -> Program {
    static COMPILED: Mutex<BTreeMap<String, Program>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(program) = compiled.get(name) {
        return program.clone();
    }
    let wasm = std::fs::read(guest(name)).expect("the guest was built");
    let program = engine().load(&wasm).expect("a guest loads");
    compiled.insert(name.to_owned(), program.clone());
    program
}

/// One node with one pod.
pub struct World {
    pub sim: Sim,
    pub trace: Trace,
    pub namespace: Namespace,
    pub cpu: Cpu,
}

/// How a program is started.
pub struct Start<'a> {
    pub memory_limit: Option<u64>,
    pub quota: Option<u64>,
    pub stdin: Stdin,
    pub env: &'a [(&'a str, &'a str)],
}

impl Default for Start<'_> {
    fn default() -> Self {
        Start { memory_limit: None, quota: None, stdin: Stdin::empty(), env: &[] }
    }
}

/// A program at work, and what it has written.
pub struct Run {
    pub container: Container,
    pub root: Volume,
    out: Arc<Mutex<Vec<u8>>>,
}

impl Run {
    /// What it wrote to standard output and error.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out.lock().unwrap()).into_owned()
    }

    /// How it ended; it must have.
    pub fn exit(&self) -> Exit {
        self.container.exit().unwrap_or_else(|| panic!("still at work, and wrote: {}", self.text()))
    }
}

impl World {
    /// A world with four cores.
    pub fn new(seed: u64) -> World {
        World::with_cores(seed, 4)
    }

    pub fn with_cores(seed: u64, cores: u32) -> World {
        let sim = Sim::new(seed, 1_700_000_000_000_000_000);
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
        let cpu = Cpu::new(&sim.handle(), cores, 200_000_000);
        World { sim, trace, namespace, cpu }
    }

    /// Starts a program; `args` begins with its name.
    pub fn start(&self, program: &Program, args: &[&str]) -> Run {
        self.start_with(program, args, Start::default())
    }

    pub fn start_with(&self, program: &Program, args: &[&str], start: Start<'_>) -> Run {
        let h = self.sim.handle();
        let name = args[0];
        let place = self.trace.place(h.now().as_nanos(), "node-1", "default", "pod", name);
        let signals = SignalQueue::new();
        let options = VolumeOptions { quota: start.quota, ..VolumeOptions::default() };
        let root = Volume::new(&h, name, options);
        root.write("work/.keep", b"", 0o644).expect("room");
        root.remove("work/.keep").expect("it is there");
        let mounts = Mounts::new(root.clone(), &self.trace, place)
            .device("/dev/signals", Device::Signals(signals.clone()))
            .expect("a device");
        let out = Arc::new(Mutex::new(Vec::new()));
        let sink = out.clone();
        let spec = ContainerSpec {
            place,
            program: program.clone(),
            image: name.into(),
            args: args.iter().map(|a| (*a).to_owned()).collect(),
            env: start.env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            stack: self.namespace.stack(place),
            mounts,
            signals,
            cpu: self.cpu.account(100, None),
            quantum: self.cpu.fuel_per_quantum(),
            memory_limit: start.memory_limit,
            rng: h.rng(name),
            run: 0,
            main: true,
            stdin: start.stdin,
            output: Arc::new(Mutex::new(move |_, bytes: &[u8]| {
                sink.lock().unwrap().extend_from_slice(bytes);
            })),
        };
        Run { container: container::start(&h, &self.trace, spec), root, out }
    }

    /// Lets `span` of virtual time pass.
    pub fn pass(&mut self, span: Duration) {
        let until = self.sim.now() + span;
        self.sim.run_until(until, u64::MAX);
    }

    /// Lets time pass until `run` has ended, at most `span`.
    pub fn until_exit(&mut self, run: &Run, span: Duration) -> Exit {
        let limit = self.sim.now() + span;
        while run.container.exit().is_none() && self.sim.now() < limit {
            self.pass(Duration::from_millis(100));
        }
        run.exit()
    }

    /// The instant, for messages.
    pub fn now(&self) -> Time {
        self.sim.now()
    }
}
