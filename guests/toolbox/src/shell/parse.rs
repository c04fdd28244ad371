//! From text to a tree of commands (POSIX, Shell Command Language, 2.10). No background jobs.

use super::tokens::{Fault, Token, tokens};

/// Where a descriptor leads.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// 0, 1 or 2.
    pub fd: u8,
    /// What is done with it.
    pub to: Target,
}

/// See [`Redirect`].
#[derive(Clone, Debug)]
pub enum Target {
    /// `<`
    Read(String),
    /// `>`
    Write(String),
    /// `>>`
    Append(String),
    /// `>&`
    Same(String),
    /// `<<`, and whether it is expanded.
    Here(String, bool),
}

/// A command.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "they are called as the standard calls them")]
pub enum Node {
    Simple { assign: Vec<(String, String)>, words: Vec<String> },
    Redirected(Box<Node>, Vec<Redirect>),
    Pipe(Vec<Node>),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    List(Vec<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    Loop { condition: Box<Node>, until: bool, body: Box<Node> },
    For(String, Option<Vec<String>>, Box<Node>),
    Case(String, Vec<(Vec<String>, Node)>),
    Subshell(Box<Node>),
    Function(String, Box<Node>),
}

/// How deep commands may be nested.
const DEEPEST: usize = 100;
/// Words that end a list.
const CLOSERS: [&str; 8] = ["then", "else", "elif", "fi", "do", "done", "esac", "}"];

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

/// Parses a whole script.
///
/// # Errors
/// If it is none, or not yet.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let node = parser.list()?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.unexpected()),
    }
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn unexpected(&self) -> Fault {
        match self.peek() {
            None => Fault::Unfinished,
            Some(Token::Operator("&")) => {
                Fault::Wrong("there are no background jobs here: \"&\"".into())
            }
            Some(Token::Word(text)) => Fault::Wrong(format!("unexpected {text:?}")),
            Some(Token::Operator(op) | Token::Redirect(_, op)) => {
                Fault::Wrong(format!("unexpected {op:?}"))
            }
            Some(Token::Here(..)) => Fault::Wrong("unexpected here-document".into()),
        }
    }

    fn operator(&mut self, op: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Operator(o)) if *o == op);
        self.at += usize::from(found);
        found
    }

    fn lines(&mut self) {
        while self.operator("\n") {}
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(w)) if w == word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), Fault> {
        if self.keyword(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn word(&mut self) -> Result<String, Fault> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Commands up to what closes them.
    fn list(&mut self) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Fault::Wrong("nested too deeply".into()));
        }
        let mut nodes = Vec::new();
        loop {
            self.lines();
            let over = match self.peek() {
                None | Some(Token::Operator(")" | ";;")) => true,
                Some(Token::Word(word)) => CLOSERS.contains(&word.as_str()),
                _ => false,
            };
            if over {
                self.depth -= 1;
                return Ok(Node::List(nodes));
            }
            nodes.push(self.and_or()?);
            if !self.operator(";") && !self.operator("\n") {
                match self.peek() {
                    None | Some(Token::Operator(")" | ";;")) => {}
                    _ => return Err(self.unexpected()),
                }
            }
        }
    }

    /// As [`list`](Parser::list), but not empty.
    fn commands(&mut self) -> Result<Node, Fault> {
        match self.list()? {
            Node::List(nodes) if nodes.is_empty() => Err(self.unexpected()),
            node => Ok(node),
        }
    }

    fn and_or(&mut self) -> Result<Node, Fault> {
        let mut left = self.pipe()?;
        loop {
            let and = self.operator("&&");
            if !and && !self.operator("||") {
                return Ok(left);
            }
            self.lines();
            let (first, right) = (Box::new(left), Box::new(self.pipe()?));
            left = if and { Node::And(first, right) } else { Node::Or(first, right) };
        }
    }

    fn pipe(&mut self) -> Result<Node, Fault> {
        let not = self.keyword("!");
        let mut nodes = vec![self.command()?];
        while self.operator("|") {
            self.lines();
            nodes.push(self.command()?);
        }
        let node = if nodes.len() == 1 { nodes.remove(0) } else { Node::Pipe(nodes) };
        Ok(if not { Node::Not(Box::new(node)) } else { node })
    }

    fn command(&mut self) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Fault::Wrong("nested too deeply".into()));
        }
        let node = self.command_here();
        self.depth -= 1;
        node
    }

    fn command_here(&mut self) -> Result<Node, Fault> {
        let node = if self.keyword("if") {
            self.if_rest()?
        } else if self.keyword("while") {
            self.loop_rest(false)?
        } else if self.keyword("until") {
            self.loop_rest(true)?
        } else if self.keyword("for") {
            self.for_rest()?
        } else if self.keyword("case") {
            self.case_rest()?
        } else if self.keyword("{") {
            let list = self.commands()?;
            self.expect("}")?;
            list
        } else if self.operator("(") {
            let list = self.commands()?;
            if !self.operator(")") {
                return Err(self.unexpected());
            }
            Node::Subshell(Box::new(list))
        } else {
            return self.simple();
        };
        let mut redirects = Vec::new();
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
        }
        Ok(redirected(node, redirects))
    }

    fn if_rest(&mut self) -> Result<Node, Fault> {
        let condition = self.commands()?;
        self.expect("then")?;
        let then = self.commands()?;
        let other = if self.keyword("elif") {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(Fault::Wrong("nested too deeply".into()));
            }
            let rest = self.if_rest()?;
            self.depth -= 1;
            return Ok(Node::If(condition.into(), then.into(), rest.into()));
        } else if self.keyword("else") {
            self.commands()?
        } else {
            Node::List(Vec::new())
        };
        self.expect("fi")?;
        Ok(Node::If(condition.into(), then.into(), other.into()))
    }

    fn loop_rest(&mut self, until: bool) -> Result<Node, Fault> {
        let condition = self.commands()?.into();
        Ok(Node::Loop { condition, until, body: self.body()?.into() })
    }

    fn body(&mut self) -> Result<Node, Fault> {
        self.expect("do")?;
        let body = self.commands()?;
        self.expect("done")?;
        Ok(body)
    }

    fn for_rest(&mut self) -> Result<Node, Fault> {
        let name = self.word()?;
        if !super::words::is_name(&name) {
            return Err(Fault::Wrong(format!("{name:?} is no name")));
        }
        self.lines();
        let words = if self.keyword("in") {
            let mut words = Vec::new();
            while matches!(self.peek(), Some(Token::Word(_))) {
                words.push(self.word()?);
            }
            Some(words)
        } else {
            None
        };
        self.operator(";");
        self.lines();
        Ok(Node::For(name, words, self.body()?.into()))
    }

    fn case_rest(&mut self) -> Result<Node, Fault> {
        let word = self.word()?;
        self.lines();
        self.expect("in")?;
        let mut arms = Vec::new();
        loop {
            self.lines();
            if self.keyword("esac") {
                return Ok(Node::Case(word, arms));
            }
            self.operator("(");
            let mut patterns = vec![self.word()?];
            while self.operator("|") {
                patterns.push(self.word()?);
            }
            if !self.operator(")") {
                return Err(self.unexpected());
            }
            let list = self.list()?;
            arms.push((patterns, list));
            if !self.operator(";;") {
                self.expect("esac")?;
                return Ok(Node::Case(word, arms));
            }
        }
    }

    fn redirect(&mut self) -> Result<Option<Redirect>, Fault> {
        let Some(Token::Redirect(fd, op)) = self.peek().cloned() else { return Ok(None) };
        self.at += 1;
        if let Some(Token::Here(body, expanded)) = self.peek().cloned() {
            self.at += 1;
            return Ok(Some(Redirect { fd, to: Target::Here(body, expanded) }));
        }
        let word = match self.peek() {
            Some(Token::Word(_)) => self.word()?,
            _ => return Err(Fault::Wrong(format!("{op} needs a file"))),
        };
        let to = match op {
            "<" => Target::Read(word),
            ">>" => Target::Append(word),
            ">&" => Target::Same(word),
            _ => Target::Write(word),
        };
        Ok(Some(Redirect { fd, to }))
    }

    fn simple(&mut self) -> Result<Node, Fault> {
        let (mut assign, mut words, mut redirects) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            let Some(Token::Word(word)) = self.peek().cloned() else { break };
            if words.is_empty() && CLOSERS.contains(&word.as_str()) {
                break;
            }
            self.at += 1;
            match word.split_once('=') {
                Some((name, value)) if words.is_empty() && super::words::is_name(name) => {
                    assign.push((name.to_owned(), value.to_owned()));
                }
                _ => words.push(word),
            }
            if words.len() == 1 && assign.is_empty() && self.operator("(") {
                if !self.operator(")") {
                    return Err(self.unexpected());
                }
                self.lines();
                let body = self.command()?;
                return Ok(Node::Function(words.remove(0), body.into()));
            }
        }
        if words.is_empty() && assign.is_empty() && redirects.is_empty() {
            return Err(self.unexpected());
        }
        Ok(redirected(Node::Simple { assign, words }, redirects))
    }
}

