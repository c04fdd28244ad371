//! Every test there is, as named stages.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::build::{self, WEB_TARGET};
use crate::count::Count;
use crate::{bugs, mutants, paths, shell};

/// The crates that must compile for the browser.
const PORTABLE: [&str; 6] =
    ["podlab-sim", "podlab-trace", "podlab-net", "podlab-fs", "podlab-kube", "podlab-kubectl"];
/// The stage that compiles everything.
const BUILD: &str = "build";
/// A stage that even REQUIRE_ALL does not require: its tool takes minutes to compile.
const DENY: &str = "deny";
/// Nor this one: it compares with one version of kubectl, which not every system has.
const TERMINAL: &str = "terminal";
/// A stage that takes longer hangs, or is far from what it was. They take up to seven minutes.
const LIMIT: Duration = Duration::from_secs(20 * 60);
/// The same for compiling everything, which takes about as long.
const LIMIT_OF_BUILD: Duration = Duration::from_secs(45 * 60);
/// Property tests draw the same cases each time, unless the environment names another seed:
/// `cargo xtask soak properties` looks for new ones.
const DRAWN: (&str, &str) = ("PROPTEST_RNG_SEED", "1");
/// How many seeds each scenario is run with.
const SEEDS: &str = "20";
/// The same for programs with a known mistake, and at most as many for mutants.
const SEEDS_OF_BUGS: u64 = 20;

/// A group of tests with a name.
struct Stage {
    name: &'static str,
    what: &'static str,
    /// Tells which tool is missing and how to get it.
    needs: fn() -> Option<String>,
    run: fn() -> Result<Count>,
}

/// What came of a stage.
enum Outcome {
    Ran(Count),
    Failed(String),
    Skipped(String),
    /// Left out on purpose where its tool is not there, REQUIRE_ALL or not.
    Absent(String),
}

fn stages() -> Vec<Stage> {
    let stage = |name, what, needs, run| Stage { name, what, needs, run };
    vec![
        stage("fmt", "formatting of the four workspaces", nothing, fmt),
        stage(DENY, "licences, bans, sources, advisories", needs_deny, deny),
        stage(BUILD, "guests, web app, binary", nothing, build),
        stage("units", "unit and integration tests of the host", nothing, units),
        stage("guests", "tests of the guests, run natively", nothing, guests),
        stage("pika", "the AMQP client of Python against the broker", needs_pika, pika),
        stage("web", "tests of the web app, run natively", nothing, web),
        stage("scenarios", "the patterns' scenarios, 20 seeds each", nothing, scenarios),
        stage("bugs", "programs with a known mistake, 20 seeds each", nothing, mistakes),
        stage("mutants", "the patterns' scenarios find mutants of the guests", nothing, mutated),
        stage("lint", "the patterns' files, and their exercises", nothing, lint),
        stage("kubectl", "the real kubectl against a world", needs_kubectl, kubectl),
        stage("kube-rs", "a client written with kube-rs against a world", nothing, kube_rs),
        stage(
            TERMINAL,
            "transcripts of a real cluster, and the page's kubectl against the real one, 1.32",
            needs_132,
            terminal,
        ),
        stage("browser", "a real browser on the page", needs_browser, browser),
        stage("exports", "exported traces in the tools that others wrote", needs_tshark, exports),
        stage("clippy", "lints, with warnings as errors", nothing, clippy),
        stage("docs", "documentation, with warnings as errors", nothing, docs),
        stage(
            "portable",
            "the world's crates compile for wasm32-unknown-unknown",
            nothing,
            portable,
        ),
    ]
}

/// Prints the stages.
pub fn list() {
    for stage in stages() {
        let missing =
            (stage.needs)().map_or(String::new(), |m| format!("  [would be skipped: {m}]"));
        println!("{:<10} {}{missing}", stage.name, stage.what);
    }
}

