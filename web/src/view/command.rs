//! What people do to a world, as calls to the server.

use serde_json::{Value, json};

use crate::api::{self, Failure};
use crate::i18n::{Texts, fill};
use crate::model::touch::Call;
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

/// Does something to a thing of a world.
///
/// # Errors
/// As [`api::call`], and what the API server says.
pub async fn touch(world: String, call: Call) -> Result<(), Failure> {
    match call {
        Call::Fault(body) => {
            api::call("POST", &format!("/api/worlds/{world}/faults"), Some(body)).await.map(|_| ())
        }
        Call::Kube(method, path, kind, body) => {
            let body = (!body.is_null()).then(|| body.to_string());
            let at = format!("/api/worlds/{world}/kube{path}");
            refused(api::kube(method, &at, kind, body.as_deref()).await?)
        }
        Call::Drain(node, pods) => {
            let cordon = json!({"spec": {"unschedulable": true}}).to_string();
            let at = format!("/api/worlds/{world}/kube/api/v1/nodes/{node}");
            let kind = "application/merge-patch+json";
            refused(api::kube("PATCH", &at, kind, Some(&cordon)).await?)?;
            for (namespace, pod) in pods {
                let body = json!({
                    "apiVersion": "policy/v1", "kind": "Eviction",
                    "metadata": {"name": pod, "namespace": namespace},
                });
                let at = format!(
                    "/api/worlds/{world}/kube/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
                );
                let answer =
                    api::kube("POST", &at, "application/json", Some(&body.to_string())).await?;
                // A pod that has gone by itself need not go.
                if answer.0 != 404 {
                    refused(answer)?;
                }
            }
            Ok(())
        }
    }
}

/// What the API server says against something.
fn refused((status, answer): (u16, Value)) -> Result<(), Failure> {
    if status < 300 {
        return Ok(());
    }
    let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    Err(Failure { reason: word("reason"), message: word("message"), remedy: String::new() })
}

/// Sends a request into a world from outside and waits for the answer; returns what is to be told.
///
/// # Errors
/// As [`api::call`].
pub async fn send(t: &'static Texts, world: String, to: String) -> Result<Option<String>, Failure> {
    let status = api::status(&format!("/api/worlds/{world}/proxy/{to}/")).await?;
    Ok(Some(fill(t.did_answer, &[&to, &status])))
}
