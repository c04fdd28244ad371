//! What of the API server's objects matters for routing, read from their JSON. Whoever may write
//! an Ingress is no friend of ours: counts are bounded, and what makes no sense is named.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::canary::Canary;

/// Rules of one Ingress, and paths of one rule, at most.
const MOST: usize = 1000;

/// Namespace and name.
pub type Name = (String, String);

/// `namespace/name`, as people write it.
pub fn shown((namespace, name): &Name) -> String {
    format!("{namespace}/{name}")
}

/// Which port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// By its number.
    Number(u16),
    /// By its name.
    Name(String),
    /// Whichever comes first.
    First,
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Port::Number(number) => number.fmt(f),
            Port::Name(name) => name.fmt(f),
            Port::First => f.write_str("first"),
        }
    }
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backend {
    /// The Service.
    pub service: Name,
    /// Its port.
    pub port: Port,
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", shown(&self.service), self.port)
    }
}

impl Backend {
    fn read(namespace: &str, backend: &Value) -> Result<Backend, String> {
        if !backend["resource"].is_null() {
            return Err("a backend that is a resource is not known here".to_owned());
        }
        let service = &backend["service"];
        let name = service["name"].as_str().ok_or("a backend without a service")?;
        let number = service["port"]["number"].as_u64().and_then(|n| u16::try_from(n).ok());
        let port = match (number, service["port"]["name"].as_str()) {
            (Some(number), _) => Port::Number(number),
            (None, Some(name)) => Port::Name(name.to_owned()),
            (None, None) => return Err(format!("the service {name} has no port here")),
        };
        Ok(Backend { service: (namespace.to_owned(), name.to_owned()), port })
    }
}

/// One path of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// As it is written; begins with a slash.
    pub path: String,
    /// Exact, or else by its elements.
    pub exact: bool,
    /// Who answers.
    pub backend: Backend,
}

/// The paths of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// In small letters; `*.` at its beginning stands for one label; empty for any host.
    pub host: String,
    /// Its paths.
    pub paths: Vec<Path>,
}

/// An Ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ingress {
    /// When it was made: the older one wins.
    pub created: String,
    /// The name of its class, if it has one.
    pub class: Option<String>,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// Who answers what no rule is for.
    pub default: Option<Backend>,
    /// Whether it is a canary, and of what.
    pub canary: Option<Canary>,
    /// What its status says about where it can be reached.
    pub status: Value,
    /// What of it does not count, for people.
    pub wrong: Vec<String>,
}

impl Ingress {
    /// Reads one.
    pub fn read(object: &Value) -> Ingress {
        let (meta, spec) = (&object["metadata"], &object["spec"]);
        let namespace = text(&meta["namespace"]);
        let mut wrong = Vec::new();
        let annotations: BTreeMap<String, String> = entries(&meta["annotations"]);
        let canary = Canary::read(&annotations, &mut wrong);
        let mut backend =
            |value: &Value| Backend::read(&namespace, value).map_err(|why| wrong.push(why)).ok();
        let default = &spec["defaultBackend"];
        let default = if default.is_null() { None } else { backend(default) };
        let mut rules = Vec::new();
        for rule in items(&spec["rules"]) {
            let mut paths = Vec::new();
            for path in items(&rule["http"]["paths"]) {
                let Some(backend) = backend(&path["backend"]) else { continue };
                let written = path["path"].as_str().unwrap_or("/");
                let written = if written.is_empty() { "/" } else { written };
                let exact = path["pathType"] == "Exact";
                paths.push(Path { path: written.to_owned(), exact, backend });
            }
            rules.push(Rule { host: text(&rule["host"]).to_lowercase(), paths });
        }
        if !items(&spec["tls"]).is_empty() {
            wrong.push("tls: there is none here; the hosts are served without".to_owned());
        }
        let class = spec["ingressClassName"].as_str().map(str::to_owned);
        Ingress {
            created: text(&meta["creationTimestamp"]),
            class: class.or_else(|| annotations.get("kubernetes.io/ingress.class").cloned()),
            rules,
            default,
            canary,
            status: object["status"]["loadBalancer"]["ingress"].clone(),
            wrong,
        }
    }
}

/// An IngressClass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Class {
    /// Whose it is.
    pub controller: String,
    /// Whether Ingresses without a class are of this one.
    pub default: bool,
}

impl Class {
    /// Reads one.
    pub fn read(object: &Value) -> Class {
        let annotations = entries(&object["metadata"]["annotations"]);
        let default = annotations.get("ingressclass.kubernetes.io/is-default-class");
        Class {
            controller: text(&object["spec"]["controller"]),
            default: default.is_some_and(|v| v == "true"),
        }
    }
}

/// A Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Names (perhaps empty) and numbers of its ports.
    pub ports: Vec<(String, u16)>,
    /// Where clients outside the cluster reach it, as a status has it; else its own address.
    pub addresses: Vec<Value>,
}

