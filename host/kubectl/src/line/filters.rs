//! The filters after a pipe, line by line: what streams, streams on.

use regex::{Regex, RegexBuilder};

/// A filter that must see everything first keeps no more than this.
const MAX_KEPT: usize = 16 << 20;

/// A filter.
pub struct Filter {
    kind: Kind,
    line: Vec<u8>,
    any: bool,
}

enum Kind {
    Grep {
        pattern: Regex,
        invert: bool,
        count: Option<u64>,
        number: bool,
        only: bool,
        at: u64,
    },
    Wc {
        shown: [bool; 3],
        lines: u64,
        words: u64,
        bytes: u64,
    },
    Head {
        left: u64,
        bytes: bool,
    },
    Tail {
        keep: usize,
        from: Option<u64>,
        lines: Vec<Vec<u8>>,
        seen: u64,
    },
    Sort {
        reverse: bool,
        numeric: bool,
        unique: bool,
        key: usize,
        lines: Vec<Vec<u8>>,
        size: usize,
    },
    Uniq {
        count: bool,
        last: Option<(Vec<u8>, u64)>,
    },
    Cut {
        by: Option<char>,
        fields: Vec<(usize, usize)>,
    },
    Cat,
}

impl Filter {
    /// The filter that a command names.
    ///
    /// # Errors
    /// If there is none, or it is used wrongly.
    pub fn new(words: &[String]) -> Result<Filter, String> {
        let (name, argv) = words.split_first().ok_or("a command is missing after |")?;
        let kind = match name.as_str() {
            "grep" | "egrep" => grep(argv)?,
            "wc" => wc(argv)?,
            "head" => head(argv)?,
            "tail" => tail(argv)?,
            "sort" => sort(argv)?,
            "uniq" => Kind::Uniq { count: argv.iter().any(|a| a == "-c"), last: None },
            "cut" => cut(argv)?,
            "cat" | "less" | "more" => Kind::Cat,
            other => {
                return Err(format!(
                    "{other}: not known here. After a pipe: grep, wc, head, tail, sort, cut, uniq"
                ));
            }
        };
        Ok(Filter { kind, line: Vec::new(), any: false })
    }

    /// The exit code, once it has ended.
    pub fn code(&self) -> i32 {
        i32::from(matches!(self.kind, Kind::Grep { .. }) && !self.any)
    }

