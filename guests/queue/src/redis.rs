//! Lists over RESP: what each command does, and which of them wait.

use std::time::Duration;

use podlab_guest::resp::Value;

use crate::broker::{Broker, FULL};
use crate::lists::{End, Lists};

/// Bytes of an element.
pub const MAX_ELEMENT: usize = 512 << 10;

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

/// What a command leads to.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The answer.
    Done(Value),
    /// There is nothing yet: try again when something was pushed, for so long at most (`None`: for
    /// ever); then the answer is this.
    Wait(Option<Duration>, Value),
}

type Words<'a> = &'a [Vec<u8>];
type Answer = Result<Outcome, String>;

const SYNTAX: &str = "ERR syntax error";

/// Does what a command says.
pub fn answer(broker: &mut Broker, session: &mut Session, words: Words<'_>) -> Outcome {
    let name = String::from_utf8_lossy(&words[0]).to_ascii_lowercase();
    run(broker, session, &name, &words[1..]).unwrap_or_else(|e| Outcome::Done(Value::Error(e)))
}

fn done(value: Value) -> Answer {
    Ok(Outcome::Done(value))
}

fn count(n: usize) -> Answer {
    done(Value::Int(n as i64))
}

fn element(found: Option<Vec<u8>>) -> Answer {
    done(found.map_or(Value::Null, Value::Bulk))
}

fn run(broker: &mut Broker, session: &mut Session, name: &str, args: Words<'_>) -> Answer {
    let (least, most) = arity(name).ok_or_else(|| unknown(name, args))?;
    if !(least..=most).contains(&args.len()) {
        return Err(format!("ERR wrong number of arguments for '{name}' command"));
    }
    let key = args.first().map(Vec::as_slice).unwrap_or_default();
    match name {
        "ping" => {
            done(args.first().map_or(Value::Simple("PONG".into()), |m| Value::Bulk(m.clone())))
        }
        "echo" => done(Value::Bulk(key.to_vec())),
        "quit" => {
            session.quit = true;
            done(Value::ok())
        }
        "select" if key == b"0" => done(Value::ok()),
        "select" => Err("ERR DB index is out of range".into()),
        "hello" => hello(session, args),
        "client" => match String::from_utf8_lossy(key).to_ascii_lowercase().as_str() {
            "id" => done(Value::Int(session.id as i64)),
            "setname" | "setinfo" | "no-evict" | "no-touch" => done(Value::ok()),
            _ => Err(SYNTAX.into()),
        },
        // Clients ask for the table of commands and for settings when they start.
        "command" | "config" => done(Value::Array(Vec::new())),
        "info" => done(Value::text(info(broker))),
        "dbsize" => count(broker.lists.count()),
        "flushall" | "flushdb" => {
            broker.lists.clear();
            broker.note(&[b"FLUSHALL"]);
            done(Value::ok())
        }
        "exists" => count(args.iter().filter(|k| broker.lists.len(k) > 0).count()),
        "type" => {
            let kind = if broker.lists.len(key) > 0 { "list" } else { "none" };
            done(Value::Simple(kind.into()))
        }
        "del" | "unlink" => {
            let mut n = 0;
            for key in args {
                if broker.lists.remove(key) {
                    broker.note(&[b"DEL", key]);
                    n += 1;
                }
            }
            count(n)
        }
        "llen" => count(broker.lists.len(key)),
        "lindex" => element(broker.lists.index(key, integer(&args[1])?).cloned()),
        "lrange" => {
            let found = broker.lists.range(key, integer(&args[1])?, integer(&args[2])?);
            done(Value::Array(found.into_iter().map(Value::Bulk).collect()))
        }
        "lrem" => {
            let n = broker.lists.remove_equal(key, integer(&args[1])?, &args[2]);
            if n > 0 {
                broker.note(&[b"LREM", key, &args[1], &args[2]]);
            }
            count(n)
        }
        "lpush" => push(broker, key, End::Left, &args[1..]),
        "rpush" => push(broker, key, End::Right, &args[1..]),
        "lpushx" | "rpushx" if broker.lists.len(key) == 0 => count(0),
        "lpushx" => push(broker, key, End::Left, &args[1..]),
        "rpushx" => push(broker, key, End::Right, &args[1..]),
        "lpop" => pop(broker, key, End::Left, args.get(1)),
        "rpop" => pop(broker, key, End::Right, args.get(1)),
        "lmove" => element(shift(broker, key, end(&args[2])?, &args[1], end(&args[3])?)?),
        "rpoplpush" => element(shift(broker, key, End::Right, &args[1], End::Left)?),
        "blmove" => {
            let (at, to) = (end(&args[2])?, end(&args[3])?);
            let limit = timeout(&args[4])?;
            wait(shift(broker, key, at, &args[1], to)?.map(Value::Bulk), limit)
        }
        "brpoplpush" => {
            let limit = timeout(&args[2])?;
            let moved = shift(broker, key, End::Right, &args[1], End::Left)?;
            wait(moved.map(Value::Bulk), limit)
        }
        "blpop" | "brpop" => {
            let (keys, limit) = args.split_at(args.len() - 1);
            let limit = timeout(&limit[0])?;
            let at = if name == "blpop" { End::Left } else { End::Right };
            let found = keys.iter().find_map(|key| {
                let element = take(broker, key, at)?;
                Some(Value::Array(vec![Value::Bulk(key.clone()), Value::Bulk(element)]))
            });
            wait(found, limit)
        }
        _ => Err(unknown(name, args)),
    }
}

