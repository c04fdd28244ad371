//! The store as Redis: strings, numbers and times to live.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use podlab_guest::resp::Value;

use crate::store::{MAX_VALUE, Store};

/// One client.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// The version of RESP it speaks: 2 until HELLO says otherwise.
    pub version: u8,
    /// Its number.
    pub id: u64,
    /// It has said QUIT.
    pub quit: bool,
}

type Words<'a> = &'a [Vec<u8>];
type Answer = Result<Value, String>;

const SYNTAX: &str = "ERR syntax error";
const INTEGER: &str = "ERR value is not an integer or out of range";

/// Does what a command says; `now` is the program's age.
pub fn answer(store: &mut Store, session: &mut Session, words: Words<'_>, now: Duration) -> Value {
    let name = String::from_utf8_lossy(&words[0]).to_ascii_lowercase();
    match run(store, session, &name, &words[1..], now) {
        Ok(value) => value,
        Err(message) => Value::Error(message),
    }
}

fn run(
    store: &mut Store,
    session: &mut Session,
    name: &str,
    args: Words<'_>,
    now: Duration,
) -> Answer {
    let (least, most) = arity(name).ok_or_else(|| unknown(name, args))?;
    if !(least..=most).contains(&args.len()) || (name == "mset" && args.len() % 2 == 1) {
        return Err(format!("ERR wrong number of arguments for '{name}' command"));
    }
    let key = args.first().map(Vec::as_slice).unwrap_or_default();
    let count = |n: usize| Ok(Value::Int(n as i64));
    match name {
        "ping" => Ok(args.first().map_or(Value::Simple("PONG".into()), |m| Value::Bulk(m.clone()))),
        "echo" => Ok(Value::Bulk(key.to_vec())),
        "quit" => {
            session.quit = true;
            Ok(Value::ok())
        }
        "select" if key == b"0" => Ok(Value::ok()),
        "select" => Err("ERR DB index is out of range".into()),
        "hello" => hello(session, args),
        "client" => client(session, args),
        // Clients ask for the table of commands and for settings when they start.
        "command" | "config" => Ok(Value::Array(Vec::new())),
        "info" => Ok(Value::text(info(store, now))),
        "dbsize" => count(store.items()),
        "time" => Ok(unix_time()),
        "flushall" | "flushdb" => {
            store.flush(now, now);
            Ok(Value::ok())
        }
        "get" => Ok(read(store, key, now)),
        "mget" => Ok(Value::Array(args.iter().map(|k| read(store, k, now)).collect())),
        "exists" | "touch" => count(args.iter().filter(|k| store.peek(k, now).is_some()).count()),
        "del" | "unlink" => count(args.iter().filter(|k| store.remove(k, now)).count()),
        "strlen" => count(store.peek(key, now).map_or(0, |e| e.data.len())),
        "type" => Ok(Value::Simple(store.peek(key, now).map_or("none", |_| "string").into())),
        "set" => set(store, key, &args[1], &args[2..], now),
        "setex" | "psetex" => {
            let span = span(&args[1], name == "setex", name)?;
            write(store, key, &args[2], Some(now + span), now)
        }
        "setnx" => {
            let free = store.peek(key, now).is_none();
            if free {
                write(store, key, &args[1], None, now)?;
            }
            count(free.into())
        }
        "mset" => {
            for pair in args.chunks(2) {
                write(store, &pair[0], &pair[1], None, now)?;
            }
            Ok(Value::ok())
        }
        "getset" => {
            let old = read(store, key, now);
            write(store, key, &args[1], None, now)?;
            Ok(old)
        }
        "getdel" => {
            let old = read(store, key, now);
            store.remove(key, now);
            Ok(old)
        }
        "append" => {
            let (old, until) = store
                .peek(key, now)
                .map_or_else(Default::default, |e| (e.data.to_vec(), e.expires));
            let new = [old, args[1].clone()].concat();
            write(store, key, &new, until, now)?;
            count(new.len())
        }
        "incr" => add(store, key, 1, now),
        "decr" => add(store, key, -1, now),
        "incrby" => add(store, key, integer(&args[1])?, now),
        "decrby" => {
            let by = integer(&args[1])?.checked_neg().ok_or("ERR decrement would overflow")?;
            add(store, key, by, now)
        }
        "expire" | "pexpire" => {
            let n = integer(&args[1])?;
            let unit = if name == "expire" { 1000 } else { 1 };
            let ms = u64::try_from(n).unwrap_or(0).saturating_mul(unit);
            let there = store.peek(key, now).is_some();
            store.touch(key, Some(now.saturating_add(Duration::from_millis(ms))), now);
            count(there.into())
        }
        "persist" => {
            let had = store.peek(key, now).is_some_and(|e| e.expires.is_some());
            store.touch(key, None, now);
            count(had.into())
        }
        "ttl" | "pttl" => Ok(Value::Int(match store.peek(key, now).map(|e| e.expires) {
            None => -2,
            Some(None) => -1,
            Some(Some(at)) => {
                let left = at.saturating_sub(now).as_millis() as i64;
                // Redis rounds to the nearest second.
                if name == "ttl" { (left + 500) / 1000 } else { left }
            }
        })),
        _ => Err(unknown(name, args)),
    }
}

