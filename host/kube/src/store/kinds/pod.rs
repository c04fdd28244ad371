//! Pods: admission, grace, and what may be wrong (`pkg/apis/core/validation/validation.go`).

use serde_json::{Value, json};

use super::{metadata, pod_defaults};
use crate::api::access::token::MOUNT;
use crate::store::DeleteOptions;
use crate::store::error::{Error, FieldError, quoted};
use crate::store::names;
use crate::store::object::{self, map_mut};
use crate::store::quantity;
use crate::store::resource::{Context, Hooks};

/// The rules of pods.
pub const HOOKS: Hooks = Hooks {
    default: pod_defaults::pod,
    prepare_create,
    validate: |object, errors| pod_spec(&object["spec"], "spec", errors),
    validate_update,
    grace,
    ..super::PLAIN
};

fn prepare_create(context: &mut Context<'_>, object: &mut Value) -> Result<(), Error> {
    let namespace = object::namespace(object).to_string();
    let name = object::name(object).to_string();
    let account = match object["spec"]["serviceAccountName"].as_str() {
        Some(given) if !given.is_empty() => given.to_string(),
        _ => "default".to_string(),
    };
    // Only accounts somebody asked for must exist: `default` comes with its namespace a moment
    // later, which a pod of the same manifest need not wait for here.
    if account != "default"
        && context.store.get("serviceaccounts", &namespace, &account).is_none()
        && let Some(row) = context.store.row("pods")
    {
        let why = format!(
            "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
        );
        return Err(Error::forbidden(&row, &name, &why));
    }
    mount_token(context, object, &namespace, &account);
    let qos = qos_class(&object["spec"]);
    let map = map_mut(object);
    map.insert("status".into(), json!({"phase": "Pending", "qosClass": qos}));
    if let Some(spec) = map.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("serviceAccountName".into(), account.as_str().into());
        spec.insert("serviceAccount".into(), account.into());
        spec.entry("preemptionPolicy").or_insert("PreemptLowerPriority".into());
        spec.entry("priority").or_insert(0.into());
        let tolerations = spec.entry("tolerations").or_insert(json!([]));
        if let Some(list) = tolerations.as_array_mut() {
            for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
                let has = list.iter().any(|t| {
                    (t["key"] == key || t["key"].as_str().is_none_or(str::is_empty))
                        && (t["effect"] == "NoExecute"
                            || t["effect"].as_str().is_none_or(str::is_empty))
                });
                if !has {
                    list.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
                }
            }
        }
    }
    Ok(())
}

/// Gives containers the account's token, unless pod or account refuse
/// (`plugin/pkg/admission/serviceaccount`).
fn mount_token(context: &mut Context<'_>, object: &mut Value, namespace: &str, account: &str) {
    const PREFIX: &str = "kube-api-access-";
    let account = context.store.get("serviceaccounts", namespace, account);
    let wanted = object["spec"]["automountServiceAccountToken"]
        .as_bool()
        .or_else(|| account.as_ref().and_then(|a| a["automountServiceAccountToken"].as_bool()));
    if wanted == Some(false) {
        return;
    }
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let has = |c: &Value| {
        let mounts = c["volumeMounts"].as_array();
        mounts.into_iter().flatten().any(|m| m["mountPath"] == MOUNT)
    };
    let lacking = ["initContainers", "containers"]
        .iter()
        .flat_map(|f| spec.get(*f).and_then(Value::as_array).into_iter().flatten())
        .any(|c| c.is_object() && !has(c));
    if !lacking {
        return;
    }
    let volumes = spec.get("volumes").and_then(Value::as_array);
    let mut own = volumes.into_iter().flatten().filter_map(|v| v["name"].as_str());
    let name = match own.find(|n| n.starts_with(PREFIX)) {
        Some(name) => name.to_owned(),
        None => {
            let name = names::generate(context.rng, PREFIX);
            let volumes = spec.entry("volumes").or_insert(json!([]));
            let Some(volumes) = volumes.as_array_mut() else { return };
            let field = json!({"apiVersion": "v1", "fieldPath": "metadata.namespace"});
            volumes.push(json!({"name": name, "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt",
                    "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
            ]}}));
            name
        }
    };
    let mount = json!({"name": name, "readOnly": true, "mountPath": MOUNT});
    for field in ["initContainers", "containers"] {
        for c in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            if !has(c)
                && let Some(c) = c.as_object_mut()
                && let Some(all) = c.entry("volumeMounts").or_insert(json!([])).as_array_mut()
            {
                all.push(mount.clone());
            }
        }
    }
}

