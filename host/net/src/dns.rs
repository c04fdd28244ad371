//! Names: what a resolver in a pod does with `/etc/hosts`, a search list and the cluster's DNS.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use podlab_sim::Time;
use podlab_trace::Kind;

use crate::link::{Fate, Site};
use crate::namespace::Stack;
use crate::net::State;
use crate::table::Key;

/// Names with fewer dots are looked up in the search list first (Kubernetes sets `ndots:5`).
const NDOTS: usize = 5;
/// How long one query waits for an answer, and how often it is sent (`resolv.conf(5)`).
const TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 2;
/// What link rules call the cluster's DNS. It is on no node; its number is 0.
const SERVER: &str = "kube-system/kube-dns";
/// The longest name there is (RFC 1035, 2.3.4).
const NAME_MAX: usize = 253;

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsError {
    /// NXDOMAIN: there is no such name.
    NoSuchName,
    /// SERVFAIL: the server could not tell.
    ServerFailure,
    /// No answer came.
    Timeout,
    /// It cannot be a name.
    Invalid,
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DnsError::NoSuchName => "NXDOMAIN",
            DnsError::ServerFailure => "SERVFAIL",
            DnsError::Timeout => "timeout",
            DnsError::Invalid => "invalid name",
        })
    }
}

impl std::error::Error for DnsError {}

/// How the cluster's DNS fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsFault {
    /// It answers SERVFAIL.
    ServerFailure,
    /// It does not answer.
    Silent,
}

/// The records, and their faults.
#[derive(Default)]
pub(crate) struct Names {
    records: BTreeMap<String, Vec<IpAddr>>,
    fault: Option<DnsFault>,
    faults: BTreeMap<String, DnsFault>,
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

impl Names {
    pub(crate) fn set(&mut self, fqdn: &str, addresses: Vec<IpAddr>) {
        self.records.insert(normal(fqdn), addresses);
    }

    pub(crate) fn remove(&mut self, fqdn: &str) {
        self.records.remove(&normal(fqdn));
    }

    pub(crate) fn set_fault(&mut self, namespace: Option<&str>, fault: Option<DnsFault>) {
        match (namespace, fault) {
            (None, fault) => self.fault = fault,
            (Some(name), Some(fault)) => {
                self.faults.insert(name.to_owned(), fault);
            }
            (Some(name), None) => {
                self.faults.remove(name);
            }
        }
    }

    fn find(&self, full: &str) -> Option<Vec<IpAddr>> {
        self.records.get(full).filter(|found| !found.is_empty()).cloned()
    }

