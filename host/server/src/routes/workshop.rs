//! `/api/workshop`: joining, what a learner sees and does, and the instructor's board.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Extension, FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::{Answer, Json, blocking, number, ok};
use crate::app::App;
use crate::error::ApiError;
use crate::workshop::Workshop;
use crate::workshop::gate::no_seat;
use crate::workshop::progress::Deed;
use crate::workshop::seats::{Entry, Joined};
use crate::workshop::viewer::{Shown, Viewer, cookie, no_cookie};

/// How long a page is kept waiting for a change.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often those who wait for a seat are counted anew.
const GLANCE: Duration = Duration::from_secs(2);

/// Where a request comes from.
pub struct From(IpAddr);

impl<S: Sync> FromRequestParts<S> for From {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<From, Self::Rejection> {
        // Without an address all are one: a test, or a transport that has none.
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip());
        Ok(From(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

pub(super) fn workshop(app: &App) -> Result<Arc<Workshop>, ApiError> {
    app.workshop().cloned().ok_or_else(|| {
        ApiError::not_found("no workshop is held here", "Start one: podlab workshop.")
    })
}

pub(super) fn learner(viewer: Viewer) -> Result<u32, ApiError> {
    match viewer {
        Viewer::Learner(seat) => Ok(seat),
        _ => Err(ApiError::conflict(
            "only a learner can do this",
            "Open a private window and join with the code.",
        )),
    }
}

pub(super) fn text(fields: &Map<String, Value>, name: &str) -> Result<String, ApiError> {
    let value = fields.get(name).and_then(Value::as_str);
    value.map(str::to_owned).ok_or_else(|| {
        ApiError::bad(format!("`{name}` is missing, or not a string"), "Send it as a string.")
    })
}

/// `GET /api/workshop`: whether there is a workshop, and who one is in it.
pub async fn about(State(app): State<Arc<App>>, viewer: Viewer) -> Answer {
    let role = match viewer {
        Viewer::Owner => "owner",
        Viewer::Instructor => "instructor",
        Viewer::Learner(_) => "learner",
        Viewer::Waiting(_) => "waiting",
        Viewer::Nobody => "nobody",
    };
    let title = app.workshop().map(|w| w.rules().plan.title.clone());
    ok(json!({ "workshop": app.workshop().is_some(), "role": role, "title": title }))
}

/// What somebody who comes in is told; the capability is for their browser only.
async fn welcome(app: Arc<App>, joined: Joined) -> Answer {
    let seat = joined.seat;
    let tls = workshop(&app)?.speaks_tls();
    let world = blocking(move || app.home(seat)).await;
    // The seat is theirs even if there is no world yet: the page asks for one again.
    let world = world.map_err(|e| e.message);
    let body = json!({
        "seat": seat, "name": joined.name, "word": joined.word,
        "world": world.as_ref().ok(), "problem": world.as_ref().err(),
    });
    Ok((
        StatusCode::CREATED,
        [(header::SET_COOKIE, cookie(&joined.capability, tls))],
        axum::Json(body),
    )
        .into_response())
}

/// `POST /api/workshop/join`
pub async fn join(State(app): State<Arc<App>>, from: From, body: Json) -> Answer {
    let fields = body.fields(&["code", "name"])?;
    let (code, name) = (text(&fields, "code")?, text(&fields, "name")?);
    match workshop(&app)?.join(from.0, &code, &name, app.worlds_left())? {
        Entry::Seated(joined) => welcome(app, joined).await,
        Entry::Waiting { name, capability } => {
            let body = json!({ "waiting": true, "name": name });
            let tls = app.workshop().is_some_and(|w| w.speaks_tls());
            let cookie = [(header::SET_COOKIE, cookie(&capability, tls))];
            Ok((StatusCode::ACCEPTED, cookie, axum::Json(body)).into_response())
        }
    }
}

fn waiting(viewer: Viewer) -> Result<u32, ApiError> {
    match viewer {
        Viewer::Waiting(ticket) => Ok(ticket),
        _ => Err(no_seat()),
    }
}

/// `GET /api/workshop/queue`: how far one who waits has come; with `after` (the place one knows),
/// as soon as that changes.
pub async fn queue(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    let (workshop, ticket) = (workshop(&app)?, waiting(viewer)?);
    let known = number(&query, "after", 0)?;
    let mut changes = workshop.changes();
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        changes.mark_unchanged();
        let view = workshop.waiting(ticket, app.worlds_left())?;
        let news = view["ready"] == true || view["place"].as_u64() != Some(known);
        if news || tokio::time::Instant::now() >= until {
            return ok(view);
        }
        // Who has gone tells nobody: those ahead are counted anew now and then.
        let _ = tokio::time::timeout(GLANCE, changes.changed()).await;
    }
}

/// `POST /api/workshop/seat`: takes the seat that is free for one who has waited.
pub async fn sit_down(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    shown: Option<Extension<Shown>>,
) -> Answer {
    let ticket = waiting(viewer)?;
    let Extension(Shown(capability)) = shown.ok_or_else(no_seat)?;
    let joined = workshop(&app)?.sit_down(ticket, capability, app.worlds_left())?;
    welcome(app, joined).await
}

/// `POST /api/workshop/kubeconfig`: the path by which kubectl reaches a world of one's own, told
/// this once.
pub async fn kubeconfig(State(app): State<Arc<App>>, viewer: Viewer, body: Json) -> Answer {
    let fields = body.fields(&["world"])?;
    let id = text(&fields, "world")?;
    let world = App::number(&id).ok_or_else(|| App::no_world(&id))?;
    let workshop = workshop(&app)?;
    let key = workshop.kube_key(learner(viewer)?, world)?;
    let path = format!("/api/worlds/{id}/as/{key}/kube");
    let trust = workshop.rules().certificate.as_ref();
    let trust = trust.map(|pem| base64::engine::general_purpose::STANDARD.encode(pem));
    let told = json!({ "world": id, "path": path, "certificate": trust });
    Ok((StatusCode::CREATED, axum::Json(told)).into_response())
}

/// `POST /api/workshop/return`
pub async fn come_back(State(app): State<Arc<App>>, from: From, body: Json) -> Answer {
    let fields = body.fields(&["name", "word"])?;
    let (name, word) = (text(&fields, "name")?, text(&fields, "word")?);
    let joined = workshop(&app)?.come_back(from.0, &name, &word)?;
    welcome(app, joined).await
}

/// `POST /api/workshop/instructor`
pub async fn instruct(State(app): State<Arc<App>>, from: From, body: Json) -> Answer {
    let fields = body.fields(&["secret"])?;
    let workshop = workshop(&app)?;
    let secret = workshop.instruct(from.0, &text(&fields, "secret")?)?;
    let cookie = cookie(&secret, workshop.speaks_tls());
    Ok(([(header::SET_COOKIE, cookie)], axum::Json(json!({ "role": "instructor" })))
        .into_response())
}

/// `POST /api/workshop/leave`: this browser forgets its seat; the seat stays.
pub async fn leave(State(app): State<Arc<App>>, viewer: Viewer) -> Answer {
    if let (Some(workshop), Viewer::Waiting(ticket)) = (app.workshop(), viewer) {
        workshop.give_up(ticket);
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, no_cookie())]).into_response())
}

