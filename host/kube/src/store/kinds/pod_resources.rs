//! What a pod asks for in all (`k8s.io/component-helpers/resource`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::store::quantity;

/// Amounts by resource, in thousandths.
pub type Amounts = BTreeMap<String, i128>;

fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *to.entry(name.clone()).or_default() += amount;
    }
}

fn most(to: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let slot = to.entry(name.clone()).or_insert(*amount);
        *slot = (*slot).max(*amount);
    }
}

fn of(container: &Value, part: &str) -> Amounts {
    let all = container["resources"][part].as_object().into_iter().flatten();
    all.filter_map(|(k, q)| Some((k.clone(), quantity::of(q)?))).collect()
}

/// The sum of a pod's containers' "requests" or "limits", or an init container's if that is
/// more; sidecars add to both. With the pod's overhead.
pub fn total(pod: &Value, part: &str) -> Amounts {
    let spec = &pod["spec"];
    let list = |field: &str| spec[field].as_array().map_or(&[][..], Vec::as_slice);
    let mut sum = Amounts::new();
    for c in list("containers") {
        add(&mut sum, &of(c, part));
    }
    let (mut sidecars, mut begin) = (Amounts::new(), Amounts::new());
    for c in list("initContainers") {
        let mut now = sidecars.clone();
        add(&mut now, &of(c, part));
        if c["restartPolicy"] == "Always" {
            sidecars.clone_from(&now);
        }
        most(&mut begin, &now);
    }
    add(&mut sum, &sidecars);
    most(&mut sum, &begin);
    let overhead = spec["overhead"].as_object().into_iter().flatten();
    add(&mut sum, &overhead.filter_map(|(k, q)| Some((k.clone(), quantity::of(q)?))).collect());
    sum
}
