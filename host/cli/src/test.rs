//! `podlab test`: the scenarios.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Instant;

use podlab_lab::{Catalogue, Pattern, Runner, Scenario};
use podlab_server::app::pattern_images;

mod output;
mod runs;
mod twice;

use crate::embedded;
use crate::problem::{Done, Problem};

/// Runs scenarios, and says which checks hold.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab test\n  podlab test patterns/sidecar --seeds 20\n  podlab test sidecar --scenario logs-survive --seed 7\n  podlab test --format json > report.json\n  podlab test sidecar --seeds 5 --check-determinism\n\nWithout a PATH: the patterns inside this binary. A PATH is a pattern's folder, a folder of patterns, or the name of a pattern inside this binary."
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
    /// Only scenarios of this name.
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Goes on after a seed that fails.
    #[arg(long)]
    keep_going: bool,
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
    /// Writes the recordings of runs that fail into this folder.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
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

struct Job<'a> {
    order: usize,
    runner: &'a Runner,
    pattern: &'a Pattern,
    name: &'a str,
    scenario: &'a Scenario,
    seed: u64,
}

/// Exit code 0 if all pass, 1 if one fails, 2 if it cannot be told.
pub fn run(args: Args) -> Done {
    let began = Instant::now();
    embedded::complete()?;
    let state = embedded::state_dir(None);
    let engine = embedded::engine(state.as_deref())?;
    let images = embedded::images(&engine, &args.image)?;
    let catalogue = chosen(&args.path)?;
    let mut suites = Vec::new();
    for pattern in catalogue.iter() {
        let scenarios =
            pattern.scenarios().map_err(|e| Problem::usage(e.to_string(), "Correct the file."))?;
        let images = pattern_images(&engine, &images, pattern)
            .map_err(|e| Problem::usage(e, "Add it with --image NAME:TAG=FILE.wasm."))?;
        suites.push((pattern, Runner::new(&images), scenarios));
    }
    let seeds = match args.seed {
        Some(seed) => seed..=seed,
        None => 1..=args.seeds,
    };
    let mut jobs = VecDeque::new();
    for (pattern, runner, scenarios) in &suites {
        for (name, scenario) in scenarios {
            if args.scenario.as_ref().is_some_and(|s| s != name)
                || args.print_events.as_ref().is_some_and(|p| *p != pattern.file.name)
            {
                continue;
            }
            for seed in seeds.clone() {
                jobs.push_back(Job { order: jobs.len(), runner, pattern, name, scenario, seed });
            }
        }
    }
    if jobs.is_empty() {
        let names: Vec<&str> =
            suites.iter().flat_map(|s| s.2.iter().map(|(n, _)| n.as_str())).collect();
        return Err(Problem::usage(
            "there is no scenario to run",
            format!("There are: {}.", names.join(", ")),
        ));
    }
    if args.print_events.is_some() {
        return twice::print(&jobs[0]);
    }
    if args.check_determinism {
        return twice::compare(&jobs, &args);
    }
    let reports = runs::all(jobs, &args)?;
    Ok(output::report(&reports, &args, began.elapsed().as_secs_f64()))
}

/// The patterns that the paths name.
fn chosen(paths: &[PathBuf]) -> Result<Catalogue, Problem> {
    if paths.is_empty() {
        return embedded::catalogue(None);
    }
    let mut all = Catalogue::default();
    for path in paths {
        if path.is_dir() {
            all.extend(embedded::read_catalogue(path)?);
            continue;
        }
        let inside = embedded::catalogue(None)?;
        let name = path.to_string_lossy();
        let pattern = embedded::pattern(&inside, &name)?;
        let files = pattern.files.iter().map(|(p, b)| (format!("{name}/{p}"), b.clone())).collect();
        all.extend(Catalogue::read(files).map_err(|e| Problem::usage(e.to_string(), ""))?);
    }
    Ok(all)
}
