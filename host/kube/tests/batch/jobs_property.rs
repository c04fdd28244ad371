//! Jobs while pods fail, are deleted and are killed, nodes go, and writes are in conflict.

use std::collections::BTreeSet;

use podlab_sim::Rng;
use serde_json::{Value, json};

use crate::cluster::{Cluster, container, delays, with};

const JOBS: &str = "jobs.batch";

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Runs one Job through 200 seconds of trouble and then lets it finish.
fn trouble(seed: u64) {
    let mut rng = Rng::named(seed, "test/jobs");
    let mut c = Cluster::with(seed, 3, delays(&mut rng));
    let indexed = rng.below(2) == 0;
    let (completions, parallelism) = (1 + rng.below(6) as i64, 1 + rng.below(4) as i64);
    let policy = if rng.below(2) == 0 { "Failed" } else { "TerminatingOrFailed" };
    let script = format!("sleep {} exit 0", 1 + rng.below(20));
    let pod = json!({"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, "containers": [with(container("c", &script), json!({}))]});
    let spec = json!({"completions": completions, "parallelism": parallelism, "backoffLimit": 1000,
        "completionMode": if indexed { "Indexed" } else { "NonIndexed" },
        "podReplacementPolicy": policy, "template": {"spec": pod}});
    c.create(JOBS, json!({"metadata": {"name": "j", "namespace": "default"}, "spec": spec}));
    c.store.set_conflicts(4);
    // What every pod came to, as seen from outside.
    let (mut won, mut done) = (BTreeSet::new(), BTreeSet::new());
    let mut last = (0, 0);
    let mut down: Option<String> = None;
    let mut after = 0;
    for step in 0..1200u32 {
        c.until(f64::from(step) * 0.5);
        let job = c.store.get(JOBS, "default", "j").unwrap();
        let pods = c.store.list("pods", Some("default"));
        let over =
            |p: &Value| matches!(p["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let active = pods
            .iter()
            .filter(|p| !over(p) && p["metadata"]["deletionTimestamp"].is_null())
            .count() as i64;
        let going = pods
            .iter()
            .filter(|p| !over(p) && !p["metadata"]["deletionTimestamp"].is_null())
            .count() as i64;
        assert!(active <= parallelism, "seed {seed}: {active} active of {parallelism}");
        if policy == "Failed" {
            assert!(
                active + going <= parallelism,
                "seed {seed}: {active} + {going} of {parallelism}"
            );
        }
        for p in &pods {
            if p["status"]["phase"] == "Succeeded" {
                won.insert(p["metadata"]["uid"].to_string());
                done.insert(
                    p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]
                        .to_string(),
                );
            }
        }
        let status = &job["status"];
        let (succeeded, failed) = (number(&status["succeeded"]), number(&status["failed"]));
        assert!(succeeded >= last.0 && failed >= last.1, "seed {seed}: counts go up only");
        last = (succeeded, failed);
        let limit = if indexed { done.len() } else { won.len() } as i64;
        assert!(succeeded <= limit, "seed {seed}: {succeeded} counted, {limit} there were");
        assert!(succeeded <= completions, "seed {seed}: {succeeded} of {completions}");
        // What is over is looked at for a while longer.
        let complete = |x: &Value| x["type"] == "Complete";
        after += u32::from(status["conditions"].as_array().into_iter().flatten().any(complete));
        if after > 10 {
            break;
        }
        if step == 400 {
            c.store.set_conflicts(0);
            if let Some(node) = down.take() {
                c.control.node_up(&node).unwrap();
            }
        }
        if step >= 400 {
            continue;
        }
        let names: Vec<String> = pods
            .iter()
            .filter(|p| !over(p))
            .map(|p| p["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        let victim = |rng: &mut Rng| {
            (!names.is_empty()).then(|| names[rng.below(names.len() as u64) as usize].clone())
        };
        match rng.below(40) {
            0 | 1 => {
                if let Some(name) = victim(&mut rng) {
                    let _ = c.control.kill("default", &name, "c");
                }
            }
            2 => {
                if let Some(name) = victim(&mut rng) {
                    c.delete(&name, if rng.below(2) == 0 { None } else { Some(0) });
                }
            }
            3 if down.is_none() => {
                let node = format!("node-{}", 1 + rng.below(3));
                c.control.node_down(&node).unwrap();
                down = Some(node);
            }
            4 => {
                if let Some(node) = down.take() {
                    c.control.node_up(&node).unwrap();
                }
            }
            _ => {}
        }
    }
    let job = c.store.get(JOBS, "default", "j").unwrap();
    let status = &job["status"];
    let complete =
        status["conditions"].as_array().into_iter().flatten().any(|x| x["type"] == "Complete");
    if complete {
        assert_eq!(number(&status["succeeded"]), completions, "seed {seed}");
        assert_eq!(status["uncountedTerminatedPods"], json!({}), "seed {seed}");
        let held = c
            .store
            .list("pods", Some("default"))
            .iter()
            .filter(|p| p["metadata"]["finalizers"].is_array())
            .count();
        assert_eq!(held, 0, "seed {seed}: no pod is held any more");
    } else {
        // Many failures in a row mean waiting up to ten minutes.
        assert!(number(&status["failed"]) >= 5, "seed {seed}: {status}");
    }
}

#[test]
fn every_success_is_counted_once_and_never_too_many_run() {
    for seed in 0..200 {
        trouble(seed);
    }
}
