//! `POST /api/worlds/{id}/time`: speed, step, seek, fork.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use podlab_lab::scenario::Span;
use podlab_sim::Time;
use serde_json::Value;

use super::{Answer, Json, change, ok, status};
use crate::app::App;
use crate::error::ApiError;
use crate::live::Speed;
use crate::workshop::viewer::Viewer;

const REMEDY: &str = "Send exactly one of {\"speed\": 0 | 0.1 to 100 | \"max\"}, {\"step\": \"event\"}, {\"seek\": \"12.5s\"}, {\"fork\": \"12.5s\"}.";

/// An instant: `"12.5s"` since the beginning, or a number of seconds.
fn instant(value: &Value) -> Result<Time, ApiError> {
    let wrong = |e: String| {
        ApiError::bad(e, "Write the time since the beginning: \"12.5s\", \"1m30s\", \"0s\".")
    };
    match value {
        Value::String(text) => Ok(Time::from(Span::parse(text).map_err(wrong)?.0)),
        Value::Number(n) => {
            let seconds = n.as_f64().unwrap_or(-1.0);
            let span = std::time::Duration::try_from_secs_f64(seconds);
            Ok(Time::from(span.map_err(|_| wrong(format!("{n} is not a time")))?))
        }
        other => Err(wrong(format!("{other} is not a time"))),
    }
}

/// `POST /api/worlds/{id}/time`
pub async fn set(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    viewer: Viewer,
    body: Json,
) -> Answer {
    let mut fields = body.fields(&["speed", "step", "seek", "fork"])?.into_iter();
    let (Some((what, value)), None) = (fields.next(), fields.next()) else {
        return Err(ApiError::bad("the body does not have exactly one field", REMEDY));
    };
    match what.as_str() {
        "speed" => {
            let speed = Speed::from_json(&value).map_err(|e| ApiError::bad(e, REMEDY))?;
            ok(change(&app, &id, move |live| live.set_speed(speed).map(|()| status(live))).await?)
        }
        "step" if value == "event" => {
            ok(change(&app, &id, move |live| live.step().map(|()| status(live))).await?)
        }
        "step" => Err(ApiError::bad(format!("step {value} is not known"), REMEDY)),
        "seek" => {
            let at = instant(&value)?;
            ok(change(&app, &id, move |live| live.seek(at).map(|()| status(live))).await?)
        }
        _ => {
            let at = instant(&value)?;
            app.room_for(viewer)?;
            let shared = app.clone();
            let fork = change(&app, &id, move |live| {
                let world = live.fork(at)?;
                shared.adopt(world, Speed::Paused, viewer)
            })
            .await?;
            Ok((StatusCode::CREATED, axum::Json(status(&fork))).into_response())
        }
    }
}
