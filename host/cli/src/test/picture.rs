//! What happened around a failure, as lanes: a line for each place, messages between them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use podlab_lab::Report;
use podlab_trace::{Dir, Event, Kind, PlaceId, Trace, Verdict, text};

use super::html::escaped;

/// How many events before and after the one that decided are looked at.
const BEFORE: u64 = 400;
const AFTER: usize = 60;
/// The most arrows and marks that are drawn, the latest ones.
const MOST: usize = 48;
/// The most lanes.
const LANES: usize = 10;
/// Sizes, in px.
const LANE: usize = 130;
const ROW: usize = 20;
const LEFT: usize = 110;

/// Lanes.
pub(super) struct Picture {
    lanes: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    at: u64,
    from: Option<usize>,
    to: Option<usize>,
    /// "fault", "end", "decides" or "".
    class: &'static str,
    text: String,
}

impl Picture {
    /// What the events around the first check that failed show, or the last events.
    pub(super) fn of(report: &Report, trace: &Trace) -> Picture {
        let failed = report.checks.iter().filter(|c| c.verdict == Verdict::Fail && c.event > 0);
        let decides = failed.map(|c| c.event).min();
        let about = decides.unwrap_or(trace.last());
        let from = about.saturating_sub(BEFORE).max(trace.first()).max(1);
        let events = trace.read(from, BEFORE as usize + AFTER);
        let mut state = trace.keyframe(from).map_or_else(Default::default, |(first, state)| {
            let mut state = state;
            for event in trace.read(first, from.saturating_sub(first) as usize) {
                if event.seq < from {
                    state.apply(&event);
                }
            }
            state
        });
        let mut found = Vec::new();
        for event in &events {
            if let Some((to, class, text)) = shown(event, &state) {
                let class = if Some(event.seq) == decides { "decides" } else { class };
                found.push((event.at, event.place, to, class, text));
            }
            state.apply(event);
        }
        // The decisive event stays in view.
        let middle = found.iter().position(|f| f.3 == "decides").unwrap_or(found.len());
        let end = (middle + 10).min(found.len());
        let found = &found[end.saturating_sub(MOST)..end];
        let mut lanes: BTreeMap<PlaceId, usize> = BTreeMap::new();
        let mut names = Vec::new();
        let mut lane = |place: PlaceId| {
            if place == 0 {
                return None;
            }
            if !lanes.contains_key(&place) && names.len() < LANES {
                lanes.insert(place, names.len());
                names.push(text::place(&state, place));
            }
            lanes.get(&place).copied()
        };
        let rows = found
            .iter()
            .map(|(at, from, to, class, text)| Row {
                at: *at,
                from: lane(*from),
                to: to.and_then(&mut lane),
                class,
                text: text.clone(),
            })
            .collect();
        Picture { lanes: names, rows }
    }

    /// As SVG; colours come from the page's style.
    pub(super) fn svg(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let width = LEFT + LANE * self.lanes.len() + 420;
        let height = ROW * (self.rows.len() + 3);
        let bottom = height - ROW / 2;
        let x = |lane: usize| LEFT + LANE / 2 + lane * LANE;
        let mut out = format!(
            "<svg role=\"img\" aria-label=\"Space-time diagram\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">"
        );
        for (n, name) in self.lanes.iter().enumerate() {
            let x = x(n);
            let short: String =
                name.chars().rev().take(18).collect::<Vec<_>>().into_iter().rev().collect();
            let _ = write!(
                out,
                "<line class=\"lane\" x1=\"{x}\" y1=\"{ROW}\" x2=\"{x}\" y2=\"{bottom}\"/><text class=\"name\" x=\"{x}\" y=\"14\" text-anchor=\"middle\">{}<title>{}</title></text>",
                escaped(&short),
                escaped(name)
            );
        }
        let beside = LEFT + LANE * self.lanes.len() + 8;
        for (n, row) in self.rows.iter().enumerate() {
            let y = ROW * (n + 2);
            let class = row.class;
            if !class.is_empty() {
                let top = y - ROW + 6;
                let _ = write!(
                    out,
                    "<rect class=\"{class}\" x=\"0\" y=\"{top}\" width=\"{width}\" height=\"{ROW}\"/>"
                );
            }
            let _ =
                write!(out, "<text class=\"time\" x=\"0\" y=\"{y}\">{}</text>", text::time(row.at));
            let line = y - 4;
            match (row.from, row.to) {
                (Some(a), Some(b)) if a != b => {
                    let (from, to) = (x(a), x(b));
                    let tip = if to > from { to - 7 } else { to + 7 };
                    let _ = write!(
                        out,
                        "<line class=\"arrow\" x1=\"{from}\" y1=\"{line}\" x2=\"{tip}\" y2=\"{line}\"/><path class=\"tip\" d=\"M{to} {line}L{tip} {}L{tip} {}Z\"/>",
                        line - 4,
                        line + 4
                    );
                }
                (Some(a), _) => {
                    let _ = write!(
                        out,
                        "<circle class=\"dot\" cx=\"{}\" cy=\"{line}\" r=\"4\"/>",
                        x(a)
                    );
                }
                _ => {}
            }
            let short: String = row.text.chars().take(64).collect();
            let _ = write!(
                out,
                "<text x=\"{beside}\" y=\"{y}\">{}<title>{}</title></text>",
                escaped(&short),
                escaped(&row.text)
            );
        }
        out + "</svg>"
    }
}

/// What a diagram shows of an event: where it goes, what it is, and its text.
fn shown(
    event: &Event,
    state: &podlab_trace::State,
) -> Option<(Option<PlaceId>, &'static str, String)> {
    let summary = || text::summary(&event.kind);
    Some(match &event.kind {
        Kind::Message { conn, dir, summary, .. } => {
            let to = state.connections.get(conn).map(|c| match dir {
                Dir::ToServer => c.server,
                _ => c.client,
            });
            (to, "", summary.clone())
        }
        Kind::Datagram { peer, .. } => (Some(*peer), "", summary()),
        Kind::Refuse { conn, .. } => (state.connections.get(conn).map(|c| c.server), "", summary()),
        Kind::Fault { .. } => (None, "fault", summary()),
        Kind::Exit { .. } => (None, "end", summary()),
        Kind::Start { .. } | Kind::Signal { .. } | Kind::Probe { ok: false, .. } => {
            (None, "", summary())
        }
        Kind::Log { line, .. } => (None, "", format!("log: {line}")),
        _ => return None,
    })
}
