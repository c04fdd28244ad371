//! Deployments: rollouts, history, conditions, and what is said.

use podlab_kube::store::Propagation;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::world::{DEPLOYMENTS, REPLICA_SETS, condition, name, status, workload};

const FIELDS: [&str; 6] = [
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "observedGeneration",
];

fn annotation(o: &Value, key: &str) -> Value {
    o["metadata"]["annotations"][format!("deployment.kubernetes.io/{key}")].clone()
}

/// The ReplicaSets by revision, as `REVISION:SPEC/AVAILABLE`.
fn sets(c: &Cluster) -> String {
    let mut all: Vec<(i64, String)> = c
        .store
        .list(REPLICA_SETS, Some("default"))
        .iter()
        .map(|s| {
            let revision = annotation(s, "revision");
            let revision = revision.as_str().unwrap_or("0").parse().unwrap();
            let available = s["status"]["availableReplicas"].as_i64().unwrap_or(0);
            (revision, format!("{revision}:{}/{available}", s["spec"]["replicas"]))
        })
        .collect();
    all.sort();
    all.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
}

fn set_of(c: &Cluster, revision: &str) -> String {
    let all = c.store.list(REPLICA_SETS, Some("default"));
    name(all.iter().find(|s| annotation(s, "revision") == revision).expect("this revision"))
}

