//! Server-side apply and who owns which field.

use serde_json::{Value, json};

use crate::client::{Client, client};

const MAPS: &str = "/api/v1/namespaces/demo/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/demo/deployments";

fn owned(object: &Value) -> Vec<(String, String, Value)> {
    let text = |v: &Value| v.as_str().unwrap_or("").to_string();
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|e| (text(&e["manager"]), text(&e["operation"]), e["fieldsV1"].clone()))
        .collect()
}

fn web(replicas: Option<i64>, image: &str) -> Value {
    let mut web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": image, "ports": [{"containerPort": 80}]}]}}}});
    if let Some(n) = replicas {
        web["spec"]["replicas"] = n.into();
    }
    web
}

/// The recording: two managers, a conflict, force.
#[test]
fn two_managers_of_a_configmap() {
    let c = client();
    let a = include_str!("golden/manifests/ssa-a.yaml");
    let b = include_str!("golden/manifests/ssa-b.yaml");
    let made = c.apply(&format!("{MAPS}/ssa"), "alpha", a);
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(
        owned(&made.body),
        [("alpha".into(), "Apply".into(), json!({"f:data": {"f:a": {}, "f:shared": {}}}))]
    );
    let refused = c.apply(&format!("{MAPS}/ssa"), "beta", b);
    assert_eq!(
        refused.message(),
        r#"409 Apply failed with 1 conflict: conflict with "alpha": .data.shared"#
    );
    assert_eq!(
        refused.body["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"alpha\"", "field": ".data.shared"}])
    );
    let forced = c.apply(&format!("{MAPS}/ssa?force=true"), "beta", b);
    assert_eq!(forced.body["data"], json!({"a": "1", "b": "2", "shared": "other"}));
    assert_eq!(
        owned(&forced.body),
        [
            ("alpha".into(), "Apply".into(), json!({"f:data": {"f:a": {}}})),
            ("beta".into(), "Apply".into(), json!({"f:data": {"f:b": {}, "f:shared": {}}})),
        ]
    );
    // The same again changes nothing, not even a time.
    let again = c.apply(&format!("{MAPS}/ssa"), "beta", b);
    assert_eq!(again.body, forced.body);
}

#[test]
fn what_is_no_longer_applied_goes_unless_somebody_else_owns_it() {
    let c = client();
    let map = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data});
    let target = format!("{MAPS}/m");
    c.apply(&target, "one", map(json!({"a": "1", "both": "x", "gone": "y"})));
    let shared = c.apply(&target, "two", map(json!({"both": "x"})));
    assert_eq!(shared.status, 200, "the same value is no conflict: {}", shared.body);
    let made = c.apply(&target, "one", map(json!({"a": "1"})));
    assert_eq!(made.body["data"], json!({"a": "1", "both": "x"}));
    let made = c.apply(&target, "two", map(json!({})));
    assert_eq!(made.body["data"], json!({"a": "1"}));
    let labelled = c.ask(
        "PATCH",
        &format!("{target}?fieldManager=kubectl-label"),
        "application/merge-patch+json",
        r#"{"metadata":{"labels":{"l":"1"}}}"#,
    );
    assert_eq!(labelled.body["metadata"]["labels"], json!({"l": "1"}));
    let made = c.apply(&target, "one", map(json!({"a": "2"})));
    assert_eq!(made.body["metadata"]["labels"], json!({"l": "1"}), "not of this manager");
}

fn client_side(c: &Client, replicas: i64) -> Value {
    let mut web = web(Some(replicas), "i:1");
    web["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": format!("{}\n", web)});
    let target = format!("{DEPLOYMENTS}?fieldManager=kubectl-client-side-apply");
    let made = c.post(&target, web);
    assert_eq!(made.status, 201, "{}", made.body);
    made.body
}

#[test]
fn a_client_side_apply_owns_what_a_real_server_says() {
    let c = client();
    let made = client_side(&c, 2);
    let (manager, operation, fields) = owned(&made).remove(0);
    assert_eq!((manager.as_str(), operation.as_str()), ("kubectl-client-side-apply", "Update"));
    let container = &fields["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"];
    assert_eq!(container["."], json!({}));
    assert_eq!(container["f:resources"], json!({}), "{container}");
    let port = &container["f:ports"]["k:{\"containerPort\":80,\"protocol\":\"TCP\"}"];
    assert_eq!((&port["."], &port["f:containerPort"]), (&json!({}), &json!({})));
    assert_eq!(fields["f:metadata"]["f:labels"], json!({".": {}, "f:app": {}}));
    assert_eq!(fields["f:spec"]["f:selector"], json!({}));
    assert!(fields["f:spec"].get(".").is_none());
    assert!(fields["f:metadata"].get("f:uid").is_none());
    assert!(fields.get("f:status").is_none());
}

