//! A log-saver that goes on at the *end* of the new file after a rotation: what was written between the
//! rotation and its next look is never saved.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

use podlab_guest::runtime::sleep;

use crate::dice::Dice;
use crate::{Ended, Part, say};

const LOG: &str = "/logs/app.log";
const LINES: u64 = 120;
/// A file has at least this many lines: many more than come between two looks of the saver.
const ROTATE: u64 = 600;

/// `app` writes and rotates, `saver` saves.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "app" => app(part).await,
        "saver" => saver(part).await,
        _ => part.unknown(),
    }
}

async fn app(part: Part) -> Ended {
    let dice = Dice::default();
    let mut size = 0;
    for n in 1..=LINES {
        dice.work(20, 60).await;
        if size > ROTATE {
            fs::rename(LOG, format!("{LOG}.1")).map_err(|e| e.to_string())?;
            size = 0;
        }
        let mut file =
            OpenOptions::new().create(true).append(true).open(LOG).map_err(|e| e.to_string())?;
        let line = format!("line {n}\n");
        file.write_all(line.as_bytes()).map_err(|e| e.to_string())?;
        size += line.len() as u64;
        say::did("wrote", n);
    }
    part.rest().await
}

async fn saver(part: Part) -> Ended {
    let mut open: Option<File> = None;
    let mut offset = 0;
    let mut rest = String::new();
    while !part.stop.raised() {
        sleep(Duration::from_millis(250)).await;
        let Ok(length) = fs::metadata(LOG).map(|m| m.len()) else { continue };
        if let Some(mut old) = open.take_if(|_| length < offset) {
            // The end of the old file, which has another name now.
            save(&mut old, &mut rest)?;
        }
        let file = match &mut open {
            Some(file) => file,
            None => {
                let mut file = File::open(LOG).map_err(|e| e.to_string())?;
                if part.wrong && offset > 0 {
                    file.seek(SeekFrom::End(0)).map_err(|e| e.to_string())?;
                }
                open.insert(file)
            }
        };
        save(file, &mut rest)?;
        offset = file.stream_position().map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn save(file: &mut File, rest: &mut String) -> Ended {
    file.read_to_string(rest).map_err(|e| e.to_string())?;
    while let Some((line, after)) = rest.split_once('\n') {
        say::did("saved", line.trim_start_matches("line "));
        *rest = after.to_owned();
    }
    Ok(())
}
