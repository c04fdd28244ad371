//! Verbs about nodes: cordon, uncordon, drain, taint.

use serde_json::{Value, json};

use super::change::{MERGE, patch};
use crate::client::with_query;
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::{DryRun, Kubectl};
use crate::select::{Found, objects, select};

/// Their flags.
pub const FLAGS: &str = "selector/l= dry-run=?unchanged ignore-daemonsets delete-emptydir-data \
    force grace-period=i timeout=d disable-eviction pod-selector= overwrite all output/o= \
    skip-wait-for-delete-timeout=i chunk-size=i validate=?strict field-manager=";

async fn nodes(k: &mut Kubectl<'_>, verb: &str, args: &Args) -> Result<(Vec<Found>, Vec<Failure>)> {
    if args.words.is_empty() && !args.has("selector") {
        let usage = format!("USAGE: {verb} NODE [flags]");
        return Err(Failure::usage(&format!("kubectl {verb}"), usage));
    }
    let mut words = vec!["nodes".to_owned()];
    words.extend(args.words.iter().map(|w| {
        ["node/", "nodes/", "no/"].iter().find_map(|p| w.strip_prefix(p)).unwrap_or(w).to_owned()
    }));
    let selection = select(k, args, &words).await?;
    Ok(objects(k, args, selection).await)
}

async fn set(k: &mut Kubectl<'_>, one: &Found, off: bool, dry: DryRun) -> Result<()> {
    let word = if off { "cordoned" } else { "uncordoned" };
    let already = one.object["spec"]["unschedulable"].as_bool().unwrap_or(false) == off;
    if !already && dry != DryRun::Client {
        let value = if off { json!(true) } else { Value::Null };
        patch(k, one, &json!({"spec": {"unschedulable": value}}), MERGE, dry).await?;
    }
    let already = if already { "already " } else { "" };
    k.line(format!("{} {already}{word}{}", one.shown(), dry.suffix()));
    Ok(())
}

/// `kubectl cordon` and `kubectl uncordon`.
///
/// # Errors
/// As kubectl.
pub async fn cordon(k: &mut Kubectl<'_>, args: &Args, off: bool) -> Result<()> {
    let dry = DryRun::of(args)?;
    let verb = if off { "cordon" } else { "uncordon" };
    let (found, mut failures) = nodes(k, verb, args).await?;
    for one in found {
        if let Err(failure) = set(k, &one, off, dry).await {
            failures.push(failure);
        }
    }
    Failure::all(failures).map_or(Ok(()), Err)
}

/// Why a pod may not simply be evicted.
enum Hurdle {
    Unmanaged,
    DaemonSet,
    LocalData,
}

