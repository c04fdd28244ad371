//! How fast a scale may change (`pkg/controller/podautoscaler/horizontal.go`): windows of
//! stabilisation and policies.

use crate::store::object::list;
use serde_json::Value;

const SECOND: u64 = 1_000_000_000;
/// Scaling down waits for this long, unless said (`--horizontal-pod-autoscaler-downscale-stabilization`).
const DOWN_WINDOW: u64 = 300;
/// Without `behavior`, a scale grows to twice as many, or to this many, at once.
const FACTOR: i64 = 2;
const FLOOR: i64 = 4;

/// What an autoscaler remembers.
#[derive(Default)]
pub(super) struct Memory {
    /// What was recommended, and when.
    recommended: Vec<(u64, i64)>,
    /// By how much the scale changed, and when.
    ups: Vec<(u64, i64)>,
    downs: Vec<(u64, i64)>,
}

/// A number of replicas, and the two conditions that explain it: reason and message.
pub(super) struct Decision {
    pub replicas: i64,
    pub able: (&'static str, &'static str),
    pub limited: Option<(&'static str, &'static str)>,
}

const FEW: (&str, &str) =
    ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const MANY: (&str, &str) =
    ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const FAST_UP: (&str, &str) =
    ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const FAST_DOWN: (&str, &str) = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
);
const READY: (&str, &str) = ("ReadyForNewScale", "recommended size matches current size");
const STABLE_DOWN: (&str, &str) = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const STABLE_UP: (&str, &str) = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);

impl Memory {
    /// The scale it begins with counts as recommended.
    pub(super) fn begin(&mut self, now: u64, current: i64) {
        if self.recommended.is_empty() {
            self.recommended.push((now, current));
        }
    }

    /// The scale was changed.
    pub(super) fn scaled(&mut self, now: u64, from: i64, to: i64) {
        // Policies look back half an hour at most.
        let old = now.saturating_sub(1800 * SECOND);
        for events in [&mut self.ups, &mut self.downs] {
            events.retain(|(at, _)| *at > old);
        }
        if to > from {
            self.ups.push((now, to - from));
        } else {
            self.downs.push((now, from - to));
        }
    }

    /// What becomes of a wish for `wanted` replicas.
    pub(super) fn decide(&mut self, spec: &Value, current: i64, wanted: i64, now: u64) -> Decision {
        let min = spec["minReplicas"].as_i64().unwrap_or(1);
        let max = spec["maxReplicas"].as_i64().unwrap_or(1);
        let behavior = &spec["behavior"];
        let (stable, able) = self.stabilise(behavior, current, wanted, now);
        if behavior.is_null() {
            let fast = (FACTOR * current).max(FLOOR);
            let (most, why) = if max > fast { (fast, FAST_UP) } else { (max, MANY) };
            let (replicas, limited) = if stable < min {
                (min, Some(FEW))
            } else if stable > most {
                (most, Some(why))
            } else {
                (stable, None)
            };
            return Decision { replicas, able, limited };
        }
        let (replicas, limited) = if stable > current {
            let fast = self.fastest_up(&behavior["scaleUp"], current, now).max(current);
            let (most, why) = if max > fast { (fast, FAST_UP) } else { (max, MANY) };
            if stable > most { (most, Some(why)) } else { (stable, None) }
        } else if stable < current {
            let fast = self.fastest_down(&behavior["scaleDown"], current, now).min(current);
            let (least, why) = if min < fast { (fast, FAST_DOWN) } else { (min, FEW) };
            if stable < least { (least, Some(why)) } else { (stable, None) }
        } else {
            (stable, None)
        };
        Decision { replicas, able, limited }
    }

