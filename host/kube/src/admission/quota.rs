//! ResourceQuotas: what counts, and what would be too much (`pkg/quota/v1/evaluator/core`,
//! `plugin/pkg/admission/resourcequota`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::store::error::FieldError;
use crate::store::kinds::{pod, pod_resources};
use crate::store::object::list;
use crate::store::object::map_mut;
use crate::store::resource::Hooks;
use crate::store::{Error, Object, Row, Store, object, quantity};

/// The key of ResourceQuotas.
pub(crate) const QUOTAS: &str = "resourcequotas";

/// The rules of ResourceQuotas.
pub(crate) const HOOKS: Hooks = Hooks {
    validate,
    validate_update: |new, old, errors| {
        validate(new, errors);
        for field in ["scopes", "scopeSelector"] {
            if new["spec"][field] != old["spec"][field] {
                let path = format!("spec.{field}");
                let why = "field is immutable";
                errors.push(FieldError::invalid_raw(path, &new["spec"][field], why));
            }
        }
    },
    ..Hooks::plain()
};

/// Counted by their own names; everything else as `count/RESOURCE.GROUP`.
const COUNTED: [&str; 7] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
];
const CLASS: &str = ".storageclass.storage.k8s.io/";
/// What every container must say if a quota limits it.
const COMPUTE: [&str; 6] =
    ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// Amounts in thousandths by the quota's names for resources.
pub(crate) type Usage = BTreeMap<String, i128>;

fn validate(quota: &Value, errors: &mut Vec<FieldError>) {
    for (name, amount) in quota["spec"]["hard"].as_object().into_iter().flatten() {
        let path = format!("spec.hard[{name}]");
        let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
        let counts = name.starts_with("count/") || COUNTED.contains(&name.as_str());
        match quantity::of(amount) {
            Some(n) if n < 0 => {
                errors.push(FieldError::invalid(path, &text, "must be greater than or equal to 0"))
            }
            Some(n) if counts && n % 1000 != 0 => {
                errors.push(FieldError::invalid(path, &text, "must be an integer"));
            }
            _ => {}
        }
        let bare = ["cpu", "memory", "ephemeral-storage"].contains(&name.as_str());
        let known = bare
            || counts
            || name.contains('/')
            || name.starts_with("requests.")
            || name.starts_with("limits.")
            || matches!(name.as_str(), "services.nodeports" | "services.loadbalancers");
        if !known {
            let why = "must be a standard resource for quota";
            errors.push(FieldError::invalid("spec.hard", name, why));
        }
    }
}

/// What an object uses, by the names a quota may have for it.
fn usage(row: &Row, object: &Value) -> Usage {
    let mut out = Usage::new();
    let resource = row.qualified();
    let one = 1000;
    out.insert(format!("count/{resource}"), one);
    match &*resource {
        "pods" => {
            let over = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            if over {
                return out;
            }
            out.insert("pods".into(), one);
            for (name, amount) in pod_resources::total(object, "requests") {
                if ["cpu", "memory", "ephemeral-storage"].contains(&name.as_str()) {
                    out.insert(name.clone(), amount);
                }
                out.insert(format!("requests.{name}"), amount);
            }
            for (name, amount) in pod_resources::total(object, "limits") {
                out.insert(format!("limits.{name}"), amount);
            }
        }
        "services" => {
            out.insert("services".into(), one);
            let kind = object["spec"]["type"].as_str().unwrap_or("");
            let ports = list(&object["spec"], "ports");
            let node = match kind {
                "NodePort" => ports.len(),
                "LoadBalancer" if object["spec"]["allocateLoadBalancerNodePorts"] == false => {
                    ports.iter().filter(|p| p["nodePort"].as_i64().unwrap_or(0) != 0).count()
                }
                "LoadBalancer" => ports.len(),
                _ => 0,
            };
            out.insert("services.nodeports".into(), node as i128 * one);
            out.insert("services.loadbalancers".into(), i128::from(kind == "LoadBalancer") * one);
        }
        "persistentvolumeclaims" => {
            let size = quantity::of(&object["spec"]["resources"]["requests"]["storage"]);
            let size = size.unwrap_or(0);
            out.insert("persistentvolumeclaims".into(), one);
            out.insert("requests.storage".into(), size);
            if let Some(class) = object["spec"]["storageClassName"].as_str() {
                out.insert(format!("{class}{CLASS}requests.storage"), size);
                out.insert(format!("{class}{CLASS}persistentvolumeclaims"), one);
            }
        }
        counted if COUNTED.contains(&counted) => {
            out.insert(counted.into(), one);
        }
        _ => {}
    }
    out
}

