//! Fetches content from an origin into a volume, again and again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::health::{self, Health};
use podlab_guest::http::{Client, Url};
use podlab_guest::log;
use podlab_guest::runtime::{Either, Flag, race, sleep};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "content-puller",
    version: env!("CARGO_PKG_VERSION"),
    about: "Fetches a page so often and puts it, whole or not at all, into a directory.",
    options: &[
        opt("url", "URL", "http://origin:8080/content/index.html", "what to fetch"),
        opt("to", "FILE", "/srv/index.html", "where it goes"),
        opt("interval", "TIME", "5s", "from one look to the next"),
        opt("timeout", "TIME", "3s", "how long an answer may take"),
        opt("once", "", "", "fetch until it succeeds, then end: for an init container"),
        opt("busy", "N", "0", "after each fetch, N million rounds of arithmetic"),
        health::OPTION,
    ],
};

/// Fetches until `stop`, or until it succeeded if `--once`.
///
/// # Errors
/// A wrong option.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let (url, to) = (Url::parse(&args.text("url"))?, PathBuf::from(args.text("to")));
    let (interval, busy) = (args.duration("interval")?, args.number::<u64>("busy")?);
    if interval.is_zero() {
        return Err("--interval: 0 would never rest".into());
    }
    let once = args.switch("once");
    let health = Health::serve(&args, &stop).await?;
    let mut client = Client::new("content-puller", args.duration("timeout")?);
    // What is there from an earlier run is fetched again: its version is not known.
    let mut etag = String::new();
    let mut failures = 0u32;
    while !stop.raised() {
        let pull = pull(&mut client, &url, &to, &etag);
        let Either::First(result) = race(pull, stop.wait()).await else { break };
        match result {
            Ok(new) => {
                failures = 0;
                health.well();
                if let Some(new) = new {
                    log::info("pulled", &[("url", &url.target), ("etag", &new)]);
                    etag = new;
                }
                if once {
                    return Ok(());
                }
                burn(busy);
            }
            Err(error) => {
                failures += 1;
                health.ill(&error);
                log::warn("pull-failed", &[("host", &url.host), ("error", &error)]);
            }
        }
        race(sleep(pause(interval, failures)), stop.wait()).await;
    }
    if once { Err("ended before the first success".into()) } else { Ok(()) }
}

/// The interval; after failures 0.5 s, 1 s, 2 s ... up to 30 s.
fn pause(interval: Duration, failures: u32) -> Duration {
    match failures {
        0 => interval,
        n => Duration::from_millis(500 << (n - 1).min(6)).min(Duration::from_secs(30)),
    }
}

/// Fetches; the new version, or `None` if there is none.
async fn pull(
    client: &mut Client,
    url: &Url,
    to: &Path,
    etag: &str,
) -> Result<Option<String>, String> {
    let known = [("If-None-Match", etag)];
    let headers = if etag.is_empty() { &[][..] } else { &known[..] };
    let reply = client.send("GET", url, headers, &[]).await.map_err(|e| e.to_string())?;
    match reply.status {
        304 => Ok(None),
        200 => {
            put(to, &reply.body).map_err(|e| format!("{}: {e}", to.display()))?;
            Ok(Some(reply.headers.get("etag").unwrap_or_default().to_owned()))
        }
        status => Err(format!("the origin answered {status}")),
    }
}

/// Puts a file in place at one instant: a reader sees the old one or the new one.
fn put(to: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut temporary = to.as_os_str().to_owned();
    temporary.push(".part");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, to)
}

/// Burns CPU: what a badly behaved sidecar does.
fn burn(millions: u64) {
    let mut x = 1u64;
    for n in 0..millions.saturating_mul(1_000_000) {
        x = std::hint::black_box(x.rotate_left(5) ^ n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_back_off_to_half_a_minute() {
        let ms = |n| pause(Duration::from_secs(5), n).as_millis();
        assert_eq!([ms(0), ms(1), ms(2), ms(7), ms(100)], [5000, 500, 1000, 30_000, 30_000]);
    }
}
