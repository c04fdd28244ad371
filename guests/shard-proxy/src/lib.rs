//! An ambassador: the application talks to localhost as if there were one cache, and this program
//! spreads its keys over many.
//!
//! # Layout
//! - `ring`: which shard a key belongs to
//! - `shard`: one shard's connections, time-outs, ejection
//! - `pool`: who the shards are, asking them, what is asked twice
//! - `front`: a client's connection; `memcached`, `redis`: what each protocol's requests become
//! - `admin`: the page for operators

mod admin;
mod front;
mod memcached;
mod pool;
mod promise;
mod redis;
mod ring;
mod shard;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::connections;
use podlab_guest::http::{self, Limits};
use podlab_guest::net::TcpListener;
use podlab_guest::runtime::{Flag, spawn};

use front::Front;
use pool::{Hot, Pool, Source};
use shard::{Policy, Wire};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "shard-proxy",
    version: env!("CARGO_PKG_VERSION"),
    about: "Spreads the keys of one cache over many: memcached or Redis, by consistent hashing.",
    options: &[
        opt("protocol", "NAME", "memcached", "memcached or redis"),
        opt("listen", "ADDR", "", "where the application asks [127.0.0.1:11211, redis: :6379]"),
        opt("admin", "ADDR", "0.0.0.0:8081", "HTTP: /, /stats, /map, /metrics, /healthz, /readyz"),
        opt("discover", "NAME", "", "the shards are the addresses of this name, `cache:11211`"),
        opt("shards", "A,B", "", "the shards: hosts with ports; `cache-[0-7].cache` for eight"),
        opt("shards-file", "FILE", "", "the shards are the lines of this file"),
        opt("refresh", "TIME", "2s", "how often the name or the file is looked up"),
        opt("connections", "N", "2", "connections to each shard, shared by all clients"),
        opt("clients", "N", "512", "clients at a time; more wait"),
        opt("timeout", "TIME", "400ms", "how long a shard may take to answer"),
        opt("failure-limit", "N", "2", "broken connections in a row before a shard is ejected"),
        opt("retry-after", "TIME", "2s", "how long an ejected shard is left alone"),
        opt("auto-eject", "BOOL", "true", "whether keys of an ejected shard go to the others"),
        opt("hot-prefix", "TEXT", "", "keys that begin so are kept on several shards"),
        opt("hot-copies", "N", "3", "on how many"),
        opt("patience", "TIME", "10s", "how long a request may take to arrive, once begun"),
    ],
};

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let protocol = args.text("protocol");
    let port = match protocol.as_str() {
        "memcached" => 11211,
        "redis" => 6379,
        other => return Err(format!("--protocol: {other:?} is neither memcached nor redis")),
    };
    let listen = match args.text("listen").as_str() {
        "" => format!("127.0.0.1:{port}"),
        given => given.to_owned(),
    };
    let listener = connections::listen_at(&listen, "listen").await?;
    let listener = listener.ok_or("--listen: it must listen somewhere")?;
    let hot = Hot {
        prefix: args.text("hot-prefix").into_bytes(),
        copies: args.number::<usize>("hot-copies")?.clamp(1, 16),
    };
    let policy = Policy {
        connections: args.number::<usize>("connections")?.clamp(1, 64),
        timeout: args.duration("timeout")?.max(Duration::from_millis(1)),
        failure_limit: args.number::<u32>("failure-limit")?.max(1),
        retry: args.duration("retry-after")?.max(Duration::from_millis(1)),
        auto_eject: args.switch("auto-eject"),
    };
    if port == 11211 {
        let pool = Pool::<memcached::Memcached>::new(policy, hot, port);
        serve(args, listener, stop, pool, |id, pool| memcached::Client { id, pool: pool.clone() })
            .await
    } else {
        let pool = Pool::<redis::Redis>::new(policy, hot, port);
        let client = |id, pool: &Rc<Pool<redis::Redis>>| redis::Client {
            id,
            pool: pool.clone(),
            version: 2,
        };
        serve(args, listener, stop, pool, client).await
    }
}

fn source(args: &Args) -> Result<Source, String> {
    let given: Vec<Source> = [
        (args.text("discover"), Source::Name as fn(String) -> Source),
        (args.text("shards"), Source::List),
        (args.text("shards-file"), Source::File),
    ]
    .into_iter()
    .filter(|(text, _)| !text.is_empty())
    .map(|(text, make)| make(text))
    .collect();
    match <[Source; 1]>::try_from(given) {
        Ok([source]) => Ok(source),
        Err(_) => Err("give one of --discover, --shards, --shards-file".into()),
    }
}

async fn serve<W: Wire, F: Front + 'static>(
    args: Args,
    listener: TcpListener,
    stop: Flag,
    pool: Rc<Pool<W>>,
    client: impl Fn(u64, &Rc<Pool<W>>) -> F + 'static,
) -> Result<(), String> {
    let source = source(&args)?;
    if let Source::List(_) = source {
        let names = pool.names(&source).await?;
        pool.set(&names);
    }
    let (patience, most) = (args.duration("patience")?, args.number::<usize>("clients")?.max(1));
    let every = args.duration("refresh")?.max(Duration::from_millis(10));
    spawn(pool.clone().follow(source, every, stop.clone()));
    if let Some(admin) = connections::listen(&args, "admin").await? {
        let (pool, stop) = (pool.clone(), stop.clone());
        let handler: http::Handler = Rc::new(move |request| {
            let pool = pool.clone();
            Box::pin(async move { admin::answer(&pool, &request) })
        });
        spawn(async move {
            // Its listener's failure was logged: clients are served all the same.
            let _ended = http::serve(admin, handler, Limits::default(), stop).await;
        });
    }
    let next = Cell::new(0u64);
    connections::accept(listener, most, &stop, |stream| {
        let id = next.replace(next.get() + 1);
        front::serve(stream, client(id, &pool), id, patience, stop.clone())
    })
    .await;
    Ok(())
}
