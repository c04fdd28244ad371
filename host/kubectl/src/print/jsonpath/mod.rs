//! kubectl's JSONPath templates (`client-go/util/jsonpath`): how they are read; `walk` is what
//! they find.

use serde_json::Value;

mod walk;

pub use walk::{go, shown};

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Field(String),
    Slice(Option<i64>, Option<i64>, Option<i64>, bool),
    All,
    Deep,
    Union(Vec<Vec<Node>>),
    Where(Side, String, Side),
    Literal(Value),
    Path(Vec<Node>),
    Range(Vec<Node>, Vec<Node>),
    End,
}

#[derive(Clone, Debug, PartialEq)]
enum Side {
    Path(Vec<Node>),
    Value(Value),
    Nothing,
}

/// A template that was read.
#[derive(Clone, Debug)]
pub struct Template {
    text: String,
    nodes: Vec<Node>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, in kubectl's words.
    pub fn parse(text: &str) -> Result<Template, String> {
        let fail = |why: String| format!("error parsing jsonpath {text}, {why}");
        let mut flat = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let Some(open) = rest.find('{') else {
                flat.push(Node::Text(rest.into()));
                break;
            };
            if open > 0 {
                flat.push(Node::Text(rest[..open].into()));
            }
            rest = &rest[open + 1..];
            let end = closing(rest, '}').ok_or_else(|| {
                let unfinished = rest.rfind('[').is_some_and(|at| !rest[at..].contains(']'));
                fail(if unfinished { "unterminated array" } else { "unclosed action" }.into())
            })?;
            action(&rest[..end], &mut flat).map_err(fail)?;
            rest = &rest[end + 1..];
        }
        let mut nodes = Vec::new();
        let mut flat = flat.into_iter();
        while let Some(node) = flat.next() {
            match node {
                Node::Range(path, _) => nodes.push(range(path, &mut flat, 0).map_err(fail)?),
                Node::End => return Err("not in range, nothing to end".into()),
                other => nodes.push(other),
            }
        }
        Ok(Template { text: text.into(), nodes })
    }

    /// What the template makes of `value`.
    ///
    /// # Errors
    /// What cannot be found, in kubectl's words.
    pub fn run(&self, value: &Value) -> Result<String, String> {
        let mut out = String::new();
        walk::render(&self.nodes, value, value, &mut out)?;
        Ok(out)
    }

    /// What the template's paths find.
    ///
    /// # Errors
    /// See [`Template::run`].
    pub fn find<'v>(&self, value: &'v Value) -> Result<Vec<&'v Value>, String> {
        let mut found = Vec::new();
        for node in &self.nodes {
            if let Node::Path(path) = node {
                found.extend(walk::walk(vec![value], value, path)?);
            }
        }
        Ok(found)
    }

    /// The template as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn range(
    path: Vec<Node>,
    rest: &mut std::vec::IntoIter<Node>,
    depth: usize,
) -> Result<Node, String> {
    let mut body = Vec::new();
    while let Some(node) = rest.next() {
        match node {
            Node::End => return Ok(Node::Range(path, body)),
            Node::Range(path, _) if depth < 32 => body.push(range(path, rest, depth + 1)?),
            Node::Range(..) => return Err("ranges are nested too deep".into()),
            other => body.push(other),
        }
    }
    Ok(Node::Range(path, body))
}

/// Where the bracket that is open ends, quotes and inner brackets considered.
fn closing(text: &str, end: char) -> Option<usize> {
    let (mut depth, mut quote) = (0_i32, None);
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match (c, quote) {
            _ if escaped => escaped = false,
            ('\\', _) => escaped = true,
            (q, Some(open)) if q == open => quote = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) => quote = Some(c),
            (c, None) if c == end && depth == 0 => return Some(i),
            ('[' | '(' | '{', None) => depth += 1,
            (']' | ')' | '}', None) => depth -= 1,
            _ => {}
        }
    }
    None
}

