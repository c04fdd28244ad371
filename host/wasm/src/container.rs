//! A program at work: one run of a container, or one command executed in it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use podlab_fs::{Mounts, SignalQueue};
use podlab_net::Stack;
use podlab_sim::cpu::Account;
use podlab_sim::sync::Signal;
use podlab_sim::{Handle, Rng, Task};
use podlab_trace::{Kind, PlaceId, Stream, Trace};
use wasmtime::component::ResourceTable;
use wasmtime::{Store, Trap, WasmBacktrace};
use wasmtime_wasi::cli::IsTerminal as _;
use wasmtime_wasi::{I32Exit, WasiCtx};

use crate::engine::Program;
use crate::host::stdio::{Output, Sink, Stdin};
use crate::host::{Context, MAX_HANDLES};
use crate::limits::{Limits, OutOfMemory};
use crate::metering::Meter;

/// What a program is started with.
pub struct ContainerSpec {
    /// Where its events happen.
    pub place: PlaceId,
    /// The program.
    pub program: Program,
    /// The name of its image, for the trace.
    pub image: String,
    /// Its arguments; the first is its own name.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// Its network.
    pub stack: Stack,
    /// Its files.
    pub mounts: Mounts,
    /// Its signals, which `mounts` offers as `/dev/signals`.
    pub signals: SignalQueue,
    /// Who pays for its computing.
    pub cpu: Account,
    /// Fuel between two payments at most: [`podlab_sim::cpu::Cpu::fuel_per_quantum`].
    pub quantum: u64,
    /// The most memory it takes, in bytes.
    pub memory_limit: Option<u64>,
    /// Its randomness.
    pub rng: Rng,
    /// How often its container was started before.
    pub run: u32,
    /// Whether this is a container's main program: its start, end and lines are events. Commands
    /// executed in a container are not.
    pub main: bool,
    /// Its standard input.
    pub stdin: Stdin,
    /// Takes what it writes.
    pub output: Sink,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code; 128 + n for a signal.
    pub code: i32,
    /// "Completed", "Error", "OOMKilled", "ContainerCannotRun".
    pub reason: String,
    /// What went wrong, with a backtrace of the program.
    pub message: String,
}

/// A program at work. Dropping this does not end it.
#[derive(Clone)]
pub struct Container {
    shared: Arc<Shared>,
}

struct Shared {
    sim: Handle,
    trace: Trace,
    place: PlaceId,
    run: u32,
    main: bool,
    stack: Stack,
    signals: SignalQueue,
    cpu: Account,
    memory: Arc<AtomicU64>,
    skew: Arc<AtomicI64>,
    outputs: [Output; 2],
    exit: Mutex<Option<Exit>>,
    ended: Signal,
    task: Mutex<Option<Task>>,
}

/// Starts a program.
pub fn start(sim: &Handle, trace: &Trace, spec: ContainerSpec) -> Container {
    let ContainerSpec { place, run, main, .. } = spec;
    let memory = Arc::new(AtomicU64::new(0));
    let terminal = spec.stdin.is_terminal();
    let output =
        |stream| Output::new(sim, trace, place, stream, spec.output.clone(), main, terminal);
    let shared = Arc::new(Shared {
        sim: sim.clone(),
        trace: trace.clone(),
        place,
        run,
        main,
        stack: spec.stack.clone(),
        signals: spec.signals.clone(),
        cpu: spec.cpu.clone(),
        memory: memory.clone(),
        skew: Arc::default(),
        outputs: [output(Stream::Stdout), output(Stream::Stderr)],
        exit: Mutex::new(None),
        ended: Signal::new(),
        task: Mutex::new(None),
    });
    if main {
        let kind = Kind::Start { run, image: spec.image.clone(), args: spec.args.clone() };
        trace.emit(sim.now().as_nanos(), place, kind);
    }
    let container = Container { shared: shared.clone() };
    let task = {
        let (container, sim) = (container.clone(), sim.clone());
        sim.clone().spawn(async move {
            let skew = container.shared.skew.clone();
            let exit = execute(&sim, spec, &container.shared.outputs, memory, skew).await;
            container.finish(exit);
        })
    };
    *shared.task.lock().expect("task lock") = Some(task);
    container
}

impl Container {
    /// Sends a signal. SIGKILL (9) ends the program at once. Any other goes to `/dev/signals` if
    /// the program has opened that; if not, the signals that end a program by default do.
    pub fn signal(&self, number: u8) {
        let s = &self.shared;
        if s.exit.lock().expect("exit lock").is_some() {
            return;
        }
        let handled = number != 9 && s.signals.opened();
        if s.main {
            s.trace.emit(s.sim.now().as_nanos(), s.place, Kind::Signal { number, handled });
        }
        if handled {
            s.signals.push(number);
        } else if ENDS.contains(&number) {
            self.end(Exit {
                code: 128 + i32::from(number),
                reason: "Error".into(),
                message: String::new(),
            });
        }
    }

    /// Ends the program at once, as SIGKILL does.
    pub fn kill(&self) {
        self.signal(9);
    }

    /// Ends the program as the kernel's out-of-memory killer does when its node runs short.
    pub fn exhaust(&self) {
        if self.exit().is_none() {
            self.end(Exit {
                code: 137,
                reason: "OOMKilled".into(),
                message: "the node ran out of memory".into(),
            });
        }
    }

