//! Patterns, and `grep`.

use std::io::Write;

use regex_lite::{Regex, RegexBuilder};

use super::text::number;
use super::{Fault, Outcome, content, usage};
use crate::io::Io;
use crate::options::Given;

/// A pattern as `grep` and `sed` have it: basic, or extended.
pub fn pattern(text: &str, extended: bool, fixed: bool, ignore: bool) -> Result<Regex, Fault> {
    let text = match (fixed, extended) {
        (true, _) => regex_lite::escape(text),
        (_, true) => text.to_owned(),
        _ => extend(text),
    };
    let mut builder = RegexBuilder::new(&text);
    builder.case_insensitive(ignore);
    builder.build().map_err(|e| Fault::Usage(format!("bad pattern: {e}")))
}

/// A basic regular expression as an extended one: there, `\(` groups and `(` is a letter.
fn extend(basic: &str) -> String {
    let (mut out, mut chars) = (String::new(), basic.chars().peekable());
    let mut set = false;
    while let Some(c) = chars.next() {
        match c {
            '[' if !set => {
                set = true;
                out.push('[');
                for first in ['^', ']'] {
                    if chars.peek() == Some(&first) {
                        chars.next();
                        out.push_str(if first == ']' { "\\]" } else { "^" });
                    }
                }
            }
            '[' if chars.peek() != Some(&':') => out.push_str("\\["),
            '[' => {
                // A class: [:digit:]
                out.push('[');
                for c in chars.by_ref() {
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            ']' => {
                set = false;
                out.push(']');
            }
            c if set => out.push(c),
            '\\' => match chars.next() {
                Some(c @ ('(' | ')' | '{' | '}' | '|' | '+' | '?')) => out.push(c),
                Some(c) => {
                    out.push('\\');
                    out.push(c);
                }
                None => out.push_str("\\\\"),
            },
            '(' | ')' | '{' | '}' | '|' | '+' | '?' => {
                out.push('\\');
                out.push(c);
            }
            '*' if out.is_empty() => out.push_str("\\*"),
            c => out.push(c),
        }
    }
    out
}

/// `grep`: 0 if a line was found, 1 if none, 2 if it could not look.
pub fn grep(given: &Given, io: &mut Io) -> Outcome {
    let mut files = given.rest.clone();
    let mut wanted: Vec<String> = given.values('e').map(str::to_owned).collect();
    if wanted.is_empty() {
        if files.is_empty() {
            return Err(usage());
        }
        wanted.push(files.remove(0));
    }
    let regexes: Vec<Regex> = wanted
        .iter()
        .map(|p| pattern(p, given.has('E'), given.has('F'), given.has('i')))
        .collect::<Result<_, _>>()?;
    let recursive = given.has('r');
    if recursive {
        let roots = if files.is_empty() { vec![".".to_owned()] } else { files };
        files = Vec::new();
        for root in &roots {
            super::disk::walk(root, &mut |path, kind| {
                if kind.is_file() {
                    files.push(path.to_owned());
                }
            });
        }
    }
    let names = (files.len() > 1 || recursive || given.has('H')) && !given.has('h');
    if files.is_empty() && !recursive {
        files.push("-".into());
    }
    let most = given.value('m').map(number).transpose()?.unwrap_or(usize::MAX);
    let (mut any, mut failed) = (false, false);
    for file in &files {
        let bytes = match content(file, io) {
            Ok(bytes) => bytes,
            Err(Fault::Io(error)) => {
                failed = true;
                if !given.has('s') {
                    writeln!(io.err, "grep: {error}")?;
                }
                continue;
            }
            Err(other) => return Err(other),
        };
        let text = String::from_utf8_lossy(&bytes);
        let prefix = if names { format!("{file}:") } else { String::new() };
        let mut count = 0;
        for (n, line) in text.lines().enumerate() {
            let parts = hits(&regexes, line, given);
            if parts.is_empty() != given.has('v') || count >= most {
                continue;
            }
            any = true;
            count += 1;
            if given.has('q') {
                return Ok(0);
            }
            if given.has('l') || given.has('c') {
                continue;
            }
            let place = if given.has('n') { format!("{prefix}{}:", n + 1) } else { prefix.clone() };
            if given.has('o') && !given.has('v') {
                for part in parts {
                    writeln!(io.out, "{place}{}", &line[part.clone()])?;
                }
            } else {
                writeln!(io.out, "{place}{line}")?;
            }
        }
        if given.has('l') && count > 0 {
            writeln!(io.out, "{file}")?;
        } else if given.has('c') {
            writeln!(io.out, "{prefix}{count}")?;
        }
    }
    Ok(if failed { 2 } else { i32::from(!any) })
}

/// Where a line has what is looked for; `-w` and `-x` want whole words and lines.
fn hits(regexes: &[Regex], line: &str, given: &Given) -> Vec<std::ops::Range<usize>> {
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let fits = |m: &std::ops::Range<usize>| {
        let alone =
            !word(line[..m.start].chars().next_back()) && !word(line[m.end..].chars().next());
        (!given.has('w') || alone) && (!given.has('x') || *m == (0..line.len()))
    };
    regexes.iter().flat_map(|r| r.find_iter(line)).map(|m| m.range()).filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use crate::applets::tests::{folder, out, ran};

    #[test]
    fn grep_finds() {
        let text = "one\nTwo 2\nthree (3)\nfour.\n";
        assert_eq!(out(&["grep", "o"], text), "one\nTwo 2\nfour.\n");
        assert_eq!(out(&["grep", "-v", "o"], text), "three (3)\n");
        assert_eq!(out(&["grep", "-in", "two"], text), "2:Two 2\n");
        assert_eq!(out(&["grep", "(3)"], text), "three (3)\n");
        assert_eq!(out(&["grep", "-E", "^(one|four)"], text), "one\nfour.\n");
        assert_eq!(out(&["grep", "\\(one\\|four\\)"], text), "one\nfour.\n");
        assert_eq!(out(&["grep", "-F", "r."], text), "four.\n");
        assert_eq!(out(&["grep", "-o", "[0-9]"], text), "2\n3\n");
        assert_eq!(out(&["grep", "-c", "-e", "one", "-e", "2"], text), "2\n");
        assert_eq!(out(&["grep", "-w", "2"], "22\n2\n"), "2\n");
        assert_eq!(ran(&["grep", "-q", "none"], text), (1, String::new(), String::new()));
        assert_eq!(ran(&["grep", "x", "/no/such"], "").0, 2);
        assert_eq!(ran(&["grep", "-E", "("], "").0, 2);
        let dir = folder("grep");
        std::fs::write(format!("{dir}/a"), "x\n").unwrap();
        assert_eq!(out(&["grep", "-r", "x", &dir], ""), format!("{dir}/a:x\n"));
    }
}
