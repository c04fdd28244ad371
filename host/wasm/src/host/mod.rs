//! WASI as a world offers it: each interface over `sim`, `net` and `fs`.

pub mod clocks;
pub mod errors;
pub mod files;
pub mod polls;
pub mod sockets;
pub mod stdio;
pub mod tcp;
pub mod udp;

use podlab_fs::Mounts;
use podlab_net::Stack;
use podlab_sim::Handle;
use wasmtime::component::{HasData, ResourceTable, ResourceTableError};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::metering::Meter;

/// How many resources (sockets, streams, files, pollables) one program may hold.
pub const MAX_HANDLES: usize = 16_384;

/// What the store of a program holds.
pub struct Context {
    pub(crate) sim: Handle,
    pub(crate) stack: Stack,
    pub(crate) mounts: Mounts,
    pub(crate) wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) meter: Meter,
    /// How far the wall clock of the program is ahead, in ns.
    pub(crate) skew: std::sync::Arc<std::sync::atomic::AtomicI64>,
    pub(crate) limits: crate::limits::Limits,
}

impl WasiView for Context {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// What the host functions of a world see of a [`Context`].
pub struct View<'a> {
    pub(crate) sim: &'a Handle,
    pub(crate) stack: &'a Stack,
    pub(crate) mounts: &'a Mounts,
    pub(crate) meter: &'a Meter,
    pub(crate) skew: i64,
    pub(crate) table: &'a mut ResourceTable,
}

/// Names [`View`] for the generated code.
pub struct Host;

impl HasData for Host {
    type Data<'a> = View<'a>;
}

/// The view of a context.
pub fn view(context: &mut Context) -> View<'_> {
    View {
        sim: &context.sim,
        stack: &context.stack,
        mounts: &context.mounts,
        meter: &context.meter,
        skew: context.skew.load(std::sync::atomic::Ordering::Relaxed),
        table: &mut context.table,
    }
}

/// Why a host function failed: with an error that the program sees, or by ending the program.
#[derive(Debug)]
pub enum Fail<Code> {
    /// The program is told.
    Code(Code),
    /// The program is ended.
    Trap(wasmtime::Error),
}

impl<Code> Fail<Code> {
    pub(crate) fn code(self) -> wasmtime::Result<Code> {
        match self {
            Fail::Code(code) => Ok(code),
            Fail::Trap(error) => Err(error),
        }
    }
}

impl<Code> From<ResourceTableError> for Fail<Code> {
    fn from(error: ResourceTableError) -> Self {
        Fail::Trap(handles(error))
    }
}

/// A full table is the program's doing, so it is said in words that help.
pub(crate) fn handles(error: ResourceTableError) -> wasmtime::Error {
    match error {
        ResourceTableError::Full => wasmtime::Error::msg(format!(
            "the program holds {MAX_HANDLES} handles (sockets, streams, files, pollables) and asked for one more: it leaks them"
        )),
        other => other.into(),
    }
}