    /// Sets how far the program's wall clock is ahead of the world's, in ns (behind, if negative).
    /// Its monotonic clock is not touched, as `settimeofday(2)` does not.
    pub fn set_skew(&self, ns: i64) {
        self.shared.skew.store(ns, Relaxed);
    }

    fn end(&self, exit: Exit) {
        let task = self.shared.task.lock().expect("task lock").clone();
        if let Some(task) = task {
            task.abort();
        }
        self.finish(exit);
    }

    fn finish(&self, exit: Exit) {
        let s = &self.shared;
        {
            let mut slot = s.exit.lock().expect("exit lock");
            if slot.is_some() {
                return;
            }
            *slot = Some(exit.clone());
        }
        s.outputs.iter().for_each(Output::flush_line);
        if s.main {
            s.stack.close();
            let Exit { code, reason, message } = exit;
            let kind = Kind::Exit { run: s.run, code, reason, message };
            s.trace.emit(s.sim.now().as_nanos(), s.place, kind);
        }
        s.ended.notify();
    }

    /// Waits for the end.
    pub async fn wait(&self) -> Exit {
        let s = self.shared.clone();
        self.shared.ended.until(move || s.exit.lock().expect("exit lock").clone()).await
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        self.shared.exit.lock().expect("exit lock").clone()
    }

    /// The memory it has, in bytes.
    pub fn memory(&self) -> u64 {
        self.shared.memory.load(Relaxed)
    }

    /// Who pays for its computing.
    pub fn cpu(&self) -> &Account {
        &self.shared.cpu
    }
}

/// Signals that end a program that has no handler: HUP, INT, QUIT, ABRT, KILL, USR1, USR2, PIPE,
/// ALRM, TERM (signal(7)).
const ENDS: &[u8] = &[1, 2, 3, 6, 9, 10, 12, 13, 14, 15];

async fn execute(
    sim: &Handle,
    spec: ContainerSpec,
    outputs: &[Output; 2],
    memory: Arc<AtomicU64>,
    skew: Arc<AtomicI64>,
) -> Exit {
    let cannot = |e: wasmtime::Error| Exit {
        code: 128,
        reason: "ContainerCannotRun".into(),
        message: format!("{e:#}"),
    };
    let mut rng = spec.rng;
    let meter = Meter::new(&spec.cpu, spec.quantum);
    let mut wasi = WasiCtx::builder();
    wasi.args(&spec.args)
        .envs(&spec.env)
        .stdin(spec.stdin)
        .stdout(outputs[0].clone())
        .stderr(outputs[1].clone())
        .insecure_random_seed(u128::from(rng.u64()) << 64 | u128::from(rng.u64()))
        .insecure_random(Random(rng.split(), meter.clone()))
        .secure_random(Random(rng, meter.clone()))
        .max_random_size(64 << 10);
    let mut table = ResourceTable::new();
    table.set_max_capacity(MAX_HANDLES);
    let context = Context {
        sim: sim.clone(),
        stack: spec.stack,
        mounts: spec.mounts,
        wasi: wasi.build(),
        table,
        meter: meter.clone(),
        skew,
        limits: Limits::new(spec.memory_limit, memory, meter.clone()),
    };
    let mut store = Store::new(&spec.program.engine, context);
    store.limiter(|context| &mut context.limits);
    if spec.program.metered
        && let Err(error) = meter.attach(&mut store)
    {
        return cannot(error);
    }
    let result = meter
        .run(async {
            let command = spec.program.pre.instantiate_async(&mut store).await?;
            command.wasi_cli_run().call_run(&mut store).await
        })
        .await;
    match result {
        Ok(Ok(())) => exit(0, "Completed", String::new()),
        Ok(Err(())) => exit(1, "Error", String::new()),
        Err(error) => failed(&error),
    }
}

/// The world's randomness under the trait that wasmtime-wasi asks for.
struct Random(Rng, Meter);

impl rand_core_10::TryRng for Random {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.0.u64() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.0.u64())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        // Work of the host for the program: it pays for what it gets.
        self.1.owe(out.len() as u64);
        self.0.fill(out);
        Ok(())
    }
}

fn exit(code: i32, reason: &str, message: String) -> Exit {
    Exit { code, reason: reason.into(), message }
}

/// What a real program would have ended with.
fn failed(error: &wasmtime::Error) -> Exit {
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return exit(*code & 0xff, if *code == 0 { "Completed" } else { "Error" }, String::new());
    }
    if let Some(oom) = error.downcast_ref::<OutOfMemory>() {
        return exit(137, "OOMKilled", oom.to_string());
    }
    let mut message = String::new();
    let code = match error.downcast_ref::<Trap>() {
        // As Linux' signals: SIGABRT, SIGSEGV, SIGFPE.
        Some(Trap::UnreachableCodeReached) => 134,
        Some(
            Trap::IntegerDivisionByZero | Trap::IntegerOverflow | Trap::BadConversionToInteger,
        ) => 136,
        Some(_) => 139,
        None => 134,
    };
    match error.downcast_ref::<Trap>() {
        Some(trap) => message += &trap.to_string(),
        None => message += &error.root_cause().to_string(),
    }
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        for frame in backtrace.frames().iter().take(32) {
            let name = frame.func_name().map_or_else(|| "?".into(), demangle);
            message += &format!("\n  at {name}");
        }
    }
    exit(code, "Error", message)
}

fn demangle(name: &str) -> String {
    rustc_demangle::try_demangle(name).map_or_else(|_| name.to_owned(), |d| format!("{d:#}"))
}
