//! Jobs: what is filled in, and what may be wrong (`pkg/apis/batch/{v1/defaults,validation}`,
//! `pkg/registry/batch/job/strategy.go`).

use serde_json::{Map, Value};

use super::{metadata, pod, pod_defaults};
use crate::store::error::{Error, FieldError};
use crate::store::object::list;
use crate::store::object::{self, map_mut, meta_mut};
use crate::store::resource::{Context, Hooks};
use crate::store::selector::LabelSelector;

/// Labels that tie a pod to its Job, old names and new.
pub const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
/// As [`NAME_LABELS`], with the Job's uid.
pub const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];
/// An Indexed Job has at most this many at once.
const MOST_INDEXED: i64 = 100_000;
/// An action's exit codes, a policy's rules.
const MOST_CODES: usize = 255;
const MOST_RULES: usize = 20;

/// The rules of Jobs.
pub const HOOKS: Hooks = Hooks {
    default: |job| default(map_mut(job)),
    prepare_create,
    validate: |job, errors| {
        name(object::name(job), "metadata.name", errors);
        generated(job, errors);
        spec(&job["spec"], "spec", errors);
        selector(&job["spec"], errors);
    },
    validate_update,
    ..super::PLAIN
};

fn put(map: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    let slot = map.entry(field).or_insert(Value::Null);
    if slot.is_null() || slot == "" {
        *slot = value.into();
    }
}

fn default(job: &mut Map<String, Value>) {
    let spec = map_mut(job.entry("spec").or_insert(Value::Null));
    let missing =
        |spec: &Map<String, Value>, field: &str| spec.get(field).is_none_or(Value::is_null);
    if missing(spec, "parallelism") && missing(spec, "completions") {
        put(spec, "completions", 1);
    }
    put(spec, "parallelism", 1);
    let per_index = !missing(spec, "backoffLimitPerIndex");
    put(spec, "backoffLimit", if per_index { i64::from(i32::MAX) } else { 6 });
    put(spec, "completionMode", "NonIndexed");
    put(spec, "suspend", false);
    put(spec, "manualSelector", false);
    let policy = !missing(spec, "podFailurePolicy");
    put(spec, "podReplacementPolicy", if policy { "Failed" } else { "TerminatingOrFailed" });
    for rule in spec
        .get_mut("podFailurePolicy")
        .and_then(|p| p["rules"].as_array_mut())
        .into_iter()
        .flatten()
    {
        for c in rule["onPodConditions"].as_array_mut().into_iter().flatten() {
            put(map_mut(c), "status", "True");
        }
    }
    template(spec);
    labels_of_template(job);
}

/// A pod template at `spec.template`, filled in. Go's structs always have a creation time.
pub(super) fn template(spec: &mut Map<String, Value>) {
    let template = map_mut(spec.entry("template").or_insert(Value::Null));
    let meta = map_mut(template.entry("metadata").or_insert(Value::Null));
    meta.entry("creationTimestamp").or_insert(Value::Null);
    pod_defaults::pod_spec(map_mut(template.entry("spec").or_insert(Value::Null)));
}

/// A Job without labels has those of its template.
fn labels_of_template(job: &mut Map<String, Value>) {
    let labels = job["spec"]["template"]["metadata"]["labels"].clone();
    let meta = map_mut(job.entry("metadata").or_insert(Value::Null));
    let none = meta.get("labels").and_then(Value::as_object).is_none_or(Map::is_empty);
    if none && labels.as_object().is_some_and(|l| !l.is_empty()) {
        meta.insert("labels".into(), labels);
    }
}

fn prepare_create(_: &mut Context<'_>, job: &mut Value) -> Result<(), Error> {
    let (uid, name) = (object::uid(job).to_owned(), object::name(job).to_owned());
    if job["spec"]["manualSelector"] != true {
        let labels =
            map_mut(meta_mut(&mut job["spec"]["template"]).entry("labels").or_insert(Value::Null));
        for (keys, value) in [(NAME_LABELS, &name), (UID_LABELS, &uid)] {
            for key in keys {
                labels.entry(key).or_insert_with(|| value.as_str().into());
            }
        }
        let selector = map_mut(map_mut(&mut job["spec"]).entry("selector").or_insert(Value::Null));
        map_mut(selector.entry("matchLabels").or_insert(Value::Null))
            .entry(UID_LABELS[1])
            .or_insert_with(|| uid.as_str().into());
    }
    labels_of_template(map_mut(job));
    Ok(())
}

