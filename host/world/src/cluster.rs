//! What a world is made of: network, control plane, runtime and gateway; and how faults reach
//! them.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use podlab_fs::VolumeFault;
use podlab_kube::api::Api;
use podlab_kube::control_plane::{self, ControlPlane, Delays, NodeSpec};
use podlab_kube::runtime::Output;
use podlab_kube::store::Store;
use podlab_net::{DnsFault, LinkEnd, LinkEnds, LinkProps, NamespaceSpec, Net, NetOptions};
use podlab_sim::Handle;
use podlab_trace::{Stream, Trace};

use crate::fault::Fault;
use crate::gateway::{Gateway, Outside};
use crate::images::Images;
use crate::options::WorldOptions;
use crate::runtime::WasmRuntime;
use crate::session::Sessions;

/// The address of clients outside the cluster (RFC 5737, TEST-NET-2).
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

/// The parts of a world.
pub struct Cluster {
    sim: Handle,
    net: Net,
    store: Store,
    api: Api,
    control: ControlPlane,
    runtime: Arc<WasmRuntime>,
    gateway: Gateway,
    sessions: Sessions,
}

impl Cluster {
    /// Puts the parts together and starts the control plane.
    pub fn start(sim: &Handle, trace: &Trace, images: &Images, options: &WorldOptions) -> Cluster {
        let net = Net::new(sim, trace, NetOptions::default());
        let store = Store::new(sim, trace);
        let runtime = Arc::new(WasmRuntime::new(sim, trace, images, options));
        let control = ControlPlane::start(control_plane::Cluster {
            sim: sim.clone(),
            trace: trace.clone(),
            net: net.clone(),
            store: store.clone(),
            runtime: runtime.clone(),
            nodes: options
                .nodes
                .iter()
                .map(|n| NodeSpec {
                    name: n.name.clone(),
                    cores: n.cores,
                    memory: n.memory,
                    pods: n.pods,
                })
                .collect(),
            delays: Delays::default(),
        });
        let place = trace.place(sim.now().as_nanos(), "", "", "", "outside");
        let outside = net.namespace(NamespaceSpec {
            name: "outside".into(),
            node: String::new(),
            place,
            ipv4: OUTSIDE,
            ipv6: None,
            hostname: "outside".into(),
            search: Vec::new(),
            external: true,
        });
        let gateway = Gateway::new(sim, outside.stack(place));
        let api = Api::new(&store).with_logs(control.logs());
        let sessions = Sessions::new(sim, gateway.outbox());
        Cluster { sim: sim.clone(), net, store, api, control, runtime, gateway, sessions }
    }

    /// The API server.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The objects.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The gateway to the outside.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The clients at programs' streams.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The network.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// What acts on the objects.
    pub fn control(&self) -> &ControlPlane {
        &self.control
    }

    /// The digests of the images that have been pulled or run.
    pub fn images_used(&self) -> Vec<String> {
        self.runtime.used()
    }

    /// Replaces the images that can be run from now on.
    pub fn set_images(&self, images: &Images) {
        self.runtime.set_images(images);
    }

    /// Opens a connection from outside: to `service.namespace:port`, `address:port`, or
    /// `pod/NAME:port` (`pod/NAMESPACE/NAME:port`), which goes to the pod past its Services;
    /// `inside/NAMESPACE/NAME/port` is the pod's own 127.0.0.1.
    ///
    /// # Errors
    /// If the target is not of that form, or there is no such pod.
    pub fn open(&self, id: u64, target: &str) -> Result<(), String> {
        if let Some(pod) = target.strip_prefix("inside/") {
            // As the container runtime does for `kubectl port-forward`: from within the pod.
            let parts: Vec<&str> = pod.split('/').collect();
            let [namespace, name, port] = parts[..] else {
                return Err("write inside/NAMESPACE/NAME/port".into());
            };
            let stack = self
                .control
                .pod_stack(namespace, name)
                .ok_or_else(|| format!("pod {namespace}/{name} has no network"))?;
            return self.gateway.open_from(id, stack, &format!("127.0.0.1:{port}"));
        }
        let Some(pod) = target.strip_prefix("pod/") else { return self.gateway.open(id, target) };
        let (name, port) = pod.rsplit_once(':').ok_or("write pod/NAME:port")?;
        let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
        let address = self
            .control
            .pod_address(namespace, name)
            .ok_or_else(|| format!("pod {namespace}/{name} has no address"))?;
        self.gateway.open(id, &format!("{address}:{port}"))
    }

