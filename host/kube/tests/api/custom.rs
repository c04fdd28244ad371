//! Kinds that are made at run time.

use serde_json::{Value, json};

use crate::client::{Client, client};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const TABS: &str = "/apis/stable.example.com/v1/namespaces/demo/crontabs";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

fn yaml(c: &Client, target: &str, body: &str) -> crate::client::Answer {
    c.ask("POST", target, "application/yaml", body)
}

fn with_kind() -> Client {
    let c = client();
    let made = yaml(&c, DEFINITIONS, include_str!("golden/manifests/crd.yaml"));
    assert_eq!(made.status, 201, "{}", made.body);
    c
}

#[test]
fn a_definition_offers_its_kind() {
    let c = with_kind();
    let definition = c.get(&format!("{DEFINITIONS}/crontabs.stable.example.com"));
    let conditions = definition["status"]["conditions"].as_array().unwrap();
    let shown: Vec<String> = conditions
        .iter()
        .map(|c| format!("{}={} {}", c["type"], c["status"], c["reason"]).replace('"', ""))
        .collect();
    assert_eq!(shown, ["NamesAccepted=True NoConflicts", "Established=True InitialNamesAccepted"]);
    assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(definition["spec"]["names"]["listKind"], "CronTabList");
    let list = c.get("/apis/stable.example.com/v1");
    let names: Vec<&Value> =
        list["resources"].as_array().unwrap().iter().map(|r| &r["name"]).collect();
    assert_eq!(names, ["crontabs", "crontabs/scale", "crontabs/status"]);
    let document = c.get("/openapi/v3/apis/stable.example.com/v1");
    let schema = &document["components"]["schemas"]["com.example.stable.v1.CronTab"];
    assert_eq!(schema["properties"]["spec"]["properties"]["replicas"]["maximum"], 10);
}

#[test]
fn objects_are_pruned_filled_and_checked() {
    let c = with_kind();
    let made = yaml(&c, TABS, include_str!("golden/manifests/cr.yaml"));
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["spec"]["replicas"], 1, "the default");
    assert_eq!(made.body["metadata"]["generation"], 1);
    let bad = include_str!("golden/manifests/cr-bad.yaml");
    let strict = yaml(&c, &format!("{TABS}?fieldValidation=Strict"), bad);
    assert_eq!(
        strict.message(),
        "400 CronTab in version \"v1\" cannot be handled as a CronTab: strict decoding error: unknown field \"spec.bogus\""
    );
    let refused = yaml(&c, TABS, bad);
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.message(),
        "422 CronTab.stable.example.com \"bad-ct\" is invalid: [spec.cronSpec: Invalid value: \"nope\": spec.cronSpec in body should match '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$', spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10]"
    );
    let loose = yaml(
        &c,
        TABS,
        "apiVersion: stable.example.com/v1\nkind: CronTab\nmetadata: {name: loose}\nspec: {cronSpec: \"* * * * *\", bogus: 1}",
    );
    assert_eq!(
        (loose.status, loose.warnings),
        (201, vec!["unknown field \"spec.bogus\"".to_string()])
    );
    assert!(loose.body["spec"].get("bogus").is_none());
    let wrong = yaml(
        &c,
        TABS,
        "apiVersion: stable.example.com/v1\nkind: CronTab\nmetadata: {name: w}\nspec: {replicas: many}",
    );
    assert_eq!(
        wrong.message(),
        "422 CronTab.stable.example.com \"w\" is invalid: [spec.cronSpec: Required value, spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"]"
    );
    let strategic =
        c.ask("PATCH", &format!("{TABS}/my-ct"), "application/strategic-merge-patch+json", "{}");
    assert_eq!(strategic.status, 415);
}

#[test]
fn tables_status_and_scale() {
    let c = with_kind();
    yaml(&c, TABS, include_str!("golden/manifests/cr.yaml"));
    let table = c.get_as(TABS, TABLE).body;
    let columns: Vec<&Value> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert_eq!(columns, ["Name", "Spec", "Age"]);
    assert_eq!(table["rows"][0]["cells"], json!(["my-ct", "* * * * */5", "0s"]));
    let merge = "application/merge-patch+json";
    let target = format!("{TABS}/my-ct/scale?fieldManager=kubectl");
    let scaled = c.ask("PATCH", &target, merge, r#"{"spec":{"replicas":3}}"#);
    assert_eq!((scaled.status, &scaled.body["kind"]), (200, &json!("Scale")), "{}", scaled.body);
    let status = c.ask(
        "PATCH",
        &format!("{TABS}/my-ct/status"),
        merge,
        r#"{"status":{"replicas":2},"spec":{"image":"no"}}"#,
    );
    assert_eq!(status.status, 200, "{}", status.body);
    let now = c.get(&format!("{TABS}/my-ct"));
    assert_eq!(
        (&now["spec"]["replicas"], &now["spec"]["image"], &now["status"]["replicas"]),
        (&json!(3), &json!("img"), &json!(2))
    );
    assert_eq!(now["metadata"]["generation"], 2);
    let scale = c.get(&format!("{TABS}/my-ct/scale"));
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["replicas"]), (&json!(3), &json!(2)));
    let applied = c.apply(&format!("{TABS}/my-ct"), "m", json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": "my-ct"}, "spec": {"replicas": 4}}));
    assert_eq!(
        applied.message(),
        "409 Apply failed with 1 conflict: conflict with \"kubectl\" with subresource \"scale\" using stable.example.com/v1: .spec.replicas"
    );
}

