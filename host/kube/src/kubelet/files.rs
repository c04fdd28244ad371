//! What a program finds in its file system beside its image and volumes: `/dev`, `/etc`, `/proc`.

use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Pod};
use podlab_fs::{Device, Errno, MountOptions, Mounts, SignalQueue, Volume, VolumeOptions};
use podlab_trace::PlaceId;

use super::cell::Ctx;
use super::volumes;

/// The termination message's name in its volume.
pub(crate) const TERMINATION_LOG: &str = "termination-log";
/// The address of the cluster's DNS.
const DNS: &str = "10.96.0.10";

/// What a container's view is built from.
pub(crate) struct View<'a> {
    pub(crate) ctx: &'a Ctx,
    pub(crate) pod: &'a Pod,
    pub(crate) spec: &'a Container,
    pub(crate) place: PlaceId,
    pub(crate) ip: Ipv4Addr,
    pub(crate) args: &'a [String],
    pub(crate) env: &'a [(String, String)],
    pub(crate) signals: &'a SignalQueue,
    pub(crate) rng_name: &'a str,
}

impl View<'_> {
    /// Mounts everything over `root`. Also gives the volume of the termination message.
    pub(crate) fn build(&self, root: Volume) -> Result<(Mounts, Volume), String> {
        let at = |path: &str, e: Errno| format!("failed to create {path}: {}", e.name());
        for (path, text) in self.etc() {
            root.write(path, text.as_bytes(), 0o644).map_err(|e| at(path, e))?;
        }
        let sim = &self.ctx.shared.sim;
        let mut mounts = Mounts::new(root, &self.ctx.shared.trace, self.place);
        mounts = volumes::mount(self.ctx, self.pod, self.spec, self.env, mounts)?;
        let rng = |name: &str| Device::random(sim.rng(&format!("{}/{name}", self.rng_name)));
        let devices = [
            ("/dev/null", Device::Null),
            ("/dev/zero", Device::Zero),
            ("/dev/full", Device::Full),
            ("/dev/random", rng("dev/random")),
            ("/dev/urandom", rng("dev/urandom")),
            ("/dev/signals", Device::Signals(self.signals.clone())),
        ];
        for (path, device) in devices {
            mounts = mounts.device(path, device).map_err(|e| at(path, e))?;
        }
        let message = Volume::new(
            sim,
            "termination-log",
            VolumeOptions { quota: Some(8192), read_only: false },
        );
        message.write(TERMINATION_LOG, b"", 0o666).map_err(|e| at(TERMINATION_LOG, e))?;
        let path = self.spec.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
        let options = MountOptions { read_only: false, sub_path: TERMINATION_LOG.into() };
        mounts = mounts.mount(path, &message, options).map_err(|e| at(path, e))?;
        // A volume of its own, so that another program can have another one.
        let volume = proc_volume(sim);
        mounts =
            mounts.mount("/proc", &volume, MountOptions::default()).map_err(|e| at("/proc", e))?;
        for (path, device) in self.proc() {
            mounts = mounts.device(path, device).map_err(|e| at(path, e))?;
        }
        mounts = process(mounts, 1, self.args, self.env).map_err(|e| at("/proc/1", e))?;
        Ok((mounts, message))
    }

    fn etc(&self) -> [(&'static str, String); 3] {
        let pod = self.pod.spec.as_ref();
        let name = &self.ctx.cell.name;
        let host = pod.and_then(|s| s.hostname.clone()).filter(|h| !h.is_empty());
        let host = host.unwrap_or_else(|| name.clone());
        let namespace = &self.ctx.cell.namespace;
        let domain = pod.and_then(|s| s.subdomain.clone()).filter(|s| !s.is_empty());
        let names = match domain {
            Some(domain) => format!("{host}.{domain}.{namespace}.svc.cluster.local\t{host}"),
            None => host.clone(),
        };
        let mut hosts = format!(
            "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{}\t{names}\n",
            self.ip
        );
        for alias in pod.and_then(|s| s.host_aliases.as_ref()).into_iter().flatten() {
            let names = alias.hostnames.clone().unwrap_or_default().join("\t");
            hosts += &format!("{}\t{names}\n", alias.ip);
        }
        let search = super::pod::search(namespace).join(" ");
        let resolv = format!("search {search}\nnameserver {DNS}\noptions ndots:5\n");
        [("etc/hosts", hosts), ("etc/hostname", format!("{host}\n")), ("etc/resolv.conf", resolv)]
    }

    /// The files of `/proc` that are the same for every process.
    fn proc(&self) -> Vec<(&'static str, Device)> {
        let node = &self.ctx.node.spec;
        let (memory, cores) = (node.memory >> 10, node.cores);
        let sim = self.ctx.shared.sim.clone();
        let uptime = move || {
            let now = sim.now().as_nanos() / 10_000_000;
            format!("{}.{:02} 0.00\n", now / 100, now % 100)
        };
        let fixed = |text: String| Device::Text(Arc::new(move || text.clone()));
        let cpus: String =
            (0..cores).map(|n| format!("processor\t: {n}\nmodel name\t: podlab\n\n")).collect();
        vec![
            ("/proc/uptime", Device::Text(Arc::new(uptime))),
            ("/proc/meminfo", fixed(format!("MemTotal:       {memory} kB\n"))),
            ("/proc/cpuinfo", fixed(cpus)),
            ("/proc/loadavg", fixed("0.00 0.00 0.00 1/1 1\n".into())),
            ("/proc/version", fixed("Linux version podlab\n".into())),
        ]
    }
}

fn proc_volume(sim: &podlab_sim::Handle) -> Volume {
    Volume::new(sim, "proc", VolumeOptions::default())
}

/// The view of a further program: `/proc` shows the main one and this.
pub(crate) fn further(
    mounts: &Mounts,
    sim: &podlab_sim::Handle,
    main: &[String],
    pid: u32,
    args: &[String],
    env: &[(String, String)],
) -> Result<Mounts, Errno> {
    let mounts = mounts.clone().mount("/proc", &proc_volume(sim), MountOptions::default())?;
    let mounts = process(mounts, 1, main, env)?;
    process(mounts, pid, args, env)
}

/// Adds a process's own directory to `/proc`, and makes it `/proc/self`.
pub(crate) fn process(
    mounts: Mounts,
    pid: u32,
    args: &[String],
    env: &[(String, String)],
) -> Result<Mounts, Errno> {
    let fixed = |text: String| Device::Text(Arc::new(move || text.clone()));
    let command: String = args.iter().flat_map(|a| [a.as_str(), "\0"]).collect();
    let environment: String = env.iter().map(|(k, v)| format!("{k}={v}\0")).collect();
    let name = args.first().map_or("", |a| a.rsplit('/').next().unwrap_or(a));
    let name: String = name.chars().take(15).collect();
    let mut mounts = mounts;
    for dir in [pid.to_string(), "self".into()] {
        let status = format!("Name:\t{name}\nState:\tS (sleeping)\nPid:\t{pid}\nPPid:\t0\n");
        for (file, text) in [
            ("cmdline", command.clone()),
            ("comm", format!("{name}\n")),
            ("environ", environment.clone()),
            ("status", status),
        ] {
            mounts = mounts.device(&format!("/proc/{dir}/{file}"), fixed(text))?;
        }
    }
    Ok(mounts)
}
