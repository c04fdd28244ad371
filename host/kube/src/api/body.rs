//! Bodies: JSON or YAML to canonical objects, as strict as the client wants.

use serde_json::Value;

use super::request::Request;
use super::route::Target;
use crate::schema::{self, decode, parse};
use crate::store::{Error, Resource};

fn media_type(request: &Request) -> &str {
    request.content_type.split(';').next().unwrap_or("").trim()
}

/// The body as JSON, whatever its notation, and its duplicate fields.
pub(super) fn document(request: &Request) -> Result<parse::Document, Error> {
    match media_type(request) {
        "" | "application/json" | "*/*" => parse::json(&request.body),
        "application/yaml" | "application/x-yaml" => parse::yaml(&request.body),
        "application/vnd.kubernetes.protobuf" => super::protobuf::decode(&request.body)
            .map(|value| parse::Document { value, duplicates: Vec::new() }),
        _ => {
            return Err(Error::new(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
            ));
        }
    }
    .map_err(Error::bad_request)
}

/// The body as an object of the target's kind, and warnings.
pub(super) fn object(request: &Request, t: &Target) -> Result<(Value, Vec<String>), Error> {
    let sub = t.row.subresource(&t.sub);
    let kind = sub.map_or(&t.row.kind, |s| &s.kind).to_string();
    let (group, in_version) = match sub.and_then(|s| s.group_version.as_ref()) {
        Some((group, version)) => (group.to_string(), version.to_string()),
        None => (t.row.group.to_string(), t.row.version.to_string()),
    };
    let document = document(request).map_err(|mut e| {
        if e.code == 400 {
            let text: String = String::from_utf8_lossy(&request.body).chars().take(256).collect();
            e.message = format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {} ({text})",
                e.message
            );
        }
        e
    })?;
    let parse::Document { mut value, duplicates } = document;
    let given = value["kind"].as_str().unwrap_or("").to_string();
    let version = value["apiVersion"].as_str().unwrap_or("").to_string();
    let wanted =
        if group.is_empty() { in_version.clone() } else { format!("{group}/{in_version}") };
    if !given.is_empty() && given != kind {
        return Err(Error::bad_request(format!(
            "{given} in version {version:?} cannot be handled as a {kind}: converting ({}.{given}) to ({kind}): unknown conversion",
            version.rsplit('/').next().unwrap_or("")
        )));
    }
    if !version.is_empty() && version != wanted {
        return Err(Error::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({wanted})"
        )));
    }
    let warnings = match (sub, &t.row.custom) {
        (None, Some(_)) => custom(request, &t.row, &mut value, duplicates)?,
        (Some(sub), Some(_)) if sub.name == "status" => {
            custom(request, &t.row, &mut value, duplicates)?
        }
        _ => canonical(request, (&group, &in_version, &kind), &mut value, duplicates)?,
    };
    Ok((value, warnings))
}

/// Brings `value` into its schema's shape; says what was dropped, as `fieldValidation` wants.
pub(super) fn canonical(
    request: &Request,
    (group, version, kind): (&str, &str, &str),
    value: &mut Value,
    duplicates: Vec<String>,
) -> Result<Vec<String>, Error> {
    let handled = |why: String| {
        Error::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: {why}"
        ))
    };
    let Some(definition) = schema::kind(group, version, kind) else {
        return Ok(Vec::new());
    };
    let unknown = decode::decode(value, definition, kind).map_err(handled)?;
    complain(request, unknown, duplicates, handled)
}

/// Brings an object of a custom kind into its schema's shape.
pub(super) fn custom(
    request: &Request,
    row: &Resource,
    value: &mut Value,
    duplicates: Vec<String>,
) -> Result<Vec<String>, Error> {
    let handled = |why: String| {
        Error::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {why}",
            row.kind, row.version, row.kind
        ))
    };
    let unknown = row.prune(value).map_err(handled)?;
    let mut warnings = complain(request, unknown, duplicates, handled)?;
    warnings.extend(row.version_of_custom().and_then(|v| v.warning.clone()));
    Ok(warnings)
}

/// What of a body was dropped, as `fieldValidation` wants it said.
fn complain(
    request: &Request,
    unknown: Vec<String>,
    duplicates: Vec<String>,
    handled: impl Fn(String) -> Error,
) -> Result<Vec<String>, Error> {
    // YAML is looked through before it is decoded, JSON while it is.
    let (mut complaints, in_json): (Vec<String>, Vec<String>) =
        duplicates.into_iter().partition(|said| said.starts_with("yaml: "));
    complaints.extend(unknown.iter().map(|f| format!("unknown field {f:?}")));
    complaints.extend(in_json);
    match request.param("fieldValidation") {
        "Ignore" => Ok(Vec::new()),
        "" | "Warn" => Ok(complaints),
        "Strict" if complaints.is_empty() => Ok(Vec::new()),
        "Strict" => Err(handled(format!("strict decoding error: {}", complaints.join(", ")))),
        other => {
            let e = crate::store::FieldError::not_supported(
                "fieldValidation",
                other,
                &["", "Ignore", "Strict", "Warn"],
            );
            Err(Error::invalid("CreateOptions", "meta.k8s.io", "", &[e]))
        }
    }
}
