//! `podlab-testkit` as a project that uses it would: a world, manifests, conditions, the real API.

use std::time::Duration;

use podlab_testkit::api::apps::v1::Deployment;
use podlab_testkit::api::core::v1::{Event, Pod};
use podlab_testkit::{Error, Fault, Kit};
use podlab_tests::root;

const MINUTE: Duration = Duration::from_secs(60);

fn kit() -> Kit {
    let wasm = std::fs::read(root().join("target/embed/images/greeter.wasm"));
    let mut kit = Kit::new().unwrap();
    kit.image("greeter:v1", &wasm.expect("run `cargo xtask build` first")).unwrap();
    kit
}

fn greeters() -> String {
    std::fs::read_to_string(root().join("tests/scenarios/steps/manifests/greeter.yaml")).unwrap()
}

#[test]
fn a_killed_greeter_comes_back_under_every_seed() {
    let kit = kit();
    for seed in 1..=5 {
        let mut world = kit.world(seed);
        world.apply(&greeters()).unwrap();
        world.until("object('Deployment', 'greeter').status.readyReplicas == 1", MINUTE).unwrap();
        world.run_for(Duration::from_secs(1)).unwrap();
        let answer = world.request("GET", "greeter:8080", "/?name=Ada", "").unwrap();
        assert!(answer.ok && answer.body.contains("Ada"), "{answer:?}");

        let pods: Vec<Pod> = world.objects();
        let name = pods[0].metadata.name.clone().unwrap();
        world.fault(Fault::Kill { target: format!("default/{name}/greeter") }).unwrap();
        world
            .until(&format!("restarts('{name}', 'greeter') == 1 && ready('{name}')"), MINUTE)
            .unwrap();
        let deployment: Deployment = world.object("default", "greeter").unwrap();
        assert_eq!(deployment.status.unwrap().ready_replicas, Some(1));
        let events: Vec<Event> = world.objects();
        assert!(
            events.iter().any(|e| e.reason.as_deref() == Some("Started") && e.count == Some(2))
        );
        assert!(world.logs(&name, "greeter").iter().any(|l| l.contains("listening")));
        assert!(world.now() < MINUTE);
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    let kit = kit();
    let run = |seed| {
        let mut world = kit.world(seed);
        world.apply(&greeters()).unwrap();
        world.run_for(Duration::from_secs(10)).unwrap();
        world.digest()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn mistakes_say_what_was_seen() {
    let kit = kit();
    let mut world = kit.world(1);
    let error = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert!(error(world.apply("kind: Pod")).contains("apiVersion"));
    assert!(error(world.until("reddy('x')", MINUTE)).contains("did you mean \"ready\"?"));
    let wait = error(world.until("ready('nobody')", Duration::from_secs(1)));
    assert!(wait.contains("did not hold within 1s: there is no pod \"nobody\""), "{wait}");
    assert!(
        error(world.fault(Fault::Kill { target: "x".into() })).contains("namespace/pod/container")
    );
    assert!(
        world.object::<Pod>("default", "x").unwrap_err().to_string().contains("no Pod default/x")
    );
    let answer = world.request("GET", "nobody:80", "/", "").unwrap();
    assert!(!answer.ok && !answer.error.is_empty(), "{answer:?}");
}
