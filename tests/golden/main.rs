//! Transcripts of a real control plane, typed again at a world with the same kubectl.
//!
//! `transcripts/` holds what Kubernetes 1.32.13 answered (its kubelets were a stand-in, so that
//! there is nothing of programs in it), `differences/` where a world answers otherwise, and why.
//! A difference that is not listed fails, and so does a listed one that is none any more. With
//! `GOLDEN_UPDATE=1` the lists are written again; reasons are kept, and new ones asked for.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests live on real time")]

mod cluster;
mod differences;
mod normal;
mod transcript;

use cluster::Cluster;
use differences::Difference;

/// Types `before` and then the transcript `name` at a new cluster.
fn replay(name: &str, before: &[&str]) {
    let folder = podlab_tests::root().join("tests/golden");
    let text = std::fs::read_to_string(folder.join(format!("transcripts/{name}.txt")))
        .expect("the transcript is there");
    let cluster = Cluster::start();
    for command in before {
        let answer = cluster.run(command);
        assert!(answer.ends_with("--- exit 0"), "{command}: {answer}");
    }
    let mut found = Vec::new();
    let steps = transcript::parse(&text);
    for (number, step) in steps.iter().enumerate() {
        let answer = cluster.run(&step.command);
        let before = normal::normal(&step.command, &step.answer);
        let after = normal::normal(&step.command, &answer);
        let lines = normal::difference(&before, &after);
        if !lines.is_empty() {
            let command = format!("{}: {}", number + 1, step.command);
            found.push(Difference { command, reason: String::new(), lines });
        }
    }
    differences::compare(&folder.join(format!("differences/{name}.txt")), found, steps.len());
}

/// What stood on the cluster when most transcripts began.
const DEMO: [&str; 3] = [
    "kubectl create ns demo",
    "kubectl apply -f web.yaml -n demo",
    "kubectl rollout status deploy/web -n demo --timeout=60s",
];

#[test]
#[ignore = "needs kubectl"]
fn namespaces_and_first_looks() {
    replay("01-namespace", &[]);
}

#[test]
#[ignore = "needs kubectl"]
fn deployments() {
    replay("02-deployment", &DEMO[..1]);
}

#[test]
#[ignore = "needs kubectl"]
fn jobs_and_cron_jobs() {
    replay("05-job-cronjob", &DEMO[..1]);
}

#[test]
#[ignore = "needs kubectl"]
fn services() {
    replay("07-service", &DEMO);
}

#[test]
#[ignore = "needs kubectl"]
fn nodes() {
    replay("09-nodes", &DEMO);
}

#[test]
#[ignore = "needs kubectl"]
fn validation() {
    replay("11-validation", &DEMO);
}

#[test]
#[ignore = "needs kubectl"]
fn output_forms_and_watches() {
    replay("13-output", &DEMO);
}

#[test]
#[ignore = "needs kubectl"]
fn quotas_and_limits() {
    replay("15-quota-limits", &DEMO[..1]);
}

#[test]
#[ignore = "needs kubectl"]
fn leases_and_conflicts() {
    replay("16-lease-conflict", &DEMO[..1]);
}

#[test]
#[ignore = "needs kubectl"]
fn deletions() {
    replay("19-delete", &DEMO);
}
