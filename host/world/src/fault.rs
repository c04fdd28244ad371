//! What may break.

use serde::{Deserialize, Serialize};

/// A fault, or its end. Targets are written `namespace/pod/container`, `namespace/pod` or, for
/// nodes, `node-1`; links also take `*` (anything), `api` (the API server) and `outside` (clients
/// outside the cluster).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fault {
    /// SIGKILL to a container's main program; the kubelet restarts it as its policy says.
    Kill {
        /// `namespace/pod/container`.
        target: String,
    },
    /// Freezes a container: it computes nothing until it is resumed.
    Pause {
        /// `namespace/pod/container`.
        target: String,
    },
    /// Ends a pause.
    Resume {
        /// `namespace/pod/container`.
        target: String,
    },
    /// Drops everything between two ends.
    Partition {
        /// One end.
        a: String,
        /// The other end.
        b: String,
        /// Only from `a` to `b`.
        #[serde(default)]
        one_way: bool,
    },
    /// Changes the link between two ends, in both directions.
    Link {
        /// One end.
        a: String,
        /// The other end.
        b: String,
        /// Time in flight, in ms.
        #[serde(default)]
        latency_ms: f64,
        /// Random extra time in flight, in ms.
        #[serde(default)]
        jitter_ms: f64,
        /// Probability that a packet is lost, 0 to 1.
        #[serde(default)]
        loss: f64,
        /// Probability that a datagram arrives twice, 0 to 1.
        #[serde(default)]
        duplicate: f64,
        /// Bits a second; 0 for no bound.
        #[serde(default)]
        bandwidth: u64,
    },
    /// Ends every partition and link change between two ends.
    Heal {
        /// One end.
        a: String,
        /// The other end.
        b: String,
    },
    /// A node stops: its programs die, nothing reaches it.
    NodeDown {
        /// The node.
        target: String,
    },
    /// The node is back.
    NodeUp {
        /// The node.
        target: String,
    },
    /// Name lookups fail for a pod (`namespace/pod`) or for all (`*`).
    DnsDown {
        /// Whose.
        target: String,
    },
    /// Name lookups work again.
    DnsUp {
        /// Whose.
        target: String,
    },
    /// A volume of a pod is full.
    VolumeFull {
        /// `namespace/pod/volume`.
        target: String,
    },
    /// The volume has room again.
    VolumeFreed {
        /// `namespace/pod/volume`.
        target: String,
    },
    /// A container gets only a part of the processor it could have; until it ends or is fed.
    CpuStarve {
        /// `namespace/pod/container`.
        target: String,
        /// How many times slower: 2 and more.
        factor: u32,
    },
    /// The container has its processor back.
    CpuFed {
        /// `namespace/pod/container`.
        target: String,
    },
    /// The kernel's out-of-memory killer ends a container.
    Oom {
        /// `namespace/pod/container`.
        target: String,
    },
    /// A container is killed right after the n-th write to a volume from now on.
    CrashOnWrite {
        /// `namespace/pod/container`.
        target: String,
        /// The volume of the pod.
        volume: String,
        /// After how many writes: 1 and more.
        writes: u64,
    },
    /// The wall clock of a container is wrong, until it ends or is set right.
    ClockSkew {
        /// `namespace/pod/container`.
        target: String,
        /// How far it is ahead, in ms; negative: behind.
        ms: i64,
    },
    /// The wall clock of a container is right again.
    ClockRight {
        /// `namespace/pod/container`.
        target: String,
    },
    /// An image cannot be pulled.
    ImagePull {
        /// The image, as manifests name it.
        target: String,
    },
    /// It can be pulled again.
    ImagePulls {
        /// The image.
        target: String,
    },
    /// Every write to a volume of a pod fails with an I/O error.
    VolumeErrors {
        /// `namespace/pod/volume`.
        target: String,
    },
    /// A volume of a pod is slow.
    VolumeSlow {
        /// `namespace/pod/volume`.
        target: String,
        /// How much longer each write takes, in ms.
        ms: u64,
    },
    /// The control plane is slow: pulls, starts, and the news of endpoints take longer.
    ControlPlaneSlow {
        /// How many times longer: 2 to 1000.
        factor: u32,
    },
    /// The control plane has its usual pace.
    ControlPlaneUsual {},
}

