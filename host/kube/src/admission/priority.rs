//! Priorities of pods (`plugin/pkg/admission/priority`).

use serde_json::Value;

use crate::store::error::FieldError;
use crate::store::object::map_mut;
use crate::store::resource::Hooks;
use crate::store::{Error, Row, Store, object};

/// The key of PriorityClasses.
pub(crate) const CLASSES: &str = "priorityclasses.scheduling.k8s.io";
/// Users' classes are not above this; the system's are.
const HIGHEST: i64 = 1_000_000_000;

/// The rules of PriorityClasses (`pkg/apis/scheduling/validation`).
pub(crate) const HOOKS: Hooks = Hooks {
    default: |o| {
        map_mut(o).entry("preemptionPolicy").or_insert("PreemptLowerPriority".into());
    },
    validate: |o, errors| {
        let (name, value) = (object::name(o), o["value"].as_i64().unwrap_or(0));
        let system = matches!(name, "system-cluster-critical" | "system-node-critical");
        if name.starts_with("system-") && !system {
            let why = "priority class names with 'system-' prefix are reserved for system use only. error: ";
            errors.push(FieldError::forbidden(
                "metadata.name",
                format!("{why}{name} is not a known system priority class"),
            ));
        } else if value > HIGHEST && !system {
            let why = format!("maximum allowed value of a user defined priority is {HIGHEST}");
            errors.push(FieldError::forbidden("value", why));
        }
        policy(o, errors);
    },
    validate_update: |new, old, errors| {
        if new["value"] != old["value"] {
            errors.push(FieldError::forbidden("value", "may not be changed in an update."));
        }
        if new["preemptionPolicy"] != old["preemptionPolicy"] {
            let given = new["preemptionPolicy"].as_str().unwrap_or("");
            errors.push(FieldError::invalid("preemptionPolicy", given, "field is immutable"));
        }
    },
    ..Hooks::plain()
};

fn policy(o: &Value, errors: &mut Vec<FieldError>) {
    let known = ["Never", "PreemptLowerPriority"];
    if let Some(given) = o["preemptionPolicy"].as_str().filter(|p| !known.contains(p)) {
        errors.push(FieldError::not_supported("preemptionPolicy", given, &known));
    }
}

/// Gives a pod the priority of its class, or of the default one.
pub(super) fn pod(store: &Store, row: &Row, pod: &mut Value) -> Result<(), Error> {
    let wanted = pod["spec"]["priorityClassName"].as_str().unwrap_or("").to_owned();
    let class = if wanted.is_empty() {
        let all = store.list(CLASSES, None);
        // If several claim to be the default, the lowest is it.
        all.into_iter()
            .filter(|c| c["globalDefault"] == true)
            .min_by_key(|c| c["value"].as_i64().unwrap_or(0))
    } else {
        let found = store.get(CLASSES, "", &wanted);
        if found.is_none() {
            let why = format!("no PriorityClass with name {wanted} was found");
            return Err(Error::forbidden(row, object::name(pod), &why));
        }
        found
    };
    let priority = class.as_ref().map_or(0, |c| c["value"].as_i64().unwrap_or(0));
    let policy = class.as_ref().map_or("PreemptLowerPriority".into(), |c| {
        c["preemptionPolicy"].as_str().unwrap_or("PreemptLowerPriority").to_owned()
    });
    if let Some(given) = pod["spec"]["priority"].as_i64().filter(|p| *p != priority) {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name"
        );
        return Err(Error::forbidden(row, object::name(pod), &why));
    }
    if let Some(given) = pod["spec"]["preemptionPolicy"].as_str().filter(|p| *p != policy) {
        let why = format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        );
        return Err(Error::forbidden(row, object::name(pod), &why));
    }
    let spec = map_mut(map_mut(pod).entry("spec").or_insert(Value::Null));
    if let Some(class) = class {
        spec.insert("priorityClassName".into(), object::name(&class).into());
    }
    spec.insert("priority".into(), priority.into());
    spec.insert("preemptionPolicy".into(), policy.into());
    Ok(())
}

/// There is one default at most.
pub(super) fn class(store: &Store, row: &Row, class: &mut Value) -> Result<(), Error> {
    if class["globalDefault"] != true {
        return Ok(());
    }
    let other = store
        .list(CLASSES, None)
        .into_iter()
        .find(|c| c["globalDefault"] == true && object::name(c) != object::name(class));
    match other {
        None => Ok(()),
        Some(other) => {
            let why = format!(
                "PriorityClass {} is already marked as default. Only one default can exist",
                object::name(&other)
            );
            Err(Error::forbidden(row, object::name(class), &why))
        }
    }
}