/// "Guaranteed", "Burstable" or "BestEffort" (`pkg/apis/core/v1/helper/qos`).
pub fn qos_class(spec: &Value) -> &'static str {
    let (mut any, mut guaranteed) = (false, true);
    for c in ["containers", "initContainers"].iter().flat_map(|f| spec[*f].as_array()).flatten() {
        for name in ["cpu", "memory"] {
            let request = quantity::of(&c["resources"]["requests"][name]).filter(|q| *q > 0);
            let limit = quantity::of(&c["resources"]["limits"][name]).filter(|q| *q > 0);
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request.is_none_or(|r| Some(r) == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

fn grace(pod: &Value, options: &DeleteOptions) -> Option<i64> {
    let asked = options
        .grace_period_seconds
        .or(pod["spec"]["terminationGracePeriodSeconds"].as_i64())
        .unwrap_or(0);
    let unscheduled = pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty);
    let over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    Some(if unscheduled || over {
        0
    } else if asked < 0 {
        1
    } else {
        asked
    })
}

fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[field].as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or("")
}

/// What is wrong with a pod's spec at `path` ("spec", "spec.template.spec").
pub fn pod_spec(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let mut volumes: Vec<&str> = Vec::new();
    for (i, v) in items(spec, "volumes").enumerate() {
        let at = format!("{path}.volumes[{i}]");
        let name = text(v, "name");
        if name.is_empty() {
            errors.push(FieldError::required(format!("{at}.name"), ""));
        } else if let Some(why) = names::label_error(name) {
            errors.push(FieldError::invalid(format!("{at}.name"), name, why));
        } else if volumes.contains(&name) {
            errors.push(FieldError::duplicate(format!("{at}.name"), name));
        }
        volumes.push(name);
        let sources: Vec<&String> =
            v.as_object().into_iter().flatten().map(|(k, _)| k).filter(|k| *k != "name").collect();
        for extra in sources.iter().skip(1) {
            errors.push(FieldError::forbidden(
                format!("{at}.{extra}"),
                "may not specify more than 1 volume type",
            ));
        }
        for (source, field) in [("configMap", "name"), ("secret", "secretName")] {
            if v[source].is_object() && text(&v[source], field).is_empty() {
                errors.push(FieldError::required(format!("{at}.{source}.{field}"), ""));
            }
        }
        let size = &v["emptyDir"]["sizeLimit"];
        if !size.is_null() && quantity::of(size).is_none_or(|q| q < 0) {
            errors.push(FieldError::forbidden(
                format!("{at}.emptyDir.sizeLimit"),
                "SizeLimit field must be a valid resource quantity",
            ));
        }
    }
    let mut seen: Vec<&str> = Vec::new();
    if items(spec, "containers").next().is_none() {
        errors.push(FieldError::required(format!("{path}.containers"), ""));
    }
    for field in ["containers", "initContainers"] {
        for (i, c) in items(spec, field).enumerate() {
            let at = format!("{path}.{field}[{i}]");
            let init = field == "initContainers";
            container(c, &at, init, &volumes, errors);
            let name = text(c, "name");
            if !name.is_empty() && seen.contains(&name) {
                errors.push(FieldError::duplicate(format!("{at}.name"), name));
            }
            seen.push(name);
        }
    }
    one_of(spec, "restartPolicy", path, &["Always", "OnFailure", "Never"], errors);
    one_of(
        spec,
        "dnsPolicy",
        path,
        &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
        errors,
    );
    let grace = &spec["terminationGracePeriodSeconds"];
    if grace.as_i64().is_some_and(|g| g < 0) {
        errors.push(FieldError::invalid_raw(
            format!("{path}.terminationGracePeriodSeconds"),
            grace,
            "must be greater than or equal to 0",
        ));
    }
    let deadline = &spec["activeDeadlineSeconds"];
    if deadline.as_i64().is_some_and(|d| !(1..=i64::from(i32::MAX)).contains(&d)) {
        errors.push(FieldError::invalid_raw(
            format!("{path}.activeDeadlineSeconds"),
            deadline,
            "must be between 1 and 2147483647, inclusive",
        ));
    }
    for field in ["hostname", "subdomain"] {
        let name = text(spec, field);
        if let Some(why) = names::label_error(name).filter(|_| !name.is_empty()) {
            errors.push(FieldError::invalid(format!("{path}.{field}"), name, why));
        }
    }
    metadata::labels(&spec["nodeSelector"], &format!("{path}.nodeSelector"), errors);
}

fn one_of(
    value: &Value,
    field: &str,
    path: &str,
    supported: &[&str],
    errors: &mut Vec<FieldError>,
) {
    let given = text(value, field);
    if given.is_empty() {
        errors.push(FieldError::required(format!("{path}.{field}"), ""));
    } else if !supported.contains(&given) {
        errors.push(FieldError::not_supported(format!("{path}.{field}"), given, supported));
    }
}

fn port_number(value: &Value, path: String, errors: &mut Vec<FieldError>) {
    if value.as_i64().is_none_or(|p| !(1..=65535).contains(&p)) {
        errors.push(FieldError::invalid_raw(path, value, "must be between 1 and 65535, inclusive"));
    }
}

fn container(c: &Value, at: &str, init: bool, volumes: &[&str], errors: &mut Vec<FieldError>) {
    let name = text(c, "name");
    if name.is_empty() {
        errors.push(FieldError::required(format!("{at}.name"), ""));
    } else if let Some(why) = names::label_error(name) {
        errors.push(FieldError::invalid(format!("{at}.name"), name, why));
    }
    let image = text(c, "image");
    if image.is_empty() {
        errors.push(FieldError::required(format!("{at}.image"), ""));
    } else if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        errors.push(FieldError::invalid(format!("{at}.image"), image, why));
    }
    let sidecar = init && c["restartPolicy"] == "Always";
    if !init && !c["restartPolicy"].is_null() {
        errors.push(FieldError::forbidden(
            format!("{at}.restartPolicy"),
            "may not be set for non-init containers",
        ));
    } else if init && !c["restartPolicy"].is_null() && !sidecar {
        let given = text(c, "restartPolicy");
        errors.push(FieldError::not_supported(format!("{at}.restartPolicy"), given, &["Always"]));
    }
    let mut port_names: Vec<&str> = Vec::new();
    for (i, p) in items(c, "ports").enumerate() {
        let at = format!("{at}.ports[{i}]");
        let name = text(p, "name");
        if !name.is_empty() {
            if let Some(why) = port_name_error(name) {
                errors.push(FieldError::invalid(format!("{at}.name"), name, why));
            } else if port_names.contains(&name) {
                errors.push(FieldError::duplicate(format!("{at}.name"), name));
            }
            port_names.push(name);
        }
        let number = &p["containerPort"];
        if number.is_null() || number == 0 {
            errors.push(FieldError::required(format!("{at}.containerPort"), ""));
        } else {
            port_number(number, format!("{at}.containerPort"), errors);
        }
        if p["hostPort"].as_i64().is_some_and(|h| h != 0) {
            port_number(&p["hostPort"], format!("{at}.hostPort"), errors);
        }
        one_of(p, "protocol", &at, &["SCTP", "TCP", "UDP"], errors);
    }
    for (i, e) in items(c, "env").enumerate() {
        let at = format!("{at}.env[{i}]");
        if text(e, "name").is_empty() {
            errors.push(FieldError::required(format!("{at}.name"), ""));
        }
        if !text(e, "value").is_empty() && e["valueFrom"].is_object() {
            let why = "may not be specified when `value` is not empty";
            errors.push(FieldError::invalid(format!("{at}.valueFrom"), "", why));
        }
    }
    one_of(c, "imagePullPolicy", at, &["Always", "IfNotPresent", "Never"], errors);
    resources(&c["resources"], &format!("{at}.resources"), errors);
    let mut mounts: Vec<&str> = Vec::new();
    for (i, m) in items(c, "volumeMounts").enumerate() {
        let at = format!("{at}.volumeMounts[{i}]");
        let (name, path) = (text(m, "name"), text(m, "mountPath"));
        if name.is_empty() {
            errors.push(FieldError::required(format!("{at}.name"), ""));
        } else if !volumes.contains(&name) {
            errors.push(FieldError::not_found(format!("{at}.name"), name));
        }
        if path.is_empty() {
            errors.push(FieldError::required(format!("{at}.mountPath"), ""));
        } else if mounts.contains(&path) {
            errors.push(FieldError::invalid(format!("{at}.mountPath"), path, "must be unique"));
        }
        mounts.push(path);
        let sub = text(m, "subPath");
        if sub.starts_with('/') {
            errors.push(FieldError::invalid(
                format!("{at}.subPath"),
                sub,
                "must be a relative path",
            ));
        }
        if sub.split('/').any(|p| p == "..") {
            errors.push(FieldError::invalid(format!("{at}.subPath"), sub, "must not contain '..'"));
        }
    }
    if init && !sidecar {
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if !c[field].is_null() {
                errors.push(FieldError::forbidden(
                    format!("{at}.{field}"),
                    "may not be set for init containers without restartPolicy=Always",
                ));
            }
        }
        return;
    }
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if c[field].is_object() {
            probe(&c[field], field, &format!("{at}.{field}"), errors);
        }
    }
    for field in ["postStart", "preStop"] {
        if c["lifecycle"][field].is_object() {
            handler(&c["lifecycle"][field], &format!("{at}.lifecycle.{field}"), errors);
        }
    }
}

