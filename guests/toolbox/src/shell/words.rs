//! From words as they are written to words as commands see them: quotes, variables, `$()`,
//! `$(())`, fields, patterns (POSIX, Shell Command Language, 2.6).

use std::fs;

use super::run::Shell;
use super::tokens::part_end;
use crate::io::Io;

/// A character, and whether it was quoted.
type Char = (char, bool);

/// Whether a word can be a variable's name.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Shell {
    /// The fields a word becomes: none, one or many.
    pub fn fields(&mut self, word: &str, io: &Io) -> Result<Vec<String>, String> {
        let mut fields: Vec<Option<Vec<Char>>> = vec![None];
        self.expand(word, false, io, &mut fields)?;
        let mut out = Vec::new();
        for field in fields.into_iter().flatten() {
            match glob(&field) {
                Some(paths) => out.extend(paths),
                None => out.push(field.iter().map(|(c, _)| c).collect()),
            }
        }
        Ok(out)
    }

    /// A word that stays one: the value of an assignment, a file's name.
    pub fn text(&mut self, word: &str, io: &Io) -> Result<String, String> {
        let pattern = self.pattern(word, io)?;
        Ok(pattern.iter().map(|(c, _)| c).collect())
    }

    /// A word that stays one and remembers what was quoted.
    pub fn pattern(&mut self, word: &str, io: &Io) -> Result<Vec<Char>, String> {
        let mut fields = vec![None];
        self.expand(word, true, io, &mut fields)?;
        Ok(fields.into_iter().flatten().flatten().collect())
    }

    /// The body of a here-document: only `$` and backticks mean something.
    pub fn document(&mut self, body: &str, io: &Io) -> Result<String, String> {
        let escaped = body.replace('"', "\\\"");
        self.text(&format!("\"{escaped}\""), io)
    }

    fn expand(
        &mut self,
        word: &str,
        whole: bool,
        io: &Io,
        fields: &mut Vec<Option<Vec<Char>>>,
    ) -> Result<(), String> {
        let mut rest = word;
        if rest == "~" || rest.starts_with("~/") {
            let home = self.get("HOME").unwrap_or_else(|| "/".into());
            add(fields, home.trim_end_matches('/'), true);
            if home == "/" && rest == "~" {
                add(fields, "/", true);
            }
            rest = &rest[1..];
        }
        while let Some(c) = rest.chars().next() {
            let length = part_end(rest, c).map_err(|_| "a quotation is open".to_owned())?;
            let part = &rest[..length];
            rest = &rest[length..];
            match c {
                '\'' => add(fields, &part[1..length - 1], true),
                '"' => self.double(&part[1..length - 1], io, fields)?,
                '\\' => add(fields, part[1..].trim_start_matches('\n'), true),
                '$' | '`' => {
                    // A name goes on behind the dollar.
                    let more = if part == "$" { name_length(rest) } else { 0 };
                    let (name, behind) = rest.split_at(more);
                    rest = behind;
                    if name == "@" || name == "*" {
                        self.parameters(whole, fields);
                        continue;
                    }
                    let value = self.value(&format!("{part}{name}"), io)?;
                    if whole {
                        add(fields, &value, false);
                    } else {
                        split_fields(fields, &value);
                    }
                }
                c => add(fields, c.encode_utf8(&mut [0; 4]), false),
            }
        }
        Ok(())
    }

    /// What stands between double quotes.
    fn double(
        &mut self,
        text: &str,
        io: &Io,
        fields: &mut Vec<Option<Vec<Char>>>,
    ) -> Result<(), String> {
        add(fields, "", true);
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let length = match c {
                '$' | '`' | '\\' => {
                    part_end(rest, c).map_err(|_| "a quotation is open".to_owned())?
                }
                c => c.len_utf8(),
            };
            let part = &rest[..length];
            rest = &rest[length..];
            match c {
                '\\' if part == "\\\n" => {}
                '\\' if part.len() > 1 && "\"\\$`".contains(&part[1..]) => {
                    add(fields, &part[1..], true)
                }
                '$' | '`' => {
                    let more = if part == "$" { name_length(rest) } else { 0 };
                    let (name, behind) = rest.split_at(more);
                    rest = behind;
                    if name == "@" {
                        let arguments = self.arguments.clone();
                        for (n, argument) in arguments.iter().enumerate() {
                            if n > 0 {
                                fields.push(None);
                            }
                            add(fields, argument, true);
                        }
                        continue;
                    }
                    let value = match name {
                        "*" => self.arguments.join(" "),
                        _ => self.value(&format!("{part}{name}"), io)?,
                    };
                    add(fields, &value, true);
                }
                _ => add(fields, part, true),
            }
        }
        Ok(())
    }

    fn parameters(&mut self, whole: bool, fields: &mut Vec<Option<Vec<Char>>>) {
        let arguments = self.arguments.clone();
        match whole {
            true => add(fields, &arguments.join(" "), false),
            false => split_fields(fields, &arguments.join(" ")),
        }
    }

    /// What `$...` or backticks stand for.
    fn value(&mut self, part: &str, io: &Io) -> Result<String, String> {
        if let Some(text) = part.strip_prefix("$((").and_then(|t| t.strip_suffix("))")) {
            let text = self.text(&format!("\"{text}\""), io)?;
            return super::arithmetic::value(&text, &|name| self.get(name)).map(|n| n.to_string());
        }
        let command = part
            .strip_prefix("$(")
            .and_then(|t| t.strip_suffix(')'))
            .or_else(|| part.strip_prefix('`').and_then(|t| t.strip_suffix('`')));
        if let Some(command) = command {
            return Ok(self.substitute(command, io));
        }
        match part.strip_prefix("${").and_then(|t| t.strip_suffix('}')) {
            Some(inner) => self.braced(inner, io),
            None if part == "$" => Ok("$".into()),
            None => self.variable(&part[1..]),
        }
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        match self.get(name) {
            Some(value) => Ok(value),
            None if self.strict => Err(format!("{name}: parameter not set")),
            None => Ok(String::new()),
        }
    }

    /// `name`, `#name`, `name:-word` and the like.
    fn braced(&mut self, inner: &str, io: &Io) -> Result<String, String> {
        if let Some(name) = inner.strip_prefix('#').filter(|n| !n.is_empty()) {
            return Ok(self.variable(name)?.chars().count().to_string());
        }
        let length = name_length(inner);
        let (name, operation) = inner.split_at(length);
        if name.is_empty() {
            return Err(format!("${{{inner}}}: bad substitution"));
        }
        let (colon, operation) = match operation.strip_prefix(':') {
            Some(rest) => (true, rest),
            None => (false, operation),
        };
        let value = self.get(name).filter(|v| !colon || !v.is_empty());
        let Some(kind) = operation.chars().next() else { return self.variable(name) };
        let word = &operation[kind.len_utf8()..];
        Ok(match (kind, value) {
            ('-' | '=' | '?', Some(value)) => value,
            ('-', None) => self.text(word, io)?,
            ('=', None) => {
                let value = self.text(word, io)?;
                self.set(name, value.clone());
                value
            }
            ('?', None) => {
                let why = self.text(word, io)?;
                return Err(format!(
                    "{name}: {}",
                    if why.is_empty() { "parameter not set" } else { &why }
                ));
            }
            ('+', value) => match value {
                Some(_) => self.text(word, io)?,
                None => String::new(),
            },
            ('%' | '#', _) if !colon => {
                let value = self.variable(name)?;
                let longest = word.starts_with(kind);
                let pattern = self.pattern(if longest { &word[1..] } else { word }, io)?;
                trimmed(&value, &pattern, kind == '%', longest)
            }
            _ => return Err(format!("${{{inner}}}: bad substitution")),
        })
    }
}

