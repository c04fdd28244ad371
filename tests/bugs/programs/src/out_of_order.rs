//! A forwarder that sends each change as a task of its own: two changes of one thing overtake each other.

use podlab_guest::runtime::spawn;

use crate::dice::Dice;
use crate::service::{Caller, number, reply, serve_now};
use crate::{Ended, Part, say};

/// `source` sends changes, `target` takes them.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "source" => source(part).await,
        "target" => target(part).await,
        _ => part.unknown(),
    }
}

async fn source(part: Part) -> Ended {
    let dice = Dice::default();
    dice.work(500, 600).await;
    for n in 1..=40 {
        dice.work(10, 100).await;
        say::did("wrote", n);
        if part.wrong {
            spawn(send(n));
        } else {
            send(n).await;
        }
    }
    part.rest().await
}

async fn send(n: u64) {
    let dice = Dice::default();
    // It is put together.
    dice.work(1, 45).await;
    let sent = async {
        let mut target = Caller::new("localhost:8080", 2000)?;
        target.call("PUT", &format!("/?n={n}")).await
    };
    if let Err(error) = sent.await {
        podlab_guest::log::warn("not-sent", &[("n", &n), ("error", &error)]);
    }
}

async fn target(part: Part) -> Ended {
    serve_now(8080, part.stop, move |request| {
        say::did("stored", number(&request, "n"));
        reply(200, "taken")
    })
    .await
}