    fn stabilise(
        &mut self,
        behavior: &Value,
        current: i64,
        wanted: i64,
        now: u64,
    ) -> (i64, (&'static str, &'static str)) {
        let window = |rules: &Value, usual: u64| {
            rules["stabilizationWindowSeconds"].as_u64().unwrap_or(usual) * SECOND
        };
        let up = window(&behavior["scaleUp"], 0);
        let down = window(&behavior["scaleDown"], DOWN_WINDOW);
        let since = |w: u64| now.saturating_sub(w);
        let lowest = self.recommended.iter().filter(|(at, _)| *at > since(up)).map(|(_, n)| *n);
        let lowest = lowest.chain([wanted]).min().unwrap_or(wanted);
        let highest = self.recommended.iter().filter(|(at, _)| *at > since(down)).map(|(_, n)| *n);
        let highest = highest.chain([wanted]).max().unwrap_or(wanted);
        let oldest = since(up.max(down));
        self.recommended.retain(|(at, _)| *at > oldest);
        self.recommended.push((now, wanted));
        let stable = if behavior.is_null() {
            // Without rules only going down is slowed, whatever there is now.
            highest
        } else {
            current.max(lowest).min(highest)
        };
        let able = if stable == wanted {
            READY
        } else if wanted >= current {
            STABLE_UP
        } else {
            STABLE_DOWN
        };
        (stable, able)
    }

    fn changed(events: &[(u64, i64)], period: u64, now: u64) -> i64 {
        let since = now.saturating_sub(period * SECOND);
        events.iter().filter(|(at, _)| *at > since).map(|(_, n)| n).sum()
    }

    fn fastest_up(&self, rules: &Value, current: i64, now: u64) -> i64 {
        let limits = list(rules, "policies").iter().map(|p| {
            let period = p["periodSeconds"].as_u64().unwrap_or(15);
            let start = current - Memory::changed(&self.ups, period, now)
                + Memory::changed(&self.downs, period, now);
            let value = p["value"].as_i64().unwrap_or(0);
            if p["type"] == "Pods" { start + value } else { (start * (100 + value) + 99) / 100 }
        });
        match rules["selectPolicy"].as_str() {
            Some("Disabled") => current,
            Some("Min") => limits.min().unwrap_or(current),
            _ => limits.max().unwrap_or(current),
        }
    }

    fn fastest_down(&self, rules: &Value, current: i64, now: u64) -> i64 {
        let limits = list(rules, "policies").iter().map(|p| {
            let period = p["periodSeconds"].as_u64().unwrap_or(15);
            let start = current - Memory::changed(&self.ups, period, now)
                + Memory::changed(&self.downs, period, now);
            let value = p["value"].as_i64().unwrap_or(0);
            if p["type"] == "Pods" { start - value } else { start * (100 - value) / 100 }
        });
        match rules["selectPolicy"].as_str() {
            Some("Disabled") => current,
            // The least change is the one that leaves most.
            Some("Min") => limits.max().unwrap_or(current),
            _ => limits.min().unwrap_or(current),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const S: u64 = SECOND;

    #[test]
    fn without_rules_it_grows_to_twice_as_many_and_shrinks_after_five_minutes() {
        let spec = json!({"minReplicas": 1, "maxReplicas": 20});
        let mut m = Memory::default();
        m.begin(0, 3);
        let d = m.decide(&spec, 3, 15, S);
        assert_eq!((d.replicas, d.limited.map(|l| l.0)), (6, Some("ScaleUpLimit")));
        m = Memory::default();
        m.begin(1000 * S, 10);
        let d = m.decide(&spec, 10, 2, 1015 * S);
        assert_eq!((d.replicas, d.able.0), (10, "ScaleDownStabilized"));
        let d = m.decide(&spec, 10, 2, 1301 * S);
        assert_eq!((d.replicas, d.able.0), (2, "ReadyForNewScale"));
    }

    #[test]
    fn policies_limit_the_change_in_their_period() {
        let spec = json!({"minReplicas": 1, "maxReplicas": 100, "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                {"type": "Pods", "value": 4, "periodSeconds": 60},
                {"type": "Percent", "value": 10, "periodSeconds": 60}]},
            "scaleDown": {"stabilizationWindowSeconds": 0, "selectPolicy": "Disabled", "policies": []}}});
        let mut m = Memory::default();
        assert_eq!(m.decide(&spec, 10, 50, S).replicas, 14);
        m.scaled(S, 10, 14);
        assert_eq!(m.decide(&spec, 14, 50, 30 * S).replicas, 14, "the period is not over");
        assert_eq!(m.decide(&spec, 14, 50, 62 * S).replicas, 18);
        assert_eq!(m.decide(&spec, 14, 1, 63 * S).replicas, 14, "disabled");
    }
}
