//! What the server offers, as kubectl asks for it: aggregated and legacy discovery, version, health.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::request::Request;
use super::response::Response;
use super::served;
use crate::store::resource::{Name, Resource};
use crate::store::{Error, Row, Store};

pub(super) fn version() -> Response {
    Response::json(
        200,
        &json!({
            "major": "1", "minor": "32", "gitVersion": "v1.32.13", "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "2026-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": "wasi/wasm32"
        }),
    )
}

pub(super) fn root() -> Response {
    let paths =
        ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"];
    Response::json(200, &json!({"paths": paths}))
}

pub(super) fn health(what: &str, verbose: bool) -> Response {
    Response::text(
        200,
        if verbose { format!("[+]ping ok\n{what} check passed\n") } else { "ok".into() },
    )
}

/// A group: its name, and its versions with their rows, the preferred first.
type Group = (Name, Vec<(Name, Vec<Row>)>);

fn groups(store: &Store) -> Vec<Group> {
    let mut out: Vec<Group> = Vec::new();
    for row in served::all(store) {
        if out.last().is_none_or(|(group, _)| *group != row.group) {
            out.push((row.group.clone(), Vec::new()));
        }
        let versions = &mut out.last_mut().expect("just pushed").1;
        if versions.last().is_none_or(|(version, _)| *version != row.version) {
            versions.push((row.version.clone(), Vec::new()));
        }
        versions.last_mut().expect("just pushed").1.push(row);
    }
    out
}

pub(super) fn get(store: &Store, request: &Request, parts: &[&str]) -> Result<Response, Error> {
    let groups = groups(store);
    let aggregated = request.accept.split(',').find_map(|a| {
        let is = |p: &str| a.split(';').any(|x| x.trim() == p);
        (is("g=apidiscovery.k8s.io") && is("as=APIGroupDiscoveryList"))
            .then(|| if is("v=v2") { "v2" } else { "v2beta1" })
    });
    match (parts, aggregated) {
        (["api"], Some(v)) => Ok(aggregate(groups.iter().filter(|(g, _)| g.is_empty()), v)),
        (["apis"], Some(v)) => Ok(aggregate(groups.iter().filter(|(g, _)| !g.is_empty()), v)),
        (["api"], None) => Ok(Response::json(
            200,
            &json!({
                "kind": "APIVersions", "versions": ["v1"],
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}]
            }),
        )),
        (["apis"], None) => {
            let list: Vec<Value> = groups
                .iter()
                .filter(|(g, _)| !g.is_empty())
                .map(|(g, versions)| group(g, versions))
                .collect();
            Ok(Response::json(
                200,
                &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": list}),
            ))
        }
        (["apis", name], _) => {
            let (name, versions) = groups
                .iter()
                .find(|(g, _)| !name.is_empty() && g == name)
                .ok_or_else(Error::no_such_path)?;
            let mut out = group(name, versions);
            out["kind"] = "APIGroup".into();
            out["apiVersion"] = "v1".into();
            Ok(Response::json(200, &out))
        }
        _ => {
            let (name, version) = match parts {
                ["api", version] => ("", *version),
                ["apis", group, version] if !group.is_empty() => (*group, *version),
                _ => return Err(Error::no_such_path()),
            };
            let rows = groups
                .iter()
                .find(|(g, _)| g == name)
                .and_then(|(_, versions)| versions.iter().find(|(v, _)| v == version))
                .map(|(_, rows)| rows)
                .ok_or_else(Error::no_such_path)?;
            let gv = rows.first().map(|r| r.api_version()).unwrap_or_default();
            let resources: Vec<Value> = rows.iter().flat_map(|r| legacy(r)).collect();
            let mut list = json!({
                "kind": "APIResourceList", "groupVersion": gv, "resources": resources
            });
            if !name.is_empty() {
                // Kubernetes leaves it away for the core group only.
                list["apiVersion"] = "v1".into();
            }
            Ok(Response::json(200, &list))
        }
    }
}

fn group(name: &str, versions: &[(Name, Vec<Row>)]) -> Value {
    let list: Vec<Value> = versions
        .iter()
        .map(|(v, _)| json!({"groupVersion": format!("{name}/{v}"), "version": **v}))
        .collect();
    json!({"name": name, "versions": list, "preferredVersion": list.first()})
}

fn aggregate<'a>(groups: impl Iterator<Item = &'a Group>, v: &str) -> Response {
    let items: Vec<Value> = groups
        .map(|(name, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|(version, rows)| {
                    let resources: Vec<Value> = rows.iter().map(|r| discovered(r)).collect();
                    json!({"version": **version, "freshness": "Current", "resources": resources})
                })
                .collect();
            let meta = if name.is_empty() {
                json!({"creationTimestamp": null})
            } else {
                json!({"name": **name, "creationTimestamp": null})
            };
            json!({"metadata": meta, "versions": versions})
        })
        .collect();
    let body = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{v}"),
        "metadata": {}, "items": items
    });
    Response {
        // kubectl falls back to legacy discovery without these parameters.
        content_type: format!(
            "application/json;g=apidiscovery.k8s.io;v={v};as=APIGroupDiscoveryList"
        ),
        ..Response::json(200, &body)
    }
}

fn discovered(row: &Resource) -> Value {
    let subs: Vec<Value> = row
        .subresources
        .iter()
        .map(|s| {
            let (group, version) =
                s.group_version.clone().unwrap_or_else(|| ("".into(), "".into()));
            json!({
                "subresource": *s.name, "verbs": s.verbs,
                "responseKind": {"group": *group, "version": *version, "kind": *s.kind},
            })
        })
        .collect();
    // An empty group and version stand for those of the list around it.
    let mut out = json!({
        "resource": *row.plural,
        "responseKind": {"group": "", "version": "", "kind": *row.kind},
        "scope": if row.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": *row.singular,
        "verbs": row.verbs,
    });
    for (field, list) in [("shortNames", &row.short_names), ("categories", &row.categories)] {
        if !list.is_empty() {
            out[field] = json!(list);
        }
    }
    if !subs.is_empty() {
        out["subresources"] = subs.into();
    }
    out
}

fn legacy(row: &Resource) -> Vec<Value> {
    let mut main = json!({
        "name": *row.plural, "singularName": *row.singular, "namespaced": row.namespaced,
        "kind": *row.kind, "verbs": row.verbs,
    });
    for (field, list) in [("shortNames", &row.short_names), ("categories", &row.categories)] {
        if !list.is_empty() {
            main[field] = json!(list);
        }
    }
    if row.verbs.iter().any(|v| v == "list") && row.plural != "componentstatuses" {
        main["storageVersionHash"] = storage_hash(row).into();
    }
    let mut out = vec![main];
    for s in &row.subresources {
        let mut sub = json!({
            "name": format!("{}/{}", row.plural, s.name), "singularName": "",
            "namespaced": row.namespaced, "kind": *s.kind, "verbs": s.verbs,
        });
        if let Some((group, version)) = &s.group_version {
            sub["group"] = group.as_ref().into();
            sub["version"] = version.as_ref().into();
        }
        out.push(sub);
    }
    out
}

/// `StorageVersionHash` of `apiserver/pkg/endpoints/discovery/storageversionhash.go`.
fn storage_hash(row: &Resource) -> String {
    let (group, version) = match (&*row.group, &*row.plural) {
        ("events.k8s.io", _) => ("", "v1"),
        ("autoscaling", _) => ("autoscaling", "v2"),
        (group, _) => (group, &*row.version),
    };
    let digest = Sha256::digest(format!("{group}/{version}/{}", row.kind));
    STANDARD.encode(&digest[..8])
}
