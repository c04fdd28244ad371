//! YAML as kubectl prints it: block style, keys in natural order, lists at the margin of their
//! key, long texts folded after 80 columns (the emitter of go-yaml 2).

use std::cmp::Ordering;

use regex::Regex;
use serde_json::{Map, Value};

/// Where a text is folded.
const WIDTH: usize = 80;

/// `value` as a document.
pub fn yaml(value: &Value) -> String {
    let mut out = Emitter { out: String::new(), numbers: numbers() };
    match value {
        Value::Object(map) if !map.is_empty() => out.map(map, 0),
        Value::Array(list) if !list.is_empty() => out.list(list, 0),
        other => {
            out.scalar(other, 0, false);
            out.out.push('\n');
        }
    }
    out.out
}

struct Emitter {
    out: String,
    numbers: Vec<Regex>,
}

fn numbers() -> Vec<Regex> {
    [
        r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$",
        r"^[-+]?0b[01_]+$",
        r"^[-+]?0o?[0-7_]+$",
        r"^[-+]?0x[0-9a-fA-F_]+$",
        r"^[-+]?[0-9][0-9_]*$",
        r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$",
        r"^\d{4}-\d{1,2}-\d{1,2}$",
        r"^\d{4}-\d{1,2}-\d{1,2}([Tt]|\s+)\d{1,2}:\d{2}:\d{2}(\.\d+)?\s*(Z|[-+]\d{1,2}(:\d{2})?)?$",
    ]
    .iter()
    .map(|r| Regex::new(r).expect("a constant"))
    .collect()
}

impl Emitter {
    fn column(&self) -> usize {
        let line = self.out.rfind('\n').map_or(0, |at| at + 1);
        self.out[line..].chars().count()
    }