fn action(text: &str, out: &mut Vec<Node>) -> Result<(), String> {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("range").filter(|a| a.starts_with([' ', '.', '['])) {
            let (path, left) = path(after.trim_start())?;
            out.push(Node::Range(path, Vec::new()));
            rest = left.trim_start();
        } else if let Some(after) = rest.strip_prefix("end").filter(|a| a.trim().is_empty()) {
            out.push(Node::End);
            rest = after.trim_start();
        } else if rest.starts_with(['"', '\'']) {
            let quote = rest.chars().next().unwrap_or('"');
            let end = quoted_end(&rest[1..], quote).ok_or("unterminated quoted string")?;
            out.push(Node::Literal(Value::String(unquote(&rest[1..=end]))));
            rest = rest[end + 2..].trim_start();
        } else if rest.starts_with(['.', '[', '$', '@']) {
            let (path, left) = path(rest)?;
            out.push(Node::Path(path));
            rest = left.trim_start();
        } else if let Ok(number) = rest.trim().parse::<i64>() {
            out.push(Node::Literal(number.into()));
            rest = "";
        } else {
            let c = rest.chars().next().unwrap_or(' ');
            return Err(if c.is_alphanumeric() {
                let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
                format!("unrecognized identifier {}", &rest[..end])
            } else {
                format!("unrecognized character in action: U+{:04X} '{c}'", u32::from(c))
            });
        }
    }
    Ok(())
}

fn quoted_end(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(i),
            _ => {}
        }
    }
    None
}

fn unquote(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    out
}

/// A path at the beginning of `text`, and what follows it.
fn path(text: &str) -> Result<(Vec<Node>, &str), String> {
    let mut nodes = Vec::new();
    let mut rest = text.trim_start_matches(['$', '@']);
    loop {
        if let Some(after) = rest.strip_prefix("..") {
            nodes.push(Node::Deep);
            rest = after;
            if !rest.starts_with(['[', '*']) {
                let (name, left) = field(rest);
                nodes.push(Node::Field(name));
                rest = left;
            } else if let Some(left) = rest.strip_prefix('*') {
                nodes.push(Node::All);
                rest = left;
            }
        } else if let Some(after) = rest.strip_prefix('.') {
            if let Some(left) = after.strip_prefix('*') {
                nodes.push(Node::All);
                rest = left;
                continue;
            }
            let (name, left) = field(after);
            if !name.is_empty() {
                nodes.push(Node::Field(name));
            }
            if left.len() == after.len() && !left.starts_with('[') {
                return Ok((nodes, left));
            }
            rest = left;
        } else if let Some(after) = rest.strip_prefix('[') {
            let end = closing(after, ']').ok_or("unterminated array")?;
            nodes.push(bracket(after[..end].trim())?);
            rest = &after[end + 1..];
        } else {
            return Ok((nodes, rest));
        }
    }
}

fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' => {
                if let Some((_, next)) = chars.next() {
                    name.push(next);
                }
            }
            '.' | '[' | ']' | ' ' | '=' | '!' | '<' | '>' | '|' | ',' | '}' | ')' | '(' => {
                return (name, &text[i..]);
            }
            c => name.push(c),
        }
    }
    (name, "")
}

fn bracket(inner: &str) -> Result<Node, String> {
    if inner == "*" {
        return Ok(Node::All);
    }
    if let Some(test) = inner.strip_prefix("?(").and_then(|t| t.strip_suffix(')')) {
        return filter(test);
    }
    let invalid = || format!("invalid array index {inner}");
    if inner.starts_with(['\'', '"']) {
        let mut union = Vec::new();
        for part in inner.split(',') {
            let part = part.trim();
            let quote = part.chars().next().ok_or_else(invalid)?;
            let name = part
                .strip_prefix(quote)
                .and_then(|p| p.strip_suffix(quote))
                .filter(|_| matches!(quote, '\'' | '"'))
                .ok_or_else(invalid)?;
            union.push(vec![Node::Field(unquote(name))]);
        }
        return Ok(Node::Union(union));
    }
    if inner.contains(',') {
        let parts: Result<Vec<_>, String> =
            inner.split(',').map(|p| bracket(p.trim()).map(|n| vec![n])).collect();
        return Ok(Node::Union(parts?));
    }
    let mut numbers = [None; 3];
    let parts: Vec<&str> = inner.split(':').collect();
    if parts.len() > 3 || inner.is_empty() {
        return Err(invalid());
    }
    for (slot, part) in numbers.iter_mut().zip(&parts) {
        if !part.trim().is_empty() {
            *slot = Some(part.trim().parse().map_err(|_| invalid())?);
        }
    }
    Ok(Node::Slice(numbers[0], numbers[1], numbers[2], parts.len() == 1))
}

