//! `/openapi/v3`, as far as kubectl reads it: which kinds there are, how they merge, and that the
//! server validates fields, and what it all means.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::response::{Body, Response};
use crate::schema::{self, prose};
use crate::store::{Error, Row, Store};

/// `/openapi/v2`: kubectl turns to it only for kinds that v3 does not have, and reads nothing
/// but protobuf there. A document that says "2.0" and has no paths answers it truthfully.
pub(super) fn second() -> Response {
    Response {
        content_type: "application/com.github.proto-openapi.spec.v2.v1.0+protobuf".into(),
        ..Response::text(200, &b"\x0a\x032.0"[..])
    }
}

pub(super) fn get(store: &Store, rest: &[&str]) -> Result<Response, Error> {
    let rows = super::served::all(store);
    let path = |r: &Row| {
        if r.group.is_empty() {
            format!("api/{}", r.version)
        } else {
            format!("apis/{}/{}", r.group, r.version)
        }
    };
    let mut groups: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows {
        groups.entry(path(&row)).or_default().push(row);
    }
    if rest.is_empty() {
        let paths: Map<String, Value> = groups
            .into_iter()
            .map(|(path, rows)| {
                // Clients keep what has a hash for ever.
                let hash = match rows.iter().any(|r| r.custom.is_some()) {
                    true => store.version().to_string(),
                    false => packed(&path, &rows).1,
                };
                let url = format!("/openapi/v3/{path}?hash={hash}");
                (path, json!({"serverRelativeURL": url}))
            })
            .collect();
        // A real server leaves it to Go to guess the type.
        let index = json!({"paths": paths}).to_string();
        return Ok(Response::text(200, index));
    }
    let wanted = rest.join("/");
    let rows = groups.remove(&wanted).ok_or_else(Error::no_such_path)?;
    if rows.iter().any(|r| r.custom.is_some()) {
        return Ok(Response::json(200, &document(&wanted, &rows)));
    }
    let body = Body::Full(packed(&wanted, &rows).0);
    Ok(Response { body, ..Response::json(200, &Value::Null) })
}

/// The document of kinds that never change, and its hash; made once.
fn packed(path: &str, rows: &[Row]) -> (Bytes, String) {
    static MADE: Mutex<BTreeMap<String, (Bytes, String)>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().expect("nothing panics while it holds this");
    let entry = made.entry(path.to_owned()).or_insert_with(|| {
        let text = document(path, rows).to_string();
        let hash = Sha256::digest(&text).iter().take(16).map(|b| format!("{b:02X}")).collect();
        (text.into(), hash)
    });
    entry.clone()
}

