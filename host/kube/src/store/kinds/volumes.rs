//! Volumes, claims and classes: what is filled in, and what may be wrong
//! (`pkg/apis/core/{v1/defaults,validation}`, `pkg/apis/storage`).

use serde_json::{Map, Value, json};

use crate::store::error::{Error, FieldError};
use crate::store::object::list;
use crate::store::object::{self, map_mut};
use crate::store::quantity;
use crate::store::resource::{Context, Hooks};

/// The rules of PersistentVolumeClaims.
pub const CLAIM: Hooks = Hooks {
    default: |o| put(spec(o), "volumeMode", "Filesystem"),
    prepare_create: |_, o| {
        map_mut(o).insert("status".into(), json!({"phase": "Pending"}));
        Ok(())
    },
    prepare_update: may_grow,
    validate: claim,
    validate_update: |new, old, errors| {
        claim(new, errors);
        // A claim that is bound may grow, and the controller binds it.
        let mut before = old["spec"].clone();
        let after = &new["spec"];
        let now = map_mut(&mut before);
        for field in ["resources", "volumeAttributesClassName"] {
            restore(now, after, field);
        }
        if old["spec"]["volumeName"].as_str().is_none_or(str::is_empty) {
            restore(now, after, "volumeName");
        }
        if old["spec"]["storageClassName"].is_null() {
            restore(now, after, "storageClassName");
        }
        if before != *after {
            let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
            errors.push(FieldError::forbidden("spec", why));
        }
        let size = |o: &Value| quantity::of(&o["spec"]["resources"]["requests"]["storage"]);
        if size(new) < size(old) {
            let why = "field can not be less than status.capacity";
            errors.push(FieldError::forbidden("spec.resources.requests.storage", why));
        } else if size(new) > size(old) && old["status"]["phase"] != "Bound" {
            let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
            errors.push(FieldError::forbidden("spec", why));
        }
    },
    ..super::PLAIN
};

/// A bound claim grows only if its class says so (admission plugin PersistentVolumeClaimResize).
fn may_grow(context: &mut Context<'_>, new: &mut Value, old: &Value) -> Result<(), Error> {
    let size = |o: &Value| quantity::of(&o["spec"]["resources"]["requests"]["storage"]);
    if size(new) <= size(old) || old["status"]["phase"] != "Bound" {
        return Ok(());
    }
    let class = old["spec"]["storageClassName"].as_str().unwrap_or("");
    let class = context.store.get("storageclasses.storage.k8s.io", "", class);
    if class.is_some_and(|c| c["allowVolumeExpansion"] == true) {
        return Ok(());
    }
    let Some(row) = context.store.row("persistentvolumeclaims") else { return Ok(()) };
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
    Err(Error::forbidden(&row, object::name(new), why))
}

