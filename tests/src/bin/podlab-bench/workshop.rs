//! Figures of a room: 50 learners, each in a world of their own, on `podlab workshop` as it is handed
//! out; and what 200 worlds cost that nobody looks at.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{Setup, line};

/// Learners that play at once.
const LEARNERS: usize = 50;
/// How long they play.
const PLAY: Duration = Duration::from_secs(30);
/// How often each of them does something.
const PAUSE: Duration = Duration::from_secs(2);
/// Worlds that nobody looks at.
const PARKED: usize = 200;

/// A room that ends with the figure.
struct Room {
    child: Child,
    address: String,
    code: String,
}

impl Drop for Room {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Room {
    fn open(state: &Path, learners: usize, more: &[&str]) -> Result<Room> {
        let podlab = std::env::var_os("PODLAB").context("PODLAB is not set: cargo xtask bench")?;
        let mut child = Command::new(podlab)
            .args(["workshop", "--port", "0", "--log-level", "warn", "--state"])
            .arg(state)
            .args(["--learners", &learners.to_string()])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("it is piped")?).lines();
        let mut after = |start: &str| -> Result<String> {
            loop {
                let line = lines.next().with_context(|| format!("no line {start:?}"))??;
                if let Some(rest) = line.strip_prefix(start) {
                    return Ok(rest.trim().to_owned());
                }
            }
        };
        let address = after("Learners open   http://")?;
        let code = after("and type        ")?;
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(Room { child, address, code })
    }

    /// Resident memory, in MiB.
    fn memory(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(kib.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
    }

    /// Its cookie and its world.
    fn join(&self, name: &str) -> Result<(String, String)> {
        let body = json!({ "code": self.code, "name": name });
        let (status, cookie, joined) =
            call(&self.address, "POST", "/api/workshop/join", "", &body)?;
        ensure!(status == 201, "{name} cannot join: {joined}");
        let world = joined["world"].as_str().with_context(|| format!("no world: {joined}"))?;
        Ok((cookie, world.to_owned()))
    }
}

fn call(
    address: &str,
    method: &str,
    path: &str,
    cookie: &str,
    body: &Value,
) -> Result<(u16, String, Value)> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nCookie: {cookie}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let set = head.lines().find_map(|l| l.strip_prefix("set-cookie: ")).unwrap_or_default();
    let cookie = set.split(';').next().unwrap_or_default().to_owned();
    Ok((status, cookie, serde_json::from_str(body).unwrap_or_default()))
}

/// Follows a world as the page does; counts bytes.
fn follow(
    address: &str,
    world: &str,
    cookie: &str,
    bytes: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET /api/worlds/{world}/stream?from=1 HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )?;
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    ensure!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    std::thread::spawn(move || {
        let mut piece = [0; 16 << 10];
        while !done.load(Relaxed) {
            match stream.read(&mut piece) {
                Ok(0) => return,
                Ok(n) => {
                    bytes.fetch_add(n as u64, Relaxed);
                }
                // Nothing came for a moment.
                Err(e)
                    if matches!(
                        e.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => return,
            }
        }
    });
    Ok(())
}

/// One learner's play: does something now and then; how long each took, in ms.
fn play(address: &str, world: &str, cookie: &str, number: usize) -> Result<Vec<f64>> {
    let maps = format!("/api/worlds/{world}/kube/api/v1/namespaces/default/configmaps");
    let pods = format!("/api/worlds/{world}/kube/api/v1/namespaces/default/pods");
    let mut took = Vec::new();
    let end = Instant::now() + PLAY;
    // Not all at the same moment.
    std::thread::sleep(PAUSE * u32::try_from(number)? / u32::try_from(LEARNERS)?);
    let mut n = 0;
    while Instant::now() < end {
        let began = Instant::now();
        let (status, answer) = if n % 2 == 0 {
            let body = json!({ "metadata": { "name": format!("mine-{n}") } });
            let (status, _, answer) = call(address, "POST", &maps, cookie, &body)?;
            (status, answer)
        } else {
            let (status, _, answer) = call(address, "GET", &pods, cookie, &Value::Null)?;
            (status, answer)
        };
        took.push(began.elapsed().as_secs_f64() * 1000.0);
        ensure!(status < 300, "{status}: {answer}");
        n += 1;
        std::thread::sleep(PAUSE);
    }
    Ok(took)
}

