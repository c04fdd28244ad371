//! Pods.

use serde_json::Value;

use super::labels::{annotations, labels, selector_or};
use super::values::text;
use super::writer::Writer;
use super::{container, time, volume};

/// Describes a pod, without its events.
pub fn describe(w: &mut Writer, o: &Value) {
    let (meta, spec, status) = (&o["metadata"], &o["spec"], &o["status"]);
    w.write(0, format!("Name:\t{}", text(&meta["name"])));
    w.write(0, format!("Namespace:\t{}", text(&meta["namespace"])));
    if let Some(priority) = spec["priority"].as_i64() {
        w.write(0, format!("Priority:\t{priority}"));
    }
    for (title, field) in [
        ("Priority Class Name", "priorityClassName"),
        ("Runtime Class Name", "runtimeClassName"),
        ("Service Account", "serviceAccountName"),
    ] {
        if let Some(name) = spec[field].as_str().filter(|n| !n.is_empty()) {
            w.write(0, format!("{title}:\t{name}"));
        }
    }
    match spec["nodeName"].as_str().filter(|n| !n.is_empty()) {
        Some(node) => w.write(0, format!("Node:\t{node}/{}", text(&status["hostIP"]))),
        None => w.write(0, "Node:\t<none>"),
    }
    if !status["startTime"].is_null() {
        w.write(0, format!("Start Time:\t{}", time(&status["startTime"])));
    }
    labels(w, "Labels", &meta["labels"]);
    annotations(w, "Annotations", &meta["annotations"]);
    if meta["deletionTimestamp"].is_null() {
        w.write(0, format!("Status:\t{}", text(&status["phase"])));
    } else {
        w.write(0, format!("Status:\tTerminating (lasts {})", "<invalid>"));
        w.write(0, format!("Termination Grace Period:\t{}s", meta["deletionGracePeriodSeconds"]));
    }
    for (title, field) in [("Reason", "reason"), ("Message", "message")] {
        if let Some(said) = status[field].as_str().filter(|s| !s.is_empty()) {
            w.write(0, format!("{title}:\t{said}"));
        }
    }
    if let Some(profile) = spec["securityContext"]["seccompProfile"]["type"].as_str() {
        w.write(0, format!("SeccompProfile:\t{profile}"));
    }
    w.write(0, format!("IP:\t{}", text(&status["podIP"])));
    let ips = status["podIPs"].as_array().map_or(&[][..], Vec::as_slice);
    if ips.is_empty() {
        w.write(0, "IPs:\t<none>");
    } else {
        w.write(0, "IPs:");
        for ip in ips {
            w.write(1, format!("IP:\t{}", text(&ip["ip"])));
        }
    }
    let owners = meta["ownerReferences"].as_array().into_iter().flatten();
    if let Some(owner) = owners.into_iter().find(|r| r["controller"] == true) {
        w.write(0, format!("Controlled By:\t{}/{}", text(&owner["kind"]), text(&owner["name"])));
    }
    if let Some(node) = status["nominatedNodeName"].as_str().filter(|n| !n.is_empty()) {
        w.write(0, format!("NominatedNodeName:\t{node}"));
    }
    if spec["initContainers"].as_array().is_some_and(|l| !l.is_empty()) {
        container::describe(
            w,
            "Init Containers",
            &spec["initContainers"],
            &status["initContainerStatuses"],
            0,
            o,
        );
    }
    container::describe(w, "Containers", &spec["containers"], &status["containerStatuses"], 0, o);
    if spec["ephemeralContainers"].as_array().is_some_and(|l| !l.is_empty()) {
        container::describe(
            w,
            "Ephemeral Containers",
            &spec["ephemeralContainers"],
            &status["ephemeralContainerStatuses"],
            0,
            o,
        );
    }
    let gates = spec["readinessGates"].as_array().map_or(&[][..], Vec::as_slice);
    let conditions = status["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    if !gates.is_empty() {
        w.write(0, "Readiness Gates:\n  Type\tStatus");
        for gate in gates {
            let found = conditions.iter().find(|c| c["type"] == gate["conditionType"]);
            w.write(
                1,
                format!(
                    "{} \t{} ",
                    text(&gate["conditionType"]),
                    found.map_or("<none>", |c| text(&c["status"]))
                ),
            );
        }
    }
    if !conditions.is_empty() {
        w.write(0, "Conditions:\n  Type\tStatus");
        for c in conditions {
            w.write(1, format!("{} \t{} ", text(&c["type"]), text(&c["status"])));
        }
    }
    volume::describe(w, &spec["volumes"], 0);
    w.write(0, format!("QoS Class:\t{}", text(&status["qosClass"])));
    labels(w, "Node-Selectors", &spec["nodeSelector"]);
    tolerations(w, &spec["tolerations"]);
    let spread = spec["topologySpreadConstraints"].as_array().map_or(&[][..], Vec::as_slice);
    let mut spread = spread.to_vec();
    spread.sort_by_key(|s| text(&s["topologyKey"]).to_owned());
    for (i, s) in spread.iter().enumerate() {
        let begin = if i == 0 { "Topology Spread Constraints:" } else { "" };
        let mut line = format!(
            "{begin}\t{}:{} when max skew {} is exceeded",
            text(&s["topologyKey"]),
            text(&s["whenUnsatisfiable"]),
            s["maxSkew"]
        );
        if !s["labelSelector"].is_null() {
            line += &format!(" for selector {}", selector_or(&s["labelSelector"], "<none>"));
        }
        w.write(0, line);
    }
}

/// Tolerations, one on each line.
pub fn tolerations(w: &mut Writer, value: &Value) {
    let all = value.as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        return w.write(0, "Tolerations:\t<none>");
    }
    let mut all = all.to_vec();
    all.sort_by_key(|t| text(&t["key"]).to_owned());
    for (i, t) in all.iter().enumerate() {
        let mut line = if i == 0 { "Tolerations:\t".to_owned() } else { "\t".into() };
        line += text(&t["key"]);
        if let Some(v) = t["value"].as_str().filter(|v| !v.is_empty()) {
            line += &format!("={v}");
        }
        if let Some(effect) = t["effect"].as_str().filter(|e| !e.is_empty()) {
            line += &format!(":{effect}");
        }
        if t["operator"] == "Exists" && t["value"].as_str().is_none_or(str::is_empty) {
            line += if t["key"].as_str().is_some_and(|k| !k.is_empty())
                || !text(&t["effect"]).is_empty()
            {
                " op=Exists"
            } else {
                "op=Exists"
            };
        }
        if let Some(seconds) = t["tolerationSeconds"].as_i64() {
            line += &format!(" for {seconds}s");
        }
        w.write(0, line);
    }
}
