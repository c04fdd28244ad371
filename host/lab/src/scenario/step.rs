//! What a scenario does: its steps.

use podlab_world::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::{FaultBudget, FaultFor};
use super::span::{Span, five_seconds, is_five_seconds, is_one_minute, one_minute};
use crate::expression::Expression;

/// One thing that is done.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Step {
    /// Applies manifests of the pattern.
    Apply(Vec<String>),
    /// Deletes an object.
    Delete(ObjectRef),
    /// Waits this long.
    Sleep(Span),
    /// Waits until this long after the beginning.
    At(Span),
    /// Waits until something holds; the scenario fails if it does not in time.
    Wait(Wait),
    /// Gives this instant a name, for `after` and `until` of checks.
    Mark(String),
    /// Sends one HTTP request from outside the cluster and waits for the answer.
    Request(Request),
    /// Begins to send HTTP requests at a rate; goes on beside the steps that follow.
    Load(Load),
    /// Waits until a load has ended.
    Join(String),
    /// Breaks something, or mends it.
    Fault(Fault),
    /// Breaks something for a while; goes on beside the steps that follow.
    FaultFor(FaultFor),
    /// Changes an object by a merge patch.
    Patch(Patch),
    /// Sets the number of replicas.
    Scale(Scale),
    /// Sends a text over TCP from outside the cluster and waits for the answer.
    Tcp(TcpRequest),
    /// Does the same steps several times.
    Repeat(Repeat),
    /// Does one of several lists of steps; the seed says which.
    OneOf(OneOf),
    /// Breaks things at random within a budget; goes on beside the steps that follow.
    Faults(FaultBudget),
    /// Mends everything that is broken, and waits until something holds again.
    Recover(Recover),
}

/// A change of one object.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Patch {
    /// "Pod".
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    #[serde(default = "default_namespace", skip_serializing_if = "is_default_namespace")]
    pub namespace: String,
    /// What changes (RFC 7386: null removes a field).
    pub merge: serde_json::Value,
}

/// A new number of replicas for one object.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scale {
    /// "ReplicaSet".
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    #[serde(default = "default_namespace", skip_serializing_if = "is_default_namespace")]
    pub namespace: String,
    /// How many.
    pub replicas: u32,
}

/// A text sent over TCP from outside the cluster. Checks find the answer as that of any request;
/// `ok` says that it came.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TcpRequest {
    /// The name under which checks find the answer.
    pub name: String,
    /// `service.namespace:port`, or `pod/NAME:port`.
    pub to: String,
    /// What is sent.
    pub send: String,
    /// The answer is whole once it ends with this; without it, once the other side closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
    /// How long to wait for the answer.
    #[serde(default = "five_seconds", skip_serializing_if = "is_five_seconds")]
    pub timeout: Span,
}

/// Steps done several times.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Repeat {
    /// How often (1 to 10000).
    pub times: u32,
    /// What.
    pub steps: Vec<Step>,
}

/// Lists of steps of which the seed chooses one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OneOf {
    /// What is chosen: the name of its random stream.
    pub name: String,
    /// Between what. An empty list does nothing.
    pub choices: Vec<Vec<Step>>,
}

/// The end of all faults, and what must hold again after it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Recover {
    /// What must hold.
    pub until: Expression,
    /// How soon.
    #[serde(default = "one_minute", skip_serializing_if = "is_one_minute")]
    pub within: Span,
}

/// How the rate of a load changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Profile {
    /// From `rate` to this rate, evenly.
    Ramp {
        /// Requests a second at the end.
        to: f64,
    },
    /// So many at once, as often as `rate` asks for.
    Burst {
        /// How many at once.
        size: u32,
    },
}

impl Step {
    /// The steps inside this one.
    pub fn inside(&self) -> Vec<&Step> {
        match self {
            Step::Repeat(r) => r.steps.iter().collect(),
            Step::OneOf(o) => o.choices.iter().flatten().collect(),
            _ => Vec::new(),
        }
    }
}

/// All steps, those inside others too.
pub(crate) fn all_steps(steps: &[Step]) -> Vec<&Step> {
    let mut out = Vec::new();
    let mut open: Vec<&Step> = steps.iter().rev().collect();
    while let Some(step) = open.pop() {
        out.push(step);
        open.extend(step.inside().into_iter().rev());
    }
    out
}

/// An object of the control plane.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ObjectRef {
    /// "Pod".
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    #[serde(default = "default_namespace", skip_serializing_if = "is_default_namespace")]
    pub namespace: String,
}

fn default_namespace() -> String {
    "default".into()
}

/// What must hold before the next step begins.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Wait {
    /// What must hold.
    pub until: Expression,
    /// For how long to wait at most.
    #[serde(default = "one_minute", skip_serializing_if = "is_one_minute")]
    pub within: Span,
}

/// An HTTP request from outside the cluster.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// The name under which checks find the answer: `last("name")`, `requests("name")`.
    pub name: String,
    /// `service.namespace:port` (the namespace may be left out), or `pod-ip:port`.
    pub to: String,
    /// The path.
    #[serde(default = "slash", skip_serializing_if = "is_slash")]
    pub path: String,
    /// The method.
    #[serde(default = "get", skip_serializing_if = "is_get")]
    pub method: String,
    /// Headers beside Content-Length and Connection; `Host` is that of `to` unless it is given here.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub headers: std::collections::BTreeMap<String, String>,
    /// The body.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// How long to wait for the answer.
    #[serde(default = "five_seconds", skip_serializing_if = "is_five_seconds")]
    pub timeout: Span,
}

fn is_default_namespace(namespace: &str) -> bool {
    namespace == "default"
}

fn is_slash(path: &str) -> bool {
    path == "/"
}

fn is_get(method: &str) -> bool {
    method == "GET"
}

fn slash() -> String {
    "/".into()
}

fn get() -> String {
    "GET".into()
}

/// HTTP requests at a rate. Each is sent when it is due, whether or not those before it have
/// been answered (an open workload).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Load {
    /// What each request is.
    pub request: Request,
    /// Requests a second of virtual time.
    pub rate: f64,
    /// For how long.
    #[serde(rename = "for")]
    pub duration: Span,
    /// How the rate changes; without it, not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}
