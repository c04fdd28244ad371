//! How far a learner has come with each exercise: kept in the browser, and nowhere else.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::ui::{remember, remembered};

/// How far a learner has come with one exercise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// What was written, by the file's name; what is missing is as at the beginning.
    pub files: BTreeMap<String, String>,
    /// How many hints have been opened.
    pub hints: usize,
    /// How often the checks were run.
    pub tries: u64,
    /// Whether they have passed once.
    pub solved: bool,
    /// Whether the solution has been looked at.
    pub told: bool,
    /// What the checks said last, as the server sent it; null before.
    pub result: Value,
    /// The world the learner works in, and the one in which the checks ran last.
    pub worlds: (String, String),
}

/// How far, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not begun.
    New,
    /// Begun.
    Begun,
    /// Solved.
    Solved,
}

fn key(pattern: &str, slug: &str) -> String {
    format!("exercise.{pattern}/{slug}")
}

impl Progress {
    /// What is remembered of an exercise.
    pub fn load(pattern: &str, slug: &str) -> Progress {
        let text = remembered(&key(pattern, slug)).unwrap_or_default();
        Progress::parse(&serde_json::from_str(&text).unwrap_or_default())
    }

    /// Remembers it.
    pub fn save(&self, pattern: &str, slug: &str) {
        remember(&key(pattern, slug), &self.json().to_string());
    }

    /// Reads it; what is missing or of another kind is as at the beginning.
    pub fn parse(value: &Value) -> Progress {
        let word = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let files = value["files"].as_object().into_iter().flatten();
        Progress {
            files: files.filter_map(|(n, t)| Some((n.clone(), t.as_str()?.to_owned()))).collect(),
            hints: value["hints"].as_u64().unwrap_or(0).min(100) as usize,
            tries: value["tries"].as_u64().unwrap_or(0),
            solved: value["solved"] == true,
            told: value["told"] == true,
            result: value["result"].clone(),
            worlds: (word("world"), word("checked")),
        }
    }

    /// As the browser remembers it.
    pub fn json(&self) -> Value {
        json!({
            "files": self.files, "hints": self.hints, "tries": self.tries, "solved": self.solved,
            "told": self.told, "result": self.result, "world": self.worlds.0, "checked": self.worlds.1,
        })
    }

    /// How far, in one word.
    pub fn stage(&self) -> Stage {
        match self {
            Progress { solved: true, .. } => Stage::Solved,
            p if *p == Progress::default() => Stage::New,
            _ => Stage::Begun,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_it_was_written() {
        let progress = Progress {
            files: BTreeMap::from([("web.yaml".into(), "kind: Pod\n".into())]),
            hints: 2,
            tries: 5,
            solved: true,
            told: true,
            result: json!({"pass": true}),
            worlds: ("w1".into(), "w2".into()),
        };
        assert_eq!(Progress::parse(&progress.json()), progress);
        assert_eq!(progress.stage(), Stage::Solved);
    }

    #[test]
    fn what_a_stranger_wrote_is_as_at_the_beginning() {
        for odd in [Value::Null, json!([1]), json!({"files": 3, "hints": -1, "solved": "yes"})] {
            assert_eq!(Progress::parse(&odd).stage(), Stage::New, "{odd}");
        }
    }
}
