//! What the server offers, as kubectl asks for it: aggregated and legacy discovery, version, health.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::request::Request;
use super::response::Response;
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

type Groups = BTreeMap<Name, BTreeMap<Name, Vec<Row>>>;

fn groups(store: &Store) -> Groups {
    let mut out = Groups::new();
    for row in store.rows() {
        out.entry(row.group.clone()).or_default().entry(row.version.clone()).or_default().push(row);
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
            let versions =
                groups.get(*name).filter(|_| !name.is_empty()).ok_or_else(Error::no_such_path)?;
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
            let rows =
                groups.get(name).and_then(|v| v.get(version)).ok_or_else(Error::no_such_path)?;
            let gv = rows.first().map(|r| r.api_version()).unwrap_or_default();
            let resources: Vec<Value> = rows.iter().flat_map(|r| legacy(r)).collect();
            Ok(Response::json(
                200,
                &json!({
                    "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": gv, "resources": resources
                }),
            ))
        }
    }
}

fn group(name: &str, versions: &BTreeMap<Name, Vec<Row>>) -> Value {
    let list: Vec<Value> = versions
        .keys()
        .map(|v| json!({"groupVersion": format!("{name}/{v}"), "version": **v}))
        .collect();
    json!({"name": name, "versions": list, "preferredVersion": list.first()})
}

fn aggregate<'a>(
    groups: impl Iterator<Item = (&'a Name, &'a BTreeMap<Name, Vec<Row>>)>,
    v: &str,
) -> Response {
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
    let mut out = vec![main];
    for s in &row.subresources {
        out.push(json!({
            "name": format!("{}/{}", row.plural, s.name), "singularName": "",
            "namespaced": row.namespaced, "kind": *s.kind, "verbs": s.verbs,
        }));
    }
    out
}
