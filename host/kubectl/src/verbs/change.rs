//! Verbs that change one thing of objects: delete, scale, label, annotate, patch, cordon, taint.

use serde_json::{Map, Value, json};

use crate::client::with_query;
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::{DryRun, Kubectl};
use crate::print::format::{format, without_managed};
use crate::select::{Found, objects, required, select};

/// A change's flags that all have.
pub const FLAGS: &str = "filename/f= kustomize/k= recursive/R selector/l= field-selector= all \
    all-namespaces/A output/o= dry-run=?unchanged overwrite resource-version= replicas=i \
    current-replicas=i timeout=d patch/p= type= patch-file= list field-manager= local \
    subresource= record show-managed-fields";

/// The flags of delete.
pub const DELETE: &str = "filename/f= kustomize/k= recursive/R selector/l= field-selector= all \
    all-namespaces/A output/o= dry-run=?unchanged now force grace-period=i ignore-not-found wait \
    cascade=?background timeout=d raw= interactive/i";

/// Sends a patch; what the server made of it.
///
/// # Errors
/// What the server refused.
pub async fn patch(
    k: &mut Kubectl<'_>,
    found: &Found,
    body: &Value,
    kind: &'static str,
    dry: DryRun,
) -> Result<Value> {
    let path = with_query(&found.path(), &[("dryRun", dry.param())]);
    let answer = k.client.write("PATCH", &path, kind, body).await?;
    k.warn(&answer.warnings);
    answer.json("")
}

/// "application/merge-patch+json".
pub const MERGE: &str = "application/merge-patch+json";
/// "application/strategic-merge-patch+json".
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// Says what was done, in the form that was asked for.
///
/// # Errors
/// If the form is unknown.
pub fn said(
    k: &mut Kubectl<'_>,
    args: &Args,
    found: &Found,
    what: &str,
    dry: DryRun,
) -> Result<()> {
    match args.get("output") {
        None | Some("") => k.line(format!("{} {what}{}", found.shown(), dry.suffix())),
        Some(text) => {
            let object = without_managed(found.object.clone(), args.on("show-managed-fields"));
            let text = format(text, false)?.object(&object, &found.shown())?;
            k.print(text);
        }
    }
    Ok(())
}

fn all(failures: Vec<Failure>) -> Result<()> {
    Failure::all(failures).map_or(Ok(()), Err)
}

/// `kubectl delete`.
///
/// # Errors
/// As kubectl.
pub async fn delete(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let dry = DryRun::of(args)?;
    let words = &args.words;
    let selection = select(k, args, words).await?;
    crate::select::unnamed("kubectl delete", args, words, &selection)?;
    let by_name = !args.on("all") && !args.has("selector");
    let (found, mut failures) = objects(k, args, selection).await;
    if args.on("ignore-not-found") || !by_name {
        failures.retain(|f| !f.is_not_found());
    }
    let (now, force) = (args.on("now"), args.on("force"));
    let grace = match args.number("grace-period") {
        Some(n) if n >= 0 => Some(n),
        _ if now => Some(1),
        _ if force => Some(0),
        _ => None,
    };
    if grace == Some(0) && !force {
        k.complain("Warning: --force is ignored because --grace-period is not 0.");
    }
    if force && grace == Some(0) {
        k.complain("Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.");
    }
    let policy = match args.get("cascade").unwrap_or("background") {
        "true" | "background" => "Background",
        "false" | "orphan" => "Orphan",
        "foreground" => "Foreground",
        other => {
            return Err(Failure::new(format!(
                "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""
            )));
        }
    };
    let mut gone = Vec::new();
    let nothing = found.is_empty() && failures.is_empty();
    for one in found {
        let shown = format!("{} \"{}\"", one.resource.shown(), one.name());
        let forced = if force && grace == Some(0) { "force deleted" } else { "deleted" };
        if dry != DryRun::Client {
            let mut options = json!({"propagationPolicy": policy});
            if let Some(grace) = grace {
                options["gracePeriodSeconds"] = grace.into();
            }
            if dry == DryRun::Server {
                options["dryRun"] = json!(["All"]);
            }
            let path = with_query(&one.path(), &[("dryRun", dry.param())]);
            let answer = k.client.write("DELETE", &path, "application/json", &options).await?;
            k.warn(&answer.warnings);
            if let Err(failure) = answer.json("") {
                failures.push(failure);
                continue;
            }
        }
        if args.get("output") == Some("name") {
            k.line(one.shown());
        } else {
            k.line(format!("{shown} {forced}{}", dry.suffix()));
        }
        gone.push(one);
    }
    if nothing && !args.has("filename") {
        k.line("No resources found");
    }
    let wait =
        args.get("wait") != Some("false") && dry == DryRun::No && !(force && grace == Some(0));
    if wait {
        for one in &gone {
            until_gone(k, one, args.millis("timeout").filter(|t| *t > 0)).await?;
        }
    }
    all(failures)
}

