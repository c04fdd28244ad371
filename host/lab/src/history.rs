//! What checks can ask about: objects, answers, log lines, the clock, as they were at the
//! instant of the event taken in last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use cel::Value;
use podlab_trace::{Event, Kind, PlaceId, Verb};

use crate::expression::{Fields, Reads};

/// A log of a container keeps this many lines for checks.
const MAX_LINES: usize = 100_000;

/// What checks can ask about. Cheap to clone: all clones are the same history.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    now: u64,
    places: BTreeMap<PlaceId, Where>,
    objects: BTreeMap<(String, String, String), Value>,
    logs: BTreeMap<(String, String), Vec<Value>>,
    running: BTreeSet<PlaceId>,
    requests: BTreeMap<String, Vec<Value>>,
}

#[derive(Clone, Default)]
struct Where {
    node: String,
    namespace: String,
    pod: String,
    container: String,
}

/// A request that has come to an end.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The name given in the scenario.
    pub name: String,
    /// When it was sent, in ns.
    pub at: u64,
    /// When its last byte came back (or when it failed), in ns.
    pub end: u64,
    /// The status, 0 if there was no answer.
    pub status: u16,
    /// The body as text.
    pub body: String,
    /// Why there was no answer, or empty.
    pub error: String,
    /// Whether it was answered well.
    pub ok: bool,
    /// The method, empty for TCP.
    pub method: String,
    /// The path, empty for TCP.
    pub path: String,
    /// The body (for TCP: the text) that was sent.
    pub sent: String,
}