/// `GET /api/workshop/me`: what a learner sees; with `after`, as soon as it is newer than that.
pub async fn me(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    let (workshop, seat) = (workshop(&app)?, learner(viewer)?);
    let after = number(&query, "after", 0)?;
    let mut changes = workshop.changes();
    // What others do changes nothing here: only a different view ends the waiting.
    let before = workshop.learner(seat)?;
    if *changes.borrow_and_update() == after {
        // A time-out is no error: the page hears that nothing has changed.
        let waiting = async {
            while changes.changed().await.is_ok() {
                if workshop.learner(seat).as_ref() != Ok(&before) {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(PATIENCE, waiting).await;
    }
    let version = *changes.borrow();
    let mut view = workshop.learner(seat)?;
    view["version"] = json!(version);
    ok(view)
}

/// `POST /api/workshop/home`: the world a learner comes into; it is made if there is none.
pub async fn home(State(app): State<Arc<App>>, viewer: Viewer) -> Answer {
    let seat = learner(viewer)?;
    let world = blocking(move || app.home(seat)).await?;
    ok(json!({ "world": world }))
}

/// `POST /api/workshop/hand`
pub async fn hand(State(app): State<Arc<App>>, viewer: Viewer, body: Json) -> Answer {
    let fields = body.fields(&["raised"])?;
    let raised = fields.get("raised").and_then(Value::as_bool);
    let raised = raised.ok_or_else(|| {
        ApiError::bad("`raised` is neither true nor false", "Send {\"raised\": true}.")
    })?;
    workshop(&app)?.raise(learner(viewer)?, raised)?;
    ok(json!({ "raised": raised }))
}

/// `POST /api/workshop/answer`
pub async fn answer(State(app): State<Arc<App>>, viewer: Viewer, body: Json) -> Answer {
    let fields = body.fields(&["section", "answer"])?;
    let picked = fields.get("answer").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    workshop(&app)?.answer(learner(viewer)?, &text(&fields, "section")?, picked.unwrap_or(0))?;
    ok(json!({ "answer": picked }))
}

/// `POST /api/workshop/hints`: how many hints of an exercise are open.
pub async fn hints(State(app): State<Arc<App>>, viewer: Viewer, body: Json) -> Answer {
    let fields = body.fields(&["pattern", "exercise", "hints"])?;
    let (pattern, exercise) = (text(&fields, "pattern")?, text(&fields, "exercise")?);
    let there =
        app.pattern(&pattern)?.files.contains_key(&format!("exercises/{exercise}/exercise.yaml"));
    if !there {
        return Err(ApiError::not_found(
            format!("the pattern {pattern} has no exercise {exercise:?}"),
            format!("GET /api/patterns/{pattern}/exercises lists them."),
        ));
    }
    let hints = fields.get("hints").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    workshop(&app)?.hints(learner(viewer)?, &pattern, &exercise, hints.unwrap_or(0))?;
    ok(json!({ "hints": hints }))
}

/// `GET /api/workshop/board`
pub async fn board(State(app): State<Arc<App>>) -> Answer {
    let workshop = workshop(&app)?;
    // Looking at many worlds may wait for some of them.
    ok(blocking(move || Ok(workshop.board(&app))).await?)
}

/// `POST /api/workshop/board`: section, pause, message or reveal.
pub async fn lead(State(app): State<Arc<App>>, body: Json) -> Answer {
    let workshop = workshop(&app)?;
    let mut fields = body.fields(&["section", "paused", "message", "reveal"])?.into_iter();
    let wrong = || {
        ApiError::bad(
            "the body does not have exactly one field of the right kind",
            "Send one of {\"section\": 2}, {\"paused\": true}, {\"message\": \"...\"}, {\"reveal\": true}.",
        )
    };
    let (Some((what, value)), None) = (fields.next(), fields.next()) else { return Err(wrong()) };
    let deed = match (what.as_str(), &value) {
        ("section", Value::Number(n)) => {
            let n = n.as_u64().and_then(|n| n.checked_sub(1)).ok_or_else(wrong)?;
            Deed::Section(usize::try_from(n).unwrap_or(usize::MAX))
        }
        ("paused", Value::Bool(paused)) => Deed::Pause(*paused),
        ("message", Value::String(text)) => Deed::Message(text.clone()),
        ("reveal", Value::Bool(shown)) => Deed::Reveal(*shown),
        _ => return Err(wrong()),
    };
    blocking(move || workshop.lead(&app, deed)).await?;
    ok(json!({}))
}

/// `POST /api/workshop/seats/{seat}/word`: a new recovery word.
pub async fn word(State(app): State<Arc<App>>, Path(seat): Path<u32>) -> Answer {
    ok(json!({ "word": workshop(&app)?.new_word(seat)? }))
}

/// `POST /api/workshop/seats/{seat}/lower`: the hand of a learner who was looked after.
pub async fn lower(State(app): State<Arc<App>>, Path(seat): Path<u32>) -> Answer {
    workshop(&app)?.raise(seat, false)?;
    ok(json!({ "raised": false }))
}

/// `DELETE /api/workshop/seats/{seat}`: the seat is free again, its worlds end.
pub async fn free(State(app): State<Arc<App>>, Path(seat): Path<u32>) -> Answer {
    let theirs = workshop(&app)?.free(seat)?;
    blocking(move || {
        for number in theirs {
            let id = format!("w{number}");
            // Those on disk are not here.
            if app.delete(&id).is_err() {
                app.discard(&id);
            }
        }
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /api/workshop/projector`: what is thrown at the wall.
pub async fn projector(State(app): State<Arc<App>>) -> Answer {
    let workshop = workshop(&app)?;
    let link = workshop.join_link();
    let picture =
        qrcode::QrCode::new(link.as_bytes()).map_err(|e| ApiError::internal(e.to_string()))?;
    let modules: Vec<String> = picture
        .to_colors()
        .chunks(picture.width())
        .map(|row| row.iter().map(|c| c.select('1', '0')).collect())
        .collect();
    let rules = workshop.rules();
    ok(json!({
        "title": rules.plan.title, "address": rules.address, "code": workshop.code(),
        "link": link, "qr": modules, "shown": workshop.projected(),
    }))
}

/// `GET /api/workshop/results`: as JSON, or as CSV with `format=csv`; without names with `names=0`.
pub async fn results(
    State(app): State<Arc<App>>,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    let named = number(&query, "names", 1)? != 0;
    let results = workshop(&app)?.results(named);
    if !query.iter().any(|(k, v)| k == "format" && v == "csv") {
        return ok(json!({ "results": results }));
    }
    const FIELDS: [&str; 10] = [
        "seat",
        "name",
        "section",
        "kind",
        "solved",
        "failedAttempts",
        "hints",
        "seconds",
        "answer",
        "right",
    ];
    let mut out = FIELDS.join(",") + "\r\n";
    for line in &results {
        let cells: Vec<String> = FIELDS.iter().map(|f| cell(&line[*f])).collect();
        out += &cells.join(",");
        out += "\r\n";
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"workshop.csv\""),
    ];
    Ok((headers, out).into_response())
}

/// A cell of a CSV file (RFC 4180). A name that begins like a formula is not one to a
/// spreadsheet.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text };
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// `GET /metrics`, as Prometheus reads it.
pub async fn metrics(State(app): State<Arc<App>>) -> Answer {
    let worlds = app.worlds();
    let count = |f: &dyn Fn(&Value) -> bool| worlds.iter().filter(|w| f(&w.status())).count();
    let (seats, owned) = match app.workshop() {
        Some(w) => w.read(|r| (r.seats.len(), r.worlds.len())),
        None => (0, worlds.len()),
    };
    let waiting = app.workshop().map_or(0, |w| w.queue_length());
    let rows = [
        ("podlab_worlds", "Worlds that are in memory.", worlds.len()),
        (
            "podlab_worlds_parked",
            "Worlds that are on disk only.",
            owned.saturating_sub(worlds.len()),
        ),
        (
            "podlab_worlds_lagging",
            "Worlds whose clock cannot keep up.",
            count(&|s| s["lagging"] == true),
        ),
        ("podlab_worlds_dead", "Worlds that cannot go on.", count(&|s| s["dead"] == true)),
        ("podlab_streams", "Streams, watches and followed logs that are open.", app.streams()),
        ("podlab_learners", "Seats that are taken.", seats),
        ("podlab_learners_waiting", "Learners who wait for a seat.", waiting),
    ];
    let mut out = String::new();
    for (name, help, value) in rows {
        out += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], out).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_more_than_one_cell() {
        for (value, expected) in [
            (json!(null), ""),
            (json!(3), "3"),
            (json!("Anna"), "Anna"),
            (json!("a,b"), "\"a,b\""),
            (json!("say \"hi\"\n"), "\"say \"\"hi\"\"\n\""),
            (json!("=1+1"), "'=1+1"),
        ] {
            assert_eq!(cell(&value), expected);
        }
    }
}