    /// Takes bytes; whether it wants more.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        if let Kind::Head { left, bytes: true } = &mut self.kind {
            let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
            out.extend_from_slice(&bytes[..take]);
            *left -= take as u64;
            return *left > 0;
        }
        for byte in bytes {
            self.line.push(*byte);
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                if !self.take(&line, out) {
                    return false;
                }
            }
        }
        true
    }

    /// There is no more: what was kept comes out.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.take(&line, out);
        }
        match &mut self.kind {
            Kind::Grep { count: Some(n), .. } => out.extend(format!("{n}\n").into_bytes()),
            Kind::Wc { shown, lines, words, bytes } => {
                let all: Vec<u64> = [*lines, *words, *bytes]
                    .into_iter()
                    .zip(&*shown)
                    .filter_map(|(n, s)| s.then_some(n))
                    .collect();
                let text = match all[..] {
                    [one] => format!("{one}\n"),
                    _ => all.iter().map(|n| format!("{n:>7}")).collect::<Vec<_>>().join(" ") + "\n",
                };
                out.extend(text.into_bytes());
            }
            Kind::Tail { lines, .. } => lines.drain(..).for_each(|l| out.extend(l)),
            Kind::Sort { reverse, numeric, unique, key, lines, .. } => {
                let field = |line: &[u8]| -> String {
                    let text = String::from_utf8_lossy(line).trim_end_matches('\n').to_owned();
                    if *key == 0 {
                        return text;
                    }
                    text.split_whitespace().skip(*key - 1).collect::<Vec<_>>().join(" ")
                };
                let number = |text: &str| -> f64 {
                    let text = text.trim_start();
                    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-');
                    text[..end.unwrap_or(text.len())].parse().unwrap_or(0.0)
                };
                lines.sort_by(|a, b| {
                    let (x, y) = (field(a), field(b));
                    let order = if *numeric {
                        number(&x).total_cmp(&number(&y)).then_with(|| a.cmp(b))
                    } else {
                        x.cmp(&y).then_with(|| a.cmp(b))
                    };
                    if *reverse { order.reverse() } else { order }
                });
                if *unique {
                    lines.dedup();
                }
                lines.drain(..).for_each(|l| out.extend(l));
            }
            Kind::Uniq { count, last } => push_run(last.take(), *count, out),
            _ => {}
        }
    }

    fn take(&mut self, line: &[u8], out: &mut Vec<u8>) -> bool {
        match &mut self.kind {
            Kind::Grep { pattern, invert, count, number, only, at } => {
                *at += 1;
                let text = String::from_utf8_lossy(line);
                let text = text.trim_end_matches('\n');
                if pattern.is_match(text) != *invert {
                    self.any = true;
                    match count {
                        Some(n) => *n += 1,
                        None => {
                            let head = if *number { format!("{at}:") } else { String::new() };
                            if *only && !*invert {
                                for found in pattern.find_iter(text) {
                                    out.extend(format!("{head}{}\n", found.as_str()).into_bytes());
                                }
                            } else {
                                out.extend(format!("{head}{text}\n").into_bytes());
                            }
                        }
                    }
                }
            }
            Kind::Wc { lines, words, bytes, .. } => {
                *lines += u64::from(line.ends_with(b"\n"));
                *words += String::from_utf8_lossy(line).split_whitespace().count() as u64;
                *bytes += line.len() as u64;
            }
            Kind::Head { left, .. } => {
                if *left > 0 {
                    out.extend_from_slice(line);
                    *left -= 1;
                }
                return *left > 0;
            }
            Kind::Tail { keep, from, lines, seen } => {
                *seen += 1;
                match from {
                    Some(from) if *seen >= *from => out.extend_from_slice(line),
                    Some(_) => {}
                    None => {
                        lines.push(line.to_vec());
                        if lines.len() > *keep {
                            lines.remove(0);
                        }
                    }
                }
            }
            Kind::Sort { lines, size, .. } => {
                *size += line.len();
                if *size <= MAX_KEPT {
                    let mut line = line.to_vec();
                    if !line.ends_with(b"\n") {
                        line.push(b'\n');
                    }
                    lines.push(line);
                }
            }
            Kind::Uniq { count, last } => match last {
                Some((known, n)) if known == line => *n += 1,
                _ => push_run(last.replace((line.to_vec(), 1)), *count, out),
            },
            Kind::Cut { by, fields } => {
                let text = String::from_utf8_lossy(line);
                let text = text.trim_end_matches('\n');
                let wanted = |i: usize| fields.iter().any(|(a, b)| (*a..=*b).contains(&(i + 1)));
                let kept = match by {
                    Some(by) if text.contains(*by) => {
                        let all = text.split(*by).enumerate().filter(|(i, _)| wanted(*i));
                        all.map(|(_, f)| f).collect::<Vec<_>>().join(&by.to_string())
                    }
                    Some(_) => text.to_owned(),
                    None => text
                        .chars()
                        .enumerate()
                        .filter(|(i, _)| wanted(*i))
                        .map(|(_, c)| c)
                        .collect(),
                };
                out.extend((kept + "\n").into_bytes());
            }
            Kind::Cat => out.extend_from_slice(line),
        }
        true
    }
}

fn push_run(run: Option<(Vec<u8>, u64)>, count: bool, out: &mut Vec<u8>) {
    if let Some((line, n)) = run {
        if count {
            out.extend(format!("{n:>7} ").into_bytes());
        }
        out.extend(line);
    }
}