fn wait(found: Option<Value>, limit: Option<Duration>) -> Answer {
    Ok(found.map_or(Outcome::Wait(limit, Value::Null), Outcome::Done))
}

fn push(broker: &mut Broker, key: &[u8], at: End, elements: Words<'_>) -> Answer {
    let new = if broker.lists.len(key) == 0 { Lists::cost(key.len()) } else { 0 };
    let needed: usize = elements.iter().map(|e| Lists::cost(e.len())).sum();
    if new + needed > broker.room() {
        return Err(FULL.into());
    }
    let word: &[u8] = if at == End::Left { b"LPUSH" } else { b"RPUSH" };
    for element in elements {
        broker.record(&[word, key, element]).map_err(|e| format!("MISCONF {e}"))?;
        broker.lists.push(key, at, element.clone());
    }
    broker.ring();
    count(broker.lists.len(key))
}

fn take(broker: &mut Broker, key: &[u8], at: End) -> Option<Vec<u8>> {
    let element = broker.lists.pop(key, at)?;
    broker.note(&[if at == End::Left { b"LPOP" } else { b"RPOP" }, key]);
    Some(element)
}

fn pop(broker: &mut Broker, key: &[u8], at: End, most: Option<&Vec<u8>>) -> Answer {
    let Some(most) = most else { return element(take(broker, key, at)) };
    let most = usize::try_from(integer(most)?)
        .map_err(|_| "ERR value is out of range, must be positive".to_owned())?;
    if broker.lists.len(key) == 0 {
        return done(Value::Null);
    }
    let found: Vec<Value> =
        (0..most).map_while(|_| take(broker, key, at)).map(Value::Bulk).collect();
    done(Value::Array(found))
}

/// Moves an element as one step: it is in one list or in the other, whoever dies meanwhile.
fn shift(
    broker: &mut Broker,
    from: &[u8],
    at: End,
    to: &[u8],
    end: End,
) -> Result<Option<Vec<u8>>, String> {
    let place = if at == End::Left { 0 } else { -1 };
    let Some(element) = broker.lists.index(from, place).cloned() else { return Ok(None) };
    // First into the new list: cut between the two, a journal has it twice and never not at all.
    let push: &[u8] = if end == End::Left { b"LPUSH" } else { b"RPUSH" };
    let same = from == to;
    if !same {
        broker.record(&[push, to, &element]).map_err(|e| format!("MISCONF {e}"))?;
    }
    broker.note(&[if at == End::Left { b"LPOP" } else { b"RPOP" }, from]);
    if same {
        broker.note(&[push, to, &element]);
    }
    let moved = broker.lists.shift(from, at, to, end);
    broker.ring();
    Ok(moved)
}

fn end(word: &[u8]) -> Result<End, String> {
    match word.to_ascii_lowercase().as_slice() {
        b"left" => Ok(End::Left),
        b"right" => Ok(End::Right),
        _ => Err(SYNTAX.into()),
    }
}

fn integer(word: &[u8]) -> Result<i64, String> {
    let number = std::str::from_utf8(word).ok().and_then(|t| t.parse().ok());
    number.ok_or_else(|| "ERR value is not an integer or out of range".into())
}

/// Seconds, with a fraction; 0 is for ever.
fn timeout(word: &[u8]) -> Result<Option<Duration>, String> {
    let wrong = "ERR timeout is not a float or out of range";
    let text = std::str::from_utf8(word).map_err(|_| wrong)?;
    let seconds: f64 = text.parse().map_err(|_| wrong)?;
    if seconds < 0.0 {
        return Err("ERR timeout is negative".into());
    }
    let span = Duration::try_from_secs_f64(seconds).map_err(|_| wrong)?;
    Ok(Some(span).filter(|s| !s.is_zero()))
}

