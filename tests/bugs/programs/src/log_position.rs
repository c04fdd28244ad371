//! A log-saver that notes how far it has come *before* the lines have arrived: what was under way when
//! it is killed is never sent again.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

use podlab_guest::runtime::sleep;

use crate::dice::Dice;
use crate::service::{Caller, number, reply, serve_now};
use crate::{Ended, Part, say};

const LOG: &str = "/work/app.log";
const POSITION: &str = "/work/position";
const LINES: u64 = 80;

/// `app` writes, `saver` reads and sends, `sink` takes.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "app" => app(part).await,
        "saver" => saver(part).await,
        "sink" => sink(part).await,
        _ => part.unknown(),
    }
}

async fn app(part: Part) -> Ended {
    let dice = Dice::default();
    for n in 1..=LINES {
        dice.work(20, 80).await;
        let file = OpenOptions::new().create(true).append(true).open(LOG);
        let mut file = file.map_err(|e| e.to_string())?;
        file.write_all(format!("{n}\n").as_bytes()).map_err(|e| e.to_string())?;
        say::did("wrote", n);
    }
    part.rest().await
}

async fn saver(part: Part) -> Ended {
    let mut sink = Caller::new("localhost:8080", 2000)?;
    let dice = Dice::default();
    let mut position: u64 =
        fs::read_to_string(POSITION).ok().and_then(|t| t.parse().ok()).unwrap_or(0);
    while !part.stop.raised() {
        sleep(Duration::from_millis(60)).await;
        let text = fs::read_to_string(LOG).unwrap_or_default();
        let Some(new) = text.get(position as usize..).filter(|n| !n.is_empty()) else { continue };
        let end = position + new.len() as u64;
        if part.wrong {
            note(end)?;
        }
        // They are packed.
        dice.work(10, 60).await;
        let sent = sink.send("POST", &format!("/lines?offset={position}"), new).await;
        if !sent.is_ok_and(|(status, _)| status == 200) {
            continue;
        }
        position = end;
        note(position)?;
    }
    Ok(())
}

fn note(position: u64) -> Ended {
    fs::write("/work/position.new", position.to_string()).map_err(|e| e.to_string())?;
    fs::rename("/work/position.new", POSITION).map_err(|e| e.to_string())
}

/// Takes each byte of the log once, whoever sends it again.
async fn sink(part: Part) -> Ended {
    let mut taken = 0;
    serve_now(8080, part.stop, move |request| {
        let offset = number(&request, "offset");
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let known = taken.max(offset) - offset;
        for line in text.get(known as usize..).unwrap_or_default().lines() {
            say::did("saved", line);
        }
        taken = taken.max(offset + text.len() as u64);
        reply(200, "taken")
    })
    .await
}
