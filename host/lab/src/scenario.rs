//! The scenario format.
//!
//! A scenario starts a world, does things to it step by step, and states what must hold. It is
//! YAML; `podlab schema scenario` prints a JSON Schema for editors.

use std::fmt;
use std::time::Duration;

use podlab_world::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checker::Checker;
use crate::expression::Expression;
use crate::vocabulary::meant;

/// A text in both languages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    pub en: String,
    /// Japanese.
    pub ja: String,
}

/// A scenario: what is done to a world, and what must hold.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scenario {
    /// What it is called.
    pub title: Text,
    /// The claim that it proves.
    #[serde(default)]
    pub claim: Text,
    /// The cluster, where it is not the usual one.
    #[serde(default)]
    pub world: ClusterSpec,
    /// Manifests of the pattern that are applied at the beginning, in this order.
    #[serde(default)]
    pub apply: Vec<String>,
    /// What is done, one after the other.
    pub steps: Vec<Step>,
    /// What must hold.
    pub checks: Vec<Check>,
    /// The scenario has failed if its steps are not through after this long, in virtual time.
    #[serde(default = "ten_minutes")]
    pub timeout: Span,
    /// The file it was read from, for messages.
    #[serde(skip)]
    pub file: String,
}

/// The cluster of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ClusterSpec {
    /// How many nodes (1 to 50).
    pub nodes: u32,
    /// How many cores each has (1 to 64).
    pub cores: u32,
}

impl Default for ClusterSpec {
    fn default() -> ClusterSpec {
        ClusterSpec { nodes: 3, cores: 4 }
    }
}

fn ten_minutes() -> Span {
    Span(Duration::from_secs(600))
}

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

/// See [`Step::Patch`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Patch {
    /// "Pod".
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// What changes (RFC 7386: null removes a field).
    pub merge: serde_json::Value,
}

/// See [`Step::Scale`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scale {
    /// "ReplicaSet".
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// How many.
    pub replicas: u32,
}

/// See [`Step::Tcp`]. Checks find the answer as that of any request; `ok` says that it came.
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
    #[serde(default = "five_seconds")]
    pub timeout: Span,
}

/// See [`Step::Repeat`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Repeat {
    /// How often (1 to 10000).
    pub times: u32,
    /// What.
    pub steps: Vec<Step>,
}

/// See [`Step::OneOf`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OneOf {
    /// What is chosen: the name of its random stream.
    pub name: String,
    /// Between what. An empty list does nothing.
    pub choices: Vec<Vec<Step>>,
}

/// See [`Step::Faults`]. Spans count from this step.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FaultBudget {
    /// What may break.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget: Vec<FaultKind>,
    /// What breaks when: what a budget came to under some seed, or written by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<PlannedFault>,
    /// Nothing breaks before.
    #[serde(default = "at_once")]
    pub from: Span,
    /// Nothing breaks after; what is broken then is mended when its time comes.
    pub until: Span,
}

fn at_once() -> Span {
    Span(Duration::ZERO)
}

/// One line of a [`FaultBudget`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FaultKind {
    /// The faults to choose from: one kind with several targets, for example.
    pub any_of: Vec<Fault>,
    /// How often on average (a Poisson process).
    pub per_minute: f64,
    /// How often at most.
    #[serde(default = "ten")]
    pub at_most: u32,
    /// How long it lasts, for faults that can end.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<Between>,
}

fn ten() -> u32 {
    10
}

/// From `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Between {
    /// The shortest.
    pub min: Span,
    /// The longest.
    pub max: Span,
}

/// A fault with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PlannedFault {
    /// When it begins, counted from the step.
    pub at: Span,
    /// What breaks. That there is no such target then is no error.
    pub fault: Fault,
    /// After how long it is mended.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// See [`Step::Recover`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Recover {
    /// What must hold.
    pub until: Expression,
    /// How soon.
    #[serde(default = "one_minute")]
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
    #[serde(default = "default_namespace")]
    pub namespace: String,
}

fn default_namespace() -> String {
    "default".into()
}

/// See [`Step::Wait`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Wait {
    /// What must hold.
    pub until: Expression,
    /// For how long to wait at most.
    #[serde(default = "one_minute")]
    pub within: Span,
}

