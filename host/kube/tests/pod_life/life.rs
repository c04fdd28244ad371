//! How pods begin.

use expect_test::expect;
use serde_json::json;

use crate::cluster::{Cluster, container, with};

#[test]
fn a_pod_is_scheduled_set_up_and_started_and_says_so() {
    let mut c = Cluster::new();
    c.pod("p", json!({"containers": [container("c", "say hello stay")]}));
    c.until(2.0);
    expect!["Running | c running ready 0"].assert_eq(&c.summary("p"));
    assert_eq!(c.log("p", "c"), ["hello"]);
    let node = c.get("p").unwrap()["spec"]["nodeName"].as_str().unwrap().to_owned();
    let events = c.events("p");
    assert_eq!(events[0], format!("Normal Scheduled: Successfully assigned default/p to {node}"));
    assert!(events.contains(&"Normal Created: Created container: c".to_owned()), "{events:?}");
    assert_eq!(events.last().unwrap(), "Normal Started: Started container c");
    for kind in
        ["PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"]
    {
        assert_eq!(c.condition("p", kind), "True", "{kind}");
    }
    let status = c.status("p");
    assert!(status["podIP"].as_str().unwrap().starts_with("10.244."));
    assert_eq!(status["podIPs"][0]["ip"], status["podIP"]);
    assert_eq!(status["qosClass"], "BestEffort");
    assert_eq!(status["containerStatuses"][0]["started"], true);
}

#[test]
fn init_containers_run_one_after_the_other() {
    let mut c = Cluster::new();
    c.pod("p", json!({
        "initContainers": [container("one", "sleep 3 exit 0"), container("two", "sleep 4 exit 0")],
        "containers": [container("main", "stay")],
    }));
    c.until(2.0);
    expect!["Pending | one running unready 0 | two PodInitializing unready 0 | main PodInitializing unready 0"]
        .assert_eq(&c.summary("p"));
    assert_eq!(
        c.condition("p", "Initialized"),
        "False ContainersNotInitialized containers with incomplete status: [one two]"
    );
    c.until(5.0);
    assert_eq!(
        c.condition("p", "Initialized"),
        "False ContainersNotInitialized containers with incomplete status: [two]"
    );
    c.until(10.0);
    expect!["Running | one Completed(0) ready 0 | two Completed(0) ready 0 | main running ready 0"]
        .assert_eq(&c.summary("p"));
    assert_eq!(
        c.programs.history(),
        ["0 start one", "3 exit 0 one", "3 start two", "7 exit 0 two", "7 start main"]
    );
}

#[test]
fn an_init_container_that_fails_is_tried_again_or_fails_the_pod() {
    let mut c = Cluster::new();
    let spec = |policy: &str| {
        json!({"restartPolicy": policy, "initContainers": [container("init", "exit 1")],
            "containers": [container("main", "stay")]})
    };
    c.pod("again", spec("Always"));
    c.pod("never", spec("Never"));
    c.until(5.0);
    expect!["Pending | init CrashLoopBackOff unready 1 | main PodInitializing unready 0"]
        .assert_eq(&c.summary("again"));
    expect!["Failed | init Error(1) unready 0 | main PodInitializing unready 0"]
        .assert_eq(&c.summary("never"));
}

#[test]
fn a_sidecar_comes_before_what_follows_it_and_is_always_restarted() {
    let mut c = Cluster::new();
    let startup = json!({"restartPolicy": "Always",
        "startupProbe": {"exec": {"command": ["script", "healthy"]}, "periodSeconds": 5}});
    c.programs.answer("side", 500);
    c.pod("p", json!({"restartPolicy": "Never",
        "initContainers": [with(container("side", "sleep 20 exit 0"), startup), container("init", "exit 0")],
        "containers": [container("main", "stay")],
    }));
    c.until(7.0);
    c.programs.answer("side", 200);
    c.until(12.0);
    let history = c.programs.history();
    let main: Vec<&str> = history.iter().map(String::as_str).filter(|h| !h.contains('$')).collect();
    assert_eq!(main, ["0 start side", "10 start init", "10 exit 0 init", "10 start main"]);
    c.until(35.0);
    let status = c.status("p");
    assert_eq!(status["initContainerStatuses"][0]["restartCount"], 1);
    assert_eq!(status["phase"], "Running");
}