fn filter(test: &str) -> Result<Node, String> {
    for op in ["==", "!=", "<=", ">=", "<", ">"] {
        if let Some(at) = outside_quotes(test, op) {
            let (left, right) = (side(&test[..at])?, side(&test[at + op.len()..])?);
            return Ok(Node::Where(left, op.into(), right));
        }
    }
    Ok(Node::Where(side(test)?, "exists".into(), Side::Nothing))
}

fn outside_quotes(text: &str, what: &str) -> Option<usize> {
    let mut quote = None;
    for (i, c) in text.char_indices() {
        match (c, quote) {
            (q, Some(open)) if q == open => quote = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) => quote = Some(c),
            _ if text[i..].starts_with(what) => return Some(i),
            _ => {}
        }
    }
    None
}

fn side(text: &str) -> Result<Side, String> {
    let text = text.trim();
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let inner = text[1..].strip_suffix(quote).ok_or("unterminated quoted string")?;
        return Ok(Side::Value(Value::String(unquote(inner))));
    }
    match text {
        "true" => return Ok(Side::Value(true.into())),
        "false" => return Ok(Side::Value(false.into())),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return Ok(Side::Value(number.into()));
    }
    if !text.starts_with(['@', '$', '.']) {
        return Err(format!("unrecognized identifier {text}"));
    }
    Ok(Side::Path(path(text)?.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn templates() {
        let v = json!({"items": [
            {"metadata": {"name": "a", "labels": {"x.y": "1"}}, "n": 1},
            {"metadata": {"name": "b"}, "n": 2, "on": true}]});
        for (template, wanted) in [
            ("{.items[*].metadata.name}", "a b"),
            ("{.items[0].metadata.labels.x\\.y}", "1"),
            ("{.items[0].metadata.labels['x.y']}", "1"),
            ("{range .items[*]}{.metadata.name}{\"\\t\"}{.n}{\"\\n\"}{end}", "a\t1\nb\t2\n"),
            ("{.items[?(@.n>1)].metadata.name}", "b"),
            ("{.items[?(@.metadata.name=='a')].n}", "1"),
            ("{.items[?(@.on)].n}", "2"),
            ("{.items[-1:].n}", "2"),
            ("{.items[0:2].n} names: {.items[*]['metadata.name','n']}", "1 2 names: 1 2"),
            ("{.items[0].metadata}", "{\"labels\":{\"x.y\":\"1\"},\"name\":\"a\"}"),
            ("plain", "plain"),
            ("{.missing}", ""),
        ] {
            assert_eq!(Template::parse(template).unwrap().run(&v).unwrap(), wanted, "{template}");
        }
        let beyond = Template::parse("{.items[5]}").unwrap().run(&v);
        assert_eq!(beyond.unwrap_err(), "array index out of bounds: index 5, length 2");
        assert_eq!(
            Template::parse("{.items[0").unwrap_err(),
            "error parsing jsonpath {.items[0, unterminated array"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn garbage_never_panics(text in "[{}.\\[\\]a?(@='\"\\\\*0-9:, rangeend$-]{0,40}") {
            if let Ok(template) = Template::parse(&text) {
                let _ = template.run(&json!({"a": [{"a": "a"}, 1]}));
            }
        }
    }
}