/// How many bytes at the start of `text` name a variable or parameter.
fn name_length(text: &str) -> usize {
    match text.chars().next() {
        Some('?' | '#' | '$' | '@' | '*' | '!' | '-' | '0'..='9') => 1,
        _ => {
            text.len()
                - text.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len()
        }
    }
}

fn add(fields: &mut [Option<Vec<Char>>], text: &str, quoted: bool) {
    let last = fields.last_mut().expect("there is always a field");
    last.get_or_insert_default().extend(text.chars().map(|c| (c, quoted)));
}

/// Adds a value that is split at white space.
fn split_fields(fields: &mut Vec<Option<Vec<Char>>>, value: &str) {
    if value.starts_with(char::is_whitespace) && fields.last().is_some_and(Option::is_some) {
        fields.push(None);
    }
    for (n, part) in value.split_whitespace().enumerate() {
        if n > 0 {
            fields.push(None);
        }
        add(fields, part, false);
    }
    if value.ends_with(char::is_whitespace) && fields.last().is_some_and(Option::is_some) {
        fields.push(None);
    }
}

/// Without what the pattern matches at its start or end.
fn trimmed(value: &str, pattern: &[Char], end: bool, longest: bool) -> String {
    let mut cuts: Vec<usize> =
        value.char_indices().map(|(at, _)| at).chain([value.len()]).collect();
    // The shortest match at the end is the last cut; at the start, the first.
    if end != longest {
        cuts.reverse();
    }
    for at in cuts {
        let (head, tail) = value.split_at(at);
        let (part, left) = if end { (tail, head) } else { (head, tail) };
        if fits(pattern, &part.chars().collect::<Vec<_>>()) {
            return left.to_owned();
        }
    }
    value.to_owned()
}

