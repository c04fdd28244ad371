//! The stream of a world: opened, read, and opened again from where it broke off.

use std::cell::RefCell;
use std::rc::Rc;

use gloo_events::EventListener;
use gloo_timers::callback::Timeout;
use podlab_trace::event::Seq;
use podlab_trace::state::State;
use podlab_trace::wire::{Frame, events};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{BinaryType, MessageEvent, WebSocket};
use yew::Callback;

use crate::api;
use crate::model::timeline::Timeline;
use crate::session::{Link, Shared};
use crate::ui::{clock, window};

/// The longest pause between two attempts, in s.
const PATIENCE: u32 = 15;

/// A stream; it ends when this is dropped.
pub struct Stream(Rc<RefCell<Inner>>);

struct Inner {
    world: String,
    /// Where to begin as long as nothing has come: 1, or 0 for the present.
    opening: Seq,
    session: Shared,
    heard: Callback<()>,
    socket: Option<WebSocket>,
    listeners: Vec<EventListener>,
    retry: Option<Timeout>,
    failures: u32,
    closed: bool,
}

impl Stream {
    /// Opens the stream of a world; `heard` is told when something came.
    /// It begins with event `opening`, or with the present if that is 0.
    pub fn open(world: &str, opening: Seq, session: Shared, heard: Callback<()>) -> Stream {
        let inner = Rc::new(RefCell::new(Inner {
            world: world.to_owned(),
            opening,
            session,
            heard,
            socket: None,
            listeners: Vec::new(),
            retry: None,
            failures: 0,
            closed: false,
        }));
        connect(&inner);
        Stream(inner)
    }

    /// Tries again at once.
    pub fn retry(&self) {
        self.0.borrow_mut().retry = None;
        connect(&self.0);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut inner = self.0.borrow_mut();
        inner.closed = true;
        inner.retry = None;
        inner.listeners.clear();
        if let Some(socket) = inner.socket.take() {
            // A socket that is closed already needs no closing.
            let _ = socket.close();
        }
    }
}

fn url(world: &str, from: Seq) -> String {
    let location = window().location();
    let secure = location.protocol().is_ok_and(|p| p == "https:");
    let host = location.host().unwrap_or_default();
    format!("{}://{host}/api/worlds/{world}/stream?from={from}", if secure { "wss" } else { "ws" })
}

fn connect(inner: &Rc<RefCell<Inner>>) {
    let (world, from) = {
        let mut inner = inner.borrow_mut();
        if inner.closed {
            return;
        }
        inner.listeners.clear();
        let session = inner.session.0.borrow();
        let from =
            if session.timeline.is_empty() { inner.opening } else { session.timeline.next() };
        drop(session);
        (inner.world.clone(), from)
    };
    let Ok(socket) = WebSocket::new(&url(&world, from)) else { return lost(inner) };
    socket.set_binary_type(BinaryType::Arraybuffer);
    let message = {
        let inner = inner.clone();
        EventListener::new(&socket, "message", move |event| {
            let Some(event) = event.dyn_ref::<MessageEvent>() else { return };
            let Ok(buffer) = event.data().dyn_into::<js_sys::ArrayBuffer>() else { return };
            let bytes = js_sys::Uint8Array::new(&buffer).to_vec();
            let heard = {
                let mut inner = inner.borrow_mut();
                inner.failures = 0;
                inner.session.0.borrow_mut().frame(&bytes, clock());
                inner.heard.clone()
            };
            heard.emit(());
        })
    };
    let close = {
        let inner = inner.clone();
        EventListener::once(&socket, "close", move |_| lost(&inner))
    };
    let mut inner = inner.borrow_mut();
    inner.socket = Some(socket);
    inner.listeners = vec![message, close];
}

/// The stream broke off: asks whether the world is still there, and tries again later if so.
fn lost(inner: &Rc<RefCell<Inner>>) {
    let world = {
        let inner = inner.borrow();
        let link = inner.session.0.borrow().link.clone();
        if inner.closed || matches!(link, Link::Gone(_) | Link::Version(_) | Link::Garbled) {
            return;
        }
        inner.world.clone()
    };
    let inner = inner.clone();
    spawn_local(async move {
        let answer = api::call("GET", &format!("/api/worlds/{world}"), None).await;
        let heard = {
            let mut this = inner.borrow_mut();
            if this.closed {
                return;
            }
            let link = match answer {
                Err(e) if e.reason != "unreachable" && !e.reason.starts_with('5') => {
                    Link::Gone(e.to_string())
                }
                _ => {
                    let seconds = (1 << this.failures.min(4)).min(PATIENCE);
                    this.failures += 1;
                    let again = inner.clone();
                    this.retry = Some(Timeout::new(seconds * 1000, move || connect(&again)));
                    Link::Waiting(seconds)
                }
            };
            this.session.0.borrow_mut().link = link;
            this.heard.clone()
        };
        heard.emit(());
    });
}

/// Fetches the events up to instant `until` (ns), and closes again: a look at what the page has
/// given up. The server sends a keyframe only with the oldest it keeps, so all events from there
/// are read; the timeline keeps the newest of them.
pub fn fetch(world: &str, until: u64, done: Callback<Timeline>) {
    let Ok(socket) = WebSocket::new(&url(world, 1)) else { return };
    socket.set_binary_type(BinaryType::Arraybuffer);
    let timeline: Rc<RefCell<Option<Timeline>>> = Rc::default();
    let keep: Rc<RefCell<Option<EventListener>>> = Rc::default();
    let inner_keep = keep.clone();
    let target = socket.clone();
    let listener = EventListener::new(&target, "message", move |event| {
        let Some(event) = event.dyn_ref::<MessageEvent>() else { return };
        let Ok(buffer) = event.data().dyn_into::<js_sys::ArrayBuffer>() else { return };
        let mut held = timeline.borrow_mut();
        let full = match Frame::decode(&js_sys::Uint8Array::new(&buffer).to_vec()) {
            Ok(Frame::Hello { from, keyframe, .. }) => {
                *held = Some(Timeline::new(from, keyframe.unwrap_or_else(State::default)));
                false
            }
            Ok(Frame::Events { count, bytes, .. }) => {
                if let (Some(held), Ok(list)) = (held.as_mut(), events(count, &bytes)) {
                    for event in list {
                        held.push(event);
                    }
                }
                held.as_ref().is_some_and(|t| t.until() > until)
            }
            // The clock comes when all events are there.
            Ok(Frame::Clock { last, .. }) => held.as_ref().is_some_and(|t| t.next() > last),
            _ => true,
        };
        if full && let Some(timeline) = held.take() {
            let _ = socket.close();
            done.emit(timeline);
            // The listener may not drop itself while it runs.
            let keep = inner_keep.clone();
            Timeout::new(0, move || drop(keep.borrow_mut().take())).forget();
        }
    });
    *keep.borrow_mut() = Some(listener);
}
