//! The scenario format.
//!
//! A scenario starts a world, does things to it step by step, and states what must hold. It is
//! YAML; `podlab schema scenario` prints a JSON Schema for editors.

//!
//! # Layout
//! - [`step`]: what is done; [`fault`]: what breaks; [`check`]: what must hold
//! - [`span`]: spans of time; [`read`]: YAML, strictly; `validate`: what types do not say

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod check;
pub mod fault;
pub mod read;
pub mod span;
pub mod step;
mod validate;

pub use check::{Check, Count};
pub use fault::{Between, FaultBudget, FaultFor, FaultKind, PlannedFault};
pub use read::{ScenarioError, read_yaml};
pub use span::Span;
pub(crate) use step::all_steps;
pub use step::{
    Load, ObjectRef, OneOf, Patch, Profile, Recover, Repeat, Request, Scale, Step, TcpRequest, Wait,
};

use crate::pattern::Pattern;
use crate::vocabulary::meant;
use read::line_of;

/// Fields of faults that have their usual value, as they are written.
const USUAL: [&str; 9] = [
    "oneWay: false",
    "latencyMs: 0.0",
    "jitterMs: 0.0",
    "loss: 0.0",
    "duplicate: 0.0",
    "latencyMs: 0",
    "jitterMs: 0",
    "loss: 0",
    "bandwidth: 0",
];

/// A text in both languages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    pub en: String,
    /// Japanese.
    pub ja: String,
}

impl Text {
    /// Whether nothing is said in either language.
    pub fn is_empty(&self) -> bool {
        self.en.is_empty() && self.ja.is_empty()
    }
}

/// A scenario: what is done to a world, and what must hold.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scenario {
    /// What it is called.
    pub title: Text,
    /// The claim that it proves.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub claim: Text,
    /// The cluster, where it is not the usual one.
    #[serde(default, skip_serializing_if = "ClusterSpec::is_usual")]
    pub world: ClusterSpec,
    /// Manifests of the pattern that are applied at the beginning, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apply: Vec<String>,
    /// What is done, one after the other.
    pub steps: Vec<Step>,
    /// What must hold.
    pub checks: Vec<Check>,
    /// The scenario has failed if its steps are not through after this long, in virtual time.
    #[serde(default = "ten_minutes", skip_serializing_if = "is_ten_minutes")]
    pub timeout: Span,
    /// The file it was read from, for messages.
    #[serde(skip)]
    pub file: String,
}

/// The cluster of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ClusterSpec {
    /// How many nodes (1 to 50).
    pub nodes: u32,
    /// How many cores each has (1 to 64).
    pub cores: u32,
}

impl ClusterSpec {
    fn is_usual(&self) -> bool {
        *self == ClusterSpec::default()
    }
}

impl Default for ClusterSpec {
    fn default() -> ClusterSpec {
        ClusterSpec { nodes: 3, cores: 4 }
    }
}

fn is_ten_minutes(span: &Span) -> bool {
    *span == ten_minutes()
}

