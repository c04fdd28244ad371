//! The catalogue: what a folder of `patterns/` holds.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scenario::{Scenario, ScenarioError, Text, read_yaml};

/// `pattern.yaml`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PatternFile {
    /// Its name: that of its folder.
    pub name: String,
    /// What it is called.
    pub title: Text,
    /// What it is, in one or two sentences.
    pub summary: Text,
    /// "single-node", "multi-node", "batch".
    pub family: String,
    /// From 1 (first steps) to 5.
    pub difficulty: u8,
    /// Where it was described first.
    #[serde(default)]
    pub paper: Option<Paper>,
    /// What `podlab up` applies, in this order: paths below the pattern's folder.
    pub manifests: Vec<String>,
    /// Image names of the manifests, and the guest (or wasm file below the folder) behind each.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
    /// Services that the page offers to call, as `service:port`.
    #[serde(default)]
    pub expose: Vec<String>,
    /// Where pods stand in the picture, as column and row.
    #[serde(default)]
    pub positions: BTreeMap<String, (f64, f64)>,
}

/// Where a pattern was described first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Paper {
    /// Its title.
    pub title: String,
    /// Who wrote it.
    pub authors: String,
    /// Where it appeared.
    #[serde(default)]
    pub venue: String,
    /// The year.
    #[serde(default)]
    pub year: u16,
    /// Where to read it.
    pub url: String,
}

/// A pattern: its file and everything beside it.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// `pattern.yaml`.
    pub file: PatternFile,
    /// The lesson, as Markdown.
    pub lesson: Text,
    /// All files of the folder, by path below it.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// All patterns by name.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    patterns: BTreeMap<String, Pattern>,
}

impl Pattern {
    /// Reads a pattern from the files of its folder. `folder` is its name, for messages.
    ///
    /// # Errors
    /// With file, line and field.
    pub fn read(folder: &str, files: BTreeMap<String, Vec<u8>>) -> Result<Pattern, ScenarioError> {
        let text = |path: &str| -> Result<String, ScenarioError> {
            let file = format!("{folder}/{path}");
            let missing = |message: &str| ScenarioError {
                file: file.clone(),
                line: None,
                message: message.into(),
            };
            let bytes = files.get(path).ok_or_else(|| missing("this file is missing"))?;
            String::from_utf8(bytes.clone()).map_err(|_| missing("this file is not UTF-8"))
        };
        let name = format!("{folder}/pattern.yaml");
        let source = text("pattern.yaml")?;
        let file: PatternFile = read_yaml(&name, &source)?;
        for manifest in &file.manifests {
            if !files.contains_key(manifest) {
                let line = source
                    .lines()
                    .position(|l| l.contains(manifest.as_str()))
                    .map(|n| n as u64 + 1);
                let message = format!("manifests: there is no file {manifest}");
                return Err(ScenarioError { file: name, line, message });
            }
        }
        let lesson = Text {
            en: text("lesson.en.md").unwrap_or_default(),
            ja: text("lesson.ja.md").unwrap_or_default(),
        };
        Ok(Pattern { file, lesson, files })
    }

    /// A file of the folder as text.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).and_then(|b| std::str::from_utf8(b).ok())
    }

    /// Its scenarios: name and contents, by name.
    ///
    /// # Errors
    /// The first one that cannot be read.
    pub fn scenarios(&self) -> Result<Vec<(String, Scenario)>, ScenarioError> {
        let mut out = Vec::new();
        for path in self.files.keys() {
            let Some(name) = path.strip_prefix("scenarios/").and_then(|p| p.strip_suffix(".yaml"))
            else {
                continue;
            };
            let file = format!("{}/{path}", self.file.name);
            let text = self.text(path).ok_or_else(|| ScenarioError {
                file: file.clone(),
                line: None,
                message: "this file is not UTF-8".into(),
            })?;
            let scenario = Scenario::parse(&file, text)?;
            scenario.files_in(self, text)?;
            out.push((name.to_owned(), scenario));
        }
        Ok(out)
    }

    /// The JSON Schema of `pattern.yaml`.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(PatternFile).to_value()
    }
}

impl Catalogue {
    /// Reads a catalogue from files named `pattern/path`.
    ///
    /// # Errors
    /// The first pattern that cannot be read.
    pub fn read(files: BTreeMap<String, Vec<u8>>) -> Result<Catalogue, ScenarioError> {
        let mut folders: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
        for (path, contents) in files {
            if let Some((folder, rest)) = path.split_once('/') {
                folders.entry(folder.into()).or_default().insert(rest.into(), contents);
            }
        }
        let mut patterns = BTreeMap::new();
        for (folder, files) in folders {
            if files.contains_key("pattern.yaml") {
                let pattern = Pattern::read(&folder, files)?;
                patterns.insert(pattern.file.name.clone(), pattern);
            }
        }
        Ok(Catalogue { patterns })
    }

    /// A pattern by name.
    pub fn get(&self, name: &str) -> Option<&Pattern> {
        self.patterns.get(name)
    }

    /// All patterns by name.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.patterns.values()
    }

    /// Adds those of `other`; a pattern of the same name is replaced.
    pub fn extend(&mut self, other: Catalogue) {
        self.patterns.extend(other.patterns);
    }
}