fn port_name_error(name: &str) -> Option<&'static str> {
    let ok = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if name.len() > 15 {
        Some("must be no more than 15 characters")
    } else if !name.bytes().all(ok) {
        Some("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    } else if !name.bytes().any(|c| c.is_ascii_lowercase()) {
        Some("must contain at least one letter (a-z)")
    } else if name.contains("--") {
        Some("must not contain consecutive hyphens")
    } else if name.starts_with('-') || name.ends_with('-') {
        Some("must not begin or end with a hyphen")
    } else {
        None
    }
}

fn resources(value: &Value, at: &str, errors: &mut Vec<FieldError>) {
    for part in ["limits", "requests"] {
        for (name, q) in value[part].as_object().into_iter().flatten() {
            if quantity::of(q).is_some_and(|n| n < 0) {
                let raw = q.as_str().map_or_else(|| q.to_string(), quoted);
                let why = "must be greater than or equal to 0";
                errors.push(FieldError::invalid_raw(format!("{at}.{part}.{name}"), raw, why));
            }
        }
    }
    for (name, request) in value["requests"].as_object().into_iter().flatten() {
        let limit = &value["limits"][name];
        if let (Some(r), Some(l)) = (quantity::of(request), quantity::of(limit))
            && r > l
        {
            let raw = |q: &Value| q.as_str().map_or_else(|| q.to_string(), str::to_string);
            let why = format!("must be less than or equal to {name} limit of {}", raw(limit));
            errors.push(FieldError::invalid(format!("{at}.requests"), &raw(request), why));
        }
    }
}

