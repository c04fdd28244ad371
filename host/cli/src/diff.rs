//! `podlab diff A B`: where two runs part, and what that came to.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use podlab_export::behaviour::{Behaviour, Numbers, table};
use podlab_trace::text;
use podlab_world::Recording;
use serde_json::{Value, json};

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
            json!({ "identical": false, "event": first, "before": a.map(|e| e.fields), "after": b.map(|e| e.fields), "seeds": [seeds.0, seeds.1], "changes": list })
        );
    } else {
        println!("the first {same} events are the same; then");
        let line = |e: &Option<Seen>| e.as_ref().map_or("(the end)", |e| &e.line).to_owned();
        println!("  {}: {}", args.before.display(), line(&a));
        println!("  {}: {}", args.after.display(), line(&b));
        if let (Some(a), Some(b)) = (&a, &b)
            && let Some((path, a, b)) = difference(&a.fields, &b.fields, String::new())
        {
            println!("  {path}: {a} and {b}");
        }
        if seeds.0 != seeds.1 {
            println!("the seeds differ: {} and {}", seeds.0, seeds.1);
        }
        if changes.is_empty() {
            println!("\nno difference in requests, errors, latencies, restarts, logs and files");
        } else {
            let (large, small): (Vec<_>, Vec<_>) =
                changes.into_iter().partition(|c| c.share() >= 0.01);
            println!("\nwhat that came to");
            print!("{}", table(&large));
            if !small.is_empty() {
                println!("{} more numbers differ by less than 1 % (--json has them)", small.len());
            }
        }
    }
    Ok(ExitCode::from(1))
}

fn read(args: &Args, file: &Path) -> Result<Run, Problem> {
    let (engine, images, recording) = open(file, &args.image, args.state.as_deref())?;
    let (mut behaviour, mut sums) = (Behaviour::default(), Vec::new());
    walk(&engine, &images, &recording, None, &mut |_, event| {
        behaviour.take(event);
        sums.push(podlab_trace::log::event_sum(event));
        true
    })?;
    Ok(Run { recording, numbers: behaviour.finish(), sums })
}

/// An event for people, and in full.
struct Seen {
    line: String,
    fields: Value,
}

/// One event; `None` if the run ends before it.
fn event(args: &Args, file: &Path, seq: u64) -> Result<Option<Seen>, Problem> {
    let (engine, images, recording) = open(file, &args.image, args.state.as_deref())?;
    let mut found = None;
    walk(&engine, &images, &recording, None, &mut |state, event| {
        if event.seq == seq {
            let mut fields = Value::Object(event.to_json());
            // An object of the control plane is text in the trace.
            if let Some(object) = fields["object"].as_str().and_then(|o| o.parse().ok()) {
                fields["object"] = object;
            }
            found = Some(Seen { line: text::line(state, event), fields });
        }
        event.seq < seq
    })?;
    Ok(found)
}

/// The first field in which two values differ, and how.
fn difference(a: &Value, b: &Value, path: String) -> Option<(String, String, String)> {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let names: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            names.into_iter().find_map(|name| {
                let dot = if path.is_empty() { "" } else { "." };
                difference(&a[name], &b[name], format!("{path}{dot}{name}"))
            })
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            (0..x.len()).find_map(|i| difference(&a[i], &b[i], format!("{path}[{i}]")))
        }
        _ => (a != b).then(|| (path, a.to_string(), b.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_field_that_differs_is_named() {
        let a = json!({"x": [1, {"y": 2, "z": 3}], "w": 0});
        let b = json!({"x": [1, {"y": 2, "z": 4}], "w": 0});
        let found = difference(&a, &b, String::new());
        assert_eq!(found, Some(("x[1].z".into(), "3".into(), "4".into())));
        assert_eq!(difference(&a, &a, String::new()), None);
    }
}
