//! A recording that carries its images is enough; one that lacks them says which; commands run
//! in containers are part of it.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests live on real time")]

use podlab_sim::Time;
use podlab_tests::{digest, engine, images, run, run_until, world_of};
use podlab_world::gateway::{Outside, OutsideEvent};
use podlab_world::replay::{Comparison, compare, replay};
use podlab_world::{Images, Input, Recording, World};

const END: Time = Time::from_secs(20);

/// A world of the sidecar in which a command was run, and what came out of it.
fn lived() -> (World, String, Option<i32>) {
    let images = images(&engine()).unwrap();
    let mut world = world_of(&images, "sidecar", 5).unwrap();
    run(&mut world, Time::from_secs(12));
    world.mark();
    world.input(Input::Exec {
        id: 1,
        namespace: "default".into(),
        pod: "web".into(),
        container: "web".into(),
        command: vec!["echo".into(), "hello".into()],
    });
    let (mut text, mut code) = (String::new(), None);
    run_until(&mut world, END, |_| false);
    for OutsideEvent { id, what, .. } in world.take_outside() {
        match what {
            Outside::Data(bytes) if id == 1 => text += &String::from_utf8_lossy(&bytes),
            Outside::Exited(exit) if id == 1 => code = Some(exit),
            _ => {}
        }
    }
    world.mark();
    (world, text, code)
}

#[test]
fn a_command_runs_in_a_container_and_is_part_of_the_recording() {
    let (world, text, code) = lived();
    assert_eq!((text.trim_end(), code), ("hello", Some(0)));
    let engine = engine();
    // Nothing is known here but what the recording carries.
    let (carrying, lost) = Recording::decode(&world.export().encode()).unwrap();
    assert_eq!(lost, 0);
    match compare(&engine, &Images::new(), &carrying).unwrap() {
        Comparison::Identical { events, .. } => assert_eq!(events, world.trace().last()),
        other => panic!("{other:?}"),
    }
    let mut digests: Vec<_> = carrying.header.carried.iter().map(|c| &c.wasm).collect();
    let all = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), all, "no image is carried twice");
}

#[test]
fn an_image_that_is_missing_is_named() {
    let (world, ..) = lived();
    let error = replay(&engine(), &Images::new(), world.recording(), END).err().unwrap();
    let text = error.to_string();
    let (name, digest) = &world.recording().header.images[0];
    assert!(text.contains(name) && text.contains(digest) && text.contains("--image"), "{text}");
}

#[test]
fn the_past_is_the_beginning_of_the_present() {
    let (world, ..) = lived();
    let engine = engine();
    let images = images(&engine).unwrap();
    for seconds in [0, 1, 7, 12, 15] {
        let at = Time::from_secs(seconds);
        let past = replay(&engine, &images, world.recording(), at).unwrap();
        let last = past.trace().last();
        assert_eq!(past.trace().sums(1), world.trace().sums(1)[..last as usize], "{at}");
        let mut fork = replay(&engine, &images, &world.recording().until(at), at).unwrap();
        assert_eq!(digest(&fork), digest(&past));
        run(&mut fork, END);
        assert_eq!(fork.trace().sums(1)[..last as usize], past.trace().sums(1));
    }
}
