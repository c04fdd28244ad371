//! The lists of differences: read, compared, written.

use std::path::Path;

/// Where a world answers one command otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Its number in the transcript, and the command.
    pub command: String,
    /// Why that is so.
    pub reason: String,
    /// The lines, with "-" (the real one's) and "+" (the world's).
    pub lines: Vec<String>,
}

fn read(text: &str) -> Vec<Difference> {
    let mut all: Vec<Difference> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            let (reason, lines) = (String::new(), Vec::new());
            all.push(Difference { command: command.into(), reason, lines });
        } else if let Some(last) = all.last_mut() {
            if let Some(reason) = line.strip_prefix("why: ") {
                last.reason = reason.into();
            } else if line.starts_with(['-', '+']) {
                last.lines.push(line.into());
            }
        }
    }
    all
}

fn write(all: &[Difference]) -> String {
    let mut out = String::new();
    for one in all {
        out += &format!("$ {}\nwhy: {}\n{}\n\n", one.command, one.reason, one.lines.join("\n"));
    }
    out
}

/// Compares what was found with what is listed in `file`.
pub fn compare(file: &Path, mut found: Vec<Difference>, steps: usize) {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let listed = read(&text);
    for one in &mut found {
        if let Some(before) = listed.iter().find(|l| l.command == one.command) {
            one.reason.clone_from(&before.reason);
        }
    }
    println!("{}: {} of {steps} commands differ", file.display(), found.len());
    if std::env::var_os("GOLDEN_UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().expect("it lies in a folder")).expect("a folder");
        std::fs::write(file, write(&found)).expect("the list can be written");
        return;
    }
    let mut wrong = String::new();
    for one in &found {
        match listed.iter().find(|l| l.command == one.command) {
            None => wrong += &format!("not listed: {}", write(std::slice::from_ref(one))),
            Some(before) if before.lines != one.lines => {
                wrong += &format!("differs in another way: {}", write(std::slice::from_ref(one)));
            }
            Some(before) if before.reason.is_empty() => {
                wrong += &format!("listed without a reason: {}\n", one.command);
            }
            Some(_) => {}
        }
    }
    for one in &listed {
        if !found.iter().any(|f| f.command == one.command) {
            wrong += &format!("listed, but the same by now: {}\n", one.command);
        }
    }
    assert!(wrong.is_empty(), "{wrong}\nGOLDEN_UPDATE=1 writes the list again.");
}
