//! Pod security levels that a namespace enforces by its labels
//! (`k8s.io/pod-security-admission/policy`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::store::object::list;
use crate::store::{Error, Row, Store, object};

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const VERSION: &str = "pod-security.kubernetes.io/enforce-version";
/// What a container may add at the level "baseline".
const USUAL: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// What a volume may be at the level "restricted".
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// A rule that is broken: a word for it, and who breaks it how.
struct Violation {
    reason: &'static str,
    detail: String,
}

fn label<'a>(namespace: &'a Value, key: &str) -> Option<&'a str> {
    namespace["metadata"]["labels"][key].as_str().filter(|l| !l.is_empty())
}

/// The level that a namespace enforces, and its version.
fn enforced(namespace: &Value) -> Option<(&str, &str)> {
    let level = label(namespace, ENFORCE).filter(|l| matches!(*l, "baseline" | "restricted"))?;
    Some((level, label(namespace, VERSION).unwrap_or("latest")))
}

/// Refuses a pod that its namespace does not allow.
pub(super) fn check(store: &Store, row: &Row, pod: &Value) -> Result<(), Error> {
    let Some(namespace) = store.get("namespaces", "", object::namespace(pod)) else {
        return Ok(());
    };
    let Some((level, version)) = enforced(&namespace) else { return Ok(()) };
    let broken = violations(&pod["spec"], level == "restricted");
    if broken.is_empty() {
        return Ok(());
    }
    let parts: Vec<String> =
        broken.iter().map(|v| format!("{} ({})", v.reason, v.detail)).collect();
    let why = format!("violates PodSecurity \"{level}:{version}\": {}", parts.join(", "));
    Err(Error::forbidden(row, object::name(pod), &why))
}

/// What is said when a namespace begins to enforce a level that its pods break.
pub(crate) fn warnings(store: &Store, new: &Value, old: Option<&Value>) -> Vec<String> {
    let Some((level, version)) = enforced(new) else { return Vec::new() };
    if old.and_then(enforced) == Some((level, version)) {
        return Vec::new();
    }
    // The pods that break the same rules are told of together.
    let mut groups: Vec<(String, String, usize)> = Vec::new();
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    for pod in store.list("pods", Some(object::name(new))) {
        let broken = violations(&pod["spec"], level == "restricted");
        if broken.is_empty() {
            continue;
        }
        let reasons = broken.iter().map(|v| v.reason).collect::<Vec<_>>().join(", ");
        let at = *index.entry(reasons.clone()).or_insert_with(|| {
            groups.push((object::name(&pod).to_owned(), reasons, 0));
            groups.len() - 1
        });
        groups[at].2 += 1;
    }
    if groups.is_empty() {
        return Vec::new();
    }
    let mut out = vec![format!(
        "existing pods in namespace {:?} violate the new PodSecurity enforce level \"{level}:{version}\"",
        object::name(new)
    )];
    out.extend(groups.into_iter().map(|(first, reasons, count)| match count {
        1 => format!("{first}: {reasons}"),
        2 => format!("{first} (and 1 other pod): {reasons}"),
        more => format!("{first} (and {} other pods): {reasons}", more - 1),
    }));
    out
}

fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ")
}

/// `container "a"`, `containers "a", "b"`.
fn named(word: &str, names: &[&str]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{word}{plural} {}", quoted(names.iter().copied()))
}

