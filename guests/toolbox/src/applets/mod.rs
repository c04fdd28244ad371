//! The tools, by subject.

mod archive;
mod condition;
mod curl;
mod digest;
mod disk;
mod edit;
mod files;
mod net;
mod search;
mod system;
mod text;

use std::fs;
use std::io::{self, Write};

use crate::io::Io;
use crate::options::{Given, parse};

/// Why an applet failed.
#[derive(Debug)]
pub enum Fault {
    /// It was called wrongly: exit status 2.
    Usage(String),
    /// The system said no: exit status 1.
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

/// An exit status.
pub type Outcome = Result<i32, Fault>;

/// A tool.
struct Applet {
    name: &'static str,
    usage: &'static str,
    /// See [`parse`]; `None` for tools that read their words themselves.
    options: Option<&'static str>,
    run: fn(&Given, &mut Io) -> Outcome,
}

const fn applet(
    name: &'static str,
    usage: &'static str,
    options: &'static str,
    run: fn(&Given, &mut Io) -> Outcome,
) -> Applet {
    Applet { name, usage, options: Some(options), run }
}

const fn raw(
    name: &'static str,
    usage: &'static str,
    run: fn(&Given, &mut Io) -> Outcome,
) -> Applet {
    Applet { name, usage, options: None, run }
}

/// All of them, by name.
const APPLETS: &[Applet] = &[
    raw("[", "EXPRESSION ]", condition::bracket),
    applet("base64", "[-d] [-w COLUMNS] [FILE]", "dw: decode=d wrap=w", digest::base64),
    applet("basename", "PATH [SUFFIX]", "", files::basename),
    applet("cat", "[-n] [FILE...]", "nu", text::cat),
    applet("cp", "[-rafp] FROM... TO", "raRfpvT recursive=r archive=a", files::cp),
    applet(
        "curl",
        "[-sSifIkLv] [-H 'NAME: VALUE'] [-X METHOD] [-d DATA] [-o FILE] [-w FORMAT] [-m SECONDS] URL",
        curl::OPTIONS,
        curl::curl,
    ),
    applet(
        "cut",
        "-f LIST [-d C] [-s] | -c LIST [FILE...]",
        "f:d:c:b:s fields=f delimiter=d",
        text::cut,
    ),
    applet("date", "[-u] [+FORMAT]", "u utc=u", system::date),
    applet("df", "[-hk] [PATH...]", "hkP", disk::df),
    applet("dirname", "PATH", "", files::dirname),
    applet("du", "[-shak] [PATH...]", "shakc", disk::du),
    raw("echo", "[-n] [-e] [WORD...]", system::echo),
    applet("env", "[NAME=VALUE...] [COMMAND...]", "+", system::env),
    raw("expr", "VALUE [OPERATOR VALUE]", condition::expr),
    raw("false", "", |_, _| Ok(1)),
    raw("find", "[PATH...] [-name P] [-type f|d|l] [-maxdepth N] [-print] [-delete]", disk::find),
    applet(
        "grep",
        "[-ivcqnlEFwxor] [-e PATTERN | PATTERN] [FILE...]",
        "ivcqnlEFwxorHhse:m: ignore-case=i count=c quiet=q",
        search::grep,
    ),
    applet("head", "[-n LINES | -c BYTES] [FILE...]", "n:c:q lines=n bytes=c", text::head),
    applet("hostname", "[-sfi]", "sfi", system::hostname),
    applet("id", "[-ugnG]", "ugnGr", system::id),
    applet("kill", "[-SIGNAL] PID", "ls:", system::kill),
    applet("ln", "[-sf] TARGET NAME", "sfn", files::ln),
    applet("ls", "[-lad1AhRtr] [PATH...]", "lad1AhRtrnF", files::ls),
    applet("md5sum", "[FILE...]", "", digest::md5sum),
    applet("mkdir", "[-p] DIR...", "pvm: parents=p", files::mkdir),
    applet("mktemp", "[-d]", "d", files::mktemp),
    applet("mv", "[-f] FROM... TO", "fnv", files::mv),
    applet("nc", "[-zv] [-w SECONDS] HOST PORT | nc -l [-p] PORT", "lp:zvw:nk", net::nc),
    applet("nproc", "", "", system::nproc),
    applet("nslookup", "NAME", "", net::nslookup),
    raw("printf", "FORMAT [WORD...]", system::printf),
    applet("ps", "[-ef] [aux]", "efoaux", system::ps),
    applet("pwd", "", "LP", system::pwd),
    applet("readlink", "[-f] PATH", "f", files::readlink),
    applet("rm", "[-rf] PATH...", "rRfv recursive=r force=f", files::rm),
    applet("rmdir", "[-p] DIR...", "p", files::rmdir),
    applet(
        "sed",
        "[-nEi] [-e] SCRIPT [FILE...]",
        "nErie:f: quiet=n regexp-extended=E in-place=i expression=e",
        edit::sed,
    ),
    raw("seq", "[FIRST [STEP]] LAST", system::seq),
    raw("sh", "[-ex] [-c TEXT | FILE] [ARG...]", |given, io| {
        Ok(crate::shell::main(&given.rest, io))
    }),
    applet("sha256sum", "[FILE...]", "", digest::sha256sum),
    applet("sleep", "SECONDS", "", system::sleep),
    applet("sort", "[-nrufh] [-k FIELD] [-t C] [FILE...]", "nrufhk:t:V", text::sort),
    applet("stat", "[-c FORMAT] PATH...", "c:Lt format=c", disk::stat),
    applet("sync", "", "", |_, _| Ok(0)),
    applet(
        "tail",
        "[-n LINES | -c BYTES] [-f] [FILE...]",
        "n:c:fFq lines=n bytes=c follow=f",
        text::tail,
    ),
    raw("tar", "c|x|t [-f FILE] [-C DIR] [-mpv] [PATH...]", archive::tar),
    applet("tee", "[-a] [FILE...]", "ai", text::tee),
    raw("test", "EXPRESSION", condition::test),
    applet("touch", "[-c] FILE...", "cam", files::touch),
    applet("tr", "[-ds] SET [SET]", "dscC", text::tr),
    raw("true", "", |_, _| Ok(0)),
    applet("uname", "[-asnrm]", "asnrmvp", system::uname),
    applet("uniq", "[-cdu] [FILE]", "cdui", text::uniq),
    applet("uptime", "", "", system::uptime),
    applet("wc", "[-lwcm] [FILE...]", "lwcm lines=l words=w bytes=c", text::wc),
    applet(
        "wget",
        "[-qS] [-O FILE] [-T SECONDS] [--header H] [--method M] [--post-data TEXT] [--spider] URL",
        "qO:T:SP:t:H:m:d:x output-document=O timeout=T header=H method=m post-data=d body-data=d spider=x quiet=q server-response=S tries=t",
        net::wget,
    ),
    applet("which", "NAME...", "a", system::which),
    applet("whoami", "", "", system::whoami),
    applet("xargs", "[-n COUNT] [-I WORD] [-r0t] COMMAND [WORD...]", "+n:I:r0tP:", system::xargs),
    applet("yes", "[WORD...]", "", text::yes),
];

/// The names of all.
pub fn names() -> impl Iterator<Item = &'static str> {
    APPLETS.iter().map(|a| a.name)
}

