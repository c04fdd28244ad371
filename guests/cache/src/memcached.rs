//! The store as memcached.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use podlab_guest::memcached::{Item, Reply, Request, Verb};

use crate::store::{Entry, MAX_VALUE, Store};

/// Above this many seconds an exptime is a Unix time (doc/protocol.txt).
const MONTH: i64 = 60 * 60 * 24 * 30;

/// When an exptime is over, on the store's clock.
fn expires(exptime: i64, now: Duration) -> Option<Duration> {
    match exptime {
        0 => None,
        i64::MIN..0 => Some(Duration::ZERO),
        1..=MONTH => Some(now + Duration::from_secs(exptime as u64)),
        _ => {
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Some((now + Duration::from_secs(exptime as u64)).saturating_sub(unix))
        }
    }
}

/// Does what `request` asks; `now` is the program's age.
pub fn answer(store: &mut Store, request: &Request, now: Duration) -> Reply {
    let line = |text: &str| Reply::Line(text.to_owned());
    let key = request.keys.first().map(Vec::as_slice).unwrap_or_default();
    let until = expires(request.exptime, now);
    match request.verb {
        Verb::Get | Verb::Gets | Verb::Gat | Verb::Gats => {
            let with_cas = matches!(request.verb, Verb::Gets | Verb::Gats);
            let mut items = Vec::new();
            for key in &request.keys {
                let Some(entry) = store.get(key, now) else { continue };
                if matches!(request.verb, Verb::Gat | Verb::Gats) {
                    store.touch(key, until, now);
                }
                let (data, cas) = (entry.data.to_vec(), with_cas.then_some(entry.cas));
                items.push(Item { key: key.clone(), flags: entry.flags, data, cas });
            }
            Reply::Items(items)
        }
        verb if verb.stores() => {
            let old = store.peek(key, now);
            let data = match (verb, &old) {
                (Verb::Set, _) | (Verb::Add, None) | (Verb::Replace, Some(_)) => {
                    request.data.clone()
                }
                (Verb::Append, Some(e)) => [&e.data[..], &request.data[..]].concat(),
                (Verb::Prepend, Some(e)) => [&request.data[..], &e.data[..]].concat(),
                (Verb::Cas, Some(e)) if e.cas == request.cas => request.data.clone(),
                (Verb::Cas, Some(_)) => return line("EXISTS"),
                (Verb::Cas, None) => return line("NOT_FOUND"),
                _ => return line("NOT_STORED"),
            };
            if data.len() > MAX_VALUE {
                return line("SERVER_ERROR object too large for cache");
            }
            // What is added to keeps its flags and its time.
            let (flags, until) = match (verb, &old) {
                (Verb::Append | Verb::Prepend, Some(e)) => (e.flags, e.expires),
                _ => (request.flags, until),
            };
            match store.put(key, &data, flags, until, now) {
                true => line("STORED"),
                false => line("SERVER_ERROR out of memory storing object"),
            }
        }
        Verb::Incr | Verb::Decr => {
            let Some(entry) = store.get(key, now) else { return line("NOT_FOUND") };
            let Some(old) = number(&entry) else {
                return line("CLIENT_ERROR cannot increment or decrement non-numeric value");
            };
            let new = match request.verb {
                Verb::Incr => old.wrapping_add(request.delta),
                _ => old.saturating_sub(request.delta),
            };
            let text = new.to_string();
            store.put(key, text.as_bytes(), entry.flags, entry.expires, now);
            Reply::Line(text)
        }
        Verb::Delete if store.peek(key, now).is_some() => {
            store.remove(key, now);
            line("DELETED")
        }
        Verb::Touch if store.touch(key, until, now) => line("TOUCHED"),
        Verb::Delete | Verb::Touch => line("NOT_FOUND"),
        Verb::FlushAll => {
            store.flush(until.unwrap_or(now), now);
            line("OK")
        }
        Verb::Stats => match key {
            b"" => Reply::Stats(stats(store, now)),
            // Groups that have nothing to tell here.
            b"items" | b"slabs" | b"sizes" | b"settings" | b"conns" => Reply::Stats(Vec::new()),
            _ => line("ERROR"),
        },
        Verb::Version => Reply::Line(format!("VERSION {}", env!("CARGO_PKG_VERSION"))),
        _ => line("OK"),
    }
}

fn number(entry: &Entry) -> Option<u64> {
    std::str::from_utf8(&entry.data).ok()?.parse().ok()
}

