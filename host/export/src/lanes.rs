//! A space-time diagram in text: a column for each place, time downwards, messages as arrows.
//!
//! ```text
//!                client        web
//! 1.200000000s      |           |
//! 1.200000000s      o---------->|   GET /
//! 1.203100000s      |<----------o   200 OK
//! 2.000000000s      |           X   exit 137 Error
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

use podlab_trace::{Dir, Event, Kind, PlaceId, State, text};

/// The width of a column, in characters.
const COLUMN: usize = 16;
/// The most columns; what happens at further places has no column.
const COLUMNS: usize = 12;
/// The width of the time.
const TIME: usize = 16;

/// Draws a trace.
pub struct Lanes {
    state: State,
    columns: Vec<PlaceId>,
    lines: Vec<Line>,
    left_out: BTreeMap<PlaceId, ()>,
}

struct Line {
    at: u64,
    from: PlaceId,
    to: Option<PlaceId>,
    mark: char,
    text: String,
}

impl Default for Lanes {
    fn default() -> Lanes {
        Lanes::new()
    }
}

impl Lanes {
    /// An empty diagram.
    pub fn new() -> Lanes {
        let (columns, lines) = (Vec::new(), Vec::new());
        Lanes { state: State::default(), columns, lines, left_out: BTreeMap::new() }
    }

    /// Takes in the next event; it is drawn if it is `wanted` and something that a diagram shows:
    /// messages, datagrams, starts, ends, signals, faults, failed probes, and what a check says.
    pub fn take(&mut self, event: &Event, wanted: bool) {
        if wanted {
            self.draw(event);
        }
        self.state.apply(event);
    }

    fn draw(&mut self, event: &Event) {
        let place = event.place;
        let (from, to, mark, what) = match &event.kind {
            Kind::Message { conn, dir, summary, malformed, .. } => {
                let Some(c) = self.state.connections.get(conn) else { return };
                let to = if *dir == Dir::ToServer { c.server } else { c.client };
                let bad = if *malformed { "malformed: " } else { "" };
                (place, Some(to), 'o', format!("{bad}{summary}"))
            }
            Kind::Datagram { peer, len, arrives, .. } => {
                let lost = if *arrives == u64::MAX { ", lost" } else { "" };
                (place, (*peer != 0).then_some(*peer), 'o', format!("datagram, {len} bytes{lost}"))
            }
            Kind::Refuse { conn, .. } => {
                let to = self.state.connections.get(conn).map(|c| c.server).filter(|s| *s != 0);
                (place, to, 'x', text::summary(&event.kind))
            }
            Kind::Start { .. } => (place, None, '*', text::summary(&event.kind)),
            Kind::Exit { .. } => (place, None, 'X', text::summary(&event.kind)),
            Kind::Signal { .. } => (place, None, '!', text::summary(&event.kind)),
            Kind::Probe { ok: false, .. } => (place, None, '?', text::summary(&event.kind)),
            Kind::Fault { .. } | Kind::Check { .. } | Kind::Input { .. } => {
                (0, None, ' ', text::summary(&event.kind))
            }
            _ => return,
        };
        for place in [Some(from), to].into_iter().flatten() {
            if place == 0 || self.columns.contains(&place) {
                continue;
            }
            if self.columns.len() < COLUMNS {
                self.columns.push(place);
            } else {
                self.left_out.insert(place, ());
            }
        }
        self.lines.push(Line { at: event.at, from, to, mark, text: what });
    }

    /// The diagram.
    pub fn finish(self) -> String {
        let mut out = " ".repeat(TIME + 2);
        for place in &self.columns {
            let mut name = text::place(&self.state, *place);
            if name.chars().count() > COLUMN - 2 {
                // The end of a name tells more than its beginning.
                let skip = name.chars().count() - (COLUMN - 3);
                name = format!("~{}", name.chars().skip(skip).collect::<String>());
            }
            let _ = write!(out, "{name:^COLUMN$}");
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        for line in &self.lines {
            let _ = write!(out, "{:>TIME$}  ", text::time(line.at));
            out.push_str(&self.row(line));
            let _ = writeln!(out, "  {}", line.text);
        }
        if !self.left_out.is_empty() {
            let _ = writeln!(out, "({} more places have no column)", self.left_out.len());
        }
        out
    }

    fn row(&self, line: &Line) -> String {
        let width = self.columns.len() * COLUMN;
        let mut row = vec![' '; width];
        let at = |column: usize| column * COLUMN + COLUMN / 2;
        for column in 0..self.columns.len() {
            row[at(column)] = '|';
        }
        let column = |place: PlaceId| self.columns.iter().position(|p| *p == place);
        let Some(from) = column(line.from) else { return row.into_iter().collect() };
        if let Some(to) = line.to.and_then(column)
            && to != from
        {
            let (low, high) = (at(from.min(to)), at(from.max(to)));
            for cell in &mut row[low + 1..high] {
                *cell = '-';
            }
            if line.mark == 'x' {
                row[high - 1] = 'x';
            } else if to > from {
                row[high - 1] = '>';
            } else {
                row[low + 1] = '<';
            }
            row[at(from)] = 'o';
        } else {
            row[at(from)] = line.mark;
        }
        row.into_iter().collect()
    }
}
