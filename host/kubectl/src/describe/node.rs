//! Nodes.

use serde_json::Value;

use super::labels::{annotations, labels};
use super::quantity::Quantity;
use super::time;
use super::values::text;
use super::writer::Writer;
use crate::client::with_query;
use crate::failure::Result;
use crate::kubectl::{Kubectl, texts};
use crate::print::age;

/// A node.
///
/// # Errors
/// If its lease or its pods cannot be read.
pub async fn describe(k: &mut Kubectl<'_>, w: &mut Writer, o: &Value) -> Result<()> {
    let (meta, spec, status) = (&o["metadata"], &o["spec"], &o["status"]);
    let name = text(&meta["name"]);
    w.write(0, format!("Name:\t{name}"));
    let mut roles: Vec<&str> = texts(&meta["labels"])
        .keys()
        .filter_map(|l| l.strip_prefix("node-role.kubernetes.io/"))
        .filter(|r| !r.is_empty())
        .collect();
    roles.sort_unstable();
    let roles = if roles.is_empty() { "<none>".into() } else { roles.join(",") };
    w.write(0, format!("Roles:\t{roles}"));
    labels(w, "Labels", &meta["labels"]);
    annotations(w, "Annotations", &meta["annotations"]);
    w.write(0, format!("CreationTimestamp:\t{}", time(&meta["creationTimestamp"])));
    let mut taints = spec["taints"].as_array().cloned().unwrap_or_default();
    if taints.is_empty() {
        w.write(0, "Taints:\t<none>");
    }
    taints.sort_by_key(|t| (text(&t["effect"]).to_owned(), text(&t["key"]).to_owned()));
    for (i, t) in taints.iter().enumerate() {
        let value = t["value"]
            .as_str()
            .filter(|v| !v.is_empty())
            .map_or_else(String::new, |v| format!("={v}"));
        let begin = if i == 0 { "Taints:\t" } else { "\t" };
        w.write(0, format!("{begin}{}{value}:{}", text(&t["key"]), text(&t["effect"])));
    }
    w.write(0, format!("Unschedulable:\t{}", spec["unschedulable"] == true));
    let lease = k
        .client
        .read(
            &format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}"),
            "application/json",
        )
        .await?;
    match lease.json("") {
        Err(failure) => {
            w.write(
                0,
                format!(
                    "Lease:\tFailed to get lease: {}",
                    failure.text.replacen("Error from server (NotFound): ", "", 1)
                ),
            );
        }
        Ok(lease) => {
            let lease = &lease["spec"];
            w.write(0, "Lease:");
            w.write(
                1,
                format!(
                    "HolderIdentity:\t{}",
                    lease["holderIdentity"].as_str().unwrap_or("<unset>")
                ),
            );
            for (title, field) in [("AcquireTime", "acquireTime"), ("RenewTime", "renewTime")] {
                let at =
                    if lease[field].is_null() { "<unset>".into() } else { time(&lease[field]) };
                w.write(1, format!("{title}:\t{at}"));
            }
        }
    }
    let conditions = status["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    if !conditions.is_empty() {
        w.write(
            0,
            "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage",
        );
        w.write(1, "----\t------\t-----------------\t------------------\t------\t-------");
        for c in conditions {
            w.write(
                1,
                format!(
                    "{} \t{} \t{} \t{} \t{} \t{}",
                    text(&c["type"]),
                    text(&c["status"]),
                    time(&c["lastHeartbeatTime"]),
                    time(&c["lastTransitionTime"]),
                    text(&c["reason"]),
                    text(&c["message"])
                ),
            );
        }
    }
    w.write(0, "Addresses:");
    for a in status["addresses"].as_array().into_iter().flatten() {
        w.write(1, format!("{}:\t{}", text(&a["type"]), text(&a["address"])));
    }
    for (title, field) in [("Capacity", "capacity"), ("Allocatable", "allocatable")] {
        if let Some(amounts) = status[field].as_object().filter(|m| !m.is_empty()) {
            w.write(0, format!("{title}:"));
            for (name, amount) in amounts {
                w.write(1, format!("{name}:\t{}", Quantity::of(amount)));
            }
        }
    }
    w.write(0, "System Info:");
    let info = &status["nodeInfo"];
    for (title, field) in [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
        ("Kube-Proxy Version", "kubeProxyVersion"),
    ] {
        w.write(1, format!("{title}:\t{}", text(&info[field])));
    }
    if let Some(cidr) = spec["podCIDR"].as_str().filter(|c| !c.is_empty()) {
        w.write(0, format!("PodCIDR:\t{cidr}"));
    }
    let cidrs: Vec<&str> = spec["podCIDRs"].as_array().into_iter().flatten().map(text).collect();
    if !cidrs.is_empty() {
        w.write(0, format!("PodCIDRs:\t{}", cidrs.join(",")));
    }
    if let Some(id) = spec["providerID"].as_str().filter(|c| !c.is_empty()) {
        w.write(0, format!("ProviderID:\t{id}"));
    }
    pods(k, w, o).await
}

