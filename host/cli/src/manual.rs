//! `podlab completions` and `podlab man`: what shells and `man` know of the commands.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::problem::{Done, Problem};

/// Prints completions for a shell.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab completions bash > ~/.local/share/bash-completion/completions/podlab\n  podlab completions zsh > \"${fpath[1]}/_podlab\"\n  podlab completions fish > ~/.config/fish/completions/podlab.fish"
)]
pub struct Completions {
    /// Which shell.
    shell: Shell,
}

/// Prints the manual page, or writes one for each command.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab man | man -l -\n  podlab man --dir ~/.local/share/man/man1"
)]
pub struct Pages {
    /// Writes podlab.1, podlab-up.1, ... into this folder.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints the completions for the commands of `program`.
pub fn completions(args: &Completions, mut program: Command) -> Done {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut program, "podlab", &mut out);
    // Whoever reads it may have had enough.
    let _ = std::io::stdout().write_all(&out);
    Ok(ExitCode::SUCCESS)
}

/// Prints or writes the manual of `program`.
pub fn pages(args: &Pages, program: Command) -> Done {
    let cannot =
        |e: std::io::Error| Problem::failed(format!("the manual cannot be written: {e}"), "");
    let Some(dir) = &args.dir else {
        let mut out = Vec::new();
        Man::new(program).render(&mut out).map_err(cannot)?;
        // As above.
        let _ = std::io::stdout().write_all(&out);
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(dir).map_err(cannot)?;
    clap_mangen::generate_to(program, dir).map_err(cannot)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn every_command_has_a_page_and_every_shell_knows_it() {
        let program = crate::Args::command();
        let dir = tempfile::tempdir().unwrap();
        pages(&Pages { dir: Some(dir.path().into()) }, program.clone()).unwrap();
        for command in program.get_subcommands() {
            let name = command.get_name();
            let page = fs::read_to_string(dir.path().join(format!("podlab-{name}.1"))).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{name}");
            for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
                let mut out = Vec::new();
                clap_complete::generate(shell, &mut program.clone(), "podlab", &mut out);
                assert!(String::from_utf8(out).unwrap().contains(name), "{shell} {name}");
            }
        }
    }
}
