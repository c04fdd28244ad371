//! Programs with a known mistake (`tests/bugs/`): their scenarios must find it, and must find nothing in
//! the same programs without it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::count::Count;
use crate::{build, embed, paths};

/// The program that all of them are.
const PROGRAM: &str = "bugs";
/// What manifests say of the program without its mistake, and with it.
const VARIANTS: [(&str, &str); 2] = [("right", "value: right"), ("wrong", "value: wrong")];

/// What came of the runs of one scenario.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// How many there were.
    pub all: u64,
    /// The seeds under which a check failed, by its name; a run that broke off counts as `error`.
    pub failed: BTreeMap<String, Vec<u64>>,
    /// How many could not be told.
    pub unknown: u64,
    /// Goals that no seed reached.
    pub missed: Vec<String>,
}

/// The names of all of them: the folders of `tests/bugs` with a pattern.yaml.
///
/// # Errors
/// If the folder cannot be read.
pub fn names() -> Result<Vec<String>> {
    let dir = source();
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.join("pattern.yaml").is_file()
            && let Some(name) = path.file_name()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn source() -> PathBuf {
    paths::root().join("tests/bugs")
}

/// Where the patterns of a variant lie, complete with their program.
fn laid_out(variant: &str) -> PathBuf {
    paths::root().join("target/bugs").join(variant)
}

/// Makes a pattern of each bug in each variant.
fn lay_out() -> Result<()> {
    let program = build::guest_file(PROGRAM);
    if !program.is_file() {
        bail!("{} does not exist: run `cargo xtask build` first", paths::shown(&program));
    }
    for (variant, line) in VARIANTS {
        for name in names()? {
            let (from, to) = (source().join(&name), laid_out(variant).join(&name));
            fs::create_dir_all(&to)?;
            embed::mirror(&from, &to)?;
            embed::copy_if_changed(&program, &to.join("bugs.wasm"))?;
            let manifests = to.join("manifests");
            for entry in fs::read_dir(&manifests)? {
                let path = entry?.path();
                let text = fs::read_to_string(&path)?;
                if variant != VARIANTS[0].0 && !text.contains(VARIANTS[0].1) {
                    bail!("{}: it has no `{}` to replace", paths::shown(&path), VARIANTS[0].1);
                }
                embed::write(&path, text.replace(VARIANTS[0].1, line).as_bytes())?;
            }
        }
    }
    Ok(())
}

/// Runs all scenarios of a folder of patterns with the seeds 1 to `seeds`; by `pattern/scenario`.
///
/// # Errors
/// If podlab does not run them.
pub fn run(podlab: &Path, folder: &Path, seeds: u64) -> Result<BTreeMap<String, Runs>> {
    let mut command = Command::new(podlab);
    command.current_dir(paths::root()).arg("test").arg(folder);
    command.args([
        "--seeds",
        &seeds.to_string(),
        "--keep-going",
        "--no-shrink",
        "--format",
        "json",
    ]);
    let out = command.stderr(Stdio::inherit()).output().context("podlab does not start")?;
    let document: Value = serde_json::from_slice(&out.stdout)
        .with_context(|| format!("podlab test {} reports nothing", paths::shown(folder)))?;
    Ok(read(&document))
}

/// Takes a report of `podlab test` apart.
fn read(document: &Value) -> BTreeMap<String, Runs> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let mut all: BTreeMap<String, Runs> = BTreeMap::new();
    for report in list(&document["reports"]) {
        let name = format!("{}/{}", text(&report["pattern"]), text(&report["scenario"]));
        let runs = all.entry(name).or_default();
        runs.all += 1;
        let seed = report["seed"].as_u64().unwrap_or(0);
        let mut failed: Vec<String> = list(&report["checks"])
            .iter()
            .filter(|c| c["verdict"] == "fail")
            .map(|c| text(&c["name"]))
            .collect();
        if failed.is_empty() && report["verdict"] == "fail" {
            failed.push("error".into());
        }
        runs.unknown += u64::from(report["verdict"] == "unknown");
        for check in failed {
            runs.failed.entry(check).or_default().push(seed);
        }
    }
    for goal in list(&document["vacuous"]) {
        let name = format!("{}/{}", text(&goal[0]), text(&goal[1]));
        all.entry(name).or_default().missed.push(text(&goal[2]));
    }
    all
}

