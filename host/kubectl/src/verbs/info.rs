//! Verbs that only tell: api-resources, api-versions, auth, cluster-info, events, version.

use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;
use crate::print::format::{Format, format};
use crate::print::{age, tabs};

/// Their flags.
pub const FLAGS: &str = "output/o= client short namespaced=b api-group= verbs= no-headers \
    sort-by= categories= cached all-namespaces/A selector/l= containers sum \
    field-selector= for= types= watch/w list subresource= quiet/q use-protocol-buffers \
    show-capacity show-swap ignore-not-found chunk-size=i";

/// `kubectl version`.
///
/// # Errors
/// As kubectl.
pub async fn version(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let mut text = "Client Version: v1.32.5\nKustomize Version: v5.5.0\n".to_owned();
    let server = if args.on("client") { Value::Null } else { k.client.get("/version").await? };
    match args.get("output") {
        None | Some("") => {}
        Some("json" | "yaml") => {
            let mut all = json!({"clientVersion": {"major": "1", "minor": "32", "gitVersion": "v1.32.5"}, "kustomizeVersion": "v5.5.0"});
            if !server.is_null() {
                all["serverVersion"] = server;
            }
            let text = format(args.text("output"), false)?.object(&all, "")?;
            k.print(text);
            return Ok(());
        }
        Some(_) => return Err(Failure::new("--output must be 'yaml' or 'json'")),
    }
    if !server.is_null() {
        text += &format!("Server Version: {}\n", server["gitVersion"].as_str().unwrap_or(""));
    }
    k.print(text);
    Ok(())
}

/// `kubectl cluster-info`.
///
/// # Errors
/// None.
pub async fn cluster_info(k: &mut Kubectl<'_>, _: &Args) -> Result<()> {
    let server = k.client.transport.server();
    k.print(format!(
        "Kubernetes control plane is running at {server}\n\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n"
    ));
    Ok(())
}

/// `kubectl api-versions`.
///
/// # Errors
/// If the server does not tell.
pub async fn api_versions(k: &mut Kubectl<'_>, _: &Args) -> Result<()> {
    let groups = k.client.read("/apis", "application/json").await?.json("")?;
    let mut all = vec!["v1".to_owned()];
    for group in groups["groups"].as_array().into_iter().flatten() {
        for version in group["versions"].as_array().into_iter().flatten() {
            all.extend(version["groupVersion"].as_str().map(str::to_owned));
        }
    }
    all.sort();
    k.line(all.join("\n"));
    Ok(())
}

/// `kubectl api-resources`.
///
/// # Errors
/// As kubectl.
pub async fn api_resources(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let form = args.text("output").to_owned();
    if !matches!(form.as_str(), "" | "wide" | "name") {
        return Err(Failure::new(format!("--output {form} is not available")));
    }
    let mut kinds: Vec<_> = k
        .client
        .kinds()
        .await?
        .iter()
        .filter(|r| r.preferred && !r.verbs.is_empty())
        .filter(|r| args.get("api-group").is_none_or(|g| r.group == g))
        .filter(|r| args.get("namespaced").is_none_or(|n| (n == "true") == r.namespaced))
        .filter(|r| args.list("verbs").iter().all(|v| r.verbs.contains(v)))
        .filter(|r| args.list("categories").iter().all(|c| r.categories.contains(c)))
        .cloned()
        .collect();
    match args.text("sort-by") {
        "" => kinds.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name))),
        "name" => kinds.sort_by(|a, b| a.name.cmp(&b.name)),
        "kind" => kinds.sort_by(|a, b| a.kind.cmp(&b.kind)),
        _ => return Err(Failure::new("--sort-by accepts only name or kind")),
    }
    let mut text = String::new();
    let wide = form == "wide";
    if form == "name" {
        for r in kinds {
            k.line(r.qualified());
        }
        return Ok(());
    }
    if !args.on("no-headers") {
        text += "NAME\tSHORTNAMES\tAPIVERSION\tNAMESPACED\tKIND";
        text += if wide { "\tVERBS\tCATEGORIES\n" } else { "\n" };
    }
    for r in kinds {
        text += &format!(
            "{}\t{}\t{}\t{}\t{}",
            r.name,
            r.short.join(","),
            r.api_version(),
            r.namespaced,
            r.kind
        );
        text += &if wide {
            format!("\t{}\t{}\n", r.verbs.join(","), r.categories.join(","))
        } else {
            "\n".into()
        };
    }
    k.print(tabs::align(&text, 6, 3));
    Ok(())
}

/// `kubectl auth`.
///
/// # Errors
/// As kubectl; "no" has the exit code 1.
pub async fn auth(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    match args.words.first().map(String::as_str) {
        Some("whoami") => {
            let body =
                json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
            let answer = k
                .client
                .write(
                    "POST",
                    "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                    "application/json",
                    &body,
                )
                .await?
                .json("")?;
            if let Some(form) = args.get("output") {
                let text = format(form, false)?
                    .object(&answer, "selfsubjectreview.authentication.k8s.io/")?;
                k.print(text);
                return Ok(());
            }
            let info = &answer["status"]["userInfo"];
            let mut text = format!(
                "ATTRIBUTE\tVALUE\nUsername\t{}\n",
                info["username"].as_str().unwrap_or("")
            );
            if let Some(uid) = info["uid"].as_str().filter(|u| !u.is_empty()) {
                text += &format!("UID\t{uid}\n");
            }
            let groups: Vec<&str> =
                info["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if !groups.is_empty() {
                text += &format!("Groups\t[{}]\n", groups.join(" "));
            }
            for (key, value) in info["extra"].as_object().into_iter().flatten() {
                let values: Vec<&str> =
                    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                text += &format!("Extra: {key}\t[{}]\n", values.join(" "));
            }
            k.print(tabs::align(&text, 6, 3));
            Ok(())
        }
        Some("can-i") => can_i(k, args).await,
        _ => {
            k.print("Inspect authorization.\n\nAvailable Commands:\n  can-i         Check whether an action is allowed\n  whoami        Experimental: Check self subject attributes\n\nUsage:\n  kubectl auth [flags] [options]\n");
            Ok(())
        }
    }
}