/// Whether the quota is about this object at all: scopes are about pods.
fn in_scope(quota: &Value, row: &Row, object: &Value) -> bool {
    let spec = &quota["spec"];
    let plain = list(spec, "scopes").iter().filter_map(Value::as_str).map(|s| (s, None));
    let chosen = list(&spec["scopeSelector"], "matchExpressions")
        .iter()
        .map(|e| (e["scopeName"].as_str().unwrap_or(""), Some(e)));
    let mut all = plain.chain(chosen).peekable();
    if all.peek().is_some() && row.qualified() != "pods" {
        return false;
    }
    let deadline = object["spec"]["activeDeadlineSeconds"].as_i64().is_some_and(|n| n >= 0);
    let effort = pod::qos_class(&object["spec"]) == "BestEffort";
    all.all(|(scope, expression)| match scope {
        "Terminating" => deadline,
        "NotTerminating" => !deadline,
        "BestEffort" => effort,
        "NotBestEffort" => !effort,
        "PriorityClass" => {
            let class = object["spec"]["priorityClassName"].as_str().filter(|c| !c.is_empty());
            let Some(e) = expression else { return class.is_some() };
            let named = class.is_some_and(|c| list(e, "values").iter().any(|v| v == c));
            match e["operator"].as_str().unwrap_or("Exists") {
                "In" => named,
                "NotIn" => !named,
                "DoesNotExist" => class.is_none(),
                _ => class.is_some(),
            }
        }
        "CrossNamespacePodAffinity" => {
            let affinity = object["spec"]["affinity"].to_string();
            affinity.contains("\"namespaces\":[") || affinity.contains("\"namespaceSelector\":{")
        }
        _ => false,
    })
}

fn hard(quota: &Value) -> BTreeMap<String, i128> {
    let all = quota["spec"]["hard"].as_object().into_iter().flatten();
    all.filter_map(|(k, q)| Some((k.clone(), quantity::of(q)?))).collect()
}

/// Which kinds can use what the quota limits.
fn kinds(store: &Store, names: &BTreeMap<String, i128>) -> Vec<Row> {
    let mut keys: BTreeSet<String> = BTreeSet::new();
    for name in names.keys() {
        if let Some(counted) = name.strip_prefix("count/") {
            keys.insert(counted.into());
        } else if name.starts_with("services") {
            keys.insert("services".into());
        } else if name.contains(CLASS) || name == "requests.storage" {
            keys.insert("persistentvolumeclaims".into());
        } else if COUNTED.contains(&name.as_str()) {
            keys.insert(name.clone());
        } else {
            keys.insert("pods".into());
        }
    }
    keys.iter().filter_map(|k| store.row(k)).filter(|r| r.namespaced).collect()
}

/// What is used of everything the quota limits.
pub(crate) fn used(store: &Store, quota: &Value) -> Usage {
    let limits = hard(quota);
    let mut out: Usage = limits.keys().map(|k| (k.clone(), 0)).collect();
    for row in kinds(store, &limits) {
        for object in store.list(&row.qualified(), Some(object::namespace(quota))) {
            if !in_scope(quota, &row, &object) {
                continue;
            }
            for (name, amount) in usage(&row, &object) {
                if let Some(sum) = out.get_mut(&name) {
                    *sum += amount;
                }
            }
        }
    }
    out
}

