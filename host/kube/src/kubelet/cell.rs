//! What a kubelet knows of one pod. The pod's tasks change it and wake its worker.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use indexmap::IndexMap;
use k8s_openapi::api::core::v1::{Container, Pod};
use podlab_fs::{Mounts, Volume};
use podlab_net::{Namespace, Stack};
use podlab_sim::sync::Signal;
use podlab_sim::{Task, Time};
use podlab_trace::PlaceId;
use serde_json::Value;

use super::backoff::Backoff;
use super::log::Log;
use super::node::NodeCell;
use super::session::Attached;
use crate::api::LogPart;
use crate::control_plane::Shared;
use crate::events::{About, Recorder};
use crate::runtime::Running;
use crate::store::{Object, Store, object};

/// What every task of a pod carries.
#[derive(Clone)]
pub(crate) struct Ctx {
    pub(crate) shared: Arc<Shared>,
    pub(crate) node: Arc<NodeCell>,
    pub(crate) cell: Arc<PodCell>,
}

/// A pod on its node.
pub(crate) struct PodCell {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) node: String,
    /// The pod's place: its kubelet acts there.
    pub(crate) place: PlaceId,
    inner: Mutex<Inner>,
    wake: Signal,
}

/// What changes about a pod.
pub(crate) struct Inner {
    /// Something happened that the worker has not looked at.
    dirty: bool,
    pub(crate) object: Object,
    pub(crate) pod: Arc<Pod>,
    /// The object was removed from the store.
    pub(crate) gone: bool,
    pub(crate) sandbox: Sandbox,
    /// The address it had last.
    pub(crate) ip: Option<Ipv4Addr>,
    pub(crate) volumes: BTreeMap<String, Volume>,
    /// Init containers first, each in the order of the spec.
    pub(crate) containers: Vec<ContainerCell>,
    /// A main container was started in this sandbox: init containers have done their work.
    pub(crate) begun: bool,
    /// When the kubelet took the pod on.
    pub(crate) started: Time,
    pub(crate) stop: Stop,
    /// Conditions as last reported: type, to value and time of transition.
    pub(crate) conditions: IndexMap<String, (bool, String)>,
    /// The status as last reported.
    pub(crate) reported: Option<Value>,
    /// Why the kubelet ended the pod (reason, message): deadline, eviction.
    pub(crate) verdict: Option<(String, String)>,
    /// The seconds its containers were given when they were told to stop.
    pub(crate) grace: Duration,
    /// The worker.
    pub(crate) worker: Option<Task>,
    tasks: Vec<Task>,
}

/// A pod's network and volumes.
pub(crate) enum Sandbox {
    /// Not begun.
    None,
    /// Being made.
    Making,
    /// Made.
    Ready(Namespace, Ipv4Addr),
}

/// How far the end of a pod has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It shall run.
    No,
    /// Its containers are being stopped; they are killed at this instant.
    Until(Time),
    /// They have stopped.
    Done,
}

/// The three roles of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to completion before the next.
    Init,
    /// An init container that keeps running (KEP-753).
    Sidecar,
    /// One of `spec.containers`.
    Main,
    /// Added to a pod that runs, to look at it (`kubectl debug`): never started again.
    Ephemeral,
}

/// A container of a pod.
pub(crate) struct ContainerCell {
    pub(crate) spec: Arc<Container>,
    pub(crate) role: Role,
    pub(crate) place: PlaceId,
    pub(crate) state: State,
    pub(crate) last: Option<Ended>,
    /// How often it was started.
    pub(crate) runs: u32,
    /// A task is bringing it up or watching it.
    pub(crate) busy: bool,
    /// It is being stopped.
    pub(crate) stopping: bool,
    pub(crate) started: bool,
    pub(crate) ready: bool,
    /// Its postStart hook has not come to its end.
    pub(crate) hooking: bool,
    pub(crate) backoff: Backoff,
    /// Not to be tried before this instant (image, configuration).
    pub(crate) not_before: Time,
    pub(crate) image_backoff: Backoff,
    pub(crate) image_id: String,
    pub(crate) container_id: String,
    pub(crate) program: Option<Program>,
    pub(crate) log: Option<Arc<Mutex<Log>>>,
    pub(crate) previous_log: Option<Arc<Mutex<Log>>>,
    /// Brings it up and watches it.
    pub(crate) task: Option<Task>,
    /// The next process number in it, for further programs.
    pub(crate) next_pid: u32,
}

/// The main program of a run and what surrounds it.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) running: Arc<dyn Running>,
    pub(crate) mounts: Mounts,
    pub(crate) stack: Stack,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// CPU weight, CPU limit in millicores, memory limit in bytes.
    pub(crate) share: (u32, Option<u32>, Option<u64>),
    /// Who is attached to its streams.
    pub(crate) attached: Attached,
}

/// What a container is doing.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// Nothing, because of a reason.
    Waiting(String, String),
    /// It runs since then.
    Running(Time),
    /// It ended.
    Ended(Ended),
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) began: Time,
    pub(crate) finished: Time,
    pub(crate) container_id: String,
}

