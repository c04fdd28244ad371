//! One program, many small tools: `toolbox ls -l`, `toolbox sh -c '...'`.

mod applets;
mod net;
mod shell;

use std::io::{self, Write};

/// Where an applet reads and writes. A pipe is a buffer: WASI cannot spawn, so its left side runs to
/// its end before its right side begins.
pub struct Io<'a> {
    /// What a pipe or `<` brings; `None` for the program's own standard input.
    pub input: Option<Vec<u8>>,
    /// Standard output.
    pub out: &'a mut dyn Write,
}

impl Io<'_> {
    /// All of standard input, at most 64 MiB.
    pub fn read_all(&mut self) -> io::Result<Vec<u8>> {
        use std::io::Read;
        if let Some(bytes) = self.input.take() {
            return Ok(bytes);
        }
        let mut bytes = Vec::new();
        io::stdin().lock().take(64 << 20).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn main() {
    let mut args: Vec<String> = std::env::args().collect();
    let own = args.first().map(|a| a.rsplit('/').next().unwrap_or_default().to_owned());
    // Called by an applet's name, or with it as the first argument.
    if own.is_none_or(|n| n.starts_with("toolbox") || !applets::NAMES.contains(&n.as_str())) {
        args.drain(..args.len().min(1));
    }
    let args: Vec<String> =
        args.iter().map(|a| a.rsplit("/bin/").next().unwrap_or(a).to_owned()).collect();
    let status = match args.first().map(String::as_str) {
        None | Some("--help") => {
            println!("toolbox APPLET [ARGUMENT...]\n{}", applets::NAMES.join(" "));
            0
        }
        Some("--version") => {
            println!("toolbox {}", env!("CARGO_PKG_VERSION"));
            0
        }
        Some("sh") => shell::main(&args[1..]),
        Some(_) => applets::run(&args, &mut Io { input: None, out: &mut io::stdout() }),
    };
    let _closed = io::stdout().flush();
    std::process::exit(status);
}
