//! The frame of a program: command line, signals, the run, the exit code.

use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;

use crate::args::{Args, Spec};
use crate::net::TcpListener;
use crate::runtime::{Flag, block_on};

/// Reads the command line, runs `body` until it ends or SIGTERM asks it to, and says how it went.
pub fn main<F>(spec: &Spec, body: impl FnOnce(Args, Flag) -> F + 'static) -> ExitCode
where
    F: Future<Output = Result<(), String>> + 'static,
{
    let args = spec.read();
    let result = block_on(async move { body(args, crate::signals::termination()).await });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            crate::log::error("failed", &[("program", &spec.name), ("error", &message)]);
            ExitCode::FAILURE
        }
    }
}

/// Listens where `--listen` says.
///
/// # Errors
/// If it is no address, or is taken.
pub async fn listen(args: &Args) -> Result<TcpListener, String> {
    let text = args.text("listen");
    let addr: SocketAddr = text
        .parse()
        .map_err(|_| format!("--listen: {text:?} is no address such as 0.0.0.0:8080"))?;
    let listener = TcpListener::bind(addr).await.map_err(|e| format!("{addr}: {e}"))?;
    crate::log::info("listening", &[("address", &addr)]);
    Ok(listener)
}

/// Ends the program with a status, after what it has printed so far.
///
/// (On WASI this is `exit-with-code`, of 0.2.12; `std::process::exit` there makes every failure 1.)
pub fn exit(status: u8) -> ! {
    use std::io::Write;
    let _closed = std::io::stdout().flush();
    crate::sys::exit(status)
}

/// Makes a symbolic link at `at` that leads to `target`.
///
/// # Errors
/// As the file system has it.
pub fn symlink(target: &str, at: &std::path::Path) -> std::io::Result<()> {
    crate::sys::symlink(target, at)
}
