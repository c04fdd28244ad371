//! Events: what the parts of the control plane say about an object, counted instead of repeated
//! (`client-go/tools/record/events_cache.go`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use podlab_trace::PlaceId;
use serde_json::{Value, json};

use crate::store::object;
use crate::store::{DeleteOptions, Part, Store, WriteOptions};

/// How long an event is kept after it was last seen (kube-apiserver `--event-ttl`).
const TTL: u64 = 3600 * 1_000_000_000;
/// From this many similar ones on within [`SIMILAR_WINDOW`] they are combined.
const SIMILAR: u64 = 10;
const SIMILAR_WINDOW: u64 = 600 * 1_000_000_000;
/// A source may say this much about an object at once…
const BURST: u64 = 25;
/// …and then once in this time.
const REFILL: u64 = 300 * 1_000_000_000;
/// How many combinations are remembered (client-go's LRU is as long).
const REMEMBERED: usize = 4096;

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// `v1`, `apps/v1`.
    pub api_version: String,
    /// `Pod`.
    pub kind: String,
    /// Its namespace, or empty.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its version when the event happened; empty leaves that out.
    pub version: String,
    /// Which part (`spec.containers{web}`), or empty.
    pub field: String,
}

impl About {
    /// The whole of `object`.
    pub fn object(object: &Value) -> About {
        About {
            api_version: object["apiVersion"].as_str().unwrap_or("").into(),
            kind: object["kind"].as_str().unwrap_or("").into(),
            namespace: object::namespace(object).into(),
            name: object::name(object).into(),
            uid: object::uid(object).into(),
            version: object::meta(object, "resourceVersion").into(),
            field: String::new(),
        }
    }

    /// A part of it.
    pub fn part(mut self, field: &str) -> About {
        self.field = field.into();
        self
    }
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Normal,
    /// Something is wrong.
    Warning,
}

/// Writes events for one source ("kubelet" on a node, "default-scheduler"). Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    store: Store,
    component: Arc<str>,
    host: Arc<str>,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    /// Identical events: namespace and name of the object that counts them, and the count.
    same: BTreeMap<String, Counted>,
    /// Events that differ in their message only.
    similar: BTreeMap<String, (u64, u64)>,
    /// Tokens left for a source and object, and since when.
    spam: BTreeMap<String, (u64, u64)>,
    /// When events were written, for their end.
    written: VecDeque<(u64, String, String)>,
    last_stamp: u64,
}

struct Counted {
    namespace: String,
    name: String,
    count: u64,
    at: u64,
}

impl Recorder {
    /// A recorder for `component`, on node `host` if it runs on one.
    pub fn new(store: &Store, component: &str, host: &str) -> Recorder {
        Recorder {
            store: store.clone(),
            component: component.into(),
            host: host.into(),
            memory: Arc::default(),
        }
    }

    /// The same recorder for another component: they share what is known about repetition.
    pub fn of(&self, component: &str, host: &str) -> Recorder {
        Recorder { component: component.into(), host: host.into(), ..self.clone() }
    }

