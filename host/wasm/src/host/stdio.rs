//! Standard input, output and error of a program.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use podlab_sim::sync::Signal;
use podlab_sim::{Handle, Time};
use podlab_trace::{Kind, PlaceId, Stream, Trace};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// A longer line is cut into several, in bytes (as the container runtime interface does).
const MAX_LINE: usize = 16 << 10;
/// What is given to a program and not read yet is at most this much, in bytes.
pub const MAX_STDIN: usize = 1 << 20;
/// What one write may bring, in bytes.
const MAX_WRITE: usize = 64 << 10;
/// How fast the container runtime takes a program's lines, in bytes a virtual second. Nobody
/// sensible writes faster, and a program that only shouts must not fill the trace at once.
const RATE: u64 = 16 << 20;
/// How far a program may be ahead of that, in ns: 256 KiB.
const AHEAD: Duration = Duration::from_micros(15_625);

/// What a program reads as standard input. Cheap to clone. Closed and empty by default.
#[derive(Clone, Default)]
pub struct Stdin {
    state: Arc<Mutex<Input>>,
    changed: Signal,
    /// The program is told that its streams are a terminal.
    terminal: bool,
}

#[derive(Default)]
struct Input {
    bytes: VecDeque<u8>,
    open: bool,
}

impl Stdin {
    /// Standard input that ends at once, as for a container without `stdin: true`.
    pub fn empty() -> Stdin {
        Stdin::default()
    }

    /// Standard input that stays open until [`close`](Stdin::close).
    pub fn open() -> Stdin {
        let stdin = Stdin::default();
        stdin.state.lock().expect("stdin lock").open = true;
        stdin
    }

    /// The same, called a terminal: so are the outputs of the program that reads it.
    pub fn on_terminal(self) -> Stdin {
        Stdin { terminal: true, ..self }
    }

    /// Gives the program something to read. Says how many bytes were taken: fewer than given when
    /// [`MAX_STDIN`] wait unread (then the rest is to be given again later), none after
    /// [`close`](Stdin::close).
    pub fn push(&self, bytes: &[u8]) -> usize {
        let taken = {
            let mut input = self.state.lock().expect("stdin lock");
            let room = MAX_STDIN.saturating_sub(input.bytes.len());
            let taken = if input.open { bytes.len().min(room) } else { 0 };
            input.bytes.extend(&bytes[..taken]);
            taken
        };
        self.changed.notify();
        taken
    }

    /// Ends the input.
    pub fn close(&self) {
        self.state.lock().expect("stdin lock").open = false;
        self.changed.notify();
    }
}

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        self.terminal
    }
}

impl StdinStream for Stdin {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync> {
        // Used by WASI 0.3 only, which no world offers.
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Stdin {
    async fn ready(&mut self) {
        let state = self.state.clone();
        let ready = move || {
            let input = state.lock().expect("stdin lock");
            (!input.bytes.is_empty() || !input.open).then_some(())
        };
        self.changed.until(ready).await;
    }
}

impl InputStream for Stdin {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut input = self.state.lock().expect("stdin lock");
        if input.bytes.is_empty() && !input.open {
            return Err(StreamError::Closed);
        }
        let n = size.min(input.bytes.len());
        Ok(input.bytes.drain(..n).collect::<Vec<u8>>().into())
    }
}

/// Where the bytes of an output go, beside the trace.
pub type Sink = Arc<Mutex<dyn FnMut(Stream, &[u8]) + Send>>;

/// Standard output or error. Cheap to clone.
#[derive(Clone)]
pub struct Output {
    sim: Handle,
    trace: Trace,
    place: PlaceId,
    stream: Stream,
    line: Arc<Mutex<Vec<u8>>>,
    /// When everything written so far is taken.
    taken: Arc<Mutex<Time>>,
    sink: Sink,
    /// Whether lines become log events.
    logged: bool,
    terminal: bool,
}

impl Output {
    pub(crate) fn new(
        sim: &Handle,
        trace: &Trace,
        place: PlaceId,
        stream: Stream,
        sink: Sink,
        logged: bool,
        terminal: bool,
    ) -> Output {
        let (sim, trace) = (sim.clone(), trace.clone());
        Output {
            sim,
            trace,
            place,
            stream,
            line: Arc::default(),
            taken: Arc::default(),
            sink,
            logged,
            terminal,
        }
    }

    fn take(&self, bytes: &[u8]) {
        (self.sink.lock().expect("output lock"))(self.stream, bytes);
        if !self.logged {
            return;
        }
        let mut line = self.line.lock().expect("output lock");
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, ends) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            for piece in text.chunks(MAX_LINE) {
                if line.len() + piece.len() > MAX_LINE {
                    self.emit(&mut line);
                }
                line.extend_from_slice(piece);
            }
            if ends {
                self.emit(&mut line);
            }
        }
    }

    /// Writes what has no end of line yet.
    pub(crate) fn flush_line(&self) {
        let mut line = self.line.lock().expect("output lock");
        if !line.is_empty() {
            self.emit(&mut line);
        }
    }

    fn emit(&self, line: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line).trim_end_matches('\r').to_owned();
        line.clear();
        let kind = Kind::Log { stream: self.stream, line: text };
        self.trace.emit(self.sim.now().as_nanos(), self.place, kind);
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        self.terminal
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Used by WASI 0.3 only, which no world offers.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        let at = *self.taken.lock().expect("output lock");
        if at > self.sim.now() + AHEAD {
            self.sim.sleep(at.since(self.sim.now() + AHEAD)).await;
        }
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > MAX_WRITE {
            return Err(StreamError::trap("the program wrote more than check-write had permitted"));
        }
        let span = Duration::from_nanos(bytes.len() as u64 * 1_000_000_000 / RATE);
        {
            let mut taken = self.taken.lock().expect("output lock");
            *taken = (*taken).max(self.sim.now()) + span;
        }
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let late = *self.taken.lock().expect("output lock") > self.sim.now() + AHEAD;
        Ok(if late { 0 } else { MAX_WRITE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_input_is_bounded_and_ends() {
        let mut stdin = Stdin::open();
        assert_eq!(stdin.push(&vec![7; MAX_STDIN - 1]), MAX_STDIN - 1);
        assert_eq!(stdin.push(b"abc"), 1);
        assert_eq!(stdin.push(b"bc"), 0);
        assert_eq!(stdin.read(MAX_STDIN).unwrap().len(), MAX_STDIN);
        assert_eq!(stdin.push(b"bc"), 2);
        stdin.close();
        assert_eq!(stdin.push(b"d"), 0);
        assert_eq!(&stdin.read(9).unwrap()[..], b"bc");
        assert!(matches!(stdin.read(9), Err(StreamError::Closed)));
    }
}
