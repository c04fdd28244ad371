//! Two containers add to a number in a file: read, add, write. Whoever reads between the other's read and
//! write undoes the other's addition.

use std::fs::{self, OpenOptions};

use crate::dice::Dice;
use crate::service::{reply, serve_now};
use crate::{Ended, Part, say};

const FILE: &str = "/data/count";
const LOCK: &str = "/data/count.lock";
const TIMES: u64 = 25;

/// `teller` tells the number, all others add to it.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "teller" => serve_now(8080, part.stop, |_| reply(200, read().to_string())).await,
        _ => adder(part).await,
    }
}

async fn adder(part: Part) -> Ended {
    let dice = Dice::default();
    for _ in 0..TIMES {
        dice.work(40, 200).await;
        while !part.wrong && OpenOptions::new().write(true).create_new(true).open(LOCK).is_err() {
            dice.work(1, 5).await;
        }
        let count = read();
        dice.work(0, 4).await;
        fs::write(FILE, (count + 1).to_string()).map_err(|e| e.to_string())?;
        if !part.wrong {
            fs::remove_file(LOCK).map_err(|e| e.to_string())?;
        }
    }
    say::did("finished", TIMES);
    part.rest().await
}

fn read() -> u64 {
    fs::read_to_string(FILE).ok().and_then(|t| t.trim().parse().ok()).unwrap_or(0)
}
