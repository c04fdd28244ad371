//! The same seed gives the same trace: in one process, in another process, watched or not, in
//! one go or in small pieces, live or replayed.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests live on real time")]

use std::process::Command;
use std::time::Duration;

use podlab_sim::Time;
use podlab_tests::{digest, engine, images, run, world_of};
use podlab_world::replay::{Comparison, compare, replay};
use podlab_world::{Allowance, Fault, Input, Recording, Twins, World};

const END: Time = Time::from_secs(40);

fn sidecar(seed: u64) -> World {
    let images = images(&engine()).unwrap();
    world_of(&images, "sidecar", seed).unwrap()
}

fn digest_of(seed: u64) -> String {
    let mut world = sidecar(seed);
    run(&mut world, END);
    format!("{seed} {} {}", world.trace().last(), digest(&world))
}

#[test]
fn twenty_seeds_twice_and_once_in_another_process() {
    let seeds: Vec<u64> = (1..=20).collect();
    // The child is this very test, told by a variable to print instead of compare.
    if let Ok(seeds) = std::env::var("PODLAB_TEST_PRINT_DIGESTS") {
        for seed in seeds.split(',') {
            println!("digest {}", digest_of(seed.parse().unwrap()));
        }
        return;
    }
    let here: Vec<String> = seeds.iter().map(|s| digest_of(*s)).collect();
    let again: Vec<String> = seeds.iter().map(|s| digest_of(*s)).collect();
    assert_eq!(here, again, "twice in one process");
    let list = seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "twenty_seeds_twice_and_once_in_another_process", "--nocapture"])
        .env("PODLAB_TEST_PRINT_DIGESTS", list)
        .env("TZ", "Asia/Tokyo")
        .env("LANG", "ja_JP.UTF-8")
        // What programs are told of an error must not have the host's stack in it.
        .env("RUST_BACKTRACE", "1")
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    let there: Vec<String> = String::from_utf8(child.stdout)
        .unwrap()
        .lines()
        .filter_map(|l| l.split_once("digest ").map(|(_, d)| d.to_owned()))
        .collect();
    assert_eq!(here, there, "in another process, time zone, locale and folder");
    let mut distinct = here.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), seeds.len(), "each seed has a trace of its own");
}

#[test]
fn the_pieces_in_which_a_world_is_run_make_no_difference() {
    let mut whole = sidecar(7);
    run(&mut whole, END);
    let mut pieces = sidecar(7);
    let mut at = Time::ZERO;
    let mut step = 1u64;
    while at < END {
        step = step * 7 % 1009 + 1;
        at = (at + Duration::from_micros(step * 337)).min(END);
        pieces.run_until(at, step % 50 + 1);
        run(&mut pieces, at);
    }
    assert_eq!(digest(&whole), digest(&pieces));
    let mut stepped = sidecar(7);
    while stepped.now() < Time::from_secs(3) {
        stepped.step_event(Time::from_secs(3));
    }
    run(&mut stepped, END);
    assert_eq!(digest(&whole), digest(&stepped));
}

fn lived() -> (World, Recording) {
    let mut world = sidecar(3);
    run(&mut world, Time::from_secs(20));
    world.input(Input::Fault(Fault::Kill { target: "default/web/log-saver".into() }));
    world.mark();
    run(&mut world, Time::from_secs(25));
    world.input(Input::Open { id: 1, target: "web:80".into() });
    let request = b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n".to_vec();
    world.input(Input::Send { id: 1, bytes: serde_bytes::ByteBuf::from(request) });
    run(&mut world, END);
    world.mark();
    let recording = world.recording().clone();
    (world, recording)
}

#[test]
fn a_recording_replays_to_the_identical_trace() {
    let (world, recording) = lived();
    let engine = engine();
    let images = images(&engine).unwrap();
    let (recording, lost) = Recording::decode(&recording.encode()).unwrap();
    assert_eq!(lost, 0);
    match compare(&engine, &images, &recording).unwrap() {
        Comparison::Identical { events, end } => {
            assert_eq!((events, end), (world.trace().last(), END));
        }
        other => panic!("{other:?}"),
    }
}

