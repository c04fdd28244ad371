//! The autoscaler while the load changes, pods are killed, nodes go, and writes are in conflict.

use podlab_sim::Rng;
use serde_json::{Value, json};

use crate::cluster::{Cluster, container, delays, with};

const AUTOSCALERS: &str = "horizontalpodautoscalers.autoscaling";
const TARGET: &str = "replicationcontrollers";

/// For so long the highest recommendation counts before it goes down, in seconds.
const WINDOW: f64 = 60.0;

fn replicas(c: &Cluster) -> i64 {
    c.store.get(TARGET, "default", "w").unwrap()["spec"]["replicas"].as_i64().unwrap()
}

fn trouble(seed: u64) {
    let mut rng = Rng::named(seed, "test/autoscaling");
    let mut c = Cluster::with(seed, 3, delays(&mut rng));
    let (fewest, more) = (1 + rng.below(2) as i64, 1 + rng.below(5) as i64);
    let most = fewest + more;
    // Every pod first burns much and then little, or the other way round, for ever at the end.
    let mut millicores = || 10 + rng.below(190);
    let (first, last) = (millicores(), millicores());
    let script = format!("burn {first} sleep {} burn {last} stay", 30 + rng.below(60));
    let requests = json!({"resources": {"requests": {"cpu": "100m"}}});
    let pod = json!({"metadata": {"labels": {"app": "w"}}, "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [with(container("c", &script), requests)]}});
    c.create(
        TARGET,
        json!({"metadata": {"name": "w", "namespace": "default"},
            "spec": {"replicas": fewest, "selector": {"app": "w"}, "template": pod}}),
    );
    let (pods_up, pods_down) = (1 + rng.below(3) as i64, 1 + rng.below(2) as i64);
    let policy = |pods: i64| json!([{"type": "Pods", "value": pods, "periodSeconds": 15}]);
    c.create(
        AUTOSCALERS,
        json!({"metadata": {"name": "h", "namespace": "default"}, "spec": {
            "scaleTargetRef": {"apiVersion": "v1", "kind": "ReplicationController", "name": "w"},
            "minReplicas": fewest, "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 60}}}],
            "behavior": {"scaleUp": {"policies": policy(pods_up)},
                "scaleDown": {"stabilizationWindowSeconds": WINDOW, "policies": policy(pods_down)}}}}),
    );
    c.store.set_conflicts(5);
    let mut down: Option<String> = None;
    // When how many were asked for.
    let mut history: Vec<(f64, i64)> = vec![(0.0, fewest)];
    let mut step = 0u32;
    let end = 180u32;
    while step < end {
        step += 1;
        let at = f64::from(step);
        c.until(at);
        let now = replicas(&c);
        assert!((fewest..=most).contains(&now), "seed {seed} at {at}: {now} of {fewest} to {most}");
        let before = history.last().unwrap().1;
        if now != before {
            history.push((at, now));
            let since =
                |t: f64| history.iter().rev().find(|(when, _)| *when <= t).map_or(fewest, |h| h.1);
            // A change is seen up to a second late, and so is the beginning of the period.
            let period = (since(at - 16.0), since(at - 13.0));
            let (least, top) = (period.0.min(period.1), period.0.max(period.1));
            assert!(now <= top + pods_up, "seed {seed} at {at}: {history:?}, up by {pods_up}");
            assert!(
                now >= least - pods_down,
                "seed {seed} at {at}: {history:?}, down by {pods_down}"
            );
            // It does not go up and down within the window.
            let last_up = history.windows(2).rev().find(|w| w[1].1 > w[0].1).map(|w| w[1].0);
            if now < before
                && let Some(up) = last_up
            {
                assert!(at - up >= WINDOW - 2.0, "seed {seed} at {at}: {history:?}");
            }
        }
        if step == end / 2 {
            c.store.set_conflicts(0);
            if let Some(node) = down.take() {
                c.control.node_up(&node).unwrap();
            }
        }
        if step >= end / 2 {
            continue;
        }
        let pods = c.store.list("pods", Some("default"));
        let name = (!pods.is_empty())
            .then(|| pods[rng.below(pods.len() as u64) as usize]["metadata"]["name"].clone());
        match (rng.below(40), name.as_ref().and_then(Value::as_str)) {
            (0, Some(pod)) => {
                // A program that does not run yet cannot be killed.
                let _ = c.control.kill("default", pod, "c");
            }
            (1, _) if down.is_none() => {
                let node = format!("node-{}", 1 + rng.below(3));
                c.control.node_down(&node).unwrap();
                down = Some(node);
            }
            (2 | 3, _) => {
                if let Some(node) = down.take() {
                    c.control.node_up(&node).unwrap();
                }
            }
            _ => {}
        }
    }
    // Each pod burns the same in the end, so load does not spread: above what is tolerated, more
    // pods come until there may be no more; new ones burn what they burn first for a while.
    let mut at = f64::from(end);
    while last > 67 && replicas(&c) < most && at < 1500.0 {
        at += 15.0;
        c.until(at);
    }
    let status = c.store.get(AUTOSCALERS, "default", "h").unwrap()["status"].clone();
    assert_eq!(status["desiredReplicas"], replicas(&c), "seed {seed}: {status}");
    if last > 67 {
        assert_eq!(replicas(&c), most, "seed {seed}: burns {last} of 60, {history:?}");
    }
}

#[test]
fn it_stays_within_its_limits_and_goes_no_faster_than_it_may() {
    for seed in 0..200 {
        trouble(seed);
    }
}
