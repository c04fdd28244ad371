//! `podlab diff A B`: where two runs part, and what that came to.

use std::path::PathBuf;
use std::process::ExitCode;

use podlab_export::behaviour::{Behaviour, Numbers, table};
use podlab_trace::text;
use podlab_world::Recording;
use serde_json::json;

use crate::problem::{Done, Problem};
use crate::replay::open;
use crate::trace::walk;

/// Compares two recordings: the first event that differs, then what differs in numbers.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab diff before.plrec after.plrec\n  podlab diff --json a.plrec b.plrec | jq .changes\n\nExit codes: 0 the same, 1 different."
)]
pub struct Args {
    /// The first recording.
    before: PathBuf,
    /// The second.
    after: PathBuf,
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

/// One run, event by event.
struct Run {
    recording: Recording,
    numbers: Numbers,
    /// A checksum of each event: comparing two traces needs no more.
    sums: Vec<u32>,
}

/// Exit code 0 if the traces are the same, 1 if not.
pub fn run(args: Args) -> Done {
    let before = read(&args, &args.before)?;
    let after = read(&args, &args.after)?;
    let same = before.sums.iter().zip(&after.sums).take_while(|(a, b)| a == b).count();
    if same == before.sums.len() && same == after.sums.len() {
        if args.json {
            println!("{}", json!({ "identical": true, "events": same }));
        } else {
            println!("identical, {same} events");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let first = same as u64 + 1;
    let (a, b) = (event(&args, &args.before, first)?, event(&args, &args.after, first)?);
    let changes = before.numbers.changes(&after.numbers);
    let seeds = (before.recording.header.options.seed, after.recording.header.options.seed);
    if args.json {
        let list: Vec<_> = changes
            .iter()
            .map(|c| json!({ "name": c.name, "before": c.before, "after": c.after }))
            .collect();
        println!(
            "{}",
            json!({ "identical": false, "event": first, "before": a, "after": b, "seeds": [seeds.0, seeds.1], "changes": list })
        );
    } else {
        println!("the first {same} events are the same; then");
        println!("  {}: {}", args.before.display(), a.as_deref().unwrap_or("(the end)"));
        println!("  {}: {}", args.after.display(), b.as_deref().unwrap_or("(the end)"));
        if seeds.0 != seeds.1 {
            println!("the seeds differ: {} and {}", seeds.0, seeds.1);
        }
        if changes.is_empty() {
            println!("\nno difference in requests, errors, latencies, restarts, logs and files");
        } else {
            println!("\nwhat that came to");
            print!("{}", table(&changes));
        }
    }
    Ok(ExitCode::from(1))
}

fn read(args: &Args, file: &std::path::Path) -> Result<Run, Problem> {
    let (engine, images, recording) = open(file, &args.image, args.state.as_deref())?;
    let (mut behaviour, mut sums) = (Behaviour::default(), Vec::new());
    walk(&engine, &images, &recording, None, &mut |_, event| {
        behaviour.take(event);
        sums.push(podlab_trace::log::event_sum(event));
        true
    })?;
    Ok(Run { recording, numbers: behaviour.finish(), sums })
}

/// One event as a line; `None` if the run ends before it.
fn event(args: &Args, file: &std::path::Path, seq: u64) -> Result<Option<String>, Problem> {
    let (engine, images, recording) = open(file, &args.image, args.state.as_deref())?;
    let mut found = None;
    walk(&engine, &images, &recording, None, &mut |state, event| {
        if event.seq == seq {
            found = Some(text::line(state, event));
        }
        event.seq < seq
    })?;
    Ok(found)
}