/// An amount as the quota writes it: as its limit is written.
fn written(quota: &Value, name: &str, amount: i128) -> String {
    let limit = &quota["spec"]["hard"][name];
    let binary = name.contains("memory") || name.contains("storage");
    let decimal = limit.as_str().is_some_and(|s| s.ends_with(['k', 'M', 'G', 'T']));
    quantity::format(amount, binary && !decimal)
}

/// The status of a quota with this usage.
pub(crate) fn status(quota: &Value, used: &Usage) -> Value {
    let limits = hard(quota);
    let mut status = quota["status"].clone();
    let map = map_mut(&mut status);
    let table = |amounts: &BTreeMap<String, i128>| -> Map<String, Value> {
        amounts.iter().map(|(k, v)| (k.clone(), written(quota, k, *v).into())).collect()
    };
    map.insert("hard".into(), table(&limits).into());
    map.insert("used".into(), table(used).into());
    status
}

/// Whether the namespace's quotas allow one more object; if they do, it is in their books.
pub(super) fn charge(store: &Store, row: &Row, object: &Value, dry_run: bool) -> Result<(), Error> {
    if !row.namespaced || row.qualified() == QUOTAS || row.plural == "events" {
        return Ok(());
    }
    let asked = usage(row, object);
    let forbid = |why: String| Error::forbidden(row, object::name(object), &why);
    let mut books: Vec<(Object, Usage)> = Vec::new();
    for quota in store.list(QUOTAS, Some(object::namespace(object))) {
        if !in_scope(&quota, row, object) {
            continue;
        }
        let limits = hard(&quota);
        if row.qualified() == "pods"
            && let Some(why) = unsaid(&limits, object)
        {
            return Err(forbid(format!("failed quota: {}: {why}", object::name(&quota))));
        }
        let asked: Usage = asked
            .iter()
            .filter(|(k, _)| limits.contains_key(*k))
            .map(|(k, v)| (k.clone(), *v))
            .collect();
        if asked.values().all(|n| *n == 0) {
            continue;
        }
        let mut used = used(store, &quota);
        let over: Vec<&String> =
            asked.iter().filter(|(k, n)| used[*k] + **n > limits[*k]).map(|(k, _)| k).collect();
        if !over.is_empty() {
            let show = |amounts: &BTreeMap<String, i128>| {
                let parts = over.iter().map(|k| format!("{k}={}", written(&quota, k, amounts[*k])));
                parts.collect::<Vec<_>>().join(",")
            };
            return Err(forbid(format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                object::name(&quota),
                show(&asked),
                show(&used),
                show(&limits)
            )));
        }
        for (name, amount) in asked {
            *used.entry(name).or_default() += amount;
        }
        books.push((quota, used));
    }
    if !dry_run {
        for (quota, used) in books {
            let mut new = Value::clone(&quota);
            new["status"] = status(&quota, &used);
            store.update_status(QUOTAS, new)?;
        }
    }
    Ok(())
}

/// What the pod's containers would have to say.
fn unsaid(limits: &BTreeMap<String, i128>, pod: &Value) -> Option<String> {
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for resource in COMPUTE.into_iter().filter(|r| limits.contains_key(*r)) {
        let (part, name) = resource.split_once('.').unwrap_or(("requests", resource));
        for c in ["containers", "initContainers"].iter().flat_map(|f| list(&pod["spec"], f)) {
            if c["resources"][part][name].is_null() {
                missing.entry(resource).or_default().insert(c["name"].as_str().unwrap_or(""));
            }
        }
    }
    let parts: Vec<String> = missing
        .into_iter()
        .map(|(r, names)| format!("{r} for: {}", names.into_iter().collect::<Vec<_>>().join(",")))
        .collect();
    (!parts.is_empty()).then(|| format!("must specify {}", parts.join("; ")))
}
