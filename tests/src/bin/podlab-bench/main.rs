//! The figures of Podlab, one JSON object a line. `cargo xtask bench [NAME...]` runs them.
//!
//! Each figure says what was demanded, what was measured, and whether that is enough. Where two
//! things are compared, both were measured in this very run.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "figures live on real time"
)]

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use podlab_sim::Time;
use podlab_tests::{engine, images, root, run, run_until, world_of};
use podlab_wasm::{Engine, EngineOptions};
use podlab_world::options::NodeOptions;
use podlab_world::replay::replay;
use podlab_world::{Allowance, Images, Twins, World, WorldOptions};

mod control_plane;
mod runner;
mod workshop;

/// As in podlab.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Figure = fn(&Setup) -> Result<Vec<serde_json::Value>>;

struct Setup {
    engine: Engine,
    images: Images,
}

const FIGURES: &[(&str, Figure)] = &[
    ("loopback", loopback),
    ("metering", metering),
    ("pods", pods),
    ("sleeping", sleeping),
    ("sidecars-at-rest", sidecars_at_rest),
    ("sidecar-load", sidecar_load),
    ("rewind", rewind),
    ("start", start),
    ("suite", suite),
    ("runner", runner::scenarios),
    ("seeds", runner::seeds),
    ("shrink", runner::shrinking),
    ("trace", runner::trace),
    ("checks", runner::checks),
    ("api", control_plane::reads),
    ("watchers", control_plane::watchers),
    ("kubectl", control_plane::kubectl),
    ("learners", workshop::learners),
    ("parked", workshop::parked),
];

fn main() -> Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = names.iter().find(|n| FIGURES.iter().all(|(f, _)| f != n)) {
        let known: Vec<_> = FIGURES.iter().map(|(f, _)| *f).collect();
        bail!("there is no figure {unknown:?}; there are {}", known.join(", "));
    }
    let engine = engine();
    let images = images(&engine)?;
    let setup = Setup { engine, images };
    for (name, figure) in FIGURES {
        if names.is_empty() || names.iter().any(|n| n == name) {
            eprintln!("measuring {name}");
            for line in figure(&setup).with_context(|| (*name).to_owned())? {
                println!("{line}");
                std::io::stdout().flush()?;
            }
        }
    }
    Ok(())
}

fn line(
    figure: &str,
    measured: f64,
    unit: &str,
    at_least: Option<f64>,
    at_most: Option<f64>,
) -> serde_json::Value {
    let ok = at_least.is_none_or(|m| measured >= m) && at_most.is_none_or(|m| measured <= m);
    let measured = (measured * 1000.0).round() / 1000.0;
    serde_json::json!({
        "figure": figure, "measured": measured, "unit": unit, "atLeast": at_least, "atMost": at_most, "ok": ok,
    })
}

fn world(setup: &Setup, nodes: u32, pods: u32) -> World {
    let nodes = (1..=nodes)
        .map(|n| NodeOptions {
            pods,
            memory: 64 << 30,
            cores: 64,
            ..NodeOptions::named(&format!("node-{n}"))
        })
        .collect();
    World::new(&setup.images, WorldOptions { nodes, ..WorldOptions::default() })
}

fn pod(name: &str, image: &str, args: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  containers:\n  - {{name: main, image: {image}, args: {args}}}\n"
    )
}

fn apply(world: &mut World, manifest: &str) -> Result<()> {
    world.apply(manifest).map_err(anyhow::Error::msg)?;
    Ok(())
}

fn ready(world: &World, name: &str) -> bool {
    world.store().get("pods", "default", name).is_some_and(|p| {
        p["status"]["conditions"]
            .as_array()
            .is_some_and(|c| c.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
    })
}

/// Round trips and bulk: `pingpong` in a pod's two containers, and the same program natively over
/// the kernel's loopback.
fn loopback(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    let native = native_pingpong()?;
    let mut lines = Vec::new();
    for (name, client, least) in [
        (
            "round trips on the virtual localhost, as a multiple of native",
            ["client", "100000", "64"].as_slice(),
            2.0,
        ),
        ("bulk on the virtual localhost, as a multiple of native", &["bulk", "1073741824"], 1.0),
    ] {
        let theirs = time_native(&native, client)?;
        let mut world = world(setup, 1, 10);
        let args = client.iter().map(|a| format!("{a:?}")).collect::<Vec<_>>().join(", ");
        let manifest = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: pingpong}}\nspec:\n  restartPolicy: Never\n  containers:\n  - {{name: server, image: pingpong, args: [server]}}\n  - {{name: client, image: pingpong, args: [{args}]}}\n"
        );
        apply(&mut world, &manifest)?;
        let began = Instant::now();
        let done = run_until(&mut world, Time::from_secs(600), |w| {
            w.store().get("pods", "default", "pingpong").is_some_and(|p| {
                let all = p["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
                all.iter()
                    .any(|c| c["name"] == "client" && c["state"]["terminated"]["exitCode"] == 0)
            })
        });
        ensure!(done, "the client did not end well");
        let ours = began.elapsed().as_secs_f64();
        let mut l = line(name, theirs / ours, "x", Some(least), None);
        l["seconds"] = serde_json::json!({"world": ours, "native": theirs});
        lines.push(l);
    }
    Ok(lines)
}

