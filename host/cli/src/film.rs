//! A recording as one HTML file.

use podlab_export::page::{self, About, PageError};
use podlab_server::routes::pattern_json;
use podlab_sim::Time;
use podlab_wasm::Engine;
use podlab_world::{Images, Recording, replay};
use serde_json::Value;

use crate::embedded;
use crate::problem::Problem;
use crate::replay::cannot;

/// The page with what happened between two instants of a recording.
///
/// # Errors
/// If the recording cannot be run, or that is nothing or too much for one file.
pub fn html(
    engine: &Engine,
    images: &Images,
    recording: &Recording,
    from: Option<Time>,
    until: Option<Time>,
) -> Result<Vec<u8>, Problem> {
    let page = embedded::page();
    let parts = page.parts().ok_or_else(|| {
        Problem::failed(
            "this podlab was built without the page",
            "Run `cargo xtask build`, then use target/podlab.",
        )
    })?;
    let end = until.map_or(recording.end(), |until| until.min(recording.end()));
    let world = replay::replay(engine, images, recording, end).map_err(|e| cannot(&e))?;
    let options = &recording.header.options;
    let about = About {
        world: "recording".into(),
        pattern: options.pattern.clone(),
        seed: options.seed,
        epoch: options.epoch,
        now: end.as_nanos(),
    };
    let from = from.map_or(0, Time::as_nanos);
    let film = page::film(world.trace(), &about, from, end.as_nanos()).map_err(|e| {
        let remedy = match e {
            PageError::Empty => "Choose another --from and --until.",
            PageError::TooLong => "Choose a part of it with --from and --until.",
        };
        Problem::usage(e.to_string(), remedy)
    })?;
    let catalogue = embedded::catalogue(None)?;
    // A pattern that is not shipped has no lesson here; everything else is there.
    let pattern = catalogue.get(&options.pattern).map_or(Value::Null, pattern_json);
    let mut out = Vec::new();
    page::write(&mut out, &parts, &film, &pattern, None)
        .map_err(|e| Problem::failed(e.to_string(), ""))?;
    Ok(out)
}
