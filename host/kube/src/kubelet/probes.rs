//! Probes (`pkg/kubelet/prober`): startup, readiness, liveness.

use std::time::Duration;

use k8s_openapi::api::core::v1::Probe;
use podlab_sim::{Task, Time};
use podlab_trace::Kind;

use super::cell::Ctx;
use super::{handler, hooks, stop};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Startup,
    Readiness,
    Liveness,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Startup => "startup",
            What::Readiness => "readiness",
            What::Liveness => "liveness",
        }
    }

    fn title(self) -> &'static str {
        match self {
            What::Startup => "Startup",
            What::Readiness => "Readiness",
            What::Liveness => "Liveness",
        }
    }
}

/// Starts the probes of a run that began at `began`. They end with the run.
pub(crate) fn start(ctx: &Ctx, i: usize, began: Time) -> Vec<Task> {
    let spec = ctx.cell.lock().containers[i].spec.clone();
    let all = [
        (What::Startup, &spec.startup_probe),
        (What::Readiness, &spec.readiness_probe),
        (What::Liveness, &spec.liveness_probe),
    ];
    all.into_iter()
        .filter_map(|(what, probe)| {
            let probe = probe.clone()?;
            let ctx = ctx.clone();
            Some(ctx.clone().spawn(async move { probing(&ctx, i, what, &probe, began).await }))
        })
        .collect()
}

fn seconds(value: Option<i32>, default: u32) -> Duration {
    let given = value.and_then(|v| u32::try_from(v).ok()).filter(|v| *v > 0);
    Duration::from_secs(u64::from(given.unwrap_or(default)))
}

fn count(value: Option<i32>, default: u32) -> u32 {
    value.and_then(|v| u32::try_from(v).ok()).filter(|v| *v > 0).unwrap_or(default)
}

async fn probing(ctx: &Ctx, i: usize, what: What, probe: &Probe, began: Time) {
    let period = seconds(probe.period_seconds, 10);
    let timeout = seconds(probe.timeout_seconds, 1);
    let (passes, failures) = (count(probe.success_threshold, 1), count(probe.failure_threshold, 3));
    if what != What::Startup {
        let started = || ctx.cell.lock().containers[i].started.then_some(());
        ctx.cell.changed().until(started).await;
    }
    let delay = u64::try_from(probe.initial_delay_seconds.unwrap_or(0)).unwrap_or(0);
    ctx.shared.sim.sleep_until(began + Duration::from_secs(delay)).await;
    let mut run = (false, 0u32);
    loop {
        let next = ctx.now() + period;
        if what != What::Readiness && ending(ctx, i) {
            return;
        }
        let (ok, text) = once(ctx, i, probe, timeout).await;
        tell(ctx, i, what, ok, &text);
        run = if run.0 == ok { (ok, run.1.saturating_add(1)) } else { (ok, 1) };
        let enough = run.1 >= if ok { passes } else { failures };
        if enough && decided(ctx, i, what, ok, probe) {
            return;
        }
        ctx.shared.sim.sleep_until(next).await;
    }
}

/// On deletion, startup and liveness probes stop.
fn ending(ctx: &Ctx, i: usize) -> bool {
    let inner = ctx.cell.lock();
    inner.stop != super::cell::Stop::No || inner.containers[i].stopping
}

/// A result has come often enough. Says whether this probe is over.
fn decided(ctx: &Ctx, i: usize, what: What, ok: bool, probe: &Probe) -> bool {
    match (what, ok) {
        (What::Readiness, _) => {
            let same = ctx.cell.lock().containers[i].ready == ok;
            if !same {
                ctx.change(i, |c| c.ready = ok);
            }
            false
        }
        (What::Startup, true) => {
            ctx.change(i, |c| {
                c.started = true;
                c.ready = c.spec.readiness_probe.is_none();
            });
            true
        }
        (What::Liveness, true) => false,
        (_, false) => {
            if ending(ctx, i) {
                return true;
            }
            let name = ctx.cell.lock().containers[i].spec.name.clone();
            let why = format!("Container {name} failed {} probe, will be restarted", what.name());
            let own = probe.termination_grace_period_seconds;
            let grace = own
                .and_then(|s| u64::try_from(s).ok())
                .map_or_else(|| hooks::grace(ctx), Duration::from_secs);
            ctx.cell.lock().containers[i].stopping = true;
            let body = ctx.clone();
            // In a task of its own: this one ends with the program.
            ctx.spawn(async move { stop::one(&body, i, grace, Some(why), Vec::new()).await });
            true
        }
    }
}

/// Probes once: whether it succeeded, and what was seen.
async fn once(ctx: &Ctx, i: usize, probe: &Probe, timeout: Duration) -> (bool, String) {
    if let Some(exec) = &probe.exec {
        let argv = exec.command.clone().unwrap_or_default();
        let shown = argv.join(" ");
        return match ctx.shared.sim.timeout(timeout, handler::exec(ctx, i, argv)).await {
            Ok(Ok((0, text))) => (true, text),
            Ok(Ok((_, text)) | Err(text)) => (false, text),
            Err(_) => (false, format!("command {shown:?} timed out")),
        };
    }
    if let Some(http) = &probe.http_get {
        return match ctx.shared.sim.timeout(timeout, handler::http(ctx, i, http)).await {
            Ok(Ok((code @ 200..400, _))) => (true, format!("HTTP {code}")),
            Ok(Ok((code, _))) => (false, format!("HTTP probe failed with statuscode: {code}")),
            Ok(Err(why)) => (false, why),
            Err(_) => {
                let text =
                    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
                (false, format!("Get \"{}\": {text}", url(ctx, http)))
            }
        };
    }
    if let Some(tcp) = &probe.tcp_socket {
        return match ctx.shared.sim.timeout(timeout, handler::tcp(ctx, i, tcp)).await {
            Ok(Ok(())) => (true, "connected".into()),
            Ok(Err(why)) => (false, why),
            Err(_) => (false, "dial tcp: i/o timeout".into()),
        };
    }
    // gRPC is not spoken here; a probe that is none passes, as in Kubernetes.
    (true, "no handler".into())
}

fn url(ctx: &Ctx, http: &k8s_openapi::api::core::v1::HTTPGetAction) -> String {
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::{Int, String};
    let port = match &http.port {
        Int(n) => n.to_string(),
        String(s) => s.clone(),
    };
    let host = http.host.clone().filter(|h| !h.is_empty());
    let host = host.or_else(|| ctx.cell.address().map(|a| a.to_string())).unwrap_or_default();
    let path = http.path.as_deref().unwrap_or("/");
    format!("{}://{host}:{port}{path}", handler::scheme(http))
}

/// The trace hears of every probe, the events of failures only.
fn tell(ctx: &Ctx, i: usize, what: What, ok: bool, text: &str) {
    let place = ctx.cell.lock().containers[i].place;
    let kind = Kind::Probe { probe: what.name().into(), ok, message: text.into() };
    ctx.shared.trace.emit(ctx.now().as_nanos(), place, kind);
    if !ok {
        let message = format!("{} probe failed: {text}", what.title());
        ctx.say(i, false, "Unhealthy", &message);
    }
}
