//! The stream of a watch: changes, seen through a selector, as lines of JSON.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use podlab_trace::Verb;
use serde::Serialize;
use serde_json::{Value, json};

use super::route::Target;
use super::table::TableView;
use crate::store::selector::Selector;
use crate::store::{Change, Error, Watch};

/// A watch as a client sees it. It never ends by itself, except after an error: whoever serves
/// it ends it after [`timeout_seconds`](WatchStream::timeout_seconds) of the client's time.
pub struct WatchStream {
    pub(super) watch: Watch,
    pub(super) target: Target,
    pub(super) selector: Selector,
    pub(super) table: Option<TableView>,
    pub(super) ready: VecDeque<Bytes>,
    pub(super) over: bool,
    /// Whether the client wants bookmarks (send one each minute of its time).
    pub bookmarks: bool,
    /// What the client set as its time limit.
    pub timeout_seconds: Option<u64>,
}

impl WatchStream {
    /// The next event if there is one by now, as a line of JSON with its end.
    pub fn try_next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if self.over {
                return None;
            }
            match self.watch.try_next() {
                Ok(None) => return None,
                Ok(Some(change)) => self.push_change(&change),
                Err(e) => self.fail(&e),
            }
        }
    }

    /// The next event, waiting for it inside the world; `None` when the stream is over.
    pub async fn next(&mut self) -> Option<Bytes> {
        let signal = self.watch.signal();
        signal
            .until(|| match self.try_next() {
                Some(line) => Some(Some(line)),
                None if self.over => Some(None),
                None => None,
            })
            .await
    }

    /// Whether nothing will follow.
    pub fn is_over(&self) -> bool {
        self.over && self.ready.is_empty()
    }

    /// A signal that is notified when [`try_next`](WatchStream::try_next) may have more.
    pub fn signal(&self) -> podlab_sim::sync::Signal {
        self.watch.signal()
    }

    /// A bookmark of where the watch is.
    pub fn bookmark(&mut self) -> Bytes {
        self.push_bookmark(false);
        self.ready.pop_back().expect("just pushed")
    }

    pub(super) fn push_bookmark(&mut self, initial_end: bool) {
        let mut meta =
            json!({"resourceVersion": self.watch.version().to_string(), "creationTimestamp": null});
        if initial_end {
            // What an empty list would look like (`apiserver/pkg/endpoints/handlers/watch.go`).
            let list = format!(
                "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{{}},\"items\":null}}\n",
                self.target.row.kind,
                self.target.row.api_version()
            );
            meta["annotations"] = json!({
                "k8s.io/initial-events-end": "true",
                "kubernetes.io/initial-events-list-blueprint": STANDARD.encode(list),
            });
        }
        let object = json!({"kind": *self.target.row.kind, "apiVersion": self.target.row.api_version(), "metadata": meta});
        self.push("BOOKMARK", &object);
    }

    pub(super) fn fail(&mut self, error: &Error) {
        self.over = true;
        self.push("ERROR", &error.to_status());
    }

    pub(super) fn push_initial(&mut self, object: &Value) {
        if self.selector.matches(object) {
            self.push("ADDED", object);
        }
    }

    fn push_change(&mut self, change: &Change) {
        let was = change.previous.as_ref().is_some_and(|p| self.selector.matches(p));
        let is = change.verb != Verb::Deleted && self.selector.matches(&change.object);
        match (was, is) {
            (false, true) => self.push_current("ADDED", change),
            (true, true) => self.push_current("MODIFIED", change),
            (true, false) => {
                // As it was when it still matched, with the version of the change.
                let mut last = Value::clone(change.previous.as_ref().expect("it was"));
                last["metadata"]["resourceVersion"] = change.version.to_string().into();
                self.push("DELETED", &last);
            }
            (false, false) => {}
        }
    }

    /// The object after a change: what all see alike is put into JSON once.
    fn push_current(&mut self, kind: &str, change: &Change) {
        if self.table.is_some() || self.target.conversion.is_some() {
            return self.push(kind, &change.object);
        }
        let object = change.json();
        let mut line = Vec::with_capacity(object.len() + 40);
        line.extend_from_slice(b"{\"object\":");
        line.extend_from_slice(object);
        line.extend_from_slice(format!(",\"type\":\"{kind}\"}}\n").as_bytes());
        self.ready.push_back(line.into());
    }

    fn push(&mut self, kind: &str, object: &Value) {
        let line = match &mut self.table {
            Some(view) if kind != "ERROR" => line(kind, &view.event(object, kind == "BOOKMARK")),
            _ if kind == "ERROR" || kind == "BOOKMARK" => line(kind, object),
            _ => line(kind, &*self.target.out(object)),
        };
        self.ready.push_back(line);
    }
}

/// An event as a line.
fn line(kind: &str, object: &impl Serialize) -> Bytes {
    #[derive(Serialize)]
    struct Event<'a, T> {
        object: &'a T,
        r#type: &'a str,
    }
    let mut line = super::response::bytes(&Event { object, r#type: kind });
    line.push(b'\n');
    line.into()
}
