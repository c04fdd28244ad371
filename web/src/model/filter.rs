//! The filter language: what the lists let through, and what a breakpoint waits for.
//!
//! Words that must all hold, `-` before one that must not. A word is plain text, or a field with
//! a value: `from:web to:origin is:error path:/lock status:>=500 kind:restart body:"not found"`.
//! Lists read it as it is typed and pass over what is not finished; a breakpoint is refused with
//! the reason.

use std::borrow::Borrow;

use podlab_trace::event::{Dir, Event, Kind, Seq};

use crate::model::rows::Row;
use crate::model::timeline::Timeline;

/// No filter of a breakpoint is longer, in characters.
pub const LONGEST: usize = 200;
/// Nor does it have more words.
const MOST: usize = 16;
/// So much of a body is searched, in bytes.
const SEARCHED: usize = 16 << 10;

/// The kinds that `kind:` knows, as they are written.
pub const KINDS: [&str; 20] = [
    "request", "response", "message", "bytes", "datagram", "file", "log", "probe", "start",
    "restart", "exit", "signal", "connect", "refused", "dns", "event", "object", "input", "fault",
    "check",
];
/// The marks that `is:` knows.
const MARKS: [&str; 14] = [
    "request", "response", "bytes", "datagram", "write", "read", "probe", "error", "stdout",
    "stderr", "normal", "warning", "program", "outside",
];
/// The fields, as they are written.
pub const FIELDS: [&str; 12] = [
    "from", "to", "is", "kind", "path", "method", "status", "body", "conn", "after", "before",
    "text",
];

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is empty, or only says what must not be.
    Empty,
    /// It is longer than [`LONGEST`] or has too many words.
    Long,
    /// There is no such field.
    Field(String),
    /// The field has a value that it cannot have.
    Value(&'static str, String),
}

/// The lowest and the highest status that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status(u16, u16);

#[derive(Clone, Debug, PartialEq)]
enum Want {
    Text(String),
    From(String),
    To(String),
    Is(String),
    Kind(String),
    Path(String),
    Method(String),
    Status(Status),
    Body(String),
    Conn(u64),
    After(f64),
    Before(f64),
}

#[derive(Clone, Debug, PartialEq)]
struct Term {
    not: bool,
    want: Want,
}

/// A filter that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    terms: Vec<Term>,
}

/// Splits at spaces that are not between quotes. A word that was quoted from its beginning is
/// plain text, whatever it holds.
fn words(text: &str) -> Vec<(bool, String, bool)> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while chars.next_if(|c| c.is_whitespace()).is_some() || chars.peek().is_some() {
        let Some(first) = chars.peek().copied() else { break };
        if first.is_whitespace() {
            continue;
        }
        let not = first == '-';
        if not {
            chars.next();
        }
        let plain = chars.peek() == Some(&'"');
        let (mut word, mut inside) = (String::new(), false);
        while let Some(c) = chars.next_if(|c| inside || !c.is_whitespace()) {
            if c == '"' {
                inside = !inside;
            } else {
                word.push(c);
            }
        }
        // A lone dash is text.
        if word.is_empty() && not && !plain {
            out.push((false, "-".into(), true));
        } else if !word.is_empty() {
            out.push((not, word.to_lowercase(), plain));
        }
    }
    out
}

fn seconds(text: &str) -> Option<f64> {
    text.trim_end_matches('s').parse::<f64>().ok().filter(|s| s.is_finite()).map(|s| s * 1e9)
}

impl Status {
    /// `404`, `>=500`, `>499`, `<400`, `<=399`, `5xx`.
    fn parse(text: &str) -> Option<Status> {
        let number = |s: &str| s.parse::<u16>().ok().filter(|n| *n <= 999);
        let (from, to) = if let Some(n) = text.strip_prefix(">=") {
            (number(n)?, 999)
        } else if let Some(n) = text.strip_prefix("<=") {
            (0, number(n)?)
        } else if let Some(n) = text.strip_prefix('>') {
            (number(n)? + 1, 999)
        } else if let Some(n) = text.strip_prefix('<') {
            (0, number(n)?.checked_sub(1)?)
        } else if let Some(n) = text.strip_suffix("xx") {
            let n = number(n).filter(|n| *n <= 9)? * 100;
            (n, n + 99)
        } else {
            (number(text)?, number(text)?)
        };
        Some(Status(from, to))
    }
}

