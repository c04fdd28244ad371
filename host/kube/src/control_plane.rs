//! The control plane of a world: what acts on the objects of a store.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use podlab_fs::Volume;
use podlab_net::Net;
use podlab_sim::Handle;
use podlab_sim::sync::Signal;
use podlab_trace::Trace;

use crate::api::{LogPart, LogSource};
use crate::events::Recorder;
use crate::kubelet::cell::PodCell;
use crate::kubelet::node::NodeCell;
pub use crate::kubelet::session::{Session, SessionSpec};
use crate::runtime::{Output, Running, Runtime};
use crate::store::Store;

/// What a control plane works on.
pub struct Cluster {
    /// The executor.
    pub sim: Handle,
    /// The trace.
    pub trace: Trace,
    /// The network.
    pub net: Net,
    /// The objects.
    pub store: Store,
    /// Images and programs.
    pub runtime: Arc<dyn Runtime>,
    /// The nodes, in the order of their addresses.
    pub nodes: Vec<NodeSpec>,
    /// How long things take.
    pub delays: Delays,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// Its name.
    pub name: String,
    /// Its cores.
    pub cores: u32,
    /// Its memory, in bytes.
    pub memory: u64,
    /// How many pods it runs at most.
    pub pods: u32,
}

/// How long things take in a cluster. All in virtual time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delays {
    /// Pulling an image that a node does not have yet.
    pub pull: Duration,
    /// Making a pod's sandbox: its network and volumes.
    pub sandbox: Duration,
    /// From a container's creation to its program's first step.
    pub start: Duration,
    /// From a change of endpoints until a node's proxy routes by it.
    pub proxy: Duration,
    /// From a change of a ConfigMap or Secret until it is in volumes (the kubelet looks once a
    /// minute).
    pub config: Duration,
    /// From a request of a program in a pod at the API server until it is looked at.
    pub api: Duration,
}

impl Default for Delays {
    fn default() -> Delays {
        Delays {
            pull: Duration::from_millis(400),
            sandbox: Duration::from_millis(50),
            start: Duration::from_millis(20),
            proxy: Duration::from_millis(100),
            config: Duration::from_secs(60),
            api: Duration::from_millis(2),
        }
    }
}

/// A running control plane. Cheap to clone.
#[derive(Clone)]
pub struct ControlPlane {
    pub(crate) shared: Arc<Shared>,
}

/// What all parts of a control plane use.
pub(crate) struct Shared {
    pub(crate) sim: Handle,
    pub(crate) trace: Trace,
    pub(crate) net: Net,
    pub(crate) store: Store,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) delays: Mutex<Delays>,
    pub(crate) nodes: BTreeMap<String, Arc<NodeCell>>,
    pub(crate) pods: Mutex<BTreeMap<(String, String), Arc<PodCell>>>,
    pub(crate) logs_grew: Signal,
    /// What is in PersistentVolumes, by their uid.
    pub(crate) claims: Mutex<BTreeMap<String, Volume>>,
    pub(crate) events: Recorder,
}

impl Shared {
    pub(crate) fn delays(&self) -> Delays {
        self.delays.lock().expect("delays lock").clone()
    }

    pub(crate) fn pods(&self) -> MutexGuard<'_, BTreeMap<(String, String), Arc<PodCell>>> {
        self.pods.lock().expect("pods lock")
    }

    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Option<Arc<PodCell>> {
        self.pods().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }
}

impl ControlPlane {
    /// Starts the control plane: its nodes and namespaces exist when this returns, the rest
    /// happens as the world runs.
    ///
    /// # Panics
    /// If the store has objects of these already, or there are more nodes than addresses.
    pub fn start(cluster: Cluster) -> ControlPlane {
        let Cluster { sim, trace, net, store, runtime, nodes, delays } = cluster;
        let events = Recorder::new(&store, "", "");
        let wide = nodes.iter().any(|n| n.pods > 250) || nodes.len() > 250;
        let cells = nodes.into_iter().enumerate().map(|(i, spec)| {
            let name = spec.name.clone();
            (name, Arc::new(NodeCell::new(&sim, &trace, &net, &store, spec, i, wide)))
        });
        let shared = Arc::new(Shared {
            nodes: cells.collect(),
            sim,
            trace,
            net,
            store,
            runtime,
            delays: Mutex::new(delays),
            pods: Mutex::default(),
            logs_grew: Signal::new(),
            claims: Mutex::default(),
            events,
        });
        crate::api::access::furnish(&shared.store);
        crate::controllers::furnish(&shared.store);
        crate::admission::furnish(&shared.store);
        crate::kubelet::start(&shared);
        crate::scheduler::start(&shared);
        crate::proxy::start(&shared);
        crate::network_policy::start(&shared);
        crate::controllers::start_all(&shared);
        let control = ControlPlane { shared };
        crate::serving::start(&control);
        control
    }

