//! An attempt at an exercise: what a learner has written, over what the exercise brings.

use std::collections::BTreeMap;

use podlab_kube::api::{Body, Request, Response};
use podlab_world::apply::{self, documents};
use podlab_world::{Images, World, WorldOptions};
use serde::Serialize;
use serde_json::Value;

use crate::exercise::{Exercise, Side, applied};
use crate::pattern::Pattern;
use crate::report::Report;
use crate::run::{Finished, Runner};

/// The most bytes a file of a learner may have.
pub const MOST_BYTES: usize = 256 << 10;
/// The most objects a file of a learner may have.
const MOST_OBJECTS: usize = 64;

/// What a learner has written: each file by its name below `start/`.
pub type Files = BTreeMap<String, String>;

/// Something that is wrong with a learner's file, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mistake {
    /// The file's name below `start/`.
    pub file: String,
    /// The line, from 1, where the YAML itself is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Which object of the file, from 0.
    pub document: usize,
    /// The field (`spec.containers[0].image`), or empty.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// An attempt at an exercise.
pub struct Attempt<'a> {
    exercise: &'a Exercise,
    overlaid: Pattern,
    files: Files,
}

impl<'a> Attempt<'a> {
    /// The files of a learner, over those the exercise begins with.
    ///
    /// # Errors
    /// A sentence, if a file is none of the exercise's or is too large.
    pub fn new(
        pattern: &Pattern,
        exercise: &'a Exercise,
        files: Files,
    ) -> Result<Attempt<'a>, String> {
        let mut overlaid = exercise.pattern(pattern, Side::Start);
        for (name, text) in &files {
            let path = format!("work/{name}");
            if !overlaid.files.contains_key(&path) {
                return Err(format!("the exercise {} begins with no file {name:?}", exercise.slug));
            }
            if text.len() > MOST_BYTES {
                return Err(format!("{name} is larger than {MOST_BYTES} bytes"));
            }
            overlaid.files.insert(path, text.clone().into_bytes());
        }
        Ok(Attempt { exercise, overlaid, files })
    }

    /// What the API server would refuse, found in a world that is thrown away.
    pub fn mistakes(&self, images: &Images) -> Vec<Mistake> {
        let mut found = Vec::new();
        let mut world = self.empty_world(images);
        for (file, text) in &self.files {
            let mistake = |line, document, field: &str, message: String| Mistake {
                file: file.clone(),
                line,
                document,
                field: field.into(),
                message,
            };
            let all = match documents(text) {
                Ok(all) => all,
                Err(e) => {
                    let place = e.strip_prefix("line ").and_then(|r| r.split_once(": "));
                    let line = place.and_then(|(n, _)| n.parse().ok());
                    let message = place.map_or(e.as_str(), |(_, rest)| rest).to_owned();
                    found.push(mistake(line, 0, "", message));
                    continue;
                }
            };
            if all.len() > MOST_OBJECTS {
                found.push(mistake(None, 0, "", format!("at most {MOST_OBJECTS} objects")));
                continue;
            }
            for (n, object) in all.iter().enumerate() {
                for (field, message) in refused(&mut world, object) {
                    found.push(mistake(None, n, &field, message));
                }
                for (field, image) in images_of(object) {
                    if images.resolve(&image).is_none() {
                        let known = self.overlaid.file.images.keys().map(String::as_str);
                        let meant = crate::vocabulary::meant(&image, known);
                        let message = format!("there is no image {image:?}{meant}");
                        found.push(mistake(None, n, &field, message.trim().to_owned()));
                    }
                }
            }
        }
        found
    }

    /// A world in which everything is applied, at its first instant: `epoch` ns since 1970.
    ///
    /// # Errors
    /// What the API server says, with the file.
    pub fn world(&self, images: &Images, seed: u64, epoch: u64) -> Result<World, String> {
        let options = Runner::options(&self.overlaid, &self.exercise.checks, seed);
        let mut world = World::new(images, WorldOptions { epoch, ..options });
        for file in &self.exercise.checks.apply {
            let text = self.overlaid.text(file).unwrap_or_default();
            world.apply(text).map_err(|e| format!("{}: {e}", shown(file)))?;
        }
        Ok(world)
    }

    /// Runs the checks.
    pub fn check(&self, images: &Images, seed: u64) -> (Report, World) {
        let runner = Runner::new(images);
        let Finished { report, world, .. } =
            runner.run(&self.overlaid, &self.exercise.slug, &self.exercise.checks, seed);
        (report, world)
    }

    fn empty_world(&self, images: &Images) -> World {
        World::new(images, Runner::options(&self.overlaid, &self.exercise.checks, 1))
    }

    /// The manifests the checks apply beside the learner's.
    pub fn given(&self) -> impl Iterator<Item = &str> {
        applied(&self.exercise.checks).map(String::as_str).filter(|m| !m.starts_with("work/"))
    }
}

/// A file as the learner knows it.
fn shown(path: &str) -> &str {
    path.strip_prefix("work/").unwrap_or(path)
}

/// What the API server says against an object: fields and messages.
fn refused(world: &mut World, object: &Value) -> Vec<(String, String)> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (Some(kind), Some(version)) = (text("/kind"), text("/apiVersion")) else {
        let missing = if text("/kind").is_none() { "kind" } else { "apiVersion" };
        return vec![(missing.into(), format!("an object needs a `{missing}`"))];
    };
    let namespace = text("/metadata/namespace").unwrap_or("default");
    let path = match apply::collection(world, kind, version, namespace) {
        Ok(path) => path,
        Err(e) => return vec![("kind".into(), e)],
    };
    let body = serde_json::to_vec(object).unwrap_or_default();
    let request = Request::new("POST", &format!("{path}?fieldValidation=Strict"))
        .with_body("application/json", body);
    said(&world.api(request))
}