fn redirected(node: Node, redirects: Vec<Redirect>) -> Node {
    if redirects.is_empty() { node } else { Node::Redirected(Box::new(node), redirects) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_go_on_and_what_cannot() {
        for text in [
            "echo 'a",
            "if true",
            "if true; then",
            "for x in a; do echo",
            "a &&",
            "a |",
            "( a",
            "{ a;",
            "case x in",
            "case x in a) b",
            "echo $(a",
            "echo \"${a",
            "cat <<E\nx",
            "f() {",
            "! ",
        ] {
            assert_eq!(parse(text).err(), Some(Fault::Unfinished), "{text}");
        }
        for text in [
            "; a",
            "fi",
            "if ; then a; fi",
            "a | | b",
            "a & b",
            "> ",
            "for 1 in a; do b; done",
            "a ;; b",
            ")",
            "done",
            "echo a (b)",
        ] {
            assert!(matches!(parse(text), Err(Fault::Wrong(_))), "{text}: {:?}", parse(text));
        }
        for text in
            ["", "# only this", "a;", "a\n\n", "a && \n b", "x=1", ">f", "a 2>&1 | b", "{ a; }"]
        {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
        let deep = "(".repeat(1000);
        assert!(matches!(parse(&deep), Err(Fault::Wrong(_))));
        let elifs = format!("if a; then b; {} fi", "elif a; then b; ".repeat(1000));
        assert!(matches!(parse(&elifs), Err(Fault::Wrong(_))));
    }
}