/// Pods get names that begin with the Job's, so it must be a DNS label in effect.
pub(super) fn name(name: &str, path: &str, errors: &mut Vec<FieldError>) {
    // 63 less what a pod's name adds: "-" and five letters.
    if name.len() > 63 {
        errors.push(FieldError::invalid(path, name, "must be no more than 63 characters"));
    }
}

fn generated(job: &Value, errors: &mut Vec<FieldError>) {
    let spec = &job["spec"];
    if spec["manualSelector"] == true {
        return;
    }
    let labels = &spec["template"]["metadata"]["labels"];
    for (keys, want) in [(UID_LABELS, object::uid(job)), (NAME_LABELS, object::name(job))] {
        for key in keys {
            if labels[key] != want {
                let path = "spec.template.metadata.labels";
                let given = labels[key].as_str().unwrap_or("");
                let given = format!("map[{key}:{given}]");
                let why = format!("must be '{want}'");
                errors.push(FieldError::invalid_raw(format!("{path}.{key}"), given, why));
            }
        }
    }
    if spec["selector"]["matchLabels"][UID_LABELS[1]] != object::uid(job) {
        let why = "`selector` not auto-generated";
        errors.push(FieldError::invalid_raw("spec.selector", &spec["selector"], why));
    }
}

fn selector(spec: &Value, errors: &mut Vec<FieldError>) {
    let given = &spec["selector"];
    if !given.is_object() {
        errors.push(FieldError::required("spec.selector", ""));
        return;
    }
    let fits = LabelSelector::from_selector(given).matches(&spec["template"]);
    if !fits {
        errors.push(FieldError::invalid_raw(
            "spec.template.metadata.labels",
            &spec["template"]["metadata"]["labels"],
            "`selector` does not match template `labels`",
        ));
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or("")
}

/// What is wrong with a Job's spec at `at` ("spec", "spec.jobTemplate.spec").
pub(super) fn spec(spec: &Value, at: &str, errors: &mut Vec<FieldError>) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        if spec[field].as_i64().is_some_and(|n| n < 0) {
            let why = "must be greater than or equal to 0";
            errors.push(FieldError::invalid_raw(format!("{at}.{field}"), &spec[field], why));
        }
    }
    let mode = text(spec, "completionMode");
    if !matches!(mode, "" | "NonIndexed" | "Indexed") {
        let known = ["NonIndexed", "Indexed"];
        errors.push(FieldError::not_supported(format!("{at}.completionMode"), mode, &known));
    }
    if mode == "Indexed" {
        if spec["completions"].is_null() {
            let why = "when completion mode is Indexed";
            errors.push(FieldError::required(format!("{at}.completions"), why));
        }
        for field in ["parallelism", "maxFailedIndexes"] {
            if spec[field].as_i64().is_some_and(|n| n > MOST_INDEXED) {
                let why = format!(
                    "must be less than or equal to {MOST_INDEXED} when completion mode is Indexed"
                );
                errors.push(FieldError::invalid_raw(format!("{at}.{field}"), &spec[field], why));
            }
        }
    } else {
        for field in ["backoffLimitPerIndex", "successPolicy"] {
            if !spec[field].is_null() {
                let why = "requires indexed completion mode";
                let given = &spec[field];
                errors.push(FieldError::invalid_raw(format!("{at}.{field}"), given, why));
            }
        }
    }
    if !spec["maxFailedIndexes"].is_null() && spec["backoffLimitPerIndex"].is_null() {
        let why = "when maxFailedIndexes is specified";
        errors.push(FieldError::required(format!("{at}.backoffLimitPerIndex"), why));
    }
    let replacement = text(spec, "podReplacementPolicy");
    let both = ["Failed", "TerminatingOrFailed"];
    let known = if spec["podFailurePolicy"].is_null() { &both[..] } else { &both[..1] };
    if !replacement.is_empty() && !known.contains(&replacement) {
        let path = format!("{at}.podReplacementPolicy");
        errors.push(FieldError::not_supported(path, replacement, known));
    }
    let labels = &spec["template"]["metadata"]["labels"];
    metadata::labels(labels, &format!("{at}.template.metadata.labels"), errors);
    pod::pod_spec(&spec["template"]["spec"], &format!("{at}.template.spec"), errors);
    let restart = text(&spec["template"]["spec"], "restartPolicy");
    let path = format!("{at}.template.spec.restartPolicy");
    if !matches!(restart, "OnFailure" | "Never") {
        let why = "valid values: \"OnFailure\", \"Never\"";
        errors.push(FieldError::required(path, why));
    } else if spec["podFailurePolicy"].is_object() && restart != "Never" {
        let why = "only \"Never\" is supported when podFailurePolicy is specified";
        errors.push(FieldError::invalid(path, restart, why));
    }
    failure_policy(spec, &format!("{at}.podFailurePolicy"), errors);
    success_policy(spec, &format!("{at}.successPolicy"), errors);
}