/// The causes in a Status that says no.
fn said(response: &Response) -> Vec<(String, String)> {
    if response.status < 300 {
        return Vec::new();
    }
    let Body::Full(body) = &response.body else { return Vec::new() };
    let status: Value = serde_json::from_slice(body).unwrap_or_default();
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let causes = status["details"]["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !causes.is_empty() {
        return causes.iter().map(|c| (word(&c["field"]), word(&c["message"]))).collect();
    }
    let message = word(&status["message"]);
    // Strict decoding names the field in its message only.
    let unknown: Vec<_> = message
        .split("unknown field \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(|field| (field.to_owned(), "unknown field".to_owned()))
        .collect();
    if unknown.is_empty() { vec![(String::new(), message)] } else { unknown }
}

/// The images an object names, with their fields.
fn images_of(object: &Value) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for base in ["spec.jobTemplate.spec.template.spec", "spec.template.spec", "spec"] {
        let spec = object.pointer(&format!("/{}", base.replace('.', "/")));
        let Some(spec) = spec.filter(|s| s["containers"].is_array()) else { continue };
        for list in ["initContainers", "containers"] {
            for (i, container) in spec[list].as_array().into_iter().flatten().enumerate() {
                if let Some(image) = container["image"].as_str() {
                    out.push((format!("{base}.{list}[{i}].image"), image.to_owned()));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    const POD: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - {name: web, image: \"web:v1\"}
";

    fn pattern() -> Pattern {
        let text = |s: &str| s.as_bytes().to_vec();
        let files = BTreeMap::from([
            (
                "pattern.yaml".to_owned(),
                text(
                    "name: p\ntitle: {en: P, ja: P}\nsummary: {en: S, ja: S}\nfamily: single-node\ndifficulty: 1\nmanifests: []\n",
                ),
            ),
            (
                "exercises/first/exercise.yaml".into(),
                text(
                    "title: {en: T, ja: T}\ndifficulty: 1\nhints: [{en: a, ja: a}, {en: b, ja: b}, {en: c, ja: c}]\n",
                ),
            ),
            (
                "exercises/first/checks.yaml".into(),
                text(
                    "title: {en: T, ja: T}\napply: [work/web.yaml]\nsteps: [{sleep: 1s}]\nchecks: [{name: there, finally: \"pod('web').metadata.name == 'web'\"}]\n",
                ),
            ),
            ("exercises/first/task.en.md".into(), text("# T")),
            ("exercises/first/task.ja.md".into(), text("# T")),
            ("exercises/first/debrief.en.md".into(), text("# D")),
            ("exercises/first/debrief.ja.md".into(), text("# D")),
            (
                "exercises/first/start/web.yaml".into(),
                text(&POD.replace("name: web}", "name: wbe}")),
            ),
            ("exercises/first/solution/web.yaml".into(), text(POD)),
        ]);
        Pattern::read("p", files).expect("a pattern")
    }

    fn mistakes(text: &str) -> Vec<(Option<u64>, usize, String, String)> {
        let pattern = pattern();
        let exercise = Exercise::read(&pattern, "first").expect("an exercise");
        let files = Files::from([("web.yaml".to_owned(), text.to_owned())]);
        let attempt = Attempt::new(&pattern, &exercise, files).expect("its file");
        let found = attempt.mistakes(&Images::new());
        found.into_iter().map(|m| (m.line, m.document, m.field, m.message)).collect()
    }

    #[test]
    fn what_the_api_server_refuses_is_told_with_its_place() {
        let found = mistakes(&POD.replace("image:", "imgae:"));
        assert!(
            found.iter().any(|m| m.2 == "spec.containers[0].imgae" && m.3 == "unknown field"),
            "{found:?}"
        );
        let found = mistakes(&POD.replace("kind: Pod", "kind: Pdo"));
        assert!(found.iter().any(|m| m.2 == "kind"), "{found:?}");
        let found = mistakes(&format!("{POD}---\nkind: Service\n"));
        assert!(found.iter().any(|m| m.1 == 1 && m.2 == "apiVersion"), "{found:?}");
        let found = mistakes("kind: [Pod\n");
        assert!(found.len() == 1 && found[0].0.is_some(), "{found:?}");
        // There are no images at all in this test.
        let found = mistakes(POD);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].2, "spec.containers[0].image");
    }

    #[test]
    fn the_files_of_a_learner_are_checked() {
        let pattern = pattern();
        let exercise = Exercise::read(&pattern, "first").expect("an exercise");
        let verdict = |files: Files| {
            let attempt = Attempt::new(&pattern, &exercise, files).expect("its file");
            attempt.check(&Images::new(), 1).0.verdict
        };
        assert_ne!(verdict(Files::new()), podlab_trace::Verdict::Pass);
        let right = Files::from([("web.yaml".to_owned(), POD.to_owned())]);
        assert_eq!(verdict(right), podlab_trace::Verdict::Pass);
    }

    #[test]
    fn only_files_of_the_exercise_are_taken() {
        let pattern = pattern();
        let exercise = Exercise::read(&pattern, "first").expect("an exercise");
        let attempt = |name: &str, text: String| {
            Attempt::new(&pattern, &exercise, Files::from([(name.to_owned(), text)])).is_ok()
        };
        assert!(attempt("web.yaml", String::new()));
        assert!(!attempt("../pattern.yaml", String::new()));
        assert!(!attempt("web.yaml", "x".repeat(MOST_BYTES + 1)));
    }
}
