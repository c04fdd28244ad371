//! LimitRanges: defaults, and what is too little or too much (`plugin/pkg/admission/limitranger`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::store::error::FieldError;
use crate::store::kinds::pod_resources;
use crate::store::object::list;
use crate::store::object::{map_mut, meta_mut};
use crate::store::resource::Hooks;
use crate::store::{Error, Object, Row, Store, object, quantity};

const RANGES: &str = "limitranges";

/// The rules of LimitRanges (`pkg/apis/core/v1/defaults.go`).
pub(crate) const HOOKS: Hooks = Hooks {
    default,
    validate,
    validate_update: |new, _, errors| validate(new, errors),
    ..Hooks::plain()
};

fn entries(value: &Value) -> BTreeMap<String, Value> {
    value.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn default(range: &mut Value) {
    for item in range["spec"]["limits"].as_array_mut().into_iter().flatten() {
        if item["type"] != "Container" {
            continue;
        }
        // The limit is the maximum, and the request the limit or the minimum, unless said.
        for (from, to) in
            [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")]
        {
            let values = entries(&item[from]);
            if values.is_empty() {
                continue;
            }
            let target = map_mut(map_mut(item).entry(to).or_insert(Value::Null));
            for (resource, amount) in values {
                target.entry(resource).or_insert(amount);
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn validate(range: &Value, errors: &mut Vec<FieldError>) {
    for (i, item) in list(&range["spec"], "limits").iter().enumerate() {
        let at = format!("spec.limits[{i}]");
        let kind = item["type"].as_str().unwrap_or("");
        if kind.is_empty() {
            errors.push(FieldError::required(format!("{at}.type"), ""));
        }
        let order = ["min", "defaultRequest", "default", "max"];
        for (n, low) in order.iter().enumerate() {
            for high in &order[n + 1..] {
                for (resource, amount) in entries(&item[*low]) {
                    let above = &item[*high][&resource];
                    if let (Some(a), Some(b)) = (quantity::of(&amount), quantity::of(above))
                        && a > b
                    {
                        let words = |f: &str| match f {
                            "defaultRequest" => "default request value".to_owned(),
                            "default" => "default value".into(),
                            other => format!("{other} value"),
                        };
                        let why = format!(
                            "{} {} is greater than {} {}",
                            words(low),
                            text(&amount),
                            words(high),
                            text(above)
                        );
                        let path = format!("{at}.{low}[{resource}]");
                        errors.push(FieldError::invalid(path, &text(&amount), why));
                    }
                }
            }
        }
    }
}

fn ranges(store: &Store, namespace: &str) -> Vec<Object> {
    store.list(RANGES, Some(namespace))
}

/// Gives a pod's containers what the ranges of its namespace say they have.
pub(super) fn fill_in(store: &Store, pod: &mut Value) {
    let mut said: Vec<String> = Vec::new();
    for range in ranges(store, object::namespace(pod)) {
        let (mut limits, mut requests) = (Map::new(), Map::new());
        for item in list(&range["spec"], "limits").iter().filter(|i| i["type"] == "Container") {
            for (field, to) in [("default", &mut limits), ("defaultRequest", &mut requests)] {
                for (resource, amount) in entries(&item[field]) {
                    to.entry(resource).or_insert(amount);
                }
            }
        }
        for (field, what) in [("containers", "container"), ("initContainers", "init container")] {
            for c in pod["spec"][field].as_array_mut().into_iter().flatten() {
                let name = c["name"].as_str().unwrap_or("").to_owned();
                for (part, values, word) in
                    [("requests", &requests, "request"), ("limits", &limits, "limit")]
                {
                    let set = set(c, part, values);
                    if !set.is_empty() {
                        said.push(format!("{} {word} for {what} {name}", set.join(", ")));
                    }
                }
            }
        }
    }
    if !said.is_empty() {
        let annotations = meta_mut(pod).entry("annotations").or_insert_with(|| json!({}));
        annotations["kubernetes.io/limit-ranger"] =
            format!("LimitRanger plugin set: {}", said.join("; ")).into();
    }
}

/// Sets what is not given; says which.
fn set(container: &mut Value, part: &str, values: &Map<String, Value>) -> Vec<String> {
    if values.is_empty() {
        return Vec::new();
    }
    let resources = map_mut(map_mut(container).entry("resources").or_insert(Value::Null));
    let target = map_mut(resources.entry(part).or_insert(Value::Null));
    let mut out = Vec::new();
    for (resource, amount) in values {
        if !target.contains_key(resource) {
            target.insert(resource.clone(), amount.clone());
            out.push(resource.clone());
        }
    }
    out.sort();
    out
}

/// Whether what is asked for is within the ranges of its namespace.
pub(super) fn check(store: &Store, row: &Row, object: &Value) -> Result<(), Error> {
    let mut errors = Vec::new();
    for range in ranges(store, object::namespace(object)) {
        for item in list(&range["spec"], "limits") {
            match (&*row.plural, item["type"].as_str().unwrap_or("")) {
                ("pods", "Container") => {
                    for field in ["containers", "initContainers"] {
                        for c in list(&object["spec"], field) {
                            let part = |p: &str| amounts(&c["resources"][p]);
                            bounds(
                                item,
                                "Container",
                                &part("requests"),
                                &part("limits"),
                                &mut errors,
                            );
                        }
                    }
                }
                ("pods", "Pod") => {
                    let part = |p: &str| sums(object, p);
                    bounds(item, "Pod", &part("requests"), &part("limits"), &mut errors);
                }
                ("persistentvolumeclaims", "PersistentVolumeClaim") => {
                    let asked = amounts(&object["spec"]["resources"]["requests"]);
                    storage(item, &asked, &mut errors);
                }
                _ => {}
            }
        }
    }
    let why = match &errors[..] {
        [] => return Ok(()),
        [one] => one.clone(),
        more => format!("[{}]", more.join(", ")),
    };
    Err(Error::forbidden(row, object::name(object), &why))
}

/// Amounts in thousandths, and as they are written.
type Given = BTreeMap<String, (i128, String)>;

fn amounts(value: &Value) -> Given {
    let all = value.as_object().into_iter().flatten();
    all.filter_map(|(k, q)| Some((k.clone(), (quantity::of(q)?, text(q))))).collect()
}

fn sums(pod: &Value, part: &str) -> Given {
    let all = pod_resources::total(pod, part);
    all.into_iter()
        .map(|(k, v)| {
            let words = quantity::format(v, k != "cpu");
            (k, (v, words))
        })
        .collect()
}

fn storage(item: &Value, asked: &Given, errors: &mut Vec<String>) {
    let kind = "PersistentVolumeClaim";
    for (resource, (low, words)) in amounts(&item["min"]) {
        if let Some((_, given)) = asked.get(&resource).filter(|(n, _)| *n < low) {
            errors.push(format!(
                "minimum {resource} usage per {kind} is {words}, but request is {given}"
            ));
        }
    }
    for (resource, (high, words)) in amounts(&item["max"]) {
        if let Some((_, given)) = asked.get(&resource).filter(|(n, _)| *n > high) {
            errors.push(format!(
                "maximum {resource} usage per {kind} is {words}, but request is {given}"
            ));
        }
    }
}

fn bounds(item: &Value, kind: &str, requests: &Given, limits: &Given, errors: &mut Vec<String>) {
    for (resource, (low, words)) in amounts(&item["min"]) {
        let start = format!("minimum {resource} usage per {kind} is {words}");
        match (requests.get(&resource), limits.get(&resource)) {
            (None, _) => errors.push(format!("{start}.  No request is specified")),
            (Some((n, given)), _) if *n < low => {
                errors.push(format!("{start}, but request is {given}"));
            }
            (_, Some((n, given))) if *n < low => {
                errors.push(format!("{start}, but limit is {given}"));
            }
            _ => {}
        }
    }
    for (resource, (high, words)) in amounts(&item["max"]) {
        let start = format!("maximum {resource} usage per {kind} is {words}");
        match (requests.get(&resource), limits.get(&resource)) {
            (_, None) => errors.push(format!("{start}.  No limit is specified")),
            (_, Some((n, given))) if *n > high => {
                errors.push(format!("{start}, but limit is {given}"));
            }
            (Some((n, given)), _) if *n > high => {
                errors.push(format!("{start}, but request is {given}"));
            }
            _ => {}
        }
    }
    for (resource, (most, words)) in amounts(&item["maxLimitRequestRatio"]) {
        let start = format!("{resource} max limit to request ratio per {kind} is {words}");
        let positive = |g: &Given| g.get(&resource).map(|(n, _)| *n).filter(|n| *n != 0);
        match (positive(requests), positive(limits)) {
            (None, _) => {
                errors.push(format!("{start}, but no request is specified or request is 0"));
            }
            (_, None) => errors.push(format!("{start}, but no limit is specified or limit is 0")),
            (Some(request), Some(limit)) if limit * 1000 > most * request => {
                let ratio = limit as f64 / request as f64;
                errors.push(format!("{start}, but provided ratio is {ratio:.6}"));
            }
            _ => {}
        }
    }
}
