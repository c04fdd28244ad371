//! `podlab`, the one binary.
//!
//! # Layout
//! - [`embedded`]: guests, patterns and page inside the binary
//! - [`problem`]: errors as users see them, with exit codes
//! - [`up`], [`workshop`], [`doctor`], [`mod@test`], [`replay`], [`record`], [`trace`] (and its
//!   formats: [`mod@format`], [`film`]), [`mod@diff`], [`list`], [`lint`],
//!   [`exercise`], [`kubeconfig`], [`new`], [`manual`]: one file for each command
//! - [`mod@tls`], [`log`]: options of the commands that serve
#![warn(missing_docs)]
// Real time and the real machine live here, outside the worlds.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod diff;
mod doctor;
mod embedded;
mod exercise;
mod film;
mod format;
mod kubeconfig;
mod lint;
mod list;
mod log;
mod manual;
mod new;
mod problem;
mod record;
mod replay;
mod test;
mod tls;
mod trace;
mod up;
mod workshop;

/// Worlds allocate much and small; this allocator takes about a tenth off a run's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("PODLAB_COMMIT"), ")");

/// Pod design patterns, seen working: real WASI programs as the containers of Kubernetes-style
/// pods, on a clock of their own.
#[derive(Parser)]
#[command(
    name = "podlab",
    version = VERSION,
    after_help = "Examples:\n  podlab up                                 the page, at http://127.0.0.1:7878\n  podlab test                               every scenario of every pattern\n  podlab test patterns/sidecar --seeds 20   one pattern, with 20 seeds\n\nExit codes: 0 all is well; 1 a check failed or a replay differs; 2 it cannot be told (a check is unknown, a goal was never reached); 3 wrong usage, or it could not be done."
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the server and opens the page.
    Up(up::Args),
    /// Holds a workshop: learners join with a code, each gets a world of their own.
    Workshop(workshop::Args),
    /// Says whether this machine can hold a workshop.
    Doctor(doctor::Args),
    /// Runs scenarios, and says which checks hold.
    Test(test::Args),
    /// Runs a recording again and compares every event.
    Replay(replay::Args),
    /// Runs a pattern for some virtual time and writes the recording.
    Record(record::Args),
    /// Prints the events of a recording.
    Trace(trace::Args),
    /// Compares two recordings: the first difference, and what it came to.
    Diff(diff::Args),
    /// Says what is wrong with the patterns of a folder.
    Lint(lint::Args),
    /// Checks what a learner has done.
    Exercise(exercise::Args),
    /// Prints a kubeconfig for a world of a running server.
    Kubeconfig(kubeconfig::Args),
    /// Begins a pattern, an exercise or a scenario.
    New(new::Args),
    /// Lists the patterns.
    Patterns(list::Args),
    /// Lists the images.
    Images(list::Args),
    /// Prints completions for a shell.
    Completions(manual::Completions),
    /// Prints the manual page, or writes one for each command.
    Man(manual::Pages),
    /// Prints the JSON Schema of a file format, for editors.
    #[command(after_help = "Example:\n  podlab schema scenario > scenario.schema.json")]
    Schema {
        /// Of which file.
        format: list::Format,
    },
}

/// Whoever reads the output may have had enough of it (`podlab test | head`): that is an end, not
/// a defect.
fn end_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if text.starts_with("failed printing to std") && text.contains("Broken pipe") {
            // As a shell says it of a program that SIGPIPE ended.
            std::process::exit(141);
        }
        usual(info);
    }));
}

fn main() -> ExitCode {
    end_with_the_reader();
    let command = match Args::try_parse() {
        Ok(args) => args.command,
        Err(error) => {
            // Nobody is left to tell if even this cannot be written.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 3 } else { 0 });
        }
    };
    let result = match command {
        Command::Up(args) => up::run(args),
        Command::Workshop(args) => workshop::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Test(args) => test::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Record(args) => record::run(args),
        Command::Trace(args) => trace::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Lint(args) => lint::run(args),
        Command::Exercise(args) => exercise::run(args),
        Command::Kubeconfig(args) => kubeconfig::run(args),
        Command::New(args) => new::run(args),
        Command::Patterns(args) => list::patterns(&args),
        Command::Images(args) => list::images(&args),
        Command::Completions(args) => {
            manual::completions(&args, <Args as clap::CommandFactory>::command())
        }
        Command::Man(args) => manual::pages(&args, <Args as clap::CommandFactory>::command()),
        Command::Schema { format } => list::schema(format),
    };
    match result {
        Ok(code) => code,
        Err(problem) => problem.report(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed_and_has_examples() {
        let command = Args::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            assert!(sub.get_after_help().is_some(), "{} has no examples", sub.get_name());
        }
    }
}