#[test]
fn conflicts_with_client_side_apply_are_named_and_kubectl_may_migrate() {
    let c = client();
    client_side(&c, 2);
    let target = format!("{DEPLOYMENTS}/web");
    let refused = c.apply(&target, "other", web(Some(3), "i:1"));
    assert_eq!(
        refused.message(),
        "409 Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas"
    );
    let two = c.apply(&target, "other", web(Some(3), "i:2"));
    assert_eq!(
        two.message(),
        "409 Apply failed with 2 conflicts: conflicts with \"kubectl-client-side-apply\" using apps/v1:\n- .spec.replicas\n- .spec.template.spec.containers[name=\"c\"].image"
    );
    // kubectl itself takes over what it applied last, and keeps the annotation.
    let moved = c.apply(&target, "kubectl", web(Some(4), "i:1"));
    assert_eq!((moved.status, &moved.body["spec"]["replicas"]), (200, &json!(4)), "{}", moved.body);
    let note =
        &moved.body["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    assert!(note.as_str().unwrap().contains("\"replicas\":4"), "{note}");
    // But not what somebody changed since.
    let scaled = c.ask(
        "PATCH",
        &format!("{target}/scale?fieldManager=kubectl"),
        "application/merge-patch+json",
        r#"{"spec":{"replicas":7}}"#,
    );
    assert_eq!(scaled.status, 200, "{}", scaled.body);
    let refused = c.apply(&target, "kubectl", web(Some(4), "i:1"));
    assert_eq!(
        refused.message(),
        "409 Apply failed with 1 conflict: conflict with \"kubectl\" with subresource \"scale\" using apps/v1: .spec.replicas"
    );
    // Not to name it leaves it to the other.
    let made = c.apply(&target, "kubectl", web(None, "i:1"));
    assert_eq!(made.body["spec"]["replicas"], 7, "{}", made.message());
}

#[test]
fn lists_by_key_belong_to_several() {
    let c = client();
    let target = format!("{DEPLOYMENTS}/web");
    c.apply(&target, "one", web(Some(1), "i:1"));
    let mut side = web(None, "");
    side["spec"] =
        json!({"template": {"spec": {"containers": [{"name": "side", "image": "s:1"}]}}});
    side["metadata"] = json!({"name": "web"});
    let both = c.apply(&target, "two", side.clone());
    let names = |v: &Value| -> Vec<String> {
        let list = v["spec"]["template"]["spec"]["containers"].as_array().unwrap();
        list.iter().map(|c| c["name"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(names(&both.body), ["c", "side"], "{}", both.message());
    let again = c.apply(&target, "one", web(Some(1), "i:2"));
    assert_eq!(names(&again.body), ["c", "side"]);
    side["spec"] = json!({});
    let without = c.apply(&target, "two", side);
    assert_eq!(names(&without.body), ["c"]);
}

#[test]
fn mistakes() {
    let c = client();
    let target = format!("{DEPLOYMENTS}/web");
    let yaml = "application/apply-patch+yaml";
    assert_eq!(
        c.ask("PATCH", &target, yaml, web(None, "i")).message(),
        r#"422 PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#
    );
    let mut wrong = web(None, "i");
    wrong["spec"]["bogus"] = 1.into();
    assert_eq!(
        c.apply(&target, "m", wrong).message(),
        "500 failed to create typed patch object (demo/web; apps/v1, Kind=Deployment): .spec.bogus: field not declared in schema"
    );
    let mut wrong = web(None, "i");
    wrong["spec"]["template"]["spec"]["containers"] = json!([{"image": "x"}]);
    assert_eq!(
        c.apply(&target, "m", wrong).message(),
        "500 failed to create typed patch object (demo/web; apps/v1, Kind=Deployment): .spec.template.spec.containers: element 0: associative list with keys has an element that omits key field \"name\" (and doesn't have default value)"
    );
    assert_eq!(
        c.apply(&target, "m", "apiVersion: v1\nkind: Deployment").message(),
        "400 Incorrect version specified in apply patch. Specified patch version: v1, expected: apps/v1"
    );
    let dry = c.apply(&format!("{target}?dryRun=All"), "m", web(None, "i"));
    assert_eq!(dry.status, 201);
    assert_eq!(c.ask("GET", &target, "", "").status, 404);
}

/// The recording of a lease that one applies and another replaces.
#[test]
fn a_replacement_takes_what_it_changes() {
    let c = client();
    let leases = "/apis/coordination.k8s.io/v1/namespaces/demo/leases";
    let note = "kubectl.kubernetes.io/last-applied-configuration";
    let body = json!({"metadata": {"name": "lk", "annotations": {note: "{}"}}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}});
    c.post(&format!("{leases}?fieldManager=kubectl-client-side-apply"), body.clone());
    c.ask(
        "PATCH",
        &format!("{leases}/lk?fieldManager=kubectl-patch"),
        "application/merge-patch+json",
        r#"{"spec":{"holderIdentity":"you"}}"#,
    );
    let mut again = body;
    again["metadata"]["annotations"][note] = "{\"x\":1}".into();
    let put = c.ask(
        "PUT",
        &format!("{leases}/lk?fieldManager=kubectl-replace"),
        "application/json",
        again,
    );
    assert_eq!(
        owned(&put.body),
        [
            (
                "kubectl-client-side-apply".into(),
                "Update".into(),
                json!({"f:metadata": {"f:annotations": {}}, "f:spec": {"f:leaseDurationSeconds": {}}})
            ),
            (
                "kubectl-replace".into(),
                "Update".into(),
                json!({"f:metadata": {"f:annotations": {format!("f:{note}"): {}}}, "f:spec": {"f:holderIdentity": {}}})
            ),
        ]
    );
}
