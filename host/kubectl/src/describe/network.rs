//! Services, endpoints, Ingresses, NetworkPolicies.

use serde_json::Value;

use super::labels::head;
use super::labels::{annotations, joined, labels, selector_or};
use super::time;
use super::values::{list, plain, text, words};
use super::writer::Writer;
use crate::client::with_query;
use crate::failure::Result;
use crate::kubectl::Kubectl;

/// A Service.
///
/// # Errors
/// If its endpoints cannot be listed.
pub async fn service(k: &mut Kubectl<'_>, w: &mut Writer, o: &Value) -> Result<()> {
    let spec = &o["spec"];
    let (namespace, name) = (text(&o["metadata"]["namespace"]), text(&o["metadata"]["name"]));
    let resource = k.client.kind("endpointslices.discovery.k8s.io").await?;
    let of = format!("kubernetes.io/service-name={name}");
    let path = with_query(&resource.path(namespace, ""), &[("labelSelector", &of)]);
    let slices = k.client.get(&path).await?["items"].as_array().cloned().unwrap_or_default();
    head(w, o);
    w.write(0, format!("Selector:\t{}", joined(&spec["selector"])));
    w.write(0, format!("Type:\t{}", text(&spec["type"])));
    if let Some(policy) = spec["ipFamilyPolicy"].as_str() {
        w.write(0, format!("IP Family Policy:\t{policy}"));
    }
    if !list(&spec["ipFamilies"]).is_empty() {
        w.write(0, format!("IP Families:\t{}", words(&spec["ipFamilies"]).join(",")));
    } else {
        w.write(0, "IP Families:\t<none>");
    }
    w.write(0, format!("IP:\t{}", text(&spec["clusterIP"])));
    if list(&spec["clusterIPs"]).is_empty() {
        w.write(0, "IPs:\t<none>");
    } else {
        w.write(0, format!("IPs:\t{}", words(&spec["clusterIPs"]).join(",")));
    }
    if !list(&spec["externalIPs"]).is_empty() {
        w.write(0, format!("External IPs:\t{}", words(&spec["externalIPs"]).join(",")));
    }
    if let Some(ip) = spec["loadBalancerIP"].as_str().filter(|ip| !ip.is_empty()) {
        w.write(0, format!("Desired LoadBalancer IP:\t{ip}"));
    }
    if let Some(name) = spec["externalName"].as_str().filter(|n| !n.is_empty()) {
        w.write(0, format!("External Name:\t{name}"));
    }
    let ingress = list(&o["status"]["loadBalancer"]["ingress"]);
    if !ingress.is_empty() {
        let each: Vec<String> = ingress
            .iter()
            .map(|i| {
                let mode = i["ipMode"].as_str().map_or_else(String::new, |m| format!(" ({m})"));
                format!("{}{mode}", i["ip"].as_str().unwrap_or_else(|| text(&i["hostname"])))
            })
            .collect();
        w.write(0, format!("LoadBalancer Ingress:\t{}", each.join(", ")));
    }
    for port in list(&spec["ports"]) {
        let name = port["name"].as_str().filter(|n| !n.is_empty()).unwrap_or("<unset>");
        let protocol = text(&port["protocol"]);
        w.write(0, format!("Port:\t{name}\t{}/{protocol}", port["port"]));
        w.write(0, format!("TargetPort:\t{}/{protocol}", plain(&port["targetPort"])));
        if let Some(node) = port["nodePort"].as_i64().filter(|n| *n > 0) {
            w.write(0, format!("NodePort:\t{name}\t{node}/{protocol}"));
        }
        w.write(0, format!("Endpoints:\t{}", reached(&slices, text(&port["name"]))));
    }
    w.write(0, format!("Session Affinity:\t{}", text(&spec["sessionAffinity"])));
    for (title, field) in [
        ("External Traffic Policy", "externalTrafficPolicy"),
        ("Internal Traffic Policy", "internalTrafficPolicy"),
        ("Traffic Distribution", "trafficDistribution"),
    ] {
        if let Some(policy) = spec[field].as_str().filter(|p| !p.is_empty()) {
            w.write(0, format!("{title}:\t{policy}"));
        }
    }
    let ranges = words(&spec["loadBalancerSourceRanges"]);
    if !ranges.is_empty() {
        w.write(0, format!("LoadBalancer Source Ranges:\t{}", ranges.join(",")));
    }
    Ok(())
}