fn want(word: &str, plain: bool) -> Result<Want, Wrong> {
    let Some((field, value)) = word.split_once(':').filter(|_| !plain) else {
        return Ok(Want::Text(word.into()));
    };
    let Some(name) = FIELDS.into_iter().find(|f| *f == field) else {
        return Err(Wrong::Field(field.into()));
    };
    let bad = || Wrong::Value(name, value.into());
    let among = |all: &[&str]| all.contains(&value).then(|| value.to_owned()).ok_or_else(bad);
    let some = || if value.is_empty() { Err(bad()) } else { Ok(value.to_owned()) };
    Ok(match name {
        "from" => Want::From(some()?),
        "to" => Want::To(some()?),
        "is" => Want::Is(among(&MARKS)?),
        "kind" => Want::Kind(among(&KINDS)?),
        "path" => Want::Path(some()?),
        "method" => Want::Method(some()?),
        "status" => Want::Status(Status::parse(value).ok_or_else(bad)?),
        "body" => Want::Body(some()?),
        "conn" => Want::Conn(value.parse().map_err(|_| bad())?),
        "after" => Want::After(seconds(value).ok_or_else(bad)?),
        "before" => Want::Before(seconds(value).ok_or_else(bad)?),
        _ => Want::Text(some()?),
    })
}

/// Whether `text` has `small`, which is in small letters, in it.
fn has(text: &str, small: &str) -> bool {
    text.to_lowercase().contains(small)
}

/// Whether these bytes have `small` in them, up to a bound.
fn searched(bytes: &[u8], small: &str) -> bool {
    let (bytes, small) = (&bytes[..bytes.len().min(SEARCHED)], small.as_bytes());
    // What is no ASCII has to be written as it is.
    bytes.windows(small.len()).any(|w| w.eq_ignore_ascii_case(small))
}

/// The request that a message belongs to.
fn asked<'a>(timeline: &'a Timeline, kind: &'a Kind) -> Option<&'a str> {
    let Kind::Message { answers, summary, dir, .. } = kind else { return None };
    match (*answers, *dir) {
        (0, Dir::ToServer) => Some(summary),
        (0, Dir::ToClient) => None,
        (seq, _) => timeline.event(seq).and_then(|e| match &e.kind {
            Kind::Message { summary, .. } => Some(summary.as_str()),
            _ => None,
        }),
    }
}

/// Whether an event is of this kind.
fn is_kind(kind: &Kind, word: &str) -> bool {
    match kind {
        Kind::Message { dir: Dir::ToServer, .. } => matches!(word, "message" | "request"),
        Kind::Message { .. } => matches!(word, "message" | "response"),
        Kind::Data { .. } => word == "bytes",
        Kind::Datagram { .. } => word == "datagram",
        Kind::File { .. } => word == "file",
        Kind::Log { .. } => word == "log",
        Kind::Probe { .. } => word == "probe",
        Kind::Start { run, .. } => word == "start" || (word == "restart" && *run > 0),
        Kind::Exit { .. } => word == "exit",
        Kind::Signal { .. } => word == "signal",
        Kind::Connect { .. } => word == "connect",
        Kind::Refuse { .. } | Kind::Reset { .. } => word == "refused",
        Kind::Resolve { .. } => word == "dns",
        Kind::Object { object_kind, .. } if object_kind == "Event" => word == "event",
        Kind::Object { .. } => word == "object",
        Kind::Input { .. } => word == "input",
        Kind::Fault { .. } => word == "fault",
        Kind::Check { .. } => word == "check",
        _ => false,
    }
}

impl Term {
    /// Whether it holds for what the event itself says; `None` where that takes its row.
    fn of_event(&self, timeline: &Timeline, event: &Event) -> Option<bool> {
        let kind = &event.kind;
        let holds = match &self.want {
            Want::Kind(word) => is_kind(kind, word),
            Want::Conn(number) => {
                let of = match kind {
                    Kind::Message { conn, .. }
                    | Kind::Data { conn, .. }
                    | Kind::Refuse { conn, .. }
                    | Kind::Reset { conn, .. } => *conn,
                    _ => 0,
                };
                of > 0 && of == *number
            }
            Want::After(ns) => event.at as f64 >= *ns,
            Want::Before(ns) => (event.at as f64) < *ns,
            Want::Path(small) => match kind {
                Kind::File { path, to, .. } => has(path, small) || has(to, small),
                _ => asked(timeline, kind)
                    .and_then(|s| s.split_whitespace().nth(1))
                    .is_some_and(|path| has(path, small)),
            },
            Want::Method(small) => asked(timeline, kind)
                .and_then(|s| s.split_whitespace().next())
                .is_some_and(|method| method.eq_ignore_ascii_case(small)),
            Want::Status(Status(from, to)) => match kind {
                Kind::Message { dir: Dir::ToClient, summary, .. } => summary
                    .split_whitespace()
                    .next()
                    .and_then(|s| s.parse::<u16>().ok())
                    .is_some_and(|n| (*from..=*to).contains(&n)),
                _ => false,
            },
            Want::Body(small) => match kind {
                Kind::Message { body, .. } => searched(body, small),
                Kind::Data { payload, .. }
                | Kind::Datagram { payload, .. }
                | Kind::File { payload, .. } => searched(payload, small),
                Kind::Log { line, .. } => searched(line.as_bytes(), small),
                Kind::Exit { message, .. } | Kind::Probe { message, .. } => {
                    searched(message.as_bytes(), small)
                }
                Kind::Object { object, .. } => searched(object.as_bytes(), small),
                _ => false,
            },
            Want::Text(_) | Want::From(_) | Want::To(_) | Want::Is(_) => return None,
        };
        Some(holds != self.not)
    }

