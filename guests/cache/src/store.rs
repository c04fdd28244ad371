//! What a cache keeps: values with a time to live, bounded in bytes; what was used least recently
//! goes first.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// What an entry costs beside its key and its value, in bytes.
const OVERHEAD: usize = 56;
/// The largest value, in bytes.
pub const MAX_VALUE: usize = 1 << 20;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its bytes.
    pub data: Rc<[u8]>,
    /// The client's mark on it (memcached).
    pub flags: u32,
    /// When it is gone, on the clock of the callers.
    pub expires: Option<Duration>,
    /// Changes with every change of the value.
    pub cas: u64,
    used: u64,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Reads that found something.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Values written.
    pub sets: u64,
    /// Values that had to go for others.
    pub evictions: u64,
    /// Values whose time was over.
    pub expired: u64,
    /// Commands of any kind.
    pub commands: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Connections ever.
    pub total_connections: u64,
}

/// The values.
pub struct Store {
    entries: BTreeMap<Rc<[u8]>, Entry>,
    /// Keys by when they were used last.
    order: BTreeMap<u64, Rc<[u8]>>,
    bytes: usize,
    limit: usize,
    tick: u64,
    flush_at: Option<Duration>,
    /// How often what happened.
    pub counters: Counters,
}

impl Store {
    /// An empty store that keeps at most `limit` bytes.
    pub fn new(limit: usize) -> Store {
        Store {
            entries: BTreeMap::new(),
            order: BTreeMap::new(),
            bytes: 0,
            limit,
            tick: 0,
            flush_at: None,
            counters: Counters::default(),
        }
    }

    fn next(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }

    /// Drops `key` if its time is over, and everything if a flush is due.
    fn expire(&mut self, key: &[u8], now: Duration) {
        if self.flush_at.is_some_and(|at| at <= now) {
            self.flush_at = None;
            self.clear();
        }
        let over = |e: &Entry| e.expires.is_some_and(|at| at <= now);
        if self.entries.get(key).is_some_and(over) {
            self.counters.expired += 1;
            self.remove(key, now);
        }
    }

    /// Reads a value, which counts as a hit or a miss and makes it the most recently used.
    pub fn get(&mut self, key: &[u8], now: Duration) -> Option<Entry> {
        let found = self.peek(key, now);
        match &found {
            Some(_) => {
                self.counters.hits += 1;
                let tick = self.next();
                if let Some(entry) = self.entries.get_mut(key)
                    && let Some(key) = self.order.remove(&entry.used)
                {
                    entry.used = tick;
                    self.order.insert(tick, key);
                }
            }
            None => self.counters.misses += 1,
        }
        found
    }

    /// Looks at a value, which counts for nothing.
    pub fn peek(&mut self, key: &[u8], now: Duration) -> Option<Entry> {
        self.expire(key, now);
        self.entries.get(key).cloned()
    }

    /// Writes a value; others go if there is no room. False if it is too large ever to fit.
    pub fn put(
        &mut self,
        key: &[u8],
        data: &[u8],
        flags: u32,
        expires: Option<Duration>,
        now: Duration,
    ) -> bool {
        self.expire(key, now);
        self.remove(key, now);
        let cost = key.len() + data.len() + OVERHEAD;
        if data.len() > MAX_VALUE || cost > self.limit {
            return false;
        }
        self.counters.sets += 1;
        if expires.is_some_and(|at| at <= now) {
            return true;
        }
        while self.bytes + cost > self.limit {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            let oldest = oldest.clone();
            self.counters.evictions += 1;
            self.remove(&oldest, now);
        }
        let (used, cas) = (self.next(), self.tick);
        let key: Rc<[u8]> = key.into();
        self.order.insert(used, key.clone());
        self.entries.insert(key, Entry { data: data.into(), flags, expires, cas, used });
        self.bytes += cost;
        true
    }

    /// Sets when a value is gone. False if there is none.
    pub fn touch(&mut self, key: &[u8], expires: Option<Duration>, now: Duration) -> bool {
        self.expire(key, now);
        let Some(entry) = self.entries.get_mut(key) else { return false };
        entry.expires = expires;
        self.expire(key, now);
        true
    }

    /// Forgets a value. False if there was none.
    pub fn remove(&mut self, key: &[u8], now: Duration) -> bool {
        let Some(entry) = self.entries.remove(key) else { return false };
        self.bytes -= key.len() + entry.data.len() + OVERHEAD;
        self.order.remove(&entry.used);
        entry.expires.is_none_or(|at| at > now)
    }

    /// Forgets everything, at `at`.
    pub fn flush(&mut self, at: Duration, now: Duration) {
        self.flush_at = Some(at);
        self.expire(b"", now);
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.bytes = 0;
    }

    /// How many values there are (those whose time is over too, until somebody looks).
    pub fn items(&self) -> usize {
        self.entries.len()
    }

    /// What they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What they may take, in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(10);

    #[test]
    fn what_was_used_least_recently_goes_first() {
        // Room for three.
        let mut store = Store::new(3 * (1 + 1 + OVERHEAD));
        for key in [b"a", b"b", b"c"] {
            assert!(store.put(key, b"1", 0, None, NOW));
        }
        assert!(store.get(b"a", NOW).is_some());
        assert!(store.put(b"d", b"1", 0, None, NOW));
        let there =
            |store: &mut Store| [b"a", b"b", b"c", b"d"].map(|k| store.peek(k, NOW).is_some());
        assert_eq!(there(&mut store), [true, false, true, true]);
        assert_eq!((store.counters.evictions, store.bytes()), (1, store.limit()));
        assert!(!store.put(b"e", &[0; 1000], 0, None, NOW), "it can never fit");
        assert_eq!(store.items(), 3, "and nothing went for it");
    }

    #[test]
    fn time_to_live() {
        let mut store = Store::new(1000);
        let at = |s| Some(Duration::from_secs(s));
        store.put(b"a", b"1", 0, at(12), NOW);
        assert!(store.get(b"a", NOW).is_some());
        assert!(store.get(b"a", Duration::from_secs(12)).is_none());
        store.put(b"a", b"1", 0, None, NOW);
        assert!(store.touch(b"a", at(11), NOW));
        assert!(!store.remove(b"a", Duration::from_secs(11)), "it was gone already");
        store.put(b"b", b"1", 0, None, NOW);
        store.flush(Duration::from_secs(20), NOW);
        assert!(store.get(b"b", Duration::from_secs(19)).is_some());
        assert!(store.get(b"b", Duration::from_secs(20)).is_none());
        assert_eq!((store.items(), store.bytes()), (0, 0));
    }

    #[test]
    fn every_change_has_a_cas_of_its_own() {
        let mut store = Store::new(1000);
        store.put(b"a", b"1", 0, None, NOW);
        let first = store.get(b"a", NOW).unwrap().cas;
        store.put(b"a", b"1", 0, None, NOW);
        assert_ne!(store.get(b"a", NOW).unwrap().cas, first);
    }
}
