//! Tools that read lines and write lines.

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Fault, Outcome, contents, named, usage};
use crate::io::{Io, Sink};
use crate::options::Given;

/// `cat`.
pub fn cat(given: &Given, io: &mut Io) -> Outcome {
    let bytes = contents(&given.rest, io)?;
    if !given.has('n') {
        io.out.write_all(&bytes)?;
        return Ok(0);
    }
    for (n, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
        writeln!(io.out, "{:>6}\t{line}", n + 1)?;
    }
    Ok(0)
}

/// A count.
pub fn number(text: &str) -> Result<usize, Fault> {
    text.parse().map_err(|_| Fault::Usage(format!("invalid number '{text}'")))
}

/// `head`.
pub fn head(given: &Given, io: &mut Io) -> Outcome {
    let bytes = contents(&given.rest, io)?;
    let end = match (given.value('c'), given.value('n')) {
        (Some(count), _) => number(count)?.min(bytes.len()),
        (None, count) => {
            let count = number(count.unwrap_or("10"))?;
            bytes.split_inclusive(|b| *b == b'\n').take(count).map(<[u8]>::len).sum()
        }
    };
    io.out.write_all(&bytes[..end])?;
    Ok(0)
}

/// `tail`.
pub fn tail(given: &Given, io: &mut Io) -> Outcome {
    let bytes = contents(&given.rest, io)?;
    let text = given.value('c').or(given.value('n')).unwrap_or("10");
    let lines: Vec<usize> = match given.has('c') {
        true => vec![1; bytes.len()],
        false => bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::len).collect(),
    };
    let skip = match text.strip_prefix('+') {
        Some(from) => number(from)?.saturating_sub(1).min(lines.len()),
        None => lines.len().saturating_sub(number(text.trim_start_matches('-'))?),
    };
    let start: usize = lines[..skip].iter().sum();
    io.out.write_all(&bytes[start..])?;
    match &given.rest[..] {
        [file] if given.has('f') || given.has('F') => follow(file, bytes.len() as u64, io),
        _ => Ok(0),
    }
}

