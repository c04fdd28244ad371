//! Discovery equals that of a real server, but for a few things named here.

use serde_json::Value;

use crate::client::{Client, client};

/// Subresources of the recording that a world does not offer, and why.
const MISSING: [(&str, &str); 7] = [
    ("nodes/proxy", "nodes serve no HTTP of their own"),
    ("pods/proxy", "programs are reached through the world's own network"),
    ("services/proxy", "programs are reached through the world's own network"),
    ("pods/attach", "programs' standard input is not connected to clients"),
    ("pods/exec", "exec is an operation of the world, not of its API"),
    ("pods/portforward", "connections come in through the world's own doors"),
    ("pods/eviction", "comes with disruption budgets"),
];

const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Removes from the recording what is known to be missing, where it is missing indeed.
fn allowed(want: &mut Value, got: &Value) {
    let offered = |resource: &str, sub: &str| {
        got.to_string().contains(&format!("\"subresource\":\"{sub}\""))
            && find(got, resource).is_some_and(|r| {
                r["subresources"]
                    .as_array()
                    .is_some_and(|s| s.iter().any(|s| s["subresource"] == sub))
            })
    };
    for item in want["items"].as_array_mut().unwrap() {
        for version in item["versions"].as_array_mut().unwrap() {
            for resource in version["resources"].as_array_mut().unwrap() {
                let name = resource["resource"].as_str().unwrap().to_string();
                if let Some(subs) = resource.get_mut("subresources").and_then(Value::as_array_mut) {
                    subs.retain(|s| {
                        let sub = s["subresource"].as_str().unwrap();
                        let full = format!("{name}/{sub}");
                        offered(&name, sub) || !MISSING.iter().any(|(m, _)| *m == full)
                    });
                    if subs.is_empty() {
                        resource.as_object_mut().unwrap().remove("subresources");
                    }
                }
            }
        }
    }
}

fn find<'a>(list: &'a Value, resource: &str) -> Option<&'a Value> {
    let items = list["items"].as_array()?.iter();
    items
        .flat_map(|i| i["versions"].as_array().into_iter().flatten())
        .flat_map(|v| v["resources"].as_array().into_iter().flatten())
        .find(|r| r["resource"] == resource)
}

fn aggregated(c: &Client, path: &str) -> Value {
    let answer = c.get_as(path, &format!("{V2},application/json"));
    assert_eq!(answer.media, V2);
    answer.body
}

#[test]
fn the_core_group() {
    let got = aggregated(&client(), "/api");
    let mut want = golden(include_str!("golden/discovery-api.json"));
    allowed(&mut want, &got);
    same(&got, &want);
}

#[test]
fn the_groups_in_their_order() {
    let mut got = aggregated(&client(), "/apis");
    // The recorded cluster had no metrics server; a world measures by itself.
    got["items"].as_array_mut().unwrap().retain(|g| g["metadata"]["name"] != "metrics.k8s.io");
    let mut want = golden(include_str!("golden/discovery-apis.json"));
    allowed(&mut want, &got);
    same(&got, &want);
}

#[test]
fn the_plain_list_of_the_core_group() {
    let got = client().get("/api/v1");
    let mut want = golden(include_str!("golden/legacy-api-v1.json"));
    let offered: Vec<&Value> =
        got["resources"].as_array().unwrap().iter().map(|r| &r["name"]).collect();
    want["resources"].as_array_mut().unwrap().retain(|r| {
        offered.contains(&&r["name"]) || !MISSING.iter().any(|(name, _)| r["name"] == *name)
    });
    same(&got, &want);
}

#[test]
fn every_group_version_has_its_plain_list_and_prefers_its_newest() {
    let c = client();
    let groups = c.get("/apis");
    for group in groups["groups"].as_array().unwrap() {
        for version in group["versions"].as_array().unwrap() {
            let gv = version["groupVersion"].as_str().unwrap();
            let list = c.get(&format!("/apis/{gv}"));
            assert_eq!(list["groupVersion"], gv);
            assert!(!list["resources"].as_array().unwrap().is_empty(), "{gv}");
        }
    }
    assert_eq!(c.get("/apis/autoscaling")["preferredVersion"]["version"], "v2");
}

#[test]
fn events_and_autoscalers_are_the_same_objects_in_two_versions() {
    let c = client();
    let hpa = serde_json::json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 3,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
        "targetCPUUtilizationPercentage": 60}});
    let made = c.post("/apis/autoscaling/v1/namespaces/demo/horizontalpodautoscalers", hpa);
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["apiVersion"], "autoscaling/v1");
    let two = c.get("/apis/autoscaling/v2/namespaces/demo/horizontalpodautoscalers/h");
    assert_eq!(two["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 60);
    let old = c.ask(
        "PATCH",
        "/apis/autoscaling/v1/namespaces/demo/horizontalpodautoscalers/h",
        "application/merge-patch+json",
        r#"{"spec":{"targetCPUUtilizationPercentage":70}}"#,
    );
    assert_eq!(old.body["spec"]["targetCPUUtilizationPercentage"], 70);
    let two = c.get("/apis/autoscaling/v2/namespaces/demo/horizontalpodautoscalers/h");
    assert_eq!(two["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 70);

    let event = serde_json::json!({"metadata": {"name": "e"}, "regarding": {"kind": "Pod", "name": "p", "namespace": "demo"},
        "note": "said", "reason": "R", "type": "Normal", "action": "A", "eventTime": "2026-11-21T04:59:38.000000Z",
        "reportingController": "x.io/c", "reportingInstance": "i"});
    let made = c.post("/apis/events.k8s.io/v1/namespaces/demo/events", event);
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(c.get("/api/v1/namespaces/demo/events/e")["message"], "said");
    let list = c.get("/apis/events.k8s.io/v1/events");
    assert_eq!(list["items"][0]["note"], "said");
    assert_eq!(list["apiVersion"], "events.k8s.io/v1");
}

/// The texts of both must be the same; shows where they are not.
fn same(got: &Value, want: &Value) {
    let text = |v: &Value| serde_json::to_string_pretty(v).unwrap();
    let (got, want) = (text(got), text(want));
    let difference = got.lines().zip(want.lines()).position(|(g, w)| g != w);
    if let Some(at) = difference {
        let around =
            |t: &str| t.lines().skip(at.saturating_sub(12)).take(20).collect::<Vec<_>>().join("\n");
        panic!("differs at line {at}; here:\n{}\nthere:\n{}", around(&got), around(&want));
    }
    assert_eq!(got.lines().count(), want.lines().count());
}
