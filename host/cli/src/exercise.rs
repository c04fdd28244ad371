//! `podlab exercise`: checks what a learner has done.

use std::path::PathBuf;
use std::process::ExitCode;

use podlab_lab::exercise::Side;
use podlab_lab::lint::exercises;
use podlab_lab::{Exercise, Runner};
use podlab_server::app::pattern_images;
use podlab_trace::Verdict;

use crate::embedded;
use crate::problem::{Done, Problem};

/// Works on exercises.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab exercise check patterns/sidecar/exercises/shared-volume\n  podlab exercise check patterns/sidecar/exercises/shared-volume --solution\n  podlab exercise check patterns/sidecar/exercises/shared-volume --hint 1"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Runs the checks of an exercise against the manifests in its folder `start`.
    #[command(
        after_help = "Examples:\n  podlab exercise check patterns/sidecar/exercises/shared-volume\n\nExit codes: 0 all checks pass; 1 one fails; 2 it cannot be told; 3 wrong usage."
    )]
    Check(Check),
}

#[derive(clap::Args)]
struct Check {
    /// The exercise's folder, below its pattern's.
    dir: PathBuf,
    /// Runs the checks against the solution.
    #[arg(long)]
    solution: bool,
    /// Prints a hint, 1 to 3, instead of running anything.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    hint: Option<u8>,
    /// Runs the checks with the seeds 1 to N.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Prints in Japanese.
    #[arg(long)]
    ja: bool,
    /// Adds an image.
    #[arg(long, value_name = "NAME:TAG=FILE.wasm")]
    image: Vec<String>,
}

/// Exit code 0 if all checks pass, 1 if one fails, 2 if it cannot be told.
pub fn run(args: Args) -> Done {
    let Command::Check(args) = args.command;
    let dir = args.dir.canonicalize().map_err(|e| Problem::file(&args.dir, e))?;
    let wrong = || {
        Problem::usage(
            format!("{} is not the folder of an exercise", args.dir.display()),
            "Exercises lie at PATTERN/exercises/NAME, and PATTERN has a pattern.yaml.",
        )
    };
    let slug = dir.file_name().and_then(|n| n.to_str()).ok_or_else(wrong)?;
    let exercises_dir = dir.parent().filter(|p| p.ends_with("exercises")).ok_or_else(wrong)?;
    let above = exercises_dir.parent().filter(|p| p.join("pattern.yaml").is_file());
    let catalogue = embedded::read_catalogue(above.ok_or_else(wrong)?)?;
    let pattern = catalogue.iter().next().ok_or_else(wrong)?;
    let exercise = Exercise::read(pattern, slug)
        .map_err(|e| Problem::usage(e.to_string(), "Correct the file."))?;
    let say = |text: &podlab_lab::scenario::Text| {
        if args.ja { text.ja.clone() } else { text.en.clone() }
    };
    if let Some(n) = args.hint {
        println!("{}", say(&exercise.file.hints[usize::from(n) - 1]));
        return Ok(ExitCode::SUCCESS);
    }
    embedded::complete()?;
    let engine = embedded::engine(embedded::state_dir(None).as_deref())?;
    let images = embedded::images(&engine, &args.image)?;
    let images = pattern_images(&engine, &images, pattern)
        .map_err(|e| Problem::usage(e, "Add it with --image NAME:TAG=FILE.wasm."))?;
    let runner = Runner::new(&images);
    let side = if args.solution { Side::Solution } else { Side::Start };
    let mut code = 0;
    for seed in 1..=args.seeds {
        let report = exercises::run(&runner, pattern, &exercise, side, seed);
        println!("{} ({}), seed {seed}", say(&exercise.file.title), side.folder());
        for check in &report.checks {
            let declared = exercise.checks.checks.iter().find(|c| c.name == check.name);
            let means = declared.map(|c| say(&c.means)).unwrap_or_default();
            match check.verdict {
                Verdict::Pass => println!("  pass     {}: {means}", check.name),
                verdict => {
                    let word = if verdict == Verdict::Fail { "FAIL   " } else { "unknown" };
                    println!("  {word}  {}: {means}", check.name);
                    println!("           expected {}, seen {}", check.expected, check.seen);
                }
            }
        }
        if !report.error.is_empty() {
            println!("  {}", report.error);
        }
        code = match report.verdict {
            Verdict::Pass => code,
            Verdict::Fail => 1,
            _ if code == 0 => 2,
            _ => code,
        };
        if code != 0 {
            println!("Not yet. A hint: podlab exercise check {} --hint 1", args.dir.display());
            break;
        }
    }
    Ok(ExitCode::from(code))
}
