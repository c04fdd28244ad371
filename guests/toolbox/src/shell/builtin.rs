//! What the shell does itself, because it is about the shell.

use std::io::Write;
use std::time::Duration;

use podlab_guest::runtime::{block_on_keeping, race, sleep};

use super::run::{Flow, Shell};
use super::words::is_name;
use crate::applets;
use crate::io::Io;

const NAMES: [&str; 24] = [
    ":", ".", "break", "cd", "command", "continue", "eval", "exec", "exit", "export", "local",
    "read", "readonly", "return", "set", "shift", "sleep", "source", "trap", "type", "umask",
    "unset", "wait", "jobs",
];

impl Shell {
    /// Runs a builtin; false if there is none of that name.
    pub fn builtin(&mut self, name: &str, words: &[String], io: &Io) -> bool {
        let first = words.first().map(String::as_str);
        let count = first.and_then(|w| w.parse::<usize>().ok()).unwrap_or(1).max(1);
        let mut out = io.out.clone();
        if !NAMES.contains(&name) {
            return false;
        }
        // `sleep` is an applet, unless a trap may have to interrupt it.
        if name == "sleep" && self.terminated.is_none() {
            return false;
        }
        let before = self.status;
        self.status = 0;
        match name {
            "break" => self.flow = Flow::Break(count),
            "continue" => self.flow = Flow::Continue(count),
            "exit" | "return" => {
                let status = first.map_or(Some(before), |w| w.parse().ok());
                self.flow = if name == "exit" { Flow::Exit } else { Flow::Return };
                match status {
                    Some(status) => self.status = status & 255,
                    None => self.fail(io, &format!("{name}: a number is needed"), 2),
                }
            }
            "cd" => self.change(first, io),
            "eval" => self.source(&words.join(" "), io),
            "." | "source" => match first.map(|f| (f, std::fs::read_to_string(f))) {
                Some((_, Ok(text))) => {
                    self.source(&text, io);
                    if self.flow == Flow::Return {
                        self.flow = Flow::On;
                    }
                }
                Some((file, Err(error))) => self.fail(io, &format!("{file}: {error}"), 1),
                None => self.fail(io, ".: a file is needed", 2),
            },
            "exec" if !words.is_empty() => {
                self.call(&words[0], words, io);
                self.flow = Flow::Exit;
            }
            "export" | "readonly" | "local" => self.declare(name, words, io),
            "unset" => words.iter().filter(|w| !w.starts_with('-')).for_each(|w| self.unset(w)),
            "shift" => match count <= self.arguments.len() {
                true => drop(self.arguments.drain(..count)),
                false => self.status = 1,
            },
            "set" => self.options(words, io),
            "read" => self.read(words, io),
            "trap" => self.trap(words, io),
            "sleep" => {
                let time = first.and_then(podlab_guest::args::duration);
                let (time, flag) = (time.unwrap_or(Duration::ZERO), self.terminated.clone());
                if let Some(flag) = flag {
                    block_on_keeping(async move {
                        race(flag.wait(), sleep(time)).await;
                    });
                }
            }
            "command" | "type" => {
                let (query, words) = match (name, first) {
                    ("type", _) => (true, words),
                    (_, Some("-v" | "-V")) => (true, &words[1..]),
                    _ => (false, words),
                };
                match words.first() {
                    Some(word) if !query => self.call(word, words, io),
                    Some(word) if self.has_function(word) || NAMES.contains(&word.as_str()) => {
                        let _closed = writeln!(out, "{word}");
                    }
                    Some(word) if applets::is_known(word) => {
                        let _closed = writeln!(out, "/bin/{word}");
                    }
                    _ => self.status = 1,
                }
            }
            // Nothing runs beside the shell, so there is nothing to wait for.
            _ => {}
        }
        true
    }

    fn change(&mut self, to: Option<&str>, io: &Io) {
        let to = match to {
            None => self.get("HOME").unwrap_or_else(|| "/".into()),
            Some("-") => {
                let old = self.get("OLDPWD").unwrap_or_else(super::here);
                let _closed = writeln!(io.out.clone(), "{old}");
                old
            }
            Some(to) => to.to_owned(),
        };
        let old = super::here();
        match std::fs::metadata(&to).and_then(|_| std::env::set_current_dir(&to)) {
            Ok(()) => self.set("OLDPWD", old),
            Err(error) => self.fail(io, &format!("cd: {to}: {error}"), 1),
        }
    }

    fn declare(&mut self, how: &str, words: &[String], io: &Io) {
        for word in words.iter().filter(|w| *w != "-p") {
            let (name, value) =
                word.split_once('=').map_or((word.as_str(), None), |(n, v)| (n, Some(v)));
            if !is_name(name) {
                return self.fail(io, &format!("{how}: {name}: not a name"), 1);
            }
            if let Some(value) = value {
                self.set(name, value.to_owned());
            }
            if how == "export" {
                self.export(name);
            }
        }
        if words.is_empty() && how == "export" {
            for (name, value) in self.environment().iter() {
                let _closed = writeln!(io.out.clone(), "export {name}='{value}'");
            }
        }
    }

    fn options(&mut self, words: &[String], io: &Io) {
        if words.is_empty() {
            for (name, value) in self.variables() {
                let _closed = writeln!(io.out.clone(), "{name}='{value}'");
            }
        }
        for (n, word) in words.iter().enumerate() {
            let (on, flags) = match (word.strip_prefix('-'), word.strip_prefix('+')) {
                (Some("-"), _) => {
                    self.arguments = words[n + 1..].to_vec();
                    return;
                }
                (Some(flags), _) => (true, flags),
                (_, Some(flags)) => (false, flags),
                _ => {
                    self.arguments = words[n..].to_vec();
                    return;
                }
            };
            for flag in flags.chars() {
                if let Err(why) = self.option(flag, on) {
                    return self.fail(io, &format!("set: {why}"), 2);
                }
            }
        }
    }

    /// `read [-r] NAME...`: the last name takes what is left.
    fn read(&mut self, words: &[String], io: &Io) {
        let names: Vec<&String> = words.iter().filter(|w| !w.starts_with('-')).collect();
        let Ok(Some(line)) = io.clone().read_line() else {
            self.status = 1;
            return;
        };
        let mut rest = line.trim();
        for (n, name) in names.iter().enumerate() {
            let cut = rest.find(char::is_whitespace).filter(|_| n + 1 < names.len());
            let (value, left) = rest.split_at(cut.unwrap_or(rest.len()));
            self.set(name, value.to_owned());
            rest = left.trim_start();
        }
    }

    /// `trap ACTION SIGNAL...`, `trap - SIGNAL...`. The first trap for TERM or INT opens
    /// `/dev/signals`; from then on the shell looks for them after each command and in `sleep`.
    fn trap(&mut self, words: &[String], io: &Io) {
        let Some((action, signals)) = words.split_first() else {
            for (signal, action) in &self.traps {
                let _closed = writeln!(io.out.clone(), "trap -- '{action}' {signal}");
            }
            return;
        };
        for signal in signals {
            let name = match signal.trim_start_matches("SIG") {
                "0" | "EXIT" => "EXIT",
                "15" | "TERM" => "TERM",
                "2" | "INT" => "INT",
                "1" | "HUP" => "HUP",
                other => return self.fail(io, &format!("trap: {other}: no such signal here"), 1),
            };
            if action == "-" {
                self.traps.remove(name);
                continue;
            }
            self.traps.insert(name.to_owned(), action.clone());
            if matches!(name, "TERM" | "INT") && self.terminated.is_none() {
                self.terminated = Some(podlab_guest::signals::termination());
            }
        }
    }
}
