//! The lists: messages, logs, events.

use std::collections::BTreeSet;

use podlab_trace::event::{Event, FileOp, Kind, PlaceId, Seq, Stream};
use podlab_trace::state::State;
use podlab_trace::text;

use crate::model::filter::Filter;
use crate::model::flight::{Shape, failed};
use crate::model::timeline::Timeline;

/// A line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The event.
    pub seq: Seq,
    /// When, in ns.
    pub at: u64,
    /// Who did it.
    pub who: String,
    /// To whom, or empty.
    pub whom: String,
    /// What.
    pub what: String,
    /// How it is marked.
    pub mark: Mark,
    /// Its connection, or 0.
    pub conn: u64,
}

/// How a line is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// As its mark in the picture.
    Shape(Shape),
    /// A line of standard output.
    Out,
    /// A line of standard error.
    Err,
    /// A Kubernetes Event of type Normal.
    Normal,
    /// A Kubernetes Event of type Warning.
    Warning,
    /// Something about a program: start, exit, signal.
    Program,
    /// Something from outside: an input, a fault, a check.
    Outside,
}

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Messages, datagrams, files, refusals.
    Messages,
    /// Log lines.
    Logs,
    /// Kubernetes Events, starts and exits, faults, checks.
    Events,
}

/// The name of a place as the page has it: "web/log-saver", and "origin" for the container origin
/// of the pod origin.
pub fn name(state: &State, id: PlaceId) -> String {
    match state.places.get(&id) {
        Some(p) if p.pod == p.container && !p.pod.is_empty() => p.pod.clone(),
        _ => text::place(state, id),
    }
}

/// The line of an event in a list, if it belongs there.
pub fn row(timeline: &Timeline, event: &Event, list: List) -> Option<Row> {
    let state = timeline.head();
    let who = name(state, event.place);
    let conn = match &event.kind {
        Kind::Message { conn, .. }
        | Kind::Data { conn, .. }
        | Kind::Refuse { conn, .. }
        | Kind::Reset { conn, .. } => *conn,
        _ => 0,
    };
    let new = |whom: String, what: String, mark: Mark| {
        Some(Row { seq: event.seq, at: event.at, who: who.clone(), whom, what, mark, conn })
    };
    match (list, &event.kind) {
        (List::Messages, Kind::Message { conn, dir, summary, malformed, answers, .. }) => {
            let ends = timeline.ends(*conn);
            let to_server = *dir == podlab_trace::Dir::ToServer;
            let whom = ends
                .map(|e| name(state, if to_server { e.server } else { e.client }))
                .unwrap_or_default();
            let probe = ends
                .and_then(|e| state.places.get(&e.client))
                .is_some_and(|p| p.pod.is_empty() && p.container == "kubelet");
            let shape = match (*malformed || (*answers != 0 && failed(summary)), probe, to_server) {
                (true, ..) => Shape::Error,
                (_, true, _) => Shape::Probe,
                (_, _, true) => Shape::Request,
                _ => Shape::Response,
            };
            new(whom, summary.clone(), Mark::Shape(shape))
        }
        (List::Messages, Kind::Datagram { peer, .. }) => {
            new(name(state, *peer), text::summary(&event.kind), Mark::Shape(Shape::Datagram))
        }
        (List::Messages, Kind::Data { conn, dir, .. }) => {
            let ends = timeline.ends(*conn)?;
            if ends.spoken {
                return None;
            }
            let to = if *dir == podlab_trace::Dir::ToServer { ends.server } else { ends.client };
            new(name(state, to), text::summary(&event.kind), Mark::Shape(Shape::Data))
        }
        (List::Messages, Kind::Refuse { conn, .. } | Kind::Reset { conn, .. }) => {
            let whom = timeline.ends(*conn).map(|e| e.to.clone()).unwrap_or_default();
            new(whom, text::summary(&event.kind), Mark::Shape(Shape::Error))
        }
        (List::Messages, Kind::File { op, volume, error, .. }) if !volume.is_empty() => {
            let shape = match op {
                _ if !error.is_empty() => Shape::Error,
                FileOp::Open => return None,
                FileOp::Read => Shape::Read,
                _ => Shape::Write,
            };
            new(volume.clone(), text::summary(&event.kind), Mark::Shape(shape))
        }
        (List::Logs, Kind::Log { stream, line }) => new(
            String::new(),
            line.clone(),
            if *stream == Stream::Stdout { Mark::Out } else { Mark::Err },
        ),
        (List::Events, Kind::Object { object_kind, object, .. }) if object_kind == "Event" => {
            let object: serde_json::Value = serde_json::from_str(object).ok()?;
            let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
            let about = &object["involvedObject"];
            let count = object["count"]
                .as_u64()
                .filter(|n| *n > 1)
                .map(|n| format!(" (×{n})"))
                .unwrap_or_default();
            let what = format!("{}: {}{count}", text(&object["reason"]), text(&object["message"]));
            let mark = if object["type"] == "Warning" { Mark::Warning } else { Mark::Normal };
            let who = format!("{}/{}", text(&about["kind"]), text(&about["name"]));
            Some(Row { seq: event.seq, at: event.at, who, whom: String::new(), what, mark, conn })
        }
        (List::Events, Kind::Start { .. } | Kind::Exit { .. } | Kind::Signal { .. }) => {
            new(String::new(), text::summary(&event.kind), Mark::Program)
        }
        (List::Events, Kind::Probe { ok: false, .. }) => {
            new(String::new(), text::summary(&event.kind), Mark::Warning)
        }
        (List::Events, Kind::Input { .. } | Kind::Fault { .. } | Kind::Check { .. }) => {
            new(String::new(), text::summary(&event.kind), Mark::Outside)
        }
        _ => None,
    }
}