    fn margin(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn map(&mut self, map: &Map<String, Value>, indent: usize) {
        let mut keys: Vec<&String> = map.keys().collect();
        keys.sort_by(|a, b| natural(a, b));
        for (i, key) in keys.into_iter().enumerate() {
            // The first key of a map in a list is on the line of its dash.
            if i > 0 || self.column() == 0 {
                self.margin(indent);
            }
            self.text(key, indent, true);
            self.out.push(':');
            match &map[key] {
                Value::Object(inner) if !inner.is_empty() => {
                    self.out.push('\n');
                    self.map(inner, indent + 2);
                }
                Value::Array(list) if !list.is_empty() => {
                    self.out.push('\n');
                    self.list(list, indent);
                }
                other => {
                    self.out.push(' ');
                    self.scalar(other, indent + 2, false);
                    self.out.push('\n');
                }
            }
        }
    }

    fn list(&mut self, list: &[Value], indent: usize) {
        for item in list {
            if self.column() == 0 {
                self.margin(indent);
            }
            self.out.push_str("- ");
            match item {
                Value::Object(inner) if !inner.is_empty() => self.map(inner, indent + 2),
                Value::Array(inner) if !inner.is_empty() => self.list(inner, indent + 2),
                other => {
                    self.scalar(other, indent + 2, false);
                    self.out.push('\n');
                }
            }
        }
    }

    fn scalar(&mut self, value: &Value, indent: usize, key: bool) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(b) => self.out.push_str(if *b { "true" } else { "false" }),
            Value::Number(n) => self.out.push_str(&n.to_string()),
            Value::String(text) => self.text(text, indent, key),
            Value::Array(_) => self.out.push_str("[]"),
            Value::Object(_) => self.out.push_str("{}"),
        }
    }

    fn text(&mut self, text: &str, indent: usize, key: bool) {
        let found = Analysis::of(text);
        if text.contains('\n') && !key && !found.special && !found.trailing_space {
            return self.literal(text, indent);
        }
        let quoted = self.resolves(text) || text.contains('\n');
        if quoted || found.special {
            return self.double(text, indent, !key);
        }
        if found.plain {
            return self.folded(text, indent, !key);
        }
        self.out.push('\'');
        self.folded(&text.replace('\'', "''"), indent, !key);
        self.out.push('\'');
    }

    /// Whether a reader would take the plain text for something other than a text.
    fn resolves(&self, text: &str) -> bool {
        matches!(
            text.to_ascii_lowercase().as_str(),
            "" | "~"
                | "null"
                | "y"
                | "n"
                | "yes"
                | "no"
                | "on"
                | "off"
                | "true"
                | "false"
                | ".nan"
                | ".inf"
                | "+.inf"
                | "-.inf"
                | "<<"
        ) || self.numbers.iter().any(|n| n.is_match(text))
    }

    /// Plain, or between single quotes.
    fn folded(&mut self, text: &str, indent: usize, may: bool) {
        let chars: Vec<char> = text.chars().collect();
        let mut column = self.column();
        let mut spaces = false;
        for (i, c) in chars.iter().enumerate() {
            if *c == ' ' {
                let inner = i > 0 && i + 1 < chars.len() && chars[i + 1] != ' ';
                if may && !spaces && column > WIDTH && inner {
                    self.out.push('\n');
                    self.margin(indent);
                    column = indent;
                } else {
                    self.out.push(' ');
                    column += 1;
                }
                spaces = true;
            } else {
                self.out.push(*c);
                column += 1;
                spaces = false;
            }
        }
    }

    fn double(&mut self, text: &str, indent: usize, may: bool) {
        self.out.push('"');
        let chars: Vec<char> = text.chars().collect();
        let mut column = self.column();
        let mut spaces = false;
        for (i, c) in chars.iter().enumerate() {
            let escaped = match c {
                '"' => "\\\"".into(),
                '\\' => "\\\\".into(),
                '\n' => "\\n".into(),
                '\t' => "\\t".into(),
                '\r' => "\\r".into(),
                '\0' => "\\0".into(),
                '\u{7}' => "\\a".into(),
                '\u{8}' => "\\b".into(),
                '\u{b}' => "\\v".into(),
                '\u{c}' => "\\f".into(),
                '\u{1b}' => "\\e".into(),
                '\u{85}' => "\\N".into(),
                '\u{a0}' => "\\_".into(),
                '\u{2028}' => "\\L".into(),
                '\u{2029}' => "\\P".into(),
                c if printable(*c) => String::new(),
                c if u32::from(*c) < 0x100 => format!("\\x{:02X}", u32::from(*c)),
                c if u32::from(*c) < 0x10000 => format!("\\u{:04X}", u32::from(*c)),
                c => format!("\\U{:08X}", u32::from(*c)),
            };
            if !escaped.is_empty() {
                column += escaped.len();
                self.out.push_str(&escaped);
                spaces = false;
            } else if *c == ' ' {
                if may && !spaces && column > WIDTH && i > 0 && i + 1 < chars.len() {
                    self.out.push('\n');
                    self.margin(indent);
                    column = indent;
                    if chars[i + 1] == ' ' {
                        self.out.push('\\');
                        column += 1;
                    }
                } else {
                    self.out.push(' ');
                    column += 1;
                }
                spaces = true;
            } else {
                self.out.push(*c);
                column += 1;
                spaces = false;
            }
        }
        self.out.push('"');
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.out.push('|');
        if text.starts_with([' ', '\n']) {
            self.out.push('2');
        }
        if !text.ends_with('\n') {
            self.out.push('-');
        } else if text == "\n" || text.ends_with("\n\n") {
            self.out.push('+');
        }
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            self.out.push('\n');
            if !line.is_empty() {
                self.margin(indent);
                self.out.push_str(line);
            }
        }
    }
}

/// What a text has in it that matters.
struct Analysis {
    plain: bool,
    special: bool,
    trailing_space: bool,
}

