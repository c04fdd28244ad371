//! A small `sh`: words, quotes, variables, `$()`, pipes, `&&`, `||`, `;`, redirects, `if`, `for`,
//! `while`. Applets run inside it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, Write};

use crate::{Io, applets};

/// `sh -c TEXT [NAME ARG...]`, `sh FILE`, or lines from standard input.
pub fn main(args: &[String]) -> i32 {
    let mut shell = Shell { vars: std::env::vars().collect(), status: 0, exit: false };
    match args {
        [flag, text, rest @ ..] if flag == "-c" => {
            for (n, value) in rest.iter().enumerate() {
                shell.vars.insert(n.to_string(), value.clone());
            }
            shell.source(text, &mut io::stdout());
        }
        [file, ..] => match fs::read_to_string(file) {
            Ok(text) => shell.source(&text, &mut io::stdout()),
            Err(error) => {
                eprintln!("sh: {file}: {error}");
                return 127;
            }
        },
        [] => {
            let mut text = String::new();
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                text.push_str(&line);
                text.push('\n');
                // A construct that is not finished yet goes on in the next line.
                if let Err(Fault::Unfinished) = parse(&text) {
                    continue;
                }
                shell.source(&std::mem::take(&mut text), &mut io::stdout());
                if shell.exit {
                    break;
                }
            }
        }
    }
    shell.status
}

