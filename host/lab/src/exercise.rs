//! Exercises: manifests that are wrong, checks that say so, hints, and what to learn from it.
//!
//! An exercise is a folder `exercises/<slug>/` of a pattern:
//!
//! | file | what it is |
//! | --- | --- |
//! | `exercise.yaml` | [`ExerciseFile`]: title, difficulty, hints |
//! | `checks.yaml` | a scenario; its `apply` names the learner's manifests as `work/FILE` |
//! | `task.en.md`, `task.ja.md` | what to do |
//! | `start/` | the manifests the learner begins with: they fail the checks |
//! | `solution/` | manifests that pass them |
//! | `debrief.en.md`, `debrief.ja.md` | what was learnt, and common mistakes |

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pattern::Pattern;
use crate::scenario::{Scenario, ScenarioError, Step, Text, all_steps, read_yaml};

/// How many hints an exercise has: where to look, what is wrong, how to mend it.
pub const HINTS: usize = 3;

/// `exercise.yaml`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ExerciseFile {
    /// What it is called.
    pub title: Text,
    /// From 1 (first steps) to 5.
    pub difficulty: u8,
    /// Names of the checks by which the start fails: one of them must, so that it does not fail
    /// for another reason. May be empty where the start fails in a `wait`.
    #[serde(default)]
    pub fails: Vec<String>,
    /// Three hints, each saying more than the one before: where to look, what is wrong, how to
    /// mend it.
    #[schemars(length(equal = 3))]
    pub hints: Vec<Text>,
}

/// Which manifests the checks are run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those the learner begins with, and edits.
    Start,
    /// Those that pass.
    Solution,
}

impl Side {
    /// The folder.
    pub fn folder(self) -> &'static str {
        match self {
            Side::Start => "start",
            Side::Solution => "solution",
        }
    }
}

/// An exercise of a pattern.
#[derive(Clone, Debug)]
pub struct Exercise {
    /// The name of its folder.
    pub slug: String,
    /// `exercise.yaml`.
    pub file: ExerciseFile,
    /// What to do, as Markdown.
    pub task: Text,
    /// What was learnt, as Markdown.
    pub debrief: Text,
    /// What is done and must hold.
    pub checks: Scenario,
}

impl Exercise {
    /// Reads the exercise `slug` of `pattern`.
    ///
    /// # Errors
    /// With file, line and field.
    pub fn read(pattern: &Pattern, slug: &str) -> Result<Exercise, ScenarioError> {
        let base = format!("exercises/{slug}");
        let error = |path: &str, line: Option<u64>, message: String| ScenarioError {
            file: format!("{}/{base}/{path}", pattern.file.name),
            line,
            message,
        };
        let text = |path: &str| {
            pattern.text(&format!("{base}/{path}")).ok_or_else(|| {
                error(path, None, "this file of the exercise is missing, or not UTF-8".into())
            })
        };
        let both = |stem: &str| -> Result<Text, ScenarioError> {
            let read = |language: &str| text(&format!("{stem}.{language}.md")).map(str::to_owned);
            Ok(Text { en: read("en")?, ja: read("ja")? })
        };
        let line = |source: &str, needle: &str| {
            source.lines().position(|l| l.contains(needle)).map(|n| n as u64 + 1)
        };
        let place = |path: &str| format!("{}/{base}/{path}", pattern.file.name);

        let source = text("exercise.yaml")?;
        let file: ExerciseFile = read_yaml(&place("exercise.yaml"), source)?;
        let wrong = |field: &str, message: String| {
            error("exercise.yaml", line(source, field), format!("{field}: {message}"))
        };
        if !(1..=5).contains(&file.difficulty) {
            return Err(wrong("difficulty", format!("{} is not from 1 to 5", file.difficulty)));
        }
        if file.hints.len() != HINTS {
            return Err(wrong(
                "hints",
                format!(
                    "there are {}, and exactly {HINTS} are wanted: where to look, what is wrong, how to mend it",
                    file.hints.len()
                ),
            ));
        }
        let source = text("checks.yaml")?;
        let checks = Scenario::parse(&place("checks.yaml"), source)?;
        for name in &file.fails {
            if !checks.checks.iter().any(|c| c.name == *name) {
                let known: Vec<&str> = checks.checks.iter().map(|c| c.name.as_str()).collect();
                let meant = crate::vocabulary::meant(name, known.iter().copied());
                return Err(wrong(
                    "fails",
                    format!("checks.yaml has no check {name:?}{meant} It has {known:?}"),
                ));
            }
        }
        let mut works = false;
        for manifest in applied(&checks) {
            if let Some(work) = manifest.strip_prefix("work/") {
                works = true;
                for side in [Side::Start, Side::Solution] {
                    let path = format!("{}/{work}", side.folder());
                    if !pattern.files.contains_key(&format!("{base}/{path}")) {
                        let message = format!("apply: {manifest} needs {path}, which is missing");
                        return Err(error("checks.yaml", line(source, manifest), message));
                    }
                }
            } else if !pattern.files.contains_key(manifest) {
                let message = format!("apply: there is no file {manifest} in the pattern");
                return Err(error("checks.yaml", line(source, manifest), message));
            }
        }
        if !works {
            let message = "apply: no manifest of the learner is applied: name one as work/FILE, \
                           which stands for start/FILE and solution/FILE";
            return Err(error("checks.yaml", line(source, "apply"), message.into()));
        }
        Ok(Exercise {
            slug: slug.into(),
            file,
            task: both("task")?,
            debrief: both("debrief")?,
            checks,
        })
    }

