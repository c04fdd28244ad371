//! What a journal says of tasks, taken together.

use std::collections::BTreeMap;

use crate::tasks::{Task, Tasks};

#[derive(Default)]
struct Past {
    living: BTreeMap<u64, Task>,
    dead: Vec<Task>,
    keys: Vec<(String, u64)>,
    last_id: u64,
    published: u64,
    done: u64,
}

/// The queues of a journal.
#[derive(Default)]
pub struct Replay(BTreeMap<String, Past>);

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Replay {
    /// Takes in one command.
    ///
    /// # Errors
    /// If it is none of a journal.
    pub fn take(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let wrong = || {
            let name = words.first().map_or_else(String::new, |w| text(w));
            format!("{name:?} with {} words is no entry of a journal", words.len())
        };
        let number = |word: &[u8]| text(word).parse::<u64>().map_err(|_| wrong());
        let queue = words.get(1).ok_or_else(wrong)?;
        let past = self.0.entry(text(queue)).or_default();
        match words {
            [b"PUB", name, id, key, body] => {
                let id = number(id)?;
                past.last_id = past.last_id.max(id);
                past.published += 1;
                let key = if key.is_empty() {
                    format!("{}-{id}", text(name))
                } else {
                    past.keys.push((text(key), id));
                    text(key)
                };
                let task = Task { id, key, tries: 0, reason: String::new(), body: body.to_vec() };
                past.living.insert(id, task);
            }
            [b"TRY", _, id, tries] => {
                let (id, tries) = (number(id)?, number(tries)?);
                if let Some(task) = past.living.get_mut(&id) {
                    task.tries = tries.try_into().unwrap_or(u32::MAX);
                }
            }
            [b"DONE", _, id] => {
                past.done += u64::from(past.living.remove(&number(id)?).is_some());
            }
            [b"DEAD", _, id, reason] => {
                if let Some(task) = past.living.remove(&number(id)?) {
                    past.dead.push(Task { reason: text(reason), ..task });
                }
            }
            [b"REVIVE", _] => {
                for task in std::mem::take(&mut past.dead) {
                    past.living.insert(task.id, Task { tries: 0, ..task });
                }
            }
            [b"COUNT", _, last_id, published, done] => {
                past.last_id = number(last_id)?;
                (past.published, past.done) = (number(published)?, number(done)?);
            }
            [b"KEY", _, id, key] => past.keys.push((text(key), number(id)?)),
            [word @ (b"TASK" | b"CORPSE"), _, id, tries, key, reason, body] => {
                let id = number(id)?;
                let tries = number(tries)?.try_into().unwrap_or(u32::MAX);
                let (key, reason, body) = (text(key), text(reason), body.to_vec());
                let task = Task { id, key, tries, reason, body };
                if *word == b"TASK" {
                    past.living.insert(id, task);
                } else {
                    past.dead.push(task);
                }
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }

    /// Puts the queues where they belong: whatever was taken when the program ended waits again.
    pub fn into_tasks(self, tasks: &mut Tasks) {
        for (name, past) in self.0 {
            for (key, id) in past.keys {
                tasks.restore_key(&name, &key, id);
            }
            tasks.restore_counters(&name, past.last_id, past.published, past.done);
            for task in past.living.into_values() {
                tasks.restore(&name, task, false);
            }
            for task in past.dead {
                tasks.restore(&name, task, true);
            }
        }
    }
}