/// 50 learners on 50 worlds.
pub(super) fn learners(_: &Setup) -> Result<Vec<Value>> {
    let place = tempfile::tempdir()?;
    let room = Room::open(place.path(), LEARNERS, &[])?;
    let done = Arc::new(AtomicBool::new(false));
    let mut seats = Vec::new();
    let mut last = 0.0;
    for n in 1..=LEARNERS {
        let began = Instant::now();
        let (cookie, world) = room.join(&format!("Learner {n}"))?;
        let bytes = Arc::new(AtomicU64::new(0));
        follow(&room.address, &world, &cookie, bytes.clone(), done.clone())?;
        // The first frame is what the page draws.
        while bytes.load(Relaxed) == 0 {
            ensure!(began.elapsed() < Duration::from_secs(30), "learner {n} sees nothing");
            std::thread::sleep(Duration::from_millis(2));
        }
        last = began.elapsed().as_secs_f64();
        seats.push((cookie, world, bytes));
    }
    let now = |(cookie, world, _): &(String, String, Arc<AtomicU64>)| -> Result<f64> {
        let path = format!("/api/worlds/{world}");
        let (_, _, about) = call(&room.address, "GET", &path, cookie, &Value::Null)?;
        about["now"].as_f64().with_context(|| format!("no time: {about}"))
    };
    let before: Vec<u64> = seats.iter().map(|(_, _, b)| b.load(Relaxed)).collect();
    let clocks = seats.iter().map(now).collect::<Result<Vec<_>>>()?;
    let began = Instant::now();
    let threads: Vec<_> = seats
        .iter()
        .enumerate()
        .map(|(n, (cookie, world, _))| {
            let (address, world, cookie) = (room.address.clone(), world.clone(), cookie.clone());
            std::thread::spawn(move || play(&address, &world, &cookie, n))
        })
        .collect();
    let mut took = Vec::new();
    for thread in threads {
        took.extend(thread.join().map_err(|_| anyhow::Error::msg("a learner's thread ended"))??);
    }
    let seconds = began.elapsed().as_secs_f64();
    let after = seats.iter().map(now).collect::<Result<Vec<_>>>()?;
    let paces = after.iter().zip(&clocks).map(|(a, b)| (a - b) / seconds);
    let slowest = paces.fold(f64::MAX, f64::min);
    let most = seats.iter().zip(&before).map(|((_, _, b), before)| b.load(Relaxed) - before).max();
    let most = most.unwrap_or_default() as f64 / seconds / 1024.0;
    let memory = room.memory()? / 1024.0;
    done.store(true, Relaxed);
    took.sort_by(f64::total_cmp);
    let p95 = took[took.len() * 95 / 100];
    let mut shown =
        line("50 learners: what one does, 95th percentile", p95, "ms", None, Some(200.0));
    shown["median"] = json!(took[took.len() / 2]);
    shown["deeds"] = json!(took.len());
    Ok(vec![
        shown,
        line("50 learners: the page's stream, the busiest", most, "KiB/s", None, Some(40.0)),
        line("50 learners: memory", memory, "GiB", None, Some(3.0)),
        line("50 learners: the slowest clock, at 1x", slowest, "virtual s/s", None, None),
        line("the 50th learner, from joining to the first frame", last, "s", None, Some(2.0)),
    ])
}

/// 200 worlds on disk.
pub(super) fn parked(_: &Setup) -> Result<Vec<Value>> {
    const BATCH: usize = 50;
    let place = tempfile::tempdir()?;
    let mut room = Room::open(place.path(), PARKED, &[])?;
    let mut cookies = Vec::new();
    for n in 1..=PARKED {
        cookies.push(room.join(&format!("Learner {n}"))?);
        if n % BATCH == 0 {
            // Their recordings are written each half second.
            std::thread::sleep(Duration::from_secs(2));
            drop(room);
            room = Room::open(place.path(), PARKED, &["--resume"])?;
        }
    }
    let memory = room.memory()?;
    // They are all there: the last one comes back when it is touched.
    let (cookie, world) = cookies.last().context("there are some")?;
    let began = Instant::now();
    let path = format!("/api/worlds/{world}/kube/api/v1/namespaces/default/pods");
    let (status, _, pods) = call(&room.address, "GET", &path, cookie, &Value::Null)?;
    ensure!(status == 200 && pods["items"].as_array().is_some_and(|p| !p.is_empty()), "{pods}");
    let back = began.elapsed().as_secs_f64();
    let mut shown = line("200 parked worlds: memory", memory, "MiB", None, Some(200.0));
    shown["back"] = json!(back);
    Ok(vec![shown])
}