impl History {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("history lock")
    }

    /// Takes in the next event, and says what it changed.
    pub fn take(&self, event: &Event) -> Reads {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let mut changed = Reads { now: event.at != inner.now, ..Reads::default() };
        inner.now = event.at;
        match &event.kind {
            Kind::Place { id, node, namespace, pod, container } => {
                let place = Where {
                    node: node.clone(),
                    namespace: namespace.clone(),
                    pod: pod.clone(),
                    container: container.clone(),
                };
                inner.places.insert(*id, place);
            }
            Kind::Log { line, .. } => {
                if let Some(place) = inner.places.get(&event.place) {
                    let key = (place.pod.clone(), place.container.clone());
                    let lines = inner.logs.entry(key).or_default();
                    if lines.len() < MAX_LINES {
                        lines.push(Value::String(Arc::new(line.clone())));
                    }
                    changed.logs = true;
                }
            }
            Kind::Start { .. } => {
                inner.running.insert(event.place);
                changed.pods = true;
            }
            Kind::Exit { .. } => {
                inner.running.remove(&event.place);
                changed.pods = true;
            }
            Kind::Object { verb, object_kind, namespace, name, object, .. } => {
                let key = (object_kind.clone(), namespace.clone(), name.clone());
                if *verb == Verb::Deleted {
                    inner.objects.remove(&key);
                } else if let Ok(json) = serde_json::from_str(object) {
                    inner.objects.insert(key, from_json(&json));
                }
                changed.pods = object_kind == "Pod";
                changed.objects = !changed.pods;
            }
            _ => {}
        }
        changed
    }

    /// Takes in the end of a request.
    pub fn finished(&self, request: &Finished) -> Reads {
        let mut inner = self.lock();
        inner.now = inner.now.max(request.end);
        let text = |s: &str| Value::String(Arc::new(s.into()));
        let value = map([
            ("name", text(&request.name)),
            ("at", Value::Float(request.at as f64 / 1e9)),
            ("end", Value::Float(request.end as f64 / 1e9)),
            ("latencyMs", Value::Float(request.end.saturating_sub(request.at) as f64 / 1e6)),
            ("status", Value::Int(i64::from(request.status))),
            ("ok", Value::Bool(request.ok)),
            ("method", text(&request.method)),
            ("path", text(&request.path)),
            ("sent", text(&request.sent)),
            ("body", text(&request.body)),
            ("error", text(&request.error)),
        ]);
        inner.requests.entry(request.name.clone()).or_default().push(value);
        Reads { requests: true, now: true, ..Reads::default() }
    }

    /// Moves the clock on where nothing happened.
    pub fn advance(&self, now: u64) {
        let mut inner = self.lock();
        inner.now = inner.now.max(now);
    }

    /// An event as checks see it: flat, with the names of its place. Only `fields` are made.
    pub fn event(&self, event: &Event, fields: &Fields) -> Value {
        let inner = self.lock();
        let nowhere = Where::default();
        let place = inner.places.get(&event.place).unwrap_or(&nowhere);
        let own: [(&str, serde_json::Value); 5] = [
            ("node", place.node.as_str().into()),
            ("namespace", place.namespace.as_str().into()),
            ("pod", place.pod.as_str().into()),
            ("container", place.container.as_str().into()),
            ("seconds", (event.at as f64 / 1e9).into()),
        ];
        let names: Vec<&str> = match fields {
            Fields::All => Vec::new(),
            Fields::Only(names) => names.iter().map(String::as_str).collect(),
        };
        let ready = |n: &&str| *n == "kind" || own.iter().any(|(name, _)| name == n);
        let mut json = if *fields != Fields::All && names.iter().all(ready) {
            let kind = crate::vocabulary::kind_of(&event.kind);
            serde_json::Map::from_iter([("kind".to_owned(), kind.into())])
        } else {
            event.to_json()
        };
        json.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        json.retain(|name, _| fields.has(name));
        from_json(&serde_json::Value::Object(json))
    }

    /// The names of the pod and the container where an event happened; empty ones where it was in
    /// none.
    pub fn place(&self, event: &Event) -> (String, String) {
        let inner = self.lock();
        let place = inner.places.get(&event.place);
        place.map(|w| (w.pod.clone(), w.container.clone())).unwrap_or_default()
    }

    /// Seconds since the world began.
    pub fn now_seconds(&self) -> f64 {
        self.lock().now as f64 / 1e9
    }

    /// An object of namespace `default` (or without a namespace), or null.
    pub fn object(&self, kind: &str, name: &str) -> Value {
        let inner = self.lock();
        let find = |ns: &str| inner.objects.get(&(kind.to_owned(), ns.to_owned(), name.to_owned()));
        find("default").or_else(|| find("")).cloned().unwrap_or(Value::Null)
    }

    /// All objects of a kind, by namespace and name.
    pub fn objects(&self, kind: &str) -> Value {
        let inner = self.lock();
        let all = inner.objects.iter().filter(|((k, ..), _)| k == kind).map(|(_, v)| v.clone());
        Value::List(Arc::new(all.collect()))
    }

    /// Whether the pod's condition Ready is True.
    pub fn ready(&self, pod: &str) -> bool {
        let pod = self.object("Pod", pod);
        let conditions = field(&field(&pod, "status"), "conditions");
        items(&conditions)
            .iter()
            .any(|c| is_text(&field(c, "type"), "Ready") && is_text(&field(c, "status"), "True"))
    }

    /// Why a pod is not ready, for people; nothing if it is.
    pub fn trouble(&self, pod: &str) -> Option<String> {
        if self.ready(pod) {
            return None;
        }
        let object = self.object("Pod", pod);
        if object == Value::Null {
            let inner = self.lock();
            let pods = inner.objects.keys().filter(|(kind, ..)| kind == "Pod");
            let pods: Vec<&str> = pods.map(|(.., name)| name.as_str()).collect();
            let meant = crate::vocabulary::meant(pod, pods.iter().copied());
            return Some(format!("there is no pod {pod:?}{meant} The pods are {pods:?}"));
        }
        let status = field(&object, "status");
        let text = |value: &Value| match value {
            Value::String(s) => s.to_string(),
            _ => String::new(),
        };
        let mut out = format!("pod {pod} is {} and not ready", text(&field(&status, "phase")));
        for list in ["initContainerStatuses", "containerStatuses"] {
            for c in items(&field(&status, list)) {
                let waiting = field(&field(&c, "state"), "waiting");
                if waiting != Value::Null {
                    let (reason, message) = (field(&waiting, "reason"), field(&waiting, "message"));
                    out += &format!(
                        "; its container {} waits: {} {}",
                        text(&field(&c, "name")),
                        text(&reason),
                        text(&message)
                    );
                }
            }
        }
        Some(out.trim_end().to_owned())
    }

    /// Whether a program runs in the container of the pod.
    pub fn running(&self, pod: &str, container: &str) -> bool {
        let inner = self.lock();
        inner.running.iter().any(|place| {
            inner.places.get(place).is_some_and(|w| w.pod == pod && w.container == container)
        })
    }

    /// How often the container was restarted, as its pod's status says.
    pub fn restarts(&self, pod: &str, container: &str) -> i64 {
        let status = field(&self.object("Pod", pod), "status");
        for list in ["containerStatuses", "initContainerStatuses"] {
            for c in items(&field(&status, list)) {
                if is_text(&field(&c, "name"), container)
                    && let Value::Int(n) = field(&c, "restartCount")
                {
                    return n;
                }
            }
        }
        0
    }

    /// The finished requests of this name.
    pub fn requests(&self, name: &str) -> Value {
        Value::List(Arc::new(self.lock().requests.get(name).cloned().unwrap_or_default()))
    }

    /// The finished requests of this name, with only the fields that `fields` names.
    pub fn requests_with(&self, name: &str, fields: &[Value]) -> Value {
        let inner = self.lock();
        let all = inner.requests.get(name).map_or(&[][..], |all| all);
        if fields.is_empty() {
            // They are only counted.
            return Value::List(Arc::new(vec![Value::Null; all.len()]));
        }
        let narrowed = all.iter().map(|request| {
            let Value::Map(whole) = request else { return request.clone() };
            let found = fields.iter().filter_map(|f| {
                let Value::String(f) = f else { return None };
                let key = cel::objects::Key::String(f.clone());
                let value = whole.map.get(&key)?.clone();
                Some((key, value))
            });
            Value::Map(cel::objects::Map { map: Arc::new(found.collect()) })
        });
        Value::List(Arc::new(narrowed.collect()))
    }

    /// The request of this name that finished last, or null.
    pub fn last(&self, name: &str) -> Value {
        let inner = self.lock();
        inner.requests.get(name).and_then(|r| r.last()).cloned().unwrap_or(Value::Null)
    }

    /// The lines a container has written.
    pub fn logs(&self, pod: &str, container: &str) -> Value {
        let key = (pod.to_owned(), container.to_owned());
        Value::List(Arc::new(self.lock().logs.get(&key).cloned().unwrap_or_default()))
    }
}

