//! Redis through the proxy. Towards the shards it is always RESP 2.

use std::collections::BTreeMap;
use std::rc::Rc;

use podlab_guest::resp::{self, Value};

use crate::front::{Front, Step};
use crate::pool::Pool;
use crate::promise::all;
use crate::shard::{Fault, Wire};

/// The largest value, in bytes.
const MAX_VALUE: usize = 1 << 20;

/// The protocol towards the shards.
pub struct Redis;

impl Wire for Redis {
    type Ask = ();
    type Reply = Value;

    fn parse((): &(), bytes: &[u8]) -> Result<Option<(Value, usize)>, String> {
        resp::parse_value(bytes, MAX_VALUE)
    }

    fn probe() -> (Vec<u8>, ()) {
        (resp::command(&[b"PING"]), ())
    }
}

/// A client.
pub struct Client {
    /// Its number.
    pub id: u64,
    /// Where its requests go.
    pub pool: Rc<Pool<Redis>>,
    /// The version of RESP it speaks.
    pub version: u8,
}

/// How a command finds its shards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    /// By its only key. The flag: it only reads.
    One(bool),
    /// Each argument is a key; the answers are added up.
    Sum(bool),
    /// MGET.
    Each,
    /// MSET.
    Pairs,
}

fn route(name: &str) -> Option<Route> {
    Some(match name {
        "get" | "strlen" | "ttl" | "pttl" | "type" => Route::One(true),
        "set" | "setex" | "psetex" | "setnx" | "getset" | "getdel" | "append" | "incr" | "decr"
        | "incrby" | "decrby" | "expire" | "pexpire" | "persist" => Route::One(false),
        "exists" => Route::Sum(true),
        "del" | "unlink" | "touch" => Route::Sum(false),
        "mget" => Route::Each,
        "mset" => Route::Pairs,
        _ => return None,
    })
}

impl Front for Client {
    fn step(&mut self, input: &[u8]) -> Option<Step> {
        let version = self.version;
        let encode = move |value: &Value| {
            let mut out = Vec::new();
            value.encode(version, &mut out);
            out
        };
        match resp::parse_command(input, MAX_VALUE) {
            Ok(None) => None,
            Err(message) => Some(Step {
                close: true,
                refused: Some(message.clone()),
                ..Step::answer(input.len(), encode(&Value::Error(message)))
            }),
            Ok(Some((words, used))) if words.is_empty() => {
                Some(Step { work: None, ..Step::answer(used, Vec::new()) })
            }
            Ok(Some((words, used))) => {
                let name = String::from_utf8_lossy(&words[0]).to_ascii_lowercase();
                if let Some(value) = self.own(&name, &words[1..]) {
                    let mut out = Vec::new();
                    value.encode(self.version, &mut out);
                    return Some(Step { close: name == "quit", ..Step::answer(used, out) });
                }
                let Some(route) = route(&name) else {
                    let text = format!("ERR unknown command '{name:.128}' for a sharding proxy");
                    return Some(Step::answer(used, encode(&Value::Error(text))));
                };
                if words.len() < 2 || (route == Route::Pairs && words.len().is_multiple_of(2)) {
                    let text = format!("ERR wrong number of arguments for '{name}' command");
                    return Some(Step::answer(used, encode(&Value::Error(text))));
                }
                let (id, pool) = (self.id, self.pool.clone());
                Some(Step::request(used, async move {
                    encode(&answer(id, &pool, route, &words).await.unwrap_or_else(|e| e))
                }))
            }
        }
    }
}

