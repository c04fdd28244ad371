//! Follows a log file over its rotation and its own restarts, and ships every line once.
//!
//! - [`follow`]: where in which file we are, and what comes next
//! - this file: shipping it

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::health::{self, Health};
use podlab_guest::http::{Client, Url};
use podlab_guest::log;
use podlab_guest::runtime::{Either, Flag, race, sleep};

pub mod follow;

use follow::Follower;

/// The command line.
pub const SPEC: Spec = Spec {
    name: "log-saver",
    version: env!("CARGO_PKG_VERSION"),
    about: "Follows a log file and ships its lines to a store; nothing is lost, nothing comes twice.",
    options: &[
        opt("file", "FILE", "/var/log/web/access.log", "what to follow"),
        opt("checkpoint", "FILE", "", "where progress is kept [FILE.checkpoint]"),
        opt("store", "URL", "http://log-store:8080", "where the lines go"),
        opt("source", "NAME", "", "the name of this log in the store [the host's name]"),
        opt("interval", "TIME", "500ms", "how often to look: files cannot wake their reader"),
        opt("batch", "BYTES", "65536", "the most that is sent at once"),
        opt("timeout", "TIME", "3s", "how long the store may take"),
        health::OPTION,
    ],
};

/// Follows until `stop`, then ships what is left.
///
/// # Errors
/// A wrong option.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let mut saver = Saver::new(&args)?;
    let interval = args.duration("interval")?;
    if interval.is_zero() {
        return Err("--interval: 0 would never rest".into());
    }
    let health = Health::serve(&args, &stop).await?;
    let mut failures = 0u32;
    while !stop.raised() {
        // An exchange cut short by the end is simply sent again below: the store knows it by offset.
        let Either::First(result) = race(saver.ship(), stop.wait()).await else { break };
        failures = match result {
            Ok(()) => {
                health.well();
                0
            }
            Err(error) => {
                health.ill(&error);
                log::warn("ship-failed", &[("error", &error)]);
                failures + 1
            }
        };
        let pause = interval * (1 << failures.min(5));
        race(sleep(pause.min(Duration::from_secs(15))), stop.wait()).await;
    }
    // What stays unsent is on the volume, and the next run goes on there.
    saver.ship().await.map_err(|e| format!("the last lines stay on the volume: {e}"))
}

/// A follower and the store it ships to.
pub struct Saver {
    follower: Follower,
    client: Client,
    store: Url,
    source: String,
    batch: usize,
}

impl Saver {
    /// From the command line.
    ///
    /// # Errors
    /// A wrong option.
    pub fn new(args: &Args) -> Result<Saver, String> {
        let file = PathBuf::from(args.text("file"));
        let checkpoint = match args.text("checkpoint").as_str() {
            "" => {
                let mut name = file.as_os_str().to_owned();
                name.push(".checkpoint");
                name.into()
            }
            path => PathBuf::from(path),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let stream = format!("{:x}", now.as_nanos());
        let source = match args.text("source").as_str() {
            "" => std::env::var("HOSTNAME").unwrap_or_else(|_| "log".into()),
            name => name.to_owned(),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !source.chars().all(plain) {
            return Err(format!("--source: {source:?}: letters, digits, '-', '_' and '.' only"));
        }
        Ok(Saver {
            follower: Follower::open(file, checkpoint, stream),
            client: Client::new("log-saver", args.duration("timeout")?),
            store: Url::parse(&args.text("store"))?,
            source,
            batch: args.number::<usize>("batch")?.clamp(1024, 1 << 20),
        })
    }

    /// Ships all whole lines there are.
    ///
    /// # Errors
    /// If the store is away or refuses, or the volume fails. Nothing is lost: the next call goes on.
    pub async fn ship(&mut self) -> Result<(), String> {
        while let Some(batch) =
            self.follower.next(self.batch).map_err(|e| format!("reading the log: {e}"))?
        {
            let (stream, offset) = (self.follower.stream(), self.follower.shipped());
            let target = format!("/logs/{}?stream={stream}&offset={offset}", self.source);
            let url = self.store.at(target);
            let kind = [("Content-Type", "text/plain")];
            let reply = self.client.send("POST", &url, &kind, &batch.bytes).await;
            let reply = reply.map_err(|e| format!("{}: {e}", self.store.host))?;
            match reply.status {
                200 => self.follower.done(&batch).map_err(|e| format!("the checkpoint: {e}"))?,
                409 => {
                    // The store has lost what it had acknowledged. Begin a stream anew, so that
                    // what is still to come is kept; the loss itself cannot be mended here.
                    log::error("store-lost-lines", &[("before", &offset)]);
                    self.follower.restart_stream();
                }
                status => return Err(format!("the store answered {status}")),
            }
        }
        Ok(())
    }
}
