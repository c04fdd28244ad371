//! A learner's progress as a file, to go on elsewhere: exercises and predictions. The file may
//! come from a stranger: it is bounded, and only what is known is taken from it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::progress::{Progress, Stage};

/// No file is larger, in bytes.
pub const LARGEST: usize = 4 << 20;
/// No more exercises, nor predictions.
const MOST: usize = 500;
/// An exercise has no more files.
const FILES: usize = 50;
/// No file of an exercise is longer, in bytes.
const LONGEST: usize = 256 << 10;
/// What the file says of itself.
const FORMAT: &str = "podlab-progress";
/// The form of the file.
const VERSION: u64 = 1;

/// What a learner has done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Belongings {
    /// Exercises, by "pattern/exercise".
    pub exercises: BTreeMap<String, Progress>,
    /// What was ticked, one digit for each choice, by "pattern.number".
    pub predictions: BTreeMap<String, String>,
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is larger than [`LARGEST`], or has more in it than anybody has done.
    Large,
    /// It is no file of progress.
    Other,
    /// It is of a later form.
    Version,
}

fn name(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !part.is_empty() && part.len() <= 80 && part.bytes().all(plain)
}

fn exercise(key: &str) -> bool {
    key.split_once('/').is_some_and(|(pattern, slug)| name(pattern) && name(slug))
}

fn prediction(key: &str, ticks: &str) -> bool {
    let number = |n: &str| n.len() <= 3 && n.parse::<u16>().is_ok();
    let known = key.split_once('.').is_some_and(|(pattern, n)| name(pattern) && number(n));
    known && (1..=32).contains(&ticks.len()) && ticks.bytes().all(|b| b == b'0' || b == b'1')
}

/// A file of an exercise has a plain name.
fn file(name: &str, text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
    name.len() <= 120 && name.bytes().all(plain) && !name.contains("..") && text.len() <= LONGEST
}

impl Belongings {
    /// The file.
    pub fn write(&self) -> String {
        let exercises: serde_json::Map<String, Value> = self
            .exercises
            .iter()
            .map(|(key, progress)| {
                let mut value = progress.json();
                // Worlds live in the server that made them, and what was seen in them there.
                for of_there in ["result", "world", "checked"] {
                    value.as_object_mut().map(|o| o.remove(of_there));
                }
                (key.clone(), value)
            })
            .collect();
        let whole =
            json!({FORMAT: VERSION, "exercises": exercises, "predictions": self.predictions});
        whole.to_string()
    }

    /// Reads a file; what in it is not known is left out.
    ///
    /// # Errors
    /// Where it is no such file.
    pub fn read(text: &str) -> Result<Belongings, Wrong> {
        if text.len() > LARGEST {
            return Err(Wrong::Large);
        }
        let value: Value = serde_json::from_str(text).map_err(|_| Wrong::Other)?;
        match value[FORMAT].as_u64() {
            Some(VERSION) => {}
            Some(_) => return Err(Wrong::Version),
            None => return Err(Wrong::Other),
        }
        let (Some(exercises), Some(predictions)) =
            (value["exercises"].as_object(), value["predictions"].as_object())
        else {
            return Err(Wrong::Other);
        };
        if exercises.len() > MOST || predictions.len() > MOST {
            return Err(Wrong::Large);
        }
        let mut out = Belongings::default();
        for (key, value) in exercises.iter().filter(|(key, _)| exercise(key)) {
            let mut progress = Progress::parse(value);
            progress.files.retain(|name, text| file(name, text));
            if progress.files.len() > FILES {
                return Err(Wrong::Large);
            }
            progress.tries = progress.tries.min(1_000_000);
            (progress.result, progress.worlds) = Default::default();
            if progress.stage() != Stage::New {
                out.exercises.insert(key.clone(), progress);
            }
        }
        for (key, ticks) in predictions {
            if let Some(ticks) = ticks.as_str().filter(|ticks| prediction(key, ticks)) {
                out.predictions.insert(key.clone(), ticks.to_owned());
            }
        }
        Ok(out)
    }

    /// What of these goes further than `own`: it is to be taken over.
    pub fn beyond(self, own: &Belongings) -> Belongings {
        let far = |p: &Progress| (p.solved, p.stage() != Stage::New, p.tries, p.hints);
        let further = |(key, p): &(String, Progress)| {
            own.exercises.get(key).is_none_or(|mine| far(p) > far(mine))
        };
        Belongings {
            exercises: self.exercises.into_iter().filter(further).collect(),
            predictions: self
                .predictions
                .into_iter()
                .filter(|(key, _)| !own.predictions.contains_key(key))
                .collect(),
        }
    }

