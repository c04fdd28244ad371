//! One run, stopped at an instant and served, so that the page and kubectl can look at it.

use std::time::Duration;

use podlab_lab::scenario::Span;
use podlab_sim::Time;
use podlab_wasm::Engine;
use podlab_world::Images;

use super::{Args, Job};
use crate::embedded;
use crate::problem::{Done, Problem};
use crate::up;

/// Serves the only job.
pub(super) fn open(jobs: &[Job<'_>], args: &Args, engine: &Engine, images: &Images) -> Done {
    let [job] = jobs else {
        return Err(Problem::usage(
            format!("--open serves one run, and these are {}", jobs.len()),
            "Choose one with --scenario NAME and --seed N.",
        ));
    };
    let until = args.until.map_or(Time(u64::MAX), |Span(span)| Time::from(span));
    let (world, error) = job.runner.freeze(job.pattern, job.scenario, job.seed, until);
    if let Some(error) = error {
        eprintln!("The scenario ended before that: {error}");
    }
    let at = Span(Duration::from_nanos(world.now().as_nanos()));
    println!("{}/{} seed {} at {at}", job.pattern.file.name, job.name, job.seed);
    // The page knows the pattern, its lesson and its positions.
    let mut catalogue = embedded::catalogue(None)?;
    let files = job.pattern.files.iter();
    let name = &job.pattern.file.name;
    let files = files.map(|(path, bytes)| (format!("{name}/{path}"), bytes.clone())).collect();
    let own = podlab_lab::Catalogue::read(files);
    catalogue.extend(own.map_err(|e| Problem::usage(e.to_string(), "Correct the file."))?);
    up::show(engine, images, catalogue, world)
}
