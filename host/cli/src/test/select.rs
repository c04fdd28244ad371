//! Which scenarios of which patterns are run.

use std::path::{Path, PathBuf};

use podlab_lab::scenario::ScenarioError;
use podlab_lab::{Catalogue, Pattern, Runner, Scenario};
use podlab_server::app::pattern_images;
use podlab_wasm::Engine;
use podlab_world::Images;

use super::{Args, Job};
use crate::embedded;
use crate::problem::Problem;

/// A pattern, what runs it, and its scenarios by name.
pub(super) struct Suite {
    pattern: Pattern,
    runner: Runner,
    scenarios: Vec<(String, Scenario)>,
}

/// The patterns that the arguments name.
pub(super) fn suites(engine: &Engine, images: &Images, args: &Args) -> Result<Vec<Suite>, Problem> {
    let catalogue = chosen(&args.path)?;
    let file = args.scenario.as_deref().map(Path::new).filter(|p| is_file(p));
    if file.is_some() && catalogue.iter().count() != 1 {
        let names: Vec<&str> = catalogue.iter().map(|p| p.file.name.as_str()).collect();
        return Err(Problem::usage(
            "a scenario's file is run against one pattern",
            format!("Name one of them as PATH: {}.", names.join(", ")),
        ));
    }
    let mut suites = Vec::new();
    for pattern in catalogue.iter() {
        let scenarios = match file {
            Some(path) => vec![read(path, pattern)?],
            None => pattern.scenarios().map_err(wrong)?,
        };
        let images = pattern_images(engine, images, pattern)
            .map_err(|e| Problem::usage(e, "Add it with --image NAME:TAG=FILE.wasm."))?;
        suites.push(Suite { pattern: pattern.clone(), runner: Runner::new(&images), scenarios });
    }
    Ok(suites)
}

/// A run for each scenario and seed.
pub(super) fn jobs<'a>(suites: &'a [Suite], args: &Args) -> Result<Vec<Job<'a>>, Problem> {
    let seeds = match args.seed {
        Some(seed) => seed..=seed,
        None => 1..=args.seeds,
    };
    let by_file = args.scenario.as_deref().is_some_and(|s| is_file(Path::new(s)));
    let mut jobs = Vec::new();
    for Suite { pattern, runner, scenarios } in suites {
        for (name, scenario) in scenarios {
            let other = !by_file && args.scenario.as_ref().is_some_and(|s| s != name);
            if other || args.print_events.as_ref().is_some_and(|p| *p != pattern.file.name) {
                continue;
            }
            jobs.extend(seeds.clone().map(|seed| Job { runner, pattern, name, scenario, seed }));
        }
    }
    if jobs.is_empty() {
        let names: Vec<&str> =
            suites.iter().flat_map(|s| s.scenarios.iter().map(|(n, _)| n.as_str())).collect();
        return Err(Problem::usage(
            "there is no scenario to run",
            format!("There are: {}.", names.join(", ")),
        ));
    }
    Ok(jobs)
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

fn is_file(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "yaml" || e == "yml") && path.is_file()
}

fn read(path: &Path, pattern: &Pattern) -> Result<(String, Scenario), Problem> {
    let text = std::fs::read_to_string(path).map_err(|e| Problem::file(path, e))?;
    let file = path.display().to_string();
    let scenario = Scenario::parse(&file, &text).map_err(wrong)?;
    scenario.files_in(pattern, &text).map_err(wrong)?;
    let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((name, scenario))
}

fn wrong(e: ScenarioError) -> Problem {
    Problem::usage(e.to_string(), "Correct the file.")
}
