//! Running programs, with errors that say what to do.

use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
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

/// Ends what we have started when it takes longer than it may: one test that never ends must not cost
/// the results of all others.
pub struct Watch {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<bool>>,
}

impl Watch {
    /// Begins to watch.
    pub fn start(limit: Duration) -> Watch {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let late = stopped.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if late {
                end_descendants();
            }
            late
        });
        Watch { stop: Some(stop), thread: Some(thread) }
    }

    /// Ends watching. Whether it took too long.
    pub fn late(mut self) -> bool {
        drop(self.stop.take());
        self.thread.take().is_some_and(|t| t.join().unwrap_or(false))
    }
}

/// Ends all processes that come from this one, parents first, so that none goes on when its
/// child has ended.
fn end_descendants() {
    let Some(table) = output(Command::new("ps").args(["-A", "-o", "pid=,ppid="])) else { return };
    let pair = |line: &str| {
        let (pid, parent) = line.trim().split_once(' ')?;
        Some((pid.to_owned(), parent.trim().to_owned()))
    };
    let pairs: Vec<(String, String)> = table.lines().filter_map(pair).collect();
    let mut found = vec![std::process::id().to_string()];
    let mut next = 0;
    while let Some(parent) = found.get(next).cloned() {
        found.extend(pairs.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| pid.clone()));
        next += 1;
    }
    for pid in &found[1..] {
        let _ = Command::new("kill").args(["-9", pid]).stderr(Stdio::null()).status();
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_never_ends_is_ended_with_all_it_started() {
        let watch = Watch::start(Duration::from_millis(300));
        let mut never = Command::new("sh");
        never.args(["-c", "sleep 600 & sleep 600; echo after"]);
        let began = std::time::Instant::now();
        assert!(!tee(&mut never, |line| panic!("{line}")).unwrap());
        assert!(watch.late());
        assert!(began.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn what_ends_in_time_is_not() {
        let watch = Watch::start(Duration::from_secs(600));
        assert!(!watch.late());
    }
}
