//! What people do to a world, as calls to the server.

use serde_json::{Value, json};

use crate::api::{self, Failure};
use crate::i18n::{Texts, fill};
use crate::session::MAX;

/// How many events each span of time holds, as far as the server tells.
pub async fn density(world: &str) -> Vec<u32> {
    // Where to begin is a matter of comfort: without an answer the stream begins at 1.
    let answer =
        api::call("GET", &format!("/api/worlds/{world}/density"), None).await.unwrap_or_default();
    let counts = answer["counts"].as_array().map(Vec::as_slice).unwrap_or_default();
    counts.iter().map(|n| n.as_u64().unwrap_or(0) as u32).collect()
}

/// The pattern of a world, with its lesson; null for a world without one.
pub async fn pattern(pattern: String, world: &str) -> Value {
    let pattern = if pattern.is_empty() {
        let world =
            api::call("GET", &format!("/api/worlds/{world}"), None).await.unwrap_or_default();
        world["pattern"].as_str().unwrap_or_default().to_owned()
    } else {
        pattern
    };
    if pattern.is_empty() {
        return Value::Null;
    }
    api::call("GET", &format!("/api/patterns/{pattern}"), None).await.unwrap_or_default()
}

fn seconds(ns: u64) -> String {
    format!("{}.{:09}s", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// What is asked of a world's clock: its speed in thousandths ([`MAX`] for as fast as possible).
pub fn speed(speed: u32) -> Value {
    json!({"speed": if speed == MAX { json!("max") } else { json!(f64::from(speed) / 1000.0) }})
}

/// One event further.
pub fn step() -> Value {
    json!({"step": "event"})
}

/// Back to an instant, in ns.
pub fn seek(at: u64) -> Value {
    json!({"seek": seconds(at)})
}

/// A second world that goes on from an instant, in ns.
pub fn fork(at: u64) -> Value {
    json!({"fork": seconds(at)})
}

/// Asks something of a world's clock.
///
/// # Errors
/// As [`api::call`].
pub async fn time(world: String, body: Value) -> Result<Value, Failure> {
    api::call("POST", &format!("/api/worlds/{world}/time"), Some(body)).await
}

/// Breaks or mends something; returns what is to be told.
///
/// # Errors
/// As [`api::call`].
pub async fn fault(
    t: &'static Texts,
    world: String,
    kind: &'static str,
    target: String,
) -> Result<Option<String>, Failure> {
    let said = match kind {
        "kill" => t.did_kill,
        "pause" => t.did_pause,
        _ => t.did_resume,
    };
    let name = target.split_once('/').map_or(target.as_str(), |(_, name)| name);
    let said = fill(said, &[name]);
    let body = json!({"kind": kind, "target": target});
    api::call("POST", &format!("/api/worlds/{world}/faults"), Some(body)).await?;
    Ok(Some(said))
}

/// Sends a request into a world from outside and waits for the answer; returns what is to be told.
///
/// # Errors
/// As [`api::call`].
pub async fn send(t: &'static Texts, world: String, to: String) -> Result<Option<String>, Failure> {
    let status = api::status(&format!("/api/worlds/{world}/proxy/{to}/")).await?;
    Ok(Some(fill(t.did_answer, &[&to, &status])))
}
