//! `podlab trace FILE`: the events of a recording.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use podlab_lab::scenario::Span;
use podlab_server::routes::event_json;
use podlab_sim::Time;
use podlab_trace::text;
use podlab_world::replay;

use crate::problem::{Done, Problem};
use crate::replay::{cannot, open};

/// Prints the events of a recording.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab trace w1.plrec | less\n  podlab trace w1.plrec --json --until 10s | jq .summary"
)]
pub struct Args {
    /// The recording.
    file: PathBuf,
    /// Prints one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Only up to this instant.
    #[arg(long, value_name = "SPAN", value_parser = Span::parse)]
    until: Option<Span>,
    /// Adds an image.
    #[arg(long, value_name = "NAME:TAG=FILE.wasm")]
    image: Vec<String>,
    /// Where uploaded images were kept [default: $XDG_STATE_HOME/podlab].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Prints while it runs, so that the whole trace need not be kept.
pub fn run(args: Args) -> Done {
    let (engine, images, recording) = open(&args.file, &args.image, args.state.as_deref())?;
    let end = args.until.map_or(recording.end(), |span| Time::from(span.0).min(recording.end()));
    let mut world = replay::begin(&engine, &images, &recording).map_err(|e| cannot(&e))?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut next = 1;
    loop {
        let until = (world.now() + std::time::Duration::from_secs(1)).min(end);
        replay::run(&mut world, until).map_err(|e| cannot(&e))?;
        loop {
            let events = world.trace().read(next, 4096);
            let Some(last) = events.last() else { break };
            next = last.seq + 1;
            for event in &events {
                let line = if args.json {
                    event_json(event).to_string()
                } else {
                    world.trace().with_state(|state| text::line(state, event))
                };
                match writeln!(out, "{line}") {
                    Ok(()) => {}
                    // Whoever reads has seen enough (`| head`).
                    Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                        return Ok(ExitCode::SUCCESS);
                    }
                    Err(e) => return Err(Problem::failed(format!("cannot print: {e}"), "")),
                }
            }
        }
        if world.now() >= end {
            break;
        }
    }
    out.flush().map_err(|e| Problem::failed(format!("cannot print: {e}"), ""))?;
    Ok(ExitCode::SUCCESS)
}
