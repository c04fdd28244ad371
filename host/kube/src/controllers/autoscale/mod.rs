//! The HorizontalPodAutoscaler (`pkg/controller/podautoscaler/horizontal.go` of 1.32).
//!
//! # Layout
//! - `replicas`: how many a metric asks for; `series`: metrics that programs tell of themselves;
//!   `rules`: how fast the scale may change

mod replicas;
mod rules;
mod series;

use std::collections::BTreeMap;
use std::time::Duration;

use podlab_sim::Time;
use podlab_trace::Verb;
use serde_json::{Value, json};

use self::replicas::{Answer, Target, Wanted};
use self::rules::Memory;
use self::series::Standing;
use super::{Context, Controller, Key, Next};
use crate::events::About;
use crate::store::object::map_mut;
use crate::store::selector::LabelSelector;
use crate::store::watch::Change;
use crate::store::{Error, Object, Part, WriteOptions, object, quantity};

const AUTOSCALERS: &str = "horizontalpodautoscalers.autoscaling";
/// How often each is looked at (`--horizontal-pod-autoscaler-sync-period`).
const EVERY: Duration = Duration::from_secs(15);

/// Keeps scales at what metrics ask for.
#[derive(Default)]
pub(crate) struct Autoscalers {
    memory: BTreeMap<String, Memory>,
    due: BTreeMap<Key, Time>,
}

impl Controller for Autoscalers {
    const NAME: &'static str = "horizontal-pod-autoscaler";

    fn kinds(&self) -> Vec<&'static str> {
        vec![AUTOSCALERS]
    }

    fn concerns(&mut self, context: &Context, _: &str, change: &Change) -> Vec<Key> {
        let object = &change.object;
        let key = (object::namespace(object).to_owned(), object::name(object).to_owned());
        if change.verb == Verb::Deleted {
            self.memory.remove(object::uid(object));
            self.due.remove(&key);
            return Vec::new();
        }
        if change.previous.is_some() {
            // Changes are seen at the next look (`FixedItemIntervalRateLimiter`).
            return Vec::new();
        }
        self.due.insert(key.clone(), context.shared.sim.now());
        vec![key]
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let Some(stored) = context.store.get(AUTOSCALERS, &key.0, &key.1) else {
            return Ok(Next::Change);
        };
        let memory = self.memory.entry(object::uid(&stored).to_owned()).or_default();
        let mut look = Look { context, object: Value::clone(&stored), memory };
        // A failure is in the conditions and events; the next look is the next try.
        look.reconcile();
        if look.object["status"] != stored["status"] {
            let _ = context.store.update_status(AUTOSCALERS, look.object);
        }
        Ok(Next::After(EVERY))
    }
}

/// The scale of an object.
struct Scale {
    resource: String,
    object: Object,
    /// `spec.replicas`.
    wanted: i64,
    selector: LabelSelector,
}

struct Look<'a> {
    context: &'a Context,
    object: Value,
    memory: &'a mut Memory,
}

/// A metric's wish.
struct Wish {
    replicas: i64,
    name: String,
    status: Value,
}

