//! A worker that tells the queue "done" when it gets a task: killed in the middle of the work, it leaves
//! a task that nobody will ever do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::service::{Caller, number, reply, serve_now};
use crate::{Ended, Part, say};

const TASKS: u64 = 20;
/// A task that is not done this long after it was given out is given out again.
const VISIBILITY: Duration = Duration::from_secs(2);

/// `queue` gives out tasks, `worker` does them.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "queue" => queue(part).await,
        "worker" => worker(part).await,
        _ => part.unknown(),
    }
}

async fn queue(part: Part) -> Ended {
    let now = Instant::now();
    let mut open: BTreeMap<u64, Instant> = (1..=TASKS).map(|n| (n, now)).collect();
    for n in 1..=TASKS {
        say::did("sent", n);
    }
    serve_now(8080, part.stop, move |request| {
        if request.path == "/done" {
            open.remove(&number(&request, "task"));
            return reply(200, "noted");
        }
        let now = Instant::now();
        match open.iter_mut().find(|(_, visible)| **visible <= now) {
            Some((task, visible)) => {
                *visible = now + VISIBILITY;
                reply(200, task.to_string())
            }
            None => reply(404, "nothing to do"),
        }
    })
    .await
}

async fn worker(part: Part) -> Ended {
    let dice = Dice::default();
    let mut queue = Caller::new("localhost:8080", 1000)?;
    while !part.stop.raised() {
        let Ok((200, task)) = queue.call("POST", "/take").await else {
            dice.work(200, 300).await;
            continue;
        };
        let done = format!("/done?task={task}");
        if part.wrong {
            let _lost = queue.call("POST", &done).await;
        }
        dice.work(50, 250).await;
        say::did("effect", &task);
        if !part.wrong {
            let _lost = queue.call("POST", &done).await;
        }
    }
    Ok(())
}
