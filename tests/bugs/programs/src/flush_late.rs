//! A store that says "stored" when an entry is in memory and writes it to its volume a little later: what
//! was promised in between dies with the process.

use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::runtime::{sleep, spawn};

use crate::dice::Dice;
use crate::service::{Caller, reply, serve_now};
use crate::{Ended, Part, say};

const FILE: &str = "/data/entries";

/// `client` hands in, `store` keeps.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "client" => client(part).await,
        "store" => store(part).await,
        _ => part.unknown(),
    }
}

async fn client(part: Part) -> Ended {
    let dice = Dice::default();
    let mut store = Caller::new("localhost:8080", 1000)?;
    for n in 1..=60 {
        dice.work(50, 150).await;
        // What was not confirmed was not promised: the client goes on.
        if store.send("POST", "/entries", &n.to_string()).await.is_ok_and(|(s, _)| s == 201) {
            say::did("confirmed", n);
        }
    }
    say::did("finished", 60);
    part.rest().await
}

async fn store(part: Part) -> Ended {
    let waiting = Rc::new(RefCell::new(String::new()));
    let (late, wrong) = (waiting.clone(), part.wrong);
    spawn(async move {
        loop {
            sleep(Duration::from_millis(500)).await;
            // Should the volume be full, the entries wait for the next time.
            if append(&late.borrow()).is_ok() {
                late.borrow_mut().clear();
            }
        }
    });
    serve_now(8080, part.stop, move |request| {
        if request.method == "GET" {
            let kept = fs::read_to_string(FILE).unwrap_or_default();
            return reply(200, kept + &waiting.borrow());
        }
        let line = format!("{}\n", String::from_utf8_lossy(&request.body));
        if wrong {
            waiting.borrow_mut().push_str(&line);
        } else if let Err(error) = append(&line) {
            return reply(507, error);
        }
        reply(201, "stored")
    })
    .await
}

fn append(text: &str) -> Ended {
    if text.is_empty() {
        return Ok(());
    }
    let file = OpenOptions::new().create(true).append(true).open(FILE);
    file.and_then(|mut f| f.write_all(text.as_bytes())).map_err(|e| e.to_string())
}
