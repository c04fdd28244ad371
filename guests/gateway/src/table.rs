//! The routing table: which backend answers a host and a path. The rules are those of Kubernetes'
//! page on Ingress; where it is silent, those of ingress-nginx.
//!
//! - The most special host decides: the name itself, then `*.` for one label, then rules without
//!   a host. Its paths alone count, then the default backends.
//! - `Exact` is equal, `Prefix` (and `ImplementationSpecific`) goes by elements; the longest wins,
//!   and of two that are as long the exact one.
//! - Of two Ingresses that claim the same, the older one has it.

use std::collections::BTreeMap;

use crate::canary::Canary;
use crate::objects::{Backend, Class, Ingress, Name, Path, shown};

/// Whose Ingresses are served.
#[derive(Clone, Debug)]
pub struct Classes {
    /// IngressClasses that name this controller are ours.
    pub controller: String,
    /// So is a class of this name that nobody has made.
    pub name: String,
}

impl Classes {
    /// Whether an Ingress is ours.
    pub fn has(&self, ingress: &Ingress, all: &BTreeMap<Name, Class>) -> bool {
        let ours = |class: &Class| class.controller == self.controller;
        match &ingress.class {
            Some(name) => match all.get(&(String::new(), name.clone())) {
                Some(class) => ours(class),
                None => *name == self.name,
            },
            None => all.values().any(|class| class.default && ours(class)),
        }
    }
}

/// Where requests of one path go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Whose rule it is.
    pub ingress: Name,
    /// Who answers.
    pub backend: Backend,
    /// Who answers some of them instead.
    pub canary: Option<(Canary, Backend)>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Host {
    exact: BTreeMap<String, Route>,
    /// Without the slash at the end: all paths is the empty text.
    prefix: BTreeMap<String, Route>,
    default: Option<Route>,
}

impl Host {
    fn slot(&mut self, path: &Path) -> (&mut BTreeMap<String, Route>, String) {
        let key = normal(&path.path).unwrap_or_else(|| path.path.clone());
        match path.exact {
            true => (&mut self.exact, key),
            false => (&mut self.prefix, key.trim_end_matches('/').to_owned()),
        }
    }
}

/// All routes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table {
    hosts: BTreeMap<String, Host>,
    default: Option<Route>,
    /// What of the Ingresses does not count, for people.
    pub ignored: Vec<String>,
}

impl Table {
    /// The routes of these Ingresses; `otherwise` answers what no route is for.
    pub fn new<'a>(
        ingresses: impl Iterator<Item = (&'a Name, &'a Ingress)>,
        otherwise: Option<Backend>,
    ) -> Table {
        let mut sorted: Vec<_> = ingresses.collect();
        sorted.sort_by_key(|(name, ingress)| (&ingress.created, *name));
        let mut table = Table::default();
        for (name, ingress) in &sorted {
            let wrong = ingress.wrong.iter().map(|why| format!("{}: {why}", shown(name)));
            table.ignored.extend(wrong);
        }
        for (name, ingress) in sorted.iter().filter(|(_, i)| i.canary.is_none()) {
            table.serve(name, ingress);
        }
        for (name, ingress) in &sorted {
            if let Some(canary) = &ingress.canary {
                table.split(name, ingress, canary);
            }
        }
        if table.default.is_none() {
            let ingress = Name::default();
            table.default = otherwise.map(|backend| Route { ingress, backend, canary: None });
        }
        table
    }

    fn serve(&mut self, name: &Name, ingress: &Ingress) {
        let route = |backend: &Backend| Route {
            ingress: name.clone(),
            backend: backend.clone(),
            canary: None,
        };
        let default = ingress.default.as_ref().map(route);
        if ingress.rules.is_empty() && self.default.is_none() {
            self.default.clone_from(&default);
        }
        for rule in &ingress.rules {
            let host = self.hosts.entry(rule.host.clone()).or_default();
            if host.default.is_none() {
                host.default.clone_from(&default);
            }
            for path in &rule.paths {
                let (slots, key) = host.slot(path);
                if let Some(other) = slots.get(&key) {
                    let (me, other) = (shown(name), shown(&other.ingress));
                    self.ignored.push(format!("{me}: {}{} is {other}'s", rule.host, path.path));
                } else {
                    slots.insert(key, route(&path.backend));
                }
            }
        }
    }

    /// Gives a canary its share of the routes of the same namespace, host and path.
    fn split(&mut self, name: &Name, ingress: &Ingress, canary: &Canary) {
        for rule in &ingress.rules {
            for path in &rule.paths {
                let host = self.hosts.get_mut(&rule.host);
                let route = host.and_then(|host| {
                    let (slots, key) = host.slot(path);
                    slots.get_mut(&key)
                });
                let at = format!("{}: {}{}", shown(name), rule.host, path.path);
                match route.filter(|r| r.ingress.0 == name.0) {
                    Some(route) if route.canary.is_none() => {
                        route.canary = Some((canary.clone(), path.backend.clone()));
                    }
                    Some(_) => self.ignored.push(format!("{at} has an older canary")),
                    None => self.ignored.push(format!("{at} is no canary of any Ingress")),
                }
            }
        }
    }

    /// Where a request goes: `host` is its Host field, `path` its decoded path.
    pub fn find(&self, host: &str, path: &str) -> Option<&Route> {
        let host = host_name(host);
        let wild = host.split_once('.').filter(|(label, _)| !label.is_empty());
        let wild = wild.and_then(|(_, rest)| self.hosts.get(&format!("*.{rest}")));
        let host = self.hosts.get(&host).or(wild).or_else(|| self.hosts.get(""));
        let path = normal(path)?;
        let found = host.and_then(|host| {
            host.exact.get(&path).or_else(|| longest(&host.prefix, &path)).or(host.default.as_ref())
        });
        found.or(self.default.as_ref())
    }

    /// How many routes there are.
    pub fn routes(&self) -> usize {
        self.hosts.values().map(|h| h.exact.len() + h.prefix.len()).sum()
    }
}

fn longest<'a>(prefixes: &'a BTreeMap<String, Route>, path: &str) -> Option<&'a Route> {
    let mut left = path.trim_end_matches('/');
    loop {
        if let Some(route) = prefixes.get(left) {
            return Some(route);
        }
        left = &left[..left.rfind('/')?];
    }
}

/// The name in a Host field: small letters, no port, no dot at the end.
fn host_name(host: &str) -> String {
    let name = match host.rfind(':') {
        Some(i) if !host[i..].contains(']') => &host[..i],
        _ => host,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A path without `.`, `..` and empty elements; `None` if it leads out of the root or is no path.
/// A slash at the end stays.
pub fn normal(path: &str) -> Option<String> {
    let rest = path.strip_prefix('/')?;
    let mut elements: Vec<&str> = Vec::new();
    for element in rest.split('/') {
        match element {
            "" | "." => {}
            ".." => {
                elements.pop()?;
            }
            other => elements.push(other),
        }
    }
    let open = matches!(rest.rsplit('/').next(), Some("" | "." | "..")) && !elements.is_empty();
    let slash = if open { "/" } else { "" };
    Some(format!("/{}{slash}", elements.join("/")))
}

#[cfg(all(test, not(target_os = "wasi")))]
mod tests;