fn hurdles(pod: &Value, args: &Args) -> (Vec<Hurdle>, bool) {
    let mut found = Vec::new();
    let mut evict = true;
    let annotations = &pod["metadata"]["annotations"];
    if !annotations["kubernetes.io/config.mirror"].is_null() {
        return (found, false);
    }
    let finished = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let owners = pod["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let owner = owners.into_iter().find(|o| o["controller"] == true);
    if owner.is_some_and(|o| o["kind"] == "DaemonSet") && !finished {
        found.push(Hurdle::DaemonSet);
        evict = false;
    }
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    if evict && !finished && volumes.into_iter().any(|v| !v["emptyDir"].is_null()) {
        found.push(Hurdle::LocalData);
        evict = args.on("delete-emptydir-data");
    }
    if owner.is_none() && !finished {
        found.push(Hurdle::Unmanaged);
        evict &= args.on("force");
    }
    (found, evict)
}

/// `kubectl drain`.
///
/// # Errors
/// As kubectl.
pub async fn drain(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let dry = DryRun::of(args)?;
    let (found, failures) = nodes(k, "drain", args).await?;
    if let Some(failure) = Failure::all(failures) {
        return Err(failure);
    }
    for one in &found {
        set(k, one, true, dry).await?;
    }
    let mut pending: Vec<String> = found.iter().map(|n| n.name().to_owned()).collect();
    let mut failed = None;
    for one in &found {
        match empty(k, args, one, dry).await {
            Ok(()) => {
                k.line(format!("{} drained{}", one.shown(), dry.suffix()));
                pending.retain(|n| n != one.name());
            }
            Err(why) => {
                k.complain(format!(
                    "error: unable to drain node {:?} due to error: {why}, continuing command...",
                    one.name()
                ));
                failed = Some(why);
            }
        }
    }
    match failed {
        None => Ok(()),
        Some(why) => {
            k.complain("There are pending nodes to be drained:");
            for name in pending {
                k.complain(format!(" {name}"));
            }
            Err(Failure::plain(why))
        }
    }
}

/// Evicts the pods of a node; why it could not be done.
async fn empty(
    k: &mut Kubectl<'_>,
    args: &Args,
    node: &Found,
    dry: DryRun,
) -> core::result::Result<(), String> {
    let pods = k.client.kind("pods").await.map_err(|f| f.text)?;
    let on = format!("spec.nodeName={}", node.name());
    let path = with_query(
        &pods.path("", ""),
        &[("fieldSelector", &on), ("labelSelector", args.text("pod-selector"))],
    );
    let list = k.client.get(&path).await.map_err(|f| f.text)?;
    let (mut unmanaged, mut daemons, mut data) = (Vec::new(), Vec::new(), Vec::new());
    let mut evicted = Vec::new();
    for pod in list["items"].as_array().into_iter().flatten() {
        let meta = &pod["metadata"];
        let name = format!(
            "{}/{}",
            meta["namespace"].as_str().unwrap_or(""),
            meta["name"].as_str().unwrap_or("")
        );
        let (hurdles, evict) = hurdles(pod, args);
        for hurdle in hurdles {
            match hurdle {
                Hurdle::Unmanaged => unmanaged.push(name.clone()),
                Hurdle::DaemonSet => daemons.push(name.clone()),
                Hurdle::LocalData => data.push(name.clone()),
            }
        }
        if evict {
            evicted.push(pod.clone());
        }
    }
    let mut errors = Vec::new();
    if !daemons.is_empty() && !args.on("ignore-daemonsets") {
        errors.push(format!(
            "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): {}",
            daemons.join(", ")
        ));
    }
    if !data.is_empty() && !args.on("delete-emptydir-data") {
        errors.push(format!(
            "cannot delete Pods with local storage (use --delete-emptydir-data to override): {}",
            data.join(", ")
        ));
    }
    if !unmanaged.is_empty() && !args.on("force") {
        errors.push(format!("cannot delete cannot delete Pods that declare no controller (use --force to override): {}", unmanaged.join(", ")));
    }
    if !errors.is_empty() {
        return Err(if errors.len() == 1 {
            errors.remove(0)
        } else {
            format!("[{}]", errors.join(", "))
        });
    }
    let mut warnings = Vec::new();
    if !unmanaged.is_empty() {
        warnings
            .push(format!("deleting Pods that declare no controller: {}", unmanaged.join(", ")));
    }
    if !daemons.is_empty() {
        warnings.push(format!("ignoring DaemonSet-managed Pods: {}", daemons.join(", ")));
    }
    if !warnings.is_empty() {
        k.complain(format!("Warning: {}", warnings.join("; ")));
    }
    for pod in &evicted {
        let meta = &pod["metadata"];
        let name = format!(
            "{}/{}",
            meta["namespace"].as_str().unwrap_or(""),
            meta["name"].as_str().unwrap_or("")
        );
        k.line(format!("evicting pod {name}{}", dry.suffix()));
    }
    if dry == DryRun::Client {
        return Ok(());
    }
    for pod in &evicted {
        evict(k, args, pod, &pods, dry).await?;
    }
    if dry == DryRun::No {
        for pod in evicted {
            gone(k, args, &pods, &pod).await?;
        }
    }
    Ok(())
}

async fn evict(
    k: &mut Kubectl<'_>,
    args: &Args,
    pod: &Value,
    pods: &crate::client::Resource,
    dry: DryRun,
) -> core::result::Result<(), String> {
    let meta = &pod["metadata"];
    let (namespace, name) =
        (meta["namespace"].as_str().unwrap_or(""), meta["name"].as_str().unwrap_or(""));
    let limit = args.millis("timeout").filter(|t| *t > 0).unwrap_or(i64::MAX);
    let mut options = json!({});
    if let Some(grace) = args.number("grace-period").filter(|g| *g >= 0) {
        options["gracePeriodSeconds"] = grace.into();
    }
    let mut waited = 0;
    loop {
        let path = with_query(
            &format!("{}/eviction", pods.path(namespace, name)),
            &[("dryRun", dry.param())],
        );
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace}, "deleteOptions": options});
        let answer =
            k.client.write("POST", &path, "application/json", &body).await.map_err(|f| f.text)?;
        match answer.status {
            200..=299 | 404 => return Ok(()),
            429 => {
                let said = answer.json("").err().map(|f| f.text).unwrap_or_default();
                let said = said.replacen("Error from server (TooManyRequests): ", "", 1);
                k.complain(format!("error when evicting pods/{name:?} -n {namespace:?} (will retry after 5s): {said}"));
                if waited >= limit || k.is_closed() {
                    return Err(format!(
                        "error when evicting pods/{name:?} -n {namespace:?}: global timeout reached: {}",
                        args.text("timeout")
                    ));
                }
                k.client.transport.pause(5000).await;
                waited += 5000;
            }
            _ => {
                let said = answer.json("").err().map(|f| f.text).unwrap_or_default();
                return Err(format!("error when evicting pods/{name:?} -n {namespace:?}: {said}"));
            }
        }
    }
}

