//! From text to tokens: words as they are written, operators, here-documents.

use std::collections::VecDeque;

/// Why text is no script.
#[derive(Debug, PartialEq)]
pub enum Fault {
    /// It could go on: a quote or a construct is open.
    Unfinished,
    /// It cannot.
    Wrong(String),
}

/// A piece of a script.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// As written, quotes included: it is expanded when it is run.
    Word(String),
    /// `&&`, `;` and the like; `\n` ends a line.
    Operator(&'static str),
    /// A redirection's descriptor and operator.
    Redirect(u8, &'static str),
    /// The body of a here-document, and whether it is expanded.
    Here(String, bool),
}

const OPERATORS: [&str; 9] = ["&&", "||", ";;", ";", "|", "(", ")", "&", "\n"];
const REDIRECTS: [&str; 7] = [">>", ">&", ">|", ">", "<<-", "<<", "<"];

/// The tokens of a text.
///
/// # Errors
/// If a quotation or a here-document is open.
pub fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let (mut out, mut rest) = (Vec::new(), text);
    // Here-documents begin on the line after their operator.
    let mut waiting: VecDeque<usize> = VecDeque::new();
    while let Some(c) = rest.chars().next() {
        if c == '#' {
            rest = rest.find('\n').map_or("", |i| &rest[i..]);
            continue;
        }
        if let Some(more) =
            rest.strip_prefix("\\\n").or_else(|| rest.strip_prefix([' ', '\t', '\r']))
        {
            rest = more;
            continue;
        }
        let digit = c.to_digit(10).filter(|_| rest[1..].starts_with(['<', '>']));
        let after = &rest[usize::from(digit.is_some())..];
        if let Some(op) = REDIRECTS.iter().find(|op| after.starts_with(**op)) {
            let default = u32::from(!op.starts_with('<'));
            let fd = digit.unwrap_or(default) as u8;
            if fd > 2 {
                return Err(Fault::Wrong(format!("descriptor {fd} is not known: 0, 1 and 2 are")));
            }
            if op.starts_with("<<") {
                waiting.push_back(out.len());
            }
            out.push(Token::Redirect(fd, op));
            rest = &after[op.len()..];
        } else if let Some(op) = OPERATORS.iter().find(|op| rest.starts_with(**op)) {
            rest = &rest[op.len()..];
            out.push(Token::Operator(op));
            if *op == "\n" {
                for at in waiting.drain(..) {
                    rest = here_document(&mut out, at, rest)?;
                }
            }
        } else {
            let end = word_end(rest)?;
            out.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    if waiting.is_empty() { Ok(out) } else { Err(Fault::Unfinished) }
}

/// Takes a here-document's body from `rest`, up to its delimiter; what follows.
fn here_document<'a>(out: &mut [Token], at: usize, mut rest: &'a str) -> Result<&'a str, Fault> {
    let tabs = out[at] == Token::Redirect(0, "<<-");
    let Some(Token::Word(delimiter)) = out.get(at + 1).cloned() else {
        return Err(Fault::Wrong("<< needs a word".into()));
    };
    let plain = delimiter.replace(['\'', '"', '\\'], "");
    let mut body = String::new();
    loop {
        let end = rest.find('\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        let line = if tabs { line.trim_start_matches('\t') } else { line };
        rest = end.map_or("", |e| &rest[e + 1..]);
        if line == plain {
            break;
        }
        if end.is_none() {
            return Err(Fault::Unfinished);
        }
        body.push_str(line);
        body.push('\n');
    }
    out[at + 1] = Token::Here(body, delimiter == plain);
    Ok(rest)
}

/// Where the word at the start of `text` ends.
fn word_end(text: &str) -> Result<usize, Fault> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if matches!(c, ' ' | '\t' | '\n' | '\r' | ';' | '|' | '<' | '>' | '&' | '(' | ')') {
            break;
        }
        at += part_end(&text[at..], c)?;
    }
    Ok(at)
}

/// How long the quotation, substitution or character at the start of `text` is.
pub fn part_end(text: &str, first: char) -> Result<usize, Fault> {
    let inside = |open: usize, close: char| -> Result<usize, Fault> {
        let mut at = open;
        loop {
            let c = text[at..].chars().next().ok_or(Fault::Unfinished)?;
            if c == close {
                return Ok(at + 1);
            }
            at += match c {
                // A parenthesis in a substitution; quotes in quotes are none.
                '(' if close == ')' => 1 + group(&text[at + 1..])?,
                '\'' | '"' if close == '"' && c == '\'' => 1,
                c => part_end(&text[at..], c)?,
            };
        }
    };
    match first {
        '\'' => Ok(text[1..].find('\'').ok_or(Fault::Unfinished)? + 2),
        '"' => inside(1, '"'),
        '`' => Ok(text[1..].find('`').ok_or(Fault::Unfinished)? + 2),
        '\\' => Ok(1 + text[1..].chars().next().map_or(0, char::len_utf8)),
        '$' if text.starts_with("$(") => Ok(2 + group(&text[2..])?),
        '$' if text.starts_with("${") => inside(2, '}'),
        c => Ok(c.len_utf8()),
    }
}

/// Up to and with the parenthesis that closes.
fn group(text: &str) -> Result<usize, Fault> {
    let (mut depth, mut at) = (0, 0);
    loop {
        let c = text[at..].chars().next().ok_or(Fault::Unfinished)?;
        match c {
            ')' if depth == 0 => return Ok(at + 1),
            ')' => depth -= 1,
            '(' => depth += 1,
            _ => {}
        }
        at += part_end(&text[at..], c)?;
    }
}
