//! memcached through the proxy.

use std::collections::BTreeMap;
use std::rc::Rc;

use podlab_guest::log;
use podlab_guest::memcached::{self as mc, Item, Parsed, Reply, Request, Verb};

use crate::front::{Front, Step};
use crate::pool::Pool;
use crate::promise::all;
use crate::shard::{Fault, Wire};

/// The largest value, in bytes.
const MAX_VALUE: usize = 1 << 20;

/// The protocol towards the shards. An answer is read by what was asked.
pub struct Memcached;

impl Wire for Memcached {
    type Ask = (Verb, Rc<[Vec<u8>]>);
    type Reply = Reply;

    fn parse((verb, keys): &Self::Ask, bytes: &[u8]) -> Result<Option<(Reply, usize)>, String> {
        let parsed = mc::parse_reply(bytes, *verb, MAX_VALUE)?;
        if let Some((Reply::Items(items), _)) = &parsed
            && items.iter().any(|item| !keys.contains(&item.key))
        {
            return Err("a value that was not asked for".into());
        }
        Ok(parsed)
    }

    fn probe() -> (Vec<u8>, Self::Ask) {
        (b"version\r\n".to_vec(), (Verb::Version, Rc::new([])))
    }
}

/// A client.
pub struct Client {
    /// Its number.
    pub id: u64,
    /// Where its requests go.
    pub pool: Rc<Pool<Memcached>>,
}

impl Front for Client {
    fn step(&mut self, input: &[u8]) -> Option<Step> {
        match mc::parse(input, MAX_VALUE) {
            Parsed::Incomplete => None,
            Parsed::Refused(refusal) => Some(Step {
                skip: refusal.skip,
                close: refusal.close,
                refused: Some(refusal.reply.to_owned()),
                ..Step::answer(refusal.used, Reply::Line(refusal.reply.to_owned()).encode())
            }),
            Parsed::Request(request, used) if request.verb == Verb::Quit => {
                Some(Step { work: None, close: true, ..Step::answer(used, Vec::new()) })
            }
            Parsed::Request(mut request, used) => {
                // A shard always answers, so that its answers stay in step.
                let silent = std::mem::take(&mut request.noreply);
                let (id, pool) = (self.id, self.pool.clone());
                Some(Step::request(used, async move {
                    let reply = answer(id, &pool, request).await;
                    if silent { Vec::new() } else { reply.encode() }
                }))
            }
        }
    }
}

async fn answer(client: u64, pool: &Rc<Pool<Memcached>>, request: Request) -> Reply {
    match request.verb {
        verb if verb.retrieves() => retrieve(client, pool, request).await,
        Verb::Version => Reply::Line(format!("VERSION {} shard-proxy", env!("CARGO_PKG_VERSION"))),
        Verb::Verbosity => Reply::Line("OK".into()),
        Verb::Stats => Reply::Stats(stats(pool)),
        Verb::FlushAll => {
            let shards = pool.members().shards.clone();
            everywhere(client, pool, shards, &request).await
        }
        _ => write(client, pool, request).await,
    }
}

fn failed(fault: Fault) -> Reply {
    Reply::Line(format!("SERVER_ERROR {}", fault.text()))
}

/// Splits a get by shard, and merges what comes back in the order of the keys. Keys of a shard that
/// does not answer are misses if others answered: to a cache's client a miss is always possible.
async fn retrieve(client: u64, pool: &Rc<Pool<Memcached>>, request: Request) -> Reply {
    let mut parts: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for key in &request.keys {
        let Some(shard) = pool.reads(key) else { return failed(Fault::NoShard) };
        parts.entry(shard.name.clone()).or_default().push(key.clone());
    }
    let asked = parts.into_iter().map(|(name, keys)| {
        let part = Request { keys, ..request.clone() };
        async move {
            let bytes = part.encode();
            let (first, repeatable) = (part.keys[0].clone(), part.verb.repeatable());
            // The shard chosen above, if it still is one; otherwise the one that has its keys now.
            let pick = || {
                let members = pool.members();
                let chosen = members.shards.iter().find(|s| s.name == name && s.alive());
                chosen.cloned().or_else(|| pool.reads(&first))
            };
            pool.ask(client, &bytes, (part.verb, part.keys.into()), repeatable, pick).await
        }
    });
    let replies = all(asked.collect()).await;
    let (mut items, mut fault, mut answered) = (Vec::<Item>::new(), None, false);
    for reply in replies {
        match reply {
            Ok(Reply::Items(found)) => {
                answered = true;
                items.extend(found);
            }
            // The shard's own error.
            Ok(other) => return other,
            Err(error) => fault = Some(error),
        }
    }
    match fault {
        Some(fault) if !answered => failed(fault),
        _ => {
            let of = |key: &Vec<u8>| items.iter().find(|i| i.key == *key).cloned();
            Reply::Items(request.keys.iter().filter_map(of).collect())
        }
    }
}

async fn write(client: u64, pool: &Rc<Pool<Memcached>>, request: Request) -> Reply {
    let key = &request.keys[0];
    if pool.is_hot(key) {
        // Several copies cannot be changed as one: only what needs no look at the old value is
        // allowed.
        return match request.verb {
            Verb::Set | Verb::Delete | Verb::Touch => {
                everywhere(client, pool, pool.writes(key), &request).await
            }
            _ => {
                Reply::Line("SERVER_ERROR this key has copies: only get, set, delete, touch".into())
            }
        };
    }
    let ask = (request.verb, Rc::from([]));
    let pick = || pool.writes(key).into_iter().next();
    let result = pool.ask(client, &request.encode(), ask, request.verb.repeatable(), pick).await;
    result.unwrap_or_else(failed)
}

/// Sends a request to several shards: the first error, or the first answer.
async fn everywhere(
    client: u64,
    pool: &Rc<Pool<Memcached>>,
    shards: Vec<Rc<crate::shard::Shard<Memcached>>>,
    request: &Request,
) -> Reply {
    let bytes = request.encode();
    let asked = shards.into_iter().map(|shard| {
        let (bytes, ask) = (&bytes, (request.verb, Rc::from([])));
        async move { pool.ask(client, bytes, ask, false, || Some(shard.clone())).await }
    });
    let replies: Vec<Reply> =
        all(asked.collect()).await.into_iter().map(|r| r.unwrap_or_else(failed)).collect();
    let error = replies.iter().find(|r| r.is_error());
    error.or(replies.first()).cloned().unwrap_or_else(|| failed(Fault::NoShard))
}

fn stats(pool: &Pool<Memcached>) -> Vec<(String, String)> {
    let mut out = vec![("version".into(), env!("CARGO_PKG_VERSION").into())];
    for (i, shard) in pool.members().shards.iter().enumerate() {
        let c = shard.counters();
        out.push((format!("shard:{i}:name"), shard.name.clone()));
        for (name, n) in [
            ("alive", u64::from(shard.alive())),
            ("requests", c.requests),
            ("errors", c.errors),
            ("ejections", c.ejections),
        ] {
            out.push((format!("shard:{i}:{name}"), n.to_string()));
        }
    }
    if out.len() == 1 {
        log::warn("no-shards", &[]);
    }
    out
}
