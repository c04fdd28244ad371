//! PATCH: JSON patch (RFC 6902), merge patch (RFC 7396), strategic merge patch.

use serde_json::Value;

use super::request::Request;
use super::response::Response;
use super::route::Target;
use super::{Api, body};
use crate::schema::{self, merge, parse};
use crate::store::object::{self, map_mut, meta_mut};
use crate::store::{Error, FieldError, Part, Resource, WriteOptions};

/// Kubernetes' own limit.
const OPERATIONS: usize = 10_000;
/// How much `copy` may make of an object, in JSON values.
const VALUES: usize = 200_000;

/// The media types of patches that say what changes.
const KNOWN: [&str; 3] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// `old` with the request's patch applied, in the shape of its kind, and warnings.
pub(super) fn document(
    request: &Request,
    old: &Value,
    group: &str,
    version: &str,
    kind: &str,
    custom: Option<&Resource>,
) -> Result<(Value, Vec<String>), Error> {
    let media = request.content_type.split(';').next().unwrap_or("").trim();
    if !KNOWN.contains(&media) {
        let mut e = Error::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
        e.details = Some(Box::default());
        return Err(e);
    }
    let patch = parse::json(&request.body).map_err(Error::bad_request)?;
    let mut new = Value::clone(old);
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
        _ if custom.is_some() => {
            return Err(Error::new(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            ));
        }
        _ => {
            let definition = schema::kind(group, version, kind);
            merge::strategic(&mut new, &patch.value, definition).map_err(Error::bad_request)?;
        }
    }
    let warnings = match custom {
        Some(row) => body::custom(request, row, &mut new, patch.duplicates)?,
        None => body::canonical(request, (group, version, kind), &mut new, patch.duplicates)?,
    };
    Ok((new, warnings))
}

/// The media type of server-side apply.
const APPLY: &str = "application/apply-patch+yaml";

impl Api {
    /// Server-side apply (`apiserver/pkg/endpoints/handlers/patch.go`, applyPatcher).
    fn apply(&self, request: &Request, t: &Target) -> Result<Response, Error> {
        if request.param("fieldManager").is_empty() {
            let e = FieldError::required("fieldManager", "is required for apply patch");
            return Err(Error::invalid("PatchOptions", "meta.k8s.io", "", &[e]));
        }
        let options = self.options(request, t)?;
        let document = parse::yaml(&request.body)
            .map_err(|why| Error::bad_request(format!("error decoding YAML: {why}")))?;
        let said = document.duplicates.iter();
        let mut warnings: Vec<String> =
            said.map(|why| format!("error converting YAML to JSON: {why}")).collect();
        match request.param("fieldValidation") {
            "Strict" if !warnings.is_empty() => {
                let why = warnings.join(", ");
                return Err(Error::bad_request(format!("error strict decoding YAML: {why}")));
            }
            "Ignore" => warnings.clear(),
            _ => {}
        }
        let mut config = document.value;
        if !config.is_object() {
            return Err(Error::bad_request(
                "error decoding YAML: json: cannot unmarshal patch into Go value of type map[string]interface {}",
            ));
        }
        let given = config["apiVersion"].as_str().unwrap_or("");
        let wanted = t.row.api_version();
        if given != wanted {
            return Err(Error::bad_request(format!(
                "Incorrect version specified in apply patch. Specified patch version: {given}, expected: {wanted}"
            )));
        }
        if config["kind"] != *t.row.kind {
            return Err(Error::bad_request(format!(
                "Incorrect kind specified in apply patch: {}, expected: {}",
                config["kind"].as_str().unwrap_or(""),
                t.row.kind
            )));
        }
        self.place(t, &mut config)?;
        match object::name(&config) {
            "" => {
                meta_mut(&mut config).insert("name".into(), t.name.as_str().into());
            }
            name if name != t.name => {
                return Err(Error::bad_request(format!(
                    "the name of the object ({name}) does not match the name on the URL ({})",
                    t.name
                )));
            }
            _ => {}
        }
        let part = match t.sub.as_str() {
            "" => Part::Main,
            "status" => Part::Status,
            _ => {
                let mut e = Error::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
                e.details = Some(Box::default());
                return Err(e);
            }
        };
        let config = t.inward(config);
        let force = request.flag("force");
        let old = self.store.get(&t.key, &t.namespace, &t.name);
        self.check_creates(request, t, old.is_some())?;
        if self.checks_grants(request, t) {
            // What it would become, since others own fields of it as well.
            let dry = WriteOptions { dry_run: true, ..options.clone() };
            let (new, _) = self.store.apply(&t.key, config.clone(), part, &dry, force)?;
            self.check_grant(request, t, &new, old.as_deref())?;
        }
        let (made, created) = self.store.apply(&t.key, config, part, &options, force)?;
        Ok(Response { warnings, ..self.show(request, t, if created { 201 } else { 200 }, &made) })
    }

    pub(super) fn patch(&self, request: &Request, t: &Target) -> Result<Response, Error> {
        let media = request.content_type.split(';').next().unwrap_or("").trim();
        if media == APPLY {
            return self.apply(request, t);
        }
        if !KNOWN.contains(&media) {
            let mut e = Error::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
            e.details = Some(Box::default());
            return Err(e);
        }
        if !request.param("force").is_empty() {
            let e = FieldError::forbidden("force", "may not be specified for non-apply patch");
            return Err(Error::invalid("PatchOptions", "meta.k8s.io", "", &[e]));
        }
        let stored = self.store.require(&t.key, &t.namespace, &t.name)?;
        let old = t.out(&stored);
        let custom = t.row.custom.is_some().then_some(&*t.row);
        let (mut new, warnings) =
            document(request, &old, &t.row.group, &t.row.version, &t.row.kind, custom)?;
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
            let e = FieldError::invalid("metadata.uid", object::uid(&new), "field is immutable");
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
