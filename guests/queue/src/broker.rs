//! Lists and tasks together: one bound on memory, one journal, and a bell for those who wait.

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};

use podlab_guest::log;
use podlab_guest::runtime::Flag;

use crate::amqp::host::Host;
use crate::journal::{Command, Journal};
use crate::lists::{End, Lists};
use crate::tasks::{Fate, Published, Task, Tasks};

/// What Redis says when it is full.
pub const FULL: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// The state of the program.
pub struct Broker {
    /// Redis' lists.
    pub lists: Lists,
    /// Queues of tasks.
    pub tasks: Tasks,
    /// Exchanges and queues of AMQP.
    pub amqp: Host,
    limit: usize,
    journal: Option<Journal>,
    born: Instant,
    bell: Flag,
    roomy: Flag,
    amqp_bytes: usize,
    amqp_expiry: Option<Duration>,
    /// Connections that speak RESP or AMQP, ever.
    pub clients: u64,
}

/// The broker as its tasks share it.
pub type Shared = std::rc::Rc<RefCell<Broker>>;

impl Broker {
    /// A broker whose lists and tasks take at most `limit` bytes; tasks have `tries`.
    pub fn new(limit: usize, tries: u32) -> Broker {
        Broker {
            lists: Lists::default(),
            // Beside the bound: a quarter of it for keys.
            tasks: Tasks::new(tries, (limit / 4).max(16 << 10)),
            amqp: Host::default(),
            limit,
            journal: None,
            born: Instant::now(),
            bell: Flag::default(),
            roomy: Flag::default(),
            amqp_bytes: 0,
            amqp_expiry: None,
            clients: 0,
        }
    }

    /// Goes on where a journal ends, and writes it on.
    ///
    /// # Errors
    /// As the file system has it, or if it is no journal.
    pub fn resume(&mut self, path: &Path) -> Result<(), String> {
        let (journal, commands) = Journal::open(path).map_err(|e| format!("journal: {e}"))?;
        let count = commands.len();
        self.replay(commands).map_err(|e| format!("journal: {e}"))?;
        self.journal = Some(journal);
        self.tidy();
        if count > 0 {
            let tasks: usize =
                self.tasks.names().filter_map(|n| self.tasks.queue(n)).map(|q| q.waiting()).sum();
            log::info("resumed", &[("tasks", &tasks), ("lists", &self.lists.count())]);
        }
        Ok(())
    }

    /// The program's age.
    pub fn now(&self) -> Duration {
        self.born.elapsed()
    }

    /// The instant of an age.
    pub fn instant(&self, age: Duration) -> Instant {
        self.born + age
    }

    /// Bytes of lists, tasks and messages.
    pub fn bytes(&self) -> usize {
        self.lists.bytes() + self.tasks.bytes() + self.amqp.bytes()
    }

