//! Guests, web, what is embedded, the binary.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{embed, paths, shell, web};

/// What guests are compiled for.
pub const GUEST_TARGET: &str = "wasm32-wasip2";
/// What the page is compiled for.
pub const WEB_TARGET: &str = "wasm32-unknown-unknown";

/// Builds everything; leaves `target/podlab`.
///
/// # Errors
/// The first stage that fails, with what to do.
pub fn build() -> Result<()> {
    build_with(&[])
}

/// Builds everything, with all tests of the workspace as well. Selecting the same packages
/// each time keeps the features of dependencies the same, so nothing is built twice.
pub fn build_with(more: &[&str]) -> Result<()> {
    let began = Instant::now();
    stage(1, "Rust targets");
    add_targets()?;
    stage(2, "guests (wasm32-wasip2)");
    let guests = guests()?;
    stage(3, "precompiler");
    cargo_build(&["--bin", "podlab-precompile"])?;
    stage(4, "images and patterns");
    embed::images(&guests)?;
    embed::patterns()?;
    stage(5, "web app (wasm32-unknown-unknown)");
    web::build()?;
    stage(6, "podlab");
    cargo_build(&[&["--bins"], more].concat())?;
    let built = paths::built("podlab");
    embed::copy_if_changed(&built, &paths::binary())?;
    eprintln!("built {} in {}", paths::shown(&paths::binary()), shell::took(began.elapsed()));
    Ok(())
}

fn stage(n: u32, what: &str) {
    eprintln!("[{n}/6] {what}");
}

/// Builds, then runs `podlab up`.
pub fn up(no_open: bool, args: &[String]) -> Result<()> {
    build()?;
    let mut podlab = Command::new(paths::binary());
    podlab.arg("up");
    if no_open {
        podlab.arg("--no-open");
    }
    podlab.args(args);
    let status = podlab.status().context("cannot start target/podlab")?;
    std::process::exit(status.code().unwrap_or(1));
}

fn cargo_build(what: &[&str]) -> Result<()> {
    shell::run(shell::cargo().args(["build", "--workspace"]).args(what), "building Podlab")
}

/// Adds the targets that this toolchain lacks. `rust-toolchain.toml` names them, but that adds
/// nothing to a toolchain that is installed already.
pub fn add_targets() -> Result<()> {
    let sysroot = shell::output(
        Command::new("rustc").current_dir(paths::root()).args(["--print", "sysroot"]),
    )
    .context("rustc does not run: install Rust from https://rustup.rs, then try again")?;
    let lib = Path::new(sysroot.trim()).join("lib/rustlib");
    let wanted = [GUEST_TARGET, WEB_TARGET];
    let missing: Vec<_> =
        wanted.into_iter().filter(|t| !lib.join(t).join("lib").is_dir()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let add = format!("rustup target add {}", missing.join(" "));
    let remedy = format!(
        "Rust's standard library for {} is missing and could not be added.\n\
         With rustup and a network connection, this adds it: {add}\n\
         Without rustup, install the package of your system that has it, or rustup (https://rustup.rs).",
        missing.join(" and ")
    );
    let mut rustup = Command::new("rustup");
    rustup.current_dir(paths::root()).args(["target", "add"]).args(&missing);
    match rustup.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) | Err(_) => bail!(remedy),
    }
}

/// Flags under which what is compiled comes out the same in whatever folder that is done: no path of
/// this machine gets into it.
pub fn same_everywhere() -> String {
    let home = std::env::var_os("CARGO_HOME")
        .map(std::path::PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let mut flags = vec![format!("--remap-path-prefix={}=/podlab", paths::root().display())];
    if let Some(home) = home {
        flags.push(format!("--remap-path-prefix={}=/cargo", home.display()));
    }
    flags.join("\u{1f}")
}

/// Builds the guests; their names.
pub fn guests() -> Result<Vec<String>> {
    if !paths::root().join("guests/Cargo.toml").is_file() {
        bail!("guests/Cargo.toml is missing: is this a whole checkout?");
    }
    let mut cargo = shell::cargo();
    cargo
        .args(["build", "--manifest-path", "guests/Cargo.toml", "--workspace", "--bins"])
        .args(["--profile", "guest", "--target", GUEST_TARGET])
        .arg("--target-dir")
        .arg(guest_target())
        .env("CARGO_ENCODED_RUSTFLAGS", same_everywhere());
    shell::run(&mut cargo, "building the guests")?;
    guest_names()
}

/// Where guests are built.
pub fn guest_target() -> std::path::PathBuf {
    paths::root().join("target/guests")
}

/// The wasm file of a guest.
pub fn guest_file(name: &str) -> std::path::PathBuf {
    guest_target().join(GUEST_TARGET).join("guest").join(format!("{name}.wasm"))
}

/// The names of all programs of the guest workspace, as cargo knows them.
fn guest_names() -> Result<Vec<String>> {
    let mut cargo = shell::cargo();
    cargo.args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--manifest-path",
        "guests/Cargo.toml",
    ]);
    let text = shell::output(&mut cargo).context("cargo metadata of guests/ failed")?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    let array = |v: &serde_json::Value, key: &str| v[key].as_array().cloned().unwrap_or_default();
    let folder = paths::root().join("guests");
    let mut names = BTreeSet::new();
    for package in array(&metadata, "packages") {
        // Programs of tests are of the same workspace, but no images of Podlab.
        if package["manifest_path"].as_str().is_none_or(|p| !Path::new(p).starts_with(&folder)) {
            continue;
        }
        for target in array(&package, "targets") {
            let bin = array(&target, "kind").iter().any(|k| k == "bin");
            if let (true, Some(name)) = (bin, target["name"].as_str())
                && guest_file(name).is_file()
            {
                names.insert(name.to_owned());
            }
        }
    }
    if names.is_empty() {
        bail!("the guest workspace has no programs");
    }
    Ok(names.into_iter().collect())
}

/// Removes files of `dir` that are not in `keep`.
pub fn prune(dir: &Path, keep: &BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let entry = entry?;
        if !keep.contains(&entry.file_name().to_string_lossy().into_owned()) {
            let path = entry.path();
            if path.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
        }
    }
    Ok(())
}
