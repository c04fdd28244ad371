//! `kubectl wait`.

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;
use crate::print::columns::relaxed;
use crate::print::jsonpath::{Template, shown};
use crate::select::{Found, objects, select};

/// Its flags.
pub const FLAGS: &str = "for= timeout=d filename/f= selector/l= all all-namespaces/A \
    field-selector= output/o= recursive/R local";

enum Goal {
    Delete,
    Create,
    Condition(String, String),
    Path(Template, Option<String>),
}

/// Runs it.
///
/// # Errors
/// As kubectl.
pub async fn run(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let goal = match args.text("for") {
        "delete" => Goal::Delete,
        "create" => Goal::Create,
        other => {
            if let Some(condition) = other.strip_prefix("condition=") {
                let (name, value) = condition.split_once('=').unwrap_or((condition, "true"));
                Goal::Condition(name.to_owned(), value.to_owned())
            } else if let Some(path) = other.strip_prefix("jsonpath=") {
                let (path, value) = match path.rfind("}=") {
                    Some(at) => (&path[..=at], Some(path[at + 2..].trim_matches('\'').to_owned())),
                    None => (path, None),
                };
                Goal::Path(relaxed(path)?, value)
            } else {
                return Err(Failure::new(format!("unrecognized condition: {other:?}")));
            }
        }
    };
    let timeout = match args.millis("timeout") {
        None => 30_000,
        Some(t) if t < 0 => 7 * 24 * 3_600_000,
        Some(t) => t,
    };
    if args.words.is_empty() && !args.has("filename") {
        return Err(Failure::new(
            "arguments in resource/name form must have a single resource and name",
        ));
    }
    let selection = select(k, args, &args.words).await?;
    if !args.has("filename") {
        crate::select::unnamed("kubectl wait", args, &args.words, &selection)?;
    }
    let mut found;
    let mut waited = 0;
    loop {
        let (now, failures) = objects(k, args, selection.clone()).await;
        let all_missing = failures.iter().all(Failure::is_not_found);
        match (&goal, failures.is_empty()) {
            (Goal::Create, false) if all_missing && waited < timeout => {
                k.client.transport.pause(100).await;
                waited += 100;
                continue;
            }
            // What is not there is deleted already.
            (Goal::Delete, false) if all_missing => found = now,
            (_, false) => {
                return Err(Failure::all(failures).unwrap_or_else(|| Failure::code(1)));
            }
            _ => found = now,
        }
        break;
    }
    if found.is_empty() && matches!(goal, Goal::Delete) && !args.has("selector") {
        return Ok(());
    }
    if found.is_empty() {
        return Err(Failure::new("no matching resources found"));
    }
    let mut failures = Vec::new();
    for one in &mut found {
        loop {
            if met(&goal, one)? {
                let what = match goal {
                    Goal::Delete => "deleted",
                    _ => "condition met",
                };
                k.line(format!("{} {what}", one.shown()));
                break;
            }
            if waited >= timeout || k.is_closed() {
                failures.push(Failure::new(format!(
                    "timed out waiting for the condition on {}/{}",
                    one.resource.name,
                    one.name()
                )));
                break;
            }
            k.client.transport.pause(100).await;
            waited += 100;
            let answer = k.client.read(&one.path(), "application/json").await?;
            if answer.status == 404 {
                if matches!(goal, Goal::Delete) {
                    k.line(format!("{} condition met", one.shown()));
                } else {
                    failures.push(answer.json("").err().unwrap_or_else(|| Failure::code(1)));
                }
                break;
            }
            let object = answer.json("")?;
            if matches!(goal, Goal::Delete)
                && object["metadata"]["uid"] != one.object["metadata"]["uid"]
            {
                k.line(format!("{} condition met", one.shown()));
                break;
            }
            one.object = object;
        }
    }
    Failure::all(failures).map_or(Ok(()), Err)
}

fn met(goal: &Goal, one: &Found) -> Result<bool> {
    Ok(match goal {
        Goal::Delete => false,
        Goal::Create => true,
        Goal::Condition(name, value) => {
            let conditions = one.object["status"]["conditions"].as_array().into_iter().flatten();
            let seen = one.object["status"]["observedGeneration"].as_i64();
            let generation = one.object["metadata"]["generation"].as_i64();
            let fresh = match (seen, generation) {
                (Some(seen), Some(generation)) => seen >= generation,
                _ => true,
            };
            fresh
                && conditions.into_iter().any(|c| {
                    let text = |v: &Value| v.as_str().unwrap_or("").to_lowercase();
                    text(&c["type"]) == name.to_lowercase()
                        && text(&c["status"]) == value.to_lowercase()
                })
        }
        Goal::Path(template, value) => {
            let found = template.find(&one.object).map_err(Failure::new)?;
            match (found.as_slice(), value) {
                ([], _) => false,
                (_, None) => true,
                ([one], Some(value)) => shown(one) == *value,
                _ => {
                    return Err(Failure::new(
                        "given jsonpath expression matches more than one value",
                    ));
                }
            }
        }
    })
}