fn failure_policy(spec: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let rules = list(&spec["podFailurePolicy"], "rules");
    if rules.len() > MOST_RULES {
        let given = rules.len();
        errors.push(FieldError::too_many(format!("{at}.rules"), given, MOST_RULES));
    }
    let of_template = &spec["template"]["spec"];
    let containers: Vec<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|f| list(of_template, f))
        .map(|c| text(c, "name"))
        .collect();
    for (i, rule) in rules.iter().enumerate() {
        let at = format!("{at}.rules[{i}]");
        let actions = ["Count", "FailIndex", "FailJob", "Ignore"];
        let action = text(rule, "action");
        if action.is_empty() {
            let known = actions.map(|a| format!("{a:?}")).join(", ");
            errors.push(FieldError::required(
                format!("{at}.action"),
                format!("valid values: [{known}]"),
            ));
        } else if action == "FailIndex" && spec["backoffLimitPerIndex"].is_null() {
            let why = "requires the backoffLimitPerIndex to be set";
            errors.push(FieldError::invalid(format!("{at}.action"), action, why));
        } else if !actions.contains(&action) {
            errors.push(FieldError::not_supported(format!("{at}.action"), action, &actions));
        }
        let (codes, conditions) = (&rule["onExitCodes"], list(rule, "onPodConditions"));
        match (codes.is_object(), conditions.is_empty()) {
            (true, false) => errors.push(FieldError::invalid_raw(
                &*at,
                rule,
                "specifying both OnExitCodes and OnPodConditions is not supported",
            )),
            (false, true) => errors.push(FieldError::invalid_raw(
                &*at,
                rule,
                "specifying one of OnExitCodes and OnPodConditions is required",
            )),
            _ => {}
        }
        if codes.is_object() {
            exit_codes(codes, &format!("{at}.onExitCodes"), &containers, errors);
        }
        for (j, c) in conditions.iter().enumerate() {
            let at = format!("{at}.onPodConditions[{j}]");
            let status = text(c, "status");
            let known = ["False", "True", "Unknown"];
            if !known.contains(&status) {
                errors.push(FieldError::not_supported(format!("{at}.status"), status, &known));
            }
            if text(c, "type").is_empty() {
                let why = "name part must be non-empty";
                errors.push(FieldError::invalid(format!("{at}.type"), "", why));
            }
        }
    }
}

fn exit_codes(codes: &Value, at: &str, containers: &[&str], errors: &mut Vec<FieldError>) {
    let operator = text(codes, "operator");
    let known = ["In", "NotIn"];
    if !known.contains(&operator) {
        errors.push(FieldError::not_supported(format!("{at}.operator"), operator, &known));
    }
    let name = text(codes, "containerName");
    if !name.is_empty() && !containers.contains(&name) {
        let why = "must be one of the container or initContainer names in the pod template";
        errors.push(FieldError::invalid(format!("{at}.containerName"), name, why));
    }
    let values = list(codes, "values");
    if values.is_empty() {
        let why = "at least one value is required";
        errors.push(FieldError::invalid_raw(format!("{at}.values"), "[]", why));
    } else if values.len() > MOST_CODES {
        errors.push(FieldError::too_many(format!("{at}.values"), values.len(), MOST_CODES));
    }
    for (i, v) in values.iter().enumerate() {
        let path = format!("{at}.values[{i}]");
        if operator == "In" && v == 0 {
            errors.push(FieldError::invalid_raw(path, v, "must not be 0 for the In operator"));
        } else if values[..i].contains(v) {
            errors.push(FieldError::duplicate_raw(path, v));
        } else if i > 0 && v.as_i64() < values[i - 1].as_i64() {
            let path = format!("{at}.values");
            errors.push(FieldError::invalid_raw(path, &codes["values"], "must be ordered"));
        }
    }
}

