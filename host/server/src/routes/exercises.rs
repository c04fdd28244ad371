//! `/api/patterns/{name}/exercises`: exercises, and what learners make of them.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use podlab_lab::attempt::{Attempt, Files};
use podlab_lab::exercise::Side;
use podlab_lab::{Exercise, Pattern};
use podlab_trace::Verdict;
use podlab_world::Images;
use serde_json::{Map, Value, json};

use super::{Answer, Json, blocking, ok};
use crate::app::{App, now_nanos, pattern_images};
use crate::error::ApiError;
use crate::live::Speed;
use crate::workshop::viewer::Viewer;

/// The exercises of a pattern, in a line each.
pub(super) fn summaries(pattern: &Pattern) -> Value {
    let mut read = pattern.exercises().unwrap_or_default();
    read.sort_by_key(|e| e.file.difficulty);
    let one = |e: &Exercise| json!({ "slug": e.slug, "title": e.file.title, "difficulty": e.file.difficulty });
    read.iter().map(one).collect()
}

pub(super) fn find(pattern: &Pattern, slug: &str) -> Result<Exercise, ApiError> {
    let all = pattern.exercises().map_err(|e| ApiError::internal(e.to_string()))?;
    let known: Vec<String> = all.iter().map(|e| e.slug.clone()).collect();
    all.into_iter().find(|e| e.slug == slug).ok_or_else(|| {
        let name = &pattern.file.name;
        ApiError::not_found(
            format!("the pattern {name} has no exercise {slug:?}"),
            format!("It has: {}.", known.join(", ")),
        )
    })
}

/// The manifests of one side, by name.
fn side(pattern: &Pattern, slug: &str, side: Side) -> Map<String, Value> {
    let prefix = format!("exercises/{slug}/{}/", side.folder());
    let names = pattern.files.keys().filter_map(|p| Some((p, p.strip_prefix(&prefix)?)));
    names.filter_map(|(path, name)| Some((name.to_owned(), json!(pattern.text(path)?)))).collect()
}

/// `GET /api/patterns/{name}/exercises`
pub async fn list(State(app): State<Arc<App>>, Path(name): Path<String>) -> Answer {
    ok(json!({ "exercises": summaries(app.pattern(&name)?) }))
}

/// `GET /api/patterns/{name}/exercises/{slug}`
pub async fn one(
    State(app): State<Arc<App>>,
    Path((name, slug)): Path<(String, String)>,
) -> Answer {
    let pattern = app.pattern(&name)?;
    let exercise = find(pattern, &slug)?;
    let checks: Vec<Value> = exercise
        .checks
        .checks
        .iter()
        .map(|c| json!({ "name": c.name, "means": c.means }))
        .collect();
    ok(json!({
        "slug": exercise.slug,
        "title": exercise.file.title,
        "difficulty": exercise.file.difficulty,
        "task": exercise.task,
        "hints": exercise.file.hints,
        "debrief": exercise.debrief,
        "checks": checks,
        "start": side(pattern, &slug, Side::Start),
        "solution": side(pattern, &slug, Side::Solution),
    }))
}

/// What a learner sends: `{"files": {"web.yaml": "..."}, "seed": 1}`.
fn sent(body: Json) -> Result<(Files, u64), ApiError> {
    let mut fields = body.fields(&["files", "seed"])?;
    let wrong = |message: &str| {
        ApiError::bad(
            message,
            "Write for example {\"files\": {\"web.yaml\": \"apiVersion: v1...\"}}.",
        )
    };
    let seed = match fields.get("seed") {
        None => 1,
        Some(value) => value.as_u64().ok_or_else(|| wrong("`seed` is not a whole number"))?,
    };
    let files = match fields.remove("files") {
        None => Files::new(),
        Some(value) => serde_json::from_value(value)
            .map_err(|_| wrong("`files` is not an object of names and texts"))?,
    };
    Ok((files, seed))
}

