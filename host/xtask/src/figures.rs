//! What `bench` measures.
//!
//! The measuring itself is done by a program of the workspace, `podlab-bench` (in `tests/`),
//! since it needs the world's crates. It takes the names of figures (none means all), prints one
//! JSON object a line to standard output, and progress to standard error.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{build, paths, shell};

/// Runs the figures called `names`, or all.
///
/// # Errors
/// If something cannot be built or measured, or a line is not a JSON object.
pub fn run(names: &[String], build_first: bool) -> Result<()> {
    if build_first {
        build::build()?;
    }
    let program = paths::built("podlab-bench");
    if !program.is_file() {
        bail!(
            "{} does not exist: run `cargo xtask bench` without --no-build",
            paths::shown(&program)
        );
    }
    let mut bench = Command::new(program);
    bench.current_dir(paths::root()).env("PODLAB", paths::binary()).args(names);
    let mut wrong = None;
    let ok = shell::tee(&mut bench, |line| {
        let read: Result<serde_json::Map<String, serde_json::Value>, _> =
            serde_json::from_str(line);
        if let Err(error) = read {
            wrong.get_or_insert_with(|| format!("{line}: {error}"));
        }
    })?;
    if let Some(wrong) = wrong {
        return Err(anyhow::Error::msg(wrong)).context("a figure is not a JSON object");
    }
    if !ok {
        bail!("measuring failed");
    }
    Ok(())
}
