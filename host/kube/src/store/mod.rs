//! The objects of a world: canonical JSON, one counter of versions, a bounded log of changes.
//!
//! All who act in the control plane, the API server included, work on one [`Store`]. Its
//! operations take no virtual time. Controllers in the world use it directly:
//!
//! ```text
//! let mut pods = store.informer("pods");
//! loop {
//!     let change = pods.next().await;
//!     let pod: Pod = view(&change.object).unwrap();
//!     store.modify_status_as::<Pod, _>("default", "web", |pod| { ... })?;
//! }
//! ```
//!
//! # Layout
//! - [`resource`]: the row that describes a kind; [`kinds`]: the rows there are
//! - [`write`](self): create and update with Kubernetes' rules for metadata; `delete`: what goes
//! - [`custom`]: kinds that are made at run time
//! - [`managed`]: who owns which field, server-side apply
//! - [`watch`]: cursors over the log, informers; [`typed`]: `k8s-openapi` views
//! - [`selector`]: label and field selectors; [`names`]: what names may look like
//! - [`error`]: errors as `Status`; [`object`]: reading JSON objects, times
//!
//! A resource is named by its key: "pods", "leases.coordination.k8s.io".

pub mod custom;
mod delete;
pub mod error;
pub mod kinds;
pub mod managed;
pub mod names;
pub mod object;
pub mod quantity;
pub mod resource;
pub mod selector;
pub mod typed;
pub mod usage;
pub mod watch;
mod write;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use podlab_sim::sync::{Receiver, Signal, channel};
use podlab_sim::{Handle, Rng};
use podlab_trace::{Kind as TraceKind, PlaceId, Trace, Verb};
use serde_json::Value;

pub use error::{Error, FieldError};
pub use object::Object;
pub use resource::{Resource, Row};
pub use typed::view;
pub use watch::{Change, Informer, Watch};

/// How many changes of one kind are remembered for watches…
const LOG_CHANGES: usize = 16_384;
/// …and of how many bytes of JSON at most.
const LOG_BYTES: usize = 32 << 20;
/// An object may be this long as JSON (etcd's default limit of a request).
const OBJECT_BYTES: usize = 3 << 19;
/// All objects together may be this long.
const STORE_BYTES: usize = 256 << 20;

/// The objects of one world. Cheap to clone: all clones are the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Mutex<Inner>>,
    sim: Handle,
    trace: Trace,
    place: PlaceId,
    measured: usage::Measured,
    manager: &'static str,
    /// Whether its writes may be made to fail; see [`Store::set_conflicts`].
    shaken: bool,
}

struct Inner {
    /// One write in so many fails for who is [`shaken`](Store::shaken); 0 for none.
    conflicts: u64,
    version: u64,
    bytes: usize,
    kinds: BTreeMap<String, Shelf>,
    streams: Streams,
}

/// The random streams of the store. A dry run works on a copy, since looking draws nothing.
#[derive(Clone)]
struct Streams {
    uids: Rng,
    names: Rng,
    allocation: Rng,
    conflicts: Rng,
}

/// The objects of one kind.
struct Shelf {
    row: Row,
    objects: BTreeMap<(String, String), Stored>,
    log: VecDeque<(Arc<Change>, usize)>,
    log_bytes: usize,
    /// The version of the newest change that is no longer in the log.
    compacted: u64,
    signal: Signal,
}

impl Shelf {
    fn new(row: Resource, compacted: u64) -> Shelf {
        Shelf {
            row: Arc::new(row),
            objects: BTreeMap::new(),
            log: VecDeque::new(),
            log_bytes: 0,
            compacted,
            signal: Signal::new(),
        }
    }
}

#[derive(Clone)]
struct Stored {
    object: Object,
    bytes: usize,
}

/// How to write.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Do everything but store it.
    pub dry_run: bool,
    /// Who owns what is written; empty for the store's own manager.
    pub manager: String,
    /// The subresource that is written through, where that is not clear from the part.
    pub subresource: &'static str,
}

/// Which part of an object an update replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All but the status, where that is a subresource.
    Main,
    /// The status only.
    Status,
    /// Exactly what is given, for subresources that the API server itself implements
    /// (binding, finalize, ephemeral containers): no validation of what changed.
    Whole,
}

/// What becomes of the dependents of a deleted object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted afterwards.
    #[default]
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay, without their owner.
    Orphan,
}

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Seconds that a pod gets; `None` for its own default.
    pub grace_period_seconds: Option<i64>,
    /// The uid it must have.
    pub uid: Option<String>,
    /// The resourceVersion it must have.
    pub resource_version: Option<String>,
    /// What becomes of its dependents.
    pub propagation: Propagation,
    /// Do everything but store it.
    pub dry_run: bool,
}

/// What a deletion came to.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// It is gone; this is how it was last.
    Gone(Object),
    /// It goes later (grace, finalizers); this is how it is now.
    Pending(Object),
}

impl Store {
    /// An empty store that knows the kinds of [`kinds::all`].
    pub fn new(sim: &Handle, trace: &Trace) -> Store {
        Store::with_kinds(sim, trace, kinds::all())
    }