    /// The same recorder, acting at `place`.
    pub fn at(&self, place: PlaceId) -> Recorder {
        Recorder { store: self.store.acting_at(place), ..self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("nothing panics while it remembers events")
    }

    /// Something as it should be.
    pub fn normal(&self, about: &About, reason: &str, message: &str) {
        self.record(about, Severity::Normal, reason, message);
    }

    /// Something wrong.
    pub fn warning(&self, about: &About, reason: &str, message: &str) {
        self.record(about, Severity::Warning, reason, message);
    }

    /// Says `message` about an object. Events that cannot be stored (their namespace is going)
    /// are lost, as in Kubernetes.
    pub fn record(&self, about: &About, severity: Severity, reason: &str, message: &str) {
        let now = self.store.sim().unix_nanos();
        self.expire(now);
        let severity = match severity {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        };
        let source = format!("{}/{}", self.component, self.host);
        let object = format!("{source}|{}|{}|{}", about.kind, about.namespace, about.uid);
        let group = format!("{object}|{}|{severity}|{reason}", about.field);
        let (key, message) = {
            let mut memory = self.lock();
            let similar = memory.similar.entry(group.clone()).or_insert((0, now));
            if now.saturating_sub(similar.1) > SIMILAR_WINDOW {
                *similar = (0, now);
            }
            let exact = format!("{group}|{message}");
            let known = memory.same.contains_key(&exact);
            let similar = memory.similar.get_mut(&group).expect("made above");
            if !known {
                similar.0 += 1;
            }
            similar.1 = now;
            let combined = similar.0 >= SIMILAR && !known;
            if combined {
                (group, format!("(combined from similar events): {message}"))
            } else {
                (exact, message.to_owned())
            }
        };
        // What is not written counts all the same.
        let count = self.lock().same.get_mut(&key).map_or(1, |c| {
            c.count += 1;
            c.at = now;
            c.count
        });
        if self.allows(&object, now) {
            self.write(about, &key, severity, reason, &message, count);
        }
    }

    /// The filter against floods: a bucket of tokens for each source and object.
    fn allows(&self, object: &str, now: u64) -> bool {
        let mut memory = self.lock();
        let spam = memory.spam.entry(object.to_owned()).or_insert((BURST, now));
        let refilled = now.saturating_sub(spam.1) / REFILL;
        if refilled > 0 {
            *spam = (spam.0.saturating_add(refilled).min(BURST), spam.1 + refilled * REFILL);
        }
        let free = spam.0 > 0;
        spam.0 = spam.0.saturating_sub(1);
        free
    }

    fn write(
        &self,
        about: &About,
        key: &str,
        severity: &str,
        reason: &str,
        message: &str,
        count: u64,
    ) {
        let now = self.store.sim().unix_nanos();
        let seen = object::time(now);
        let repeated = {
            let memory = self.lock();
            memory.same.get(key).map(|c| (c.namespace.clone(), c.name.clone()))
        };
        if let Some((namespace, name)) = repeated
            && let Some(old) = self.store.get("events", &namespace, &name)
        {
            let mut event = Value::clone(&old);
            event["count"] = count.into();
            event["lastTimestamp"] = seen.as_str().into();
            event["message"] = message.into();
            let options = WriteOptions::default();
            if self.store.update_with("events", event, Part::Main, &options).is_ok() {
                self.lock().written.push_back((now, namespace, name));
                return;
            }
        }
        let namespace =
            if about.namespace.is_empty() { "default".to_owned() } else { about.namespace.clone() };
        let stamp = {
            let mut memory = self.lock();
            memory.last_stamp = now.max(memory.last_stamp + 1);
            memory.last_stamp
        };
        let name = format!("{}.{stamp:x}", about.name);
        let mut involved = json!({
            "kind": about.kind, "name": about.name, "uid": about.uid,
            "apiVersion": about.api_version,
        });
        for (field, value) in [
            ("namespace", &about.namespace),
            ("resourceVersion", &about.version),
            ("fieldPath", &about.field),
        ] {
            if !value.is_empty() {
                involved[field] = value.as_str().into();
            }
        }
        let mut source = json!({"component": &*self.component});
        if !self.host.is_empty() {
            source["host"] = (&*self.host).into();
        }
        let event = json!({
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": seen,
            "lastTimestamp": seen,
            "count": 1,
            "type": severity,
            "eventTime": null,
            "reportingComponent": &*self.component,
            "reportingInstance": &*self.host,
        });
        if self.store.create("events", event).is_err() {
            return;
        }
        let mut memory = self.lock();
        memory.written.push_back((now, namespace.clone(), name.clone()));
        if memory.same.len() >= REMEMBERED
            && let Some(oldest) =
                memory.same.iter().min_by_key(|(_, c)| c.at).map(|(k, _)| k.clone())
        {
            memory.same.remove(&oldest);
        }
        let counted = Counted { namespace, name, count: 1, at: now };
        memory.same.insert(key.to_owned(), counted);
    }

    /// Removes events whose time is over. Nothing waits for this: it happens when the next one
    /// is written.
    fn expire(&self, now: u64) {
        let mut ended = false;
        loop {
            let (namespace, name) = {
                let mut memory = self.lock();
                match memory.written.front() {
                    Some((at, ..)) if at + TTL <= now => {}
                    _ => break,
                }
                let (_, namespace, name) = memory.written.pop_front().expect("looked above");
                (namespace, name)
            };
            let Some(event) = self.store.get("events", &namespace, &name) else { continue };
            let seen = event["lastTimestamp"].as_str().and_then(object::parse_time).unwrap_or(0);
            if seen + TTL <= now {
                // It may have been deleted by hand meanwhile.
                let _ = self.store.delete("events", &namespace, &name, &DeleteOptions::default());
                ended = true;
            }
        }
        if ended {
            let mut memory = self.lock();
            memory.same.retain(|_, c| c.at + TTL > now);
            memory.similar.retain(|_, (_, at)| *at + TTL > now);
            memory.spam.retain(|_, (_, at)| *at + BURST * REFILL > now);
        }
    }
}
