//! Keeps a cache busy: a closed loop of reads and writes over some connections, with pipelining.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::health::{self, Health};
use podlab_guest::log;
use podlab_guest::memcached::{self as mc, Reply, Request, Verb};
use podlab_guest::net::TcpStream;
use podlab_guest::resp::{self, Value};
use podlab_guest::runtime::{Flag, race, sleep, spawn, timeout};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "kv-load",
    version: env!("CARGO_PKG_VERSION"),
    about: "Reads and writes a cache as fast as it answers; the last line is JSON.",
    options: &[
        opt("to", "ADDR", "localhost:11211", "the cache"),
        opt("protocol", "NAME", "memcached", "memcached or redis"),
        opt("requests", "N", "10000", "how many in all"),
        opt("connections", "N", "4", "connections at a time"),
        opt("pipeline", "N", "1", "requests that are under way on each"),
        opt("keys", "N", "1000", "different keys"),
        opt("value", "BYTES", "100", "how large values are"),
        opt("read-percent", "P", "90", "of a hundred requests so many read"),
        opt("timeout", "TIME", "5s", "how long a batch may take"),
        opt("wait", "TIME", "0", "how long to wait before the beginning"),
        health::OPTION,
    ],
};

struct Load {
    host: String,
    port: u16,
    redis: bool,
    pipeline: u64,
    keys: u64,
    value: Vec<u8>,
    reads: u64,
    limit: Duration,
    /// Requests that nobody has sent yet.
    left: Cell<u64>,
    number: Cell<u64>,
    done: Cell<u64>,
    hits: Cell<u64>,
    errors: Cell<u64>,
    micros: RefCell<Vec<u64>>,
}

/// Runs until all is sent or `stop`.
///
/// # Errors
/// A wrong option.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let to = args.text("to");
    let place = to.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = place.ok_or_else(|| format!("--to: {to:?} is no address"))?;
    let redis = match args.text("protocol").as_str() {
        "memcached" => false,
        "redis" => true,
        other => return Err(format!("--protocol: {other:?} is neither memcached nor redis")),
    };
    let load = Rc::new(Load {
        host: host.to_owned(),
        port,
        redis,
        pipeline: args.number::<u64>("pipeline")?.clamp(1, 1000),
        keys: args.number::<u64>("keys")?.max(1),
        value: vec![b'x'; args.number::<usize>("value")?.min(1 << 20)],
        reads: args.number::<u64>("read-percent")?.min(100),
        limit: args.duration("timeout")?,
        left: Cell::new(args.number("requests")?),
        number: Cell::new(0),
        done: Cell::new(0),
        hits: Cell::new(0),
        errors: Cell::new(0),
        micros: RefCell::default(),
    });
    let health = Health::serve(&args, &stop).await?;
    race(sleep(args.duration("wait")?), stop.wait()).await;
    let workers = args.number::<usize>("connections")?.clamp(1, 1000);
    let (begun, running) = (Instant::now(), Rc::new(Cell::new(workers)));
    let finished = Flag::default();
    for _ in 0..workers {
        let (load, stop) = (load.clone(), stop.clone());
        let (running, finished, health) = (running.clone(), finished.clone(), health.clone());
        spawn(async move {
            while load.left.get() > 0 && !stop.raised() {
                health.well();
                if let Err(error) = load.connection(&stop).await {
                    health.ill(&error);
                    log::warn("connection-lost", &[("error", &error)]);
                    sleep(Duration::from_millis(100)).await;
                }
            }
            running.set(running.get() - 1);
            if running.get() == 0 {
                finished.raise();
            }
        });
    }
    race(finished.wait(), stop.wait()).await;
    let seconds = begun.elapsed().as_secs_f64();
    let mut micros = load.micros.borrow_mut();
    micros.sort_unstable();
    let rank = |p: usize| {
        let rank = (micros.len() * p).div_ceil(100).saturating_sub(1);
        micros.get(rank).copied().unwrap_or(0) as f64 / 1000.0
    };
    println!(
        "{{\"requests\":{},\"hits\":{},\"errors\":{},\"seconds\":{seconds:.3},\"perSecond\":{:.0},\
         \"p50Ms\":{:.3},\"p99Ms\":{:.3}}}",
        load.done.get(),
        load.hits.get(),
        load.errors.get(),
        load.done.get() as f64 / seconds.max(1e-9),
        rank(50),
        rank(99)
    );
    Ok(())
}

