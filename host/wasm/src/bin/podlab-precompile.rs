//! Compiles programs to the machine code that is built into the binary.
//!
//! `podlab-precompile IN.wasm OUT.cwasm [IN OUT]...`: used by `cargo xtask build`.
#![allow(clippy::disallowed_methods, reason = "a tool of the build, not part of a world")]

use std::process::ExitCode;

use podlab_wasm::{Engine, EngineOptions};

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() || !files.len().is_multiple_of(2) {
        eprintln!("podlab-precompile IN.wasm OUT.cwasm [IN OUT]...");
        return ExitCode::from(3);
    }
    match compile(&files) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("podlab-precompile: {message}");
            ExitCode::FAILURE
        }
    }
}

fn compile(files: &[String]) -> Result<(), String> {
    let options = EngineOptions { portable: target(), ..EngineOptions::default() };
    let engine = Engine::new(options).map_err(|e| e.to_string())?;
    for pair in files.chunks_exact(2) {
        let (from, to) = (&pair[0], &pair[1]);
        let wasm = std::fs::read(from).map_err(|e| format!("{from}: {e}"))?;
        let code = engine.precompile(&wasm).map_err(|e| format!("{from}: {e}"))?;
        std::fs::write(to, code).map_err(|e| format!("{to}: {e}"))?;
    }
    Ok(())
}

/// This kind of machine: what is built in must run on others than the one that built it.
fn target() -> Option<String> {
    let system = match std::env::consts::OS {
        "linux" => "unknown-linux-gnu",
        "macos" => "apple-darwin",
        "windows" => "pc-windows-msvc",
        _ => return None,
    };
    Some(format!("{}-{system}", std::env::consts::ARCH))
}