    /// How many things these are.
    pub fn len(&self) -> usize {
        self.exercises.len() + self.predictions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(solved: bool, tries: u64) -> Progress {
        let files = BTreeMap::from([("web.yaml".to_owned(), "kind: Pod\n".to_owned())]);
        Progress { files, solved, tries, ..Progress::default() }
    }

    fn some() -> Belongings {
        Belongings {
            exercises: BTreeMap::from([
                ("sidecar/log-lost".into(), progress(true, 3)),
                ("adapter/two-forms".into(), progress(false, 1)),
            ]),
            predictions: BTreeMap::from([("sidecar.1".into(), "0110".into())]),
        }
    }

    #[test]
    fn what_was_written_is_read_without_what_belongs_to_a_server() {
        let mut mine = some();
        if let Some(p) = mine.exercises.get_mut("sidecar/log-lost") {
            p.worlds = ("w7".into(), "w8".into());
            p.result = json!({"pass": true});
        }
        let text = mine.write();
        assert!(!text.contains("w7") && !text.contains("pass\""));
        assert_eq!(Belongings::read(&text), Ok(some()));
    }

    #[test]
    fn only_what_goes_further_is_taken() {
        let mut own = some();
        own.exercises.insert("adapter/two-forms".into(), progress(true, 9));
        own.predictions.clear();
        let taken = some().beyond(&own);
        assert!(taken.exercises.is_empty());
        assert_eq!(taken.predictions.len(), 1);
        assert_eq!(some().beyond(&some()).len(), 0);
        assert_eq!(some().beyond(&Belongings::default()), some());
    }

    #[test]
    fn strangers_are_bounded() {
        let read = |v: Value| Belongings::read(&v.to_string());
        for other in
            ["", "{", "[]", "null", "{\"podlab-progress\": \"x\"}", "{\"podlab-progress\": 1}"]
        {
            assert_eq!(Belongings::read(other), Err(Wrong::Other), "{other}");
        }
        assert_eq!(
            read(json!({FORMAT: 2, "exercises": {}, "predictions": {}})),
            Err(Wrong::Version)
        );
        assert_eq!(Belongings::read(&" ".repeat(LARGEST + 1)), Err(Wrong::Large));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Belongings::read(&deep), Err(Wrong::Other));
        let many: serde_json::Map<String, Value> =
            (0..=MOST).map(|i| (format!("a/b{i}"), json!({"solved": true}))).collect();
        assert_eq!(
            read(json!({FORMAT: 1, "exercises": many, "predictions": {}})),
            Err(Wrong::Large)
        );
        let files: serde_json::Map<String, Value> =
            (0..=FILES).map(|i| (format!("f{i}.yaml"), json!("x"))).collect();
        let crowded = json!({"a/b": {"files": files, "solved": true}});
        assert_eq!(
            read(json!({FORMAT: 1, "exercises": crowded, "predictions": {}})),
            Err(Wrong::Large)
        );
        let odd = json!({FORMAT: 1,
            "exercises": {
                "../x": {"solved": true}, "a/b/c": {"solved": true}, "A/b": {"solved": true}, "a/b": 3,
                "sidecar/x": {"solved": true, "world": "w1", "result": [[[]]], "tries": u64::MAX,
                    "files": {"../../etc": "x", "a\u{0}b": "x", "ok.yaml": "y", "long.yaml": "z".repeat(LONGEST + 1)}}
            },
            "predictions": {"sidecar.1": "01x", "sidecar.99999": "01", "sidecar": "01", "sidecar.2": "1", "sidecar.3": 1,
                "sidecar.4": "0".repeat(33)}});
        let read = read(odd).unwrap();
        let kept: Vec<_> = read.exercises.keys().collect();
        assert_eq!(kept, ["sidecar/x"]);
        let x = &read.exercises["sidecar/x"];
        assert_eq!(x.files.keys().collect::<Vec<_>>(), ["ok.yaml"]);
        assert_eq!((x.tries, x.result.is_null(), x.worlds.0.as_str()), (1_000_000, true, ""));
        assert_eq!(read.predictions.keys().collect::<Vec<_>>(), ["sidecar.2"]);
    }
}
