//! The interpreter: what a program may use up, and what is wrong with it in words.

use std::rc::Rc;

use rhai::{AST, Dynamic, Engine, EvalAltResult, NativeCallContext, Position};

use crate::state::State;
use crate::words;

/// Characters of a string, which is also the largest body and the largest piece of a file.
pub const MAX_TEXT: usize = 1 << 20;
/// Values of an array, names of a map.
const MAX_ITEMS: usize = 1 << 16;
/// Functions inside functions. Each takes some of the 1 MiB of stack that a container has.
const MAX_CALLS: usize = 32;
/// Parentheses inside parentheses, likewise.
const MAX_DEPTH: usize = 48;

/// What a function of the host returns.
pub type Answer<T> = Result<T, Box<EvalAltResult>>;

/// An error that a program can catch; the interpreter adds the place.
pub fn fail<T>(message: impl Into<String>) -> Answer<T> {
    Err(EvalAltResult::ErrorRuntime(message.into().into(), Position::NONE).into())
}

/// Gives an error the place of the call: the interpreter does so itself only where the name has no `::`.
pub trait At {
    /// With the place of `call`, unless it has one.
    #[must_use]
    fn at(self, call: &NativeCallContext<'_>) -> Self;
}

impl<T> At for Answer<T> {
    fn at(self, call: &NativeCallContext<'_>) -> Self {
        self.map_err(|mut error| {
            if error.position().is_none() {
                error.set_position(call.call_position());
            }
            error
        })
    }
}

/// An interpreter that knows our words.
pub fn engine(state: &Rc<State>) -> Engine {
    let mut engine = Engine::new();
    engine
        .set_max_call_levels(MAX_CALLS)
        .set_max_expr_depths(MAX_DEPTH, MAX_DEPTH)
        .set_max_string_size(MAX_TEXT)
        .set_max_array_size(MAX_ITEMS)
        .set_max_map_size(MAX_ITEMS)
        .set_max_functions(1000)
        .set_max_variables(1000)
        .set_max_modules(0)
        .disable_symbol("eval");
    engine.on_print(|text| println!("{text}"));
    engine.on_debug(|text, _, at| eprintln!("{}: {text}", place(at)));
    let counter = state.clone();
    engine.on_progress(move |_| counter.count().err().map(Dynamic::from));
    words::register(&mut engine, state);
    engine
}

/// Reads a program.
///
/// # Errors
/// What is wrong with it, and where.
pub fn compile(engine: &Engine, text: &str) -> Result<AST, Wrong> {
    engine.compile(text).map_err(|e| Wrong { place: place(e.position()), message: e.0.to_string() })
}

/// What is wrong with a program.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where: `3:14`, or `?`.
    pub place: String,
    /// What.
    pub message: String,
}

impl Wrong {
    /// Of an error while it ran: the place is the innermost one, in the function that failed.
    pub fn new(error: &EvalAltResult) -> Wrong {
        let mut inner = error;
        let mut at = error.position();
        while let EvalAltResult::ErrorInFunctionCall(_, _, cause, _) = inner {
            inner = cause;
            at = if inner.position().is_none() { at } else { inner.position() };
        }
        let message = match inner {
            EvalAltResult::ErrorRuntime(value, _) | EvalAltResult::ErrorTerminated(value, _) => {
                value.to_string()
            }
            // The text says the place as well; once is enough.
            other => {
                let text = other.to_string();
                text.rfind(" (line ").map_or(text.clone(), |i| text[..i].to_owned())
            }
        };
        Wrong { place: place(at), message }
    }
}

/// `line:column`.
fn place(at: Position) -> String {
    match (at.line(), at.position()) {
        (Some(line), Some(column)) => format!("{line}:{column}"),
        (Some(line), None) => format!("{line}:1"),
        _ => "?".to_owned(),
    }
}
