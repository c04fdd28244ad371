//! `podlab test`: the scenarios.

use std::collections::VecDeque;
use std::fs;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use podlab_lab::{Catalogue, Pattern, Report, Runner, Scenario};
use podlab_server::app::pattern_images;
use podlab_trace::Verdict;

use crate::embedded;
use crate::problem::{Done, Problem};

/// Runs scenarios, and says which checks hold.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab test\n  podlab test patterns/sidecar --seeds 20\n  podlab test sidecar --scenario logs-survive --seed 7\n  podlab test --format json > report.json\n\nWithout a PATH: the patterns inside this binary. A PATH is a pattern's folder, a folder of patterns, or the name of a pattern inside this binary."
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
}

struct Job<'a> {
    order: usize,
    runner: &'a Runner,
    pattern: &'a Pattern,
    name: &'a str,
    scenario: &'a Scenario,
    seed: u64,
}

/// Exit code 0 if all pass, 1 if not.
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
            if args.scenario.as_ref().is_some_and(|s| s != name) {
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
    let reports = run_all(jobs, &args)?;
    report(&reports, &args, began.elapsed().as_secs_f64())
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

/// Runs everything on several threads; the reports come in the order of the jobs.
fn run_all(jobs: VecDeque<Job<'_>>, args: &Args) -> Result<Vec<Report>, Problem> {
    let total = jobs.len();
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = args.jobs.unwrap_or(processors).clamp(1, total);
    let queue = Mutex::new(jobs);
    let bar = if args.format == Format::Text {
        ProgressBar::new(total as u64)
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let (sender, receiver) = mpsc::channel();
    let mut reports: Vec<(usize, Report)> = std::thread::scope(|scope| {
        for _ in 0..threads {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(job) = next else { return };
                    let finished = job.runner.run(job.pattern, job.name, job.scenario, job.seed);
                    let failed = finished.report.verdict != Verdict::Pass;
                    let recording =
                        (failed && args.record.is_some()).then(|| finished.world.export());
                    if sender.send((job.order, finished.report, recording)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut reports = Vec::with_capacity(total);
        for (order, report, recording) in receiver {
            bar.set_message(format!("{}/{} seed {}", report.pattern, report.scenario, report.seed));
            bar.inc(1);
            if let (Some(dir), Some(recording)) = (&args.record, recording) {
                let name = format!("{}-{}-{}.plrec", report.pattern, report.scenario, report.seed);
                let path = dir.join(name);
                let written =
                    fs::create_dir_all(dir).and_then(|()| fs::write(&path, recording.encode()));
                written.map_err(|e| Problem::file(&path, e))?;
            }
            reports.push((order, report));
        }
        Ok::<_, Problem>(reports)
    })?;
    bar.finish_and_clear();
    reports.sort_by_key(|(order, _)| *order);
    Ok(reports.into_iter().map(|(_, report)| report).collect())
}

fn report(reports: &[Report], args: &Args, seconds: f64) -> Done {
    let passed = reports.iter().filter(|r| r.verdict == Verdict::Pass).count();
    let failed = reports.len() - passed;
    match args.format {
        Format::Json => {
            let document = serde_json::json!({ "passed": passed, "failed": failed, "seconds": seconds, "reports": reports });
            println!("{document:#}");
        }
        Format::Text => {
            print_text(reports, args);
            println!("in {seconds:.1} s");
            println!("{passed} passed, {failed} failed");
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A line for each scenario, and what there is to say about each run that did not pass.
fn print_text(reports: &[Report], args: &Args) {
    let mut rest = reports;
    while let Some(first) = rest.first() {
        let same = |r: &&Report| (&r.pattern, &r.scenario) == (&first.pattern, &first.scenario);
        let n = rest.iter().take_while(same).count();
        let (group, others) = rest.split_at(n);
        rest = others;
        let passed = group.iter().filter(|r| r.verdict == Verdict::Pass).count();
        let mark = if passed == n { "ok  " } else { "FAIL" };
        println!("{mark} {}/{}  {passed} of {n} seeds", first.pattern, first.scenario);
        for report in group.iter().filter(|r| r.verdict != Verdict::Pass) {
            println!("     seed {}:", report.seed);
            if !report.error.is_empty() {
                println!("       {}", report.error);
            }
            for check in report.checks.iter().filter(|c| c.verdict != Verdict::Pass) {
                let verdict = if check.verdict == Verdict::Fail { "failed" } else { "unknown" };
                println!("       {} {verdict}", check.name);
                println!("         expected: {}", check.expected);
                println!("         seen:     {}", check.seen);
                if check.event > 0 {
                    println!("         at event {}", check.event);
                }
                let which = if check.event > 0 { "around it" } else { "the last events" };
                if !check.around.is_empty() {
                    println!("         {which}:");
                }
                for line in &check.around {
                    println!("           {}", shortened(line));
                }
            }
            println!("       again: {}", again(report, args));
        }
    }
}

/// A line that fits a terminal.
fn shortened(line: &str) -> String {
    if line.chars().count() <= 160 {
        return line.to_owned();
    }
    line.chars().take(159).chain(['…']).collect()
}

/// The command that has this very run again.
fn again(report: &Report, args: &Args) -> String {
    let path = match args.path.as_slice() {
        [path] => path.display().to_string(),
        _ => report.pattern.clone(),
    };
    let mut command = vec!["podlab".to_owned(), "test".into(), quoted(&path)];
    command.extend(["--scenario".into(), quoted(&report.scenario)]);
    command.extend(["--seed".into(), report.seed.to_string()]);
    for image in &args.image {
        command.extend(["--image".into(), quoted(image)]);
    }
    command.join(" ")
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("patterns/side-car"), "patterns/side-car");
        assert_eq!(quoted("my patterns"), "'my patterns'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(shortened(&"é".repeat(200)).chars().count(), 160);
    }
}
