//! `kubectl set image`, `set env`, `set resources`.

use serde_json::{Map, Value, json};

use super::change::{STRATEGIC, patch, said};
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::{DryRun, Kubectl};
use crate::select::{Found, required};

/// Its flags.
pub const FLAGS: &str = "all selector/l= output/o= dry-run=?unchanged filename/f= recursive/R \
    containers/c= env/e= from= keys= list overwrite=b prefix= limits= requests= local \
    field-manager= resolve show-managed-fields";

/// Runs it.
///
/// # Errors
/// As kubectl.
pub async fn run(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let Some((sub, words)) = args.words.split_first() else {
        k.print("Configure application resources.\n\n These commands help you make changes to existing application resources.\n\nAvailable Commands:\n  env              Update environment variables on a pod template\n  image            Update the image of a pod template\n  resources        Update resource requests/limits on objects with pod templates\n\nUsage:\n  kubectl set SUBCOMMAND [options]\n");
        return Ok(());
    };
    match sub.as_str() {
        "image" => image(k, args, words).await,
        "env" => env(k, args, words).await,
        "resources" => resources(k, args, words).await,
        other => Err(Failure::usage("kubectl set", format!("unknown command \"{other}\""))),
    }
}

/// The words that name objects, and the others.
fn split(words: &[String], is_change: impl Fn(&String) -> bool) -> (&[String], &[String]) {
    let first = words.iter().position(is_change).unwrap_or(words.len());
    words.split_at(first)
}

/// Where an object has its pod.
fn pod(one: &Found) -> Result<(&'static [&'static str], &Value)> {
    let spec = &one.object["spec"];
    Ok(match one.resource.kind.as_str() {
        "Pod" => (&["spec"], spec),
        "CronJob" => (
            &["spec", "jobTemplate", "spec", "template", "spec"],
            &spec["jobTemplate"]["spec"]["template"]["spec"],
        ),
        _ if spec["template"]["spec"].is_object() => {
            (&["spec", "template", "spec"], &spec["template"]["spec"])
        }
        kind => {
            return Err(Failure::new(format!(
                "{}/{} is not a pod or does not have a pod template",
                kind.to_lowercase(),
                one.name()
            )));
        }
    })
}

fn wrapped(path: &[&str], inner: Value) -> Value {
    path.iter().rev().fold(inner, |inner, field| json!({ *field: inner }))
}

/// Sends changed containers, and says so; nothing is said if nothing changed.
async fn send(
    k: &mut Kubectl<'_>,
    args: &Args,
    mut one: Found,
    inner: Value,
    what: &str,
) -> Result<()> {
    let dry = DryRun::of(args)?;
    let path = pod(&one)?.0;
    let body = wrapped(path, inner);
    one.object = if dry == DryRun::Client {
        super::apply::patch::merged(&one.object, &body)
    } else {
        patch(k, &one, &body, STRATEGIC, dry).await.map_err(|failure| {
            let text = failure.text.replacen("Error from server", "", 1);
            let text = text.split_once(": ").map_or(text.clone(), |(_, t)| t.to_owned());
            if failure.text.starts_with("The ") {
                failure
            } else {
                Failure::new(format!("failed to patch {what} to pod template: {text}"))
            }
        })?
    };
    said(k, args, &one, &format!("{what} updated"), dry)
}

