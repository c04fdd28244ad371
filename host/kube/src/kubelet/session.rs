//! A client at the standard streams of a program: `kubectl exec` and `kubectl attach`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podlab_sim::Handle;
use podlab_trace::Stream;

use super::cell::PodCell;
use super::exec;
use super::terminal::{Act, Terminal, screen};
use crate::control_plane::Shared;
use crate::runtime::{Ending, Output, Running};

/// What is typed and not yet taken by the program is at most this much, in bytes. Who sends
/// faster watches [`Session::backlog`].
const MAX_BACKLOG: usize = 16 << 20;
/// How often a program that reads slowly is offered more.
const OFFER: Duration = Duration::from_millis(1);
/// The signals of a terminal that goes away and of one that changes its size.
const SIGHUP: u8 = 1;
const SIGWINCH: u8 = 28;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSpec {
    /// The namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// A further program and its arguments; `None` attaches to the container's own program.
    pub command: Option<Vec<String>>,
    /// Whether the client sends input.
    pub stdin: bool,
    /// Whether a further program gets a terminal. A container's own has what its spec says.
    pub terminal: bool,
}

/// A client at a program's streams. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    shared: Arc<At>,
}

struct At {
    sim: Handle,
    program: Arc<dyn Running>,
    terminal: Option<Arc<Terminal>>,
    /// Where the terminal shows what is typed.
    echo: Output,
    own: Own,
    stdin: bool,
    input: Mutex<Input>,
}

/// Whose program it is.
enum Own {
    /// The session's.
    Further,
    /// The container's; the session is attached under a number.
    Container { attached: Attached, number: u64, once: bool },
}

#[derive(Default)]
struct Input {
    acts: VecDeque<Act>,
    bytes: usize,
    pumping: bool,
}

/// Who is attached to a container's streams, and its terminal. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Attached {
    sinks: Arc<Mutex<(u64, BTreeMap<u64, Output>)>>,
    terminal: Option<Arc<Terminal>>,
}

impl Attached {
    pub(crate) fn new(terminal: bool) -> Attached {
        Attached { terminal: terminal.then(Arc::default), ..Attached::default() }
    }

    /// What the container writes: to its log, and to who is attached.
    pub(crate) fn output(&self, log: &Output) -> Output {
        let (sinks, log) = (self.sinks.clone(), log.clone());
        let both: Output = Arc::new(Mutex::new(move |stream: Stream, bytes: &[u8]| {
            (log.lock().expect("output lock"))(stream, bytes);
            for sink in sinks.lock().expect("sinks lock").1.values() {
                (sink.lock().expect("output lock"))(stream, bytes);
            }
        }));
        if self.terminal.is_some() { screen(&both) } else { both }
    }

    fn add(&self, sink: Output) -> u64 {
        let mut sinks = self.sinks.lock().expect("sinks lock");
        sinks.0 += 1;
        let number = sinks.0;
        sinks.1.insert(number, sink);
        number
    }
}

impl Session {
    pub(crate) fn begin(
        shared: &Shared,
        cell: &PodCell,
        spec: &SessionSpec,
        output: Output,
    ) -> Result<Session, String> {
        let at = |program, terminal, echo, own| Session {
            shared: Arc::new(At {
                sim: shared.sim.clone(),
                program,
                terminal,
                echo,
                own,
                stdin: spec.stdin,
                input: Mutex::default(),
            }),
        };
        if let Some(command) = &spec.command {
            let terminal: Option<Arc<Terminal>> = spec.terminal.then(Arc::default);
            let shown = if spec.terminal { screen(&output) } else { output.clone() };
            let (argv, stdin) = (command.clone(), spec.stdin);
            let program =
                exec::start(shared, cell, &spec.container, argv, shown, stdin, spec.terminal)?;
            return Ok(at(program, terminal, output, Own::Further));
        }
        let program = cell.program(&spec.container)?;
        let (attached, once) = {
            let inner = cell.lock();
            let found = inner.containers.iter().find(|c| c.spec.name == spec.container);
            let Some((c, Some(p))) = found.map(|c| (c, &c.program)) else {
                return Err(format!("container {:?} does not run now", spec.container));
            };
            (p.attached.clone(), c.spec.stdin_once == Some(true))
        };
        let number = attached.add(output);
        // What is typed shows to everybody who is attached.
        let sinks = attached.sinks.clone();
        let echo: Output = Arc::new(Mutex::new(move |stream: Stream, bytes: &[u8]| {
            for sink in sinks.lock().expect("sinks lock").1.values() {
                (sink.lock().expect("output lock"))(stream, bytes);
            }
        }));
        let terminal = attached.terminal.clone();
        Ok(at(program, terminal, echo, Own::Container { attached, number, once }))
    }

