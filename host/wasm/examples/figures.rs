//! Figures of the engine, one JSON object a line; where two things are compared, both are
//! measured in this run: `cargo run -p podlab-wasm --example figures [TRIPS]`.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "figures live on real time"
)]

#[path = "../tests/world/mod.rs"]
mod world;

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use podlab_wasm::{Engine, EngineOptions, Program};
use world::{Run, World, guest, native, program};

const BULK: &str = "1073741824";
const ROUNDS: &str = "300000000";

fn main() {
    let trips = std::env::args().nth(1).unwrap_or_else(|| "100000".into());
    for (figure, client) in [
        ("round trips against native", vec!["client", &trips, "64"]),
        ("bulk against native", vec!["bulk", BULK]),
    ] {
        let (native, mine) = (best(|| natively(&client)), best(|| in_a_world(&client)));
        println!(
            "{{\"figure\":\"{figure}\",\"native_s\":{native:.3},\"world_s\":{mine:.3},\"ratio\":{:.2}}}",
            native / mine
        );
    }
    metering();
    sleeping();
}

/// The best of three: what else the machine does only ever adds.
fn best(mut measure: impl FnMut() -> f64) -> f64 {
    (0..3).map(|_| measure()).fold(f64::INFINITY, f64::min)
}

fn natively(client: &[&str]) -> f64 {
    let pingpong = native("pingpong");
    let addr = "127.0.0.1:17000";
    let mut server = Command::new(&pingpong)
        .args(["server", addr])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    // It says "listening".
    let said = server.stdout.as_mut().expect("piped").read(&mut [0; 16]);
    assert!(said.is_ok_and(|n| n > 0), "the server is up");
    let began = Instant::now();
    let done = Command::new(&pingpong).args(client).arg(addr).stdout(Stdio::null()).status();
    let seconds = began.elapsed().as_secs_f64();
    server.kill().and_then(|()| server.wait()).expect("the server ends");
    assert!(done.expect("the client starts").success());
    seconds
}

fn in_a_world(client: &[&str]) -> f64 {
    let pingpong = program("pingpong");
    let mut world = World::new(1);
    world.start(&pingpong, &["pingpong", "server"]);
    world.pass(Duration::from_millis(10));
    let began = Instant::now();
    let client = world.start(&pingpong, &[&["pingpong"], client].concat());
    let exit = world.until_exit(&client, Duration::from_secs(600));
    assert_eq!(exit.code, 0, "{exit:?} {}", client.text());
    began.elapsed().as_secs_f64()
}

/// What counting fuel costs a program that only computes.
fn metering() {
    let free = Engine::new(EngineOptions { unmetered: true, ..EngineOptions::default() });
    let wasm = std::fs::read(guest("pingpong")).expect("the guest was built");
    let free = free.and_then(|e| e.load(&wasm)).expect("it loads");
    let measure = |program: &Program| {
        let mut world = World::new(1);
        let began = Instant::now();
        let spin = world.start(program, &["pingpong", "spin", ROUNDS]);
        assert_eq!(world.until_exit(&spin, Duration::from_secs(600)).code, 0);
        began.elapsed().as_secs_f64()
    };
    let metered = program("pingpong");
    let (without, with) = (best(|| measure(&free)), best(|| measure(&metered)));
    println!(
        "{{\"figure\":\"metering\",\"without_s\":{without:.3},\"with_s\":{with:.3},\"ratio\":{:.3}}}",
        with / without
    );
}

/// How fast time passes for ten programs that sleep a second at a time.
fn sleeping() {
    let hostile = program("hostile");
    let mut world = World::new(1);
    let runs: Vec<_> = (0..10).map(|_| world.start(&hostile, &["hostile", "doze"])).collect();
    let span = 20_000;
    let began = Instant::now();
    world.pass(Duration::from_secs(span));
    let seconds = began.elapsed().as_secs_f64();
    // Each waking costs at least the call that sleeps again.
    let woke = |r: &Run| r.container.cpu().used() > Duration::from_micros(span);
    assert!(runs.iter().all(woke), "all of them woke each second");
    println!(
        "{{\"figure\":\"ten sleeping programs\",\"virtual_s\":{span},\"seconds\":{seconds:.3},\"virtual_s_per_s\":{:.0}}}",
        span as f64 / seconds
    );
}
