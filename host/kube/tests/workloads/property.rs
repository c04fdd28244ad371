//! Workloads while containers are killed, pods are deleted, nodes go, and writes are in conflict.

use std::collections::{BTreeMap, BTreeSet};

use podlab_sim::Rng;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::world::{DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, name, workload};

fn is_ready(p: &Value) -> bool {
    let all = p["status"]["conditions"].as_array();
    p["metadata"]["deletionTimestamp"].is_null()
        && all.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

fn say(o: &mut Value, text: u64) {
    o["spec"]["template"]["spec"]["containers"][0]["args"] =
        json!(["say", text.to_string(), "stay"]);
}

/// Every owner that is named exists.
fn no_orphans(c: &Cluster, seed: u64) {
    for kind in ["pods", REPLICA_SETS] {
        for o in c.store.list(kind, Some("default")) {
            let owner = &o["metadata"]["ownerReferences"][0];
            let resource = match owner["kind"].as_str() {
                Some("ReplicaSet") => REPLICA_SETS,
                Some("StatefulSet") => STATEFUL_SETS,
                Some("DaemonSet") => DAEMON_SETS,
                Some("Deployment") => DEPLOYMENTS,
                other => panic!("seed {seed}: {} belongs to {other:?}", name(&o)),
            };
            let found = c.store.get(resource, "default", owner["name"].as_str().unwrap());
            let found = found.unwrap_or_else(|| panic!("seed {seed}: {} has no owner", name(&o)));
            assert_eq!(found["metadata"]["uid"], owner["uid"], "seed {seed}");
        }
    }
}

/// Something bad happens to a pod or a node; says so.
fn harm(c: &Cluster, rng: &mut Rng, app: &str, down: &mut Option<String>) -> bool {
    let pods = c.living(app);
    let victim = (!pods.is_empty()).then(|| name(&pods[rng.below(pods.len() as u64) as usize]));
    match (rng.below(30), victim) {
        (0 | 1, Some(pod)) => c.control.kill("default", &pod, "c").is_ok(),
        (2, Some(pod)) => {
            c.delete(&pod, if rng.below(2) == 0 { None } else { Some(0) });
            true
        }
        (3, _) if down.is_none() => {
            let node = format!("node-{}", 1 + rng.below(3));
            c.control.node_down(&node).unwrap();
            *down = Some(node);
            true
        }
        (4 | 5, _) => match down.take() {
            Some(node) => {
                c.control.node_up(&node).unwrap();
                true
            }
            None => false,
        },
        _ => false,
    }
}

fn deployment(seed: u64) {
    let mut rng = Rng::named(seed, "test/deployments");
    let mut c = Cluster::with(seed, 3, Default::default());
    let desired = 1 + rng.below(6) as i64;
    let (mut surge, unavailable) = (rng.below(4) as i64, rng.below(3) as i64);
    if surge + unavailable == 0 {
        surge = 1;
    }
    // Half of the worlds are spared, so that availability can be held to its promise.
    let harmful = seed.is_multiple_of(2);
    let mut d = workload("web", desired, "stay");
    d["spec"]["strategy"] = json!({"type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}});
    d["spec"]["revisionHistoryLimit"] = 3.into();
    c.create(DEPLOYMENTS, d);
    c.store.set_conflicts(5);
    let (mut down, mut settled, mut version, mut newest) = (None, false, 0, 0);
    for step in 0..600u32 {
        c.until(f64::from(step) * 0.5);
        let pods = c.living("web");
        let over =
            |p: &Value| matches!(p["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let there = pods.iter().filter(|p| !over(p)).count() as i64;
        assert!(
            there <= desired + surge,
            "seed {seed} at {step}: {there} pods of {desired}+{surge}"
        );
        let ready = pods.iter().filter(|p| is_ready(p)).count() as i64;
        settled |= ready >= desired;
        if settled && !harmful {
            assert!(
                ready >= desired - unavailable.min(desired),
                "seed {seed} at {step}: {ready} ready of {desired}-{unavailable}"
            );
        }
        // The newest template always has the highest revision, and no number is there twice.
        let mut numbers = BTreeSet::new();
        for set in c.store.list(REPLICA_SETS, Some("default")) {
            let text = set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone();
            let number: i64 = text.as_str().unwrap().parse().unwrap();
            assert!(numbers.insert(number), "seed {seed}: revision {number} twice");
        }
        let last = numbers.last().copied().unwrap_or(0);
        assert!(last >= newest, "seed {seed}: revisions went back from {newest} to {last}");
        newest = last;
        if step >= 400 {
            continue;
        }
        if rng.below(60) == 0 {
            version = rng.below(4);
            c.edit(DEPLOYMENTS, "web", |d| say(d, version));
        }
        if harmful {
            harm(&c, &mut rng, "web", &mut down);
        }
        if step == 399 {
            c.store.set_conflicts(0);
            if let Some(node) = down.take() {
                c.control.node_up(&node).unwrap();
            }
        }
    }
    let _ = version;
    // A container that was killed often waits up to five minutes.
    c.until(1000.0);
    no_orphans(&c, seed);
    let d = c.object(DEPLOYMENTS, "web");
    for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
        assert_eq!(d["status"][field], desired, "seed {seed}: {field} of {}", d["status"]);
    }
    assert!(c.names(REPLICA_SETS).len() <= 4, "seed {seed}: three old ones and the new one");
}

#[test]
fn deployments_keep_their_promises() {
    for seed in 0..16 {
        deployment(seed);
    }
}

fn stateful_set(seed: u64) {
    let mut rng = Rng::named(seed, "test/stateful-sets");
    let mut c = Cluster::with(seed, 3, Default::default());
    let desired = 1 + rng.below(4) as i64;
    let mut s = workload("db", desired, "stay");
    s["spec"]["serviceName"] = "db".into();
    let ordered = rng.below(2) == 0;
    s["spec"]["podManagementPolicy"] = if ordered { "OrderedReady" } else { "Parallel" }.into();
    c.create(STATEFUL_SETS, s);
    c.store.set_conflicts(5);
    let mut down = None;
    // Programs that run, by pod: never two with one name.
    for step in 0..600u32 {
        c.until(f64::from(step) * 0.5);
        let pods = c.pods_of("db");
        assert!(pods.len() as i64 <= desired, "seed {seed} at {step}: {} pods", pods.len());
        let mut running: BTreeMap<String, usize> = BTreeMap::new();
        for line in c.programs.history() {
            // Starts less ends, over the only container's name, is what runs.
            let mut words = line.split(' ').skip(1);
            match words.next() {
                Some("start") => *running.entry("c".into()).or_default() += 1,
                Some("exit") => *running.entry("c".into()).or_default() -= 1,
                _ => {}
            }
        }
        let running = running.get("c").copied().unwrap_or(0) as i64;
        assert!(running <= desired, "seed {seed} at {step}: {running} programs of {desired}");
        if step >= 400 {
            continue;
        }
        if rng.below(60) == 0 {
            let version = rng.below(4);
            c.edit(STATEFUL_SETS, "db", |s| say(s, version));
        }
        // Deleting by force is what lets two of one name run; nobody does that here.
        let pods = c.living("db");
        match (rng.below(30), pods.is_empty()) {
            (0 | 1, false) => {
                let pod = name(&pods[rng.below(pods.len() as u64) as usize]);
                let _ = c.control.kill("default", &pod, "c");
            }
            (2, false) => c.delete(&name(&pods[rng.below(pods.len() as u64) as usize]), None),
            (3, _) if down.is_none() => {
                let node = format!("node-{}", 1 + rng.below(3));
                c.control.node_down(&node).unwrap();
                down = Some(node);
            }
            (4 | 5, _) => {
                if let Some(node) = down.take() {
                    c.control.node_up(&node).unwrap();
                }
            }
            _ => {}
        }
        if step == 399 {
            c.store.set_conflicts(0);
            if let Some(node) = down.take() {
                c.control.node_up(&node).unwrap();
            }
        }
    }
    c.until(1500.0);
    no_orphans(&c, seed);
    let s = c.object(STATEFUL_SETS, "db");
    for field in ["replicas", "updatedReplicas", "readyReplicas"] {
        assert_eq!(s["status"][field], desired, "seed {seed}: {field} of {}", s["status"]);
    }
}

#[test]
fn a_stateful_set_never_has_two_pods_of_one_ordinal() {
    for seed in 0..40 {
        stateful_set(seed);
    }
}

#[test]
fn daemons_end_up_one_a_node() {
    for seed in 0..40 {
        let mut rng = Rng::named(seed, "test/daemon-sets");
        let mut c = Cluster::with(seed, 3, Default::default());
        let mut s = workload("agent", 1, "stay");
        s["spec"].as_object_mut().unwrap().remove("replicas");
        if seed % 2 == 0 {
            s["spec"]["updateStrategy"] = json!({"type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
        }
        c.create(DAEMON_SETS, s);
        c.store.set_conflicts(5);
        let mut down = None;
        for step in 0..400u32 {
            c.until(f64::from(step) * 0.5);
            let mut on: BTreeMap<String, usize> = BTreeMap::new();
            for p in c.living("agent") {
                *on.entry(p["spec"]["nodeName"].as_str().unwrap_or("").to_owned()).or_default() +=
                    1;
            }
            on.remove("");
            let most = if seed % 2 == 0 { 2 } else { 1 };
            assert!(on.values().all(|n| *n <= most), "seed {seed} at {step}: {on:?}");
            if rng.below(60) == 0 {
                let version = rng.below(4);
                c.edit(DAEMON_SETS, "agent", |s| say(s, version));
            }
            harm(&c, &mut rng, "agent", &mut down);
        }
        c.store.set_conflicts(0);
        if let Some(node) = down.take() {
            c.control.node_up(&node).unwrap();
        }
        c.until(1200.0);
        no_orphans(&c, seed);
        let s = c.object(DAEMON_SETS, "agent");
        for field in ["desiredNumberScheduled", "numberReady", "updatedNumberScheduled"] {
            assert_eq!(s["status"][field], 3, "seed {seed}: {field} of {}", s["status"]);
        }
        assert_eq!(c.pods_of("agent").len(), 3, "seed {seed}");
    }
}