/// What programs change at the API server from inside is no input: a replay does it again.
#[test]
fn what_programs_change_through_the_api_is_done_again_by_a_replay() {
    let engine = engine();
    let images = images(&engine).unwrap();
    let mut world = world_of(&images, "leader-election", 3).unwrap();
    run(&mut world, Time::from_secs(15));
    let (node, api) = ("node-1".to_owned(), "api".to_owned());
    world.input(Input::Fault(Fault::Partition { a: node, b: api, one_way: false }));
    run(&mut world, Time::from_secs(60));
    let lease = world.store().get("leases.coordination.k8s.io", "default", "ledger").unwrap();
    assert!(lease["spec"]["holderIdentity"].as_str().is_some_and(|h| h.starts_with("writer-")));
    let mutated = world.recording().inputs.iter().any(|i| match &i.input {
        Input::Api(request) => request.path.contains("leases"),
        _ => false,
    });
    assert!(!mutated, "the Lease was written from inside only");
    world.mark();
    match compare(&engine, &images, world.recording()).unwrap() {
        Comparison::Identical { events, .. } => assert_eq!(events, world.trace().last()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_recording_that_was_tampered_with_names_the_first_difference() {
    let (_, mut recording) = lived();
    let engine = engine();
    let images = images(&engine).unwrap();
    let fault = recording.inputs.iter_mut().find(|i| matches!(i.input, Input::Fault(_))).unwrap();
    fault.input = Input::Fault(Fault::Kill { target: "default/web/web".into() });
    match compare(&engine, &images, &recording).unwrap() {
        Comparison::Different { seq, replayed, .. } => {
            assert!(seq > 0);
            assert!(replayed.unwrap().contains("default/web/web"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn rewinding_and_forking_give_the_past_exactly() {
    let (world, recording) = lived();
    let engine = engine();
    let images = images(&engine).unwrap();
    let at = Time::from_secs(18);
    let mut past = replay(&engine, &images, &recording, at).unwrap();
    assert_eq!(past.now(), at);
    assert!(past.horizon() == END, "the past knows how far the recording goes");
    // Played on, it becomes the present again.
    run(&mut past, END);
    assert_eq!(digest(&past), digest(&world));
    // A fork with an input of its own goes another way.
    let mut fork = replay(&engine, &images, &recording.until(at), at).unwrap();
    fork.input(Input::Fault(Fault::Kill { target: "default/web/web".into() }));
    run(&mut fork, END);
    assert_ne!(digest(&fork), digest(&world));
    // A twin is as good as the world itself.
    let mut twins = Twins::new(&Allowance::of(8));
    while !twins.refill(&engine, &images, &recording, END, 100_000).unwrap() {}
    let mut twin = twins.take(END).expect("a world of 40 s has a twin at 30 s");
    twin.expect(&recording);
    run(&mut twin, END);
    assert_eq!(digest(&twin), digest(&world));
}

#[test]
fn looking_changes_nothing() {
    let mut unwatched = sidecar(5);
    run(&mut unwatched, END);
    let mut watched = sidecar(5);
    let mut read = [0u64; 10];
    let mut at = Time::ZERO;
    while at < END {
        at += Duration::from_millis(250);
        run(&mut watched, at);
        // Ten clients that list, get, and read the stream at paces of their own.
        for (n, read) in read.iter_mut().enumerate() {
            if (at.as_nanos() / 250_000_000).is_multiple_of(n as u64 + 1) {
                let (_, count, _) = watched.trace().read_encoded(*read + 1, 1 << 16);
                *read += u64::from(count);
                for path in
                    ["/api/v1/pods", "/api/v1/namespaces/default/pods/web", "/api/v1/events"]
                {
                    let response = watched.look(&podlab_kube::api::Request::new("GET", path));
                    assert_ne!(response.status, 500, "{path}");
                }
                watched.trace().digest();
                watched.trace().keyframe(watched.trace().last());
            }
        }
    }
    assert_eq!(digest(&unwatched), digest(&watched));
}