fn violations(spec: &Value, restricted: bool) -> Vec<Violation> {
    let containers: Vec<&Value> = ["initContainers", "containers", "ephemeralContainers"]
        .iter()
        .flat_map(|f| list(spec, f))
        .collect();
    let who = |breaks: &dyn Fn(&Value) -> bool| -> Vec<&str> {
        let bad = containers.iter().filter(|c| breaks(c));
        bad.map(|c| c["name"].as_str().unwrap_or("")).collect()
    };
    let mut out = Vec::new();
    let mut push = |reason: &'static str, detail: String| {
        if !detail.is_empty() {
            out.push(Violation { reason, detail });
        }
    };
    let added = |c: &Value, fine: &[&str]| -> Vec<String> {
        list(&c["securityContext"]["capabilities"], "add")
            .iter()
            .filter_map(|a| a.as_str().filter(|a| !fine.contains(a)).map(str::to_owned))
            .collect()
    };
    let must_not_add = |fine: &[&str]| -> String {
        let names = who(&|c| !added(c, fine).is_empty());
        if names.is_empty() {
            return String::new();
        }
        let mut extra: Vec<String> = containers.iter().flat_map(|c| added(c, fine)).collect();
        extra.sort();
        extra.dedup();
        let extra = quoted(extra.iter().map(String::as_str));
        format!(
            "{} must not include {extra} in securityContext.capabilities.add",
            named("container", &names)
        )
    };
    if !restricted {
        push("non-default capabilities", must_not_add(&USUAL));
    }
    let host: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .iter()
        .filter(|f| spec[**f] == true)
        .map(|f| format!("{f}=true"))
        .collect();
    push("host namespaces", host.join(", "));
    let volumes = |bad: &dyn Fn(&str) -> bool| -> Vec<(&str, String)> {
        list(spec, "volumes")
            .iter()
            .filter_map(|v| {
                let kind = v.as_object()?.keys().find(|k| *k != "name")?;
                bad(kind).then(|| (v["name"].as_str().unwrap_or(""), kind.clone()))
            })
            .collect()
    };
    if !restricted {
        let names: Vec<&str> = volumes(&|k| k == "hostPath").into_iter().map(|(n, _)| n).collect();
        push(
            "hostPath volumes",
            if names.is_empty() { String::new() } else { named("volume", &names) },
        );
    }
    let ports = |c: &Value| -> Vec<i64> {
        list(c, "ports").iter().filter_map(|p| p["hostPort"].as_i64().filter(|p| *p != 0)).collect()
    };
    let names = who(&|c| !ports(c).is_empty());
    if !names.is_empty() {
        let mut all: Vec<i64> = containers.iter().flat_map(|c| ports(c)).collect();
        all.sort_unstable();
        all.dedup();
        let plural = if all.len() == 1 { "" } else { "s" };
        let all = all.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        let verb = if names.len() == 1 { "uses" } else { "use" };
        push("hostPort", format!("{} {verb} hostPort{plural} {all}", named("container", &names)));
    }
    let mut must = |reason: &'static str, names: Vec<&str>, before: &str, what: &str| {
        if !names.is_empty() {
            push(reason, format!("{before}{} must {what}", named("container", &names)));
        }
    };
    let context = |c: &Value, field: &str| c["securityContext"][field].clone();
    must(
        "privileged",
        who(&|c| context(c, "privileged") == true),
        "",
        "not set securityContext.privileged=true",
    );
    if !restricted {
        return out;
    }
    must(
        "allowPrivilegeEscalation != false",
        who(&|c| context(c, "allowPrivilegeEscalation") != false),
        "",
        "set securityContext.allowPrivilegeEscalation=false",
    );
    let keeps =
        who(&|c| !list(&c["securityContext"]["capabilities"], "drop").iter().any(|d| d == "ALL"));
    let mut details = Vec::new();
    if !keeps.is_empty() {
        details.push(format!(
            "{} must set securityContext.capabilities.drop=[\"ALL\"]",
            named("container", &keeps)
        ));
    }
    let adds = must_not_add(&["NET_BIND_SERVICE"]);
    details.extend(Some(adds).filter(|a| !a.is_empty()));
    let mut push = |reason: &'static str, detail: String| {
        if !detail.is_empty() {
            out.push(Violation { reason, detail });
        }
    };
    push("unrestricted capabilities", details.join("; "));
    let bad: Vec<String> = volumes(&|k| !VOLUMES.contains(&k))
        .into_iter()
        .map(|(name, kind)| format!("volume {name:?} uses restricted volume type {kind:?}"))
        .collect();
    push("restricted volume types", bad.join(", "));
    let whole = &spec["securityContext"];
    let open = who(&|c| match context(c, "runAsNonRoot") {
        Value::Bool(set) => !set,
        _ => whole["runAsNonRoot"] != true,
    });
    if !open.is_empty() {
        let text = named("container", &open);
        push(
            "runAsNonRoot != true",
            format!("pod or {text} must set securityContext.runAsNonRoot=true"),
        );
    }
    let root = who(&|c| context(c, "runAsUser") == 0);
    if whole["runAsUser"] == 0 {
        push("runAsUser=0", "pod must not set runAsUser=0".into());
    } else if !root.is_empty() {
        push("runAsUser=0", format!("{} must not set runAsUser=0", named("container", &root)));
    }
    let fine =
        |profile: &Value| matches!(profile["type"].as_str(), Some("RuntimeDefault" | "Localhost"));
    let open = who(&|c| {
        let own = context(c, "seccompProfile");
        if own.is_null() { !fine(&whole["seccompProfile"]) } else { !fine(&own) }
    });
    if !open.is_empty() {
        let text = named("container", &open);
        push(
            "seccompProfile",
            format!(
                "pod or {text} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\""
            ),
        );
    }
    out
}
