//! The environment and arguments of a program (`kubelet_pods.go` makeEnvironmentVariables,
//! `third_party/forked/golang/expansion`).

use std::net::Ipv4Addr;

use base64::Engine as _;
use indexmap::IndexMap;
use k8s_openapi::api::core::v1::{Container, ObjectFieldSelector, Pod, ResourceFieldSelector};
use serde_json::Value;

use super::cell::Ctx;
use crate::runtime::ImageInfo;
use crate::store::{object, quantity};

/// The variables of `spec`, in a fixed order: the image's, services', `envFrom`, `env`.
///
/// # Errors
/// In the kubelet's words, if something it refers to is missing.
pub(crate) fn of(
    ctx: &Ctx,
    pod: &Pod,
    spec: &Container,
    image: &ImageInfo,
    ip: Ipv4Addr,
) -> Result<Vec<(String, String)>, String> {
    let mut out: IndexMap<String, String> = IndexMap::new();
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    out.insert("PATH".into(), path.into());
    let host = pod.spec.as_ref().and_then(|s| s.hostname.clone()).filter(|h| !h.is_empty());
    out.insert("HOSTNAME".into(), host.unwrap_or_else(|| ctx.cell.name.clone()));
    out.extend(image.env.iter().cloned());
    let links = pod.spec.as_ref().and_then(|s| s.enable_service_links).unwrap_or(true);
    out.extend(services(ctx, links));
    for from in spec.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or("");
        if let Some(reference) = &from.config_map_ref {
            let optional = reference.optional == Some(true);
            let Some(map) = config_map(ctx, &reference.name, optional)? else { continue };
            for (key, value) in map["data"].as_object().into_iter().flatten() {
                out.insert(format!("{prefix}{key}"), value.as_str().unwrap_or("").into());
            }
        }
        if let Some(reference) = &from.secret_ref {
            let optional = reference.optional == Some(true);
            let Some(secret) = secret(ctx, &reference.name, optional)? else { continue };
            for (key, value) in secret["data"].as_object().into_iter().flatten() {
                let bytes = decode(value);
                out.insert(format!("{prefix}{key}"), String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    for var in spec.env.iter().flatten() {
        let Some(from) = &var.value_from else {
            let value = expand(var.value.as_deref().unwrap_or(""), &out);
            out.insert(var.name.clone(), value);
            continue;
        };
        let value = if let Some(field) = &from.field_ref {
            Some(field_value(ctx, field, Some(ip))?)
        } else if let Some(resource) = &from.resource_field_ref {
            Some(resource_value(ctx, pod, Some(spec), resource)?)
        } else if let Some(key) = &from.config_map_key_ref {
            let optional = key.optional == Some(true);
            let map = config_map(ctx, &key.name, optional)?;
            let value = map.as_ref().and_then(|m| m["data"][&key.key].as_str().map(str::to_owned));
            if value.is_none() && !optional {
                return Err(format!(
                    "couldn't find key {} in ConfigMap {}/{}",
                    key.key, ctx.cell.namespace, key.name
                ));
            }
            value
        } else if let Some(key) = &from.secret_key_ref {
            let optional = key.optional == Some(true);
            let found = secret(ctx, &key.name, optional)?;
            let value = found.as_ref().map(|s| &s["data"][&key.key]).filter(|v| v.is_string());
            if value.is_none() && !optional {
                return Err(format!(
                    "couldn't find key {} in Secret {}/{}",
                    key.key, ctx.cell.namespace, key.name
                ));
            }
            value.map(|v| String::from_utf8_lossy(&decode(v)).into_owned())
        } else {
            None
        };
        if let Some(value) = value {
            out.insert(var.name.clone(), value);
        }
    }
    Ok(out.into_iter().collect())
}

/// The arguments: `command` replaces the image's entrypoint, `args` follows.
pub(crate) fn args(spec: &Container, image: &ImageInfo, env: &[(String, String)]) -> Vec<String> {
    let env: IndexMap<String, String> = env.iter().cloned().collect();
    let command = spec.command.clone().filter(|c| !c.is_empty());
    let command = command.unwrap_or_else(|| image.entrypoint.clone());
    let args = spec.args.iter().flatten();
    command.iter().chain(args).map(|a| expand(a, &env)).collect()
}

/// Replaces `$(NAME)`; what is not known stays, and `$$` is a `$`.
pub(crate) fn expand(text: &str, env: &IndexMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out += &rest[..at];
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(tail) = after.strip_prefix('(')
            && let Some(end) = tail.find(')')
        {
            let name = &tail[..end];
            match env.get(name) {
                Some(value) => out += value,
                None => out += &format!("$({name})"),
            }
            rest = &tail[end + 1..];
        } else {
            out.push('$');
            rest = after;
        }
    }
    out + rest
}

/// The ConfigMap; `None` if it is missing and may be.
pub(crate) fn config_map(
    ctx: &Ctx,
    name: &str,
    optional: bool,
) -> Result<Option<crate::store::Object>, String> {
    lookup(ctx, "configmaps", "configmap", name, optional)
}

/// The Secret; `None` if it is missing and may be.
pub(crate) fn secret(
    ctx: &Ctx,
    name: &str,
    optional: bool,
) -> Result<Option<crate::store::Object>, String> {
    lookup(ctx, "secrets", "secret", name, optional)
}

fn lookup(
    ctx: &Ctx,
    key: &str,
    word: &str,
    name: &str,
    optional: bool,
) -> Result<Option<crate::store::Object>, String> {
    match ctx.shared.store.get(key, &ctx.cell.namespace, name) {
        None if !optional => Err(format!("{word} {name:?} not found")),
        found => Ok(found),
    }
}

/// A base64 value of a Secret or ConfigMap.
pub(crate) fn decode(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or("");
    base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
}

/// The value of a `fieldRef`.
pub(crate) fn field_value(
    ctx: &Ctx,
    field: &ObjectFieldSelector,
    ip: Option<Ipv4Addr>,
) -> Result<String, String> {
    let pod = ctx.cell.lock().object.clone();
    let path = field.field_path.as_str();
    let ip = || ip.map(|ip| ip.to_string()).unwrap_or_default();
    let keyed = |map: &str| {
        let key = path.strip_prefix(&format!("metadata.{map}['"))?.strip_suffix("']")?;
        Some(pod["metadata"][map][key].as_str().unwrap_or("").to_owned())
    };
    let all = |map: &str| {
        let mut lines: Vec<String> = Vec::new();
        for (key, value) in pod["metadata"][map].as_object().into_iter().flatten() {
            lines.push(format!("{key}={:?}", value.as_str().unwrap_or("")));
        }
        lines.sort();
        lines.join("\n")
    };
    Ok(match path {
        "metadata.name" => object::name(&pod).into(),
        "metadata.namespace" => object::namespace(&pod).into(),
        "metadata.uid" => object::uid(&pod).into(),
        "metadata.labels" => all("labels"),
        "metadata.annotations" => all("annotations"),
        "spec.nodeName" => ctx.node.spec.name.clone(),
        "spec.serviceAccountName" => {
            pod["spec"]["serviceAccountName"].as_str().unwrap_or("default").into()
        }
        "status.hostIP" | "status.hostIPs" => ctx.node.ip.to_string(),
        "status.podIP" | "status.podIPs" => ip(),
        _ => match keyed("labels").or_else(|| keyed("annotations")) {
            Some(value) => value,
            None => return Err(format!("unsupported fieldPath: {path}")),
        },
    })
}

/// The value of a `resourceFieldRef`: rounded up, in units of its divisor. What has no limit may
/// use the whole node.
pub(crate) fn resource_value(
    ctx: &Ctx,
    pod: &Pod,
    own: Option<&Container>,
    field: &ResourceFieldSelector,
) -> Result<String, String> {
    let named = field.container_name.as_deref().filter(|n| !n.is_empty()).and_then(|name| {
        let spec = pod.spec.as_ref()?;
        let all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        all.into_iter().find(|c| c.name == name)
    });
    let container = named.or(own).ok_or("container not found")?;
    let resources = container.resources.clone().unwrap_or_default();
    let (list, name) = match field.resource.split_once('.') {
        Some(("limits", name)) => (resources.limits, name),
        Some(("requests", name)) => (resources.requests, name),
        _ => return Err(format!("unsupported container resource : {}", field.resource)),
    };
    let given = list.and_then(|l| l.get(name).and_then(|q| quantity::millis(&q.0)));
    let whole = match name {
        "cpu" => i128::from(ctx.node.spec.cores) * 1000,
        "memory" => i128::from(ctx.node.spec.memory) * 1000,
        _ => 0,
    };
    let limit = field.resource.starts_with("limits.");
    let amount = given.unwrap_or(if limit { whole } else { 0 });
    let divisor = field.divisor.as_ref().and_then(|d| quantity::millis(&d.0));
    let divisor = divisor.filter(|d| *d > 0).unwrap_or(1000);
    Ok(((amount + divisor - 1) / divisor).to_string())
}

/// The variables that tell of Services (`pkg/kubelet/envvars`): those of the namespace, if they
/// are wanted, and always the API server's.
fn services(ctx: &Ctx, links: bool) -> Vec<(String, String)> {
    let store = &ctx.shared.store;
    let mut all = Vec::new();
    all.extend(store.get("services", "default", "kubernetes"));
    if links {
        let own = store.list("services", Some(&ctx.cell.namespace));
        all.extend(
            own.into_iter()
                .filter(|s| object::namespace(s) != "default" || object::name(s) != "kubernetes"),
        );
    }
    let mut out = Vec::new();
    for service in all {
        let ip = service["spec"]["clusterIP"].as_str().unwrap_or("");
        if ip.is_empty() || ip == "None" {
            continue;
        }
        let name = object::name(&service).to_uppercase().replace('-', "_");
        let ports = service["spec"]["ports"].as_array().cloned().unwrap_or_default();
        let Some(first) = ports.first() else { continue };
        out.push((format!("{name}_SERVICE_HOST"), ip.to_owned()));
        out.push((format!("{name}_SERVICE_PORT"), first["port"].to_string()));
        for port in &ports {
            if let Some(label) = port["name"].as_str().filter(|n| !n.is_empty()) {
                let label = label.to_uppercase().replace('-', "_");
                out.push((format!("{name}_SERVICE_PORT_{label}"), port["port"].to_string()));
            }
        }
        for (n, port) in ports.iter().enumerate() {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            let (number, lower) = (&port["port"], protocol.to_lowercase());
            let url = format!("{lower}://{ip}:{number}");
            if n == 0 {
                out.push((format!("{name}_PORT"), url.clone()));
            }
            let prefix = format!("{name}_PORT_{number}_{protocol}");
            out.push((prefix.clone(), url));
            out.push((format!("{prefix}_PROTO"), lower));
            out.push((format!("{prefix}_PORT"), number.to_string()));
            out.push((format!("{prefix}_ADDR"), ip.to_owned()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_expanded_as_kubernetes_does() {
        let env =
            IndexMap::from([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "".to_owned())]);
        for (text, want) in [
            ("$(A)", "1"),
            ("$(A)$(B)x", "1x"),
            ("$(C)", "$(C)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$A $", "$A $"),
            ("$(A", "$(A"),
        ] {
            assert_eq!(expand(text, &env), want, "{text}");
        }
    }
}