#[derive(Debug, PartialEq)]
enum Fault {
    Unfinished,
    Wrong(String),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// As written, quotes included: it is expanded when it is run.
    Word(String),
    Operator(&'static str),
}

#[derive(Clone, Debug)]
enum Node {
    Simple { words: Vec<String>, redirects: Vec<(&'static str, String)> },
    Pipe(Vec<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    List(Vec<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    While(Box<Node>, Box<Node>),
    For(String, Vec<String>, Box<Node>),
}

const OPERATORS: [&str; 11] = ["&&", "||", ">>", "2>&1", "2>", ";", "|", "<", ">", "\n", "#"];

fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some(c) = rest.chars().next() {
        if c == ' ' || c == '\t' {
            rest = &rest[1..];
        } else if c == '#' {
            rest = rest.find('\n').map_or("", |i| &rest[i..]);
        } else if let Some(op) = OPERATORS.iter().find(|op| rest.starts_with(**op)) {
            out.push(Token::Operator(if *op == "\n" { ";" } else { op }));
            rest = &rest[op.len()..];
        } else {
            let end = word_end(rest)?;
            out.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    Ok(out)
}

/// Where the word at the start of `text` ends.
fn word_end(text: &str) -> Result<usize, Fault> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        at += match c {
            '\'' => text[at + 1..].find('\'').ok_or(Fault::Unfinished)? + 2,
            '"' => quoted_end(&text[at + 1..])? + 2,
            '\\' => 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
            '$' if text[at..].starts_with("$(") => group_end(&text[at + 2..])? + 3,
            ' ' | '\t' | '\n' | ';' | '|' | '<' | '>' => break,
            '&' if text[at..].starts_with("&&") => break,
            c => c.len_utf8(),
        };
    }
    Ok(at)
}

fn quoted_end(text: &str) -> Result<usize, Fault> {
    let mut at = 0;
    loop {
        let c = text[at..].chars().next().ok_or(Fault::Unfinished)?;
        at += match c {
            '"' => return Ok(at),
            '\\' => 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
            '$' if text[at..].starts_with("$(") => group_end(&text[at + 2..])? + 3,
            c => c.len_utf8(),
        };
    }
}

/// The matching parenthesis.
fn group_end(text: &str) -> Result<usize, Fault> {
    let (mut depth, mut at) = (0, 0);
    loop {
        let c = text[at..].chars().next().ok_or(Fault::Unfinished)?;
        at += match c {
            ')' if depth == 0 => return Ok(at),
            ')' => {
                depth -= 1;
                1
            }
            '(' => {
                depth += 1;
                1
            }
            '\'' => text[at + 1..].find('\'').ok_or(Fault::Unfinished)? + 2,
            c => c.len_utf8(),
        };
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

fn parse(text: &str) -> Result<Node, Fault> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let node = parser.list(&[])?;
    match parser.peek() {
        None => Ok(node),
        Some(token) => Err(Fault::Wrong(format!("unexpected {token:?}"))),
    }
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn operator(&mut self, op: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Operator(o)) if *o == op);
        self.at += usize::from(found);
        found
    }

    fn at_word(&self, words: &[&str]) -> bool {
        matches!(self.peek(), Some(Token::Word(w)) if words.contains(&w.as_str()))
    }

    fn expect(&mut self, word: &str) -> Result<(), Fault> {
        while self.operator(";") {}
        if self.at_word(&[word]) {
            self.at += 1;
            return Ok(());
        }
        match self.peek() {
            None => Err(Fault::Unfinished),
            Some(token) => Err(Fault::Wrong(format!("{word} expected, not {token:?}"))),
        }
    }

    fn list(&mut self, ends: &[&str]) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > 50 {
            return Err(Fault::Wrong("nested too deeply".into()));
        }
        let mut nodes = Vec::new();
        loop {
            while self.operator(";") {}
            if self.peek().is_none() || self.at_word(ends) {
                self.depth -= 1;
                return Ok(Node::List(nodes));
            }
            nodes.push(self.and_or()?);
        }
    }

    fn and_or(&mut self) -> Result<Node, Fault> {
        let mut left = self.pipe()?;
        loop {
            let and = self.operator("&&");
            if !and && !self.operator("||") {
                return Ok(left);
            }
            let right = Box::new(self.pipe()?);
            let first = Box::new(left);
            left = if and { Node::And(first, right) } else { Node::Or(first, right) };
        }
    }

    fn pipe(&mut self) -> Result<Node, Fault> {
        let mut nodes = vec![self.command()?];
        while self.operator("|") {
            nodes.push(self.command()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Pipe(nodes) })
    }

    fn command(&mut self) -> Result<Node, Fault> {
        if self.at_word(&["if", "elif"]) {
            self.at += 1;
            let condition = self.list(&["then"])?;
            self.expect("then")?;
            let then = self.list(&["else", "elif", "fi"])?;
            let other = if self.at_word(&["elif"]) {
                return Ok(Node::If(condition.into(), then.into(), self.command()?.into()));
            } else if self.at_word(&["else"]) {
                self.at += 1;
                self.list(&["fi"])?
            } else {
                Node::List(Vec::new())
            };
            self.expect("fi")?;
            return Ok(Node::If(condition.into(), then.into(), other.into()));
        }
        if self.at_word(&["while"]) {
            self.at += 1;
            let condition = self.list(&["do"])?;
            return Ok(Node::While(condition.into(), self.body()?.into()));
        }
        if self.at_word(&["for"]) {
            self.at += 1;
            let Some(Token::Word(name)) = self.peek().cloned() else {
                return Err(Fault::Unfinished);
            };
            self.at += 1;
            self.expect("in")?;
            let mut words = Vec::new();
            while let Some(Token::Word(word)) = self.peek() {
                words.push(word.clone());
                self.at += 1;
            }
            return Ok(Node::For(name, words, self.body()?.into()));
        }
        self.simple()
    }

    fn body(&mut self) -> Result<Node, Fault> {
        self.expect("do")?;
        let body = self.list(&["done"])?;
        self.expect("done")?;
        Ok(body)
    }

    fn simple(&mut self) -> Result<Node, Fault> {
        let (mut words, mut redirects) = (Vec::new(), Vec::new());
        loop {
            match self.peek().cloned() {
                Some(Token::Word(word)) => words.push(word),
                Some(Token::Operator("2>&1")) => {}
                Some(Token::Operator(op @ ("<" | ">" | ">>" | "2>"))) => {
                    self.at += 1;
                    let Some(Token::Word(file)) = self.peek().cloned() else {
                        return Err(Fault::Wrong(format!("{op} needs a file")));
                    };
                    redirects.push((op, file));
                }
                other => {
                    if words.is_empty() && redirects.is_empty() {
                        return Err(match other {
                            None => Fault::Unfinished,
                            Some(token) => Fault::Wrong(format!("unexpected {token:?}")),
                        });
                    }
                    return Ok(Node::Simple { words, redirects });
                }
            }
            self.at += 1;
        }
    }
}

struct Shell {
    vars: BTreeMap<String, String>,
    status: i32,
    exit: bool,
}

impl Shell {
    fn source(&mut self, text: &str, out: &mut dyn Write) {
        match parse(text) {
            Ok(node) => self.run(&node, None, out),
            Err(fault) => {
                let why = match fault {
                    Fault::Unfinished => "unexpected end".to_owned(),
                    Fault::Wrong(why) => why,
                };
                eprintln!("sh: syntax error: {why}");
                self.status = 2;
            }
        }
    }

