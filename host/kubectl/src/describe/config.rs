//! ConfigMaps, Secrets, accounts, roles, namespaces, storage, budgets, autoscalers.

use base64::Engine as _;
use serde_json::Value;

use super::labels::head;
use super::labels::{annotations, labels, selector_or};
use super::time;
use super::values::{list, plain, text};
use super::writer::Writer;
use crate::client::with_query;
use crate::failure::Result;
use crate::kubectl::{Kubectl, texts};

/// A ConfigMap.
pub fn config_map(w: &mut Writer, o: &Value) {
    head(w, o);
    w.raw("\nData\n====\n");
    for (key, value) in texts(&o["data"]) {
        w.raw(&format!("{key}:\n----\n{value}\n\n"));
    }
    w.raw("\nBinaryData\n====\n");
    for (key, value) in texts(&o["binaryData"]) {
        w.raw(&format!("{key}: {} bytes\n", decoded(value)));
    }
    w.raw("\n");
}

fn decoded(value: &str) -> usize {
    base64::engine::general_purpose::STANDARD.decode(value).map_or(0, |b| b.len())
}

/// A Secret: how long its values are.
pub fn secret(w: &mut Writer, o: &Value) {
    head(w, o);
    w.raw(&format!("\nType:\t{}\n\nData\n====\n", text(&o["type"])));
    for (key, value) in texts(&o["data"]) {
        w.raw(&format!("{key}:\t{} bytes\n", decoded(value)));
    }
}

/// A ServiceAccount.
pub fn service_account(w: &mut Writer, o: &Value) {
    head(w, o);
    for (title, field) in
        [("Image pull secrets", "imagePullSecrets"), ("Mountable secrets", "secrets")]
    {
        let names: Vec<&str> = list(&o[field]).iter().map(|s| text(&s["name"])).collect();
        if names.is_empty() {
            w.write(0, format!("{title}:\t<none>"));
        }
        for (i, name) in names.iter().enumerate() {
            w.write(0, if i == 0 { format!("{title}:\t{name}") } else { format!("\t{name}") });
        }
    }
    w.write(0, "Tokens:\t<none>");
}

/// A Namespace with its quotas and limits.
///
/// # Errors
/// If these cannot be listed.
pub async fn namespace(k: &mut Kubectl<'_>, w: &mut Writer, o: &Value) -> Result<()> {
    let name = text(&o["metadata"]["name"]);
    w.write(0, format!("Name:\t{name}"));
    labels(w, "Labels", &o["metadata"]["labels"]);
    annotations(w, "Annotations", &o["metadata"]["annotations"]);
    w.write(0, format!("Status:\t{}", text(&o["status"]["phase"])));
    let quotas = k.client.get(&format!("/api/v1/namespaces/{name}/resourcequotas")).await?;
    w.raw("\n");
    if list(&quotas["items"]).is_empty() {
        w.write(0, "No resource quota.");
    } else {
        w.write(0, "Resource Quotas");
        for q in list(&quotas["items"]) {
            w.write(1, format!("Name:\t{}", text(&q["metadata"]["name"])));
            w.write(1, "Resource\tUsed\tHard");
            w.write(1, "--------\t---\t---");
            for (what, hard) in texts(&q["status"]["hard"]) {
                let used = text(&q["status"]["used"][what]);
                w.write(1, format!("{what}\t{}\t{hard}", if used.is_empty() { "0" } else { used }));
            }
        }
    }
    let limits = k.client.get(&format!("/api/v1/namespaces/{name}/limitranges")).await?;
    w.raw("\n");
    if list(&limits["items"]).is_empty() {
        w.write(0, "No LimitRange resource.");
        return Ok(());
    }
    w.write(0, "Resource Limits");
    w.write(1, "Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio");
    w.write(1, "----\t--------\t---\t---\t---------------\t-------------\t-----------------------");
    for range in list(&limits["items"]) {
        for limit in list(&range["spec"]["limits"]) {
            let mut names = std::collections::BTreeSet::new();
            for field in ["min", "max", "default", "defaultRequest", "maxLimitRequestRatio"] {
                names.extend(texts(&limit[field]).into_keys());
            }
            for what in names {
                let cell = |field: &str| {
                    let v = text(&limit[field][what]);
                    if v.is_empty() { "-".to_owned() } else { v.to_owned() }
                };
                w.write(
                    1,
                    format!(
                        "{}\t{what}\t{}\t{}\t{}\t{}\t{}",
                        text(&limit["type"]),
                        cell("min"),
                        cell("max"),
                        cell("defaultRequest"),
                        cell("default"),
                        cell("maxLimitRequestRatio")
                    ),
                );
            }
        }
    }
    Ok(())
}