/// Runs the stages called `names`, or all.
///
/// # Errors
/// If any test fails, or, with `REQUIRE_ALL=1`, if any is skipped.
pub fn run(names: &[String]) -> Result<()> {
    let all = stages();
    if let Some(unknown) = names.iter().find(|n| !all.iter().any(|s| s.name == n.as_str())) {
        let known: Vec<_> = all.iter().map(|s| s.name).collect();
        bail!("there is no stage {unknown:?}; there are: {}", known.join(", "));
    }
    let require_all = env::var("REQUIRE_ALL").is_ok_and(|v| !v.is_empty() && v != "0");
    build::add_targets()?;
    let mut total = Count::default();
    let mut summary = Vec::new();
    for stage in all.iter().filter(|s| names.is_empty() || names.iter().any(|n| n == s.name)) {
        println!("\n==> {}: {}", stage.name, stage.what);
        let began = Instant::now();
        let outcome = match (stage.needs)() {
            Some(missing) if [DENY, TERMINAL].contains(&stage.name) => Outcome::Absent(missing),
            Some(missing) => Outcome::Skipped(missing),
            None => ran(stage),
        };
        let (count, line) = judge(&outcome, require_all);
        total.add(count);
        summary.push(format!("{:<10} {line}  ({})", stage.name, shell::took(began.elapsed())));
        if let Outcome::Failed(error) = &outcome {
            println!("{error}");
        }
        println!("{}", summary.last().expect("just pushed"));
    }
    println!("\nSummary");
    for line in &summary {
        println!("  {line}");
    }
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    if total.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

/// Runs a stage, but no longer than it may take.
fn ran(stage: &Stage) -> Outcome {
    let limit = if stage.name == BUILD { LIMIT_OF_BUILD } else { LIMIT };
    let watch = shell::Watch::start(limit);
    let outcome = (stage.run)();
    if watch.late() {
        let limit = shell::took(limit);
        return Outcome::Failed(format!("not done after {limit}: what still ran was ended"));
    }
    match outcome {
        Ok(count) => Outcome::Ran(count),
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

fn judge(outcome: &Outcome, require_all: bool) -> (Count, String) {
    match outcome {
        Outcome::Ran(count) if count.failed > 0 => {
            (*count, format!("FAILED: {} of {}", count.failed, count.failed + count.passed))
        }
        Outcome::Ran(count) if require_all && count.skipped > 0 => {
            let mut failed = *count;
            failed.failed = std::mem::take(&mut failed.skipped);
            (
                failed,
                format!("FAILED: {} tests were skipped, REQUIRE_ALL forbids it", count.skipped),
            )
        }
        Outcome::Ran(count) => {
            (*count, format!("ok: {} passed, {} skipped", count.passed, count.skipped))
        }
        Outcome::Failed(error) => {
            (Count::one(false), format!("FAILED: {}", error.lines().next().unwrap_or_default()))
        }
        Outcome::Skipped(missing) if require_all => {
            (Count::one(false), format!("FAILED: skipped, REQUIRE_ALL forbids it: {missing}"))
        }
        Outcome::Skipped(missing) | Outcome::Absent(missing) => {
            (Count::left_out(), format!("skipped: {missing}"))
        }
    }
}

fn nothing() -> Option<String> {
    None
}

fn needs_deny() -> Option<String> {
    let there = shell::find("cargo-deny").is_some();
    (!there).then(|| "cargo-deny is not installed: cargo install --locked cargo-deny".into())
}

fn needs_kubectl() -> Option<String> {
    let there = shell::find("kubectl").is_some();
    (!there).then(|| "kubectl is not installed: https://kubernetes.io/docs/tasks/tools/".into())
}

fn needs_pika() -> Option<String> {
    let missing = "no python3 has pika: apt-get install python3-pika, or pip install pika";
    python_with_pika().is_none().then(|| missing.into())
}

/// A Python that has pika: the one on the PATH, or the system's, where they differ.
fn python_with_pika() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", "import pika"]).stderr(std::process::Stdio::null());
        command.status().is_ok_and(|s| s.success())
    })
}

/// kubectl 1.32: `$KUBECTL_132`, or one on the PATH, or one beside a `kubectl` that starts the one
/// of the server's version and says some things itself.
fn kubectl_132() -> Option<PathBuf> {
    let named = env::var_os("KUBECTL_132").map(PathBuf::from);
    let real = shell::find("kubectl").and_then(|path| path.canonicalize().ok());
    let beside = real.map(|path| path.with_file_name("kubectl.1.32")).filter(|p| p.exists());
    let there = ["kubectl.1.32", "kubectl"].iter().filter_map(|n| shell::find(n));
    named.into_iter().chain(beside).chain(there).find(|path| {
        let version = Command::new(path).args(["version", "--client", "-o", "json"]).output();
        version.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("\"v1.32."))
    })
}