impl Service {
    /// Reads one.
    pub fn read(object: &Value) -> Service {
        let spec = &object["spec"];
        let port = |p: &Value| Some((text(&p["name"]), u16::try_from(p["port"].as_u64()?).ok()?));
        let mut addresses: Vec<Value> = items(&object["status"]["loadBalancer"]["ingress"])
            .iter()
            .filter_map(|one| {
                let kind = ["ip", "hostname"].into_iter().find(|k| one[*k].is_string())?;
                Some(serde_json::json!({ kind: one[kind] }))
            })
            .collect();
        let balanced = spec["type"] == "LoadBalancer";
        if let (false, Some(ip)) = (balanced, spec["clusterIP"].as_str())
            && !matches!(ip, "" | "None")
        {
            addresses.push(serde_json::json!({ "ip": ip }));
        }
        Service { ports: items(&spec["ports"]).iter().filter_map(port).collect(), addresses }
    }

    /// The name of a port, under which its endpoints are listed.
    pub fn port_name(&self, port: &Port) -> Option<&str> {
        let is = |(name, number): &&(String, u16)| match port {
            Port::Number(wanted) => number == wanted,
            Port::Name(wanted) => name == wanted,
            Port::First => true,
        };
        self.ports.iter().find(is).map(|(name, _)| name.as_str())
    }
}

/// An EndpointSlice: who is ready behind a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The Service's name.
    pub service: String,
    /// Names (perhaps empty) and numbers of the ports.
    pub ports: Vec<(String, u16)>,
    /// Addresses of those that are ready.
    pub ready: Vec<String>,
}

impl Slice {
    /// Reads one.
    pub fn read(object: &Value) -> Slice {
        let labels = entries(&object["metadata"]["labels"]);
        let port = |p: &Value| Some((text(&p["name"]), u16::try_from(p["port"].as_u64()?).ok()?));
        // Not said is ready (discovery.k8s.io/v1).
        let ready = |e: &&Value| e["conditions"]["ready"].as_bool().unwrap_or(true);
        let ready = items(&object["endpoints"]).iter().filter(ready);
        Slice {
            service: labels.get("kubernetes.io/service-name").cloned().unwrap_or_default(),
            ports: items(&object["ports"]).iter().filter_map(port).collect(),
            ready: ready.filter_map(|e| e["addresses"][0].as_str()).map(str::to_owned).collect(),
        }
    }
}

/// The items of an array, as many as are borne.
fn items(value: &Value) -> &[Value] {
    let all = value.as_array().map_or(&[][..], Vec::as_slice);
    &all[..all.len().min(MOST)]
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn entries(value: &Value) -> BTreeMap<String, String> {
    let all = value.as_object().into_iter().flatten();
    all.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_ingress_is_read_and_what_makes_no_sense_is_named() {
        let ingress = Ingress::read(&json!({
            "metadata": {"namespace": "shop", "name": "a",
                "annotations": {"nginx.ingress.kubernetes.io/canary": "true",
                    "nginx.ingress.kubernetes.io/canary-weight": "20"}},
            "spec": {
                "ingressClassName": "podlab",
                "tls": [{"hosts": ["Shop.example"]}],
                "rules": [{"host": "Shop.example", "http": {"paths": [
                    {"path": "/a", "pathType": "Exact",
                        "backend": {"service": {"name": "a", "port": {"name": "http"}}}},
                    {"pathType": "Prefix", "backend": {"service": {"name": "b", "port": {"number": 80}}}},
                    {"path": "/c", "pathType": "Prefix", "backend": {"resource": {"kind": "Bucket"}}},
                ]}}],
            },
        }));
        let backend = |name: &str, port| Backend { service: ("shop".into(), name.into()), port };
        let rule = &ingress.rules[0];
        assert_eq!(rule.host, "shop.example");
        assert_eq!(rule.paths[0].backend, backend("a", Port::Name("http".into())));
        assert!(rule.paths[0].exact && rule.paths[1].path == "/" && rule.paths.len() == 2);
        assert_eq!(rule.paths[1].backend, backend("b", Port::Number(80)));
        assert_eq!(ingress.canary.as_ref().map(|c| c.weight), Some(20));
        assert_eq!(ingress.wrong.len(), 2);
    }

    #[test]
    fn who_is_ready_and_where_a_service_is() {
        let slice = Slice::read(&json!({
            "metadata": {"labels": {"kubernetes.io/service-name": "web"}},
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": true}},
                {"addresses": ["10.0.0.3"]},
            ],
        }));
        assert_eq!(
            (slice.service.as_str(), slice.ready.join(" ").as_str()),
            ("web", "10.0.0.1 10.0.0.3")
        );
        let balanced = Service::read(&json!({
            "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.9", "ports": [{"port": 80}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1", "ipMode": "VIP"}]}},
        }));
        assert_eq!(balanced.addresses, [json!({"ip": "203.0.113.1"})]);
        assert_eq!(balanced.port_name(&Port::Number(80)), Some(""));
        assert_eq!(balanced.port_name(&Port::Number(81)), None);
    }

    #[test]
    fn nothing_of_an_object_is_taken_for_granted() {
        for odd in [json!(null), json!([]), json!({"spec": {"rules": [{"http": 1}], "ports": 3}})] {
            assert_eq!(Ingress::read(&odd).rules.iter().map(|r| r.paths.len()).sum::<usize>(), 0);
            assert!(Service::read(&odd).ports.is_empty() && Slice::read(&odd).ready.is_empty());
            assert!(!Class::read(&odd).default);
        }
    }
}
