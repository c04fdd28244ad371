//! Bringing a container up, and watching it until it ends.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use podlab_fs::SignalQueue;
use podlab_net::Namespace;
use podlab_sim::Time;
use podlab_trace::Stream;

use super::cell::{Ctx, Ended, Program, Role, Sandbox, State};
use super::log::Log;
use super::session::Attached;
use super::{env, files, hooks, probes};
use crate::runtime::{Exit, ImageInfo, Output, Running, StartSpec};
use crate::store::quantity;

/// How long the kubelet waits before it tries a container again whose configuration was wrong.
const CONFIG_RETRY: Duration = Duration::from_secs(10);

/// Starts container `i` in a task of its own; it marks the container busy until it has ended.
pub(crate) fn start(ctx: &Ctx, i: usize) {
    let task = {
        let ctx = ctx.clone();
        let body = ctx.clone();
        ctx.shared.sim.spawn(async move { life(&body, i).await })
    };
    let mut inner = ctx.cell.lock();
    inner.begun |= inner.containers[i].role == Role::Main;
    let c = &mut inner.containers[i];
    c.busy = true;
    c.stopping = false;
    c.ready = false;
    c.started = false;
    c.hooking = false;
    c.task = Some(task);
}

/// Ends an attempt that came to nothing.
fn give_up(ctx: &Ctx, i: usize, reason: &str, message: String, retry: Time) {
    ctx.change(i, |c| {
        if let State::Ended(ended) = &c.state {
            c.last = Some(ended.clone());
        }
        c.state = State::Waiting(reason.into(), message);
        c.not_before = retry;
        c.busy = false;
    });
}

async fn life(ctx: &Ctx, i: usize) {
    let Some(image) = pull(ctx, i).await else { return };
    let run = match create(ctx, i, &image) {
        Ok(run) => run,
        Err(why) => {
            ctx.say(i, false, "Failed", &format!("Error: {why}"));
            let retry = ctx.now() + CONFIG_RETRY;
            return give_up(ctx, i, "CreateContainerConfigError", why, retry);
        }
    };
    let name = ctx.cell.lock().containers[i].spec.name.clone();
    ctx.say(i, true, "Created", &format!("Created container: {name}"));
    ctx.shared.sim.sleep(ctx.shared.delays().start).await;
    let began = ctx.now();
    let Run { spec, log, message, mounts, stack, env, attached } = run;
    let args = spec.args.clone();
    let share = (spec.cpu_weight, spec.cpu_limit, spec.memory_limit);
    let running = ctx.shared.runtime.start(spec);
    let program = Program {
        running: running.clone(),
        mounts,
        stack: stack.clone(),
        args,
        env,
        share,
        attached,
    };
    let probed = ctx.cell.lock().containers[i].spec.startup_probe.is_some();
    ctx.change(i, |c| {
        if let State::Ended(ended) = &c.state {
            c.last = Some(ended.clone());
        }
        c.state = State::Running(began);
        c.program = Some(program);
        c.runs += 1;
        c.next_pid = 2;
        // A container without a startup probe counts as started, unless a hook must finish.
        c.hooking = c.spec.lifecycle.as_ref().is_some_and(|l| l.post_start.is_some());
        c.started = !probed && !c.hooking;
        c.ready = c.started && c.spec.readiness_probe.is_none();
    });
    ctx.say(i, true, "Started", &format!("Started container {name}"));
    let probes = probes::start(ctx, i, began);
    let hook = hooks::post_start(ctx, i);
    let exit = running.wait().await;
    probes.iter().chain(&hook).for_each(podlab_sim::Task::abort);
    stack.close();
    let now = ctx.shared.sim.unix_nanos();
    let tail = {
        let mut log = log.lock().expect("log lock");
        log.end(now);
        log.tail()
    };
    ctx.shared.logs_grew.notify();
    let message = termination_message(ctx, i, &message, &exit, tail);
    let finished = ctx.now();
    ctx.change(i, |c| {
        c.state = State::Ended(Ended {
            code: exit.code,
            reason: exit.reason,
            message,
            began,
            finished,
            container_id: c.container_id.clone(),
        });
        c.program = None;
        c.busy = false;
        c.hooking = false;
        c.started = false;
        c.ready = false;
    });
}

