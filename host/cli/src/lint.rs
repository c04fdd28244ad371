//! `podlab lint`: what is wrong with the patterns of a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use podlab_lab::lint::{Finding, exercises, files};
use podlab_lab::{Exercise, Pattern, Runner};
use podlab_server::app::pattern_images;
use podlab_wasm::Engine;
use podlab_world::Images;
use serde_json::json;

use crate::embedded;
use crate::problem::{Done, Problem};

/// Says what is wrong with the patterns of a folder.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab lint patterns\n  podlab lint patterns/sidecar --json\n  podlab lint patterns --no-run\n\nExit codes: 0 nothing is wrong; 1 there are findings; 3 wrong usage."
)]
pub struct Args {
    /// Folders: of a pattern, or of several.
    #[arg(required = true)]
    path: Vec<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Looks at the files only: does not run the checks of exercises.
    #[arg(long)]
    no_run: bool,
    /// Runs the checks of exercises with the seeds 1 to N.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Adds an image.
    #[arg(long, value_name = "NAME:TAG=FILE.wasm")]
    image: Vec<String>,
}

/// Exit code 0 if nothing is wrong, 1 if something is.
pub fn run(args: Args) -> Done {
    let mut all = BTreeMap::new();
    for path in &args.path {
        all.extend(folders(path)?);
    }
    let mut found = Vec::new();
    let mut patterns = Vec::new();
    for (folder, contents) in &all {
        let (findings, pattern) = files(folder, contents);
        found.extend(findings);
        patterns.extend(pattern);
    }
    let mut exercises = 0;
    if !args.no_run && patterns.iter().any(|p| p.files.keys().any(|f| f.starts_with("exercises/")))
    {
        embedded::complete()?;
        let engine = embedded::engine(embedded::state_dir(None).as_deref())?;
        let images = embedded::images(&engine, &args.image)?;
        for pattern in &patterns {
            exercises += prove(&engine, &images, pattern, args.seeds, &mut found);
        }
    }
    if args.json {
        println!(
            "{:#}",
            json!({ "patterns": all.len(), "exercises": exercises, "findings": found })
        );
    } else {
        for finding in &found {
            println!("{finding}");
        }
        println!("{} patterns, {exercises} exercises run, {} findings", all.len(), found.len());
    }
    Ok(ExitCode::from(u8::from(!found.is_empty())))
}

/// Runs the exercises of a pattern that can be read, and says how many there are.
fn prove(
    engine: &Engine,
    images: &Images,
    pattern: &Pattern,
    seeds: u64,
    found: &mut Vec<Finding>,
) -> usize {
    let slugs = podlab_lab::exercise::slugs(pattern.files.keys());
    // What cannot be read is a finding already.
    let readable: Vec<Exercise> =
        slugs.iter().filter_map(|slug| Exercise::read(pattern, slug).ok()).collect();
    if readable.is_empty() {
        return 0;
    }
    match pattern_images(engine, images, pattern) {
        Ok(images) => {
            let runner = Runner::new(&images);
            for exercise in &readable {
                found.extend(exercises::prove(&runner, pattern, exercise, seeds));
            }
        }
        Err(message) => {
            let file = format!("{}/pattern.yaml", pattern.file.name);
            found.push(Finding { file, line: None, message });
        }
    }
    readable.len()
}

/// The files of each pattern's folder in `path`, or of `path` itself.
fn folders(path: &Path) -> Result<BTreeMap<String, BTreeMap<String, Vec<u8>>>, Problem> {
    let mut out: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for (name, contents) in embedded::read_folder(path)? {
        if let Some((folder, rest)) = name.split_once('/') {
            out.entry(folder.into()).or_default().insert(rest.into(), contents);
        }
    }
    // A folder that holds neither a pattern nor a part of one is somebody else's.
    out.retain(|_, files| {
        files.contains_key("pattern.yaml")
            || files.keys().any(|f| f.starts_with("scenarios/") || f.starts_with("lesson."))
    });
    if out.is_empty() {
        return Err(Problem::usage(
            format!("{} has no pattern", path.display()),
            "A pattern is a folder with a pattern.yaml.",
        ));
    }
    Ok(out)
}
