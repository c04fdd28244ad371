//! StatefulSets: never two programs of one ordinal, never a pod too many.

use podlab_sim::Rng;

use super::{PACE, PATIENCE, SEEDS, Trouble, no_orphans, say, says};
use crate::cluster::{Cluster, delays};
use crate::world::{STATEFUL_SETS, workload};

fn stateful_set(seed: u64) {
    let mut rng = Rng::named(seed, "test/stateful-sets");
    let mut c = Cluster::with(seed, 3, delays(&mut rng));
    let desired = 1 + rng.below(4) as i64;
    let mut s = workload("db", desired, "stay");
    s["spec"]["serviceName"] = "db".into();
    let ordered = rng.below(2) == 0;
    s["spec"]["podManagementPolicy"] = if ordered { "OrderedReady" } else { "Parallel" }.into();
    c.create(STATEFUL_SETS, s);
    c.store.set_conflicts(5);
    let check = |c: &Cluster| {
        let at = c.sim.now();
        let pods = c.pods_of("db").len() as i64;
        assert!(pods <= desired, "seed {seed} at {at:?}: {pods} pods of {desired}");
        let running = c.programs.running();
        assert!(running <= desired, "seed {seed} at {at:?}: {running} programs of {desired}");
    };
    let mut trouble = Trouble::new(false);
    for step in 0..100u32 {
        c.until(f64::from(step) * 0.5);
        check(&c);
        if rng.below(40) == 0 {
            c.edit(STATEFUL_SETS, "db", |s| say(s, rng.below(4)));
        }
        trouble.strike(&c, &mut rng, "db");
    }
    c.store.set_conflicts(0);
    trouble.end(&c);
    let fields = ["replicas", "updatedReplicas", "readyReplicas"];
    let well = |c: &Cluster| {
        says(&c.object(STATEFUL_SETS, "db"), &fields, desired) && c.programs.running() == desired
    };
    let mut at = 50.0;
    while !well(&c) && at < PATIENCE {
        at += PACE;
        c.until(at);
        check(&c);
    }
    no_orphans(&c, seed);
    let s = c.object(STATEFUL_SETS, "db");
    assert!(well(&c), "seed {seed}: {desired} are asked for, {}", s["status"]);
}

#[test]
fn a_stateful_set_never_has_two_pods_of_one_ordinal() {
    for seed in 0..SEEDS {
        stateful_set(seed);
    }
}