fn needs_132() -> Option<String> {
    kubectl_132()
        .is_none()
        .then(|| "kubectl 1.32 is not installed: set KUBECTL_132 to its path".into())
}

fn needs_tshark() -> Option<String> {
    let there = shell::find("tshark").is_some();
    (!there).then(|| "tshark is not installed: apt-get install tshark".into())
}

fn needs_browser() -> Option<String> {
    if shell::find("node").is_none() || shell::find("npm").is_none() {
        return Some(
            "node and npm are not installed: apt-get install nodejs npm, or https://nodejs.org"
                .into(),
        );
    }
    chromium().is_none().then(|| {
        "Chromium is not installed: apt-get install chromium, or set CHROMIUM to its path".into()
    })
}

/// The browser: `$CHROMIUM`, or one on the PATH.
fn chromium() -> Option<PathBuf> {
    if let Some(path) = env::var_os("CHROMIUM").map(PathBuf::from) {
        return path.is_file().then_some(path);
    }
    ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|n| shell::find(n))
}

/// Runs commands that each count as one check; all are run even if one fails.
fn checks(commands: Vec<Command>) -> Result<Count> {
    let mut count = Count::default();
    for mut command in commands {
        let ok = command.status().is_ok_and(|s| s.success());
        if !ok {
            println!("failed: {}", shell::shown(&command));
        }
        count.add(Count::one(ok));
    }
    Ok(count)
}

/// The workspace of the kube-rs client.
const KUBE_RS: &str = "tests/kube-rs/Cargo.toml";

fn cargo(args: &[&str]) -> Command {
    let mut cargo = shell::cargo();
    cargo.args(args);
    cargo
}

/// A cargo over the guests' workspace.
fn guest_cargo(verb: &str, args: &[&str]) -> Command {
    let mut cargo = cargo(&[verb, "--manifest-path", "guests/Cargo.toml"]);
    cargo.arg("--target-dir").arg(build::guest_target()).args(args);
    cargo
}

/// A cargo over the page's workspace.
fn web_cargo(verb: &str, args: &[&str]) -> Command {
    let mut cargo = cargo(&[verb, "--manifest-path", "web/Cargo.toml"]);
    cargo.arg("--target-dir").arg(paths::root().join("target/web")).args(args);
    cargo
}

fn fmt() -> Result<Count> {
    checks(vec![
        cargo(&["fmt", "--all", "--check"]),
        cargo(&["fmt", "--all", "--check", "--manifest-path", "guests/Cargo.toml"]),
        cargo(&["fmt", "--all", "--check", "--manifest-path", "web/Cargo.toml"]),
        cargo(&["fmt", "--all", "--check", "--manifest-path", KUBE_RS]),
    ])
}

fn clippy() -> Result<Count> {
    checks(vec![
        cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        guest_cargo("clippy", &["--workspace", "--all-targets", "--", "-D", "warnings"]),
        web_cargo("clippy", &["--target", WEB_TARGET, "--", "-D", "warnings"]),
    ])
}