impl Look<'_> {
    fn about(&self) -> About {
        About::object(&self.object)
    }

    fn warn(&self, reason: &str, text: &str) {
        self.context.events.warning(&self.about(), reason, text);
    }

    fn set(&mut self, kind: &str, holds: bool, reason: &str, message: &str) {
        let status = if holds { "True" } else { "False" };
        let now = object::time(self.context.shared.sim.unix_nanos());
        let all = map_mut(map_mut(&mut self.object).entry("status").or_insert(Value::Null))
            .entry("conditions")
            .or_insert_with(|| json!([]));
        let Some(all) = all.as_array_mut() else { return };
        let at = all.iter().position(|c| c["type"] == kind).unwrap_or_else(|| {
            all.push(json!({"type": kind}));
            all.len() - 1
        });
        if all[at]["status"] != status {
            all[at]["lastTransitionTime"] = now.into();
        }
        all[at]["status"] = status.into();
        all[at]["reason"] = reason.into();
        all[at]["message"] = message.into();
    }

    fn status(&mut self, field: &str, value: Value) {
        map_mut(map_mut(&mut self.object).entry("status").or_insert(Value::Null))
            .insert(field.into(), value);
    }

    fn scale(&self) -> Result<Scale, String> {
        let target = &self.object["spec"]["scaleTargetRef"];
        let word = |f: &str| target[f].as_str().unwrap_or("");
        let group = word("apiVersion").rsplit_once('/').map_or("", |(g, _)| g);
        let rows = self.context.store.rows();
        let row = rows.iter().find(|r| {
            r.kind == word("kind") && r.group == group && r.subresource("scale").is_some()
        });
        let row = row
            .ok_or_else(|| format!("no matches for kind {:?} in group {group:?}", word("kind")))?;
        let resource = row.qualified();
        let found = self
            .context
            .store
            .require(&resource, object::namespace(&self.object), word("name"))
            .map_err(|e| e.message)?;
        let selector = &found["spec"]["selector"];
        let selector =
            if selector["matchLabels"].is_null() && selector["matchExpressions"].is_null() {
                LabelSelector::from_map(selector)
            } else {
                LabelSelector::from_selector(selector)
            };
        let wanted = found["spec"]["replicas"].as_i64().unwrap_or(1);
        Ok(Scale { resource, object: found, wanted, selector })
    }

    fn reconcile(&mut self) {
        let generation = self.object["metadata"]["generation"].clone();
        if !generation.is_null() {
            self.status("observedGeneration", generation);
        }
        let scale = match self.scale() {
            Ok(scale) => scale,
            Err(why) => {
                self.warn("FailedGetScale", &why);
                let text = format!(
                    "the HPA controller was unable to get the target's current scale: {why}"
                );
                return self.set("AbleToScale", false, "FailedGetScale", &text);
            }
        };
        let text = "the HPA controller was able to get the target's current scale";
        self.set("AbleToScale", true, "SucceededGetScale", text);
        let now = self.context.shared.sim.unix_nanos();
        let spec = self.object["spec"].clone();
        let (min, max) =
            (spec["minReplicas"].as_i64().unwrap_or(1), spec["maxReplicas"].as_i64().unwrap_or(1));
        let current = scale.wanted;
        self.memory.begin(now, current);
        self.status("currentReplicas", current.into());
        let (desired, reason);
        if current == 0 && min != 0 {
            let text = "scaling is disabled since the replica count of the target is zero";
            self.set("ScalingActive", false, "ScalingDisabled", text);
            self.status("desiredReplicas", 0.into());
            return;
        } else if current > max {
            (desired, reason) =
                (max, "Current number of replicas above Spec.MaxReplicas".to_owned());
        } else if current < min {
            (desired, reason) =
                (min, "Current number of replicas below Spec.MinReplicas".to_owned());
        } else {
            let Some(wish) = self.wishes(&scale, now) else {
                let before = self.object["status"]["desiredReplicas"].as_i64().unwrap_or(0);
                self.status("desiredReplicas", before.into());
                return;
            };
            let made = self.memory.decide(&spec, current, wish.replicas, now);
            self.set("AbleToScale", true, made.able.0, made.able.1);
            match made.limited {
                Some((reason, text)) => self.set("ScalingLimited", true, reason, text),
                None => self.set(
                    "ScalingLimited",
                    false,
                    "DesiredWithinRange",
                    "the desired count is within the acceptable range",
                ),
            }
            desired = made.replicas;
            reason = if wish.replicas > current {
                format!("{} above target", wish.name)
            } else {
                "All metrics below target".into()
            };
        }
        self.status("desiredReplicas", desired.into());
        if desired != current {
            self.rescale(&scale, desired, &reason, now);
        }
    }

    fn rescale(&mut self, scale: &Scale, desired: i64, reason: &str, now: u64) {
        let mut new = Value::clone(&scale.object);
        new["spec"]["replicas"] = desired.into();
        let done = self.context.store.update_with(
            &scale.resource,
            new,
            Part::Main,
            &WriteOptions::default(),
        );
        if let Err(e) = done {
            let text = format!("New size: {desired}; reason: {reason}; error: {}", e.message);
            self.warn("FailedRescale", &text);
            let text =
                format!("the HPA controller was unable to update the target scale: {}", e.message);
            self.set("AbleToScale", false, "FailedUpdateScale", &text);
            let current = scale.wanted;
            return self.status("desiredReplicas", current.into());
        }
        self.memory.scaled(now, scale.wanted, desired);
        let text = format!("the HPA controller was able to update the target scale to {desired}");
        self.set("AbleToScale", true, "SucceededRescale", &text);
        let text = format!("New size: {desired}; reason: {reason}");
        self.context.events.normal(&self.about(), "SuccessfulRescale", &text);
        self.status("lastScaleTime", object::time(now).into());
    }

    /// The largest wish of all metrics. If one cannot be had, the others may only make it grow.
    fn wishes(&mut self, scale: &Scale, now: u64) -> Option<Wish> {
        let metrics = self.object["spec"]["metrics"].as_array().cloned().unwrap_or_default();
        let mut pods = self.context.store.list("pods", Some(object::namespace(&self.object)));
        pods.retain(|p| scale.selector.matches(p));
        let (mut best, mut first, mut failed) = (None::<Wish>, None::<(String, String)>, 0);
        let mut statuses = Vec::new();
        let there = scale.object["status"]["replicas"].as_i64().unwrap_or(0);
        let standing = Standing { wanted: scale.wanted, there };
        for metric in &metrics {
            match self.wish(metric, &pods, &standing, now) {
                Ok(wish) => {
                    statuses.push(wish.status.clone());
                    if best.as_ref().is_none_or(|b| wish.replicas > b.replicas) {
                        best = Some(wish);
                    }
                }
                Err((reason, why)) => {
                    failed += 1;
                    self.warn(&reason, &why);
                    first.get_or_insert((reason, why));
                }
            }
        }
        if statuses.is_empty() {
            map_mut(&mut self.object["status"]).remove("currentMetrics");
        } else {
            self.status("currentMetrics", statuses.into());
        }
        let shrinks = best.as_ref().is_none_or(|b| b.replicas < scale.wanted);
        if let Some((reason, why)) = first.filter(|_| shrinks) {
            let text = format!("the HPA was unable to compute the replica count: {why}");
            self.set("ScalingActive", false, &reason, &text);
            let text = format!(
                "invalid metrics ({failed} invalid out of {}), first error is: {why}",
                metrics.len()
            );
            self.warn("FailedComputeMetricsReplicas", &text);
            return None;
        }
        let best = best?;
        let text = format!(
            "the HPA was able to successfully calculate a replica count from {}",
            best.name
        );
        self.set("ScalingActive", true, "ValidMetricFound", &text);
        Some(best)
    }

    /// # Errors
    /// The reason of the condition, and what went wrong.
    fn wish(
        &self,
        metric: &Value,
        pods: &[Object],
        standing: &Standing,
        now: u64,
    ) -> Result<Wish, (String, String)> {
        let (store, namespace) = (&self.context.store, object::namespace(&self.object));
        let kind = metric["type"].as_str().unwrap_or("");
        let (field, container) = match kind {
            "Resource" => ("resource", None),
            "ContainerResource" => {
                ("containerResource", metric["containerResource"]["container"].as_str())
            }
            "External" => return series::external(store, namespace, metric, pods, standing),
            "Pods" => return series::pods(store, namespace, metric, pods, standing, now),
            _ => return series::object(store, namespace, metric, pods, standing),
        };
        let source = &metric[field];
        let resource = source["name"].as_str().unwrap_or("");
        let target = &source["target"];
        let percent = target["averageUtilization"].as_i64();
        let wanted = Wanted {
            resource,
            container,
            target: match percent {
                Some(p) => Target::Utilization(i128::from(p)),
                None => Target::Average(quantity::of(&target["averageValue"]).unwrap_or(0)),
            },
        };
        let answer = replicas::resource(store, pods, standing.wanted, &wanted, now);
        let answer: Answer = answer.map_err(|why| {
            let what = if percent.is_some() { "utilization" } else { "usage" };
            let kind_words = if container.is_some() { "container resource" } else { "resource" };
            (
                format!("FailedGet{kind}Metric"),
                format!(
                    "failed to get {resource} {kind_words} metric value: failed to get {resource} {what}: {why}"
                ),
            )
        })?;
        let average = quantity::format(answer.average, resource != "cpu");
        let mut now = json!({"averageValue": average});
        let name = match (answer.utilization, container) {
            (Some(p), _) => {
                now["averageUtilization"] = i64::try_from(p).unwrap_or(i64::MAX).into();
                match container {
                    Some(c) => format!(
                        "{resource} container resource utilization (percentage of request) of container {c}"
                    ),
                    None => format!("{resource} resource utilization (percentage of request)"),
                }
            }
            (None, Some(c)) => format!("{resource} container resource of container {c}"),
            (None, None) => format!("{resource} resource"),
        };
        let mut status = json!({"name": resource, "current": now});
        if let Some(c) = container {
            status["container"] = c.into();
        }
        Ok(Wish { replicas: answer.replicas, name, status: json!({"type": kind, field: status}) })
    }
}
