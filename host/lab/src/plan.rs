//! Plans of workshops: what a room of learners does, one section after the other.
//!
//! A plan is one YAML file. It names patterns and exercises of the catalogue; whether they exist
//! is looked at by [`Plan::findings`].

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lint::Finding;
use crate::pattern::Catalogue;
use crate::scenario::{ScenarioError, Text, read_yaml};

/// How many sections a plan has at most.
const MAX_SECTIONS: usize = 100;
/// How many answers a question has at most.
const MAX_ANSWERS: usize = 8;
/// How long a section is at most, in minutes.
const MAX_MINUTES: u32 = 600;

/// A plan of a workshop.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Plan {
    /// What the workshop is called.
    pub title: Text,
    /// What learners can do afterwards, in one or two sentences.
    #[serde(default)]
    pub summary: Text,
    /// What is done, in order.
    #[schemars(length(min = 1, max = 100))]
    pub sections: Vec<Section>,
}

/// One section of a plan.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Section {
    /// Its name: letters, digits and dashes, once in a plan. Answers and results are kept under it.
    #[schemars(regex(pattern = "^[a-z0-9-]{1,40}$"))]
    pub name: String,
    /// What learners do.
    pub kind: Kind,
    /// What it is called.
    pub title: Text,
    /// How long it takes, in minutes.
    #[schemars(range(min = 1, max = 600))]
    pub minutes: u32,
    /// The pattern whose world is used: for lessons, exercises and free play.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The exercise of that pattern: for exercises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exercise: Option<String>,
    /// What is asked: for questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// What the instructor should say and look at; learners do not see it.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub notes: Text,
}

/// What learners do in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// They follow the lesson of a pattern, with its world beside it.
    Lesson,
    /// They solve an exercise.
    Exercise,
    /// They try out what they like in the world of a pattern.
    Play,
    /// They predict before they run: each picks an answer, the board shows how many picked which.
    Question,
    /// They rest.
    Break,
}

/// A question with a few answers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Question {
    /// What is asked.
    pub ask: Text,
    /// What can be answered.
    #[schemars(length(min = 2, max = 8))]
    pub answers: Vec<Text>,
    /// Which answer is right, from 1; none where it is a matter of opinion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<usize>,
    /// Why, told when the answers are shown.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub why: Text,
}

impl Plan {
    /// Reads a plan. `file` is its name, for messages.
    ///
    /// # Errors
    /// With file, line and field.
    pub fn read(file: &str, source: &str) -> Result<Plan, ScenarioError> {
        let plan: Plan = read_yaml(file, source)?;
        if plan.sections.is_empty() || plan.sections.len() > MAX_SECTIONS {
            let message = format!(
                "sections: there are {}, and 1 to {MAX_SECTIONS} are wanted",
                plan.sections.len()
            );
            return Err(ScenarioError { file: file.into(), line: None, message });
        }
        Ok(plan)
    }

    /// How long it takes, in minutes.
    pub fn minutes(&self) -> u32 {
        self.sections.iter().map(|s| s.minutes.min(MAX_MINUTES)).sum()
    }

    /// The JSON Schema of plans.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Plan).to_value()
    }

    /// What is wrong with it, as the patterns of `catalogue` are.
    pub fn findings(&self, file: &str, source: &str, catalogue: &Catalogue) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut names = BTreeSet::new();
        let texts = |line: Option<u64>, what: &str, text: &Text, found: &mut Vec<Finding>| {
            for (language, text) in [("en", &text.en), ("ja", &text.ja)] {
                if text.trim().is_empty() {
                    let message = format!("{what} has no text for `{language}`: write one");
                    found.push(Finding { file: file.into(), line, message });
                }
            }
        };
        texts(None, "title", &self.title, &mut found);
        for section in &self.sections {
            let line = line_of(source, &section.name);
            let mut add =
                |message: String| found.push(Finding { file: file.into(), line, message });
            if !is_name(&section.name) {
                add(format!("name: {:?} is not 1 to 40 of a-z, 0-9 and -", section.name));
            }
            if !names.insert(&section.name) {
                add(format!("name: there are two sections {:?}", section.name));
            }
            if !(1..=MAX_MINUTES).contains(&section.minutes) {
                add(format!("minutes: {} is not from 1 to {MAX_MINUTES}", section.minutes));
            }
            for message in section.wants() {
                add(message);
            }
            if let Some(message) = section.missing(catalogue) {
                add(message);
            }
            let at = |what: &str| format!("{what} of {}", section.name);
            texts(line, &at("title"), &section.title, &mut found);
            if !section.notes.is_empty() {
                texts(line, &at("notes"), &section.notes, &mut found);
            }
            if let Some(question) = &section.question {
                texts(line, &at("ask"), &question.ask, &mut found);
                for answer in &question.answers {
                    texts(line, &at("an answer"), answer, &mut found);
                }
            }
        }
        found
    }
}

