//! Services: addresses, ports, and what may be wrong.

use std::net::Ipv4Addr;

use podlab_sim::Rng;
use serde_json::{Map, Value, json};

use super::metadata;
use crate::store::Store;
use crate::store::error::{Error, FieldError};
use crate::store::names;
use crate::store::object::{self, map_mut};
use crate::store::resource::{Context, Hooks};

/// ClusterIPs come from 10.96.0.0/12; the first is the API server's.
const NETWORK: u32 = u32::from_be_bytes([10, 96, 0, 0]);
const ADDRESSES: u64 = 1 << 20;
/// Node ports.
const NODE_PORTS: std::ops::RangeInclusive<u64> = 30_000..=32_767;

/// The rules of Services.
pub const HOOKS: Hooks = Hooks {
    default,
    prepare_create: |context, object| {
        map_mut(object).insert("status".into(), json!({"loadBalancer": {}}));
        allocate(context, object)
    },
    prepare_update: |context, new, old| {
        let external = new["spec"]["type"] == "ExternalName";
        if !external && new["spec"]["clusterIP"].as_str().is_none_or(str::is_empty) {
            for field in ["clusterIP", "clusterIPs"] {
                if let Some(value) = old["spec"].get(field) {
                    map_mut(&mut new["spec"]).insert(field.into(), value.clone());
                }
            }
        }
        if matches!(new["spec"]["type"].as_str(), Some("NodePort" | "LoadBalancer")) {
            let before = old["spec"]["ports"].as_array().cloned().unwrap_or_default();
            for port in new["spec"]["ports"].as_array_mut().into_iter().flatten() {
                let same = before
                    .iter()
                    .find(|p| p["port"] == port["port"] && p["protocol"] == port["protocol"]);
                if let Some(number) = same.and_then(|p| p.get("nodePort"))
                    && port["nodePort"].as_u64().unwrap_or(0) == 0
                {
                    map_mut(port).insert("nodePort".into(), number.clone());
                }
            }
        }
        allocate(context, new)
    },
    validate,
    validate_update: |new, old, errors| {
        validate(new, errors);
        let (is, was) = (&new["spec"]["clusterIP"], &old["spec"]["clusterIP"]);
        if was.as_str().is_some_and(|w| !w.is_empty())
            && is != was
            && old["spec"]["type"] != "ExternalName"
            && new["spec"]["type"] != "ExternalName"
        {
            let list = format!("[]string{{{is}}}");
            errors.push(FieldError::invalid_raw(
                "spec.clusterIPs[0]",
                list,
                "may not change once set",
            ));
        }
    },
    name_error: names::label_1035_error,
    ..super::PLAIN
};

fn default(object: &mut Value) {
    let Some(spec) = map_mut(object).get_mut("spec").and_then(Value::as_object_mut) else { return };
    let put = |spec: &mut Map<String, Value>, field: &str, value: Value| {
        let slot = spec.entry(field).or_insert(Value::Null);
        if slot.is_null() || slot == "" {
            *slot = value;
        }
    };
    put(spec, "sessionAffinity", "None".into());
    if spec["sessionAffinity"] == "ClientIP" {
        put(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10800}}));
    }
    put(spec, "type", "ClusterIP".into());
    let kind = spec["type"].as_str().unwrap_or("").to_string();
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            put(port, "protocol", "TCP".into());
            let number = port.get("port").cloned().unwrap_or(Value::Null);
            if port.get("targetPort").is_none_or(|t| t.is_null() || *t == 0 || *t == "") {
                port.insert("targetPort".into(), number);
            }
        }
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        put(spec, "externalTrafficPolicy", "Cluster".into());
    }
    if kind == "LoadBalancer" {
        put(spec, "allocateLoadBalancerNodePorts", true.into());
    }
    if kind != "ExternalName" {
        put(spec, "internalTrafficPolicy", "Cluster".into());
        put(spec, "ipFamilies", json!(["IPv4"]));
        put(spec, "ipFamilyPolicy", "SingleStack".into());
    }
}

fn addresses(store: &Store, own: (&str, &str)) -> Vec<String> {
    store
        .list("services", None)
        .iter()
        .filter(|s| (object::namespace(s), object::name(s)) != own)
        .filter_map(|s| s["spec"]["clusterIP"].as_str().map(str::to_string))
        .collect()
}

fn node_ports(store: &Store, own: (&str, &str)) -> Vec<u64> {
    store
        .list("services", None)
        .iter()
        .filter(|s| (object::namespace(s), object::name(s)) != own)
        .flat_map(|s| s["spec"]["ports"].as_array().cloned().unwrap_or_default())
        .filter_map(|p| p["nodePort"].as_u64())
        .collect()
}

fn draw<T: PartialEq>(rng: &mut Rng, count: u64, used: &[T], make: impl Fn(u64) -> T) -> Option<T> {
    let first = rng.below(count);
    (0..count).map(|i| make((first + i) % count)).find(|value| !used.contains(value))
}

