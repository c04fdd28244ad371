//! The worker of a pod: looks at everything, takes the steps that are due, and says when it
//! wants to look again.

use std::sync::Arc;
use std::time::Duration;

use podlab_net::NamespaceSpec;
use podlab_sim::Time;

use super::cell::{Ctx, Role, Sandbox, State, Stop};
use super::{container, status, stop, volumes};
use crate::store::{DeleteOptions, object};

/// How long after a failed pull the container shows that it waits for the next.
const SHOW_BACKOFF: Duration = Duration::from_secs(1);

/// Works until the pod is gone.
pub(crate) async fn work(ctx: Ctx) {
    loop {
        ctx.cell.take_dirty();
        let next = sync(&ctx);
        if next == Next::Over {
            status::report(&ctx);
            break;
        }
        status::report(&ctx);
        match next {
            Next::At(at) => {
                let wait = at.since(ctx.now());
                // Either way the worker looks at everything again.
                let _ = ctx.shared.sim.timeout(wait, ctx.cell.dirty()).await;
            }
            _ => ctx.cell.dirty().await,
        }
    }
    finish(&ctx);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// When something happens.
    Wake,
    /// Then, if nothing happens before.
    At(Time),
    /// Never.
    Over,
}

impl Next {
    fn or_at(&mut self, at: Time) {
        *self = match *self {
            Next::At(before) => Next::At(before.min(at)),
            Next::Wake => Next::At(at),
            Next::Over => Next::Over,
        };
    }
}

fn sync(ctx: &Ctx) -> Next {
    let (gone, deleting, stopping) = {
        let inner = ctx.cell.lock();
        let deleting = inner.gone || object::deleting(&inner.object);
        (inner.gone, deleting, inner.stop)
    };
    if gone {
        stop::kill_all(ctx);
        return Next::Over;
    }
    if deleting {
        return match stopping {
            Stop::Done => Next::Over,
            _ => {
                stop::pod(ctx, grace(ctx));
                Next::Wake
            }
        };
    }
    let mut next = Next::Wake;
    if let Some(at) = deadline(ctx) {
        if at <= ctx.now() {
            let text = "Pod was active on the node longer than the specified deadline";
            end(ctx, "DeadlineExceeded", text);
        } else {
            next.or_at(at);
        }
    }
    if ctx.cell.lock().verdict.is_some() {
        match stopping {
            Stop::No => stop::pod(ctx, grace(ctx)),
            Stop::Until(_) => {}
            Stop::Done => stop::kill_all(ctx),
        }
        return Next::Wake;
    }
    if status::outcome(&ctx.cell.lock()).is_some() {
        // Nothing is started any more; sidecars end with the mains.
        stop::rest(ctx, grace(ctx));
        if !ctx.cell.lock().containers.iter().any(super::cell::ContainerCell::running) {
            // Its address and volumes are free for others.
            stop::kill_all(ctx);
        }
        return Next::Wake;
    }
    let sandbox = {
        let mut inner = ctx.cell.lock();
        match inner.sandbox {
            Sandbox::None => {
                inner.sandbox = Sandbox::Making;
                false
            }
            Sandbox::Making => return next,
            Sandbox::Ready(..) => true,
        }
    };
    if !sandbox {
        let task = ctx.clone();
        ctx.spawn(async move { set_up(&task).await });
        return next;
    }
    containers(ctx, &mut next);
    next
}

/// Ends the pod for a reason of the node's: it fails.
pub(crate) fn end(ctx: &Ctx, reason: &str, message: &str) {
    {
        let mut inner = ctx.cell.lock();
        if inner.verdict.is_some() {
            return;
        }
        inner.verdict = Some((reason.into(), message.into()));
    }
    let (recorder, about) = ctx.events();
    if reason == "DeadlineExceeded" {
        recorder.normal(&about, reason, message);
    } else {
        recorder.warning(&about, reason, message);
    }
    ctx.cell.touch();
}

/// How long the pod's containers get: what the deletion says, or the spec.
fn grace(ctx: &Ctx) -> Duration {
    let inner = ctx.cell.lock();
    let spec = inner.pod.spec.as_ref().and_then(|s| s.termination_grace_period_seconds);
    let asked = inner.object["metadata"]["deletionGracePeriodSeconds"].as_i64();
    Duration::from_secs(u64::try_from(asked.or(spec).unwrap_or(30)).unwrap_or(0))
}

