//! Containers: what is wanted of them, and how they are.

use serde_json::Value;

use super::time;
use super::values::text;
use super::writer::Writer;

/// Describes a list of containers; `statuses` is null for templates.
pub fn describe(
    w: &mut Writer,
    title: &str,
    containers: &Value,
    statuses: &Value,
    space: usize,
    pod: &Value,
) {
    let all = containers.as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        return w.write(0, format!("{}{title}: <none>", "  ".repeat(space)));
    }
    w.write(space, format!("{title}:"));
    for c in all {
        let name = text(&c["name"]);
        let status = statuses.as_array().into_iter().flatten().find(|s| s["name"] == name);
        one(w, c, status, space, pod);
    }
}

fn one(w: &mut Writer, c: &Value, status: Option<&Value>, space: usize, pod: &Value) {
    w.write(1 + space, format!("{}:", text(&c["name"])));
    let at = 2 + space;
    if let Some(status) = status {
        w.write(at, format!("Container ID:\t{}", text(&status["containerID"])));
    }
    w.write(at, format!("Image:\t{}", text(&c["image"])));
    if let Some(status) = status {
        w.write(at, format!("Image ID:\t{}", text(&status["imageID"])));
    }
    let ports = c["ports"].as_array().map_or(&[][..], Vec::as_slice);
    let list = |field: &str| -> String {
        let each: Vec<String> = ports
            .iter()
            .map(|p| {
                let number = p[field].as_i64().unwrap_or(0);
                format!("{number}/{}", p["protocol"].as_str().unwrap_or("TCP"))
            })
            .collect();
        if each.is_empty() { "<none>".into() } else { each.join(", ") }
    };
    let plural = if ports.len() > 1 { "s" } else { "" };
    w.write(at, format!("Port{plural}:\t{}", list("containerPort")));
    w.write(at, format!("Host Port{plural}:\t{}", list("hostPort")));
    if let Some(profile) = c["securityContext"]["seccompProfile"]["type"].as_str() {
        w.write(at, format!("SeccompProfile:\t{profile}"));
    }
    for (title, field) in [("Command", "command"), ("Args", "args")] {
        let words = c[field].as_array().map_or(&[][..], Vec::as_slice);
        if !words.is_empty() {
            w.write(at, format!("{title}:"));
            for word in words {
                for line in text(word).split('\n') {
                    w.write(at + 1, line);
                }
            }
        }
    }
    if let Some(status) = status {
        state(w, at, "State", &status["state"]);
        let last = &status["lastState"];
        if !last["terminated"].is_null() {
            state(w, at, "Last State", last);
        }
        let ready = if status["ready"] == true { "True" } else { "False" };
        w.write(at, format!("Ready:\t{ready}"));
        w.write(at, format!("Restart Count:\t{}", status["restartCount"].as_i64().unwrap_or(0)));
    }
    for (title, field) in [("Limits", "limits"), ("Requests", "requests")] {
        let amounts = c["resources"][field].as_object().filter(|m| !m.is_empty());
        if let Some(amounts) = amounts {
            w.write(at, format!("{title}:"));
            for (name, amount) in amounts {
                let amount = super::quantity::Quantity::of(amount);
                w.write(at + 1, format!("{name}:\t{amount}"));
            }
        }
    }
    for (title, field) in [
        ("Liveness", "livenessProbe"),
        ("Readiness", "readinessProbe"),
        ("Startup", "startupProbe"),
    ] {
        if !c[field].is_null() {
            w.write(at, format!("{title}:\t{}", probe(&c[field])));
        }
    }
    let from = c["envFrom"].as_array().map_or(&[][..], Vec::as_slice);
    if !from.is_empty() {
        w.write(at, "Environment Variables from:");
        for e in from {
            let (kind, source) = if e["secretRef"].is_null() {
                ("ConfigMap", &e["configMapRef"])
            } else {
                ("Secret", &e["secretRef"])
            };
            let optional = source["optional"] == true;
            let prefix = text(&e["prefix"]);
            let prefix =
                if prefix.is_empty() { String::new() } else { format!(" with prefix '{prefix}'") };
            w.write(
                at + 1,
                format!("{}\t{kind}{prefix}\tOptional: {optional}", text(&source["name"])),
            );
        }
    }
    environment(w, c, at, pod);
    let mounts = c["volumeMounts"].as_array().map_or(&[][..], Vec::as_slice);
    if mounts.is_empty() {
        w.write(at, "Mounts:\t<none>");
    } else {
        w.write(at, "Mounts:");
        let mut mounts = mounts.to_vec();
        mounts.sort_by_key(|m| text(&m["mountPath"]).to_owned());
        for m in &mounts {
            let mut flags = vec![if m["readOnly"] == true { "ro".to_owned() } else { "rw".into() }];
            let sub = text(&m["subPath"]);
            if !sub.is_empty() {
                flags.push(format!("path=\"{sub}\""));
            }
            w.write(
                at + 1,
                format!(
                    "{} from {} ({})",
                    text(&m["mountPath"]),
                    text(&m["name"]),
                    flags.join(",")
                ),
            );
        }
    }
}

