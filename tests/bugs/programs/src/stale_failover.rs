//! A primary that answers before its replica has the value: if it dies in between, the replica takes over
//! without a write that was confirmed.

use std::cell::Cell;
use std::rc::Rc;

use podlab_guest::runtime::spawn;

use crate::dice::Dice;
use crate::service::{Caller, number, reply, serve, serve_now};
use crate::{Ended, Part, say};

/// `primary` and `replica` keep a number, `client` writes and reads it.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "primary" => primary(part).await,
        "replica" => replica(part).await,
        "client" => client(part).await,
        _ => part.unknown(),
    }
}

async fn replica(part: Part) -> Ended {
    let mut value = 0;
    serve_now(8081, part.stop, move |request| {
        if request.method == "PUT" {
            value = number(&request, "value").max(value);
        }
        reply(200, value.to_string())
    })
    .await
}

async fn primary(part: Part) -> Ended {
    let value = Rc::new(Cell::new(0));
    let dice = Rc::new(Dice::default());
    let wrong = part.wrong;
    serve(8080, part.stop, move |request| {
        let (value, dice) = (value.clone(), dice.clone());
        async move {
            if request.method == "PUT" {
                let new = number(&request, "value");
                value.set(new);
                let copying = copy(dice, new);
                if wrong {
                    spawn(async move {
                        let _lost = copying.await;
                    });
                } else if let Err(error) = copying.await {
                    return reply(503, error);
                }
            }
            reply(200, value.get().to_string())
        }
    })
    .await
}

async fn copy(dice: Rc<Dice>, value: u64) -> Ended {
    dice.work(10, 60).await;
    let mut replica = Caller::new("localhost:8081", 1000)?;
    replica.call("PUT", &format!("/?value={value}")).await.map(|_| ())
}

async fn client(part: Part) -> Ended {
    let dice = Dice::default();
    let mut servers = [Caller::new("localhost:8080", 500)?, Caller::new("localhost:8081", 500)?];
    let mut now = 0;
    dice.work(500, 600).await;
    for value in 1..=40 {
        while !matches!(servers[now].call("PUT", &format!("/?value={value}")).await, Ok((200, _))) {
            // For good: who takes over must not give back.
            now = 1;
            dice.work(10, 20).await;
        }
        say::did("wrote", value);
        dice.work(20, 100).await;
        loop {
            if let Ok((200, value)) = servers[now].call("GET", "/").await {
                say::did("read", value);
                break;
            }
            now = 1;
        }
    }
    say::did("finished", 40);
    part.rest().await
}