    /// Whether it holds for what the lists show of the event.
    fn of_row(&self, row: &Row) -> bool {
        let holds = match &self.want {
            Want::From(small) => has(&row.who, small),
            Want::To(small) => has(&row.whom, small),
            Want::Is(word) => row.mark.word() == word,
            Want::Text(small) => has(&format!("{} {} {}", row.who, row.whom, row.what), small),
            _ => true,
        };
        holds != self.not
    }
}

impl Filter {
    /// Reads a filter as it is being typed: what is not finished lets everything through.
    pub fn typed(text: &str) -> Filter {
        let term = |(not, word, plain): (bool, String, bool)| match want(&word, plain) {
            Ok(want) => Some(Term { not, want }),
            // A word with a colon in it, such as an address.
            Err(Wrong::Field(_)) => Some(Term { not, want: Want::Text(word) }),
            Err(_) => None,
        };
        Filter { terms: words(text).into_iter().take(MOST).filter_map(term).collect() }
    }

    /// Reads the filter of a breakpoint.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn parse(text: &str) -> Result<Filter, Wrong> {
        if text.chars().count() > LONGEST {
            return Err(Wrong::Long);
        }
        let words = words(text);
        if words.len() > MOST {
            return Err(Wrong::Long);
        }
        let terms = words
            .into_iter()
            .map(|(not, word, plain)| Ok(Term { not, want: want(&word, plain)? }))
            .collect::<Result<Vec<_>, Wrong>>()?;
        // What only says when would stop at every event.
        let says = |t: &Term| !t.not && !matches!(t.want, Want::After(_) | Want::Before(_));
        if terms.iter().any(says) { Ok(Filter { terms }) } else { Err(Wrong::Empty) }
    }

    /// Whether everything is let through.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether an event is let through; `row` is what a list shows of it, made only where that
    /// matters. What stands in no list is let through by its kind alone.
    pub fn takes<R: Borrow<Row>>(
        &self,
        timeline: &Timeline,
        event: &Event,
        row: impl FnOnce() -> Option<R>,
    ) -> bool {
        let mut later = false;
        for term in &self.terms {
            match term.of_event(timeline, event) {
                Some(true) => {}
                Some(false) => return false,
                None => later = true,
            }
        }
        let listed = |want: &Want| matches!(want, Want::Kind(_));
        if !later && self.terms.iter().any(|t| !t.not && listed(&t.want)) {
            return true;
        }
        let Some(row) = row() else { return false };
        self.terms.iter().all(|t| t.of_row(row.borrow()))
    }
}

/// The value of a field as a filter has it.
fn quoted(value: &str) -> String {
    let plain: String = value.chars().filter(|c| !c.is_control() && *c != '"').take(60).collect();
    if plain.contains(char::is_whitespace) { format!("\"{plain}\"") } else { plain }
}

/// The filter that lets through what is like an event: the same kind of thing, from the same
/// container. `None` for what no filter can name.
pub fn like(timeline: &Timeline, seq: Seq, row: Option<&Row>) -> Option<String> {
    let event = timeline.event(seq)?;
    let from = row.map(|r| format!(" from:{}", quoted(&r.who))).unwrap_or_default();
    let path = |summary: &str| {
        let path = summary.split_whitespace().nth(1).filter(|p| p.starts_with('/'))?;
        // What follows the question mark is another each time.
        Some(quoted(path.split('?').next().unwrap_or(path)))
    };
    Some(match &event.kind {
        Kind::Message { dir: Dir::ToServer, summary, .. } => match path(summary) {
            Some(path) => format!("kind:request path:{path}{}", to(row)),
            None => {
                let word = summary.split_whitespace().next().unwrap_or_default();
                format!("kind:request text:{}{}", quoted(word), to(row))
            }
        },
        Kind::Message { summary, .. } => {
            let status = summary.split_whitespace().next().filter(|s| s.parse::<u16>().is_ok());
            let path = asked(timeline, &event.kind).and_then(path);
            let path = path.map(|p| format!(" path:{p}")).unwrap_or_default();
            match status {
                Some(status) => format!("status:{status}{path}{from}"),
                None => format!("kind:response{path}{from}"),
            }
        }
        Kind::File { path, op, .. } => {
            let is = match row.map(|r| r.mark.word()) {
                Some(word @ ("read" | "write" | "error")) => format!(" is:{word}"),
                _ if *op == podlab_trace::FileOp::Read => " is:read".into(),
                _ => String::new(),
            };
            format!("kind:file path:{}{is}{from}", quoted(path))
        }
        Kind::Start { run, .. } if *run > 0 => format!("kind:restart{from}"),
        Kind::Object { .. } => {
            let reason = row.and_then(|r| r.what.split(':').next()).map(quoted);
            match reason.filter(|r| !r.is_empty()) {
                Some(reason) => format!("kind:event text:{reason}{from}"),
                None => return None,
            }
        }
        kind => {
            let word = KINDS.into_iter().find(|word| is_kind(kind, word))?;
            format!("kind:{word}{from}")
        }
    })
}

