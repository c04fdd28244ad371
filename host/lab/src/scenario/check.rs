//! What must hold: a scenario's checks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Text;
use super::span::Span;
use crate::checker::Checker;
use crate::expression::Expression;

/// Something that must hold. Exactly one of `eventually`, `always`, `never`, `finally`, `count` and
/// `sometimes` says what.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Check {
    /// A short name, unique in the scenario.
    pub name: String,
    /// What it means, for people.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
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