fn field(value: &Value, name: &str) -> Value {
    match value {
        Value::Map(m) => m
            .map
            .get(&cel::objects::Key::String(Arc::new(name.into())))
            .cloned()
            .unwrap_or(Value::Null),
        _ => Value::Null,
    }
}

fn items(value: &Value) -> Vec<Value> {
    match value {
        Value::List(l) => l.to_vec(),
        _ => Vec::new(),
    }
}

fn is_text(value: &Value, text: &str) -> bool {
    matches!(value, Value::String(s) if s.as_str() == text)
}

#[allow(clippy::disallowed_types, reason = "cel's own map; only ever looked up by key")]
fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let map: std::collections::HashMap<_, _> = fields
        .into_iter()
        .map(|(k, v)| (cel::objects::Key::String(Arc::new(k.into())), v))
        .collect();
    Value::Map(cel::objects::Map { map: Arc::new(map) })
}

/// A JSON value as a CEL value: whole numbers become ints, null stays null.
#[allow(clippy::disallowed_types, reason = "cel's own map; only ever looked up by key")]
pub fn from_json(json: &serde_json::Value) -> Value {
    use serde_json::Value as J;
    match json {
        J::Null => Value::Null,
        J::Bool(b) => Value::Bool(*b),
        J::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => Value::Int(i),
            (None, Some(u)) => Value::UInt(u),
            (None, None) => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
        },
        J::String(s) => Value::String(Arc::new(s.clone())),
        J::Array(a) => Value::List(Arc::new(a.iter().map(from_json).collect())),
        J::Object(o) => {
            let map: std::collections::HashMap<_, _> = o
                .iter()
                .map(|(k, v)| (cel::objects::Key::String(Arc::new(k.clone())), from_json(v)))
                .collect();
            Value::Map(cel::objects::Map { map: Arc::new(map) })
        }
    }
}
