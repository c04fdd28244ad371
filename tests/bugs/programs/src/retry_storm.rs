//! Clients that try again at once, up to ten times: after a short stop the server gets more repeated than
//! new requests, is busy with those that nobody waits for any more, and never catches up.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::runtime::{sleep, spawn};

use crate::dice::Dice;
use crate::service::{Caller, reply, serve, serve_now};
use crate::{Ended, Part};

/// The server does 50 requests a second, in ms for one.
const WORK: u64 = 20;
/// The clients want 20 a second.
const EVERY: Duration = Duration::from_millis(50);
/// How long they wait, in ms.
const PATIENCE: u64 = 300;
/// Repeated requests for each new one, if there is a bound.
const SHARE: f64 = 0.1;

/// `server` serves, `clients` ask.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "server" => server(part).await,
        "clients" => clients(part).await,
        _ => part.unknown(),
    }
}

/// One request after the other, in the order of their coming.
async fn server(part: Part) -> Ended {
    let free = Rc::new(Cell::new(Instant::now()));
    serve(8080, part.stop, move |_| {
        let free = free.clone();
        async move {
            let done = free.get().max(Instant::now()) + Duration::from_millis(WORK);
            free.set(done);
            sleep(done.saturating_duration_since(Instant::now())).await;
            reply(200, "done")
        }
    })
    .await
}

async fn clients(part: Part) -> Ended {
    // How the latest calls ended.
    let ended: Rc<RefCell<VecDeque<bool>>> = Rc::default();
    let calls = ended.clone();
    let budget = Rc::new(Cell::new(0.0));
    spawn(async move {
        loop {
            sleep(EVERY).await;
            let (ended, budget) = (calls.clone(), budget.clone());
            spawn(async move {
                let well = call(part.wrong, &budget).await;
                let mut ended = ended.borrow_mut();
                ended.push_back(well);
                if ended.len() > 20 {
                    ended.pop_front();
                }
            });
        }
    });
    serve_now(8081, part.stop, move |_| {
        let ended = ended.borrow();
        let well = ended.iter().filter(|well| **well).count();
        reply(200, format!("{well} of {}", ended.len()))
    })
    .await
}

async fn call(wrong: bool, budget: &Cell<f64>) -> bool {
    let dice = Dice::default();
    budget.set((budget.get() + SHARE).min(5.0));
    for _ in 0..10 {
        let Ok(mut server) = Caller::new("localhost:8080", PATIENCE) else { return false };
        if server.call("POST", "/").await.is_ok_and(|(status, _)| status == 200) {
            return true;
        }
        if !wrong {
            if budget.get() < 1.0 {
                return false;
            }
            budget.set(budget.get() - 1.0);
            dice.work(200, 600).await;
        }
    }
    false
}
