//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

/// The project's root folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("xtask lies two folders below the root").to_path_buf()
}

/// Where cargo puts what it builds for the host.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// A program that cargo built for the host.
pub fn built(name: &str) -> PathBuf {
    target().join("debug").join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// What is embedded into the binary: `images/`, `patterns/`, `web/`. Always here, whatever the
/// target folder is, because the source of the binary names it.
pub fn embed() -> PathBuf {
    root().join("target/embed")
}

/// The finished binary.
pub fn binary() -> PathBuf {
    root().join("target").join(format!("podlab{}", env::consts::EXE_SUFFIX))
}

/// A path as the user would write it from the root.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
