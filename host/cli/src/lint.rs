//! `podlab lint`: what is wrong with the patterns of a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use podlab_lab::lint::{Finding, exercises, files};
use podlab_lab::{Catalogue, Exercise, Pattern, Plan, Runner};
use podlab_server::app::pattern_images;
use podlab_wasm::Engine;
use podlab_world::Images;
use serde_json::json;

use crate::embedded;
use crate::problem::{Done, Problem};

/// Says what is wrong with the patterns of a folder.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab lint patterns\n  podlab lint patterns/sidecar --json\n  podlab lint patterns --no-run\n  podlab lint my-plan.yaml\n\nExit codes: 0 nothing is wrong; 1 there are findings; 3 wrong usage."
)]
pub struct Args {
    /// Folders: of a pattern, or of several; or the file of a workshop's plan.
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
    let mut plans = BTreeMap::new();
    for path in &args.path {
        if path.is_file() {
            plans.insert(path.display().to_string(), embedded::read_file(path)?);
            continue;
        }
        let (folders, more) = folders(path)?;
        all.extend(folders);
        plans.extend(more);
    }
    let mut found = Vec::new();
    let mut patterns = Vec::new();
    if !plans.is_empty() {
        found.extend(plans_of(&plans, &all)?);
    }
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
            json!({ "patterns": all.len(), "plans": plans.len(), "exercises": exercises, "findings": found })
        );
    } else {
        for finding in &found {
            println!("{finding}");
        }
        let (patterns, plans) = (all.len(), plans.len());
        println!(
            "{patterns} patterns, {plans} plans, {exercises} exercises run, {} findings",
            found.len()
        );
    }
    Ok(ExitCode::from(u8::from(!found.is_empty())))
}

/// Files by their names.
type Files = BTreeMap<String, Vec<u8>>;

/// What is wrong with plans of workshops, which may name patterns that are shipped and those of
/// `folders`.
fn plans_of(plans: &Files, folders: &BTreeMap<String, Files>) -> Result<Vec<Finding>, Problem> {
    let mut catalogue = embedded::catalogue(None)?;
    for (folder, files) in folders {
        let files = files.iter().map(|(path, data)| (format!("{folder}/{path}"), data.clone()));
        // A pattern that cannot be read is a finding of its own.
        if let Ok(one) = Catalogue::read(files.collect()) {
            catalogue.extend(one);
        }
    }
    let mut found = Vec::new();
    for (file, bytes) in plans {
        let Ok(source) = std::str::from_utf8(bytes) else {
            let message = "this file is not UTF-8".into();
            found.push(Finding { file: file.clone(), line: None, message });
            continue;
        };
        match Plan::read(file, source) {
            Ok(plan) => found.extend(plan.findings(file, source, &catalogue)),
            Err(e) => found.push(e.into()),
        }
    }
    Ok(found)
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

/// The files of each pattern's folder in `path`, or of `path` itself; and the plans in its folder
/// `plans`.
fn folders(path: &Path) -> Result<(BTreeMap<String, Files>, Files), Problem> {
    let mut out: BTreeMap<String, Files> = BTreeMap::new();
    let mut plans = Files::new();
    for (name, contents) in embedded::read_folder(path)? {
        if name.starts_with("plans/") && name.ends_with(".yaml") {
            plans.insert(name, contents);
        } else if let Some((folder, rest)) = name.split_once('/') {
            out.entry(folder.into()).or_default().insert(rest.into(), contents);
        }
    }
    // A folder that holds neither a pattern nor a part of one is somebody else's.
    out.retain(|_, files| {
        files.contains_key("pattern.yaml")
            || files.keys().any(|f| f.starts_with("scenarios/") || f.starts_with("lesson."))
    });
    if out.is_empty() && plans.is_empty() {
        return Err(Problem::usage(
            format!("{} has no pattern", path.display()),
            "A pattern is a folder with a pattern.yaml; a plan of a workshop is a YAML file.",
        ));
    }
    Ok((out, plans))
}