fn success_policy(spec: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let policy = &spec["successPolicy"];
    if !policy.is_object() {
        return;
    }
    let rules = list(policy, "rules");
    if rules.is_empty() {
        let why = "at least one rules must be specified when the successPolicy is specified";
        errors.push(FieldError::required(format!("{at}.rules"), why));
    }
    if rules.len() > MOST_RULES {
        errors.push(FieldError::too_many(format!("{at}.rules"), rules.len(), MOST_RULES));
    }
    let completions = spec["completions"].as_u64().unwrap_or(0);
    for (i, rule) in rules.iter().enumerate() {
        let at = format!("{at}.rules[{i}]");
        let (indexes, count) = (&rule["succeededIndexes"], &rule["succeededCount"]);
        if indexes.is_null() && count.is_null() {
            let why = "at least one of succeededCount or succeededIndexes must be specified";
            errors.push(FieldError::required(&*at, why));
        }
        let mut total = completions;
        if let Some(given) = indexes.as_str() {
            match super::job_indexes::Indexes::parse(given, completions) {
                Ok(set) => total = set.len(),
                Err(why) => {
                    let path = format!("{at}.succeededIndexes");
                    let why = format!("error parsing succeededIndexes: {why}");
                    errors.push(FieldError::invalid(path, given, why));
                }
            }
        }
        if let Some(n) = count.as_i64() {
            let path = format!("{at}.succeededCount");
            if n < 1 {
                errors.push(FieldError::invalid_raw(path, n, "must be greater than or equal to 1"));
            } else if n as u64 > completions {
                let why = format!(
                    "must be less than or equal to {completions} (the number of specified completions)"
                );
                errors.push(FieldError::invalid_raw(path, n, why));
            } else if n as u64 > total {
                let why = format!(
                    "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
                );
                errors.push(FieldError::invalid_raw(path, n, why));
            }
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (now, before) = (&new["spec"], &old["spec"]);
    spec(now, "spec", errors);
    selector(now, errors);
    let mut immutable = |field: &str, value: &Value, was: &Value| {
        if value != was {
            let why = "field is immutable";
            errors.push(FieldError::invalid_raw(format!("spec.{field}"), value, why));
        }
    };
    // An Indexed Job may grow and shrink if both numbers stay the same (elastic).
    let elastic = now["completionMode"] == "Indexed" && now["completions"] == now["parallelism"];
    if !(elastic && now["completions"].is_i64() && before["completions"].is_i64()) {
        immutable("completions", &now["completions"], &before["completions"]);
    }
    immutable("selector", &now["selector"], &before["selector"]);
    // Where pods may go can be changed while the Job is suspended and has not begun.
    let mut template = now["template"].clone();
    if before["suspend"] == true && old["status"]["startTime"].is_null() {
        let spec = map_mut(&mut template["spec"]);
        for field in ["nodeSelector", "tolerations", "schedulingGates", "affinity"] {
            restore(spec, &before["template"]["spec"], field);
        }
        let meta = meta_mut(&mut template);
        for field in ["labels", "annotations"] {
            restore(meta, &before["template"]["metadata"], field);
        }
    }
    immutable("template", &template, &before["template"]);
    for field in
        ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
    {
        immutable(field, &now[field], &before[field]);
    }
}

fn restore(map: &mut Map<String, Value>, before: &Value, field: &str) {
    match before.get(field) {
        Some(value) => map.insert(field.into(), value.clone()),
        None => map.remove(field),
    };
}
