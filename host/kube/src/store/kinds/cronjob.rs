//! CronJobs: what is filled in, and what may be wrong (`pkg/apis/batch/validation`).

use serde_json::{Map, Value};

use super::job;
use super::schedule::{Schedule, time_zone};
use crate::store::error::FieldError;
use crate::store::object::{self, map_mut};
use crate::store::resource::Hooks;

/// Jobs add "-" and ten digits to the name, and pods more.
const NAME: usize = 52;

/// The rules of CronJobs.
pub const HOOKS: Hooks = Hooks {
    default,
    validate: |object, errors| {
        let name = object::name(object);
        if name.len() > NAME {
            let why = "must be no more than 52 characters";
            errors.push(FieldError::invalid("metadata.name", name, why));
        }
        spec(&object["spec"], None, errors);
    },
    validate_update: |new, old, errors| spec(&new["spec"], Some(&old["spec"]), errors),
    ..super::PLAIN
};

fn default(object: &mut Value) {
    let spec = map_mut(map_mut(object).entry("spec").or_insert(Value::Null));
    let mut put = |field: &str, value: Value| {
        let slot = spec.entry(field).or_insert(Value::Null);
        if slot.is_null() || slot == "" {
            *slot = value;
        }
    };
    put("concurrencyPolicy", "Allow".into());
    put("suspend", false.into());
    put("successfulJobsHistoryLimit", 3.into());
    put("failedJobsHistoryLimit", 1.into());
    let template = map_mut(spec.entry("jobTemplate").or_insert(Value::Null));
    let meta = map_mut(template.entry("metadata").or_insert(Value::Null));
    meta.entry("creationTimestamp").or_insert(Value::Null);
    let inner: &mut Map<String, Value> = map_mut(template.entry("spec").or_insert(Value::Null));
    job::template(inner);
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or("")
}

fn spec(spec: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let schedule = text(spec, "schedule");
    let zone = &spec["timeZone"];
    if schedule.is_empty() {
        errors.push(FieldError::required("spec.schedule", ""));
    } else {
        let before = old.is_some_and(|o| text(o, "schedule").contains("TZ"));
        if schedule.contains("TZ") && !zone.is_null() {
            let why = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
            errors.push(FieldError::invalid("spec.schedule", schedule, why));
        } else if schedule.contains("TZ") && !before {
            let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
            errors.push(FieldError::invalid("spec.schedule", schedule, why));
        }
        if let Err(why) = Schedule::parse(schedule, "") {
            errors.push(FieldError::invalid("spec.schedule", schedule, why));
        }
    }
    if let Some(name) = zone.as_str()
        && old.is_none_or(|o| o["timeZone"] != *zone)
    {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
        let why = if name.is_empty() {
            Some("timeZone must be nil or non-empty string".into())
        } else if !name.chars().all(allowed) {
            Some(format!("unknown time zone {name}"))
        } else if name.eq_ignore_ascii_case("local") {
            Some("timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".into())
        } else {
            time_zone(name).err()
        };
        if let Some(why) = why {
            errors.push(FieldError::invalid("spec.timeZone", name, why));
        }
    }
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"]
    {
        if spec[field].as_i64().is_some_and(|n| n < 0) {
            let why = "must be greater than or equal to 0";
            errors.push(FieldError::invalid_raw(format!("spec.{field}"), &spec[field], why));
        }
    }
    let policy = text(spec, "concurrencyPolicy");
    let known = ["Allow", "Forbid", "Replace"];
    if !known.contains(&policy) {
        errors.push(FieldError::not_supported("spec.concurrencyPolicy", policy, &known));
    }
    let inner = &spec["jobTemplate"]["spec"];
    job::spec(inner, "spec.jobTemplate.spec", errors);
    if !inner["selector"].is_null() {
        let why = "`selector` will be auto-generated";
        let path = "spec.jobTemplate.spec.selector";
        errors.push(FieldError::invalid_raw(path, &inner["selector"], why));
    }
    if inner["manualSelector"] == true {
        let path = "spec.jobTemplate.spec.manualSelector";
        errors.push(FieldError::not_supported(path, "true", &["nil", "false"]));
    }
}
