//! The engine, and programs it has compiled.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::cli::WasiCli;
use wasmtime_wasi::p2::bindings as wasi;
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::random::WasiRandom;

use crate::bindings::wasi as ours;
use crate::host::errors::{Failing, errors};
use crate::host::polls::{Polling, polls};
use crate::host::{Context, Host, view};

/// No program is larger, in bytes.
pub const MAX_PROGRAM: usize = 64 << 20;

/// What an engine is made with.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// Where compiled code of programs is kept between runs of this process; `None` compiles
    /// every time.
    pub cache_dir: Option<PathBuf>,
    /// Programs compute for nothing, and cannot be stopped while they do: only for measuring
    /// what metering costs.
    pub unmetered: bool,
    /// Compiles for every machine of this kind (a target triple), instead of for this one with all
    /// that its processor has.
    pub portable: Option<String>,
}

/// Compiles and runs programs. One a process; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Arc<Linker<Context>>,
    metered: bool,
}

/// A compiled program. Cheap to clone.
#[derive(Clone)]
pub struct Program {
    pub(crate) pre: CommandPre<Context>,
    pub(crate) engine: wasmtime::Engine,
    pub(crate) metered: bool,
}

/// Why a program cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is too large.
    #[error("the program has {size} bytes; {MAX_PROGRAM} are the most")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// It is not WebAssembly, or broken.
    #[error("this is not a WebAssembly component or module that can run here: {0}")]
    Invalid(String),
    /// It needs something that no world offers.
    #[error("the program imports what a world does not offer: {}", .0.join(", "))]
    Imports(Vec<String>),
    /// It has nothing to run.
    #[error(
        "the program has no `wasi:cli/run`: build it as a command (a `main`), not as a library"
    )]
    NotACommand,
    /// The engine cannot be made.
    #[error("the engine cannot be set up: {0}")]
    Engine(String),
}

impl Engine {
    /// An engine.
    ///
    /// # Errors
    /// If the cache's folder cannot be used.
    pub fn new(options: EngineOptions) -> Result<Engine, LoadError> {
        let broken = |e: wasmtime::Error| LoadError::Engine(format!("{e:#}"));
        let mut config = Config::new();
        config.consume_fuel(!options.unmetered);
        config.cranelift_nan_canonicalization(true);
        config.relaxed_simd_deterministic(true);
        config.wasm_component_model(true);
        config.wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Enable);
        // Thousands of programs: address space and the kernel's map count run out before memory
        // does, so reserve little and guard little.
        config.memory_reservation(1 << 20);
        // A memory that outgrows its place is copied to a new one with this much room: with less,
        // a program that grows page by page would cost the square of its size.
        config.memory_reservation_for_growth(64 << 20);
        config.memory_guard_size(64 << 10);
        config.max_wasm_stack(512 << 10);
        config.async_stack_size(1 << 20);
        if let Some(target) = &options.portable {
            config.target(target).map_err(broken)?;
        }
        if let Some(dir) = options.cache_dir {
            let mut cache = CacheConfig::new();
            cache.with_directory(dir);
            config.cache(Some(Cache::new(cache).map_err(broken)?));
        }
        let engine = wasmtime::Engine::new(&config).map_err(broken)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker).map_err(broken)?;
        Ok(Engine { engine, linker: Arc::new(linker), metered: !options.unmetered })
    }

    /// Compiles a component, or a module of WASI 0.1, which becomes a component first.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(&self, wasm: &[u8]) -> Result<Program, LoadError> {
        let wasm = componentize(wasm)?;
        let component = Component::new(&self.engine, &wasm).map_err(invalid)?;
        self.program(component)
    }

    /// Compiles a program to what [`load_precompiled`](Engine::load_precompiled) takes.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn precompile(&self, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
        self.engine.precompile_component(&componentize(wasm)?).map_err(invalid)
    }

    /// Loads what [`precompile`](Engine::precompile) of the same build made.
    ///
    /// The bytes must come from there: they are machine code. That is why only what is built
    /// into this very binary (and, in tests, lies in the build's own folder) is loaded so, and
    /// nothing a user can hand in.
    ///
    /// # Errors
    /// If another version or configuration of the engine made it.
    #[allow(unsafe_code, reason = "wasmtime cannot check machine code; see the documentation")]
    pub fn load_precompiled(&self, compiled: &[u8]) -> Result<Program, LoadError> {
        // SAFETY: the caller vouches that `precompile` made these bytes.
        let component = unsafe { Component::deserialize(&self.engine, compiled) };
        self.program(component.map_err(invalid)?)
    }

    fn program(&self, component: Component) -> Result<Program, LoadError> {
        let missing = self.missing(&component);
        if !missing.is_empty() {
            return Err(LoadError::Imports(missing));
        }
        // The list names interfaces; only the linker knows each function of each version.
        let pre = self.linker.instantiate_pre(&component);
        let pre = pre.map_err(|e| LoadError::Imports(vec![unmet(&format!("{e:#}"))]))?;
        let pre = CommandPre::new(pre).map_err(|_| LoadError::NotACommand)?;
        Ok(Program { pre, engine: self.engine.clone(), metered: self.metered })
    }

    /// The imports that no world offers, by name.
    fn missing(&self, component: &Component) -> Vec<String> {
        let ty = component.component_type();
        let mut missing = Vec::new();
        for (name, item) in ty.imports(&self.engine) {
            let offered = OFFERED.iter().any(|o| {
                name.split_once('@').map_or(name, |(n, _)| n) == *o
                    && name.split_once('@').is_none_or(|(_, v)| v.starts_with("0.2."))
            });
            let is_type = matches!(item.ty, ComponentItem::Type(_) | ComponentItem::Resource(_));
            if !offered && !is_type {
                missing.push(name.to_owned());
            }
        }
        missing
    }
}

