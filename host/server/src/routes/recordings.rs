//! `POST /api/recordings`: a recording from a file becomes a world, paused at its end.
//!
//! The file comes from a stranger: it says which programs run, for how long, and what enters
//! them. It gets what any world gets, and a limit of real time in which to be played.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use podlab_sim::Stop;
use podlab_world::{Recording, World, replay};
use serde_json::json;

use super::{Answer, blocking};
use crate::app::{App, TRACE_QUOTA};
use crate::error::ApiError;
use crate::live::Speed;
use crate::workshop::viewer::Viewer;

/// How long playing a recording to its end may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many polls of the executor pass between two looks at the clock.
const BUDGET: u64 = 1 << 16;

const REMEDY: &str = "GET /api/worlds/ID/recording and `podlab record` make recordings.";

/// `POST /api/recordings`
pub async fn open(State(app): State<Arc<App>>, viewer: Viewer, body: Bytes) -> Answer {
    app.room_for(viewer)?;
    let (mut recording, lost) =
        Recording::decode(&body).map_err(|e| ApiError::refused(e.to_string(), REMEDY))?;
    drop(body);
    let quota = &mut recording.header.options.trace_quota;
    *quota = (*quota).min(TRACE_QUOTA);
    // As many at once as there are threads: each of them computes.
    let turn = app.attempts().acquire_owned().await;
    let (live, identical) = blocking(move || {
        let _turn = turn;
        let (world, identical) = play(&app, &recording)?;
        Ok((app.adopt(world, Speed::Paused, viewer)?, identical))
    })
    .await?;
    let location = format!("/api/worlds/{}", live.id());
    let said = json!({ "world": live.status(), "identical": identical, "lostBytes": lost });
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(said)).into_response())
}

/// The world at the end of a recording, and whether it did the same as when it was recorded
/// (`None` if the recording does not tell).
fn play(app: &App, recording: &Recording) -> Result<(World, Option<bool>), ApiError> {
    let cannot = |e: replay::ReplayError| {
        ApiError::refused(
            e.to_string(),
            "Add the image with PUT /api/images/NAME:TAG, or use a recording that carries it.",
        )
    };
    let mut world = replay::begin(app.engine(), &app.images(), recording).map_err(cannot)?;
    let (began, end) = (Instant::now(), recording.end());
    loop {
        match world.run_until(end, BUDGET) {
            Stop::Reached | Stop::Idle => break,
            Stop::Budget if began.elapsed() < PATIENCE => {}
            Stop::Budget => {
                return Err(ApiError::refused(
                    format!(
                        "after {} s the recording had been played up to {} of {end} only",
                        PATIENCE.as_secs(),
                        world.now()
                    ),
                    "Open it with `podlab up --recording FILE`, which waits for as long as it takes.",
                ));
            }
            Stop::Livelock => return Err(cannot(replay::ReplayError::Livelock(world.now()))),
        }
    }
    let entered = recording.inputs.len() as u64;
    let last = recording.marks.last().filter(|m| m.inputs == entered && m.now == end.as_nanos());
    let identical = last.map(|mark| {
        let trace = world.trace();
        trace.last() == mark.last && trace.digest() == mark.digest
    });
    Ok((world, identical))
}
