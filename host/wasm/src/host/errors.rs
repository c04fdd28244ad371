//! What programs are told of a stream's error: its text, and nothing of the machine. wasmtime's
//! own answer has the host's stack in it where `RUST_BACKTRACE` is set, which no replay repeats.

use wasmtime::Result;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::io::error::{Error, Host, HostError};

use super::Context;

/// Names [`Errors`] for the generated code.
pub struct Failing;

impl HasData for Failing {
    type Data<'a> = Errors<'a>;
}

/// The part of a context that has errors.
pub struct Errors<'a>(&'a mut ResourceTable);

/// The part of a context that has errors.
pub fn errors(context: &mut Context) -> Errors<'_> {
    Errors(&mut context.table)
}

impl Host for Errors<'_> {}

impl HostError for Errors<'_> {
    fn to_debug_string(&mut self, error: Resource<Error>) -> Result<String> {
        Ok(format!("{:#}", self.0.get(&error)?))
    }

    fn drop(&mut self, error: Resource<Error>) -> Result<()> {
        self.0.delete(error)?;
        Ok(())
    }
}
