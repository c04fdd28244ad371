//! How many pods there may be too many or too few (`deployment_util.go`).

use serde_json::Value;

use super::super::pods::int;
use crate::store::kinds::int_or_percent::resolve;

/// Surge is rounded up and unavailability down; if both come to nothing, one may be unavailable,
/// so that there is a way on (`ResolveFenceposts`).
fn fenceposts(deployment: &Value) -> (i64, i64) {
    let spec = &deployment["spec"];
    let (rolling, desired) = (&spec["strategy"]["rollingUpdate"], int(&spec["replicas"]));
    let surge = resolve(&rolling["maxSurge"], desired, true);
    let unavailable = resolve(&rolling["maxUnavailable"], desired, false);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

fn is_rolling(deployment: &Value) -> bool {
    deployment["spec"]["strategy"]["type"] == "RollingUpdate"
}

/// How many more than desired there may be.
pub(super) fn max_surge(deployment: &Value) -> i64 {
    if is_rolling(deployment) { fenceposts(deployment).0 } else { 0 }
}

/// How many of the desired ones may be unavailable.
pub(super) fn max_unavailable(deployment: &Value) -> i64 {
    let desired = int(&deployment["spec"]["replicas"]);
    if !is_rolling(deployment) || desired == 0 {
        return 0;
    }
    fenceposts(deployment).1.min(desired)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn most_and_fewest_pods_are_those_of_kubernetes() {
        for (replicas, surge, unavailable, most, fewest) in [
            (1, json!("25%"), json!("25%"), 2, 1),
            (2, json!("25%"), json!("25%"), 3, 2),
            (3, json!("25%"), json!("25%"), 4, 3),
            (4, json!("25%"), json!("25%"), 5, 3),
            (10, json!("25%"), json!("25%"), 13, 8),
            (3, json!(0), json!("25%"), 3, 2),
            (3, json!(1), json!(0), 4, 3),
            (2, json!(5), json!(9), 7, 0),
            (0, json!(1), json!(1), 1, 0),
        ] {
            let d = json!({"spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}});
            let got = (replicas + max_surge(&d), replicas - max_unavailable(&d));
            assert_eq!(got, (most, fewest), "{d}");
        }
    }
}