/// A tight loop with and without metering, in turns; the quickest of each counts.
fn metering(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    let wasm = std::fs::read(root().join("target/embed/images/pingpong.wasm"))?;
    let free = Engine::new(EngineOptions { unmetered: true, ..EngineOptions::default() })?;
    let mut free_images = Images::new();
    free_images.load(&free, "pingpong:latest", &wasm)?;
    let spin = |images: &Images| -> Result<f64> {
        let mut world = World::new(images, WorldOptions::default());
        apply(&mut world, &pod("spin", "pingpong", "[spin, \"400000000\"]"))?;
        let began = Instant::now();
        let done = run_until(&mut world, Time::from_secs(600), |w| {
            w.store()
                .get("pods", "default", "spin")
                .is_some_and(|p| p["status"]["phase"] == "Succeeded")
        });
        ensure!(done, "the loop did not end");
        Ok(began.elapsed().as_secs_f64())
    };
    let (mut with, mut without) = (f64::MAX, f64::MAX);
    for _ in 0..5 {
        with = with.min(spin(&setup.images)?);
        without = without.min(spin(&free_images)?);
    }
    let name = "a tight loop with metering, as a multiple of without";
    let mut l = line(name, with / without, "x", None, Some(1.10));
    l["seconds"] = serde_json::json!({"with": with, "without": without});
    Ok(vec![l])
}

fn native_pingpong() -> Result<std::path::PathBuf> {
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--manifest-path", "guests/Cargo.toml", "-p", "pingpong"])
        .args(["--profile", "guest", "--target-dir", "target/guests"])
        .current_dir(root())
        .status()?;
    ensure!(status.success(), "pingpong cannot be built natively");
    Ok(root().join("target/guests/guest/pingpong"))
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn time_native(program: &std::path::Path, client: &[&str]) -> Result<f64> {
    let mut server = Killed(Command::new(program).arg("server").stdout(Stdio::piped()).spawn()?);
    let mut said = String::new();
    std::io::BufReader::new(server.0.stdout.as_mut().context("stdout")?).read_line(&mut said)?;
    let began = Instant::now();
    let status = Command::new(program).args(client).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "the native client failed");
    Ok(began.elapsed().as_secs_f64())
}

/// A thousand pods from nothing to Ready.
fn pods(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    const COUNT: usize = 1000;
    let before = resident()?;
    let mut world = world(setup, 10, 200);
    let manifest: String = (0..COUNT)
        .map(|n| format!("---\n{}", pod(&format!("p{n}"), "toolbox", "[sleep, \"100000\"]")))
        .collect();
    let began = Instant::now();
    apply(&mut world, &manifest)?;
    let done = run_until(&mut world, Time::from_secs(600), |w| {
        (0..COUNT).rev().all(|n| ready(w, &format!("p{n}")))
    });
    let seconds = began.elapsed().as_secs_f64();
    ensure!(done, "not all became Ready");
    let memory = (resident()? - before) / COUNT as f64 / (1 << 20) as f64;
    Ok(vec![
        line("1,000 pods created to Ready", seconds, "s", None, Some(3.0)),
        line("memory of each of 1,000 pods", memory, "MiB", None, Some(1.5)),
    ])
}

fn resident() -> Result<f64> {
    let status =
        std::fs::read_to_string("/proc/self/status").context("figures need Linux' /proc")?;
    let kib: f64 = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .and_then(|l| l.trim().trim_end_matches("kB").trim().parse().ok())
        .context("VmRSS")?;
    Ok(kib * 1024.0)
}

fn speed(world: &mut World, span: Duration) -> f64 {
    let began = Instant::now();
    let until = world.now() + span;
    run(world, until);
    span.as_secs_f64() / began.elapsed().as_secs_f64()
}

fn sleeping(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    let mut world = world(setup, 3, 110);
    for n in 0..10 {
        apply(&mut world, &pod(&format!("s{n}"), "toolbox", "[sleep, \"10000000\"]"))?;
    }
    ensure!(
        run_until(&mut world, Time::from_secs(60), |w| (0..10).all(|n| ready(w, &format!("s{n}")))),
        "not Ready"
    );
    let speed = speed(&mut world, Duration::from_secs(100_000));
    Ok(vec![line(
        "ten sleeping pods, virtual seconds per second",
        speed,
        "x",
        Some(10_000.0),
        None,
    )])
}