    /// Whether a terminal stands between client and program.
    pub fn has_terminal(&self) -> bool {
        self.shared.terminal.is_some()
    }

    /// Takes what the client typed or sent.
    ///
    /// # Errors
    /// If the program has not read so much of it that no more is taken.
    pub fn input(&self, bytes: &[u8]) -> Result<(), String> {
        let at = &self.shared;
        if !at.stdin {
            return Ok(());
        }
        let acts = match &at.terminal {
            None => vec![Act::Feed(bytes.to_vec())],
            Some(terminal) => {
                let typed = terminal.typed(bytes);
                if !typed.echo.is_empty() {
                    (at.echo.lock().expect("output lock"))(Stream::Stdout, &typed.echo);
                }
                typed.acts
            }
        };
        for act in acts {
            let mut input = at.input.lock().expect("input lock");
            match act {
                Act::Signal(number) => {
                    // As the line discipline does: what was typed before is thrown away.
                    (input.bytes, input.acts) = (0, VecDeque::new());
                    drop(input);
                    at.program.signal(number);
                }
                act => input.add(act)?,
            }
        }
        self.pump();
        Ok(())
    }

    /// The client sends no more.
    pub fn end_input(&self) {
        let at = &self.shared;
        // The input of a container outlives those who attach to it, unless it is for one only.
        if !at.stdin || matches!(at.own, Own::Container { once: false, .. }) {
            return;
        }
        at.input.lock().expect("input lock").acts.push_back(Act::End);
        self.pump();
    }

    /// The client's window has another size now.
    pub fn resize(&self) {
        if self.shared.terminal.is_some() {
            self.shared.program.signal(SIGWINCH);
        }
    }

    /// The client has gone away.
    pub fn hang_up(&self) {
        self.end_input();
        if let Own::Container { attached, number, .. } = &self.shared.own {
            attached.sinks.lock().expect("sinks lock").1.remove(number);
        } else if self.shared.terminal.is_some() {
            self.shared.program.signal(SIGHUP);
        }
    }

    /// How many bytes the program has not taken yet.
    pub fn backlog(&self) -> usize {
        self.shared.input.lock().expect("input lock").bytes
    }

    /// Waits for the end of the program.
    pub fn wait(&self) -> Ending {
        self.shared.program.wait()
    }

    /// Gives the program what it takes; the rest in a moment.
    fn pump(&self) {
        let at = &self.shared;
        {
            let mut input = at.input.lock().expect("input lock");
            if input.pumping || input.give(&*at.program) {
                return;
            }
            input.pumping = true;
        }
        let at = at.clone();
        at.sim.clone().spawn(async move {
            loop {
                at.sim.sleep(OFFER).await;
                let mut input = at.input.lock().expect("input lock");
                if at.program.exit().is_some() {
                    (input.bytes, input.acts) = (0, VecDeque::new());
                }
                if input.give(&*at.program) {
                    input.pumping = false;
                    return;
                }
            }
        });
    }
}

impl Input {
    fn add(&mut self, act: Act) -> Result<(), String> {
        if let Act::Feed(bytes) = &act {
            if self.bytes + bytes.len() > MAX_BACKLOG {
                return Err("the program does not read its standard input".into());
            }
            self.bytes += bytes.len();
        }
        self.acts.push_back(act);
        Ok(())
    }

    /// Whether everything was given.
    fn give(&mut self, program: &dyn Running) -> bool {
        while let Some(act) = self.acts.front_mut() {
            match act {
                Act::Feed(bytes) => {
                    let taken = program.feed(bytes).min(bytes.len());
                    self.bytes -= taken;
                    if taken < bytes.len() {
                        bytes.drain(..taken);
                        return false;
                    }
                }
                Act::Signal(number) => program.signal(*number),
                Act::End => program.end_input(),
            }
            self.acts.pop_front();
        }
        true
    }
}