impl Analysis {
    fn of(text: &str) -> Analysis {
        let chars: Vec<char> = text.chars().collect();
        let blank = |i: usize| chars.get(i).is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
        let mut indicator = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut space_break) = (false, false);
        for (i, c) in chars.iter().enumerate() {
            indicator |= match (i, c) {
                (
                    0,
                    '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"'
                    | '%' | '@' | '`',
                ) => true,
                (0, '?' | '-') | (_, ':') => blank(i + 1),
                (_, '#') => i > 0 && blank(i - 1),
                _ => false,
            };
            special |= *c != '\n' && !printable(*c) || *c == '\u{feff}';
            space_break |= *c == '\n' && i > 0 && chars[i - 1] == ' ';
        }
        let edge = |c: Option<&char>| c.is_some_and(|c| matches!(c, ' ' | '\n'));
        let edged = edge(chars.first()) || edge(chars.last());
        Analysis {
            plain: !indicator && !edged && !text.is_empty(),
            special: special || space_break,
            trailing_space: text.ends_with(' '),
        }
    }
}

fn printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a1}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
        && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// Keys in the order in which go-yaml sorts them: numbers in them count as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(i) = (0..a.len().min(b.len())).find(|i| a[*i] != b[*i]) else {
        return a.len().cmp(&b.len());
    };
    match (a[i].is_alphabetic(), b[i].is_alphabetic()) {
        (true, true) => return a[i].cmp(&b[i]),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        _ => {}
    }
    let (mut an, mut bn) = (0_u64, 0_u64);
    if a[i] == '0' || b[i] == '0' {
        let before = a[..i].iter().rev().take_while(|c| c.is_ascii_digit());
        if before.into_iter().any(|c| *c != '0') {
            (an, bn) = (1, 1);
        }
    }
    let digits = |of: &[char], start: u64| {
        let run = of[i..].iter().map_while(|c| c.to_digit(10));
        run.fold((start, 0), |(n, len), d| (n.wrapping_mul(10).wrapping_add(d.into()), len + 1))
    };
    let (an, al) = digits(&a, an);
    let (bn, bl): (u64, usize) = digits(&b, bn);
    an.cmp(&bn).then(al.cmp(&bl)).then(a[i].cmp(&b[i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn as_kubectl_prints() {
        let value = json!({
            "apiVersion": "v1", "a10": "1", "a2": 1, "empty": {}, "none": [], "n": null,
            "list": ["x", {"b": "yes", "a": "k: v"}, ["deep"]],
            "text": "two\nlines\n", "text2": "two\nlines",
            "quote": "'it' is", "colon": "a:b", "hash": "a #b", "tab": "a\tb",
            "time": "2026-11-21T13:23:00Z", "star": "*", "spaced": " x", "dash": "-",
        });
        let want = "a2: 1\na10: \"1\"\napiVersion: v1\ncolon: a:b\ndash: '-'\nempty: {}\nhash: 'a #b'\nlist:\n- x\n- a: 'k: v'\n  b: \"yes\"\n- - deep\n\"n\": null\nnone: []\nquote: '''it'' is'\nspaced: ' x'\nstar: '*'\ntab: \"a\\tb\"\ntext: |\n  two\n  lines\ntext2: |-\n  two\n  lines\ntime: \"2026-11-21T13:23:00Z\"\n";
        assert_eq!(yaml(&value), want);
    }

    #[test]
    fn long_texts_are_folded() {
        let long = "word ".repeat(30);
        let printed = yaml(&json!({"message": long.trim()}));
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines.len(), 2, "{printed}");
        assert_eq!(lines[0].len(), 84 - 1);
        assert!(lines[1].starts_with("  word"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_printed_reads_as_the_same(text in "[ -~\n\té日]{0,120}", key in "[a-z0-9:# -]{1,12}") {
            let value = json!({ key: [text.clone(), {"x": text}] });
            let back: Value = serde_saphyr::from_str(&yaml(&value)).unwrap();
            prop_assert_eq!(back, value);
        }
    }
}