/// Whether a text fits a pattern of `*`, `?` and `[...]`.
pub fn fits(pattern: &[Char], text: &[char]) -> bool {
    // Where to go on if the rest does not fit: the last star takes one character more.
    let (mut p, mut t, mut star) = (0, 0, None);
    loop {
        match pattern.get(p) {
            None if t == text.len() => return true,
            Some(('*', false)) => {
                star = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(_) if t < text.len() => {
                if let Some(next) = one(pattern, p, text[t]) {
                    (p, t) = (next, t + 1);
                    continue;
                }
            }
            _ => {}
        }
        match star {
            Some((after, from)) if from < text.len() => {
                star = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// Whether a character fits the pattern at `p`; where the pattern goes on.
fn one(pattern: &[Char], p: usize, c: char) -> Option<usize> {
    match pattern[p] {
        ('?', false) => Some(p + 1),
        ('[', false) => {
            let set = &pattern[p + 1..];
            let not = matches!(set.first(), Some(('!' | '^', false)));
            let start = usize::from(not);
            let Some(end) = set.iter().skip(start + 1).position(|x| *x == (']', false)) else {
                return (c == '[').then_some(p + 1);
            };
            let end = end + start + 1;
            let set = &set[start..end];
            let (mut n, mut found) = (0, false);
            while n < set.len() {
                if n + 2 < set.len() && set[n + 1] == ('-', false) {
                    found |= (set[n].0..=set[n + 2].0).contains(&c);
                    n += 3;
                } else {
                    found |= set[n].0 == c;
                    n += 1;
                }
            }
            (found != not).then_some(p + 1 + start + end - start + 1)
        }
        (wanted, _) => (wanted == c).then_some(p + 1),
    }
}

/// The paths a field matches, sorted; `None` if it is no pattern or matches nothing.
fn glob(field: &[Char]) -> Option<Vec<String>> {
    let special = |c: &Char| matches!(c, ('*' | '?' | '[', false));
    if !field.iter().any(special) {
        return None;
    }
    let absolute = field.first().is_some_and(|(c, _)| *c == '/');
    let mut found = vec![if absolute { "/".to_owned() } else { String::new() }];
    for part in field.split(|(c, _)| *c == '/').filter(|p| !p.is_empty()) {
        let mut next = Vec::new();
        for base in &found {
            let join = |name: &str| match base.as_str() {
                "" => name.to_owned(),
                base => format!("{}/{name}", base.trim_end_matches('/')),
            };
            if !part.iter().any(special) {
                let path = join(&part.iter().map(|(c, _)| c).collect::<String>());
                next.extend(fs::symlink_metadata(&path).is_ok().then_some(path));
                continue;
            }
            let folder = if base.is_empty() { "." } else { base };
            let Ok(entries) = fs::read_dir(folder) else { continue };
            let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
            let hidden = part[0].0 == '.';
            let right = |n: &String| {
                (hidden || !n.starts_with('.')) && fits(part, &n.chars().collect::<Vec<_>>())
            };
            next.extend(names.filter(right).map(|n| join(&n)));
        }
        found = next;
    }
    found.sort();
    (!found.is_empty()).then_some(found)
}

/// Words of a text, with quotes, as xargs reads them.
pub fn split(text: &str) -> Vec<String> {
    let (mut out, mut current, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                current.get_or_insert_default();
            }
            (None, '\\') => current.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => out.extend(current.take()),
            (_, c) => current.get_or_insert_default().push(c),
        }
    }
    out.extend(current);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let fits = |pattern: &str, text: &str| super::super::matches(pattern, text);
        for (pattern, text, right) in [
            ("*", "", true),
            ("*.log", "a.log", true),
            ("*.log", "a.log.1", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[", "[", true),
            ("a*b*c", "aXbYbZc", true),
            ("*a*b*a*b*a*b*a*b*c", "abababababababababababababab", false),
        ] {
            assert_eq!(fits(pattern, text), right, "{pattern} {text}");
        }
        assert_eq!(split("a 'b c' \"d\"e \\ f\n''"), ["a", "b c", "de", " f", ""]);
    }
}