/// Whether there is one of that name.
pub fn is_known(name: &str) -> bool {
    names().any(|n| n == name)
}

/// Runs one; its exit status. What goes wrong is said on standard error.
pub fn run(args: &[String], io: &mut Io) -> i32 {
    let Some((name, words)) = args.split_first() else { return 0 };
    let (status, message) = match call(crate::base(name), words, io) {
        Ok(status) => return status,
        Err(Fault::Usage(message)) => (2, message),
        Err(Fault::Io(error)) => (1, error.to_string()),
    };
    let _nobody_reads = writeln!(io.err, "{name}: {message}");
    status
}

fn call(name: &str, words: &[String], io: &mut Io) -> Outcome {
    let Some(applet) = APPLETS.iter().find(|a| a.name == name) else {
        writeln!(io.err, "{name}: not found")?;
        return Ok(127);
    };
    let usage = || format!("usage: {name} {}", applet.usage);
    if applet.options.is_some() && words.first().is_some_and(|w| w == "--help") {
        writeln!(io.out, "{}", usage())?;
        return Ok(0);
    }
    let given = match applet.options {
        None => Given::raw(words),
        Some(known) => {
            let words = numbers(name, words);
            parse(known, &words).map_err(|e| Fault::Usage(format!("{e}\n{}", usage())))?
        }
    };
    match (applet.run)(&given, io) {
        Err(Fault::Usage(message)) if message.is_empty() => Err(Fault::Usage(usage())),
        other => other,
    }
}