impl Client {
    /// What needs no shard.
    fn own(&mut self, name: &str, args: &[Vec<u8>]) -> Option<Value> {
        Some(match (name, args) {
            ("ping", []) => Value::Simple("PONG".into()),
            ("ping" | "echo", [text]) => Value::Bulk(text.clone()),
            ("quit", _) => Value::ok(),
            ("select", [n]) if n == b"0" => Value::ok(),
            ("command" | "config", _) => Value::Array(Vec::new()),
            ("client", [sub, ..]) if !sub.eq_ignore_ascii_case(b"id") => Value::ok(),
            ("client", _) => Value::Int(self.id as i64),
            ("hello", args) => {
                match args.first().map(Vec::as_slice) {
                    None => {}
                    Some(b"2") => self.version = 2,
                    Some(b"3") => self.version = 3,
                    Some(_) => {
                        return Some(Value::Error("NOPROTO unsupported protocol version".into()));
                    }
                }
                Value::Map(vec![
                    (Value::text("server"), Value::text("redis")),
                    (Value::text("version"), Value::text("6.2.0")),
                    (Value::text("proto"), Value::Int(self.version.into())),
                    (Value::text("mode"), Value::text("proxy")),
                ])
            }
            ("info", _) => {
                let members = self.pool.members();
                let mut text = format!("# Proxy\r\nshards:{}\r\n", members.shards.len());
                for (i, shard) in members.shards.iter().enumerate() {
                    let c = shard.counters();
                    text.push_str(&format!(
                        "shard{i}:name={},alive={},requests={},errors={}\r\n",
                        shard.name,
                        u8::from(shard.alive()),
                        c.requests,
                        c.errors
                    ));
                }
                Value::text(text)
            }
            _ => return None,
        })
    }
}

fn failed(fault: Fault) -> Value {
    Value::Error(format!("ERR {}", fault.text()))
}

/// The answer; an error ends what is made of several parts, as Redis has no half answers.
async fn answer(
    client: u64,
    pool: &Rc<Pool<Redis>>,
    route: Route,
    words: &[Vec<u8>],
) -> Result<Value, Value> {
    let (step, reads) = match route {
        Route::One(reads) => return one(client, pool, words, reads).await,
        Route::Sum(reads) => (1, reads),
        Route::Each => (1, true),
        Route::Pairs => (2, false),
    };
    // The places of the keys, by shard.
    let keys: Vec<&[Vec<u8>]> = words[1..].chunks(step).collect();
    let mut parts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, key) in keys.iter().enumerate() {
        let shard =
            pool.writes(&key[0]).into_iter().next().ok_or_else(|| failed(Fault::NoShard))?;
        parts.entry(shard.name.clone()).or_default().push(place);
    }
    let asked = parts.values().map(|places| {
        let mut part = vec![words[0].clone()];
        part.extend(places.iter().flat_map(|p| keys[*p].iter().cloned()));
        async move { one(client, pool, &part, reads).await }
    });
    let replies = all(asked.collect()).await.into_iter().collect::<Result<Vec<Value>, Value>>()?;
    let wrong = || Value::Error("ERR the shard answered something else".into());
    match route {
        Route::Pairs => Ok(Value::ok()),
        Route::Each => {
            let mut values = vec![Value::Null; keys.len()];
            for (places, reply) in parts.values().zip(replies) {
                match reply {
                    Value::Array(found) if found.len() == places.len() => {
                        for (place, value) in places.iter().zip(found) {
                            values[*place] = value;
                        }
                    }
                    _ => return Err(wrong()),
                }
            }
            Ok(Value::Array(values))
        }
        _ => {
            let mut sum = 0i64;
            for reply in replies {
                let Value::Int(n) = reply else { return Err(wrong()) };
                sum = sum.saturating_add(n);
            }
            Ok(Value::Int(sum))
        }
    }
}

async fn one(
    client: u64,
    pool: &Rc<Pool<Redis>>,
    words: &[Vec<u8>],
    reads: bool,
) -> Result<Value, Value> {
    let bytes = resp::command(&words.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let pick = || pool.writes(&words[1]).into_iter().next();
    match pool.ask(client, &bytes, (), reads, pick).await {
        Ok(Value::Error(text)) => Err(Value::Error(text)),
        Ok(value) => Ok(value),
        Err(fault) => Err(failed(fault)),
    }
}