fn ten_minutes() -> Span {
    Span(Duration::from_secs(600))
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// With file, line and field.
    pub fn parse(file: &str, text: &str) -> Result<Scenario, ScenarioError> {
        let mut scenario: Scenario = read_yaml(file, text)?;
        scenario.file = file.into();
        scenario.validate().map_err(|(needle, message)| ScenarioError {
            file: file.into(),
            line: line_of(text, &needle),
            message,
        })?;
        Ok(scenario)
    }

    /// Whether the files that it applies are there; `text` is its own file.
    ///
    /// # Errors
    /// The first that is missing.
    pub fn files_in(&self, pattern: &Pattern, text: &str) -> Result<(), ScenarioError> {
        let applied = all_steps(&self.steps).into_iter().flat_map(|s| match s {
            Step::Apply(files) => files.as_slice(),
            _ => &[],
        });
        for file in self.apply.iter().chain(applied) {
            if !pattern.files.contains_key(file) {
                let known = pattern.files.keys().map(String::as_str);
                let meant = meant(file, known.filter(|f| f.starts_with("manifests/")));
                let message = format!("apply: there is no file {file}{meant}");
                let line = line_of(text, file);
                return Err(ScenarioError { file: self.file.clone(), line, message });
            }
        }
        Ok(())
    }

    /// It as a file that [`Scenario::parse`] reads again.
    ///
    /// # Errors
    /// If it cannot be written, or would not mean the same when read.
    pub fn to_yaml(&self) -> Result<String, String> {
        let whole = serde_saphyr::to_string(self).map_err(|e| e.to_string())?;
        let same = |text: &str| {
            let read = Scenario::parse(&self.file, text).map_err(|e| e.to_string())?;
            let same = format!("{read:?}") == format!("{self:?}");
            same.then_some(()).ok_or_else(|| "it would mean something else when read".to_owned())
        };
        // Faults write all their fields, since recordings need them; people do not.
        let short: String = whole.lines().filter(|l| !USUAL.contains(&l.trim())).fold(
            String::new(),
            |mut text, line| {
                text += line;
                text.push('\n');
                text
            },
        );
        match same(&short) {
            Ok(()) => Ok(short),
            Err(_) => same(&whole).map(|()| whole),
        }
    }

    /// The JSON Schema of the format.
    pub fn schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Scenario).to_value();
        if let Some(map) = schema.as_object_mut() {
            map.insert("title".into(), "Podlab scenario".into());
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
title: {en: T, ja: T}
steps:
  - wait: {until: \"ready('web')\", within: 5s}
  - mark: here
  - request: {name: page, to: \"web:80\"}
checks:
  - name: answered
    finally: last('page').ok
    after: here
";

    /// The error after replacing `from` by `to` in a scenario that is right.
    fn error(from: &str, to: &str) -> String {
        Scenario::parse("p/scenarios/s.yaml", GOOD).unwrap();
        assert!(GOOD.contains(from), "{from}");
        Scenario::parse("p/scenarios/s.yaml", &GOOD.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_name_file_line_field_and_what_was_meant() {
        let starts = |from, to, expected: &str| {
            let error = error(from, to);
            assert!(error.starts_with(expected), "{error}");
        };
        let file = "p/scenarios/s.yaml";
        starts("mark", "mrak", &format!("{file}:4: unknown variant `mrak`"));
        assert!(error("mark", "mrak").ends_with("did you mean \"mark\"?"));
        starts("within", "witin", &format!("{file}:3: unknown field `witin`"));
        assert!(error("within", "witin").ends_with("did you mean \"within\"?"));
        starts("5s", "5", &format!("{file}:3: \"5\" is not a span of time"));
        starts("5s", "-5s", &format!("{file}:3: \"-5s\" is negative"));
        starts(
            "ready('web')",
            "ready('web'",
            &format!("{file}:3: in the expression `ready('web'`"),
        );
        starts(
            "after: here",
            "after: hree",
            &format!(
                "{file}:7: check \"answered\": there is no mark \"hree\"; did you mean \"here\"?"
            ),
        );
        starts(
            "last('page')",
            "last('pag')",
            &format!(
                "{file}:7: check \"answered\": `last('pag').ok`: no step makes a request named \"pag\"; did you mean \"page\"?"
            ),
        );
        starts("ready('web')", "last('pgae').ok", &format!("{file}:3: wait.until: "));
        starts(
            "last('page').ok",
            "event.kind == 'log'",
            &format!("{file}:7: check \"answered\": `event` is known only"),
        );
        starts("finally: last", "often: last", &format!("{file}:8: unknown field `often`"));
        starts(
            "    finally: last('page').ok\n",
            "",
            &format!("{file}:7: check \"answered\": needs exactly one of"),
        );
        let counts =
            |bounds: &str| error("finally: last('page').ok", &format!("count: {{{bounds}}}"));
        assert!(counts("atLeast: 1").contains("say which ones with `on`"));
        assert!(counts("atLeast: 2, atMost: 1, most: 3").contains("unknown field `most`"));
        starts("  - mark: here", " - mark: here", &format!("{file}:"));
        assert!(!error("mark", "mrak").contains("at line"));
    }

    #[test]
    fn a_scenario_that_proves_nothing_is_refused() {
        let none = GOOD.split("checks:").next().unwrap().to_owned() + "checks: []\n";
        let error = Scenario::parse("s.yaml", &none).unwrap_err();
        assert_eq!(error.line, Some(6));
        assert!(error.message.contains("proves nothing"));
        assert!(read_yaml::<Scenario>("s.yaml", &" ".repeat((1 << 20) + 1)).is_err());
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let steps = "\
steps:
  - apply: [manifests/web.yaml]
  - sleep: 1s500ms
  - fault: {link: {a: '*', b: outside, latencyMs: 20.0}}
  - faultFor: {fault: {partition: {a: '*', b: default/web}}, for: 5s}
  - faults: {until: 20s, plan: [{at: 1s, fault: {kill: {target: default/web/main}}}]}
  - oneOf: {name: n, choices: [[{mark: a}], []]}
  - patch: {kind: Pod, name: web, merge: {metadata: {labels: {a: null}}}}
";
        let text = GOOD.replacen("steps:\n", steps, 1);
        let scenario = Scenario::parse("s.yaml", &text).unwrap();
        let yaml = scenario.to_yaml().unwrap();
        assert!(!yaml.contains("bandwidth") && !yaml.contains("oneWay"), "{yaml}");
        assert!(yaml.contains("sleep: 1s500ms") && !yaml.contains("namespace"), "{yaml}");
    }
}
