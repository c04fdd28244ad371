//! The hooks of a container's life: postStart and preStop.

use std::time::Duration;

use k8s_openapi::api::core::v1::LifecycleHandler;
use podlab_sim::Task;

use super::cell::Ctx;
use super::{handler, stop};

/// Runs the postStart hook beside the program, if there is one. If it fails, the container is
/// ended.
pub(crate) fn post_start(ctx: &Ctx, i: usize) -> Option<Task> {
    let spec = ctx.cell.lock().containers[i].spec.clone();
    let hook = spec.lifecycle.as_ref()?.post_start.clone()?;
    let ctx = ctx.clone();
    Some(ctx.clone().spawn(async move {
        let result = run(&ctx, i, &hook).await;
        match result {
            Ok(()) => ctx.change(i, |c| {
                c.hooking = false;
                c.started = c.spec.startup_probe.is_none();
                c.ready = c.started && c.spec.readiness_probe.is_none();
            }),
            Err(why) => {
                ctx.say(i, false, "FailedPostStartHook", &format!("PostStartHook failed: {why}"));
                let grace = grace(&ctx);
                let body = ctx.clone();
                // In a task of its own: this one ends with the program.
                ctx.spawn(async move {
                    let why = Some("FailedPostStartHook".to_owned());
                    stop::one(&body, i, grace, why, Vec::new()).await;
                });
            }
        }
    }))
}

/// The pod's own grace.
pub(crate) fn grace(ctx: &Ctx) -> Duration {
    let inner = ctx.cell.lock();
    let seconds = inner.pod.spec.as_ref().and_then(|s| s.termination_grace_period_seconds);
    Duration::from_secs(u64::try_from(seconds.unwrap_or(30)).unwrap_or(0))
}

/// Runs the preStop hook, at most as long as the grace lasts.
pub(crate) async fn pre_stop(ctx: &Ctx, i: usize, most: Duration) {
    let spec = ctx.cell.lock().containers[i].spec.clone();
    let Some(hook) = spec.lifecycle.as_ref().and_then(|l| l.pre_stop.clone()) else { return };
    let done = ctx.shared.sim.timeout(most, run(ctx, i, &hook)).await;
    if let Ok(Err(why)) = done {
        ctx.say(i, false, "FailedPreStopHook", &format!("PreStopHook failed: {why}"));
    }
}

async fn run(ctx: &Ctx, i: usize, hook: &LifecycleHandler) -> Result<(), String> {
    if let Some(sleep) = &hook.sleep {
        let seconds = u64::try_from(sleep.seconds).unwrap_or(0);
        ctx.shared.sim.sleep(Duration::from_secs(seconds)).await;
        return Ok(());
    }
    if let Some(exec) = &hook.exec {
        let (code, text) = handler::exec(ctx, i, exec.command.clone().unwrap_or_default()).await?;
        return match code {
            0 => Ok(()),
            code => Err(format!("command exited with {code}: {text}")),
        };
    }
    if let Some(http) = &hook.http_get {
        return handler::http(ctx, i, http).await.and_then(|(code, _)| match code {
            200..400 => Ok(()),
            code => Err(format!("HTTP lifecycle hook failed with statuscode: {code}")),
        });
    }
    if let Some(tcp) = &hook.tcp_socket {
        return handler::tcp(ctx, i, tcp).await;
    }
    Err("Invalid handler: the hook says nothing to do".into())
}