    /// Breaks something, or mends it.
    ///
    /// # Errors
    /// If there is no such target.
    pub fn fault(&self, fault: &Fault) -> Result<(), String> {
        match fault {
            Fault::Kill { target } => {
                let [ns, pod, container] = parts(target, "namespace/pod/container")?;
                self.control.kill(ns, pod, container)
            }
            Fault::Pause { target } | Fault::Resume { target } => {
                let [ns, pod, container] = parts(target, "namespace/pod/container")?;
                self.control.set_frozen(ns, pod, container, fault.begins())
            }
            Fault::Partition { a, b, one_way } => {
                let props = LinkProps { partitioned: true, ..LinkProps::default() };
                let there = self.ends(a, b)?;
                if !one_way {
                    self.net.set_link(there.reversed(), props);
                }
                self.net.set_link(there, props);
                Ok(())
            }
            Fault::Link { a, b, latency_ms, jitter_ms, loss, duplicate, bandwidth } => {
                if !(0.0..=1.0).contains(loss) || !(0.0..=1.0).contains(duplicate) {
                    return Err("loss and duplicate are probabilities: from 0 to 1".into());
                }
                let props = LinkProps {
                    latency: (*latency_ms > 0.0).then(|| millis(*latency_ms)).transpose()?,
                    jitter: (*jitter_ms > 0.0).then(|| millis(*jitter_ms)).transpose()?,
                    bandwidth: (*bandwidth > 0).then_some(*bandwidth),
                    loss: (*loss > 0.0).then_some(*loss),
                    duplicate: (*duplicate > 0.0).then_some(*duplicate),
                    partitioned: false,
                };
                let there = self.ends(a, b)?;
                self.net.set_link(there.reversed(), props);
                self.net.set_link(there, props);
                Ok(())
            }
            Fault::Heal { a, b } => {
                let there = self.ends(a, b)?;
                self.net.clear_link(&there.reversed());
                self.net.clear_link(&there);
                Ok(())
            }
            Fault::NodeDown { target } => self.control.node_down(target),
            Fault::NodeUp { target } => self.control.node_up(target),
            Fault::DnsDown { target } | Fault::DnsUp { target } => {
                let whose = (target != "*").then_some(target.as_str());
                let fault = fault.begins().then_some(DnsFault::ServerFailure);
                self.net.set_dns_fault(whose, fault);
                Ok(())
            }
            Fault::VolumeFull { target } | Fault::VolumeFreed { target } => {
                let full = fault.begins();
                self.volume(target)?.set_fault(VolumeFault { full, ..VolumeFault::default() });
                Ok(())
            }
            Fault::VolumeErrors { target } => {
                let fail_after_writes = Some(0);
                let fault = VolumeFault { fail_after_writes, ..VolumeFault::default() };
                self.volume(target)?.set_fault(fault);
                Ok(())
            }
            Fault::VolumeSlow { target, ms } => {
                let slow_ns = ms.saturating_mul(1_000_000);
                self.volume(target)?.set_fault(VolumeFault { slow_ns, ..VolumeFault::default() });
                Ok(())
            }
            Fault::CpuStarve { target, factor } => {
                let (program, limit) = self.runtime.program(target)?;
                if *factor < 2 {
                    return Err("factor says how many times slower: 2 and more".into());
                }
                program.cpu().set_limit(Some((limit.unwrap_or(1000) / factor).max(1)));
                Ok(())
            }
            Fault::CpuFed { target } => {
                // A container that was restarted has its processor back already.
                if let Ok((program, limit)) = self.runtime.program(target) {
                    program.cpu().set_limit(limit);
                }
                Ok(())
            }
            Fault::Oom { target } => {
                self.runtime.program(target)?.0.exhaust();
                Ok(())
            }
            Fault::CrashOnWrite { target, volume, writes } => {
                self.crash_on_write(target, volume, *writes)
            }
            Fault::ClockSkew { target, ms } => {
                self.runtime.program(target)?.0.set_skew(ms.saturating_mul(1_000_000));
                Ok(())
            }
            Fault::ClockRight { target } => {
                if let Ok((program, _)) = self.runtime.program(target) {
                    program.set_skew(0);
                }
                Ok(())
            }
            Fault::ImagePull { target } | Fault::ImagePulls { target } => {
                self.runtime.set_broken(target, fault.begins());
                Ok(())
            }
            Fault::ControlPlaneSlow { factor } => {
                if !(2..=1000).contains(factor) {
                    return Err("factor says how many times longer: 2 to 1000".into());
                }
                let d = Delays::default();
                self.control.set_delays(Delays {
                    pull: d.pull * *factor,
                    sandbox: d.sandbox * *factor,
                    start: d.start * *factor,
                    proxy: d.proxy * *factor,
                    config: d.config * *factor,
                    api: d.api * *factor,
                });
                Ok(())
            }
            Fault::ControlPlaneUsual {} => {
                self.control.set_delays(Delays::default());
                Ok(())
            }
        }
    }