/// What is read of the next answer: its length, whether it is a hit, whether an error.
type Answer = Option<(usize, bool, bool)>;

impl Load {
    async fn connection(&self, stop: &Flag) -> Result<(), String> {
        let stream = TcpStream::connect(&self.host, self.port).await.map_err(|e| e.to_string())?;
        let mut input: Vec<u8> = Vec::new();
        while self.left.get() > 0 && !stop.raised() {
            let n = self.pipeline.min(self.left.get());
            self.left.set(self.left.get() - n);
            let (mut output, mut asked) = (Vec::new(), Vec::new());
            for _ in 0..n {
                asked.push(self.request(&mut output));
            }
            let begun = Instant::now();
            let batch = self.batch(&stream, &output, &asked, &mut input);
            let result = timeout(self.limit, batch).await;
            let result = result.unwrap_or_else(|| Err("no answer in time".into()));
            if result.is_err() {
                self.errors.set(self.errors.get() + n);
            }
            result?;
            self.done.set(self.done.get() + n);
            let mut micros = self.micros.borrow_mut();
            if micros.len() < 200_000 {
                micros.push(begun.elapsed().as_micros() as u64);
            }
        }
        Ok(())
    }

    /// Writes the next request; its verb.
    fn request(&self, output: &mut Vec<u8>) -> Verb {
        let n = self.number.get() + 1;
        self.number.set(n);
        let mix = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
        let key = format!("key-{}", mix % self.keys).into_bytes();
        let read = (mix >> 20) % 100 < self.reads;
        output.extend(match (self.redis, read) {
            (false, true) => Request::new(Verb::Get, vec![key]).encode(),
            (false, false) => Request::set(&key, &self.value, 0).encode(),
            (true, true) => resp::command(&[b"GET", &key]),
            (true, false) => resp::command(&[b"SET", &key, &self.value]),
        });
        if read { Verb::Get } else { Verb::Set }
    }

    async fn batch(
        &self,
        stream: &TcpStream,
        output: &[u8],
        asked: &[Verb],
        input: &mut Vec<u8>,
    ) -> Result<(), String> {
        stream.write_all(output).await.map_err(|e| e.to_string())?;
        let (mut next, mut at) = (0, 0);
        while next < asked.len() {
            match self.answer(asked[next], &input[at..])? {
                Some((used, hit, error)) => {
                    at += used;
                    next += 1;
                    self.hits.set(self.hits.get() + u64::from(hit));
                    self.errors.set(self.errors.get() + u64::from(error));
                }
                None => {
                    input.drain(..at);
                    at = 0;
                    let bytes = stream.read(64 << 10).await.map_err(|e| e.to_string())?;
                    if bytes.is_empty() {
                        return Err("the cache closed the connection".into());
                    }
                    input.extend(bytes);
                }
            }
        }
        input.drain(..at);
        Ok(())
    }

    fn answer(&self, verb: Verb, bytes: &[u8]) -> Result<Answer, String> {
        if self.redis {
            let parsed = resp::parse_value(bytes, 1 << 20)?;
            return Ok(parsed.map(|(value, used)| {
                (used, matches!(value, Value::Bulk(_)), matches!(value, Value::Error(_)))
            }));
        }
        let parsed = mc::parse_reply(bytes, verb, 1 << 20)?;
        Ok(parsed.map(|(reply, used)| {
            let hit = matches!(&reply, Reply::Items(items) if !items.is_empty());
            (used, hit, reply.is_error())
        }))
    }
}
