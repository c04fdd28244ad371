//! `podlab test`: the scenarios.
//!
//! # Layout
//! - `select`: which scenarios of which patterns; `runs`: on several threads; `twice`: in two
//!   processes; `smallest`: shrinks what failed; `kept`: where recordings go
//! - `output`, `junit`, `html` (with `picture`): reports
//! - `look`: a run frozen at an instant, served; `watch`: again when files change

use std::path::PathBuf;
use std::time::Instant;

use podlab_lab::scenario::Span;
use podlab_lab::{Pattern, Runner, Scenario};

mod html;
mod junit;
mod kept;
mod look;
mod output;
mod picture;
mod runs;
mod select;
mod smallest;
mod twice;
mod watch;

use crate::embedded;
use crate::problem::Done;

/// Runs scenarios, and says which checks hold.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab test\n  podlab test patterns/sidecar --seeds 20\n  podlab test sidecar --scenario logs-survive --seed 7\n  podlab test my-pattern --watch\n  podlab test --seeds 50 --keep-going --report report.html\n  podlab test sidecar --scenario content-arrives --until 12s --open\n  podlab test --format json > report.json\n  podlab test sidecar --seeds 5 --check-determinism\n\nWithout a PATH: the patterns inside this binary. A PATH is a pattern's folder, a folder of patterns, or the name of a pattern inside this binary."
)]
pub struct Args {
    /// Folders, or names of patterns.
    path: Vec<PathBuf>,
    /// Runs each scenario with the seeds 1 to N.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seeds: u64,
    /// Runs with this seed only.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Only scenarios of this name; or a scenario's file, run against the one pattern chosen.
    #[arg(long, value_name = "NAME|FILE.yaml")]
    scenario: Option<String>,
    /// Goes on after a seed that fails.
    #[arg(long)]
    keep_going: bool,
    /// Does not look for the smallest scenario that fails as a run did.
    #[arg(long)]
    no_shrink: bool,
    /// How many runs that may take.
    #[arg(long, value_name = "N", default_value_t = podlab_lab::shrink::RUNS)]
    shrink_runs: u32,
    /// Runs each seed in two processes, and stops at the first event that differs.
    #[arg(long)]
    check_determinism: bool,
    /// Prints everything that was drawn from each seed.
    #[arg(long)]
    show_options: bool,
    /// Prints digest and events of one run of this pattern: what `--check-determinism` compares.
    #[arg(long, hide = true, value_name = "PATTERN", requires = "seed")]
    print_events: Option<String>,
    /// How to report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Writes one HTML page that needs nothing else.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Writes the recordings of runs that do not pass into this folder, and the scenarios as they
    /// were run [default for what was shrunk: failures, below the state folder].
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Stops one run at this instant of virtual time, for --open.
    #[arg(long, value_name = "SPAN", value_parser = Span::parse, requires = "open")]
    until: Option<Span>,
    /// Serves one run, stopped where it ended or at --until: for the page, and for kubectl.
    #[arg(long)]
    open: bool,
    /// Runs again whenever a file of the patterns changes.
    #[arg(long, conflicts_with_all = ["check_determinism", "open"])]
    watch: bool,
    /// Adds an image.
    #[arg(long, value_name = "NAME:TAG=FILE.wasm")]
    image: Vec<String>,
    /// How many runs at once [default: the number of processors].
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

/// How to report.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// JUnit's XML, for CI servers.
    Junit,
}

/// One scenario under one seed.
struct Job<'a> {
    runner: &'a Runner,
    pattern: &'a Pattern,
    name: &'a str,
    scenario: &'a Scenario,
    seed: u64,
}

/// Exit code 0 if all pass, 1 if one fails, 2 if it cannot be told.
pub fn run(args: Args) -> Done {
    embedded::complete()?;
    if args.watch {
        return watch::run(&args);
    }
    once(&args)
}

fn once(args: &Args) -> Done {
    let began = Instant::now();
    let engine = embedded::engine(embedded::state_dir(None).as_deref())?;
    let images = embedded::images(&engine, &args.image)?;
    let suites = select::suites(&engine, &images, args)?;
    let jobs = select::jobs(&suites, args)?;
    if args.print_events.is_some() {
        return twice::print(&jobs[0]);
    }
    if args.check_determinism {
        return twice::compare(&jobs, args);
    }
    if args.open {
        return look::open(&jobs, args, &engine, &images);
    }
    let folder = kept::Folder::of(args.record.as_deref());
    let mut ran = runs::all(&jobs, args, folder.as_ref())?;
    smallest::all(&mut ran, &jobs, args, folder.as_ref())?;
    output::report(&ran, args, began.elapsed().as_secs_f64())
}