/// The rules of PersistentVolumes.
pub const VOLUME: Hooks = Hooks {
    default: |o| {
        let spec = spec(o);
        put(spec, "volumeMode", "Filesystem");
        put(spec, "persistentVolumeReclaimPolicy", "Retain");
        if let Some(host) = spec.get_mut("hostPath").and_then(Value::as_object_mut) {
            host.entry("type").or_insert("".into());
        }
    },
    prepare_create: |_, o| {
        map_mut(o).insert("status".into(), json!({"phase": "Pending"}));
        Ok(())
    },
    validate: volume,
    validate_update: |new, old, errors| {
        volume(new, errors);
        let source = |o: &Value| -> Map<String, Value> {
            let all = o["spec"].as_object().into_iter().flatten();
            all.filter(|(k, _)| is_source(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
        };
        if source(new) != source(old) {
            let why = "spec.persistentvolumesource is immutable after creation";
            errors.push(FieldError::forbidden("spec.persistentvolumesource", why));
        }
    },
    ..super::PLAIN
};

/// The rules of StorageClasses.
pub const CLASS: Hooks = Hooks {
    default: |o| {
        let map = map_mut(o);
        put(map, "reclaimPolicy", "Delete");
        put(map, "volumeBindingMode", "Immediate");
    },
    validate: |o, errors| {
        if o["provisioner"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required("provisioner", ""));
        }
        for (field, known) in [
            ("reclaimPolicy", ["Delete", "Retain"]),
            ("volumeBindingMode", ["Immediate", "WaitForFirstConsumer"]),
        ] {
            let given = o[field].as_str().unwrap_or("");
            if !known.contains(&given) {
                errors.push(FieldError::not_supported(field, given, &known));
            }
        }
    },
    validate_update: |new, old, errors| {
        for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
            if new[field] != old[field] {
                let why = match field {
                    "parameters" | "provisioner" => {
                        "updates to FIELD are forbidden.".replace("FIELD", field)
                    }
                    _ => "field is immutable".into(),
                };
                errors.push(if why.ends_with("forbidden.") {
                    FieldError::forbidden(field, why)
                } else {
                    FieldError::invalid(field, new[field].as_str().unwrap_or(""), why)
                });
            }
        }
    },
    ..super::PLAIN
};

fn spec(o: &mut Value) -> &mut Map<String, Value> {
    map_mut(map_mut(o).entry("spec").or_insert(Value::Null))
}

fn put(map: &mut Map<String, Value>, field: &str, value: &str) {
    let slot = map.entry(field).or_insert(Value::Null);
    if slot.is_null() || slot == "" {
        *slot = value.into();
    }
}

fn restore(map: &mut Map<String, Value>, from: &Value, field: &str) {
    match from.get(field) {
        Some(value) => map.insert(field.into(), value.clone()),
        None => map.remove(field),
    };
}

fn modes(spec: &Value, errors: &mut Vec<FieldError>) {
    let known = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    let given = list(spec, "accessModes");
    if given.is_empty() {
        let why = "at least 1 access mode is required";
        errors.push(FieldError::required("spec.accessModes", why));
    }
    for mode in given.iter().filter_map(Value::as_str).filter(|m| !known.contains(m)) {
        errors.push(FieldError::not_supported("spec.accessModes", mode, &known));
    }
}

fn positive(value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match quantity::of(value) {
        None => errors.push(FieldError::required(path, "")),
        Some(n) if n <= 0 => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            errors.push(FieldError::invalid(path, &text, "must be greater than zero"));
        }
        Some(_) => {}
    }
}

fn claim(o: &Value, errors: &mut Vec<FieldError>) {
    modes(&o["spec"], errors);
    let path = "spec.resources[storage]";
    positive(&o["spec"]["resources"]["requests"]["storage"], path, errors);
}

fn is_source(field: &str) -> bool {
    ![
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    ]
    .contains(&field)
}

fn volume(o: &Value, errors: &mut Vec<FieldError>) {
    let spec = &o["spec"];
    modes(spec, errors);
    if spec["capacity"].is_null() {
        errors.push(FieldError::required("spec.capacity", ""));
    } else {
        positive(&spec["capacity"]["storage"], "spec.capacity[storage]", errors);
    }
    let sources: Vec<&String> =
        spec.as_object().into_iter().flatten().map(|(k, _)| k).filter(|k| is_source(k)).collect();
    if sources.is_empty() {
        errors.push(FieldError::required("spec", "must specify a volume type"));
    }
    for extra in sources.iter().skip(1) {
        let why = "may not specify more than 1 volume type";
        errors.push(FieldError::forbidden(format!("spec.{extra}"), why));
    }
    let policy = spec["persistentVolumeReclaimPolicy"].as_str().unwrap_or("");
    let known = ["Delete", "Recycle", "Retain"];
    if !known.contains(&policy) {
        let path = "spec.persistentVolumeReclaimPolicy";
        errors.push(FieldError::not_supported(path, policy, &known));
    }
}
