//! The words of the language that are ours, one module for each kind; README.md is their reference.
//!
//! # Layout
//! - [`process`]: handlers, time, chance, arguments, environment, log lines
//! - [`http`]: requests and answers; [`tcp`]: conversations in text; [`file`]: files; [`json`]

pub mod file;
pub mod http;
pub mod json;
pub mod process;
pub mod tcp;

use std::rc::Rc;
use std::time::Duration;

use rhai::{Dynamic, Engine, FLOAT};

use crate::engine::{Answer, fail};
use crate::state::State;

/// Teaches all of them to an interpreter.
pub fn register(engine: &mut Engine, state: &Rc<State>) {
    process::register(engine, state);
    engine.register_static_module("log", process::log().into());
    engine.register_static_module("http", http::module(state).into());
    engine.register_static_module("file", file::module().into());
    engine.register_static_module("json", json::module().into());
    tcp::register(engine, state);
}

/// A time as programs write it: `"250ms"`, `"5s"`, `1.5` and `2` (seconds).
fn duration(value: &Dynamic) -> Answer<Duration> {
    let seconds = |n: FLOAT| Duration::try_from_secs_f64(n).ok();
    let time = match (value.as_int(), value.as_float(), value.clone().into_immutable_string()) {
        (Ok(n), _, _) => seconds(n as FLOAT),
        (_, Ok(n), _) => seconds(n),
        (_, _, Ok(text)) => podlab_guest::args::duration(&text),
        _ => None,
    };
    // What does not fit a clock is as good as for ever: a hundred years.
    let longest = Duration::from_secs(100 * 365 * 86_400);
    match time {
        Some(time) => Ok(time.min(longest)),
        None => fail(format!("{value:?} is no time such as \"250ms\", \"5s\" or 1.5")),
    }
}

/// A text, or JSON of what is none.
fn text_of(value: &Dynamic) -> Answer<(String, bool)> {
    if value.is_unit() {
        return Ok((String::new(), false));
    }
    match value.is_map() || value.is_array() {
        true => json::print(value).map(|text| (text, true)),
        false => Ok((value.to_string(), false)),
    }
}