fn environment(w: &mut Writer, c: &Value, at: usize, pod: &Value) {
    let env = c["env"].as_array().map_or(&[][..], Vec::as_slice);
    if env.is_empty() {
        return w.write(at, "Environment:\t<none>");
    }
    w.write(at, "Environment:");
    for e in env {
        let name = text(&e["name"]);
        let from = &e["valueFrom"];
        if from.is_null() {
            let mut lines = text(&e["value"]).split('\n');
            w.write(at + 1, format!("{name}:\t{}", lines.next().unwrap_or("")));
            for line in lines {
                w.write(at + 1, format!("\t{line}"));
            }
            continue;
        }
        let shown = if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
            let version = from["fieldRef"]["apiVersion"].as_str().unwrap_or("v1");
            let value = match path {
                "metadata.name" | "metadata.namespace" | "metadata.uid" => {
                    text(&pod["metadata"][&path[9..]])
                }
                _ => "",
            };
            format!("{value} ({version}:{path})")
        } else if let Some(resource) = from["resourceFieldRef"]["resource"].as_str() {
            let (group, what) = resource.split_once('.').unwrap_or(("", ""));
            let amount = &c["resources"][group][what];
            let node = amount.is_null();
            let q = super::quantity::Quantity::of(amount);
            let divisor = from["resourceFieldRef"]["divisor"].as_str().unwrap_or("0");
            let value = match (what, divisor) {
                _ if node => "node allocatable".into(),
                ("cpu", "1m") => q.millis().to_string(),
                _ => q.value().to_string(),
            };
            format!("{value} ({resource})")
        } else if !from["secretKeyRef"].is_null() {
            let r = &from["secretKeyRef"];
            format!(
                "<set to the key '{}' in secret '{}'>\tOptional: {}",
                text(&r["key"]),
                text(&r["name"]),
                r["optional"] == true
            )
        } else {
            let r = &from["configMapKeyRef"];
            format!(
                "<set to the key '{}' of config map '{}'>\tOptional: {}",
                text(&r["key"]),
                text(&r["name"]),
                r["optional"] == true
            )
        };
        w.write(at + 1, format!("{name}:\t{shown}"));
    }
}

fn state(w: &mut Writer, at: usize, title: &str, state: &Value) {
    let running = &state["running"];
    let (waiting, ended) = (&state["waiting"], &state["terminated"]);
    if !running.is_null() {
        w.write(at, format!("{title}:\tRunning"));
        w.write(at + 1, format!("Started:\t{}", time(&running["startedAt"])));
    } else if !waiting.is_null() {
        w.write(at, format!("{title}:\tWaiting"));
        if let Some(reason) = waiting["reason"].as_str().filter(|r| !r.is_empty()) {
            w.write(at + 1, format!("Reason:\t{reason}"));
        }
    } else if !ended.is_null() {
        w.write(at, format!("{title}:\tTerminated"));
        for (name, field) in [("Reason", "reason"), ("Message", "message")] {
            if let Some(said) = ended[field].as_str().filter(|r| !r.is_empty()) {
                w.write(at + 1, format!("{name}:\t{said}"));
            }
        }
        w.write(at + 1, format!("Exit Code:\t{}", ended["exitCode"].as_i64().unwrap_or(0)));
        if let Some(signal) = ended["signal"].as_i64().filter(|s| *s > 0) {
            w.write(at + 1, format!("Signal:\t{signal}"));
        }
        w.write(at + 1, format!("Started:\t{}", time(&ended["startedAt"])));
        w.write(at + 1, format!("Finished:\t{}", time(&ended["finishedAt"])));
    } else {
        w.write(at, format!("{title}:\tWaiting"));
    }
}

/// A probe on one line.
fn probe(p: &Value) -> String {
    let number = |field: &str| p[field].as_i64().unwrap_or(0);
    let attributes = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        number("initialDelaySeconds"),
        number("timeoutSeconds"),
        number("periodSeconds"),
        number("successThreshold"),
        number("failureThreshold")
    );
    let port = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    if !p["exec"].is_null() {
        let words: Vec<&str> =
            p["exec"]["command"].as_array().into_iter().flatten().map(text).collect();
        return format!("exec [{}] {attributes}", words.join(" "));
    }
    let get = &p["httpGet"];
    if !get.is_null() {
        let scheme = get["scheme"].as_str().unwrap_or("HTTP").to_lowercase();
        let path = text(&get["path"]);
        let slash = if path.starts_with('/') { "" } else { "/" };
        return format!(
            "http-get {scheme}://{}:{}{slash}{path} {attributes}",
            text(&get["host"]),
            port(&get["port"])
        );
    }
    let tcp = &p["tcpSocket"];
    if !tcp.is_null() {
        return format!("tcp-socket {}:{} {attributes}", text(&tcp["host"]), port(&tcp["port"]));
    }
    let grpc = &p["grpc"];
    if !grpc.is_null() {
        return format!(
            "grpc <pod>:{} {} {attributes}",
            port(&grpc["port"]),
            text(&grpc["service"])
        );
    }
    format!("unknown {attributes}")
}
