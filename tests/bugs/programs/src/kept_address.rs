//! A client that looks a name up once and keeps the address: the pod behind the name is replaced, and the
//! client calls a dead address for ever.

use std::time::Duration;

use podlab_guest::net;
use podlab_guest::runtime::timeout;

use crate::dice::Dice;
use crate::service::{Caller, reply, serve_now};
use crate::{Ended, Part, say};

/// `server` answers, `client` asks.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "server" => serve_now(8080, part.stop, |_| reply(200, "here")).await,
        "client" => client(part).await,
        _ => part.unknown(),
    }
}

async fn client(part: Part) -> Ended {
    let dice = Dice::default();
    let mut kept = None;
    while !part.stop.raised() {
        dice.work(200, 400).await;
        if kept.is_none() || !part.wrong {
            let lookup = timeout(Duration::from_secs(1), net::resolve("server", 8080)).await;
            kept = lookup.and_then(Result::ok).and_then(|all| all.first().copied());
        }
        let Some(address) = kept else { continue };
        let mut server = Caller::new(&address.to_string(), 500)?;
        if server.call("GET", "/").await.is_ok_and(|(status, _)| status == 200) {
            say::did("asked", address.ip());
        }
    }
    Ok(())
}
