//! Queues of tasks: a task that was taken comes back unless it is acknowledged in time.
//!
//! Time is the program's age, given from outside. A queue remembers what it has taken in under which
//! key, so that publishing again is harmless.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Bytes of one task.
pub const MAX_TASK: usize = 256 << 10;
/// Bytes of a key.
pub const MAX_KEY: usize = 200;
/// Queues.
const MAX_QUEUES: usize = 256;
/// What a key that is remembered takes beside its bytes and those of its queue's name.
const KEY_OVERHEAD: usize = 64;
/// Tasks among the dead; the oldest go first.
const MAX_DEAD: usize = 1000;
/// What a task takes beside its bytes.
const OVERHEAD: usize = 96;

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its number in this queue.
    pub id: u64,
    /// The key under which its effect happens once.
    pub key: String,
    /// How often it was handed out.
    pub tries: u32,
    /// Why it came back last.
    pub reason: String,
    /// What is to be done.
    pub body: Vec<u8>,
}

impl Task {
    fn size(&self) -> usize {
        self.body.len() + self.key.len() + self.reason.len() + OVERHEAD
    }
}

struct Taken {
    task: Task,
    until: Duration,
}

/// What has happened to a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Tasks taken in.
    pub published: u64,
    /// Tasks not taken in, because their key was known.
    pub duplicates: u64,
    /// Tasks not taken in, because there was no room.
    pub refused: u64,
    /// Tasks handed out, again and again.
    pub delivered: u64,
    /// Tasks acknowledged.
    pub done: u64,
    /// Tasks that came back because nobody acknowledged them in time.
    pub expired: u64,
    /// Tasks given back.
    pub returned: u64,
}

/// One queue.
#[derive(Default)]
pub struct Queue {
    waiting: VecDeque<Task>,
    later: BTreeMap<(Duration, u64), Task>,
    taken: BTreeMap<u64, Taken>,
    dead: VecDeque<Task>,
    keys: BTreeMap<String, u64>,
    last_id: u64,
    last_receipt: u64,
    /// What has happened.
    pub counters: Counters,
}

/// All queues.
pub struct Tasks {
    queues: BTreeMap<String, Queue>,
    bytes: usize,
    tries: u32,
    /// Queues and keys that are remembered, the oldest first.
    order: VecDeque<(String, String)>,
    key_bytes: usize,
    key_limit: usize,
}

/// How publishing went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is in the queue under this number.
    New(u64),
    /// Its key was known: this is the number it has.
    Known(u64),
    /// There is no room.
    Full,
}

/// What became of a task that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits again.
    Waits(u64),
    /// It was tried often enough.
    Dead(u64),
}

impl Tasks {
    /// Without any; a task that came back `tries` times goes to the dead. Keys that are remembered
    /// take at most `key_limit` bytes; the oldest are forgotten first.
    pub fn new(tries: u32, key_limit: usize) -> Tasks {
        Tasks {
            queues: BTreeMap::new(),
            bytes: 0,
            tries: tries.max(1),
            order: VecDeque::new(),
            key_bytes: 0,
            key_limit,
        }
    }