/// The ready endpoints of a port, three of them.
fn reached(slices: &[Value], port: &str) -> String {
    if slices.is_empty() {
        return "<none>".into();
    }
    let mut all = Vec::new();
    for slice in slices {
        for p in list(&slice["ports"]) {
            if !port.is_empty() && text(&p["name"]) != port {
                continue;
            }
            for endpoint in list(&slice["endpoints"]) {
                if endpoint["conditions"]["ready"] == false {
                    continue;
                }
                for ip in words(&endpoint["addresses"]) {
                    let ip = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
                    all.push(format!("{ip}:{}", p["port"]));
                }
            }
        }
    }
    let many = all.len() >= 3;
    let more = all.len().saturating_sub(3);
    all.truncate(3);
    let text = all.join(",");
    if many { format!("{text} + {more} more...") } else { text }
}

/// An Endpoints object.
pub fn endpoints(w: &mut Writer, o: &Value) {
    head(w, o);
    w.write(0, "Subsets:");
    for s in list(&o["subsets"]) {
        for (title, field) in
            [("Addresses", "addresses"), ("NotReadyAddresses", "notReadyAddresses")]
        {
            let ips: Vec<&str> = list(&s[field]).iter().map(|a| text(&a["ip"])).collect();
            let ips = if ips.is_empty() { "<none>".into() } else { ips.join(",") };
            w.write(1, format!("{title}:\t{ips}"));
        }
        if !list(&s["ports"]).is_empty() {
            w.write(1, "Ports:");
            w.write(2, "Name\tPort\tProtocol");
            w.write(2, "----\t----\t--------");
            for p in list(&s["ports"]) {
                let name = p["name"].as_str().filter(|n| !n.is_empty()).unwrap_or("<unset>");
                w.write(2, format!("{name}\t{}\t{}", p["port"], text(&p["protocol"])));
            }
        }
        w.raw("\n");
    }
}

/// An EndpointSlice.
pub fn slice(w: &mut Writer, o: &Value) {
    head(w, o);
    w.write(0, format!("AddressType:\t{}", text(&o["addressType"])));
    if list(&o["ports"]).is_empty() {
        w.write(0, "Ports: <unset>");
    } else {
        w.write(0, "Ports:");
        w.write(1, "Name\tPort\tProtocol");
        w.write(1, "----\t----\t--------");
        for p in list(&o["ports"]) {
            let name = p["name"].as_str().filter(|n| !n.is_empty()).unwrap_or("<unset>");
            let port = if p["port"].is_null() { "<unset>".into() } else { p["port"].to_string() };
            w.write(1, format!("{name}\t{port}\t{}", text(&p["protocol"])));
        }
    }
    if list(&o["endpoints"]).is_empty() {
        return w.write(0, "Endpoints: <none>");
    }
    w.write(0, "Endpoints:");
    for e in list(&o["endpoints"]) {
        let addresses = words(&e["addresses"]);
        w.write(1, format!("- Addresses:\t{}", addresses.join(",")));
        w.write(2, "Conditions:");
        w.write(
            3,
            format!(
                "Ready:\t{}",
                e["conditions"]["ready"].as_bool().map_or("<unset>".into(), |b| b.to_string())
            ),
        );
        w.write(2, format!("Hostname:\t{}", e["hostname"].as_str().unwrap_or("<unset>")));
        if !e["targetRef"].is_null() {
            w.write(
                2,
                format!(
                    "TargetRef:\t{}/{}",
                    text(&e["targetRef"]["kind"]),
                    text(&e["targetRef"]["name"])
                ),
            );
        }
        w.write(2, format!("NodeName:\t{}", e["nodeName"].as_str().unwrap_or("<unset>")));
        w.write(2, format!("Zone:\t{}", e["zone"].as_str().unwrap_or("<unset>")));
    }
}

