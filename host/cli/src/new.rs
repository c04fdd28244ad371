//! `podlab new`: commented beginnings that pass at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use podlab_lab::Pattern;

use crate::embedded;
use crate::problem::{Done, Problem};

/// The guest that templates use, as image and program.
const GUEST: &str = "greeter:v1: greeter";

/// A file of a template: its path, and its text.
type File = (&'static str, &'static str);

const PATTERN: &[File] = &[
    ("pattern.yaml", include_str!("new/templates/pattern/pattern.yaml")),
    ("manifests/greeter.yaml", include_str!("new/templates/pattern/manifests/greeter.yaml")),
    ("scenarios/comes-back.yaml", include_str!("new/templates/pattern/scenarios/comes-back.yaml")),
    ("lesson.en.md", include_str!("new/templates/pattern/lesson.en.md")),
    ("lesson.ja.md", include_str!("new/templates/pattern/lesson.ja.md")),
];

const EXERCISE: &[File] = &[
    ("exercise.yaml", include_str!("new/templates/exercise/exercise.yaml")),
    ("checks.yaml", include_str!("new/templates/exercise/checks.yaml")),
    ("start/hello.yaml", include_str!("new/templates/exercise/start/hello.yaml")),
    ("solution/hello.yaml", include_str!("new/templates/exercise/solution/hello.yaml")),
    ("task.en.md", include_str!("new/templates/exercise/task.en.md")),
    ("task.ja.md", include_str!("new/templates/exercise/task.ja.md")),
    ("debrief.en.md", include_str!("new/templates/exercise/debrief.en.md")),
    ("debrief.ja.md", include_str!("new/templates/exercise/debrief.ja.md")),
];

const SCENARIO: &str = include_str!("new/templates/scenario.yaml");

/// Begins a pattern, or an exercise or a scenario of one.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab new pattern my-pattern\n  podlab new scenario survives-kills --in my-pattern\n  podlab new exercise wrong-port --in my-pattern\n  podlab lint my-pattern && podlab test my-pattern --seeds 20\n\nNothing is ever overwritten."
)]
pub struct Args {
    /// Of what.
    what: What,
    /// Its name: small letters, digits and dashes.
    name: String,
    /// The folder of the pattern; for a new pattern, the folder that it goes into.
    #[arg(long = "in", value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// What can be begun.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum What {
    /// A pattern: pattern.yaml, manifests, a lesson in two languages, a scenario.
    Pattern,
    /// An exercise of a pattern.
    Exercise,
    /// A scenario of a pattern.
    Scenario,
}

/// Exit code 0 if it was written.
pub fn run(args: Args) -> Done {
    let name = &args.name;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let dashes = name.starts_with('-') || name.ends_with('-');
    if name.is_empty() || name.len() > 40 || !name.chars().all(fits) || dashes {
        return Err(Problem::usage(
            format!("{name:?} is no name"),
            "Use small letters, digits and dashes, 40 at most: my-pattern.",
        ));
    }
    let (written, next) = match args.what {
        What::Pattern => {
            let folder = args.dir.join(name);
            let written = write_all(&folder, PATTERN, name)?;
            let shown = folder.display();
            (written, format!("podlab lint {shown} && podlab test {shown} --seeds 20"))
        }
        What::Exercise => {
            let (pattern, dir) = pattern(&args.dir)?;
            let folder = dir.join("exercises").join(name);
            let written = write_all(&folder, EXERCISE, name)?;
            map_guest(&dir, &pattern)?;
            (written, format!("podlab lint {}", dir.display()))
        }
        What::Scenario => {
            let (pattern, dir) = pattern(&args.dir)?;
            let manifests = format!("[{}]", pattern.file.manifests.join(", "));
            let text = SCENARIO
                .replace("__PATTERN__", &dir.display().to_string())
                .replace("__MANIFESTS__", &manifests)
                .replace("__NAME__", name);
            let path = dir.join("scenarios").join(format!("{name}.yaml"));
            write(&path, &text)?;
            claim(
                &dir.join("lesson.en.md"),
                &pattern.lesson.en,
                "Every pod starts and none fails",
                name,
            )?;
            claim(
                &dir.join("lesson.ja.md"),
                &pattern.lesson.ja,
                "すべてのPodが起動し、どれも失敗しない",
                name,
            )?;
            (vec![path], format!("podlab test {} --scenario {name} --seeds 20", dir.display()))
        }
    };
    for path in written {
        println!("{}", path.display());
    }
    println!("Next: {next}");
    Ok(ExitCode::SUCCESS)
}

/// The pattern in `dir`.
fn pattern(dir: &Path) -> Result<(Pattern, PathBuf), Problem> {
    if !dir.join("pattern.yaml").is_file() {
        return Err(Problem::usage(
            format!("{} has no pattern.yaml", dir.display()),
            "Name the pattern's folder with --in DIR, or begin one: podlab new pattern NAME.",
        ));
    }
    let catalogue = embedded::read_catalogue(dir)?;
    let pattern = catalogue.iter().next().cloned();
    let pattern = pattern.ok_or_else(|| Problem::failed("the pattern cannot be read", ""))?;
    Ok((pattern, dir.into()))
}

fn write_all(folder: &Path, files: &[File], name: &str) -> Result<Vec<PathBuf>, Problem> {
    if folder.exists() {
        return Err(Problem::usage(
            format!("{} exists already", folder.display()),
            "Choose another name: nothing is overwritten.",
        ));
    }
    let mut written = Vec::new();
    for (path, text) in files {
        let path = folder.join(path);
        write(&path, &text.replace("__NAME__", name))?;
        written.push(path);
    }
    Ok(written)
}

fn write(path: &Path, text: &str) -> Result<(), Problem> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| Problem::file(folder, e))?;
    let new = fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = new.map_err(|e| Problem::file(path, e))?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(|e| Problem::file(path, e))
}

/// Has the pattern map the image of the template, unless it does.
fn map_guest(dir: &Path, pattern: &Pattern) -> Result<(), Problem> {
    let (image, _) = GUEST.rsplit_once(": ").unwrap_or((GUEST, ""));
    if pattern.file.images.contains_key(image) {
        return Ok(());
    }
    let path = dir.join("pattern.yaml");
    let text = pattern.text("pattern.yaml").unwrap_or_default();
    if !text.lines().any(|l| l == "images:") {
        eprintln!("Add under `images` in {}: {GUEST}", path.display());
        return Ok(());
    }
    let text = text.replacen("\nimages:\n", &format!("\nimages:\n  {GUEST}\n"), 1);
    fs::write(&path, text).map_err(|e| Problem::file(&path, e))
}

/// Adds a row to the table of claims of a lesson.
fn claim(path: &Path, lesson: &str, claim: &str, name: &str) -> Result<(), Problem> {
    let row = format!("| {claim} | `{name}` |");
    let mut lines: Vec<&str> = lesson.lines().collect();
    let Some(last) =
        lines.iter().rposition(|l| l.starts_with('|') && l.trim_end().ends_with("` |"))
    else {
        eprintln!("Add to the table of claims in {}: {row}", path.display());
        return Ok(());
    };
    lines.insert(last + 1, &row);
    fs::write(path, lines.join("\n") + "\n").map_err(|e| Problem::file(path, e))
}
