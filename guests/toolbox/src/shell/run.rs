//! Running commands.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::rc::Rc;

use podlab_guest::runtime::Flag;

use super::parse::{Node, Redirect, Target, parse};
use super::tokens::Fault;
use crate::applets;
use crate::io::{Io, Sink, Source};

/// How deep functions may call each other.
const DEEPEST: usize = 100;

/// Where it goes on after a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flow {
    /// With the next one.
    On,
    /// Behind so many loops.
    Break(usize),
    /// With the next round of so many loops.
    Continue(usize),
    /// Behind the function.
    Return,
    /// Nowhere.
    Exit,
}

/// A shell's state. A clone is a subshell.
#[derive(Clone)]
pub struct Shell {
    /// `$0`.
    pub name: String,
    /// `$1` and on.
    pub arguments: Vec<String>,
    /// `$?`.
    pub status: i32,
    /// Where it goes on.
    pub flow: Flow,
    /// `set -u`.
    pub strict: bool,
    /// What to do at EXIT, TERM, INT.
    pub traps: BTreeMap<String, String>,
    /// Raised by SIGTERM, once a trap asks for it.
    pub terminated: Option<Flag>,
    variables: BTreeMap<String, String>,
    exported: BTreeSet<String>,
    functions: BTreeMap<String, Rc<Node>>,
    /// The status of the last `$()` of the command at hand.
    substituted: Option<i32>,
    /// `set -e`, and in how many conditions we are, where it does not count.
    stops: bool,
    conditions: usize,
    shows: bool,
    depth: usize,
}

impl Shell {
    /// With the environment of `io`.
    pub fn new(io: &Io) -> Shell {
        Shell {
            name: "sh".into(),
            arguments: Vec::new(),
            status: 0,
            flow: Flow::On,
            strict: false,
            traps: BTreeMap::new(),
            terminated: None,
            exported: io.env.keys().cloned().collect(),
            variables: (*io.env).clone(),
            functions: BTreeMap::new(),
            substituted: None,
            stops: false,
            conditions: 0,
            shows: false,
            depth: 0,
        }
    }

    /// The value of a variable or parameter.
    pub fn get(&self, name: &str) -> Option<String> {
        match name {
            "?" => Some(self.status.to_string()),
            "#" => Some(self.arguments.len().to_string()),
            "@" | "*" => Some(self.arguments.join(" ")),
            "0" => Some(self.name.clone()),
            // There are no process ids for programs in WASI: a container's first program is 1.
            "$" => Some("1".into()),
            "!" | "-" => Some(String::new()),
            "PWD" => Some(super::here()),
            _ => match name.parse::<usize>() {
                Ok(n) => self.arguments.get(n - 1).cloned(),
                Err(_) => self.variables.get(name).cloned(),
            },
        }
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: String) {
        self.variables.insert(name.to_owned(), value);
    }

    /// Forgets a variable, or a function.
    pub fn unset(&mut self, name: &str) {
        self.variables.remove(name);
        self.exported.remove(name);
        self.functions.remove(name);
    }

    /// Gives a variable to commands.
    pub fn export(&mut self, name: &str) {
        self.exported.insert(name.to_owned());
    }

    /// All variables.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Whether there is a function of that name.
    pub fn has_function(&self, name: &str) -> bool {
        self.functions.contains_key(name)
    }

    /// `set -e`, `-u`, `-x`.
    ///
    /// # Errors
    /// If there is no such option.
    pub fn option(&mut self, flag: char, on: bool) -> Result<(), String> {
        match flag {
            'e' => self.stops = on,
            'u' => self.strict = on,
            'x' => self.shows = on,
            'f' | 'o' | 'm' => return Err(format!("-{flag} is not supported")),
            _ => return Err(format!("unrecognized option '-{flag}'")),
        }
        Ok(())
    }

    /// What commands get as their environment.
    pub fn environment(&self) -> Rc<BTreeMap<String, String>> {
        let value = |n: &String| Some((n.clone(), self.variables.get(n)?.clone()));
        Rc::new(self.exported.iter().filter_map(value).collect())
    }

    /// Whether `exit` was called.
    pub fn is_over(&self) -> bool {
        self.flow == Flow::Exit
    }

    /// Ends: the EXIT trap, and the status.
    pub fn leave(&mut self, io: &Io) -> i32 {
        if let Some(action) = self.traps.remove("EXIT") {
            let status = self.status;
            self.flow = Flow::On;
            self.source(&action, io);
            if !self.is_over() {
                self.status = status;
            }
        }
        self.status
    }

    /// Runs a text.
    pub fn source(&mut self, text: &str, io: &Io) {
        match parse(text) {
            Ok(node) => self.run(&node, io),
            Err(fault) => {
                let why = match fault {
                    Fault::Unfinished => "unexpected end".to_owned(),
                    Fault::Wrong(why) => why,
                };
                self.fail(io, &format!("syntax error: {why}"), 2);
            }
        }
    }

    /// Says what is wrong, and sets the status.
    pub fn fail(&mut self, io: &Io, why: &str, status: i32) {
        let _nobody_reads = writeln!(io.err.clone(), "sh: {why}");
        self.status = status;
    }