fn modes(value: &Value) -> String {
    let short = |m: &Value| match text(m) {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => "",
    };
    list(value).iter().map(short).collect::<Vec<_>>().join(",")
}

/// A PersistentVolumeClaim.
///
/// # Errors
/// If pods cannot be listed.
pub async fn claim(k: &mut Kubectl<'_>, w: &mut Writer, o: &Value) -> Result<()> {
    let (meta, spec, status) = (&o["metadata"], &o["spec"], &o["status"]);
    let namespace = text(&meta["namespace"]);
    let pods =
        k.client.get(&with_query(&format!("/api/v1/namespaces/{namespace}/pods"), &[])).await?;
    w.write(0, format!("Name:\t{}", text(&meta["name"])));
    w.write(0, format!("Namespace:\t{namespace}"));
    w.write(0, format!("StorageClass:\t{}", text(&spec["storageClassName"])));
    if meta["deletionTimestamp"].is_null() {
        w.write(0, format!("Status:\t{}", text(&status["phase"])));
    } else {
        w.write(0, "Status:\tTerminating");
    }
    w.write(0, format!("Volume:\t{}", text(&spec["volumeName"])));
    labels(w, "Labels", &meta["labels"]);
    annotations(w, "Annotations", &meta["annotations"]);
    let finalizers: Vec<&str> = list(&meta["finalizers"]).iter().map(text).collect();
    w.write(0, format!("Finalizers:\t[{}]", finalizers.join(" ")));
    let bound = !text(&spec["volumeName"]).is_empty();
    w.write(
        0,
        format!("Capacity:\t{}", if bound { text(&status["capacity"]["storage"]) } else { "" }),
    );
    w.write(
        0,
        format!(
            "Access Modes:\t{}",
            if bound { modes(&status["accessModes"]) } else { String::new() }
        ),
    );
    if let Some(mode) = spec["volumeMode"].as_str() {
        w.write(0, format!("VolumeMode:\t{mode}"));
    }
    let users: Vec<&str> = list(&pods["items"])
        .iter()
        .filter(|p| {
            list(&p["spec"]["volumes"])
                .iter()
                .any(|v| v["persistentVolumeClaim"]["claimName"] == meta["name"])
        })
        .map(|p| text(&p["metadata"]["name"]))
        .collect();
    if users.is_empty() {
        w.write(0, "Used By:\t<none>");
    }
    for (i, user) in users.iter().enumerate() {
        w.write(0, if i == 0 { format!("Used By:\t{user}") } else { format!("\t{user}") });
    }
    Ok(())
}

/// A PersistentVolume.
pub fn volume(w: &mut Writer, o: &Value) {
    let (meta, spec, status) = (&o["metadata"], &o["spec"], &o["status"]);
    w.write(0, format!("Name:\t{}", text(&meta["name"])));
    labels(w, "Labels", &meta["labels"]);
    annotations(w, "Annotations", &meta["annotations"]);
    let finalizers: Vec<&str> = list(&meta["finalizers"]).iter().map(text).collect();
    w.write(0, format!("Finalizers:\t[{}]", finalizers.join(" ")));
    w.write(0, format!("StorageClass:\t{}", text(&spec["storageClassName"])));
    w.write(0, format!("Status:\t{}", text(&status["phase"])));
    let claim = &spec["claimRef"];
    w.write(
        0,
        if claim.is_null() {
            "Claim:\t".into()
        } else {
            format!("Claim:\t{}/{}", text(&claim["namespace"]), text(&claim["name"]))
        },
    );
    w.write(0, format!("Reclaim Policy:\t{}", text(&spec["persistentVolumeReclaimPolicy"])));
    w.write(0, format!("Access Modes:\t{}", modes(&spec["accessModes"])));
    if let Some(mode) = spec["volumeMode"].as_str() {
        w.write(0, format!("VolumeMode:\t{mode}"));
    }
    w.write(0, format!("Capacity:\t{}", text(&spec["capacity"]["storage"])));
    w.write(0, "Node Affinity:\t<none>");
    w.write(0, format!("Message:\t{}", text(&status["message"])));
    w.write(0, "Source:");
    super::volume::describe_source(w, spec);
}