    /// An empty store that knows these kinds.
    pub fn with_kinds(sim: &Handle, trace: &Trace, rows: Vec<Resource>) -> Store {
        let kinds = rows
            .into_iter()
            .map(|row| {
                let shelf = Shelf::new(row, 0);
                (shelf.row.qualified(), shelf)
            })
            .collect();
        let streams = Streams {
            uids: sim.rng("kube/uids"),
            names: sim.rng("kube/names"),
            allocation: sim.rng("kube/allocation"),
            conflicts: sim.rng("kube/conflicts"),
        };
        let inner = Inner { conflicts: 0, version: 0, bytes: 0, kinds, streams };
        Store {
            inner: Arc::new(Mutex::new(inner)),
            sim: sim.clone(),
            trace: trace.clone(),
            place: 0,
            measured: usage::Measured::default(),
            manager: "kube-controller-manager",
            shaken: false,
        }
    }

    /// From now on one write of a controller in `one_in` fails with a conflict, as if somebody
    /// else had been faster; 0 ends that. What is right must come about all the same.
    pub fn set_conflicts(&self, one_in: u64) {
        self.lock().conflicts = one_in;
    }

    /// The same store, for who can live with [conflicts](Store::set_conflicts).
    pub(crate) fn shaken(&self) -> Store {
        Store { shaken: true, ..self.clone() }
    }

    /// The same store, used by what is at `place`: its changes appear there in the trace.
    pub fn acting_at(&self, place: PlaceId) -> Store {
        Store { place, ..self.clone() }
    }

    /// What programs use, as last measured.
    pub fn measured(&self) -> &usage::Measured {
        &self.measured
    }

    /// The same store, used by a component that owns what it writes under this name.
    pub fn acting_as(&self, manager: &'static str) -> Store {
        Store { manager, ..self.clone() }
    }

    /// The executor of the world.
    pub fn sim(&self) -> &Handle {
        &self.sim
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while it holds the store")
    }

    /// The row of a resource key ("pods").
    pub fn row(&self, resource: &str) -> Option<Row> {
        self.lock().kinds.get(resource).map(|s| s.row.clone())
    }

    /// Offers a kind from now on; its objects stay if it was offered before.
    fn offer(&self, row: Resource) {
        let mut inner = self.lock();
        let key = row.qualified();
        let version = inner.version;
        match inner.kinds.get_mut(&key) {
            Some(shelf) => shelf.row = Arc::new(row),
            None => {
                inner.kinds.insert(key, Shelf::new(row, version));
            }
        }
    }

    /// Offers a custom kind no longer.
    fn withdraw(&self, key: &str) {
        let mut inner = self.lock();
        if inner.kinds.get(key).is_some_and(|s| s.row.custom.is_some()) {
            inner.kinds.remove(key);
        }
    }

    /// All rows, by key.
    pub fn rows(&self) -> Vec<Row> {
        self.lock().kinds.values().map(|s| s.row.clone()).collect()
    }

    fn require_row(&self, resource: &str) -> Result<Row, Error> {
        self.row(resource).ok_or_else(Error::no_such_path)
    }

    /// The version of the newest change.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// The object, if it exists. Cluster-wide kinds have the namespace "".
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Object> {
        let inner = self.lock();
        let key = (namespace.to_string(), name.to_string());
        inner.kinds.get(resource)?.objects.get(&key).map(|s| s.object.clone())
    }

