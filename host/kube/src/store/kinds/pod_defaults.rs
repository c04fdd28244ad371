//! What Kubernetes fills in in a pod (`pkg/apis/core/v1/defaults.go`).

use serde_json::{Map, Value, json};

use crate::store::object::map_mut;

fn put(map: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    let slot = map.entry(field).or_insert(Value::Null);
    if slot.is_null() || slot == "" {
        *slot = value.into();
    }
}

fn each(map: &mut Map<String, Value>, field: &str, mut f: impl FnMut(&mut Map<String, Value>)) {
    for item in map.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(item) = item.as_object_mut() {
            f(item);
        }
    }
}

/// Fills in a whole pod.
pub fn pod(object: &mut Value) {
    if let Some(spec) = map_mut(object).get_mut("spec").and_then(Value::as_object_mut) {
        pod_spec(spec);
        put(spec, "enableServiceLinks", true);
        if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
            for field in ["containers", "initContainers"] {
                each(spec, field, |c| {
                    each(c, "ports", |p| {
                        if let Some(port) = p.get("containerPort").cloned() {
                            put(p, "hostPort", port);
                        }
                    });
                });
            }
        }
        // Requests that are not given equal the limits.
        for field in ["containers", "initContainers"] {
            each(spec, field, |c| {
                let Some(resources) = c.get_mut("resources").and_then(Value::as_object_mut) else {
                    return;
                };
                let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned()
                else {
                    return;
                };
                let requests = map_mut(resources.entry("requests").or_insert(Value::Null));
                for (name, quantity) in limits {
                    requests.entry(name).or_insert(quantity);
                }
            });
        }
    }
}

/// Fills in a pod's spec, also that of a template.
pub fn pod_spec(spec: &mut Map<String, Value>) {
    put(spec, "dnsPolicy", "ClusterFirst");
    put(spec, "restartPolicy", "Always");
    put(spec, "terminationGracePeriodSeconds", 30);
    put(spec, "schedulerName", "default-scheduler");
    put(spec, "securityContext", json!({}));
    for field in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec, field, container);
    }
    each(spec, "volumes", volume);
}

fn container(c: &mut Map<String, Value>) {
    put(c, "terminationMessagePath", "/dev/termination-log");
    put(c, "terminationMessagePolicy", "File");
    put(c, "resources", json!({}));
    let image = c.get("image").and_then(Value::as_str).unwrap_or("");
    // The tag is what follows the last colon of the last path component; a digest counts too.
    let last = image.rsplit('/').next().unwrap_or("");
    let latest = !last.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest");
    put(c, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
    each(c, "ports", |p| put(p, "protocol", "TCP"));
    each(c, "env", |e| {
        if let Some(field) = e
            .get_mut("valueFrom")
            .and_then(|v| v.get_mut("fieldRef"))
            .and_then(Value::as_object_mut)
        {
            put(field, "apiVersion", "v1");
        }
    });
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(p) = c.get_mut(probe).and_then(Value::as_object_mut) {
            put(p, "timeoutSeconds", 1);
            put(p, "periodSeconds", 10);
            put(p, "successThreshold", 1);
            put(p, "failureThreshold", 3);
            handler(p);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(h) =
            c.get_mut("lifecycle").and_then(|l| l.get_mut(hook)).and_then(Value::as_object_mut)
        {
            handler(h);
        }
    }
}

fn handler(h: &mut Map<String, Value>) {
    if let Some(http) = h.get_mut("httpGet").and_then(Value::as_object_mut) {
        put(http, "path", "/");
        put(http, "scheme", "HTTP");
    }
    if let Some(grpc) = h.get_mut("grpc").and_then(Value::as_object_mut) {
        // A pointer that is set to "" by default.
        grpc.entry("service").or_insert("".into());
    }
}

fn volume(v: &mut Map<String, Value>) {
    if v.keys().all(|k| k == "name") {
        v.insert("emptyDir".into(), json!({}));
    }
    for source in ["configMap", "secret", "projected", "downwardAPI"] {
        if let Some(s) = v.get_mut(source).and_then(Value::as_object_mut) {
            put(s, "defaultMode", 0o644);
            if source == "downwardAPI" {
                each(s, "items", field_ref);
            }
            each(s, "sources", |s| {
                if let Some(d) = s.get_mut("downwardAPI").and_then(Value::as_object_mut) {
                    each(d, "items", field_ref);
                }
                if let Some(t) = s.get_mut("serviceAccountToken").and_then(Value::as_object_mut) {
                    put(t, "expirationSeconds", 3600);
                }
            });
        }
    }
    if let Some(h) = v.get_mut("hostPath").and_then(Value::as_object_mut) {
        h.entry("type").or_insert("".into());
    }
}

fn field_ref(item: &mut Map<String, Value>) {
    if let Some(field) = item.get_mut("fieldRef").and_then(Value::as_object_mut) {
        put(field, "apiVersion", "v1");
    }
}
