//! What is wrong with a pattern's folder, as far as its files alone can tell.
//!
//! Whether an exercise's start fails and its solution passes takes runs: see [`exercises`].
//!
//! # Layout
//! - [`lesson`]: Markdown in two languages, its tables, links and names
//! - [`manifest`]: what the manifests declare, and what scenarios want of them
//! - [`exercises`]: the checks of exercises, run

use std::collections::BTreeMap;

use serde::Serialize;

use crate::exercise::{self, Exercise};
use crate::pattern::Pattern;
use crate::scenario::{ScenarioError, Text};

pub mod exercises;
pub mod lesson;
pub mod manifest;

/// Something that is wrong: where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The file: `sidecar/lesson.en.md`.
    pub file: String,
    /// The line, from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = self.line.map(|l| format!(":{l}")).unwrap_or_default();
        write!(f, "{}{line}: {}", self.file, self.message)
    }
}

impl From<ScenarioError> for Finding {
    fn from(e: ScenarioError) -> Finding {
        Finding { file: e.file, line: e.line, message: e.message }
    }
}

/// What is being looked at, and what was found so far.
struct Lint<'a> {
    folder: &'a str,
    files: &'a BTreeMap<String, Vec<u8>>,
    found: Vec<Finding>,
}

impl Lint<'_> {
    fn add(&mut self, path: &str, line: Option<u64>, message: impl Into<String>) {
        let file = format!("{}/{path}", self.folder);
        self.found.push(Finding { file, line, message: message.into() });
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).and_then(|b| std::str::from_utf8(b).ok())
    }

    /// The first line of `path` that contains `needle`.
    fn line(&self, path: &str, needle: &str) -> Option<u64> {
        let at = self.text(path)?.lines().position(|l| l.contains(needle))?;
        Some(at as u64 + 1)
    }

    fn both(&mut self, path: &str, what: &str, text: &Text) {
        for (language, text) in [("en", &text.en), ("ja", &text.ja)] {
            if text.trim().is_empty() {
                self.add(path, None, format!("{what} has no text for `{language}`: write one"));
            }
        }
    }
}

/// Looks at the files of one pattern's folder. The pattern is given back if it can be read.
pub fn files(folder: &str, files: &BTreeMap<String, Vec<u8>>) -> (Vec<Finding>, Option<Pattern>) {
    let mut lint = Lint { folder, files, found: Vec::new() };
    let pattern = match Pattern::read(folder, files.clone()) {
        Ok(pattern) => pattern,
        Err(e) => {
            lint.found.push(e.into());
            return (lint.found, None);
        }
    };
    let file = &pattern.file;
    if file.name != folder {
        let line = lint.line("pattern.yaml", "name:");
        let message = format!("name: it is {:?}, but the folder is called {folder:?}", file.name);
        lint.add("pattern.yaml", line, message);
    }
    if !(1..=5).contains(&file.difficulty) {
        let line = lint.line("pattern.yaml", "difficulty:");
        lint.add(
            "pattern.yaml",
            line,
            format!("difficulty: {} is not from 1 to 5", file.difficulty),
        );
    }
    lint.both("pattern.yaml", "title", &file.title);
    lint.both("pattern.yaml", "summary", &file.summary);
    let scenarios = scenarios(&mut lint);
    let exercises = exercises(&mut lint, &pattern);
    manifest::look(&mut lint, &pattern, &scenarios, &exercises);
    // One that cannot be read is there all the same.
    let named =
        |path: &&String| path.strip_prefix("scenarios/")?.strip_suffix(".yaml").map(str::to_owned);
    let names: Vec<String> = lint.files.keys().filter_map(|path| named(&path)).collect();
    lesson::look(&mut lint, "lesson", &names);
    for e in &exercises {
        for stem in ["task", "debrief"] {
            lesson::in_step(&mut lint, &format!("exercises/{}/{stem}", e.slug));
        }
    }
    lint.found.sort();
    lint.found.dedup();
    (lint.found, Some(pattern))
}

/// Every scenario that can be read; the others are findings, all of them.
fn scenarios(lint: &mut Lint<'_>) -> Vec<(String, crate::Scenario)> {
    let mut out = Vec::new();
    let paths: Vec<&String> = lint.files.keys().filter(|p| p.starts_with("scenarios/")).collect();
    for path in paths {
        let Some(name) = path.strip_prefix("scenarios/").and_then(|p| p.strip_suffix(".yaml"))
        else {
            lint.add(path, None, "a scenario is called NAME.yaml: rename or remove this file");
            continue;
        };
        let Some(text) = lint.text(path) else {
            lint.add(path, None, "this file is not UTF-8");
            continue;
        };
        let scenario = match crate::Scenario::parse(&format!("{}/{path}", lint.folder), text) {
            Ok(scenario) => scenario,
            Err(e) => {
                lint.found.push(e.into());
                continue;
            }
        };
        for manifest in exercise::applied(&scenario) {
            if !lint.files.contains_key(manifest) {
                let line = lint.line(path, manifest);
                lint.add(path, line, format!("apply: there is no file {manifest} in the pattern"));
            }
        }
        texts(lint, path, &scenario);
        out.push((name.to_owned(), scenario));
    }
    if !lint.files.keys().any(|path| path.starts_with("scenarios/")) {
        lint.add("scenarios", None, "a pattern without scenarios proves nothing: write one");
    }
    out
}

fn texts(lint: &mut Lint<'_>, path: &str, scenario: &crate::Scenario) {
    lint.both(path, "title", &scenario.title);
    lint.both(path, "claim", &scenario.claim);
    for check in &scenario.checks {
        lint.both(path, &format!("`means` of check {:?}", check.name), &check.means);
    }
}

/// Every exercise that can be read.
fn exercises(lint: &mut Lint<'_>, pattern: &Pattern) -> Vec<Exercise> {
    let mut out = Vec::new();
    for slug in exercise::slugs(lint.files.keys()) {
        let exercise = match Exercise::read(pattern, &slug) {
            Ok(exercise) => exercise,
            Err(e) => {
                lint.found.push(e.into());
                continue;
            }
        };
        let path = format!("exercises/{slug}/exercise.yaml");
        lint.both(&path, "title", &exercise.file.title);
        for (n, hint) in exercise.file.hints.iter().enumerate() {
            lint.both(&path, &format!("hint {}", n + 1), hint);
        }
        let checks = exercise.checks.clone();
        texts(lint, &format!("exercises/{slug}/checks.yaml"), &checks);
        out.push(exercise);
    }
    out
}