fn one_minute() -> Span {
    Span(Duration::from_secs(60))
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
    #[serde(default = "slash")]
    pub path: String,
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// Headers beside Host, Content-Length and Connection.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// How long to wait for the answer.
    #[serde(default = "five_seconds")]
    pub timeout: Span,
}

fn slash() -> String {
    "/".into()
}

fn get() -> String {
    "GET".into()
}

fn five_seconds() -> Span {
    Span(Duration::from_secs(5))
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

/// See [`Step::FaultFor`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FaultFor {
    /// What breaks. It must be a fault that can end.
    pub fault: Fault,
    /// After how long it is mended.
    #[serde(rename = "for")]
    pub duration: Span,
}

/// Something that must hold. Exactly one of `eventually`, `always`, `never`, `finally`, `count` and
/// `sometimes` says what.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Check {
    /// A short name, unique in the scenario.
    pub name: String,
    /// What it means, for people.
    #[serde(default)]
    pub means: Text,
    /// Must hold at some instant of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eventually: Option<Expression>,
    /// Must hold at every instant of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub always: Option<Expression>,
    /// Must hold at no instant of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never: Option<Expression>,
    /// Must hold when the steps are through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finally: Option<Expression>,
    /// Must hold at some instant of the window under at least one seed: a goal without which what
    /// passes may pass in vain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sometimes: Option<Expression>,
    /// A ready-made checker over what happens in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checker: Option<Checker>,
    /// So many events must match `on` in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<Count>,
    /// Look at events only where this holds; the event is `event`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Expression>,
    /// The window begins at this mark; without it at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The window ends at this mark; without it at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The window ends this long after it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}

/// How many events there must be: both bounds count as within.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Count {
    /// Not fewer than this.
    #[serde(default)]
    pub at_least: u64,
    /// Not more than this; without it any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
}

/// A span of virtual time, written `250ms`, `5s`, `1m30s`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// Reads `1m30s`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Span, String> {
        let wrong =
            || format!("{text:?} is not a span of time: write for example 250ms, 5s or 1m30s");
        let mut total = Duration::ZERO;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        if rest.starts_with('-') {
            return Err(format!("{text:?} is negative: time runs forward only"));
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
            let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let seconds = match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" => 1e-6,
                "ns" => 1e-9,
                _ => return Err(wrong()),
            };
            rest = &rest[unit..];
            let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
            total = total.checked_add(part).ok_or_else(wrong)?;
        }
        Ok(Span(total))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Span, D::Error> {
        let text = String::deserialize(d)?;
        Span::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^([0-9]+(\.[0-9]+)?(h|m|s|ms|us|ns))+$",
            "examples": ["250ms", "5s", "1m30s"],
        })
    }
}

/// Why a scenario cannot be used: where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {message}", .line.map(|l| format!(":{l}")).unwrap_or_default())]
pub struct ScenarioError {
    /// The file.
    pub file: String,
    /// The line, from 1, where it is known.
    pub line: Option<u64>,
    /// What is wrong, with the field.
    pub message: String,
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// With file, line and field.
    pub fn parse(file: &str, text: &str) -> Result<Scenario, ScenarioError> {
        let mut scenario: Scenario = read_yaml(file, text)?;
        scenario.file = file.into();
        scenario.validate().map_err(|(needle, message)| ScenarioError {
            file: file.into(),
            line: line_of(text, &needle),
            message,
        })?;
        Ok(scenario)
    }