/// Every interface that a world offers.
pub const OFFERED: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Links each interface by its name, so that nothing of the real machine comes in unasked.
fn link(l: &mut Linker<Context>) -> wasmtime::Result<()> {
    ours::clocks::monotonic_clock::add_to_linker::<_, Host>(l, view)?;
    ours::clocks::wall_clock::add_to_linker::<_, Host>(l, view)?;
    ours::filesystem::preopens::add_to_linker::<_, Host>(l, view)?;
    ours::filesystem::types::add_to_linker::<_, Host>(l, view)?;
    let unstable = ours::sockets::network::LinkOptions::default();
    ours::sockets::network::add_to_linker::<_, Host>(l, &unstable, view)?;
    ours::sockets::instance_network::add_to_linker::<_, Host>(l, view)?;
    ours::sockets::ip_name_lookup::add_to_linker::<_, Host>(l, view)?;
    ours::sockets::tcp::add_to_linker::<_, Host>(l, view)?;
    ours::sockets::tcp_create_socket::add_to_linker::<_, Host>(l, view)?;
    ours::sockets::udp::add_to_linker::<_, Host>(l, view)?;
    ours::sockets::udp_create_socket::add_to_linker::<_, Host>(l, view)?;

    fn table(context: &mut Context) -> &mut ResourceTable {
        &mut context.table
    }
    wasi::io::error::add_to_linker::<_, Failing>(l, errors)?;
    wasi::io::poll::add_to_linker::<_, Polling>(l, polls)?;
    wasi::io::streams::add_to_linker::<_, HasSelf<ResourceTable>>(l, table)?;

    fn cli(context: &mut Context) -> wasmtime_wasi::cli::WasiCliCtxView<'_> {
        wasmtime_wasi::cli::WasiCliView::cli(context)
    }
    wasi::cli::environment::add_to_linker::<_, WasiCli>(l, cli)?;
    wasi::cli::exit::add_to_linker::<_, WasiCli>(l, cli)?;
    wasi::cli::stdin::add_to_linker::<_, WasiCli>(l, cli)?;
    wasi::cli::stdout::add_to_linker::<_, WasiCli>(l, cli)?;
    wasi::cli::stderr::add_to_linker::<_, WasiCli>(l, cli)?;
    wasi::cli::terminal_input::add_to_linker::<_, WasiCli>(l, cli)?;
    wasi::cli::terminal_output::add_to_linker::<_, WasiCli>(l, cli)?;
    wasi::cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, cli)?;
    wasi::cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, cli)?;
    wasi::cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, cli)?;

    fn random(context: &mut Context) -> &mut wasmtime_wasi::random::WasiRandomCtx {
        context.ctx().ctx.random()
    }
    wasi::random::random::add_to_linker::<_, WasiRandom>(l, random)?;
    wasi::random::insecure::add_to_linker::<_, WasiRandom>(l, random)?;
    wasi::random::insecure_seed::add_to_linker::<_, WasiRandom>(l, random)?;
    Ok(())
}

/// The import that the linker could not meet, as `wasi:cli/environment@0.2.0#get-arguments` where
/// it says so much, and its own words.
fn unmet(words: &str) -> String {
    let quoted = |after: &str| {
        let rest = &words[words.find(after)? + after.len()..];
        rest.split('`').nth(1).map(str::to_owned)
    };
    match (quoted("imports instance"), quoted("instance export")) {
        (Some(interface), Some(item)) => format!("{interface}#{item} ({words})"),
        (Some(name), None) => format!("{name} ({words})"),
        _ => words.to_owned(),
    }
}

fn invalid(error: wasmtime::Error) -> LoadError {
    LoadError::Invalid(format!("{error:#}"))
}

/// A component as it is; a module of WASI 0.1 with the adapter around it.
fn componentize(wasm: &[u8]) -> Result<std::borrow::Cow<'_, [u8]>, LoadError> {
    if wasm.len() > MAX_PROGRAM {
        return Err(LoadError::TooLarge { size: wasm.len() });
    }
    // The fourth to eighth byte: version 1 is a module; a component has layer 1.
    if wasm.get(..4) != Some(b"\0asm") {
        return Err(LoadError::Invalid("it does not begin with \\0asm".into()));
    }
    if wasm.get(4..8) != Some(&[1, 0, 0, 0]) {
        return Ok(wasm.into());
    }
    let adapter = wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;
    let encode = || -> wit_component_result::Result<Vec<u8>> {
        wit_component::ComponentEncoder::default()
            .module(wasm)?
            .adapter("wasi_snapshot_preview1", adapter)?
            .validate(true)
            .encode()
    };
    encode().map(Into::into).map_err(|e| LoadError::Invalid(format!("{e:#}")))
}

mod wit_component_result {
    pub(super) use anyhow::Result;
}
