//! One program, many small tools: `toolbox ls -l`, `toolbox sh -c '...'`.
//!
//! - `io`: streams and pipes
//! - `options`: flags, as getopt reads them
//! - `shell`: `sh`
//! - `applets`: everything else, by subject

mod applets;
mod io;
mod options;
mod shell;

use io::Io;

fn main() {
    let mut args: Vec<String> = std::env::args().collect();
    // Called by an applet's name, or with it as the first argument.
    let own = args.first().map(|a| base(a).to_owned());
    if own.is_none_or(|n| !applets::is_known(&n)) {
        args.drain(..args.len().min(1));
    }
    if let Some(name) = args.first_mut() {
        *name = base(name).to_owned();
    }
    let status = match args.first().map(String::as_str) {
        None | Some("--help") => {
            let names: Vec<&str> = applets::names().collect();
            println!("toolbox APPLET [ARGUMENT...]\n{}", names.join(" "));
            0
        }
        Some("--version") => {
            println!("toolbox {}", env!("CARGO_PKG_VERSION"));
            0
        }
        Some(_) => applets::run(&args, &mut Io::own()),
    };
    podlab_guest::program::exit(u8::try_from(status & 255).unwrap_or(u8::MAX))
}

/// `/bin/ls` is `ls`.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