/// What a pod asks for: the most of its init containers or the sum of the others; native
/// sidecars count with the others.
fn wanted(pod: &Value, field: &str, what: &str) -> Quantity {
    let spec = &pod["spec"];
    let of = |c: &Value| Quantity::of(&c["resources"][field][what]);
    let mut sum = Quantity::default();
    for c in spec["containers"].as_array().into_iter().flatten() {
        sum = sum.plus(of(c));
    }
    let (mut sidecars, mut most) = (Quantity::default(), Quantity::default());
    for c in spec["initContainers"].as_array().into_iter().flatten() {
        let now = if c["restartPolicy"] == "Always" {
            sum = sum.plus(of(c));
            sidecars = sidecars.plus(of(c));
            sidecars
        } else {
            sidecars.plus(of(c))
        };
        if now.0 > most.0 {
            most = now;
        }
    }
    let total = if most.0 > sum.0 { most } else { sum };
    let overhead = Quantity::of(&spec["overhead"][what]);
    if overhead.0 > 0 { total.plus(overhead) } else { total }
}

async fn pods(k: &mut Kubectl<'_>, w: &mut Writer, o: &Value) -> Result<()> {
    let name = text(&o["metadata"]["name"]);
    let on = format!("spec.nodeName={name},status.phase!=Succeeded,status.phase!=Failed");
    let path = with_query("/api/v1/pods", &[("fieldSelector", &on)]);
    let pods = k.client.get(&path).await?["items"].as_array().cloned().unwrap_or_default();
    let has = if o["status"]["allocatable"].as_object().is_some_and(|a| !a.is_empty()) {
        &o["status"]["allocatable"]
    } else {
        &o["status"]["capacity"]
    };
    let part = |q: Quantity, what: &str| {
        let all = Quantity::of(&has[what]).0;
        if all == 0 { 0 } else { q.0 * 100 / all }
    };
    w.write(0, format!("Non-terminated Pods:\t({} in total)", pods.len()));
    w.write(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge");
    w.write(1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---");
    let now = k.now();
    for pod in &pods {
        let mut line = format!(
            "{}\t{}\t",
            text(&pod["metadata"]["namespace"]),
            text(&pod["metadata"]["name"])
        );
        for (what, field) in
            [("cpu", "requests"), ("cpu", "limits"), ("memory", "requests"), ("memory", "limits")]
        {
            let q = wanted(pod, field, what);
            line += &format!("\t{q} ({}%)", part(q, what));
        }
        line += &format!("\t{}", age::since(text(&pod["metadata"]["creationTimestamp"]), now));
        w.write(1, line);
    }
    w.write(
        0,
        "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)",
    );
    w.write(1, "Resource\tRequests\tLimits");
    w.write(1, "--------\t--------\t------");
    let total = |field: &str, what: &str| {
        pods.iter().fold(Quantity::default(), |sum, p| sum.plus(wanted(p, field, what)))
    };
    let mut names = vec!["cpu".to_owned(), "memory".into(), "ephemeral-storage".into()];
    for name in has.as_object().into_iter().flat_map(|m| m.keys()) {
        if !names.contains(name) && name != "pods" {
            names.push(name.clone());
        }
    }
    for what in names {
        let (asked, limit) = (total("requests", &what), total("limits", &what));
        w.write(
            1,
            format!("{what}\t{asked} ({}%)\t{limit} ({}%)", part(asked, &what), part(limit, &what)),
        );
    }
    Ok(())
}