    /// The bound on [`Broker::bytes`].
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that are left.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.bytes())
    }

    /// Rings when something was put into a list or a queue, or a task's time has changed.
    pub fn bell(&self) -> Flag {
        self.bell.clone()
    }

    /// Wakes those who wait for something; the longest waiting looks first.
    pub fn ring(&mut self) {
        std::mem::take(&mut self.bell).raise();
    }

    /// Writes down what must not be forgotten.
    ///
    /// # Errors
    /// If it cannot be written: then it must not happen either.
    pub fn record(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        journal.add(words).map_err(|e| {
            log::error("journal-failed", &[("error", &e)]);
            format!("the journal cannot be written: {e}")
        })
    }

    /// Writes down what happens even if it cannot be written down: it may happen again later.
    pub fn note(&mut self, words: &[&[u8]]) {
        let _logged = self.record(words);
        self.tidy();
        std::mem::take(&mut self.roomy).raise();
    }

    /// Rings when there may be more room than before.
    pub fn roomy(&self) -> Flag {
        self.roomy.clone()
    }

    /// Writes down what AMQP must not forget; false if it cannot be written.
    pub fn commit_amqp(&mut self) -> bool {
        let mut written = true;
        for words in std::mem::take(&mut self.amqp.log) {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            written &= self.record(&words).is_ok();
        }
        self.tidy();
        if self.amqp.bytes() < self.amqp_bytes {
            std::mem::take(&mut self.roomy).raise();
        }
        self.amqp_bytes = self.amqp.bytes();
        let expiry = self.amqp.next_expiry();
        if std::mem::replace(&mut self.amqp_expiry, expiry) != expiry {
            self.ring();
        }
        written
    }

    fn tidy(&mut self) {
        if self.journal.as_ref().is_none_or(|j| !j.stale()) {
            return;
        }
        let commands = self.snapshot();
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.rewrite(&commands)
        {
            log::error("journal-failed", &[("error", &error)]);
        }
    }

    /// Publishes tasks, all or none.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn publish(
        &mut self,
        queue: &str,
        bodies: &[&[u8]],
        key: Option<&str>,
    ) -> Result<Published, String> {
        let room = self.room();
        let published = self.tasks.publish(queue, bodies, key, room);
        if let Published::New(last) = published {
            let first = last + 1 - bodies.len() as u64;
            for (id, body) in (first..).zip(bodies) {
                let (id, key) = (id.to_string(), key.unwrap_or_default());
                self.record(&[b"PUB", queue.as_bytes(), id.as_bytes(), key.as_bytes(), body])?;
            }
            self.ring();
        }
        Ok(published)
    }

    /// Hands out a task.
    pub fn take(&mut self, queue: &str, visibility: Duration) -> Option<(u64, Task)> {
        let now = self.now();
        self.settle();
        let (receipt, task) = self.tasks.take(queue, visibility, now)?;
        let (id, tries) = (task.id.to_string(), task.tries.to_string());
        self.note(&[b"TRY", queue.as_bytes(), id.as_bytes(), tries.as_bytes()]);
        self.ring();
        Some((receipt, task))
    }

    /// A task is done.
    pub fn ack(&mut self, queue: &str, receipt: u64) -> Option<u64> {
        self.settle();
        let id = self.tasks.ack(queue, receipt)?;
        self.note(&[b"DONE", queue.as_bytes(), id.to_string().as_bytes()]);
        Some(id)
    }

    /// A task comes back.
    pub fn nack(
        &mut self,
        queue: &str,
        receipt: u64,
        counted: bool,
        reason: &str,
        delay: Duration,
    ) -> Option<Fate> {
        self.settle();
        let again = self.now().saturating_add(delay);
        let fate = self.tasks.nack(queue, receipt, counted, reason, again)?;
        self.came_back(queue, &fate);
        self.settle();
        self.ring();
        Some(fate)
    }

    /// Keeps a task for longer.
    pub fn extend(&mut self, queue: &str, receipt: u64, visibility: Duration) -> bool {
        self.settle();
        let until = self.now().saturating_add(visibility);
        self.tasks.extend(queue, receipt, until)
    }

    /// Lets the dead wait again.
    pub fn revive(&mut self, queue: &str) -> usize {
        let n = self.tasks.revive(queue);
        if n > 0 {
            self.note(&[b"REVIVE", queue.as_bytes()]);
            self.ring();
        }
        n
    }

    /// Lets come back what is due, and go what has expired.
    pub fn settle(&mut self) {
        let now = self.now();
        if self.amqp.next_expiry().is_some_and(|at| at <= now) {
            self.amqp.expire(now);
            self.commit_amqp();
        }
        let fates = self.tasks.due(self.now());
        for (queue, fate) in &fates {
            let (Fate::Waits(id) | Fate::Dead(id)) = fate;
            log::warn("not-acknowledged", &[("queue", queue), ("task", id)]);
            self.came_back(queue, fate);
        }
    }

    fn came_back(&mut self, queue: &str, fate: &Fate) {
        if let Fate::Dead(id) = fate {
            let dead = self.tasks.queue(queue).and_then(|q| q.dead().last());
            let reason = dead.map_or_else(String::new, |t| t.reason.clone());
            let tries = dead.map_or(0, |t| t.tries);
            log::warn(
                "dead-letter",
                &[("queue", &queue), ("task", id), ("tries", &tries), ("reason", &reason)],
            );
            let id = id.to_string();
            self.note(&[b"DEAD", queue.as_bytes(), id.as_bytes(), reason.as_bytes()]);
        }
    }

    /// Everything, as commands that make it anew.
    fn snapshot(&self) -> Vec<Command> {
        let mut out: Vec<Command> = Vec::new();
        let mut put = |words: &[&[u8]]| out.push(words.iter().map(|w| w.to_vec()).collect());
        for (key, list) in self.lists.all() {
            for element in list {
                put(&[b"RPUSH", key, element]);
            }
        }
        out.extend(self.amqp.snapshot());
        let mut put = |words: &[&[u8]]| out.push(words.iter().map(|w| w.to_vec()).collect());
        for (name, key, id) in self.tasks.keys() {
            put(&[b"KEY", name.as_bytes(), id.to_string().as_bytes(), key.as_bytes()]);
        }
        for name in self.tasks.names() {
            let Some(queue) = self.tasks.queue(name) else { continue };
            let text = |n: u64| n.to_string().into_bytes();
            let (name, c) = (name.as_bytes(), queue.counters);
            let (published, done) = (text(c.published), text(c.done));
            put(&[b"COUNT", name, &text(queue.last_id()), &published, &done]);
            let living = queue.living().map(|t| (t, &b"TASK"[..]));
            for (task, word) in living.chain(queue.dead().map(|t| (t, &b"CORPSE"[..]))) {
                let (id, tries) = (text(task.id), text(task.tries.into()));
                let (key, reason) = (task.key.as_bytes(), task.reason.as_bytes());
                put(&[word, name, &id, &tries, key, reason, &task.body]);
            }
        }
        out
    }

    /// Does what a journal says.
    fn replay(&mut self, commands: Vec<Command>) -> Result<(), String> {
        let mut queues = crate::replay::Replay::default();
        for words in commands {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            match words.as_slice() {
                [b"RPUSH", key, element] => {
                    self.lists.push(key, End::Right, element.to_vec());
                }
                [b"LPUSH", key, element] => {
                    self.lists.push(key, End::Left, element.to_vec());
                }
                [b"LPOP", key] => drop(self.lists.pop(key, End::Left)),
                [b"RPOP", key] => drop(self.lists.pop(key, End::Right)),
                [b"LREM", key, count, element] => {
                    let count = String::from_utf8_lossy(count).parse().unwrap_or(0);
                    self.lists.remove_equal(key, count, element);
                }
                [b"DEL", key] => drop(self.lists.remove(key)),
                [b"FLUSHALL"] => self.lists.clear(),
                [word, ..] if word.starts_with(b"A") => {
                    self.amqp.replay(&words, self.born.elapsed())?
                }
                words => queues.take(words)?,
            }
        }
        queues.into_tasks(&mut self.tasks);
        self.amqp.log.clear();
        Ok(())
    }
}
