//! The memcached text protocol (doc/protocol.txt of memcached): requests as a server reads them,
//! replies as a client reads them. Every length is bounded before anything is kept.

use std::fmt::Write;

/// The longest key, in bytes.
pub const MAX_KEY: usize = 250;
/// The longest command line, in bytes: a get may name many keys.
pub const MAX_LINE: usize = 64 << 10;
/// Keys of one get.
pub const MAX_KEYS: usize = 1000;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Values.
    Get,
    /// Values with their cas number.
    Gets,
    /// Values, and a new time to live.
    Gat,
    /// The same with cas numbers.
    Gats,
    /// Store.
    Set,
    /// Store if it is not there.
    Add,
    /// Store if it is there.
    Replace,
    /// Add behind what is there.
    Append,
    /// Add before what is there.
    Prepend,
    /// Store if nobody has changed it since.
    Cas,
    /// Count up.
    Incr,
    /// Count down, not below 0.
    Decr,
    /// Forget.
    Delete,
    /// A new time to live.
    Touch,
    /// Forget everything, perhaps later.
    FlushAll,
    /// Figures.
    Stats,
    /// The version.
    Version,
    /// Ignored.
    Verbosity,
    /// Goodbye.
    Quit,
}

const VERBS: &[(&str, Verb)] = &[
    ("get", Verb::Get),
    ("gets", Verb::Gets),
    ("gat", Verb::Gat),
    ("gats", Verb::Gats),
    ("set", Verb::Set),
    ("add", Verb::Add),
    ("replace", Verb::Replace),
    ("append", Verb::Append),
    ("prepend", Verb::Prepend),
    ("cas", Verb::Cas),
    ("incr", Verb::Incr),
    ("decr", Verb::Decr),
    ("delete", Verb::Delete),
    ("touch", Verb::Touch),
    ("flush_all", Verb::FlushAll),
    ("stats", Verb::Stats),
    ("version", Verb::Version),
    ("verbosity", Verb::Verbosity),
    ("quit", Verb::Quit),
];

impl Verb {
    /// Its word in the protocol.
    pub fn word(self) -> &'static str {
        VERBS.iter().find(|(_, v)| *v == self).map_or("", |(word, _)| word)
    }

    /// Whether it answers with `VALUE` lines.
    pub fn retrieves(self) -> bool {
        matches!(self, Verb::Get | Verb::Gets | Verb::Gat | Verb::Gats)
    }

    /// Whether a data block follows its line.
    pub fn stores(self) -> bool {
        use Verb as V;
        matches!(self, V::Set | V::Add | V::Replace | V::Append | V::Prepend | V::Cas)
    }

    /// Whether doing it twice is the same as doing it once, whatever others do meanwhile: only such
    /// a request may be sent again when nobody knows whether it arrived.
    pub fn repeatable(self) -> bool {
        matches!(self, Verb::Get | Verb::Gets | Verb::Stats | Verb::Version)
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub verb: Verb,
    /// The key, or the keys of a get; for `stats` its argument.
    pub keys: Vec<Vec<u8>>,
    /// The client's own mark on the value.
    pub flags: u32,
    /// Seconds to live: 0 for ever, below 0 gone at once, above thirty days a Unix time.
    pub exptime: i64,
    /// The cas number.
    pub cas: u64,
    /// By how much to count.
    pub delta: u64,
    /// The client wants no answer.
    pub noreply: bool,
    /// The data block.
    pub data: Vec<u8>,
}

impl Request {
    /// A request without data.
    pub fn new(verb: Verb, keys: Vec<Vec<u8>>) -> Request {
        let data = Vec::new();
        Request { verb, keys, flags: 0, exptime: 0, cas: 0, delta: 0, noreply: false, data }
    }

    /// A `set`.
    pub fn set(key: &[u8], data: &[u8], exptime: i64) -> Request {
        Request { exptime, data: data.to_vec(), ..Request::new(Verb::Set, vec![key.to_vec()]) }
    }

