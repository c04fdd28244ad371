//! `sed`, as far as scripts of one line go: `s`, `d`, `p`, `q`, `y`, `a`, `i`, `c`, `=`, addresses.

use std::fs;
use std::io::Write;

use regex_lite::{Captures, Regex};

use super::search::pattern;
use super::{Fault, Outcome, contents, named, usage};
use crate::io::Io;
use crate::options::Given;

enum Address {
    Line(usize),
    Last,
    Text(Regex),
}

enum Verb {
    Substitute { wanted: Regex, by: String, all: bool, nth: usize, print: bool },
    Translate(Vec<char>, Vec<char>),
    Delete,
    Print,
    Quit,
    Number,
    Append(String),
    Insert(String),
    Change(String),
}

struct Command {
    from: Option<Address>,
    to: Option<Address>,
    not: bool,
    verb: Verb,
    /// Whether a range is open.
    open: bool,
}

fn wrong(why: impl Into<String>) -> Fault {
    Fault::Usage(format!("bad script: {}", why.into()))
}

struct Script<'a> {
    rest: &'a str,
    extended: bool,
}

impl Script<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn skip(&mut self, chars: &[char]) {
        self.rest = self.rest.trim_start_matches(chars);
    }

    /// Up to the next `end` that is not escaped; an escaped one loses its backslash.
    fn until(&mut self, end: char) -> Result<String, Fault> {
        let mut out = String::new();
        loop {
            match self.next().ok_or_else(|| wrong(format!("{end} is missing")))? {
                c if c == end => return Ok(out),
                '\\' => match self.next() {
                    Some(c) if c == end => out.push(c),
                    Some(c) => {
                        out.push('\\');
                        out.push(c);
                    }
                    None => return Err(wrong("it ends with a backslash")),
                },
                c => out.push(c),
            }
        }
    }

    fn address(&mut self) -> Result<Option<Address>, Fault> {
        let digits =
            self.rest.len() - self.rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            let number =
                self.rest[..digits].parse().map_err(|_| wrong("a line number is too large"))?;
            self.rest = &self.rest[digits..];
            return Ok(Some(Address::Line(number)));
        }
        match self.rest.chars().next() {
            Some('$') => {
                self.next();
                Ok(Some(Address::Last))
            }
            Some('/') => {
                self.next();
                let text = self.until('/')?;
                Ok(Some(Address::Text(pattern(&text, self.extended, false, false)?)))
            }
            _ => Ok(None),
        }
    }

    /// The text of `a`, `i` and `c`: the rest of the line, perhaps after a backslash.
    fn line(&mut self) -> String {
        let text = self.rest.strip_prefix('\\').unwrap_or(self.rest).trim_start();
        let end = text.find('\n').unwrap_or(text.len());
        let line = text[..end].to_owned();
        self.rest = &text[end..];
        line
    }

    fn verb(&mut self) -> Result<Verb, Fault> {
        Ok(match self.next().ok_or_else(|| wrong("a command is missing"))? {
            's' => {
                let end = self.next().ok_or_else(|| wrong("s needs s/pattern/text/"))?;
                let (wanted, by) = (self.until(end)?, self.until(end)?);
                let (mut all, mut ignore, mut print, mut nth) = (false, false, false, 1);
                while let Some(flag) = self.rest.chars().next().filter(|c| c.is_alphanumeric()) {
                    self.next();
                    match flag {
                        'g' => all = true,
                        'i' | 'I' => ignore = true,
                        'p' => print = true,
                        '1'..='9' => nth = flag as usize - '0' as usize,
                        other => return Err(wrong(format!("s has no flag {other}"))),
                    }
                }
                let wanted = pattern(&wanted, self.extended, false, ignore)?;
                Verb::Substitute { wanted, by, all, nth, print }
            }
            'y' => {
                let end = self.next().ok_or_else(|| wrong("y needs y/abc/xyz/"))?;
                let (from, to): (Vec<char>, Vec<char>) =
                    (self.until(end)?.chars().collect(), self.until(end)?.chars().collect());
                if from.len() != to.len() {
                    return Err(wrong("y needs as many characters on both sides"));
                }
                Verb::Translate(from, to)
            }
            'd' => Verb::Delete,
            'p' => Verb::Print,
            'q' => Verb::Quit,
            '=' => Verb::Number,
            'a' => Verb::Append(self.line()),
            'i' => Verb::Insert(self.line()),
            'c' => Verb::Change(self.line()),
            other => return Err(wrong(format!("the command {other} is not known"))),
        })
    }

    fn commands(&mut self) -> Result<Vec<Command>, Fault> {
        let mut out = Vec::new();
        loop {
            self.skip(&[' ', '\t', '\n', ';']);
            if self.rest.is_empty() {
                return Ok(out);
            }
            let from = self.address()?;
            let mut to = None;
            if from.is_some() && self.rest.starts_with(',') {
                self.next();
                to = Some(
                    self.address()?
                        .ok_or_else(|| wrong("an address is missing after the comma"))?,
                );
            }
            self.skip(&[' ']);
            let not = self.rest.starts_with('!');
            self.skip(&['!', ' ']);
            out.push(Command { from, to, not, verb: self.verb()?, open: false });
            self.skip(&[' ']);
            if !self.rest.is_empty() && !self.rest.starts_with([';', '\n']) {
                return Err(wrong(format!("this is too much: {}", self.rest)));
            }
        }
    }
}

