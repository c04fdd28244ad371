//! Follows an application's log, whatever its format, and writes it to standard output in the one
//! form that everything behind can read.
//!
//! # Layout
//! - `format`: the formats; `time`: how times become alike
//! - this file: following (as log-saver does) and writing

mod format;
mod time;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use log_saver::follow::Follower;
use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::health::{self, Health};
use podlab_guest::log;
use podlab_guest::runtime::{Flag, race, sleep};

use format::{Format, uniform};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "log-adapter",
    version: env!("CARGO_PKG_VERSION"),
    about: "Follows a log and writes each line as uniform JSON to standard output.",
    options: &[
        opt("file", "FILE", "/var/log/app/app.log", "what to follow"),
        opt("checkpoint", "FILE", "", "where progress is kept [FILE.adapted]"),
        opt("format", "NAME", "combined", "combined, logfmt or json"),
        opt("app", "NAME", "app", "the application's name"),
        opt("rename", "A=B,...", "", "fields with other names: code=status"),
        opt("interval", "TIME", "500ms", "how often to look: files cannot wake their reader"),
        health::OPTION,
    ],
};

/// Follows until `stop`, then writes what is left.
///
/// # Errors
/// A wrong option.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let name = args.text("format");
    let format = Format::named(&name)
        .ok_or_else(|| format!("--format: {name:?} is none of combined, logfmt, json"))?;
    let mut rename = BTreeMap::new();
    for pair in args.text("rename").split(',').filter(|p| !p.is_empty()) {
        let (from, to) =
            pair.split_once('=').ok_or_else(|| format!("--rename: {pair:?} is no A=B"))?;
        rename.insert(from.trim().to_owned(), to.trim().to_owned());
    }
    let interval = args.duration("interval")?;
    if interval.is_zero() {
        return Err("--interval: 0 would never rest".into());
    }
    let file = PathBuf::from(args.text("file"));
    let checkpoint = match args.text("checkpoint").as_str() {
        "" => {
            let mut name = file.as_os_str().to_owned();
            name.push(".adapted");
            name.into()
        }
        path => PathBuf::from(path),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut follower = Follower::open(file, checkpoint, format!("{:x}", now.as_nanos()));
    let health = Health::serve(&args, &stop).await?;
    let (app, mut said) = (args.text("app"), String::new());
    loop {
        let last = stop.raised();
        match adapt(&mut follower, &app, format, &rename) {
            Ok(()) => {
                health.well();
                said.clear();
            }
            Err(error) if error != said => {
                log::warn("cannot-follow", &[("error", &error)]);
                health.ill(&error);
                said = error;
            }
            Err(_) => {}
        }
        if last {
            return Ok(());
        }
        race(sleep(interval), stop.wait()).await;
    }
}

/// Writes all whole lines there are. Killed between writing and keeping the place, it writes the
/// last batch again: at least once.
fn adapt(
    follower: &mut Follower,
    app: &str,
    format: Format,
    rename: &BTreeMap<String, String>,
) -> Result<(), String> {
    while let Some(batch) = follower.next(64 << 10).map_err(|e| format!("reading the log: {e}"))? {
        let mut out = String::new();
        for line in String::from_utf8_lossy(&batch.bytes).lines() {
            out.push_str(&uniform(app, format, rename, line));
            out.push('\n');
        }
        let written = std::io::stdout().write_all(out.as_bytes());
        written.map_err(|e| format!("standard output: {e}"))?;
        follower.done(&batch).map_err(|e| format!("the checkpoint: {e}"))?;
    }
    Ok(())
}