    /// As it goes over the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.verb.word().as_bytes().to_vec();
        let number = |out: &mut Vec<u8>, n: i128| out.extend_from_slice(format!(" {n}").as_bytes());
        if matches!(self.verb, Verb::Gat | Verb::Gats) {
            number(&mut out, self.exptime.into());
        }
        for key in &self.keys {
            out.push(b' ');
            out.extend_from_slice(key);
        }
        match self.verb {
            verb if verb.stores() => {
                number(&mut out, self.flags.into());
                number(&mut out, self.exptime.into());
                number(&mut out, self.data.len() as i128);
                if verb == Verb::Cas {
                    number(&mut out, self.cas.into());
                }
            }
            Verb::Incr | Verb::Decr => number(&mut out, self.delta.into()),
            Verb::Touch | Verb::FlushAll => number(&mut out, self.exptime.into()),
            Verb::Verbosity => number(&mut out, 1),
            _ => {}
        }
        if self.noreply {
            out.extend_from_slice(b" noreply");
        }
        out.extend_from_slice(b"\r\n");
        if self.verb.stores() {
            out.extend_from_slice(&self.data);
            out.extend_from_slice(b"\r\n");
        }
        out
    }
}

/// What the bytes at hand are.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Not yet a whole request.
    Incomplete,
    /// A request of so many bytes.
    Request(Request, usize),
    /// Something else.
    Refused(Refusal),
}

/// A request that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the protocol answers, without the line's end.
    pub reply: &'static str,
    /// How many bytes of the buffer it took.
    pub used: usize,
    /// How many of the bytes that follow belong to it: they are to be dropped as they come.
    pub skip: u64,
    /// Nobody can tell where the next request begins.
    pub close: bool,
}

const ERROR: &str = "ERROR";
const EXPTIME: &str = "CLIENT_ERROR invalid exptime argument";
const FORMAT: &str = "CLIENT_ERROR bad command line format";

/// Reads one request from the beginning of `bytes`; a data block has at most `max_data` bytes.
pub fn parse(bytes: &[u8], max_data: usize) -> Parsed {
    let Some(end) = bytes.iter().take(MAX_LINE + 1).position(|b| *b == b'\n') else {
        if bytes.len() > MAX_LINE {
            return refused("CLIENT_ERROR line too long", bytes.len(), 0, true);
        }
        return Parsed::Incomplete;
    };
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let used = end + 1;
    let mut words = line.split(|b| *b == b' ').filter(|w| !w.is_empty());
    let first = words.next().unwrap_or_default();
    let Some((_, verb)) = VERBS.iter().find(|(word, _)| word.as_bytes() == first) else {
        return refused(ERROR, used, 0, false);
    };
    let mut words: Vec<&[u8]> = words.collect();
    let mut request = Request::new(*verb, Vec::new());
    if !verb.retrieves() && *verb != Verb::Stats && words.last() == Some(&&b"noreply"[..]) {
        words.pop();
        request.noreply = true;
    }
    match fill(&mut request, &words) {
        Err(reply) if verb.stores() => {
            // The block follows all the same. Without its length what follows is read as requests,
            // as memcached does.
            let length = words.get(3).and_then(|w| number::<u64>(w));
            let skip = length.map_or(0, |n| n.saturating_add(2));
            refused(reply, used, skip, false)
        }
        Err(reply) => refused(reply, used, 0, false),
        Ok(None) => Parsed::Request(request, used),
        Ok(Some(length)) if length > max_data as u64 => {
            let skip = length.saturating_add(2);
            refused("SERVER_ERROR object too large for cache", used, skip, false)
        }
        Ok(Some(length)) => {
            let length = length as usize;
            let Some(block) = bytes.get(used..used + length + 2) else {
                return Parsed::Incomplete;
            };
            if &block[length..] != b"\r\n" {
                // As memcached does: drop up to the next line's end.
                let rest = &bytes[used + length..];
                let line = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |i| i + 1);
                return refused("CLIENT_ERROR bad data chunk", used + length + line, 0, false);
            }
            request.data = block[..length].to_vec();
            Parsed::Request(request, used + length + 2)
        }
    }
}

fn refused(reply: &'static str, used: usize, skip: u64, close: bool) -> Parsed {
    Parsed::Refused(Refusal { reply, used, skip, close })
}

