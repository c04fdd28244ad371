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

/// Types `before` and then the transcript `name` at a new cluster; before the step of a number,
/// what `meanwhile` says.
fn replay(name: &str, before: &[&str], meanwhile: &[(usize, &str)]) {
    let folder = podlab_tests::root().join("tests/golden");
    let text = std::fs::read_to_string(folder.join(format!("transcripts/{name}.txt")))
        .expect("the transcript is there");
    let cluster = Cluster::start();
    if !cluster.run("kubectl version --client").contains("Client Version: v1.32.") {
        // Others print other things.
        println!("skipped: transcripts are of kubectl 1.32");
        return;
    }
    for command in before {
        let answer = cluster.run(command);
        assert!(answer.ends_with("--- exit 0"), "{command}: {answer}");
    }
    let mut found = Vec::new();
    let steps = transcript::parse(&text);
    for (number, step) in (1..).zip(&steps) {
        for (_, command) in meanwhile.iter().filter(|(at, _)| *at == number) {
            let answer = cluster.run(command);
            assert!(answer.ends_with("--- exit 0"), "{command}: {answer}");
        }
        let answer = cluster.run(&step.command);
        let before = normal::normal(&step.command, &step.answer);
        let after = normal::normal(&step.command, &answer);
        let lines = normal::difference(&before, &after);
        if !lines.is_empty() {
            let command = format!("{number}: {}", step.command);
            found.push(Difference { command, reason: String::new(), lines });
        }
    }
    differences::compare(&folder.join(format!("differences/{name}.txt")), found, steps.len());
}

/// A namespace, as on the cluster when the transcripts began.
const DEMO: &[&str] = &["kubectl create ns demo"];

/// And what earlier transcripts, or those that were not kept, had left there.
const WEB: &[&str] = &[
    "kubectl create ns demo",
    "kubectl apply -f web.yaml -n demo",
    "kubectl rollout status deploy/web -n demo --timeout=60s",
    "kubectl create cm cm1 --from-literal=a=1 --from-literal=b=two -n demo",
    "kubectl create secret generic sec1 --from-literal=pw=x -n demo",
    "kubectl apply -f sts.yaml -n demo",
    "kubectl delete sts db -n demo",
    "until [ -z \"$(kubectl get pods -n demo -l app=db -o name)\" ]; do sleep 0.1; done",
];

const SOLO: &[&str] = &[
    "kubectl apply -f pod.yaml -n demo",
    "kubectl wait --for=condition=Ready pod/solo -n demo --timeout=60s",
];

fn both(one: &[&'static str], other: &[&'static str]) -> Vec<&'static str> {
    one.iter().chain(other).copied().collect()
}

#[test]
#[ignore = "needs kubectl"]
fn namespaces_and_first_looks() {
    replay("01-namespace", &[], &[]);
}

#[test]
#[ignore = "needs kubectl"]
fn deployments() {
    replay("02-deployment", DEMO, &[]);
}

#[test]
#[ignore = "needs kubectl"]
fn jobs_and_cron_jobs() {
    let minute =
        "until kubectl get jobs -n demo -o name | grep -q job.batch/cj-; do sleep 0.2; done";
    replay("05-job-cronjob", DEMO, &[(16, minute)]);
}

#[test]
#[ignore = "needs kubectl"]
fn services() {
    let four = [
        "kubectl scale deploy web --replicas=4 -n demo",
        "kubectl rollout status deploy/web -n demo --timeout=60s",
    ];
    replay("07-service", &both(WEB, &four), &[]);
}