#[test]
fn a_definition_goes_with_its_objects_and_waits_for_finalizers() {
    let c = with_kind();
    yaml(&c, TABS, include_str!("golden/manifests/cr.yaml"));
    let held = json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": "held", "finalizers": ["example.com/x"]}, "spec": {"cronSpec": "* * * * *"}});
    assert_eq!(c.post(TABS, held).status, 201);
    let definition = format!("{DEFINITIONS}/crontabs.stable.example.com");
    assert_eq!(c.ask("DELETE", &definition, "", "").status, 200);
    assert_eq!(c.ask("GET", &format!("{TABS}/my-ct"), "", "").status, 404);
    assert_eq!(c.ask("GET", &format!("{TABS}/held"), "", "").status, 200);
    assert_eq!(c.ask("GET", &definition, "", "").status, 200);
    c.ask(
        "PATCH",
        &format!("{TABS}/held"),
        "application/merge-patch+json",
        r#"{"metadata":{"finalizers":null}}"#,
    );
    assert_eq!(c.ask("GET", &definition, "", "").status, 404);
    assert_eq!(c.ask("GET", TABS, "", "").status, 404);
    assert_eq!(c.ask("GET", "/apis/stable.example.com/v1", "", "").status, 404);
}

#[test]
fn rules_and_further_versions() {
    let c = client();
    let schema = |max: i64| {
        json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object",
            "x-kubernetes-validations": [{"rule": "self.low <= self.high", "message": "low is too high"}],
            "properties": {"low": {"type": "integer"}, "high": {"type": "integer", "maximum": max,
                "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]}}}}}})
    };
    let definition = json!({"metadata": {"name": "spans.example.com"}, "spec": {"group": "example.com", "scope": "Cluster",
        "names": {"plural": "spans", "kind": "Span"}, "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": schema(9)},
            {"name": "v1beta1", "served": true, "storage": false, "deprecated": true, "schema": schema(9)},
            {"name": "v2", "served": false, "storage": false, "schema": schema(9)}]}});
    let made = c.post(DEFINITIONS, definition);
    assert_eq!(made.status, 201, "{}", made.body);
    let spans = "/apis/example.com/v1/spans";
    let span = |low: i64, high: i64| json!({"apiVersion": "example.com/v1", "kind": "Span", "metadata": {"name": "s"}, "spec": {"low": low, "high": high}});
    assert_eq!(
        c.post(spans, span(5, 4)).message(),
        "422 Span.example.com \"s\" is invalid: spec: Invalid value: \"object\": low is too high"
    );
    assert_eq!(c.post(spans, span(1, 4)).status, 201);
    assert_eq!(
        c.ask("PUT", &format!("{spans}/s"), "application/json", span(1, 3)).message(),
        "422 Span.example.com \"s\" is invalid: spec.high: Invalid value: 3: failed rule: self >= oldSelf"
    );
    let old = c.ask("GET", "/apis/example.com/v1beta1/spans/s", "", "");
    assert_eq!(old.body["apiVersion"], "example.com/v1beta1");
    assert_eq!(c.ask("GET", "/apis/example.com/v2/spans/s", "", "").status, 404);
    assert_eq!(c.get("/apis/example.com")["preferredVersion"]["version"], "v1");
}

#[test]
fn what_is_no_definition() {
    let c = client();
    let mut bad: Value = json!({"metadata": {"name": "x.example.com"}, "spec": {"group": "example.com", "scope": "Here",
        "names": {"plural": "ys", "kind": "Y"}, "versions": [{"name": "v1", "served": true, "storage": false}]}});
    let refused = c.post(DEFINITIONS, bad.clone());
    let text = refused.message();
    for part in [
        "metadata.name: Invalid value: \"x.example.com\": must be spec.names.plural+\".\"+spec.group",
        "spec.scope: Unsupported value: \"Here\": supported values: \"Cluster\", \"Namespaced\"",
        "must have exactly one version marked as storage version",
        "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    bad = json!({"metadata": {"name": "pods.apps"}, "spec": {"group": "apps", "scope": "Namespaced", "names": {"plural": "pods", "kind": "Deployment"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
    let refused = c.post(DEFINITIONS, bad);
    assert_eq!(refused.status, 422, "a group needs a dot");
}