    /// `pattern` with the files of one side at `work/`: what the checks are run against.
    pub fn pattern(&self, pattern: &Pattern, side: Side) -> Pattern {
        let prefix = format!("exercises/{}/{}/", self.slug, side.folder());
        let work: BTreeMap<String, Vec<u8>> = pattern
            .files
            .iter()
            .filter_map(|(p, b)| Some((format!("work/{}", p.strip_prefix(&prefix)?), b.clone())))
            .collect();
        let mut overlaid = pattern.clone();
        overlaid.files.extend(work);
        overlaid
    }

    /// The JSON Schema of `exercise.yaml`.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(ExerciseFile).to_value()
    }
}

/// The slugs of a pattern's exercises, from the paths of its files.
pub fn slugs<'a>(files: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    files
        .filter_map(|p| Some(p.strip_prefix("exercises/")?.split_once('/')?.0.to_owned()))
        .collect()
}

/// Every manifest that a scenario applies, at its beginning or in its steps.
pub fn applied(scenario: &Scenario) -> impl Iterator<Item = &String> {
    scenario.apply.iter().chain(all_steps(&scenario.steps).into_iter().flat_map(|s| match s {
        Step::Apply(files) => files.as_slice(),
        _ => &[],
    }))
}

impl Pattern {
    /// Its exercises, by slug.
    ///
    /// # Errors
    /// The first one that cannot be read.
    pub fn exercises(&self) -> Result<Vec<Exercise>, ScenarioError> {
        slugs(self.files.keys()).iter().map(|slug| Exercise::read(self, slug)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXERCISE: &str = "\
title: {en: T, ja: T}
difficulty: 1
fails: [answered]
hints:
  - {en: a, ja: a}
  - {en: b, ja: b}
  - {en: c, ja: c}
";
    const CHECKS: &str = "\
title: {en: T, ja: T}
apply: [work/web.yaml]
steps:
  - request: {name: page, to: \"web:80\"}
checks:
  - {name: answered, finally: last('page').ok}
";

    fn pattern(exercise: &str, checks: &str) -> Pattern {
        let yaml = "name: p\ntitle: {en: P, ja: P}\nsummary: {en: S, ja: S}\nfamily: single-node\ndifficulty: 1\nmanifests: []\n";
        let mut files = BTreeMap::from([
            ("pattern.yaml".to_owned(), yaml.into()),
            ("lesson.en.md".into(), "# P\n".into()),
            ("lesson.ja.md".into(), "# P\n".into()),
        ]);
        for (path, contents) in [
            ("exercise.yaml", exercise),
            ("checks.yaml", checks),
            ("task.en.md", "# T\n"),
            ("task.ja.md", "# T\n"),
            ("debrief.en.md", "# D\n"),
            ("debrief.ja.md", "# D\n"),
            ("start/web.yaml", "wrong"),
            ("solution/web.yaml", "right"),
        ] {
            files.insert(format!("exercises/first/{path}"), contents.into());
        }
        Pattern::read("p", files).unwrap()
    }

    fn error(exercise: &str, checks: &str) -> String {
        pattern(exercise, checks).exercises().unwrap_err().to_string()
    }

    #[test]
    fn each_side_stands_at_work() {
        let pattern = pattern(EXERCISE, CHECKS);
        let exercises = pattern.exercises().unwrap();
        assert_eq!(exercises.len(), 1);
        let first = &exercises[0];
        assert_eq!(first.slug, "first");
        let text = |side| first.pattern(&pattern, side).text("work/web.yaml").map(str::to_owned);
        assert_eq!(text(Side::Start).as_deref(), Some("wrong"));
        assert_eq!(text(Side::Solution).as_deref(), Some("right"));
    }

    #[test]
    fn mistakes_name_file_line_and_remedy() {
        let two = EXERCISE.replace("  - {en: c, ja: c}\n", "");
        let hints = error(&two, CHECKS);
        assert!(
            hints.starts_with("p/exercises/first/exercise.yaml:4: hints: there are 2"),
            "{hints}"
        );
        let hard = EXERCISE.replace("difficulty: 1", "difficulty: 9");
        assert!(error(&hard, CHECKS).contains("exercise.yaml:2: difficulty: 9 is not"));
        let fails = EXERCISE.replace("[answered]", "[anwsered]");
        assert!(error(&fails, CHECKS).contains("did you mean \"answered\""));
        let missing = error(EXERCISE, &CHECKS.replace("work/web", "work/wbe"));
        assert!(missing.contains("checks.yaml:2: apply: work/wbe.yaml needs start/wbe.yaml"));
        let none = error(EXERCISE, &CHECKS.replace("[work/web.yaml]", "[]"));
        assert!(none.contains("checks.yaml:2: apply: no manifest of the learner"), "{none}");
    }
}
