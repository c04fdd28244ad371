//! Keeps what is known of the cluster true: lists, then watches, lists anew when a version is too
//! old, and tells when the API server goes away and comes back.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::log;
use podlab_guest::runtime::{Flag, race, sleep};
use serde_json::{Value, json};

use crate::api::{Api, Event, Refused, version};
use crate::cluster::{Cluster, Kind};
use crate::objects::shown;

/// From one try to the next while the API server is away: doubled each time, up to the last.
const WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(8));
/// Before a status is written again that could not be written.
const FAILED: Duration = Duration::from_secs(30);
/// Before a kind is asked for again that we may not see.
const FORBIDDEN: Duration = Duration::from_secs(300);

/// The way to the API server, as all who use it see it.
pub struct Link {
    api: Api,
    cluster: Rc<Cluster>,
    away: RefCell<Vec<(Kind, Instant)>>,
}

impl Link {
    /// Nobody has tried yet.
    pub fn new(api: Api, cluster: Rc<Cluster>) -> Link {
        Link { api, cluster, away: RefCell::default() }
    }

    /// Whether it answers.
    pub fn up(&self) -> bool {
        self.away.borrow().is_empty()
    }

    fn failed(&self, kind: Kind, why: &Refused) {
        let mut away = self.away.borrow_mut();
        if away.is_empty() {
            let text = match self.cluster.known() {
                true => "serving with the routes known last",
                false => "serving nothing yet",
            };
            log::warn("api-away", &[("error", why), ("meanwhile", &text)]);
        }
        if !away.iter().any(|(k, _)| *k == kind) {
            away.push((kind, Instant::now()));
        }
    }

    fn worked(&self, kind: Kind) {
        let mut away = self.away.borrow_mut();
        let Some(i) = away.iter().position(|(k, _)| *k == kind) else { return };
        let (_, since) = away.remove(i);
        if away.is_empty() {
            log::info("api-back", &[("after_ms", &since.elapsed().as_millis())]);
        }
    }

    /// Follows one kind until `stop`.
    pub async fn follow(&self, kind: Kind, namespace: &str, span: Duration, stop: &Flag) {
        race(self.reflect(kind, &kind.path(namespace), span), stop.wait()).await;
    }

    async fn reflect(&self, kind: Kind, path: &str, span: Duration) {
        let mut wait = WAIT.0;
        // The version known last; `None` before a list.
        let mut known: Option<String> = None;
        loop {
            let result = match &mut known {
                None => self.list(kind, path).await.map(|version| known = Some(version)),
                Some(version) => self.watch(kind, path, version, span, &mut wait).await,
            };
            match result {
                Ok(()) => {
                    self.worked(kind);
                    wait = WAIT.0;
                }
                Err(Refused::Gone) => {
                    let plural = path.rsplit('/').next().unwrap_or_default();
                    log::info("listing-anew", &[("kind", &plural)]);
                    known = None;
                }
                // Someone confined to a namespace may not see classes: then names alone count.
                Err(Refused::Answer(403, why)) if kind == Kind::Class => {
                    log::warn("no-classes", &[("error", &why)]);
                    self.cluster.replace(kind, &[]);
                    sleep(FORBIDDEN).await;
                }
                Err(why) => {
                    self.failed(kind, &why);
                    sleep(wait).await;
                    wait = (wait * 2).min(WAIT.1);
                }
            }
        }
    }

    async fn list(&self, kind: Kind, path: &str) -> Result<String, Refused> {
        let list = self.api.list(path).await?;
        self.cluster.replace(kind, &list.items);
        Ok(list.version)
    }

    async fn watch(
        &self,
        kind: Kind,
        path: &str,
        known: &mut String,
        span: Duration,
        wait: &mut Duration,
    ) -> Result<(), Refused> {
        let mut watch = self.api.watch(path, known, span).await?;
        self.worked(kind);
        *wait = WAIT.0;
        while let Some(event) = watch.next().await? {
            match event {
                Event::Set(object) => {
                    self.cluster.put(kind, &object);
                    *known = version(&object);
                }
                Event::Removed(object) => {
                    self.cluster.remove(kind, &object);
                    *known = version(&object);
                }
                Event::Bookmark(version) => *known = version,
            }
        }
        Ok(())
    }

    /// Writes into our Ingresses' statuses where they are reached, until `stop`.
    pub async fn publish(&self, stop: &Flag) {
        race(self.statuses(), stop.wait()).await;
    }

    async fn statuses(&self) {
        let mut said = BTreeMap::new();
        loop {
            let changed = self.cluster.changed();
            if self.cluster.known() {
                // Made now, so that the log says what is wrong before anybody calls.
                drop(self.cluster.table());
            }
            let mut failed = BTreeMap::new();
            for (name, addresses) in self.cluster.unpublished() {
                match self.write(&name, &addresses).await {
                    Ok(()) => {
                        let text = addresses.to_string();
                        log::info("published", &[("ingress", &shown(&name)), ("at", &text)]);
                    }
                    // Removed or changed meanwhile: its watch will say so.
                    Err(Refused::Answer(404 | 409, _)) => {}
                    Err(why) => {
                        let text = why.to_string();
                        if said.get(&name) != Some(&text) {
                            log::warn(
                                "not-published",
                                &[("ingress", &shown(&name)), ("error", &text)],
                            );
                        }
                        failed.insert(name, text);
                    }
                }
            }
            said = failed;
            // What was written comes back as a change: only then is it known to be there.
            if said.is_empty() {
                changed.wait().await;
            } else {
                race(changed.wait(), sleep(FAILED)).await;
            }
            sleep(WAIT.0).await;
        }
    }

    async fn write(&self, name: &(String, String), addresses: &Value) -> Result<(), Refused> {
        let (namespace, name) = name;
        let path = format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/{name}");
        // Not a patch: roles written for other controllers let them get and update.
        let mut object = self.api.get(&path).await?;
        object["status"] = json!({ "loadBalancer": { "ingress": addresses } });
        self.api.put(&format!("{path}/status"), &object).await
    }
}