    /// What the types alone do not say. The first value is a text to find the line by.
    fn validate(&self) -> Result<(), (String, String)> {
        let steps = all_steps(&self.steps);
        let marks: Vec<&str> = steps
            .iter()
            .filter_map(|s| if let Step::Mark(m) = s { Some(m.as_str()) } else { None })
            .collect();
        let loads: Vec<&str> = steps
            .iter()
            .filter_map(
                |s| if let Step::Load(l) = s { Some(l.request.name.as_str()) } else { None },
            )
            .collect();
        if !(1..=50).contains(&self.world.nodes) || !(1..=64).contains(&self.world.cores) {
            return Err((
                "world".into(),
                "world: a cluster has 1 to 50 nodes of 1 to 64 cores".into(),
            ));
        }
        for step in steps.iter().copied() {
            match step {
                Step::Load(l) if !(l.rate > 0.0 && l.rate <= 100_000.0) => {
                    return Err((
                        "rate:".into(),
                        format!(
                            "load.rate is {}: it must be above 0 and at most 100000 requests a second",
                            l.rate
                        ),
                    ));
                }
                Step::Join(name) if !loads.contains(&name.as_str()) => {
                    return Err((
                        name.clone(),
                        format!("join names the load {name:?}, but there are only {loads:?}"),
                    ));
                }
                Step::FaultFor(f) if f.fault.end().is_none() => {
                    return Err((
                        "faultFor".into(),
                        format!(
                            "faultFor needs a fault that can end; {} happens once: write it under `fault`",
                            f.fault.name()
                        ),
                    ));
                }
                Step::Load(l)
                    if l.profile.is_some_and(|p| match p {
                        Profile::Ramp { to } => !(to > 0.0 && to <= 100_000.0),
                        Profile::Burst { size } => !(1..=10_000).contains(&size),
                    }) =>
                {
                    return Err((
                        "profile:".into(),
                        "load.profile: a ramp goes to a rate above 0, at most 100000; a burst has 1 to 10000 requests".into(),
                    ));
                }
                Step::Repeat(r) if !(1..=10_000).contains(&r.times) => {
                    return Err((
                        "times:".into(),
                        format!("repeat.times is {}: it must be from 1 to 10000", r.times),
                    ));
                }
                Step::OneOf(o) if o.choices.is_empty() => {
                    return Err((o.name.clone(), "oneOf.choices is empty".into()));
                }
                Step::Faults(f) => f.check().map_err(|m| ("faults".into(), m))?,
                _ => {}
            }
        }
        let requests: Vec<&str> = steps
            .iter()
            .filter_map(|s| match s {
                Step::Request(r) => Some(r.name.as_str()),
                Step::Load(l) => Some(l.request.name.as_str()),
                Step::Tcp(r) => Some(r.name.as_str()),
                _ => None,
            })
            .collect();
        // An answer that no step asks for never comes: whatever waits for it waits in vain.
        let unasked = |e: &Expression| {
            let name = e.arguments(&["requests", "last"]).find(|n| !requests.contains(n))?;
            let meant = meant(name, requests.iter().copied());
            Some(format!(
                "`{}`: no step makes a request named {name:?}{meant} The steps make {requests:?}",
                e.source().trim()
            ))
        };
        for step in steps.iter().copied() {
            let (Step::Wait(Wait { until, .. }) | Step::Recover(Recover { until, .. })) = step
            else {
                continue;
            };
            let source = until.source();
            let needle = source.lines().next().unwrap_or(source).to_owned();
            if let Some(message) = unasked(until) {
                return Err((needle, format!("wait.until: {message}")));
            }
            if until.asks_event() {
                let message = "wait.until: `event` is known only to checks with `on`".into();
                return Err((needle, message));
            }
        }
        let mut names = std::collections::BTreeSet::new();
        for check in &self.checks {
            let at = |message: String| {
                (check.name.clone(), format!("check {:?}: {message}", check.name))
            };
            if !names.insert(&check.name) {
                return Err(at("there is another one of this name".into()));
            }
            let kinds =
                [&check.eventually, &check.always, &check.never, &check.finally, &check.sometimes];
            let forms = kinds.iter().filter(|k| k.is_some()).count();
            if forms + usize::from(check.count.is_some()) + usize::from(check.checker.is_some())
                != 1
            {
                return Err(at(
                    "needs exactly one of eventually, always, never, finally, sometimes, count, checker"
                        .into(),
                ));
            }
            if let Some(count) = check.count {
                if check.on.is_none() {
                    return Err(at("`count` counts events: say which ones with `on`".into()));
                }
                if count.at_most.is_some_and(|most| most < count.at_least)
                    || (count.at_least == 0 && count.at_most.is_none())
                {
                    return Err(at("`count` needs atLeast, atMost or both, and atLeast must not \
                                   be more than atMost"
                        .into()));
                }
            }
            if let Some(checker) = &check.checker {
                checker
                    .check(&requests)
                    .map_err(|m| at(format!("checker.{}: {m}", checker.name())))?;
                if check.on.is_some() {
                    return Err(at("a checker names its own events: it takes no `on`".into()));
                }
            }
            if kinds.into_iter().flatten().chain(&check.on).any(Expression::asks_request) {
                return Err(at("`request` is known only in checkers' sources".into()));
            }
            if check.finally.is_some() && (check.on.is_some() || check.within.is_some()) {
                return Err(at(
                    "`finally` looks once, at the end: it takes neither `on` nor `within`".into(),
                ));
            }
            for expression in kinds.into_iter().flatten().chain(&check.on) {
                if let Some(message) = unasked(expression) {
                    return Err(at(message));
                }
            }
            if check.on.is_none() && kinds.into_iter().flatten().any(Expression::asks_event) {
                return Err(at(
                    "`event` is known only where `on` says which events: add `on`".into()
                ));
            }
            for mark in check.after.iter().chain(&check.until) {
                if !marks.contains(&mark.as_str()) {
                    let meant = meant(mark, marks.iter().copied());
                    return Err(at(format!(
                        "there is no mark {mark:?}{meant} The steps set {marks:?}"
                    )));
                }
            }
        }
        if self.checks.is_empty() {
            return Err((
                "checks".into(),
                "checks: a scenario without checks proves nothing".into(),
            ));
        }
        Ok(())
    }

