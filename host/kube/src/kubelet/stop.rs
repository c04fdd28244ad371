//! Ending containers (`kuberuntime_container.go` killContainer,
//! `kuberuntime_termination_order.go`).

use std::time::Duration;

use super::cell::{Ctx, Role, Sandbox, Stop};
use super::{container, hooks};

/// Containers always get this long after SIGTERM (`minimumGracePeriodInSeconds`).
const LEAST: Duration = Duration::from_secs(2);

/// Stops all containers of the pod within `grace`. Asked again with less, it hurries.
pub(crate) fn pod(ctx: &Ctx, grace: Duration) {
    let until = ctx.now() + grace;
    let first = {
        let mut inner = ctx.cell.lock();
        if inner.grace <= grace && inner.stop != Stop::No {
            return;
        }
        inner.grace = grace;
        let first = inner.stop == Stop::No;
        if inner.stop != Stop::Done {
            inner.stop = Stop::Until(until);
        }
        first
    };
    let task = ctx.clone();
    if first {
        ctx.spawn(async move { all(&task, grace).await });
    } else {
        ctx.spawn(async move {
            task.shared.sim.sleep_until(until).await;
            kill_programs(&task);
        });
    }
}

async fn all(ctx: &Ctx, grace: Duration) {
    abandon_starts(ctx);
    let roles: Vec<Role> = ctx.cell.lock().containers.iter().map(|c| c.role).collect();
    let tasks: Vec<_> = roles
        .iter()
        .enumerate()
        .map(|(i, role)| {
            let after = match role {
                Role::Sidecar => later(&roles, i),
                _ => Vec::new(),
            };
            let ctx = ctx.clone();
            ctx.clone().spawn(async move { one(&ctx, i, grace, None, after).await })
        })
        .collect();
    for task in tasks {
        task.join().await;
    }
    ctx.cell.lock().stop = Stop::Done;
    ctx.cell.touch();
}

/// Who ends before the sidecar at `i`: all mains, and the sidecars after it.
fn later(roles: &[Role], i: usize) -> Vec<usize> {
    (0..roles.len())
        .filter(|j| roles[*j] == Role::Main || (roles[*j] == Role::Sidecar && *j > i))
        .collect()
}

/// The mains are done: sidecars end, in reverse order.
pub(crate) fn rest(ctx: &Ctx, grace: Duration) {
    abandon_starts(ctx);
    let (roles, running): (Vec<Role>, Vec<usize>) = {
        let inner = ctx.cell.lock();
        let running = inner.containers.iter().enumerate();
        let running = running.filter(|(_, c)| c.running() && !c.stopping).map(|(i, _)| i);
        (inner.containers.iter().map(|c| c.role).collect(), running.collect())
    };
    for i in running {
        // Marked at once: the worker may look again before the task begins.
        ctx.cell.lock().containers[i].stopping = true;
        let after = later(&roles, i);
        let task = ctx.clone();
        ctx.spawn(async move { one(&task, i, grace, None, after).await });
    }
}

/// Containers that are only being brought up are not started any more.
fn abandon_starts(ctx: &Ctx) {
    let tasks: Vec<_> = {
        let mut inner = ctx.cell.lock();
        let starting = inner.containers.iter_mut().filter(|c| c.busy && !c.running());
        starting
            .filter_map(|c| {
                c.busy = false;
                c.task.take()
            })
            .collect()
    };
    tasks.iter().for_each(podlab_sim::Task::abort);
}

/// Stops container `i`: preStop, its turn, SIGTERM, SIGKILL. `why` replaces the usual words of
/// the event.
pub(crate) async fn one(
    ctx: &Ctx,
    i: usize,
    grace: Duration,
    why: Option<String>,
    after: Vec<usize>,
) {
    let Some(running) = container::running(ctx, i) else { return };
    let name = {
        let mut inner = ctx.cell.lock();
        inner.containers[i].stopping = true;
        inner.containers[i].spec.name.clone()
    };
    ctx.say(i, true, "Killing", &why.unwrap_or_else(|| format!("Stopping container {name}")));
    let mut left = grace;
    if !grace.is_zero() {
        let began = ctx.now();
        hooks::pre_stop(ctx, i, left).await;
        left = left.saturating_sub(whole_seconds(ctx.now().since(began)));
        if !after.is_empty() && !left.is_zero() {
            let began = ctx.now();
            let over = || {
                let inner = ctx.cell.lock();
                after.iter().all(|j| !inner.containers[*j].running()).then_some(())
            };
            // Whether it was its turn or the time is over, it goes on.
            let _ = ctx.shared.sim.timeout(left, ctx.cell.changed().until(over)).await;
            left = left.saturating_sub(whole_seconds(ctx.now().since(began)));
        }
    }
    if running.exit().is_none() {
        running.signal(15);
        if ctx.shared.sim.timeout(left.max(LEAST), running.wait()).await.is_err() {
            running.kill();
        }
    }
    ctx.ended(i).await;
}

/// The kubelet counts what hooks took in whole seconds.
fn whole_seconds(d: Duration) -> Duration {
    Duration::from_secs(d.as_secs())
}

fn kill_programs(ctx: &Ctx) {
    let programs: Vec<_> = {
        let inner = ctx.cell.lock();
        inner.containers.iter().filter_map(|c| c.program.clone()).collect()
    };
    programs.iter().for_each(|p| p.running.kill());
}

/// The object is gone: nothing may stay.
pub(crate) fn kill_all(ctx: &Ctx) {
    abandon_starts(ctx);
    kill_programs(ctx);
    let sandbox = std::mem::replace(&mut ctx.cell.lock().sandbox, Sandbox::None);
    if let Sandbox::Ready(namespace, ip) = sandbox {
        namespace.close();
        ctx.node.give_back(ip);
    }
}