/// Reads the words after the verb; the length of the data block if there is one.
fn fill(request: &mut Request, words: &[&[u8]]) -> Result<Option<u64>, &'static str> {
    let key = |word: &[u8]| {
        let plain = !word.is_empty() && word.iter().all(|b| *b > b' ' && *b != 0x7f);
        (plain && word.len() <= MAX_KEY).then(|| word.to_vec()).ok_or(FORMAT)
    };
    match (request.verb, words) {
        (Verb::Get | Verb::Gets, words @ [_, ..]) if words.len() <= MAX_KEYS => {
            request.keys = words.iter().map(|w| key(w)).collect::<Result<_, _>>()?;
        }
        (Verb::Gat | Verb::Gats, [time, words @ ..])
            if !words.is_empty() && words.len() <= MAX_KEYS =>
        {
            request.exptime = number(time).ok_or(EXPTIME)?;
            request.keys = words.iter().map(|w| key(w)).collect::<Result<_, _>>()?;
        }
        (Verb::Cas, [name, flags, time, length, cas]) => {
            request.cas = number(cas).ok_or(FORMAT)?;
            return block(request, key(name)?, flags, time, length).map(Some);
        }
        (verb, [name, flags, time, length]) if verb.stores() && verb != Verb::Cas => {
            return block(request, key(name)?, flags, time, length).map(Some);
        }
        (Verb::Incr | Verb::Decr, [name, delta]) => {
            request.keys = vec![key(name)?];
            request.delta = number(delta).ok_or("CLIENT_ERROR invalid numeric delta argument")?;
        }
        // An old client's `delete KEY 0` means the same.
        (Verb::Delete, [name] | [name, b"0"]) => request.keys = vec![key(name)?],
        (Verb::Delete, [_, _]) => {
            return Err("CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]");
        }
        (Verb::Touch, [name, time]) => {
            request.keys = vec![key(name)?];
            request.exptime = number(time).ok_or(EXPTIME)?;
        }
        (Verb::FlushAll, []) | (Verb::Version | Verb::Quit, _) => {}
        (Verb::FlushAll, [time]) => request.exptime = number(time).ok_or(EXPTIME)?,
        (Verb::Verbosity, [level]) => {
            number::<u32>(level).ok_or(FORMAT)?;
        }
        (Verb::Stats, words) if words.len() <= 1 => {
            request.keys = words.iter().map(|w| key(w)).collect::<Result<_, _>>()?;
        }
        _ => return Err(ERROR),
    }
    Ok(None)
}

fn block(
    request: &mut Request,
    key: Vec<u8>,
    flags: &[u8],
    time: &[u8],
    length: &[u8],
) -> Result<u64, &'static str> {
    request.keys = vec![key];
    request.flags = number(flags).ok_or(FORMAT)?;
    request.exptime = number(time).ok_or(FORMAT)?;
    number(length).ok_or(FORMAT)
}

fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok().filter(|t| !t.starts_with('+')).and_then(|t| t.parse().ok())
}

/// A value in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its key.
    pub key: Vec<u8>,
    /// Its flags.
    pub flags: u32,
    /// Its bytes.
    pub data: Vec<u8>,
    /// Its cas number, if it was asked for.
    pub cas: Option<u64>,
}

impl Item {
    /// Writes its `VALUE` line and block.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut tail = format!(" {} {}", self.flags, self.data.len());
        if let Some(cas) = self.cas {
            write!(tail, " {cas}").expect("writing to a string does not fail");
        }
        out.extend_from_slice(b"VALUE ");
        out.extend_from_slice(&self.key);
        out.extend_from_slice(tail.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.data);
        out.extend_from_slice(b"\r\n");
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// One line: `STORED`, `NOT_FOUND`, a number, an error.
    Line(String),
    /// What a get found.
    Items(Vec<Item>),
    /// What `stats` said.
    Stats(Vec<(String, String)>),
}

impl Reply {
    /// As it goes over the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Reply::Line(line) => out.extend_from_slice(line.as_bytes()),
            Reply::Items(items) => {
                for item in items {
                    item.encode(&mut out);
                }
                out.extend_from_slice(b"END");
            }
            Reply::Stats(stats) => {
                for (name, value) in stats {
                    out.extend_from_slice(format!("STAT {name} {value}\r\n").as_bytes());
                }
                out.extend_from_slice(b"END");
            }
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// Whether it is one of the protocol's errors.
    pub fn is_error(&self) -> bool {
        matches!(self, Reply::Line(l) if l == "ERROR" || l.starts_with("CLIENT_ERROR")
            || l.starts_with("SERVER_ERROR"))
    }
}

