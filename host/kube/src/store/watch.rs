//! Following changes.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use podlab_trace::{Seq, Verb};

use super::Store;
use super::error::Error;
use super::object::{self, Object};

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub verb: Verb,
    /// The resourceVersion that the change made.
    pub version: u64,
    /// The object after the change; for a deletion, as it was last.
    pub object: Object,
    /// The object before the change.
    pub previous: Option<Object>,
    /// The event of the trace that tells of it, 0 for what was there before a watch began.
    /// Whoever acts on the change calls `trace.took(place, event)`.
    pub event: Seq,
    /// The object as JSON, once somebody has asked for it.
    pub(super) json: OnceLock<Bytes>,
}

impl Change {
    /// The object after the change as JSON: made once for all who follow.
    pub fn json(&self) -> &Bytes {
        self.json.get_or_init(|| self.object.to_string().into())
    }
}

/// A cursor in the changes of one kind of object. Works inside a world (`next().await`) and
/// outside of it (`try_next`, pulled).
pub struct Watch {
    pub(super) store: Store,
    pub(super) key: String,
    pub(super) after: u64,
}

impl Watch {
    /// The next change if there is one by now.
    ///
    /// # Errors
    /// `Expired` (410) if the change that would come next is no longer remembered: list again.
    pub fn try_next(&mut self) -> Result<Option<Arc<Change>>, Error> {
        let change = self.store.change_after(&self.key, self.after)?;
        if let Some(change) = &change {
            self.after = change.version;
        }
        Ok(change)
    }

    /// The next change.
    ///
    /// # Errors
    /// As [`try_next`](Watch::try_next).
    pub async fn next(&mut self) -> Result<Arc<Change>, Error> {
        let signal = self.store.signal(&self.key);
        signal.until(|| self.try_next().transpose()).await
    }

    /// The resourceVersion up to which this watch has seen everything of its kind.
    pub fn version(&self) -> u64 {
        self.after
    }

    /// Notified when [`try_next`](Watch::try_next) may have more.
    pub fn signal(&self) -> podlab_sim::sync::Signal {
        self.store.signal(&self.key)
    }

    /// The kind that is watched, as in [`Store::watch`].
    pub fn resource(&self) -> &str {
        &self.key
    }
}

/// A list and then its changes, which never expires: for controllers.
///
/// It begins with one `Added` for every object there is. Should a watch expire because a
/// controller slept too long, the difference to what it saw last is delivered instead.
pub struct Informer {
    watch: Watch,
    known: BTreeMap<(String, String), Object>,
    ready: std::collections::VecDeque<Arc<Change>>,
}

impl Informer {
    pub(super) fn new(store: &Store, key: &str) -> Informer {
        let watch = store.watch_now(key);
        let mut informer = Informer { watch, known: BTreeMap::new(), ready: Default::default() };
        informer.relist();
        informer
    }

    fn relist(&mut self) {
        let store = self.watch.store.clone();
        self.watch = store.watch_now(&self.watch.key);
        let mut gone = std::mem::take(&mut self.known);
        for object in store.list(&self.watch.key, None) {
            let key = (object::namespace(&object).to_string(), object::name(&object).to_string());
            let previous = gone.remove(&key);
            self.known.insert(key, object.clone());
            let verb = match &previous {
                Some(p) if object::version(p) == object::version(&object) => continue,
                Some(_) => Verb::Modified,
                None => Verb::Added,
            };
            let version = object::version(&object);
            self.ready.push_back(Arc::new(Change {
                verb,
                version,
                object,
                previous,
                event: 0,
                json: OnceLock::new(),
            }));
        }
        for (_, object) in gone {
            let version = object::version(&object);
            let previous = Some(object.clone());
            let change = Change {
                verb: Verb::Deleted,
                version,
                object,
                previous,
                event: 0,
                json: OnceLock::new(),
            };
            self.ready.push_back(Arc::new(change));
        }
    }

    /// The next change if there is one by now.
    pub fn try_next(&mut self) -> Option<Arc<Change>> {
        if let Some(change) = self.ready.pop_front() {
            return Some(change);
        }
        match self.watch.try_next() {
            Ok(None) => None,
            Ok(Some(change)) => {
                let key = (
                    object::namespace(&change.object).to_string(),
                    object::name(&change.object).to_string(),
                );
                if change.verb == Verb::Deleted {
                    self.known.remove(&key);
                } else {
                    self.known.insert(key, change.object.clone());
                }
                Some(change)
            }
            Err(_) => {
                self.relist();
                self.ready.pop_front()
            }
        }
    }

    /// The next change.
    pub async fn next(&mut self) -> Arc<Change> {
        let signal = self.watch.store.signal(&self.watch.key);
        signal.until(|| self.try_next()).await
    }
}
