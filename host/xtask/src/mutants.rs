//! Mutants of the guests (`tests/mutants/`): the scenarios of the patterns must find them out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::count::Count;
use crate::{build, embed, paths, shell};

/// One of them: a line of `tests/mutants/mutants.json`.
struct Mutant {
    /// The patch is `NAME.patch`.
    name: String,
    /// The guest that is built with it.
    guest: String,
    /// Whose scenarios find it.
    pattern: String,
    /// The scenario that is known to.
    scenario: String,
}

fn source() -> PathBuf {
    paths::root().join("tests/mutants")
}

/// Where guests are copied to and built. Not the guests' own target folder: a mutant must never be taken
/// for an image of Podlab.
fn workshop() -> PathBuf {
    paths::root().join("target/mutants")
}

fn all() -> Result<Vec<Mutant>> {
    let path = source().join("mutants.json");
    let table: BTreeMap<String, Value> =
        serde_json::from_slice(&embed::read(&path)?).with_context(|| paths::shown(&path))?;
    let mutants: Vec<Mutant> = table
        .into_iter()
        .map(|(name, v)| {
            let field = |key: &str| {
                let text = v[key].as_str().map(str::to_owned);
                text.with_context(|| format!("{}: {name} has no `{key}`", paths::shown(&path)))
            };
            let (guest, pattern, scenario) =
                (field("guest")?, field("pattern")?, field("scenario")?);
            Ok(Mutant { name, guest, pattern, scenario })
        })
        .collect::<Result<_>>()?;
    for entry in fs::read_dir(source())? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".patch")
            && !mutants.iter().any(|m| m.name == name)
        {
            bail!("tests/mutants/mutants.json does not say who finds {file}");
        }
    }
    Ok(mutants)
}

/// Builds every mutant and runs the scenario that is known to find it with the seeds 1 to `seeds`, until
/// it does; if it does not, all scenarios of the pattern.
///
/// # Errors
/// If a patch does not apply, or something cannot be built or run.
pub fn check(podlab: &Path, seeds: u64) -> Result<Count> {
    let mut count = Count::default();
    for mutant in all()? {
        let image = grow(&mutant)?;
        let one = found(podlab, &mutant, &image, &["--scenario", &mutant.scenario], seeds)?;
        let all = match &one {
            Some(_) => None,
            None => found(podlab, &mutant, &image, &[], seeds)?,
        };
        let Mutant { name, pattern, scenario, .. } = &mutant;
        match (&one, &all) {
            (Some(seed), _) => {
                println!("ok   {name}: {pattern}/{scenario} finds it, first seed {seed}")
            }
            (None, Some(seed)) => println!(
                "FAIL {name}: not {scenario} but another scenario of {pattern} finds it, with seed {seed}"
            ),
            (None, None) => {
                println!("FAIL {name}: no scenario of {pattern} finds it in {seeds} seeds")
            }
        }
        count.add(Count::one(one.is_some()));
    }
    Ok(count)
}

/// Builds a mutant; its wasm file.
fn grow(mutant: &Mutant) -> Result<PathBuf> {
    let copy = workshop().join("source");
    for part in ["guests", "tests/bugs/programs"] {
        let to = copy.join(part);
        fs::create_dir_all(&to)?;
        embed::mirror(&paths::root().join(part), &to)?;
    }
    let patch = source().join(format!("{}.patch", mutant.name));
    let mut apply = Command::new("git");
    // Outside any repository, so that paths are those of the copy.
    apply.current_dir(&copy).env("GIT_CEILING_DIRECTORIES", workshop()).arg("apply").arg(&patch);
    shell::run(&mut apply, &format!("applying {}", paths::shown(&patch)))?;
    let target = workshop().join("target");
    let mut cargo = shell::cargo();
    cargo
        .current_dir(&copy)
        .args([
            "build",
            "--manifest-path",
            "guests/Cargo.toml",
            "--package",
            &mutant.guest,
            "--bins",
        ])
        .args(["--profile", "guest", "--target", build::GUEST_TARGET, "--target-dir"])
        .arg(&target);
    shell::run(&mut cargo, &format!("building {}", mutant.name))?;
    let built =
        target.join(build::GUEST_TARGET).join("guest").join(format!("{}.wasm", mutant.guest));
    let image = workshop().join(format!("{}.wasm", mutant.name));
    embed::copy_if_changed(&built, &image)?;
    Ok(image)
}

/// The first seed under which a scenario of the pattern fails.
fn found(
    podlab: &Path,
    mutant: &Mutant,
    image: &Path,
    which: &[&str],
    seeds: u64,
) -> Result<Option<u64>> {
    let mut command = Command::new(podlab);
    command.current_dir(paths::root()).arg("test").arg(format!("patterns/{}", mutant.pattern));
    command.args(which).args(["--seeds", &seeds.to_string()]);
    command.args(["--no-shrink", "--format", "json"]);
    // What pattern.yaml calls by the guest's bare name is its latest image.
    command.arg("--image").arg(format!("{}:latest={}", mutant.guest, image.display()));
    let out = command.output().context("podlab does not start")?;
    let document: Value = serde_json::from_slice(&out.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&out.stderr);
        format!("podlab test patterns/{} reports nothing: {said}", mutant.pattern)
    })?;
    let reports = document["reports"].as_array().cloned().unwrap_or_default();
    let failed = reports.iter().find(|r| r["verdict"] == "fail");
    Ok(failed.and_then(|r| r["seed"].as_u64()))
}