fn grep(argv: &[String]) -> Result<Kind, String> {
    let (mut invert, mut count, mut number, mut only) = (false, None, false, false);
    let (mut fold, mut fixed, mut word) = (false, false, false);
    let mut patterns: Vec<&String> = Vec::new();
    let mut rest = argv.iter();
    let mut flags_over = false;
    while let Some(arg) = rest.next() {
        match arg.strip_prefix('-').filter(|f| !f.is_empty() && !flags_over) {
            Some("-") => flags_over = true,
            Some("e") => patterns.extend(rest.next()),
            Some(flags) => {
                for c in flags.trim_start_matches('-').chars() {
                    match c {
                        'v' => invert = true,
                        'c' => count = Some(0),
                        'n' => number = true,
                        'o' => only = true,
                        'i' => fold = true,
                        'F' => fixed = true,
                        'w' => word = true,
                        'E' | 'q' | 'P' => {}
                        other => return Err(format!("grep: invalid option -- '{other}'")),
                    }
                }
            }
            None => patterns.push(arg),
        }
    }
    let [pattern] = patterns[..] else {
        return Err("Usage: grep [-EFcinovw] PATTERN (it reads what comes through the pipe)".into());
    };
    // `a\|b` is how a basic expression writes what this one writes `a|b`.
    let mut text = if fixed { regex::escape(pattern) } else { pattern.replace("\\|", "|") };
    if word {
        text = format!(r"\b(?:{text})\b");
    }
    let pattern = RegexBuilder::new(&text)
        .case_insensitive(fold)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| format!("grep: {pattern}: not a regular expression"))?;
    Ok(Kind::Grep { pattern, invert, count, number, only, at: 0 })
}

fn wc(argv: &[String]) -> Result<Kind, String> {
    let mut shown = [argv.is_empty(); 3];
    for c in argv.iter().flat_map(|a| a.trim_start_matches('-').chars()) {
        match c {
            'l' => shown[0] = true,
            'w' => shown[1] = true,
            'c' | 'm' => shown[2] = true,
            other => return Err(format!("wc: invalid option -- '{other}'")),
        }
    }
    Ok(Kind::Wc { shown, lines: 0, words: 0, bytes: 0 })
}

/// The number of `-n 5`, `-n5`, `-5`; 10 if there is none.
fn lines_of<'a>(name: &str, argv: &'a [String]) -> Result<(&'a str, bool), String> {
    let (mut number, mut bytes) = ("10", false);
    let mut rest = argv.iter();
    while let Some(arg) = rest.next() {
        let flag =
            arg.strip_prefix('-').ok_or_else(|| format!("{name}: there are no files here"))?;
        if flag == "f" {
            continue;
        }
        let (inner, is_bytes) = match (flag.strip_prefix('n'), flag.strip_prefix('c')) {
            (Some(inner), _) => (inner, false),
            (_, Some(inner)) => (inner, true),
            _ => (flag, false),
        };
        bytes = is_bytes;
        number = if inner.is_empty() {
            rest.next()
                .map(String::as_str)
                .ok_or_else(|| format!("{name}: option requires an argument -- 'n'"))?
        } else {
            inner
        };
    }
    Ok((number, bytes))
}

fn head(argv: &[String]) -> Result<Kind, String> {
    let (number, bytes) = lines_of("head", argv)?;
    let left = number.parse().map_err(|_| format!("head: invalid number of lines: '{number}'"))?;
    Ok(Kind::Head { left, bytes })
}

fn tail(argv: &[String]) -> Result<Kind, String> {
    let (number, _) = lines_of("tail", argv)?;
    let wrong = || format!("tail: invalid number of lines: '{number}'");
    let plain: u64 = number.trim_start_matches('+').parse().map_err(|_| wrong())?;
    let from = number.starts_with('+').then_some(plain);
    let keep = usize::try_from(plain).unwrap_or(usize::MAX).min(100_000);
    Ok(Kind::Tail { keep, from, lines: Vec::new(), seen: 0 })
}

