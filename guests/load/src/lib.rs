//! A client with a rate.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::health::{self, Health};
use podlab_guest::http::{Client, Url};
use podlab_guest::runtime::{Either, Flag, race, sleep_until, spawn};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "load",
    version: env!("CARGO_PKG_VERSION"),
    about: "Sends requests at a rate, and says how long the answers took.",
    options: &[
        opt("url", "URL", "http://web:8080/", "whom to ask"),
        opt("paths", "A,B", "", "paths asked in turn, instead of the URL's"),
        opt("rate", "N", "2", "requests a second"),
        opt("duration", "TIME", "0", "how long; 0 for ever"),
        opt("concurrency", "N", "4", "connections at a time"),
        opt("timeout", "TIME", "2s", "how long an answer may take"),
        opt("no-keep-alive", "", "", "a connection for each request"),
        opt("quiet", "", "", "no line for each second"),
        health::OPTION,
    ],
};

/// What happened.
#[derive(Default)]
struct Tally {
    requests: u64,
    ok: u64,
    errors: u64,
    /// Microseconds of the answers of this second, and of all: at most so many are kept.
    second: Vec<u64>,
    all: Vec<u64>,
}

/// Latencies kept for the final percentiles.
const KEPT: usize = 200_000;

/// Sends until the time is over or `stop`.
///
/// # Errors
/// A wrong option.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let url = Url::parse(&args.text("url"))?;
    let rate: f64 = args.number("rate")?;
    if !(rate > 0.0 && rate <= 100_000.0) {
        return Err("--rate: more than 0, at most 100000".into());
    }
    let paths = args.text("paths");
    let mut urls: Vec<Url> =
        paths.split(',').filter(|p| !p.is_empty()).map(|p| url.at(p)).collect();
    if urls.is_empty() {
        urls.push(url);
    }
    let duration = args.duration("duration")?;
    let end = (!duration.is_zero()).then(|| Instant::now() + duration);
    Health::serve(&args, &stop).await?;
    let workers: u32 = args.number::<u32>("concurrency")?.clamp(1, 1000);
    let (tally, urls) = (Rc::new(RefCell::new(Tally::default())), Rc::new(urls));
    let (start, done) = (Instant::now(), Rc::new(RefCell::new((0u32, Flag::default()))));
    for worker in 0..workers {
        let limit = args.duration("timeout")?;
        let client = Client::new("load", limit).keep(!args.switch("no-keep-alive"));
        let (tally, urls) = (tally.clone(), urls.clone());
        let (stop, done) = (stop.clone(), done.clone());
        spawn(async move {
            work(client, &tally, &urls, &stop, start, end, rate, (worker, workers)).await;
            let mut done = done.borrow_mut();
            done.0 += 1;
            if done.0 == workers {
                done.1.raise();
            }
        });
    }
    let finished = done.borrow().1.clone();
    let quiet = args.switch("quiet");
    for second in 1u64.. {
        let next = start + Duration::from_secs(second);
        if let Either::First(()) = race(finished.wait(), sleep_until(next)).await {
            break;
        }
        if !quiet {
            report(&mut tally.borrow_mut(), second);
        }
    }
    let mut tally = tally.borrow_mut();
    tally.all.sort_unstable();
    let ms = |p| percentile(&tally.all, p) as f64 / 1000.0;
    println!(
        "{{\"requests\":{},\"ok\":{},\"errors\":{},\"p50\":{:.3},\"p95\":{:.3},\"p99\":{:.3}}}",
        tally.requests,
        tally.ok,
        tally.errors,
        ms(50),
        ms(95),
        ms(99)
    );
    Ok(())
}

fn report(tally: &mut Tally, second: u64) {
    let mut times = std::mem::take(&mut tally.second);
    times.sort_unstable();
    println!(
        "second={second} requests={} ok={} errors={} p50_ms={:.3} p99_ms={:.3}",
        tally.requests,
        tally.ok,
        tally.errors,
        percentile(&times, 50) as f64 / 1000.0,
        percentile(&times, 99) as f64 / 1000.0
    );
}

/// One connection's share: request `n` is due at `start + n / rate`, whatever came before. When
/// answers are late, what is due is sent as soon as there is a free connection, and its latency
/// counts from when it was due, so that a slow server cannot hide.
#[expect(clippy::too_many_arguments, reason = "one call, right above")]
async fn work(
    mut client: Client,
    tally: &RefCell<Tally>,
    urls: &[Url],
    stop: &Flag,
    start: Instant,
    end: Option<Instant>,
    rate: f64,
    (worker, workers): (u32, u32),
) {
    for n in (u64::from(worker)..).step_by(workers as usize) {
        let due = start + Duration::from_secs_f64(n as f64 / rate);
        if end.is_some_and(|end| due >= end) {
            return;
        }
        if let Either::Second(()) = race(sleep_until(due), stop.wait()).await {
            return;
        }
        let url = &urls[(n % urls.len() as u64) as usize];
        let sent = race(client.send("GET", url, &[], &[]), stop.wait()).await;
        let Either::First(result) = sent else { return };
        let took = due.elapsed().as_micros() as u64;
        let mut tally = tally.borrow_mut();
        tally.requests += 1;
        match result {
            Ok(reply) if (200..400).contains(&reply.status) => tally.ok += 1,
            _ => tally.errors += 1,
        }
        tally.second.push(took);
        if tally.all.len() < KEPT {
            tally.all.push(took);
        }
    }
}

/// The smallest value that `p` of 100 do not exceed; 0 of none.
fn percentile(sorted: &[u64], p: usize) -> u64 {
    let rank = (sorted.len() * p).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_by_nearest_rank() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!([50, 95, 99].map(|p| percentile(&values, p)), [50, 95, 99]);
        assert_eq!((percentile(&[7], 99), percentile(&[], 50)), (7, 0));
    }
}
