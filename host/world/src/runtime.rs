//! How the kubelet's containers become programs of `podlab-wasm`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use podlab_fs::{Volume, VolumeOptions};
use podlab_kube::runtime::{Ending, Exit, ImageInfo, Running, Runtime, StartSpec};
use podlab_sim::Handle;
use podlab_sim::cpu::Cpu;
use podlab_trace::Trace;
use podlab_wasm::Stdin;
use podlab_wasm::container::{self, Container, ContainerSpec};

use crate::images::Images;
use crate::options::WorldOptions;
use crate::stand_ins;

/// The writable layer of a container holds this much, in bytes.
const LAYER: u64 = 256 << 20;

/// Programs over `podlab-wasm`, on the virtual processors of the world's nodes.
pub struct WasmRuntime {
    sim: Handle,
    trace: Trace,
    images: Mutex<Images>,
    used: Mutex<BTreeSet<String>>,
    nodes: BTreeMap<String, Cpu>,
    /// The main programs that run, and their limits in millicores, by `namespace/pod/container`.
    programs: Mutex<BTreeMap<String, (Container, Option<u32>)>>,
    /// Images that cannot be pulled.
    broken: Mutex<BTreeSet<String>>,
}

impl WasmRuntime {
    /// A runtime for the nodes of `options` that can run `images`.
    pub fn new(
        sim: &Handle,
        trace: &Trace,
        images: &Images,
        options: &WorldOptions,
    ) -> WasmRuntime {
        let nodes = options
            .nodes
            .iter()
            .map(|n| (n.name.clone(), Cpu::new(sim, n.cores.max(1), n.fuel_per_second.max(1))))
            .collect();
        WasmRuntime {
            sim: sim.clone(),
            trace: trace.clone(),
            images: Mutex::new(images.clone()),
            used: Mutex::default(),
            programs: Mutex::default(),
            broken: Mutex::default(),
            nodes,
        }
    }

    /// Replaces the images that can be run from now on.
    pub fn set_images(&self, images: &Images) {
        *self.images.lock().expect("images lock") = images.clone();
    }

    /// The digests of the images that have been pulled or run.
    pub fn used(&self) -> Vec<String> {
        self.used.lock().expect("images lock").iter().cloned().collect()
    }

    /// The main program of a container, and its limit in millicores.
    ///
    /// # Errors
    /// If it does not run.
    pub fn program(&self, target: &str) -> Result<(Container, Option<u32>), String> {
        let programs = self.programs.lock().expect("programs lock");
        let found = programs.get(target).filter(|(c, _)| c.exit().is_none());
        found.cloned().ok_or_else(|| format!("no container {target} runs"))
    }

    /// Whether `image` cannot be pulled from now on.
    pub fn set_broken(&self, image: &str, broken: bool) {
        let mut all = self.broken.lock().expect("images lock");
        if broken {
            all.insert(image.to_owned());
        } else {
            all.remove(image);
        }
    }

    fn cpu(&self, node: &str) -> &Cpu {
        self.nodes.get(node).expect("the kubelet runs on a node of this world")
    }
}

impl Runtime for WasmRuntime {
    fn image(&self, name: &str) -> Result<ImageInfo, String> {
        if self.broken.lock().expect("images lock").contains(name) {
            return Err(format!("pulling {name:?} failed: the registry does not answer"));
        }
        let images = self.images.lock().expect("images lock");
        let image = images.resolve(name).ok_or_else(|| {
            let tagged = if name.rsplit('/').next().is_some_and(|n| n.contains(':')) {
                name.to_owned()
            } else {
                format!("{name}:latest")
            };
            format!(
                "image {tagged:?} is not known here; add it with `podlab up --image {tagged}=FILE.wasm` \
                 or PUT /api/images/{tagged}"
            )
        })?;
        // Pulled is used, started or not: without it the pull would fail in a replay.
        self.used.lock().expect("images lock").insert(image.digest.clone());
        Ok(ImageInfo {
            entrypoint: image.entrypoint.clone(),
            env: image.env.clone(),
            digest: image.digest.clone(),
        })
    }

    fn root(&self, image: &str, container_id: &str) -> Volume {
        let root = Volume::new(
            &self.sim,
            container_id,
            VolumeOptions { quota: Some(LAYER), ..VolumeOptions::default() },
        );
        let found = self.images.lock().expect("images lock").resolve(image).cloned();
        for (path, contents) in found.iter().flat_map(|i| &i.files) {
            // An image larger than a layer was refused when it was added.
            let _ = root.write(path, contents, 0o755);
        }
        root
    }