    /// Changes how long things take from now on.
    pub fn set_delays(&self, delays: Delays) {
        *self.shared.delays.lock().expect("delays lock") = delays;
    }

    /// How long things take.
    pub fn delays(&self) -> Delays {
        self.shared.delays()
    }

    fn pod(&self, namespace: &str, pod: &str) -> Result<Arc<PodCell>, String> {
        self.shared.pod(namespace, pod).ok_or_else(|| {
            format!("no pod {namespace}/{pod} runs on a node: see which do with `kubectl get pods`")
        })
    }

    /// Kills the main program of a container, as `kill -9` on its node would.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&self, namespace: &str, pod: &str, container: &str) -> Result<(), String> {
        self.pod(namespace, pod)?.program(container)?.kill();
        Ok(())
    }

    /// Freezes a container where it is, or lets it go on.
    ///
    /// # Errors
    /// If it does not run.
    pub fn set_frozen(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        frozen: bool,
    ) -> Result<(), String> {
        self.pod(namespace, pod)?.program(container)?.set_frozen(frozen);
        Ok(())
    }

    /// Takes a node's power away: its programs are gone, nobody answers at its addresses, and
    /// nobody reports.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn node_down(&self, name: &str) -> Result<(), String> {
        crate::kubelet::node_down(&self.shared, name)
    }

    /// Gives it back: its kubelet starts its pods again.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn node_up(&self, name: &str) -> Result<(), String> {
        crate::kubelet::node_up(&self.shared, name)
    }

    /// A volume of a pod, by its name in `spec.volumes`.
    pub fn volume(&self, namespace: &str, pod: &str, volume: &str) -> Option<Volume> {
        self.shared.pod(namespace, pod)?.volume(volume)
    }

    /// The network namespace's name and address of a pod that has one.
    pub fn pod_address(&self, namespace: &str, pod: &str) -> Option<Ipv4Addr> {
        self.shared.pod(namespace, pod)?.address()
    }

    /// Starts a further program in a container.
    ///
    /// # Errors
    /// If the container does not run, or `argv` is empty.
    pub fn exec(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        argv: Vec<String>,
        output: Output,
    ) -> Result<Arc<dyn Running>, String> {
        let cell = self.pod(namespace, pod)?;
        crate::kubelet::exec::start(&self.shared, &cell, container, argv, output, false, false)
    }

    /// Puts a client at the streams of a program: of a further one, or of a container's own.
    ///
    /// # Errors
    /// If the container does not run, or the command is empty.
    pub fn session(&self, spec: &SessionSpec, output: Output) -> Result<Session, String> {
        let cell = self.pod(&spec.namespace, &spec.pod)?;
        Session::begin(&self.shared, &cell, spec, output)
    }

    /// What a program inside the pod would reach the network with, and its place.
    pub fn pod_stack(&self, namespace: &str, pod: &str) -> Option<podlab_net::Stack> {
        self.shared.pod(namespace, pod)?.stack()
    }

    /// Where the API gets logs from.
    pub fn logs(&self) -> Arc<dyn LogSource> {
        Arc::new(Logs(self.shared.clone()))
    }
}

struct Logs(Arc<Shared>);

impl LogSource for Logs {
    fn read(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
        from: u64,
    ) -> Option<LogPart> {
        self.0.pod(namespace, pod)?.log(container, previous, from)
    }

    fn signal(&self) -> Signal {
        self.0.logs_grew.clone()
    }
}
