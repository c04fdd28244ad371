//! Volumes of pods.

use serde_json::Value;

use super::values::text;
use super::writer::Writer;

/// Describes a pod's volumes.
pub fn describe(w: &mut Writer, volumes: &Value, space: usize) {
    let all = volumes.as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        return w.write(space, "Volumes:\t<none>");
    }
    w.write(space, "Volumes:");
    let at = space + 2;
    for v in all {
        w.write(space + 1, format!("{}:", text(&v["name"])));
        if !v["emptyDir"].is_null() {
            let limit = text(&v["emptyDir"]["sizeLimit"]);
            let limit = if limit.is_empty() { "<unset>" } else { limit };
            w.write(at, "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)");
            w.write(at, format!("Medium:\t{}", text(&v["emptyDir"]["medium"])));
            w.write(at, format!("SizeLimit:\t{limit}"));
        } else if !v["configMap"].is_null() {
            w.write(at, "Type:\tConfigMap (a volume populated by a ConfigMap)");
            w.write(at, format!("Name:\t{}", text(&v["configMap"]["name"])));
            w.write(at, format!("Optional:\t{}", v["configMap"]["optional"] == true));
        } else if !v["secret"].is_null() {
            w.write(at, "Type:\tSecret (a volume populated by a Secret)");
            w.write(at, format!("SecretName:\t{}", text(&v["secret"]["secretName"])));
            w.write(at, format!("Optional:\t{}", v["secret"]["optional"] == true));
        } else if !v["persistentVolumeClaim"].is_null() {
            let claim = &v["persistentVolumeClaim"];
            w.write(at, "Type:\tPersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)");
            w.write(at, format!("ClaimName:\t{}", text(&claim["claimName"])));
            w.write(at, format!("ReadOnly:\t{}", claim["readOnly"] == true));
        } else if !v["hostPath"].is_null() {
            w.write(at, "Type:\tHostPath (bare host directory volume)");
            w.write(at, format!("Path:\t{}", text(&v["hostPath"]["path"])));
            w.write(at, format!("HostPathType:\t{}", text(&v["hostPath"]["type"])));
        } else if !v["downwardAPI"].is_null() {
            w.write(at, "Type:\tDownwardAPI (a volume populated by information about the pod)");
            w.write(at, "Items:");
            for item in v["downwardAPI"]["items"].as_array().into_iter().flatten() {
                let path = item["fieldRef"]["fieldPath"]
                    .as_str()
                    .unwrap_or_else(|| text(&item["resourceFieldRef"]["resource"]));
                w.write(at + 1, format!("{path} -> {}", text(&item["path"])));
            }
        } else if !v["projected"].is_null() {
            w.write(
                at,
                "Type:\tProjected (a volume that contains injected data from multiple sources)",
            );
            for s in v["projected"]["sources"].as_array().into_iter().flatten() {
                if !s["secret"].is_null() {
                    w.write(at, format!("SecretName:\t{}", text(&s["secret"]["name"])));
                    w.write(at, format!("SecretOptionalName:\t{}", s["secret"]["optional"]));
                } else if !s["downwardAPI"].is_null() {
                    w.write(at, "DownwardAPI:\ttrue");
                } else if !s["configMap"].is_null() {
                    let optional = match s["configMap"]["optional"].as_bool() {
                        Some(b) => b.to_string(),
                        None => "<nil>".into(),
                    };
                    w.write(at, format!("ConfigMapName:\t{}", text(&s["configMap"]["name"])));
                    w.write(at, format!("ConfigMapOptional:\t{optional}"));
                } else if !s["serviceAccountToken"].is_null() {
                    w.write(
                        at,
                        format!(
                            "TokenExpirationSeconds:\t{}",
                            s["serviceAccountToken"]["expirationSeconds"]
                        ),
                    );
                }
            }
        } else {
            w.write(at, "<unknown>");
        }
    }
}

/// What is behind a PersistentVolume.
pub fn describe_source(w: &mut Writer, spec: &Value) {
    if spec["hostPath"].is_null() {
        return w.write(2, "<unknown>");
    }
    w.write(2, "Type:\tHostPath (bare host directory volume)");
    w.write(2, format!("Path:\t{}", text(&spec["hostPath"]["path"])));
    w.write(2, format!("HostPathType:\t{}", text(&spec["hostPath"]["type"])));
}