/// Does something with an attempt on a thread that may compute; few at a time, the others wait.
async fn attempt<T: Send + 'static>(
    app: Arc<App>,
    viewer: Viewer,
    (name, slug): (String, String),
    files: Files,
    f: impl FnOnce(&App, &Exercise, &Attempt, &Images) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    // Nobody waits for somebody else's second attempt.
    let own = match (app.workshop(), viewer) {
        (Some(workshop), Viewer::Learner(seat)) => Some(workshop.turn(seat).await?),
        _ => None,
    };
    let turn = app.attempts().acquire_owned().await;
    blocking(move || {
        let _turns = (turn, own);
        let pattern = app.pattern(&name)?;
        let exercise = find(pattern, &slug)?;
        let attempt = Attempt::new(pattern, &exercise, files)
            .map_err(|e| ApiError::refused(e, "Send the files that GET shows under `start`."))?;
        let images = pattern_images(app.engine(), &app.images(), pattern)
            .map_err(|e| ApiError::refused(e, "Build the guests: cargo xtask build."))?;
        f(&app, &exercise, &attempt, &images)
    })
    .await
}

/// `POST /api/patterns/{name}/exercises/{slug}/lint`: what the API server would refuse.
pub async fn lint(
    State(app): State<Arc<App>>,
    Path(which): Path<(String, String)>,
    viewer: Viewer,
    body: Json,
) -> Answer {
    let (files, _) = sent(body)?;
    let mistakes =
        attempt(app, viewer, which, files, |_, _, attempt, images| Ok(attempt.mistakes(images)))
            .await?;
    ok(json!({ "mistakes": mistakes }))
}

/// `POST /api/patterns/{name}/exercises/{slug}/world`: a world to look at what the files do.
pub async fn world(
    State(app): State<Arc<App>>,
    Path(which): Path<(String, String)>,
    viewer: Viewer,
    body: Json,
) -> Answer {
    let (files, seed) = sent(body)?;
    app.room_for(viewer)?;
    if let (Some(workshop), Viewer::Learner(seat)) = (app.workshop(), viewer) {
        find(app.pattern(&which.0)?, &which.1)?;
        workshop.began(seat, &which.0, &which.1)?;
    }
    let live = attempt(app, viewer, which, files, move |app, _, attempt, images| {
        let world = attempt
            .world(images, seed, now_nanos())
            .map_err(|e| ApiError::refused(e, "Correct the manifest: POST .../lint says where."))?;
        app.adopt(world, Speed::Rate(1.0), viewer)
    })
    .await?;
    let location = format!("/api/worlds/{}", live.id());
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(live.status()))
        .into_response())
}

/// `POST /api/patterns/{name}/exercises/{slug}/check`: runs the checks; the world in which they
/// ran can be looked at afterwards.
pub async fn check(
    State(app): State<Arc<App>>,
    Path(which): Path<(String, String)>,
    viewer: Viewer,
    body: Json,
) -> Answer {
    let (files, seed) = sent(body)?;
    // Checks run in a world of their own.
    if let (Some(workshop), Viewer::Learner(seat)) = (app.workshop(), viewer) {
        workshop.spend(seat)?;
    }
    let pattern = which.0.clone();
    let answer = attempt(app, viewer, which, files, move |app, exercise, attempt, images| {
        let (report, world) = attempt.check(images, seed);
        if let (Some(workshop), Viewer::Learner(seat)) = (app.workshop(), viewer) {
            let failing = report.checks.iter().filter(|c| c.verdict != Verdict::Pass);
            let failing = failing.map(|c| c.name.clone()).collect();
            let pass = report.verdict == Verdict::Pass;
            workshop.checked(seat, &pattern, &exercise.slug, pass, failing)?;
        }
        let checks: Vec<Value> = report
            .checks
            .iter()
            .map(|result| {
                let declared = exercise.checks.checks.iter().find(|c| c.name == result.name);
                let mut value = serde_json::to_value(result).unwrap_or_default();
                value["means"] = json!(declared.map(|c| &c.means));
                value
            })
            .collect();
        // Without room for one more world the result still stands.
        let live = app.adopt(world, Speed::Paused, viewer).ok();
        if let (Some(workshop), Some(live)) = (app.workshop(), &live) {
            workshop.passing(live.number());
        }
        Ok(json!({
            "pass": report.verdict == Verdict::Pass,
            "verdict": report.verdict,
            "error": report.error,
            "checks": checks,
            "events": report.events,
            "virtualNanos": report.virtual_nanos,
            "world": live.map(|l| l.id().to_owned()),
        }))
    })
    .await?;
    ok(answer)
}
