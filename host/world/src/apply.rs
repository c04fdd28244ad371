//! Manifests: YAML documents that become requests to the world's own API server.

use podlab_kube::api::{Request, Response};
use serde_json::Value;

use crate::world::World;

impl World {
    /// Creates the objects of a manifest, or changes those that exist, in order. Each becomes
    /// an input. Returns "pod/web created" for each.
    ///
    /// # Errors
    /// A sentence with the document's number and what the API server says.
    pub fn apply(&mut self, manifest: &str) -> Result<Vec<String>, String> {
        let mut done = Vec::new();
        for (n, object) in documents(manifest)?.into_iter().enumerate() {
            let result = self.apply_object(&object);
            done.push(result.map_err(|e| format!("document {}: {e}", n + 1))?);
        }
        Ok(done)
    }

    /// Deletes an object, as an input.
    ///
    /// # Errors
    /// What the API server says.
    pub fn delete_object(&mut self, kind: &str, namespace: &str, name: &str) -> Result<(), String> {
        let (collection, _) = self.path_of(kind, None, namespace)?;
        let response = self.api(request("DELETE", &format!("{collection}/{name}"), "", Vec::new()));
        if response.status < 300 { Ok(()) } else { Err(message(&response)) }
    }

    /// Changes an object by a merge patch (RFC 7386), as an input.
    ///
    /// # Errors
    /// What the API server says.
    pub fn patch_object(
        &mut self,
        kind: &str,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<(), String> {
        let (collection, _) = self.path_of(kind, None, namespace)?;
        let body = serde_json::to_vec(patch).expect("a JSON value can be written");
        let path = format!("{collection}/{name}");
        let response = self.api(request("PATCH", &path, "application/merge-patch+json", body));
        if response.status < 300 { Ok(()) } else { Err(message(&response)) }
    }

    fn apply_object(&mut self, object: &Value) -> Result<String, String> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let kind = text("/kind").ok_or("it has no `kind`")?;
        let api_version = text("/apiVersion").ok_or("it has no `apiVersion`")?;
        let namespace = text("/metadata/namespace").unwrap_or("default");
        let (collection, resource) = self.path_of(kind, Some(api_version), namespace)?;
        let name = text("/metadata/name").unwrap_or("").to_owned();
        let body = serde_json::to_vec(object).expect("a JSON value can be written");
        let created = self.api(request("POST", &collection, "application/json", body.clone()));
        if created.status < 300 {
            return Ok(format!("{resource}/{name} created"));
        }
        if created.status != 409 || name.is_empty() {
            return Err(message(&created));
        }
        let path = format!("{collection}/{name}");
        let patched = self.api(request("PATCH", &path, "application/merge-patch+json", body));
        if patched.status < 300 {
            Ok(format!("{resource}/{name} configured"))
        } else {
            Err(message(&patched))
        }
    }

    /// The path of a kind's collection, and the resource's singular name.
    fn path_of(
        &self,
        kind: &str,
        api_version: Option<&str>,
        namespace: &str,
    ) -> Result<(String, String), String> {
        let rows = self.store().rows();
        let row = rows
            .iter()
            .find(|r| r.kind == kind && api_version.is_none_or(|v| r.api_version() == v))
            .ok_or_else(|| {
                let version = api_version.unwrap_or("any version");
                format!("no matches for kind {kind:?} in version {version:?}")
            })?;
        let api_version = row.api_version();
        let root = if api_version.contains('/') { "apis" } else { "api" };
        let plural = &row.plural;
        let path = if row.namespaced {
            format!("/{root}/{api_version}/namespaces/{namespace}/{plural}")
        } else {
            format!("/{root}/{api_version}/{plural}")
        };
        Ok((path, row.singular.to_string()))
    }
}

/// The path of the collection of a kind, such as `/api/v1/namespaces/default/pods`.
///
/// # Errors
/// A sentence, if the API server has no such kind.
pub fn collection(
    world: &World,
    kind: &str,
    api_version: &str,
    namespace: &str,
) -> Result<String, String> {
    world.path_of(kind, Some(api_version), namespace).map(|(path, _)| path)
}

/// The documents of a manifest as JSON; empty ones are left out.
///
/// # Errors
/// A sentence with the line.
pub fn documents(manifest: &str) -> Result<Vec<Value>, String> {
    let all: Vec<Value> = serde_saphyr::from_multiple(manifest).map_err(|e| {
        let line = e.location().map(|l| format!("line {}: ", l.line())).unwrap_or_default();
        format!("{line}{}", e.without_snippet())
    })?;
    Ok(all.into_iter().filter(|v| !v.is_null()).collect())
}

fn request(method: &str, path: &str, content_type: &str, body: Vec<u8>) -> Request {
    Request::new(method, path).with_body(content_type, body)
}

fn message(response: &Response) -> String {
    let podlab_kube::api::Body::Full(body) = &response.body else { return "no answer".into() };
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    parsed.as_ref().and_then(|v| v["message"].as_str()).map_or_else(
        || format!("status {}: {}", response.status, String::from_utf8_lossy(body)),
        str::to_owned,
    )
}
