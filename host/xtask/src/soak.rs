//! What takes too long for every change: many seeds, mutants, new cases, and two builds of the host compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::count::Count;
use crate::{bugs, build, embed, mutants, paths, shell, suite};

/// How many seeds find a mistake, or it is not found.
const WRONG: u64 = 200;
/// How many cases each property test draws.
const CASES: u64 = 20_000;
/// Under how many seeds of each scenario the two builds are compared.
const COMPARED: u64 = 2;
/// The two builds of our crates: name, and what cargo's profile `dev` is changed to.
const BUILDS: [(&str, [(&str, &str); 3]); 2] = [
    (
        "debug",
        [
            ("CARGO_PROFILE_DEV_OPT_LEVEL", "0"),
            ("CARGO_PROFILE_DEV_DEBUG_ASSERTIONS", "true"),
            ("CARGO_PROFILE_DEV_OVERFLOW_CHECKS", "true"),
        ],
    ),
    (
        "optimised",
        [
            ("CARGO_PROFILE_DEV_OPT_LEVEL", "3"),
            ("CARGO_PROFILE_DEV_DEBUG_ASSERTIONS", "false"),
            ("CARGO_PROFILE_DEV_OVERFLOW_CHECKS", "false"),
        ],
    ),
];

/// The parts of the soak.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Programs with a known mistake.
    Bugs,
    /// Mutants of the guests.
    Mutants,
    /// Property tests, with cases that nobody has seen.
    Properties,
    /// A debug and an optimised build give the same traces.
    Builds,
}

/// Runs `parts`, or all. The right programs run under `seeds` seeds.
///
/// # Errors
/// If anything does not hold.
pub fn run(parts: &[Part], seeds: u64, build_first: bool) -> Result<()> {
    if build_first {
        build::build()?;
    }
    let podlab = paths::binary();
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    let mut count = Count::default();
    let mut part = |name: &str, run: &dyn Fn() -> Result<Count>| -> Result<()> {
        println!("==> {name}");
        let began = Instant::now();
        count.add(run()?);
        println!("    in {}", shell::took(began.elapsed()));
        Ok(())
    };
    if wanted(Part::Bugs) {
        let what = format!("bugs: {WRONG} seeds with the mistake, {seeds} without");
        part(&what, &|| bugs::check(&podlab, seeds, WRONG))?;
    }
    if wanted(Part::Mutants) {
        part(&format!("mutants: {WRONG} seeds"), &|| mutants::check(&podlab, WRONG))?;
    }
    if wanted(Part::Properties) {
        let what = format!("properties: {CASES} new cases each");
        part(&what, &|| suite::properties(CASES))?;
    }
    if wanted(Part::Builds) {
        part("builds: the same traces from a debug and an optimised build", &builds)?;
    }
    println!("{} passed, {} failed", count.passed, count.failed);
    if count.failed > 0 {
        bail!("the soak found something");
    }
    Ok(())
}

/// Every scenario of every pattern has the same digests in both builds.
fn builds() -> Result<Count> {
    let mut digests = Vec::new();
    for (name, settings) in BUILDS {
        let mut cargo = shell::cargo();
        cargo.args(["build", "--workspace", "--bin", "podlab"]).envs(settings);
        shell::run(&mut cargo, &format!("the {name} build"))?;
        // Each is copied: the next one takes its place.
        let copy = paths::root().join("target/soak").join(format!("podlab-{name}"));
        fs::create_dir_all(copy.parent().context("a file lies in a folder")?)?;
        embed::copy_if_changed(&paths::built("podlab"), &copy)?;
        digests.push(traces(&copy)?);
    }
    let (a, b) = (&digests[0], &digests[1]);
    let mut count = Count::default();
    for (run, digest) in a {
        let same = b.get(run) == Some(digest);
        if !same {
            println!(
                "FAIL {run}: {digest} in the debug build, {:?} in the optimised one",
                b.get(run)
            );
        }
        count.add(Count::one(same));
    }
    if a.is_empty() || a.len() != b.len() {
        bail!("{} runs in one build, {} in the other", a.len(), b.len());
    }
    println!("ok   {} runs compared", a.len());
    Ok(count)
}

/// The digest of each run, by scenario and seed.
fn traces(podlab: &PathBuf) -> Result<BTreeMap<String, String>> {
    let mut command = Command::new(podlab);
    command.current_dir(paths::root()).args(["test", "patterns", "--format", "json"]);
    command.args(["--keep-going", "--seeds", &COMPARED.to_string()]).stderr(Stdio::inherit());
    let out = command.output().with_context(|| format!("{} does not start", shown(podlab)))?;
    let document: Value = serde_json::from_slice(&out.stdout)
        .with_context(|| format!("{} reports nothing", shown(podlab)))?;
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let reports = document["reports"].as_array().cloned().unwrap_or_default();
    let key =
        |r: &Value| format!("{}/{} seed {}", text(&r["pattern"]), text(&r["scenario"]), r["seed"]);
    Ok(reports.iter().map(|r| (key(r), text(&r["digest"]))).collect())
}

fn shown(path: &Path) -> String {
    paths::shown(path)
}