impl ContainerCell {
    pub(crate) fn new(spec: &Container, role: Role, place: PlaceId) -> ContainerCell {
        ContainerCell {
            spec: Arc::new(spec.clone()),
            role,
            place,
            state: State::Waiting(String::new(), String::new()),
            last: None,
            runs: 0,
            busy: false,
            stopping: false,
            started: false,
            ready: false,
            hooking: false,
            backoff: Backoff::default(),
            not_before: Time::ZERO,
            image_backoff: Backoff::default(),
            image_id: String::new(),
            container_id: String::new(),
            program: None,
            log: None,
            previous_log: None,
            task: None,
            next_pid: 2,
        }
    }

    pub(crate) fn running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    pub(crate) fn ended(&self) -> Option<&Ended> {
        match &self.state {
            State::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// `spec.containers{web}`.
    pub(crate) fn field(&self) -> String {
        let list = match self.role {
            Role::Main => "containers",
            Role::Ephemeral => "ephemeralContainers",
            Role::Init | Role::Sidecar => "initContainers",
        };
        format!("spec.{list}{{{}}}", self.spec.name)
    }
}

/// The ephemeral containers of a pod, as containers: they have the same fields but one.
fn ephemeral(spec: &k8s_openapi::api::core::v1::PodSpec) -> Vec<Container> {
    let all = spec.ephemeral_containers.iter().flatten();
    let container = |c| serde_json::to_value(c).and_then(serde_json::from_value::<Container>).ok();
    all.filter_map(container).collect()
}

impl PodCell {
    pub(crate) fn new(shared: &Shared, node: &NodeCell, object: &Object, pod: Pod) -> PodCell {
        let (namespace, name) = (object::namespace(object), object::name(object));
        let now = shared.sim.now();
        let place = |container: &str| {
            shared.trace.place(now.as_nanos(), &node.spec.name, namespace, name, container)
        };
        let pod_place = place("");
        let spec = pod.spec.clone().unwrap_or_default();
        let init = spec.init_containers.iter().flatten().map(|c| {
            let sidecar = c.restart_policy.as_deref() == Some("Always");
            (c, if sidecar { Role::Sidecar } else { Role::Init })
        });
        let main = spec.containers.iter().map(|c| (c, Role::Main));
        let ephemeral = ephemeral(&spec);
        let ephemeral = ephemeral.iter().map(|c| (c, Role::Ephemeral));
        let all = init.chain(main).chain(ephemeral);
        let containers = all.map(|(c, role)| ContainerCell::new(c, role, place(&c.name))).collect();
        let inner = Inner {
            dirty: true,
            object: object.clone(),
            pod: Arc::new(pod),
            gone: false,
            sandbox: Sandbox::None,
            ip: None,
            volumes: BTreeMap::new(),
            containers,
            begun: false,
            started: now,
            stop: Stop::No,
            conditions: IndexMap::new(),
            reported: None,
            verdict: None,
            grace: Duration::MAX,
            worker: None,
            tasks: Vec::new(),
        };
        PodCell {
            namespace: namespace.into(),
            name: name.into(),
            uid: object::uid(object).into(),
            node: node.spec.name.clone(),
            place: pod_place,
            inner: Mutex::new(inner),
            wake: Signal::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("pod lock")
    }

    /// Makes the worker look again.
    pub(crate) fn touch(&self) {
        self.lock().dirty = true;
        self.wake.notify();
    }

    /// Notified whenever something of the pod changes.
    pub(crate) fn changed(&self) -> &Signal {
        &self.wake
    }

    /// Takes the mark that something happened.
    pub(crate) fn take_dirty(&self) -> bool {
        std::mem::take(&mut self.lock().dirty)
    }

    /// Waits until something happened.
    pub(crate) async fn dirty(&self) {
        self.wake.until(|| self.lock().dirty.then_some(())).await;
    }

    /// The object changed in the store. Says whether its labels or annotations did.
    pub(crate) fn update(&self, new: &Object) -> bool {
        let (matters, words) = {
            let mut inner = self.lock();
            let old = std::mem::replace(&mut inner.object, new.clone());
            let meta = |o: &Object, field: &str| o["metadata"][field].clone();
            let fields = ["generation", "deletionTimestamp", "deletionGracePeriodSeconds"];
            let added = |o: &Object| o["spec"]["ephemeralContainers"].clone();
            let main =
                fields.iter().any(|f| meta(&old, f) != meta(new, f)) || added(&old) != added(new);
            let words = ["labels", "annotations"].iter().any(|f| meta(&old, f) != meta(new, f));
            if (main || words)
                && let Some(pod) = crate::store::view::<Pod>(new)
            {
                inner.pod = Arc::new(pod);
            }
            let conditions = old["status"]["conditions"] != new["status"]["conditions"];
            (main || words || conditions, words)
        };
        if matters {
            self.touch();
        }
        words
    }

    /// Takes on the ephemeral containers that were added to the spec.
    pub(crate) fn add_ephemeral(&self, shared: &Shared) {
        let mut inner = self.lock();
        let spec = inner.pod.spec.clone().unwrap_or_default();
        for container in ephemeral(&spec) {
            if inner.containers.iter().any(|c| c.spec.name == container.name) {
                continue;
            }
            let now = shared.sim.now().as_nanos();
            let place =
                shared.trace.place(now, &self.node, &self.namespace, &self.name, &container.name);
            inner.containers.push(ContainerCell::new(&container, Role::Ephemeral, place));
            inner.dirty = true;
        }
        drop(inner);
        self.wake.notify();
    }

    /// The object was removed from the store.
    pub(crate) fn remove(&self) {
        self.lock().gone = true;
        self.touch();
    }

    /// The main program of a container, if that runs.
    pub(crate) fn program(&self, container: &str) -> Result<Arc<dyn Running>, String> {
        let inner = self.lock();
        let found = inner.containers.iter().find(|c| c.spec.name == container);
        let Some(found) = found else {
            let names: Vec<&str> = inner.containers.iter().map(|c| &*c.spec.name).collect();
            return Err(format!(
                "pod {}/{} has no container {container:?}: it has {}",
                self.namespace,
                self.name,
                names.join(", ")
            ));
        };
        match &found.program {
            Some(program) if found.running() => Ok(program.running.clone()),
            _ => Err(format!(
                "container {container:?} of pod {}/{} does not run now",
                self.namespace, self.name
            )),
        }
    }

    pub(crate) fn volume(&self, name: &str) -> Option<Volume> {
        self.lock().volumes.get(name).cloned()
    }

    pub(crate) fn address(&self) -> Option<Ipv4Addr> {
        match &self.lock().sandbox {
            Sandbox::Ready(_, ip) => Some(*ip),
            _ => None,
        }
    }

    /// A network stack of the pod for the kubelet's own use.
    pub(crate) fn stack(&self) -> Option<Stack> {
        match &self.lock().sandbox {
            Sandbox::Ready(namespace, _) => Some(namespace.stack(self.place)),
            _ => None,
        }
    }

    pub(crate) fn log(&self, container: &str, previous: bool, from: u64) -> Option<LogPart> {
        let log = {
            let inner = self.lock();
            let found = inner.containers.iter().find(|c| c.spec.name == container)?;
            if previous { found.previous_log.clone() } else { found.log.clone() }
        }?;
        let part = log.lock().expect("log lock").read(from);
        Some(part)
    }

    /// Takes the tasks of the pod, to end them.
    pub(crate) fn take_tasks(&self) -> Vec<Task> {
        let mut inner = self.lock();
        let mut tasks = std::mem::take(&mut inner.tasks);
        tasks.extend(inner.containers.iter_mut().filter_map(|c| c.task.take()));
        tasks
    }
}

impl Ctx {
    /// Starts a task that ends with the pod.
    pub(crate) fn spawn(&self, body: impl Future<Output = ()> + Send + 'static) -> Task {
        let task = self.shared.sim.spawn(body);
        let mut inner = self.cell.lock();
        if inner.tasks.len() >= 16 {
            inner.tasks.retain(|t| !t.is_finished());
        }
        inner.tasks.push(task.clone());
        task
    }

    /// The store, acting for this pod.
    pub(crate) fn store(&self) -> Store {
        self.shared.store.acting_at(self.cell.place).acting_as("kubelet")
    }

    /// The kubelet's recorder, and this pod as what events are about.
    pub(crate) fn events(&self) -> (Recorder, About) {
        let about = About::object(&self.cell.lock().object);
        let recorder = self.shared.events.of("kubelet", &self.node.spec.name).at(self.cell.place);
        (recorder, About { api_version: "v1".into(), kind: "Pod".into(), ..about })
    }

    /// Records an event about a container.
    pub(crate) fn say(&self, container: usize, normal: bool, reason: &str, message: &str) {
        let (recorder, about) = self.events();
        let field = self.cell.lock().containers[container].field();
        let about = about.part(&field);
        if normal {
            recorder.normal(&about, reason, message);
        } else {
            recorder.warning(&about, reason, message);
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.shared.sim.now()
    }

    /// `web_default(uid)`, as the kubelet's messages name a pod.
    pub(crate) fn full_name(&self) -> String {
        format!("{}_{}({})", self.cell.name, self.cell.namespace, self.cell.uid)
    }

    /// Changes a container and wakes the worker.
    pub(crate) fn change(&self, container: usize, change: impl FnOnce(&mut ContainerCell)) {
        change(&mut self.cell.lock().containers[container]);
        self.cell.touch();
    }

    /// Waits until the container's program has ended (or it has none).
    pub(crate) async fn ended(&self, container: usize) {
        let over = || {
            let inner = self.cell.lock();
            (!inner.containers[container].running()).then_some(())
        };
        self.cell.changed().until(over).await;
    }
}