fn probe(p: &Value, which: &str, at: &str, errors: &mut Vec<FieldError>) {
    handler(p, at, errors);
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        if p[field].as_i64().is_some_and(|n| n < 0) {
            let why = "must be greater than or equal to 0";
            errors.push(FieldError::invalid_raw(format!("{at}.{field}"), &p[field], why));
        }
    }
    if which != "readinessProbe" && p["successThreshold"].as_i64().is_some_and(|n| n != 1) {
        errors.push(FieldError::invalid_raw(
            format!("{at}.successThreshold"),
            &p["successThreshold"],
            "must be 1",
        ));
    }
}

fn handler(h: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let given: Vec<&str> = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"]
        .into_iter()
        .filter(|kind| !h[*kind].is_null())
        .collect();
    if given.is_empty() {
        errors.push(FieldError::required(at, "must specify a handler type"));
    }
    for extra in given.iter().skip(1) {
        let why = "may not specify more than 1 handler type";
        errors.push(FieldError::forbidden(format!("{at}.{extra}"), why));
    }
    if let Some(kind) = given.first() {
        let body = &h[*kind];
        match *kind {
            "exec" if items(body, "command").next().is_none() => {
                errors.push(FieldError::required(format!("{at}.exec.command"), ""));
            }
            "httpGet" | "tcpSocket" | "grpc" => {
                let path = format!("{at}.{kind}.port");
                match &body["port"] {
                    Value::String(name) => {
                        if let Some(why) = port_name_error(name) {
                            errors.push(FieldError::invalid(path, name, why));
                        }
                    }
                    Value::Null => port_number(&Value::from(0), path, errors),
                    number => port_number(number, path, errors),
                }
                if *kind == "httpGet" {
                    one_of(body, "scheme", &format!("{at}.httpGet"), &["HTTP", "HTTPS"], errors);
                }
            }
            _ => {}
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    pod_spec(&new["spec"], "spec", errors);
    if !errors.is_empty() {
        return;
    }
    for field in ["containers", "initContainers"] {
        if items(&new["spec"], field).count() != items(&old["spec"], field).count() {
            errors.push(FieldError::forbidden(
                format!("spec.{field}"),
                "pod updates may not add or remove containers",
            ));
            return;
        }
    }
    let mut allowed = new["spec"].clone();
    for field in ["containers", "initContainers"] {
        for (i, c) in items(&old["spec"], field).enumerate() {
            if let Some(image) = c.get("image") {
                allowed[field][i]["image"] = image.clone();
            }
        }
    }
    let before = &old["spec"];
    let map = map_mut(&mut allowed);
    let mut restore = |field: &str| {
        match before.get(field) {
            Some(value) => map.insert(field.into(), value.clone()),
            None => map.remove(field),
        };
    };
    // A deadline may be set or shortened.
    let deadline =
        (new["spec"]["activeDeadlineSeconds"].as_i64(), before["activeDeadlineSeconds"].as_i64());
    if matches!(deadline, (Some(n), Some(o)) if n <= o) || matches!(deadline, (Some(_), None)) {
        restore("activeDeadlineSeconds");
    }
    let kept =
        items(before, "tolerations").all(|t| items(&new["spec"], "tolerations").any(|n| n == t));
    if kept {
        restore("tolerations");
    }
    if before["terminationGracePeriodSeconds"].as_i64().is_some_and(|g| g < 0)
        && new["spec"]["terminationGracePeriodSeconds"] == 1
    {
        restore("terminationGracePeriodSeconds");
    }
    if allowed != *before {
        // Kubernetes appends a diff of its Go structs here; the fields that differ say the same.
        let mut changed: Vec<&str> = Vec::new();
        for key in allowed.as_object().into_iter().chain(before.as_object()).flat_map(|m| m.keys())
        {
            if allowed[key] != before[key] && !changed.contains(&key.as_str()) {
                changed.push(key);
            }
        }
        errors.push(FieldError::forbidden(
            "spec",
            format!(
                "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\nchanged: {}",
                changed.join(", ")
            ),
        ));
    }
}
