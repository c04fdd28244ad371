//! A client that sends a write again when no answer came in time, although the write may have been done:
//! an increment is not idempotent.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use crate::dice::Dice;
use crate::service::{Caller, reply, serve};
use crate::{Ended, Part, say};

/// `counter` counts, `client` adds.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "counter" => counter(part).await,
        "client" => client(part).await,
        _ => part.unknown(),
    }
}

async fn counter(part: Part) -> Ended {
    let count = Rc::new(Cell::new(0));
    let seen: Rc<RefCell<BTreeSet<String>>> = Rc::default();
    let dice = Rc::new(Dice::default());
    serve(8080, part.stop, move |request| {
        let (count, seen, dice) = (count.clone(), seen.clone(), dice.clone());
        async move {
            if request.method == "GET" {
                return reply(200, count.get().to_string());
            }
            // Without a key every request is a new one.
            let new = request.parameter("key").is_none_or(|key| seen.borrow_mut().insert(key));
            if new {
                count.set(count.get() + 1);
            }
            // Now and then the answer is late.
            let most = if dice.throw(1, 20) == 1 { 400 } else { 60 };
            dice.work(1, most).await;
            reply(200, "added")
        }
    })
    .await
}

async fn client(part: Part) -> Ended {
    let dice = Dice::default();
    let mut counter = Caller::new("localhost:8080", 200)?;
    for n in 1..=20 {
        dice.work(10, 100).await;
        let target = if part.wrong { "/add".to_owned() } else { format!("/add?key={n}") };
        while !counter.call("POST", &target).await.is_ok_and(|(status, _)| status == 200) {
            dice.work(10, 50).await;
        }
    }
    say::did("finished", 20);
    part.rest().await
}
