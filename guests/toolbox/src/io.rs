//! Where an applet reads and writes. WASI cannot spawn, so a pipe is a buffer: its left side runs to
//! its end before its right side begins.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read, Write};
use std::rc::Rc;

/// The most a pipe holds, and the most an applet reads as a whole, in bytes.
pub const MOST: usize = 64 << 20;

/// What can be read.
#[derive(Clone)]
pub enum Source {
    /// The program's own standard input.
    Stdin,
    /// What a pipe or a file brought. Shared: a loop's commands read on where the last one ended.
    Bytes(Rc<RefCell<VecDeque<u8>>>),
}

impl Source {
    /// These bytes.
    pub fn bytes(bytes: Vec<u8>) -> Source {
        Source::Bytes(Rc::new(RefCell::new(bytes.into())))
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::Stdin => io::stdin().lock().read(buffer),
            Source::Bytes(bytes) => bytes.borrow_mut().read(buffer),
        }
    }
}

/// What can be written. Clones write to the same place (`2>&1`).
#[derive(Clone)]
pub enum Sink {
    /// The program's own standard output.
    Stdout,
    /// The program's own standard error.
    Stderr,
    /// A file.
    File(Rc<File>),
    /// A pipe, or `$()`.
    Buffer(Rc<RefCell<Vec<u8>>>),
}

impl Sink {
    /// An empty pipe.
    pub fn buffer() -> (Sink, Rc<RefCell<Vec<u8>>>) {
        let bytes = Rc::new(RefCell::new(Vec::new()));
        (Sink::Buffer(bytes.clone()), bytes)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Stdout => io::stdout().write(bytes),
            Sink::Stderr => io::stderr().write(bytes),
            Sink::File(file) => (&**file).write(bytes),
            Sink::Buffer(buffer) => {
                let mut buffer = buffer.borrow_mut();
                if buffer.len() + bytes.len() > MOST {
                    return Err(io::Error::other("a pipe holds 64 MiB at most"));
                }
                buffer.extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Stdout => io::stdout().flush(),
            Sink::Stderr => io::stderr().flush(),
            Sink::File(file) => (&**file).flush(),
            Sink::Buffer(_) => Ok(()),
        }
    }
}

/// An applet's three streams, and its environment.
#[derive(Clone)]
pub struct Io {
    /// Standard input.
    pub input: Source,
    /// Standard output.
    pub out: Sink,
    /// Standard error.
    pub err: Sink,
    /// The environment.
    pub env: Rc<BTreeMap<String, String>>,
}

impl Io {
    /// The program's own.
    pub fn own() -> Io {
        let env = Rc::new(std::env::vars().collect());
        Io { input: Source::Stdin, out: Sink::Stdout, err: Sink::Stderr, env }
    }

    /// All of standard input.
    pub fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut self.input).take(MOST as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// One line of standard input without its end; `None` at the end.
    pub fn read_line(&mut self) -> io::Result<Option<String>> {
        let (mut line, mut byte) = (Vec::new(), [0]);
        loop {
            if self.input.read(&mut byte)? == 0 {
                let whole = String::from_utf8_lossy(&line).into_owned();
                return Ok((!line.is_empty()).then_some(whole));
            }
            if byte == *b"\n" || line.len() >= MOST {
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            line.push(byte[0]);
        }
    }
}
