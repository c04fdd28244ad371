//! PATCH: JSON patch (RFC 6902), merge patch (RFC 7396), strategic merge patch.

use serde_json::Value;

use super::request::Request;
use super::response::Response;
use super::route::Target;
use super::{Api, body};
use crate::schema::{self, merge, parse};
use crate::store::Error;
use crate::store::object::{self, map_mut, meta_mut};

/// Kubernetes' own limit.
const OPERATIONS: usize = 10_000;
/// How much `copy` may make of an object, in JSON values.
const VALUES: usize = 200_000;

impl Api {
    pub(super) fn patch(&self, request: &Request, t: &Target) -> Result<Response, Error> {
        let media = request.content_type.split(';').next().unwrap_or("").trim();
        let key = t.row.qualified();
        let known = [
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
        ];
        if !known.contains(&media) {
            // Server-side apply belongs to the whole control plane and is not here yet.
            let mut e = Error::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
            e.details = Some(Box::default());
            return Err(e);
        }
        let patch = parse::json(&request.body).map_err(Error::bad_request)?;
        let old = self.store.require(&key, &t.namespace, &t.name)?;
        let mut new = Value::clone(&old);
        match media {
            "application/json-patch+json" => json_patch(&mut new, &patch.value)?,
            "application/merge-patch+json" => {
                if !patch.value.is_object() {
                    return Err(Error::bad_request(
                        "json: cannot unmarshal patch into Go value of type map[string]interface {}",
                    ));
                }
                json_patch::merge(&mut new, &patch.value);
            }
            _ => {
                let definition = schema::kind(&t.row.group, &t.row.version, &t.row.kind);
                merge::strategic(&mut new, &patch.value, definition).map_err(Error::bad_request)?;
            }
        }
        let warnings = body::canonical(request, t, &t.row.kind, &mut new, patch.duplicates)?;
        // What the patch says of these does not count, except for a resourceVersion to compare.
        let given = object::meta(&new, "resourceVersion").to_string();
        let map = map_mut(&mut new);
        map.insert("kind".into(), old["kind"].clone());
        map.insert("apiVersion".into(), old["apiVersion"].clone());
        if given.is_empty() {
            meta_mut(&mut new)
                .insert("resourceVersion".into(), object::meta(&old, "resourceVersion").into());
        }
        if object::uid(&new) != object::uid(&old) {
            let e = crate::store::FieldError::invalid(
                "metadata.uid",
                object::uid(&new),
                "field is immutable",
            );
            return Err(Error::invalid(&t.row.kind, &t.row.group, &t.name, &[e]));
        }
        let (status, made) = self.write(request, t, new)?;
        Ok(Response { warnings, ..self.show(request, t, status, &made) })
    }
}

pub(super) fn json_patch(target: &mut Value, patch: &Value) -> Result<(), Error> {
    let operations: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|e| Error::bad_request(format!("error decoding patch: {e}")))?;
    if operations.0.len() > OPERATIONS {
        return Err(Error::new(
            413,
            "RequestEntityTooLarge",
            format!(
                "The allowed maximum operations in a JSON patch is {OPERATIONS}, got {}",
                operations.0.len()
            ),
        ));
    }
    // Kubernetes does not say which operation failed.
    let refused = || {
        let mut e = Error::new(
            422,
            "Invalid",
            "the server rejected our request due to an error in our request",
        );
        e.details = Some(Box::default());
        e
    };
    for operation in operations.0 {
        let copies = matches!(operation, json_patch::PatchOperation::Copy(_));
        json_patch::patch(target, &[operation]).map_err(|_| refused())?;
        if copies && count(target, VALUES) == 0 {
            return Err(refused());
        }
    }
    Ok(())
}

/// What is left of `budget` after paying one for every value.
fn count(value: &Value, budget: usize) -> usize {
    let budget = budget.saturating_sub(1);
    match value {
        Value::Array(items) => {
            items.iter().fold(budget, |left, v| if left == 0 { 0 } else { count(v, left) })
        }
        Value::Object(map) => {
            map.values().fold(budget, |left, v| if left == 0 { 0 } else { count(v, left) })
        }
        _ => budget,
    }
}
