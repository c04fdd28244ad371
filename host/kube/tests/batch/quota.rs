//! Quotas and limit ranges: the transcript `15-quota-limits`, and what must never happen.

use podlab_kube::api::{Api, Request};
use podlab_sim::Rng;
use serde_json::{Value, json};

use crate::cluster::{Cluster, container, delays, with};

const QUOTAS: &str = "resourcequotas";

fn ns(c: &mut Cluster) {
    c.create("namespaces", json!({"metadata": {"name": "q"}}));
    c.until(1.0);
}

fn pod(name: &str, resources: Value) -> Value {
    let c = with(container(name, "stay"), json!({"resources": resources}));
    json!({"metadata": {"name": name, "namespace": "q"}, "spec": {"containers": [c]}})
}

fn refused(c: &Cluster, kind: &str, object: Value) -> String {
    let error = c.store.create(kind, object).unwrap_err();
    assert_eq!((error.code, error.reason), (403, "Forbidden"));
    error.message
}

fn used(c: &Cluster) -> Value {
    c.store.get(QUOTAS, "q", "rq").unwrap()["status"]["used"].clone()
}

#[test]
fn a_quota_counts_and_refuses_as_the_transcript_says() {
    let mut c = Cluster::new();
    ns(&mut c);
    c.create(QUOTAS, json!({"metadata": {"name": "rq", "namespace": "q"}, "spec": {"hard": {"pods": "1", "requests.cpu": "1", "configmaps": "2"}}}));
    c.until(2.0);
    assert_eq!(used(&c), json!({"pods": "0", "requests.cpu": "0", "configmaps": "1"}));
    assert_eq!(
        refused(&c, "pods", pod("a", json!({}))),
        "pods \"a\" is forbidden: failed quota: rq: must specify requests.cpu for: a"
    );
    let map = |name: &str| json!({"metadata": {"name": name, "namespace": "q"}});
    c.create("configmaps", map("c1"));
    assert_eq!(
        refused(&c, "configmaps", map("c2")),
        "configmaps \"c2\" is forbidden: exceeded quota: rq, requested: configmaps=1, used: configmaps=2, limited: configmaps=2"
    );
    c.create("pods", pod("a", json!({"requests": {"cpu": "500m"}})));
    assert_eq!(
        refused(&c, "pods", pod("b", json!({"requests": {"cpu": "600m"}}))),
        "pods \"b\" is forbidden: exceeded quota: rq, requested: pods=1,requests.cpu=600m, used: pods=1,requests.cpu=500m, limited: pods=1,requests.cpu=1"
    );
    assert_eq!(used(&c), json!({"pods": "1", "requests.cpu": "500m", "configmaps": "2"}));
    c.store.delete("pods", "q", "a", &Default::default()).unwrap();
    c.store.delete("configmaps", "q", "c1", &Default::default()).unwrap();
    c.until(5.0);
    assert_eq!(used(&c), json!({"pods": "0", "requests.cpu": "0", "configmaps": "1"}));
}

#[test]
fn a_limit_range_fills_in_and_refuses_as_the_transcript_says() {
    let mut c = Cluster::new();
    ns(&mut c);
    let item = json!({"type": "Container", "default": {"cpu": "200m", "memory": "64Mi"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}});
    c.create(
        "limitranges",
        json!({"metadata": {"name": "lr", "namespace": "q"}, "spec": {"limits": [item]}}),
    );
    c.create("pods", pod("c", json!({})));
    let made = c.store.get("pods", "q", "c").unwrap();
    assert_eq!(
        made["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "200m", "memory": "64Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}})
    );
    assert_eq!(
        made["metadata"]["annotations"],
        json!({"kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c"})
    );
    assert_eq!(made["status"]["qosClass"], "Burstable");
    assert_eq!(
        refused(&c, "pods", pod("big", json!({"limits": {"cpu": "3"}}))),
        "pods \"big\" is forbidden: maximum cpu usage per Container is 1, but limit is 3"
    );
    c.create(
        "limitranges",
        json!({"metadata": {"name": "more", "namespace": "q"}, "spec": {"limits": [
        {"type": "Container", "min": {"memory": "32Mi"}, "maxLimitRequestRatio": {"cpu": "2"}},
        {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]}}),
    );
    assert_eq!(
        refused(
            &c,
            "pods",
            pod(
                "odd",
                json!({"requests": {"cpu": "100m", "memory": "16Mi"}, "limits": {"cpu": "500m"}})
            )
        ),
        "pods \"odd\" is forbidden: [minimum memory usage per Container is 32Mi, but request is 16Mi, cpu max limit to request ratio per Container is 2, but provided ratio is 5.000000]"
    );
    let claim = json!({"metadata": {"name": "p", "namespace": "q"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}});
    assert_eq!(
        refused(&c, "persistentvolumeclaims", claim),
        "persistentvolumeclaims \"p\" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"
    );
}

