//! The commands' way to the server: a WebSocket of JSON messages.

use gloo_events::EventListener;
use serde_json::{Value, json};
use wasm_bindgen::JsCast;
use web_sys::{MessageEvent, WebSocket};
use yew::Callback;

use crate::ui::window;

/// What the server says.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The connection stands.
    Ready,
    /// Standard output.
    Out(String),
    /// Standard error.
    Err(String),
    /// The command ended.
    Done(i64),
    /// What a line may become: the line, where its last word begins, the proposals.
    Completions(String, usize, Vec<String>),
    /// The connection is lost.
    Lost,
}

/// A connection; it is closed when this is dropped.
pub struct Socket {
    socket: WebSocket,
    _listeners: Vec<EventListener>,
}

impl Socket {
    /// Connects with the terminal of a world. `None` if the browser does not even try.
    pub fn open(world: &str, said: &Callback<Said>) -> Option<Socket> {
        let location = window().location();
        let scheme = if location.protocol().is_ok_and(|p| p == "https:") { "wss" } else { "ws" };
        let host = location.host().unwrap_or_default();
        let url = format!("{scheme}://{host}/api/worlds/{world}/terminal");
        let socket = WebSocket::new(&url).ok()?;
        let listen = |name: &'static str, what: Said| {
            let said = said.clone();
            EventListener::new(&socket, name, move |_| said.emit(what.clone()))
        };
        let message = {
            let said = said.clone();
            EventListener::new(&socket, "message", move |event| {
                let text = event.dyn_ref::<MessageEvent>().and_then(|e| e.data().as_string());
                let value = text.and_then(|t| serde_json::from_str::<Value>(&t).ok());
                if let Some(what) = value.as_ref().and_then(read) {
                    said.emit(what);
                }
            })
        };
        let listeners = vec![listen("open", Said::Ready), listen("close", Said::Lost), message];
        Some(Socket { socket, _listeners: listeners })
    }

    fn send(&self, value: &Value) {
        // A socket that is closed says so by its event.
        let _ = self.socket.send_with_str(&value.to_string());
    }

    /// Runs a line.
    pub fn run(&self, line: &str) {
        self.send(&json!({"run": line}));
    }

    /// Asks what the line may become.
    pub fn complete(&self, line: &str) {
        self.send(&json!({"complete": line}));
    }

    /// Ends what runs.
    pub fn interrupt(&self) {
        self.send(&json!({"interrupt": true}));
    }

    /// Gives the program that runs something to read.
    pub fn input(&self, text: &str) {
        self.send(&json!({"input": text}));
    }

    /// There is nothing more to read.
    pub fn end(&self) {
        self.send(&json!({"end": true}));
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A socket that is closed already needs no closing.
        let _ = self.socket.close();
    }
}

fn read(value: &Value) -> Option<Said> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    if let Some(text) = text("out") {
        return Some(Said::Out(text));
    }
    if let Some(text) = text("err") {
        return Some(Said::Err(text));
    }
    if let Some(code) = value["done"].as_i64() {
        return Some(Said::Done(code));
    }
    let all = value["completions"].as_array()?;
    let all = all.iter().filter_map(|p| p.as_str().map(str::to_owned)).collect();
    let from = usize::try_from(value["from"].as_u64()?).ok()?;
    Some(Said::Completions(text("line")?, from, all))
}