/// How many arguments a command takes.
fn arity(name: &str) -> Option<(usize, usize)> {
    const ANY: usize = usize::MAX;
    Some(match name {
        "ping" => (0, 1),
        "quit" | "dbsize" | "time" => (0, 0),
        "hello" | "info" | "command" | "flushall" | "flushdb" => (0, ANY),
        "client" | "config" => (1, ANY),
        "echo" | "select" | "get" | "strlen" | "type" | "getdel" | "incr" | "decr" | "persist"
        | "ttl" | "pttl" => (1, 1),
        "mget" | "exists" | "touch" | "del" | "unlink" => (1, ANY),
        "setnx" | "getset" | "append" | "incrby" | "decrby" | "expire" | "pexpire" => (2, 2),
        "mset" | "set" => (2, ANY),
        "setex" | "psetex" => (3, 3),
        _ => return None,
    })
}

fn unknown(name: &str, args: Words<'_>) -> String {
    let mut out = format!("ERR unknown command '{name:.128}', with args beginning with: ");
    for arg in args.iter().take(5) {
        out.push_str(&format!("'{:.32}' ", String::from_utf8_lossy(arg)));
    }
    out
}

fn integer(word: &[u8]) -> Result<i64, String> {
    std::str::from_utf8(word).ok().and_then(|t| t.parse().ok()).ok_or_else(|| INTEGER.into())
}

/// A time to live that is above 0.
fn span(word: &[u8], seconds: bool, command: &str) -> Result<Duration, String> {
    let n = integer(word)?;
    let n = u64::try_from(n).ok().filter(|n| *n > 0 && *n < 1 << 40);
    let n = n.ok_or_else(|| format!("ERR invalid expire time in '{command}' command"))?;
    Ok(if seconds { Duration::from_secs(n) } else { Duration::from_millis(n) })
}

fn read(store: &mut Store, key: &[u8], now: Duration) -> Value {
    store.get(key, now).map_or(Value::Null, |e| Value::Bulk(e.data.to_vec()))
}

fn write(
    store: &mut Store,
    key: &[u8],
    data: &[u8],
    until: Option<Duration>,
    now: Duration,
) -> Answer {
    if data.len() > MAX_VALUE {
        return Err("ERR string exceeds maximum allowed size (proto-max-bulk-len)".into());
    }
    match store.put(key, data, 0, until, now) {
        true => Ok(Value::ok()),
        false => Err("OOM command not allowed when used memory > 'maxmemory'.".into()),
    }
}

fn add(store: &mut Store, key: &[u8], by: i64, now: Duration) -> Answer {
    let entry = store.peek(key, now);
    let old = entry.as_ref().map_or(Ok(0), |e| integer(&e.data))?;
    let new = old.checked_add(by).ok_or("ERR increment or decrement would overflow")?;
    write(store, key, new.to_string().as_bytes(), entry.and_then(|e| e.expires), now)?;
    Ok(Value::Int(new))
}