fn hello(session: &mut Session, args: Words<'_>) -> Answer {
    match args.first().map(Vec::as_slice) {
        None => {}
        Some(b"2") => session.version = 2,
        Some(b"3") => session.version = 3,
        Some(_) => return Err("NOPROTO unsupported protocol version".into()),
    }
    let pair = |name: &str, value: Value| (Value::text(name), value);
    done(Value::Map(vec![
        pair("server", Value::text("redis")),
        pair("version", Value::text("7.0.0")),
        pair("proto", Value::Int(session.version.into())),
        pair("id", Value::Int(session.id as i64)),
        pair("mode", Value::text("standalone")),
        pair("role", Value::text("master")),
        pair("modules", Value::Array(Vec::new())),
    ]))
}

fn info(broker: &Broker) -> String {
    format!(
        "# Server\r\nredis_version:7.0.0\r\nserver_name:queue\r\nuptime_in_seconds:{}\r\n\r\n\
         # Memory\r\nused_memory:{}\r\nmaxmemory:{}\r\nmaxmemory_policy:noeviction\r\n\r\n\
         # Replication\r\nrole:master\r\n\r\n# Keyspace\r\ndb0:keys={},expires=0,avg_ttl=0\r\n",
        broker.now().as_secs(),
        broker.bytes(),
        broker.limit(),
        broker.lists.count()
    )
}

/// How many arguments a command takes.
fn arity(name: &str) -> Option<(usize, usize)> {
    const ANY: usize = usize::MAX;
    Some(match name {
        "ping" => (0, 1),
        "quit" | "dbsize" => (0, 0),
        "hello" | "info" | "command" | "flushall" | "flushdb" => (0, ANY),
        "client" | "config" | "exists" | "del" | "unlink" => (1, ANY),
        "echo" | "select" | "type" | "llen" => (1, 1),
        "lpop" | "rpop" => (1, 2),
        "lindex" | "rpoplpush" => (2, 2),
        "lpush" | "rpush" | "lpushx" | "rpushx" | "blpop" | "brpop" => (2, ANY),
        "lrange" | "lrem" | "brpoplpush" => (3, 3),
        "lmove" => (4, 4),
        "blmove" => (5, 5),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(broker: &mut Broker, text: &str) -> String {
        let mut session = Session { version: 2, id: 1, quit: false };
        let words: Vec<Vec<u8>> = text.split(' ').map(|w| w.as_bytes().to_vec()).collect();
        match answer(broker, &mut session, &words) {
            Outcome::Done(value) => {
                let mut out = Vec::new();
                value.encode(2, &mut out);
                String::from_utf8(out).unwrap().trim_end().replace("\r\n", " ")
            }
            Outcome::Wait(limit, _) => format!("waits {limit:?}"),
        }
    }

    #[test]
    fn a_conversation() {
        let broker = &mut Broker::new(1 << 20, 5);
        for (asked, wanted) in [
            ("LPUSH q a b", ":2"),
            ("RPUSH q c", ":3"),
            ("LRANGE q 0 -1", "*3 $1 b $1 a $1 c"),
            ("RPOPLPUSH q busy", "$1 c"),
            ("LMOVE q busy LEFT RIGHT", "$1 b"),
            ("LMOVE q busy LEFT MIDDLE", "-ERR syntax error"),
            ("LRANGE busy 0 -1", "*2 $1 c $1 b"),
            ("LREM busy 1 c", ":1"),
            ("BRPOPLPUSH q busy 1.5", "$1 a"),
            ("BRPOPLPUSH q busy 1.5", "waits Some(1.5s)"),
            ("BLPOP x busy 0", "*2 $4 busy $1 a"),
            ("BLPOP x q 0", "waits None"),
            ("BLMOVE q busy LEFT RIGHT -1", "-ERR timeout is negative"),
            ("BLPOP q soon", "-ERR timeout is not a float or out of range"),
            ("LPUSHX q a", ":0"),
            ("TYPE busy", "+list"),
            ("LLEN busy", ":1"),
            ("LPOP busy 5", "*1 $1 b"),
            ("LPOP busy 5", "$-1"),
            ("RPOP busy", "$-1"),
            ("DBSIZE", ":0"),
            ("LRANGE q a b", "-ERR value is not an integer or out of range"),
            ("LPUSH q", "-ERR wrong number of arguments for 'lpush' command"),
            ("SET a b", "-ERR unknown command 'set', with args beginning with: 'a' 'b'"),
        ] {
            assert_eq!(talk(broker, asked), wanted, "{asked}");
        }
        assert_eq!(broker.bytes(), 0);
    }

    #[test]
    fn a_full_broker_says_no_and_hands_out_on() {
        let broker = &mut Broker::new(200, 5);
        assert_eq!(talk(broker, &format!("LPUSH q {}", "x".repeat(100))), ":1");
        assert_eq!(talk(broker, &format!("LPUSH q {}", "x".repeat(100))), format!("-{FULL}"));
        assert!(talk(broker, "RPOPLPUSH q busy").starts_with("$100"));
        assert_eq!(talk(broker, "DEL busy"), ":1");
        assert_eq!(talk(broker, "LPUSH q x"), ":1");
    }
}
