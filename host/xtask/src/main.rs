//! Builds, tests and measures Podlab: `cargo xtask --help`.
//!
//! # Layout
//! - [`build`]: guests, web, what is embedded, the binary
//! - [`embed`]: what goes into the binary, kept up to date by digests
//! - [`web`]: the page: wasm-bindgen and precompression
//! - [`suite`]: every test there is, as named stages; [`count`]: reading the runners' counts
//! - [`bugs`]: programs with a known mistake; [`mutants`]: of the guests; [`soak`]: with many seeds
//! - [`dist`]: what is handed out
//! - [`figures`]: what `bench` measures
//! - [`shell`]: running programs; [`paths`]: where things are
//!
//! # What this crate must never know
//! How Podlab works: it only runs compilers and tests. It depends on nothing of the rest, so
//! that it is built in seconds on a fresh machine.

// Building and testing live in real time, on the real machine.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bugs;
mod build;
mod count;
mod dist;
mod embed;
mod figures;
mod mutants;
mod paths;
mod shell;
mod soak;
mod suite;
mod web;

/// Builds, tests and measures Podlab.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "Examples:\n  cargo xtask up                  build everything, start Podlab, open the browser\n  cargo xtask build               leave the self-contained binary at target/podlab\n  cargo xtask test                run every test there is\n  cargo xtask test fmt clippy     run two stages\n  cargo xtask bench               print the figures, one JSON object a line"
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds guests, web app and the binary: target/podlab.
    #[command(after_help = "Example:\n  cargo xtask build && target/podlab up")]
    Build {
        /// Only the page, into target/embed/web.
        #[arg(long)]
        page: bool,
    },
    /// Builds, then runs `podlab up`.
    #[command(
        after_help = "Examples:\n  cargo xtask up\n  cargo xtask up --no-open\n  cargo xtask up --pattern sidecar --seed 7 --speed 10"
    )]
    Up {
        /// Does not open the browser.
        #[arg(long)]
        no_open: bool,
        /// Passed on to `podlab up`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Runs every test there is; REQUIRE_ALL=1 makes a skipped stage a failure.
    #[command(
        after_help = "Examples:\n  cargo xtask test\n  cargo xtask test --list\n  cargo xtask test fmt clippy units\n  REQUIRE_ALL=1 cargo xtask test"
    )]
    Test {
        /// Only these stages (see --list).
        stages: Vec<String>,
        /// Prints the stages and what each needs.
        #[arg(long)]
        list: bool,
    },
    /// Runs what takes too long for every change: many seeds, mutants, two builds compared.
    #[command(
        after_help = "Examples:\n  cargo xtask soak\n  cargo xtask soak bugs --seeds 500\n  cargo xtask soak mutants builds"
    )]
    Soak {
        /// Only these parts.
        parts: Vec<soak::Part>,
        /// Seeds for each program without a mistake.
        #[arg(long, value_name = "N", default_value_t = 2000)]
        seeds: u64,
        /// Uses what is built already.
        #[arg(long)]
        no_build: bool,
    },
    /// Makes what is handed out: a static binary, archive, Debian package, container image, checksums.
    #[command(
        after_help = "Example:\n  cargo xtask dist && ls target/dist\n\nNeeds Linux on x86-64 with musl-gcc (apt-get install musl-tools). Two builds of one commit, in whatever\nfolders, give the same bytes."
    )]
    Dist {
        /// Takes guests, patterns and page as they were built before.
        #[arg(long)]
        no_build: bool,
    },
    /// Measures, and prints one JSON object a line; progress goes to standard error.
    #[command(
        after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench loopback rewind\n  cargo xtask bench > figures.jsonl"
    )]
    Bench {
        /// Only these figures.
        figures: Vec<String>,
        /// Measures what is built already.
        #[arg(long)]
        no_build: bool,
    },
}

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Build { page: true } => web::build(),
        Command::Build { page: false } => build::build(),
        Command::Up { no_open, args } => build::up(no_open, &args),
        Command::Test { list: true, .. } => {
            suite::list();
            Ok(())
        }
        Command::Test { stages, .. } => suite::run(&stages),
        Command::Soak { parts, seeds, no_build } => soak::run(&parts, seeds, !no_build),
        Command::Dist { no_build } => dist::run(!no_build),
        Command::Bench { figures, no_build } => figures::run(&figures, !no_build),
    }
}