/// Gets the image, with Kubernetes' events. `None` if it cannot be had now.
async fn pull(ctx: &Ctx, i: usize) -> Option<ImageInfo> {
    let spec = ctx.cell.lock().containers[i].spec.clone();
    let name = spec.image.clone().unwrap_or_default();
    let policy = spec.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
    let present = ctx.node.lock().images.contains(&name);
    if present && policy != "Always" {
        if let Ok(image) = ctx.shared.runtime.image(&name) {
            let text = format!("Container image {name:?} already present on machine");
            ctx.say(i, true, "Pulled", &text);
            return Some(image);
        }
        ctx.node.lock().images.remove(&name);
    }
    if policy == "Never" {
        let text = format!("Container image {name:?} is not present with pull policy of Never");
        ctx.say(i, false, "ErrImageNeverPull", &text);
        ctx.say(i, false, "Failed", "Error: ErrImageNeverPull");
        give_up(ctx, i, "ErrImageNeverPull", text, ctx.now() + CONFIG_RETRY);
        return None;
    }
    ctx.say(i, true, "Pulling", &format!("Pulling image {name:?}"));
    let began = ctx.now();
    // An image that is there only has its digest asked for.
    let delay = ctx.shared.delays().pull;
    ctx.shared.sim.sleep(if present { delay / 8 } else { delay }).await;
    match ctx.shared.runtime.image(&name) {
        Ok(image) => {
            let took = go_duration(ctx.now().since(began));
            ctx.node.lock().images.insert(name.clone());
            let text =
                format!("Successfully pulled image {name:?} in {took} ({took} including waiting)");
            ctx.say(i, true, "Pulled", &text);
            Some(image)
        }
        Err(why) => {
            let text = format!("failed to pull and unpack image {name:?}: {why}");
            ctx.say(i, false, "Failed", &format!("Failed to pull image {name:?}: {text}"));
            ctx.say(i, false, "Failed", "Error: ErrImagePull");
            let now = ctx.now();
            let mut backoff = ctx.cell.lock().containers[i].image_backoff;
            backoff.again(now, now);
            let retry = backoff.due(now).1;
            ctx.change(i, |c| c.image_backoff = backoff);
            give_up(ctx, i, "ErrImagePull", text, retry);
            None
        }
    }
}

