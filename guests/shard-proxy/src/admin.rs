//! The page for operators: who is alive, what goes where.

use std::rc::Rc;

use podlab_guest::http::{Request, Response};
use podlab_guest::json;

use crate::pool::Pool;
use crate::shard::Wire;

/// Sample keys of `/map`.
const MAX_SAMPLE: usize = 10_000;

/// Answers an operator.
pub fn answer<W: Wire>(pool: &Rc<Pool<W>>, request: &Request) -> Response {
    let members = pool.members();
    match request.path.as_str() {
        "/healthz" => Response::text(200, "ok"),
        "/readyz" if members.shards.iter().any(|s| s.alive()) => Response::text(200, "ok"),
        "/readyz" => Response::text(503, "no shard is alive"),
        "/stats" => Response::json(200, stats(pool)),
        "/map" => map(pool, request),
        "/metrics" => Response::new(200, "text/plain; version=0.0.4; charset=utf-8", metrics(pool)),
        "/" => Response::new(200, "text/html; charset=utf-8", page(pool)),
        _ => {
            Response::text(404, "there are /, /stats, /map?key=, /map?sample=, /metrics, /healthz")
        }
    }
}

fn stats<W: Wire>(pool: &Pool<W>) -> String {
    let shards: Vec<String> = pool
        .members()
        .shards
        .iter()
        .map(|shard| {
            let c = shard.counters();
            format!(
                "{{\"name\":{},\"alive\":{},\"requests\":{},\"errors\":{},\"timeouts\":{},\
                 \"ejections\":{},\"connects\":{},\"open\":{},\"meanMicros\":{}}}",
                json::string(&shard.name),
                shard.alive(),
                c.requests,
                c.errors,
                c.timeouts,
                c.ejections,
                c.connects,
                shard.open(),
                c.micros / (c.requests - c.errors).max(1)
            )
        })
        .collect();
    format!(
        "{{\"shards\":[{}],\"points\":{},\"changes\":{},\"retries\":{}}}",
        shards.join(","),
        pool.members().ring.points(),
        pool.changes.get(),
        pool.retries.get()
    )
}

/// `?key=K`: the shard of a key; `?sample=N`: a line for each of `key-0` to `key-(N-1)`.
fn map<W: Wire>(pool: &Pool<W>, request: &Request) -> Response {
    let owner = |key: &str| {
        let shards = pool.writes(key.as_bytes());
        shards.iter().map(|s| s.name.clone()).collect::<Vec<_>>().join(",")
    };
    if let Some(key) = request.parameter("key") {
        return Response::text(200, owner(&key));
    }
    let sample = request.parameter("sample").and_then(|n| n.parse().ok()).unwrap_or(100);
    let lines = (0..std::cmp::min(sample, MAX_SAMPLE)).map(|n| {
        let key = format!("key-{n}");
        format!("{key} {}\n", owner(&key))
    });
    Response::new(200, "text/plain; charset=utf-8", lines.collect::<String>())
}

fn metrics<W: Wire>(pool: &Pool<W>) -> String {
    let mut out = String::new();
    let members = pool.members();
    type Read = fn(&crate::shard::Counters) -> u64;
    let families: [(&str, &str, Read); 3] = [
        ("requests", "Requests sent to the shard.", |c| c.requests),
        ("errors", "Requests that the shard did not answer.", |c| c.errors),
        ("ejections", "How often the shard was ejected.", |c| c.ejections),
    ];
    for (name, help, read) in families {
        let family = format!("shard_proxy_{name}_total");
        out.push_str(&format!("# HELP {family} {help}\n# TYPE {family} counter\n"));
        for shard in &members.shards {
            let value = read(&shard.counters());
            out.push_str(&format!("{family}{{shard={}}} {value}\n", json::string(&shard.name)));
        }
    }
    out.push_str(
        "# HELP shard_proxy_alive Whether the shard is in use.\n# TYPE shard_proxy_alive gauge\n",
    );
    for shard in &members.shards {
        let alive = u8::from(shard.alive());
        out.push_str(&format!(
            "shard_proxy_alive{{shard={}}} {alive}\n",
            json::string(&shard.name)
        ));
    }
    out
}

fn page<W: Wire>(pool: &Pool<W>) -> String {
    let rows: String = pool
        .members()
        .shards
        .iter()
        .map(|shard| {
            let c = shard.counters();
            let name: String = shard.name.chars().filter(|c| !"<>&\"".contains(*c)).collect();
            let state = if shard.alive() { "alive" } else { "ejected" };
            format!(
                "<tr><td>{name}<td>{state}<td>{}<td>{}<td>{}\n",
                c.requests, c.errors, c.ejections
            )
        })
        .collect();
    format!(
        "<!doctype html><title>shard-proxy</title><h1>Shards</h1>\n<table>\
         <tr><th>shard<th>state<th>requests<th>errors<th>ejections\n{rows}</table>\n"
    )
}
