//! Faults of scenarios: for a while, and at random within a budget.

use std::time::Duration;

use podlab_world::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::span::{Span, millis};

/// A fault that is mended after a while.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FaultFor {
    /// What breaks. It must be a fault that can end.
    pub fault: Fault,
    /// After how long it is mended.
    #[serde(rename = "for")]
    pub duration: Span,
}

/// Faults at random within a budget. Spans count from this step.
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
    #[serde(default = "at_once", skip_serializing_if = "is_at_once")]
    pub from: Span,
    /// Nothing breaks after; what is broken then is mended when its time comes.
    pub until: Span,
}

fn is_at_once(span: &Span) -> bool {
    *span == at_once()
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

impl FaultBudget {
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
