//! The rules for definitions themselves: defaults, names, checks, and how they come into force
//! (`apiextensions-apiserver/pkg/{apis/apiextensions/validation,controller/status}`).

use regex::Regex;
use serde_json::{Value, json};

use super::CLEANUP;
use crate::store::error::{Error, FieldError};
use crate::store::object::{self, map_mut, meta_mut};
use crate::store::resource::{Context, Hooks};
use crate::store::{Store, names};

/// The rules.
pub const HOOKS: Hooks = Hooks {
    default,
    prepare_create,
    prepare_update,
    validate,
    validate_update: |new, old, errors| {
        validate(new, errors);
        for field in ["group", "scope"] {
            if new["spec"][field] != old["spec"][field] {
                let value = new["spec"][field].as_str().unwrap_or("");
                errors.push(FieldError::invalid(
                    format!("spec.{field}"),
                    value,
                    "field is immutable",
                ));
            }
        }
    },
    ..Hooks::plain()
};

fn default(object: &mut Value) {
    let spec = map_mut(map_mut(object).entry("spec").or_insert(Value::Null));
    spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    let names = map_mut(spec.entry("names").or_insert(Value::Null));
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or("").to_string();
    if !kind.is_empty() {
        names.entry("singular").or_insert(kind.to_lowercase().into());
        names.entry("listKind").or_insert(format!("{kind}List").into());
    }
}

fn prepare_create(context: &mut Context<'_>, object: &mut Value) -> Result<(), Error> {
    let finalizers = meta_mut(object).entry("finalizers").or_insert_with(|| json!([]));
    if let Some(list) = finalizers.as_array_mut()
        && !list.iter().any(|f| f == CLEANUP)
    {
        list.push(CLEANUP.into());
    }
    accept(context.store, object, None);
    Ok(())
}

fn prepare_update(context: &mut Context<'_>, new: &mut Value, old: &Value) -> Result<(), Error> {
    if new["spec"] != old["spec"] {
        accept(context.store, new, Some(old));
    }
    Ok(())
}

/// Whether the names are free, and with them the definition in force.
fn accept(store: &Store, object: &mut Value, old: Option<&Value>) {
    let spec = object["spec"].clone();
    let wanted = &spec["names"];
    let own = object::name(object).to_string();
    let mut taken: Option<(&str, String)> = None;
    for row in store.rows().iter().filter(|r| spec["group"] == *r.group) {
        if row.qualified() == own {
            continue;
        }
        for (field, name) in
            [("plural", &row.plural), ("singular", &row.singular), ("kind", &row.kind)]
        {
            if wanted[field] == **name {
                let reason = match field {
                    "plural" => "PluralConflict",
                    "singular" => "SingularConflict",
                    _ => "KindConflict",
                };
                taken = Some((reason, format!("{:?} is already in use", &**name)));
            }
        }
        for short in wanted["shortNames"].as_array().into_iter().flatten() {
            if row.short_names.iter().any(|s| *short == **s) {
                taken = Some(("ShortNamesConflict", format!("{short} is already in use")));
            }
        }
    }
    let now = object::time(store.sim().unix_nanos());
    let condition = |kind: &str, status: bool, reason: &str, message: &str| {
        let text = if status { "True" } else { "False" };
        let before = old
            .and_then(|o| o["status"]["conditions"].as_array())
            .into_iter()
            .flatten()
            .find(|c| c["type"] == kind && c["status"] == text)
            .map(|c| c["lastTransitionTime"].clone());
        json!({
            "type": kind, "status": text, "reason": reason, "message": message,
            "lastTransitionTime": before.unwrap_or_else(|| now.as_str().into()),
        })
    };
    let conditions = match &taken {
        None => [
            condition("NamesAccepted", true, "NoConflicts", "no conflicts found"),
            condition(
                "Established",
                true,
                "InitialNamesAccepted",
                "the initial names have been accepted",
            ),
        ],
        Some((reason, message)) => [
            condition("NamesAccepted", false, reason, message),
            condition("Established", false, "NotAccepted", "not all names are accepted"),
        ],
    };
    let mut stored: Vec<Value> =
        old.and_then(|o| o["status"]["storedVersions"].as_array().cloned()).unwrap_or_default();
    for v in spec["versions"].as_array().into_iter().flatten().filter(|v| v["storage"] == true) {
        if !stored.contains(&v["name"]) {
            stored.push(v["name"].clone());
        }
    }
    let accepted = if taken.is_none() { wanted.clone() } else { json!({"kind": "", "plural": ""}) };
    map_mut(object).insert(
        "status".into(),
        json!({"acceptedNames": accepted, "conditions": conditions, "storedVersions": stored}),
    );
}

