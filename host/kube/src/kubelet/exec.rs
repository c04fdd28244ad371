//! Further programs in a container: those of probes and hooks, and `kubectl exec`.

use std::sync::Arc;

use podlab_fs::{Device, SignalQueue};

use super::cell::PodCell;
use super::files;
use crate::control_plane::Shared;
use crate::runtime::{Output, Running, StartSpec};

/// Starts `argv` in a running container: another program in its files and network.
///
/// # Errors
/// If the container does not run, or `argv` is empty.
pub(crate) fn start(
    shared: &Shared,
    cell: &PodCell,
    container: &str,
    argv: Vec<String>,
    output: Output,
    stdin: bool,
    terminal: bool,
) -> Result<Arc<dyn Running>, String> {
    // Says what is wrong, if it is.
    cell.program(container)?;
    if argv.is_empty() {
        return Err("a command must have at least its name".into());
    }
    let (spec, program, place, run, pid) = {
        let mut inner = cell.lock();
        let found = inner.containers.iter_mut().find(|c| c.spec.name == container);
        let Some((c, program)) = found.and_then(|c| c.program.clone().map(|p| (c, p))) else {
            return Err(format!("container {container:?} does not run now"));
        };
        c.next_pid += 1;
        (c.spec.clone(), program, c.place, c.runs.saturating_sub(1), c.next_pid - 1)
    };
    let signals = SignalQueue::new();
    let mounts =
        files::further(&program.mounts, &shared.sim, &program.args, pid, &argv, &program.env)
            .and_then(|m| m.device("/dev/signals", Device::Signals(signals.clone())))
            .map_err(|e| format!("/proc: {}", e.name()))?;
    let spec = StartSpec {
        node: cell.node.clone(),
        place,
        namespace: cell.namespace.clone(),
        pod: cell.name.clone(),
        container: container.into(),
        image: spec.image.clone().unwrap_or_default(),
        args: argv,
        env: program.env.clone(),
        stack: program.stack.clone(),
        mounts,
        signals,
        cpu_weight: program.share.0,
        cpu_limit: program.share.1,
        memory_limit: program.share.2,
        run,
        rng_name: format!("exec/{}/{}/{container}/{run}/{pid}", cell.namespace, cell.name),
        main: false,
        output,
        stdin,
        terminal,
    };
    Ok(shared.runtime.start(spec))
}
