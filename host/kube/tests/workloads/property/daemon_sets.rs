//! DaemonSets: one on each node, two only while one of them is the surge.

use std::collections::BTreeMap;

use podlab_sim::Rng;
use serde_json::json;

use super::{PACE, PATIENCE, SEEDS, Trouble, no_orphans, say, says};
use crate::cluster::{Cluster, delays};
use crate::world::{DAEMON_SETS, workload};

fn daemon_set(seed: u64) {
    let mut rng = Rng::named(seed, "test/daemon-sets");
    let mut c = Cluster::with(seed, 3, delays(&mut rng));
    let mut s = workload("agent", 1, "stay");
    s["spec"].as_object_mut().unwrap().remove("replicas");
    let surges = seed.is_multiple_of(2);
    if surges {
        s["spec"]["updateStrategy"] = json!({"type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    }
    c.create(DAEMON_SETS, s);
    c.store.set_conflicts(5);
    let check = |c: &Cluster| {
        let mut on: BTreeMap<String, usize> = BTreeMap::new();
        for p in c.living("agent") {
            *on.entry(p["spec"]["nodeName"].as_str().unwrap_or("").to_owned()).or_default() += 1;
        }
        on.remove("");
        let most = if surges { 2 } else { 1 };
        let at = c.sim.now();
        assert!(on.values().all(|n| *n <= most), "seed {seed} at {at:?}: {on:?}");
    };
    let mut trouble = Trouble::new(true);
    for step in 0..80u32 {
        c.until(f64::from(step) * 0.5);
        check(&c);
        if rng.below(40) == 0 {
            c.edit(DAEMON_SETS, "agent", |s| say(s, rng.below(4)));
        }
        trouble.strike(&c, &mut rng, "agent");
    }
    c.store.set_conflicts(0);
    trouble.end(&c);
    let fields = ["desiredNumberScheduled", "numberReady", "updatedNumberScheduled"];
    let well = |c: &Cluster| {
        says(&c.object(DAEMON_SETS, "agent"), &fields, 3) && c.pods_of("agent").len() == 3
    };
    let mut at = 40.0;
    while !well(&c) && at < PATIENCE {
        at += PACE;
        c.until(at);
        check(&c);
    }
    no_orphans(&c, seed);
    let s = c.object(DAEMON_SETS, "agent");
    assert!(well(&c), "seed {seed}: {}", s["status"]);
}

#[test]
fn daemons_end_up_one_a_node() {
    for seed in 0..SEEDS {
        daemon_set(seed);
    }
}
