//! Conversations in text over TCP.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::rc::Rc;

use podlab_guest::net::TcpStream;
use podlab_guest::runtime::timeout;
use rhai::{Dynamic, Engine, INT, Module, NativeCallContext as Call};

use crate::engine::{Answer, At, MAX_TEXT, fail};
use crate::state::State;

/// Bytes of a line.
const MAX_LINE: usize = 64 << 10;

/// A connection; copies of the value are the same connection.
#[derive(Clone)]
struct Connection(Rc<Inner>);

struct Inner {
    address: String,
    state: Rc<State>,
    /// `None` after `close`.
    stream: RefCell<Option<Rc<TcpStream>>>,
    /// Read, and not yet asked for.
    buffer: RefCell<Vec<u8>>,
}

/// `tcp::connect(address)`, `tcp::ask(address, text)` and what a connection can do.
pub fn register(engine: &mut Engine, state: &Rc<State>) {
    let mut module = Module::new();
    let own = state.clone();
    module.set_native_fn("connect", move |at: Call<'_>, address: &str| {
        Connection::open(&own, address).at(&at)
    });
    let own = state.clone();
    module.set_native_fn("ask", move |at: Call<'_>, address: &str, text: &str| {
        let asked = Connection::open(&own, address).and_then(|connection| {
            connection.write(text)?;
            connection.read_line()
        });
        asked.at(&at)
    });
    engine.register_static_module("tcp", module.into());
    engine.register_type_with_name::<Connection>("Connection");
    engine.register_fn("write", |c: &mut Connection, text: &str| c.write(text));
    engine.register_fn("read_line", |c: &mut Connection| c.read_line());
    engine.register_fn("read", |c: &mut Connection, n: INT| c.read(n));
    engine.register_fn("close", |c: &mut Connection| drop(c.0.stream.take()));
}

impl Connection {
    fn open(state: &Rc<State>, address: &str) -> Answer<Connection> {
        let parts = address.rsplit_once(':').and_then(|(h, p)| Some((h, p.parse::<u16>().ok()?)));
        let Some((host, port)) = parts else {
            return fail(format!("{address:?} is no address such as \"localhost:11211\""));
        };
        let stream = within(state, address, TcpStream::connect(host, port))?;
        Ok(Connection(Rc::new(Inner {
            address: address.to_owned(),
            state: state.clone(),
            stream: RefCell::new(Some(Rc::new(stream))),
            buffer: RefCell::default(),
        })))
    }

    fn stream(&self) -> Answer<Rc<TcpStream>> {
        let stream = self.0.stream.borrow().clone();
        stream.map_or_else(|| fail(format!("{}: closed by this program", self.0.address)), Ok)
    }

    fn write(&self, text: &str) -> Answer<()> {
        let stream = self.stream()?;
        within(&self.0.state, &self.0.address, stream.write_all(text.as_bytes()))
    }

    /// Reads more; false at the end.
    fn more(&self) -> Answer<bool> {
        let stream = self.stream()?;
        let bytes = within(&self.0.state, &self.0.address, stream.read(16 << 10))?;
        self.0.buffer.borrow_mut().extend_from_slice(&bytes);
        Ok(!bytes.is_empty())
    }

    /// The next line without its end; nothing when there is none.
    fn read_line(&self) -> Answer<Dynamic> {
        loop {
            let end = self.0.buffer.borrow().iter().position(|b| *b == b'\n');
            if let Some(end) = end {
                let line: Vec<u8> = self.0.buffer.borrow_mut().drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                return Ok(line.trim_end_matches(['\r', '\n']).to_owned().into());
            }
            if self.0.buffer.borrow().len() > MAX_LINE {
                return fail(format!("{}: a line of more than {MAX_LINE} bytes", self.0.address));
            }
            if !self.more()? {
                let rest = self.0.buffer.take();
                return Ok(match rest.is_empty() {
                    true => Dynamic::UNIT,
                    false => String::from_utf8_lossy(&rest).into_owned().into(),
                });
            }
        }
    }

    /// So many bytes, or as many as there are before the end.
    fn read(&self, n: INT) -> Answer<String> {
        let Some(n) = usize::try_from(n).ok().filter(|n| *n <= MAX_TEXT) else {
            return fail(format!("read({n}): from 0 to {MAX_TEXT} bytes can be read at once"));
        };
        while self.0.buffer.borrow().len() < n && self.more()? {}
        let mut buffer = self.0.buffer.borrow_mut();
        let n = n.min(buffer.len());
        Ok(String::from_utf8_lossy(&buffer.drain(..n).collect::<Vec<_>>()).into_owned())
    }
}

/// A step of a conversation, which takes at most as long as `--timeout` says.
fn within<T>(state: &State, address: &str, step: impl Future<Output = io::Result<T>>) -> Answer<T> {
    match state.wait(timeout(state.patience, step)) {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => fail(format!("{address}: {error}")),
        None => fail(format!("{address}: no answer within {:?}", state.patience)),
    }
}