#[test]
#[ignore = "needs kubectl"]
fn nodes() {
    let quick =
        r#"kubectl run quick --image=busybox -n demo --overrides='{"spec":{"nodeName":"node-2"}}'"#;
    let before = [
        "kubectl cordon node-2",
        "kubectl apply -f pod.yaml -n demo",
        "kubectl wait --for=condition=Ready pod/solo -n demo --timeout=60s",
        "kubectl uncordon node-2",
        "kubectl scale deploy web --replicas=4 -n demo",
        "kubectl rollout status deploy/web -n demo --timeout=60s",
        quick,
        "kubectl wait --for=condition=Ready pod/quick -n demo --timeout=60s",
    ];
    replay("09-nodes", &both(WEB, &before), &[]);
}

#[test]
#[ignore = "needs kubectl"]
fn validation() {
    replay("11-validation", &both(WEB, SOLO), &[]);
}

#[test]
#[ignore = "needs kubectl"]
fn output_forms_and_watches() {
    let before = [
        "kubectl create service clusterip web --tcp=80 -n demo",
        r#"kubectl patch cm cm1 -n demo --type=merge -p '{"immutable":true}'"#,
        "kubectl apply -f dup-field.yaml -n demo",
        "kubectl delete cm dup -n demo",
        "kubectl apply --server-side --field-manager=alpha -f ssa-a.yaml -n demo",
        "kubectl apply --server-side --field-manager=beta --force-conflicts -f ssa-b.yaml -n demo",
    ];
    replay("13-output", &both(&both(WEB, SOLO), &before), &[]);
}

#[test]
#[ignore = "needs kubectl"]
fn quotas_and_limits() {
    // The controller counts what admission has let in; the recording was typed more slowly.
    let counted = |what: &str, amount: &str| {
        format!(
            "until kubectl get quota rq -n q -o jsonpath='{{.status.used.{what}}}' \
             | grep -qx {amount}; do sleep 0.1; done"
        )
    };
    let (at_first, at_last) = (counted("configmaps", "1"), counted("pods", "1"));
    replay("15-quota-limits", DEMO, &[(3, &at_first), (9, &at_last)]);
}

#[test]
#[ignore = "needs kubectl"]
fn leases_and_conflicts() {
    replay("16-lease-conflict", DEMO, &[]);
}

#[test]
#[ignore = "needs kubectl"]
fn deletions() {
    let before = [
        "kubectl create service clusterip web --tcp=80 -n demo",
        "kubectl apply --server-side -f ssa-a.yaml -n demo",
        "kubectl apply -f sts-pvc.yaml -n demo",
        "until kubectl get pvc data-dbp-0 -n demo; do sleep 0.1; done",
        "kubectl delete sts dbp -n demo",
        "kubectl wait --for=delete pod/dbp-0 -n demo --timeout=60s",
    ];
    // The recording waited for the namespace to see what was left, and to be gone.
    let seen = "until kubectl get ns demo -o yaml | grep -q 'configmaps. has'; do sleep 0.2; done";
    let gone = "kubectl wait --for=delete ns/demo --timeout=60s";
    replay("19-delete", &both(&both(WEB, SOLO), &before), &[(15, seen), (18, gone)]);
}

#[test]
#[ignore = "needs kubectl"]
fn every_kubectl_explains_in_the_words_of_kubernetes() {
    let cluster = Cluster::start();
    for kubectl in cluster::kubectls() {
        let explain = |what: &str| cluster.run(&format!("{} explain {what}", kubectl.display()));
        let strategy = explain("deployment.spec.strategy");
        for words in [
            "FIELD: strategy <DeploymentStrategy>",
            "The deployment strategy to use to replace existing pods with new ones.",
            "Rolling update config params. Present only if DeploymentStrategyType =\n    RollingUpdate.",
            "--- exit 0",
        ] {
            assert!(strategy.contains(words), "{}: {words} in {strategy}", kubectl.display());
        }
        let pod = explain("pod --recursive");
        assert!(pod.contains("activeDeadlineSeconds\t<integer>"), "{pod}");
        let applied = cluster
            .run(&format!("{} apply -f unknown-field.yaml --dry-run=server", kubectl.display()));
        assert!(applied.contains("strict decoding error: unknown field"), "{applied}");
    }
}
