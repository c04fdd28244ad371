//! The schemas that editors use are those of the code, and the shipped files follow them.

use podlab_lab::plan::Kind;
use podlab_lab::{Exercise, Pattern, Plan, Scenario};
use podlab_tests::{catalogue, root};

fn shipped(name: &str) -> serde_json::Value {
    let path = root().join("patterns").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_shipped_schemas_are_those_of_the_code() {
    let hint = "run `podlab schema scenario > patterns/scenario.schema.json` (and `pattern`, `exercise`, `plan`)";
    assert_eq!(shipped("scenario.schema.json"), Scenario::schema(), "{hint}");
    assert_eq!(shipped("exercise.schema.json"), Exercise::schema(), "{hint}");
    assert_eq!(shipped("pattern.schema.json"), Pattern::schema(), "{hint}");
    assert_eq!(shipped("plan.schema.json"), Plan::schema(), "{hint}");
}

#[test]
fn the_shipped_plans_can_be_held_in_their_time_with_notes_for_the_instructor() {
    let catalogue = catalogue().unwrap();
    for (name, minutes) in [("introduction", 90..=90), ("half-day", 180..=240)] {
        let file = format!("patterns/plans/{name}.yaml");
        let source = std::fs::read_to_string(root().join(&file)).unwrap();
        let plan = Plan::read(&file, &source).unwrap();
        assert_eq!(plan.findings(&file, &source, &catalogue), []);
        assert!(minutes.contains(&plan.minutes()), "{name} takes {} minutes", plan.minutes());
        for section in plan.sections.iter().filter(|s| s.kind != Kind::Break) {
            assert!(!section.notes.is_empty(), "{name}: {} has no notes", section.name);
        }
    }
}

#[test]
fn every_pattern_is_in_both_languages_and_every_claim_has_a_scenario() {
    for pattern in catalogue().unwrap().iter() {
        let name = &pattern.file.name;
        let headings = |text: &str| {
            text.lines()
                .filter(|l| l.starts_with('#'))
                .map(|l| l.split(' ').next().unwrap().len())
                .collect::<Vec<_>>()
        };
        let (en, ja) = (&pattern.lesson.en, &pattern.lesson.ja);
        assert_eq!(headings(en), headings(ja), "{name}: the lessons are in step");
        let scenarios = pattern.scenarios().unwrap();
        assert!(!scenarios.is_empty());
        for (scenario, s) in &scenarios {
            assert!(
                en.contains(&format!("`{scenario}`")) && ja.contains(&format!("`{scenario}`")),
                "{name}: the lessons name {scenario}"
            );
            for text in [&s.title, &s.claim].into_iter().chain(s.checks.iter().map(|c| &c.means)) {
                assert!(
                    !text.en.is_empty() && !text.ja.is_empty(),
                    "{name}/{scenario}: a text lacks a language"
                );
            }
        }
    }
}