/// A PodDisruptionBudget.
pub fn budget(w: &mut Writer, o: &Value) {
    let (spec, status) = (&o["spec"], &o["status"]);
    w.write(0, format!("Name:\t{}", text(&o["metadata"]["name"])));
    w.write(0, format!("Namespace:\t{}", text(&o["metadata"]["namespace"])));
    if !spec["minAvailable"].is_null() {
        w.write(0, format!("Min available:\t{}", plain(&spec["minAvailable"])));
    } else if !spec["maxUnavailable"].is_null() {
        w.write(0, format!("Max unavailable:\t{}", plain(&spec["maxUnavailable"])));
    }
    if spec["selector"].is_null() {
        w.write(0, "Selector:\t<unset>");
    } else {
        w.write(0, format!("Selector:\t{}", selector_or(&spec["selector"], "<none>")));
    }
    w.write(0, "Status:");
    for (title, field) in [
        ("Allowed disruptions", "disruptionsAllowed"),
        ("Current", "currentHealthy"),
        ("Desired", "desiredHealthy"),
        ("Total", "expectedPods"),
    ] {
        w.write(2, format!("{title}:\t{}", status[field].as_i64().unwrap_or(0)));
    }
}

/// A HorizontalPodAutoscaler.
pub fn autoscaler(w: &mut Writer, o: &Value) {
    let (meta, spec, status) = (&o["metadata"], &o["spec"], &o["status"]);
    head(w, o);
    w.write(0, format!("CreationTimestamp:\t{}", time(&meta["creationTimestamp"])));
    let target = &spec["scaleTargetRef"];
    w.write(0, format!("Reference:\t{}/{}", text(&target["kind"]), text(&target["name"])));
    w.write(0, "Metrics:\t( current / target )");
    let current = list(&status["currentMetrics"]);
    for (i, metric) in list(&spec["metrics"]).iter().enumerate() {
        let now = current.get(i).unwrap_or(&Value::Null);
        match text(&metric["type"]) {
            "Resource" => {
                let (r, n) = (&metric["resource"], &now["resource"]["current"]);
                w.raw(&format!("  resource {} on pods", text(&r["name"])));
                if r["target"]["averageValue"].is_null() {
                    let has = match (n["averageUtilization"].as_i64(), n["averageValue"].as_str()) {
                        (Some(u), Some(v)) => format!("{u}% ({v})"),
                        _ => "<unknown>".into(),
                    };
                    let goal = r["target"]["averageUtilization"]
                        .as_i64()
                        .map_or("<auto>".into(), |u| format!("{u}%"));
                    w.raw(&format!("  (as a percentage of request):\t{has} / {goal}\n"));
                } else {
                    let has = n["averageValue"].as_str().unwrap_or("<unknown>");
                    w.raw(&format!(":\t{has} / {}\n", text(&r["target"]["averageValue"])));
                }
            }
            "Pods" => {
                let p = &metric["pods"];
                let has = now["pods"]["current"]["averageValue"].as_str().unwrap_or("<unknown>");
                w.raw(&format!(
                    "  {:?} on pods:\t{has} / {}\n",
                    text(&p["metric"]["name"]),
                    text(&p["target"]["averageValue"])
                ));
            }
            "External" => {
                let (e, n) = (&metric["external"], &now["external"]["current"]);
                let (words, field) = if e["target"]["averageValue"].is_null() {
                    ("target value", "value")
                } else {
                    ("target average value", "averageValue")
                };
                let has = n[field].as_str().unwrap_or("<unknown>");
                let (name, goal) = (text(&e["metric"]["name"]), text(&e["target"][field]));
                w.raw(&format!("  {name:?} ({words}):\t{has} / {goal}\n"));
            }
            other => w.raw(&format!("  <unknown metric type {other:?}>\n")),
        }
    }
    let min = spec["minReplicas"].as_i64().map_or("<unset>".into(), |n| n.to_string());
    w.write(0, format!("Min replicas:\t{min}"));
    w.write(0, format!("Max replicas:\t{}", spec["maxReplicas"]));
    let behavior = &spec["behavior"];
    if !behavior.is_null() {
        w.write(0, "Behavior:");
        for (title, field) in [("Scale Up", "scaleUp"), ("Scale Down", "scaleDown")] {
            let rules = &behavior[field];
            if rules.is_null() {
                continue;
            }
            w.write(1, format!("{title}:"));
            if let Some(seconds) = rules["stabilizationWindowSeconds"].as_i64() {
                w.write(2, format!("Stabilization Window: {seconds} seconds"));
            }
            if !list(&rules["policies"]).is_empty() {
                w.write(
                    2,
                    format!("Select Policy: {}", rules["selectPolicy"].as_str().unwrap_or("Max")),
                );
                w.write(2, "Policies:");
                for p in list(&rules["policies"]) {
                    w.write(
                        3,
                        format!(
                            "- Type: {}\tValue: {}\tPeriod: {} seconds",
                            text(&p["type"]),
                            p["value"],
                            p["periodSeconds"]
                        ),
                    );
                }
            }
        }
    }
    w.write(
        0,
        format!(
            "{} pods:\t{} current / {} desired",
            text(&target["kind"]),
            status["currentReplicas"].as_i64().unwrap_or(0),
            status["desiredReplicas"].as_i64().unwrap_or(0)
        ),
    );
    if !list(&status["conditions"]).is_empty() {
        w.write(0, "Conditions:");
        w.write(1, "Type\tStatus\tReason\tMessage");
        w.write(1, "----\t------\t------\t-------");
        for c in list(&status["conditions"]) {
            w.write(
                1,
                format!(
                    "{}\t{}\t{}\t{}",
                    text(&c["type"]),
                    text(&c["status"]),
                    text(&c["reason"]),
                    text(&c["message"])
                ),
            );
        }
    }
}

