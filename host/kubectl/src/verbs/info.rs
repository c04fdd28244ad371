//! Verbs that only tell: api-resources, api-versions, auth, cluster-info, events, top, version.

use serde_json::{Value, json};

use crate::client::with_query;
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

/// `kubectl top`.
///
/// # Errors
/// As kubectl.
pub async fn top(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    match args.words.first().map(String::as_str) {
        Some("pod" | "pods" | "po") => pods(k, args).await,
        Some("node" | "nodes" | "no") => nodes(k, args).await,
        _ => {
            k.print("Display resource (CPU/memory) usage.\n\nAvailable Commands:\n  node          Display resource (CPU/memory) usage of nodes\n  pod           Display resource (CPU/memory) usage of pods\n\nUsage:\n  kubectl top [flags] [options]\n");
            Ok(())
        }
    }
}

/// Millicores and MiB, as `top` prints them.
fn usage(usage: &Value) -> (i64, i64) {
    let quantity = |v: &Value| crate::describe::quantity::Quantity::of(v);
    (quantity(&usage["cpu"]).millis(), quantity(&usage["memory"]).value())
}

async fn pods(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let namespace = if args.on("all-namespaces") { String::new() } else { k.namespace_of(args) };
    let base = if namespace.is_empty() {
        "/apis/metrics.k8s.io/v1beta1/pods".to_owned()
    } else {
        format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods")
    };
    let items = if let Some(name) = args.words.get(1) {
        vec![k.client.get(&format!("{base}/{name}")).await?]
    } else {
        let path = with_query(
            &base,
            &[
                ("labelSelector", args.text("selector")),
                ("fieldSelector", args.text("field-selector")),
            ],
        );
        k.client.get(&path).await?["items"].as_array().cloned().unwrap_or_default()
    };
    if items.is_empty() {
        let path = if namespace.is_empty() {
            "/api/v1/pods".to_owned()
        } else {
            format!("/api/v1/namespaces/{namespace}/pods")
        };
        let path = with_query(&path, &[("labelSelector", args.text("selector"))]);
        // Where there are pods, it is the figures that are missing (`verifyEmptyMetrics`).
        if k.client.get(&path).await?["items"].as_array().is_some_and(|pods| !pods.is_empty()) {
            return Err(Failure::new("metrics not available yet"));
        }
        if namespace.is_empty() {
            k.complain("No resources found");
        } else {
            k.complain(format!("No resources found in {namespace} namespace."));
        }
        return Ok(());
    }
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    let mut rows: Vec<(Vec<String>, i64, i64)> = Vec::new();
    for item in &items {
        let mut head = Vec::new();
        if namespace.is_empty() {
            head.push(text(&item["metadata"]["namespace"]));
        }
        head.push(text(&item["metadata"]["name"]));
        let containers = item["containers"].as_array().map_or(&[][..], Vec::as_slice);
        if args.on("containers") {
            let mut containers = containers.to_vec();
            containers.sort_by_key(|c| text(&c["name"]));
            for c in &containers {
                let (cpu, memory) = usage(&c["usage"]);
                let mut head = head.clone();
                head.push(text(&c["name"]));
                rows.push((head, cpu, memory));
            }
        } else {
            let (mut cpu, mut memory) = (0, 0);
            for c in containers {
                let (a, b) = usage(&c["usage"]);
                cpu += a;
                memory += b;
            }
            rows.push((head, cpu, memory));
        }
    }
    match args.text("sort-by") {
        "" => rows.sort_by(|a, b| a.0.cmp(&b.0)),
        "cpu" => rows.sort_by_key(|r| std::cmp::Reverse(r.1)),
        "memory" => rows.sort_by_key(|r| std::cmp::Reverse(r.2)),
        _ => return Err(Failure::new("--sort-by accepts only cpu or memory")),
    }
    let mut out = String::new();
    if !args.on("no-headers") {
        if namespace.is_empty() {
            out += "NAMESPACE\t";
        }
        out += if args.on("containers") { "POD\tNAME\t" } else { "NAME\t" };
        out += "CPU(cores)\tMEMORY(bytes)\t\n";
    }
    for (head, cpu, memory) in &rows {
        out += &format!("{}\t{cpu}m\t{}Mi\t\n", head.join("\t"), memory / (1 << 20));
    }
    if args.on("sum") {
        let blank = "\t".repeat(rows.first().map_or(0, |r| r.0.len()).saturating_sub(1));
        let (cpu, memory) = rows.iter().fold((0, 0), |(c, m), r| (c + r.1, m + r.2));
        out += &format!(
            "{blank}\t________\t________\t\n{blank}\t{cpu}m\t{}Mi\t\n",
            memory / (1 << 20)
        );
    }
    k.print(tabs::align(&out, 6, 3));
    Ok(())
}

async fn nodes(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let base = "/apis/metrics.k8s.io/v1beta1/nodes";
    let items = if let Some(name) = args.words.get(1) {
        vec![k.client.get(&format!("{base}/{name}")).await?]
    } else {
        let path = with_query(base, &[("labelSelector", args.text("selector"))]);
        k.client.get(&path).await?["items"].as_array().cloned().unwrap_or_default()
    };
    if items.is_empty() {
        return Err(Failure::new("metrics not available yet"));
    }
    let all = k.client.get("/api/v1/nodes").await?;
    let mut rows = Vec::new();
    for item in &items {
        let name = item["metadata"]["name"].as_str().unwrap_or("").to_owned();
        let nodes = all["items"].as_array().into_iter().flatten();
        let node = nodes
            .into_iter()
            .find(|n| n["metadata"]["name"] == name.as_str())
            .cloned()
            .unwrap_or_default();
        let field = if args.on("show-capacity") { "capacity" } else { "allocatable" };
        let (cpu, memory) = usage(&item["usage"]);
        let (has_cpu, has_memory) = usage(&node["status"][field]);
        rows.push((
            name,
            cpu,
            memory,
            cpu * 100 / has_cpu.max(1),
            memory * 100 / has_memory.max(1),
        ));
    }
    match args.text("sort-by") {
        "" => rows.sort_by(|a, b| a.0.cmp(&b.0)),
        "cpu" => rows.sort_by_key(|r| std::cmp::Reverse(r.1)),
        "memory" => rows.sort_by_key(|r| std::cmp::Reverse(r.2)),
        _ => return Err(Failure::new("--sort-by accepts only cpu or memory")),
    }
    let mut out = String::new();
    if !args.on("no-headers") {
        out += "NAME\tCPU(cores)\tCPU(%)\tMEMORY(bytes)\tMEMORY(%)\t\n";
    }
    for (name, cpu, memory, cpu_part, memory_part) in rows {
        out +=
            &format!("{name}\t{cpu}m\t{cpu_part}%\t{}Mi\t{memory_part}%\t\n", memory / (1 << 20));
    }
    k.print(tabs::align(&out, 6, 3));
    Ok(())
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