/// Reads one answer to `verb` from the beginning of `bytes`, with its length; `None` if more must
/// come. A value has at most `max_data` bytes, and a whole answer about eight times as many.
///
/// # Errors
/// What it has that no server says.
pub fn parse_reply(
    bytes: &[u8],
    verb: Verb,
    max_data: usize,
) -> Result<Option<(Reply, usize)>, &'static str> {
    let (mut items, mut stats, mut at) = (Vec::new(), Vec::new(), 0);
    loop {
        if at > max_data.saturating_mul(8) {
            return Err("an answer that is too large");
        }
        let rest = &bytes[at..];
        let Some(end) = rest.iter().position(|b| *b == b'\n') else {
            return if rest.len() > 4096 { Err("a line without an end") } else { Ok(None) };
        };
        let line = rest[..end].strip_suffix(b"\r").ok_or("a line without a carriage return")?;
        at += end + 1;
        if line == b"END" && verb.retrieves() {
            return Ok(Some((Reply::Items(items), at)));
        }
        if line == b"END" && verb == Verb::Stats {
            return Ok(Some((Reply::Stats(stats), at)));
        }
        let text = std::str::from_utf8(line).map_err(|_| "a line that is no text");
        if let Some(value) = line.strip_prefix(b"VALUE ").filter(|_| verb.retrieves()) {
            let words: Vec<&[u8]> = value.split(|b| *b == b' ').collect();
            let (key, flags, length, cas) = match words[..] {
                [key, flags, length] => (key, flags, length, None),
                [key, flags, length, cas] => {
                    (key, flags, length, Some(number(cas).ok_or("a cas that is no number")?))
                }
                _ => return Err("a VALUE line that is none"),
            };
            let flags = number(flags).ok_or("flags that are no number")?;
            let length: usize = number(length).ok_or("a length that is no number")?;
            if length > max_data {
                return Err("a value that is too large");
            }
            let Some(block) = bytes.get(at..at + length + 2) else { return Ok(None) };
            if &block[length..] != b"\r\n" || items.len() >= MAX_KEYS {
                return Err("a value longer than its length, or too many");
            }
            items.push(Item { key: key.to_vec(), flags, data: block[..length].to_vec(), cas });
            at += length + 2;
        } else if let Some(stat) = text?.strip_prefix("STAT ").filter(|_| verb == Verb::Stats) {
            let (name, value) = stat.split_once(' ').unwrap_or((stat, ""));
            if stats.len() >= 1000 {
                return Err("too many figures");
            }
            stats.push((name.to_owned(), value.to_owned()));
        } else if items.is_empty() && stats.is_empty() {
            return Ok(Some((Reply::Line(text?.to_owned()), at)));
        } else {
            return Err("a line that belongs to another answer");
        }
    }
}