fn say(d: &mut Value, text: &str) {
    d["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["say", text, "stay"]);
}

#[test]
fn a_deployment_makes_a_set_and_reports_as_a_real_one() {
    let mut c = Cluster::new();
    c.create(DEPLOYMENTS, workload("web", 2, "stay"));
    c.until(0.0);
    let d = c.object(DEPLOYMENTS, "web");
    assert_eq!(
        condition(&d, "Available"),
        "False MinimumReplicasUnavailable: Deployment does not have minimum availability."
    );
    c.until(3.0);
    let d = c.object(DEPLOYMENTS, "web");
    let set = name(&c.store.list(REPLICA_SETS, Some("default"))[0]);
    assert_eq!(
        status(&d, &FIELDS),
        "replicas=2 updatedReplicas=2 readyReplicas=2 availableReplicas=2 unavailableReplicas=null observedGeneration=1"
    );
    assert_eq!(
        condition(&d, "Available"),
        "True MinimumReplicasAvailable: Deployment has minimum availability."
    );
    assert_eq!(
        condition(&d, "Progressing"),
        format!("True NewReplicaSetAvailable: ReplicaSet {set:?} has successfully progressed.")
    );
    assert_eq!(annotation(&d, "revision"), "1");
    let kinds: Vec<&str> = d["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["Available", "Progressing"]);
    assert_eq!(
        c.events("web"),
        [format!("Normal ScalingReplicaSet: Scaled up replica set {set} from 0 to 2")]
    );
    let hash = set.strip_prefix("web-").unwrap();
    let rs = c.object(REPLICA_SETS, &set);
    assert_eq!(rs["metadata"]["labels"], json!({"app": "web", "pod-template-hash": hash}));
    assert_eq!(rs["spec"]["selector"]["matchLabels"], rs["metadata"]["labels"]);
    assert_eq!(rs["spec"]["template"]["metadata"]["labels"], rs["metadata"]["labels"]);
    assert_eq!(annotation(&rs, "desired-replicas"), "2");
    assert_eq!(annotation(&rs, "max-replicas"), "3");
    assert!(c.pods_of("web").iter().all(|p| p["metadata"]["labels"]["pod-template-hash"] == hash));
    let version = d["metadata"]["resourceVersion"].clone();
    c.until(900.0);
    assert_eq!(
        c.object(DEPLOYMENTS, "web")["metadata"]["resourceVersion"],
        version,
        "nothing to write"
    );
}

#[test]
fn a_rolling_update_keeps_within_surge_and_unavailability() {
    let mut c = Cluster::new();
    let mut d = workload("web", 4, "stay");
    d["spec"]["minReadySeconds"] = 2.into();
    c.create(DEPLOYMENTS, d);
    c.until(10.0);
    let first = set_of(&c, "1");
    c.edit(DEPLOYMENTS, "web", |d| say(d, "two"));
    let mut seen = Vec::new();
    for step in 0..200u32 {
        c.until(10.0 + f64::from(step) * 0.1);
        let now = sets(&c);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    let second = set_of(&c, "2");
    assert_eq!(seen.last().unwrap(), "1:0/0 2:4/4");
    let events: Vec<String> = c
        .events("web")
        .into_iter()
        .map(|e| {
            e.replace("Normal ScalingReplicaSet: Scaled ", "")
                .replace("replica set ", "")
                .replace(&first, "one")
                .replace(&second, "two")
        })
        .collect();
    assert_eq!(
        events,
        [
            "up one from 0 to 4",
            "up two from 0 to 1",
            "down one from 4 to 3",
            "up two from 1 to 2",
            "down one from 3 to 1",
            "up two from 2 to 4",
            "down one from 1 to 0",
        ]
    );
    assert_eq!(
        condition(&c.object(DEPLOYMENTS, "web"), "Progressing").split(':').next(),
        Some("True NewReplicaSetAvailable")
    );
}

#[test]
fn a_rollout_that_cannot_work_stops_and_says_so_and_is_undone() {
    let mut c = Cluster::new();
    let mut d = workload("web", 3, "stay");
    d["spec"]["progressDeadlineSeconds"] = 30.into();
    d["metadata"]["annotations"] = json!({"kubernetes.io/change-cause": "good"});
    c.create(DEPLOYMENTS, d.clone());
    c.until(5.0);
    c.edit(DEPLOYMENTS, "web", |d| {
        d["spec"]["template"]["spec"]["containers"][0]["image"] = "missing:v1".into();
        d["metadata"]["annotations"]["kubernetes.io/change-cause"] = "bad".into();
    });
    c.until(20.0);
    assert_eq!(sets(&c), "1:3/3 2:1/0", "the old pods stay");
    let bad = set_of(&c, "2");
    let now = c.object(DEPLOYMENTS, "web");
    assert_eq!(
        condition(&now, "Progressing"),
        format!("True ReplicaSetUpdated: ReplicaSet {bad:?} is progressing.")
    );
    assert_eq!(
        status(&now, &FIELDS[..5]),
        "replicas=4 updatedReplicas=1 readyReplicas=3 availableReplicas=3 unavailableReplicas=1"
    );
    c.until(60.0);
    let now = c.object(DEPLOYMENTS, "web");
    assert_eq!(
        condition(&now, "Progressing"),
        format!("False ProgressDeadlineExceeded: ReplicaSet {bad:?} has timed out progressing.")
    );
    assert_eq!(
        condition(&now, "Available").split(':').next(),
        Some("True MinimumReplicasAvailable")
    );
    assert_eq!(
        c.object(REPLICA_SETS, &bad)["metadata"]["annotations"]["kubernetes.io/change-cause"],
        "bad"
    );
    // `kubectl rollout undo`: the old template again, whose set gets a new number.
    let template = d["spec"]["template"].clone();
    c.edit(DEPLOYMENTS, "web", |d| d["spec"]["template"] = template);
    c.until(80.0);
    assert_eq!(sets(&c), "2:0/0 3:3/3");
    let now = c.object(DEPLOYMENTS, "web");
    assert_eq!(annotation(&now, "revision"), "3");
    assert_eq!(annotation(&c.object(REPLICA_SETS, &set_of(&c, "3")), "revision-history"), "1");
    assert_eq!(
        condition(&now, "Progressing").split(':').next(),
        Some("True NewReplicaSetAvailable")
    );
}

#[test]
fn recreate_ends_all_old_pods_before_the_first_new_one() {
    let mut c = Cluster::new();
    let mut d = workload("web", 3, "drain 3 stay");
    d["spec"]["strategy"] = json!({"type": "Recreate"});
    c.create(DEPLOYMENTS, d);
    c.until(5.0);
    c.edit(DEPLOYMENTS, "web", |d| say(d, "two"));
    let mut most = 0;
    for step in 0..100u32 {
        c.until(5.0 + f64::from(step) * 0.1);
        let mut hashes: Vec<String> = c
            .pods_of("web")
            .iter()
            .map(|p| p["metadata"]["labels"]["pod-template-hash"].to_string())
            .collect();
        hashes.sort();
        hashes.dedup();
        assert!(hashes.len() <= 1, "old and new together");
        most = most.max(c.pods_of("web").len());
    }
    assert_eq!((sets(&c).as_str(), most), ("1:0/0 2:3/3", 3));
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let mut c = Cluster::new();
    c.create(DEPLOYMENTS, workload("web", 2, "stay"));
    c.until(5.0);
    c.edit(DEPLOYMENTS, "web", |d| d["spec"]["paused"] = true.into());
    c.until(6.0);
    assert_eq!(
        condition(&c.object(DEPLOYMENTS, "web"), "Progressing"),
        "Unknown DeploymentPaused: Deployment is paused"
    );
    c.edit(DEPLOYMENTS, "web", |d| {
        say(d, "two");
        d["spec"]["replicas"] = 5.into();
    });
    c.until(15.0);
    assert_eq!(sets(&c), "1:5/5");
    assert_eq!(annotation(&c.object(DEPLOYMENTS, "web"), "revision"), "1");
    c.edit(DEPLOYMENTS, "web", |d| d["spec"]["paused"] = false.into());
    c.until(40.0);
    assert_eq!(sets(&c), "1:0/0 2:5/5");
    assert_eq!(
        condition(&c.object(DEPLOYMENTS, "web"), "Progressing").split(':').next(),
        Some("True NewReplicaSetAvailable")
    );
}

#[test]
fn scaled_in_the_middle_of_a_rollout_both_sets_get_their_part() {
    let mut c = Cluster::with(7, 10, Default::default());
    let mut d = workload("web", 10, "stay");
    d["spec"]["strategy"] =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}});
    c.create(DEPLOYMENTS, d);
    c.until(5.0);
    c.edit(DEPLOYMENTS, "web", |d| {
        d["spec"]["template"]["spec"]["containers"][0]["image"] = "missing:v1".into()
    });
    c.until(10.0);
    assert_eq!(sets(&c), "1:8/8 2:5/0");
    // The example of the documentation: 5 more, of which 3 go to the larger set and 2 to the
    // smaller one.
    c.edit(DEPLOYMENTS, "web", |d| d["spec"]["replicas"] = 15.into());
    c.until(20.0);
    assert_eq!(sets(&c), "1:11/11 2:7/0");
}