impl Section {
    /// Which fields its kind wants and has not, or has and does not want.
    fn wants(&self) -> Vec<String> {
        let mut out = Vec::new();
        let (pattern, exercise, question) = match self.kind {
            Kind::Lesson | Kind::Play => (true, false, false),
            Kind::Exercise => (true, true, false),
            Kind::Question => (false, false, true),
            Kind::Break => (false, false, false),
        };
        let kind = serde_json::to_value(self.kind).unwrap_or_default();
        let kind = kind.as_str().unwrap_or_default();
        // A question may show the world that it is about.
        let optional = self.kind == Kind::Question;
        for (field, wanted, there) in [
            ("pattern", pattern, self.pattern.is_some()),
            ("exercise", exercise, self.exercise.is_some()),
            ("question", question, self.question.is_some()),
        ] {
            if wanted && !there {
                out.push(format!("{field}: a section of kind {kind} needs it"));
            } else if there && !wanted && !(optional && field == "pattern") {
                out.push(format!("{field}: a section of kind {kind} has none; leave it out"));
            }
        }
        if let Some(question) = &self.question {
            let n = question.answers.len();
            if !(2..=MAX_ANSWERS).contains(&n) {
                out.push(format!("answers: there are {n}, and 2 to {MAX_ANSWERS} are wanted"));
            }
            if question.right.is_some_and(|right| right == 0 || right > n) {
                out.push(format!("right: it is the number of an answer, from 1 to {n}"));
            }
        }
        out
    }

    /// What it names that is not in the catalogue.
    fn missing(&self, catalogue: &Catalogue) -> Option<String> {
        let name = self.pattern.as_ref()?;
        let Some(pattern) = catalogue.get(name) else {
            let known: Vec<&str> = catalogue.iter().map(|p| p.file.name.as_str()).collect();
            return Some(format!("pattern: there is no {name:?}; there are {}", known.join(", ")));
        };
        let slug = self.exercise.as_ref()?;
        let slugs = crate::exercise::slugs(pattern.files.keys());
        let there = slugs.iter().any(|s| s == slug);
        (!there).then(|| {
            let slugs: Vec<String> = slugs.into_iter().collect();
            format!("exercise: {name} has no {slug:?}; it has {}", slugs.join(", "))
        })
    }
}

fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=40).contains(&text.len()) && text.bytes().all(plain)
}

/// The line where a section begins.
fn line_of(source: &str, name: &str) -> Option<u64> {
    let at = source.lines().position(|l| {
        let l = l.trim_start().trim_start_matches("- ");
        l.strip_prefix("name:").is_some_and(|rest| rest.trim() == name)
    });
    at.map(|n| n as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "title: { en: A, ja: あ }\nsections:\n  - name: one\n    kind: question\n    title: { en: B, ja: い }\n    minutes: 5\n    question:\n      ask: { en: C, ja: う }\n      answers: [{ en: D, ja: え }, { en: E, ja: お }]\n      right: 2\n";

    fn findings(source: &str) -> Vec<String> {
        match Plan::read("p.yaml", source) {
            Ok(plan) => plan
                .findings("p.yaml", source, &Catalogue::default())
                .iter()
                .map(ToString::to_string)
                .collect(),
            Err(e) => vec![e.to_string()],
        }
    }

    #[test]
    fn a_good_plan_has_no_findings() {
        assert_eq!(findings(PLAN), Vec::<String>::new());
        assert_eq!(Plan::read("p.yaml", PLAN).unwrap().minutes(), 5);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let cases = [
            ("right: 2", "right: 3", "p.yaml:3: right: it is the number of an answer, from 1 to 2"),
            ("minutes: 5", "minutes: 0", "p.yaml:3: minutes: 0 is not from 1 to 600"),
            (
                "kind: question",
                "kind: break",
                "p.yaml:3: question: a section of kind break has none; leave it out",
            ),
            ("ja: い", "ja: ''", "p.yaml:3: title of one has no text for `ja`: write one"),
            (
                "minutes: 5",
                "minutes: 5\n    pattern: nothing",
                "p.yaml:3: pattern: there is no \"nothing\"; there are ",
            ),
        ];
        for (from, to, expected) in cases {
            assert_eq!(findings(&PLAN.replace(from, to)), [expected], "{to}");
        }
        assert!(findings("title: { en: A, ja: あ }\nsections: []\n")[0].contains("1 to 100"));
        assert!(findings(&PLAN.replace("minutes", "minuts"))[0].contains("minuts"));
    }
}