/// As Go prints a duration: "412ms", "1.5s".
fn go_duration(d: Duration) -> String {
    if d < Duration::from_secs(1) {
        format!("{}ms", d.as_millis())
    } else {
        let text = format!("{:.3}", d.as_secs_f64());
        format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

struct Run {
    spec: StartSpec,
    log: Arc<Mutex<Log>>,
    message: podlab_fs::Volume,
    mounts: podlab_fs::Mounts,
    stack: podlab_net::Stack,
    env: Vec<(String, String)>,
    attached: Attached,
}

/// Puts together what the program starts with.
fn create(ctx: &Ctx, i: usize, image: &ImageInfo) -> Result<Run, String> {
    let (spec, pod, place, runs, sandbox) = {
        let inner = ctx.cell.lock();
        let c = &inner.containers[i];
        let Sandbox::Ready(namespace, ip) = &inner.sandbox else {
            return Err("the pod has no sandbox".into());
        };
        (c.spec.clone(), inner.pod.clone(), c.place, c.runs, (namespace.clone(), *ip))
    };
    let (namespace, ip): (Namespace, _) = sandbox;
    let id = container_id(ctx, &spec.name, runs);
    let env = env::of(ctx, &pod, &spec, image, ip)?;
    let args = env::args(&spec, image, &env);
    if args.is_empty() {
        return Err(format!(
            "image {:?} has no command: the container must say one",
            spec.image.clone().unwrap_or_default()
        ));
    }
    let image_name = spec.image.clone().unwrap_or_default();
    let root = ctx.shared.runtime.root(&image_name, &id);
    let signals = SignalQueue::new();
    let rng_name = format!("guest/{}/{}/{}/{runs}", ctx.cell.namespace, ctx.cell.name, spec.name);
    let view = files::View {
        ctx,
        pod: &pod,
        spec: &spec,
        place,
        ip,
        args: &args,
        env: &env,
        signals: &signals,
        rng_name: &rng_name,
    };
    let (mounts, message) = view.build(root)?;
    let stack = namespace.stack(place);
    let log = Arc::new(Mutex::new(Log::default()));
    let resources = spec.resources.clone().unwrap_or_default();
    let amount = |list: &Option<
        std::collections::BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>,
    >,
                  name: &str| {
        list.as_ref().and_then(|l| l.get(name)).and_then(|q| quantity::millis(&q.0))
    };
    let cpu_limit = amount(&resources.limits, "cpu").and_then(|m| u32::try_from(m).ok());
    let weight = amount(&resources.requests, "cpu").and_then(|m| u32::try_from(m).ok());
    let memory = amount(&resources.limits, "memory").and_then(|m| u64::try_from(m / 1000).ok());
    ctx.change(i, |c| {
        c.image_id = format!("{image_name}@blake3:{}", image.digest);
        c.container_id = id.clone();
        c.previous_log = c.log.take();
        c.log = Some(log.clone());
        c.image_backoff = super::backoff::Backoff::default();
    });
    let attached = Attached::new(spec.tty == Some(true));
    let output = attached.output(&sink(ctx, &log));
    let start = StartSpec {
        node: ctx.node.spec.name.clone(),
        place,
        namespace: ctx.cell.namespace.clone(),
        pod: ctx.cell.name.clone(),
        container: spec.name.clone(),
        image: image_name,
        args,
        env: env.clone(),
        stack: stack.clone(),
        mounts: mounts.clone(),
        signals,
        cpu_weight: weight.unwrap_or(2).max(2),
        cpu_limit,
        memory_limit: memory,
        run: runs,
        rng_name,
        main: true,
        output,
        stdin: spec.stdin == Some(true),
        terminal: spec.tty == Some(true),
    };
    Ok(Run { spec: start, log, message, mounts, stack, env, attached })
}

fn sink(ctx: &Ctx, log: &Arc<Mutex<Log>>) -> Output {
    let (sim, grew, log) = (ctx.shared.sim.clone(), ctx.shared.logs_grew.clone(), log.clone());
    Arc::new(Mutex::new(move |stream: Stream, bytes: &[u8]| {
        let whole = log.lock().expect("log lock").take(sim.unix_nanos(), stream, bytes);
        if whole {
            grew.notify();
        }
    }))
}

/// 64 hex digits that tell this run from every other.
fn container_id(ctx: &Ctx, container: &str, run: u32) -> String {
    let name = format!("container/{}/{container}/{run}", ctx.cell.uid);
    let mut rng = ctx.shared.sim.rng(&name);
    (0..4).map(|_| format!("{:016x}", rng.u64())).collect()
}

/// What the program left in its termination message file (at most 4096 bytes), or, if the spec
/// says so and it failed, the end of its log. A trap that the runtime reports comes last.
fn termination_message(
    ctx: &Ctx,
    i: usize,
    volume: &podlab_fs::Volume,
    exit: &Exit,
    tail: String,
) -> String {
    let spec = ctx.cell.lock().containers[i].spec.clone();
    let file = volume.read(files::TERMINATION_LOG).unwrap_or_default();
    let text = String::from_utf8_lossy(&file[..file.len().min(4096)]).into_owned();
    if !text.is_empty() {
        return text;
    }
    let fallback = spec.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    if fallback && exit.code != 0 && !tail.is_empty() {
        return tail;
    }
    exit.message.clone()
}

/// Whether a container that ended is to be started again.
pub(crate) fn restarts(role: Role, policy: &str, code: i32) -> bool {
    match (role, policy) {
        (Role::Sidecar, _) => true,
        (Role::Init, "Never") => false,
        (Role::Init, _) => code != 0,
        (Role::Main, "Always") => true,
        (Role::Main, "OnFailure") => code != 0,
        (Role::Main | Role::Ephemeral, _) => false,
    }
}

/// The program behind a container, if it runs.
pub(crate) fn running(ctx: &Ctx, i: usize) -> Option<Arc<dyn Running>> {
    let inner = ctx.cell.lock();
    let c = &inner.containers[i];
    c.program.as_ref().filter(|_| c.running()).map(|p| p.running.clone())
}