#[test]
fn only_so_many_old_sets_are_remembered() {
    let mut c = Cluster::new();
    let mut d = workload("web", 1, "stay");
    d["spec"]["revisionHistoryLimit"] = 2.into();
    c.create(DEPLOYMENTS, d);
    for i in 0..5u32 {
        c.until(f64::from(i) * 20.0 + 10.0);
        c.edit(DEPLOYMENTS, "web", |d| say(d, &format!("v{i}")));
    }
    c.until(130.0);
    assert_eq!(sets(&c), "4:0/0 5:0/0 6:1/1");
}

#[test]
fn a_name_that_is_taken_is_avoided() {
    let mut c = Cluster::new();
    c.create(DEPLOYMENTS, workload("web", 1, "stay"));
    c.until(3.0);
    let taken = set_of(&c, "1");
    c.remove(DEPLOYMENTS, "web", Propagation::Background);
    c.until(20.0);
    assert_eq!(c.names(REPLICA_SETS), [""; 0]);
    let mut other = workload(&taken, 0, "stay");
    other["metadata"]["labels"] = json!({});
    c.create(REPLICA_SETS, other);
    c.create(DEPLOYMENTS, workload("web", 1, "stay"));
    c.until(30.0);
    let now = c.object(DEPLOYMENTS, "web");
    assert_eq!(
        status(&now, &["collisionCount", "availableReplicas"]),
        "collisionCount=1 availableReplicas=1"
    );
    assert_ne!(set_of(&c, "1"), taken);
}

#[test]
fn deleting_a_deployment_takes_sets_and_pods_along_or_leaves_them() {
    for (propagation, left) in
        [(Propagation::Background, 0), (Propagation::Foreground, 0), (Propagation::Orphan, 1)]
    {
        let mut c = Cluster::new();
        c.create(DEPLOYMENTS, workload("web", 3, "stay"));
        c.until(3.0);
        c.remove(DEPLOYMENTS, "web", propagation);
        c.until(20.0);
        assert_eq!(c.names(DEPLOYMENTS), [""; 0]);
        assert_eq!(c.names(REPLICA_SETS).len(), left, "{propagation:?}");
        assert_eq!(c.pods_of("web").len(), 3 * left, "{propagation:?}");
        if left > 0 {
            // A new Deployment with the same template takes them over.
            c.create(DEPLOYMENTS, workload("web", 3, "stay"));
            c.until(30.0);
            assert_eq!((sets(&c).as_str(), c.pods_of("web").len()), ("1:3/3", 3));
        }
    }
}

#[test]
fn what_is_wrong_with_a_deployment_is_said_as_kubernetes_does() {
    let c = Cluster::new();
    let refused = |d: Value| c.store.create(DEPLOYMENTS, d).unwrap_err().message;
    let mut d = workload("web", 1, "stay");
    d["spec"]["selector"]["matchLabels"]["app"] = "b".into();
    assert_eq!(
        refused(d),
        "Deployment.apps \"web\" is invalid: spec.template.metadata.labels: Invalid value: map[string]string{\"app\":\"web\"}: `selector` does not match template `labels`"
    );
    c.create(DEPLOYMENTS, workload("web", 1, "stay"));
    let change = |f: &dyn Fn(&mut Value)| {
        let mut d = Value::clone(&c.object(DEPLOYMENTS, "web"));
        f(&mut d);
        c.store.update(DEPLOYMENTS, d).unwrap_err().message
    };
    assert_eq!(
        change(&|d| d["spec"]["selector"]["matchLabels"]["app"] = "other".into()),
        "Deployment.apps \"web\" is invalid: [spec.template.metadata.labels: Invalid value: map[string]string{\"app\":\"web\"}: `selector` does not match template `labels`, spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{\"app\":\"other\"}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable]"
    );
    assert_eq!(
        change(&|d| d["spec"]["replicas"] = (-1).into()),
        "Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    );
    assert_eq!(
        change(&|d| {
            d["spec"]["strategy"]["rollingUpdate"] = json!({"maxSurge": 0, "maxUnavailable": "0%"});
            d["spec"]["template"]["spec"]["restartPolicy"] = "Never".into();
        }),
        "Deployment.apps \"web\" is invalid: [spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\", spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:\"0%\"}: may not be 0 when `maxSurge` is 0]"
    );
}