/// The line of an event in whichever list it belongs to.
pub fn anywhere(timeline: &Timeline, event: &Event) -> Option<Row> {
    [List::Messages, List::Logs, List::Events].into_iter().find_map(|l| row(timeline, event, l))
}

impl Mark {
    /// The word that filters know it by.
    pub fn word(self) -> &'static str {
        match self {
            Mark::Shape(Shape::Request) => "request",
            Mark::Shape(Shape::Response) => "response",
            Mark::Shape(Shape::Data) => "bytes",
            Mark::Shape(Shape::Datagram) => "datagram",
            Mark::Shape(Shape::Write) => "write",
            Mark::Shape(Shape::Read) => "read",
            Mark::Shape(Shape::Probe) => "probe",
            Mark::Shape(Shape::Error) => "error",
            Mark::Out => "stdout",
            Mark::Err => "stderr",
            Mark::Normal => "normal",
            Mark::Warning => "warning",
            Mark::Program => "program",
            Mark::Outside => "outside",
        }
    }
}

/// The rows of a list up to the event before `before`, newest last, at most `most` of the newest
/// that match `filter`; the place's name must be among `who`, unless that is empty.
pub fn rows(
    timeline: &Timeline,
    list: List,
    before: Seq,
    filter: &str,
    who: &BTreeSet<String>,
    most: usize,
) -> Vec<Row> {
    let filter = Filter::typed(filter);
    let mut out: Vec<Row> = timeline
        .range(timeline.first(), before)
        .rev()
        .filter_map(|e| row(timeline, e, list).map(|r| (e, r)))
        .filter(|(_, r)| who.is_empty() || who.contains(&r.who))
        .filter(|(e, r)| filter.takes(timeline, e, || Some(r)))
        .map(|(_, r)| r)
        .take(most)
        .collect();
    out.reverse();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    #[test]
    fn filters_are_words_that_all_must_be_there_or_absent() {
        let mut timeline = Timeline::new(1, State::default());
        for event in sample::world(20).read(1, usize::MAX) {
            timeline.push(event);
        }
        let all_of = BTreeSet::new();
        let count = |filter: &str| {
            rows(&timeline, List::Messages, u64::MAX, filter, &all_of, usize::MAX).len()
        };
        let all = count("");
        assert!(all > 40);
        let get = count("get /");
        assert!(get > 0 && get < all);
        assert_eq!(get + count("-get"), all);
        assert_eq!(count("no such thing"), 0);
        let (requests, others) = (count("is:request"), count("-is:request"));
        assert!(requests > 0 && requests + others == all);
        assert_eq!(count("after:5") + count("before:5"), all);
        let row =
            |filter: &str| rows(&timeline, List::Messages, u64::MAX, filter, &all_of, usize::MAX);
        assert!(row("from:client").iter().all(|r| r.who.contains("client")));
        let some = row("is:request")[0].clone();
        let same = row(&format!("conn:{}", some.conn));
        assert!(same.contains(&some) && same.iter().all(|r| r.conn == some.conn));
        assert_eq!(count("conn:0"), 0);
        let web = BTreeSet::from(["web/web".to_owned()]);
        assert!(
            rows(&timeline, List::Logs, u64::MAX, "", &web, usize::MAX)
                .iter()
                .all(|r| r.who == "web/web")
        );
        assert!(!rows(&timeline, List::Events, u64::MAX, "", &all_of, usize::MAX).is_empty());
        assert_eq!(rows(&timeline, List::Messages, u64::MAX, "", &all_of, 5).len(), 5);
    }
}