fn validate(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let text = |value: &Value| value.as_str().unwrap_or("").to_string();
    let (group, plural, kind) =
        (text(&spec["group"]), text(&spec["names"]["plural"]), text(&spec["names"]["kind"]));
    if !plural.is_empty()
        && !group.is_empty()
        && object::name(object) != format!("{plural}.{group}")
    {
        errors.push(FieldError::invalid(
            "metadata.name",
            object::name(object),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    if group.is_empty() {
        errors.push(FieldError::required("spec.group", ""));
    } else if let Some(why) = names::subdomain_error(&group) {
        errors.push(FieldError::invalid("spec.group", &group, why));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid(
            "spec.group",
            &group,
            "should be a domain with at least one dot",
        ));
    }
    match spec["scope"].as_str().unwrap_or("") {
        "Cluster" | "Namespaced" => {}
        "" => errors.push(FieldError::required("spec.scope", "")),
        other => {
            errors.push(FieldError::not_supported("spec.scope", other, &["Cluster", "Namespaced"]))
        }
    }
    for (field, value) in [("plural", &plural), ("kind", &kind)] {
        let path = format!("spec.names.{field}");
        if value.is_empty() {
            errors.push(FieldError::required(path, ""));
        } else if let Some(why) = names::label_1035_error(&value.to_lowercase()) {
            errors.push(FieldError::invalid(path, value, why));
        }
    }
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    if versions.iter().filter(|v| v["storage"] == true).count() != 1 {
        let mut e = FieldError::invalid(
            "spec.versions",
            "",
            "must have exactly one version marked as storage version",
        );
        e.value = Value::Array(versions.to_vec()).to_string();
        errors.push(e);
    }
    for (i, version) in versions.iter().enumerate() {
        let at = format!("spec.versions[{i}]");
        if let Some(why) = names::label_1035_error(&text(&version["name"])) {
            errors.push(FieldError::invalid(format!("{at}.name"), &text(&version["name"]), why));
        }
        let schema = &version["schema"]["openAPIV3Schema"];
        let path = format!("{at}.schema.openAPIV3Schema");
        if !schema.is_object() {
            errors.push(FieldError::required(path, "schemas are required"));
            continue;
        }
        if schema["type"] != "object" {
            errors.push(if schema["type"].is_null() {
                FieldError::required(format!("{path}.type"), "must not be empty at the root")
            } else {
                FieldError::invalid(
                    format!("{path}.type"),
                    &text(&schema["type"]),
                    "must be object at the root",
                )
            });
        }
        structural(schema, &path, true, 64, errors);
    }
}

/// What makes a schema no structural one.
fn structural(schema: &Value, path: &str, root: bool, depth: usize, errors: &mut Vec<FieldError>) {
    if depth == 0 {
        errors.push(FieldError::forbidden(path, "the schema nests too deeply"));
        return;
    }
    let loose = schema["x-kubernetes-int-or-string"] == true
        || schema["x-kubernetes-preserve-unknown-fields"] == true;
    if schema["type"].as_str().is_none_or(str::is_empty) && !loose && !root {
        errors.push(FieldError::required(
            format!("{path}.type"),
            "must not be empty for specified object fields",
        ));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && let Err(e) = Regex::new(pattern)
    {
        let why = format!("must be a valid regular expression, but isn't: {e}");
        errors.push(FieldError::invalid(format!("{path}.pattern"), pattern, why));
    }
    for (i, rule) in schema["x-kubernetes-validations"].as_array().into_iter().flatten().enumerate()
    {
        let text = rule["rule"].as_str().unwrap_or("");
        let at = format!("{path}.x-kubernetes-validations[{i}].rule");
        if text.trim().is_empty() {
            errors.push(FieldError::required(at, "rule is not specified"));
        } else if let Err(e) = super::rules::compiles(text) {
            errors.push(FieldError::invalid(at, text, format!("compilation failed: {e}")));
        }
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let bare = root && matches!(name.as_str(), "metadata" | "apiVersion" | "kind");
        structural(inner, &format!("{path}.properties[{name}]"), bare, depth - 1, errors);
    }
    if schema["type"] == "array" && !schema["items"].is_object() {
        errors.push(FieldError::required(format!("{path}.items"), "must be specified"));
    }
    if schema["items"].is_object() {
        structural(&schema["items"], &format!("{path}.items"), false, depth - 1, errors);
    }
    if schema["additionalProperties"].is_object() {
        let at = format!("{path}.additionalProperties");
        structural(&schema["additionalProperties"], &at, false, depth - 1, errors);
    }
}