impl Command {
    fn is_for(&mut self, number: usize, last: bool, line: &str) -> bool {
        let at = |a: &Address| match a {
            Address::Line(n) => *n == number,
            Address::Last => last,
            Address::Text(regex) => regex.is_match(line),
        };
        let hit = match (&self.from, &self.to) {
            (None, _) => true,
            (Some(from), None) => at(from),
            (Some(from), Some(to)) => {
                if self.open {
                    self.open = !at(to);
                    true
                } else if at(from) {
                    self.open = !matches!(to, Address::Line(n) if *n <= number);
                    true
                } else {
                    false
                }
            }
        };
        hit != self.not
    }
}

/// What a match is replaced by: `&` and `\1` are parts of it.
fn replaced(by: &str, found: &Captures<'_>) -> String {
    let part = |n: usize| found.get(n).map_or("", |m| m.as_str());
    let (mut out, mut chars) = (String::new(), by.chars());
    while let Some(c) = chars.next() {
        match c {
            '&' => out.push_str(part(0)),
            '\\' => match chars.next() {
                Some(d @ '0'..='9') => out.push_str(part(d as usize - '0' as usize)),
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

fn edit(commands: &mut [Command], text: &str, quiet: bool) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    let mut say = |line: &str| {
        out.push_str(line);
        out.push('\n');
    };
    'lines: for (n, line) in lines.iter().enumerate() {
        let mut line = (*line).to_owned();
        let (mut after, mut quit) = (Vec::new(), false);
        for command in commands.iter_mut() {
            if !command.is_for(n + 1, n + 1 == lines.len(), &line) {
                continue;
            }
            match &command.verb {
                Verb::Substitute { wanted, by, all, nth, print } => {
                    let mut count = 0;
                    let mut changed = false;
                    let new = wanted.replace_all(&line, |found: &Captures<'_>| {
                        count += 1;
                        let this = count == *nth || *all && count > *nth;
                        changed |= this;
                        if this { replaced(by, found) } else { found[0].to_owned() }
                    });
                    let new = new.into_owned();
                    line = new;
                    if changed && *print {
                        say(&line);
                    }
                }
                Verb::Translate(from, to) => {
                    let map = |c| from.iter().position(|f| *f == c).map_or(c, |n| to[n]);
                    line = line.chars().map(map).collect();
                }
                Verb::Delete => continue 'lines,
                Verb::Print => say(&line),
                Verb::Number => say(&(n + 1).to_string()),
                Verb::Append(text) => after.push(text.clone()),
                Verb::Insert(text) => say(text),
                Verb::Change(text) => {
                    say(text);
                    continue 'lines;
                }
                Verb::Quit => {
                    quit = true;
                    break;
                }
            }
        }
        if !quiet {
            say(&line);
        }
        after.iter().for_each(|text| say(text));
        if quit {
            break;
        }
    }
    out
}

/// `sed`.
pub fn sed(given: &Given, io: &mut Io) -> Outcome {
    let mut files = given.rest.clone();
    let mut scripts: Vec<String> = given.values('e').map(str::to_owned).collect();
    for file in given.values('f') {
        scripts.push(fs::read_to_string(file).map_err(named(file))?);
    }
    if scripts.is_empty() {
        if files.is_empty() {
            return Err(usage());
        }
        scripts.push(files.remove(0));
    }
    let extended = given.has('E') || given.has('r');
    let parse = || Script { rest: &scripts.join("\n"), extended }.commands();
    let quiet = given.has('n');
    if given.has('i') {
        for file in &files {
            let text = fs::read_to_string(file).map_err(named(file))?;
            fs::write(file, edit(&mut parse()?, &text, quiet)).map_err(named(file))?;
        }
        return Ok(0);
    }
    let mut commands = parse()?;
    let bytes = contents(&files, io)?;
    let text = edit(&mut commands, &String::from_utf8_lossy(&bytes), quiet);
    io.out.write_all(text.as_bytes())?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::applets::tests::{folder, out, ran};

    #[test]
    fn scripts() {
        let sed = |script: &str, text: &str| out(&["sed", script], text);
        assert_eq!(sed("s/a/b/", "aa\n"), "ba\n");
        assert_eq!(sed("s/a/b/g", "aa\n"), "bb\n");
        assert_eq!(sed("s/a/b/2", "aaa\n"), "aba\n");
        assert_eq!(sed("s|/usr|/opt|", "/usr/bin\n"), "/opt/bin\n");
        assert_eq!(sed("s/\\(.\\)-\\(.\\)/\\2-\\1 &/", "a-b\n"), "b-a a-b\n");
        assert_eq!(out(&["sed", "-E", "s/([0-9]+)/<\\1>/g"], "a1b22\n"), "a<1>b<22>\n");
        assert_eq!(sed("s/a\\/b/x/;s/x/y/I", "a/b\n"), "y\n");
        assert_eq!(sed("2d", "1\n2\n3\n"), "1\n3\n");
        assert_eq!(sed("/2/,$d", "1\n2\n3\n"), "1\n");
        assert_eq!(sed("2q", "1\n2\n3\n"), "1\n2\n");
        assert_eq!(sed("/b/!s/^/# /", "a\nb\n"), "# a\nb\n");
        assert_eq!(sed("y/abc/xyz/", "aabbc\n"), "xxyyz\n");
        assert_eq!(sed("1i\\top\n$a end", "x\n"), "top\nx\nend\n");
        assert_eq!(out(&["sed", "-n", "1,2p"], "1\n2\n3\n"), "1\n2\n");
        assert_eq!(out(&["sed", "-n", "-e", "s/a/b/p", "-e", "$="], "a\nc\n"), "b\n2\n");
        for bad in ["s/a/b", "s/a/b/x", "k", "1,p", "y/ab/c/", "s/\\(/x/", "p p"] {
            assert_eq!(ran(&["sed", bad], "").0, 2, "{bad}");
        }
    }

    #[test]
    fn in_place() {
        let file = format!("{}/f", folder("sed"));
        std::fs::write(&file, "port: 80\n").unwrap();
        out(&["sed", "-i", "s/80/8080/", &file], "");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "port: 8080\n");
    }
}