/// A ResourceQuota.
pub fn quota(w: &mut Writer, o: &Value) {
    w.write(0, format!("Name:\t{}", text(&o["metadata"]["name"])));
    w.write(0, format!("Namespace:\t{}", text(&o["metadata"]["namespace"])));
    let scopes: Vec<&str> = list(&o["spec"]["scopes"]).iter().map(text).collect();
    if !scopes.is_empty() {
        w.write(0, format!("Scopes:\t{}", scopes.join(", ")));
    }
    w.write(0, "Resource\tUsed\tHard");
    w.write(0, "--------\t----\t----");
    for (what, hard) in texts(&o["status"]["hard"]) {
        let used = text(&o["status"]["used"][what]);
        w.write(0, format!("{what}\t{}\t{hard}", if used.is_empty() { "0" } else { used }));
    }
}

/// A Role or ClusterRole.
pub fn role(w: &mut Writer, o: &Value) {
    w.write(0, format!("Name:\t{}", text(&o["metadata"]["name"])));
    labels(w, "Labels", &o["metadata"]["labels"]);
    annotations(w, "Annotations", &o["metadata"]["annotations"]);
    w.write(0, "PolicyRule:");
    w.write(1, "Resources\tNon-Resource URLs\tResource Names\tVerbs");
    w.write(1, "---------\t-----------------\t--------------\t-----");
    let words = |v: &Value| list(v).iter().map(text).collect::<Vec<_>>().join(" ");
    let mut lines = Vec::new();
    for rule in list(&o["rules"]) {
        for urls in list(&rule["nonResourceURLs"]) {
            lines.push((
                format!("[{}],[],[],{}", words(&rule["verbs"]), text(urls)),
                format!("\t[{}]\t[]\t[{}]", text(urls), words(&rule["verbs"])),
            ));
        }
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                let (kind, sub) = text(resource).split_once('/').unwrap_or((text(resource), ""));
                let mut name = if text(group).is_empty() {
                    kind.to_owned()
                } else {
                    format!("{kind}.{}", text(group))
                };
                if !sub.is_empty() {
                    name += &format!("/{sub}");
                }
                let names = words(&rule["resourceNames"]);
                let verbs = words(&rule["verbs"]);
                // As kubectl sorts rules: by their texts in Go.
                let key = format!("[{verbs}],[{}],[{}],[{names}]", text(group), text(resource));
                lines.push((key, format!("{name}\t[]\t[{names}]\t[{verbs}]")));
            }
        }
    }
    lines.sort();
    for (_, line) in lines {
        w.write(1, line);
    }
}

/// A RoleBinding or ClusterRoleBinding.
pub fn binding(w: &mut Writer, o: &Value) {
    w.write(0, format!("Name:\t{}", text(&o["metadata"]["name"])));
    labels(w, "Labels", &o["metadata"]["labels"]);
    annotations(w, "Annotations", &o["metadata"]["annotations"]);
    w.write(0, "Role:");
    w.write(1, format!("Kind:\t{}", text(&o["roleRef"]["kind"])));
    w.write(1, format!("Name:\t{}", text(&o["roleRef"]["name"])));
    w.write(0, "Subjects:");
    w.write(1, "Kind\tName\tNamespace");
    w.write(1, "----\t----\t---------");
    for s in list(&o["subjects"]) {
        w.write(
            1,
            format!("{}\t{}\t{}", text(&s["kind"]), text(&s["name"]), text(&s["namespace"])),
        );
    }
}
