//! `podlab record`: a pattern, run for some virtual time.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use podlab_lab::scenario::Span;
use podlab_server::app::pattern_images;
use podlab_sim::Time;
use podlab_world::{World, WorldOptions, replay};

use crate::embedded;
use crate::problem::{Done, Problem};

/// Runs a pattern for some virtual time and writes the recording.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab record sidecar --for 30s -o sidecar.plrec\n  podlab replay sidecar.plrec"
)]
pub struct Args {
    /// The pattern.
    pattern: String,
    /// For how long.
    #[arg(long = "for", value_name = "SPAN", default_value = "30s", value_parser = Span::parse)]
    span: Span,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Adds the patterns of a folder.
    #[arg(long, value_name = "DIR")]
    patterns: Option<PathBuf>,
    /// Adds an image.
    #[arg(long, value_name = "NAME:TAG=FILE.wasm")]
    image: Vec<String>,
}

/// Writes the recording.
pub fn run(args: Args) -> Done {
    embedded::complete()?;
    let engine = embedded::engine(embedded::state_dir(None).as_deref())?;
    let images = embedded::images(&engine, &args.image)?;
    let catalogue = embedded::catalogue(args.patterns.as_deref())?;
    let pattern = embedded::pattern(&catalogue, &args.pattern)?;
    let images = pattern_images(&engine, &images, pattern)
        .map_err(|e| Problem::usage(e, "Add it with --image."))?;
    let options =
        WorldOptions { seed: args.seed, pattern: args.pattern.clone(), ..WorldOptions::default() };
    let mut world = World::new(&images, options);
    for manifest in &pattern.file.manifests {
        let text = pattern.text(manifest).unwrap_or_default();
        world
            .apply(text)
            .map_err(|e| Problem::usage(format!("{manifest}: {e}"), "Correct the manifest."))?;
    }
    let end = Time::from(args.span.0);
    // A mark each second, so that a difference can be told from where it begins.
    while world.now() < end {
        let next = (world.now() + std::time::Duration::from_secs(1)).min(end);
        replay::run(&mut world, next).map_err(|e| Problem::failed(e.to_string(), ""))?;
        world.mark();
    }
    fs::write(&args.output, world.export().encode()).map_err(|e| Problem::file(&args.output, e))?;
    println!("{} events in {}", world.trace().last(), args.output.display());
    Ok(ExitCode::SUCCESS)
}
