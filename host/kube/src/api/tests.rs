//! The API as a client sees it; the wording is that of a real control plane.

use std::sync::Mutex;

use expect_test::{Expect, expect};
use podlab_sim::sync::Signal;
use podlab_sim::{Sim, Time};
use podlab_trace::Trace;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const EPOCH: u64 = 1_795_237_178_000_000_000;

struct Cluster {
    sim: Sim,
    trace: Trace,
    api: Api,
}

fn cluster() -> Cluster {
    let sim = Sim::new(7, EPOCH);
    let trace = Trace::default();
    let store = Store::new(&sim.handle(), &trace);
    store.create("namespaces", json!({"metadata": {"name": "demo"}})).unwrap();
    Cluster { api: Api::new(&store), sim, trace }
}

impl Cluster {
    fn ask(&self, method: &str, target: &str, body: &str) -> (u16, Value) {
        let media = match method {
            "PATCH" => "application/strategic-merge-patch+json",
            _ if body.starts_with("apiVersion") => "application/yaml",
            _ => "application/json",
        };
        self.ask_as(method, target, media, body)
    }

    fn ask_as(&self, method: &str, target: &str, media: &str, body: &str) -> (u16, Value) {
        let request = Request::new(method, target).with_body(media, body.to_string());
        let response = self.api.handle(&request);
        let body = response.bytes().expect("a whole body");
        let value = serde_json::from_slice(body)
            .unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into());
        (response.status, value)
    }

    fn check(&self, method: &str, target: &str, body: &str, want: Expect) {
        let (status, value) = self.ask(method, target, body);
        want.assert_eq(&format!(
            "{status} {}",
            value["message"].as_str().unwrap_or("(no message)")
        ));
    }

    fn pod(&self, name: &str) -> Value {
        let body = json!({"metadata": {"name": name, "labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": "i:1"}]}});
        let (status, pod) = self.ask("POST", PODS, &body.to_string());
        assert_eq!(status, 201, "{pod}");
        pod
    }

    fn watch(&self, target: &str) -> WatchStream {
        match self.api.handle(&Request::new("GET", target)).body {
            Body::Watch(stream) => *stream,
            _ => panic!("not a watch"),
        }
    }
}

const PODS: &str = "/api/v1/namespaces/demo/pods";
const MAPS: &str = "/api/v1/namespaces/demo/configmaps";

