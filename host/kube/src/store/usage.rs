//! What programs use, as the kubelets have last measured it. Beside the objects and without
//! versions: measuring changes nothing in the world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::json;

use super::selector::LabelSelector;

/// What one container or node used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Billionths of a core, on the average of the window.
    pub nanocores: u64,
    /// Bytes.
    pub memory: u64,
}

/// A measurement of a pod or a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When, in ns since 1970.
    pub at: u64,
    /// Over which time, in ns.
    pub window: u64,
    /// By container; a node has the one "".
    pub usage: BTreeMap<String, Usage>,
}

/// One value that a program said of itself at its `/metrics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// In thousandths.
    pub value: i128,
}

/// What a pod said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrape {
    /// When, in ns since 1970.
    pub at: u64,
    /// What.
    pub series: Vec<Series>,
}

/// One of the values that pods told under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When, in ns since 1970.
    pub at: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// In thousandths.
    pub value: i128,
}

/// The last measurements of all pods and nodes. Cheap to clone.
#[derive(Clone, Default)]
pub struct Measured(Arc<Mutex<Tables>>);

#[derive(Default)]
struct Tables {
    pods: BTreeMap<(String, String), Sample>,
    nodes: BTreeMap<String, Sample>,
    scrapes: BTreeMap<(String, String), Scrape>,
}

impl Measured {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().expect("nothing panics while it holds the figures")
    }

    /// Replaces all measurements.
    pub fn set(&self, pods: BTreeMap<(String, String), Sample>, nodes: BTreeMap<String, Sample>) {
        let mut tables = self.lock();
        (tables.pods, tables.nodes) = (pods, nodes);
    }

    /// A pod's, by namespace and name.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<Sample> {
        self.lock().pods.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// A node's.
    pub fn node(&self, name: &str) -> Option<Sample> {
        self.lock().nodes.get(name).cloned()
    }

    /// Replaces what a pod, by namespace and name, said of itself; `None` where it said nothing.
    pub fn said(&self, pod: (String, String), scrape: Option<Scrape>) {
        let mut tables = self.lock();
        match scrape {
            Some(scrape) => tables.scrapes.insert(pod, scrape),
            None => tables.scrapes.remove(&pod),
        };
    }

    /// Forgets what pods said that are not among these any more.
    pub fn keep_scrapes(&self, keep: &BTreeSet<(String, String)>) {
        self.lock().scrapes.retain(|pod, _| keep.contains(pod));
    }

    /// What pods of a namespace said under this name, where `selector` fits the labels; `pod` and
    /// `namespace` are among them.
    pub fn series(
        &self,
        namespace: &str,
        name: &str,
        selector: Option<&LabelSelector>,
    ) -> Vec<Told> {
        let tables = self.lock();
        let mut out = Vec::new();
        for ((_, pod), scrape) in tables.scrapes.iter().filter(|((ns, _), _)| ns == namespace) {
            for series in scrape.series.iter().filter(|s| s.name == name) {
                let mut labels = series.labels.clone();
                labels.insert("pod".into(), pod.clone());
                labels.insert("namespace".into(), namespace.into());
                let object = json!({"metadata": {"labels": labels}});
                if selector.is_none_or(|s| s.matches(&object)) {
                    out.push(Told { at: scrape.at, labels, value: series.value });
                }
            }
        }
        out
    }
}

impl super::Store {
    /// What was said of one object: values that name it in a label ("service", "ingress", ...: the
    /// kind in small letters, as adapters of Prometheus have it), and of a pod or a Service also
    /// what its own pods say.
    pub fn told_of(
        &self,
        (namespace, kind, name): (&str, &str, &str),
        metric: &str,
        selector: Option<&LabelSelector>,
    ) -> Vec<Told> {
        let label = kind.to_lowercase();
        let service = (kind == "Service")
            .then(|| self.get("services", namespace, name))
            .flatten()
            .map(|s| LabelSelector::from_map(&s["spec"]["selector"]))
            .filter(|s| !s.is_empty());
        let mut all = self.measured().series(namespace, metric, selector);
        all.retain(|told| match (told.labels.get(&label), &service) {
            (Some(named), _) => named == name,
            (None, Some(pods)) => self
                .get("pods", namespace, &told.labels["pod"])
                .is_some_and(|pod| pods.matches(&pod)),
            (None, None) => false,
        });
        all
    }
}