#[test]
fn the_environment_is_made_from_what_the_spec_refers_to() {
    let mut c = Cluster::new();
    c.create(
        "configmaps",
        json!({"metadata": {"name": "m", "namespace": "default"},
        "data": {"colour": "green", "size": "3"}}),
    );
    c.create(
        "secrets",
        json!({"metadata": {"name": "s", "namespace": "default"},
        "data": {"key": "c2VjcmV0"}}),
    );
    let env = json!({
        "envFrom": [{"prefix": "M_", "configMapRef": {"name": "m"}}],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "value": "$(A)-$(M_colour)-$(NOT)"},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
            {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "L", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
            {"name": "O", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k", "optional": true}}},
        ],
        "resources": {"limits": {"memory": "64Mi"}},
        "args": ["env", "B", "env", "S", "env", "N", "env", "L", "env", "O", "env", "FROM_IMAGE",
            "env", "KUBERNETES_SERVICE_HOST", "say", "$(A)", "stay"],
    });
    c.pod("p", json!({"containers": [with(container("c", ""), env)]}));
    c.until(2.0);
    assert_eq!(
        c.log("p", "c"),
        [
            "B=1-green-$(NOT)",
            "S=secret",
            "N=p",
            "L=64",
            "O=(none)",
            "FROM_IMAGE=yes",
            "KUBERNETES_SERVICE_HOST=10.96.0.1",
            "1"
        ]
    );
}

#[test]
fn what_is_missing_is_named_and_waited_for() {
    let mut c = Cluster::new();
    let env = json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]});
    c.pod("p", json!({"containers": [with(container("c", "stay"), env)]}));
    c.until(2.0);
    expect!["Pending | c CreateContainerConfigError unready 0"].assert_eq(&c.summary("p"));
    let status = c.status("p");
    let message = &status["containerStatuses"][0]["state"]["waiting"]["message"];
    assert_eq!(message, "configmap \"m\" not found");
    assert!(c.events("p").iter().any(|e| e == "Warning Failed: Error: configmap \"m\" not found"));
    c.create(
        "configmaps",
        json!({"metadata": {"name": "m", "namespace": "default"}, "data": {"k": "v"}}),
    );
    c.until(30.0);
    expect!["Running | c running ready 0"].assert_eq(&c.summary("p"));
}

#[test]
fn a_start_hook_comes_before_ready_and_its_failure_ends_the_container() {
    let mut c = Cluster::new();
    let hook = |seconds: u64| json!({"lifecycle": {"postStart": {"sleep": {"seconds": seconds}}}});
    c.pod(
        "p",
        json!({"containers": [with(container("a", "stay"), hook(5)), container("b", "stay")]}),
    );
    let bad = json!({"lifecycle": {"postStart": {"exec": {"command": ["script", "exit", "1"]}}}});
    c.pod("q", json!({"containers": [with(container("c", "stay"), bad)]}));
    c.until(3.0);
    expect!["Pending | a ContainerCreating unready 0 | b ContainerCreating unready 0"]
        .assert_eq(&c.summary("p"));
    c.until(8.0);
    expect!["Running | a running ready 0 | b running ready 0"].assert_eq(&c.summary("p"));
    let events = c.events("q").join("\n");
    assert!(events.contains("Warning FailedPostStartHook"), "{events}");
}

#[test]
fn the_termination_message_is_kept() {
    let mut c = Cluster::new();
    let once = |script: &str, more: serde_json::Value| json!({"restartPolicy": "Never", "containers": [with(container("c", script), more)]});
    c.pod("file", once("write /dev/termination-log why exit 1", json!({})));
    let policy = json!({"terminationMessagePolicy": "FallbackToLogsOnError"});
    c.pod("log", once("say first say last exit 1", policy.clone()));
    c.pod("fine", once("say first exit 0", policy));
    c.until(3.0);
    let message = |pod: &str| {
        let status = c.status(pod);
        status["containerStatuses"][0]["state"]["terminated"]["message"].clone()
    };
    assert_eq!(message("file"), "why");
    assert_eq!(message("log"), "first\nlast\n");
    assert!(message("fine").is_null());
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let run = |seed: u64| {
        let mut c = Cluster::with(seed, 3, Default::default());
        let probe = json!({"readinessProbe": {"httpGet": {"port": 8080}}});
        for i in 0..5 {
            c.pod(&format!("p{i}"), json!({"containers": [
                with(container("a", "serve 8080 stay"), probe.clone()), container("b", "sleep 7 exit 1")]}));
        }
        c.until(120.0);
        c.trace.digest()
    };
    assert_eq!(format!("{:?}", run(3)), format!("{:?}", run(3)));
    assert_ne!(format!("{:?}", run(3)), format!("{:?}", run(4)));
}