fn sidecars_at_rest(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    let catalogue = podlab_tests::catalogue()?;
    let pattern = catalogue.get("sidecar").context("the sidecar pattern")?;
    let text = |file: &str| pattern.text(file).map(str::to_owned).context("a manifest");
    let mut world = world(setup, 3, 110);
    apply(&mut world, &text("manifests/origin.yaml")?)?;
    apply(&mut world, &text("manifests/log-store.yaml")?)?;
    let web = text("manifests/web.yaml")?;
    let web = web.split("\n---").next().context("the pod")?;
    for n in 0..10 {
        apply(&mut world, &web.replace("  name: web\n", &format!("  name: web{n}\n")))?;
    }
    ensure!(
        run_until(&mut world, Time::from_secs(120), |w| (0..10)
            .all(|n| ready(w, &format!("web{n}")))),
        "not Ready"
    );
    let speed = speed(&mut world, Duration::from_secs(600));
    let name = "ten sidecar pods at rest with probes and log following, virtual seconds per second";
    Ok(vec![line(name, speed, "x", Some(500.0), None)])
}

fn loaded(setup: &Setup) -> Result<World> {
    let catalogue = podlab_tests::catalogue()?;
    let pattern = catalogue.get("sidecar").context("the sidecar pattern")?;
    let mut world = world(setup, 3, 110);
    for manifest in &pattern.file.manifests {
        let text = pattern.text(manifest).context("a manifest")?;
        apply(&mut world, &text.replace("--rate=2", "--rate=20"))?;
    }
    ensure!(run_until(&mut world, Time::from_secs(60), |w| ready(w, "web")), "web is not Ready");
    Ok(world)
}

fn sidecar_load(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    let mut world = loaded(setup)?;
    let before = world.trace().last();
    let speed = speed(&mut world, Duration::from_secs(120));
    let mut l = line(
        "the sidecar pattern at 20 requests/s, virtual seconds per second",
        speed,
        "x",
        Some(50.0),
        None,
    );
    l["events"] = (world.trace().last() - before).into();
    Ok(vec![l])
}

/// Going back in a world that has run for ten minutes: with its twins in place, to several
/// instants; the slowest counts.
fn rewind(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    let mut world = world_of(&setup.images, "sidecar", 7)?;
    run(&mut world, Time::from_secs(600));
    world.mark();
    let recording = world.recording().clone();
    let mut worst = 0f64;
    for seconds in [599, 540, 333, 90, 29] {
        let mut twins = Twins::new(&Allowance::of(8));
        while !twins.refill(&setup.engine, &setup.images, &recording, world.now(), 1 << 20)? {}
        let at = Time::from_secs(seconds);
        let began = Instant::now();
        let past = match twins.take(at) {
            Some(mut twin) => {
                twin.expect(&recording);
                run(&mut twin, at);
                twin
            }
            None => replay(&setup.engine, &setup.images, &recording, at)?,
        };
        worst = worst.max(began.elapsed().as_secs_f64());
        ensure!(past.now() == at, "the past is at {}", past.now());
    }
    Ok(vec![line(
        "rewind in a 10-minute sidecar world, slowest of five",
        worst,
        "s",
        None,
        Some(2.0),
    )])
}

fn podlab() -> String {
    std::env::var("PODLAB").unwrap_or_else(|_| root().join("target/podlab").display().to_string())
}

/// From the start of the process to the page served and the first pod Ready.
fn start(_: &Setup) -> Result<Vec<serde_json::Value>> {
    let state = tempfile::tempdir()?;
    let up = || -> Result<f64> {
        let began = Instant::now();
        let port = free_port()?;
        let child = Command::new(podlab())
            .args([
                "up",
                "--no-open",
                "--pattern",
                "sidecar",
                "--speed",
                "100",
                "--port",
                &port.to_string(),
            ])
            .arg("--state")
            .arg(state.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let _child = Killed(child);
        while began.elapsed() < Duration::from_secs(30) {
            if let Ok(page) = get(port, "/")
                && page.contains("200 OK")
                && let Ok(pods) = get(port, "/api/worlds/w1/kube/api/v1/namespaces/default/pods")
                && pods.contains("\"type\":\"Ready\",\"status\":\"True\"")
                    | pods.contains("\"status\":\"True\",\"type\":\"Ready\"")
            {
                return Ok(began.elapsed().as_secs_f64());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("no pod became Ready within 30 s")
    };
    up()?;
    let warm = up()?;
    Ok(vec![line(
        "podlab up, warm, to first pod Ready and page served",
        warm,
        "s",
        None,
        Some(1.0),
    )])
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn suite(_: &Setup) -> Result<Vec<serde_json::Value>> {
    let began = Instant::now();
    let status = Command::new(podlab())
        .args(["test", "patterns/sidecar", "--seeds", "20"])
        .current_dir(root())
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "the suite does not pass");
    let seconds = began.elapsed().as_secs_f64();
    Ok(vec![line("the sidecar suite with 20 seeds", seconds, "s", None, Some(10.0))])
}