    /// Bytes that all tasks take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The names of all queues.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.queues.keys().map(String::as_str)
    }

    /// A queue that was used before.
    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.get(name)
    }

    fn queue_mut(&mut self, name: &str) -> &mut Queue {
        self.queues.entry(name.to_owned()).or_default()
    }

    /// Takes tasks in, all or none; `room` is how many bytes are left. Without a key a task's number
    /// is its key.
    pub fn publish(
        &mut self,
        name: &str,
        bodies: &[&[u8]],
        key: Option<&str>,
        room: usize,
    ) -> Published {
        if !self.queues.contains_key(name) && self.queues.len() >= MAX_QUEUES {
            return Published::Full;
        }
        let queue = self.queue_mut(name);
        if let Some(id) = key.and_then(|key| queue.keys.get(key)) {
            queue.counters.duplicates += 1;
            return Published::Known(*id);
        }
        let keys = key.map_or(0, str::len) + 20;
        let needed: usize = bodies.iter().map(|b| b.len() + keys + OVERHEAD).sum();
        if needed > room {
            queue.counters.refused += bodies.len() as u64;
            return Published::Full;
        }
        let mut bytes = 0;
        for body in bodies {
            queue.last_id += 1;
            let id = queue.last_id;
            let key = key.map_or_else(|| format!("{name}-{id}"), str::to_owned);
            let task = Task { id, key, tries: 0, reason: String::new(), body: body.to_vec() };
            bytes += task.size();
            queue.counters.published += 1;
            queue.waiting.push_back(task);
        }
        let id = queue.last_id;
        self.bytes += bytes;
        if let Some(key) = key {
            self.restore_key(name, key, id);
        }
        Published::New(id)
    }

    /// Hands out the first task that waits, until `now + visibility`: its receipt, and it.
    pub fn take(&mut self, name: &str, visibility: Duration, now: Duration) -> Option<(u64, Task)> {
        let queue = self.queues.get_mut(name)?;
        let mut task = queue.waiting.pop_front()?;
        task.tries += 1;
        queue.last_receipt += 1;
        queue.counters.delivered += 1;
        let until = now.saturating_add(visibility);
        queue.taken.insert(queue.last_receipt, Taken { task: task.clone(), until });
        Some((queue.last_receipt, task))
    }

    /// Keeps a task for longer; false if the receipt is no longer good.
    pub fn extend(&mut self, name: &str, receipt: u64, until: Duration) -> bool {
        let taken = self.queues.get_mut(name).and_then(|q| q.taken.get_mut(&receipt));
        taken.map(|t| t.until = until).is_some()
    }

    /// The task is done: its number. `None` if the receipt is no longer good.
    pub fn ack(&mut self, name: &str, receipt: u64) -> Option<u64> {
        let queue = self.queues.get_mut(name)?;
        let task = queue.taken.remove(&receipt)?.task;
        queue.counters.done += 1;
        self.bytes -= task.size();
        Some(task.id)
    }

    /// The task comes back. If it was no try (`counted` is false), it is first in the queue again;
    /// otherwise it waits for `delay`, or is dead if that was its last try.
    pub fn nack(
        &mut self,
        name: &str,
        receipt: u64,
        counted: bool,
        reason: &str,
        again: Duration,
    ) -> Option<Fate> {
        let queue = self.queues.get_mut(name)?;
        let mut task = queue.taken.remove(&receipt)?.task;
        queue.counters.returned += 1;
        self.bytes -= task.size();
        task.reason = reason.chars().take(200).collect();
        if !counted {
            task.tries -= 1;
        }
        self.bytes += task.size();
        Some(self.back(name, task, counted, again))
    }

    fn back(&mut self, name: &str, task: Task, counted: bool, again: Duration) -> Fate {
        let tries = self.tries;
        let queue = self.queue_mut(name);
        let id = task.id;
        if !counted {
            queue.waiting.push_front(task);
            return Fate::Waits(id);
        }
        if task.tries < tries {
            queue.later.insert((again, id), task);
            return Fate::Waits(id);
        }
        let mut freed = 0;
        while queue.dead.len() >= MAX_DEAD {
            freed += queue.dead.pop_front().map_or(0, |t| t.size());
        }
        queue.dead.push_back(task);
        self.bytes -= freed;
        Fate::Dead(id)
    }

    /// Lets come back what is due at `now`; what became of each, with its queue. Says nothing of
    /// those that only waited.
    pub fn due(&mut self, now: Duration) -> Vec<(String, Fate)> {
        let mut fates = Vec::new();
        let names: Vec<String> = self.queues.keys().cloned().collect();
        for name in names {
            let queue = self.queue_mut(&name);
            while let Some(entry) = queue.later.first_entry().filter(|e| e.key().0 <= now) {
                queue.waiting.push_back(entry.remove());
            }
            let late = queue.taken.iter().filter(|(_, t)| t.until <= now).map(|(r, _)| *r);
            for receipt in late.collect::<Vec<_>>() {
                let queue = self.queue_mut(&name);
                let Some(Taken { mut task, .. }) = queue.taken.remove(&receipt) else { continue };
                queue.counters.expired += 1;
                self.bytes -= task.size();
                task.reason = "nobody acknowledged it in time".into();
                self.bytes += task.size();
                let fate = self.back(&name, task, true, now);
                fates.push((name.clone(), fate));
            }
            // What came back just now waits already.
            let queue = self.queue_mut(&name);
            while let Some(entry) = queue.later.first_entry().filter(|e| e.key().0 <= now) {
                queue.waiting.push_back(entry.remove());
            }
        }
        fates
    }

    /// When [`Tasks::due`] has something to do next.
    pub fn next_due(&self) -> Option<Duration> {
        let late = self.queues.values().flat_map(|q| q.taken.values().map(|t| t.until));
        let again = self.queues.values().filter_map(|q| q.later.keys().next().map(|k| k.0));
        late.chain(again).min()
    }

    /// Lets the dead wait again, with all their tries; how many.
    pub fn revive(&mut self, name: &str) -> usize {
        let Some(queue) = self.queues.get_mut(name) else { return 0 };
        let dead = std::mem::take(&mut queue.dead);
        let n = dead.len();
        queue.waiting.extend(dead.into_iter().map(|task| Task { tries: 0, ..task }));
        n
    }

    /// Takes in a task as it was before this program began.
    pub fn restore(&mut self, name: &str, task: Task, dead: bool) {
        self.bytes += task.size();
        let queue = self.queue_mut(name);
        queue.last_id = queue.last_id.max(task.id);
        if dead { queue.dead.push_back(task) } else { queue.waiting.push_back(task) }
    }

    /// Takes in what a queue knew before this program began.
    pub fn restore_counters(&mut self, name: &str, last_id: u64, published: u64, done: u64) {
        let queue = self.queue_mut(name);
        queue.last_id = queue.last_id.max(last_id);
        queue.counters.published = published;
        queue.counters.done = done;
    }

    /// Remembers a key, and forgets the oldest where that is too many.
    pub fn restore_key(&mut self, name: &str, key: &str, id: u64) {
        let cost = |name: &str, key: &str| 2 * key.len() + name.len() + KEY_OVERHEAD;
        if self.queue_mut(name).keys.insert(key.to_owned(), id).is_some() {
            return;
        }
        self.order.push_back((name.to_owned(), key.to_owned()));
        self.key_bytes += cost(name, key);
        while self.key_bytes > self.key_limit {
            let Some((name, key)) = self.order.pop_front() else { break };
            self.key_bytes -= cost(&name, &key);
            self.queue_mut(&name).keys.remove(&key);
        }
    }

    /// The keys that are remembered, the oldest first, with their queues and tasks' numbers.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        let id = |queue: &str, key: &str| self.queues.get(queue)?.keys.get(key).copied();
        self.order.iter().map(move |(q, k)| (q.as_str(), k.as_str(), id(q, k).unwrap_or(0)))
    }
}