#[test]
fn scopes_and_counts_are_kept_apart() {
    let mut c = Cluster::new();
    ns(&mut c);
    c.create(QUOTAS, json!({"metadata": {"name": "rq", "namespace": "q"}, "spec": {"hard": {"pods": "1", "memory": "1Gi"}, "scopes": ["NotBestEffort"]}}));
    c.create(QUOTAS, json!({"metadata": {"name": "jobs", "namespace": "q"}, "spec": {"hard": {"count/jobs.batch": "1"}}}));
    c.create("pods", pod("free", json!({})));
    c.create("pods", pod("a", json!({"requests": {"memory": "256Mi"}})));
    c.until(2.0);
    assert_eq!(used(&c), json!({"pods": "1", "memory": "256Mi"}));
    assert!(refused(&c, "pods", pod("b", json!({"requests": {"memory": "1Gi"}}))).ends_with("exceeded quota: rq, requested: memory=1Gi,pods=1, used: memory=256Mi,pods=1, limited: memory=1Gi,pods=1"));
    let job = |name: &str| json!({"metadata": {"name": name, "namespace": "q"}, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container("c", "exit 0")]}}}});
    c.create("jobs.batch", job("one"));
    assert!(refused(&c, "jobs.batch", job("two")).contains("exceeded quota: jobs, requested: count/jobs.batch=1, used: count/jobs.batch=1, limited: count/jobs.batch=1"));
}

#[test]
fn a_quota_is_never_exceeded() {
    let mut refusing = 0;
    for seed in 0..200 {
        let mut rng = Rng::named(seed, "test/quota");
        let mut c = Cluster::with(seed, 2, delays(&mut rng));
        ns(&mut c);
        c.store.set_conflicts(3);
        let (most, cpu) = (1 + rng.below(5), 300 + 100 * rng.below(20));
        c.create(QUOTAS, json!({"metadata": {"name": "rq", "namespace": "q"}, "spec": {"hard": {"pods": most.to_string(), "requests.cpu": format!("{cpu}m")}}}));
        let job = json!({"metadata": {"name": "j", "namespace": "q"}, "spec": {"completions": 8, "parallelism": 4, "backoffLimit": 100, "template": {"spec": {"restartPolicy": "Never",
            "containers": [with(container("c", "sleep 1 exit 0"), json!({"resources": {"requests": {"cpu": "200m"}}}))]}}}});
        c.create("jobs.batch", job);
        let mut full = false;
        for step in 0..50u32 {
            c.until(1.0 + f64::from(step) * 0.5);
            if rng.below(3) == 0 {
                let asked = format!("{}m", 100 * (1 + rng.below(5)));
                full |= c
                    .store
                    .create("pods", pod(&format!("p{step}"), json!({"requests": {"cpu": asked}})))
                    .is_err();
            }
            let pods = c.store.list("pods", Some("q"));
            if rng.below(3) == 0 && !pods.is_empty() {
                let name = pods[rng.below(pods.len() as u64) as usize]["metadata"]["name"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                let _ = c.store.delete("pods", "q", &name, &Default::default());
            }
            let live = c.store.list("pods", Some("q"));
            let live: Vec<_> = live
                .iter()
                .filter(|p| !matches!(p["status"]["phase"].as_str(), Some("Succeeded" | "Failed")))
                .collect();
            let sum: u64 = live
                .iter()
                .map(|p| {
                    p["spec"]["containers"][0]["resources"]["requests"]["cpu"]
                        .as_str()
                        .unwrap()
                        .trim_end_matches('m')
                        .parse::<u64>()
                        .unwrap()
                })
                .sum();
            assert!(
                live.len() as u64 <= most && sum <= cpu,
                "seed {seed}: {} pods, {sum}m of {cpu}m",
                live.len()
            );
        }
        refusing += u32::from(full);
        c.store.set_conflicts(0);
        let is_well = |c: &Cluster| {
            let pods = c.store.list("pods", Some("q"));
            let over =
                |p: &Value| matches!(p["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            let live = pods.iter().filter(|p| !over(p)).count();
            used(c)["pods"].as_str() == Some(live.to_string().as_str())
        };
        // What is counted becomes what is there, and stays so.
        let mut at = 40.0;
        c.until(at);
        while !is_well(&c) && at < 200.0 {
            at += 5.0;
            c.until(at);
        }
        assert!(is_well(&c), "seed {seed}: {}", used(&c));
    }
    assert!(refusing > 100, "in only {refusing} worlds anything was refused");
}

#[test]
fn a_namespace_that_enforces_a_level_refuses_pods_and_warns_of_those_it_has() {
    let mut c = Cluster::new();
    ns(&mut c);
    c.create("pods", pod("a", json!({})));
    c.create("pods", pod("c", json!({})));
    let label =
        json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let request = Request::new("PATCH", "/api/v1/namespaces/q")
        .with_body("application/merge-patch+json", label.to_string());
    let response = Api::new(&c.store).handle(&request);
    assert_eq!(
        response.warnings,
        [
            "existing pods in namespace \"q\" violate the new PodSecurity enforce level \"restricted:latest\"",
            "a (and 1 other pod): allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile",
        ]
    );
    assert_eq!(
        refused(&c, "pods", pod("psa", json!({}))),
        "pods \"psa\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"psa\" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container \"psa\" must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container \"psa\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container \"psa\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
    );
    let mut good = pod("good", json!({}));
    good["spec"]["securityContext"] =
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    good["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    c.create("pods", good.clone());
    good["metadata"]["name"] = "port".into();
    good["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80, "hostPort": 80}]);
    assert!(refused(&c, "pods", good).ends_with("hostPort (container \"good\" uses hostPort 80)"));
}