    fn start(&self, spec: StartSpec) -> Arc<dyn Running> {
        // A command executed in a container is a program of its image, or a tool.
        let name = spec.args.first().map_or("", |a| a.rsplit('/').next().unwrap_or(a));
        let mut args = spec.args.clone();
        let image = {
            let images = self.images.lock().expect("images lock");
            let own = images.resolve(&spec.image).cloned();
            let is_own =
                own.as_ref().is_some_and(|i| i.entrypoint.first().is_some_and(|e| e == name));
            let stand_in = images.stand_in(&spec.image);
            if let (Some(known), Some(own), true) = (stand_in, &own, spec.main) {
                let guest = own.entrypoint.first().map_or("", |e| e);
                args = stand_ins::command(known, guest, args);
            }
            let tool = stand_in.is_some() && stand_ins::is_shell(name);
            if (spec.main && !tool) || is_own {
                own
            } else {
                images.resolve("toolbox:latest").cloned()
            }
        };
        let cpu = self.cpu(&spec.node);
        let account = cpu.account(spec.cpu_weight, spec.cpu_limit);
        let Some(image) = image else {
            return Arc::new(Missing(format!("no program for {:?}", spec.image)));
        };
        self.used.lock().expect("images lock").insert(image.digest.clone());
        let target = format!("{}/{}/{}", spec.namespace, spec.pod, spec.container);
        let main = spec.main;
        let limit = spec.cpu_limit;
        let stdin = if spec.stdin { Stdin::open() } else { Stdin::empty() };
        let stdin = if spec.terminal { stdin.on_terminal() } else { stdin };
        let started = container::start(
            &self.sim,
            &self.trace,
            ContainerSpec {
                place: spec.place,
                program: image.program.clone(),
                image: spec.image,
                args,
                env: spec.env,
                stack: spec.stack,
                mounts: spec.mounts,
                signals: spec.signals,
                cpu: account,
                quantum: cpu.fuel_per_quantum(),
                memory_limit: spec.memory_limit,
                rng: self.sim.rng(&spec.rng_name),
                run: spec.run,
                main: spec.main,
                stdin: stdin.clone(),
                output: spec.output,
            },
        );
        if main {
            let mut programs = self.programs.lock().expect("programs lock");
            programs.retain(|_, (c, _)| c.exit().is_none());
            programs.insert(target, (started.clone(), limit));
        }
        Arc::new(Program(started, stdin))
    }
}

struct Program(Container, Stdin);

impl Running for Program {
    fn signal(&self, number: u8) {
        self.0.signal(number);
    }

    fn kill(&self) {
        self.0.kill();
    }

    fn set_frozen(&self, frozen: bool) {
        self.0.cpu().set_frozen(frozen);
    }

    fn exit(&self) -> Option<Exit> {
        self.0.exit().map(exit)
    }

    fn feed(&self, bytes: &[u8]) -> usize {
        self.1.push(bytes)
    }

    fn end_input(&self) {
        self.1.close();
    }

    fn wait(&self) -> Ending {
        let container = self.0.clone();
        Box::pin(async move { exit(container.wait().await) })
    }

    fn memory(&self) -> u64 {
        self.0.memory()
    }

    fn cpu_nanos(&self) -> u64 {
        u64::try_from(self.0.cpu().used().as_nanos()).unwrap_or(u64::MAX)
    }
}

fn exit(e: container::Exit) -> Exit {
    Exit { code: e.code, reason: e.reason, message: e.message }
}

/// A program that there is none of: its image vanished between pull and start.
struct Missing(String);

impl Running for Missing {
    fn signal(&self, _: u8) {}

    fn kill(&self) {}

    fn set_frozen(&self, _: bool) {}

    fn exit(&self) -> Option<Exit> {
        Some(Exit { code: 128, reason: "ContainerCannotRun".into(), message: self.0.clone() })
    }

    fn wait(&self) -> Ending {
        let exit = self.exit().expect("it has ended");
        Box::pin(async move { exit })
    }

    fn memory(&self) -> u64 {
        0
    }

    fn cpu_nanos(&self) -> u64 {
        0
    }
}
