//! Each seed in two processes: is the trace the same?

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use podlab_trace::{Trace, text};

use super::{Args, Job};
use crate::problem::{Done, Problem};

/// How many events are read from a trace at once.
const CHUNK: usize = 4096;

/// Runs one job and prints the digest of its trace and then its events, a line each.
pub(super) fn print(job: &Job<'_>) -> Done {
    let finished = job.runner.run(job.pattern, job.name, job.scenario, job.seed);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let trace = finished.world.trace();
    let written = writeln!(out, "{}", finished.report.digest)
        .and_then(|()| events(trace, |line| writeln!(out, "{line}")));
    // Whoever asked has heard enough once the pipe is closed.
    let _ = written.and_then(|()| out.flush());
    Ok(ExitCode::SUCCESS)
}

/// All events of a trace as lines of JSON.
fn events(trace: &Trace, mut line: impl FnMut(&str) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut from = 1;
    loop {
        let events = trace.read(from, CHUNK);
        let Some(last) = events.last() else { return Ok(()) };
        from = last.seq + 1;
        for event in &events {
            line(&serde_json::to_string(event).map_err(std::io::Error::other)?)?;
        }
    }
}

/// Runs each job here and in another process, whose time zone, locale and folder differ.
pub(super) fn compare(jobs: &[Job<'_>], args: &Args) -> Done {
    let cannot = |e: std::io::Error| Problem::failed(format!("cannot run it twice: {e}"), "");
    let program = std::env::current_exe().map_err(cannot)?;
    for job in jobs {
        let mut command = Command::new(&program);
        command.arg("test");
        for path in &args.path {
            // Paths are relative to this process's folder, names of patterns are not paths.
            command.arg(if path.exists() {
                path.canonicalize().map_err(cannot)?
            } else {
                path.clone()
            });
        }
        for image in &args.image {
            let absolute = image.split_once('=').and_then(|(name, file)| {
                Some(format!("{name}={}", std::fs::canonicalize(file).ok()?.display()))
            });
            command.arg("--image").arg(absolute.unwrap_or_else(|| image.clone()));
        }
        let file = args.scenario.as_deref().filter(|s| Path::new(s).is_file());
        let scenario = match file {
            Some(file) => std::fs::canonicalize(file).map_err(cannot)?.display().to_string(),
            None => job.name.to_owned(),
        };
        command.args(["--scenario", &scenario, "--seed", &job.seed.to_string()]);
        command.args(["--print-events", &job.pattern.file.name]);
        command.env("TZ", "Asia/Tokyo").env("LANG", "ja_JP.UTF-8");
        command.current_dir(std::env::temp_dir()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(cannot)?;
        let here = job.runner.run(job.pattern, job.name, job.scenario, job.seed);
        let name = format!("{}/{} seed {}", job.pattern.file.name, job.name, job.seed);
        let out = child.stdout.take().expect("it was piped");
        let mut there = BufReader::new(out).lines();
        let digest = there.next().transpose().map_err(cannot)?.unwrap_or_default();
        if digest == here.report.digest {
            drop(there);
            // It may have been cut off in the middle of its events; they are not needed.
            child.wait().map_err(cannot)?;
            println!("ok   {name}: {} events, identical in two processes", here.report.events);
            continue;
        }
        println!("FAIL {name}: two processes do not agree");
        let trace = here.world.trace();
        let mut seq = 0;
        let found = events(trace, |line| {
            seq += 1;
            let other = there.next().transpose()?.unwrap_or_else(|| "nothing more".into());
            if other == line { Ok(()) } else { Err(std::io::Error::other(other)) }
        });
        let other = match found {
            Err(other) => other.to_string(),
            Ok(()) => {
                seq += 1;
                there.next().transpose().map_err(cannot)?.unwrap_or_else(|| "nothing more".into())
            }
        };
        let first = trace.read(seq, 1).first().map_or("nothing more".into(), |event| {
            trace.with_state(|state| text::line(state, event))
        });
        println!("     first at event {seq}");
        println!("       here:  {first}");
        println!("       there: {other}");
        child.wait().map_err(cannot)?;
        return Ok(ExitCode::from(1));
    }
    println!("{} passed, 0 failed", jobs.len());
    Ok(ExitCode::SUCCESS)
}
