//! `/api/worlds`: making, showing, breaking and ending worlds.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use podlab_world::{Fault, Input, Outcome};
use serde_json::{Value, json};

use super::{Answer, Json, blocking, change, ok, status};
use crate::app::{App, NewWorld};
use crate::error::ApiError;
use crate::live::Speed;
use crate::workshop::viewer::Viewer;

/// `GET /api/worlds`
pub async fn list(State(app): State<Arc<App>>, viewer: Viewer) -> Answer {
    let worlds = app.worlds();
    let theirs = worlds.iter().filter(|w| app.workshop().is_none_or(|s| s.may(viewer, w.number())));
    let worlds: Vec<Value> = theirs.map(|w| w.status()).collect();
    ok(json!({ "worlds": worlds }))
}

/// `POST /api/worlds`
pub async fn create(State(app): State<Arc<App>>, viewer: Viewer, body: Json) -> Answer {
    let fields = body.fields(&["pattern", "seed", "speed", "epoch"])?;
    let wrong = |message: &str| {
        ApiError::bad(
            message,
            "Write for example {\"pattern\": \"sidecar\", \"seed\": 7, \"speed\": 1}.",
        )
    };
    let pattern = match fields.get("pattern") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(name)) => name.clone(),
        Some(_) => return Err(wrong("`pattern` is not a string")),
    };
    let whole = |name: &str| match fields.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(n) => Ok(Some(n)),
            None => Err(wrong(&format!("`{name}` is not a whole number from 0 up"))),
        },
    };
    let seed = whole("seed")?.unwrap_or(1);
    let epoch = match whole("epoch")? {
        Some(seconds) => {
            let nanos = seconds.checked_mul(1_000_000_000).filter(|n| *n < 1 << 63);
            Some(nanos.ok_or_else(|| wrong("`epoch` (seconds since 1970) is too far ahead"))?)
        }
        None => None,
    };
    let speed = match fields.get("speed") {
        Some(value) => Speed::from_json(value).map_err(|e| wrong(&e))?,
        None => Speed::Rate(1.0),
    };
    let new = NewWorld { pattern, seed, speed, epoch };
    let live = blocking(move || app.create(&new, viewer)).await?;
    let location = format!("/api/worlds/{}", live.id());
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(live.status()))
        .into_response())
}

/// `GET /api/worlds/{id}`
pub async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer {
    ok(app.world(&id)?.status())
}

/// `DELETE /api/worlds/{id}`
pub async fn remove(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer {
    blocking(move || app.delete(&id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /api/worlds/{id}/faults`
pub async fn fault(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Json(body): Json,
) -> Answer {
    let remedy = "Write for example {\"kind\": \"kill\", \"target\": \"default/web/log-saver\"}.";
    let fault = Fault::from_json(body).map_err(|e| ApiError::bad(e, remedy))?;
    let value = change(&app, &id, move |live| match live.input(Input::Fault(fault))? {
        Outcome::Refused(why) => {
            Err(ApiError::refused(why, "GET .../kube/api/v1/pods lists what there is to break."))
        }
        _ => Ok(status(live)),
    })
    .await?;
    ok(value)
}
