//! Figures of the control plane: what reading costs, how many watchers keep up, how fast real
//! kubectl fills a world.

use std::ops::Range;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use podlab_kube::api::{Body, Request};
use podlab_lab::Catalogue;
use podlab_server::live::Speed;
use podlab_server::workshop::viewer::Viewer;
use podlab_server::{App, Assets, Options, router};
use podlab_wasm::{Engine, EngineOptions};
use podlab_world::World;

use super::{Setup, apply, line, pod, world};

const PODS: &str = "/api/v1/namespaces/default/pods";

fn many(numbers: Range<usize>) -> String {
    let one = |n| format!("---\n{}", pod(&format!("p{n}"), "toolbox", "[sleep, \"100000\"]"));
    numbers.map(one).collect()
}

fn full(world: &World, path: &str, accept: &str) -> Result<usize> {
    let mut request = Request::new("GET", path);
    request.accept = accept.into();
    let response = world.look(&request);
    ensure!(response.status == 200, "{path}: {}", response.status);
    Ok(response.bytes().context("a whole answer")?.len())
}

/// The quickest of `times`, in ms: the machine is shared.
fn quickest(times: u32, mut what: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::MAX;
    for _ in 0..times {
        let began = Instant::now();
        what()?;
        best = best.min(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(best)
}

/// A get of one object, and a table of 5,000.
pub(super) fn reads(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    let mut world = world(setup, 1, 1);
    // A file has at most 1,024 documents.
    for thousand in 0..5 {
        apply(&mut world, &many(thousand * 1000..(thousand + 1) * 1000))?;
    }
    let (before, version) = (world.trace().last(), world.store().version());
    let one = format!("{PODS}/p2500");
    let get = quickest(200, || full(&world, &one, "application/json").map(drop))?;
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let mut bytes = 0;
    let list = quickest(5, || {
        bytes = full(&world, PODS, table)?;
        Ok(())
    })?;
    ensure!(
        (world.trace().last(), world.store().version()) == (before, version),
        "reading changed the world"
    );
    let mut list = line("a list of 5,000 pods as Table", list, "ms", None, Some(150.0));
    list["bytes"] = bytes.into();
    Ok(vec![line("a get of one of 5,000 pods, in the world", get, "ms", None, Some(1.0)), list])
}

/// How many changes a second a thousand watchers follow.
pub(super) fn watchers(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    const WATCHERS: usize = 1000;
    const CHANGES: usize = 200;
    let mut world = world(setup, 1, 1);
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {n: \"0\"}\n";
    apply(&mut world, map)?;
    let path = "/api/v1/namespaces/default/configmaps";
    let from = world.store().version();
    let watch = Request::new("GET", &format!("{path}?watch=true&resourceVersion={from}"));
    let mut all = Vec::new();
    for _ in 0..WATCHERS {
        match world.look(&watch).body {
            Body::Watch(watch) => all.push(watch),
            _ => bail!("a watch was refused"),
        }
    }
    let began = Instant::now();
    let mut seen = 0;
    for n in 1..=CHANGES {
        let patch = format!("{{\"data\":{{\"n\":\"{n}\"}}}}");
        let request = Request::new("PATCH", &format!("{path}/m"));
        let response = world.api(request.with_body("application/merge-patch+json", patch));
        ensure!(response.status == 200, "a change was refused: {}", response.status);
        for watch in &mut all {
            while watch.try_next().is_some() {
                seen += 1;
            }
        }
    }
    ensure!(seen == WATCHERS * CHANGES, "{seen} of {} were seen", WATCHERS * CHANGES);
    let rate = CHANGES as f64 / began.elapsed().as_secs_f64();
    let name = "changes a second that 1,000 watchers follow";
    Ok(vec![line(name, rate, "1/s", Some(100.0), None)])
}

/// 500 pods in one file, by real kubectl, at speed "max".
pub(super) fn kubectl(setup: &Setup) -> Result<Vec<serde_json::Value>> {
    const COUNT: usize = 500;
    let version = Command::new("kubectl").args(["version", "--client"]).output();
    if !version.is_ok_and(|v| v.status.success()) {
        eprintln!("kubectl is not here: apt install kubernetes-client");
        return Ok(Vec::new());
    }
    let folder = tempfile::tempdir()?;
    let (file, config) = (folder.path().join("pods.yaml"), folder.path().join("config"));
    std::fs::write(&file, many(0..COUNT))?;
    std::fs::write(&config, "")?;
    let engine = Engine::new(EngineOptions::default()).map_err(anyhow::Error::msg)?;
    let images = setup.images.clone();
    let page: [(String, std::borrow::Cow<'static, [u8]>); 0] = [];
    let app = App::new(engine, images, Catalogue::default(), Assets::new(page), Options::default());
    let live = app
        .adopt(world(setup, 10, 110), Speed::Max, Viewer::Owner)
        .map_err(|e| anyhow::Error::msg(e.message))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let url = format!("http://{}/api/worlds/{}/kube", listener.local_addr()?, live.id());
    let service = router(app.clone());
    runtime.spawn(async move { axum::serve(listener, service).await });
    let typed = |args: &[&str]| -> Result<String> {
        let mut command = Command::new("kubectl");
        command.env("KUBECONFIG", &config).arg(format!("--server={url}")).args(args);
        command.arg(format!("--cache-dir={}", folder.path().display()));
        let done = command.stdin(Stdio::null()).output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let path = file.to_str().context("a path that is text")?;
    let began = Instant::now();
    typed(&["apply", "-f", path])?;
    let applied = began.elapsed().as_secs_f64();
    loop {
        let all = typed(&[
            "get",
            "pods",
            "-o",
            "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}",
        ])?;
        let ready = all.split_whitespace().filter(|s| *s == "True").count();
        if ready == COUNT {
            break;
        }
        ensure!(began.elapsed() < Duration::from_secs(120), "{ready} of {COUNT} became Ready");
        std::thread::sleep(Duration::from_millis(50));
    }
    let seconds = began.elapsed().as_secs_f64();
    app.shut_down();
    let name = "500 pods of one file, kubectl apply until all are Ready, at speed max";
    let mut l = line(name, seconds, "s", None, Some(10.0));
    l["applied"] = applied.into();
    Ok(vec![l])
}