async fn gone(
    k: &mut Kubectl<'_>,
    args: &Args,
    pods: &crate::client::Resource,
    pod: &Value,
) -> core::result::Result<(), String> {
    let meta = &pod["metadata"];
    let (namespace, name) =
        (meta["namespace"].as_str().unwrap_or(""), meta["name"].as_str().unwrap_or(""));
    let limit = args.millis("timeout").filter(|t| *t > 0).unwrap_or(i64::MAX);
    let mut waited = 0;
    loop {
        let answer = k
            .client
            .read(&pods.path(namespace, name), "application/json")
            .await
            .map_err(|f| f.text)?;
        let there = answer.json("").ok();
        if answer.status == 404
            || there.is_some_and(|p| p["metadata"]["uid"] != meta["uid"])
            || k.is_closed()
        {
            k.line(format!("pod/{name} evicted"));
            return Ok(());
        }
        if waited >= limit {
            return Err("drain did not complete within the timeout".into());
        }
        k.client.transport.pause(200).await;
        waited += 200;
    }
}

/// `kubectl taint`.
///
/// # Errors
/// As kubectl.
pub async fn taint(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let dry = DryRun::of(args)?;
    let is_taint = |w: &String| w.contains(':') || w.contains('=') || w.ends_with('-');
    let first = args.words.iter().position(is_taint).unwrap_or(args.words.len());
    let (words, taints) = args.words.split_at(first);
    if taints.is_empty() {
        return Err(Failure::new("at least one taint update is required"));
    }
    let Some((kind, names)) = words.split_first() else {
        return Err(Failure::new("one or more resources must be specified as <resource> <name>"));
    };
    if !["node", "nodes", "no"].contains(&kind.as_str()) && !kind.starts_with("node/") {
        return Err(Failure::new(format!(
            "invalid resource type {kind}, only node(s) is supported"
        )));
    }
    let invalid = |t: &str| Failure::new(format!("invalid taint spec: {t}"));
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for text in taints {
        if let Some(text) = text.strip_suffix('-') {
            let (key, effect) = text.split_once(':').unwrap_or((text, ""));
            remove.push((key.split('=').next().unwrap_or("").to_owned(), effect.to_owned()));
            continue;
        }
        let (left, effect) = text.rsplit_once(':').ok_or_else(|| invalid(text))?;
        let (key, value) = left.split_once('=').unwrap_or((left, ""));
        if !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
            return Err(Failure::usage(
                "kubectl taint",
                format!("invalid taint effect: {effect}, unsupported taint effect"),
            ));
        }
        add.push((key.to_owned(), value.to_owned(), effect.to_owned()));
    }
    if names.is_empty() && !args.on("all") && !args.has("selector") && !kind.contains('/') {
        return Err(Failure::new("one or more resources must be specified as <resource> <name>"));
    }
    let selection = select(k, args, words).await?;
    let (found, mut failures) = objects(k, args, selection).await;
    for one in found {
        let mut now = one.object["spec"]["taints"].as_array().cloned().unwrap_or_default();
        let clash = add.iter().any(|(key, _, effect)| {
            now.iter().any(|t| t["key"] == key.as_str() && t["effect"] == effect.as_str())
        });
        if clash && !args.on("overwrite") {
            failures.push(Failure::new(format!(
                "node {} already has a taint(s) with same effect(s) and --overwrite is false",
                one.name()
            )));
            continue;
        }
        let mut missing = None;
        for (key, effect) in &remove {
            let before = now.len();
            now.retain(|t| {
                !(t["key"] == key.as_str() && (effect.is_empty() || t["effect"] == effect.as_str()))
            });
            if now.len() == before {
                let shown = if effect.is_empty() { key.clone() } else { format!("{key}:{effect}") };
                missing = Some(Failure::new(format!("taint {shown:?} not found")));
            }
        }
        if let Some(missing) = missing {
            failures.push(missing);
            continue;
        }
        for (key, value, effect) in &add {
            now.retain(|t| !(t["key"] == key.as_str() && t["effect"] == effect.as_str()));
            let mut taint = json!({"key": key, "effect": effect});
            if !value.is_empty() {
                taint["value"] = value.as_str().into();
            }
            now.insert(0, taint);
        }
        let what = match (add.is_empty(), remove.is_empty()) {
            (false, true) if clash => "modified",
            (false, true) => "tainted",
            (true, false) => "untainted",
            _ => "modified",
        };
        if dry != DryRun::Client {
            let list = if now.is_empty() { Value::Null } else { now.into() };
            if let Err(failure) =
                patch(k, &one, &json!({"spec": {"taints": list}}), MERGE, dry).await
            {
                failures.push(failure);
                continue;
            }
        }
        super::change::said(k, args, &one, what, dry)?;
    }
    Failure::all(failures).map_or(Ok(()), Err)
}
