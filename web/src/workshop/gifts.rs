//! What the instructor gives of an exercise: it opens in the exercise as if the learner had opened
//! it, and is told once.

use serde_json::{Value, json};
use web_sys::Event;

use crate::api;
use crate::progress::Progress;
use crate::ui::{remember, remembered, window};
use crate::view::exercise::path;

/// What the window hears when something was given.
pub const GIVEN: &str = "podlab-given";
/// Where it is remembered what has been opened already.
const OPENED: &str = "workshop.given";

/// Something that was given and is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Gift {
    /// The pattern.
    pub pattern: String,
    /// The exercise.
    pub slug: String,
    /// The exercise as the server has it.
    pub exercise: Value,
    /// Which hint, from 1; none for the solution.
    pub hint: Option<usize>,
}

/// Pattern, exercise, and which hint (none for the solution).
type New = (String, String, Option<usize>);

/// Opens what is new in `given` (as `/api/workshop/me` has it), and returns the newest of it.
pub fn open(given: &Value) -> Option<New> {
    let mut opened: Value =
        serde_json::from_str(&remembered(OPENED).unwrap_or_default()).unwrap_or(json!({}));
    if !opened.is_object() {
        opened = json!({});
    }
    let mut newest: Option<(u64, New)> = None;
    for (key, gift) in given.as_object().into_iter().flatten() {
        if opened[key] == *gift {
            continue;
        }
        let Some((pattern, slug)) = key.split_once('/') else { continue };
        let before = std::mem::replace(&mut opened[key], gift.clone());
        let mut progress = Progress::load(pattern, slug);
        let hints = gift["hints"].as_u64().unwrap_or(0) as usize;
        let solution = gift["solution"] == true && before["solution"] != true;
        progress.hints = progress.hints.max(hints);
        progress.told |= solution;
        progress.save(pattern, slug);
        let hint = (!solution && hints > 0).then_some(hints);
        let at = gift["at"].as_u64().unwrap_or(0);
        if newest.as_ref().is_none_or(|(when, ..)| *when <= at) {
            newest = Some((at, (pattern.to_owned(), slug.to_owned(), hint)));
        }
    }
    let (_, newest) = newest?;
    remember(OPENED, &opened.to_string());
    // Without an event an open exercise shows it when it is opened again.
    if let Ok(event) = Event::new(GIVEN) {
        let _ = window().dispatch_event(&event);
    }
    Some(newest)
}

/// Its words. `None` if the server does not tell them: the exercise has them all the same.
pub async fn told((pattern, slug, hint): New) -> Option<Gift> {
    let exercise = api::call("GET", &path(&pattern, &slug), None).await.ok()?;
    Some(Gift { pattern, slug, exercise, hint })
}