fn stats(store: &Store, now: Duration) -> Vec<(String, String)> {
    let c = &store.counters;
    let figures: [(&str, u64); 14] = [
        ("pid", 1),
        ("uptime", now.as_secs()),
        ("curr_connections", c.connections),
        ("total_connections", c.total_connections),
        ("cmd_get", c.hits + c.misses),
        ("cmd_set", c.sets),
        ("get_hits", c.hits),
        ("get_misses", c.misses),
        ("get_expired", c.expired),
        ("bytes", store.bytes() as u64),
        ("limit_maxbytes", store.limit() as u64),
        ("curr_items", store.items() as u64),
        ("total_items", c.sets),
        ("evictions", c.evictions),
    ];
    let mut out = vec![("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    out.extend(figures.iter().map(|(name, n)| ((*name).to_owned(), n.to_string())));
    out
}

#[cfg(test)]
mod tests {
    use podlab_guest::memcached::{Parsed, parse};

    use super::*;

    /// Sends requests at given seconds, and returns the answers as text.
    fn talk(store: &mut Store, second: u64, text: &str) -> String {
        let now = Duration::from_secs(second);
        let Parsed::Request(request, used) = parse(text.as_bytes(), MAX_VALUE) else {
            panic!("{text:?} is no request")
        };
        assert_eq!(used, text.len());
        String::from_utf8(answer(store, &request, now).encode()).unwrap()
    }

    #[test]
    fn a_conversation() {
        let s = &mut Store::new(1 << 20);
        let conversation = [
            ("get a\r\n", "END\r\n"),
            ("set a 5 0 2\r\n10\r\n", "STORED\r\n"),
            ("add a 0 0 1\r\nx\r\n", "NOT_STORED\r\n"),
            ("replace b 0 0 1\r\nx\r\n", "NOT_STORED\r\n"),
            ("add b 0 0 1\r\nx\r\n", "STORED\r\n"),
            ("get b a c\r\n", "VALUE b 0 1\r\nx\r\nVALUE a 5 2\r\n10\r\nEND\r\n"),
            ("incr a 5\r\n", "15\r\n"),
            ("decr a 100\r\n", "0\r\n"),
            ("incr a 18446744073709551615\r\n", "18446744073709551615\r\n"),
            ("incr a 2\r\n", "1\r\n"),
            ("incr b 2\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"),
            ("incr c 2\r\n", "NOT_FOUND\r\n"),
            ("append b 9 9 2\r\nyz\r\n", "STORED\r\n"),
            ("prepend b 9 9 1\r\nw\r\n", "STORED\r\n"),
            ("get b\r\n", "VALUE b 0 4\r\nwxyz\r\nEND\r\n"),
            ("cas c 0 0 1 1\r\nx\r\n", "NOT_FOUND\r\n"),
            ("cas b 0 0 1 1\r\nx\r\n", "EXISTS\r\n"),
            ("delete b\r\n", "DELETED\r\n"),
            ("delete b\r\n", "NOT_FOUND\r\n"),
            ("touch b 1\r\n", "NOT_FOUND\r\n"),
            ("flush_all\r\n", "OK\r\n"),
            ("get a\r\n", "END\r\n"),
        ];
        for (asked, wanted) in conversation {
            assert_eq!(talk(s, 1, asked), wanted, "{asked:?}");
        }
    }

    #[test]
    fn only_who_saw_the_last_value_may_swap_it() {
        let s = &mut Store::new(1 << 20);
        talk(s, 1, "set a 0 0 1\r\n1\r\n");
        let seen = talk(s, 1, "gets a\r\n");
        let cas = seen.split_whitespace().nth(4).unwrap();
        let swap = format!("cas a 0 0 1 {cas}\r\n2\r\n");
        assert_eq!(talk(s, 1, &swap), "STORED\r\n");
        assert_eq!(talk(s, 1, &swap), "EXISTS\r\n");
    }

    #[test]
    fn times_to_live() {
        let s = &mut Store::new(1 << 20);
        talk(s, 100, "set a 0 10 1\r\n1\r\n");
        talk(s, 100, "set b 0 -1 1\r\n1\r\n");
        assert_eq!(talk(s, 109, "get a b\r\n"), "VALUE a 0 1\r\n1\r\nEND\r\n");
        assert_eq!(talk(s, 109, "gat 60 a\r\n"), "VALUE a 0 1\r\n1\r\nEND\r\n");
        assert_eq!(talk(s, 168, "touch a 10\r\n"), "TOUCHED\r\n");
        assert_eq!(talk(s, 178, "get a\r\n"), "END\r\n");
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        talk(s, 200, &format!("set c 0 {} 1\r\n1\r\n", unix + 50));
        assert!(talk(s, 240, "get c\r\n").starts_with("VALUE"));
        assert_eq!(talk(s, 260, "get c\r\n"), "END\r\n");
        talk(s, 300, "set d 0 0 1\r\n1\r\n");
        assert_eq!(talk(s, 300, "flush_all 10\r\n"), "OK\r\n");
        assert!(talk(s, 309, "get d\r\n").starts_with("VALUE"));
        assert_eq!(talk(s, 310, "get d\r\n"), "END\r\n");
    }
}