    fn run(&mut self, node: &Node, input: Option<Vec<u8>>, out: &mut dyn Write) {
        if self.exit {
            return;
        }
        match node {
            Node::List(nodes) => nodes.iter().for_each(|n| self.run(n, input.clone(), out)),
            Node::And(a, b) => {
                self.run(a, input, out);
                if self.status == 0 {
                    self.run(b, None, out);
                }
            }
            Node::Or(a, b) => {
                self.run(a, input, out);
                if self.status != 0 {
                    self.run(b, None, out);
                }
            }
            Node::Pipe(nodes) => {
                let mut between = input;
                for (n, node) in nodes.iter().enumerate() {
                    if n + 1 == nodes.len() {
                        self.run(node, between.take(), out);
                    } else {
                        let mut buffer = Vec::new();
                        self.run(node, between.take(), &mut buffer);
                        between = Some(buffer);
                    }
                }
            }
            Node::If(condition, then, other) => {
                self.run(condition, None, out);
                let branch = if self.status == 0 { then } else { other };
                self.status = 0;
                self.run(branch, None, out);
            }
            Node::While(condition, body) => loop {
                self.run(condition, None, out);
                if self.status != 0 || self.exit {
                    self.status = if self.exit { self.status } else { 0 };
                    return;
                }
                self.run(body, None, out);
            },
            Node::For(name, words, body) => {
                for word in words.clone() {
                    for value in self.expand(&word) {
                        self.vars.insert(name.clone(), value);
                        self.run(body, None, out);
                    }
                }
            }
            Node::Simple { words, redirects } => {
                if let Err(error) = self.simple(words, redirects, input, out) {
                    eprintln!("sh: {error}");
                    self.status = 1;
                }
            }
        }
    }

