//! Makes sure that what is embedded has a place, so that the crate compiles before `cargo xtask
//! build` has filled it, and tells the build's id.

use std::path::Path;
use std::process::Command;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for part in ["images", "patterns", "web"] {
        let dir = root.join("target/embed").join(part);
        std::fs::create_dir_all(&dir).expect("target/ can be written");
        println!("cargo::rerun-if-changed={}", dir.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    let git = root.join(".git/HEAD");
    if git.is_file() {
        println!("cargo::rerun-if-changed={}", git.display());
    }
    let commit = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .current_dir(&root)
        .output()
        .ok()
        .filter(|o| o.status.success())
        .and_then(|o| String::from_utf8(o.stdout).ok());
    let commit = commit.as_deref().map(str::trim).filter(|c| !c.is_empty()).unwrap_or("unknown");
    println!("cargo::rustc-env=PODLAB_COMMIT={commit}");
}
