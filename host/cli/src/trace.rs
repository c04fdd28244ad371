//! `podlab trace FILE`: the events of a recording.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use podlab_lab::expression::{Evaluator, Expression};
use podlab_lab::history::History;
use podlab_lab::scenario::Span;
use podlab_sim::Time;
use podlab_trace::{Event, State};
use podlab_wasm::Engine;
use podlab_world::{Images, Recording, replay};

use crate::film;
use crate::format::{Format, Sink};
use crate::problem::{Done, Problem};
use crate::replay::{cannot, open};

/// Prints the events of a recording.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab trace w1.plrec | less\n  podlab trace w1.plrec --filter \"event.kind == 'message' && event.pod == 'web'\"\n  podlab trace w1.plrec --format lanes --from 10s --until 12s\n  podlab trace w1.plrec --format pcapng --output w1.pcapng   # opens in Wireshark\n  podlab trace w1.plrec --format har --output w1.har\n  podlab trace w1.plrec --format jsonl --until 10s | jq .summary\n  podlab trace w1.plrec --format html --output w1.html   # plays in any browser, without a server"
)]
pub struct Args {
    /// The recording.
    file: PathBuf,
    /// In which form.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The same as --format jsonl.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Only events for which this CEL expression holds.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// Only from this instant on.
    #[arg(long, value_name = "SPAN", value_parser = Span::parse)]
    from: Option<Span>,
    /// Only up to this instant.
    #[arg(long, value_name = "SPAN", value_parser = Span::parse)]
    until: Option<Span>,
    /// Writes to this file.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Adds an image.
    #[arg(long, value_name = "NAME:TAG=FILE.wasm")]
    image: Vec<String>,
    /// Where uploaded images were kept [default: $XDG_STATE_HOME/podlab].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Prints while it runs, so that the whole trace need not be kept.
pub fn run(args: Args) -> Done {
    let format = if args.json { Format::Jsonl } else { args.format };
    let filter = args.filter.as_deref().map(Filter::new).transpose()?;
    if matches!(format, Format::Pcapng | Format::Html)
        && args.output.is_none()
        && io::stdout().is_terminal()
    {
        return Err(Problem::usage(
            "this format is no text for a terminal",
            "Write it to a file with --output FILE, or pipe it, packets for example: | tshark -r -",
        ));
    }
    if format == Format::Html && filter.is_some() {
        return Err(Problem::usage(
            "an HTML file holds all that happened: --filter does not go with it",
            "Use --from and --until; the page itself has a filter.",
        ));
    }
    let (engine, images, recording) = open(&args.file, &args.image, args.state.as_deref())?;
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match &args.output {
        Some(path) => Box::new(File::create(path).map_err(|e| Problem::file(path, e))?),
        None => Box::new(io::stdout().lock()),
    });
    if format == Format::Html {
        let span = |span: &Option<Span>| span.as_ref().map(|s| Time::from(s.0));
        let (from, until) = (span(&args.from), span(&args.until));
        let html = film::html(&engine, &images, &recording, from, until)?;
        let done = out.write_all(&html).and_then(|()| out.flush());
        return done.map(|()| ExitCode::SUCCESS).map_err(|e| unwritten(&e));
    }
    let epoch = recording.header.options.epoch;
    let from = args.from.map_or(Time::ZERO, |span| Time::from(span.0)).as_nanos();
    let mut sink = Sink::new(format, epoch, &mut out).map_err(|e| unwritten(&e))?;
    let mut failed = None;
    let until = args.until.map(|span| Time::from(span.0));
    let walked = walk(&engine, &images, &recording, until, &mut |state, event| {
        let wanted = match &filter {
            Some(filter) => filter.wants(event),
            None => true,
        };
        match sink.take(state, event, wanted && event.at >= from) {
            Ok(()) => true,
            Err(e) => {
                failed = Some(e);
                false
            }
        }
    });
    walked?;
    let done = match failed {
        Some(e) => Err(e),
        None => sink.finish().and_then(|()| out.flush()),
    };
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // Whoever reads has seen enough (`| head`).
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(e) => Err(unwritten(&e)),
    }
}

fn unwritten(error: &io::Error) -> Problem {
    Problem::failed(format!("cannot write: {error}"), "Is there space where it goes?")
}

/// Runs a recording (up to `until`) and shows every event to `look`, with what is true after it,
/// as long as that says true.
pub fn walk(
    engine: &Engine,
    images: &Images,
    recording: &Recording,
    until: Option<Time>,
    look: &mut dyn FnMut(&State, &Event) -> bool,
) -> Result<(), Problem> {
    let end = until.map_or(recording.end(), |until| until.min(recording.end()));
    let mut world = replay::begin(engine, images, recording).map_err(|e| cannot(&e))?;
    let mut state = State::default();
    let mut next = 1;
    loop {
        let until = (world.now() + std::time::Duration::from_secs(1)).min(end);
        replay::run(&mut world, until).map_err(|e| cannot(&e))?;
        loop {
            let events = world.trace().read(next, 4096);
            let Some(last) = events.last() else { break };
            next = last.seq + 1;
            for event in &events {
                state.apply(event);
                if !look(&state, event) {
                    return Ok(());
                }
            }
        }
        if world.now() >= end {
            return Ok(());
        }
    }
}

/// A CEL expression over events, in the words of scenarios' checks.
struct Filter {
    expression: Expression,
    evaluator: Evaluator,
}

impl Filter {
    fn new(source: &str) -> Result<Filter, Problem> {
        let expression = Expression::compile(source).map_err(|e| {
            Problem::usage(
                format!("--filter: {e}"),
                "For example: --filter \"event.kind == 'message' && event.pod == 'web'\"",
            )
        })?;
        Ok(Filter { expression, evaluator: Evaluator::new(History::default()) })
    }

    /// An event without the field asked for is not one of those meant.
    fn wants(&self, event: &Event) -> bool {
        let history = self.evaluator.history();
        history.take(event);
        let value = history.event(event, self.expression.event_fields());
        self.expression.holds(&self.evaluator, Some(value)).unwrap_or(false)
    }
}
