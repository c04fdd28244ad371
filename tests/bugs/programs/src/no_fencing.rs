//! A lock without fencing: whoever was stopped between taking the lock and writing writes under a lock
//! that is long another's, and the store does not look at the token.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::service::{Caller, number, reply, serve_now};
use crate::{Ended, Part, say};

/// How long a lock is held without being released.
const LEASE: Duration = Duration::from_secs(2);

/// `locks` gives the lock, `store` is what it protects, all others take turns.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "locks" => locks(part).await,
        "store" => store(part).await,
        _ => client(part).await,
    }
}

async fn locks(part: Part) -> Ended {
    let mut token = 0;
    let mut held: Option<Instant> = None;
    serve_now(8080, part.stop, move |request| {
        let free = held.is_none_or(|until| until <= Instant::now());
        match request.path.as_str() {
            "/acquire" if free => {
                token += 1;
                held = Some(Instant::now() + LEASE);
                reply(200, token.to_string())
            }
            "/release" if number(&request, "token") == token => {
                held = None;
                reply(200, "released")
            }
            _ => reply(409, "held by another"),
        }
    })
    .await
}

async fn store(part: Part) -> Ended {
    let highest = RefCell::new(0);
    serve_now(8081, part.stop, move |request| {
        let token = number(&request, "token");
        let by = request.parameter("by").unwrap_or_default();
        if !part.wrong && token < *highest.borrow() {
            return reply(409, "a later token was here");
        }
        let most = token.max(*highest.borrow());
        highest.replace(most);
        say::did_by("write", token, &by);
        reply(200, "written")
    })
    .await
}

async fn client(part: Part) -> Ended {
    let dice = Dice::default();
    let mut locks = Caller::new("localhost:8080", 1000)?;
    let mut store = Caller::new("localhost:8081", 1000)?;
    while !part.stop.raised() {
        dice.work(20, 80).await;
        let Ok((200, token)) = locks.call("POST", "/acquire").await else { continue };
        // Anything can happen here: a collection of garbage, a suspended machine.
        dice.work(200, 800).await;
        let target = format!("/write?by={}&token={token}", part.role);
        let _refused = store.call("POST", &target).await;
        let _expired = locks.call("POST", &format!("/release?token={token}")).await;
    }
    Ok(())
}