fn sort(argv: &[String]) -> Result<Kind, String> {
    let (mut reverse, mut numeric, mut unique, mut key) = (false, false, false, 0);
    let mut rest = argv.iter();
    while let Some(arg) = rest.next() {
        let flags = arg.strip_prefix('-').ok_or("sort: there are no files here")?;
        for (at, c) in flags.char_indices() {
            match c {
                'r' => reverse = true,
                'n' | 'h' | 'V' => numeric = true,
                'u' => unique = true,
                // The rest of the argument is the key, or the next one.
                'k' => {
                    let inner = &flags[at + 1..];
                    let text = match inner {
                        "" => rest.next().map_or("", String::as_str),
                        inner => inner,
                    };
                    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
                    key = digits
                        .parse()
                        .map_err(|_| format!("sort: invalid number at field start: '{text}'"))?;
                    numeric |= text.contains('n');
                    reverse |= text.contains('r');
                    break;
                }
                other => return Err(format!("sort: invalid option -- '{other}'")),
            }
        }
    }
    Ok(Kind::Sort { reverse, numeric, unique, key, lines: Vec::new(), size: 0 })
}

fn cut(argv: &[String]) -> Result<Kind, String> {
    let (mut by, mut fields, mut chars) = ('\t', String::new(), false);
    let mut rest = argv.iter();
    while let Some(arg) = rest.next() {
        let flag = arg.strip_prefix('-').ok_or("cut: there are no files here")?;
        let (letter, inner) = flag.split_at(flag.len().min(1));
        let value = if inner.is_empty() { rest.next().map_or("", String::as_str) } else { inner };
        match letter {
            "d" => by = value.chars().next().ok_or("cut: the delimiter is missing")?,
            "f" => fields = value.into(),
            "c" => (fields, chars) = (value.into(), true),
            other => return Err(format!("cut: invalid option -- '{other}'")),
        }
    }
    let mut ranges = Vec::new();
    for part in fields.split(',') {
        let number = |text: &str, or: usize| {
            if text.is_empty() { Ok(or) } else { text.parse() }
        };
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let range = (number(from, 1), number(to, usize::MAX));
        match range {
            (Ok(from), Ok(to)) if from > 0 && !part.is_empty() => ranges.push((from, to)),
            _ => return Err("cut: you must specify a list of fields: cut -d ' ' -f 1,3".into()),
        }
    }
    Ok(Kind::Cut { by: (!chars).then_some(by), fields: ranges })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &str, input: &str) -> String {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let mut filter = Filter::new(&words).unwrap();
        let mut out = Vec::new();
        for piece in input.as_bytes().chunks(3) {
            if !filter.feed(piece, &mut out) {
                break;
            }
        }
        filter.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn filters_do_what_their_namesakes_do() {
        let text = "b 2\na 10\nb 2\nc 1\n";
        for (command, wanted) in [
            ("grep b", "b 2\nb 2\n"),
            ("grep -v b", "a 10\nc 1\n"),
            ("grep -c b", "2\n"),
            ("grep -n A -i", "2:a 10\n"),
            ("grep a\\|c", "a 10\nc 1\n"),
            ("wc -l", "4\n"),
            ("wc", "      4       8      17\n"),
            ("head -n 1", "b 2\n"),
            ("head -2", "b 2\na 10\n"),
            ("tail -n1", "c 1\n"),
            ("tail -n +4", "c 1\n"),
            ("sort", "a 10\nb 2\nb 2\nc 1\n"),
            ("sort -u", "a 10\nb 2\nc 1\n"),
            ("sort -k2 -n", "c 1\nb 2\nb 2\na 10\n"),
            ("sort -rnk2", "a 10\nb 2\nb 2\nc 1\n"),
            ("uniq", "b 2\na 10\nb 2\nc 1\n"),
            ("cut -f1", "b 2\na 10\nb 2\nc 1\n"),
            ("cut -c1", "b\na\nb\nc\n"),
        ] {
            assert_eq!(run(command, text), wanted, "{command}");
        }
        assert!(Filter::new(&["awk".into()]).is_err());
    }
}