impl Queue {
    /// Tasks that wait to be taken, now or after a delay.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.later.len()
    }

    /// Tasks that somebody works on.
    pub fn taken(&self) -> usize {
        self.taken.len()
    }

    /// Tasks that were tried often enough, the oldest first.
    pub fn dead(&self) -> impl ExactSizeIterator<Item = &Task> {
        self.dead.iter()
    }

    /// All tasks that are not dead, in the order in which they would be handed out again.
    pub fn living(&self) -> impl Iterator<Item = &Task> {
        self.taken.values().map(|t| &t.task).chain(self.waiting.iter()).chain(self.later.values())
    }

    /// The largest number so far.
    pub fn last_id(&self) -> u64 {
        self.last_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const ROOM: usize = 1 << 20;

    fn with(bodies: &[&[u8]]) -> Tasks {
        let mut tasks = Tasks::new(3, ROOM);
        assert_eq!(tasks.publish("q", bodies, None, ROOM), Published::New(bodies.len() as u64));
        tasks
    }

    #[test]
    fn what_is_not_acknowledged_comes_back() {
        let mut tasks = with(&[b"a", b"b"]);
        let (first, a) = tasks.take("q", 10 * SECOND, SECOND).unwrap();
        let (second, b) = tasks.take("q", 20 * SECOND, SECOND).unwrap();
        assert_eq!((a.body.as_slice(), b.body.as_slice()), (&b"a"[..], &b"b"[..]));
        assert_eq!(tasks.next_due(), Some(11 * SECOND));
        assert_eq!(tasks.due(10 * SECOND), []);
        assert_eq!(tasks.due(11 * SECOND), [("q".into(), Fate::Waits(1))]);
        assert_eq!(tasks.ack("q", first), None, "its time is over");
        assert_eq!(tasks.ack("q", second), Some(2));
        let (_, again) = tasks.take("q", SECOND, 12 * SECOND).unwrap();
        assert_eq!((again.id, again.tries), (1, 2));
        assert_eq!(tasks.queue("q").unwrap().counters.done, 1);
    }

    #[test]
    fn a_heartbeat_keeps_a_task() {
        let mut tasks = with(&[b"a"]);
        let (receipt, _) = tasks.take("q", 10 * SECOND, SECOND).unwrap();
        assert!(tasks.extend("q", receipt, 19 * SECOND));
        assert_eq!(tasks.due(18 * SECOND), []);
        assert_eq!(tasks.due(19 * SECOND).len(), 1);
        assert!(!tasks.extend("q", receipt, 30 * SECOND));
    }

    #[test]
    fn the_last_try_leads_to_the_dead_and_giving_back_is_no_try() {
        let mut tasks = with(&[b"poison", b"b"]);
        for n in 0..5 {
            let (receipt, task) = tasks.take("q", SECOND, SECOND).unwrap();
            assert_eq!((task.id, task.tries), (1, 1), "{n}");
            tasks.nack("q", receipt, false, "shutdown", SECOND).unwrap();
        }
        // Counted, it goes behind the other.
        let (receipt, _) = tasks.take("q", SECOND, SECOND).unwrap();
        let bytes = tasks.bytes();
        let fate = tasks.nack("q", receipt, true, "no", SECOND);
        assert_eq!(fate, Some(Fate::Waits(1)));
        tasks.due(SECOND);
        let (b, other) = tasks.take("q", SECOND, SECOND).unwrap();
        assert_eq!(other.id, 2);
        tasks.ack("q", b);
        let mut fates = Vec::new();
        for _ in 0..2 {
            let (receipt, _) = tasks.take("q", SECOND, 9 * SECOND).unwrap();
            fates.extend(tasks.nack("q", receipt, true, "no", 9 * SECOND));
            tasks.due(9 * SECOND);
        }
        assert_eq!(fates.last(), Some(&Fate::Dead(1)));
        assert!(tasks.bytes() < bytes);
        let queue = tasks.queue("q").unwrap();
        assert_eq!((queue.waiting(), queue.taken(), queue.dead().len()), (0, 0, 1));
        assert_eq!(tasks.revive("q"), 1);
        assert_eq!(tasks.take("q", SECOND, SECOND).unwrap().1.tries, 1);
    }

    #[test]
    fn a_key_is_taken_in_once_and_no_room_means_none_of_them() {
        let mut tasks = Tasks::new(1, 200);
        assert_eq!(tasks.publish("q", &[b"a"], Some("k"), ROOM), Published::New(1));
        assert_eq!(tasks.publish("q", &[b"a"], Some("k"), ROOM), Published::Known(1));
        let bytes = tasks.bytes();
        assert_eq!(tasks.publish("q", &[b"a", b"b"], None, 200), Published::Full);
        assert_eq!(tasks.bytes(), bytes);
        let counters = tasks.queue("q").unwrap().counters;
        assert_eq!((counters.published, counters.duplicates, counters.refused), (1, 1, 2));
        let (receipt, _) = tasks.take("q", SECOND, SECOND).unwrap();
        tasks.ack("q", receipt);
        assert_eq!(tasks.bytes(), 0);
        assert_eq!(tasks.publish("q", &[b"a"], Some("k"), ROOM), Published::Known(1));
        // Two keys have room, of whichever queue: the oldest is forgotten.
        for key in ["l", "m"] {
            assert!(matches!(tasks.publish(key, &[b"a"], Some(key), ROOM), Published::New(_)));
        }
        assert_eq!(tasks.keys().map(|k| k.1).collect::<Vec<_>>(), ["l", "m"]);
        assert_eq!(tasks.publish("q", &[b"a"], Some("k"), ROOM), Published::New(2));
    }
}
