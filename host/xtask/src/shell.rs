//! Running programs, with errors that say what to do.

use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::paths;

/// A cargo that runs in the root folder.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths::root());
    // Cargo sets these for xtask itself; handed on they would make inner cargos rebuild.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION", "RUSTFLAGS"] {
        command.env_remove(name);
    }
    command
}

/// Runs a program to its end; its output goes where ours goes.
pub fn run(command: &mut Command, what: &str) -> Result<()> {
    let line = shown(command);
    let status = command.status().with_context(|| cannot_start(&line))?;
    if !status.success() {
        bail!("{what} failed ({status}).\nIt was: {line}");
    }
    Ok(())
}

/// Runs a program, shows its standard output and hands each line to `each`. Whether it
/// succeeded.
pub fn tee(command: &mut Command, mut each: impl FnMut(&str)) -> Result<bool> {
    let line = shown(command);
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| cannot_start(&line))?;
    let pipe = child.stdout.take().expect("the output is piped");
    let mut out = io::stdout().lock();
    for text in BufReader::new(pipe).split(b'\n') {
        let text = text?;
        let text = String::from_utf8_lossy(&text);
        writeln!(out, "{text}")?;
        each(&text);
    }
    out.flush()?;
    Ok(child.wait()?.success())
}

/// The standard output of a program that succeeds.
pub fn output(command: &mut Command) -> Option<String> {
    let out = command.stderr(Stdio::null()).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Where a program is on the PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&path).map(|dir| dir.join(&file)).find(|p| p.is_file())
}

/// A command as a line, for messages.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// `3.2s`, `1m05s`.
pub fn took(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1}s", time.as_secs_f64())
    } else {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    }
}

fn cannot_start(line: &str) -> String {
    format!("cannot start: {line}\nIs the program installed and on the PATH?")
}
