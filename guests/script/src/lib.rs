//! A container whose program is a text: a Rhai script, mounted from a ConfigMap.
//!
//! # Layout
//! - [`engine`]: the interpreter, its bounds, its errors; [`words`]: what a program can say
//! - [`state`]: what a running program has asked for, and whose turn it is

pub mod engine;
pub mod state;
pub mod words;

use std::io::Read;
use std::rc::Rc;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::connections;
use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::runtime::{Flag, sleep, spawn};
use podlab_guest::{log, program};
use rhai::{AST, Dynamic, Engine, FnPtr};

use engine::Wrong;
use state::State;

/// The command line.
pub const SPEC: Spec = Spec {
    name: "script",
    version: env!("CARGO_PKG_VERSION"),
    about: "Runs a Rhai program: script [options] [PROGRAM [ARGUMENT...]], by default /etc/script/main.rhai.",
    options: &[
        opt(
            "listen",
            "ADDR",
            "0.0.0.0:8080",
            "where to serve requests and /healthz; - for nowhere",
        ),
        opt("timeout", "TIME", "5s", "how long an answer may take that the program waits for"),
        opt("operations", "N", "5000000", "how many operations it may do without waiting"),
        opt("check", "", "", "only read the program: 0 if it can be understood, 2 if not"),
    ],
};

/// Where a program is, unless it is said.
const PROGRAM: &str = "/etc/script/main.rhai";
/// Bytes of a program.
const MAX_PROGRAM: u64 = 256 << 10;

/// A program and what it is run by.
struct Script {
    path: String,
    engine: Engine,
    ast: AST,
    state: Rc<State>,
}

/// Runs the program. Ends the process with 2 if it cannot be read or understood, and with 1 if its
/// body fails.
///
/// # Errors
/// A wrong option, a port that is taken, a body that fails.
pub async fn run(mut args: Args, stop: Flag) -> Result<(), String> {
    let mut rest = std::mem::take(&mut args.rest).into_iter();
    let path = rest.next().unwrap_or_else(|| PROGRAM.to_owned());
    let (patience, most) = (args.duration("timeout")?, args.number("operations")?);
    let state = Rc::new(State::new(stop.clone(), patience, rest.collect(), most, seed()));
    let engine = engine::engine(&state);
    let ast = read(&path).and_then(|text| engine::compile(&engine, &text)).unwrap_or_else(|e| {
        wrong("script-wrong", &path, "", &e);
        program::exit(2)
    });
    if args.switch("check") {
        return Ok(());
    }
    let script = Rc::new(Script { path, engine, ast, state });
    let served = serve(&script, &args).await?;
    timers(&script);
    script.body()?;
    let state = &script.state;
    if state.goes_on() {
        if state.ready.get().is_none() {
            state.ready.set(Some(true));
        }
        stop.wait().await;
    }
    if stop.raised() {
        for handler in state.on_stop.take() {
            script.call("on_stop", &handler, ()).await;
        }
        // Whoever was being answered gets the answer.
        served.wait().await;
    }
    Ok(())
}

impl Script {
    /// The program from its first line to its last. What it asks for while it waits is done.
    fn body(&self) -> Result<(), String> {
        match self.engine.run_ast(&self.ast) {
            Err(_) if self.state.ended() => Ok(()),
            Err(error) => {
                let place = Wrong::new(&error);
                wrong("script-failed", &self.path, "body", &place);
                Err(format!("{}:{}: {}", self.path, place.place, place.message))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Runs a handler in its turn; `None` if it failed, which is in the log.
    async fn call(
        &self,
        what: &str,
        handler: &FnPtr,
        args: impl rhai::FuncArgs,
    ) -> Option<Dynamic> {
        let call = || handler.call::<Dynamic>(&self.engine, &self.ast, args);
        match self.state.in_turn(call).await {
            Ok(value) => Some(value),
            Err(error) => {
                wrong("script-failed", &self.path, what, &Wrong::new(&error));
                None
            }
        }
    }

    async fn answer(&self, request: Request) -> Response {
        let handler = self.state.on_request.borrow().clone();
        let ready = self.state.ready.get().unwrap_or(handler.is_some());
        match (request.path.as_str(), handler) {
            ("/healthz", _) => Response::text(200, "ok"),
            ("/readyz", _) if ready => Response::text(200, "ok"),
            ("/readyz", _) => Response::text(503, "not ready"),
            (_, None) => Response::text(404, "the program has not called on_request"),
            (_, Some(handler)) => {
                let value =
                    self.call("on_request", &handler, (words::http::asked(&request),)).await;
                match value.map(words::http::response) {
                    Some(Ok(response)) => response,
                    Some(Err(error)) => {
                        wrong("script-failed", &self.path, "on_request", &Wrong::new(&error));
                        Response::text(500, "the program failed: see its log")
                    }
                    None => Response::text(500, "the program failed: see its log"),
                }
            }
        }
    }
}

/// Does what `every` asks for, also while the body waits.
fn timers(script: &Rc<Script>) {
    let script = script.clone();
    spawn(async move {
        loop {
            for (time, handler) in script.state.new_timers().await {
                let script = script.clone();
                spawn(async move {
                    loop {
                        sleep(time).await;
                        script.call("every", &handler, ()).await;
                    }
                });
            }
        }
    });
}

/// Serves until SIGTERM; the flag is raised when the last request has been answered.
async fn serve(script: &Rc<Script>, args: &Args) -> Result<Flag, String> {
    let done = Flag::default();
    let Some(listener) = connections::listen(args, "listen").await? else {
        done.raise();
        return Ok(done);
    };
    let stop = script.state.stop.clone();
    let (script, raised) = (script.clone(), done.clone());
    let handler: http::Handler = Rc::new(move |request| {
        let script = script.clone();
        Box::pin(async move { script.answer(request).await })
    });
    spawn(async move {
        if let Err(error) = http::serve(listener, handler, Limits::default(), stop).await {
            log::error("serving-failed", &[("error", &error)]);
        }
        raised.raise();
    });
    Ok(done)
}

fn read(path: &str) -> Result<String, Wrong> {
    let wrong = |message: String| Wrong { place: "?".into(), message };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|e| wrong(e.to_string()))?;
    file.take(MAX_PROGRAM + 1).read_to_string(&mut text).map_err(|e| wrong(e.to_string()))?;
    match text.len() as u64 > MAX_PROGRAM {
        true => Err(wrong("the program is larger than 256 KiB".into())),
        false => Ok(text),
    }
}

fn wrong(event: &str, path: &str, what: &str, wrong: &Wrong) {
    let at = format!("{path}:{}", wrong.place);
    match what {
        "" => log::error(event, &[("at", &at), ("error", &wrong.message)]),
        what => log::error(event, &[("at", &at), ("in", &what), ("error", &wrong.message)]),
    }
}

/// Chance comes from the system, once.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
    if let Err(error) = read {
        log::warn("no-randomness", &[("error", &error)]);
    }
    u64::from_le_bytes(bytes)
}