/// Which check finds each mistake: `tests/bugs/found.json`.
fn finders() -> Result<BTreeMap<String, String>> {
    let path = source().join("found.json");
    let table: BTreeMap<String, Value> = serde_json::from_slice(&embed::read(&path)?)
        .with_context(|| paths::shown(&path).clone())?;
    let check = |v: &Value| v["check"].as_str().map(str::to_owned);
    table
        .iter()
        .map(|(name, v)| Some((name.clone(), check(v)?)))
        .collect::<Option<_>>()
        .with_context(|| format!("{}: an entry without `check`", paths::shown(&path)))
}

/// Runs each program without its mistake under the seeds 1 to `right`, with it under 1 to `wrong`, and
/// prints a line for each.
///
/// # Errors
/// If something cannot be run.
pub fn check(podlab: &Path, right: u64, wrong: u64) -> Result<Count> {
    lay_out()?;
    let finders = finders()?;
    let mut count = Count::default();
    let passing = run(podlab, &laid_out("right"), right)?;
    let failing = run(podlab, &laid_out("wrong"), wrong)?;
    for name in names()? {
        let key = format!("{name}/finds");
        let none = Runs::default();
        let (sound, broken) =
            (passing.get(&key).unwrap_or(&none), failing.get(&key).unwrap_or(&none));
        let complaint = blamed(sound, right);
        if let Some(complaint) = &complaint {
            println!("FAIL {name}: the program without its mistake: {complaint}");
        }
        count.add(Count::one(complaint.is_none()));
        let Some(finder) = finders.get(&name) else {
            println!("FAIL {name}: tests/bugs/found.json does not say which check finds it");
            count.add(Count::one(false));
            continue;
        };
        let seeds = broken.failed.get(finder).map_or(&[][..], Vec::as_slice);
        if seeds.is_empty() {
            println!("FAIL {name}: `{finder}` does not find it in {wrong} seeds: {broken:?}");
        } else {
            let first: Vec<String> = seeds.iter().take(5).map(u64::to_string).collect();
            let (n, first) = (seeds.len(), first.join(", "));
            println!(
                "ok   {name}: `{finder}` under {n} of {wrong} seeds, first {first}; without the mistake {right} pass"
            );
        }
        count.add(Count::one(!seeds.is_empty()));
    }
    Ok(count)
}

/// What is wrong with the runs of a program that has no mistake.
fn blamed(runs: &Runs, expected: u64) -> Option<String> {
    if runs.all != expected {
        return Some(format!("{} runs instead of {expected}", runs.all));
    }
    if let Some((check, seeds)) = runs.failed.first_key_value() {
        return Some(format!("`{check}` fails under the seeds {seeds:?}"));
    }
    if runs.unknown > 0 {
        return Some(format!("{} runs could not be told", runs.unknown));
    }
    (!runs.missed.is_empty()).then(|| format!("no seed reaches {}", runs.missed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_says_which_check_failed_under_which_seed() {
        let report = |seed: u64, verdict: &str, checks: Value| json!({"pattern": "p", "scenario": "finds", "seed": seed, "verdict": verdict, "checks": checks});
        let document = json!({
            "reports": [
                report(1, "pass", json!([{"name": "a", "verdict": "pass"}])),
                report(2, "fail", json!([{"name": "a", "verdict": "fail"}])),
                report(3, "fail", json!([])),
                report(4, "unknown", json!([{"name": "a", "verdict": "unknown"}])),
            ],
            "vacuous": [["p", "finds", "goal"]],
        });
        let runs = &read(&document)["p/finds"];
        assert_eq!((runs.all, runs.unknown), (4, 1));
        assert_eq!(runs.failed["a"], [2]);
        assert_eq!(runs.failed["error"], [3]);
        assert_eq!(runs.missed, ["goal"]);
    }

    #[test]
    fn a_program_without_a_mistake_must_pass_every_time() {
        let sound = Runs { all: 2, ..Runs::default() };
        assert_eq!(blamed(&sound, 2), None);
        assert!(blamed(&sound, 3).is_some());
        let failed = BTreeMap::from([("a".to_owned(), vec![1])]);
        assert!(blamed(&Runs { all: 2, failed, ..Runs::default() }, 2).is_some());
        assert!(blamed(&Runs { all: 2, unknown: 1, ..Runs::default() }, 2).is_some());
        assert!(blamed(&Runs { all: 2, missed: vec!["g".into()], ..Runs::default() }, 2).is_some());
    }
}