/// Tries bytes that nobody should send: pieces of the protocols, mixed with anything.
#[cfg(test)]
pub(crate) fn hostile(try_it: impl Fn(&[u8])) {
    const PIECES: &[&[u8]] = &[
        b"get ",
        b"set k 0 0 ",
        b"5",
        b"-1",
        b"99999999999999999999",
        b"\r\n",
        b"\n",
        b" ",
        b"*",
        b"$",
        b"%",
        b"_",
        b":",
        b"+",
        b"VALUE ",
        b"END\r\n",
        b"STAT ",
        b"noreply",
        b"\0",
        b"\xff",
        b"key",
        b"{",
        b"}",
        b"\"",
        b"# TYPE ",
        b"counter",
        b"=",
        b"\\",
    ];
    let mut state = 7u64;
    let mut next = |n: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    for _ in 0..20_000 {
        let bytes: Vec<u8> =
            (0..next(12)).flat_map(|_| PIECES[next(PIECES.len())]).copied().collect();
        try_it(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Request {
        match parse(text.as_bytes(), 100) {
            Parsed::Request(request, used) => {
                assert_eq!(used, text.len(), "{text:?}");
                request
            }
            other => panic!("{text:?}: {other:?}"),
        }
    }

    fn refusal(text: &str) -> Refusal {
        match parse(text.as_bytes(), 100) {
            Parsed::Refused(refusal) => refusal,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn every_request_survives_the_wire() {
        for text in [
            "get a\r\n",
            "gets a b c\r\n",
            "gat 10 a b\r\n",
            "set k 7 60 5\r\nhello\r\n",
            "set k 7 60 5 noreply\r\nhe\r\no\r\n",
            "cas k 0 -1 0 99\r\n\r\n",
            "incr k 5\r\n",
            "decr k 18446744073709551615 noreply\r\n",
            "delete k\r\n",
            "touch k 30\r\n",
            "flush_all 0\r\n",
            "stats\r\n",
            "version\r\n",
        ] {
            assert_eq!(String::from_utf8(one(text).encode()).unwrap(), text);
        }
        assert_eq!(one("flush_all\r\n").exptime, 0);
    }

    #[test]
    fn pieces_are_waited_for() {
        let text = b"set k 0 0 5\r\nhello\r\n";
        for n in 0..text.len() {
            assert_eq!(parse(&text[..n], 100), Parsed::Incomplete, "{n}");
        }
    }

    #[test]
    fn what_is_wrong_gets_the_protocols_own_answer() {
        assert_eq!(refusal("nonsense\r\n").reply, "ERROR");
        assert_eq!(refusal("get\r\n").reply, "ERROR");
        assert_eq!(refusal(&format!("get {}\r\n", "k".repeat(251))).reply, FORMAT);
        assert_eq!(refusal("incr k x\r\n").reply, "CLIENT_ERROR invalid numeric delta argument");
        let large = refusal("set k 0 0 101\r\n");
        assert_eq!((large.reply, large.skip), ("SERVER_ERROR object too large for cache", 103));
        let long = format!("set {} 0 0 5\r\nhello\r\n", "k".repeat(300));
        assert_eq!((refusal(&long).skip, refusal(&long).close), (7, false));
        let bad = refusal("set k 0 0 2\r\nhello\r\nget a\r\n");
        assert_eq!((bad.reply, bad.used), ("CLIENT_ERROR bad data chunk", 20));
        assert!(refusal(&"x".repeat(MAX_LINE + 1)).close);
        assert_eq!((refusal("set k 0 0 x\r\n").skip, refusal("set k 0\r\n").reply), (0, ERROR));
        assert!(refusal("set k 0 0 18446744073709551615\r\n").skip == u64::MAX);
    }

    #[test]
    fn replies_survive_the_wire() {
        let item =
            |key: &str, cas| Item { key: key.into(), flags: 3, data: b"END\r\n".into(), cas };
        let items = Reply::Items(vec![item("a", Some(7)), item("b", None)]);
        let bytes = items.encode();
        for n in 0..bytes.len() {
            assert_eq!(parse_reply(&bytes[..n], Verb::Get, 100), Ok(None), "{n}");
        }
        assert_eq!(parse_reply(&bytes, Verb::Get, 100), Ok(Some((items, bytes.len()))));
        let line = Reply::Line("STORED".into());
        assert_eq!(parse_reply(b"STORED\r\nx", Verb::Set, 100), Ok(Some((line, 8))));
        let stats = Reply::Stats(vec![("pid".into(), "1".into())]);
        let bytes = stats.encode();
        assert_eq!(parse_reply(&bytes, Verb::Stats, 100), Ok(Some((stats, bytes.len()))));
        assert!(parse_reply(b"VALUE a 0 2\r\nxyz\r\nEND\r\n", Verb::Get, 100).is_err());
        assert!(parse_reply(b"VALUE a 0 1\r\nx\r\nSTORED\r\n", Verb::Get, 100).is_err());
    }

    #[test]
    fn whatever_comes_nothing_breaks() {
        hostile(|bytes| {
            if let Parsed::Request(_, used) = parse(bytes, 100) {
                assert!(used > 0 && used <= bytes.len());
            }
            for verb in [Verb::Get, Verb::Stats, Verb::Set] {
                if let Ok(Some((_, used))) = parse_reply(bytes, verb, 100) {
                    assert!(used > 0 && used <= bytes.len());
                }
            }
        });
    }
}