    fn fault_for(&self, namespace: &str) -> Option<DnsFault> {
        self.faults.get(namespace).copied().or(self.fault)
    }
}

/// The full names to ask for, in order (`resolv.conf(5)`, `search` and `ndots`).
fn candidates(name: &str, search: &[String]) -> Vec<String> {
    let plain = normal(name);
    if name.ends_with('.') {
        return vec![plain];
    }
    let mut out: Vec<String> =
        search.iter().map(|domain| format!("{plain}.{}", normal(domain))).collect();
    let at = if plain.matches('.').count() >= NDOTS { 0 } else { out.len() };
    out.insert(at, plain);
    out
}

fn is_name(name: &str) -> bool {
    let plain = name.strip_suffix('.').unwrap_or(name);
    !plain.is_empty()
        && plain.len() <= NAME_MAX
        && plain.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

impl Stack {
    /// Looks a name up. Literal addresses, `localhost` and the namespace's own hostname take no
    /// time. A query to the cluster's DNS takes a round trip over the links between this
    /// namespace and one called `kube-system/kube-dns` on a node of its own: rules apply to it.
    /// What is lost is asked again after 5 s, once.
    ///
    /// # Errors
    /// [`DnsError`].
    pub fn resolve(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Vec<IpAddr>, DnsError>> + Send + 'static {
        let (stack, name) = (self.clone(), name.to_owned());
        async move {
            if let Ok(ip) = name.parse::<IpAddr>() {
                return Ok(vec![ip]);
            }
            let found = stack.look_up(&name).await;
            let (answers, error) = match &found {
                Ok(answers) => (answers.clone(), String::new()),
                Err(error) => (Vec::new(), error.to_string()),
            };
            // A program may ask for anything; what cannot be a name is cut before it is kept.
            let shown = name.chars().take(NAME_MAX + 3).collect();
            let state = stack.net.lock();
            state.emit(stack.place, Kind::Resolve { name: shown, answers, error });
            found
        }
    }

    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, DnsError> {
        if !is_name(name) {
            return Err(DnsError::Invalid);
        }
        let search = {
            let state = self.net.lock();
            let ns = state.namespaces.get(self.namespace.key).ok_or(DnsError::Timeout)?;
            let plain = normal(name);
            if plain == "localhost" || plain.ends_with(".localhost") {
                return Ok(vec![
                    std::net::Ipv4Addr::LOCALHOST.into(),
                    std::net::Ipv6Addr::LOCALHOST.into(),
                ]);
            }
            if plain == normal(&ns.hostname) {
                let v6 = ns.ipv6.map(IpAddr::V6);
                return Ok([Some(ns.ipv4.into()), v6].into_iter().flatten().collect());
            }
            ns.search.clone()
        };
        for full in candidates(name, &search) {
            if let Some(found) = self.query(&full).await? {
                return Ok(found);
            }
        }
        Err(DnsError::NoSuchName)
    }

    /// Asks the cluster's DNS for one full name. `None` is NXDOMAIN.
    async fn query(&self, full: &str) -> Result<Option<Vec<IpAddr>>, DnsError> {
        let sim = self.net.lock().sim.clone();
        for _ in 0..ATTEMPTS {
            let give_up = sim.now() + TIMEOUT;
            let answered = self.net.lock().query_and_answer(self.namespace.key);
            if let Some(at) = answered.filter(|at| *at <= give_up) {
                sim.sleep_until(at).await;
                let state = self.net.lock();
                match state.names.fault_for(self.namespace.name()) {
                    None => return Ok(state.names.find(full)),
                    Some(DnsFault::ServerFailure) => return Err(DnsError::ServerFailure),
                    Some(DnsFault::Silent) => {}
                }
            }
            sim.sleep_until(give_up).await;
        }
        Err(DnsError::Timeout)
    }
}

impl State {
    /// Sends a query over the links to the cluster's DNS and the answer back. `None` if one of
    /// them is lost.
    fn query_and_answer(&mut self, namespace: Key) -> Option<Time> {
        let now = self.now();
        let ns = self.namespaces.get(namespace)?;
        let dns = || Site { name: SERVER, node: "", external: false, places: &[] };
        let there = self.links.path((ns.id, ns.site()), (0, dns()));
        let back = self.links.path((0, dns()), (ns.id, ns.site()));
        let Fate::Arrives(asked) = self.links.fate(&there, now, 0) else { return None };
        match self.links.fate(&back, asked, 0) {
            Fate::Arrives(at) => Some(at),
            Fate::Lost => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_list_comes_first_unless_the_name_has_dots_enough() {
        let search = ["default.svc.cluster.local".to_owned(), "svc.cluster.local".to_owned()];
        let check = |name: &str, first: &str, count| {
            let all = candidates(name, &search);
            assert_eq!((all[0].as_str(), all.len()), (first, count), "{name}");
        };
        check("web", "web.default.svc.cluster.local", 3);
        check("Web.", "web", 1);
        check("a.b.c.d.e.f", "a.b.c.d.e.f", 3);
        check(
            "web.default.svc.cluster.local",
            "web.default.svc.cluster.local.default.svc.cluster.local",
            3,
        );
    }

    #[test]
    fn what_cannot_be_a_name_is_not_asked_for() {
        for bad in ["", ".", "a..b", "a b", "ä", &"x".repeat(64), &"x.".repeat(200)] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_name("_http._tcp.web.default.svc.cluster.local."));
    }
}