    /// The JSON Schema of the format.
    pub fn schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Scenario).to_value();
        if let Some(map) = schema.as_object_mut() {
            map.insert("title".into(), "Podlab scenario".into());
        }
        schema
    }
}

impl FaultBudget {
    fn check(&self) -> Result<(), String> {
        if self.from >= self.until {
            return Err("faults.until must be later than faults.from".into());
        }
        if self.budget.is_empty() && self.plan.is_empty() {
            return Err("faults needs a budget or a plan".into());
        }
        for kind in &self.budget {
            if kind.any_of.is_empty() {
                return Err("faults.budget.anyOf is empty: name the faults to choose from".into());
            }
            if !(kind.per_minute > 0.0 && kind.per_minute <= 6000.0) {
                return Err(format!(
                    "faults.budget.perMinute is {}: it must be above 0 and at most 6000",
                    kind.per_minute
                ));
            }
            if let Some(Between { min, max }) = kind.duration
                && min > max
            {
                return Err(format!("faults.budget.for: {min} is longer than {max}"));
            }
            let lasting = kind.any_of.iter().find(|f| f.end().is_some());
            if let (Some(fault), None) = (lasting, kind.duration) {
                return Err(format!(
                    "faults.budget: {} lasts: say how long with `for: {{min: 1s, max: 5s}}`",
                    fault.name()
                ));
            }
        }
        Ok(())
    }

    /// What breaks when under the random stream `rng`.
    pub fn draw(&self, rng: &mut podlab_sim::Rng) -> Vec<PlannedFault> {
        let mut out = self.plan.clone();
        for kind in &self.budget {
            // A stream for each line, so that a change of one leaves the others alone.
            let mut rng = rng.split();
            let mut at = self.from.0.as_secs_f64();
            for _ in 0..kind.at_most {
                at += -(1.0 - rng.unit()).ln() * 60.0 / kind.per_minute;
                if at >= self.until.0.as_secs_f64() {
                    break;
                }
                let fault = &kind.any_of[rng.below(kind.any_of.len() as u64) as usize];
                let share = rng.unit();
                let duration = kind
                    .duration
                    .filter(|_| fault.end().is_some())
                    .map(|b| Span(millis(b.min.0 + (b.max.0 - b.min.0).mul_f64(share))));
                let at = Span(millis(Duration::from_secs_f64(at)));
                out.push(PlannedFault { at, fault: fault.clone(), duration });
            }
        }
        out.sort_by_key(|p| p.at);
        out
    }
}

/// Whole milliseconds, so that plans can be read and written.
fn millis(d: Duration) -> Duration {
    Duration::from_millis(d.as_millis() as u64)
}

/// Reads a YAML document strictly, within limits that no honest file reaches.
///
/// # Errors
/// With file and line.
pub fn read_yaml<T: serde::de::DeserializeOwned>(
    file: &str,
    text: &str,
) -> Result<T, ScenarioError> {
    if text.len() > 1 << 20 {
        let message = "the file is larger than 1 MiB".into();
        return Err(ScenarioError { file: file.into(), line: None, message });
    }
    serde_saphyr::from_str(text).map_err(|e| {
        let line = e.location().map(|l| l.line()).filter(|l| *l > 0);
        let mut message = e.without_snippet().to_string();
        // The place stands before the message already.
        if let Some(cut) = message.rfind(" at line ") {
            message.truncate(cut);
        }
        message += &meant_in(&message);
        ScenarioError { file: file.into(), line, message }
    })
}