fn to(row: Option<&Row>) -> String {
    row.filter(|r| !r.whom.is_empty())
        .map(|r| format!(" to:{}", quoted(&r.whom)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rows::anywhere;
    use crate::model::sample;
    use podlab_trace::State;

    fn timeline() -> Timeline {
        let mut timeline = Timeline::new(1, State::default());
        for event in sample::world(30).read(1, usize::MAX) {
            timeline.push(event);
        }
        timeline
    }

    fn taken(timeline: &Timeline, text: &str) -> Vec<Seq> {
        let filter = Filter::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        let takes = |e: &&Event| filter.takes(timeline, e, || anywhere(timeline, e));
        timeline.events().filter(takes).map(|e| e.seq).collect()
    }

    #[test]
    fn paths_status_and_kinds_are_found_in_the_events_themselves() {
        let t = timeline();
        let whole = taken(&t, "path:/nothing");
        let (asks, tells) =
            (taken(&t, "path:/nothing kind:request"), taken(&t, "path:/nothing status:404"));
        assert!(!asks.is_empty() && asks.len() == tells.len());
        assert_eq!(whole.len(), asks.len() + tells.len(), "an answer has the path of its request");
        assert_eq!(taken(&t, "status:4xx"), tells);
        assert_eq!(taken(&t, "status:>=400"), tells);
        assert!(taken(&t, "status:<400").len() > tells.len());
        assert!(taken(&t, "status:>=500").is_empty());
        assert_eq!(
            taken(&t, "kind:file is:write").len() + taken(&t, "kind:file is:read").len(),
            taken(&t, "kind:file").len()
        );
        assert!(!taken(&t, "body:\"Hello, version 2\"").is_empty());
        assert_eq!(taken(&t, "method:post"), taken(&t, "path:/append"));
        assert!(!taken(&t, "kind:start").is_empty() && taken(&t, "kind:restart").is_empty());
        // What stands in no list is found by its kind.
        assert_eq!(
            taken(&t, "kind:connect -after:5").len() + taken(&t, "kind:connect after:5").len(),
            taken(&t, "kind:connect").len()
        );
        assert!(!taken(&t, "kind:object body:clusterIP").is_empty());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, wrong) in [
            ("", Wrong::Empty),
            ("-is:error", Wrong::Empty),
            ("after:3", Wrong::Empty),
            ("colour:red", Wrong::Field("colour".into())),
            ("kind:pod", Wrong::Value("kind", "pod".into())),
            ("status:5x", Wrong::Value("status", "5x".into())),
            ("status:<0", Wrong::Value("status", "<0".into())),
            ("status:>=70000", Wrong::Value("status", ">=70000".into())),
            ("is:blue", Wrong::Value("is", "blue".into())),
            ("get after:nan", Wrong::Value("after", "nan".into())),
            ("path:", Wrong::Value("path", String::new())),
        ] {
            assert_eq!(Filter::parse(text), Err(wrong), "{text}");
        }
        assert_eq!(Filter::parse(&"x".repeat(LONGEST + 1)), Err(Wrong::Long));
        assert_eq!(Filter::parse(&"x ".repeat(MOST + 1)), Err(Wrong::Long));
        assert!(Filter::parse("\"web:8080\"").is_ok());
        // While it is typed, the list stays.
        let t = timeline();
        let first = t.event(1).unwrap();
        for text in ["path:", "status:>", "kind:re", "", "-", "\"", "  "] {
            let filter = Filter::typed(text);
            assert!(filter.is_empty() || text == "-", "{text}");
            let _ = filter.takes(&t, first, || anywhere(&t, first));
        }
    }

    #[test]
    fn what_is_like_an_event_takes_that_event_too() {
        let t = timeline();
        let mut seen = 0;
        for event in t.events() {
            let row = anywhere(&t, event);
            let Some(filter) = like(&t, event.seq, row.as_ref()) else { continue };
            assert!(taken(&t, &filter).contains(&event.seq), "{filter}: {event:?}");
            seen += 1;
        }
        assert!(seen > 100);
    }
}