/// `SET key value [NX | XX] [GET] [EX s | PX ms | KEEPTTL]`.
fn set(store: &mut Store, key: &[u8], data: &[u8], options: Words<'_>, now: Duration) -> Answer {
    let old = store.peek(key, now);
    let (mut until, mut timed, mut only, mut get) = (None, false, None, false);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match (option.to_ascii_uppercase().as_slice(), timed, only) {
            (b"NX", _, None) => only = Some(false),
            (b"XX", _, None) => only = Some(true),
            (b"GET", ..) => get = true,
            (b"KEEPTTL", false, _) => (until, timed) = (old.as_ref().and_then(|e| e.expires), true),
            (unit @ (b"EX" | b"PX"), false, _) => {
                let word = options.next().ok_or(SYNTAX)?;
                (until, timed) = (Some(now + span(word, unit == b"EX", "set")?), true);
            }
            _ => return Err(SYNTAX.into()),
        }
    }
    let refused = only.is_some_and(|there| there != old.is_some());
    if !refused {
        write(store, key, data, until, now)?;
    }
    Ok(match (get, refused) {
        (true, _) => old.map_or(Value::Null, |e| Value::Bulk(e.data.to_vec())),
        (false, true) => Value::Null,
        (false, false) => Value::ok(),
    })
}

fn hello(session: &mut Session, args: Words<'_>) -> Answer {
    match args.first().map(|v| v.as_slice()) {
        None => {}
        Some(b"2") => session.version = 2,
        Some(b"3") => session.version = 3,
        Some(_) => return Err("NOPROTO unsupported protocol version".into()),
    }
    if args.iter().skip(1).any(|a| a.eq_ignore_ascii_case(b"AUTH")) {
        return Err(
            "ERR AUTH <password> called without any password configured for the default user"
                .into(),
        );
    }
    let text = |t: &str| Value::text(t);
    Ok(Value::Map(vec![
        (text("server"), text("redis")),
        (text("version"), text(VERSION)),
        (text("proto"), Value::Int(session.version.into())),
        (text("id"), Value::Int(session.id as i64)),
        (text("mode"), text("standalone")),
        (text("role"), text("master")),
        (text("modules"), Value::Array(Vec::new())),
    ]))
}

fn client(session: &Session, args: Words<'_>) -> Answer {
    match args[0].to_ascii_uppercase().as_slice() {
        b"SETNAME" | b"SETINFO" | b"NO-EVICT" | b"NO-TOUCH" => Ok(Value::ok()),
        b"GETNAME" => Ok(Value::Null),
        b"ID" => Ok(Value::Int(session.id as i64)),
        other => Err(format!(
            "ERR unknown subcommand '{:.64}'. Try CLIENT HELP.",
            String::from_utf8_lossy(other)
        )),
    }
}

/// Clients decide by this what they may send: the commands here are those of Redis 6.2.
const VERSION: &str = "6.2.0";

/// The text of INFO.
pub fn info(store: &Store, now: Duration) -> String {
    let c = &store.counters;
    let (used, most, keys) = (store.bytes(), store.limit(), store.items());
    let mut out = String::new();
    let mut section = |title: &str, lines: &[(&str, String)]| {
        out.push_str(&format!("# {title}\r\n"));
        for (name, value) in lines {
            out.push_str(&format!("{name}:{value}\r\n"));
        }
        out.push_str("\r\n");
    };
    section(
        "Server",
        &[
            ("redis_version", VERSION.into()),
            ("redis_mode", "standalone".into()),
            ("uptime_in_seconds", now.as_secs().to_string()),
        ],
    );
    section("Clients", &[("connected_clients", c.connections.to_string())]);
    section(
        "Memory",
        &[
            ("used_memory", used.to_string()),
            ("maxmemory", most.to_string()),
            ("maxmemory_policy", "allkeys-lru".into()),
        ],
    );
    section(
        "Stats",
        &[
            ("total_connections_received", c.total_connections.to_string()),
            ("total_commands_processed", c.commands.to_string()),
            ("expired_keys", c.expired.to_string()),
            ("evicted_keys", c.evictions.to_string()),
            ("keyspace_hits", c.hits.to_string()),
            ("keyspace_misses", c.misses.to_string()),
        ],
    );
    section("Replication", &[("role", "master".into()), ("connected_slaves", "0".into())]);
    section("Keyspace", &[("db0", format!("keys={keys},expires=0,avg_ttl=0"))]);
    out
}

