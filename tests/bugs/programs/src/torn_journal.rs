//! A journal whose last record was cut short by a crash: the program that goes on writes after the cut, and
//! the two halves read as one record that nobody wrote.

use std::fs::{self, OpenOptions};
use std::io::Write;

use crate::dice::Dice;
use crate::{Ended, Part, say};

const JOURNAL: &str = "/data/journal";
const RECORDS: u64 = 40;

/// `writer` writes records, two writes each.
pub async fn play(part: Part) -> Ended {
    if part.role != "writer" {
        return part.unknown();
    }
    let text = fs::read_to_string(JOURNAL).unwrap_or_default();
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    // What a reader makes of it.
    let records: Vec<&str> = text[..whole].lines().collect();
    for (n, record) in records.iter().enumerate() {
        if *record != format!("record {}", n + 1) {
            say::did("broken", record);
        }
    }
    let file = OpenOptions::new().create(true).append(true).open(JOURNAL);
    let mut file = file.map_err(|e| e.to_string())?;
    if !part.wrong {
        file.set_len(whole as u64).map_err(|e| e.to_string())?;
    }
    let dice = Dice::default();
    for n in records.len() as u64 + 1..=RECORDS {
        dice.work(50, 150).await;
        file.write_all(b"record").map_err(|e| e.to_string())?;
        file.write_all(format!(" {n}\n").as_bytes()).map_err(|e| e.to_string())?;
    }
    // Read once more, as at the next start.
    let text = fs::read_to_string(JOURNAL).map_err(|e| e.to_string())?;
    for (n, record) in text.lines().enumerate() {
        if record != format!("record {}", n + 1) {
            say::did("broken", record);
        }
    }
    say::did("finished", RECORDS);
    part.rest().await
}
