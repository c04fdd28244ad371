//! A typed line: words and quotes, a here-document, a pipe of filters, several commands.
//!
//! # Layout
//! - [`words`]: what the line says; [`filters`]: grep, wc, head, tail, sort, cut, uniq
//! - here: running it

pub mod filters;
pub mod words;

use crate::failure::Failure;
use crate::io::Sink;
use crate::kubectl::Kubectl;
use crate::run::run;
use crate::transport::Transport;
use filters::Filter;
use words::{Command, Join, parse};

/// A line is not longer than this, here-documents included.
pub const MAX_LINE: usize = 1 << 20;

/// Where the two outputs of a line go. They may be the same place.
pub trait Output: Send {
    /// Standard output.
    fn out(&mut self, bytes: &[u8]) -> bool;
    /// Standard error.
    fn err(&mut self, bytes: &[u8]) -> bool;
}

/// Runs a line in `namespace`; the exit code of its last command.
pub async fn execute(
    line: &str,
    namespace: &str,
    transport: &dyn Transport,
    output: &std::sync::Mutex<Box<dyn Output>>,
) -> i32 {
    if line.len() > MAX_LINE {
        return fail(output, &format!("a line is at most {MAX_LINE} bytes long"));
    }
    let lists = match parse(line) {
        Ok(lists) => lists,
        Err(why) => return fail(output, &why),
    };
    let mut code = 0;
    for (join, pipe) in lists {
        if matches!((join, code), (Join::And, 1..) | (Join::Or, 0)) {
            continue;
        }
        code = pipeline(&pipe, namespace, transport, output).await;
    }
    code
}

fn fail(output: &std::sync::Mutex<Box<dyn Output>>, why: &str) -> i32 {
    lock(output).err(format!("{why}\n").as_bytes());
    2
}

fn lock<'a>(
    output: &'a std::sync::Mutex<Box<dyn Output>>,
) -> std::sync::MutexGuard<'a, Box<dyn Output>> {
    output.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

struct Out<'a>(&'a std::sync::Mutex<Box<dyn Output>>);
struct Complaints<'a>(&'a std::sync::Mutex<Box<dyn Output>>);

impl Sink for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> bool {
        lock(self.0).out(bytes)
    }
}

impl Sink for Complaints<'_> {
    fn write(&mut self, bytes: &[u8]) -> bool {
        lock(self.0).err(bytes)
    }
}

/// What goes through filters before it is output.
struct Piped<'a> {
    filters: Vec<Filter>,
    out: Out<'a>,
}

impl Piped<'_> {
    fn pass(&mut self, from: usize, bytes: &[u8]) -> bool {
        let mut bytes = bytes.to_vec();
        let mut open = true;
        for filter in &mut self.filters[from..] {
            let mut next = Vec::new();
            open &= filter.feed(&bytes, &mut next);
            bytes = next;
        }
        (bytes.is_empty() || self.out.write(&bytes)) && open
    }
}

impl Sink for Piped<'_> {
    fn write(&mut self, bytes: &[u8]) -> bool {
        self.pass(0, bytes)
    }

    fn finish(&mut self) {
        for i in 0..self.filters.len() {
            let mut rest = Vec::new();
            self.filters[i].end(&mut rest);
            if !rest.is_empty() {
                self.pass(i + 1, &rest);
            }
        }
    }
}

async fn pipeline(
    pipe: &[Command],
    namespace: &str,
    transport: &dyn Transport,
    output: &std::sync::Mutex<Box<dyn Output>>,
) -> i32 {
    let Some((first, rest)) = pipe.split_first() else { return 0 };
    let mut filters = Vec::new();
    for command in rest {
        match Filter::new(&command.words) {
            Ok(filter) => filters.push(filter),
            Err(why) => {
                let kubectl = command.words.first().is_some_and(|w| w == "kubectl" || w == "k");
                if kubectl && rest.len() == 1 && !reads(&first.words) {
                    return fed(first, command, namespace, transport, output).await;
                }
                return fail(output, &why);
            }
        }
    }
    let filtered = !filters.is_empty();
    let mut piped = Piped { filters, out: Out(output) };
    let code = one(first, namespace, transport, &mut piped, output).await;
    piped.finish();
    if filtered { piped.filters.last().map_or(0, Filter::code) } else { code }
}

fn reads(words: &[String]) -> bool {
    words.iter().any(|w| w == "-w" || w == "--watch")
}

/// `kubectl create --dry-run=client -o yaml ... | kubectl apply -f -`.
async fn fed(
    first: &Command,
    second: &Command,
    namespace: &str,
    transport: &dyn Transport,
    output: &std::sync::Mutex<Box<dyn Output>>,
) -> i32 {
    let mut kept = crate::io::Kept::default();
    one(first, namespace, transport, &mut kept, output).await;
    let second = Command { input: Some(kept.text()), ..second.clone() };
    one(&second, namespace, transport, &mut Out(output), output).await
}

async fn one(
    command: &Command,
    namespace: &str,
    transport: &dyn Transport,
    out: &mut dyn Sink,
    output: &std::sync::Mutex<Box<dyn Output>>,
) -> i32 {
    let Some((program, argv)) = command.words.split_first() else { return 0 };
    let mut err = Complaints(output);
    match program.as_str() {
        "kubectl" | "k" => {
            let stdin = command.input.as_deref().unwrap_or("");
            let mut k = Kubectl::new(transport, stdin, out, &mut err);
            namespace.clone_into(&mut k.namespace);
            run(&mut k, argv).await
        }
        "echo" => {
            out.write(format!("{}\n", argv.join(" ")).as_bytes());
            0
        }
        "sleep" => {
            let seconds = argv.first().and_then(|s| s.parse::<f64>().ok()).unwrap_or(0.0);
            transport.pause((seconds.clamp(0.0, 3600.0) * 1000.0) as u64).await;
            0
        }
        "cat" => {
            out.write(command.input.as_deref().unwrap_or("").as_bytes());
            0
        }
        "true" => 0,
        "false" => 1,
        "help" => {
            let mut k = Kubectl::new(transport, "", out, &mut err);
            run(&mut k, &[]).await
        }
        other => {
            let failure = Failure::plain(format!(
                "{other}: command not found. Here are kubectl (or k), and grep, wc, head, tail, sort, cut, uniq after a pipe"
            ));
            err.write(format!("{}\n", failure.text).as_bytes());
            127
        }
    }
}