fn document(base: &str, rows: &[Row]) -> Value {
    let mut names: BTreeSet<&'static str> = BTreeSet::new();
    let mut paths = Map::new();
    for row in rows {
        let gvk = json!({"group": *row.group, "version": *row.version, "kind": *row.kind});
        let definition = if row.custom.is_some() {
            reach("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", &mut names);
            custom_name(row)
        } else {
            let Some(name) = definition_name(row) else { continue };
            reach(name, &mut names);
            name.to_string()
        };
        let reference = json!({"$ref": format!("#/components/schemas/{definition}")});
        let parameters = json!([{
            "name": "fieldValidation", "in": "query", "schema": {"type": "string", "uniqueItems": true}
        }, {
            "name": "dryRun", "in": "query", "schema": {"type": "string", "uniqueItems": true}
        }]);
        let answer = json!({"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}});
        let operation = |action: &str, media: &[&str]| {
            let content: Map<String, Value> =
                media.iter().map(|m| ((*m).into(), json!({"schema": reference}))).collect();
            json!({
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": gvk,
                "parameters": parameters,
                "requestBody": {"content": content},
                "responses": answer,
            })
        };
        let scope = if row.namespaced { "namespaces/{namespace}/" } else { "" };
        let collection = format!("/{base}/{scope}{}", row.plural);
        paths.insert(collection.clone(), json!({"post": operation("post", &["*/*"])}));
        paths.insert(
            format!("{collection}/{{name}}"),
            json!({
                "get": {"x-kubernetes-action": "get", "x-kubernetes-group-version-kind": gvk, "responses": answer},
                "put": operation("put", &["*/*"]),
                "patch": operation("patch", if row.custom.is_some() { &PATCHES[..3] } else { &PATCHES }),
            }),
        );
    }
    let mut schemas: Map<String, Value> =
        names.iter().map(|n| ((*n).into(), definition(n, &schema::table()[*n]))).collect();
    for row in rows {
        if let Some(version) = row.version_of_custom() {
            schemas.insert(custom_name(row), custom_definition(row, &version.schema));
        }
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.32.13"},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// What a PATCH may be; custom kinds know no strategic one.
const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
    "application/strategic-merge-patch+json",
];

/// "com.example.stable.v1.CronTab".
fn custom_name(row: &Row) -> String {
    let mut parts: Vec<&str> = row.group.split('.').collect();
    parts.reverse();
    format!("{}.{}.{}", parts.join("."), row.version, row.kind)
}

fn custom_definition(row: &Row, schema: &Value) -> Value {
    let mut out = schema.clone();
    for (name, value) in [
        (
            "apiVersion",
            json!({"type": "string", "description": "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"}),
        ),
        (
            "kind",
            json!({"type": "string", "description": "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"}),
        ),
        (
            "metadata",
            json!({"description": "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
            "allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]}),
        ),
    ] {
        let map = crate::store::object::map_mut(&mut out);
        let properties = map.entry("properties").or_insert_with(|| json!({}));
        crate::store::object::map_mut(properties).insert(name.into(), value);
    }
    out["type"] = "object".into();
    out["x-kubernetes-group-version-kind"] =
        json!([{"group": *row.group, "version": *row.version, "kind": *row.kind}]);
    out
}

fn definition_name(row: &Row) -> Option<&'static str> {
    let wanted = schema::kind(&row.group, &row.version, &row.kind)?;
    let (name, _) = schema::table().as_object()?.iter().find(|(_, d)| std::ptr::eq(*d, wanted))?;
    Some(name)
}

fn reach(name: &'static str, names: &mut BTreeSet<&'static str>) {
    if !names.insert(name) {
        return;
    }
    for field in schema::table()[name]["fields"].as_object().into_iter().flatten().map(|(_, f)| f) {
        for target in [field, &field["items"], &field["map"], &field["items"]["map"]] {
            if let Some(reference) = target["ref"].as_str() {
                reach(reference, names);
            }
        }
    }
}

fn definition(name: &str, d: &Value) -> Value {
    let mut out = Map::new();
    let say = |out: &mut Map<String, Value>, prose: Option<&str>| {
        if let Some(prose) = prose {
            out.insert("description".into(), prose.into());
        }
    };
    say(&mut out, prose::of(name));
    if let Some(fields) = d["fields"].as_object() {
        out.insert("type".into(), "object".into());
        let properties: Map<String, Value> = fields
            .iter()
            .map(|(k, f)| {
                let mut out = property(f);
                say(&mut out, prose::field(name, k));
                (k.clone(), out.into())
            })
            .collect();
        out.insert("properties".into(), properties.into());
    }
    for key in ["type", "format", "oneOf", "required"] {
        if let Some(v) = d.get(key) {
            out.insert(key.into(), v.clone());
        }
    }
    if let Some(gvks) = d["gvk"].as_array() {
        let list: Vec<Value> = gvks
            .iter()
            .filter_map(|g| {
                let mut parts = g.as_str()?.split('/');
                Some(json!({"group": parts.next()?, "version": parts.next()?, "kind": parts.next()?}))
            })
            .collect();
        out.insert("x-kubernetes-group-version-kind".into(), list.into());
    }
    Value::Object(out)
}

fn property(f: &Value) -> Map<String, Value> {
    let mut out = Map::new();
    if let Some(reference) = f["ref"].as_str() {
        out.insert("allOf".into(), json!([{"$ref": format!("#/components/schemas/{reference}")}]));
    }
    for key in ["type", "format", "default", "enum"] {
        if let Some(v) = f.get(key) {
            out.insert(key.into(), v.clone());
        }
    }
    if let Some(items) = f.get("items") {
        out.insert("items".into(), property(items).into());
    }
    if let Some(of) = f.get("map") {
        out.insert("additionalProperties".into(), property(of).into());
    }
    for key in ["list-type", "list-map-keys", "map-type", "patch-merge-key", "patch-strategy"] {
        if let Some(v) = f.get(key) {
            out.insert(format!("x-kubernetes-{key}"), v.clone());
        }
    }
    out
}
