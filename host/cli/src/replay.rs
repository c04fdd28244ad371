//! `podlab replay FILE`: is the trace the same again?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use podlab_wasm::Engine;
use podlab_world::replay::{Comparison, ReplayError, compare};
use podlab_world::{Images, Input, Recording};
use serde_json::json;

use crate::embedded;
use crate::problem::{Done, Problem};

/// Runs a recording again and compares every event.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab replay w1.plrec\n  podlab replay --json w1.plrec\n\nPrints \"identical, N events\", or the first event that differs (exit code 1)."
)]
pub struct Args {
    /// The recording.
    file: PathBuf,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    /// Adds an image.
    #[arg(long, value_name = "NAME:TAG=FILE.wasm")]
    image: Vec<String>,
    /// Where uploaded images were kept [default: $XDG_STATE_HOME/podlab].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// A recording, and an engine and images to run it with.
pub fn open(
    file: &Path,
    added: &[String],
    state: Option<&Path>,
) -> Result<(Engine, Images, Recording), Problem> {
    let bytes = fs::read(file).map_err(|e| Problem::file(file, e))?;
    let (recording, lost) = Recording::decode(&bytes).map_err(|e| {
        Problem::usage(
            format!("{}: {e}", file.display()),
            "GET /api/worlds/ID/recording and `podlab record` make recordings.",
        )
    })?;
    if lost > 0 {
        eprintln!(
            "podlab: the last {lost} bytes of {} were cut short and are left out",
            file.display()
        );
    }
    let state = embedded::state_dir(state);
    let engine = embedded::engine(state.as_deref())?;
    let mut images = embedded::images(&engine, added)?;
    let mut wanted = recording.header.images.clone();
    for input in &recording.inputs {
        if let Input::Image { name, digest } = &input.input {
            wanted.push((name.clone(), digest.clone()));
        }
    }
    embedded::uploaded(&engine, state.as_deref(), &mut images, &wanted);
    Ok((engine, images, recording))
}

/// What is wrong when a recording cannot be run.
pub fn cannot(error: &ReplayError) -> Problem {
    Problem::failed(
        error.to_string(),
        "Give the image with --image NAME:TAG=FILE.wasm, or use a recording that carries it.",
    )
}

/// Exit code 0 if identical, 1 if not.
pub fn run(args: Args) -> Done {
    let (engine, images, recording) = open(&args.file, &args.image, args.state.as_deref())?;
    let result = compare(&engine, &images, &recording).map_err(|e| cannot(&e))?;
    let (code, object, line) = match result {
        Comparison::Identical { events, end } => (
            0,
            json!({ "identical": true, "events": events, "endNanos": end.as_nanos() }),
            format!("identical, {events} events"),
        ),
        Comparison::Different { seq, before, replayed } => {
            let now = replayed.clone().unwrap_or_else(|| "nothing".into());
            let line = format!(
                "different from event {seq} on, at or before {before}\nin the replay it is: {now}"
            );
            (
                1,
                json!({ "identical": false, "event": seq, "beforeNanos": before.as_nanos(), "replayed": replayed }),
                line,
            )
        }
        Comparison::Nothing => {
            return Err(Problem::usage(
                "the recording holds nothing to compare with",
                "It ended before its first second was over.",
            ));
        }
    };
    if args.json {
        println!("{object}")
    } else {
        println!("{line}")
    }
    Ok(ExitCode::from(code))
}