/// Waits until an object is gone, or is another with its name.
async fn until_gone(k: &mut Kubectl<'_>, one: &Found, timeout: Option<i64>) -> Result<()> {
    let uid = &one.object["metadata"]["uid"];
    let mut waited = 0;
    loop {
        let answer = k.client.read(&one.path(), "application/json").await?;
        if answer.status == 404 {
            return Ok(());
        }
        if answer.json("")?["metadata"]["uid"] != *uid || k.is_closed() {
            return Ok(());
        }
        if timeout.is_some_and(|t| waited >= t) {
            return Err(Failure::new(format!(
                "timed out waiting for the condition on {}/{}",
                one.resource.name,
                one.name()
            )));
        }
        k.client.transport.pause(200).await;
        waited += 200;
    }
}

/// `kubectl scale`.
///
/// # Errors
/// As kubectl.
pub async fn scale(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let dry = DryRun::of(args)?;
    let Some(replicas) = args.number("replicas").filter(|n| *n >= 0) else {
        return Err(Failure::new(if args.has("replicas") {
            "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0"
        } else {
            "required flag(s) \"replicas\" not set"
        }));
    };
    let (found, mut failures) = required(k, "kubectl scale", args, &args.words).await?;
    let nothing = found.is_empty() && failures.is_empty();
    for one in found {
        let path = format!("{}/scale", one.path());
        let answer = k.client.read(&path, "application/json").await?;
        if answer.status == 404 {
            let text =
                "Error from server (NotFound): the server could not find the requested resource";
            failures.push(Failure::plain(text));
            continue;
        }
        let mut scale = answer.json("")?;
        if let Some(wanted) = args.number("current-replicas").filter(|n| *n >= 0) {
            let has = scale["spec"]["replicas"].as_i64().unwrap_or(0);
            if has != wanted {
                failures.push(Failure::new(format!("Expected replicas to be {wanted}, was {has}")));
                continue;
            }
        }
        if dry != DryRun::Client {
            scale["spec"]["replicas"] = replicas.into();
            let body = json!({"spec": {"replicas": replicas}});
            let to = with_query(&path, &[("dryRun", dry.param())]);
            let answer = k.client.write("PATCH", &to, MERGE, &body).await?;
            k.warn(&answer.warnings);
            if let Err(failure) = answer.json("") {
                failures.push(failure);
                continue;
            }
        }
        said(k, args, &one, "scaled", dry)?;
    }
    if nothing {
        return Err(Failure::new("no objects passed to scale"));
    }
    all(failures)
}