    fn simple(
        &mut self,
        words: &[String],
        redirects: &[(&'static str, String)],
        mut input: Option<Vec<u8>>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut args: Vec<String> = Vec::new();
        for word in words {
            let assignment = word.split_once('=').filter(|(n, _)| args.is_empty() && is_name(n));
            if let Some((name, value)) = assignment {
                let value = self.expand(value).join(" ");
                self.vars.insert(name.to_owned(), value);
                self.status = 0;
            } else {
                args.extend(self.expand(word));
            }
        }
        let mut file = None;
        for (op, name) in redirects {
            let name = self.expand(name).join(" ");
            let named = |e: io::Error| io::Error::new(e.kind(), format!("{name}: {e}"));
            match *op {
                "<" => input = Some(fs::read(&name).map_err(named)?),
                ">" => file = Some(fs::File::create(&name).map_err(named)?),
                ">>" => {
                    let options = fs::OpenOptions::new().append(true).create(true).open(&name);
                    file = Some(options.map_err(named)?);
                }
                // Errors of applets go to the one standard error there is.
                _ => {}
            }
        }
        let out: &mut dyn Write = match &mut file {
            Some(file) => file,
            None => out,
        };
        let Some(name) = args.first().cloned() else { return Ok(()) };
        match name.as_str() {
            "exit" => {
                self.status = args.get(1).and_then(|a| a.parse().ok()).unwrap_or(self.status);
                self.exit = true;
            }
            "export" | ":" | "set" => self.status = 0,
            "sh" => self.status = main(&args[1..]),
            _ => self.status = applets::run(&args, &mut Io { input, out }),
        }
        Ok(())
    }

    /// Quotes removed, variables and `$()` put in; split at spaces where not quoted.
    fn expand(&mut self, word: &str) -> Vec<String> {
        let (mut out, mut current, mut any) = (Vec::new(), String::new(), false);
        let (mut at, mut quoted) = (0, false);
        while let Some(c) = word[at..].chars().next() {
            let rest = &word[at..];
            match c {
                '\'' if !quoted => {
                    let end = rest[1..].find('\'').unwrap_or(rest.len() - 1);
                    current.push_str(&rest[1..=end]);
                    any = true;
                    at += end + 2;
                }
                '"' => {
                    quoted = !quoted;
                    any = true;
                    at += 1;
                }
                '\\' => {
                    let next = rest[1..].chars().next();
                    if quoted && !matches!(next, Some('"' | '\\' | '$')) {
                        current.push('\\');
                    }
                    current.extend(next);
                    at += 1 + next.map_or(0, char::len_utf8);
                }
                '$' => {
                    let (value, length) = self.value(rest);
                    at += length;
                    if quoted {
                        current.push_str(&value);
                        continue;
                    }
                    let mut parts = value.split_whitespace().peekable();
                    while let Some(part) = parts.next() {
                        current.push_str(part);
                        if parts.peek().is_some() {
                            out.push(std::mem::take(&mut current));
                        }
                    }
                }
                c => {
                    current.push(c);
                    at += c.len_utf8();
                }
            }
            at = at.min(word.len());
        }
        if any || !current.is_empty() {
            out.push(current);
        }
        out
    }

    /// What `$...` at the start of `text` stands for, and how long it is.
    fn value(&mut self, text: &str) -> (String, usize) {
        if let Some(inner) = text.strip_prefix("$(") {
            let end = group_end(inner).unwrap_or(inner.len());
            let mut buffer = Vec::new();
            self.source(&inner[..end], &mut buffer);
            let value = String::from_utf8_lossy(&buffer).trim_end_matches('\n').to_owned();
            return (value, (end + 3).min(text.len()));
        }
        let get = |name: &str| self.vars.get(name).cloned().unwrap_or_default();
        if text.starts_with("$?") {
            return (self.status.to_string(), 2);
        }
        if let Some((name, _)) = text.strip_prefix("${").and_then(|t| t.split_once('}')) {
            let (key, default) = name.split_once(":-").unwrap_or((name, ""));
            let value = get(key);
            let value = if value.is_empty() { default.to_owned() } else { value };
            return (value, name.len() + 3);
        }
        let name: String =
            text[1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if name.is_empty() { ("$".into(), 1) } else { (get(&name), name.len() + 1) }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(text: &str) -> (String, i32) {
        let mut shell = Shell { vars: BTreeMap::new(), status: 0, exit: false };
        let mut out = Vec::new();
        shell.source(text, &mut out);
        (String::from_utf8(out).unwrap(), shell.status)
    }

    #[test]
    fn what_it_understands() {
        let out = |text| sh(text).0;
        assert_eq!(out("echo a 'b  c' \"d $X\""), "a b  c d \n");
        assert_eq!(out("X=5; echo $X ${Y:-no}"), "5 no\n");
        assert_eq!(out("echo $(echo a b | wc -w)"), "2\n");
        assert_eq!(out("false && echo no || echo yes"), "yes\n");
        assert_eq!(out("for i in 1 2; do echo n$i; done"), "n1\nn2\n");
        assert_eq!(out("if test 1 -lt 2; then echo y; else echo n; fi"), "y\n");
        assert_eq!(out("if false; then echo a; elif true; then echo b; fi"), "b\n");
        assert_eq!(out("seq 3 | grep -v 2 | tail -n 1"), "3\n");
        assert_eq!(out("printf '%s-%s\\n' a b"), "a-b\n");
        assert_eq!(sh("exit 3; echo no"), (String::new(), 3));
        assert_eq!(sh("nosuch").1, 127);
        assert_eq!(sh("echo 'a").1, 2);
        assert_eq!(out("while test -z \"$X\"; do X=1; echo once; done"), "once\n");
    }
}