async fn image(k: &mut Kubectl<'_>, args: &Args, words: &[String]) -> Result<()> {
    let (words, pairs) = split(words, |w| w.contains('='));
    if pairs.is_empty() {
        return Err(Failure::new("at least one image update is required"));
    }
    if words.is_empty() && !args.has("filename") {
        return Err(Failure::new(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    let mut images = Map::new();
    for pair in pairs {
        let (name, image) = pair
            .split_once('=')
            .filter(|(n, i)| !n.is_empty() && !i.is_empty())
            .ok_or_else(|| Failure::new(format!("invalid image update: {pair}")))?;
        images.insert(name.to_owned(), image.into());
    }
    let (found, mut failures) = required(k, "kubectl set image", args, words).await?;
    for one in found {
        let spec = match pod(&one) {
            Ok((_, spec)) => spec,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        let mut inner = Map::new();
        let mut missing: Vec<&String> = images.keys().filter(|n| *n != "*").collect();
        for field in ["initContainers", "containers"] {
            let mut changed = Vec::new();
            for c in spec[field].as_array().into_iter().flatten() {
                let name = c["name"].as_str().unwrap_or("");
                missing.retain(|n| *n != name);
                let image = images.get(name).or_else(|| {
                    images.get("*").filter(|_| field == "containers" || images.len() == 1)
                });
                if let Some(image) = image.filter(|i| **i != c["image"]) {
                    changed.push(json!({"name": name, "image": image}));
                }
            }
            if !changed.is_empty() {
                inner.insert(field.into(), changed.into());
            }
        }
        if let Some(name) = missing.first() {
            failures.push(Failure::new(format!("unable to find container named {name:?}")));
            continue;
        }
        if inner.is_empty() {
            continue;
        }
        if let Err(failure) = send(k, args, one, inner.into(), "image").await {
            failures.push(failure);
        }
    }
    Failure::all(failures).map_or(Ok(()), Err)
}

/// Whether a container is meant by `--containers`.
fn meant(args: &Args, name: &str) -> bool {
    let pattern = args.get("containers").unwrap_or("*");
    match pattern.split_once('*') {
        Some((before, after)) => name.starts_with(before) && name.ends_with(after),
        None => pattern == name,
    }
}

async fn env(k: &mut Kubectl<'_>, args: &Args, words: &[String]) -> Result<()> {
    let (words, pairs) = split(words, |w| w.contains('=') || w.ends_with('-') && w.len() > 1);
    if args.has("from") {
        return Err(Failure::new(
            "--from is not done in the page's terminal: use envFrom in a manifest",
        ));
    }
    if words.is_empty() && !args.has("filename") {
        return Err(Failure::new(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    let pairs: Vec<&String> = pairs.iter().chain(args.all("env")).collect();
    let list = args.on("list");
    if pairs.is_empty() && !list {
        return Err(Failure::usage(
            "kubectl set env",
            "at least one environment variable must be provided",
        ));
    }
    let (found, mut failures) = required(k, "kubectl set env", args, words).await?;
    for one in found {
        let (_, spec) = match pod(&one) {
            Ok(found) => found,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        let mut changed = Vec::new();
        for c in spec["containers"].as_array().into_iter().flatten() {
            let name = c["name"].as_str().unwrap_or("");
            if !meant(args, name) {
                continue;
            }
            let there = c["env"].as_array().map_or(&[][..], Vec::as_slice);
            if list {
                k.line(format!("# {} {}, container {name}", one.resource.kind, one.name()));
                for e in there {
                    match e["value"].as_str() {
                        _ if !e["valueFrom"].is_null() => {
                            k.line(format!(
                                "# {} from {}",
                                e["name"].as_str().unwrap_or(""),
                                source(&e["valueFrom"])
                            ));
                        }
                        value => k.line(format!(
                            "{}={}",
                            e["name"].as_str().unwrap_or(""),
                            value.unwrap_or("")
                        )),
                    }
                }
            }
            let mut env = Vec::new();
            for pair in &pairs {
                match pair.split_once('=') {
                    Some((key, value)) => {
                        if !there.iter().any(|e| e["name"] == key && e["value"] == value) {
                            env.push(json!({"name": key, "value": value}));
                        }
                    }
                    None => {
                        let key = &pair[..pair.len() - 1];
                        if there.iter().any(|e| e["name"] == key) {
                            env.push(json!({"name": key, "$patch": "delete"}));
                        }
                    }
                }
            }
            if !env.is_empty() {
                changed.push(json!({"name": name, "env": env}));
            }
        }
        if changed.is_empty() {
            continue;
        }
        if let Err(failure) = send(k, args, one, json!({"containers": changed}), "env").await {
            failures.push(failure);
        }
    }
    Failure::all(failures).map_or(Ok(()), Err)
}

fn source(from: &Value) -> String {
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
        return format!("field path {path}");
    }
    if let Some(resource) = from["resourceFieldRef"]["resource"].as_str() {
        return format!("resource field {resource}");
    }
    if !from["secretKeyRef"].is_null() {
        return format!(
            "secret {}, key {}",
            text(&from["secretKeyRef"]["name"]),
            text(&from["secretKeyRef"]["key"])
        );
    }
    format!(
        "configmap {}, key {}",
        text(&from["configMapKeyRef"]["name"]),
        text(&from["configMapKeyRef"]["key"])
    )
}

async fn resources(k: &mut Kubectl<'_>, args: &Args, words: &[String]) -> Result<()> {
    if !args.has("limits") && !args.has("requests") {
        return Err(Failure::new(
            "you must specify an update to requests or limits (in the form of --requests/--limits)",
        ));
    }
    let mut wanted = Map::new();
    for field in ["limits", "requests"] {
        let mut amounts = Map::new();
        for pair in args.list(field) {
            let (name, amount) = pair.split_once('=').ok_or_else(|| {
                Failure::new(format!("invalid argument syntax {pair}, expected <resource>=<value>"))
            })?;
            let amount = if amount == "0" { Value::Null } else { amount.into() };
            amounts.insert(name.to_owned(), amount);
        }
        if !amounts.is_empty() {
            wanted.insert(field.into(), amounts.into());
        }
    }
    let (found, mut failures) = required(k, "kubectl set resources", args, words).await?;
    for one in found {
        let result = match pod(&one) {
            Err(failure) => Err(failure),
            Ok((_, spec)) => {
                let all = spec["containers"].as_array().into_iter().flatten();
                let names: Vec<&str> =
                    all.filter_map(|c| c["name"].as_str()).filter(|n| meant(args, n)).collect();
                if names.is_empty() {
                    Err(Failure::new(format!(
                        "unable to find container named {:?}",
                        args.text("containers")
                    )))
                } else {
                    let changed: Vec<Value> =
                        names.iter().map(|n| json!({"name": n, "resources": wanted})).collect();
                    send(k, args, one, json!({"containers": changed}), "resource requirements")
                        .await
                }
            }
        };
        if let Err(failure) = result {
            failures.push(failure);
        }
    }
    Failure::all(failures).map_or(Ok(()), Err)
}
