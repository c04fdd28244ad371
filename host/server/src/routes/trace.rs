//! `/api/worlds/{id}/trace`, `/density`, `/recording`: what happened, to take away.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use podlab_trace::log::DENSITY_BUCKET;
use podlab_trace::{Event, text};
use serde_json::{Value, json};

use super::{Answer, change, number, ok};
use crate::app::App;
use crate::error::ApiError;

/// How many events one answer holds at most.
const MAX_EVENTS: u64 = 10_000;

type Params = Query<Vec<(String, String)>>;

/// An event as JSON: its fields, and `summary` for people. Payloads are text where they are
/// UTF-8, else `{"base64": ...}`.
pub fn event_json(event: &Event) -> Value {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    if let Some(kind) = value.get_mut("kind").and_then(Value::as_object_mut) {
        for (_, fields) in kind.iter_mut() {
            for name in ["payload", "body"] {
                if let Some(bytes) = fields.get_mut(name) {
                    *bytes = payload(bytes);
                }
            }
        }
    }
    value["summary"] = json!(text::summary(&event.kind));
    value
}

/// serde writes bytes as an array of numbers, which nobody can read.
fn payload(bytes: &Value) -> Value {
    let Some(items) = bytes.as_array() else { return bytes.clone() };
    let raw: Vec<u8> = items.iter().filter_map(|b| u8::try_from(b.as_u64()?).ok()).collect();
    match String::from_utf8(raw) {
        Ok(text) => json!(text),
        Err(e) => json!({ "base64": base64(e.as_bytes()) }),
    }
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in bytes.chunks(3) {
        let n = part.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - part.len()));
        for i in 0..4 {
            let digit = DIGITS[(n >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= part.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// `GET /api/worlds/{id}/trace?from=SEQ&limit=N`
pub async fn lines(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(query): Params,
) -> Answer {
    let from = number(&query, "from", 1)?;
    let limit = number(&query, "limit", 1000)?;
    if limit > MAX_EVENTS {
        let remedy = format!(
            "Ask for at most {MAX_EVENTS}, then go on with from= the number after the last one."
        );
        return Err(ApiError::bad(format!("limit={limit} is too much"), remedy));
    }
    let trace = app.world(&id)?.view().trace;
    let mut out = String::new();
    for event in trace.read(from, usize::try_from(limit).unwrap_or(usize::MAX)) {
        out.push_str(&event_json(&event).to_string());
        out.push('\n');
    }
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], out).into_response())
}

/// `GET /api/worlds/{id}/density`
pub async fn density(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer {
    let trace = app.world(&id)?.view().trace;
    ok(json!({ "bucketNanos": DENSITY_BUCKET, "counts": trace.density() }))
}

/// `GET /api/worlds/{id}/recording`
pub async fn recording(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer {
    let name = format!("attachment; filename=\"{id}.plrec\"");
    let bytes = change(&app, &id, |live| live.export().map(|r| r.encode())).await?;
    Response::builder()
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_DISPOSITION, name)
        .body(Body::from(bytes))
        .map_err(|e| ApiError::internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn payloads_are_readable() {
        assert_eq!(payload(&json!([104, 105])), json!("hi"));
        assert_eq!(payload(&json!([255, 0])), json!({ "base64": "/wA=" }));
    }
}