    fn volume(&self, target: &str) -> Result<podlab_fs::Volume, String> {
        let [ns, pod, volume] = parts(target, "namespace/pod/volume")?;
        let found = self.control.volume(ns, pod, volume);
        found.ok_or_else(|| format!("pod {ns}/{pod} has no volume {volume:?}"))
    }

    /// Kills a container once `writes` more writes to `volume` have been made.
    fn crash_on_write(&self, target: &str, volume: &str, writes: u64) -> Result<(), String> {
        let [ns, pod, _] = parts(target, "namespace/pod/container")?;
        let (program, _) = self.runtime.program(target)?;
        let volume = self.volume(&format!("{ns}/{pod}/{volume}"))?;
        if writes == 0 {
            return Err("writes is 0: it must be 1 or more".into());
        }
        let fault = VolumeFault { fail_after_writes: Some(writes), ..volume.fault() };
        volume.set_fault(fault);
        self.sim.spawn(async move {
            let (signal, counted) = (volume.changed().clone(), volume.clone());
            // Whoever writes beyond the last write that is let through gets an error, which it
            // does not live to report.
            signal
                .until(move || (counted.fault().fail_after_writes == Some(0)).then_some(()))
                .await;
            program.kill();
            volume.set_fault(VolumeFault { fail_after_writes: None, ..volume.fault() });
        });
        Ok(())
    }

    /// Starts a program inside a container; what it writes goes to the gateway's outbox.
    ///
    /// # Errors
    /// If the container does not run.
    pub fn exec(
        &self,
        id: u64,
        namespace: &str,
        pod: &str,
        container: &str,
        command: Vec<String>,
    ) -> Result<(), String> {
        let outbox = self.gateway.outbox().clone();
        let sink = outbox.clone();
        let output: Output = Arc::new(Mutex::new(move |_: Stream, bytes: &[u8]| {
            sink.put(id, Outside::Data(Bytes::copy_from_slice(bytes)));
        }));
        let running = self.control.exec(namespace, pod, container, command, output)?;
        self.sim.spawn(async move {
            let exit = running.wait().await;
            outbox.put(id, Outside::Exited(exit.code));
        });
        Ok(())
    }

    fn ends(&self, a: &str, b: &str) -> Result<LinkEnds, String> {
        Ok(LinkEnds { from: self.end(a)?, to: self.end(b)? })
    }

    fn end(&self, name: &str) -> Result<LinkEnd, String> {
        if name == "*" {
            return Ok(LinkEnd::Any);
        }
        if name == "outside" {
            return Ok(LinkEnd::Outside);
        }
        if name == "api" {
            return Ok(LinkEnd::Namespace(podlab_kube::serving::NAME.into()));
        }
        if self.net.node(name).is_some() {
            return Ok(LinkEnd::Node(name.into()));
        }
        match name.split('/').collect::<Vec<_>>()[..] {
            [ns, pod] if !ns.is_empty() && !pod.is_empty() => Ok(LinkEnd::Namespace(name.into())),
            _ => Err(format!(
                "{name:?} is no end of a link: write namespace/pod, a node, `api`, `outside` or `*`"
            )),
        }
    }
}

fn millis(ms: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(ms / 1e3).map_err(|_| format!("{ms} ms is not a span of time"))
}

fn parts<'a, const N: usize>(target: &'a str, form: &str) -> Result<[&'a str; N], String> {
    let parts: Vec<&str> = target.split('/').collect();
    <[&str; N]>::try_from(parts)
        .ok()
        .filter(|p| p.iter().all(|s| !s.is_empty()))
        .ok_or_else(|| format!("{target:?} is no target: write {form}"))
}