/// Files have no readiness in WASI: it looks once a second. A file that was cut or replaced by a
/// shorter one is read from its beginning.
fn follow(path: &str, mut offset: u64, io: &mut Io) -> Outcome {
    loop {
        io.out.flush()?;
        std::thread::sleep(Duration::from_secs(1));
        let Ok(mut file) = fs::File::open(path) else { continue };
        if file.metadata()?.len() < offset {
            offset = 0;
        }
        file.seek(io::SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(1 << 20).read_to_end(&mut bytes)?;
        offset += bytes.len() as u64;
        io.out.write_all(&bytes)?;
    }
}

/// `wc`.
pub fn wc(given: &Given, io: &mut Io) -> Outcome {
    let all = !"lwcm".chars().any(|c| given.has(c));
    let input = if given.rest.is_empty() { Some(io.read_all()?) } else { None };
    let mut show = |bytes: &[u8], name: &str| {
        let text = String::from_utf8_lossy(bytes);
        let counts = [
            (all || given.has('l'), bytes.iter().filter(|b| **b == b'\n').count()),
            (all || given.has('w'), text.split_whitespace().count()),
            (given.has('m'), text.chars().count()),
            (all || given.has('c'), bytes.len()),
        ];
        let mut words: Vec<String> =
            counts.iter().filter(|(show, _)| *show).map(|(_, n)| n.to_string()).collect();
        words.extend((!name.is_empty()).then(|| name.to_owned()));
        writeln!(io.out, "{}", words.join(" "))
    };
    if let Some(bytes) = input {
        show(&bytes, "")?;
        return Ok(0);
    }
    let mut total = Vec::new();
    for file in &given.rest {
        let bytes = fs::read(file).map_err(named(file))?;
        show(&bytes, file)?;
        total.extend(bytes);
    }
    if given.rest.len() > 1 {
        show(&total, "total")?;
    }
    Ok(0)
}

/// `sort`.
pub fn sort(given: &Given, io: &mut Io) -> Outcome {
    let bytes = contents(&given.rest, io)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<&str> = text.lines().collect();
    let separator = given.value('t').and_then(|t| t.chars().next());
    // `-k 2n,2r`: the first number says which field, letters are flags.
    let field = given.value('k').unwrap_or("");
    let digits: String = field.chars().take_while(char::is_ascii_digit).collect();
    let has = |flag| given.has(flag) || field.contains(flag);
    let index = if field.is_empty() { None } else { Some(number(&digits)?.max(1) - 1) };
    let key = |line: &str| -> String {
        let key = match (index, separator) {
            (None, _) => line.to_owned(),
            (Some(n), Some(c)) => line.split(c).skip(n).collect::<Vec<_>>().join(&c.to_string()),
            (Some(n), None) => line.split_whitespace().skip(n).collect::<Vec<_>>().join(" "),
        };
        if has('f') { key.to_uppercase() } else { key }
    };
    let value = |line: &str| -> f64 {
        let key = key(line);
        let key = key.trim_start();
        let end = key.find(|c: char| !c.is_ascii_digit() && !"-.".contains(c)).unwrap_or(key.len());
        let unit = match key[end..].chars().next().filter(|_| has('h')) {
            Some('K' | 'k') => 1024.0,
            Some('M') => 1_048_576.0,
            Some('G') => 1_073_741_824.0,
            _ => 1.0,
        };
        key[..end].parse::<f64>().unwrap_or(0.0) * unit
    };
    lines.sort_by(|a, b| {
        let order = match has('n') || has('h') {
            true => value(a).total_cmp(&value(b)),
            false => key(a).cmp(&key(b)),
        };
        let order = order.then_with(|| if given.has('u') { order } else { a.cmp(b) });
        if has('r') { order.reverse() } else { order }
    });
    if given.has('u') {
        match has('n') {
            true => lines.dedup_by(|a, b| value(a) == value(b)),
            false => lines.dedup_by(|a, b| key(a) == key(b)),
        }
    }
    for line in lines {
        writeln!(io.out, "{line}")?;
    }
    Ok(0)
}

/// `uniq`.
pub fn uniq(given: &Given, io: &mut Io) -> Outcome {
    let bytes = contents(&given.rest, io)?;
    let text = String::from_utf8_lossy(&bytes);
    let same = |a: &str, b: &str| match given.has('i') {
        true => a.to_lowercase() == b.to_lowercase(),
        false => a == b,
    };
    let mut runs: Vec<(usize, &str)> = Vec::new();
    for line in text.lines() {
        match runs.last_mut() {
            Some((count, last)) if same(last, line) => *count += 1,
            _ => runs.push((1, line)),
        }
    }
    for (count, line) in runs {
        if given.has('d') && count == 1 || given.has('u') && count > 1 {
            continue;
        }
        match given.has('c') {
            true => writeln!(io.out, "{count:>7} {line}")?,
            false => writeln!(io.out, "{line}")?,
        }
    }
    Ok(0)
}

/// `1,3-5,7-`.
fn ranges(list: &str) -> Result<Vec<RangeInclusive<usize>>, Fault> {
    let bound = |text: &str, none: usize| if text.is_empty() { Ok(none) } else { number(text) };
    list.split(',')
        .map(|part| match part.split_once('-') {
            Some((from, to)) => Ok(bound(from, 1)?..=bound(to, usize::MAX)?),
            None => number(part).map(|n| n..=n),
        })
        .collect()
}

/// `cut`.
pub fn cut(given: &Given, io: &mut Io) -> Outcome {
    let bytes = contents(&given.rest, io)?;
    let text = String::from_utf8_lossy(&bytes);
    let chosen =
        |wanted: &[RangeInclusive<usize>], n: usize| wanted.iter().any(|r| r.contains(&(n + 1)));
    if let Some(list) = given.value('c').or(given.value('b')) {
        let wanted = ranges(list)?;
        for line in text.lines() {
            let part: String = line
                .chars()
                .enumerate()
                .filter(|(n, _)| chosen(&wanted, *n))
                .map(|(_, c)| c)
                .collect();
            writeln!(io.out, "{part}")?;
        }
        return Ok(0);
    }
    let wanted = ranges(given.value('f').ok_or_else(usage)?)?;
    let delimiter = given.value('d').unwrap_or("\t");
    if delimiter.chars().count() != 1 {
        return Err(Fault::Usage("the delimiter must be a single character".into()));
    }
    for line in text.lines() {
        if !line.contains(delimiter) {
            if !given.has('s') {
                writeln!(io.out, "{line}")?;
            }
            continue;
        }
        let fields: Vec<&str> = line
            .split(delimiter)
            .enumerate()
            .filter(|(n, _)| chosen(&wanted, *n))
            .map(|(_, f)| f)
            .collect();
        writeln!(io.out, "{}", fields.join(delimiter))?;
    }
    Ok(0)
}

/// The characters of a set of `tr`: `a-z`, `[:upper:]`, `\n`.
fn set(text: &str) -> Vec<char> {
    type Class = (&'static str, fn(char) -> bool);
    let classes: [Class; 7] = [
        ("[:upper:]", |c| c.is_ascii_uppercase()),
        ("[:lower:]", |c| c.is_ascii_lowercase()),
        ("[:digit:]", |c| c.is_ascii_digit()),
        ("[:alpha:]", |c| c.is_ascii_alphabetic()),
        ("[:alnum:]", |c| c.is_ascii_alphanumeric()),
        ("[:space:]", |c| c.is_ascii_whitespace() || c == '\x0b'),
        ("[:punct:]", |c| c.is_ascii_punctuation()),
    ];
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some(c) = rest.chars().next() {
        if let Some((name, class)) = classes.iter().find(|(name, _)| rest.starts_with(name)) {
            out.extend((0..128u8).map(char::from).filter(|c| class(*c)));
            rest = &rest[name.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        let mut chars = rest.chars();
        let c = match (c, chars.next()) {
            ('\\', Some(escaped)) => {
                rest = chars.as_str();
                match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    '0' => '\0',
                    other => other,
                }
            }
            (c, Some('-')) if chars.next().is_some() => {
                let end = rest[1..].chars().next().unwrap_or(c);
                rest = &rest[1 + end.len_utf8()..];
                out.extend(c..=end);
                continue;
            }
            _ => c,
        };
        out.push(c);
    }
    out
}

/// `tr`.
pub fn tr(given: &Given, io: &mut Io) -> Outcome {
    let from = set(given.rest.first().ok_or_else(usage)?);
    let to = set(given.rest.get(1).map_or("", String::as_str));
    let (delete, squeeze) = (given.has('d'), given.has('s'));
    if to.is_empty() && !delete && !squeeze {
        return Err(usage());
    }
    let complement = given.has('c') || given.has('C');
    let place = |c: char| match complement {
        false => from.iter().position(|f| *f == c),
        true => (!from.contains(&c)).then_some(usize::MAX),
    };
    let bytes = io.read_all()?;
    let (mut out, mut last) = (String::new(), None);
    for c in String::from_utf8_lossy(&bytes).chars() {
        let found = place(c);
        if delete && found.is_some() {
            continue;
        }
        let c = match found {
            Some(n) if !to.is_empty() && !delete => to[n.min(to.len() - 1)],
            _ => c,
        };
        let squeezable = if to.is_empty() || delete { found.is_some() } else { to.contains(&c) };
        if squeeze && squeezable && last == Some(c) {
            continue;
        }
        last = Some(c);
        out.push(c);
    }
    io.out.write_all(out.as_bytes())?;
    Ok(0)
}

/// `tee`.
pub fn tee(given: &Given, io: &mut Io) -> Outcome {
    let bytes = io.read_all()?;
    for file in &given.rest {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).append(given.has('a')).truncate(!given.has('a'));
        options.open(file).and_then(|mut f| f.write_all(&bytes)).map_err(named(file))?;
    }
    io.out.write_all(&bytes)?;
    Ok(0)
}

/// `yes`: for ever, or into a pipe (which is a buffer) 64 Ki lines.
pub fn yes(given: &Given, io: &mut Io) -> Outcome {
    let line = if given.rest.is_empty() { "y".to_owned() } else { given.rest.join(" ") };
    let most = if matches!(io.out, Sink::Buffer(_)) { 1 << 16 } else { u64::MAX };
    for _ in 0..most {
        if writeln!(io.out, "{line}").is_err() {
            break;
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::applets::tests::{folder, out, ran};

    #[test]
    fn ends_and_counts() {
        let ten = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n";
        assert_eq!(out(&["head", "-n", "2"], ten), "1\n2\n");
        assert_eq!(out(&["head", "-2"], ten), "1\n2\n");
        assert_eq!(out(&["head", "-c", "3"], ten), "1\n2");
        assert_eq!(out(&["tail", "-n1"], ten), "11\n");
        assert_eq!(out(&["tail", "-n", "+10"], ten), "10\n11\n");
        assert_eq!(out(&["tail", "-c", "3"], ten), "11\n");
        assert_eq!(out(&["wc", "-l"], ten), "11\n");
        assert_eq!(out(&["wc"], "a b\n"), "1 2 4\n");
        assert_eq!(out(&["cat", "-n"], "a\nb"), "     1\ta\n     2\tb\n");
        assert_eq!(ran(&["head", "-n", "x"], "").0, 2);
        assert_eq!(ran(&["cat", "/no/such"], "").2, "cat: /no/such: No such file or directory\n");
    }

    #[test]
    fn sorting_and_counting() {
        assert_eq!(out(&["sort"], "b\na\nB\n"), "B\na\nb\n");
        assert_eq!(out(&["sort", "-rn"], "2\n10\n1\n"), "10\n2\n1\n");
        assert_eq!(out(&["sort", "-u"], "b\na\nb\n"), "a\nb\n");
        assert_eq!(out(&["sort", "-k2", "-n"], "a 3\nb 1\n"), "b 1\na 3\n");
        assert_eq!(out(&["sort", "-t:", "-k", "2"], "a:z\nb:c\n"), "b:c\na:z\n");
        assert_eq!(out(&["sort", "-h"], "1M\n2K\n3\n"), "3\n2K\n1M\n");
        assert_eq!(out(&["uniq", "-c"], "a\na\nb\n"), "      2 a\n      1 b\n");
        assert_eq!(out(&["uniq", "-d"], "a\na\nb\n"), "a\n");
    }

    #[test]
    fn fields_and_characters() {
        assert_eq!(out(&["cut", "-d:", "-f1,3-"], "a:b:c:d\nx\n"), "a:c:d\nx\n");
        assert_eq!(out(&["cut", "-c2-3"], "abcd\n"), "bc\n");
        assert_eq!(ran(&["cut"], "").0, 2);
        assert_eq!(out(&["tr", "a-z", "A-Z"], "abc-d"), "ABC-D");
        assert_eq!(out(&["tr", "[:lower:]", "[:upper:]"], "abc"), "ABC");
        assert_eq!(out(&["tr", "-d", "\\n "], "a b\n"), "ab");
        assert_eq!(out(&["tr", "-s", " "], "a   b"), "a b");
        assert_eq!(out(&["tr", "-cd", "0-9"], "a1b2"), "12");
        assert_eq!(out(&["yes", "no"], "").lines().next(), Some("no"));
        let dir = folder("tee");
        assert_eq!(out(&["tee", &format!("{dir}/f")], "x"), "x");
        assert_eq!(out(&["tee", "-a", &format!("{dir}/f")], "y"), "y");
        assert_eq!(std::fs::read_to_string(format!("{dir}/f")).unwrap(), "xy");
    }
}
