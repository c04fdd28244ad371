//! Deployments: never more than asked for and the surge, never fewer available than allowed,
//! revisions in order.

use std::collections::BTreeSet;

use podlab_sim::Rng;
use serde_json::json;

use super::{PACE, PATIENCE, SEEDS, Trouble, is_over, is_ready, no_orphans, say, says};
use crate::cluster::{Cluster, delays};
use crate::world::{DEPLOYMENTS, REPLICA_SETS, workload};

/// What is promised, and what was seen so far.
struct Promise {
    seed: u64,
    surge: i64,
    unavailable: i64,
    /// The fewest and the most replicas that were asked for lately.
    desired: (i64, i64),
    /// Whether availability is looked at: only where nothing else takes pods away.
    spared: bool,
    settled: bool,
    newest: i64,
}

impl Promise {
    fn check(&mut self, c: &Cluster) {
        let Promise { seed, surge, unavailable, desired, .. } = *self;
        let at = c.sim.now();
        let pods = c.living("web");
        let there = pods.iter().filter(|p| !is_over(p)).count() as i64;
        let most = desired.1 + surge;
        assert!(there <= most, "seed {seed} at {at:?}: {there} pods of {most}");
        let ready = pods.iter().filter(|p| is_ready(p)).count() as i64;
        self.settled |= ready >= desired.0;
        if self.settled && self.spared {
            let fewest = desired.0 - unavailable.min(desired.0);
            assert!(ready >= fewest, "seed {seed} at {at:?}: {ready} ready of {fewest}");
        }
        // The newest template always has the highest revision, and no number is there twice.
        let mut numbers = BTreeSet::new();
        for set in c.store.list(REPLICA_SETS, Some("default")) {
            let text = set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone();
            let number: i64 = text.as_str().unwrap().parse().unwrap();
            assert!(numbers.insert(number), "seed {seed}: revision {number} twice");
        }
        let last = numbers.last().copied().unwrap_or(0);
        assert!(last >= self.newest, "seed {seed}: revisions went from {} to {last}", self.newest);
        self.newest = last;
    }
}

fn deployment(seed: u64) {
    let mut rng = Rng::named(seed, "test/deployments");
    let mut c = Cluster::with(seed, 3, delays(&mut rng));
    let mut desired = 1 + rng.below(5) as i64;
    let (mut surge, unavailable) = (rng.below(4) as i64, rng.below(3) as i64);
    if surge + unavailable == 0 {
        surge = 1;
    }
    let spared = !seed.is_multiple_of(2);
    let mut d = workload("web", desired, "stay");
    d["spec"]["strategy"] = json!({"type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}});
    d["spec"]["revisionHistoryLimit"] = 3.into();
    c.create(DEPLOYMENTS, d);
    c.store.set_conflicts(5);
    let mut trouble = Trouble::new(true);
    let mut promise = Promise {
        seed,
        surge,
        unavailable,
        desired: (desired, desired),
        spared,
        settled: false,
        newest: 0,
    };
    for step in 0..80u32 {
        c.until(f64::from(step) * 0.5);
        promise.check(&c);
        match rng.below(60) {
            0 | 1 => c.edit(DEPLOYMENTS, "web", |d| say(d, rng.below(4))),
            2 => {
                desired = 1 + rng.below(5) as i64;
                promise.desired.0 = promise.desired.0.min(desired);
                promise.desired.1 = promise.desired.1.max(desired);
                c.edit(DEPLOYMENTS, "web", |d| d["spec"]["replicas"] = desired.into());
            }
            _ if !spared => trouble.strike(&c, &mut rng, "web"),
            _ => {}
        }
    }
    c.store.set_conflicts(0);
    trouble.end(&c);
    let fields = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"];
    let well = |c: &Cluster| {
        let d = c.object(DEPLOYMENTS, "web");
        d["status"]["observedGeneration"] == d["metadata"]["generation"]
            && says(&d, &fields, desired)
            && c.pods_of("web").len() as i64 == desired
            // Three old ones and the new one.
            && c.names(REPLICA_SETS).len() <= 4
    };
    let mut at = 40.0;
    while !well(&c) && at < PATIENCE {
        at += PACE;
        c.until(at);
        promise.check(&c);
    }
    no_orphans(&c, seed);
    let d = c.object(DEPLOYMENTS, "web");
    assert!(well(&c), "seed {seed}: {desired} are asked for, {}", d["status"]);
}

#[test]
fn deployments_keep_their_promises() {
    for seed in 0..SEEDS {
        deployment(seed);
    }
}