    /// The output of a text, run in a subshell.
    pub fn substitute(&mut self, text: &str, io: &Io) -> String {
        let (out, bytes) = Sink::buffer();
        let mut inner = self.clone();
        inner.traps.clear();
        let folder = std::env::current_dir().ok();
        inner.source(text, &Io { out, ..io.clone() });
        back(folder);
        self.substituted = Some(inner.status);
        String::from_utf8_lossy(&bytes.borrow()).trim_end_matches('\n').to_owned()
    }

    fn subshell(&mut self, node: &Node, io: &Io) {
        let mut inner = self.clone();
        inner.traps.clear();
        let folder = std::env::current_dir().ok();
        inner.run(node, io);
        inner.leave(io);
        back(folder);
        self.status = inner.status;
    }

    /// Runs the action of a trap whose signal has come.
    pub fn signals(&mut self, io: &Io) {
        if self.terminated.as_ref().is_some_and(Flag::raised) {
            self.terminated = None;
            let action = self.traps.get("TERM").or(self.traps.get("INT")).cloned();
            self.source(&action.unwrap_or_default(), io);
        }
    }

    fn run(&mut self, node: &Node, io: &Io) {
        if self.flow != Flow::On {
            return;
        }
        match node {
            Node::List(nodes) => nodes.iter().for_each(|n| self.run(n, io)),
            Node::And(a, b) | Node::Or(a, b) => {
                self.condition(a, io);
                if (self.status == 0) == matches!(node, Node::And(..)) {
                    self.run(b, io);
                }
            }
            Node::Not(inner) => {
                self.condition(inner, io);
                self.status = i32::from(self.status == 0);
            }
            Node::Pipe(nodes) => self.pipe(nodes, io),
            Node::If(condition, then, other) => {
                self.condition(condition, io);
                let branch = if self.status == 0 { then } else { other };
                self.status = 0;
                self.run(branch, io);
            }
            Node::Loop { condition, until, body } => {
                let mut status = 0;
                loop {
                    self.condition(condition, io);
                    if self.flow != Flow::On || (self.status == 0) == *until {
                        break;
                    }
                    self.run(body, io);
                    status = self.status;
                    if self.behind() {
                        break;
                    }
                }
                if self.flow == Flow::On {
                    self.status = status;
                }
            }
            Node::For(name, words, body) => {
                let values = match words {
                    None => Ok(self.arguments.clone()),
                    Some(words) => self.all_fields(words, io),
                };
                let values = match values {
                    Ok(values) => values,
                    Err(why) => return self.give_up(io, &why),
                };
                self.status = 0;
                for value in values {
                    self.set(name, value);
                    self.run(body, io);
                    if self.behind() {
                        break;
                    }
                }
            }
            Node::Case(word, arms) => {
                if let Err(why) = self.case(word, arms, io) {
                    self.give_up(io, &why);
                }
            }
            Node::Subshell(inner) => self.subshell(inner, io),
            Node::Function(name, body) => {
                self.functions.insert(name.clone(), Rc::new((**body).clone()));
                self.status = 0;
            }
            Node::Redirected(inner, redirects) => match self.redirect(redirects, io) {
                Ok(io) => self.run(inner, &io),
                Err(why) => self.fail(io, &why, 1),
            },
            Node::Simple { assign, words } => {
                if let Err(why) = self.simple(assign, words, io) {
                    self.give_up(io, &why);
                }
                self.signals(io);
            }
        }
        let compound = matches!(node, Node::Simple { .. } | Node::Subshell(_) | Node::Pipe(_));
        if self.stops
            && compound
            && self.status != 0
            && self.conditions == 0
            && self.flow == Flow::On
        {
            self.flow = Flow::Exit;
        }
    }

    /// A word that cannot be expanded ends a script.
    fn give_up(&mut self, io: &Io, why: &str) {
        self.fail(io, why, 1);
        self.flow = Flow::Exit;
    }

    fn condition(&mut self, node: &Node, io: &Io) {
        self.conditions += 1;
        self.run(node, io);
        self.conditions -= 1;
    }

    /// After a round of a loop: whether the loop is over.
    fn behind(&mut self) -> bool {
        match self.flow {
            Flow::On => false,
            Flow::Continue(1) => {
                self.flow = Flow::On;
                false
            }
            Flow::Continue(n) => {
                self.flow = Flow::Continue(n - 1);
                true
            }
            Flow::Break(n) => {
                self.flow = if n > 1 { Flow::Break(n - 1) } else { Flow::On };
                true
            }
            Flow::Return | Flow::Exit => true,
        }
    }

    fn pipe(&mut self, nodes: &[Node], io: &Io) {
        let mut input = io.input.clone();
        for (n, node) in nodes.iter().enumerate() {
            if n + 1 == nodes.len() {
                self.subshell(node, &Io { input: input.clone(), ..io.clone() });
                break;
            }
            let (out, bytes) = Sink::buffer();
            self.conditions += 1;
            self.subshell(node, &Io { input, out, ..io.clone() });
            self.conditions -= 1;
            input = Source::bytes(bytes.take());
        }
    }