/// What was meant in "unknown field `witin`, expected one of `until`, `within`".
fn meant_in(message: &str) -> String {
    let (Some(rest), Some((_, known))) =
        (message.strip_prefix("unknown "), message.split_once("expected "))
    else {
        return String::new();
    };
    let Some(word) = rest.split('`').nth(1) else { return String::new() };
    let known = known.trim_start_matches("one of ").split(", ").map(|k| k.trim_matches('`'));
    let meant = meant(word, known);
    if meant.ends_with('?') { meant } else { String::new() }
}

fn line_of(text: &str, needle: &str) -> Option<u64> {
    text.lines().position(|l| l.contains(needle)).map(|n| n as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
title: {en: T, ja: T}
steps:
  - wait: {until: \"ready('web')\", within: 5s}
  - mark: here
  - request: {name: page, to: \"web:80\"}
checks:
  - name: answered
    finally: last('page').ok
    after: here
";

    /// The error after replacing `from` by `to` in a scenario that is right.
    fn error(from: &str, to: &str) -> String {
        Scenario::parse("p/scenarios/s.yaml", GOOD).unwrap();
        assert!(GOOD.contains(from), "{from}");
        Scenario::parse("p/scenarios/s.yaml", &GOOD.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_name_file_line_field_and_what_was_meant() {
        let starts = |from, to, expected: &str| {
            let error = error(from, to);
            assert!(error.starts_with(expected), "{error}");
        };
        let file = "p/scenarios/s.yaml";
        starts("mark", "mrak", &format!("{file}:4: unknown variant `mrak`"));
        assert!(error("mark", "mrak").ends_with("did you mean \"mark\"?"));
        starts("within", "witin", &format!("{file}:3: unknown field `witin`"));
        assert!(error("within", "witin").ends_with("did you mean \"within\"?"));
        starts("5s", "5", &format!("{file}:3: \"5\" is not a span of time"));
        starts("5s", "-5s", &format!("{file}:3: \"-5s\" is negative"));
        starts(
            "ready('web')",
            "ready('web'",
            &format!("{file}:3: in the expression `ready('web'`"),
        );
        starts(
            "after: here",
            "after: hree",
            &format!(
                "{file}:7: check \"answered\": there is no mark \"hree\"; did you mean \"here\"?"
            ),
        );
        starts(
            "last('page')",
            "last('pag')",
            &format!(
                "{file}:7: check \"answered\": `last('pag').ok`: no step makes a request named \"pag\"; did you mean \"page\"?"
            ),
        );
        starts("ready('web')", "last('pgae').ok", &format!("{file}:3: wait.until: "));
        starts(
            "last('page').ok",
            "event.kind == 'log'",
            &format!("{file}:7: check \"answered\": `event` is known only"),
        );
        starts("finally: last", "often: last", &format!("{file}:8: unknown field `often`"));
        starts(
            "    finally: last('page').ok\n",
            "",
            &format!("{file}:7: check \"answered\": needs exactly one of"),
        );
        let counts =
            |bounds: &str| error("finally: last('page').ok", &format!("count: {{{bounds}}}"));
        assert!(counts("atLeast: 1").contains("say which ones with `on`"));
        assert!(counts("atLeast: 2, atMost: 1, most: 3").contains("unknown field `most`"));
        starts("  - mark: here", " - mark: here", &format!("{file}:"));
        assert!(!error("mark", "mrak").contains("at line"));
    }

    #[test]
    fn a_scenario_that_proves_nothing_is_refused() {
        let none = GOOD.split("checks:").next().unwrap().to_owned() + "checks: []\n";
        let error = Scenario::parse("s.yaml", &none).unwrap_err();
        assert_eq!(error.line, Some(6));
        assert!(error.message.contains("proves nothing"));
        assert!(read_yaml::<Scenario>("s.yaml", &" ".repeat((1 << 20) + 1)).is_err());
    }
}