fn unix_time() -> Value {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let parts = [unix.as_secs(), unix.subsec_micros().into()];
    Value::Array(parts.iter().map(|n| Value::text(n.to_string())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(store: &mut Store, second: u64, text: &str) -> String {
        let mut session = Session { version: 2, id: 1, quit: false };
        let words: Vec<Vec<u8>> = text.split(' ').map(|w| w.as_bytes().to_vec()).collect();
        let mut out = Vec::new();
        answer(store, &mut session, &words, Duration::from_secs(second)).encode(2, &mut out);
        String::from_utf8(out).unwrap().trim_end().replace("\r\n", " ")
    }

    #[test]
    fn a_conversation() {
        let s = &mut Store::new(1 << 20);
        for (asked, wanted) in [
            ("PING", "+PONG"),
            ("ping hi", "$2 hi"),
            ("GET a", "$-1"),
            ("SET a 10", "+OK"),
            ("set a 11 NX", "$-1"),
            ("SET b x XX", "$-1"),
            ("SET a 12 GET", "$2 10"),
            ("INCR a", ":13"),
            ("DECRBY a 3", ":10"),
            ("INCRBY a x", "-ERR value is not an integer or out of range"),
            ("SET a 1 EX", "-ERR syntax error"),
            ("SET a 1 EX 0", "-ERR invalid expire time in 'set' command"),
            ("SET a 1 EX 5 PX 5", "-ERR syntax error"),
            ("GET", "-ERR wrong number of arguments for 'get' command"),
            ("NOPE x", "-ERR unknown command 'nope', with args beginning with: 'x'"),
            ("MSET b 1 c 2", "+OK"),
            ("MSET b 1 c", "-ERR wrong number of arguments for 'mset' command"),
            ("MGET a z c", "*3 $2 10 $-1 $1 2"),
            ("EXISTS a b z a", ":3"),
            ("DEL a b z", ":2"),
            ("APPEND c 34", ":3"),
            ("STRLEN c", ":3"),
            ("GETDEL c", "$3 234"),
            ("TYPE c", "+none"),
            ("SETNX c 1", ":1"),
            ("SETNX c 1", ":0"),
            ("SET n 9223372036854775807", "+OK"),
            ("INCR n", "-ERR increment or decrement would overflow"),
            ("FLUSHALL", "+OK"),
            ("DBSIZE", ":0"),
        ] {
            assert_eq!(talk(s, 1, asked), wanted, "{asked}");
        }
    }

    #[test]
    fn times_to_live() {
        let s = &mut Store::new(1 << 20);
        talk(s, 100, "SET a 1 EX 10");
        assert_eq!(talk(s, 103, "TTL a"), ":7");
        assert_eq!(talk(s, 103, "PTTL a"), ":7000");
        talk(s, 103, "INCR a");
        assert_eq!(talk(s, 104, "TTL a"), ":6", "counting keeps the time");
        assert_eq!(talk(s, 110, "GET a"), "$-1");
        assert_eq!(talk(s, 110, "TTL a"), ":-2");
        talk(s, 110, "SET a 1");
        assert_eq!(talk(s, 110, "TTL a"), ":-1");
        assert_eq!(talk(s, 110, "EXPIRE a 5"), ":1");
        assert_eq!(talk(s, 110, "PERSIST a"), ":1");
        assert_eq!(talk(s, 200, "GET a"), "$1 1");
        assert_eq!(talk(s, 200, "EXPIRE a -1"), ":1");
        assert_eq!(talk(s, 200, "EXISTS a"), ":0");
    }
}