    fn case(&mut self, word: &str, arms: &[(Vec<String>, Node)], io: &Io) -> Result<(), String> {
        let text: Vec<char> = self.text(word, io)?.chars().collect();
        self.status = 0;
        for (patterns, body) in arms {
            for pattern in patterns {
                let pattern = self.pattern(pattern, io)?;
                if super::words::fits(&pattern, &text) {
                    self.run(body, io);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn all_fields(&mut self, words: &[String], io: &Io) -> Result<Vec<String>, String> {
        let mut out = Vec::new();
        for word in words {
            out.extend(self.fields(word, io)?);
        }
        Ok(out)
    }

    fn redirect(&mut self, redirects: &[Redirect], io: &Io) -> Result<Io, String> {
        let mut io = io.clone();
        for Redirect { fd, to } in redirects {
            let open = |path: &str, options: &OpenOptions| -> Result<File, String> {
                let why = |e: std::io::Error| e.to_string();
                options.open(path).map_err(|e| {
                    format!("{path}: {}", why(e).split(" (os error").next().unwrap_or_default())
                })
            };
            let mut options = OpenOptions::new();
            let sink = match to {
                Target::Here(body, expanded) => {
                    let body = if *expanded { self.document(body, &io)? } else { body.clone() };
                    io.input = Source::bytes(body.into_bytes());
                    continue;
                }
                Target::Read(word) => {
                    let path = self.text(word, &io)?;
                    let mut file = open(&path, options.read(true))?;
                    let mut bytes = Vec::new();
                    use std::io::Read;
                    (&mut file)
                        .take(crate::io::MOST as u64)
                        .read_to_end(&mut bytes)
                        .map_err(|e| format!("{path}: {e}"))?;
                    io.input = Source::bytes(bytes);
                    continue;
                }
                Target::Same(word) => match (self.text(word, &io)?.as_str(), fd) {
                    ("1", _) => io.out.clone(),
                    ("2", _) => io.err.clone(),
                    (other, _) => {
                        return Err(format!("{other}: descriptors 1 and 2 can be shared"));
                    }
                },
                Target::Write(word) => {
                    options.write(true).create(true).truncate(true);
                    Sink::File(Rc::new(open(&self.text(word, &io)?, &options)?))
                }
                Target::Append(word) => {
                    options.append(true).create(true);
                    Sink::File(Rc::new(open(&self.text(word, &io)?, &options)?))
                }
            };
            match fd {
                1 => io.out = sink,
                2 => io.err = sink,
                _ => return Err("standard input cannot be written".into()),
            }
        }
        Ok(io)
    }

    fn simple(
        &mut self,
        assign: &[(String, String)],
        words: &[String],
        io: &Io,
    ) -> Result<(), String> {
        self.substituted = None;
        let words = self.all_fields(words, io)?;
        let mut values = Vec::new();
        for (name, value) in assign {
            values.push((name.clone(), self.text(value, io)?));
        }
        if self.shows {
            let shown: Vec<String> = values
                .iter()
                .map(|(n, v)| format!("{n}={v}"))
                .chain(words.iter().cloned())
                .collect();
            let _nobody_reads = writeln!(io.err.clone(), "+ {}", shown.join(" "));
        }
        let Some(name) = words.first() else {
            for (name, value) in values {
                self.set(&name, value);
            }
            // The status of `x=$(false)` is that of the substitution.
            self.status = self.substituted.unwrap_or(0);
            return Ok(());
        };
        // Assignments before a command are for it alone.
        let before: Vec<_> = values
            .iter()
            .map(|(n, _)| (n.clone(), self.variables.get(n).cloned(), self.exported.contains(n)))
            .collect();
        for (name, value) in values {
            self.export(&name);
            self.set(&name, value);
        }
        self.call(name, &words, io);
        for (name, value, exported) in before {
            match value {
                Some(value) => self.set(&name, value),
                None => drop(self.variables.remove(&name)),
            }
            if !exported {
                self.exported.remove(&name);
            }
        }
        Ok(())
    }

    /// Runs a command: a function, a builtin or an applet.
    pub fn call(&mut self, name: &str, words: &[String], io: &Io) {
        if let Some(body) = self.functions.get(name).cloned() {
            if self.depth >= DEEPEST {
                self.fail(io, &format!("{name}: functions call each other too deeply"), 1);
                self.flow = Flow::Exit;
                return;
            }
            let outer = std::mem::replace(&mut self.arguments, words[1..].to_vec());
            self.depth += 1;
            self.run(&body, io);
            self.depth -= 1;
            self.arguments = outer;
            if self.flow == Flow::Return {
                self.flow = Flow::On;
            }
            return;
        }
        if self.builtin(name, &words[1..], io) {
            return;
        }
        let mut io = Io { env: self.environment(), ..io.clone() };
        self.status = applets::run(words, &mut io);
    }
}

/// Returns to a folder that a subshell has left.
fn back(folder: Option<std::path::PathBuf>) {
    if let Some(folder) = folder {
        let _it_may_be_gone = std::env::set_current_dir(folder);
    }
}
