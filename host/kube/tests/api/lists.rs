//! Pages and versions of lists; tables.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::client::{Client, client};

const MAPS: &str = "/api/v1/namespaces/demo/configmaps";

fn maps(names: &[&str]) -> Client {
    let c = client();
    for name in names {
        assert_eq!(c.post(MAPS, json!({"metadata": {"name": name}})).status, 201);
    }
    c
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|i| i["metadata"]["name"].as_str().unwrap()).collect()
}

#[test]
fn pages_show_one_moment() {
    let c = maps(&["a", "b", "c", "d"]);
    let first = c.get(&format!("{MAPS}?limit=2"));
    assert_eq!(
        (names(&first), &first["metadata"]["remainingItemCount"]),
        (vec!["a", "b"], &json!(2))
    );
    c.ask("DELETE", &format!("{MAPS}/c"), "", "");
    c.post(MAPS, json!({"metadata": {"name": "bb"}}));
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = c.get(&format!("{MAPS}?limit=2&continue={token}"));
    assert_eq!(names(&second), ["c", "d"], "as it was when the list began");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert!(second["metadata"].get("continue").is_none());
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    let exact = c.get(&format!("{MAPS}?resourceVersion={version}&resourceVersionMatch=Exact"));
    assert_eq!(names(&exact), ["a", "b", "c", "d"]);
    assert_eq!(names(&c.get(MAPS)), ["a", "b", "bb", "d"]);
}

#[test]
fn tokens_that_are_none_or_too_old() {
    let c = maps(&["a", "b"]);
    assert_eq!(
        c.ask("GET", &format!("{MAPS}?continue=bogus"), "", "").message(),
        "400 invalid continue token: continue key is not valid: illegal base64 data at input byte 4"
    );
    let first = c.get(&format!("{MAPS}?limit=1"));
    let token = first["metadata"]["continue"].as_str().unwrap().to_string();
    let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&token).unwrap();
    let decoded: Value = serde_json::from_slice(&decoded).unwrap();
    assert_eq!((&decoded["v"], &decoded["start"]), (&json!("meta.k8s.io/v1"), &json!("demo/a\0")));
    for i in 0..16_400 {
        let map =
            json!({"metadata": {"name": "b", "namespace": "demo"}, "data": {"i": i.to_string()}});
        c.store().update("configmaps", map).unwrap();
    }
    let gone = c.ask("GET", &format!("{MAPS}?limit=1&continue={token}"), "", "");
    assert_eq!((gone.status, &gone.body["reason"]), (410, &json!("Expired")));
    let again = gone.body["metadata"]["continue"].as_str().unwrap();
    assert_eq!(names(&c.get(&format!("{MAPS}?limit=1&continue={again}"))), ["b"]);
}

/// The columns of every kind are those of the recording: name, type, format, priority.
#[test]
fn columns_are_a_real_servers() {
    /// Kinds that the recording knows and others add as they come to life.
    const LATER: [&str; 8] = [
        "controllerrevisions",
        "daemonsets",
        "deployments",
        "limitranges",
        "replicasets",
        "replicationcontrollers",
        "statefulsets",
        "resourcequotas",
    ];
    let c = client();
    let mut path = String::new();
    let mut want: Vec<String> = Vec::new();
    let mut wrong = Vec::new();
    let mut seen = 0;
    let text = include_str!("golden/table-columns.txt");
    for line in text.lines().skip(1).chain(["/end"]) {
        if let Some(column) = line.strip_prefix("    ") {
            want.push(column.trim().into());
            continue;
        }
        if !path.is_empty() {
            let table = c.get_as(&path, "application/json;as=Table;v=v1;g=meta.k8s.io").body;
            let got: Vec<String> = table["columnDefinitions"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|c| {
                    let text = |f: &str| c[f].as_str().unwrap_or("");
                    format!(
                        "{} | {} | {} | priority {}",
                        text("name"),
                        text("type"),
                        text("format"),
                        c["priority"]
                    )
                })
                .collect();
            let plain = |l: &[String]| l.iter().map(|c| c.replace(' ', "")).collect::<Vec<_>>();
            if plain(&got) != plain(&want) && !LATER.iter().any(|k| path.ends_with(k)) {
                wrong.push(format!("{path}\n  got  {got:?}\n  want {want:?}"));
            }
            seen += 1;
        }
        path = line.trim().into();
        want.clear();
    }
    assert!(seen > 40, "{seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
