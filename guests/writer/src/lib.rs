//! Writes numbered entries into a ledger while its pod leads. It knows nothing of elections: it
//! asks the sidecar on localhost.

use std::time::Duration;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{Client, Url};
use podlab_guest::log;
use podlab_guest::runtime::{Either, Flag, race, sleep};
use serde_json::Value;

/// The command line.
pub const SPEC: Spec = Spec {
    name: "writer",
    version: env!("CARGO_PKG_VERSION"),
    about: "While its pod leads, adds numbered entries to a ledger.",
    options: &[
        opt("elector", "URL", "http://localhost:4040", "whom to ask who leads"),
        opt("ledger", "URL", "http://ledger:8080", "where to write"),
        opt("interval", "TIME", "500ms", "from one entry to the next"),
        opt("work", "TIME", "200ms", "from reading the last number to writing the next"),
        opt("timeout", "TIME", "2s", "how long an answer may take"),
    ],
};

/// Works until `stop`.
///
/// # Errors
/// A wrong option.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let (elector, ledger) = (Url::parse(&args.text("elector"))?, Url::parse(&args.text("ledger"))?);
    let (interval, work) = (args.duration("interval")?, args.duration("work")?);
    if interval.is_zero() {
        return Err("--interval: 0 would never rest".into());
    }
    let mut client = Client::new("writer", args.duration("timeout")?).keep(false);
    let mut acting = None;
    let mut said = String::new();
    while !stop.raised() {
        let leads = ask(&mut client, &elector).await;
        let now = leads.as_ref().ok().and_then(|l| l.as_ref()).map(|l| l.token);
        if now != acting {
            log::info("acting", &[("token", &now.map_or("none".into(), |t| t.to_string()))]);
            acting = now;
        }
        let result = match leads {
            Ok(Some(leader)) => {
                let write = write(&mut client, &ledger, &leader, work);
                match race(write, stop.wait()).await {
                    Either::First(result) => result,
                    Either::Second(()) => break,
                }
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        let error = result.err().unwrap_or_default();
        if !error.is_empty() && error != said {
            log::warn("not-written", &[("error", &error)]);
        }
        said = error;
        race(sleep(interval), stop.wait()).await;
    }
    Ok(())
}

struct Leader {
    identity: String,
    token: u64,
}

/// Whether this pod leads, and with which token.
async fn ask(client: &mut Client, elector: &Url) -> Result<Option<Leader>, String> {
    let reply = client.send("GET", &elector.at("/status"), &[], b"").await;
    let reply = reply.map_err(|e| format!("elector: {e}"))?;
    let status: Value = serde_json::from_slice(&reply.body).map_err(|e| format!("elector: {e}"))?;
    let identity = status["identity"].as_str().unwrap_or_default();
    if status["leading"] != true || identity.is_empty() {
        return Ok(None);
    }
    let token = status["token"].as_u64().ok_or("elector: there is no token")?;
    Ok(Some(Leader { identity: identity.to_owned(), token }))
}

/// Reads the last number, works, writes the next. Meanwhile anything can happen.
async fn write(
    client: &mut Client,
    ledger: &Url,
    leader: &Leader,
    work: Duration,
) -> Result<(), String> {
    let error = |e: std::io::Error| format!("ledger: {e}");
    let last = client.send("GET", &ledger.at("/last"), &[], b"").await.map_err(error)?;
    let last = String::from_utf8_lossy(&last.body);
    let last: u64 = last.trim().parse().map_err(|_| format!("ledger: {last:?} is no number"))?;
    let (seq, by, token) = (last + 1, &leader.identity, leader.token);
    log::info("begins", &[("seq", &seq), ("token", &token)]);
    sleep(work).await;
    let target = format!("/entries?seq={seq}&by={by}&token={token}");
    let reply = client.send("POST", &ledger.at(target), &[], b"").await.map_err(error)?;
    match reply.status {
        201 => Ok(()),
        status => Err(format!("ledger: {status} {}", String::from_utf8_lossy(&reply.body).trim())),
    }
}