async fn can_i(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let words = &args.words[1..];
    let (verb, what, name) = match words {
        [verb, what] => (verb, what.as_str(), ""),
        [verb, what, name] => (verb, what.as_str(), name.as_str()),
        _ => {
            return Err(Failure::new(
                "you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth can-i -h' for help and examples.",
            ));
        }
    };
    let (what, name) = match what.split_once('/') {
        Some((kind, name)) if !what.starts_with('/') => (kind, name),
        _ => (what, name),
    };
    let namespace = if args.on("all-namespaces") { String::new() } else { k.namespace_of(args) };
    let spec = if what.starts_with('/') {
        json!({"nonResourceAttributes": {"verb": verb, "path": what}})
    } else {
        let known = k.client.kind(what).await;
        let (group, resource) = match known {
            Ok(r) => {
                if !r.namespaced {
                    k.complain(format!(
                        "Warning: resource '{}' is not namespace scoped{}\n",
                        r.name,
                        if r.group.is_empty() {
                            String::new()
                        } else {
                            format!(" in group '{}'", r.group)
                        }
                    ));
                }
                (r.group, r.name)
            }
            Err(_) => {
                if what != "*" {
                    k.complain(format!(
                        "Warning: the server doesn't have a resource type '{what}'\n"
                    ));
                }
                (if what == "*" { "*".into() } else { String::new() }, what.to_owned())
            }
        };
        json!({"resourceAttributes": {"namespace": namespace, "verb": verb, "group": group,
            "resource": resource, "subresource": args.text("subresource"), "name": name}})
    };
    let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let answer = k.client.write("POST", path, "application/json", &body).await?.json("")?;
    let status = &answer["status"];
    let allowed = status["allowed"] == true;
    let mut text = if allowed { "yes" } else { "no" }.to_owned();
    if let Some(reason) = status["reason"].as_str().filter(|r| !r.is_empty()) {
        text += &format!(" - {reason}");
    }
    if !args.on("quiet") {
        k.line(text);
    }
    if allowed { Ok(()) } else { Err(Failure::code(1)) }
}

/// `kubectl events`.
///
/// # Errors
/// As kubectl.
pub async fn events(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let everywhere = args.on("all-namespaces");
    let namespace = if everywhere { String::new() } else { k.namespace_of(args) };
    let resource = k.client.kind("events").await?;
    let mut list = k.client.get(&resource.path(&namespace, "")).await?["items"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if let Some(of) = args.get("for") {
        let (kind, name) = of
            .split_once('/')
            .ok_or_else(|| Failure::new("--for must be in resource/name form"))?;
        let kind = k.client.kind(kind).await?.kind;
        list.retain(|e| {
            e["involvedObject"]["kind"] == kind.as_str() && e["involvedObject"]["name"] == name
        });
    }
    let types: Vec<String> = args.list("types").iter().map(|t| t.to_lowercase()).collect();
    if !types.is_empty() {
        list.retain(|e| types.contains(&e["type"].as_str().unwrap_or("").to_lowercase()));
    }
    list.sort_by(|a, b| last_seen(a).cmp(last_seen(b)));
    let form = match args.get("output") {
        Some(text) => Some(format(text, false)?),
        None => None,
    };
    if let Some(form) = form.filter(|f| !matches!(f, Format::Table(_))) {
        let text = form.object(&crate::print::format::list(list), "")?;
        k.print(text);
        return Ok(());
    }
    if list.is_empty() {
        if everywhere {
            k.complain("No events found.");
        } else {
            k.complain(format!("No events found in {namespace} namespace."));
        }
        return Ok(());
    }
    let now = k.now();
    let mut text = String::new();
    if !args.on("no-headers") {
        text += if everywhere { "NAMESPACE\t" } else { "" };
        text += "LAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n";
    }
    for event in &list {
        let field = |name: &str| event[name].as_str().unwrap_or("").to_owned();
        if everywhere {
            text += &format!("{}\t", event["metadata"]["namespace"].as_str().unwrap_or(""));
        }
        let object = &event["involvedObject"];
        text += &format!(
            "{}\t{}\t{}\t{}/{}\t{}\n",
            interval(event, now),
            field("type"),
            field("reason"),
            object["kind"].as_str().unwrap_or(""),
            object["name"].as_str().unwrap_or(""),
            field("message").trim()
        );
    }
    k.print(tabs::align(&text, 6, 3));
    Ok(())
}

/// When an event was last seen.
fn last_seen(event: &Value) -> &str {
    if event["series"]["lastObservedTime"].is_string() {
        return event["series"]["lastObservedTime"].as_str().unwrap_or("");
    }
    event["lastTimestamp"].as_str().or(event["eventTime"].as_str()).unwrap_or("")
}

/// How long ago an event was, and how often since when (`pkg/cmd/events`).
pub fn interval(event: &Value, now: i64) -> String {
    let first = event["firstTimestamp"].as_str().or(event["eventTime"].as_str()).unwrap_or("");
    let count = event["series"]["count"].as_i64().or(event["count"].as_i64()).unwrap_or(1);
    if count > 1 {
        let (last, first) = (age::since(last_seen(event), now), age::since(first, now));
        return format!("{last} (x{count} over {first})");
    }
    age::since(first, now)
}
