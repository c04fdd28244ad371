//! `podlab patterns`, `podlab images`, `podlab schema`: what there is.

use std::path::PathBuf;
use std::process::ExitCode;

use podlab_lab::{Exercise, Pattern, Plan, Scenario};
use serde_json::json;

use crate::embedded;
use crate::problem::Done;

/// Lists what there is.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab patterns\n  podlab images --json\n  podlab patterns --patterns ./my-patterns"
)]
pub struct Args {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Adds the patterns of a folder.
    #[arg(long, value_name = "DIR")]
    patterns: Option<PathBuf>,
    /// Adds an image.
    #[arg(long, value_name = "NAME:TAG=FILE.wasm")]
    image: Vec<String>,
}

/// A file format.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Format {
    /// scenarios/*.yaml
    Scenario,
    /// pattern.yaml
    Pattern,
    /// exercises/*/exercise.yaml
    Exercise,
    /// plans/*.yaml
    Plan,
}

/// Lists the patterns.
pub fn patterns(args: &Args) -> Done {
    embedded::complete()?;
    let catalogue = embedded::catalogue(args.patterns.as_deref())?;
    if args.json {
        let all: Vec<_> = catalogue.iter().map(|p| &p.file).collect();
        println!("{:#}", json!(all));
    } else {
        for pattern in catalogue.iter() {
            println!("{:<16} {}", pattern.file.name, pattern.file.summary.en.trim());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists the images.
pub fn images(args: &Args) -> Done {
    embedded::complete()?;
    let engine = embedded::engine(embedded::state_dir(None).as_deref())?;
    let images = embedded::images(&engine, &args.image)?;
    if args.json {
        let all: Vec<_> = images
            .iter()
            .map(|i| json!({ "name": i.name, "digest": i.digest, "bytes": i.wasm.len() }))
            .collect();
        println!("{:#}", json!(all));
    } else {
        for image in images.iter() {
            let short: String = image.digest.chars().take(12).collect();
            println!("{:<24} {short}  {} KiB", image.name, image.wasm.len().div_ceil(1024));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a JSON Schema.
pub fn schema(format: Format) -> Done {
    let schema = match format {
        Format::Scenario => Scenario::schema(),
        Format::Pattern => Pattern::schema(),
        Format::Exercise => Exercise::schema(),
        Format::Plan => Plan::schema(),
    };
    println!("{schema:#}");
    Ok(ExitCode::SUCCESS)
}
