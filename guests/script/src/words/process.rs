//! Handlers, time, chance, arguments, environment, log lines.

use std::fmt::Display;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use rhai::{Array, Dynamic, Engine, FLOAT, FnPtr, INT, Map, Module};

use super::{duration, http};
use crate::engine::{Answer, fail};
use crate::state::State;

/// Timers and hooks that a program may have.
const MAX_HANDLERS: usize = 100;

/// The words that stand alone.
pub fn register(engine: &mut Engine, state: &Rc<State>) {
    let own = state.clone();
    engine.register_fn("on_request", move |handler: FnPtr| {
        *own.on_request.borrow_mut() = Some(handler);
    });
    let own = state.clone();
    engine.register_fn("every", move |time: Dynamic, handler: FnPtr| -> Answer<()> {
        let time = duration(&time)?;
        if time.is_zero() {
            return fail("every: 0 would never rest");
        }
        own.add_timer(time, handler, MAX_HANDLERS).or_else(fail)
    });
    let own = state.clone();
    engine.register_fn("on_stop", move |handler: FnPtr| -> Answer<()> {
        if own.on_stop.borrow().len() >= MAX_HANDLERS {
            return fail("on_stop: there are at most 100 of them");
        }
        own.on_stop.borrow_mut().push(handler);
        Ok(())
    });
    let own = state.clone();
    engine.register_fn("ready", move |ready: bool| own.ready.set(Some(ready)));
    let own = state.clone();
    engine.register_fn("stopping", move || own.stop.raised());
    // One for each type: Rhai has a `sleep` of its own for numbers, which would stop the container.
    let own = state.clone();
    engine.register_fn("sleep", move |time: INT| own.sleep(duration(&time.into())?));
    let own = state.clone();
    engine.register_fn("sleep", move |time: FLOAT| own.sleep(duration(&time.into())?));
    let own = state.clone();
    engine.register_fn("sleep", move |time: &str| own.sleep(duration(&time.into())?));
    engine.register_fn("respond", |status: INT| http::respond(status, Dynamic::UNIT, None));
    engine.register_fn("respond", |status: INT, body: Dynamic| http::respond(status, body, None));
    engine.register_fn("respond", |status: INT, body: Dynamic, headers: Dynamic| {
        http::respond(status, body, Some(headers))
    });
    engine.register_fn("now", || {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() as FLOAT
    });
    let own = state.clone();
    engine.register_fn("uptime", move || own.began.elapsed().as_secs_f64() as FLOAT);
    let own = state.clone();
    engine.register_fn("random", move || (next(&own) >> 11) as FLOAT / (1u64 << 53) as FLOAT);
    let own = state.clone();
    engine.register_fn("random", move |below: INT| match u64::try_from(below) {
        Ok(below) if below > 0 => Ok((next(&own) % below) as INT),
        _ => fail(format!("random({below}): the bound is 1 or more")),
    });
    engine.register_fn("hash", |text: &str| (fnv(text.as_bytes()) >> 1) as INT);
    let own = state.clone();
    engine.register_fn("args", move || -> Array {
        own.args.iter().map(|a| Dynamic::from(a.clone())).collect()
    });
    engine.register_fn("env", |name: &str| std::env::var(name).unwrap_or_default());
    engine.register_fn("env", |name: &str, otherwise: &str| {
        std::env::var(name).unwrap_or_else(|_| otherwise.to_owned())
    });
    engine.register_fn("exit", |code: INT| -> () {
        podlab_guest::program::exit(u8::try_from(code).unwrap_or(1))
    });
}

/// `log::info(event)`, `log::info(event, fields)`, likewise `warn` and `error`.
pub fn log() -> Module {
    type Write = fn(&str, &[(&str, &dyn Display)]);
    let levels: [(&str, Write); 3] = [
        ("info", podlab_guest::log::info),
        ("warn", podlab_guest::log::warn),
        ("error", podlab_guest::log::error),
    ];
    let mut module = Module::new();
    for (level, write) in levels {
        module.set_native_fn(level, move |event: &str| -> Answer<()> {
            write(event, &[]);
            Ok(())
        });
        module.set_native_fn(level, move |event: &str, fields: Map| -> Answer<()> {
            let fields: Vec<(&str, &dyn Display)> =
                fields.iter().map(|(name, value)| (name.as_str(), value as &dyn Display)).collect();
            write(event, &fields);
            Ok(())
        });
    }
    module
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn next(state: &State) -> u64 {
    state.seed.set(state.seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
    let mut z = state.seed.get();
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a, and a step of SplitMix64, without which similar names have similar hashes.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    let z = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 31)
}
