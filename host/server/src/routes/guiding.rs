//! `/api/workshop/...`: what the instructor does beyond leading the room: acting in a learner's
//! world, showing something to everybody, giving hints.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::workshop::{learner, text, workshop};
use super::{Answer, Json, blocking, exercises, ok};
use crate::app::App;
use crate::error::ApiError;
use crate::workshop::help::Gift;
use crate::workshop::show::Wanted;
use crate::workshop::viewer::Viewer;

fn switch(fields: &Map<String, Value>, name: &str) -> Result<bool, ApiError> {
    fields.get(name).and_then(Value::as_bool).ok_or_else(|| {
        ApiError::bad(
            format!("`{name}` is neither true nor false"),
            format!("Send {{\"{name}\": true}}."),
        )
    })
}

/// `POST /api/workshop/invite`: a learner lets the instructor act in their worlds, or takes them
/// back.
pub async fn invite(State(app): State<Arc<App>>, viewer: Viewer, body: Json) -> Answer {
    let invited = switch(&body.fields(&["invited"])?, "invited")?;
    let (workshop, seat) = (workshop(&app)?, learner(viewer)?);
    blocking(move || workshop.invite(&app, seat, invited)).await?;
    ok(json!({ "invited": invited }))
}

/// `POST /api/workshop/seats/{seat}/drive`: the instructor takes over, or hands back.
pub async fn drive(State(app): State<Arc<App>>, Path(seat): Path<u32>, body: Json) -> Answer {
    let driven = switch(&body.fields(&["driven"])?, "driven")?;
    let workshop = workshop(&app)?;
    blocking(move || workshop.drive(&app, seat, driven)).await?;
    ok(json!({ "driven": driven }))
}

/// `GET /api/workshop/worlds/{id}`: whose a world is, as the instructor who looks at it needs it.
pub async fn whose(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer {
    let workshop = workshop(&app)?;
    let place = App::number(&id).and_then(|n| workshop.place(n).map(|p| (n, p)));
    ok(workshop.read(|record| {
        let seat = place.as_ref().and_then(|(_, p)| record.seats.get(&p.seat).map(|s| (p.seat, s)));
        let (number, seat) = match seat {
            Some((number, seat)) => (json!(number), Some(seat)),
            None => (Value::Null, None),
        };
        let world = place.as_ref().map(|(n, _)| *n);
        json!({
            "seat": number, "name": seat.map(|s| &s.name),
            "invited": seat.is_some_and(|s| s.invited || s.hand),
            "driven": seat.is_some_and(|s| s.driven),
            "projected": world.is_some() && record.projected.as_ref().map(|p| p.world) == world,
            "moment": record.moment.is_some(),
        })
    }))
}

/// `POST /api/workshop/projector`: a learner's world goes to the wall, or leaves it.
pub async fn project(State(app): State<Arc<App>>, body: Json) -> Answer {
    let fields = body.fields(&["world", "named"])?;
    let named = fields.get("named").is_none_or(|n| n == true);
    let world = match fields.get("world") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(id.as_str()),
        Some(_) => {
            return Err(ApiError::bad(
                "`world` is neither an id nor null",
                "Send {\"world\": \"w3\"} or {\"world\": null}.",
            ));
        }
    };
    let workshop = workshop(&app)?;
    workshop.project(world, named)?;
    ok(json!({ "shown": workshop.projected() }))
}

/// `POST /api/workshop/moment`: shows everybody an instant of a world.
pub async fn show(State(app): State<Arc<App>>, body: Json) -> Answer {
    let fields = body.fields(&["world", "at", "what", "event", "show"])?;
    let workshop = workshop(&app)?;
    let word = |name: &str| {
        fields.get(name).and_then(Value::as_str).map(str::to_owned).unwrap_or_default()
    };
    let wanted = Wanted {
        world: text(&fields, "world")?,
        at: fields.get("at").and_then(Value::as_u64),
        what: word("what"),
        event: fields.get("event").and_then(Value::as_u64),
        show: word("show"),
    };
    ok(json!({ "moment": blocking(move || workshop.show(&app, wanted)).await? }))
}

/// `DELETE /api/workshop/moment`: shows it no more.
pub async fn unshow(State(app): State<Arc<App>>) -> Answer {
    let workshop = workshop(&app)?;
    blocking(move || {
        workshop.unshow(&app);
        Ok(())
    })
    .await?;
    ok(json!({ "moment": null }))
}

/// `POST /api/workshop/give`: a hint or the solution, to one learner or to everybody.
pub async fn give(State(app): State<Arc<App>>, body: Json) -> Answer {
    let fields = body.fields(&["pattern", "exercise", "hints", "solution", "seat"])?;
    let (pattern, slug) = (text(&fields, "pattern")?, text(&fields, "exercise")?);
    let whole = |name: &str| {
        let number = fields.get(name).and_then(Value::as_u64);
        number.and_then(|n| u32::try_from(n).ok())
    };
    let wrong = || {
        ApiError::bad(
            "the body has neither `hints` nor `solution`, or a `seat` that is no number",
            "Send {\"pattern\": \"sidecar\", \"exercise\": \"wrong-port\", \"hints\": 1}, or \"solution\": true; \"seat\": 3 gives it to one learner.",
        )
    };
    let gift = match (fields.get("hints"), fields.get("solution")) {
        (Some(_), None) => Gift::Hints(whole("hints").ok_or_else(wrong)?),
        (None, Some(Value::Bool(true))) => Gift::Solution,
        _ => return Err(wrong()),
    };
    let seat = match fields.get("seat") {
        None | Some(Value::Null) => None,
        Some(_) => Some(whole("seat").ok_or_else(wrong)?),
    };
    let exercise = exercises::find(app.pattern(&pattern)?, &slug)?;
    workshop(&app)?.give(seat, &pattern, &exercise, gift)?;
    ok(json!({}))
}