impl Fault {
    /// All that [`Fault::name`] may say of something that begins.
    pub const KINDS: [&'static str; 15] = [
        "clockSkew",
        "controlPlaneSlow",
        "cpuStarve",
        "crashOnWrite",
        "dnsDown",
        "imagePull",
        "kill",
        "link",
        "nodeDown",
        "oom",
        "partition",
        "pause",
        "volumeErrors",
        "volumeFull",
        "volumeSlow",
    ];

    /// The name of the kind: "kill".
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Kill { .. } => "kill",
            Fault::Pause { .. } | Fault::Resume { .. } => "pause",
            Fault::Partition { .. } => "partition",
            Fault::Link { .. } => "link",
            Fault::Heal { .. } => "heal",
            Fault::NodeDown { .. } | Fault::NodeUp { .. } => "nodeDown",
            Fault::DnsDown { .. } | Fault::DnsUp { .. } => "dnsDown",
            Fault::VolumeFull { .. } | Fault::VolumeFreed { .. } => "volumeFull",
            Fault::CpuStarve { .. } | Fault::CpuFed { .. } => "cpuStarve",
            Fault::Oom { .. } => "oom",
            Fault::CrashOnWrite { .. } => "crashOnWrite",
            Fault::ClockSkew { .. } | Fault::ClockRight { .. } => "clockSkew",
            Fault::ImagePull { .. } | Fault::ImagePulls { .. } => "imagePull",
            Fault::VolumeErrors { .. } => "volumeErrors",
            Fault::VolumeSlow { .. } => "volumeSlow",
            Fault::ControlPlaneSlow { .. } | Fault::ControlPlaneUsual {} => "controlPlaneSlow",
        }
    }

    /// What it hits, for people.
    pub fn target(&self) -> String {
        match self {
            Fault::Kill { target }
            | Fault::Pause { target }
            | Fault::Resume { target }
            | Fault::NodeDown { target }
            | Fault::NodeUp { target }
            | Fault::DnsDown { target }
            | Fault::DnsUp { target }
            | Fault::VolumeFull { target }
            | Fault::VolumeFreed { target }
            | Fault::CpuStarve { target, .. }
            | Fault::CpuFed { target }
            | Fault::Oom { target }
            | Fault::CrashOnWrite { target, .. }
            | Fault::ClockSkew { target, .. }
            | Fault::ClockRight { target }
            | Fault::ImagePull { target }
            | Fault::ImagePulls { target }
            | Fault::VolumeErrors { target }
            | Fault::VolumeSlow { target, .. } => target.clone(),
            Fault::ControlPlaneSlow { .. } | Fault::ControlPlaneUsual {} => "control plane".into(),
            Fault::Partition { a, b, one_way } => {
                format!("{a} {} {b}", if *one_way { "->" } else { "<->" })
            }
            Fault::Link { a, b, .. } | Fault::Heal { a, b } => format!("{a} <-> {b}"),
        }
    }

    /// Whether this begins something (as opposed to ending it).
    pub fn begins(&self) -> bool {
        !matches!(
            self,
            Fault::Resume { .. }
                | Fault::Heal { .. }
                | Fault::NodeUp { .. }
                | Fault::DnsUp { .. }
                | Fault::VolumeFreed { .. }
                | Fault::CpuFed { .. }
                | Fault::ClockRight { .. }
                | Fault::ImagePulls { .. }
                | Fault::ControlPlaneUsual {}
        )
    }

    /// What ends it, for faults that last.
    pub fn end(&self) -> Option<Fault> {
        let target = || match self {
            Fault::Partition { .. } | Fault::Link { .. } => String::new(),
            other => other.target(),
        };
        Some(match self {
            Fault::Pause { .. } => Fault::Resume { target: target() },
            Fault::Partition { a, b, .. } | Fault::Link { a, b, .. } => {
                Fault::Heal { a: a.clone(), b: b.clone() }
            }
            Fault::NodeDown { .. } => Fault::NodeUp { target: target() },
            Fault::DnsDown { .. } => Fault::DnsUp { target: target() },
            Fault::VolumeFull { .. } | Fault::VolumeErrors { .. } | Fault::VolumeSlow { .. } => {
                Fault::VolumeFreed { target: target() }
            }
            Fault::CpuStarve { .. } => Fault::CpuFed { target: target() },
            Fault::ClockSkew { .. } => Fault::ClockRight { target: target() },
            Fault::ImagePull { .. } => Fault::ImagePulls { target: target() },
            Fault::ControlPlaneSlow { .. } => Fault::ControlPlaneUsual {},
            _ => return None,
        })
    }

    /// What is wrong with it whatever the world: the form of its targets, the bounds of its
    /// numbers.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn check(&self) -> Result<(), String> {
        let form = |target: &str, form: &str| {
            let parts = target.split('/').collect::<Vec<_>>();
            let right =
                parts.len() == form.split('/').count() && parts.iter().all(|p| !p.is_empty());
            right.then_some(()).ok_or_else(|| format!("{target:?} is no target: write {form}"))
        };
        let end = |end: &str| {
            let one = !end.is_empty() && !end.contains('/');
            if one { Ok(()) } else { form(end, "namespace/pod") }.map_err(|_| {
                format!(
                    "{end:?} is no end of a link: write namespace/pod, a node, `outside` or `*`"
                )
            })
        };
        let within = |name: &str, value: f64, most: f64| match (0.0..=most).contains(&value) {
            true => Ok(()),
            false => Err(format!("{name} is {value}: it must be from 0 to {most}")),
        };
        match self {
            Fault::Kill { target }
            | Fault::Pause { target }
            | Fault::Resume { target }
            | Fault::CpuFed { target }
            | Fault::Oom { target }
            | Fault::ClockSkew { target, .. }
            | Fault::ClockRight { target } => form(target, "namespace/pod/container"),
            Fault::CpuStarve { target, factor } => match factor {
                2.. => form(target, "namespace/pod/container"),
                _ => Err(format!("factor is {factor}: it says how many times slower: 2 and more")),
            },
            Fault::CrashOnWrite { target, volume, writes } => {
                form(target, "namespace/pod/container")?;
                if *writes == 0 || volume.is_empty() {
                    return Err("it needs a volume, and writes of 1 or more".into());
                }
                Ok(())
            }
            Fault::Partition { a, b, .. } | Fault::Heal { a, b } => end(a).and_then(|()| end(b)),
            Fault::Link { a, b, latency_ms, jitter_ms, loss, duplicate, .. } => {
                end(a).and_then(|()| end(b))?;
                within("loss", *loss, 1.0)?;
                within("duplicate", *duplicate, 1.0)?;
                // An hour: nothing waits that long.
                within("latencyMs", *latency_ms, 3_600_000.0)?;
                within("jitterMs", *jitter_ms, 3_600_000.0)
            }
            Fault::NodeDown { target } | Fault::NodeUp { target } => form(target, "node-1"),
            Fault::DnsDown { target } | Fault::DnsUp { target } => match target.as_str() {
                "*" => Ok(()),
                pod => form(pod, "namespace/pod").map_err(|e| e + ", or \"*\" for all"),
            },
            Fault::VolumeFull { target }
            | Fault::VolumeFreed { target }
            | Fault::VolumeErrors { target }
            | Fault::VolumeSlow { target, .. } => form(target, "namespace/pod/volume"),
            Fault::ImagePull { target } | Fault::ImagePulls { target } => {
                let named = !target.is_empty() && target.contains(':');
                named.then_some(()).ok_or_else(|| {
                    format!("{target:?} is no image: write it as manifests do, with its tag")
                })
            }
            Fault::ControlPlaneSlow { factor } => match factor {
                2..=1000 => Ok(()),
                _ => Err(format!("factor is {factor}: how many times longer, 2 to 1000")),
            },
            Fault::ControlPlaneUsual {} => Ok(()),
        }
    }

    /// Reads `{"kind": "kill", "target": "default/web/main"}`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn from_json(value: serde_json::Value) -> Result<Fault, String> {
        let serde_json::Value::Object(mut fields) = value else {
            return Err("a fault is an object with `kind` and, mostly, `target`".into());
        };
        let Some(serde_json::Value::String(kind)) = fields.remove("kind") else {
            return Err("a fault needs a `kind`, for example \"kill\"".into());
        };
        let tagged = serde_json::json!({ kind: fields });
        serde_json::from_value(tagged).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn faults_are_read_from_json() {
        let read = |v| Fault::from_json(v);
        assert_eq!(
            read(json!({"kind": "kill", "target": "default/web/main"})),
            Ok(Fault::Kill { target: "default/web/main".into() })
        );
        assert!(read(json!({"kind": "kil"})).unwrap_err().contains("unknown variant `kil`"));
        assert!(read(json!({"kind": "kill"})).unwrap_err().contains("missing field `target`"));
        assert!(read(json!({"kind": "kill", "target": "x", "tarket": "y"})).is_err());
        assert!(read(json!([])).is_err());
    }
}