fn drain(stream: &mut WatchStream) -> Vec<String> {
    std::iter::from_fn(|| stream.try_next())
        .map(|line| {
            let event: Value = serde_json::from_slice(&line).unwrap();
            let name = event["object"]["metadata"]["name"].as_str().unwrap_or("-").to_string();
            format!("{} {name}", event["type"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn errors_are_worded_as_on_a_real_server() {
    let c = cluster();
    c.check("GET", &format!("{PODS}/nosuch"), "", expect![[r#"404 pods "nosuch" not found"#]]);
    c.check(
        "POST",
        "/api/v1/namespaces/nope/configmaps",
        r#"{"metadata":{"name":"x"}}"#,
        expect![[r#"404 namespaces "nope" not found"#]],
    );
    c.check(
        "POST",
        "/api/v1/namespaces",
        r#"{"metadata":{"name":"demo"}}"#,
        expect![[r#"409 namespaces "demo" already exists"#]],
    );
    c.check(
        "POST",
        PODS,
        r#"{"metadata":{"name":"x"},"spec":{}}"#,
        expect![[r#"422 Pod "x" is invalid: spec.containers: Required value"#]],
    );
    c.check(
        "POST",
        &format!("{PODS}?fieldValidation=Strict"),
        r#"{"metadata":{"name":"x"},"spec":{"containers":[{"name":"c","image":"i","imagePullPolcy":"x"}],"foo":1}}"#,
        expect![[r#"400 Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].imagePullPolcy", unknown field "spec.foo""#]],
    );
    c.check(
        "POST",
        &format!("{MAPS}?fieldValidation=Strict"),
        r#"{"metadata":{"name":"x"},"data":{"a":"1","a":"2"}}"#,
        expect![[r#"400 ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.a""#]],
    );
    c.check(
        "POST",
        MAPS,
        "{bad",
        expect!["400 the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'b' looking for beginning of object key string ({bad)"],
    );
    c.check(
        "POST",
        &format!("{MAPS}/cm1"),
        "",
        expect!["405 the server does not allow this method on the requested resource"],
    );
    c.check(
        "GET",
        "/api/v1/nosuch",
        "",
        expect!["404 the server could not find the requested resource"],
    );
    c.check(
        "DELETE",
        "/api/v1/namespaces/default",
        "",
        expect![[r#"404 namespaces "default" not found"#]],
    );
    c.pod("solo");
    c.check(
        "PATCH",
        &format!("{PODS}/solo"),
        "{not json",
        expect!["400 invalid character 'n' looking for beginning of object key string"],
    );
    c.check(
        "GET",
        &format!("{PODS}?fieldSelector=spec.x%3D1"),
        "",
        expect!["400 field label not supported: spec.x"],
    );
    let (status, _) = c.ask("POST", MAPS, &"x".repeat(BODY_LIMIT + 1));
    assert_eq!(status, 413);
}

#[test]
fn a_stale_version_and_a_wrong_uid_conflict_and_no_version_overwrites() {
    let c = cluster();
    let leases = "/apis/coordination.k8s.io/v1/namespaces/demo/leases";
    let lk = format!("{leases}/lk");
    let (status, old) =
        c.ask("PUT", &lk, r#"{"metadata":{"name":"lk"},"spec":{"holderIdentity":"me"}}"#);
    assert_eq!(status, 201, "a lease is created by PUT");
    assert_eq!(c.ask("PATCH", &lk, r#"{"spec":{"holderIdentity":"you"}}"#).0, 200);
    c.check(
        "PUT",
        &lk,
        &old.to_string(),
        expect![[r#"409 Operation cannot be fulfilled on leases.coordination.k8s.io "lk": the object has been modified; please apply your changes to the latest version and try again"#]],
    );
    let (_, e) = c.ask("PUT", &lk, r#"{"metadata":{"name":"lk","uid":"1"}}"#);
    assert!(
        e["message"].as_str().unwrap().contains("Precondition failed: UID in precondition: 1,")
    );
    let (_, e) = c.ask("DELETE", &lk, r#"{"preconditions":{"resourceVersion":"1"}}"#);
    assert!(
        e["message"]
            .as_str()
            .unwrap()
            .contains("the ResourceVersion in the precondition (1) does not match")
    );
    assert_eq!(c.ask("PUT", &lk, r#"{"metadata":{"name":"lk"},"spec":{}}"#).0, 200);
}

#[test]
fn a_pod_gets_defaults_and_a_service_an_address() {
    let c = cluster();
    let pod = c.pod("web");
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 30);
    assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 2);
    assert_eq!(pod["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
    let body = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}], selector: {app: web}}";
    let (_, service) = c.ask("POST", "/api/v1/namespaces/demo/services", body);
    let ip = service["spec"]["clusterIP"].as_str().unwrap();
    assert!(ip.starts_with("10."), "{ip}");
    assert_eq!(
        service["spec"]["ports"][0],
        json!({"port": 80, "protocol": "TCP", "targetPort": 80})
    );
}

#[test]
fn yaml_reads_octal_modes_and_refuses_bombs() {
    let c = cluster();
    let body = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: [{name: c, image: i}]\n  volumes: [{name: v, configMap: {name: m, defaultMode: 0640}}]";
    let (status, pod) = c.ask("POST", PODS, body);
    assert_eq!(
        (status, &pod["spec"]["volumes"][0]["configMap"]["defaultMode"]),
        (201, &json!(0o640))
    );
    let mut bomb = String::from("apiVersion: v1\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..12 {
        let list = vec![format!("*a{}", i - 1); 10].join(",");
        bomb += &format!("a{i}: &a{i} [{list}]\n");
    }
    assert_eq!(c.ask("POST", MAPS, &bomb).0, 400);
    let deep = format!("{{\"metadata\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(c.ask("POST", MAPS, &deep).0, 400);
}

#[test]
fn duplicate_keys_of_yaml_are_told_as_strictly_as_asked() {
    let c = cluster();
    let body =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: dup}\ndata:\n  a: \"1\"\n  a: \"2\"\n";
    let why = "yaml: unmarshal errors:\n  line 6: key \"a\" already set in map";
    let ask = |level: &str| {
        let target = format!("{MAPS}?dryRun=All&fieldValidation={level}");
        let request = Request::new("POST", &target).with_body("application/yaml", body);
        let response = c.api.handle(&request);
        let object: Value = serde_json::from_slice(response.bytes().unwrap()).unwrap();
        (response.status, response.warnings, object)
    };
    let (status, _, refused) = ask("Strict");
    let message = refused["message"].as_str().unwrap();
    assert!(
        status == 400 && message.ends_with(&format!("strict decoding error: {why}")),
        "{message}"
    );
    for (level, warnings) in [("Warn", vec![why.to_owned()]), ("Ignore", Vec::new())] {
        let (status, said, made) = ask(level);
        assert_eq!((status, said, &made["data"]["a"]), (201, warnings, &json!("2")), "{level}");
    }
}

#[test]
fn a_dry_run_stores_nothing_and_draws_nothing() {
    let c = cluster();
    let before = (c.api.store().version(), c.trace.digest());
    let body = r#"{"metadata":{"generateName":"g-"},"data":{"a":"b"}}"#;
    let target = format!("{MAPS}?dryRun=All");
    let (_, first) = c.ask("POST", &target, body);
    let (_, second) = c.ask("POST", &target, body);
    assert_eq!(first, second, "a random stream moved");
    assert_eq!(before, (c.api.store().version(), c.trace.digest()));
    assert!(!Request::new("POST", &target).mutates() && Request::new("POST", MAPS).mutates());
}

#[test]
fn a_watch_sees_changes_through_its_selector() {
    let c = cluster();
    let version = c.api.store().version();
    let mut all = c.watch(&format!("{PODS}?watch=true&resourceVersion={version}"));
    let mut labelled = c.watch(&format!("{PODS}?watch=1&labelSelector=app%3Da&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"));
    c.pod("a");
    c.ask("PATCH", &format!("{PODS}/a"), r#"{"metadata":{"labels":{"app":"b"}}}"#);
    c.ask("PATCH", &format!("{PODS}/a"), r#"{"metadata":{"labels":{"app":"a"}}}"#);
    c.ask("DELETE", &format!("{PODS}/a"), "");
    assert_eq!(drain(&mut all), ["ADDED a", "MODIFIED a", "MODIFIED a", "DELETED a"]);
    assert_eq!(
        drain(&mut labelled),
        ["BOOKMARK -", "ADDED a", "DELETED a", "ADDED a", "DELETED a"]
    );
}

#[test]
fn a_watch_from_before_the_log_is_gone_and_an_informer_is_not() {
    let c = cluster();
    let store = c.api.store();
    let mut informer = store.informer("configmaps");
    let map = store
        .create("configmaps", json!({"metadata": {"name": "m", "namespace": "demo"}}))
        .unwrap();
    let from = crate::store::object::version(&map);
    for i in 0..16_400 {
        let object =
            json!({"metadata": {"name": "m", "namespace": "demo"}, "data": {"i": i.to_string()}});
        store.update("configmaps", object).unwrap();
    }
    let mut old = c.watch(&format!("{MAPS}?watch=true&resourceVersion={from}"));
    let line = old.try_next().unwrap();
    let event: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert!(old.is_over());
    let change = informer.try_next().unwrap();
    assert_eq!(change.object["data"]["i"], "16399");
    assert!(informer.try_next().is_none());
}

#[test]
fn lists_come_in_pages() {
    let c = cluster();
    for name in ["a", "b", "c"] {
        c.pod(name);
    }
    let (_, first) = c.ask("GET", &format!("{PODS}?limit=2"), "");
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (_, second) = c.ask("GET", &format!("{PODS}?limit=2&continue={token}"), "");
    assert_eq!(second["items"][0]["metadata"]["name"], "c");
    assert!(second["metadata"].get("continue").is_none());
    assert_eq!(c.ask("GET", "/api/v1/pods?limit=-1", "").1["items"].as_array().unwrap().len(), 3);
}

#[test]
fn a_scheduled_pod_is_deleted_with_grace_and_a_finalizer_holds_it() {
    let c = cluster();
    c.pod("p");
    let (status, _) = c.ask("POST", &format!("{PODS}/p/binding"), r#"{"target":{"name":"n1"}}"#);
    assert_eq!(status, 201);
    let (_, e) = c.ask("POST", &format!("{PODS}/p/binding"), r#"{"target":{"name":"n2"}}"#);
    assert_eq!(e["code"], 409);
    c.ask("PATCH", &format!("{PODS}/p"), r#"{"metadata":{"finalizers":["example.com/x"]}}"#);
    let (_, pod) = c.ask("DELETE", &format!("{PODS}/p"), "");
    assert_eq!(pod["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(pod["metadata"]["deletionTimestamp"], "2026-11-21T05:00:08Z");
    let (_, pod) = c.ask("DELETE", &format!("{PODS}/p"), r#"{"gracePeriodSeconds":0}"#);
    assert_eq!(pod["metadata"]["deletionTimestamp"], "2026-11-21T04:59:38Z");
    assert_eq!(c.ask("GET", &format!("{PODS}/p"), "").0, 200, "held by its finalizer");
    c.ask("PATCH", &format!("{PODS}/p"), r#"{"metadata":{"finalizers":null}}"#);
    assert_eq!(c.ask("GET", &format!("{PODS}/p"), "").0, 404);
}

#[test]
fn a_namespace_terminates_when_it_is_finalized() {
    let c = cluster();
    let (_, ns) = c.ask("DELETE", "/api/v1/namespaces/demo", "");
    assert_eq!(ns["status"]["phase"], "Terminating");
    c.check(
        "POST",
        MAPS,
        r#"{"metadata":{"name":"late"}}"#,
        expect![[r#"403 configmaps "late" is forbidden: unable to create new content in namespace demo because it is being terminated"#]],
    );
    c.ask("PUT", "/api/v1/namespaces/demo/finalize", r#"{"metadata":{"name":"demo"},"spec":{}}"#);
    assert_eq!(c.ask("GET", "/api/v1/namespaces/demo", "").0, 404);
}

#[test]
fn status_and_spec_are_written_apart() {
    let c = cluster();
    let mut pod = c.pod("p");
    pod["status"]["phase"] = "Running".into();
    let (_, after) = c.ask("PUT", &format!("{PODS}/p"), &pod.to_string());
    assert_eq!(after["status"]["phase"], "Pending");
    pod["spec"]["nodeName"] = "n".into();
    let (_, after) = c.ask("PUT", &format!("{PODS}/p/status"), &pod.to_string());
    assert_eq!(
        (&after["status"]["phase"], &after["spec"]["nodeName"]),
        (&json!("Running"), &Value::Null)
    );
    let store = c.api.store();
    let version = store.version();
    store
        .modify_status_as::<k8s_openapi::api::core::v1::Pod, _>("demo", "p", |pod| {
            pod.status.as_mut().unwrap().pod_ip = Some("10.0.0.1".into());
        })
        .unwrap();
    assert_eq!(store.version(), version + 1);
    assert_eq!(store.get("pods", "demo", "p").unwrap()["status"]["podIP"], "10.0.0.1");
}

struct Lines(Mutex<Vec<&'static str>>, Signal);

impl LogSource for Lines {
    fn read(&self, _: &str, _: &str, _: &str, previous: bool, from: u64) -> Option<LogPart> {
        let lines = self.0.lock().unwrap();
        let new = lines.iter().skip(from as usize);
        let lines_of = new.map(|l| LogLine { at: EPOCH + 5, text: l.as_bytes().into() });
        (!previous).then(|| LogPart {
            lines: lines_of.collect(),
            next: lines.len() as u64,
            ended: false,
        })
    }
    fn signal(&self) -> Signal {
        self.1.clone()
    }
}

#[test]
fn logs_are_read_and_followed_and_refused_in_kubernetes_words() {
    let c = cluster();
    let source = Arc::new(Lines(Mutex::new(vec!["one", "two"]), Signal::new()));
    let c = Cluster { api: c.api.clone().with_logs(source.clone()), ..c };
    let spec = json!({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}],
        "initContainers": [{"name": "c", "image": "i"}]});
    c.ask("POST", PODS, &json!({"metadata": {"name": "web"}, "spec": spec}).to_string());
    let log = format!("{PODS}/web/log");
    c.check("GET", &log, "", expect!["400 a container name must be specified for pod web, choose one of: [a b] or one of the init containers: [c]"]);
    c.check(
        "GET",
        &format!("{log}?container=x"),
        "",
        expect!["400 container x is not valid for pod web"],
    );
    c.ask("POST", &format!("{PODS}/web/binding"), r#"{"target":{"name":"n1"}}"#);
    c.check(
        "GET",
        &format!("{log}?container=a"),
        "",
        expect![[r#"400 container "a" in pod "web" is waiting to start: ContainerCreating"#]],
    );
    let status = json!({"metadata": {"name": "web"}, "status": {"containerStatuses": [
        {"name": "a", "image": "i", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}}]}});
    assert_eq!(c.ask("PUT", &format!("{PODS}/web/status"), &status.to_string()).0, 200);
    c.check(
        "GET",
        &format!("{log}?container=a&previous=true"),
        "",
        expect![[r#"400 previous terminated container "a" in pod "web" not found"#]],
    );
    assert_eq!(c.ask("GET", &format!("{log}?container=a&tailLines=1"), "").1, "two\n");
    let (_, text) = c.ask("GET", &format!("{log}?container=a&timestamps=true&limitBytes=34"), "");
    assert_eq!(text, "2026-11-21T04:59:38.000000005Z one");
    let follow = Request::new("GET", &format!("{log}?container=a&follow=true&tailLines=0"));
    let Body::Log(mut follow) = c.api.handle(&follow).body else { panic!("not followed") };
    assert_eq!(follow.try_next(), None);
    source.0.lock().unwrap().push("three");
    assert_eq!(follow.try_next().as_deref(), Some(&b"three\n"[..]));
}

#[test]
fn patches_of_all_three_kinds() {
    let c = cluster();
    c.ask("POST", MAPS, r#"{"metadata":{"name":"m"},"data":{"a":"1","b":"2"}}"#);
    let m = format!("{MAPS}/m");
    let merge = "application/merge-patch+json";
    let (_, map) = c.ask_as("PATCH", &m, merge, r#"{"data":{"a":null,"c":"3"}}"#);
    assert_eq!(map["data"], json!({"b": "2", "c": "3"}));
    let json_patch = "application/json-patch+json";
    let patch = r#"[{"op":"test","path":"/data/b","value":"2"},{"op":"move","from":"/data/b","path":"/data/z"}]"#;
    let (_, map) = c.ask_as("PATCH", &m, json_patch, patch);
    assert_eq!(map["data"], json!({"c": "3", "z": "2"}));
    let (status, e) = c.ask_as("PATCH", &m, json_patch, patch);
    assert_eq!(
        (status, e["message"].as_str()),
        (422, Some("the server rejected our request due to an error in our request"))
    );
    let doubling: Vec<Value> =
        (0..60).map(|i| json!({"op": "copy", "from": "", "path": format!("/x{i}")})).collect();
    assert_eq!(c.ask_as("PATCH", &m, json_patch, &json!(doubling).to_string()).0, 422);
    let version = c.api.store().version();
    c.ask_as("PATCH", &m, merge, r#"{"data":{"c":"3"}}"#);
    assert_eq!(c.api.store().version(), version, "no change is no new version");
}

#[test]
fn controllers_in_the_world_see_changes_as_they_happen() {
    let mut c = cluster();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (store, s, h) = (c.api.store().clone(), seen.clone(), c.sim.handle());
    c.sim.handle().spawn(async move {
        let mut pods = store.informer("pods");
        loop {
            let change = pods.next().await;
            let name = crate::store::object::name(&change.object).to_string();
            s.lock().unwrap().push((h.now(), change.verb, name));
        }
    });
    let store = c.api.store().clone();
    let h = c.sim.handle();
    c.sim.handle().spawn(async move {
        h.sleep(std::time::Duration::from_secs(1)).await;
        let spec = json!({"containers": [{"name": "c", "image": "i"}]});
        let meta = json!({"name": "p", "namespace": "demo"});
        store.create("pods", json!({"metadata": meta, "spec": spec})).unwrap();
        store.delete("pods", "demo", "p", &Default::default()).unwrap();
    });
    c.sim.run_until(Time::from_secs(2), u64::MAX);
    let one = Time::from_secs(1);
    assert_eq!(
        *seen.lock().unwrap(),
        [
            (one, podlab_trace::Verb::Added, "p".to_string()),
            (one, podlab_trace::Verb::Deleted, "p".to_string())
        ]
    );
}

#[test]
fn a_request_is_an_input_that_can_be_recorded() {
    let request = Request::new("POST", "/api/v1/x?a=b%20c&d").with_body("application/json", "{}");
    let bytes = postcard::to_stdvec(&request).unwrap();
    assert_eq!(postcard::from_bytes::<Request>(&bytes).unwrap(), request);
    assert_eq!(request.query, [("a".into(), "b c".into()), ("d".into(), String::new())]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_a_client_sends_makes_it_panic(
        method in prop::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "X"]),
        path in prop_oneof![
            "[/a-z0-9%{}.]{0,40}",
            Just("/api/v1/namespaces/demo/pods".to_string()),
            Just("/api/v1/namespaces/demo/pods/p/status".to_string()),
            Just("/api/v1/namespaces/demo/pods/p/binding".to_string()),
            Just("/api/v1/namespaces/demo/services".to_string()),
            Just("/api/v1/namespaces/p/finalize".to_string()),
        ],
        query in "[a-zA-Z=&%0-9]{0,30}",
        media in prop::sample::select(vec!["application/json", "application/yaml", "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/vnd.kubernetes.protobuf", ""]),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            arbitrary_object().prop_map(|v| v.to_string().into_bytes()),
        ],
    ) {
        let c = cluster();
        c.pod("p");
        let request = Request::new(method, &format!("{path}?{query}")).with_body(media, body);
        let response = c.api.handle(&request);
        prop_assert!((200..600).contains(&response.status));
    }
}

fn arbitrary_object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9.:/ -]{0,12}".prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "metadata",
        "name",
        "namespace",
        "labels",
        "spec",
        "status",
        "containers",
        "ports",
        "port",
        "image",
        "volumes",
        "configMap",
        "env",
        "$patch",
        "clusterIP",
        "type",
        "finalizers",
        "ownerReferences",
        "tolerations",
        "target",
        "resources",
        "limits",
        "cpu",
        "livenessProbe",
        "httpGet",
        "deletionTimestamp",
        "nodePort",
        "containerPort",
        "conditions",
        "kind",
        "apiVersion",
        "selector",
        "initContainers",
    ]);
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(String::from), inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}