fn allocate(context: &mut Context<'_>, object: &mut Value) -> Result<(), Error> {
    let (namespace, name) =
        (object::namespace(object).to_string(), object::name(object).to_string());
    let own = (namespace.as_str(), name.as_str());
    let invalid = |e: FieldError| Error::invalid("Service", "", &name, &[e]);
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return Ok(()) };
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or("").to_string();
    if kind == "ExternalName" {
        return Ok(());
    }
    let wanted = spec.get("clusterIP").and_then(Value::as_str).unwrap_or("").to_string();
    let used = addresses(context.store, own);
    let ip = if wanted == "None" {
        wanted
    } else if wanted.is_empty() {
        let make = |i: u64| Ipv4Addr::from(NETWORK + 1 + i as u32).to_string();
        draw(context.rng, ADDRESSES - 2, &used, make)
            .ok_or_else(|| Error::internal("failed to allocate a serviceIP: range is full"))?
    } else {
        let bad = |why: String| {
            invalid(FieldError::invalid_raw(
                "spec.clusterIPs",
                format!("[]string{{{wanted:?}}}"),
                why,
            ))
        };
        match wanted.parse::<Ipv4Addr>() {
            Err(_) => {
                return Err(bad(
                    "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".into()
                ));
            }
            Ok(ip)
                if !(1..ADDRESSES - 1)
                    .contains(&u64::from(u32::from(ip).wrapping_sub(NETWORK))) =>
            {
                return Err(bad("failed to allocate IP ".to_string()
                    + &wanted
                    + ": the provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/12"));
            }
            Ok(_) if used.contains(&wanted) => {
                return Err(bad(format!(
                    "failed to allocate IP {wanted}: provided IP is already allocated"
                )));
            }
            Ok(_) => wanted,
        }
    };
    spec.insert("clusterIP".into(), ip.as_str().into());
    spec.insert("clusterIPs".into(), json!([ip]));
    let nodes = matches!(kind.as_str(), "NodePort" | "LoadBalancer");
    let mut taken = node_ports(context.store, own);
    for (i, port) in
        spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().enumerate()
    {
        let given = port["nodePort"].as_u64().unwrap_or(0);
        let Some(port) = port.as_object_mut() else { continue };
        if !nodes {
            port.remove("nodePort");
            continue;
        }
        let number = if given == 0 {
            let count = NODE_PORTS.end() - NODE_PORTS.start() + 1;
            draw(context.rng, count, &taken, |n| NODE_PORTS.start() + n)
                .ok_or_else(|| Error::internal("failed to allocate a nodePort: range is full"))?
        } else {
            let path = format!("spec.ports[{i}].nodePort");
            if !NODE_PORTS.contains(&given) {
                let why = "provided port is not in the valid range. The range of valid ports is 30000-32767";
                return Err(invalid(FieldError::invalid_raw(path, given, why)));
            }
            if taken.contains(&given) {
                let why = "provided port is already allocated";
                return Err(invalid(FieldError::invalid_raw(path, given, why)));
            }
            given
        };
        taken.push(number);
        port.insert("nodePort".into(), number.into());
    }
    Ok(())
}

fn validate(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let kind = spec["type"].as_str().unwrap_or("");
    let headless = spec["clusterIP"] == "None";
    let ports = spec["ports"].as_array().map_or(&[][..], Vec::as_slice);
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    let mut seen: Vec<&str> = Vec::new();
    for (i, p) in ports.iter().enumerate() {
        let at = format!("spec.ports[{i}]");
        let name = p["name"].as_str().unwrap_or("");
        if name.is_empty() {
            if ports.len() > 1 {
                errors.push(FieldError::required(format!("{at}.name"), ""));
            }
        } else if let Some(why) = names::label_error(name) {
            errors.push(FieldError::invalid(format!("{at}.name"), name, why));
        } else if seen.contains(&name) {
            errors.push(FieldError::duplicate(format!("{at}.name"), name));
        }
        seen.push(name);
        for field in ["port", "targetPort"] {
            if p[field].is_string() {
                continue;
            }
            if p[field].as_i64().is_none_or(|n| !(1..=65535).contains(&n)) {
                let raw = if p[field].is_null() { json!(0) } else { p[field].clone() };
                let why = "must be between 1 and 65535, inclusive";
                errors.push(FieldError::invalid_raw(format!("{at}.{field}"), raw, why));
            }
        }
        let protocol = p["protocol"].as_str().unwrap_or("");
        if !["SCTP", "TCP", "UDP"].contains(&protocol) {
            let path = format!("{at}.protocol");
            errors.push(FieldError::not_supported(path, protocol, &["SCTP", "TCP", "UDP"]));
        }
    }
    for (i, a) in ports.iter().enumerate() {
        if ports[..i].iter().any(|b| a["port"] == b["port"] && a["protocol"] == b["protocol"]) {
            let key = format!("{{{}:{} }}", a["protocol"].as_str().unwrap_or(""), a["port"]);
            errors.push(FieldError::duplicate(format!("spec.ports[{i}]"), &key));
        }
    }
    if !["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"].contains(&kind) {
        errors.push(FieldError::not_supported(
            "spec.type",
            kind,
            &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
        ));
    }
    let affinity = spec["sessionAffinity"].as_str().unwrap_or("");
    if !["ClientIP", "None"].contains(&affinity) {
        errors.push(FieldError::not_supported(
            "spec.sessionAffinity",
            affinity,
            &["ClientIP", "None"],
        ));
    }
    metadata::labels(&spec["selector"], "spec.selector", errors);
}