/// `kubectl label` and `kubectl annotate`.
///
/// # Errors
/// As kubectl.
pub async fn mark(k: &mut Kubectl<'_>, args: &Args, labels: bool) -> Result<()> {
    let dry = DryRun::of(args)?;
    let (verb, field, done) = if labels {
        ("label", "labels", "labeled")
    } else {
        ("annotate", "annotations", "annotated")
    };
    let is_pair = |w: &String| w.contains('=') || w.ends_with('-') && w.len() > 1;
    let first = args.words.iter().position(is_pair).unwrap_or(args.words.len());
    let (words, pairs) = args.words.split_at(first);
    if let Some(bad) = pairs.iter().find(|p| !is_pair(p)) {
        return Err(Failure::new(format!(
            "all resources must be specified before {verb} changes: {bad}"
        )));
    }
    if words.is_empty() && !args.has("filename") {
        return Err(Failure::new(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    if pairs.is_empty() && !args.on("list") {
        return Err(Failure::new(format!(
            "at least one {verb} update is required",
            verb = if labels { "label" } else { "annotation" }
        )));
    }
    let mut set = Vec::new();
    let mut remove = Vec::new();
    for pair in pairs {
        match pair.split_once('=') {
            Some((key, value)) => set.push((key.to_owned(), value.to_owned())),
            None => remove.push(pair[..pair.len() - 1].to_owned()),
        }
    }
    let (found, mut failures) = required(k, &format!("kubectl {verb}"), args, words).await?;
    for one in found {
        if args.on("list") && pairs.is_empty() {
            for (key, value) in crate::kubectl::texts(&one.object["metadata"][field]) {
                k.line(format!("{key}={value}"));
            }
            continue;
        }
        let old = one.object["metadata"][field].as_object().cloned();
        let mut new = old.clone().unwrap_or_default();
        let mut clash = None;
        for (key, value) in &set {
            let there = new.get(key).and_then(Value::as_str).map(str::to_owned);
            match there {
                Some(there) if there != *value && !args.on("overwrite") => {
                    clash = Some(if labels {
                        format!("'{key}' already has a value ({there}), and --overwrite is false")
                    } else {
                        format!(
                            "--overwrite is false but found the following declared annotation(s): '{key}' already has a value ({there})"
                        )
                    });
                }
                _ => {
                    new.insert(key.clone(), value.as_str().into());
                }
            }
        }
        if let Some(clash) = clash {
            failures.push(Failure::new(clash));
            continue;
        }
        for key in &remove {
            if new.remove(key).is_none() && labels {
                k.line(format!("label {key:?} not found."));
            }
        }
        // As kubectl, which compares the whole objects as texts.
        let size = |m: &Map<String, Value>| Value::Object(m.clone()).to_string().len();
        let changed = old.as_ref() != Some(&new);
        let shrunk = old.as_ref().is_some_and(|old| size(&new) < size(old));
        let what = match (labels, changed) {
            (false, _) => done,
            (true, false) => "not labeled",
            (true, true) if shrunk && !args.on("overwrite") => "unlabeled",
            (true, true) => done,
        };
        let mut one = one;
        if changed && dry != DryRun::Client {
            let mut diff = Map::new();
            for (key, value) in &new {
                if old.as_ref().and_then(|o| o.get(key)) != Some(value) {
                    diff.insert(key.clone(), value.clone());
                }
            }
            for key in old.iter().flat_map(Map::keys).filter(|k| !new.contains_key(*k)) {
                diff.insert(key.clone(), Value::Null);
            }
            let mut meta = json!({ field: diff });
            if let Some(version) = args.get("resource-version") {
                meta["resourceVersion"] = version.into();
            }
            match patch(k, &one, &json!({"metadata": meta}), MERGE, dry).await {
                Ok(object) => one.object = object,
                Err(failure) => {
                    failures.push(failure);
                    continue;
                }
            }
        } else if changed {
            one.object["metadata"][field] = new.into();
        }
        said(k, args, &one, what, dry)?;
    }
    all(failures)
}

/// `kubectl patch`.
///
/// # Errors
/// As kubectl.
pub async fn patch_verb(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let dry = DryRun::of(args)?;
    let Some(text) = args.get("patch").filter(|p| !p.is_empty()) else {
        return Err(Failure::new(
            "must specify --patch or --patch-file containing the contents of the patch",
        ));
    };
    let kind = match args.get("type").unwrap_or("strategic") {
        "json" => "application/json-patch+json",
        "merge" => MERGE,
        "strategic" => STRATEGIC,
        other => {
            return Err(Failure::new(format!(
                "--type must be one of [json merge strategic], not {other:?}"
            )));
        }
    };
    let body: Value = serde_saphyr::from_str(text).map_err(|e| {
        let why = e.to_string();
        Failure::new(format!(
            "unable to parse {text:?}: yaml: {}",
            why.lines().next().unwrap_or("")
        ))
    })?;
    let (found, mut failures) = required(k, "kubectl patch", args, &args.words).await?;
    for mut one in found {
        if dry == DryRun::Client {
            one.object = super::apply::patch::merged(&one.object, &body);
            said(k, args, &one, "patched", dry)?;
            continue;
        }
        match patch(k, &one, &body, kind, dry).await {
            Err(failure) => failures.push(failure),
            Ok(object) => {
                let version = |o: &Value| o["metadata"]["resourceVersion"].clone();
                let what = if version(&object) == version(&one.object) && dry == DryRun::No {
                    "patched (no change)"
                } else {
                    "patched"
                };
                one.object = object;
                said(k, args, &one, what, dry)?;
            }
        }
    }
    all(failures)
}
