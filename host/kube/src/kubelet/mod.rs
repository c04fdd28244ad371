//! The kubelets: one task a node, one worker a pod.
//!
//! # Layout
//! - [`node`]: a node's object and addresses; `cell`: what is known of a pod
//! - `pod`: the worker, which compares what is with what shall be and takes the next steps
//! - `container`: bringing a container up and watching it; `stop`: ending it
//! - `status`: what the kubelet reports; `backoff`: waits; `log`: what containers wrote
//! - `files`, `env`, `volumes`: what a program finds; `exec`: further programs in a container
//! - `measure`: what programs use; `scrape`: what they say of themselves
//! - `session`: a client at a program's standard streams; `terminal`: the terminal between them
//!
//! The worker is level-triggered, as Kubernetes' own: whatever happens only marks the pod, and
//! the worker then looks at everything.

pub(crate) mod backoff;
pub(crate) mod cell;
mod container;
mod env;
pub(crate) mod exec;
mod files;
mod handler;
mod heartbeat;
mod hooks;
mod log;
mod measure;
pub(crate) mod node;
mod pod;
mod probes;
mod scrape;
pub(crate) mod session;
mod status;
mod stop;
mod terminal;
mod volumes;

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use podlab_trace::Verb;

use crate::control_plane::Shared;
use crate::store::object;
use crate::store::watch::Change;
use cell::{Ctx, PodCell, Sandbox, State};
use node::NodeCell;

/// Starts the kubelets.
pub(crate) fn start(shared: &Arc<Shared>) {
    volumes::follow(shared);
    measure::start(shared);
    let all = shared.clone();
    shared.sim.spawn(async move {
        let mut pods = all.store.informer("pods");
        loop {
            let change = pods.next().await;
            let Some(name) = change.object["spec"]["nodeName"].as_str() else { continue };
            let Some(node) = all.nodes.get(name) else { continue };
            node.lock().inbox.push_back(change.clone());
            node.changed.notify();
        }
    });
    for node in shared.nodes.values() {
        heartbeat::start(shared, node);
        let (shared, node) = (shared.clone(), node.clone());
        shared.clone().sim.spawn(async move {
            loop {
                let next = || {
                    let mut state = node.lock();
                    if state.up { state.inbox.pop_front() } else { None }
                };
                let change = node.changed.until(next).await;
                take(&shared, &node, &change);
            }
        });
    }
}

/// A pod of this node changed.
fn take(shared: &Arc<Shared>, node: &Arc<NodeCell>, change: &Change) {
    let object = &change.object;
    let (namespace, name) = (object::namespace(object), object::name(object));
    let known = shared.pod(namespace, name).filter(|c| c.uid == object::uid(object));
    if let Some(cell) = &known {
        shared.trace.took(cell.place, change.event);
        if change.verb == Verb::Deleted {
            cell.remove();
        } else {
            let words = cell.update(object);
            cell.add_ephemeral(shared);
            if words {
                let ctx = Ctx { shared: shared.clone(), node: node.clone(), cell: cell.clone() };
                volumes::refresh_later(&ctx);
            }
        }
        return;
    }
    let over = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if change.verb == Verb::Deleted || over {
        return;
    }
    let Some(pod) = crate::store::view::<Pod>(object) else { return };
    let cell = Arc::new(PodCell::new(shared, node, object, pod));
    shared.trace.took(cell.place, change.event);
    shared.pods().insert((namespace.to_owned(), name.to_owned()), cell.clone());
    work(Ctx { shared: shared.clone(), node: node.clone(), cell });
}

fn work(ctx: Ctx) {
    let worker = ctx.clone();
    let task = ctx.shared.sim.spawn(async move { pod::work(worker).await });
    ctx.cell.lock().worker = Some(task);
}

fn find<'a>(shared: &'a Shared, name: &str) -> Result<&'a Arc<NodeCell>, String> {
    shared.nodes.get(name).ok_or_else(|| {
        let names: Vec<&str> = shared.nodes.keys().map(|n| &**n).collect();
        format!("no node {name:?}: there are {}", names.join(", "))
    })
}

fn pods_of(shared: &Shared, node: &str) -> Vec<Arc<PodCell>> {
    shared.pods().values().filter(|c| c.node == node).cloned().collect()
}

/// See [`crate::ControlPlane::node_down`].
pub(crate) fn node_down(shared: &Arc<Shared>, name: &str) -> Result<(), String> {
    let node = find(shared, name)?;
    if !std::mem::replace(&mut node.lock().up, false) {
        return Ok(());
    }
    for cell in pods_of(shared, name) {
        let worker = cell.lock().worker.take();
        for task in worker.into_iter().chain(cell.take_tasks()) {
            task.abort();
        }
        let (programs, sandbox) = {
            let mut inner = cell.lock();
            let programs: Vec<_> =
                inner.containers.iter_mut().filter_map(|c| c.program.take()).collect();
            (programs, std::mem::replace(&mut inner.sandbox, Sandbox::None))
        };
        // First the network: the dead say no goodbye.
        if let Sandbox::Ready(namespace, ip) = sandbox {
            namespace.close();
            node.give_back(ip);
        }
        for program in programs {
            program.running.kill();
        }
    }
    heartbeat::lost(shared, node);
    Ok(())
}

/// See [`crate::ControlPlane::node_up`].
pub(crate) fn node_up(shared: &Arc<Shared>, name: &str) -> Result<(), String> {
    let node = find(shared, name)?;
    {
        let mut state = node.lock();
        if state.up {
            return Ok(());
        }
        state.up = true;
        state.boots += 1;
    }
    for cell in pods_of(shared, name) {
        let now = shared.sim.now();
        {
            let mut inner = cell.lock();
            inner.stop = cell::Stop::No;
            inner.reported = None;
            // In a new sandbox, init containers do their work again.
            inner.begun = false;
            for c in &mut inner.containers {
                c.busy = false;
                c.stopping = false;
                c.ready = false;
                c.started = false;
                if let State::Running(began) = c.state {
                    c.state = State::Ended(cell::Ended {
                        code: 255,
                        reason: "Unknown".into(),
                        message: String::new(),
                        began,
                        finished: now,
                        container_id: c.container_id.clone(),
                    });
                }
                if c.role == cell::Role::Init
                    && let State::Ended(ended) = &c.state
                {
                    c.last = Some(ended.clone());
                    c.state = State::Waiting(String::new(), String::new());
                }
            }
        }
        cell.touch();
        work(Ctx { shared: shared.clone(), node: node.clone(), cell });
    }
    heartbeat::back(shared, node);
    node.changed.notify();
    Ok(())
}