fn deadline(ctx: &Ctx) -> Option<Time> {
    let inner = ctx.cell.lock();
    let seconds = inner.pod.spec.as_ref()?.active_deadline_seconds?;
    Some(inner.started + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Makes the sandbox: volumes, then network.
async fn set_up(ctx: &Ctx) {
    ctx.shared.sim.sleep(ctx.shared.delays().sandbox).await;
    let mut wait = Duration::from_millis(500);
    while let Err((volume, why)) = volumes::set_up(ctx) {
        let (recorder, about) = ctx.events();
        let text = format!("MountVolume.SetUp failed for volume {volume:?} : {why}");
        recorder.warning(&about, "FailedMount", &text);
        ctx.shared.sim.sleep(wait).await;
        // nestedpendingoperations: from 500 ms, doubling, to 2 m 2 s.
        wait = (wait * 2).min(Duration::from_secs(122));
    }
    volumes::renew_tokens(ctx);
    let (hostname, search) = {
        let inner = ctx.cell.lock();
        let spec = inner.pod.spec.clone().unwrap_or_default();
        let host = spec.hostname.filter(|h| !h.is_empty()).unwrap_or(ctx.cell.name.clone());
        (host, search(&ctx.cell.namespace))
    };
    loop {
        let made = ctx.node.take_address().map(|ip| {
            let spec = NamespaceSpec {
                name: format!("{}/{}", ctx.cell.namespace, ctx.cell.name),
                node: ctx.node.spec.name.clone(),
                place: ctx.cell.place,
                ipv4: ip,
                ipv6: None,
                hostname: hostname.clone(),
                search: search.clone(),
                external: false,
            };
            (ctx.shared.net.try_namespace(spec), ip)
        });
        match made {
            Some((Ok(namespace), ip)) => {
                {
                    let mut inner = ctx.cell.lock();
                    inner.sandbox = Sandbox::Ready(namespace, ip);
                    inner.ip = Some(ip);
                }
                ctx.cell.touch();
                return;
            }
            // An address that somebody took by hand stays taken; the next one is tried.
            Some((Err(_), _)) => {}
            None => {
                let (recorder, about) = ctx.events();
                let text = "Failed to create pod sandbox: failed to allocate for range 0: no IP addresses available in range set";
                recorder.warning(&about, "FailedCreatePodSandBox", text);
                ctx.shared.sim.sleep(Duration::from_secs(10)).await;
            }
        }
    }
}

/// The domains that a pod's names are searched in.
pub(crate) fn search(namespace: &str) -> Vec<String> {
    vec![
        format!("{namespace}.svc.cluster.local"),
        "svc.cluster.local".into(),
        "cluster.local".into(),
    ]
}

/// Starts what is to run now.
fn containers(ctx: &Ctx, next: &mut Next) {
    let policy = {
        let inner = ctx.cell.lock();
        inner.pod.spec.as_ref().and_then(|s| s.restart_policy.clone()).unwrap_or("Always".into())
    };
    let view: Vec<(Role, bool, bool, bool, State)> = {
        let inner = ctx.cell.lock();
        let view = |c: &super::cell::ContainerCell| {
            (c.role, c.busy, c.started, c.hooking, c.state.clone())
        };
        inner.containers.iter().map(view).collect()
    };
    let begun = ctx.cell.lock().begun;
    // Ephemeral containers wait for nobody.
    for (i, (role, busy, ..)) in view.iter().enumerate() {
        if *role == Role::Ephemeral && !busy {
            bring_up(ctx, i, &policy, next);
        }
    }
    for (i, (role, busy, started, hooking, state)) in view.iter().enumerate() {
        match role {
            Role::Ephemeral => continue,
            Role::Init if begun => {}
            Role::Init => {
                if state_ok(state) && !busy {
                    continue;
                }
                if !busy {
                    bring_up(ctx, i, &policy, next);
                }
                return;
            }
            Role::Sidecar => {
                if !busy {
                    bring_up(ctx, i, &policy, next);
                }
                if !begun && !started {
                    return;
                }
            }
            Role::Main => {
                if !busy {
                    bring_up(ctx, i, &policy, next);
                }
            }
        }
        let starting = {
            let inner = ctx.cell.lock();
            inner.containers[i].busy && !inner.containers[i].running()
        };
        if *hooking || starting {
            // The kubelet starts containers one by one, and a postStart hook belongs to a start.
            return;
        }
    }
}

fn state_ok(state: &State) -> bool {
    matches!(state, State::Ended(e) if e.code == 0)
}

/// Starts container `i` if it is due; otherwise remembers when it will be.
fn bring_up(ctx: &Ctx, i: usize, policy: &str, next: &mut Next) {
    let now = ctx.now();
    let due = {
        let mut inner = ctx.cell.lock();
        let c = &mut inner.containers[i];
        match c.state.clone() {
            State::Running(_) => return,
            State::Waiting(reason, _) => {
                if reason == "ErrImagePull" && now < c.not_before {
                    // It shows the failure first and the waiting a moment later.
                    let show = c.not_before.min(now + SHOW_BACKOFF);
                    drop(inner);
                    let task = ctx.clone();
                    ctx.spawn(async move { show_backoff(&task, i, show).await });
                    return;
                }
                c.not_before
            }
            State::Ended(ended) => {
                if !container::restarts(c.role, policy, ended.code) {
                    return;
                }
                let (wait, due) = c.backoff.due(ended.finished);
                if due <= now {
                    c.backoff.again(ended.finished, now);
                } else {
                    let text = crash_text(ctx, wait, &c.spec.name);
                    let say = format!(
                        "Back-off restarting failed container {} in pod {}",
                        c.spec.name,
                        ctx.full_name()
                    );
                    c.last = Some(ended);
                    c.state = State::Waiting("CrashLoopBackOff".into(), text);
                    c.not_before = due;
                    drop(inner);
                    ctx.say(i, false, "BackOff", &say);
                }
                due
            }
        }
    };
    if due > now {
        next.or_at(due);
        return;
    }
    {
        let mut inner = ctx.cell.lock();
        let c = &mut inner.containers[i];
        if let (State::Waiting(reason, _), Some(last)) = (&c.state, &c.last)
            && reason == "CrashLoopBackOff"
        {
            let finished = last.finished;
            c.backoff.again(finished, now);
        }
    }
    container::start(ctx, i);
}

fn crash_text(ctx: &Ctx, wait: Duration, container: &str) -> String {
    let wait = match wait.as_secs() {
        s if s >= 60 => format!("{}m{}s", s / 60, s % 60),
        s => format!("{s}s"),
    };
    format!("back-off {wait} restarting failed container={container} pod={}", ctx.full_name())
}

/// After a pull failed: shows `ImagePullBackOff` until the next is due.
async fn show_backoff(ctx: &Ctx, i: usize, at: Time) {
    ctx.shared.sim.sleep_until(at).await;
    let image = {
        let inner = ctx.cell.lock();
        let c = &inner.containers[i];
        match &c.state {
            State::Waiting(reason, _) if reason == "ErrImagePull" && !c.busy => {}
            _ => return,
        }
        c.spec.image.clone().unwrap_or_default()
    };
    let text = format!("Back-off pulling image {image:?}");
    ctx.say(i, true, "BackOff", &text);
    ctx.say(i, false, "Failed", "Error: ImagePullBackOff");
    ctx.change(i, |c| c.state = State::Waiting("ImagePullBackOff".into(), text));
}

/// The pod is gone from this node: its object too, if that is still there.
fn finish(ctx: &Ctx) {
    let cell = &ctx.cell;
    let sandbox = std::mem::replace(&mut cell.lock().sandbox, Sandbox::None);
    if let Sandbox::Ready(namespace, ip) = sandbox {
        namespace.close();
        ctx.node.give_back(ip);
    }
    {
        let mut pods = ctx.shared.pods();
        let key = (cell.namespace.clone(), cell.name.clone());
        if pods.get(&key).is_some_and(|c| Arc::ptr_eq(c, cell)) {
            pods.remove(&key);
        }
    }
    if !cell.lock().gone {
        let options = DeleteOptions {
            grace_period_seconds: Some(0),
            uid: Some(cell.uid.clone()),
            ..DeleteOptions::default()
        };
        // Somebody may have been faster, or finalizers hold it: both are fine.
        let _ = ctx.store().delete("pods", &cell.namespace, &cell.name, &options);
    }
    cell.take_tasks().iter().for_each(podlab_sim::Task::abort);
}