    /// The object.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn require(&self, resource: &str, namespace: &str, name: &str) -> Result<Object, Error> {
        let row = self.require_row(resource)?;
        self.get(resource, namespace, name).ok_or_else(|| Error::not_found(&row, name))
    }

    /// The objects of a namespace, or of all, by namespace and name.
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> Vec<Object> {
        let inner = self.lock();
        let Some(shelf) = inner.kinds.get(resource) else { return Vec::new() };
        match namespace {
            None => shelf.objects.values().map(|s| s.object.clone()).collect(),
            Some(namespace) => shelf
                .objects
                .range((namespace.to_string(), String::new())..)
                .take_while(|((ns, _), _)| ns == namespace)
                .map(|(_, s)| s.object.clone())
                .collect(),
        }
    }

    /// The objects of a kind as they were at a version, by namespace and name.
    ///
    /// # Errors
    /// `Expired` if the changes since then are no longer remembered.
    pub fn list_at(
        &self,
        resource: &str,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Vec<Object>, Error> {
        let inner = self.lock();
        let Some(shelf) = inner.kinds.get(resource) else { return Ok(Vec::new()) };
        if version < shelf.compacted {
            return Err(Error::expired("The resourceVersion for the provided list is too old."));
        }
        let mut then: BTreeMap<(String, String), Object> =
            shelf.objects.iter().map(|(k, s)| (k.clone(), s.object.clone())).collect();
        for (change, _) in shelf.log.iter().rev().take_while(|(c, _)| c.version > version) {
            let object = &change.object;
            let key = (object::namespace(object).to_string(), object::name(object).to_string());
            match &change.previous {
                Some(previous) => then.insert(key, previous.clone()),
                None => then.remove(&key),
            };
        }
        let wanted = |k: &(String, String)| namespace.is_none_or(|n| k.0 == n);
        Ok(then.into_iter().filter(|(k, _)| wanted(k)).map(|(_, o)| o).collect())
    }

    /// The changes of a kind after the version `after`.
    ///
    /// # Errors
    /// `Expired` if they are no longer remembered; `NotFound` if there is no such kind.
    pub fn watch(&self, resource: &str, after: u64) -> Result<Watch, Error> {
        self.require_row(resource)?;
        let watch = Watch { store: self.clone(), key: resource.into(), after };
        self.change_after(resource, after)?;
        Ok(watch)
    }

    /// The changes of a kind from now on.
    fn watch_now(&self, resource: &str) -> Watch {
        Watch { store: self.clone(), key: resource.into(), after: self.version() }
    }

    /// Every object of a kind and then its changes, without ever expiring.
    pub fn informer(&self, resource: &str) -> Informer {
        Informer::new(self, resource)
    }

    /// What there is of several kinds and then its changes, in the order in which they happened,
    /// each with its kind.
    pub fn changes(&self, kinds: &[&'static str]) -> Receiver<(&'static str, Arc<Change>)> {
        let (changes, inbox) = channel();
        for kind in kinds.iter().copied() {
            let (changes, mut informer) = (changes.clone(), self.informer(kind));
            self.sim
                .spawn(async move { while changes.send((kind, informer.next().await)).is_ok() {} });
        }
        inbox
    }

    fn change_after(&self, resource: &str, after: u64) -> Result<Option<Arc<Change>>, Error> {
        let inner = self.lock();
        let Some(shelf) = inner.kinds.get(resource) else { return Err(Error::no_such_path()) };
        if after < shelf.compacted {
            return Err(Error::expired(format!(
                "too old resource version: {after} ({})",
                shelf.compacted
            )));
        }
        let at = shelf.log.partition_point(|(c, _)| c.version <= after);
        Ok(shelf.log.get(at).map(|(c, _)| c.clone()))
    }

    fn signal(&self, resource: &str) -> Signal {
        let inner = self.lock();
        inner.kinds.get(resource).map(|s| s.signal.clone()).unwrap_or_default()
    }

    /// Stores `object` (or, for a deletion, removes it), gives it the next version, and tells
    /// the trace and those who watch.
    fn commit(&self, row: &Row, verb: Verb, mut object: Value) -> Result<Object, Error> {
        let key = (object::namespace(&object).to_string(), object::name(&object).to_string());
        let resource = row.qualified();
        let (object, signal) = {
            let mut inner = self.lock();
            if self.shaken && inner.conflicts > 0 && verb != Verb::Deleted {
                let one_in = inner.conflicts;
                if inner.streams.conflicts.below(one_in) == 0 {
                    return Err(Error::modified(row, &key.1));
                }
            }
            let version = inner.version + 1;
            object::meta_mut(&mut object)
                .insert("resourceVersion".into(), version.to_string().into());
            let text = object.to_string();
            let bytes = text.len();
            if bytes > OBJECT_BYTES && verb != Verb::Deleted {
                return Err(Error::new(500, "", "etcdserver: request is too large"));
            }
            if verb == Verb::Added && inner.bytes + bytes > STORE_BYTES {
                return Err(Error::new(500, "", "etcdserver: mvcc: database space exceeded"));
            }
            inner.version = version;
            let object: Object = Arc::new(object);
            let event = self.trace.emit(
                self.sim.now().as_nanos(),
                self.place,
                TraceKind::Object {
                    verb,
                    api_version: row.api_version(),
                    object_kind: row.kind.to_string(),
                    namespace: key.0.clone(),
                    name: key.1.clone(),
                    version,
                    object: text,
                },
            );
            let shelf = inner.kinds.get_mut(&resource).expect("a row has its shelf");
            let previous = if verb == Verb::Deleted {
                shelf.objects.remove(&key)
            } else {
                shelf.objects.insert(key, Stored { object: object.clone(), bytes })
            };
            let change = Arc::new(Change {
                verb,
                version,
                object: object.clone(),
                previous: previous.as_ref().map(|p| p.object.clone()),
                event,
                json: std::sync::OnceLock::new(),
            });
            shelf.log.push_back((change, bytes));
            shelf.log_bytes += bytes;
            while shelf.log.len() > LOG_CHANGES
                || (shelf.log_bytes > LOG_BYTES && shelf.log.len() > 1)
            {
                let (old, bytes) = shelf.log.pop_front().expect("not empty");
                shelf.log_bytes -= bytes;
                shelf.compacted = old.version;
            }
            let signal = shelf.signal.clone();
            inner.bytes -= previous.map_or(0, |p| p.bytes);
            if verb != Verb::Deleted {
                inner.bytes += bytes;
            }
            (object, signal)
        };
        signal.notify();
        if row.custom.is_some() || resource == custom::DEFINITIONS {
            self.enforce(row, verb, &object);
        }
        Ok(object)
    }
}
