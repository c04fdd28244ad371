//! A server that closes its port the moment it gets SIGTERM: for a while clients are still sent to it,
//! since the news that its pod ends takes time to reach everybody.

use std::rc::Rc;
use std::time::Duration;

use podlab_guest::runtime::{Flag, sleep, spawn};

use crate::dice::Dice;
use crate::service::{reply, serve};
use crate::{Ended, Part};

/// `server` serves.
pub async fn play(part: Part) -> Ended {
    if part.role != "server" {
        return part.unknown();
    }
    let closed = Flag::default();
    let (close, wrong, stop) = (closed.clone(), part.wrong, part.stop);
    spawn(async move {
        stop.wait().await;
        if !wrong {
            sleep(Duration::from_secs(4)).await;
        }
        close.raise();
    });
    let dice = Rc::new(Dice::default());
    serve(8080, closed, move |_| {
        let dice = dice.clone();
        async move {
            dice.work(1, 10).await;
            reply(200, "served")
        }
    })
    .await
}