/// `head -5` is `head -n 5`, and `kill -9` is `kill -s 9`, as it was before getopt.
fn numbers(name: &str, words: &[String]) -> Vec<String> {
    let flag = match name {
        "head" | "tail" => "-n",
        "kill" => "-s",
        _ => return words.to_vec(),
    };
    let old = |w: &String| {
        let rest = w.strip_prefix('-').unwrap_or_default();
        let upper = name == "kill"
            && rest.len() > 1
            && rest.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        (upper || !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
            .then(|| format!("{flag}{rest}"))
    };
    words.iter().map(|w| old(w).unwrap_or_else(|| w.clone())).collect()
}

/// Called wrongly: the usage line says how it is right.
fn usage() -> Fault {
    Fault::Usage(String::new())
}

/// An error with the path it is about.
fn named(path: impl AsRef<std::path::Path>) -> impl Fn(io::Error) -> Fault {
    let path = path.as_ref().display().to_string();
    move |e| Fault::Io(io::Error::new(e.kind(), format!("{path}: {}", plain(&e))))
}

/// As libc says it, without "(os error 2)".
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// What a file contains; `-` is standard input.
fn content(file: &str, io: &mut Io) -> Result<Vec<u8>, Fault> {
    match file {
        "-" => Ok(io.read_all()?),
        file => fs::read(file).map_err(named(file)),
    }
}

/// What all files contain together, or standard input if there is none.
fn contents(files: &[String], io: &mut Io) -> Result<Vec<u8>, Fault> {
    if files.is_empty() {
        return Ok(io.read_all()?);
    }
    let mut out = Vec::new();
    for file in files {
        out.extend(content(file, io)?);
    }
    Ok(out)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::io::{Sink, Source};

    /// Runs words with some input: exit status, output, errors.
    pub fn ran(words: &[&str], input: &str) -> (i32, String, String) {
        let ((out, out_bytes), (err, err_bytes)) = (Sink::buffer(), Sink::buffer());
        let mut io = Io { input: Source::bytes(input.into()), out, err, env: Default::default() };
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let status = run(&words, &mut io);
        let text =
            |b: &std::cell::RefCell<Vec<u8>>| String::from_utf8_lossy(&b.borrow()).into_owned();
        (status, text(&out_bytes), text(&err_bytes))
    }

    /// The output of words that succeed.
    pub fn out(words: &[&str], input: &str) -> String {
        let (status, out, err) = ran(words, input);
        assert_eq!((status, err.as_str()), (0, ""), "{words:?}");
        out
    }

    /// A fresh folder.
    pub fn folder(name: &str) -> String {
        let path = std::env::temp_dir().join(format!("toolbox-{name}-{}", std::process::id()));
        let _is_new = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn names_are_sorted_and_there_once() {
        let all: Vec<_> = names().collect();
        assert!(all.windows(2).all(|w| w[0] < w[1]), "{all:?}");
    }

    #[test]
    fn an_unknown_flag_is_an_error_with_status_2() {
        for applet in APPLETS.iter().filter(|a| a.options.is_some()) {
            let (status, out, err) = ran(&[applet.name, "-%"], "");
            assert_eq!((status, out.as_str()), (2, ""), "{}", applet.name);
            assert!(err.contains("unrecognized option '-%'\nusage:"), "{err}");
            assert!(out_of_help(applet.name).starts_with("usage: "), "{}", applet.name);
        }
        assert_eq!(ran(&["nope"], "").0, 127);
    }

    fn out_of_help(name: &str) -> String {
        out(&[name, "--help"], "")
    }
}
