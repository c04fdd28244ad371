//! `kubectl top`: what pods and nodes use.

use crate::client::with_query;
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;
use crate::print::tabs;
use serde_json::Value;

/// `kubectl top`.
///
/// # Errors
/// As kubectl.
pub async fn run(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
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

/// Sorts rows as `--sort-by` wants them: by name, or the busiest first.
fn sort<R, N: Ord>(
    rows: &mut [R],
    args: &Args,
    name: impl Fn(&R) -> N,
    used: impl Fn(&R) -> (i64, i64),
) -> Result<()> {
    match args.text("sort-by") {
        "" => rows.sort_by_key(name),
        "cpu" => rows.sort_by_key(|r| std::cmp::Reverse(used(r).0)),
        "memory" => rows.sort_by_key(|r| std::cmp::Reverse(used(r).1)),
        _ => return Err(Failure::new("--sort-by accepts only cpu or memory")),
    }
    Ok(())
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
    sort(&mut rows, args, |r| r.0.clone(), |r| (r.1, r.2))?;
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
    sort(&mut rows, args, |r| r.0.clone(), |r| (r.1, r.2))?;
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
