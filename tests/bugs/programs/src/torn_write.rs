//! A program that writes its settings over the old ones, piece by piece: who reads in the middle sees half
//! of them. A new file with another name, renamed when it is whole, is never seen half.

use std::fs::{self, File};
use std::io::Write;

use crate::dice::Dice;
use crate::{Ended, Part, say};

const FILE: &str = "/config/settings";

/// `writer` writes, `reader` reads.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "writer" => writer(part).await,
        "reader" => reader(part).await,
        _ => part.unknown(),
    }
}

async fn writer(part: Part) -> Ended {
    let dice = Dice::default();
    for version in 1..=30 {
        let path = if part.wrong { FILE.to_owned() } else { format!("{FILE}.new") };
        let mut file = File::create(&path).map_err(|e| e.to_string())?;
        // As pieces come from somewhere else.
        for key in ["host", "port", "level"] {
            writeln!(file, "{key}={version}").map_err(|e| e.to_string())?;
            dice.work(0, 3).await;
        }
        if !part.wrong {
            fs::rename(&path, FILE).map_err(|e| e.to_string())?;
        }
        dice.work(100, 300).await;
    }
    part.rest().await
}

async fn reader(part: Part) -> Ended {
    let dice = Dice::default();
    while !part.stop.raised() {
        dice.work(50, 250).await;
        let Ok(text) = fs::read_to_string(FILE) else { continue };
        let versions: Vec<&str> = text.lines().filter_map(|l| Some(l.split_once('=')?.1)).collect();
        let whole = versions.len() == 3 && versions.iter().all(|v| *v == versions[0]);
        say::did(if whole { "read" } else { "half" }, text.escape_default());
    }
    Ok(())
}