fn docs() -> Result<Count> {
    let mut doc = cargo(&["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    checks(vec![doc])
}

fn portable() -> Result<Count> {
    let mut check = cargo(&["check", "--target", WEB_TARGET]);
    check.args(PORTABLE.iter().flat_map(|p| ["-p", p]));
    checks(vec![check])
}

fn deny() -> Result<Count> {
    checks(vec![cargo(&["deny", "--workspace", "check"])])
}

fn build() -> Result<Count> {
    build::build_with(&["--tests"])?;
    Ok(Count::one(true))
}

/// Runs a test runner; what it counts is believed, and so is its exit code.
fn counted(mut command: Command) -> Result<Count> {
    let mut count = Count::default();
    let ok = shell::tee(&mut command, |line| count.read(line))?;
    if !ok && count.failed == 0 {
        bail!("the runner failed without a failed test: {}", shell::shown(&command));
    }
    Ok(count)
}

fn units() -> Result<Count> {
    counted(drawn(cargo(&["test", "--workspace", "--no-fail-fast"])))
}

fn guests() -> Result<Count> {
    counted(drawn(guest_cargo("test", &["--workspace", "--no-fail-fast"])))
}

/// Tests whose property tests draw the same cases each time.
fn drawn(mut tests: Command) -> Command {
    let (name, value) = DRAWN;
    if env::var_os(name).is_none() {
        tests.env(name, value);
    }
    tests
}

/// All tests of host and guests, with `cases` new cases for each property.
pub fn properties(cases: u64) -> Result<Count> {
    let mut count = Count::default();
    for mut tests in [
        cargo(&["test", "--workspace", "--no-fail-fast"]),
        guest_cargo("test", &["--workspace", "--no-fail-fast"]),
    ] {
        tests.env("PROPTEST_CASES", cases.to_string());
        count.add(counted(tests)?);
    }
    Ok(count)
}

fn pika() -> Result<Count> {
    let mut test = guest_cargo("test", &["-p", "queue", "--test", "pika"]);
    test.env("PYTHON", python_with_pika().unwrap_or("python3"));
    counted(test)
}

fn web() -> Result<Count> {
    counted(web_cargo("test", &["--no-fail-fast"]))
}

fn scenarios() -> Result<Count> {
    let mut podlab = Command::new(built()?);
    podlab.current_dir(paths::root()).args(["test", "patterns", "--seeds", SEEDS]);
    counted(podlab)
}

fn mistakes() -> Result<Count> {
    bugs::check(&built()?, SEEDS_OF_BUGS, SEEDS_OF_BUGS)
}

fn mutated() -> Result<Count> {
    mutants::check(&built()?, SEEDS_OF_BUGS)
}

fn lint() -> Result<Count> {
    let mut podlab = Command::new(built()?);
    podlab.current_dir(paths::root()).args(["lint", "patterns"]);
    checks(vec![podlab])
}

fn kubectl() -> Result<Count> {
    let mut test = cargo(&["test", "--workspace", "--test", "kubectl", "--", "--include-ignored"]);
    test.env("PODLAB", built()?);
    counted(test)
}

fn kube_rs() -> Result<Count> {
    let mut test = cargo(&["test", "--manifest-path", KUBE_RS]);
    test.arg("--target-dir").arg(paths::root().join("target/kube-rs"));
    test.env("PODLAB", built()?);
    counted(test)
}

fn terminal() -> Result<Count> {
    let mut test = cargo(&["test", "--workspace", "--test", "golden", "--test", "real_kubectl"]);
    test.args(["--", "--include-ignored"]).env("PODLAB", built()?);
    if let Some(path) = kubectl_132() {
        test.env("KUBECTL_132", path);
    }
    counted(test)
}

fn exports() -> Result<Count> {
    counted(cargo(&["test", "--workspace", "--test", "exports", "--", "--include-ignored"]))
}

fn browser() -> Result<Count> {
    let podlab = built()?;
    let dir = paths::root().join("tests/browser");
    let mut install = Command::new("npm");
    install.current_dir(&dir).args(["ci", "--no-audit", "--no-fund", "--prefer-offline"]);
    retry(&mut install, "installing the browser tests' packages")?;
    let mut test = Command::new("npm");
    test.current_dir(&dir).args(["test", "--silent"]).env("PODLAB", podlab);
    if let Some(chromium) = chromium() {
        test.env("CHROMIUM", chromium);
    }
    counted(test)
}

/// A registry may be slow for a moment.
fn retry(command: &mut Command, what: &str) -> Result<()> {
    for _ in 0..2 {
        if command.status().is_ok_and(|s| s.success()) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(5));
    }
    shell::run(command, what)
}

fn built() -> Result<PathBuf> {
    let binary = paths::binary();
    if !binary.is_file() {
        bail!("{} does not exist: run `cargo xtask build` first", paths::shown(&binary));
    }
    Ok(binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_skipped_fails_where_all_is_required() {
        let skipped = Outcome::Skipped("no browser".into());
        assert_eq!(judge(&skipped, false).0, Count::left_out());
        assert_eq!(judge(&skipped, true).0, Count::one(false));
        let mut partly = Count::one(true);
        partly.add(Count::left_out());
        let partly = Outcome::Ran(partly);
        assert_eq!(judge(&partly, false).0.failed, 0);
        assert_eq!(judge(&partly, true).0.failed, 1);
    }

    #[test]
    fn stages_have_names_of_their_own() {
        let mut names: Vec<_> = stages().iter().map(|s| s.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