/// An Ingress.
pub fn ingress(w: &mut Writer, o: &Value) {
    let spec = &o["spec"];
    w.write(0, format!("Name:\t{}", text(&o["metadata"]["name"])));
    labels(w, "Labels", &o["metadata"]["labels"]);
    w.write(0, format!("Namespace:\t{}", text(&o["metadata"]["namespace"])));
    let at: Vec<&str> =
        list(&o["status"]["loadBalancer"]["ingress"]).iter().map(|i| text(&i["ip"])).collect();
    w.write(0, format!("Address:\t{}", at.join(",")));
    w.write(
        0,
        format!("Ingress Class:\t{}", spec["ingressClassName"].as_str().unwrap_or("<none>")),
    );
    let backend = |b: &Value| {
        let s = &b["service"];
        let port = if s["port"]["number"].is_null() {
            text(&s["port"]["name"]).to_owned()
        } else {
            s["port"]["number"].to_string()
        };
        format!("{}:{port}", text(&s["name"]))
    };
    let default = if spec["defaultBackend"].is_null() {
        "<default>".into()
    } else {
        backend(&spec["defaultBackend"])
    };
    w.write(0, format!("Default backend:\t{default}"));
    w.write(0, "Rules:\n  Host\tPath\tBackends");
    w.write(1, "----\t----\t--------");
    for rule in list(&spec["rules"]) {
        let host = rule["host"].as_str().filter(|h| !h.is_empty()).unwrap_or("*");
        w.write(1, format!("{host}\t"));
        for path in list(&rule["http"]["paths"]) {
            w.write(2, format!("\t{} \t{} ()", text(&path["path"]), backend(&path["backend"])));
        }
    }
    annotations(w, "Annotations", &o["metadata"]["annotations"]);
}

/// A NetworkPolicy.
pub fn policy(w: &mut Writer, o: &Value) {
    let spec = &o["spec"];
    w.write(0, format!("Name:\t{}", text(&o["metadata"]["name"])));
    w.write(0, format!("Namespace:\t{}", text(&o["metadata"]["namespace"])));
    w.write(
        0,
        format!("Created on:\t{}", time(&o["metadata"]["creationTimestamp"]).replacen(',', "", 1)),
    );
    labels(w, "Labels", &o["metadata"]["labels"]);
    annotations(w, "Annotations", &o["metadata"]["annotations"]);
    w.write(0, "Spec:");
    let pods = selector_or(
        &spec["podSelector"],
        "<none> (Allowing the specific traffic to all pods in this namespace)",
    );
    w.write(1, format!("PodSelector: {pods}"));
    let types = words(&spec["policyTypes"]);
    for (kind, field, peers, side) in
        [("Ingress", "ingress", "from", "From"), ("Egress", "egress", "to", "To")]
    {
        if !types.contains(&kind) {
            w.write(1, format!("Not affecting {} traffic", kind.to_lowercase()));
            continue;
        }
        w.write(1, format!("Allowing {} traffic:", kind.to_lowercase()));
        let rules = list(&spec[field]);
        if rules.is_empty() {
            let of = format!("Selected pods are isolated for {} connectivity", kind.to_lowercase());
            w.write(2, format!("<none> ({of})"));
        }
        for (i, rule) in rules.iter().enumerate() {
            if list(&rule["ports"]).is_empty() {
                w.write(2, "To Port: <any> (traffic allowed to all ports)");
            }
            for p in list(&rule["ports"]) {
                w.write(
                    2,
                    format!(
                        "To Port: {}/{}",
                        plain(&p["port"]),
                        p["protocol"].as_str().unwrap_or("TCP")
                    ),
                );
            }
            if list(&rule[peers]).is_empty() {
                w.write(
                    2,
                    format!(
                        "{side}: <any> (traffic not restricted by {})",
                        if kind == "Ingress" { "source" } else { "destination" }
                    ),
                );
            }
            for peer in list(&rule[peers]) {
                w.write(2, format!("{side}:"));
                if !peer["ipBlock"].is_null() {
                    w.write(3, "IPBlock:");
                    w.write(4, format!("CIDR: {}", text(&peer["ipBlock"]["cidr"])));
                    w.write(4, format!("Except: {}", words(&peer["ipBlock"]["except"]).join(", ")));
                }
                if !peer["namespaceSelector"].is_null() {
                    w.write(
                        3,
                        format!(
                            "NamespaceSelector: {}",
                            selector_or(&peer["namespaceSelector"], "<none>")
                        ),
                    );
                }
                if !peer["podSelector"].is_null() {
                    w.write(
                        3,
                        format!("PodSelector: {}", selector_or(&peer["podSelector"], "<none>")),
                    );
                }
            }
            if i + 1 < rules.len() {
                w.write(2, "----------");
            }
        }
    }
    w.write(1, format!("Policy Types: {}", types.join(", ")));
}
