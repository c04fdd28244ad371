//! `/api/worlds/{id}/export/{format}`: a trace in other people's formats, and as one HTML file.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::Response;
use podlab_export::har::Har;
use podlab_export::otlp::Otlp;
use podlab_export::page::{self, About, PageError};
use podlab_export::pcapng::Pcapng;
use podlab_lab::scenario::Span;
use podlab_sim::Time;
use podlab_trace::{Event, Trace};
use serde_json::Value;

use super::trace::event_json;
use super::{Answer, blocking, patterns};
use crate::app::App;
use crate::error::ApiError;

/// Events are read from the trace in runs of this many.
const RUN: usize = 4096;

/// What is asked for, by the ending of the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Html,
    JsonLines,
    Pcapng,
    Har,
    Otlp,
}

impl Format {
    const ALL: [(&'static str, Format, &'static str, &'static str); 5] = [
        ("html", Format::Html, "html", "text/html; charset=utf-8"),
        ("jsonl", Format::JsonLines, "jsonl", "application/jsonl"),
        ("pcapng", Format::Pcapng, "pcapng", "application/x-pcapng"),
        ("har", Format::Har, "har", "application/json"),
        ("otlp", Format::Otlp, "otlp.json", "application/json"),
    ];
}

/// `GET /api/worlds/{id}/export/{format}?from=SPAN&until=SPAN&at=SPAN`
pub async fn download(
    State(app): State<Arc<App>>,
    Path((id, format)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    let Some((_, format, ending, kind)) = Format::ALL.into_iter().find(|f| f.0 == format) else {
        let known = Format::ALL.map(|f| f.0).join(", ");
        return Err(ApiError::not_found(
            format!("there is no format {format:?}"),
            format!("There are: {known}."),
        ));
    };
    let from = instant(&query, "from")?.unwrap_or(0);
    let until = instant(&query, "until")?.unwrap_or(u64::MAX);
    let at = instant(&query, "at")?;
    let live = app.world(&id)?;
    let view = live.view();
    let about = About {
        world: id.clone(),
        pattern: live.pattern().to_owned(),
        seed: live.seed(),
        epoch: live.epoch(),
        now: view.now(),
    };
    // Each of these holds a whole trace in memory for a moment.
    let turn = app.attempts().acquire_owned().await;
    let bytes = blocking(move || {
        let _turn = turn;
        match format {
            Format::Html => html(&app, &view.trace, &about, from, until, at),
            _ => file(format, &view.trace, about.epoch, from, until),
        }
    })
    .await?;
    Response::builder()
        .header(header::CONTENT_TYPE, kind)
        .header(
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"podlab-{id}.{ending}\""),
        )
        .body(Body::from(bytes))
        .map_err(|e| ApiError::internal(e.to_string()))
}

fn instant(query: &[(String, String)], name: &str) -> Result<Option<u64>, ApiError> {
    let Some((_, text)) = query.iter().find(|(k, _)| k == name) else { return Ok(None) };
    let span = Span::parse(text).map_err(|e| {
        ApiError::bad(
            format!("{name}={text:?}: {e}"),
            format!("Write the time since the beginning: {name}=12.5s."),
        )
    })?;
    Ok(Some(Time::from(span.0).as_nanos()))
}

fn html(
    app: &App,
    trace: &Trace,
    about: &About,
    from: u64,
    until: u64,
    at: Option<u64>,
) -> Result<Vec<u8>, ApiError> {
    let parts = app.assets().parts().ok_or_else(|| {
        ApiError::new(
            axum::http::StatusCode::SERVICE_UNAVAILABLE,
            "NoPage",
            "this podlab was built without the page",
            "Run `cargo xtask build`, then start target/podlab.",
        )
    })?;
    let film = page::film(trace, about, from, until).map_err(|e| {
        let remedy = match e {
            PageError::Empty => "Let the world run, or ask for another time.",
            PageError::TooLong => "Ask for a part of it: ?from=60s&until=120s.",
        };
        ApiError::refused(e.to_string(), remedy)
    })?;
    // Without its pattern a trace has no lesson; everything else is there.
    let pattern = app.pattern(&about.pattern).map_or(Value::Null, patterns::told);
    let mut out = Vec::new();
    page::write(&mut out, &parts, &film, &pattern, at)
        .map_err(|e| ApiError::internal(e.to_string()))?;
    Ok(out)
}

fn file(
    format: Format,
    trace: &Trace,
    epoch: u64,
    from: u64,
    until: u64,
) -> Result<Vec<u8>, ApiError> {
    let internal = |e: std::io::Error| ApiError::internal(e.to_string());
    match format {
        Format::Pcapng => {
            let mut out = Pcapng::new(Vec::new(), epoch).map_err(internal)?;
            each(trace, until, |e| out.take(e, e.at >= from).map_err(internal))?;
            out.finish().map_err(internal)
        }
        Format::Har => {
            let mut har = Har::new(epoch);
            each(trace, until, |e| {
                har.take(e, e.at >= from);
                Ok(())
            })?;
            Ok(har.finish().to_string().into_bytes())
        }
        Format::Otlp => {
            let mut otlp = Otlp::new(epoch);
            each(trace, until, |e| {
                otlp.take(e, e.at >= from);
                Ok(())
            })?;
            Ok(otlp.finish().to_string().into_bytes())
        }
        Format::JsonLines | Format::Html => {
            let mut out = String::new();
            each(trace, until, |e| {
                if e.at >= from {
                    out.push_str(&event_json(e).to_string());
                    out.push('\n');
                }
                Ok(())
            })?;
            Ok(out.into_bytes())
        }
    }
}

/// Shows the events that are kept, up to an instant, one after the other.
fn each(
    trace: &Trace,
    until: u64,
    mut look: impl FnMut(&Event) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let (mut next, last) = (trace.first(), trace.last());
    while next <= last {
        let events = trace.read(next, RUN);
        let Some(newest) = events.last() else { break };
        next = newest.seq + 1;
        for event in events.iter().take_while(|e| e.at <= until && e.seq <= last) {
            look(event)?;
        }
        if newest.at > until {
            break;
        }
    }
    Ok(())
}
