//! RESP, the protocol of Redis, in versions 2 and 3: commands as a server reads them, values both
//! ways. Every length is bounded before anything is kept.

/// Words of a command, and elements of an array.
pub const MAX_WORDS: usize = 4096;
/// Bytes of an inline command, and of a line within a value.
pub const MAX_LINE: usize = 64 << 10;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+OK`
    Simple(String),
    /// `-ERR ...`
    Error(String),
    /// `:1`
    Int(i64),
    /// `$3`
    Bulk(Vec<u8>),
    /// Nothing: `$-1` in version 2, `_` in 3.
    Null,
    /// `*2`
    Array(Vec<Value>),
    /// `%1` in version 3; in 2 an array of names and values in turn.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// `+OK`.
    pub fn ok() -> Value {
        Value::Simple("OK".into())
    }

    /// A text as a bulk.
    pub fn text(text: impl Into<String>) -> Value {
        Value::Bulk(text.into().into_bytes())
    }

    /// Writes it for a client that speaks `version` (2 or 3).
    pub fn encode(&self, version: u8, out: &mut Vec<u8>) {
        let line = |out: &mut Vec<u8>, kind: char, rest: &str| {
            // A line's end inside would break the stream for everything that follows.
            let rest: String = rest.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            out.extend_from_slice(format!("{kind}{rest}\r\n").as_bytes());
        };
        match self {
            Value::Simple(text) => line(out, '+', text),
            Value::Error(text) => line(out, '-', text),
            Value::Int(n) => line(out, ':', &n.to_string()),
            Value::Bulk(bytes) => {
                line(out, '$', &bytes.len().to_string());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Value::Null if version >= 3 => out.extend_from_slice(b"_\r\n"),
            Value::Null => out.extend_from_slice(b"$-1\r\n"),
            Value::Array(values) => {
                line(out, '*', &values.len().to_string());
                for value in values {
                    value.encode(version, out);
                }
            }
            Value::Map(pairs) => {
                match version {
                    3.. => line(out, '%', &pairs.len().to_string()),
                    _ => line(out, '*', &(2 * pairs.len()).to_string()),
                }
                for (name, value) in pairs {
                    name.encode(version, out);
                    value.encode(version, out);
                }
            }
        }
    }
}

/// A command as it goes over the wire: an array of bulks.
pub fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// What was read from the beginning of some bytes, and its length; `None` if more must come.
pub type Taken<T> = Option<(T, usize)>;

/// Reads one command from the beginning of `bytes`: its words and its length, or `None` if more must
/// come. A command without words is an empty line: nothing to do. All words together have at most
/// `max` bytes.
///
/// # Errors
/// What Redis says before it closes the connection.
pub fn parse_command(bytes: &[u8], max: usize) -> Result<Taken<Vec<Vec<u8>>>, String> {
    if bytes.first() != Some(&b'*') {
        return inline(bytes);
    }
    let wrong = |what: &str| format!("ERR Protocol error: {what}");
    let Some((line, mut at)) = line_at(bytes, 0, "too big mbulk count string")? else {
        return Ok(None);
    };
    let count = int(&line[1..]).filter(|n| *n <= MAX_WORDS as i64);
    let count = count.ok_or_else(|| wrong("invalid multibulk length"))?;
    let (mut words, mut room) = (Vec::new(), max);
    for _ in 0..count.max(0) {
        let Some((line, next)) = line_at(bytes, at, "too big bulk count string")? else {
            return Ok(None);
        };
        if line.first() != Some(&b'$') {
            let got = line.first().map_or(' ', |b| char::from(*b));
            return Err(wrong(&format!("expected '$', got '{got}'")));
        }
        let length = int(&line[1..]).filter(|n| (0..=room as i64).contains(n));
        let length = length.ok_or_else(|| wrong("invalid bulk length"))? as usize;
        room -= length;
        let Some(word) = bytes.get(next..next + length + 2) else { return Ok(None) };
        words.push(word[..length].to_vec());
        at = next + length + 2;
    }
    Ok(Some((words, at)))
}

fn inline(bytes: &[u8]) -> Result<Taken<Vec<Vec<u8>>>, String> {
    let Some((line, used)) = line_at(bytes, 0, "too big inline request")? else {
        return Ok(None);
    };
    let words = line.split(|b| b.is_ascii_whitespace()).filter(|w| !w.is_empty());
    Ok(Some((words.map(<[u8]>::to_vec).collect(), used)))
}

/// The line at `at` without its end, and where the next one begins.
fn line_at<'a>(bytes: &'a [u8], at: usize, too_long: &str) -> Result<Taken<&'a [u8]>, String> {
    let rest = &bytes[at..];
    match rest.iter().take(MAX_LINE + 1).position(|b| *b == b'\n') {
        Some(end) => {
            Ok(Some((rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]), at + end + 1)))
        }
        None if rest.len() > MAX_LINE => Err(format!("ERR Protocol error: {too_long}")),
        None => Ok(None),
    }
}

fn int(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Reads one value from the beginning of `bytes` with its length; `None` if more must come. A bulk
/// has at most `max` bytes, and a whole value at most eight times as many.
///
/// # Errors
/// What it has that no server says.
pub fn parse_value(bytes: &[u8], max: usize) -> Result<Taken<Value>, String> {
    if bytes.len() > max.saturating_mul(8).saturating_add(MAX_LINE) {
        // Only one that is not complete can have grown so large, or one before it was not taken.
        if let Some(taken) = value_at(bytes, 0, max, 0)? {
            return Ok(Some(taken));
        }
        return Err("a value that is too large".into());
    }
    value_at(bytes, 0, max, 0)
}

fn value_at(bytes: &[u8], at: usize, max: usize, depth: u32) -> Result<Taken<Value>, String> {
    let Some((line, mut at)) = line_at(bytes, at, "a line without an end")? else {
        return Ok(None);
    };
    let Some((kind, rest)) = line.split_first() else { return Err("an empty line".into()) };
    let text = || String::from_utf8_lossy(rest).into_owned();
    let number = || int(rest).ok_or_else(|| format!("{:?} is no number", text()));
    let value = match kind {
        b'+' => Value::Simple(text()),
        b'-' => Value::Error(text()),
        b':' => Value::Int(number()?),
        b'_' => Value::Null,
        b'$' | b'*' | b'%' if number()? == -1 => Value::Null,
        b'$' => {
            let length = usize::try_from(number()?).ok().filter(|n| *n <= max);
            let length = length.ok_or("a bulk that is too large")?;
            let Some(word) = bytes.get(at..at + length + 2) else { return Ok(None) };
            if &word[length..] != b"\r\n" {
                return Err("a bulk longer than its length".into());
            }
            at += length + 2;
            Value::Bulk(word[..length].to_vec())
        }
        b'*' | b'%' => {
            let count = usize::try_from(number()?).ok().filter(|n| *n <= MAX_WORDS);
            let count = count.ok_or("an array that is too long")?;
            if depth >= 4 {
                return Err("arrays nested too deep".into());
            }
            let map = *kind == b'%';
            let mut values = Vec::new();
            for _ in 0..if map { 2 * count } else { count } {
                match value_at(bytes, at, max, depth + 1)? {
                    Some((value, next)) => {
                        values.push(value);
                        at = next;
                    }
                    None => return Ok(None),
                }
            }
            if map {
                let mut values = values.into_iter();
                let pairs = std::iter::from_fn(|| Some((values.next()?, values.next()?)));
                Value::Map(pairs.collect())
            } else {
                Value::Array(values)
            }
        }
        _ => return Err(format!("{:?} begins no value", char::from(*kind))),
    };
    Ok(Some((value, at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let (words, used) = parse_command(text.as_bytes(), 100).unwrap().unwrap();
        assert_eq!(used, text.len());
        words.into_iter().map(|w| String::from_utf8(w).unwrap()).collect()
    }

    #[test]
    fn commands_come_as_arrays_and_as_lines() {
        assert_eq!(words("*2\r\n$3\r\nGET\r\n$1\r\na\r\n"), ["GET", "a"]);
        assert_eq!(words("PING  hello\r\n"), ["PING", "hello"]);
        assert!(words("\r\n").is_empty() && words("*0\r\n").is_empty());
        let text = command(&[b"SET", b"k", b"a\r\nb"]);
        for n in 0..text.len() {
            assert_eq!(parse_command(&text[..n], 100), Ok(None), "{n}");
        }
    }

    #[test]
    fn what_is_wrong_gets_redis_own_answer() {
        let error = |text: &str| parse_command(text.as_bytes(), 100).unwrap_err();
        assert_eq!(error("*x\r\n"), "ERR Protocol error: invalid multibulk length");
        assert_eq!(error("*99999\r\n"), "ERR Protocol error: invalid multibulk length");
        assert_eq!(error("*1\r\n:1\r\n"), "ERR Protocol error: expected '$', got ':'");
        assert_eq!(error("*1\r\n$101\r\n"), "ERR Protocol error: invalid bulk length");
        let many = format!("*9\r\n$60\r\n{}\r\n$60\r\n", "x".repeat(60));
        assert_eq!(error(&many), "ERR Protocol error: invalid bulk length", "too large together");
        assert_eq!(error(&"x".repeat(MAX_LINE + 1)), "ERR Protocol error: too big inline request");
    }

    #[test]
    fn values_survive_the_wire() {
        let value = Value::Array(vec![
            Value::ok(),
            Value::Error("ERR no".into()),
            Value::Int(-3),
            Value::Null,
            Value::Bulk(b"a\r\nb".into()),
            Value::Map(vec![(Value::text("a"), Value::Int(1))]),
        ]);
        let mut bytes = Vec::new();
        value.encode(3, &mut bytes);
        for n in 0..bytes.len() {
            assert_eq!(parse_value(&bytes[..n], 100), Ok(None), "{n}");
        }
        assert_eq!(parse_value(&bytes, 100), Ok(Some((value, bytes.len()))));
        let mut two = Vec::new();
        Value::Map(vec![(Value::text("a"), Value::Null)]).encode(2, &mut two);
        assert_eq!(two, b"*2\r\n$1\r\na\r\n$-1\r\n");
        assert!(parse_value(b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", 100).is_err());
        assert!(parse_value(b"?\r\n", 100).is_err());
    }

    #[test]
    fn whatever_comes_nothing_breaks() {
        crate::memcached::hostile(|bytes| {
            if let Ok(Some((_, used))) = parse_command(bytes, 100) {
                assert!(used > 0 && used <= bytes.len());
            }
            if let Ok(Some((_, used))) = parse_value(bytes, 100) {
                assert!(used > 0 && used <= bytes.len());
            }
        });
    }
}
